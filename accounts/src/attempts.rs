//! Attempts: counted before they are looked at, so that a thousand at once count as a thousand.
//!
//! The first [`FREE`] in a row are free; from then on each doubles the pause after it, up to
//! [`PAUSE_MAX_S`]. Whoever succeeds begins anew, and so does whoever leaves it for an hour.
//!
//! Several accounts may claim an address. The success of one that is not known to be its owner's says
//! nothing of who failed: it counts as no attempt, and makes nobody forget the others.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::error::Error;
use crate::secrets;

/// Attempts without a pause: people mistype.
const FREE: i32 = 5;
/// Longest pause, in seconds: whoever means to lock somebody out does it for minutes, not days.
const PAUSE_MAX_S: i32 = 900;

/// What is attempted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Login,
    Registration,
    Mail,
}

/// An attempt that was counted.
#[derive(Debug)]
pub(crate) struct Attempt {
    subject: Vec<u8>,
    /// As which one in a row.
    tried: i32,
}

impl Attempt {
    /// It succeeded, and it was the owner's: those before it are forgotten.
    pub(crate) async fn forgive_all(&self, connection: &mut PgConnection) -> Result<(), Error> {
        sqlx::query("delete from attempts where subject = $1")
            .bind(&self.subject)
            .execute(connection)
            .await?;
        Ok(())
    }

    /// It succeeded, for whoever claims the address: as if it had not been made. Those that failed
    /// before it stay counted, and a pause stays that one began which came after it.
    pub(crate) async fn take_back(&self, connection: &mut PgConnection) -> Result<(), Error> {
        sqlx::query(
            "update attempts set tried = greatest(tried - 1, 0), \
             blocked_until = case when tried = $2 then last_at else blocked_until end \
             where subject = $1",
        )
        .bind(&self.subject)
        .bind(self.tried)
        .execute(connection)
        .await?;
        Ok(())
    }
}

fn subject(kind: Kind, email_key: &str) -> Vec<u8> {
    let kind = match kind {
        Kind::Login => "login",
        Kind::Registration => "registration",
        Kind::Mail => "mail",
    };
    secrets::digest(&format!("{kind}\n{email_key}")).to_vec()
}

/// Counts an attempt, or says how long to wait.
pub(crate) async fn begin(
    connection: &mut PgConnection,
    kind: Kind,
    email_key: &str,
) -> Result<Attempt, Error> {
    let subject = subject(kind, email_key);
    let tried: Option<i32> = sqlx::query_scalar(include_str!("attempts/begin.sql"))
        .bind(&subject)
        .bind(FREE)
        .bind(PAUSE_MAX_S)
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(tried) = tried {
        if FREE <= tried {
            metrics::counter!("daybook_auth_slowed_total").increment(1);
            tracing::warn!(?kind, tried, "many attempts in a row; the next has to wait");
        }
        return Ok(Attempt { subject, tried });
    }
    let until: Option<DateTime<Utc>> =
        sqlx::query_scalar("select blocked_until from attempts where subject = $1")
            .bind(&subject)
            .fetch_optional(connection)
            .await?;
    let left = until.map(|until| until - Utc::now()).unwrap_or_default();
    let retry_after = left.to_std().unwrap_or_default() + Duration::from_secs(1);
    metrics::counter!("daybook_auth_failed_total").increment(1);
    tracing::warn!(?kind, "an attempt was refused: the one before it was too short a while ago");
    Err(Error::TooManyAttempts { retry_after })
}

/// Forgets the attempts after a proof that the address is the caller's.
pub(crate) async fn succeed(
    connection: &mut PgConnection,
    kind: Kind,
    email_key: &str,
) -> Result<(), Error> {
    let attempt = Attempt { subject: subject(kind, email_key), tried: 0 };
    attempt.forgive_all(connection).await
}
