//! The projector: brings one read model up to date with the log, event by event, for ever.
//!
//! ```text
//! mark ─▶ feed: what comes after it ─▶ one transaction: lock mark, rows, move mark ─▶ publish
//! ```
//!
//! Invariants:
//! 1. Rows and mark commit together, or not at all.
//! 2. Positions are applied without a hole and each once, however many processes project.
//! 3. An error is a delay: it is shown, and tried again until it is gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use store::feed::Feed;
use store::recorded::RecordedEvent;
use tokio::sync::watch;

use crate::error::Error;
use crate::live::{Live, State};
use crate::marks;
use crate::projection::Projection;
use crate::resting;

/// Most events of one transaction: few enough that a reader waits for some tens of milliseconds,
/// many enough that a backlog is not a transaction per event.
pub(crate) const BATCH_EVENTS_MAX: usize = 4_000;

/// Events from which on there is a backlog, and the next batch follows at once.
const BACKLOG_EVENTS_MIN: i64 = 2_000;

/// First pause after an error; doubled with each further one.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest pause: once the cause is gone, nobody should have to wait much longer than that.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Keeps one read model up to date.
pub(crate) struct Projector {
    pub(crate) projection: &'static dyn Projection,
    /// On the live tables.
    pub(crate) pool: PgPool,
    pub(crate) live: Arc<Live>,
}

impl Projector {
    /// Runs until told to stop. Dropped half-way through a transaction, it leaves nothing behind.
    pub(crate) async fn run(self, mut feed: Feed, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = self.project(&mut feed) => {}
            // A sender that is gone means that whoever could want us is gone, too.
            _ = stop.wait_for(|stop| *stop) => {}
        }
        self.live.stopped();
    }

    async fn project(&self, feed: &mut Feed) {
        let name = self.projection.name();
        let mut pause = BACKOFF_MIN;
        loop {
            match self.step(feed).await {
                Ok(()) => pause = BACKOFF_MIN,
                Err(error) => {
                    tracing::warn!(projection = name, %error, "not projected; will be tried again");
                    self.live.is_now(State::Failed(error.to_string()));
                    tokio::time::sleep(pause).await;
                    pause = BACKOFF_MAX.min(pause * 2);
                }
            }
        }
    }

    async fn step(&self, feed: &mut Feed) -> Result<(), Error> {
        let mark = match (self.live.mark(), self.live.state()) {
            (Some(mark), State::Running) => mark,
            (Some(_) | None, _) => self.look().await?,
        };
        let batch = feed.next(mark, BATCH_EVENTS_MAX).await?;
        let began = Instant::now();
        self.apply(&batch).await?;
        let reached = batch.last().map_or(mark, |last| last.position);
        if !feed.is_behind(reached, BACKLOG_EVENTS_MIN) {
            resting::rest(&self.live, batch.len(), began.elapsed()).await;
        }
        Ok(())
    }

    /// Where the read model is. At its start, and after an error: what was said of the commit may
    /// have been lost.
    async fn look(&self) -> Result<i64, Error> {
        let mut connection = self.pool.acquire().await?;
        let mark = marks::position(&mut connection, self.projection.name()).await?;
        let head: i64 = sqlx::query_scalar("select position from log_head")
            .fetch_one(&mut *connection)
            .await?;
        self.live.publish(mark);
        // With events to come, whether they can be applied remains to be seen.
        let failed = matches!(self.live.state(), State::Failed(_));
        if !failed || head <= mark {
            self.live.is_now(State::Running);
        }
        Ok(mark)
    }

    /// Applies what of the batch has not been applied yet.
    pub(crate) async fn apply(&self, batch: &[Arc<RecordedEvent>]) -> Result<(), Error> {
        let name = self.projection.name();
        let mut transaction = self.pool.begin().await?;
        let mark = marks::lock(&mut transaction, self.projection).await?;
        let moved = self.live.mark().is_some_and(|known| known != mark);
        // Another process has applied some, or a rebuild has swapped: the feed goes on from there.
        if moved {
            self.live.publish(mark);
            return Ok(());
        }
        let fresh = fresh(mark, batch)?;
        let Some(last) = fresh.last() else {
            return Ok(());
        };
        self.projection.apply(&mut transaction, fresh).await?;
        marks::move_to(&mut transaction, name, last.position).await?;
        transaction.commit().await?;
        self.live.publish(last.position);
        self.live.is_now(State::Running);
        let applied = u64::try_from(fresh.len()).unwrap_or(u64::MAX);
        metrics::counter!("daybook_projected_events_total", "projection" => name)
            .increment(applied);
        Ok(())
    }
}

/// The part of a batch that is after the mark, if it continues there without a hole.
pub(crate) fn fresh(
    mark: i64,
    batch: &[Arc<RecordedEvent>],
) -> Result<&[Arc<RecordedEvent>], Error> {
    let fresh = &batch[batch.partition_point(|event| event.position <= mark)..];
    let mut mark = mark;
    for event in fresh {
        if event.position != mark + 1 {
            return Err(Error::Gap { mark, found: event.position });
        }
        mark = event.position;
    }
    Ok(fresh)
}
