//! Reading the log from Postgres, in order of position.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use cqrs_es::persist::SerializedEvent;
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{PgPool, Postgres, QueryBuilder};

use crate::recorded::{BadRecord, RecordedEvent, Row};

/// Most events of one page: bounds memory and the time a page takes.
pub const PAGE_MAX: i64 = 5_000;

/// Every column of `events`, with json as the text it was stored as.
pub(crate) const SELECT: &str = "select position, event_id, aggregate_type, aggregate_id, sequence, \
    event_type, event_version, payload::text as payload, metadata::text as metadata, recorded_at \
    from events";

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

/// The position of the newest event; 0 for an empty log.
pub async fn head(pool: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar("select position from log_head")
        .fetch_one(pool)
        .await
}

/// The events after a position, in order, at most `limit` and at most [`PAGE_MAX`].
pub async fn after(
    pool: &PgPool,
    position: i64,
    limit: i64,
) -> Result<Vec<Arc<RecordedEvent>>, Error> {
    let slice = Slice { from: Some(position.saturating_add(1)), ..Slice::default() };
    page(pool, &slice, limit).await
}

/// The first events of a slice, in order, at most `limit` and at most [`PAGE_MAX`].
pub async fn page(
    pool: &PgPool,
    slice: &Slice,
    limit: i64,
) -> Result<Vec<Arc<RecordedEvent>>, Error> {
    let mut sql: QueryBuilder<'_, Postgres> = QueryBuilder::new(SELECT);
    sql.push(" where position between ")
        .push_bind(slice.from.unwrap_or(1));
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
    sql.push(" order by position limit ")
        .push_bind(limit.clamp(0, PAGE_MAX));
    let rows: Vec<Row> = sql.build_query_as().fetch_all(pool).await?;
    rows.into_iter()
        .map(|row| Ok(Arc::new(row.try_into()?)))
        .collect()
}

/// All events of one stream, in order of sequence.
pub async fn of_aggregate(
    pool: &PgPool,
    aggregate_type: &str,
    aggregate_id: &str,
) -> Result<Vec<Arc<RecordedEvent>>, Error> {
    let mut sql: QueryBuilder<'_, Postgres> = QueryBuilder::new(SELECT);
    sql.push(" where aggregate_type = ")
        .push_bind(aggregate_type);
    sql.push(" and aggregate_id = ").push_bind(aggregate_id);
    sql.push(" order by sequence");
    let rows: Vec<Row> = sql.build_query_as().fetch_all(pool).await?;
    rows.into_iter()
        .map(|row| Ok(Arc::new(row.try_into()?)))
        .collect()
}

/// All events of some streams of one type, in order of sequence within each.
pub(crate) async fn of_aggregates(
    pool: &PgPool,
    aggregate_type: &str,
    aggregate_ids: &[String],
) -> Result<Vec<SerializedEvent>, sqlx::Error> {
    let rows: Vec<Columns> = sqlx::query_as(
        "select aggregate_id, sequence, event_type, event_version, payload, metadata \
         from events where aggregate_type = $1 and aggregate_id = any($2) \
         order by aggregate_id, sequence",
    )
    .bind(aggregate_type)
    .bind(aggregate_ids)
    .fetch_all(pool)
    .await?;
    Ok(serialized(aggregate_type, rows))
}

/// The events of one stream after a sequence, in order of sequence.
pub(crate) async fn of_aggregate_after(
    pool: &PgPool,
    aggregate_type: &str,
    aggregate_id: &str,
    sequence: i64,
) -> Result<Vec<SerializedEvent>, sqlx::Error> {
    let rows: Vec<Columns> = sqlx::query_as(
        "select aggregate_id, sequence, event_type, event_version, payload, metadata \
         from events where aggregate_type = $1 and aggregate_id = $2 and $3 < sequence \
         order by sequence",
    )
    .bind(aggregate_type)
    .bind(aggregate_id)
    .bind(sequence)
    .fetch_all(pool)
    .await?;
    Ok(serialized(aggregate_type, rows))
}

/// What cqrs-es wants to know of an event, but for the type of its aggregate.
type Columns = (String, i64, String, String, Json<Value>, Json<Value>);

fn serialized(aggregate_type: &str, rows: Vec<Columns>) -> Vec<SerializedEvent> {
    rows.into_iter()
        .map(|(aggregate_id, sequence, event_type, event_version, payload, metadata)| {
            SerializedEvent::new(
                aggregate_id,
                usize::try_from(sequence).unwrap_or(usize::MAX),
                aggregate_type.to_owned(),
                event_type,
                event_version,
                payload.0,
                metadata.0,
            )
        })
        .collect()
}
