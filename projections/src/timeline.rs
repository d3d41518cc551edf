//! Timelines: what happened to an order, its payment and its stock, and who did it.
//!
//! Only positions are kept. The events are read from the log itself, so that an auditor sees what
//! is stored and not a copy of it.

mod telling;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::ids::OrderId;
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::{PgConnection, PgPool};
use store::log::{self, Slice};
use store::recorded::RecordedEvent;
use utoipa::ToSchema;
use uuid::Uuid;

use self::telling::Teller;
use crate::belonging::order_of;
use crate::error::Error;
use crate::projection::{Audited, By, Projection};

/// The name of this read model.
pub const NAME: &str = "timeline";

/// One event of an order's timeline.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Entry {
    /// Where it stands in the log.
    pub position: i64,
    /// When it was recorded.
    pub at: DateTime<Utc>,
    /// `order`, `payment` or `inventory`.
    pub aggregate: String,
    /// Which one: a UUID, or the SKU.
    pub aggregate_id: String,
    /// Its number within the aggregate.
    pub sequence: i64,
    /// Stored name, such as `order.placed`.
    pub event: String,
    /// What happened, for people.
    #[schema(example = "3 × 85123A reserved until 12:30")]
    pub summary: String,
    /// Who did it.
    pub actor: String,
    /// Why, in the words of whoever asked.
    pub reason: Option<String>,
    /// The command that it answers.
    pub command_id: Uuid,
    /// What belongs together.
    pub correlation_id: Uuid,
    /// The event that made the checkout process send the command.
    pub causation_id: Option<Uuid>,
    /// The payload as stored.
    #[schema(value_type = Object)]
    pub data: Box<RawValue>,
}

/// The timeline of an order, in log order; empty if there is no such order.
pub async fn of_order(pool: &PgPool, id: OrderId) -> Result<Vec<Entry>, Error> {
    tell(&events_of(pool, id).await?)
}

/// The events of an order, its payment and its stock, in log order.
pub async fn events_of(pool: &PgPool, id: OrderId) -> Result<Vec<Arc<RecordedEvent>>, Error> {
    let positions = positions_of(pool, id).await?;
    let page = usize::try_from(log::PAGE_MAX).unwrap_or(usize::MAX);
    let mut events = Vec::with_capacity(positions.len());
    for positions in positions.chunks(page) {
        let mut slice = Slice {
            from: positions.first().copied(),
            to: positions.last().copied(),
            positions: Some(positions.to_vec()),
            ..Slice::default()
        };
        let mut more = true;
        while more {
            let page = log::page(pool, &slice, log::PAGE_MAX).await?;
            slice.from = page.events.last().map(|last| last.position + 1);
            more = page.more;
            events.extend(page.events);
        }
    }
    Ok(events)
}

/// Where the events of an order stand in the log, in order.
pub async fn positions_of(pool: &PgPool, id: OrderId) -> Result<Vec<i64>, Error> {
    let select = "select position from timeline where order_id = $1 order by position";
    Ok(sqlx::query_scalar(select)
        .bind(id.0)
        .fetch_all(pool)
        .await?)
}

/// Tells the events of one order, given from the first one on.
pub fn tell(events: &[Arc<RecordedEvent>]) -> Result<Vec<Entry>, Error> {
    let mut teller = Teller::default();
    events
        .iter()
        .map(|recorded| {
            let RecordedEvent { metadata, .. } = recorded.as_ref();
            Ok(Entry {
                position: recorded.position,
                at: recorded.recorded_at,
                aggregate: recorded.aggregate_type.clone(),
                aggregate_id: recorded.aggregate_id.clone(),
                sequence: recorded.sequence,
                event: recorded.event_type.clone(),
                summary: teller.tell(recorded),
                actor: metadata.actor.clone(),
                reason: metadata.reason.clone(),
                command_id: metadata.command_id,
                correlation_id: metadata.correlation_id,
                causation_id: metadata.causation_id,
                data: RawValue::from_string(recorded.payload.to_string())?,
            })
        })
        .collect()
}

/// The projector's side.
pub(crate) struct Timeline;

impl Projection for Timeline {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["timeline"]
    }

    fn audited(&self) -> Vec<Audited> {
        vec![Audited::new("timeline", "order_id", By::Event)]
    }

    fn ddl(&self) -> &'static str {
        include_str!("timeline/tables.sql")
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        batch: &'a [Arc<RecordedEvent>],
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(apply(connection, batch))
    }
}

async fn apply(connection: &mut PgConnection, batch: &[Arc<RecordedEvent>]) -> Result<(), Error> {
    let mut entries: Vec<(Uuid, i64)> = batch
        .iter()
        .filter_map(|event| order_of(event).map(|order| (order.0, event.position)))
        .collect();
    // In the order of the index, whose pages are then touched one after another.
    entries.sort_unstable();
    let (orders, positions): (Vec<Uuid>, Vec<i64>) = entries.into_iter().unzip();
    let insert = "insert into timeline (order_id, position) \
                  select unnest($1::uuid[]), unnest($2::bigint[])";
    sqlx::query(insert)
        .bind(orders)
        .bind(positions)
        .execute(connection)
        .await?;
    Ok(())
}
