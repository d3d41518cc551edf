//! A vendor's back office: the orders that hold lines of theirs, and what they have sold. Of the lines
//! of others, and of payments, nothing is told here.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use projections::orders::{self, Status};
use projections::sales::{self, VendorsBy};
use projections::vendor_orders::{self, VendorOrderView};

use super::parameters::{OfOrder, Parameters, instant_or_day};
use super::problem::Problem;
use super::queries::{self, Asking};
use super::reports::SalesView;
use super::vendors::Oneself;
use super::{App, tables};

/// Who ordered and where it goes is looked up beside the lines.
const ORDERS: [&str; 2] = [vendor_orders::NAME, orders::NAME];
/// Which orders are theirs, and what was sold with them.
const SALES: [&str; 2] = [sales::NAME, vendor_orders::NAME];

/// List a vendor's orders
///
/// Newest first, from when they are paid on: the vendor's own lines and where they go, and nothing of
/// the others or of the payment. `Accept: text/csv` gives every order that the filters leave, a row for
/// each line, as a table of one moment.
#[utoipa::path(
    get, path = "/vendors/me/orders", tag = "vendors",
    security(("bearer" = ["vendor"])), extensions(("x-own" = json!(["vendor"]))),
    params(
        ("status" = Option<Status>, Query, description = "How far they have come"),
        ("shipped" = Option<bool>, Query, description = "Whether all of the vendor's lines have left"),
        ("placed_from" = Option<String>, Query, description = "Time (RFC 3339) or day, included"),
        ("placed_to" = Option<String>, Query, description = "Time (RFC 3339) or day, included"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((
        status = 200, description = "A page, or all lines as a table",
        content((projections::Page<VendorOrderView> = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn list_orders(
    State(app): State<App>,
    Oneself(vendor): Oneself,
    asking: Asking,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let as_table = tables::wanted(&headers);
    if as_table {
        parameters.whole();
    }
    let filter = vendor_orders::Filter {
        status: parameters.optional("status", str::parse),
        shipped: parameters.flag("shipped"),
        placed_from: parameters.instant("placed_from"),
        placed_to: parameters.end("placed_to"),
    };
    let (limit, cursor) = (parameters.limit(), parameters.cursor());
    parameters.finish()?;
    if as_table {
        return tables::of_vendors_orders(&app, &asking, vendor, filter).await;
    }
    let (position, _seat) = asking.seat(&app, &ORDERS).await?;
    let reads = app.read_models.reads();
    let page = vendor_orders::list(reads, vendor, &filter, limit, cursor).await?;
    Ok(queries::show(position, &page))
}

/// Show one of a vendor's orders
///
/// The vendor's own lines, as in the list. An order that is not paid yet, or that holds no line of
/// theirs, does not exist.
#[utoipa::path(
    get, path = "/vendors/me/orders/{id}", tag = "vendors",
    security(("bearer" = ["vendor"])), extensions(("x-own" = json!(["vendor"]))),
    params(("id" = Uuid, Path, description = "The order")),
    responses((status = 200, description = "The vendor's lines of it", body = VendorOrderView))
)]
pub(crate) async fn show_order(
    State(app): State<App>,
    Oneself(vendor): Oneself,
    OfOrder(order_id): OfOrder,
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let (position, _seat) = asking.seat(&app, &ORDERS).await?;
    let order = vendor_orders::by_id(app.read_models.reads(), vendor, order_id).await?;
    let order = order.ok_or_else(|| Problem::not_found("order").at(position))?;
    Ok(asking.show_mixed(position, order.version, &order))
}

const GROUPS: [(&str, VendorsBy); 4] = [
    ("day", VendorsBy::Day),
    ("month", VendorsBy::Month),
    ("sku", VendorsBy::Sku),
    ("currency", VendorsBy::Currency),
];

/// Report a vendor's sales
///
/// The vendor's own lines of paid orders, booked on the day they were placed, at what was paid for them.
/// All rows; an order counts once in each. `Accept: text/csv` gives them as a table.
#[utoipa::path(
    get, path = "/vendors/me/sales", tag = "vendors",
    security(("bearer" = ["vendor"])), extensions(("x-own" = json!(["vendor"]))),
    params(
        ("group_by" = VendorsBy, Query, description = "What there is a row for"),
        ("from" = Option<String>, Query, description = "First day, such as 2010-12-01"),
        ("to" = Option<String>, Query, description = "Last day, included"),
    ),
    responses((
        status = 200, description = "The report",
        content((SalesView = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn report_sales(
    State(app): State<App>,
    Oneself(vendor): Oneself,
    asking: Asking,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let group_by = parameters.required_named("group_by", &GROUPS);
    let mut day =
        |name| parameters.optional(name, |text| instant_or_day(text).map(|at| at.date_naive()));
    let (from, to) = (day("from"), day("to"));
    parameters.finish()?;
    // Where it was none of them, the parameters were refused above.
    let group_by = group_by.unwrap_or(VendorsBy::Day);
    let (position, _seat) = asking.seat(&app, &SALES).await?;
    let reads = app.read_models.reads();
    let items = sales::report_of_vendor(reads, vendor, group_by, from, to).await?;
    if tables::wanted(&headers) {
        return tables::of_sales(position, &items);
    }
    Ok(queries::show(position, &SalesView { items }))
}
