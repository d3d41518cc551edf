//! Which payment a provider means by a name of ours.

use std::collections::HashMap;

use domain::ids::PaymentId;
use sqlx::PgPool;
use uuid::Uuid;

/// Writes down whose a reference is, before the provider hears it.
pub(crate) async fn keep(
    pool: &PgPool,
    gateway: &str,
    reference: &str,
    payment_id: PaymentId,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into provider_references (gateway, reference, payment_id) values ($1, $2, $3) \
         on conflict (gateway, reference) do nothing",
    )
    .bind(gateway)
    .bind(reference)
    .bind(payment_id.0)
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
