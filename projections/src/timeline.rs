//! Timelines: what happened to an order, its payment and its stock, and who did it.
//!
//! Only positions are kept. The events are read from the log itself, so that an auditor sees what
//! is stored and not a copy of it.

mod telling;

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::ids::OrderId;
use domain::person;
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use sqlx::{PgConnection, PgPool};
use store::log::{self, Slice};
use store::recorded::RecordedEvent;
use utoipa::ToSchema;
use uuid::Uuid;

use self::telling::Teller;
use crate::belonging::{forgotten_in, order_of};
use crate::error::Error;
use crate::projection::{Audited, By, Projection};

/// The name of this read model.
pub const NAME: &str = "timeline";

/// One event of an order's timeline.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Entry {
    /// Where it stands in the log.
    pub position: i64,
    /// Its name, by which others say that it caused them.
    pub event_id: Uuid,
    /// When it was recorded.
    pub at: DateTime<Utc>,
    /// `order`, `payment`, `inventory`, `promotion` or `person`.
    pub aggregate: String,
    /// Which one: a UUID, the SKU, or the promotion's code.
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
    /// Positions of the events that it caused, as far as they are the order's.
    pub caused: Vec<i64>,
    /// The HTTP request that stands behind it, if one does.
    pub request_id: Option<String>,
    /// The payload, with personal data as long as it is not forgotten.
    #[schema(value_type = Object)]
    pub data: Box<RawValue>,
}

/// Whether an event tells how, by what or in whose words somebody was judged: that is for staff.
pub fn judges(event: &str, payload: &str) -> bool {
    match event {
        "order.screened" | "order.review_approved" | "order.review_refused" => true,
        "payment.captured" => payload.contains("\"assessment\""),
        _ => false,
    }
}

impl Entry {
    /// The same for whose order it is: that it was judged, but not how, by what and in whose words.
    pub fn for_customer(self) -> Result<Self, Error> {
        let summary = match self.event.as_str() {
            "order.screened" => "screened",
            "order.review_approved" => "approved after a review",
            "order.review_refused" => "refused after a review",
            "payment.captured" => return self.without_assessment(),
            _ => return Ok(self),
        };
        let data = serde_json::value::to_raw_value(&serde_json::json!({"type": self.event}))?;
        Ok(Self { summary: summary.to_owned(), reason: None, data, ..self })
    }

    fn without_assessment(self) -> Result<Self, Error> {
        let mut payload: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(self.data.get())?;
        if payload.remove("assessment").is_none() {
            return Ok(self);
        }
        // How risky somebody seemed is the last part of the sentence.
        let summary = self
            .summary
            .split(", risk ")
            .next()
            .unwrap_or_default()
            .to_owned();
        let data = serde_json::value::to_raw_value(&payload)?;
        Ok(Self { summary, data, ..self })
    }
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
    let mut caused: HashMap<Uuid, Vec<i64>> = HashMap::new();
    for event in events {
        if let Some(cause) = event.metadata.causation_id {
            caused.entry(cause).or_default().push(event.position);
        }
    }
    events
        .iter()
        .map(|recorded| {
            let RecordedEvent { metadata, .. } = recorded.as_ref();
            Ok(Entry {
                position: recorded.position,
                event_id: recorded.event_id,
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
                caused: caused.remove(&recorded.event_id).unwrap_or_default(),
                request_id: metadata.request_id.clone(),
                data: RawValue::from_string(told(recorded))?,
            })
        })
        .collect()
}

/// The payload as it is shown beside one order: which others are of the same person is nobody's
/// business who was given one of them.
fn told(recorded: &RecordedEvent) -> String {
    match &recorded.event {
        Event::Person(person::Event::Forgotten { reason, .. }) => {
            json!({"type": recorded.event_type, "reason": reason}).to_string()
        }
        Event::Order(_)
        | Event::Payment(_)
        | Event::Inventory(_)
        | Event::Product(_)
        | Event::Listing(_)
        | Event::Categories(_)
        | Event::Vendor(_)
        | Event::Promotion(_)
        | Event::Delivery(_) => recorded.payload.to_string(),
    }
}

/// The projector's side.
pub(crate) struct Timeline;

impl Projection for Timeline {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        5
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
        .flat_map(|event| {
            let orders = order_of(event).into_iter();
            let orders = orders.chain(forgotten_in(event).iter().copied());
            orders.map(|order| (order.0, event.position))
        })
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
