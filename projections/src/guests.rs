//! Guests: who has ordered without an account, one record per address.
//!
//! A fold of the log and no table of its own beside it: who ordered is in `order.placed`, sealed, and
//! a copy kept elsewhere would have to be forgotten, restored and mended by itself. Here a rebuild
//! makes it anew, and what is forgotten is not found again.

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
    let mut placed = Columns::default();
    for recorded in batch {
        placed.take(recorded);
    }
    let ids = placed.ids.clone();
    placed.insert(connection).await?;
    grow(connection, &ids).await?;
    // Last, as their orders stand before them in the log.
    let forgotten: Vec<OrderId> = batch
        .iter()
        .flat_map(|event| forgotten_in(event))
        .copied()
        .collect();
    forget(connection, &forgotten).await
}

/// Adds orders that are in their table to the records of whoever placed them.
async fn grow(connection: &mut PgConnection, orders: &[Uuid]) -> Result<(), Error> {
    if !orders.is_empty() {
        sqlx::query(include_str!("guests/grow.sql"))
            .bind(orders)
            .execute(connection)
            .await?;
    }
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
    let left: Vec<Uuid> =
        sqlx::query_scalar("select order_id from guest_orders where email_key = any($1)")
            .bind(&keys)
            .fetch_all(&mut *connection)
            .await?;
    grow(connection, &left).await
}

/// New orders, column by column, as `unnest` takes them.
#[derive(Default)]
struct Columns {
    ids: Vec<Uuid>,
    positions: Vec<i64>,
    keys: Vec<String>,
    names: Vec<String>,
    emails: Vec<String>,
    phones: Vec<Option<String>>,
    countries: Vec<String>,
    placed_at: Vec<DateTime<Utc>>,
}

impl Columns {
    fn take(&mut self, recorded: &RecordedEvent) {
        let (Event::Order(order::Event::Placed(placing)), Ok(id)) =
            (&recorded.event, recorded.aggregate_id.parse())
        else {
            return;
        };
        let customer = &placing.customer;
        // Who is hidden has no record; whoever could see them would make one.
        if placing.customer_id.is_some() || Hidden::stands_for(customer) {
            return;
        }
        self.ids.push(id);
        self.positions.push(recorded.position);
        self.keys.push(storable::email_key(&customer.email));
        self.names.push(storable::storable(&customer.name));
        self.emails.push(storable::storable(&customer.email));
        self.phones
            .push(customer.phone.as_deref().map(storable::storable));
        self.countries
            .push(storable::key(&placing.shipping_address.country));
        self.placed_at.push(storable::instant(placing.placed_at));
    }

    async fn insert(self, connection: &mut PgConnection) -> Result<(), Error> {
        if self.ids.is_empty() {
            return Ok(());
        }
        sqlx::query(include_str!("guests/insert.sql"))
            .bind(self.ids)
            .bind(self.positions)
            .bind(self.keys)
            .bind(self.names)
            .bind(self.emails)
            .bind(self.phones)
            .bind(self.countries)
            .bind(self.placed_at)
            .execute(connection)
            .await?;
        Ok(())
    }
}
