//! Reports for analysts.

use axum::extract::State;
use axum::response::Response;
use projections::AsOf;
use projections::history::Asked;
use projections::sales::{self, GroupBy, SalesChange, SalesRow};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::history::Moments;
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

/// Sales, or what changed of them.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum SalesAnswer {
    /// As they are, or were
    Sales(SalesView),
    /// The rows that differ
    Changes(SalesChangesView),
}

/// What changed of the sales between two moments.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SalesChangesView {
    /// The earlier moment: a position, or a time
    from: AsOf,
    /// The later one
    to: AsOf,
    /// The rows that differ, ordered by key, then by currency
    items: Vec<SalesChange>,
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
/// Paid orders, booked on the day they were placed; goods only, without shipping. All rows. With
/// `as_of`, as they stood then; with `diff_from`, which rows have changed since, and by which events.
#[utoipa::path(
    get, path = "/reports/sales", tag = "reports", security(("bearer" = ["admin", "analyst", "auditor"])),
    params(
        ("group_by" = GroupBy, Query, description = "What there is a row for"),
        ("from" = Option<String>, Query, description = "First day, such as 2010-12-01"),
        ("to" = Option<String>, Query, description = "Last day, included"),
        ("as_of" = Option<String>, Query, description = "Position, time (RFC 3339) or day"),
        ("diff_from" = Option<String>, Query, description = "An earlier moment: what changed since"),
    ),
    responses((status = 200, description = "The report, or its changes", body = SalesAnswer))
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
    let moments = Moments::of(&mut parameters);
    parameters.finish()?;
    let asking = asking.at_least(moments.needs(&app).await?);
    let (position, _seat) = asking.seat(&app, &[sales::NAME]).await?;
    let reads = app.read_models.reads();
    let asked = moments.are_given().then(|| moments.asked(position));
    let answer = match asked {
        None => {
            let items = sales::report(reads, group_by, from, to).await?;
            SalesAnswer::Sales(SalesView { items })
        }
        Some(Asked::At(as_of)) => {
            let items = sales::report_at(reads, group_by, from, to, as_of).await?;
            SalesAnswer::Sales(SalesView { items })
        }
        Some(Asked::Between { from: since, to: until }) => {
            let items = sales::changes(reads, group_by, (from, to), since, until).await?;
            SalesAnswer::Changes(SalesChangesView { from: since, to: until, items })
        }
    };
    Ok(queries::show(position, &answer))
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
