//! Checking out: an order of what is in a cart, placed as every other.
//!
//! 1. The cart keeps the name of its order before the order is placed, so one order at most comes of
//!    it: under the same key the same answer, under another key a refusal.
//! 2. What was ordered is taken out once it is in the log, and not before. Should nobody come to it,
//!    whoever touches the cart next does.

use axum::extract::State;
use axum::response::Response;
use domain::ids::OrderId;
use storefront::carts::{Cart, Whose};
use uuid::Uuid;

use super::{Shopping, nothing_in_it, settle};
use crate::http::App;
use crate::http::buying_bodies::CheckOut;
use crate::http::command::Asked;
use crate::http::order_body::{CheckoutBody, Item, OrderBody};
use crate::http::placing::{PlacedView, Room, place_as};
use crate::http::problem::{Flaw, Problem};

/// Check out
///
/// Places an order of what is in the cart, as `POST /orders` does, in the cart's currency. What was
/// ordered is taken out of the cart as soon as the order is placed, and not before; what is put in
/// meanwhile stays. However often it is tried, one order comes of it: under the same key with the
/// same answer, under another with 409 `order_already_placed` or, once it is empty, 422
/// `cart_empty`.
#[utoipa::path(
    post, path = "/cart/checkout", tag = "carts", request_body = CheckOut,
    security((), ("bearer" = ["customer", "vendor", "admin"])),
    responses(
        (status = 201, description = "The order is placed", body = PlacedView),
        (status = 404, description = "There is no such cart", body = ()),
    )
)]
pub(crate) async fn check_out(
    State(app): State<App>,
    _room: Room,
    shopping: Shopping,
    asked: Asked<CheckoutBody>,
) -> Result<Response, Problem> {
    // Whatever is in the cart by now: the journal knows what was ordered under this key.
    if let Some(told) = asked.told_before(&app).await? {
        if let Ok(whose) = shopping.whose() {
            settle_or_later(&app, whose).await;
        }
        return Ok(told);
    }
    asked.body.permit(asked.caller)?;
    let whose = shopping.whose()?;
    settle(&app, whose).await?;
    let cart = app.carts.find(whose).await?;
    let order_id = OrderId(Uuid::now_v7());
    let order_id = app.carts.name_order(cart.cart_id, order_id).await?;
    // Once more: from here on, what comes into it is not ordered.
    let cart = app.carts.find(whose).await?;
    let order = match order_of(&asked.body, &cart) {
        Ok(order) => order,
        Err(problem) => return asked.turn_away(&app, asked.alone(), &problem).await,
    };
    let response = place_as(&app, &asked, &order, order_id).await?;
    settle_or_later(&app, whose).await;
    Ok(response)
}

/// The order is placed, or refused, whatever becomes of the cart now.
async fn settle_or_later(app: &App, whose: Whose<'_>) {
    if let Err(problem) = settle(app, whose).await {
        tracing::warn!(problem = problem.sentence(), "a cart is settled later");
    }
}

/// The order that was asked for, with the lines of the cart.
fn order_of(order: &CheckoutBody, cart: &Cart) -> Result<OrderBody, Problem> {
    if cart.currency != order.currency() {
        let detail = format!(
            "must be {}, the cart's; PATCH /cart shows its prices in another",
            cart.currency
        );
        let flaw = Flaw { pointer: "/currency".to_owned(), detail };
        return Err(Problem::invalid_fields(vec![flaw]));
    }
    if cart.items.is_empty() {
        return Err(nothing_in_it());
    }
    let items = cart.items.iter();
    let items = items.map(|item| Item::new(item.sku.clone(), item.quantity));
    Ok(order.of(items.collect()))
}
