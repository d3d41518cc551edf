//! The feed: the log, in order and without holes, for whoever projects it or acts on it.
//!
//! One task per process reads the stream and parses each event once; every reader gets the same
//! batch. A reader that is new, too slow, or that missed something reads Postgres until it has
//! caught up, so that a purged stream or an absent NATS costs time and never an event.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use futures::StreamExt as _;
use sqlx::PgPool;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use crate::cloudevent;
use crate::log;
use crate::recorded::RecordedEvent;
use crate::stream::{Error, Stream};

/// Batches that a slow reader may be behind before it reads Postgres instead.
const BATCHES_BEHIND_MAX: usize = 128;
/// Most events of one batch from the stream.
const BATCH_MAX: usize = 500;
/// How often an idle reader makes sure that it has missed nothing.
const IDLE: Duration = Duration::from_millis(500);
/// Pause before the stream is opened again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How long the stream may be quiet before we ask whether it has more than it delivers: a consumer
/// can be lost together with the stream that it reads.
const QUIET: Duration = Duration::from_secs(5);

type Batch = Arc<[Arc<RecordedEvent>]>;

/// Hands out feeds; clones share one reader of the stream.
#[derive(Clone)]
pub struct Feeds {
    pool: PgPool,
    sender: broadcast::Sender<Batch>,
}

impl Feeds {
    /// Starts reading the stream in the background, until told to stop.
    pub fn start(pool: PgPool, stream: Stream, mut stop: watch::Receiver<bool>) -> Self {
        let (sender, _) = broadcast::channel(BATCHES_BEHIND_MAX);
        let feeds = Self { pool, sender: sender.clone() };
        tokio::spawn(async move {
            loop {
                let result = tokio::select! {
                    result = read(&stream, &sender) => result,
                    // Whoever could tell us to stop may also just go away.
                    _ = stop.wait_for(|stop| *stop) => return,
                };
                let Err(error) = result;
                tracing::debug!(%error, "the stream is opened again");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        });
        feeds
    }

    /// A feed of its own for one reader.
    pub fn subscribe(&self) -> Feed {
        Feed {
            pool: self.pool.clone(),
            receiver: self.sender.subscribe(),
            waiting: None,
            behind: true,
            look_at: Instant::now() + IDLE,
        }
    }
}

/// Reads new events from the stream and hands them to every feed. Older ones are in Postgres.
async fn read(stream: &Stream, feeds: &broadcast::Sender<Batch>) -> Result<Infallible, Error> {
    let config = pull::OrderedConfig {
        deliver_policy: DeliverPolicy::New,
        ..pull::OrderedConfig::default()
    };
    let open = stream.get().await?;
    let consumer = open
        .create_consumer(config)
        .await
        .map_err(|error| Error::jetstream("open a consumer", error))?;
    let messages = consumer
        .messages()
        .await
        .map_err(|error| Error::jetstream("deliver messages", error))?;
    let mut batches = messages.ready_chunks(BATCH_MAX);
    let mut seen = None;
    loop {
        let Ok(batch) = tokio::time::timeout(QUIET, batches.next()).await else {
            let last = stream.last_sequence().await?;
            if *seen.get_or_insert(last) == last {
                continue;
            }
            return Err(Error::jetstream("deliver", "it holds other messages than it delivers"));
        };
        let batch = batch.ok_or_else(|| Error::jetstream("deliver", "the stream ended"))?;
        let mut events = Vec::with_capacity(batch.len());
        for message in batch {
            let message = message.map_err(|error| Error::jetstream("deliver", error))?;
            let sequence = message.info().map(|info| info.stream_sequence);
            let sequence = sequence.map_err(|error| Error::jetstream("deliver", error))?;
            let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
            seen = Some(sequence);
            // What is on the stream and not ours leaves a hole, which Postgres fills.
            match cloudevent::read(&message.payload) {
                Ok(event) if event.position == sequence => events.push(Arc::new(event)),
                Ok(event) => {
                    let position = event.position;
                    tracing::warn!(sequence, position, "skipped: an event out of its place");
                }
                Err(error) => tracing::warn!(sequence, %error, "skipped: not an event"),
            }
        }
        // Nobody listens while nothing is projected.
        let _nobody = feeds.send(events.into());
    }
}

/// The log from a mark on, for one reader.
pub struct Feed {
    pool: PgPool,
    receiver: broadcast::Receiver<Batch>,
    /// What the stream has brought and is not taken yet.
    waiting: Option<Batch>,
    /// Whether Postgres has more than this reader has seen.
    behind: bool,
    /// When an idle reader looks into Postgres. Kept here, because callers that also wait for
    /// something else drop [`Feed::next`] and call it again.
    look_at: Instant,
}

impl Feed {
    /// The events after `mark`, without a hole: at least one, at most `max`. Waits for them.
    pub async fn next(
        &mut self,
        mark: i64,
        max: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, log::Error> {
        // At least one: a reader that takes none would never get on.
        let max = max.max(1);
        loop {
            if let Some(events) = self.brought_by_stream(mark, max) {
                return Ok(events);
            }
            if self.behind || self.waiting.is_some() {
                let limit = i64::try_from(max)
                    .unwrap_or(log::PAGE_MAX)
                    .min(log::PAGE_MAX);
                let events = log::after(&self.pool, mark, limit).await?;
                self.look_at = Instant::now() + IDLE;
                self.behind = i64::try_from(events.len()) == Ok(limit);
                if !events.is_empty() {
                    return Ok(events);
                }
                // What the stream holds beyond the log is not ours.
                self.waiting = None;
            }
            match tokio::time::timeout_at(self.look_at, self.receiver.recv()).await {
                Ok(Ok(batch)) => {
                    self.look_at = Instant::now() + IDLE;
                    self.waiting = Some(batch);
                }
                Ok(Err(RecvError::Lagged(_))) | Err(_) => self.behind = true,
                Ok(Err(RecvError::Closed)) => {
                    self.behind = true;
                    tokio::time::sleep(IDLE).await;
                }
            }
        }
    }

    /// What the stream has brought, if it continues at the mark.
    fn brought_by_stream(&mut self, mark: i64, max: usize) -> Option<Vec<Arc<RecordedEvent>>> {
        let mut events: Vec<Arc<RecordedEvent>> = Vec::new();
        // One at a time: what is not taken now stays in the channel, which is bounded.
        while events.len() < max
            && let Some(batch) = self.waiting.take().or_else(|| self.receive())
        {
            let next = mark + 1 + i64::try_from(events.len()).unwrap_or(i64::MAX);
            let start = batch.partition_point(|event| event.position < next);
            let run = batch[start..]
                .iter()
                .zip(next..)
                .take_while(|(event, position)| event.position == *position)
                .take(max - events.len());
            events.extend(run.map(|(event, _)| Arc::clone(event)));
            let next = mark + 1 + i64::try_from(events.len()).unwrap_or(i64::MAX);
            if batch.last().is_some_and(|last| next <= last.position) {
                // Beyond a hole, or beyond what was asked for.
                self.waiting = Some(batch);
                break;
            }
        }
        (!events.is_empty()).then_some(events)
    }

    fn receive(&mut self) -> Option<Batch> {
        loop {
            match self.receiver.try_recv() {
                Ok(batch) => return Some(batch),
                Err(TryRecvError::Lagged(_)) => self.behind = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }
}
