//! The journal: receipts of commands, the gapless log of events, and its way to NATS.
//!
//! The only writer of `events`. Knows nothing of HTTP or read models.

mod append;
mod attempt;
mod cloudevent;
pub mod command;
mod culprits;
pub mod feed;
pub mod journal;
pub mod leader;
mod loading;
pub mod log;
mod lost;
mod receipts;
pub mod recorded;
pub mod relay;
pub mod states;
pub mod stream;
mod tail;
mod writer;

/// Brings the database to this program's schema; forward only.
pub async fn migrate(pool: &sqlx::PgPool) -> Result<(), sqlx::migrate::MigrateError> {
    sqlx::migrate!("../migrations").run(pool).await
}
