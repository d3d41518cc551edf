//! Orders, to look at: as they are, and as they were.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::ids::OrderId;
use domain::order::Review;
use projections::history::{self, Was};
use projections::orders::{self, Audience, Filter, OrderSummary, OrderView, REVIEWS, Status};

use super::history::Moments;
use super::identity::Shopper;
use super::ownership::{self, ToSee};
use super::parameters::{OfOrder, Parameters};
use super::problem::Problem;
use super::queries::{self, Asking};
use super::{App, countries, tables};

/// List orders
///
/// Newest first. Whoever has signed in sees their own; staff, analysts and auditors see all, and with
/// `Accept: text/csv` every row that the filters leave, as a table of one moment.
#[utoipa::path(
    get, path = "/orders", tag = "orders",
    security(("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["customer", "vendor"]))),
    params(
        ("status" = Option<Status>, Query, description = "How far they have come"),
        ("review" = Option<String>, Query, description = "`none`, `held`, `approved` or `refused`"),
        ("customer_email" = Option<String>, Query, description = "In upper or lower case"),
        ("sku" = Option<String>, Query, description = "Holding this article"),
        ("country" = Option<String>, Query, description = "Sent there"),
        ("placed_from" = Option<String>, Query, description = "Time (RFC 3339) or day, included"),
        ("placed_to" = Option<String>, Query, description = "Time (RFC 3339) or day, included"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((
        status = 200, description = "A page, or all rows as a table",
        content((projections::Page<OrderSummary> = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn list(
    State(app): State<App>,
    shopper: Shopper,
    asking: Asking,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let mut filter = Filter {
        status: parameters.optional("status", str::parse),
        review: parameters.optional("review", review),
        customer_email: parameters.text("customer_email"),
        sku: parameters.optional("sku", str::parse),
        country: parameters.optional("country", countries::parse),
        placed_from: parameters.instant("placed_from"),
        placed_to: parameters.end("placed_to"),
        owner: None,
    };
    // A table is for whoever sees all orders.
    let as_table = tables::wanted(&headers) && shopper.sees_only().is_none();
    if as_table {
        parameters.whole();
    }
    let (limit, cursor) = (parameters.limit(), parameters.cursor());
    parameters.finish()?;
    if as_table {
        return tables::of_orders(&app, &asking, filter).await;
    }
    if let Some(account_id) = shopper.sees_only() {
        filter.owner = Some(ownership::owner(&app, account_id).await?);
    }
    let (position, _seat) = asking.seat(&app, &[orders::NAME]).await?;
    let page = orders::list(app.read_models.reads(), &filter, limit, cursor).await?;
    Ok(queries::show(position, &page))
}

fn review(text: &str) -> Result<Review, &'static str> {
    let known = REVIEWS.iter().find(|(name, _)| *name == text);
    let known = known.map(|(_, review)| *review);
    known.ok_or("must be one of none, held, approved, refused")
}

/// Show an order
///
/// A guest shows the order's token. With `as_of`, as it was then; with `diff_from`, which fields have
/// changed since, and by which events.
#[utoipa::path(
    get, path = "/orders/{id}", tag = "orders",
    security((), ("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["guest", "customer", "vendor"]))),
    params(
        ("token" = Option<String>, Query, description = "The order's token, for guests"),
        ("id" = Uuid, Path, description = "The order"),
        ("as_of" = Option<String>, Query, description = "Position, time (RFC 3339) or day"),
        ("diff_from" = Option<String>, Query, description = "An earlier moment: what changed since"),
    ),
    responses((status = 200, description = "The order, or its changes", body = Was<OrderView>))
)]
pub(crate) async fn show(
    State(app): State<App>,
    OfOrder(order_id): OfOrder,
    whose: ToSee,
    asking: Asking,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let link = parameters.text("token");
    let moments = Moments::of(&mut parameters);
    parameters.finish()?;
    let audience = whose.order(&app, order_id, link).await?;
    if moments.are_given() {
        // Boxed, or every query would carry the room for it along.
        Box::pin(show_past(&app, order_id, audience, moments, &asking)).await
    } else {
        show_now(&app, order_id, audience, &asking).await
    }
}

async fn show_now(
    app: &App,
    order_id: OrderId,
    audience: Audience,
    asking: &Asking,
) -> Result<Response, Problem> {
    let position = asking.position(app, &[orders::NAME]).await?;
    let order = app.read_models.order(order_id).await?;
    let order = order.ok_or_else(|| Problem::not_found("order").at(position))?;
    let shown = order.shown(audience)?;
    Ok(asking.show_text(position, shown.version, shown.json))
}

async fn show_past(
    app: &App,
    order_id: OrderId,
    audience: Audience,
    moments: Moments,
    asking: &Asking,
) -> Result<Response, Problem> {
    let (position, _seat) = asking.seat(app, &[orders::NAME]).await?;
    let asked = moments.asked(position);
    let was = history::of_order(&app.pool, order_id, asked, audience).await?;
    match was.ok_or_else(|| Problem::not_found("order").at(position))? {
        Was::View(order) => Ok(asking.show_mixed(position, order.version, &order)),
        Was::Changes(changes) => Ok(queries::show(position, &changes)),
    }
}
