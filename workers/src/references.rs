//! Which payment a provider means by a name of ours, and whether it can have heard of it.

use std::collections::HashMap;

use domain::ids::PaymentId;
use sqlx::PgPool;
use uuid::Uuid;

/// What is known before a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The provider has certainly never heard of it.
    Never,
    /// It was called before, and may have acted.
    Perhaps,
}

/// Writes down whose a reference is, before the provider hears it.
pub(crate) async fn keep(
    pool: &PgPool,
    gateway: &str,
    reference: &str,
    payment_id: PaymentId,
) -> sqlx::Result<Heard> {
    // One statement: of two processes that are about to call, one is told that it is the first.
    let is_first: Option<bool> = sqlx::query_scalar(
        "insert into provider_references (gateway, reference, payment_id) values ($1, $2, $3) \
         on conflict (gateway, reference) do update set unheard = false \
         where provider_references.unheard \
         returning true",
    )
    .bind(gateway)
    .bind(reference)
    .bind(payment_id.0)
    .fetch_optional(pool)
    .await?;
    Ok(match is_first {
        Some(_) => Heard::Never,
        None => Heard::Perhaps,
    })
}

/// Writes down that the provider has not heard of it after all. Only for whoever was told
/// [`Heard::Never`] and then did not call, or called somebody who certainly did nothing.
pub(crate) async fn was_not_heard(
    pool: &PgPool,
    gateway: &str,
    reference: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update provider_references set unheard = true where gateway = $1 and reference = $2",
    )
    .bind(gateway)
    .bind(reference)
    .execute(pool)
    .await?;
    Ok(())
}

/// Whose it is; `None` if it is none of ours.
pub(crate) async fn payment_of(
    pool: &PgPool,
    gateway: &str,
    reference: &str,
) -> sqlx::Result<Option<PaymentId>> {
    let payment_id: Option<Uuid> = sqlx::query_scalar(
        "select payment_id from provider_references where gateway = $1 and reference = $2",
    )
    .bind(gateway)
    .bind(reference)
    .fetch_optional(pool)
    .await?;
    Ok(payment_id.map(PaymentId))
}

/// Whose each of them is; those that are none of ours are absent.
pub(crate) async fn payments_of(
    pool: &PgPool,
    gateway: &str,
    references: &[String],
) -> sqlx::Result<HashMap<String, PaymentId>> {
    let found: Vec<(String, Uuid)> = sqlx::query_as(
        "select reference, payment_id from provider_references \
         where gateway = $1 and reference = any($2)",
    )
    .bind(gateway)
    .bind(references)
    .fetch_all(pool)
    .await?;
    let named = |(reference, id)| (reference, PaymentId(id));
    Ok(found.into_iter().map(named).collect())
}
