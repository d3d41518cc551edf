//! Whose fault it is that a batch violates a constraint, or that a decision was left out of it.
//!
//! Every writer waits for the same row lock, so what is visible once a batch has failed is what
//! the batch ran into.

use std::collections::{HashMap, HashSet};

use sqlx::PgPool;
use uuid::Uuid;

use crate::writer::{Failure, Submission};

/// An aggregate's type and id.
type StreamName = (&'static str, String);

/// Fails duplicates and conflicts, and gives back the rest.
pub(crate) async fn remove(pool: &PgPool, batch: Vec<Submission>) -> Vec<Submission> {
    let found = match duplicates(pool, &batch).await {
        Ok(duplicates) => heads(pool, &batch).await.map(|heads| (duplicates, heads)),
        Err(error) => Err(error),
    };
    let (duplicates, mut heads) = match found {
        Ok(found) => found,
        Err(error) => {
            tracing::error!(%error, commands = batch.len(), "cannot look for duplicates");
            for submission in batch {
                submission.fail(Failure::Unavailable(error.to_string()));
            }
            return Vec::new();
        }
    };
    let mut rest = Vec::with_capacity(batch.len());
    for submission in batch {
        let entry = &submission.entry;
        if duplicates.contains(&entry.metadata.command_id) {
            submission.fail(Failure::Duplicate);
            continue;
        }
        let head = heads.entry(stream_name(&submission)).or_insert(0);
        let (expected, actual) = (entry.decided_on(), *head);
        if expected == actual {
            *head = entry.version;
            rest.push(submission);
        } else {
            submission.fail(Failure::Conflict { expected, actual });
        }
    }
    rest
}

/// Fails decisions that the log had overtaken, with the version that it holds now.
pub(crate) async fn fail_as_conflicts(pool: &PgPool, outdated: Vec<Submission>) {
    let heads = heads(pool, &outdated).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "conflicts are reported with the least version that explains them");
        HashMap::new()
    });
    for submission in outdated {
        let expected = submission.entry.decided_on();
        let actual = heads.get(&stream_name(&submission)).copied();
        let actual = actual.unwrap_or(expected + 1);
        submission.fail(Failure::Conflict { expected, actual });
    }
}

fn stream_name(submission: &Submission) -> StreamName {
    (submission.entry.aggregate_type, submission.entry.aggregate_id.clone())
}

async fn duplicates(pool: &PgPool, batch: &[Submission]) -> sqlx::Result<HashSet<Uuid>> {
    let command_ids: Vec<Uuid> = batch
        .iter()
        .map(|submission| submission.entry.metadata.command_id)
        .collect();
    let found: Vec<Uuid> =
        sqlx::query_scalar("select command_id from receipts where command_id = any($1)")
            .bind(command_ids)
            .fetch_all(pool)
            .await?;
    Ok(found.into_iter().collect())
}

async fn heads(pool: &PgPool, batch: &[Submission]) -> sqlx::Result<HashMap<StreamName, i64>> {
    let streams: HashSet<StreamName> = batch.iter().map(stream_name).collect();
    let (types, ids): (Vec<_>, Vec<_>) = streams.iter().map(|(of, id)| (*of, id.as_str())).unzip();
    let heads: Vec<i64> = sqlx::query_scalar(
        "select coalesce(( \
             select max(sequence) from events \
             where events.aggregate_type = s.aggregate_type \
               and events.aggregate_id = s.aggregate_id \
         ), 0) \
         from unnest($1::text[], $2::text[]) with ordinality \
              as s (aggregate_type, aggregate_id, ordinal) \
         order by ordinal",
    )
    .bind(types)
    .bind(ids)
    .fetch_all(pool)
    .await?;
    Ok(streams.into_iter().zip(heads).collect())
}
