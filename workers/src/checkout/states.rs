//! Where every checkout stands: in memory for orders of the last minutes, in Postgres for all.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::checkout::Checkout;
use domain::ids::OrderId;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Error, Moved};

/// Checkouts in memory. When there are more, all are dropped and read again as needed.
const IN_MEMORY_MAX: usize = 10_000;
/// Deadlines dealt with at a time.
const DUE_MAX: i64 = 500;

/// Checkouts in memory, as last kept in Postgres.
#[derive(Default)]
pub(super) struct States {
    known: HashMap<OrderId, Checkout>,
}

impl States {
    /// Takes the states of these orders out. They come back once they are kept; if that fails,
    /// they are read from Postgres again.
    pub(super) async fn take(
        &mut self,
        pool: &PgPool,
        order_ids: &[OrderId],
    ) -> Result<HashMap<OrderId, Checkout>, Error> {
        let mut states = HashMap::with_capacity(order_ids.len());
        let mut unknown = Vec::new();
        for order_id in order_ids {
            match self.known.remove(order_id) {
                Some(state) => _ = states.insert(*order_id, state),
                None => unknown.push(order_id.0),
            }
        }
        if !unknown.is_empty() {
            let rows: Vec<(Uuid, Json<Checkout>)> =
                sqlx::query_as("select order_id, state from checkouts where order_id = any($1)")
                    .bind(unknown)
                    .fetch_all(pool)
                    .await?;
            states.extend(
                rows.into_iter()
                    .map(|(id, Json(state))| (OrderId(id), state)),
            );
        }
        Ok(states)
    }

    pub(super) fn put_back(&mut self, moved: Vec<Moved>) {
        if IN_MEMORY_MAX < self.known.len() {
            self.known.clear();
        }
        self.known
            .extend(moved.into_iter().map(|moved| (moved.order_id, moved.state)));
    }
}

/// Keeps where the orders of a batch are, with their deadlines.
pub(super) async fn keep(connection: &mut PgConnection, moved: &[Moved]) -> Result<(), Error> {
    if moved.is_empty() {
        return Ok(());
    }
    let states = moved
        .iter()
        .map(|moved| serde_json::to_string(&moved.state))
        .collect::<Result<Vec<_>, _>>()?;
    sqlx::query(
        "insert into checkouts (order_id, state, due_at) \
         select order_id, state::jsonb, due_at \
         from unnest($1::uuid[], $2::text[], $3::timestamptz[]) as m (order_id, state, due_at) \
         on conflict (order_id) do update \
         set state = excluded.state, due_at = excluded.due_at, \
             deadline_heard_at = null, updated_at = now()",
    )
    .bind(
        moved
            .iter()
            .map(|moved| moved.order_id.0)
            .collect::<Vec<_>>(),
    )
    .bind(states)
    .bind(
        moved
            .iter()
            .map(|moved| moved.state.deadline())
            .collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The orders whose time to pay is over, the longest over first. From here on their deadlines
/// count as heard, whatever else happens before what follows from them is kept.
pub(super) async fn hear_due(
    pool: &PgPool,
    now: DateTime<Utc>,
) -> Result<Vec<(OrderId, DateTime<Utc>)>, Error> {
    let rows: Vec<(Uuid, DateTime<Utc>)> = sqlx::query_as(
        "update checkouts set deadline_heard_at = $1 \
         where order_id in ( \
             select order_id from checkouts where due_at <= $1 order by due_at limit $2 \
         ) \
         returning order_id, due_at",
    )
    .bind(now)
    .bind(DUE_MAX)
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(id, due_at)| (OrderId(id), due_at))
        .collect())
}

/// Deadlines that were heard, and what followed from them was not kept.
pub(super) async fn heard_before(pool: &PgPool) -> Result<Vec<(OrderId, DateTime<Utc>)>, Error> {
    let rows: Vec<(Uuid, DateTime<Utc>)> = sqlx::query_as(
        "select order_id, due_at from checkouts where deadline_heard_at is not null",
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(id, due_at)| (OrderId(id), due_at))
        .collect())
}
