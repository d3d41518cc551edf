//! Who is asking, and what they may do. Judged from memory: no request waits for a database to
//! learn who sent it.
//!
//! A handler that takes [`Staff`] or another audience is closed to everybody else. The same roles
//! stand beside each route's `security`; `tests/system/roles.rs` walks every route with every role
//! and holds both together.

use std::convert::Infallible;
use std::fmt;

use accounts::{Identity, Role};
use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use domain::ids::CustomerId;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::App;
use super::problem::Problem;

/// The caller of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Holds the staff token, which may do everything.
    Staff,
    /// Showed nothing.
    Guest,
    /// Has signed in.
    Account { id: Uuid, role: Role },
    /// A machine with an API key.
    Machine { id: Uuid, role: Role },
}

impl fmt::Display for Caller {
    /// The actor of events.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Staff => f.write_str("staff"),
            Self::Guest => f.write_str("guest"),
            Self::Account { id, role } => write!(f, "{role}:{id}"),
            Self::Machine { id, role } => write!(f, "{role}-key:{id}"),
        }
    }
}

impl Caller {
    /// What the caller is; guests are nothing.
    pub(crate) fn role(self) -> Option<Role> {
        match self {
            Self::Staff => Some(Role::Admin),
            Self::Guest => None,
            Self::Account { role, .. } | Self::Machine { role, .. } => Some(role),
        }
    }

    /// Whose order it is that the caller places; staff and machines place them for others.
    pub(crate) fn customer_id(self) -> Option<CustomerId> {
        match self {
            Self::Account { id, role: Role::Customer | Role::Vendor } => Some(CustomerId(id)),
            Self::Staff | Self::Guest | Self::Account { .. } | Self::Machine { .. } => None,
        }
    }

    /// Whether the caller is one of these.
    pub(crate) fn is_any_of(self, roles: &[Role]) -> bool {
        self.role().is_some_and(|role| roles.contains(&role))
    }

    /// Whose idempotency keys these are: the same person's whatever they have become.
    pub(crate) fn scope(self) -> String {
        match self {
            Self::Staff | Self::Guest => self.to_string(),
            Self::Account { id, .. } => format!("account:{id}"),
            Self::Machine { id, .. } => format!("key:{id}"),
        }
    }

    /// Whoever was judged already is not judged again.
    fn of_request(parts: &Parts, app: &App) -> Result<Self, Problem> {
        match parts.extensions.get::<Judged>() {
            Some(Judged(judged)) => judged.clone(),
            None => Self::of(&parts.headers, app),
        }
    }

    fn of(headers: &HeaderMap, app: &App) -> Result<Self, Problem> {
        let Some(token) = shown(headers)? else {
            return Ok(Self::Guest);
        };
        if is_same(token, &app.settings.staff_token) {
            return Ok(Self::Staff);
        }
        match app.accounts.identify(token) {
            Some(Identity::Account { account_id, role, .. }) => {
                Ok(Self::Account { id: account_id, role })
            }
            Some(Identity::Machine { key_id, role }) => Ok(Self::Machine { id: key_id, role }),
            None => Err(Problem::unauthenticated("this token is not known, or has expired")),
        }
    }
}

/// Who shows the token of a request. Goes with the request, so that it is judged once.
#[derive(Clone)]
pub(crate) struct Judged(Result<Caller, Problem>);

impl Judged {
    /// Nothing where there is nothing to judge by.
    pub(crate) fn of(headers: &HeaderMap, app: &App) -> Option<Self> {
        let shows = headers.contains_key(AUTHORIZATION);
        shows.then(|| Self(Caller::of(headers, app)))
    }

    /// The caller; whoever shows what nobody knows is a guest.
    pub(crate) fn caller(&self) -> Caller {
        *self.0.as_ref().unwrap_or(&Caller::Guest)
    }
}

/// The token that a request shows.
fn shown(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        // Whoever stands between might have looked at the other one.
        return Err(Problem::unauthenticated("send Authorization once"));
    }
    let shown = value.to_str().ok().and_then(|value| value.split_once(' '));
    match shown {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Err(Problem::unauthenticated("send Authorization: Bearer and a token")),
    }
}

/// In constant time: digests of what is shown tell nothing of where it differs.
fn is_same(shown: &str, expected: &str) -> bool {
    Sha256::digest(shown) == Sha256::digest(expected)
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Self::of_request(parts, app)
    }
}

/// Whoever asks for what is open to everybody: a token that has expired keeps nobody out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Anybody(pub(crate) Caller);

impl FromRequestParts<App> for Anybody {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self(Caller::of_request(parts, app).unwrap_or(Caller::Guest)))
    }
}

/// Proof that the caller is one of a few; a handler that takes it is closed to everybody else.
macro_rules! audience {
    ($($(#[$doc:meta])* $name:ident = [$($role:ident),+], $who:literal;)+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub(crate) struct $name;

            impl FromRequestParts<App> for $name {
                type Rejection = Problem;

                async fn from_request_parts(
                    parts: &mut Parts,
                    app: &App,
                ) -> Result<Self, Problem> {
                    let caller = Caller::of_request(parts, app)?;
                    if caller.is_any_of(&[$(Role::$role),+]) {
                        Ok(Self)
                    } else if caller == Caller::Guest {
                        Err(Problem::unauthenticated(concat!(
                            "this is for ", $who, ": send Authorization: Bearer and a token"
                        )))
                    } else {
                        Err(Problem::forbidden(concat!("this is for ", $who)))
                    }
                }
            }
        )+
    };
}

audience! {
    /// Administrators, and whoever holds the staff token.
    Staff = [Admin], "staff";
    /// Whoever reads figures, stock and what happened.
    Readers = [Admin, Analyst, Auditor], "staff, analysts and auditors";
    /// Whoever brings products, stock and past orders in.
    Importers = [Admin, Importer], "staff and importers";
}

/// Whoever may place orders: everybody but those who only read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Buyer;

impl FromRequestParts<App> for Buyer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        // Guests, who are most, have nothing to be judged by.
        if !parts.headers.contains_key(AUTHORIZATION) {
            return Ok(Self);
        }
        if Caller::of_request(parts, app)?.is_any_of(&[Role::Analyst, Role::Auditor]) {
            return Err(Problem::forbidden("analysts and auditors place no orders"));
        }
        Ok(Self)
    }
}

/// Whoever may list orders: their own, or, as staff, analyst or auditor, all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shopper(Caller);

impl Shopper {
    /// Whose orders are all that the caller sees.
    pub(crate) fn sees_only(self) -> Option<Uuid> {
        self.0.customer_id().map(|customer| customer.0)
    }
}

impl FromRequestParts<App> for Shopper {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match Caller::of_request(parts, app)? {
            Caller::Guest => Err(Problem::unauthenticated(
                "sign in to see your orders: send Authorization: Bearer and an access token",
            )),
            caller if caller.is_any_of(&[Role::Importer]) => {
                Err(Problem::forbidden("this is for people, analysts and auditors"))
            }
            caller => Ok(Self(caller)),
        }
    }
}

/// Somebody who has signed in, whatever they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignedIn {
    pub(crate) id: Uuid,
}

impl FromRequestParts<App> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match Caller::of_request(parts, app)? {
            Caller::Account { id, .. } => Ok(Self { id }),
            Caller::Guest => Err(Problem::unauthenticated(
                "this is for whoever has signed in: send Authorization: Bearer and an access token",
            )),
            Caller::Staff | Caller::Machine { .. } => {
                Err(Problem::forbidden("this is for people with an account of their own"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn token(authorization: Option<&str>) -> Result<Option<String>, u16> {
        let values = authorization.map(|value| HeaderValue::from_str(value).unwrap());
        let headers: HeaderMap = values
            .into_iter()
            .map(|value| (AUTHORIZATION, value))
            .collect();
        shown(&headers)
            .map(|token| token.map(str::to_owned))
            .map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn a_token_is_what_stands_behind_bearer() {
        assert_eq!(token(Some("Bearer the-token")), Ok(Some("the-token".to_owned())));
        assert_eq!(token(Some("bearer  the-token")), Ok(Some("the-token".to_owned())));
        assert_eq!(token(None), Ok(None));
        for shown in ["Bearer", "Basic the-token", "the-token", "é"] {
            assert_eq!(token(Some(shown)), Err(401), "{shown}");
        }
    }

    #[test]
    fn the_actor_names_role_and_person_and_keys_belong_to_the_person() {
        let id = Uuid::nil();
        let customer = Caller::Account { id, role: Role::Customer };
        let vendor = Caller::Account { id, role: Role::Vendor };
        assert_eq!(customer.to_string(), format!("customer:{id}"));
        assert_eq!(customer.scope(), vendor.scope());
        let machine = Caller::Machine { id, role: Role::Importer };
        assert_eq!(machine.to_string(), format!("importer-key:{id}"));
        assert_eq!(Caller::Staff.to_string(), "staff");
    }
}
