//! What workers keep beside the log, when somebody is forgotten.
//!
//! Each step can be repeated, and is done before the log says that somebody is forgotten: whoever
//! asks for it and is told nothing asks again.

use domain::checkout::Checkout;
use domain::ids::{OrderId, PaymentId};
use sqlx::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

/// Checkouts that are looked through at a time.
const CHECKOUTS_MAX: usize = 1_000;

/// Whose traces are removed.
#[derive(Debug, Clone, Copy)]
pub struct Traces<'a> {
    /// Their orders.
    pub orders: &'a [OrderId],
    /// The payments of those.
    pub payments: &'a [PaymentId],
    /// Their addresses, in lower case.
    pub emails: &'a [String],
}

/// Empties what providers have said of their payments, and lets go of what they gave to pay with.
pub async fn remove(pool: &PgPool, traces: Traces<'_>) -> sqlx::Result<()> {
    let payments: Vec<Uuid> = traces.payments.iter().map(|id| id.0).collect();
    // What is still to be worked off is emptied afterwards, by its age.
    sqlx::query(
        "update webhooks set body = '' \
         where payment_id = any($1) and state <> 'received' and body <> ''",
    )
    .bind(payments)
    .execute(pool)
    .await?;
    for email in traces.emails {
        // Of nobody's payment, as far as we know; as JSON and as a form have it.
        sqlx::query(
            "update webhooks set body = '' \
             where state in ('parked', 'failed', 'resolved') and payment_id is null and body <> '' \
             and (position($1 in lower(encode(body, 'escape'))) > 0 \
                  or position(replace($1, '@', '%40') in lower(encode(body, 'escape'))) > 0)",
        )
        .bind(email)
        .execute(pool)
        .await?;
    }
    let orders: Vec<Uuid> = traces.orders.iter().map(|id| id.0).collect();
    for orders in orders.chunks(CHECKOUTS_MAX) {
        drop_tokens(pool, orders).await?;
    }
    // Kept by older programs, which parked an order as it was placed.
    sqlx::query(
        "update parked_facts \
         set fact = '{\"fact\": \"order_placed\"}', reason = 'order_placed is out of place' \
         where order_id = any($1) and fact->>'fact' = 'order_placed'",
    )
    .bind(orders)
    .execute(pool)
    .await?;
    Ok(())
}

/// Of checkouts that older programs have kept, or that have not come to their payment: those that
/// are on their way let go of it by themselves.
async fn drop_tokens(pool: &PgPool, orders: &[Uuid]) -> sqlx::Result<()> {
    let rows: Vec<(Uuid, Json<Checkout>, i64)> = sqlx::query_as(
        "select order_id, state, position from checkouts \
         where order_id = any($1) and position('\"token\"' in state::text) > 0",
    )
    .bind(orders)
    .fetch_all(pool)
    .await?;
    for (order_id, Json(mut state), position) in rows {
        if state.drop_token() {
            // Unless it has moved on meanwhile, and dropped it.
            sqlx::query("update checkouts set state = $2 where order_id = $1 and position = $3")
                .bind(order_id)
                .bind(Json(state))
                .bind(position)
                .execute(pool)
                .await?;
        }
    }
    Ok(())
}
