//! The sums of the sales: those that one order is in, folded again from every order that is in them;
//! and whether the tables agree with one another.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, NaiveTime, Utc};
use domain::event::Event;
use domain::order;
use domain::placing::Placing;
use serde_json::json;
use sqlx::{Connection as _, PgConnection, PgPool};
use store::log;
use uuid::Uuid;

use super::Mismatch;
use super::snapshot::Snapshot;
use crate::differences;
use crate::error::Error;
use crate::marks::LIVE;
use crate::projection::ALL;
use crate::scratch::{SCRATCH, Scratch};
use crate::{orders, sales, storable};

/// Orders of one sum that are folded again at most; a larger sum is compared with the other tables
/// alone, and by `daybook diff`.
const ORDERS_MAX: usize = 500;

/// Units, gross and refunded, as JSON.
type Sum = Option<serde_json::Value>;

/// What is compared with one another, for whoever reads the alarm.
const DAY: &str = "sales_by_country and sales_by_sku";
const VENDORS: &str = "sales_by_country and sales_by_vendor";
const MONTH: &str = "sales_by_sku_and_month";

/// Whose sums: a day's, of a country and of a SKU.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    day: NaiveDate,
    country: String,
    sku: String,
    currency: &'static str,
}

/// What a snapshot showed of the sums that an order is in.
pub(super) struct Sums {
    key: Key,
    mark: i64,
    /// How far the read model was that named the orders.
    orders_mark: i64,
    /// Everybody who may be in one of the sums; `None` if they are too many.
    orders: Option<Vec<String>>,
    of_country: Sum,
    of_sku: Sum,
    disagreements: Vec<Mismatch>,
}

/// Looks in the caller's transaction: for the sums of the first of some orders, and for whether the
/// tables agree about the days of all of them.
pub(super) async fn take(
    connection: &mut PgConnection,
    orders: &[(Uuid, Placing)],
    live: &Snapshot,
) -> Result<Option<Sums>, Error> {
    let mark = |name: &str| {
        let index = ALL.iter().position(|projection| projection.name() == name);
        index.map_or(0, |index| live.marks[index])
    };
    let keys: Vec<Key> = orders.iter().map(|(_, placing)| Key::of(placing)).collect();
    let Some(key) = keys.first().cloned() else {
        return Ok(None);
    };
    let mut disagreements = Vec::new();
    for key in keys.into_iter().collect::<BTreeSet<_>>() {
        let found = key.disagreements(connection, mark(sales::NAME)).await?;
        for mismatch in found {
            if !disagreements.contains(&mismatch) {
                disagreements.push(mismatch);
            }
        }
    }
    Ok(Some(Sums {
        mark: mark(sales::NAME),
        orders_mark: mark(orders::NAME),
        orders: key.orders(connection).await?,
        of_country: key.of_country(connection, LIVE).await?,
        of_sku: key.of_sku(connection, LIVE).await?,
        disagreements,
        key,
    }))
}

/// Folds the orders again.
pub(super) async fn check(
    log: &PgPool,
    scratch: &mut Scratch,
    sums: Sums,
) -> Result<Vec<Mismatch>, Error> {
    let Sums { key, mark, orders_mark, orders, of_country, of_sku, mut disagreements } = sums;
    let Some(mut orders) = orders else {
        return Ok(disagreements);
    };
    // Those that the sales know of and the list of orders did not yet.
    if orders_mark < mark {
        let later = log::after(log, orders_mark, log::PAGE_MAX).await?;
        if later.last().is_none_or(|last| last.position < mark) {
            return Ok(disagreements);
        }
        let placed = later
            .iter()
            .filter(|event| matches!(event.event, Event::Order(order::Event::Placed(_))));
        orders.extend(placed.map(|event| event.aggregate_id.clone()));
    }
    let mut events = log::of_aggregates(log, "order", &orders).await?;
    events.truncate(events.partition_point(|event| event.position <= mark));

    let mut transaction = scratch.connection.begin().await?;
    crate::projection::Projection::apply(&sales::Sales, &mut transaction, &events).await?;
    let folded = (
        key.of_country(&mut transaction, SCRATCH).await?,
        key.of_sku(&mut transaction, SCRATCH).await?,
    );
    transaction.rollback().await?;
    let Key { day, country, sku, currency } = key;
    let country = json!({"day": day, "country": country, "currency": currency});
    disagreements.extend(mismatch("sales_by_country", &country, mark, &of_country, &folded.0));
    let sku = json!({"day": day, "sku": sku, "currency": currency});
    disagreements.extend(mismatch("sales_by_sku", &sku, mark, &of_sku, &folded.1));
    Ok(disagreements)
}

fn mismatch(
    table: &'static str,
    key: &serde_json::Value,
    position: i64,
    stored: &Sum,
    folded: &Sum,
) -> Option<Mismatch> {
    let fields = differences::fields(stored.as_ref(), folded.as_ref());
    let (read_model, key) = (sales::NAME, key.to_string());
    (!fields.is_empty()).then_some(Mismatch { read_model, table, key, fields, position })
}

impl Key {
    fn of(placing: &Placing) -> Self {
        Self {
            day: storable::instant(placing.placed_at).date_naive(),
            country: storable::key(&placing.shipping_address.country),
            sku: placing
                .lines
                .first()
                .map(|line| line.sku.to_string())
                .unwrap_or_default(),
            currency: placing.currency.code(),
        }
    }

    /// First and last instant of the day, the last not included.
    fn instants(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
        let next = self
            .day
            .checked_add_days(Days::new(1))
            .unwrap_or(NaiveDate::MAX);
        (midnight(self.day), midnight(next))
    }

    async fn orders(&self, connection: &mut PgConnection) -> Result<Option<Vec<String>>, Error> {
        let select = format!(
            "(select order_id from {LIVE}.orders \
              where country = $1 and $3 <= placed_at and placed_at < $4 and currency = $5 limit $6) \
             union \
             (select order_id from {LIVE}.order_skus join {LIVE}.orders using (order_id) \
              where sku = $2 and $3 <= order_skus.placed_at and order_skus.placed_at < $4 \
              and currency = $5 limit $6)"
        );
        let (from, to) = self.instants();
        let limit = i64::try_from(ORDERS_MAX + 1).unwrap_or(i64::MAX);
        let orders: Vec<Uuid> = sqlx::query_scalar(&select)
            .bind(&self.country)
            .bind(&self.sku)
            .bind(from)
            .bind(to)
            .bind(self.currency)
            .bind(limit)
            .fetch_all(connection)
            .await?;
        let few = orders.len() <= ORDERS_MAX;
        Ok(few.then(|| orders.iter().map(Uuid::to_string).collect()))
    }

    async fn of_country(&self, connection: &mut PgConnection, schema: &str) -> Result<Sum, Error> {
        let select = format!(
            "select row_to_json(t) from {schema}.sales_by_country t \
             where day = $1 and country = $2 and currency = $3"
        );
        self.sum(connection, &select, &self.country).await
    }

    async fn of_sku(&self, connection: &mut PgConnection, schema: &str) -> Result<Sum, Error> {
        let select = format!(
            "select row_to_json(t) from {schema}.sales_by_sku t \
             where day = $1 and sku = $2 and currency = $3"
        );
        self.sum(connection, &select, &self.sku).await
    }

    async fn sum(
        &self,
        connection: &mut PgConnection,
        select: &str,
        of: &str,
    ) -> Result<Sum, Error> {
        Ok(sqlx::query_scalar(select)
            .bind(self.day)
            .bind(of)
            .bind(self.currency)
            .fetch_optional(connection)
            .await?)
    }

    /// What the tables say of one another: a day is the same by country, by SKU and by vendor, and
    /// a month of a SKU is its days.
    async fn disagreements(
        &self,
        connection: &mut PgConnection,
        mark: i64,
    ) -> Result<Vec<Mismatch>, Error> {
        let sums = "json_build_object('units', coalesce(sum(units), 0)::bigint, \
                    'gross_minor', coalesce(sum(gross_minor), 0)::bigint, \
                    'refunded_minor', coalesce(sum(refunded_minor), 0)::bigint)";
        let of_day = |table: &str| {
            format!("(select {sums} from {LIVE}.{table} where day = $1 and currency = $2)")
        };
        let [by_country, by_sku, by_vendor] =
            ["sales_by_country", "sales_by_sku", "sales_by_vendor"].map(of_day);
        let select = format!("select {by_country}, {by_sku}, {by_vendor}");
        let (by_country, by_sku, by_vendor): (Sum, Sum, Sum) = sqlx::query_as(&select)
            .bind(self.day)
            .bind(self.currency)
            .fetch_one(&mut *connection)
            .await?;
        let key = json!({"day": self.day, "currency": self.currency});
        let mut found = Vec::new();
        found.extend(mismatch(DAY, &key, mark, &by_country, &by_sku));
        found.extend(mismatch(VENDORS, &key, mark, &by_country, &by_vendor));

        let month = self.day.with_day(1).unwrap_or(self.day);
        let next = month
            .checked_add_months(Months::new(1))
            .unwrap_or(NaiveDate::MAX);
        let select = format!(
            "select (select {sums} from {LIVE}.sales_by_sku_and_month \
                     where month = $1 and sku = $3 and currency = $4), \
                    (select {sums} from {LIVE}.sales_by_sku \
                     where $1 <= day and day < $2 and sku = $3 and currency = $4)"
        );
        let (of_month, of_days): (Sum, Sum) = sqlx::query_as(&select)
            .bind(month)
            .bind(next)
            .bind(&self.sku)
            .bind(self.currency)
            .fetch_one(connection)
            .await?;
        let key = json!({"month": month, "sku": self.sku, "currency": self.currency});
        found.extend(mismatch(MONTH, &key, mark, &of_month, &of_days));
        Ok(found)
    }
}
