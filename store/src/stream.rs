//! The JetStream stream: sequence k holds the event at position k, as a CloudEvents envelope.

use std::fmt::Write as _;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::{ConnectOptions, ServerAddr};
use sqlx::PgPool;
use uuid::Uuid;

use crate::log;
use crate::tail;

/// Oldest nats-server that understands everything we ask for; older ones ignore it in silence.
pub const SERVER_VERSION_MIN: (i64, i64, i64) = (2, 12, 0);
/// Bytes that a stream keeps unless told otherwise: about five million events, and half of what
/// our `nats.conf` lets all streams reserve together. Readers further behind read Postgres.
pub const STREAM_BYTES_DEFAULT: i64 = 4 * 1024 * 1024 * 1024;
/// How long a message id is remembered; positions protect against doubles for ever.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(2);
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

/// A stream's name and place in NATS.
#[derive(Clone)]
pub struct Stream {
    context: jetstream::Context,
    name: String,
    bytes_max: i64,
}

/// What a stream holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) last_sequence: i64,
}

impl Stream {
    /// The stream of this name (letters, digits, `-`, `_`); its subjects begin with the name.
    /// `JetStream` reserves `bytes_max` of its disk when the stream is made.
    pub fn new(client: async_nats::Client, name: impl Into<String>, bytes_max: i64) -> Self {
        Self { context: jetstream::new(client), name: name.into(), bytes_max }
    }

    pub(crate) fn context(&self) -> &jetstream::Context {
        &self.context
    }

    /// The NATS subject of an event: `daybook.events.<aggregate>.<event>.<aggregate id>`.
    pub fn subject(&self, event_type: &str, aggregate_id: &str) -> String {
        format!("{}.events.{event_type}.{}", self.name, token(aggregate_id))
    }

    /// Makes the stream if it is not there, and makes it anew if it does not carry our log: another
    /// one's events, more than ours holds, or messages that somebody else has put between ours.
    /// Postgres is the truth: it is refilled from there.
    pub(crate) async fn open(&self, pool: &PgPool) -> Result<Extent, Error> {
        let refused = |cause| Error::jetstream("open the stream", cause);
        let log_id: Uuid = sqlx::query_scalar("select log_id from log_head")
            .fetch_one(pool)
            .await?;
        let config = self.config(log_id);
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
        if ours && last_sequence <= head && tail::is_the_logs(pool, &stream, &info.state).await? {
            if info.config.max_bytes != config.max_bytes {
                self.resize(&config).await?;
            }
            return Ok(Extent { last_sequence });
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
        self.context
            .create_stream(config)
            .await
            .map_err(|error| Error::jetstream("create the stream", error))?;
        Ok(Extent { last_sequence: 0 })
    }

    /// The stream's last sequence, without making it.
    pub(crate) async fn last_sequence(&self) -> Result<i64, Error> {
        let info = self.get().await?.cached_info().state.last_sequence;
        Ok(i64::try_from(info).unwrap_or(i64::MAX))
    }

    async fn resize(&self, config: &Config) -> Result<(), Error> {
        let updated = self.context.update_stream(config).await;
        updated
            .map(|_info| ())
            .map_err(|error| Error::jetstream("change the stream's size", error))
    }

    /// The stream as it is, without making it.
    pub(crate) async fn get(&self) -> Result<jetstream::stream::Stream, Error> {
        let found = self.context.get_stream(&self.name).await;
        found.map_err(|error| Error::jetstream("find the stream", error))
    }

    fn config(&self, log_id: Uuid) -> Config {
        Config {
            name: self.name.clone(),
            description: Some("Daybook's log: sequence k holds the event at position k".to_owned()),
            subjects: vec![format!("{}.events.>", self.name)],
            storage: StorageType::File,
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::Old,
            max_bytes: self.bytes_max,
            duplicate_window: DUPLICATE_WINDOW,
            allow_direct: true,
            metadata: [(LOG_ID.to_owned(), log_id.to_string())].into(),
            ..Config::default()
        }
    }
}

/// An id as one token of a subject: NATS gives meaning to dots, stars, angle brackets and blanks,
/// so everything but letters, digits, `-` and `_` is percent-encoded.
fn token(id: &str) -> String {
    let mut token = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            token.push(char::from(byte));
        } else {
            write!(token, "%{byte:02X}").expect("a String takes everything");
        }
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_token_of_a_subject_whatever_it_holds() {
        assert_eq!(token("85123A"), "85123A");
        assert_eq!(token("gift 0001_20"), "gift%200001_20");
        assert_eq!(token("a.b*>"), "a%2Eb%2A%3E");
        assert_eq!(token("é"), "%C3%A9");
    }
}
