//! Reports for analysts.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use projections::sales::{self, GroupBy, SalesRow};
use projections::settlement::{self, Filter, SettlementRow};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::identity::Readers;
use super::parameters::{Parameters, instant_or_day};
use super::problem::Problem;
use super::queries::{self, Asking};

/// Sales, row by row.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SalesView {
    /// Ordered by key, then by currency
    items: Vec<SalesRow>,
}

const GROUPS: [(&str, GroupBy); 5] = [
    ("day", GroupBy::Day),
    ("month", GroupBy::Month),
    ("country", GroupBy::Country),
    ("sku", GroupBy::Sku),
    ("currency", GroupBy::Currency),
];

/// Report sales
///
/// Paid orders, booked on the day they were placed; goods only, without shipping. All rows.
#[utoipa::path(
    get, path = "/reports/sales", tag = "reports", security(("bearer" = ["admin", "analyst", "auditor"])),
    params(
        ("group_by" = GroupBy, Query, description = "What there is a row for"),
        ("from" = Option<String>, Query, description = "First day, such as 2010-12-01"),
        ("to" = Option<String>, Query, description = "Last day, included"),
    ),
    responses((status = 200, description = "The report", body = SalesView))
)]
pub(crate) async fn report_sales(
    State(app): State<App>,
    _: Readers,
    asking: Asking,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let group_by = group_by(&mut parameters);
    let mut day =
        |name| parameters.optional(name, |text| instant_or_day(text).map(|at| at.date_naive()));
    let (from, to) = (day("from"), day("to"));
    parameters.finish()?;
    let (position, _seat) = asking.seat(&app, &[sales::NAME]).await?;
    let items = sales::report(app.read_models.reads(), group_by, from, to).await?;
    Ok(queries::show(position, &SalesView { items }))
}

/// Has to be said; the value that stands in for a flaw is never used.
fn group_by(parameters: &mut Parameters) -> GroupBy {
    let names = GROUPS.map(|(name, _)| name);
    let given = parameters.required("group_by", |text| {
        let group = GROUPS
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, group)| *group);
        group.ok_or_else(|| format!("must be one of {}", names.join(", ")))
    });
    given.unwrap_or(GroupBy::Day)
}

/// Settlement, row by row.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SettlementView {
    /// Ordered by day, gateway and currency
    items: Vec<SettlementRow>,
}

const CSV: &str = "text/csv";

/// Report settlement
///
/// What each provider took and gave back, by day (UTC) and currency, to be held against its
/// payouts. Days on which nothing moved have no row. `Accept: text/csv` gives a table with the same
/// columns.
#[utoipa::path(
    get, path = "/reports/settlement", tag = "reports",
    security(("bearer" = ["admin", "analyst", "auditor"])),
    params(
        ("from" = Option<String>, Query, description = "First day, such as 2026-11-01"),
        ("to" = Option<String>, Query, description = "Last day, included"),
        ("gateway" = Option<String>, Query, description = "Of this provider only"),
    ),
    responses((
        status = 200, description = "The report",
        content((SettlementView = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn report_settlement(
    State(app): State<App>,
    _: Readers,
    asking: Asking,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let mut day =
        |name| parameters.optional(name, |text| instant_or_day(text).map(|at| at.date_naive()));
    let (from, to) = (day("from"), day("to"));
    let filter = Filter { from, to, gateway: parameters.text("gateway") };
    parameters.finish()?;
    let (position, _seat) = asking.seat(&app, &[settlement::NAME]).await?;
    let items = settlement::report(app.read_models.reads(), &filter).await?;
    if !queries::accepts(&headers, CSV) {
        return Ok(queries::show(position, &SettlementView { items }));
    }
    let table = table(&items).map_err(|error| Problem::accident("write a table", &error))?;
    let mut response = queries::show(position, &());
    *response.body_mut() = table.into();
    let kind = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// The rows as a table; its columns are the members of a row.
fn table(items: &[SettlementRow]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for row in items {
        writer.serialize(row)?;
    }
    writer
        .into_inner()
        .map_err(|error| error.into_error().into())
}

/// Written also where there is no row to take them from.
const COLUMNS: [&str; 16] = [
    "day",
    "gateway",
    "currency",
    "captures",
    "captured",
    "repeated",
    "repeated_amount",
    "mismatched",
    "mismatched_amount",
    "other_currency",
    "other_currency_amount",
    "refunds",
    "refunded",
    "pending_refunds",
    "pending_refunds_amount",
    "net",
];
