//! How far each worker has read the log.

use sqlx::{FromRow, PgPool};

/// Where a worker stands.
#[derive(Debug, Default, FromRow)]
pub(crate) struct Mark {
    /// The position up to which it has acted.
    pub(crate) position: i64,
    /// See [`crate::derived`]; 0 in a log that no older build has written to.
    pub(crate) version_5_to: i64,
}

/// Where a worker stands; at the beginning if it is new.
pub(crate) async fn of(pool: &PgPool, worker: &str) -> sqlx::Result<Mark> {
    let mark: Option<Mark> =
        sqlx::query_as("select position, version_5_to from worker_marks where worker = $1")
            .bind(worker)
            .fetch_optional(pool)
            .await?;
    Ok(mark.unwrap_or_default())
}
