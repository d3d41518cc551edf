//! The journal: receipts of commands, the gapless log of events, and its way to NATS.
//!
//! The only writer of `events`. Knows nothing of HTTP or read models.

mod append;
mod arrivals;
mod attempt;
mod cloudevent;
pub mod command;
pub mod comparing;
mod culprits;
mod deciding;
pub mod feed;
pub mod folding;
pub mod guessing;
pub mod journal;
mod kept;
pub mod leader;
mod loading;
pub mod log;
mod lost;
pub mod masters;
pub mod pace;
mod pages;
pub mod personal;
pub mod pools;
mod publish;
mod receipts;
mod recent;
pub mod recorded;
pub mod relay;
pub mod sealed;
mod snapshots;
pub mod states;
pub mod stored;
pub mod stream;
mod streams;
mod tail;
mod writer;

/// Brings the database to this program's schema; forward only.
pub async fn migrate(pool: &sqlx::PgPool) -> Result<(), sqlx::migrate::MigrateError> {
    sqlx::migrate!("../migrations").run(pool).await
}
