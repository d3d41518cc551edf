//! The envelope of an event on the stream: CloudEvents 1.0 in structured JSON mode.
//!
//! Attribute names are lower-case letters and digits, as the specification demands. `data` is the
//! stored payload, byte for byte.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::recorded::{Metadata, RecordedEvent, Unread};

/// Which envelope this is.
const SPEC_VERSION: &str = "1.0";
/// Who sends it.
const SOURCE: &str = "/daybook";

/// The envelope, as it is read.
#[derive(Deserialize)]
struct CloudEvent<'a> {
    id: Uuid,
    /// Stored event name.
    #[serde(rename = "type", borrow)]
    event_type: Cow<'a, str>,
    /// Aggregate id.
    #[serde(borrow)]
    subject: Cow<'a, str>,
    time: DateTime<Utc>,
    position: i64,
    #[serde(borrow)]
    aggregate: Cow<'a, str>,
    sequence: i64,
    #[serde(borrow)]
    schemaversion: Cow<'a, str>,
    commandid: Uuid,
    correlationid: Uuid,
    #[serde(default)]
    causationid: Option<Uuid>,
    #[serde(borrow)]
    actor: Cow<'a, str>,
    #[serde(default)]
    requestid: Option<Cow<'a, str>>,
    #[serde(default)]
    traceparent: Option<Cow<'a, str>>,
    #[serde(default)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// Bytes of everything but the payload, usually; a longer envelope grows.
const ATTRIBUTES_BYTES: usize = 800;

/// Writes an envelope. Text by text, because the payload was checked when it entered the log, and
/// nobody should check it again for every reader.
pub(crate) fn write(event: &RecordedEvent) -> Vec<u8> {
    let mut text = attributes(event);
    text.extend_from_slice(b",\"data\":");
    text.extend_from_slice(event.stored.as_bytes());
    text.push(b'}');
    text
}

/// Writes the envelope of an event whose payload the server would not take. It keeps the event's
/// place on the stream; readers find no data in it, and the event in Postgres.
pub(crate) fn write_without_data(event: &RecordedEvent) -> Vec<u8> {
    let mut text = attributes(event);
    text.push(b'}');
    text
}

fn attributes(event: &RecordedEvent) -> Vec<u8> {
    let metadata = &event.metadata;
    let mut text = Vec::with_capacity(ATTRIBUTES_BYTES + event.stored.len());
    text.push(b'{');
    attribute(&mut text, "specversion", SPEC_VERSION);
    attribute(&mut text, "id", event.event_id);
    attribute(&mut text, "source", SOURCE);
    attribute(&mut text, "type", &event.event_type);
    attribute(&mut text, "subject", &event.aggregate_id);
    attribute(&mut text, "time", event.recorded_at);
    attribute(&mut text, "datacontenttype", "application/json");
    attribute(&mut text, "position", event.position);
    attribute(&mut text, "aggregate", &event.aggregate_type);
    attribute(&mut text, "sequence", event.sequence);
    attribute(&mut text, "schemaversion", &event.event_version);
    attribute(&mut text, "commandid", metadata.command_id);
    attribute(&mut text, "correlationid", metadata.correlation_id);
    if let Some(causation_id) = metadata.causation_id {
        attribute(&mut text, "causationid", causation_id);
    }
    attribute(&mut text, "actor", &metadata.actor);
    if let Some(request_id) = &metadata.request_id {
        attribute(&mut text, "requestid", request_id);
    }
    if let Some(traceparent) = &metadata.traceparent {
        attribute(&mut text, "traceparent", traceparent);
    }
    if let Some(reason) = &metadata.reason {
        attribute(&mut text, "reason", reason);
    }
    text
}

fn attribute(text: &mut Vec<u8>, name: &str, value: impl Serialize) {
    if text.last() != Some(&b'{') {
        text.push(b',');
    }
    text.push(b'"');
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"\":");
    serde_json::to_writer(text, &value).expect("texts, numbers, ids and times are JSON");
}

/// Reads an envelope back, and leaves its payload as it is.
pub(crate) fn read(bytes: &[u8]) -> serde_json::Result<Unread> {
    let envelope: CloudEvent<'_> = serde_json::from_slice(bytes)?;
    Ok(Unread {
        position: envelope.position,
        event_id: envelope.id,
        aggregate_type: envelope.aggregate.into_owned(),
        aggregate_id: envelope.subject.into_owned(),
        sequence: envelope.sequence,
        event_type: envelope.event_type.into_owned(),
        event_version: envelope.schemaversion.into_owned(),
        stored: envelope.data.get().to_owned(),
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
    })
}

/// Which event an envelope is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Identity {
    pub(crate) id: Uuid,
    pub(crate) position: i64,
}

/// Reads no more of an envelope than that.
pub(crate) fn identity(bytes: &[u8]) -> Option<Identity> {
    serde_json::from_slice(bytes).ok()
}

#[cfg(test)]
mod tests {
    use domain::event::Event;

    use super::*;
    use crate::personal::Keys;
    use crate::recorded::tests::received;

    #[test]
    fn an_event_comes_out_of_its_envelope_as_it_went_in() {
        let payload = r#"{ "type" : "inventory.received","quantity":3, "reference":"note \"7\"" }"#;
        let event = RecordedEvent {
            aggregate_id: "gift \"0001\"\n".to_owned(),
            payload: payload.into(),
            stored: payload.into(),
            event: Event::read("inventory", "inventory.received", "1", payload).unwrap(),
            ..received(7, "")
        };

        let unread = read(&write(&event)).unwrap();
        let read = unread.read(&Keys::default()).unwrap();

        assert_eq!(&*read.payload, payload, "byte for byte");
        assert_eq!(read.metadata, event.metadata);
        assert_eq!((read.position, read.sequence), (event.position, event.sequence));
        assert_eq!((read.event_id, read.recorded_at), (event.event_id, event.recorded_at));
        assert_eq!(read.aggregate_id, event.aggregate_id);
        assert_eq!(read.event, event.event);
    }

    #[test]
    fn an_envelope_is_cloudevents_json() {
        let event = received(7, "note 7");
        let envelope: serde_json::Value = serde_json::from_slice(&write(&event)).unwrap();
        let expected = serde_json::json!({
            "specversion": "1.0",
            "id": event.event_id,
            "source": "/daybook",
            "type": "inventory.received",
            "subject": "cup",
            "time": "2026-03-01T12:00:00.123456Z",
            "datacontenttype": "application/json",
            "position": 7,
            "aggregate": "inventory",
            "sequence": 7,
            "schemaversion": "1",
            "commandid": "00000000-0000-0000-0000-000000000001",
            "correlationid": "00000000-0000-0000-0000-000000000002",
            "causationid": "00000000-0000-0000-0000-000000000003",
            "actor": "staff",
            "requestid": "r\"1",
            "reason": "délivered",
            "data": { "type": "inventory.received", "quantity": 1, "reference": "note 7" },
        });
        assert_eq!(envelope, expected);
    }

    #[test]
    fn an_envelope_without_data_says_which_event_it_stands_for_and_is_none_itself() {
        let event = received(7, "note 7");
        let text = write_without_data(&event);
        let expected = Identity { id: event.event_id, position: 7 };
        assert_eq!(identity(&text), Some(expected));
        assert_eq!(identity(&write(&event)), Some(expected));
        assert!(read(&text).is_err());
    }

    #[test]
    fn garbage_is_no_event() {
        for garbage in ["", "{}", "[1]", "\u{0}", r#"{"specversion":"1.0"}"#] {
            assert!(read(garbage.as_bytes()).is_err(), "{garbage:?}");
            assert_eq!(identity(garbage.as_bytes()), None, "{garbage:?}");
        }
    }
}
