//! Reports for analysts.

use axum::extract::State;
use axum::response::Response;
use projections::sales::{self, GroupBy, SalesRow};
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
