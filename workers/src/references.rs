//! Which payment a provider means by a name of ours.

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
