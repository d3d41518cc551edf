//! The envelope of an event on the stream: CloudEvents 1.0 in structured JSON mode.
//!
//! Attribute names are lower-case letters and digits, as the specification demands. `data` is the
//! stored payload, byte for byte.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use domain::event::Event;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::recorded::{Metadata, RecordedEvent};

/// Which envelope this is.
const SPEC_VERSION: &str = "1.0";
/// Who sends it.
const SOURCE: &str = "/daybook";

/// The envelope.
#[derive(Serialize, Deserialize)]
pub(crate) struct CloudEvent<'a> {
    #[serde(borrow)]
    pub(crate) specversion: Cow<'a, str>,
    pub(crate) id: Uuid,
    #[serde(borrow)]
    pub(crate) source: Cow<'a, str>,
    /// Stored event name.
    #[serde(rename = "type", borrow)]
    pub(crate) event_type: Cow<'a, str>,
    /// Aggregate id.
    #[serde(borrow)]
    pub(crate) subject: Cow<'a, str>,
    pub(crate) time: DateTime<Utc>,
    #[serde(borrow)]
    pub(crate) datacontenttype: Cow<'a, str>,
    pub(crate) position: i64,
    #[serde(borrow)]
    pub(crate) aggregate: Cow<'a, str>,
    pub(crate) sequence: i64,
    #[serde(borrow)]
    pub(crate) schemaversion: Cow<'a, str>,
    pub(crate) commandid: Uuid,
    pub(crate) correlationid: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) causationid: Option<Uuid>,
    #[serde(borrow)]
    pub(crate) actor: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) requestid: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) traceparent: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) data: &'a RawValue,
}

/// What an envelope is made of.
pub(crate) struct Parts<'a> {
    pub(crate) position: i64,
    pub(crate) event_id: Uuid,
    pub(crate) aggregate_type: &'a str,
    pub(crate) aggregate_id: &'a str,
    pub(crate) sequence: i64,
    pub(crate) event_type: &'a str,
    pub(crate) event_version: &'a str,
    pub(crate) payload: &'a str,
    pub(crate) metadata: &'a Metadata,
    pub(crate) recorded_at: DateTime<Utc>,
}

impl<'a> From<&'a RecordedEvent> for Parts<'a> {
    fn from(event: &'a RecordedEvent) -> Self {
        Self {
            position: event.position,
            event_id: event.event_id,
            aggregate_type: &event.aggregate_type,
            aggregate_id: &event.aggregate_id,
            sequence: event.sequence,
            event_type: &event.event_type,
            event_version: &event.event_version,
            payload: &event.payload,
            metadata: &event.metadata,
            recorded_at: event.recorded_at,
        }
    }
}

/// Writes an envelope.
pub(crate) fn write(parts: &Parts<'_>) -> serde_json::Result<Vec<u8>> {
    let metadata = parts.metadata;
    serde_json::to_vec(&CloudEvent {
        specversion: SPEC_VERSION.into(),
        id: parts.event_id,
        source: SOURCE.into(),
        event_type: parts.event_type.into(),
        subject: parts.aggregate_id.into(),
        time: parts.recorded_at,
        datacontenttype: "application/json".into(),
        position: parts.position,
        aggregate: parts.aggregate_type.into(),
        sequence: parts.sequence,
        schemaversion: parts.event_version.into(),
        commandid: metadata.command_id,
        correlationid: metadata.correlation_id,
        causationid: metadata.causation_id,
        actor: metadata.actor.as_str().into(),
        requestid: metadata.request_id.as_deref().map(Into::into),
        traceparent: metadata.traceparent.as_deref().map(Into::into),
        reason: metadata.reason.as_deref().map(Into::into),
        data: serde_json::from_str(parts.payload)?,
    })
}

/// Why a message is not one of our events.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("not a CloudEvents envelope of ours: {0}")]
    Envelope(#[from] serde_json::Error),
    #[error(transparent)]
    Payload(#[from] domain::event::Unreadable),
}

/// Reads an envelope back.
pub(crate) fn read(bytes: &[u8]) -> Result<RecordedEvent, Unreadable> {
    let envelope: CloudEvent<'_> = serde_json::from_slice(bytes)?;
    let payload = envelope.data.get();
    let event =
        Event::read(&envelope.aggregate, &envelope.event_type, &envelope.schemaversion, payload)?;
    Ok(RecordedEvent {
        position: envelope.position,
        event_id: envelope.id,
        aggregate_type: envelope.aggregate.into_owned(),
        aggregate_id: envelope.subject.into_owned(),
        sequence: envelope.sequence,
        event_type: envelope.event_type.into_owned(),
        event_version: envelope.schemaversion.into_owned(),
        payload: payload.into(),
        metadata: Metadata {
            command_id: envelope.commandid,
            correlation_id: envelope.correlationid,
            causation_id: envelope.causationid,
            actor: envelope.actor.into_owned(),
            request_id: envelope.requestid.map(Cow::into_owned),
            traceparent: envelope.traceparent.map(Cow::into_owned),
            reason: envelope.reason.map(Cow::into_owned),
        },
        recorded_at: envelope.time,
        event,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_comes_out_of_its_envelope_as_it_went_in() {
        let payload = r#"{ "type" : "inventory.received","quantity":3, "reference":"note \"7\"" }"#;
        let metadata = Metadata {
            command_id: Uuid::from_u128(1),
            correlation_id: Uuid::from_u128(2),
            causation_id: Some(Uuid::from_u128(3)),
            actor: "staff".to_owned(),
            request_id: Some("r\"1".to_owned()),
            traceparent: None,
            reason: Some("délivered".to_owned()),
        };
        let parts = Parts {
            position: 7,
            event_id: Uuid::from_u128(4),
            aggregate_type: "inventory",
            aggregate_id: "gift 0001",
            sequence: 2,
            event_type: "inventory.received",
            event_version: "1",
            payload,
            metadata: &metadata,
            recorded_at: "2026-03-01T12:00:00.123456Z".parse().unwrap(),
        };

        let read = read(&write(&parts).unwrap()).unwrap();

        assert_eq!(&*read.payload, payload, "byte for byte");
        assert_eq!(read.metadata, metadata);
        assert_eq!((read.position, read.sequence), (7, 2));
        assert_eq!(read.aggregate_id, "gift 0001");
        assert_eq!(read.recorded_at, parts.recorded_at);
    }

    #[test]
    fn garbage_is_no_event() {
        for garbage in ["", "{}", "[1]", "\u{0}", r#"{"specversion":"1.0"}"#] {
            assert!(read(garbage.as_bytes()).is_err(), "{garbage:?}");
        }
    }
}
