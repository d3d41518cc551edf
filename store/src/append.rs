//! One batch into the log: one statement, one transaction.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::ids::OrderId;
use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, FromRow, PgConnection, Postgres};
use uuid::Uuid;

use crate::command::{Answer, Fingerprint};
use crate::personal::{self, NewKey, forgets};
use crate::recorded::Metadata;

/// Bytes of a row beside its payload and metadata, roughly.
const ROW_BYTES: usize = 200;
/// How long a batch may take before its connection is given up: longer than the server lets any
/// statement run, so only a server that has vanished gets here.
const APPEND_TIMEOUT: Duration = Duration::from_secs(20);
/// Opens a transaction that already stands behind the head's row lock.
pub(crate) const BEGIN_BEHIND_THE_LOCK: &str = "begin; select position from log_head for update";

/// An event that has been decided and not yet committed.
#[derive(Debug, Clone)]
pub(crate) struct NewEvent {
    pub(crate) event_id: Uuid,
    pub(crate) sequence: i64,
    pub(crate) event_type: String,
    pub(crate) event_version: String,
    /// As it reads.
    pub(crate) payload: Arc<str>,
    /// As it is stored: the same, unless something personal is sealed in it.
    pub(crate) stored: Arc<str>,
    /// What the payload says, so that readers in this process need not read it again.
    pub(crate) event: Event,
}

/// A command's effect and receipt, ready to be committed.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) aggregate_type: &'static str,
    pub(crate) aggregate_id: String,
    pub(crate) events: Vec<NewEvent>,
    /// Of what is sealed in them.
    pub(crate) keys: Vec<NewKey>,
    pub(crate) metadata: Metadata,
    pub(crate) metadata_json: Arc<str>,
    pub(crate) fingerprint: Fingerprint,
    /// The verdict as JSON, unless accepted.
    pub(crate) refusal: Option<String>,
    /// After the events, or the version that a refusal was decided on.
    pub(crate) version: i64,
    pub(crate) answer: Option<Answer>,
}

impl Entry {
    /// The version that it was decided on.
    pub(crate) fn decided_on(&self) -> i64 {
        self.events
            .first()
            .map_or(self.version, |first| first.sequence - 1)
    }

    /// Whether it appends nothing: a refusal, or a change that changes nothing. The log's primary
    /// key cannot tell whether such a decision is outdated.
    pub(crate) fn is_eventless(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether its statement has to see all that was committed before it.
    fn looks_back(&self) -> bool {
        self.is_eventless()
            || self.keys.iter().any(|key| key.is_late)
            || self.forgets().next().is_some()
    }

    /// The orders whose keys are destroyed with it.
    fn forgets(&self) -> impl Iterator<Item = OrderId> {
        let orders = self.events.iter().flat_map(|new| forgets(&new.event));
        orders.copied()
    }

    /// Rough size in the statement, by which batches are bounded.
    pub(crate) fn bytes(&self) -> usize {
        let event = |event: &NewEvent| event.stored.len() + self.metadata_json.len() + ROW_BYTES;
        let answer = self.answer.as_ref().map_or(0, |answer| answer.body.len());
        let keys = self.keys.len() * ROW_BYTES;
        self.events.iter().map(event).sum::<usize>() + keys + answer + ROW_BYTES
    }
}

/// Where a batch went.
#[derive(Debug, FromRow)]
pub(crate) struct Appended {
    /// The position before the batch's first event.
    pub(crate) base: i64,
    pub(crate) recorded_at: DateTime<Utc>,
    /// The commands whose receipts were written: all but outdated ones without events.
    pub(crate) receipted: Vec<Uuid>,
}

/// Appends a batch, all of it or nothing, but for outdated decisions without events, which are left
/// out. An error may mean that the batch was appended all the same. `head` is where the log ended when
/// this process last appended to it, if it has.
pub(crate) async fn append(
    mut connection: PoolConnection<Postgres>,
    entries: &[&Entry],
    head: Option<i64>,
) -> sqlx::Result<Appended> {
    let appending = append_on(&mut connection, entries, head);
    let appended = tokio::time::timeout(APPEND_TIMEOUT, appending).await;
    appended.unwrap_or_else(|_elapsed| {
        // It would wait for the rest of the answer before it is used again.
        connection.close_on_drop();
        Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()))
    })
}

async fn append_on(
    connection: &mut PgConnection,
    entries: &[&Entry],
    head: Option<i64>,
) -> sqlx::Result<Appended> {
    if !entries.iter().any(|entry| entry.looks_back()) {
        return insert(connection, entries, None)
            .await?
            .ok_or(sqlx::Error::RowNotFound);
    }
    let forgotten: Vec<OrderId> = entries.iter().flat_map(|entry| entry.forgets()).collect();
    // One statement sees what had been committed when it began, even if it then waits for the
    // head's lock; so whoever holds the lock meanwhile could outdate a decision unseen, or forget
    // the person whose key is on its way. Where the log ends as this process left it, nobody has.
    if let Some(head) = head
        && forgotten.is_empty()
        && let Some(appended) = insert(connection, entries, Some(head)).await?
    {
        return Ok(appended);
    }
    let mut transaction = connection.begin_with(BEGIN_BEHIND_THE_LOCK).await?;
    let appended = insert(&mut transaction, entries, None)
        .await?
        .ok_or(sqlx::Error::RowNotFound)?;
    if !forgotten.is_empty() {
        personal::destroy(&mut transaction, &forgotten).await?;
    }
    transaction.commit().await?;
    Ok(appended)
}

/// One statement; nothing is appended, and nothing comes back, where the log does not end at `head`.
async fn insert(
    connection: &mut PgConnection,
    entries: &[&Entry],
    head: Option<i64>,
) -> sqlx::Result<Option<Appended>> {
    let events = Events::of(entries);
    let receipts = Receipts::of(entries);
    let keys: Vec<&NewKey> = entries.iter().flat_map(|entry| &entry.keys).collect();
    sqlx::query_as(include_str!("append.sql"))
        .bind(i64::try_from(events.ids.len()).unwrap_or(i64::MAX))
        .bind(events.ids)
        .bind(events.aggregate_types)
        .bind(events.aggregate_ids)
        .bind(events.sequences)
        .bind(events.types)
        .bind(events.versions)
        .bind(events.payloads)
        .bind(events.metadata)
        .bind(receipts.command_ids)
        .bind(receipts.fingerprints)
        .bind(receipts.refusals)
        .bind(receipts.aggregate_types)
        .bind(receipts.aggregate_ids)
        .bind(receipts.versions)
        .bind(receipts.first_offsets)
        .bind(receipts.last_offsets)
        .bind(receipts.answer_statuses)
        .bind(receipts.answer_bodies)
        .bind(receipts.eventless)
        .bind(keys.iter().map(|key| key.key_id).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.order_id).collect::<Vec<_>>())
        .bind(
            keys.iter()
                .map(|key| key.wrapped.as_slice())
                .collect::<Vec<_>>(),
        )
        .bind(keys.iter().map(|key| key.is_late).collect::<Vec<_>>())
        .bind(head)
        .fetch_optional(connection)
        .await
}

/// The batch's events, a column each, as `unnest` takes them.
#[derive(Default)]
struct Events<'a> {
    ids: Vec<Uuid>,
    aggregate_types: Vec<&'a str>,
    aggregate_ids: Vec<&'a str>,
    sequences: Vec<i64>,
    types: Vec<&'a str>,
    versions: Vec<&'a str>,
    payloads: Vec<&'a str>,
    metadata: Vec<&'a str>,
}

impl<'a> Events<'a> {
    fn of(entries: &[&'a Entry]) -> Self {
        let mut columns = Self::default();
        for entry in entries {
            for event in &entry.events {
                columns.ids.push(event.event_id);
                columns.aggregate_types.push(entry.aggregate_type);
                columns.aggregate_ids.push(&entry.aggregate_id);
                columns.sequences.push(event.sequence);
                columns.types.push(&event.event_type);
                columns.versions.push(&event.event_version);
                columns.payloads.push(&event.stored);
                columns.metadata.push(&entry.metadata_json);
            }
        }
        columns
    }
}

/// The batch's receipts, a column each.
#[derive(Default)]
struct Receipts<'a> {
    command_ids: Vec<Uuid>,
    fingerprints: Vec<&'a [u8]>,
    refusals: Vec<Option<&'a str>>,
    aggregate_types: Vec<&'a str>,
    aggregate_ids: Vec<&'a str>,
    versions: Vec<i64>,
    first_offsets: Vec<i64>,
    last_offsets: Vec<i64>,
    answer_statuses: Vec<Option<i16>>,
    answer_bodies: Vec<Option<&'a str>>,
    eventless: Vec<bool>,
}

impl<'a> Receipts<'a> {
    fn of(entries: &[&'a Entry]) -> Self {
        let mut columns = Self::default();
        for (entry, (first, last)) in entries.iter().zip(offsets(entries)) {
            let answer = entry.answer.as_ref();
            columns.command_ids.push(entry.metadata.command_id);
            columns.fingerprints.push(&entry.fingerprint);
            columns.refusals.push(entry.refusal.as_deref());
            columns.aggregate_types.push(entry.aggregate_type);
            columns.aggregate_ids.push(&entry.aggregate_id);
            columns.versions.push(entry.version);
            columns.first_offsets.push(first);
            columns.last_offsets.push(last);
            columns.eventless.push(entry.is_eventless());
            columns
                .answer_statuses
                .push(answer.and_then(|answer| i16::try_from(answer.status).ok()));
            columns
                .answer_bodies
                .push(answer.map(|answer| answer.body.as_str()));
        }
        columns
    }
}

/// First and last position of each entry, counted from the batch's base. An entry without events
/// stands at the position before it.
pub(crate) fn offsets(entries: &[&Entry]) -> Vec<(i64, i64)> {
    let mut before = 0_i64;
    let mut offsets = Vec::with_capacity(entries.len());
    for entry in entries {
        let count = i64::try_from(entry.events.len()).unwrap_or(i64::MAX);
        let last = before.saturating_add(count);
        offsets.push((
            if count == 0 {
                before
            } else {
                before.saturating_add(1)
            },
            last,
        ));
        before = last;
    }
    offsets
}
