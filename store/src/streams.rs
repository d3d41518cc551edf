//! Streams, read for many at once: what is wanted while a query runs goes out with the next one.
//!
//! A crowd of aggregates that are not in memory, such as that of a checkout that takes up old
//! orders, so costs a few queries instead of one each, and never more connections than
//! [`QUERIES_MAX`].

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Executor as _, FromRow, PgConnection, PgPool};
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::command::ExecuteError;
use crate::personal::Keys;
use crate::pools;
use crate::sealed::{CannotOpen, Place};

/// Streams in one query: by then the round trip is shared by so many that it costs nothing.
const STREAMS_MAX: usize = 256;
/// Events in one query, but for those of its last stream: a second's work for the database.
const EVENTS_MAX: i64 = 50_000;
/// Bytes that are kept of one query: as many events of the usual size. Placed orders may be half a
/// megabyte each, and states more.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Queries under way, each on a connection of its own. A second one, so that a long stream does not
/// hold up all others.
const QUERIES_MAX: u32 = 2;
/// By the primary keys, whatever the statistics say: in a log that was just begun they are missing
/// or outdated, and a plan that reads all of a table is kept until they are taken again.
const SETTINGS: &str = "set enable_seqscan = off; set enable_bitmapscan = off; \
    set enable_hashjoin = off; set enable_mergejoin = off";
/// Parts that wait for a query; whoever comes then waits for room.
const WAITING_MAX: usize = 1_024;
/// How long a query may take before its connection is given up; the largest takes a second.
const READ_TIMEOUT: Duration = Duration::from_secs(15);

/// A part of a stream.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) aggregate_type: &'static str,
    pub(crate) aggregate_id: String,
    /// The sequence before its first event.
    pub(crate) after: i64,
    /// Of which schema a newer snapshot may stand for its first events; `None` if none may.
    pub(crate) schema: Option<&'static str>,
    pub(crate) events_max: i64,
}

/// What the database holds of it.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) snapshot: Option<Snapshot>,
    /// After the snapshot if it is sound, in order.
    pub(crate) events: Vec<StoredEvent>,
    /// Not all that was wanted had room; the rest is to be asked for again.
    pub(crate) is_cut: bool,
}

#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) version: i64,
    pub(crate) schema: String,
    /// `None` if it says nothing about this stream: of another schema, or of another history.
    pub(crate) state: Option<String>,
}

#[derive(Debug)]
pub(crate) struct StoredEvent {
    pub(crate) sequence: i64,
    pub(crate) event_type: String,
    pub(crate) event_version: String,
    /// As it reads, or why it cannot be read.
    pub(crate) payload: Result<String, CannotOpen>,
}

struct Wanted {
    part: Part,
    reply: oneshot::Sender<Result<Found, String>>,
}

/// Where parts of streams are asked for; clones share its queries.
#[derive(Clone)]
pub(crate) struct Streams(mpsc::Sender<Wanted>);

impl Streams {
    pub(crate) fn start(pool: &PgPool) -> Self {
        let pool = pools::trusting()
            .max_connections(QUERIES_MAX)
            .acquire_timeout(READ_TIMEOUT)
            .after_connect(|connection, _| {
                Box::pin(async { connection.execute(SETTINGS).await.map(|_| ()) })
            })
            .connect_lazy_with(PgConnectOptions::clone(&pool.connect_options()));
        Self::answered_by(move |parts| {
            let pool = pool.clone();
            async move {
                query(&pool, &parts)
                    .await
                    .map_err(|error| error.to_string())
            }
        })
    }

    fn answered_by<F, Answer>(ask: F) -> Self
    where
        F: Fn(Vec<Part>) -> Answer + Clone + Send + Sync + 'static,
        Answer: Future<Output = Result<Vec<Found>, String>> + Send,
    {
        let (submit, waiting) = mpsc::channel(WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..QUERIES_MAX {
            let (waiting, ask) = (Arc::clone(&waiting), ask.clone());
            tokio::spawn(async move {
                while let Some(batch) = gather(&waiting).await {
                    answer(batch, &ask).await;
                }
            });
        }
        Self(submit)
    }

    pub(crate) async fn read(&self, part: Part) -> Result<Found, ExecuteError> {
        let closed = || ExecuteError::Unavailable("the journal has been closed".to_owned());
        let (reply, found) = oneshot::channel();
        let sent = self.0.send(Wanted { part, reply }).await;
        sent.map_err(|_| closed())?;
        found
            .await
            .map_err(|_| closed())?
            .map_err(ExecuteError::Unavailable)
    }
}

/// Waits for something wanted, and takes what else is there; `None` once nobody can want anything.
async fn gather(waiting: &Mutex<mpsc::Receiver<Wanted>>) -> Option<Vec<Wanted>> {
    let mut waiting = waiting.lock().await;
    let first = waiting.recv().await?;
    let mut events = first.part.events_max;
    let mut batch = vec![first];
    while batch.len() < STREAMS_MAX
        && events < EVENTS_MAX
        && let Ok(next) = waiting.try_recv()
    {
        events = events.saturating_add(next.part.events_max);
        batch.push(next);
    }
    Some(batch)
}

async fn answer<F, Answer>(mut batch: Vec<Wanted>, ask: &F)
where
    F: Fn(Vec<Part>) -> Answer,
    Answer: Future<Output = Result<Vec<Found>, String>>,
{
    batch.retain(|wanted| !wanted.reply.is_closed());
    if batch.is_empty() {
        return;
    }
    let parts = batch.iter().map(|wanted| wanted.part.clone()).collect();
    match ask(parts).await {
        Ok(found) => {
            for (wanted, found) in batch.into_iter().zip(found) {
                let _gone = wanted.reply.send(Ok(found));
            }
        }
        Err(error) => {
            for wanted in batch {
                let _gone = wanted.reply.send(Err(error.clone()));
            }
        }
    }
}

#[derive(FromRow)]
struct Row {
    ordinal: i64,
    sequence: i64,
    /// `None` for a snapshot.
    event_type: Option<String>,
    schema: String,
    body: Option<String>,
}

async fn query(pool: &PgPool, parts: &[Part]) -> sqlx::Result<Vec<Found>> {
    let mut connection = pool.acquire().await?;
    let found = tokio::time::timeout(READ_TIMEOUT, query_on(&mut connection, parts)).await;
    found.unwrap_or_else(|_elapsed| {
        // It would wait for the rest of the answer before it is used again.
        connection.close_on_drop();
        Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()))
    })
}

async fn query_on(connection: &mut PgConnection, parts: &[Part]) -> sqlx::Result<Vec<Found>> {
    let mut found: Vec<Found> = parts.iter().map(|_| Found::default()).collect();
    let mut bytes = 0;
    let of_each = || parts.iter();
    let mut rows = sqlx::query_as::<_, Row>(include_str!("streams.sql"))
        .bind(
            of_each()
                .map(|part| part.aggregate_type)
                .collect::<Vec<_>>(),
        )
        .bind(
            of_each()
                .map(|part| part.aggregate_id.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(of_each().map(|part| part.after).collect::<Vec<_>>())
        .bind(of_each().map(|part| part.schema).collect::<Vec<_>>())
        .bind(of_each().map(|part| part.events_max).collect::<Vec<_>>())
        .fetch(&mut *connection);
    while let Some(row) = rows.try_next().await? {
        let place = usize::try_from(row.ordinal - 1).ok();
        let place = place.and_then(|place| found.get_mut(place));
        let of = place.expect("ordinals number the parts");
        if BYTES_MAX <= bytes {
            of.is_cut = true;
            continue;
        }
        bytes += row.body.as_ref().map_or(0, String::len);
        of.take(row);
    }
    drop(rows);
    open(connection, parts, &mut found).await?;
    Ok(found)
}

/// Opens what is personal in the events that were found.
async fn open(
    connection: &mut PgConnection,
    parts: &[Part],
    found: &mut [Found],
) -> sqlx::Result<()> {
    let stored = found.iter().flat_map(|found| &found.events);
    let stored = stored.filter_map(|event| {
        let payload = event.payload.as_deref().ok()?;
        Some((event.event_type.as_str(), payload))
    });
    let keys = Keys::of(connection, stored).await?;
    for (part, found) in parts.iter().zip(found) {
        for event in &mut found.events {
            let place = Place {
                aggregate_type: part.aggregate_type,
                aggregate_id: &part.aggregate_id,
                sequence: event.sequence,
                event_type: &event.event_type,
            };
            let opened = event
                .payload
                .as_deref()
                .map_or(Ok(None), |stored| keys.open(place, stored));
            if let Some(opened) = opened.transpose() {
                event.payload = opened;
            }
        }
    }
    Ok(())
}

impl Found {
    fn take(&mut self, Row { sequence, event_type, schema, body, .. }: Row) {
        match event_type {
            None => self.snapshot = Some(Snapshot { version: sequence, schema, state: body }),
            Some(event_type) => self.events.push(StoredEvent {
                sequence,
                event_type,
                event_version: schema,
                payload: Ok(body.unwrap_or_default()),
            }),
        }
    }
}

#[cfg(test)]
#[path = "streams_tests.rs"]
mod tests;
