//! A connection that was lost while a batch was on its way: what became of the batch is looked up,
//! never guessed.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgPool};
use uuid::Uuid;

use crate::append::BEGIN_BEHIND_THE_LOCK;
use crate::writer::{Failure, Submission};

/// How long to look: a server that was killed is back by then, and callers wait no longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// Answers a batch from its receipts, or gives it back to be tried again if it has none. Trying
/// again is safe even if the lost one should still arrive: the ids then let only one of them act.
pub(crate) async fn resolve(
    pool: &PgPool,
    batch: Vec<Submission>,
    error: &sqlx::Error,
) -> Vec<Submission> {
    let commands = batch.len();
    tracing::warn!(%error, commands, "connection lost during a commit; looking for its receipts");
    let command_ids: Vec<Uuid> = batch
        .iter()
        .map(|submission| submission.entry.metadata.command_id)
        .collect();
    let deadline = Instant::now() + PATIENCE;
    loop {
        match receipted(pool, &command_ids).await {
            Ok(found) if found.is_empty() => {
                tracing::info!(commands, "the batch was not committed and is tried again");
                return batch;
            }
            Ok(found) => {
                tracing::info!(commands, "the batch was committed");
                settle(batch, &found);
                return Vec::new();
            }
            Err(error) if deadline <= Instant::now() => {
                tracing::error!(%error, commands, "what became of the batch stays unknown");
                for submission in batch {
                    submission.fail(Failure::Unavailable(
                        "the connection was lost during the commit and has not come back"
                            .to_owned(),
                    ));
                }
                return Vec::new();
            }
            Err(error) => tracing::debug!(%error, "the database cannot be asked yet"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Which commands have receipts. Waits for the head's row lock first: a lost backend may still hold
/// it, and decides only when it lets go.
async fn receipted(pool: &PgPool, command_ids: &[Uuid]) -> sqlx::Result<HashSet<Uuid>> {
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin_with(BEGIN_BEHIND_THE_LOCK).await?;
    let found: Vec<Uuid> =
        sqlx::query_scalar("select command_id from receipts where command_id = any($1)")
            .bind(command_ids)
            .fetch_all(&mut *transaction)
            .await?;
    transaction.rollback().await?;
    Ok(found.into_iter().collect())
}

/// A receipt may be an earlier one of the same id, with another answer; so even those who wrote
/// theirs just now read it back. What has none was outdated, or shared a batch with a duplicate.
fn settle(batch: Vec<Submission>, found: &HashSet<Uuid>) {
    for submission in batch {
        if found.contains(&submission.entry.metadata.command_id) {
            submission.fail(Failure::Duplicate);
        } else {
            submission.fail(Failure::Outdated);
        }
    }
}
