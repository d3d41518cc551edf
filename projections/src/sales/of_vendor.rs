//! What a vendor has sold, for the vendor: their own lines of orders and nothing of the others.

use chrono::{DateTime, Days as Span, NaiveDate, NaiveTime, Utc};
use domain::ids::VendorId;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::ToSchema;

use super::{Days, Row, SalesRow};
use crate::error::Error;

/// What a vendor's report has a row for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VendorsBy {
    /// Each day, `2011-12-09`.
    Day,
    /// Each month, `2011-12`.
    Month,
    /// Each article.
    Sku,
    /// Each currency.
    Currency,
}

/// A vendor's sales of the days from `from` to `to`, both included, ordered by key, then by currency.
/// An order counts once for each key.
pub async fn report_of_vendor(
    pool: &PgPool,
    vendor: VendorId,
    group_by: VendorsBy,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
) -> Result<Vec<SalesRow>, Error> {
    let days = Days::between(from, to);
    let key = match group_by {
        VendorsBy::Day => "to_char(day, 'YYYY-MM-DD')",
        VendorsBy::Month => "to_char(day, 'YYYY-MM')",
        VendorsBy::Sku => return by_sku(pool, vendor, days).await,
        VendorsBy::Currency => "currency",
    };
    let select = format!(
        "select {key} collate \"C\" as key, currency, sum(orders)::bigint as orders, \
         sum(units)::bigint as units, sum(gross_minor)::bigint as gross_minor, \
         sum(refunded_minor)::bigint as refunded_minor from sales_by_vendor \
         where $1 <= day and day <= $2 and vendor = $3 group by 1, 2 order by 1, 2"
    );
    let rows: Vec<Row> = sqlx::query_as(&select)
        .bind(days.from)
        .bind(days.to)
        .bind(vendor.to_string())
        .fetch_all(pool)
        .await?;
    rows.into_iter().map(Row::view).collect()
}

/// From the orders themselves: no sums are kept by vendor and article, and a vendor's orders are few
/// beside the shop's.
async fn by_sku(pool: &PgPool, vendor: VendorId, days: Days) -> Result<Vec<SalesRow>, Error> {
    let rows: Vec<Row> = sqlx::query_as(include_str!("report_by_sku_of_vendor.sql"))
        .bind(vendor.0)
        .bind(first_instant(days.from))
        .bind(first_instant(days.to.checked_add_days(Span::new(1)).unwrap_or(days.to)))
        .bind(vendor.to_string())
        .fetch_all(pool)
        .await?;
    rows.into_iter().map(Row::view).collect()
}

fn first_instant(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}
