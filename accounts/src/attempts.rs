//! Attempts: counted before they are looked at, so that a thousand at once count as a thousand.
//!
//! The first [`FREE`] in a row are free; from then on each doubles the pause after it, up to
//! [`PAUSE_MAX_S`]. Whoever succeeds begins anew, and so does whoever leaves it for an hour.

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
) -> Result<(), Error> {
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
        return Ok(());
    }
    let until: Option<DateTime<Utc>> =
        sqlx::query_scalar("select blocked_until from attempts where subject = $1")
            .bind(&subject)
            .fetch_optional(connection)
            .await?;
    let left = until.map(|until| until - Utc::now()).unwrap_or_default();
    let retry_after = left.to_std().unwrap_or_default() + Duration::from_secs(1);
    Err(Error::TooManyAttempts { retry_after })
}

/// Forgets the attempts after one that succeeded.
pub(crate) async fn succeed(
    connection: &mut PgConnection,
    kind: Kind,
    email_key: &str,
) -> Result<(), Error> {
    sqlx::query("delete from attempts where subject = $1")
        .bind(subject(kind, email_key))
        .execute(connection)
        .await?;
    Ok(())
}
