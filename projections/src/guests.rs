//! Guests: who has ordered without an account, one record per address.
//!
//! A fold of the log and no table of its own beside it: who ordered is in `order.placed`, sealed, and
//! a copy kept elsewhere would have to be forgotten, restored and mended by itself. Here a rebuild
//! makes it anew, and what is forgotten is not found again.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::ids::OrderId;
use domain::order;
use domain::personal::Hidden;
use futures::future::BoxFuture;
use sqlx::{FromRow, PgConnection, PgPool};
use store::recorded::RecordedEvent;
use uuid::Uuid;

use crate::belonging::forgotten_in;
use crate::error::Error;
use crate::projection::{Audited, By, Projection};
use crate::storable;

/// The name of this read model.
pub const NAME: &str = "guests";

/// Somebody who has ordered without an account.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Guest {
    /// Their name for us: the id of their first order.
    pub guest_id: Uuid,
    /// As their newest order says.
    pub name: String,
    /// Likewise.
    pub email: String,
    /// Likewise.
    pub phone: Option<String>,
    /// Where that order goes, ISO 3166-1 alpha-2.
    pub country: String,
    /// How many orders.
    pub orders: i64,
    /// When the first of them was placed.
    pub created_at: DateTime<Utc>,
    /// When the newest of them was placed.
    pub updated_at: DateTime<Utc>,
}

/// A guest by the name that we have for them.
pub async fn by_id(pool: &PgPool, guest_id: Uuid) -> Result<Option<Guest>, Error> {
    Ok(sqlx::query_as(
        "select guest_id, name, email, phone, country, orders, created_at, updated_at \
         from guests where guest_id = $1",
    )
    .bind(guest_id)
    .fetch_optional(pool)
    .await?)
}

/// The projector's side.
pub(crate) struct Guests;

impl Projection for Guests {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["guest_orders", "guests"]
    }

    fn audited(&self) -> Vec<Audited> {
        vec![
            Audited::new("guest_orders", "order_id", By::Order),
            Audited::new("guests", "email_key", By::Guest),
        ]
    }

    fn ddl(&self) -> &'static str {
        include_str!("guests/tables.sql")
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
    let placed: Vec<GuestOrder> = batch
        .iter()
        .filter_map(|event| GuestOrder::of(event))
        .collect();
    insert(connection, &placed).await?;
    grow(connection, &placed).await?;
    // Last, as their orders stand before them in the log.
    let forgotten: Vec<OrderId> = batch
        .iter()
        .flat_map(|event| forgotten_in(event))
        .copied()
        .collect();
    forget(connection, &forgotten).await
}

/// Adds what these orders say to the records of whoever placed them; in the order of the log.
async fn grow(connection: &mut PgConnection, placed: &[GuestOrder]) -> Result<(), Error> {
    if placed.is_empty() {
        return Ok(());
    }
    let mut added: BTreeMap<&str, Added<'_>> = BTreeMap::new();
    for order in placed {
        added
            .entry(&order.email_key)
            .and_modify(|added| {
                added.orders += 1;
                added.last = order;
            })
            .or_insert(Added { orders: 1, first: order, last: order });
    }
    let added: Vec<Added<'_>> = added.into_values().collect();
    sqlx::query(include_str!("guests/grow.sql"))
        .bind(column(&added, |it| it.first.email_key.as_str()))
        .bind(column(&added, |it| it.first.order_id))
        .bind(column(&added, |it| it.last.name.as_str()))
        .bind(column(&added, |it| it.last.email.as_str()))
        .bind(column(&added, |it| it.last.phone.as_deref()))
        .bind(column(&added, |it| it.last.country.as_str()))
        .bind(column(&added, |it| it.orders))
        .bind(column(&added, |it| it.first.placed_at))
        .bind(column(&added, |it| it.last.placed_at))
        .execute(connection)
        .await?;
    Ok(())
}

/// Makes rows what they would be, had these orders been forgotten when they were placed.
async fn forget(connection: &mut PgConnection, forgotten: &[OrderId]) -> Result<(), Error> {
    if forgotten.is_empty() {
        return Ok(());
    }
    let forgotten: Vec<Uuid> = forgotten.iter().map(|order| order.0).collect();
    let keys: Vec<String> =
        sqlx::query_scalar("delete from guest_orders where order_id = any($1) returning email_key")
            .bind(forgotten)
            .fetch_all(&mut *connection)
            .await?;
    sqlx::query("delete from guests where email_key = any($1)")
        .bind(&keys)
        .execute(&mut *connection)
        .await?;
    // What came in between asking and forgetting is nobody's wish to lose.
    let left: Vec<GuestOrder> = sqlx::query_as(
        "select order_id, position, email_key, name, email, phone, country, placed_at \
         from guest_orders where email_key = any($1) order by position",
    )
    .bind(&keys)
    .fetch_all(&mut *connection)
    .await?;
    grow(connection, &left).await
}

/// What an order without an account says of whoever placed it.
#[derive(FromRow)]
struct GuestOrder {
    order_id: Uuid,
    position: i64,
    email_key: String,
    name: String,
    email: String,
    phone: Option<String>,
    country: String,
    placed_at: DateTime<Utc>,
}

/// What a batch adds to a record.
struct Added<'a> {
    orders: i64,
    first: &'a GuestOrder,
    last: &'a GuestOrder,
}

impl GuestOrder {
    fn of(recorded: &RecordedEvent) -> Option<Self> {
        let Event::Order(order::Event::Placed(placing)) = &recorded.event else {
            return None;
        };
        let customer = &placing.customer;
        // Who is hidden has no record; whoever could see them would make one.
        if placing.customer_id.is_some() || Hidden::stands_for(customer) {
            return None;
        }
        Some(Self {
            order_id: recorded.aggregate_id.parse().ok()?,
            position: recorded.position,
            email_key: storable::email_key(&customer.email),
            name: storable::storable(&customer.name),
            email: storable::storable(&customer.email),
            phone: customer.phone.as_deref().map(storable::storable),
            country: storable::key(&placing.shipping_address.country),
            placed_at: storable::instant(placing.placed_at),
        })
    }
}

async fn insert(connection: &mut PgConnection, placed: &[GuestOrder]) -> Result<(), Error> {
    if placed.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("guests/insert.sql"))
        .bind(column(placed, |it| it.order_id))
        .bind(column(placed, |it| it.position))
        .bind(column(placed, |it| it.email_key.as_str()))
        .bind(column(placed, |it| it.name.as_str()))
        .bind(column(placed, |it| it.email.as_str()))
        .bind(column(placed, |it| it.phone.as_deref()))
        .bind(column(placed, |it| it.country.as_str()))
        .bind(column(placed, |it| it.placed_at))
        .execute(connection)
        .await?;
    Ok(())
}

/// One column of these rows, as `unnest` takes it.
fn column<'r, Row, Value>(rows: &'r [Row], of: impl Fn(&'r Row) -> Value) -> Vec<Value> {
    rows.iter().map(of).collect()
}
