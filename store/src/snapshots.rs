//! Snapshots: where the folding of a long stream may begin, so that a SKU that has been sold a
//! million times is loaded as quickly as one that never was.
//!
//! 1. A snapshot is folded from what the database holds, never from a state in memory that runs
//!    ahead of the commit; and the row takes its version from an event that is there.
//! 2. One task takes them, after the commands and never in their way. When it is busy, a snapshot
//!    is left out; the next one comes.
//! 3. There is one for each aggregate, and only a newer one replaces it.
//! 4. It says nothing to whoever has another shape of the state or other rules
//!    ([`Kept::STATE_SCHEMA`]), and nothing about another history.

use futures::future::BoxFuture;
use sqlx::PgPool;
use tokio::sync::mpsc;

use crate::command::ExecuteError;
use crate::loading::Folded;
use crate::pace::Pace;
use crate::states::{Held, Kept};
use crate::streams::Streams;

/// Events of one stream between two snapshots, at least: so many are read in a few milliseconds, so
/// that only streams with thousands of them gain anything.
pub(crate) const EVENTS_MIN: i64 = 500;
/// Bytes of a state for which one more event has to come: what a reservation takes. A snapshot of
/// many is written more seldom, so that writing them never costs more than the events did.
const BYTES_PER_EVENT: usize = 80;
/// Snapshots that wait to be taken; beyond it they are left out. Each takes some milliseconds, and
/// in a rush so many are taken in one go every few seconds.
const DUE_MAX: usize = 16;

/// An aggregate whose stream has grown long enough.
struct Due {
    aggregate_id: String,
    take: Take,
}

/// [`take`] for one type of aggregate.
type Take = for<'a> fn(&'a Taker, &'a str) -> BoxFuture<'a, Result<(), ExecuteError>>;

/// Says when a snapshot is due, and has it taken.
pub(crate) struct Snapshots {
    due: mpsc::Sender<Due>,
    events_min: i64,
}

struct Taker {
    pool: PgPool,
    streams: Streams,
    events_min: i64,
}

impl Snapshots {
    pub(crate) fn start(pool: &PgPool, streams: &Streams, pace: Pace, events_min: i64) -> Self {
        let (due, mut waiting) = mpsc::channel::<Due>(DUE_MAX);
        let taker = Taker { pool: pool.clone(), streams: streams.clone(), events_min };
        tokio::spawn(async move {
            let mut due = Vec::with_capacity(DUE_MAX);
            while waiting.recv_many(&mut due, DUE_MAX).await != 0 {
                pace.give_way(0, &mut None).await;
                for Due { aggregate_id, take } in due.drain(..) {
                    if let Err(error) = take(&taker, &aggregate_id).await {
                        tracing::warn!(aggregate.id = aggregate_id, %error, "no snapshot is taken");
                    }
                }
            }
        });
        Self { due, events_min }
    }

    /// Whether a state has come far enough since the last one; if so, it counts from here again.
    pub(crate) fn is_due<A: Kept>(&self, held: &mut Held<A>) -> bool {
        let events_min = self.events_min.max(events_min_for(&held.state));
        let is_due = events_min <= held.version - held.snapshot_version;
        if is_due {
            held.snapshot_version = held.version;
        }
        is_due
    }

    /// Has one taken some time after this, unless too many wait already.
    pub(crate) fn offer<A: Kept>(&self, aggregate_id: &str) {
        let take: Take = |taker, aggregate_id| Box::pin(take::<A>(taker, aggregate_id));
        let due = Due { aggregate_id: aggregate_id.to_owned(), take };
        // Left out when busy; the aggregate comes again.
        let _busy = self.due.try_send(due);
    }
}

fn events_min_for<A: Kept>(state: &A) -> i64 {
    let events = i64::try_from(state.heap_bytes() / BYTES_PER_EVENT).unwrap_or(i64::MAX);
    // Below it the number of events alone decides.
    if events < EVENTS_MIN { 0 } else { events }
}

async fn take<A: Kept>(taker: &Taker, aggregate_id: &str) -> Result<(), ExecuteError> {
    let mut folded = Folded::<A>::default();
    folded
        .catch_up(&taker.streams, aggregate_id, Some(A::STATE_SCHEMA), i64::MAX)
        .await?;
    let Folded { state, version, snapshot, passed_over } = folded;
    // Another process may have been quicker.
    if state.is_personal() || version - snapshot.unwrap_or(0) < taker.events_min {
        return Ok(());
    }
    let state = serde_json::to_string(&state)
        .map_err(|error| ExecuteError::Corrupt(format!("{} {aggregate_id}: {error}", A::TYPE)))?;
    sqlx::query(include_str!("snapshots.sql"))
        .bind(A::TYPE)
        .bind(aggregate_id)
        .bind(version)
        .bind(state)
        .bind(A::STATE_SCHEMA)
        .bind(passed_over)
        .execute(&taker.pool)
        .await
        .map_err(|error| ExecuteError::Unavailable(error.to_string()))?;
    Ok(())
}
