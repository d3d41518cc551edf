//! A point of the past, as people name it: a position of the log, or a time.

use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use sqlx::PgPool;
use store::log;

use crate::error::Error;

/// A point of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// After the event at this position.
    Position(i64),
    /// After the last event that was recorded then or earlier.
    Time(DateTime<Utc>),
}

/// Why it is no point of this log's past.
#[derive(Debug, thiserror::Error)]
pub enum UntilError {
    /// It has not happened yet.
    #[error("the log ends at position {head}, so there is no position {position} yet")]
    Ahead {
        /// What was asked for.
        position: i64,
        /// Where the log ends.
        head: i64,
    },
    /// Nothing had happened yet.
    #[error("nothing had been recorded by {}", .0.to_rfc3339_opts(SecondsFormat::Secs, true))]
    BeforeAll(DateTime<Utc>),
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] Error),
}

impl From<sqlx::Error> for UntilError {
    fn from(error: sqlx::Error) -> Self {
        Self::Log(error.into())
    }
}

impl FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(position) = text.parse() {
            return if 0 < position {
                Ok(Self::Position(position))
            } else {
                Err("a position is 1 or more".to_owned())
            };
        }
        DateTime::parse_from_rfc3339(text)
            .map(|at| Self::Time(at.to_utc()))
            .map_err(|_| {
                "must be a position such as 1200, or a time such as 2026-11-21T18:00:00Z".to_owned()
            })
    }
}

impl Until {
    /// The position of the last event that belongs to it.
    pub(crate) async fn position(self, log: &PgPool) -> Result<i64, UntilError> {
        let head = log::head(log).await?;
        match self {
            Self::Position(position) if position <= head => Ok(position),
            Self::Position(position) => Err(UntilError::Ahead { position, head }),
            Self::Time(at) => match last_by(log, head, at).await? {
                0 => Err(UntilError::BeforeAll(at)),
                position => Ok(position),
            },
        }
    }
}

/// Halves the log until the place is found: times rise with positions, and no index over times has
/// to be kept for a question that is asked this seldom.
async fn last_by(log: &PgPool, head: i64, at: DateTime<Utc>) -> sqlx::Result<i64> {
    let (mut before, mut after) = (0, head + 1);
    while 1 < after - before {
        let middle = before + (after - before) / 2;
        let recorded_at: DateTime<Utc> =
            sqlx::query_scalar("select recorded_at from events where position = $1")
                .bind(middle)
                .fetch_one(log)
                .await?;
        if recorded_at <= at {
            before = middle;
        } else {
            after = middle;
        }
    }
    Ok(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_of_the_past_is_a_position_or_a_time() {
        assert_eq!("1200".parse(), Ok(Until::Position(1_200)));
        let noon = "2026-03-01T12:00:00Z".parse().unwrap();
        assert_eq!("2026-03-01T14:00:00+02:00".parse(), Ok(Until::Time(noon)));
        for text in ["0", "-1", "", "yesterday", "2026-03-01", "1.5"] {
            assert!(text.parse::<Until>().is_err(), "{text}");
        }
    }
}
