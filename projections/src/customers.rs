//! Customers: how many buy, how many come back, and what they spend, without saying who they are.
//!
//! One row per order. A customer is told apart by the address that was ordered under, with or without
//! an account, of which a hash is kept. Orders count as in `sales`: once they are paid, under the day
//! on which they were placed, goods only. What somebody who was forgotten has bought is still counted,
//! and is nobody's.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use domain::event::Event;
use domain::money::Currency;
use domain::order;
use domain::personal::Hidden;
use domain::placing::Placing;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection, PgPool};
use store::recorded::RecordedEvent;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::belonging::forgotten_in;
use crate::error::Error;
use crate::money::MoneyView;
use crate::projection::{Audited, By, Projection};
use crate::storable;

/// The name of this read model.
pub const NAME: &str = "customers";

/// What the report has a row for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CustomersBy {
    /// Each month of purchases.
    Month,
    /// Each month of purchases of those whose first purchase fell into the same month.
    Cohort,
}

/// Who bought in a month, in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CustomersRow {
    /// The month.
    #[schema(example = "2011-12")]
    pub month: String,
    /// Customers who bought.
    pub customers: i64,
    /// Those of them whose very first purchase was among these.
    pub new_customers: i64,
    /// The others: they had bought before.
    pub returning_customers: i64,
    /// Purchases.
    pub orders: i64,
    /// Those of them whose customer was forgotten since; they are in no other count of customers.
    pub forgotten_orders: i64,
    /// Purchases per customer, to two decimals; null where all of them were forgotten.
    #[schema(example = "1.25")]
    pub orders_per_customer: Option<String>,
    /// What was bought, without shipping.
    pub gross: MoneyView,
    /// What has gone back of that.
    pub refunded: MoneyView,
    /// What is left.
    pub net: MoneyView,
    /// What is left per customer; null where all of them were forgotten.
    pub net_per_customer: Option<MoneyView>,
}

/// What those who first bought in the same month bought in a month, in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CohortRow {
    /// The month of their first purchase.
    #[schema(example = "2010-12")]
    pub cohort: String,
    /// The month in which they bought.
    #[schema(example = "2011-03")]
    pub month: String,
    /// Months in between.
    #[schema(example = 3)]
    pub months_since: i32,
    /// How many first bought then, in whatever currency.
    pub cohort_customers: i64,
    /// How many of them bought in this month.
    pub customers: i64,
    /// Purchases.
    pub orders: i64,
    /// Purchases per customer who bought, to two decimals.
    #[schema(example = "1.25")]
    pub orders_per_customer: Option<String>,
    /// What was bought, without shipping.
    pub gross: MoneyView,
    /// What has gone back of that.
    pub refunded: MoneyView,
    /// What is left.
    pub net: MoneyView,
    /// What is left per customer who bought.
    pub net_per_customer: Option<MoneyView>,
}

/// Who bought on the days from `from` to `to`, both included, by month and currency.
pub async fn by_month(
    pool: &PgPool,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
) -> Result<Vec<CustomersRow>, Error> {
    #[derive(FromRow)]
    struct Row {
        month: String,
        currency: String,
        customers: i64,
        new_customers: i64,
        orders: i64,
        forgotten_orders: i64,
        gross_minor: i64,
        refunded_minor: i64,
        known_net_minor: i64,
    }
    let (from, to) = storable::days(from, to);
    let rows: Vec<Row> = sqlx::query_as(include_str!("customers/by_month.sql"))
        .bind(from)
        .bind(to)
        .fetch_all(pool)
        .await?;
    let view = |row: Row| {
        let currency: Currency = storable::named(&row.currency)?;
        let known_orders = row.orders.saturating_sub(row.forgotten_orders);
        Ok(CustomersRow {
            month: row.month,
            customers: row.customers,
            new_customers: row.new_customers,
            returning_customers: row.customers.saturating_sub(row.new_customers),
            orders: row.orders,
            forgotten_orders: row.forgotten_orders,
            orders_per_customer: ratio(known_orders, row.customers),
            gross: MoneyView::of(row.gross_minor, currency),
            refunded: MoneyView::of(row.refunded_minor, currency),
            net: MoneyView::of(row.gross_minor.saturating_sub(row.refunded_minor), currency),
            net_per_customer: per_customer(row.known_net_minor, row.customers)
                .map(|minor| MoneyView::of(minor, currency)),
        })
    };
    rows.into_iter().map(view).collect()
}

/// What everybody bought whose first purchase fell on the days from `from` to `to`, both included, by
/// the month of that purchase, month and currency.
pub async fn by_cohort(
    pool: &PgPool,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
) -> Result<Vec<CohortRow>, Error> {
    #[derive(FromRow)]
    struct Row {
        cohort: String,
        month: String,
        months_since: i32,
        currency: String,
        cohort_customers: i64,
        customers: i64,
        orders: i64,
        gross_minor: i64,
        refunded_minor: i64,
    }
    let (from, to) = storable::days(from, to);
    let rows: Vec<Row> = sqlx::query_as(include_str!("customers/by_cohort.sql"))
        .bind(from)
        .bind(to)
        .fetch_all(pool)
        .await?;
    let view = |row: Row| {
        let currency: Currency = storable::named(&row.currency)?;
        let net_minor = row.gross_minor.saturating_sub(row.refunded_minor);
        Ok(CohortRow {
            cohort: row.cohort,
            month: row.month,
            months_since: row.months_since,
            cohort_customers: row.cohort_customers,
            customers: row.customers,
            orders: row.orders,
            orders_per_customer: ratio(row.orders, row.customers),
            gross: MoneyView::of(row.gross_minor, currency),
            refunded: MoneyView::of(row.refunded_minor, currency),
            net: MoneyView::of(net_minor, currency),
            net_per_customer: per_customer(net_minor, row.customers)
                .map(|minor| MoneyView::of(minor, currency)),
        })
    };
    rows.into_iter().map(view).collect()
}

/// The nearest of what customers can have on average, half a unit up; `None` without customers.
fn per_customer(sum: i64, customers: i64) -> Option<i64> {
    let doubled = i128::from(sum) * 2 + i128::from(customers);
    let average = doubled.checked_div_euclid(i128::from(customers) * 2)?;
    i64::try_from(average).ok()
}

fn ratio(orders: i64, customers: i64) -> Option<String> {
    let hundredths = per_customer(orders.checked_mul(100)?, customers)?;
    Some(format!("{}.{:02}", hundredths / 100, hundredths % 100))
}

/// The projector's side.
pub(crate) struct Customers;

impl Projection for Customers {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["customer_orders"]
    }

    fn audited(&self) -> Vec<Audited> {
        vec![Audited::new("customer_orders", "order_id", By::Order)]
    }

    fn ddl(&self) -> &'static str {
        include_str!("customers/tables.sql")
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        batch: &'a [Arc<RecordedEvent>],
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(apply(connection, batch))
    }
}

/// An order that was placed in this batch.
#[derive(Debug)]
struct Bought {
    /// Their address in lower case, of which the database keeps a hash.
    customer: Option<String>,
    placed_at: DateTime<Utc>,
    currency: &'static str,
    gross_minor: i64,
    moved: Moved,
}

/// What has become of an order in this batch.
#[derive(Debug, Clone, Copy, Default)]
struct Moved {
    refunded_minor: i64,
    is_booked: bool,
}

#[derive(Debug, Default)]
struct Batch {
    new: BTreeMap<Uuid, Bought>,
    moved: BTreeMap<Uuid, Moved>,
}

async fn apply(connection: &mut PgConnection, events: &[Arc<RecordedEvent>]) -> Result<(), Error> {
    let mut batch = Batch::default();
    for event in events {
        batch.take(event);
    }
    batch.insert(connection).await?;
    batch.update(connection).await?;
    // Last, as their orders stand before them in the log.
    let forgotten: Vec<Uuid> = events
        .iter()
        .flat_map(|event| forgotten_in(event))
        .map(|order| order.0)
        .collect();
    if !forgotten.is_empty() {
        let update = "update customer_orders set customer = null where order_id = any($1)";
        sqlx::query(update)
            .bind(forgotten)
            .execute(connection)
            .await?;
    }
    Ok(())
}

impl Batch {
    fn take(&mut self, recorded: &RecordedEvent) {
        let Event::Order(event) = &recorded.event else {
            return;
        };
        let Ok(id) = recorded.aggregate_id.parse::<Uuid>() else {
            return;
        };
        match event {
            order::Event::Placed(placing) => _ = self.new.insert(id, Bought::of(placing)),
            order::Event::Confirmed { .. } => self.moved(id).is_booked = true,
            order::Event::Refunded(refund) => {
                let goods = refund.goods.iter().map(|part| part.amount_minor);
                let goods_minor = goods.fold(0, i64::saturating_add);
                let moved = self.moved(id);
                moved.refunded_minor = moved.refunded_minor.saturating_add(goods_minor);
            }
            order::Event::Screened(_)
            | order::Event::ReviewApproved { .. }
            | order::Event::ReviewRefused { .. }
            | order::Event::Processing
            | order::Event::LinesShipped(_)
            | order::Event::Completed
            | order::Event::Cancelled { .. }
            | order::Event::Failed(_)
            | order::Event::RefundRequested(_)
            | order::Event::RefundFailed { .. } => {}
        }
    }

    fn moved(&mut self, id: Uuid) -> &mut Moved {
        match self.new.get_mut(&id) {
            Some(bought) => &mut bought.moved,
            None => self.moved.entry(id).or_default(),
        }
    }

    async fn insert(&self, connection: &mut PgConnection) -> Result<(), Error> {
        if self.new.is_empty() {
            return Ok(());
        }
        let all = || self.new.values();
        sqlx::query(include_str!("customers/insert.sql"))
            .bind(self.new.keys().copied().collect::<Vec<_>>())
            .bind(
                all()
                    .map(|bought| bought.customer.as_deref())
                    .collect::<Vec<_>>(),
            )
            .bind(all().map(|bought| bought.placed_at).collect::<Vec<_>>())
            .bind(
                all()
                    .map(|bought| bought.placed_at.date_naive())
                    .collect::<Vec<_>>(),
            )
            .bind(all().map(|bought| bought.currency).collect::<Vec<_>>())
            .bind(all().map(|bought| bought.gross_minor).collect::<Vec<_>>())
            .bind(
                all()
                    .map(|bought| bought.moved.refunded_minor)
                    .collect::<Vec<_>>(),
            )
            .bind(
                all()
                    .map(|bought| bought.moved.is_booked)
                    .collect::<Vec<_>>(),
            )
            .execute(connection)
            .await?;
        Ok(())
    }

    async fn update(&self, connection: &mut PgConnection) -> Result<(), Error> {
        if self.moved.is_empty() {
            return Ok(());
        }
        let all = || self.moved.values();
        sqlx::query(include_str!("customers/update.sql"))
            .bind(self.moved.keys().copied().collect::<Vec<_>>())
            .bind(all().map(|moved| moved.refunded_minor).collect::<Vec<_>>())
            .bind(all().map(|moved| moved.is_booked).collect::<Vec<_>>())
            .execute(connection)
            .await?;
        Ok(())
    }
}

impl Bought {
    fn of(placing: &Placing) -> Self {
        let email = &placing.customer.email;
        // Nobody's: whoever rebuilds this finds no more of the customer than is left.
        let is_hidden = Hidden::stands_for(&placing.customer);
        Self {
            customer: (!is_hidden).then(|| storable::email_key(email)),
            placed_at: storable::instant(placing.placed_at),
            currency: placing.currency.code(),
            gross_minor: placing
                .subtotal_minor()
                .saturating_sub(placing.discount_minor()),
            moved: Moved::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_is_rounded_half_up_and_there_is_none_of_nobody() {
        assert_eq!(per_customer(10, 4), Some(3));
        assert_eq!(per_customer(9, 4), Some(2));
        assert_eq!(per_customer(i64::MAX, 1), Some(i64::MAX));
        assert_eq!(per_customer(0, 0), None);
        assert_eq!(ratio(5, 4).as_deref(), Some("1.25"));
        assert_eq!(ratio(2, 3).as_deref(), Some("0.67"));
        assert_eq!(ratio(3, 1).as_deref(), Some("3.00"));
        assert_eq!(ratio(0, 0), None);
    }
}
