//! What the checkout process could not make sense of, or needs a person for. Nothing is dropped.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

/// A parked fact, as staff see it.
#[derive(Debug, Clone, FromRow)]
pub struct ParkedFact {
    /// Its name.
    pub parked_id: Uuid,
    /// Which order.
    pub order_id: Uuid,
    /// The event that brought it; none for a deadline.
    pub position: Option<i64>,
    /// What was heard.
    pub fact: Value,
    /// Why it is here.
    pub reason: String,
    /// Since when.
    pub parked_at: DateTime<Utc>,
}

/// Parked facts, newest first, after a `(parked_at, parked_id)` if given.
pub async fn list(
    pool: &PgPool,
    limit: i64,
    after: Option<(DateTime<Utc>, Uuid)>,
) -> sqlx::Result<Vec<ParkedFact>> {
    let (before_at, before_id) = after.unzip();
    sqlx::query_as(
        "select parked_id, order_id, position, fact, reason, parked_at from parked_facts \
         where $2::timestamptz is null or (parked_at, parked_id) < ($2, $3) \
         order by parked_at desc, parked_id desc limit $1",
    )
    .bind(limit)
    .bind(before_at)
    .bind(before_id)
    .fetch_all(pool)
    .await
}

/// Says that a fact is parked.
pub(crate) fn tell(fact: &ParkedFact) {
    tracing::warn!(order.id = %fact.order_id, reason = fact.reason, "a fact is parked");
    metrics::counter!("daybook_parked_facts_total").increment(1);
}
