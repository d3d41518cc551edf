//! The JetStream stream: sequence k holds the event at position k, as a CloudEvents envelope.

use std::sync::Arc;

use async_nats::jetstream;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType,
};
use async_nats::{ConnectOptions, ServerAddr};
use sqlx::PgPool;
use uuid::Uuid;

use crate::arrivals::Arrivals;
use crate::log;
use crate::tail;

/// Oldest nats-server that understands everything we ask for; older ones ignore it in silence.
pub const SERVER_VERSION_MIN: (i64, i64, i64) = (2, 12, 0);
/// Bytes that a stream keeps unless told otherwise: about five million events, and half of what
/// our `nats.conf` lets all streams reserve together. Readers further behind read Postgres.
pub const STREAM_BYTES_DEFAULT: i64 = 4 * 1024 * 1024 * 1024;
/// Oldest nats-server that takes batches; older ones get events one by one.
const BATCHES_SINCE: (i64, i64, i64) = (2, 14, 0);
/// Bytes of a usual event on the stream.
const EVENT_BYTES: i64 = 1_000;
/// Most events that a stream is filled with: a few seconds of work. Readers have the log for what is
/// older, and new events should not wait until ten million old ones are carried.
const REFILL_MAX: i64 = 200_000;
/// Where the stream's metadata names the log that it carries.
const LOG_ID: &str = "daybook-log-id";

/// Why NATS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server is too old.
    #[error(
        "nats-server {found} is too old: Daybook needs {}.{} or newer, because older servers \
         silently ignore what they do not know",
        SERVER_VERSION_MIN.0, SERVER_VERSION_MIN.1
    )]
    TooOld {
        /// Its version.
        found: String,
    },
    /// The URL is none.
    #[error("this is not the address of a NATS server: {cause}; check NATS_URL")]
    Address {
        /// What is wrong with it.
        cause: std::io::Error,
    },
    /// The server cannot be reached.
    #[error("NATS cannot be reached: {0}")]
    Connect(#[from] async_nats::ConnectError),
    /// It does not do what is asked.
    #[error("JetStream refused to {what}: {cause}")]
    JetStream {
        /// What was asked.
        what: &'static str,
        /// Its answer.
        cause: String,
    },
    /// Postgres did not answer.
    #[error("the log cannot be read: {0}")]
    Log(#[from] log::Error),
    /// Postgres did not answer.
    #[error("the log cannot be read: {0}")]
    Database(#[from] sqlx::Error),
}

impl Error {
    pub(crate) fn jetstream(what: &'static str, cause: impl std::fmt::Display) -> Self {
        Self::JetStream { what, cause: cause.to_string() }
    }
}

/// Connects, and refuses a server that is too old. Reconnects by itself ever after.
pub async fn connect(url: &str) -> Result<async_nats::Client, Error> {
    let address: ServerAddr = url.parse().map_err(|cause| Error::Address { cause })?;
    let mut options = ConnectOptions::new().name("daybook");
    // The client does not read them from the address by itself.
    if let (Some(user), Some(password)) = (address.username(), address.password()) {
        options = options.user_and_password(user.to_owned(), password.to_owned());
    }
    let client = options.connect(address).await?;
    let (major, minor, patch) = SERVER_VERSION_MIN;
    if client.is_server_compatible(major, minor, patch) {
        Ok(client)
    } else {
        Err(Error::TooOld { found: client.server_info().version })
    }
}

/// A stream's name and place in NATS. Clones share what has arrived on it: the relay of a process
/// tells its feeds, if both have the same stream.
#[derive(Clone)]
pub struct Stream {
    context: jetstream::Context,
    name: String,
    bytes_max: i64,
    arrivals: Arc<Arrivals>,
}

/// A stream that carries our log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opened {
    pub(crate) last_sequence: i64,
    pub(crate) takes_batches: bool,
}

impl Stream {
    /// The stream of this name (letters, digits, `-`, `_`); its subjects begin with the name.
    /// `JetStream` reserves `bytes_max` of its disk when the stream is made.
    pub fn new(client: async_nats::Client, name: impl Into<String>, bytes_max: i64) -> Self {
        let (context, arrivals) = (jetstream::new(client), Arc::default());
        Self { context, name: name.into(), bytes_max, arrivals }
    }

    pub(crate) fn context(&self) -> &jetstream::Context {
        &self.context
    }

    pub(crate) fn arrivals(&self) -> &Arc<Arrivals> {
        &self.arrivals
    }

    /// The NATS subject of an event: `daybook.events.<aggregate>.<event>`. The aggregate's id is in
    /// the envelope: the server keeps every subject that it has in memory, and looks into all of
    /// them for every event.
    pub fn subject(&self, event_type: &str) -> String {
        format!("{}.events.{event_type}", self.name)
    }

    /// Makes the stream if it is not there, and makes it anew if it does not carry our log: another
    /// one's events, more than ours holds, or messages that somebody else has put between ours.
    /// Postgres is the truth: the newest events are filled in from there.
    pub(crate) async fn open(&self, pool: &PgPool) -> Result<Opened, Error> {
        let refused = |cause| Error::jetstream("open the stream", cause);
        let log_id: Uuid = sqlx::query_scalar("select log_id from log_head")
            .fetch_one(pool)
            .await?;
        let config = self.config(log_id, log::head(pool).await?);
        let mut stream = self
            .context
            .get_or_create_stream(config.clone())
            .await
            .map_err(|error| refused(error.to_string()))?;
        let info = stream
            .info()
            .await
            .map_err(|error| refused(error.to_string()))?
            .clone();
        // After the stream was looked at, so that no other relay is taken for a stranger.
        let head = log::head(pool).await?;
        let last_sequence = i64::try_from(info.state.last_sequence).unwrap_or(i64::MAX);
        let ours = info.config.metadata.get(LOG_ID) == config.metadata.get(LOG_ID);
        let takes_batches = config.allow_batch_publish;
        if ours && last_sequence <= head && tail::is_the_logs(pool, &stream, &info.state).await? {
            self.update(&info.config).await?;
            let last_sequence = self.move_on(&stream, last_sequence, head).await?;
            return Ok(Opened { last_sequence, takes_batches });
        }
        if info.config.subjects != config.subjects {
            return Err(refused(format!(
                "a stream named {} exists and is not Daybook's; choose another name",
                self.name
            )));
        }
        tracing::warn!(
            stream = self.name,
            last_sequence,
            head,
            "the stream carries something else than the log; it is made anew"
        );
        self.context
            .delete_stream(&self.name)
            .await
            .map_err(|error| Error::jetstream("delete the stream", error))?;
        let last_sequence = self.refilled_from(head).map_or(0, |first| first - 1);
        self.context
            .create_stream(self.config(log_id, head))
            .await
            .map_err(|error| Error::jetstream("create the stream", error))?;
        Ok(Opened { last_sequence, takes_batches })
    }

    /// The stream's last sequence, without making it.
    pub(crate) async fn last_sequence(&self) -> Result<i64, Error> {
        let info = self.get().await?.cached_info().state.last_sequence;
        Ok(i64::try_from(info).unwrap_or(i64::MAX))
    }

    /// Gives a stream that an earlier Daybook has made what is asked for today. How it persists
    /// cannot be changed.
    async fn update(&self, found: &Config) -> Result<(), Error> {
        let allow_batch_publish = self.takes_batches();
        let wanted = Config { max_bytes: self.bytes_max, allow_batch_publish, ..found.clone() };
        if wanted == *found {
            return Ok(());
        }
        let updated = self.context.update_stream(&wanted).await;
        updated
            .map(|_info| ())
            .map_err(|error| Error::jetstream("change the stream", error))
    }

    /// Lets a stream that is too far behind go on with the newest events, and tells its last
    /// sequence. A purge up to a sequence that it has not reached moves it there.
    async fn move_on(
        &self,
        stream: &jetstream::stream::Stream,
        last_sequence: i64,
        head: i64,
    ) -> Result<i64, Error> {
        let first = self.refilled_from(head);
        let Some(first) = first.filter(|first| last_sequence + 1 < *first) else {
            return Ok(last_sequence);
        };
        tracing::info!(
            last_sequence,
            first,
            "the stream is far behind: it goes on with the newest"
        );
        let purge = stream.purge().sequence(first.unsigned_abs());
        let purged = purge.await;
        purged.map_err(|error| Error::jetstream("move the stream on", error))?;
        Ok(first - 1)
    }

    /// The first event that a stream without events is filled with, unless that is the log's first.
    fn refilled_from(&self, head: i64) -> Option<i64> {
        // Not positive: without a bound.
        let fits = if self.bytes_max <= 0 {
            REFILL_MAX
        } else {
            self.bytes_max / EVENT_BYTES
        };
        Some(head - fits.min(REFILL_MAX) + 1).filter(|first| 1 < *first)
    }

    fn takes_batches(&self) -> bool {
        let (major, minor, patch) = BATCHES_SINCE;
        let client = self.context.client();
        client.is_server_compatible(major, minor, patch)
    }

    /// The stream as it is, without making it.
    pub(crate) async fn get(&self) -> Result<jetstream::stream::Stream, Error> {
        let found = self.context.get_stream(&self.name).await;
        found.map_err(|error| Error::jetstream("find the stream", error))
    }

    pub(crate) fn config(&self, log_id: Uuid, head: i64) -> Config {
        Config {
            name: self.name.clone(),
            description: Some("Daybook's log: sequence k holds the event at position k".to_owned()),
            subjects: vec![format!("{}.events.>", self.name)],
            storage: StorageType::File,
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::Old,
            max_bytes: self.bytes_max,
            first_sequence: self.refilled_from(head).map(i64::unsigned_abs),
            // Acknowledged before it is written: what a killed server loses is filled in again.
            persist_mode: Some(PersistenceMode::Async),
            allow_batch_publish: self.takes_batches(),
            allow_direct: true,
            metadata: [(LOG_ID.to_owned(), log_id.to_string())].into(),
            ..Config::default()
        }
    }
}
