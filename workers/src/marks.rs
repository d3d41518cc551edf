//! How far each worker has read the log.

use sqlx::{PgConnection, PgPool};

/// The position up to which a worker has acted; 0 for a new one.
pub(crate) async fn of(pool: &PgPool, worker: &str) -> sqlx::Result<i64> {
    let mark: Option<i64> =
        sqlx::query_scalar("select position from worker_marks where worker = $1")
            .bind(worker)
            .fetch_optional(pool)
            .await?;
    Ok(mark.unwrap_or(0))
}

/// Moves a worker's mark, in the transaction that keeps what it did.
pub(crate) async fn set(
    connection: &mut PgConnection,
    worker: &str,
    position: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker_marks (worker, position) values ($1, $2) \
         on conflict (worker) do update set position = excluded.position",
    )
    .bind(worker)
    .bind(position)
    .execute(connection)
    .await?;
    Ok(())
}
