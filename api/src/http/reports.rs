//! Reports for analysts.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
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
/// by cohort those of first purchases. A customer is an address that was ordered under.
#[utoipa::path(
    get, path = "/reports/customers", tag = "reports",
    security(("bearer" = ["admin", "analyst", "auditor"])),
    params(
        ("group_by" = CustomersBy, Query, description = "What there is a row for"),
        ("from" = Option<String>, Query, description = "First day, such as 2010-12-01"),
        ("to" = Option<String>, Query, description = "Last day, included"),
    ),
    responses((status = 200, description = "The report", body = CustomersAnswer))
)]
pub(crate) async fn report_customers(
    State(app): State<App>,
    _: Readers,
    asking: Asking,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let group_by = parameters.required("group_by", |text| match text {
        "month" => Ok(CustomersBy::Month),
        "cohort" => Ok(CustomersBy::Cohort),
        _ => Err("must be one of month, cohort"),
    });
    let mut day =
        |name| parameters.optional(name, |text| instant_or_day(text).map(|at| at.date_naive()));
    let (from, to) = (day("from"), day("to"));
    parameters.finish()?;
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
    Ok(queries::show(position, &answer))
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

const CSV: &str = "text/csv";

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
    if !queries::accepts(&headers, CSV) {
        let parked = app
            .inbox
            .parked(filter.days(), filter.gateway.as_deref())
            .await?;
        let parked = parked.into_iter().map(Into::into).collect();
        return Ok(queries::show(position, &SettlementView { items, parked }));
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
const COLUMNS: [&str; 20] = [
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
    "unmatched",
    "unmatched_amount",
    "refunds",
    "refunded",
    "chargebacks",
    "charged_back",
    "pending_refunds",
    "pending_refunds_amount",
    "net",
];
