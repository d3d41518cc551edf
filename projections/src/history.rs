//! One thing as it was, and what has changed since: folds of the log up to a moment, by the same
//! folds that fill the read models.
//!
//! The log is read, and no read model: an answer about the past needs no table that might have been
//! changed since. An order and its payment have a few dozen events; the stock of an article that sells
//! well has any number, so it is read page by page.

mod changes;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::ids::{OrderId, PaymentId, Sku};
use domain::order;
use serde::Serialize;
use sqlx::PgPool;
use store::log;
use store::recorded::RecordedEvent;
use utoipa::ToSchema;

use self::changes::Changes;
pub use self::changes::{ChangeView, ChangesView};
use crate::as_of::AsOf;
use crate::error::Error;
use crate::orders::{self, Audience, OrderView};
use crate::payments::{self, PaymentView};
use crate::stock::{self, StockView};

/// Which moments are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// How it was then.
    At(AsOf),
    /// What has changed between the two.
    Between {
        /// The earlier moment.
        from: AsOf,
        /// The later one.
        to: AsOf,
    },
}

/// How something was, or what changed of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Was<V> {
    /// As it was then.
    View(Box<V>),
    /// Field by field.
    Changes(ChangesView),
}

/// An event that something follows from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventRef {
    /// Where it stands in the log.
    pub position: i64,
    /// When it was recorded.
    pub at: DateTime<Utc>,
    /// Stored name, such as `order.placed`.
    pub event: String,
}

impl From<&RecordedEvent> for EventRef {
    fn from(recorded: &RecordedEvent) -> Self {
        Self {
            position: recorded.position,
            at: recorded.recorded_at,
            event: recorded.event_type.clone(),
        }
    }
}

/// What one thing's events make of it.
pub(crate) trait Fold: Default {
    type View: Serialize;

    /// Moves on by one event; events come in log order, those of other things do no harm.
    fn take(&mut self, recorded: &RecordedEvent);

    /// As it is shown; `None` while there is no such thing.
    fn view(&self) -> Result<Option<Self::View>, Error>;
}

/// An order, as this audience is shown it; `None` if it was not placed by then.
pub async fn of_order(
    pool: &PgPool,
    id: OrderId,
    asked: Asked,
    audience: Audience,
) -> Result<Option<Was<OrderView>>, Error> {
    let mut events = log::of_aggregate(pool, "order", &id.to_string()).await?;
    let payment_id = events.first().and_then(|first| match &first.event {
        Event::Order(order::Event::Placed(placing)) => Some(placing.payment_id),
        _ => None,
    });
    if let Some(payment_id) = payment_id {
        events.extend(log::of_aggregate(pool, "payment", &payment_id.to_string()).await?);
    }
    events.sort_unstable_by_key(|event| event.position);
    if is_forgotten(pool, id).await? {
        forget(&mut events);
    }
    let mut telling = Telling { fold: orders::Folded::to(audience), ..Telling::of(asked) };
    for event in &events {
        telling.take(event)?;
    }
    telling.told()
}

/// Whether the order's person is forgotten by now, whatever moment is asked about. What was sealed has
/// no key any more; what older programs stored in clear would tell it all the same.
async fn is_forgotten(pool: &PgPool, id: OrderId) -> Result<bool, Error> {
    // The event names its orders, and few events are of persons.
    let select = "select exists (select from events where aggregate_type = 'person' \
                  and position($1 in payload::text) > 0)";
    let exists = sqlx::query_scalar(select).bind(id.to_string());
    Ok(exists.fetch_one(pool).await?)
}

fn forget(events: &mut [Arc<RecordedEvent>]) {
    for recorded in events {
        if let Event::Order(order::Event::Placed(_)) = &recorded.event
            && let Event::Order(order::Event::Placed(placing)) = &mut Arc::make_mut(recorded).event
        {
            placing.forget();
        }
    }
}

/// A payment; `None` if its money was not asked for by then.
pub async fn of_payment(
    pool: &PgPool,
    id: PaymentId,
    asked: Asked,
) -> Result<Option<Was<PaymentView>>, Error> {
    let mut telling = Telling::<payments::Folded>::of(asked);
    for event in &log::of_aggregate(pool, "payment", &id.to_string()).await? {
        telling.take(event)?;
    }
    telling.told()
}

/// The stock of an article; `None` if it had none by then.
pub async fn of_stock(
    pool: &PgPool,
    sku: &Sku,
    asked: Asked,
) -> Result<Option<Was<StockView>>, Error> {
    let mut telling = Telling::<stock::Folded>::of(asked);
    let mut sequence = 0;
    loop {
        let page =
            log::of_aggregate_after(pool, "inventory", sku.as_str(), sequence, log::PAGE_MAX)
                .await?;
        for event in &page.events {
            sequence = event.sequence;
            telling.take(event)?;
        }
        let is_over = page.events.last().is_none_or(|last| telling.is_past(last));
        if !page.more || is_over {
            return telling.told();
        }
    }
}

/// A fold that stops at one moment, and takes note of every step from another one on.
struct Telling<F> {
    asked: Asked,
    fold: F,
    changes: Changes,
}

impl<F: Fold> Telling<F> {
    fn of(asked: Asked) -> Self {
        Self { asked, fold: F::default(), changes: Changes::default() }
    }

    fn take(&mut self, event: &RecordedEvent) -> Result<(), Error> {
        match self.asked {
            Asked::At(to) | Asked::Between { to, .. } if !to.includes(event) => {}
            Asked::Between { from, .. } if !from.includes(event) => {
                let before = self.fold.view()?;
                self.changes.start_with(before.as_ref())?;
                self.fold.take(event);
                let after = self.fold.view()?;
                self.changes.move_to(after.as_ref(), &event.into())?;
            }
            Asked::At(_) | Asked::Between { .. } => self.fold.take(event),
        }
        Ok(())
    }

    /// Whether nothing behind this event is asked about. Times may stand in another order than
    /// positions, so only a position ends the reading.
    fn is_past(&self, event: &RecordedEvent) -> bool {
        let (Asked::At(to) | Asked::Between { to, .. }) = self.asked;
        matches!(to, AsOf::Position(position) if position <= event.position)
    }

    fn told(self) -> Result<Option<Was<F::View>>, Error> {
        let Some(view) = self.fold.view()? else {
            return Ok(None);
        };
        Ok(Some(match self.asked {
            Asked::At(_) => Was::View(Box::new(view)),
            Asked::Between { from, to } => Was::Changes(self.changes.view(from, to)),
        }))
    }
}
