//! Who is asking. One place, so that accounts can replace the single staff token without any
//! handler noticing.

use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use sha2::{Digest as _, Sha256};

use super::App;
use super::problem::Problem;

/// The caller of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Holds the staff token.
    Staff,
    /// Showed nothing.
    Guest,
}

impl fmt::Display for Caller {
    /// The actor of events, and the scope of idempotency keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Staff => "staff",
            Self::Guest => "guest",
        })
    }
}

impl Caller {
    fn of(parts: &Parts, staff_token: &str) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Ok(Self::Guest);
        };
        if values.next().is_some() {
            // Whoever stands between might have looked at the other one.
            return Err(Problem::unauthenticated("send Authorization once"));
        }
        let shown = value.to_str().ok().and_then(|value| value.split_once(' '));
        match shown {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                if is_same(token.trim(), staff_token) {
                    Ok(Self::Staff)
                } else {
                    Err(Problem::unauthenticated("this token is not known"))
                }
            }
            _ => Err(Problem::unauthenticated("send Authorization: Bearer and a token")),
        }
    }
}

/// In constant time: digests of what is shown tell nothing of where it differs.
fn is_same(shown: &str, expected: &str) -> bool {
    Sha256::digest(shown) == Sha256::digest(expected)
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Self::of(parts, &app.settings.staff_token)
    }
}

/// Proof that the caller is staff. A handler that takes it is closed to everybody else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Staff;

impl FromRequestParts<App> for Staff {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match Caller::of(parts, &app.settings.staff_token)? {
            Caller::Staff => Ok(Self),
            Caller::Guest => Err(Problem::unauthenticated(
                "this is for staff: send Authorization: Bearer and the staff token",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{Request, StatusCode};

    use super::*;

    fn caller(authorization: Option<&str>) -> Result<Caller, StatusCode> {
        let mut request = Request::builder();
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Caller::of(&parts, "the-token").map_err(|problem| problem.status())
    }

    #[test]
    fn the_token_makes_staff_and_its_absence_a_guest() {
        assert_eq!(caller(Some("Bearer the-token")), Ok(Caller::Staff));
        assert_eq!(caller(Some("bearer  the-token")), Ok(Caller::Staff));
        assert_eq!(caller(None), Ok(Caller::Guest));
    }

    #[test]
    fn a_wrong_token_makes_nobody() {
        for shown in [
            "Bearer the-toke",
            "Bearer ",
            "Bearer",
            "Basic the-token",
            "the-token",
            "é",
        ] {
            assert_eq!(caller(Some(shown)), Err(StatusCode::UNAUTHORIZED), "{shown}");
        }
    }
}
