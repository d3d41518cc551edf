//! Events as they are stored, byte for byte, and the one line of JSON that stands for each.
//!
//! That line is what an export holds and what a proof is about: its SHA-256 is the event's leaf in
//! the tree over the log. It is made of the stored columns alone, reads nothing of what they say,
//! and its members stand in this order:
//!
//! ```text
//! {"position":17,"event_id":"...","at":"2026-03-01T12:00:00.123456Z","aggregate":"order",
//!  "aggregate_id":"...","sequence":1,"event":"order.placed","schema_version":"2",
//!  "metadata":<as stored>,"data":<as stored>}
//! ```

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::log::{Slice, of_slice};

/// Rows that are fetched at a time: the largest is an order of 2,000 lines, half a megabyte.
pub const ROWS_MAX: i64 = 250;

/// A row of `events`.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct StoredEvent {
    /// 1, 2, 3 ... over the whole log.
    pub position: i64,
    /// `UUIDv7`.
    pub event_id: Uuid,
    /// `order`, `payment`, `inventory` or `product`.
    pub aggregate_type: String,
    /// Which one: a UUID, or the SKU.
    pub aggregate_id: String,
    /// 1, 2, 3 ... within the aggregate.
    pub sequence: i64,
    /// Stored name, such as `order.placed`.
    pub event_type: String,
    /// Schema version of `payload`.
    pub event_version: String,
    /// JSON, byte for byte.
    pub payload: String,
    /// JSON, byte for byte.
    pub metadata: String,
    /// When it was committed.
    pub recorded_at: DateTime<Utc>,
}

impl StoredEvent {
    /// Reads the line that stands for an event.
    pub fn read(line: &str) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Line<'l> {
            position: i64,
            event_id: Uuid,
            at: DateTime<Utc>,
            aggregate: String,
            aggregate_id: String,
            sequence: i64,
            event: String,
            schema_version: String,
            #[serde(borrow)]
            metadata: &'l RawValue,
            #[serde(borrow)]
            data: &'l RawValue,
        }
        // A text that would have broken the line is told as a string.
        let text = |raw: &RawValue| match raw.get().strip_prefix('"') {
            Some(_) => serde_json::from_str(raw.get()),
            None => Ok(raw.get().to_owned()),
        };
        let line: Line<'_> = serde_json::from_str(line)?;
        Ok(Self {
            position: line.position,
            event_id: line.event_id,
            aggregate_type: line.aggregate,
            aggregate_id: line.aggregate_id,
            sequence: line.sequence,
            event_type: line.event,
            event_version: line.schema_version,
            payload: text(line.data)?,
            metadata: text(line.metadata)?,
            recorded_at: line.at,
        })
    }

    /// The line that stands for the event, without a line feed.
    pub fn line(&self) -> String {
        format!(
            "{{\"position\":{},\"event_id\":\"{}\",\"at\":\"{}\",\"aggregate\":{},\
             \"aggregate_id\":{},\"sequence\":{},\"event\":{},\"schema_version\":{},\
             \"metadata\":{},\"data\":{}}}",
            self.position,
            self.event_id,
            self.recorded_at
                .to_rfc3339_opts(SecondsFormat::Micros, true),
            quoted(&self.aggregate_type),
            quoted(&self.aggregate_id),
            self.sequence,
            quoted(&self.event_type),
            quoted(&self.event_version),
            on_one_line(&self.metadata),
            on_one_line(&self.payload),
        )
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Daybook stores JSON without line breaks. Should somebody else have put one there, the text is
/// told as a string, so that a line stays a line and no two texts become the same.
fn on_one_line(json: &str) -> String {
    if json.contains(['\n', '\r']) {
        quoted(json)
    } else {
        json.to_owned()
    }
}

/// The first events of a slice, in order, at most `limit` and at most [`ROWS_MAX`].
pub async fn page(pool: &PgPool, slice: &Slice, limit: i64) -> sqlx::Result<Vec<StoredEvent>> {
    let mut sql = of_slice(slice, slice.from.unwrap_or(1));
    sql.push(" order by position limit ")
        .push_bind(limit.clamp(0, ROWS_MAX));
    sql.build_query_as().fetch_all(pool).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(payload: &str) -> StoredEvent {
        StoredEvent {
            position: 17,
            event_id: Uuid::from_u128(9),
            aggregate_type: "inventory".to_owned(),
            aggregate_id: "a \"cup\"".to_owned(),
            sequence: 2,
            event_type: "inventory.received".to_owned(),
            event_version: "1".to_owned(),
            payload: payload.to_owned(),
            metadata: r#"{"actor": "staff"}"#.to_owned(),
            recorded_at: "2026-03-01T12:00:00.1Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_line_holds_what_is_stored_byte_for_byte() {
        assert_eq!(
            stored(r#"{"b":1, "a":2.50}"#).line(),
            "{\"position\":17,\"event_id\":\"00000000-0000-0000-0000-000000000009\",\
             \"at\":\"2026-03-01T12:00:00.100000Z\",\"aggregate\":\"inventory\",\
             \"aggregate_id\":\"a \\\"cup\\\"\",\"sequence\":2,\"event\":\"inventory.received\",\
             \"schema_version\":\"1\",\"metadata\":{\"actor\": \"staff\"},\
             \"data\":{\"b\":1, \"a\":2.50}}"
        );
    }

    #[test]
    fn a_line_reads_as_the_event_that_it_stands_for() {
        for payload in [r#"{"b":1, "a":2.50}"#, "{\"a\":\n1}"] {
            let stored = stored(payload);
            assert_eq!(StoredEvent::read(&stored.line()).unwrap(), stored);
        }
        for line in ["", "{}", "[]", r#"{"position":1}"#] {
            assert!(StoredEvent::read(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_line_stays_a_line_and_no_two_texts_become_the_same() {
        let broken = stored("{\"a\":\n1}").line();
        assert!(!broken.contains('\n'));
        assert_ne!(broken, stored("{\"a\": 1}").line());
        assert!(serde_json::from_str::<serde_json::Value>(&broken).is_ok());
    }
}
