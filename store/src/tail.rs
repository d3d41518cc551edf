//! Whether the end of a stream is the log: somebody may have put a message of his own there.
//!
//! Such a message takes the sequence of an event. The event's own publish is refused then, and in a
//! batch so is everything behind it. Where messages go one by one, those that were under way behind
//! it are accepted; so a stranger hides at most one run below the stream's end by the time the relay
//! has noticed.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::stream::{State, Stream};
use futures::StreamExt as _;
use sqlx::PgPool;
use uuid::Uuid;

use crate::cloudevent;
use crate::publish::RUN_MAX;
use crate::stream::Error;

/// How long reading one run may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Whether the last run of messages is what the log holds at these positions.
pub(crate) async fn is_the_logs(
    pool: &PgPool,
    stream: &Stream,
    state: &State,
) -> Result<bool, Error> {
    let last = state.last_sequence;
    let first = (last + 1).saturating_sub(RUN_MAX as u64);
    let first = first.max(state.first_sequence).max(1);
    if state.messages == 0 || last < first {
        return Ok(true);
    }
    let event_ids = event_ids(pool, first, last).await?;
    let matching = async {
        let config = pull::OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: first },
            ..pull::OrderedConfig::default()
        };
        let consumer = stream.create_consumer(config).await.map_err(unread)?;
        // Messages can be purged and removed; what is not there is nobody else's.
        let mut pending = consumer.cached_info().num_pending;
        let mut messages = consumer.messages().await.map_err(unread)?;
        while pending != 0
            && let Some(message) = messages.next().await
        {
            let message = message.map_err(unread)?;
            let info = message.info().map_err(unread)?;
            let sequence = info.stream_sequence;
            if last < sequence {
                break;
            }
            pending = info.pending;
            let id = cloudevent::identity(&message.payload).map(|identity| identity.id);
            if id.is_none() || id.as_ref() != event_ids.get(&sequence) {
                tracing::warn!(sequence, subject = %message.subject, "not an event of the log");
                return Ok(false);
            }
            if sequence == last {
                break;
            }
        }
        Ok(true)
    };
    let elapsed = |_| unread("it takes too long");
    tokio::time::timeout(TIMEOUT, matching)
        .await
        .map_err(elapsed)?
}

async fn event_ids(pool: &PgPool, first: u64, last: u64) -> sqlx::Result<HashMap<u64, Uuid>> {
    let rows: Vec<(i64, Uuid)> =
        sqlx::query_as("select position, event_id from events where position between $1 and $2")
            .bind(i64::try_from(first).unwrap_or(i64::MAX))
            .bind(i64::try_from(last).unwrap_or(i64::MAX))
            .fetch_all(pool)
            .await?;
    let rows = rows.into_iter();
    Ok(rows
        .filter_map(|(position, id)| Some((u64::try_from(position).ok()?, id)))
        .collect())
}

fn unread(cause: impl std::fmt::Display) -> Error {
    Error::jetstream("show the end of the stream", cause)
}
