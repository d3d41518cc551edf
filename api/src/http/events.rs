//! The log, for analysts and auditors: in log order, page by page or all of it as it flows.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::ids::OrderId;
use futures::Stream;
use projections::timeline;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::PgPool;
use store::log::{self, Slice};
use store::recorded::RecordedEvent;
use utoipa::ToSchema;
use uuid::Uuid;

use super::App;
use super::command::DAYBOOK_POSITION;
use super::identity::Readers;
use super::parameters::Parameters;
use super::problem::Problem;
use super::queries::{self, Asking};

const NDJSON: &str = "application/x-ndjson";
const AGGREGATES: [&str; 4] = ["order", "payment", "inventory", "product"];
/// Events of a stream that are in memory at a time; the largest is an order of 2,000 lines.
const STREAM_PAGE_EVENTS: i64 = 200;

/// An event as it stands in the log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventView<'a> {
    /// 1, 2, 3 ... over the whole log
    position: i64,
    event_id: Uuid,
    /// When it was recorded
    at: DateTime<Utc>,
    /// `order`, `payment`, `inventory` or `product`
    aggregate: &'a str,
    /// Which one: a UUID, or the SKU
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
    /// The payload as stored, in its own schema version
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
/// any number; as JSON page by page.
#[utoipa::path(
    get, path = "/events", tag = "audit", security(("bearer" = ["admin", "analyst", "auditor"])),
    params(
        ("from" = Option<i64>, Query, description = "First position"),
        ("to" = Option<i64>, Query, description = "Last position"),
        ("since" = Option<String>, Query, description = "Recorded then or later; time or day"),
        ("until" = Option<String>, Query, description = "Recorded before then"),
        ("aggregate" = Option<String>, Query, description = "order, payment, inventory or product"),
        ("aggregate_id" = Option<String>, Query, description = "A UUID, or the SKU"),
        ("type" = Option<String>, Query, description = "Stored name, such as order.placed"),
        ("order_id" = Option<Uuid>, Query, description = "Of this order, its payment, its stock"),
        ("limit" = Option<i64>, Query, minimum = 1, description = "As JSON: 20, and 100 at most"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((
        status = 200, description = "Events",
        content((EventsPage = "application/json"), (EventView = "application/x-ndjson"))
    ))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Readers,
    asking: Asking,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let streamed = queries::accepts(&headers, NDJSON);
    let mut slice = slice(&mut parameters);
    let order_id = parameters.optional("order_id", str::parse::<OrderId>);
    let limit = if streamed {
        parameters
            .integer("limit", 1..=i64::MAX)
            .unwrap_or(i64::MAX)
    } else {
        parameters.limit()
    };
    parameters.finish()?;
    let mut position = asking.log_position(&app).await?;
    if let Some(order_id) = order_id {
        position = asking.position(&app, &[timeline::NAME]).await?;
        let positions = timeline::positions_of(app.read_models.reads(), order_id).await?;
        slice.positions = Some(positions);
    }
    slice.to = Some(slice.to.unwrap_or(position).min(position));
    if streamed {
        Ok(stream(&app, slice, limit, position))
    } else {
        page(&app, &slice, limit, position).await
    }
}

fn slice(parameters: &mut Parameters) -> Slice {
    let names: Vec<&str> = Event::names().collect();
    let from = parameters.integer("from", 0..=i64::MAX);
    let cursor = parameters.optional("cursor", |text| {
        text.parse::<i64>()
            .ok()
            .filter(|position| 0 < *position)
            .ok_or("is no cursor of ours")
    });
    Slice {
        from: cursor.max(from),
        to: parameters.integer("to", 0..=i64::MAX),
        since: parameters.instant("since"),
        until: parameters.instant("until"),
        aggregate: parameters.one_of("aggregate", &AGGREGATES),
        aggregate_id: parameters.text("aggregate_id"),
        event_type: parameters.one_of("type", &names),
        positions: None,
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

fn stream(app: &App, slice: Slice, limit: i64, position: i64) -> Response {
    let lines = lines(app.pool.clone(), slice, limit);
    let headers = [
        (header::CONTENT_TYPE, NDJSON),
        (header::CACHE_CONTROL, "private, no-cache"),
    ];
    let mut response = (headers, Body::from_stream(lines)).into_response();
    response
        .headers_mut()
        .insert(DAYBOOK_POSITION, position.into());
    response
}

/// All of a slice in pages, so that memory stays bounded however slowly the client reads. An
/// accident breaks the answer off, which the client sees: the last chunk is missing.
fn lines(
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
        match view(event).and_then(|view| serde_json::to_writer(&mut lines, &view)) {
            Ok(()) => lines.push(b'\n'),
            Err(error) => unreachable!("a payload that was read as JSON is JSON: {error}"),
        }
    }
    lines.into()
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
    fn a_cursor_goes_on_where_the_page_ended() {
        let of = |query| {
            let mut parameters = Parameters::of(query);
            let slice = slice(&mut parameters);
            parameters.finish().map(|()| slice.from).ok()
        };
        assert_eq!(of("from=3&cursor=7"), Some(Some(7)));
        assert_eq!(of("from=3"), Some(Some(3)));
        assert_eq!(of(""), Some(None));
        for query in [
            "cursor=x",
            "from=-1",
            "aggregate=basket",
            "type=order.eaten",
        ] {
            assert_eq!(of(query), None, "{query}");
        }
    }
}
