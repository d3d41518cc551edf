//! An event as it stands in the log: where, what, when, and on whose behalf.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::event::{Event, Unreadable};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::log;
use crate::personal::Keys;
use crate::sealed::{CannotOpen, Place};
use crate::stored::StoredEvent;

/// Who and what is behind an event. All values are texts, as cqrs-es expects of metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The command that the event answers.
    pub command_id: Uuid,
    /// What belongs together: the order's id for everything about an order, else the command's.
    pub correlation_id: Uuid,
    /// The event that made the checkout process send the command; absent for people's commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// Who: `staff`, `guest`, `checkout`, `gateway:sandbox`.
    pub actor: String,
    /// The HTTP request that brought the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// W3C trace context of that request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Why, in the words of whoever asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An event of the log. Cheap to clone where it is held in an [`Arc`].
#[derive(Debug, Clone)]
pub struct RecordedEvent {
    /// 1, 2, 3 ... over the whole log.
    pub position: i64,
    /// `UUIDv7`.
    pub event_id: Uuid,
    /// `order`, `payment`, `inventory`, `product` or `person`.
    pub aggregate_type: String,
    /// Which one: a UUID, or the SKU.
    pub aggregate_id: String,
    /// 1, 2, 3 ... within the aggregate.
    pub sequence: i64,
    /// Stored name, such as `order.placed`.
    pub event_type: String,
    /// Schema version of `payload`.
    pub event_version: String,
    /// The payload as it reads: with personal data, as long as that has its key. For people and read
    /// models.
    pub payload: Arc<str>,
    /// The payload, byte for byte as stored: what is proved, and what is carried elsewhere.
    pub stored: Arc<str>,
    /// On whose behalf.
    pub metadata: Metadata,
    /// When it was committed; never decreases with the position on a clock that does not jump.
    pub recorded_at: DateTime<Utc>,
    /// The payload, read and upcast.
    pub event: Event,
}

/// Bytes of an event in memory beside its payload, roughly.
const EVENT_BYTES: usize = 1_000;

impl RecordedEvent {
    /// Rough size in memory, where the payload is kept as text and once more as what it says.
    pub(crate) fn bytes(&self) -> usize {
        let is_sealed = !Arc::ptr_eq(&self.payload, &self.stored);
        let stored = if is_sealed { self.stored.len() } else { 0 };
        EVENT_BYTES + 2 * self.payload.len() + stored
    }
}

/// Why a row of the log cannot be understood. Our fault or an older program's, never the client's.
#[derive(Debug, thiserror::Error)]
pub enum BadRecord {
    /// The payload.
    #[error("position {position}: {cause}")]
    Payload {
        /// Which event.
        position: i64,
        /// What was wrong.
        cause: Unreadable,
    },
    /// What is personal in the payload.
    #[error("position {position}: {cause}")]
    Personal {
        /// Which event.
        position: i64,
        /// What was wrong.
        cause: CannotOpen,
    },
    /// The metadata.
    #[error("position {position}: its metadata cannot be read: {cause}")]
    Metadata {
        /// Which event.
        position: i64,
        /// What was wrong.
        cause: serde_json::Error,
    },
}

/// A row of `events`, as selected by [`COLUMNS`].
#[derive(Debug, FromRow)]
pub(crate) struct Row {
    position: i64,
    event_id: Uuid,
    aggregate_type: String,
    aggregate_id: String,
    sequence: i64,
    event_type: String,
    event_version: String,
    payload: String,
    metadata: String,
    recorded_at: DateTime<Utc>,
}

/// An event whose payload is as stored, and has not been read.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) position: i64,
    pub(crate) event_id: Uuid,
    pub(crate) aggregate_type: String,
    pub(crate) aggregate_id: String,
    pub(crate) sequence: i64,
    pub(crate) event_type: String,
    pub(crate) event_version: String,
    pub(crate) stored: String,
    pub(crate) metadata: Metadata,
    pub(crate) recorded_at: DateTime<Utc>,
}

impl TryFrom<Row> for Unread {
    type Error = BadRecord;

    fn try_from(row: Row) -> Result<Self, BadRecord> {
        let position = row.position;
        let metadata = serde_json::from_str(&row.metadata)
            .map_err(|cause| BadRecord::Metadata { position, cause })?;
        Ok(Self {
            position,
            event_id: row.event_id,
            aggregate_type: row.aggregate_type,
            aggregate_id: row.aggregate_id,
            sequence: row.sequence,
            event_type: row.event_type,
            event_version: row.event_version,
            stored: row.payload,
            metadata,
            recorded_at: row.recorded_at,
        })
    }
}

impl Unread {
    /// The keys of these events, as they are now.
    pub(crate) async fn keys(pool: &PgPool, unread: &[Self]) -> sqlx::Result<Keys> {
        let payloads = unread
            .iter()
            .map(|event| (event.event_type.as_str(), event.stored.as_str()));
        Keys::of(pool, payloads).await
    }

    /// Opens what is sealed, and reads what it says.
    pub(crate) fn read(self, keys: &Keys) -> Result<RecordedEvent, BadRecord> {
        let Self { position, aggregate_type, aggregate_id, event_type, event_version, .. } = self;
        let place = Place {
            aggregate_type: &aggregate_type,
            aggregate_id: &aggregate_id,
            sequence: self.sequence,
            event_type: &event_type,
        };
        let opened = keys
            .open(place, &self.stored)
            .map_err(|cause| BadRecord::Personal { position, cause })?;
        let stored: Arc<str> = self.stored.into();
        let payload = opened.map_or_else(|| Arc::clone(&stored), Arc::from);
        let event = Event::read(&aggregate_type, &event_type, &event_version, &payload)
            .map_err(|cause| BadRecord::Payload { position, cause })?;
        Ok(RecordedEvent {
            position,
            event_id: self.event_id,
            aggregate_type,
            aggregate_id,
            sequence: self.sequence,
            event_type,
            event_version,
            payload,
            stored,
            metadata: self.metadata,
            recorded_at: self.recorded_at,
            event,
        })
    }
}

/// Reads rows of the log, with the keys of what is personal in them.
pub(crate) async fn read(pool: &PgPool, rows: Vec<Row>) -> Result<Vec<RecordedEvent>, log::Error> {
    let unread = rows
        .into_iter()
        .map(Unread::try_from)
        .collect::<Result<Vec<_>, _>>()?;
    let keys = Unread::keys(pool, &unread).await?;
    let read = unread.into_iter().map(|event| event.read(&keys));
    Ok(read.collect::<Result<_, _>>()?)
}

/// Reads events as an export has them, with the keys that this database has of what is personal in them.
pub async fn read_stored(
    pool: &PgPool,
    stored: Vec<StoredEvent>,
) -> Result<Vec<RecordedEvent>, log::Error> {
    read(pool, stored.into_iter().map(Row::from).collect()).await
}

impl From<StoredEvent> for Row {
    fn from(stored: StoredEvent) -> Self {
        Self {
            position: stored.position,
            event_id: stored.event_id,
            aggregate_type: stored.aggregate_type,
            aggregate_id: stored.aggregate_id,
            sequence: stored.sequence,
            event_type: stored.event_type,
            event_version: stored.event_version,
            payload: stored.payload,
            metadata: stored.metadata,
            recorded_at: stored.recorded_at,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Stock that came in, with a reference as long as it takes.
    pub(crate) fn received(position: i64, reference: &str) -> RecordedEvent {
        let payload = serde_json::json!({
            "type": "inventory.received",
            "quantity": 1,
            "reference": reference,
        });
        let payload: Arc<str> = payload.to_string().into();
        RecordedEvent {
            position,
            event_id: Uuid::now_v7(),
            aggregate_type: "inventory".to_owned(),
            aggregate_id: "cup".to_owned(),
            sequence: position,
            event_type: "inventory.received".to_owned(),
            event_version: "1".to_owned(),
            event: Event::read("inventory", "inventory.received", "1", &payload).unwrap(),
            stored: Arc::clone(&payload),
            payload,
            metadata: Metadata {
                command_id: Uuid::from_u128(1),
                correlation_id: Uuid::from_u128(2),
                causation_id: Some(Uuid::from_u128(3)),
                actor: "staff".to_owned(),
                request_id: Some("r\"1".to_owned()),
                traceparent: None,
                reason: Some("délivered".to_owned()),
            },
            recorded_at: "2026-03-01T12:00:00.123456Z".parse().unwrap(),
        }
    }
}
