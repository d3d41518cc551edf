//! The feed: the log, in order and without holes, for whoever projects it or acts on it.
//!
//! What has arrived is kept in memory once per process ([`crate::arrivals`]), and every reader takes
//! it from there. Where the relay of the same process carries the log, it brings what is committed;
//! elsewhere one task reads the stream and parses each event once.
//! A reader that is new, too slow, or that missed something reads Postgres until it has caught up,
//! so that a purged stream or an absent NATS costs time and never an event. Readers that are behind
//! share what they read there ([`crate::pages`]).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use futures::StreamExt as _;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::arrivals::{Arrivals, Next};
use crate::cloudevent;
use crate::log;
use crate::pace::Pace;
use crate::pages::{self, Pages};
use crate::recorded::{RecordedEvent, Unread};
use crate::stream::{Error, Stream};

/// Most events that are taken from the stream at a time.
const RUN_MAX: usize = 500;
/// How often an idle reader makes sure that it has missed nothing.
const IDLE: Duration = Duration::from_millis(500);
/// Pause before the stream is opened again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Events that a follower is handed at a time.
const FOLLOWED_MAX: usize = 2_000;
/// How long the stream may be quiet before we ask whether it has more than it delivers: a consumer
/// can be lost together with the stream that it reads.
const QUIET: Duration = Duration::from_secs(5);

/// Hands out feeds; clones share what has arrived.
#[derive(Clone)]
pub struct Feeds {
    pool: PgPool,
    arrivals: Arc<Arrivals>,
    pages: Arc<Pages>,
    pace: Pace,
    idle: Duration,
}

impl Feeds {
    /// Starts reading the stream in the background, until told to stop. Readers give way to the
    /// commands that are counted in `pace`.
    pub fn start(
        pool: PgPool,
        stream: Stream,
        pace: Pace,
        mut stop: watch::Receiver<bool>,
    ) -> Self {
        let arrivals = Arc::clone(stream.arrivals());
        let log = pool.clone();
        tokio::spawn(async move {
            let reading = read_for_ever(&log, &stream);
            tokio::select! {
                () = reading => {}
                // Whoever could tell us to stop may also just go away.
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
        Self { pool, arrivals, pages: Arc::default(), pace, idle: IDLE }
    }

    /// The same with another interval at which an idle reader makes sure that it has missed
    /// nothing; it is half a second otherwise.
    #[must_use]
    pub fn looking_every(self, idle: Duration) -> Self {
        Self { idle, ..self }
    }

    /// A feed of its own for one reader, which gives way to clients' commands.
    pub fn subscribe(&self) -> Feed {
        Feed { pace: self.pace.clone(), ..self.subscribe_promptly() }
    }

    /// Hears all events after `mark` in order, batch by batch, for ever, for a reader that does next to
    /// nothing with them and wants them at once. While the feed fails, `late` is logged and it is asked
    /// again.
    pub async fn follow(
        self,
        mut mark: i64,
        late: &'static str,
        mut hear: impl FnMut(&[Arc<RecordedEvent>]) + Send,
    ) {
        let mut feed = self.subscribe_promptly();
        loop {
            match feed.next(mark, FOLLOWED_MAX).await {
                Ok(batch) => {
                    mark = batch.last().map_or(mark, |event| event.position);
                    hear(&batch);
                }
                Err(error) => {
                    tracing::warn!(%error, "{late}");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// The same for a reader that does next to nothing with an event and wants it at once.
    pub fn subscribe_promptly(&self) -> Feed {
        Feed {
            pool: self.pool.clone(),
            pace: Pace::default(),
            give_way_until: None,
            news: self.arrivals.news(),
            arrivals: Arc::clone(&self.arrivals),
            pages: Arc::clone(&self.pages),
            behind: true,
            idle: self.idle,
            look_at: Instant::now() + self.idle,
        }
    }
}

/// Reads the stream whenever nobody in this process brings what arrives on it.
async fn read_for_ever(pool: &PgPool, stream: &Stream) {
    let mut carried_here = stream.arrivals().carried_here();
    loop {
        // The sender is the stream's own and lives as long as the stream.
        drop(carried_here.wait_for(|carried_here| !carried_here).await);
        let Err(error) = tokio::select! {
            result = read(pool, stream) => result,
            _ = carried_here.wait_for(|carried_here| *carried_here) => continue,
        };
        tracing::debug!(%error, "the stream is opened again");
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Reads new events from the stream. Older ones are in Postgres.
async fn read(pool: &PgPool, stream: &Stream) -> Result<Infallible, Error> {
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
    let mut runs = messages.ready_chunks(RUN_MAX);
    let mut seen = None;
    loop {
        let Ok(messages) = tokio::time::timeout(QUIET, runs.next()).await else {
            let last = stream.last_sequence().await?;
            if *seen.get_or_insert(last) == last {
                continue;
            }
            return Err(Error::jetstream("deliver", "it holds other messages than it delivers"));
        };
        let messages = messages.ok_or_else(|| Error::jetstream("deliver", "the stream ended"))?;
        let mut unread = Vec::with_capacity(messages.len());
        for message in messages {
            let message = message.map_err(|error| Error::jetstream("deliver", error))?;
            let sequence = message.info().map(|info| info.stream_sequence);
            let sequence = sequence.map_err(|error| Error::jetstream("deliver", error))?;
            let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
            seen = Some(sequence);
            // What is on the stream and not ours leaves a hole, which Postgres fills.
            match cloudevent::read(&message.payload) {
                Ok(event) if event.position == sequence => unread.push(event),
                Ok(event) => {
                    let position = event.position;
                    tracing::warn!(sequence, position, "skipped: an event out of its place");
                }
                Err(error) => tracing::warn!(sequence, %error, "skipped: not an event"),
            }
        }
        let events = opened(pool, unread).await?;
        for run in events.chunk_by(|one, next| one.position + 1 == next.position) {
            stream.arrivals().take(run);
        }
    }
}

/// What is personal is sealed on the stream; its keys are in Postgres. What cannot be read leaves a
/// hole as well: whoever comes to it there is told why.
async fn opened(pool: &PgPool, unread: Vec<Unread>) -> sqlx::Result<Vec<Arc<RecordedEvent>>> {
    let keys = Unread::keys(pool, &unread).await?;
    let read = unread
        .into_iter()
        .filter_map(|event| match event.read(&keys) {
            Ok(event) => Some(Arc::new(event)),
            Err(error) => {
                tracing::warn!(%error, "skipped: not an event");
                None
            }
        });
    Ok(read.collect())
}

/// The log from a mark on, for one reader.
pub struct Feed {
    pool: PgPool,
    /// Whom it gives way to.
    pace: Pace,
    /// When it has done so for long enough. Kept here for the same reason as `look_at`.
    give_way_until: Option<Instant>,
    arrivals: Arc<Arrivals>,
    pages: Arc<Pages>,
    /// Wakes when something arrives.
    news: watch::Receiver<i64>,
    /// Whether Postgres has more than this reader has seen.
    behind: bool,
    idle: Duration,
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
        let behind = self.arrivals.last().saturating_sub(mark);
        self.pace.give_way(behind, &mut self.give_way_until).await;
        loop {
            // Before the look, so that what arrives after it wakes us.
            self.news.mark_unchanged();
            match self.arrivals.after(mark, max) {
                Next::Events(events) => {
                    self.behind = false;
                    self.look_at = Instant::now() + self.idle;
                    self.give_way_until = None;
                    return Ok(events);
                }
                Next::Beyond => self.behind = true,
                Next::Nothing => {}
            }
            if self.behind {
                let page = self.stored(mark, max).await?;
                self.look_at = Instant::now() + self.idle;
                self.behind = page.more;
                if !page.events.is_empty() {
                    self.give_way_until = None;
                    return Ok(page.events);
                }
            }
            let news = tokio::time::timeout_at(self.look_at, self.news.changed());
            // The sender lives in what this feed holds, so only the time can end this.
            self.behind = news.await.is_err();
        }
    }

    /// Whether so many events are known to follow, or so many that they are still read from Postgres.
    pub fn is_behind(&self, mark: i64, events: i64) -> bool {
        self.behind || events <= self.arrivals.last().saturating_sub(mark)
    }

    /// The same from Postgres: of what others may want as well, the page where it is.
    async fn stored(&self, mark: i64, max: usize) -> Result<log::Page, log::Error> {
        let number = pages::number_after(mark);
        // What has arrived is committed, and so is all before it.
        if pages::end_of(number) <= self.arrivals.last() {
            let begins_after = pages::end_of(number) - pages::EVENTS;
            let read = log::after(&self.pool, begins_after, pages::EVENTS);
            // An event that cannot be read must not hold up who is past it.
            if let Ok(Some(events)) = self.pages.after(mark, max, read).await {
                return Ok(log::Page { events, more: true });
            }
        }
        let limit = i64::try_from(max)
            .unwrap_or(log::PAGE_MAX)
            .min(log::PAGE_MAX);
        log::page_after(&self.pool, mark, limit).await
    }
}
