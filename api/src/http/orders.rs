//! Orders, to look at: as they are, as they were, and how they came to be so.

use axum::extract::State;
use axum::response::Response;
use domain::ids::OrderId;
use domain::order::Review;
use projections::orders::{self, Audience, Filter, OrderSummary, OrderView, REVIEWS, Status};
use projections::timeline::{self, Entry};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::history::{self, AsOf};
use super::identity::Shopper;
use super::ownership::{self, ToSee};
use super::parameters::{OfOrder, Parameters};
use super::problem::Problem;
use super::queries::{self, Asking};
use super::{App, countries};

/// The timeline of an order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimelineView {
    order_id: Uuid,
    /// Every event of the order, its payment and its stock, in log order
    items: Vec<Entry>,
}

/// List orders
///
/// Newest first. Whoever has signed in sees their own; staff, analysts and auditors see all.
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
    responses((status = 200, description = "A page", body = projections::Page<OrderSummary>))
)]
pub(crate) async fn list(
    State(app): State<App>,
    shopper: Shopper,
    asking: Asking,
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
    let (limit, cursor) = (parameters.limit(), parameters.cursor());
    parameters.finish()?;
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
/// A guest shows the order's token. With `as_of`, as it was then.
#[utoipa::path(
    get, path = "/orders/{id}", tag = "orders",
    security((), ("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["guest", "customer", "vendor"]))),
    params(
        ("token" = Option<String>, Query, description = "The order's token, for guests"),
        ("id" = Uuid, Path, description = "The order"),
        ("as_of" = Option<String>, Query, description = "Position, time (RFC 3339) or day"),
    ),
    responses((status = 200, description = "The order", body = OrderView))
)]
pub(crate) async fn show(
    State(app): State<App>,
    OfOrder(order_id): OfOrder,
    whose: ToSee,
    asking: Asking,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let link = parameters.text("token");
    let as_of = parameters.optional("as_of", str::parse::<AsOf>);
    parameters.finish()?;
    let audience = whose.order(&app, order_id, link).await?;
    match as_of {
        None => show_now(&app, order_id, audience, &asking).await,
        // Boxed, or every query would carry the room for it along.
        Some(as_of) => Box::pin(show_as_of(&app, order_id, audience, as_of, &asking)).await,
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

async fn show_as_of(
    app: &App,
    order_id: OrderId,
    audience: Audience,
    as_of: AsOf,
    asking: &Asking,
) -> Result<Response, Problem> {
    let (position, _seat) = asking.seat(app, &[orders::NAME]).await?;
    let order = history::order_at(&app.pool, order_id, as_of).await?;
    let order = order.ok_or_else(|| Problem::not_found("order").at(position))?;
    Ok(asking.show_mixed(position, order.version, &order.shown_to(audience)))
}

/// Show an order's timeline
///
/// Every event of the order, its payment and its stock. A guest shows the order's token.
#[utoipa::path(
    get, path = "/orders/{id}/timeline", tag = "orders",
    security((), ("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["guest", "customer", "vendor"]))),
    params(
        ("token" = Option<String>, Query, description = "The order's token, for guests"),
        ("id" = Uuid, Path, description = "The order"),
    ),
    responses((status = 200, description = "What happened", body = TimelineView))
)]
pub(crate) async fn show_timeline(
    State(app): State<App>,
    OfOrder(order_id): OfOrder,
    whose: ToSee,
    asking: Asking,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let link = parameters.text("token");
    parameters.finish()?;
    let audience = whose.order(&app, order_id, link).await?;
    let (position, _seat) = asking.seat(&app, &[timeline::NAME]).await?;
    let mut items = timeline::of_order(app.read_models.reads(), order_id).await?;
    if audience == Audience::Customer {
        items = items
            .into_iter()
            .map(Entry::for_customer)
            .collect::<Result<_, _>>()?;
    }
    if items.is_empty() {
        return Err(Problem::not_found("order").at(position));
    }
    Ok(queries::show(position, &TimelineView { order_id: order_id.0, items }))
}
