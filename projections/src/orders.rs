//! Orders: what was ordered, how far it is, whether it is paid.
//!
//! Two rows per order: what was fixed when it was placed, and what has moved since; each with what
//! lists filter by.

mod converted;
mod fold;
pub(crate) mod lookup;
mod rows;
mod stored;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::ids::{OrderId, PaymentId, Sku};
use domain::order::Review;
use domain::personal::Hidden;
use domain::placing::Placing;
use futures::future::BoxFuture;
use sqlx::{PgConnection, PgExecutor, PgPool, Postgres, QueryBuilder};
use store::recorded::RecordedEvent;
use uuid::Uuid;

pub use self::converted::{ConversionView, QuoteView};
pub(crate) use self::fold::Folded;
use self::fold::Progress;
pub use self::lookup::LookupError;
pub use self::stored::{Shown, Stored};
pub use self::view::{
    AddressView, Audience, CustomerView, DaysView, DiscountView, ItemView, OrderSummary, OrderView,
    PickupPointView, REVIEWS, ReasonView, ScreeningView, ShipmentView, ShippingView, Status,
    UnknownStatus,
};
use crate::belonging::{forgotten_in, order_of};
use crate::error::Error;
use crate::money::MoneyView;
use crate::paging::{self, Cursor, Page};
use crate::projection::{Audited, By, Projection};
use crate::storable;

/// The name of this read model.
pub const NAME: &str = "orders";

/// Which orders to list. What is not given does not restrict.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// How far they have come.
    pub status: Option<Status>,
    /// Whether staff have to look at them.
    pub review: Option<Review>,
    /// The customer's address, however it is written.
    pub customer_email: Option<String>,
    /// Holding this article.
    pub sku: Option<Sku>,
    /// Sent to this country.
    pub country: Option<String>,
    /// Placed then or later.
    pub placed_from: Option<DateTime<Utc>>,
    /// Placed then or earlier.
    pub placed_to: Option<DateTime<Utc>>,
    /// Belonging to them.
    pub owner: Option<Owner>,
}

/// Somebody with an account, and the orders that are theirs.
#[derive(Debug, Clone)]
pub struct Owner {
    /// Their account, and those that were merged into it.
    pub accounts: Vec<Uuid>,
    /// The address that they have proved: what was ordered under it without an account is theirs.
    pub email: Option<String>,
}

/// Orders, newest first.
pub async fn list(
    database: impl PgExecutor<'_>,
    filter: &Filter,
    limit: i64,
    after: Option<Cursor>,
) -> Result<Page<OrderSummary>, Error> {
    // Ordered by the columns of whichever table has the index that leads.
    let leading = match filter {
        Filter { sku: Some(_), .. } => "order_skus",
        // A customer's orders are few, a country's may be most of them; few are ever reviewed.
        Filter { status: Some(_), customer_email: None, .. }
        | Filter { review: Some(Review::Held | Review::Approved | Review::Refused), .. } => {
            "order_progress"
        }
        _ => "orders",
    };
    let (by, id) = (format!("{leading}.placed_at"), format!("{leading}.order_id"));
    let mut sql: QueryBuilder<'_, Postgres> = QueryBuilder::new(
        "select orders.order_id, status, payment_status, review, customer_name, customer_email, country, \
         currency, total_minor, shipping_minor, shipping_method, refunded_minor, version, \
         orders.placed_at, updated_at \
         from orders join order_progress using (order_id)",
    );
    match &filter.sku {
        Some(sku) => sql
            .push(" join order_skus using (order_id) where sku = ")
            .push_bind(sku.as_str()),
        None => sql.push(" where true"),
    };
    if let Some(status) = filter.status {
        sql.push(" and status = ").push_bind(status.as_str());
    }
    if let Some(review) = filter.review {
        // In words, so that the index of those that are not `none` is seen to serve.
        sql.push(format_args!(" and review = '{}'", view::review_name(review)));
    }
    if let Some(email) = &filter.customer_email {
        sql.push(" and email_key = ")
            .push_bind(storable::email_key(email));
    }
    if let Some(country) = &filter.country {
        sql.push(" and country = ")
            .push_bind(storable::key(country));
    }
    if let Some(from) = filter.placed_from {
        sql.push(format_args!(" and {by} >= "))
            .push_bind(storable::instant(from));
    }
    if let Some(to) = filter.placed_to {
        sql.push(format_args!(" and {by} <= "))
            .push_bind(storable::instant(to));
    }
    if let Some(owner) = &filter.owner {
        sql.push(" and (customer_id = any(")
            .push_bind(&owner.accounts)
            .push(")");
        if let Some(email) = &owner.email {
            sql.push(" or customer_id is null and email_key = ")
                .push_bind(storable::email_key(email));
        }
        sql.push(")");
    }
    if let Some(Cursor { at, id: last }) = after {
        sql.push(format_args!(" and ({by}, {id}) < ("))
            .push_bind(at);
        sql.push(", ").push_bind(last).push(")");
    }
    sql.push(format_args!(" order by {by} desc, {id} desc limit "));
    sql.push(paging::rows_for(limit));
    let rows: Vec<SummaryRow> = sql.build_query_as().fetch_all(database).await?;
    let items = rows
        .into_iter()
        .map(SummaryRow::view)
        .collect::<Result<Vec<_>, Error>>()?;
    let cursor = |order: &OrderSummary| Cursor { at: order.placed_at, id: order.id.0 }.to_string();
    Ok(paging::page(items, limit, cursor))
}

/// An order, and the payment that carries its money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Belonging {
    /// Which order.
    pub order_id: OrderId,
    /// Its payment.
    pub payment_id: PaymentId,
}

/// Which orders are somebody's.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// Their addresses, however they are written.
    pub emails: &'a [String],
    /// Their accounts.
    pub accounts: &'a [Uuid],
    /// Whether an order under their address is also theirs where somebody else's account placed it.
    pub whoever_placed: bool,
}

/// The orders of somebody whose personal data is not forgotten yet: at most `limit`.
pub async fn of_person(
    pool: &PgPool,
    person: Person<'_>,
    limit: i64,
) -> Result<Vec<Belonging>, Error> {
    #[derive(serde::Deserialize)]
    struct Paid {
        payment_id: PaymentId,
    }
    let keys: Vec<String> = person
        .emails
        .iter()
        .map(|email| storable::email_key(email))
        .collect();
    let forgotten = storable::email_key(&Hidden::Forgotten.customer().email);
    let rows: Vec<(Uuid, String)> = sqlx::query_as(
        "select order_id, placed::text from orders \
         where (email_key = any($1) and ($5 or customer_id is null) or customer_id = any($2)) \
         and email_key <> $3 limit $4",
    )
    .bind(keys)
    .bind(person.accounts)
    .bind(forgotten)
    .bind(limit)
    .bind(person.whoever_placed)
    .fetch_all(pool)
    .await?;
    let belonging = |(order_id, placed): (Uuid, String)| {
        let Paid { payment_id } = serde_json::from_str(&placed)?;
        Ok(Belonging { order_id: OrderId(order_id), payment_id })
    };
    rows.into_iter().map(belonging).collect()
}

/// Whether an order of somebody that is confirmed or completed holds an article.
pub async fn has_bought(pool: &PgPool, owner: &Owner, sku: &Sku) -> Result<bool, Error> {
    Ok(sqlx::query_scalar(
        "select exists (select from orders join order_progress using (order_id) \
         where (customer_id = any($1) or customer_id is null and email_key = $2) \
         and status in ('confirmed', 'completed') and exists (select from order_skus \
             where order_skus.sku = $3 and order_skus.placed_at = orders.placed_at \
             and order_skus.order_id = orders.order_id))",
    )
    .bind(&owner.accounts)
    .bind(owner.email.as_deref().map(storable::email_key))
    .bind(sku.as_str())
    .fetch_one(pool)
    .await?)
}

#[derive(sqlx::FromRow)]
struct SummaryRow {
    order_id: Uuid,
    status: String,
    payment_status: String,
    review: String,
    customer_name: String,
    customer_email: String,
    country: String,
    currency: String,
    total_minor: i64,
    shipping_minor: i64,
    shipping_method: Option<String>,
    refunded_minor: i64,
    version: i64,
    placed_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// The projector's side.
pub(crate) struct Orders;

impl Projection for Orders {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        7
    }

    fn tables(&self) -> &'static [&'static str] {
        &["orders", "order_progress", "order_skus"]
    }

    fn audited(&self) -> Vec<Audited> {
        vec![
            Audited::new("orders", "order_id", By::Order),
            Audited::new("order_progress", "order_id", By::Order),
            Audited {
                narrowed: Some("t.sku = any($2) and t.placed_at = any($3)"),
                ..Audited::new("order_skus", "order_id", By::Order)
            },
        ]
    }

    fn ddl(&self) -> &'static str {
        include_str!("orders/tables.sql")
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        batch: &'a [Arc<RecordedEvent>],
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(apply(connection, batch))
    }
}

/// A batch's orders in memory, before and after.
#[derive(Default)]
struct Batch {
    /// Placed in this batch.
    new: BTreeMap<OrderId, (Placing, Progress)>,
    /// Placed before; moved in this batch.
    moved: BTreeMap<OrderId, Progress>,
}

async fn apply(connection: &mut PgConnection, events: &[Arc<RecordedEvent>]) -> Result<(), Error> {
    let about: Vec<(OrderId, &RecordedEvent)> = events
        .iter()
        .filter(|event| matches!(event.event, Event::Order(_) | Event::Payment(_)))
        .filter_map(|event| order_of(event).map(|id| (id, event.as_ref())))
        .collect();
    let mut batch = Batch { moved: rows::load(connection, &about).await?, ..Batch::default() };
    for (id, event) in about {
        batch.take(id, event);
    }
    let forgotten: Vec<OrderId> = events
        .iter()
        .flat_map(|event| forgotten_in(event))
        .copied()
        .collect();
    rows::insert(connection, &batch.new).await?;
    rows::update(connection, &batch.moved).await?;
    // Last, as their orders stand before them in the log.
    rows::forget(connection, &forgotten).await
}

impl Batch {
    fn take(&mut self, id: OrderId, event: &RecordedEvent) {
        if let Some(order) = fold::placed(event) {
            self.new.insert(id, order);
        } else if let Some((_, progress)) = self.new.get_mut(&id) {
            progress.take(event);
        } else if let Some(progress) = self.moved.get_mut(&id) {
            progress.take(event);
        }
        // What is left is a payment correlated with no order: it has a row in `payments`.
    }
}

impl SummaryRow {
    fn view(self) -> Result<OrderSummary, Error> {
        let currency = storable::named(&self.currency)?;
        Ok(OrderSummary {
            id: OrderId(self.order_id),
            status: storable::named(&self.status)?,
            payment_status: storable::named(&self.payment_status)?,
            review: storable::named(&self.review)?,
            customer: CustomerView {
                name: self.customer_name,
                email: self.customer_email,
                phone: None,
            },
            country: self.country,
            total: MoneyView::of(self.total_minor, currency),
            shipping_cost: MoneyView::of(self.shipping_minor, currency),
            shipping_method: self.shipping_method,
            refunded: MoneyView::of(self.refunded_minor, currency),
            version: self.version,
            placed_at: self.placed_at,
            updated_at: self.updated_at,
        })
    }
}
