//! `POST /orders`: an order as submitted becomes an order as placed; whoever wants to may wait for
//! what becomes of it.

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::ids::{OrderId, PaymentId};
use domain::money::{AMOUNT_MINOR_MAX, Money};
use domain::order::{self, Order, Review};
use domain::placing::{Address, Discount, Line, PaymentChoice, Placing};
use projections::MoneyView;
use projections::orders::{OrderView, Status};
use serde::Serialize;
use store::command::{Receipt, Verdict};
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;
use workers::fraud::{Counted, Screened};

use super::App;
use super::addresses;
use super::bodies::PlaceOrder;
use super::catalogue;
use super::command::{Accepted, Asked, answer, respond};
use super::delivering::{self, Sent};
use super::expecting;
use super::identity::{Buyer, Caller};
use super::order_body::OrderBody;
use super::outcomes::Waiting;
use super::paying;
use super::plainly_gone;
use super::preferring::{self, PREFERENCE_APPLIED};
use super::problem::Problem;
use super::promising::{self, Basket};
use super::protection::guesses::Guesser;

/// An order that was placed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlacedView {
    /// Its name from now on
    id: Uuid,
    /// `pending`; after a wait, what has become of it
    status: Status,
    /// Its version, for `If-Match`
    version: i64,
    /// Goods after the discount, and shipping
    total: MoneyView,
    /// The payment that carries its money
    payment_id: Uuid,
    /// `held` if somebody has to look at it before it goes on, `refused` if it does not
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "held")]
    review: Option<Review>,
    /// What to tell the customer about that
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
    /// For guests: opens this order without an account, as `?token=` or `Daybook-Order-Token`
    #[serde(skip_serializing_if = "Option::is_none")]
    order_token: Option<String>,
}

/// Room for one more order. Where there is none, its body is not even read.
pub(crate) struct Room;

impl FromRequestParts<App> for Room {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self, Problem> {
        if app.journal.pace().orders_wait() {
            Err(Problem::orders_wait())
        } else {
            Ok(Self)
        }
    }
}

/// Place an order
///
/// Prices and names come from the catalogue and are frozen into the order. Staff may give
/// `unit_price`, `name` and `placed_at`. With `Prefer: wait=<seconds>` the answer comes when the
/// order is neither `pending` nor `processing` any more, when it is held for staff (`review`), or
/// when the time is over. Whoever has signed in finds the order under `GET /orders`; a guest is
/// given a token that opens it.
///
/// What cannot be reserved makes the order fail, which is told by its status. With `Prefer: in-stock`
/// no order is placed where that is certain at once: 409 `out_of_stock`.
/// With `expected_total`, an order that has become dearer since the customer saw it is not placed:
/// 422 `price_changed` with the total that was expected (`old`), the one that it is (`new`) and, of
/// lines with `expected_unit_price`, those that cost more (`lines`). A lower total is accepted.
///
/// It goes to the `shipping_address`, or to an address of one's book (`address_id`), of which it keeps
/// a copy: 422 `unknown_address` if there is none.
///
/// `promotion_code` names the promotion that is to take something off the goods; without it, of those
/// that apply by themselves the one that takes most off does. Its use is held with the stock: if
/// others are first, the order fails (`promotion_used_up`).
///
/// `shipping_method` names how the goods are sent, `pickup_point` where they are picked up if that is
/// what the method is for. What it costs is worked out by the method's rates of the moment, is part of
/// the total, and is frozen into the order. Where the method does not carry the order, 422
/// `shipping_unavailable` says why (`reason`). `POST /shipping/quotes` tells beforehand.
///
/// Where no `gateway` is named, one is chosen by the rules of routing; 422 `no_gateway` if nobody
/// takes it, 503 `gateways_away` if whoever does is not reached at the moment.
#[utoipa::path(
    post, path = "/orders", tag = "orders", request_body = PlaceOrder,
    security((), ("bearer" = ["customer", "vendor", "admin", "importer"])),
    responses((status = 201, description = "The order is placed", body = PlacedView))
)]
pub(crate) async fn place(
    State(app): State<App>,
    _room: Room,
    _: Buyer,
    asked: Asked<OrderBody>,
) -> Result<Response, Problem> {
    asked.body.permit(asked.caller)?;
    let order_id = OrderId(Uuid::now_v7());
    place_as(&app, &asked, &asked.body, order_id).await
}

/// Places an order under this name, whoever asked for it and however; it is placed, now or before,
/// where the answer is 201.
pub(crate) async fn place_as<B: Sync>(
    app: &App,
    asked: &Asked<B>,
    order: &OrderBody,
    order_id: OrderId,
) -> Result<Response, Problem> {
    let now = Utc::now();
    let until = asked.wait.map(|wait| Instant::now() + wait);
    // Whatever the catalogue says by now, the journal knows a repetition and what it was told.
    let lines = match catalogue::price(app, order).await? {
        Ok(lines) => lines,
        Err(problem) => return asked.turn_away(app, asked.alone(), &problem).await,
    };
    let address = match addresses::destination(app, asked.caller, &order.destination).await? {
        Ok(address) => address,
        Err(problem) => return asked.turn_away(app, asked.alone(), &problem).await,
    };
    if let Some(problem) = plainly_gone::among(app, asked, order) {
        return asked.turn_away(app, asked.alone(), &problem).await;
    }
    let customer_id = asked.caller.customer_id();
    let pay_by = now + app.settings.payment_window;
    let mut placing = Placing { customer_id, ..placing(order, address, lines, now, pay_by) };
    match discount(app, asked.guesser, order, &placing, now).await? {
        Ok(discount) => placing.discount = discount.map(Box::new),
        Err(problem) => return asked.turn_away(app, asked.alone(), &problem).await,
    }
    // After the discount, which decides on what is free from a total on.
    match delivering::choose(app, asked.caller, order, &placing).await? {
        Ok(Some(Sent { shipping, price_minor })) => {
            placing.shipping_minor = price_minor;
            placing.shipping = Some(Box::new(shipping));
        }
        Ok(None) => {}
        Err(problem) => return asked.turn_away(app, asked.alone(), &problem).await,
    }
    if let Some(problem) = expecting::risen(order, &placing) {
        return asked.turn_away(app, asked.alone(), &problem).await;
    }
    let country = &placing.shipping_address.country;
    match paying::choose(app, &order.payment, to_pay(&placing), country) {
        Ok(choice) => placing.payment = choice,
        Err(nobody) => return nobody.answer(app, asked, asked.alone()).await,
    }
    let order_token = token_for(app, asked.caller, order_id);
    // Before the order can move.
    let waiting = until.map(|until| (app.outcomes.wait_for(order_id), until));
    let (command, counted) = screened(app, order_id, placing, order);
    let wording = asked.wording(StatusCode::CREATED, |accepted| PlacedView {
        order_token: order_token.clone(),
        ..placed(order_id, &accepted)
    });
    let envelope = asked.about(order_id);
    let receipt = app
        .journal
        .execute::<Order>(&order_id.to_string(), command, envelope, wording)
        .await?;
    let is_new = receipt.verdict == Verdict::Accepted && !receipt.replayed;
    if let Some(counted) = counted.filter(|_| is_new) {
        counted.keep();
    }
    match waiting {
        Some((waiting, until)) if is_new => {
            with_outcome(app, asked, receipt, &waiting, until).await
        }
        Some(_) | None => Ok(respond(receipt)),
    }
}

/// What a promotion takes off, or why the one that was asked for does not.
async fn discount(
    app: &App,
    guesser: Guesser,
    order: &OrderBody,
    placing: &Placing,
    at: DateTime<Utc>,
) -> Result<Result<Option<Discount>, Problem>, Problem> {
    let Placing { lines, currency, customer_id, .. } = placing;
    let basket = Basket { lines, currency: *currency, customer_id: *customer_id, at };
    if let Some(code) = &order.promotion_code {
        let promised = promising::by_code(app, guesser, code, basket).await?;
        return Ok(promised.map(Some));
    }
    if order.is_as_staff_say() {
        return Ok(Ok(None));
    }
    promising::automatic(app, basket).await.map(Ok)
}

/// The order with what fraud rules make of it; and its place among those that are counted.
fn screened(
    app: &App,
    order_id: OrderId,
    placing: Placing,
    body: &OrderBody,
) -> (order::Command, Option<Counted>) {
    let OrderBody { payer_country, client_ip, .. } = body;
    let screened = app
        .fraud
        .screen(order_id, &placing, payer_country.as_deref(), *client_ip);
    let placing = Box::new(placing);
    match screened {
        None => (order::Command::Place(placing), None),
        Some(Screened { screening, counted }) => {
            (order::Command::PlaceScreened(placing, screening), counted)
        }
    }
}

/// Waits, and keeps what is told then for repetitions, before it is told.
async fn with_outcome<B>(
    app: &App,
    asked: &Asked<B>,
    mut receipt: Receipt<order::Refusal>,
    waiting: &Waiting,
    until: Instant,
) -> Result<Response, Problem> {
    if let Some(order) = waiting.outcome(app, until).await? {
        let order_token = token_for(app, asked.caller, order.id);
        let told =
            answer(StatusCode::CREATED, &PlacedView { order_token, ..PlacedView::from(order) });
        let kept = app
            .journal
            .keep_awaited_answer(asked.command_id, &told)
            .await?;
        receipt.answer = Some(kept);
    }
    let mut response = respond(receipt);
    let applied = asked.wait.and_then(preferring::applied);
    response
        .headers_mut()
        .extend(applied.map(|applied| (PREFERENCE_APPLIED, applied)));
    Ok(response)
}

/// What opens the order to a guest.
fn token_for(app: &App, caller: Caller, order_id: OrderId) -> Option<String> {
    (caller == Caller::Guest).then(|| app.accounts.link_token(order_id.0))
}

fn placing(
    order: &OrderBody,
    shipping_address: Address,
    lines: Vec<Line>,
    now: DateTime<Utc>,
    pay_by: DateTime<Utc>,
) -> Placing {
    Placing {
        customer: order.customer.clone(),
        customer_id: None,
        shipping_address,
        currency: order.currency,
        lines,
        shipping_minor: order.shipping_cost.map_or(0, |cost| cost.minor),
        // Nothing, until the lines are known to a promotion.
        shipping: None,
        discount: None,
        payment_id: PaymentId(Uuid::now_v7()),
        // Nobody, until somebody is chosen for the amount.
        payment: PaymentChoice {
            method: order.payment.method,
            gateway: String::new(),
            token: None,
            routed_by: None,
        },
        placed_at: order.placed_at.unwrap_or(now),
        pay_by,
        set_aside: None,
    }
}

/// What a provider would be asked for. What cannot even be added up is refused by the order itself.
fn to_pay(placing: &Placing) -> Money {
    let most = Money { minor: AMOUNT_MINOR_MAX, currency: placing.currency };
    placing.total_if_any().unwrap_or(most)
}

fn placed(order_id: OrderId, accepted: &Accepted<'_, Order>) -> PlacedView {
    let order = accepted.state;
    PlacedView {
        id: order_id.0,
        status: if order.review() == Review::Refused {
            Status::Failed
        } else {
            Status::Pending
        },
        review: told(order.review()),
        notice: notice(order.review()),
        version: accepted.version,
        total: order.total().expect("a placed order has a total").into(),
        payment_id: order.payment_id().expect("a placed order has a payment").0,
        order_token: None,
    }
}

impl From<OrderView> for PlacedView {
    fn from(order: OrderView) -> Self {
        Self {
            id: order.id.0,
            status: order.status,
            version: order.version,
            total: order.total,
            payment_id: order.payment_id.0,
            review: told(order.review),
            notice: notice(order.review),
            order_token: None,
        }
    }
}

/// Most orders are not reviewed, and do not speak of it.
fn told(review: Review) -> Option<Review> {
    Some(review).filter(|review| *review != Review::None)
}

/// Neutral: whoever tries what gets through must not learn it here.
fn notice(review: Review) -> Option<&'static str> {
    match review {
        Review::None | Review::Approved => None,
        Review::Held => Some("we are checking this order, and will get back to you"),
        Review::Refused => Some("we cannot take this order; please get in touch with us"),
    }
}
