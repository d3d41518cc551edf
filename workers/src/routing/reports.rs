//! How it stands with providers, told by the process that calls them to those that do not.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use gateways::health::{Condition, Failure, Standing};
use sqlx::{FromRow, PgPool};

/// Most providers that are read of: far more than there are.
const GATEWAYS_MAX: i64 = 100;

#[derive(FromRow)]
struct Row {
    gateway: String,
    standing: String,
    since: DateTime<Utc>,
    away_until: Option<DateTime<Utc>>,
    failed_at: Option<DateTime<Utc>>,
    failure: Option<String>,
}

impl Row {
    /// `None` for what a newer program may have written.
    fn read(self) -> Option<(String, Condition)> {
        let mut names = Standing::NAMES.iter();
        let (_, standing) = names.find(|(name, _)| *name == self.standing)?;
        let failure = self
            .failed_at
            .zip(self.failure)
            .map(|(at, words)| Failure { at, words });
        let condition = Condition {
            standing: *standing,
            since: self.since,
            away_until: self.away_until,
            failure,
        };
        Some((self.gateway, condition))
    }
}

pub(super) async fn all(pool: &PgPool) -> sqlx::Result<BTreeMap<String, Condition>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select gateway, standing, since, away_until, failed_at, failure from gateway_health \
         limit $1",
    )
    .bind(GATEWAYS_MAX)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().filter_map(Row::read).collect())
}

pub(super) async fn keep(pool: &PgPool, gateway: &str, condition: &Condition) -> sqlx::Result<()> {
    let failure = condition.failure.as_ref();
    sqlx::query(
        "insert into gateway_health (gateway, standing, since, away_until, failed_at, failure) \
         values ($1, $2, $3, $4, $5, $6) \
         on conflict (gateway) do update \
         set standing = excluded.standing, since = excluded.since, \
             away_until = excluded.away_until, failed_at = excluded.failed_at, \
             failure = excluded.failure",
    )
    .bind(gateway)
    .bind(condition.standing.name())
    .bind(condition.since)
    .bind(condition.away_until)
    .bind(failure.map(|failure| failure.at))
    .bind(failure.map(|failure| &failure.words))
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn forget(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query("delete from gateway_health")
        .execute(pool)
        .await?;
    Ok(())
}
