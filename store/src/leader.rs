//! One of several processes is active: whoever holds a lock in the database.
//!
//! For economy, not for safety: positions, receipts and marks keep a second one harmless.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::{Connection as _, PgConnection, PgPool};

/// How often a process that is not active asks again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// How long the database may take to say that the office is still ours. A server that vanished
/// without a word would otherwise be waited for.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// What there is one of per database. The numbers are arbitrary and ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum Office {
    /// Carries the log to the stream.
    Relay = 0x6461_7962_6f6f_6b01,
    /// Carries orders through their checkout.
    Checkout = 0x6461_7962_6f6f_6b02,
    /// Calls payment providers.
    Providers = 0x6461_7962_6f6f_6b03,
    /// Seals the log.
    Sealer = 0x6461_7962_6f6f_6b04,
    /// Folds slices of history again and compares them with the read models.
    SelfAudit = 0x6461_7962_6f6f_6b16,
}

/// Holding an office. Ends when dropped, or when its connection does.
#[derive(Debug)]
pub struct Lead {
    connection: PgConnection,
}

/// Waits until the office is ours.
pub async fn lead(pool: &PgPool, office: Office) -> sqlx::Result<Lead> {
    // Detached, because the lock belongs to the connection and ends with it.
    let mut connection = pool.acquire().await?.detach();
    loop {
        let ours = sqlx::query_scalar("select pg_try_advisory_lock($1)")
            .bind(office as i64)
            .fetch_one(&mut connection)
            .await?;
        if ours {
            return Ok(Lead { connection });
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

impl Lead {
    /// Fails if the connection, and the office with it, is lost.
    pub async fn still_ours(&mut self) -> sqlx::Result<()> {
        tokio::time::timeout(PROBE_TIMEOUT, self.connection.ping())
            .await
            .unwrap_or_else(|_elapsed| Err(sqlx::Error::Io(ErrorKind::TimedOut.into())))
    }
}
