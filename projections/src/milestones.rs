//! Milestones: when each order was placed, paid and fulfilled, or how else it ended; for whoever
//! asks how long orders take.
//!
//! Also the example to copy for a read model of your own (docs/PROJECTIONS.md): a name, a version,
//! tables, and what a batch of events does to them. One row per order, one statement per batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::order;
use futures::future::BoxFuture;
use sqlx::PgConnection;
use store::recorded::RecordedEvent;
use uuid::Uuid;

use crate::error::Error;
use crate::projection::{Audited, By, Projection};
use crate::storable;

/// The name of this read model.
pub const NAME: &str = "milestones";

/// The projector's side. It has no other: analysts read the table by SQL, or export it.
pub(crate) struct Milestones;

impl Projection for Milestones {
    fn name(&self) -> &'static str {
        NAME
    }

    /// To be raised whenever the tables or the fold below change.
    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["milestones"]
    }

    fn audited(&self) -> Vec<Audited> {
        vec![Audited::new("milestones", "order_id", By::Order)]
    }

    fn ddl(&self) -> &'static str {
        include_str!("milestones/tables.sql")
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        batch: &'a [Arc<RecordedEvent>],
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(apply(connection, batch))
    }
}

/// When one order reached what, as far as a batch knows; the rest is in the row already, or to come.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reached {
    placed: Option<DateTime<Utc>>,
    reserved: Option<DateTime<Utc>>,
    paid: Option<DateTime<Utc>>,
    completed: Option<DateTime<Utc>>,
    cancelled: Option<DateTime<Utc>>,
    failed: Option<DateTime<Utc>>,
}

async fn apply(connection: &mut PgConnection, batch: &[Arc<RecordedEvent>]) -> Result<(), Error> {
    let mut orders: BTreeMap<Uuid, Reached> = BTreeMap::new();
    for recorded in batch {
        let (Event::Order(event), Ok(id)) = (&recorded.event, recorded.aggregate_id.parse()) else {
            continue;
        };
        let at = storable::instant(recorded.recorded_at);
        orders.entry(id).or_default().take(event, at);
    }
    if orders.is_empty() {
        return Ok(());
    }
    let all =
        |of: fn(&Reached) -> Option<DateTime<Utc>>| orders.values().map(of).collect::<Vec<_>>();
    sqlx::query(include_str!("milestones/upsert.sql"))
        .bind(orders.keys().copied().collect::<Vec<_>>())
        .bind(all(|order| order.placed))
        .bind(all(|order| order.reserved))
        .bind(all(|order| order.paid))
        .bind(all(|order| order.completed))
        .bind(all(|order| order.cancelled))
        .bind(all(|order| order.failed))
        .execute(connection)
        .await?;
    Ok(())
}

impl Reached {
    fn take(&mut self, event: &order::Event, at: DateTime<Utc>) {
        use order::Event as E;

        match event {
            E::Placed(_) => self.placed = Some(at),
            E::Processing => self.reserved = Some(at),
            E::Confirmed { .. } => self.paid = Some(at),
            E::Completed => self.completed = Some(at),
            E::Cancelled { .. } => self.cancelled = Some(at),
            E::Failed(_) => self.failed = Some(at),
            E::Screened(_)
            | E::LinesShipped(_)
            | E::ReviewApproved { .. }
            | E::ReviewRefused { .. }
            | E::RefundRequested(_)
            | E::Refunded(_)
            | E::RefundFailed { .. } => {}
        }
    }
}
