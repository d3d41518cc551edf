//! The log, for analysts and auditors: in log order, page by page or all of it as it flows.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::{DateTime, Utc};
use exports::events;
use futures::Stream;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::PgPool;
use store::log::{self, Slice};
use store::recorded::RecordedEvent;
use utoipa::ToSchema;
use uuid::Uuid;

use super::App;
use super::forms::Form;
use super::identity::Readers;
use super::parameters::Parameters;
use super::problem::Problem;
use super::queries::{self, Asking};
use super::slicing::{SliceParameters, Wanted};

/// Events of a stream that are in memory at a time; the largest is an order of 2,000 lines.
pub(crate) const STREAM_PAGE_EVENTS: i64 = 200;

/// An event as it stands in the log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventView<'a> {
    /// 1, 2, 3 ... over the whole log
    position: i64,
    event_id: Uuid,
    /// When it was recorded
    at: DateTime<Utc>,
    /// `order`, `payment`, `inventory`, `product`, `person`, `listing` or `categories`
    aggregate: &'a str,
    /// Which one: a UUID, the SKU, or the handle
    aggregate_id: &'a str,
    /// 1, 2, 3 ... within the aggregate
    sequence: i64,
    /// Stored name
    #[schema(example = "order.placed")]
    event: &'a str,
    /// Version of the schema of `data`
    #[schema(example = "2")]
    schema_version: &'a str,
    /// On whose behalf
    actor: &'a str,
    /// Why, in the words of whoever asked
    reason: Option<&'a str>,
    /// The command that it answers
    command_id: Uuid,
    /// What belongs together
    correlation_id: Uuid,
    /// The event that made the checkout process send the command
    causation_id: Option<Uuid>,
    /// The HTTP request that brought the command
    request_id: Option<&'a str>,
    /// The trace that the request was part of
    traceparent: Option<&'a str>,
    /// The payload in its own schema version, with personal data as long as it is not forgotten
    #[schema(value_type = Object)]
    data: &'a RawValue,
}

/// A page of the log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventsPage<'a> {
    /// In log order
    items: Vec<EventView<'a>>,
    /// Where the next page begins; null on the last one
    next_cursor: Option<String>,
}

/// Read the log
///
/// In log order. As `application/x-ndjson` all of the slice, one event a line, and `limit` may be
/// any number; the same as `text/csv`, flat and typed; as JSON page by page.
#[utoipa::path(
    get, path = "/events", tag = "audit", security(("bearer" = ["admin", "analyst", "auditor"])),
    params(
        SliceParameters,
        ("limit" = Option<i64>, Query, minimum = 1, description = "As JSON: 20, and 100 at most"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((
        status = 200, description = "Events",
        content(
            (EventsPage = "application/json"),
            (EventView = "application/x-ndjson"),
            (String = "text/csv"),
        )
    ))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Readers,
    asking: Asking,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let form = Form::wanted(&headers);
    let mut wanted = Wanted::read(&mut parameters);
    let cursor = parameters.optional("cursor", |text| {
        text.parse::<i64>()
            .ok()
            .filter(|position| 0 < *position)
            .ok_or("is no cursor of ours")
    });
    let limit = if form.is_some() {
        parameters
            .integer("limit", 1..=i64::MAX)
            .unwrap_or(i64::MAX)
    } else {
        parameters.limit()
    };
    parameters.finish()?;
    wanted.begin_at(cursor);
    let (position, slice) = wanted.settled(&asking, &app).await?;
    match form {
        Some(form) => {
            let lines = lines(app.pool.clone(), slice, limit);
            Ok(form.streamed(lines, position, &events::COLUMNS, events::row))
        }
        None => page(&app, &slice, limit, position).await,
    }
}

async fn page(app: &App, slice: &Slice, limit: i64, position: i64) -> Result<Response, Problem> {
    let page = log::page(&app.pool, slice, limit).await?;
    let last = page.events.last().filter(|_| page.more);
    let next_cursor = last.map(|last| last.position.saturating_add(1).to_string());
    let items = page
        .events
        .iter()
        .map(|event| view(event))
        .collect::<Result<_, _>>();
    let items = items.map_err(|error| Problem::accident("show an event", &error))?;
    Ok(queries::show(position, &EventsPage { items, next_cursor }))
}

/// All of a slice in pages, so that memory stays bounded however slowly the client reads. An
/// accident breaks the answer off, which the client sees: the last chunk is missing.
pub(crate) fn lines(
    pool: PgPool,
    slice: Slice,
    limit: i64,
) -> impl Stream<Item = Result<Bytes, log::Error>> + Send {
    futures::stream::try_unfold((pool, slice, limit), |(pool, mut slice, left)| async move {
        let page = log::page(&pool, &slice, left.min(STREAM_PAGE_EVENTS)).await;
        let page = page.inspect_err(|error| {
            tracing::error!(error = error as &dyn std::error::Error, "cannot stream the log");
        })?;
        let events = page.events;
        let Some(last) = events.last().map(|last| last.position) else {
            return Ok(None);
        };
        slice.from = Some(last.saturating_add(1));
        let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
        Ok(Some((written(&events), (pool, slice, left.saturating_sub(count)))))
    })
}

fn written(events: &[Arc<RecordedEvent>]) -> Bytes {
    let mut lines = Vec::new();
    for event in events {
        write_line(event, &mut lines);
        lines.push(b'\n');
    }
    lines.into()
}

/// What readers see of an event, as JSON on one line, without a line feed.
pub(crate) fn write_line(event: &RecordedEvent, into: &mut Vec<u8>) {
    let start = into.len();
    let written = view(event).and_then(|view| serde_json::to_writer(&mut *into, &view));
    if let Err(error) = written {
        unreachable!("a payload that was read as JSON is JSON: {error}")
    }
    // Daybook stores JSON without line breaks. Should somebody else have put some into a payload,
    // they stand between its members, and a blank does as well.
    for byte in &mut into[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

fn view(recorded: &RecordedEvent) -> Result<EventView<'_>, serde_json::Error> {
    let metadata = &recorded.metadata;
    Ok(EventView {
        position: recorded.position,
        event_id: recorded.event_id,
        at: recorded.recorded_at,
        aggregate: &recorded.aggregate_type,
        aggregate_id: &recorded.aggregate_id,
        sequence: recorded.sequence,
        event: &recorded.event_type,
        schema_version: &recorded.event_version,
        actor: &metadata.actor,
        reason: metadata.reason.as_deref(),
        command_id: metadata.command_id,
        correlation_id: metadata.correlation_id,
        causation_id: metadata.causation_id,
        request_id: metadata.request_id.as_deref(),
        traceparent: metadata.traceparent.as_deref(),
        data: serde_json::from_str(&recorded.payload)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_a_line_whatever_is_stored() {
        let payload = "{\"type\":\"order.completed\",\r\n \"x\": \"a\\nb\"}";
        let metadata = store::recorded::Metadata {
            command_id: Uuid::nil(),
            correlation_id: Uuid::nil(),
            causation_id: None,
            actor: "staff".into(),
            request_id: None,
            traceparent: None,
            reason: Some("two\nlines".into()),
        };
        let event = RecordedEvent {
            position: 1,
            event_id: Uuid::nil(),
            aggregate_type: "order".into(),
            aggregate_id: "x".into(),
            sequence: 1,
            event_type: "order.completed".into(),
            event_version: "1".into(),
            payload: payload.into(),
            stored: payload.into(),
            metadata,
            recorded_at: DateTime::UNIX_EPOCH,
            event: domain::event::Event::Order(domain::order::Event::Completed),
        };
        let mut line = Vec::new();
        write_line(&event, &mut line);
        let line = String::from_utf8(line).unwrap();
        assert!(!line.contains(['\n', '\r']), "{line}");
        let told: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&told["data"]["x"], &told["reason"]), (&"a\nb".into(), &"two\nlines".into()));
    }
}
