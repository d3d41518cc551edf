//! Where every checkout stands, in Postgres.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::checkout::Checkout;
use domain::ids::OrderId;
use sqlx::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

use super::orders::{Kept, Rested};
use super::{Error, NAME};
use crate::parked::{self, ParkedFact};

/// Deadlines dealt with at a time.
const DUE_MAX: i64 = 500;

/// How orders were last kept; new ones are absent.
pub(super) async fn of(
    pool: &PgPool,
    order_ids: &[OrderId],
) -> Result<HashMap<OrderId, Kept>, Error> {
    if order_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(Uuid, Json<Checkout>, i64)> =
        sqlx::query_as("select order_id, state, position from checkouts where order_id = any($1)")
            .bind(uuids(order_ids))
            .fetch_all(pool)
            .await?;
    let kept = rows
        .into_iter()
        .map(|(id, Json(state), position)| (OrderId(id), Kept { state, position }));
    Ok(kept.collect())
}

/// Keeps orders that have come to rest, the mark, and up to where orders are begun.
pub(super) async fn keep(
    pool: &PgPool,
    rested: &[Rested],
    mark: i64,
    begun_to: i64,
) -> Result<(), Error> {
    let states = rested
        .iter()
        .map(|order| serde_json::to_string(&order.state))
        .collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<Uuid> = rested.iter().map(|order| order.order_id.0).collect();
    let due_at: Vec<_> = rested.iter().map(|order| order.state.deadline()).collect();
    let positions: Vec<i64> = rested.iter().map(|order| order.position).collect();
    let facts: Vec<&ParkedFact> = rested.iter().flat_map(|order| &order.parked).collect();
    for fact in &facts {
        parked::tell(fact);
    }
    let texts: Vec<String> = facts.iter().map(|fact| fact.fact.to_string()).collect();
    sqlx::query(include_str!("keep.sql"))
        .bind(ids)
        .bind(states)
        .bind(due_at)
        .bind(positions)
        .bind(facts.iter().map(|fact| fact.parked_id).collect::<Vec<_>>())
        .bind(facts.iter().map(|fact| fact.order_id).collect::<Vec<_>>())
        .bind(facts.iter().map(|fact| fact.position).collect::<Vec<_>>())
        .bind(texts)
        .bind(
            facts
                .iter()
                .map(|fact| fact.reason.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(facts.iter().map(|fact| fact.parked_at).collect::<Vec<_>>())
        .bind(NAME)
        .bind(mark)
        .bind(begun_to)
        .execute(pool)
        .await?;
    Ok(())
}

/// The orders whose time to pay is over, the longest over first.
pub(super) async fn due(pool: &PgPool, now: DateTime<Utc>) -> Result<Vec<OrderId>, Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select order_id from checkouts where due_at <= $1 order by due_at limit $2",
    )
    .bind(now)
    .bind(DUE_MAX)
    .fetch_all(pool)
    .await?;
    Ok(ids.into_iter().map(OrderId).collect())
}

/// From here on the deadlines of these orders count as heard, whatever else happens before what
/// follows from them is kept.
pub(super) async fn hear_deadlines(
    pool: &PgPool,
    order_ids: &[OrderId],
    now: DateTime<Utc>,
) -> Result<Vec<(OrderId, DateTime<Utc>)>, Error> {
    let rows: Vec<(Uuid, DateTime<Utc>)> = sqlx::query_as(
        "update checkouts set deadline_heard_at = $1 \
         where order_id = any($2) and due_at <= $1 \
         returning order_id, due_at",
    )
    .bind(now)
    .bind(uuids(order_ids))
    .fetch_all(pool)
    .await?;
    Ok(named(rows))
}

/// Deadlines that were heard, and what followed from them was not kept.
pub(super) async fn heard_before(pool: &PgPool) -> Result<Vec<(OrderId, DateTime<Utc>)>, Error> {
    let rows: Vec<(Uuid, DateTime<Utc>)> = sqlx::query_as(
        "select order_id, due_at from checkouts where deadline_heard_at is not null",
    )
    .fetch_all(pool)
    .await?;
    Ok(named(rows))
}

fn uuids(order_ids: &[OrderId]) -> Vec<Uuid> {
    order_ids.iter().map(|order_id| order_id.0).collect()
}

fn named(rows: Vec<(Uuid, DateTime<Utc>)>) -> Vec<(OrderId, DateTime<Utc>)> {
    rows.into_iter()
        .map(|(id, due_at)| (OrderId(id), due_at))
        .collect()
}
