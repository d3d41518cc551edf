//! Reports for analysts.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::NaiveDate;
use projections::AsOf;
use projections::customers::{self, CohortRow, CustomersBy, CustomersRow};
use projections::history::Asked;
use projections::sales::{self, GroupBy, SalesChange, SalesRow};
use projections::settlement::{self, Filter, SettlementRow};
use serde::Serialize;
use utoipa::ToSchema;
use workers::inbox::Parked;

use super::App;
use super::answers::{Computed, Of};
use super::history::Moments;
use super::identity::Readers;
use super::parameters::{Parameters, instant_or_day};
use super::problem::Problem;
use super::queries::{self, Asking};
use super::tables;

/// Sales, row by row.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SalesView {
    /// Ordered by key, then by currency
    pub(crate) items: Vec<SalesRow>,
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

const GROUPS: [(&str, GroupBy); 6] = [
    ("day", GroupBy::Day),
    ("month", GroupBy::Month),
    ("country", GroupBy::Country),
    ("sku", GroupBy::Sku),
    ("currency", GroupBy::Currency),
    ("vendor", GroupBy::Vendor),
];

/// Report sales
///
/// Paid orders, booked on the day they were placed; goods only, without shipping. All rows. With
/// `as_of`, as they stood then; with `diff_from`, which rows have changed since, and by which events.
/// `Accept: text/csv` gives the rows as a table, of any moment, but not their changes.
#[utoipa::path(
    get, path = "/reports/sales", tag = "reports", security(("bearer" = ["admin", "analyst", "auditor"])),
    params(
        ("group_by" = GroupBy, Query, description = "What there is a row for"),
        ("from" = Option<String>, Query, description = "First day, such as 2010-12-01"),
        ("to" = Option<String>, Query, description = "Last day, included"),
        ("as_of" = Option<String>, Query, description = "Position, time (RFC 3339) or day"),
        ("diff_from" = Option<String>, Query, description = "An earlier moment: what changed since"),
    ),
    responses((
        status = 200, description = "The report, or its changes",
        content((SalesAnswer = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn report_sales(
    State(app): State<App>,
    _: Readers,
    asking: Asking,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let key = parameters.key("reports/sales");
    let group_by = group_by(&mut parameters);
    let mut day =
        |name| parameters.optional(name, |text| instant_or_day(text).map(|at| at.date_naive()));
    let (from, to) = (day("from"), day("to"));
    let moments = Moments::of(&mut parameters);
    let as_table = tables::wanted(&headers);
    if as_table && moments.are_compared() {
        parameters.refuse("diff_from", "is for JSON; text/csv has the rows of one moment");
    }
    parameters.finish()?;
    let asking = asking.at_least(moments.needs(&app).await?);
    let compute = || async {
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
        Ok::<_, Problem>((position, answer))
    };
    // Changes name the moment up to which they are told; kept, it would fall behind.
    if as_table || moments.are_compared() {
        let (position, answer) = compute().await?;
        return match &answer {
            SalesAnswer::Sales(SalesView { items }) if as_table => {
                tables::of_sales(position, items)
            }
            answer => Ok(queries::show(position, answer)),
        };
    }
    let computed = || async {
        let (position, answer) = compute().await?;
        Ok(Computed::new(position, vec![Of::Sales], &answer))
    };
    app.answers.report(&asking, key, computed).await
}

/// Has to be said; the value that stands in for a flaw is never used.
fn group_by(parameters: &mut Parameters) -> GroupBy {
    let given = parameters.required_named("group_by", &GROUPS);
    given.unwrap_or(GroupBy::Day)
}

/// Customers, row by row. What the rows are for is told, or a report without any could be either.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "group_by", rename_all = "lowercase")]
pub(crate) enum CustomersAnswer {
    /// By month
    Month(CustomersView),
    /// By cohort
    Cohort(CohortsView),
}

/// Who bought, month by month.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CustomersView {
    /// Ordered by month, then by currency
    items: Vec<CustomersRow>,
}

/// Who came back, cohort by cohort.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CohortsView {
    /// Ordered by cohort, then by month, then by currency
    items: Vec<CohortRow>,
}

/// Report customers
///
/// New and returning ones, what they buy and spend; nobody by name. Purchases are counted as sales
/// are: paid orders on the day they were placed, goods only. By `month` of purchase, or by `cohort`:
/// those whose first purchase fell into the same month. `from` and `to` bound the days of purchases,
/// by cohort those of first purchases. A customer is an address that was ordered under. `Accept: text/csv`
/// gives the rows as a table.
#[utoipa::path(
    get, path = "/reports/customers", tag = "reports",
    security(("bearer" = ["admin", "analyst", "auditor"])),
    params(
        ("group_by" = CustomersBy, Query, description = "What there is a row for"),
        ("from" = Option<String>, Query, description = "First day, such as 2010-12-01"),
        ("to" = Option<String>, Query, description = "Last day, included"),
    ),
    responses((
        status = 200, description = "The report",
        content((CustomersAnswer = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn report_customers(
    State(app): State<App>,
    _: Readers,
    asking: Asking,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let key = parameters.key("reports/customers");
    let group_by = parameters.required("group_by", |text| match text {
        "month" => Ok(CustomersBy::Month),
        "cohort" => Ok(CustomersBy::Cohort),
        _ => Err("must be one of month, cohort"),
    });
    let mut day =
        |name| parameters.optional(name, |text| instant_or_day(text).map(|at| at.date_naive()));
    let (from, to) = (day("from"), day("to"));
    parameters.finish()?;
    let compute = || async {
        let (position, _seat) = asking.seat(&app, &[customers::NAME]).await?;
        let reads = app.read_models.reads();
        let answer = match group_by {
            Some(CustomersBy::Cohort) => {
                let items = customers::by_cohort(reads, from, to).await?;
                CustomersAnswer::Cohort(CohortsView { items })
            }
            // Where it was none of them, the parameters were refused above.
            Some(CustomersBy::Month) | None => {
                let items = customers::by_month(reads, from, to).await?;
                CustomersAnswer::Month(CustomersView { items })
            }
        };
        Ok::<_, Problem>((position, answer))
    };
    if tables::wanted(&headers) {
        return match compute().await? {
            (position, CustomersAnswer::Cohort(CohortsView { items })) => {
                tables::of_cohorts(position, &items)
            }
            (position, CustomersAnswer::Month(CustomersView { items })) => {
                tables::of_months(position, &items)
            }
        };
    }
    let computed = || async {
        let (position, answer) = compute().await?;
        Ok(Computed::new(position, vec![Of::Customers], &answer))
    };
    app.answers.report(&asking, key, computed).await
}

/// Settlement, row by row.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SettlementView {
    /// Ordered by day, gateway and currency
    items: Vec<SettlementRow>,
    /// What waits for a person (`GET /webhooks?state=parked`): money that it may tell of is in no row
    /// until it is given back
    parked: Vec<ParkedWebhooks>,
}

/// Webhooks of a day that wait for a person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ParkedWebhooks {
    /// When they came in, UTC
    day: NaiveDate,
    /// From which provider
    #[schema(example = "stripe")]
    gateway: String,
    /// How many
    webhooks: i64,
}

impl From<Parked> for ParkedWebhooks {
    fn from(Parked { day, gateway, webhooks }: Parked) -> Self {
        Self { day, gateway, webhooks }
    }
}

/// Report settlement
///
/// What each provider took and gave back, by day (UTC) and currency, to be held against its
/// payouts. Days on which nothing moved have no row. `Accept: text/csv` gives a table with the same
/// columns, without `parked`.
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
    if tables::wanted(&headers) {
        return tables::of_settlement(position, &items);
    }
    let parked = app
        .inbox
        .parked(filter.days(), filter.gateway.as_deref())
        .await?;
    let parked = parked.into_iter().map(Into::into).collect();
    Ok(queries::show(position, &SettlementView { items, parked }))
}
