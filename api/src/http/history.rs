//! The past as it is asked for over HTTP: `as_of` one moment, or what changed since `diff_from`.

use chrono::{DateTime, Utc};
use projections::AsOf;
use projections::history::Asked;

use super::App;
use super::parameters::{Parameters, instant_or_day};
use super::problem::Problem;

/// Which moments a query names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moments {
    as_of: Option<AsOf>,
    diff_from: Option<AsOf>,
}

impl Moments {
    /// Takes `as_of` and `diff_from` out of the parameters.
    pub(crate) fn of(parameters: &mut Parameters) -> Self {
        let as_of = parameters.optional("as_of", moment);
        let diff_from = parameters.optional("diff_from", moment);
        if is_later(diff_from, as_of) {
            parameters.refuse("diff_from", "is later than as_of");
        }
        Self { as_of, diff_from }
    }

    /// Whether anything is asked of the past.
    pub(crate) fn are_given(self) -> bool {
        self.as_of.is_some() || self.diff_from.is_some()
    }

    /// Whether two moments are compared.
    pub(crate) fn are_compared(self) -> bool {
        self.diff_from.is_some()
    }

    /// What is asked; where no end is named it is `now`.
    pub(crate) fn asked(self, now: i64) -> Asked {
        let to = self.as_of.unwrap_or(AsOf::Position(now));
        match self.diff_from {
            None => Asked::At(to),
            Some(from) => Asked::Between { from, to },
        }
    }

    /// The position that a read model must have reached to answer: it need not be ahead of what is
    /// asked for. What was recorded at a time is known once the log's head has been read.
    pub(crate) async fn needs(self, app: &App) -> Result<i64, Problem> {
        match self {
            Self { as_of: None, diff_from: None } => Ok(0),
            Self { as_of: Some(AsOf::Position(position)), .. } => {
                Ok(store::log::head(&app.pool).await?.min(position))
            }
            Self { .. } => Ok(store::log::head(&app.pool).await?),
        }
    }
}

/// Only moments of a kind can be compared; others are as they are.
fn is_later(one: Option<AsOf>, other: Option<AsOf>) -> bool {
    match (one, other) {
        (Some(AsOf::Position(one)), Some(AsOf::Position(other))) => other < one,
        (Some(AsOf::Time(one)), Some(AsOf::Time(other))) => other < one,
        _ => false,
    }
}

/// A position, a time (RFC 3339), or a day: its first instant.
fn moment(text: &str) -> Result<AsOf, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let position = text.parse().map(AsOf::Position);
        return position.map_err(|_| "is no position".to_owned());
    }
    instant_or_day(text).map(|time: DateTime<Utc>| AsOf::Time(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Option<(bool, Asked)> {
        let mut parameters = Parameters::of(query);
        let moments = Moments::of(&mut parameters);
        let asked = (moments.are_given(), moments.asked(9));
        parameters.finish().ok().map(|()| asked)
    }

    #[test]
    fn a_moment_is_a_position_a_time_or_a_day() {
        let time = "2026-11-21T00:00:00Z".parse().unwrap();
        assert_eq!(moment("17"), Ok(AsOf::Position(17)));
        assert_eq!(moment("2026-11-21T00:00:00Z"), Ok(AsOf::Time(time)));
        assert_eq!(moment("2026-11-21"), Ok(AsOf::Time(time)));
        for text in ["", "-1", "99999999999999999999", "noon"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_asked_of_the_past_ends_at_a_moment_or_now() {
        let (from, to) = (AsOf::Position(3), AsOf::Position(5));
        assert_eq!(asked("as_of=5"), Some((true, Asked::At(to))));
        assert_eq!(asked("as_of=5&diff_from=3"), Some((true, Asked::Between { from, to })));
        let now = AsOf::Position(9);
        assert_eq!(asked(""), Some((false, Asked::At(now))));
        assert_eq!(asked("diff_from=3"), Some((true, Asked::Between { from, to: now })));
        for query in [
            "as_of=3&diff_from=5",
            "as_of=2026-01-01&diff_from=2026-01-02",
            "as_of=x",
        ] {
            assert_eq!(asked(query), None, "{query}");
        }
    }
}
