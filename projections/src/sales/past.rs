//! Sales as they were at a moment of the past, and what has changed since: added up from what was
//! booked by then, and when.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use utoipa::ToSchema;

use super::{Days, GroupBy, Row, SalesRow};
use crate::as_of::AsOf;
use crate::error::Error;
use crate::history::EventRef;
use crate::money::MoneyView;

/// Events named for one row: a row that moves more often is better read in the log.
const EVENTS_MAX: usize = 100;

/// The counts and sums of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SalesCounts {
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

/// A row that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SalesChange {
    /// Day, month, country, SKU, currency or vendor.
    pub key: String,
    /// At the earlier moment; null where there was no such row.
    pub from: Option<SalesCounts>,
    /// At the later one.
    pub to: SalesCounts,
    /// The confirmations and refunds that made the difference, in log order; the first hundred.
    pub events: Vec<EventRef>,
    /// How many there were.
    pub events_count: i64,
}

/// The statement for a grouping: what was booked after `$1` and up to `$2` (a position each) and at
/// a time from `$3` (excluded) to `$4`, of the days `$5` to `$6`.
macro_rules! booked {
    ($select:literal, $key_of_order:literal, $goods:literal, $counts:literal, $key_of_refund:literal) => {
        concat!(
            "with booked as (select ",
            $key_of_order,
            " as key, currency, 1::bigint as orders, ",
            $counts,
            ", 0::bigint as refunded_minor, booked_position as position, booked_at as at, \
             'order.confirmed' as event from sales_orders",
            $goods,
            " where $1 < booked_position and booked_position <= $2 \
             and $3 < booked_at and booked_at <= $4 and day between $5 and $6 \
             union all select ",
            $key_of_refund,
            ", currency, 0, 0, 0, refunded_minor, position, at, 'order.refunded' \
             from sales_refunds where $1 < position and position <= $2 \
             and $3 < at and at <= $4 and day between $5 and $6) ",
            $select
        )
    };
}

macro_rules! grouped {
    ($select:literal, $group_by:expr) => {
        match $group_by {
            GroupBy::Day => booked!(
                $select,
                "to_char(day, 'YYYY-MM-DD')",
                "",
                "units, gross_minor",
                "to_char(day, 'YYYY-MM-DD')"
            ),
            GroupBy::Month => booked!(
                $select,
                "to_char(day, 'YYYY-MM')",
                "",
                "units, gross_minor",
                "to_char(day, 'YYYY-MM')"
            ),
            GroupBy::Country => {
                booked!($select, "country", "", "units, gross_minor", "country")
            }
            GroupBy::Currency => {
                booked!($select, "currency", "", "units, gross_minor", "currency")
            }
            GroupBy::Sku => booked!(
                $select,
                "good.sku",
                " cross join lateral json_to_recordset(goods) \
                 as good(sku text, units bigint, gross_minor bigint)",
                "good.units, good.gross_minor",
                "sku"
            ),
            // Added up first, so that an order counts once for each of its vendors.
            GroupBy::Vendor => booked!(
                $select,
                "good.vendor",
                " cross join lateral (select coalesce(good.vendor, 'house') as vendor, \
                 sum(good.units)::bigint as units, sum(good.gross_minor)::bigint as gross_minor \
                 from json_to_recordset(goods) \
                 as good(vendor text, units bigint, gross_minor bigint) group by 1) as good",
                "good.units, good.gross_minor",
                "vendor"
            ),
        }
    };
}

/// All sales as they stood then, ordered by key, then by currency. See [`super::report`].
pub async fn report_at(
    pool: &PgPool,
    group_by: GroupBy,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    as_of: AsOf,
) -> Result<Vec<SalesRow>, Error> {
    let statement = grouped!(
        "select key collate \"C\" as key, currency, sum(orders)::bigint as orders, \
         sum(units)::bigint as units, sum(gross_minor)::bigint as gross_minor, \
         sum(refunded_minor)::bigint as refunded_minor \
         from booked group by 1, 2 order by 1, 2",
        group_by
    );
    let days = Days::between(from, to);
    let (position, at) = as_of.bounds();
    let rows: Vec<Row> = sqlx::query_as(statement)
        .bind(0_i64)
        .bind(position)
        .bind(since_ever())
        .bind(at)
        .bind(days.from)
        .bind(days.to)
        .fetch_all(pool)
        .await?;
    rows.into_iter().map(Row::view).collect()
}

/// The rows that differ between two moments, ordered by key, then by currency.
pub async fn changes(
    pool: &PgPool,
    group_by: GroupBy,
    days: (Option<NaiveDate>, Option<NaiveDate>),
    since: AsOf,
    until: AsOf,
) -> Result<Vec<SalesChange>, Error> {
    let mut before = BTreeMap::new();
    for row in report_at(pool, group_by, days.0, days.1, since).await? {
        before.insert((row.key.clone(), row.gross.currency), row);
    }
    let after = report_at(pool, group_by, days.0, days.1, until).await?;
    let mut moved = moved(pool, group_by, Days::between(days.0, days.1), since, until).await?;
    let changes = after.into_iter().filter_map(|row| {
        let id = (row.key.clone(), row.gross.currency);
        let was = before.remove(&id);
        let moved = moved.remove(&(id.0, id.1.to_owned()));
        (was.as_ref() != Some(&row)).then(|| SalesChange {
            key: row.key.clone(),
            from: was.map(SalesCounts::from),
            to: row.into(),
            events_count: moved.as_ref().map_or(0, |moved| moved.count),
            events: moved.map_or_else(Vec::new, Moved::events),
        })
    });
    Ok(changes.collect())
}

/// What was booked under a key between two moments.
#[derive(FromRow)]
struct Moved {
    key: String,
    currency: String,
    count: i64,
    positions: Vec<i64>,
    times: Vec<DateTime<Utc>>,
    names: Vec<String>,
}

async fn moved(
    pool: &PgPool,
    group_by: GroupBy,
    days: Days,
    since: AsOf,
    until: AsOf,
) -> Result<BTreeMap<(String, String), Moved>, Error> {
    let statement = grouped!(
        ", events as (select distinct on (key, currency, position) \
         key, currency, position, at, event from booked order by key, currency, position) \
         select key collate \"C\" as key, currency, count(*) as count, \
         (array_agg(position order by position))[1:$7] as positions, \
         (array_agg(at order by position))[1:$7] as times, \
         (array_agg(event order by position))[1:$7] as names \
         from events group by 1, 2",
        group_by
    );
    // One of the two bounds restricts, and the other is as wide as there is.
    let (after_position, after) = match since {
        AsOf::Position(position) => (position, since_ever()),
        AsOf::Time(_) => (0, since.bounds().1),
    };
    let (position, at) = until.bounds();
    let rows: Vec<Moved> = sqlx::query_as(statement)
        .bind(after_position)
        .bind(position)
        .bind(after)
        .bind(at)
        .bind(days.from)
        .bind(days.to)
        .bind(i32::try_from(EVENTS_MAX).unwrap_or(i32::MAX))
        .fetch_all(pool)
        .await?;
    let by_key = rows
        .into_iter()
        .map(|moved| ((moved.key.clone(), moved.currency.clone()), moved));
    Ok(by_key.collect())
}

fn since_ever() -> DateTime<Utc> {
    crate::storable::instant(DateTime::<Utc>::MIN_UTC)
}

impl Moved {
    fn events(self) -> Vec<EventRef> {
        let of = |((position, at), event)| EventRef { position, at, event };
        let events = self.positions.into_iter().zip(self.times).zip(self.names);
        events.map(of).collect()
    }
}

impl From<SalesRow> for SalesCounts {
    fn from(row: SalesRow) -> Self {
        let SalesRow { orders, units, gross, refunded, net, .. } = row;
        Self { orders, units, gross, refunded, net }
    }
}
