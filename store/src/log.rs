//! Reading the log from Postgres, in order of position.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::{PgPool, Postgres, QueryBuilder};

use crate::recorded::{self, BadRecord, RecordedEvent, Row};

/// Most events of one page: bounds memory and the time a page takes.
pub const PAGE_MAX: i64 = 5_000;
/// Bytes after which a page ends, whatever it was asked for.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Rows that are fetched at a time: a page exceeds its bytes by at most so many events of half a
/// megabyte.
const ROWS_MAX: i64 = 250;

/// Every column of `events`, with json as the text it was stored as.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select position, event_id, aggregate_type, aggregate_id, sequence, event_type, \
             event_version, payload::text as payload, metadata::text as metadata, recorded_at \
             from events ",
            $rest
        )
    };
}

/// Why the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not answer.
    #[error("the log cannot be read: {0}")]
    Database(#[from] sqlx::Error),
    /// A row cannot be understood.
    #[error(transparent)]
    Record(#[from] BadRecord),
}

/// A slice of the log. What is not given does not restrict.
#[derive(Debug, Clone, Default)]
pub struct Slice {
    /// First position.
    pub from: Option<i64>,
    /// Last position.
    pub to: Option<i64>,
    /// Recorded at or after.
    pub since: Option<DateTime<Utc>>,
    /// Recorded before.
    pub until: Option<DateTime<Utc>>,
    /// Aggregate type.
    pub aggregate: Option<String>,
    /// Aggregate id.
    pub aggregate_id: Option<String>,
    /// Stored event name.
    pub event_type: Option<String>,
    /// Only events at these positions (how an order's events are found).
    pub positions: Option<Vec<i64>>,
}

impl Slice {
    /// Whether an event belongs to the slice: what [`page`] asks the database, asked of an event
    /// at hand.
    pub fn holds(&self, event: &RecordedEvent) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        self.from.is_none_or(|from| from <= event.position)
            && self.to.is_none_or(|to| event.position <= to)
            && self.since.is_none_or(|since| since <= event.recorded_at)
            && self.until.is_none_or(|until| event.recorded_at < until)
            && is(&self.aggregate, &event.aggregate_type)
            && is(&self.aggregate_id, &event.aggregate_id)
            && is(&self.event_type, &event.event_type)
            && self
                .positions
                .as_ref()
                .is_none_or(|positions| positions.contains(&event.position))
    }
}

/// The position of the newest event; 0 for an empty log.
pub async fn head(pool: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar("select position from log_head")
        .fetch_one(pool)
        .await
}

/// The position of the last event that was recorded before an instant, or one near it: the clocks
/// of several writers differ, and so does the order of their times.
pub async fn position_before(pool: &PgPool, at: DateTime<Utc>) -> sqlx::Result<i64> {
    let (mut before, mut after) = (0, head(pool).await?.saturating_add(1));
    while before + 1 < after {
        let middle = before + (after - before) / 2;
        let recorded_at: DateTime<Utc> =
            sqlx::query_scalar("select recorded_at from events where position = $1")
                .bind(middle)
                .fetch_one(pool)
                .await?;
        if recorded_at < at {
            before = middle;
        } else {
            after = middle;
        }
    }
    Ok(before)
}

/// Events in order of position.
#[derive(Debug)]
pub struct Page {
    /// As many as were asked for, or fewer where they are large; at least one if there is one.
    pub events: Vec<Arc<RecordedEvent>>,
    /// Whether there may be more behind them.
    pub more: bool,
}

/// The events after a position, in order, at most `limit` and at most [`PAGE_MAX`]; fewer where
/// they are large, but at least one if there is one.
pub async fn after(
    pool: &PgPool,
    position: i64,
    limit: i64,
) -> Result<Vec<Arc<RecordedEvent>>, Error> {
    Ok(page_after(pool, position, limit).await?.events)
}

/// As [`after`]. One statement for all pages, because this is how readers catch up.
pub(crate) async fn page_after(pool: &PgPool, position: i64, limit: i64) -> Result<Page, Error> {
    let mut reading = Reading::of(limit.clamp(0, PAGE_MAX));
    while let Some(rows_max) = reading.rows_max() {
        let rows = sqlx::query_as(select!("where $1 < position order by position limit $2"))
            .bind(reading.last().unwrap_or(position))
            .bind(rows_max)
            .fetch_all(pool)
            .await?;
        reading.take(pool, rows, rows_max).await?;
    }
    Ok(reading.page)
}

/// The first events of a slice, in order, at most `limit` and at most [`PAGE_MAX`].
pub async fn page(pool: &PgPool, slice: &Slice, limit: i64) -> Result<Page, Error> {
    let limit = limit.clamp(0, PAGE_MAX);
    // One more than asked for tells whether there is more.
    let mut reading = Reading::of(limit + 1);
    while let Some(rows_max) = reading.rows_max() {
        let next = reading.last().map(|last| last.saturating_add(1));
        let mut sql = of_slice(slice, next.or(slice.from).unwrap_or(1));
        sql.push(" order by position limit ").push_bind(rows_max);
        let rows = sql.build_query_as().fetch_all(pool).await?;
        reading.take(pool, rows, rows_max).await?;
    }
    let mut page = reading.page;
    if usize::try_from(limit).is_ok_and(|limit| limit < page.events.len()) {
        page.events.pop();
    }
    Ok(page)
}

/// A page that is being read, some rows at a time.
struct Reading {
    page: Page,
    /// How many events are wanted yet.
    left: i64,
    bytes: usize,
}

impl Reading {
    fn of(limit: i64) -> Self {
        Self { page: Page { events: Vec::new(), more: true }, left: limit, bytes: 0 }
    }

    fn last(&self) -> Option<i64> {
        self.page.events.last().map(|last| last.position)
    }

    /// How many rows to fetch next, if any.
    fn rows_max(&self) -> Option<i64> {
        let goes_on = self.page.more && 0 < self.left && self.bytes < PAGE_BYTES_MAX;
        goes_on.then(|| self.left.min(ROWS_MAX))
    }

    async fn take(&mut self, pool: &PgPool, rows: Vec<Row>, rows_max: i64) -> Result<(), Error> {
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        self.left -= count;
        self.page.more = count == rows_max;
        for event in recorded::read(pool, rows).await? {
            self.bytes += event.payload.len();
            self.page.events.push(Arc::new(event));
        }
        Ok(())
    }
}

pub(crate) fn of_slice(slice: &Slice, from: i64) -> QueryBuilder<'_, Postgres> {
    let mut sql = QueryBuilder::new(select!("where position between "));
    sql.push_bind(from);
    sql.push(" and ").push_bind(slice.to.unwrap_or(i64::MAX));
    if let Some(since) = slice.since {
        sql.push(" and recorded_at >= ").push_bind(since);
    }
    if let Some(until) = slice.until {
        sql.push(" and recorded_at < ").push_bind(until);
    }
    if let Some(aggregate) = &slice.aggregate {
        sql.push(" and aggregate_type = ").push_bind(aggregate);
    }
    if let Some(aggregate_id) = &slice.aggregate_id {
        sql.push(" and aggregate_id = ").push_bind(aggregate_id);
    }
    if let Some(event_type) = &slice.event_type {
        sql.push(" and event_type = ").push_bind(event_type);
    }
    if let Some(positions) = &slice.positions {
        sql.push(" and position = any(")
            .push_bind(positions)
            .push(")");
    }
    sql
}

/// All events of one stream, in order of sequence.
pub async fn of_aggregate(
    pool: &PgPool,
    aggregate_type: &str,
    aggregate_id: &str,
) -> Result<Vec<Arc<RecordedEvent>>, Error> {
    let rows: Vec<Row> = sqlx::query_as(select!(
        "where aggregate_type = $1 and aggregate_id = $2 order by sequence"
    ))
    .bind(aggregate_type)
    .bind(aggregate_id)
    .fetch_all(pool)
    .await?;
    let events = recorded::read(pool, rows).await?;
    Ok(events.into_iter().map(Arc::new).collect())
}

/// The events of one stream after a sequence, in order, a page of them: a stream may be of any length.
pub async fn of_aggregate_after(
    pool: &PgPool,
    aggregate_type: &str,
    aggregate_id: &str,
    sequence: i64,
    limit: i64,
) -> Result<Page, Error> {
    let mut reading = Reading::of(limit.clamp(0, PAGE_MAX));
    while let Some(rows_max) = reading.rows_max() {
        let last = reading.page.events.last().map(|last| last.sequence);
        let rows = sqlx::query_as(select!(
            "where aggregate_type = $1 and aggregate_id = $2 and $3 < sequence \
             order by sequence limit $4"
        ))
        .bind(aggregate_type)
        .bind(aggregate_id)
        .bind(last.unwrap_or(sequence))
        .bind(rows_max)
        .fetch_all(pool)
        .await?;
        reading.take(pool, rows, rows_max).await?;
    }
    Ok(reading.page)
}

/// A place in the streams of one type, in the order in which their primary key has them.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Of which stream.
    pub aggregate_id: String,
    /// Which of its events; 0 for before the first.
    pub sequence: i64,
}

/// The events of all streams of one type after a place, stream by stream, a page of them: for whoever
/// goes through all of them and need not know in which order the streams were written.
pub async fn of_type_after(
    pool: &PgPool,
    aggregate_type: &str,
    place: &Place,
    limit: i64,
) -> Result<Page, Error> {
    let mut reading = Reading::of(limit.clamp(0, PAGE_MAX));
    while let Some(rows_max) = reading.rows_max() {
        let last = reading.page.events.last();
        let (id, sequence) = last.map_or((place.aggregate_id.as_str(), place.sequence), |last| {
            (last.aggregate_id.as_str(), last.sequence)
        });
        let rows = sqlx::query_as(select!(
            "where aggregate_type = $1 and ($2, $3) < (aggregate_id, sequence) \
             order by aggregate_id, sequence limit $4"
        ))
        .bind(aggregate_type)
        .bind(id)
        .bind(sequence)
        .bind(rows_max)
        .fetch_all(pool)
        .await?;
        reading.take(pool, rows, rows_max).await?;
    }
    Ok(reading.page)
}

/// All events of some streams of one type, in order of position: of aggregates that end some day.
pub async fn of_aggregates(
    pool: &PgPool,
    aggregate_type: &str,
    aggregate_ids: &[String],
) -> Result<Vec<Arc<RecordedEvent>>, Error> {
    let rows: Vec<Row> = sqlx::query_as(select!(
        "where aggregate_type = $1 and aggregate_id = any($2) order by position"
    ))
    .bind(aggregate_type)
    .bind(aggregate_ids)
    .fetch_all(pool)
    .await?;
    let events = recorded::read(pool, rows).await?;
    Ok(events.into_iter().map(Arc::new).collect())
}
