//! Sales: what was sold and given back, to the penny.
//!
//! An order is booked when it is confirmed, under the day on which it was placed; goods only,
//! without shipping, at what was paid for them: after the discount. It stays in gross whatever
//! becomes of it: what goes back is in refunded.

mod fold;
mod of_vendor;
mod past;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use chrono::{Datelike as _, Months, NaiveDate};
use domain::money::Currency;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection, PgPool, Row as _};
use store::recorded::RecordedEvent;
use utoipa::ToSchema;
use uuid::Uuid;

use self::fold::{Added, Batch, Booked, Key, Order};
pub use self::of_vendor::{VendorsBy, report_of_vendor};
pub use self::past::{SalesChange, SalesCounts, changes, report_at};
use crate::error::Error;
use crate::money::MoneyView;
use crate::projection::{Audited, By, Projection};
use crate::storable;

/// The name of this read model.
pub const NAME: &str = "sales";

/// What a report has a row for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupBy {
    /// Each day, `2011-12-09`.
    Day,
    /// Each month, `2011-12`.
    Month,
    /// Each country that goods were sent to.
    Country,
    /// Each article.
    Sku,
    /// Each currency.
    Currency,
    /// Each vendor, by id; `house` for what is nobody else's.
    Vendor,
}

/// Sales under one key in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SalesRow {
    /// Day, month, country, SKU, currency or vendor.
    #[schema(example = "2011-12")]
    pub key: String,
    /// Paid orders with this key.
    pub orders: i64,
    /// Pieces sold.
    pub units: i64,
    /// What they were sold for, after discounts and without shipping.
    pub gross: MoneyView,
    /// What has gone back of that.
    pub refunded: MoneyView,
    /// What is left.
    pub net: MoneyView,
}

/// All sales of the days from `from` to `to`, both included, ordered by key, then by currency.
pub async fn report(
    pool: &PgPool,
    group_by: GroupBy,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
) -> Result<Vec<SalesRow>, Error> {
    let days = Days::between(from, to);
    let mut table = "sales_by_country";
    let key = match group_by {
        GroupBy::Day => "to_char(day, 'YYYY-MM-DD')",
        GroupBy::Month => "to_char(day, 'YYYY-MM')",
        GroupBy::Country => "country",
        GroupBy::Sku => return report_by_sku(pool, days).await,
        GroupBy::Currency => "currency",
        GroupBy::Vendor => {
            table = "sales_by_vendor";
            "vendor"
        }
    };
    let select = format!(
        "select {key} collate \"C\" as key, currency, sum(orders)::bigint as orders, \
         sum(units)::bigint as units, sum(gross_minor)::bigint as gross_minor, \
         sum(refunded_minor)::bigint as refunded_minor from {table} \
         where $1 <= day and day <= $2 group by 1, 2 order by 1, 2"
    );
    let rows: Vec<Row> = sqlx::query_as(&select)
        .bind(days.from)
        .bind(days.to)
        .fetch_all(pool)
        .await?;
    rows.into_iter().map(Row::view).collect()
}

async fn report_by_sku(pool: &PgPool, days: Days) -> Result<Vec<SalesRow>, Error> {
    let months = days.whole_months();
    let rows: Vec<Row> = sqlx::query_as(include_str!("sales/report_by_sku.sql"))
        .bind(days.from)
        .bind(days.to)
        .bind(months.start)
        .bind(months.end)
        .fetch_all(pool)
        .await?;
    rows.into_iter().map(Row::view).collect()
}

/// Both included.
#[derive(Debug, Clone, Copy)]
struct Days {
    from: NaiveDate,
    to: NaiveDate,
}

impl Days {
    fn between(from: Option<NaiveDate>, to: Option<NaiveDate>) -> Self {
        let (from, to) = storable::days(from, to);
        Self { from, to }
    }

    /// The first days of the months that lie within; empty if there is none.
    fn whole_months(self) -> Range<NaiveDate> {
        let begun = first_of_month(self.from);
        let start = match begun.checked_add_months(Months::new(1)) {
            Some(next) if begun < self.from => next,
            Some(_) | None => begun,
        };
        let end = self.to.succ_opt().map_or(self.to, first_of_month);
        start..end.max(start)
    }
}

fn first_of_month(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

#[derive(FromRow)]
struct Row {
    key: String,
    currency: String,
    orders: i64,
    units: i64,
    gross_minor: i64,
    refunded_minor: i64,
}

impl Row {
    fn view(self) -> Result<SalesRow, Error> {
        let currency: Currency = storable::named(&self.currency)?;
        Ok(SalesRow {
            key: self.key,
            orders: self.orders,
            units: self.units,
            gross: MoneyView::of(self.gross_minor, currency),
            refunded: MoneyView::of(self.refunded_minor, currency),
            net: MoneyView::of(self.gross_minor.saturating_sub(self.refunded_minor), currency),
        })
    }
}

/// The projector's side.
pub(crate) struct Sales;

impl Projection for Sales {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        3
    }

    fn tables(&self) -> &'static [&'static str] {
        &[
            "sales_by_country",
            "sales_by_sku",
            "sales_by_sku_and_month",
            "sales_by_vendor",
            "sales_orders",
            "sales_refunds",
        ]
    }

    fn audited(&self) -> Vec<Audited> {
        vec![
            Audited::sums("sales_by_country"),
            Audited::sums("sales_by_sku"),
            Audited::sums("sales_by_sku_and_month"),
            Audited::sums("sales_by_vendor"),
            Audited::new("sales_orders", "order_id", By::Order),
            Audited::new("sales_refunds", "order_id", By::Order),
        ]
    }

    fn ddl(&self) -> &'static str {
        include_str!("sales/tables.sql")
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        batch: &'a [Arc<RecordedEvent>],
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(apply(connection, batch))
    }
}

async fn apply(connection: &mut PgConnection, events: &[Arc<RecordedEvent>]) -> Result<(), Error> {
    let events = || events.iter().map(AsRef::as_ref);
    let needed = fold::needed(events());
    let known = load(connection, needed.into_iter().collect()).await?;
    let mut batch = Batch { orders: known, ..Batch::default() };
    for event in events() {
        batch.take(event);
    }
    keep(connection, &batch).await?;
    keep_booked(connection, &batch).await?;
    keep_refunds(connection, &batch).await?;
    book(connection, include_str!("sales/book_by_country.sql"), &batch.by_country).await?;
    book(connection, include_str!("sales/book_by_sku.sql"), &batch.by_sku).await?;
    book(connection, include_str!("sales/book_by_vendor.sql"), &batch.by_vendor).await?;
    let by_sku_and_month = fold::by_month(&batch.by_sku);
    let book_months = include_str!("sales/book_by_sku_and_month.sql");
    book(connection, book_months, &by_sku_and_month).await
}

async fn load(
    connection: &mut PgConnection,
    ids: Vec<Uuid>,
) -> Result<BTreeMap<Uuid, Order>, Error> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    // The goods are what most of a row is, and only a confirmation needs them, or a refund of what a
    // vendor sold.
    let select = "select order_id, day, country, currency, booked_position, booked_at, \
                  case when booked_position is null or has_vendors then goods::text end as goods \
                  from sales_orders where order_id = any($1)";
    let rows = sqlx::query(select).bind(ids).fetch_all(connection).await?;
    rows.into_iter()
        .map(|row| {
            let goods: Option<&str> = row.try_get("goods")?;
            let (position, at) = (row.try_get("booked_position")?, row.try_get("booked_at")?);
            let order = Order {
                day: row.try_get("day")?,
                country: row.try_get("country")?,
                currency: row.try_get("currency")?,
                goods: goods
                    .map(serde_json::from_str)
                    .transpose()?
                    .unwrap_or_default(),
                booked: Option::zip(position, at).map(|(position, at)| Booked { position, at }),
            };
            Ok((row.try_get("order_id")?, order))
        })
        .collect()
}

async fn keep(connection: &mut PgConnection, batch: &Batch) -> Result<(), Error> {
    let orders = batch.of(&batch.placed);
    if orders.is_empty() {
        return Ok(());
    }
    let all = orders.iter().map(|(_, order)| order);
    let goods = all.clone().map(|order| serde_json::to_string(&order.goods));
    let goods = goods.collect::<Result<Vec<_>, _>>()?;
    let sold: Vec<Added> = all.clone().map(|order| order.sold()).collect();
    let position = |order: &&&Order| order.booked.map(|booked| booked.position);
    let at = |order: &&&Order| order.booked.map(|booked| booked.at);
    sqlx::query(include_str!("sales/keep.sql"))
        .bind(orders.iter().map(|(id, _)| *id).collect::<Vec<_>>())
        .bind(all.clone().map(|order| order.day).collect::<Vec<_>>())
        .bind(
            all.clone()
                .map(|order| order.country.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            all.clone()
                .map(|order| order.currency.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(sold.iter().map(|sold| sold.units).collect::<Vec<_>>())
        .bind(sold.iter().map(|sold| sold.gross_minor).collect::<Vec<_>>())
        .bind(goods)
        .bind(
            all.clone()
                .map(|order| position(&order))
                .collect::<Vec<_>>(),
        )
        .bind(all.clone().map(|order| at(&order)).collect::<Vec<_>>())
        .bind(all.map(|order| order.has_vendors()).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

async fn keep_booked(connection: &mut PgConnection, batch: &Batch) -> Result<(), Error> {
    let orders = batch.of(&batch.booked);
    let booked: Vec<(Uuid, Booked)> = orders
        .into_iter()
        .filter_map(|(id, order)| Some((id, order.booked?)))
        .collect();
    if booked.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("sales/keep_booked.sql"))
        .bind(booked.iter().map(|(id, _)| *id).collect::<Vec<_>>())
        .bind(
            booked
                .iter()
                .map(|(_, booked)| booked.position)
                .collect::<Vec<_>>(),
        )
        .bind(
            booked
                .iter()
                .map(|(_, booked)| booked.at)
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await?;
    Ok(())
}

async fn keep_refunds(connection: &mut PgConnection, batch: &Batch) -> Result<(), Error> {
    let backs = &batch.backs;
    if backs.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("sales/keep_refunds.sql"))
        .bind(
            backs
                .iter()
                .map(|back| back.at.position)
                .collect::<Vec<_>>(),
        )
        .bind(
            backs
                .iter()
                .map(|back| back.sku.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(backs.iter().map(|back| back.at.at).collect::<Vec<_>>())
        .bind(backs.iter().map(|back| back.order_id).collect::<Vec<_>>())
        .bind(backs.iter().map(|back| back.day).collect::<Vec<_>>())
        .bind(
            backs
                .iter()
                .map(|back| back.country.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            backs
                .iter()
                .map(|back| back.currency.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            backs
                .iter()
                .map(|back| back.refunded_minor)
                .collect::<Vec<_>>(),
        )
        .bind(
            backs
                .iter()
                .map(|back| back.vendor.as_str())
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await?;
    Ok(())
}

async fn book(
    connection: &mut PgConnection,
    upsert: &'static str,
    added: &BTreeMap<Key, Added>,
) -> Result<(), Error> {
    if added.is_empty() {
        return Ok(());
    }
    sqlx::query(upsert)
        .bind(added.keys().map(|key| key.day).collect::<Vec<_>>())
        .bind(added.keys().map(|key| key.of.as_str()).collect::<Vec<_>>())
        .bind(
            added
                .keys()
                .map(|key| key.currency.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(added.values().map(|added| added.orders).collect::<Vec<_>>())
        .bind(added.values().map(|added| added.units).collect::<Vec<_>>())
        .bind(
            added
                .values()
                .map(|added| added.gross_minor)
                .collect::<Vec<_>>(),
        )
        .bind(
            added
                .values()
                .map(|added| added.refunded_minor)
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await?;
    Ok(())
}
