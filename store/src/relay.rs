//! The relay: carries the log to the stream, each event exactly at its own sequence.
//!
//! Where the stream stands is the relay's only checkpoint. What is committed, it also hands to the
//! feeds of its own process at once, which need not wait for the stream, read and parse it again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::sync::{mpsc, watch};

use crate::arrivals::Arrivals;
use crate::journal::Committed;
use crate::leader::{self, Lead, Office};
use crate::log;
use crate::publish::{Publisher, RUN_BYTES_MAX, RUN_MAX};
use crate::recorded::RecordedEvent;
use crate::stream::{Error, Stream};
use crate::writer::CommittedBatch;

/// Events read from Postgres at a time while the stream is behind.
const PAGE: i64 = 1_000;
/// Committed batches taken at a time: what was committed while the last run was on its way.
const BATCHES_MAX: usize = 16;
/// Committed batches that wait to be published. What finds no room is read from Postgres instead.
const WAITING_MAX: usize = 64;
/// Longest pause between two runs, so that a run has some more events in it: readers of this process
/// have them already. Rests only as long as the last run took.
const REST_MAX: Duration = Duration::from_millis(10);
/// Events from which on a run is one of many, and followed by the next at once.
const RUSH_EVENTS_MIN: i64 = 500;
/// How often an idle relay looks whether another process has written.
const IDLE: Duration = Duration::from_millis(200);
/// How often an idle relay looks whether the stream is still what it was: deleted, restored or
/// written to by somebody else, it would otherwise be noticed by the next event.
const CHECK: Duration = Duration::from_secs(2);
/// Pause after a failure: NATS or Postgres is away, and asking faster helps nobody.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// How far the relay has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Another process's relay is active, or ours has not begun.
    Waiting,
    /// The stream holds everything up to here.
    At(i64),
    /// It cannot reach Postgres or NATS; it keeps trying.
    Failing,
}

/// Runs until told to stop. Failures are logged and tried again for ever.
pub async fn run(
    pool: PgPool,
    stream: Stream,
    committed: Committed,
    standing: watch::Sender<Standing>,
    mut stop: watch::Receiver<bool>,
) {
    let (to_stream, recorded) = mpsc::channel(WAITING_MAX);
    let handing_on = hand_on(committed.0, Arc::clone(stream.arrivals()), to_stream);
    tokio::pin!(handing_on);
    let mut relay = Relay { pool, stream, recorded, standing };
    let mut is_fed = true;
    loop {
        let result = tokio::select! {
            result = relay.lead() => result,
            // The journal is gone; other processes may still write.
            () = &mut handing_on, if is_fed => {
                is_fed = false;
                continue;
            }
            // Whoever could tell us to stop may also just go away.
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Err(error) = result;
        if relay.standing.send_replace(Standing::Failing) == Standing::Failing {
            tracing::debug!(%error, "the relay tries again");
        } else {
            tracing::warn!(%error, "the relay cannot go on; it tries again until it can");
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Hands what this process commits to its readers at once, and to the stream in its turn.
async fn hand_on(
    mut committed: mpsc::Receiver<CommittedBatch>,
    arrivals: Arc<Arrivals>,
    to_stream: mpsc::Sender<Vec<Arc<RecordedEvent>>>,
) {
    let carried_here = arrivals.carried_here();
    while let Some(batch) = committed.recv().await {
        // Until it is our turn, nothing is kept: it is read from Postgres then.
        if *carried_here.borrow() {
            let events = recorded(batch);
            arrivals.take_next(&events);
            // Without room, the relay finds them missing and reads them from Postgres.
            let _left_out = to_stream.try_send(events);
        }
    }
}

struct Relay {
    pool: PgPool,
    stream: Stream,
    /// What this process commits while it carries the log.
    recorded: mpsc::Receiver<Vec<Arc<RecordedEvent>>>,
    standing: watch::Sender<Standing>,
}

impl Relay {
    /// Becomes the active relay of this database and publishes until something fails.
    async fn lead(&mut self) -> Result<Infallible, Error> {
        let mut lead = leader::lead(&self.pool, Office::Relay).await?;
        let opened = self.stream.open(&self.pool).await?;
        let publisher = Publisher::open(&self.stream, opened.takes_batches).await?;
        tracing::info!(last_sequence = opened.last_sequence, "the relay is active");
        let _carrying = self.stream.arrivals().carry();
        let mut active = Active { relay: self, publisher, last: opened.last_sequence };
        active.publish_for_ever(&mut lead).await
    }
}

struct Active<'a> {
    relay: &'a mut Relay,
    publisher: Publisher,
    /// The stream's last sequence.
    last: i64,
}

impl Active<'_> {
    async fn publish_for_ever(&mut self, lead: &mut Lead) -> Result<Infallible, Error> {
        self.catch_up(log::head(&self.relay.pool).await?).await?;
        let mut checked = Instant::now();
        let mut batches = Vec::with_capacity(BATCHES_MAX);
        loop {
            let recorded = self.relay.recorded.recv_many(&mut batches, BATCHES_MAX);
            match tokio::time::timeout(IDLE, recorded).await {
                // The journal is gone; other processes may still write.
                Ok(0) => tokio::time::sleep(IDLE).await,
                Ok(_) => {
                    let (began, from) = (Instant::now(), self.last);
                    self.pass_on(&mut batches).await?;
                    if self.last - from < RUSH_EVENTS_MIN {
                        tokio::time::sleep(REST_MAX.min(began.elapsed())).await;
                    }
                    // What was acknowledged is there.
                    checked = Instant::now();
                    continue;
                }
                Err(_idle) => {}
            }
            lead.still_ours().await?;
            if CHECK <= checked.elapsed() {
                self.check().await?;
                checked = Instant::now();
            }
            self.catch_up(log::head(&self.relay.pool).await?).await?;
        }
    }

    /// Fails if the stream's end is not ours any more; opening it again finds out why.
    async fn check(&self) -> Result<(), Error> {
        let found = self.relay.stream.last_sequence().await?;
        if found == self.last {
            return Ok(());
        }
        let cause = format!("it ends at {found} instead of {}", self.last);
        Err(Error::jetstream("keep the stream", cause))
    }

    /// Publishes batches from memory, and whatever is missing before and between them.
    async fn pass_on(&mut self, batches: &mut Vec<Vec<Arc<RecordedEvent>>>) -> Result<(), Error> {
        let mut events: Vec<Arc<RecordedEvent>> = Vec::new();
        for batch in batches.drain(..) {
            let Some(first) = batch.first() else { continue };
            let reached = events.last().map_or(self.last, |last| last.position);
            if reached + 1 < first.position {
                let before = first.position - 1;
                self.publish(&std::mem::take(&mut events)).await?;
                self.catch_up(before).await?;
            }
            events.extend(batch);
        }
        self.publish(&events).await
    }

    /// Publishes from Postgres up to a position.
    async fn catch_up(&mut self, until: i64) -> Result<(), Error> {
        while self.last < until {
            let limit = PAGE.min(until - self.last);
            let events = log::after(&self.relay.pool, self.last, limit).await?;
            if events.is_empty() {
                break;
            }
            self.publish(&events).await?;
        }
        self.tell();
        Ok(())
    }

    /// Publishes events that follow one another, and believes nothing that is not acknowledged.
    async fn publish(&mut self, events: &[Arc<RecordedEvent>]) -> Result<(), Error> {
        let stored = events.partition_point(|event| event.position <= self.last);
        let mut rest = &events[stored..];
        while !rest.is_empty() {
            let (run, behind) = rest.split_at(run_len(rest));
            self.publisher.put(run).await?;
            self.last = run.last().map_or(self.last, |last| last.position);
            self.relay.stream.arrivals().take(run);
            self.tell();
            rest = behind;
        }
        Ok(())
    }

    fn tell(&self) {
        self.relay.standing.send_if_modified(|standing| {
            let moved = *standing != Standing::At(self.last);
            *standing = Standing::At(self.last);
            moved
        });
    }
}

/// How many events make one run: at least one.
fn run_len(events: &[Arc<RecordedEvent>]) -> usize {
    let mut bytes = 0;
    events
        .iter()
        .take(RUN_MAX)
        .take_while(|event| {
            let fits = bytes < RUN_BYTES_MAX;
            bytes += event.stored.len();
            fits
        })
        .count()
}

/// The events of a batch that was just committed.
fn recorded(batch: CommittedBatch) -> Vec<Arc<RecordedEvent>> {
    let mut events = Vec::new();
    let mut position = batch.base;
    for entry in batch.entries {
        for new in entry.events {
            position += 1;
            events.push(Arc::new(RecordedEvent {
                position,
                event_id: new.event_id,
                aggregate_type: entry.aggregate_type.to_owned(),
                aggregate_id: entry.aggregate_id.clone(),
                sequence: new.sequence,
                event_type: new.event_type,
                event_version: new.event_version,
                payload: new.payload,
                stored: new.stored,
                metadata: entry.metadata.clone(),
                recorded_at: batch.recorded_at,
                event: new.event,
            }));
        }
    }
    events
}
