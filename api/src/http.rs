//! Daybook over HTTP. This file is the table of contents: every route, and the layers around them.
//!
//! ```text
//! request ─▶ occurrence (id, log, count, problem+json) ─▶ rates ─▶ panics, time limit ─▶ handler
//!                                                                                           │
//!                                  command: who, key, turn, body ─▶ journal ─▶ receipt ◀────┤
//!                                  query:   who, position, parameters ─▶ read model ◀───────┘
//! ```

mod addresses;
pub mod answers;
mod api_keys;
pub mod app;
mod attending;
mod auth;
pub mod availability;
mod back_office;
mod blocklist;
pub mod bodies;
pub mod buying_bodies;
mod caching;
mod carts;
mod catalogue;
pub mod catalogue_bodies;
mod catalogue_export;
mod catalogue_import;
mod catalogue_lines;
mod categories;
mod command;
mod countries;
mod customers;
pub mod delivering;
mod delivery;
pub mod delivery_bodies;
pub(crate) mod email;
pub(crate) mod events;
mod expecting;
mod faq;
mod fields;
mod forgetting;
mod formats;
mod forms;
mod fraud_rules;
pub mod health;
mod history;
mod identity;
mod inventory;
mod json;
mod keys;
mod leaving;
mod listings;
mod manual;
pub mod metrics;
mod moves;
mod occurrence;
mod offering;
pub mod offers;
mod openapi;
mod order_body;
mod orders;
pub mod outcomes;
mod ownership;
pub(crate) mod parameters;
mod parked;
mod paying;
mod payments;
mod phone;
mod placing;
mod plainly_gone;
mod preferring;
mod price_history;
pub(crate) mod problem;
mod products;
mod profile;
pub mod promising;
mod promotions;
mod proofs;
pub mod protection;
mod providers;
mod queries;
pub mod quotes;
mod rates;
mod read_models;
mod reconciliations;
mod refunds;
mod refusals;
mod reports;
mod reviewing;
mod reviews;
mod routing_rules;
pub(crate) mod rows;
mod said;
mod self_audits;
pub mod sellers;
mod server;
mod shipping;
mod shipping_quotes;
pub(crate) mod slicing;
pub(crate) mod stored;
mod tables;
pub mod tail;
mod tickets;
mod timeline;
pub mod turns;
mod unmatched;
mod vendors;
mod webhooks;
mod wishlists;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::FutureExt as _;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config, SwaggerUi};

pub use self::server::{BindError, bind, serve, serve_operation};

use self::app::App;
use self::problem::Problem;
use self::protection::{Guard, Origins};

/// Where commands and queries are.
pub const BASE: &str = "/api/v1";

/// Longest time until the head of an answer: the longest wait for an outcome (30 s) and some more.
const ANSWER_MAX: Duration = Duration::from_secs(40);

/// Every route. The document at `/openapi.json` is made of the same table.
fn routes() -> OpenApiRouter<App> {
    let business = OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(placing::place, orders::list))
        .routes(routes!(orders::show))
        .routes(routes!(timeline::show))
        .routes(routes!(moves::cancel))
        .routes(routes!(moves::complete))
        .routes(routes!(reviewing::review))
        .routes(routes!(refunds::refund))
        .routes(routes!(payments::start))
        .routes(routes!(payments::show_to_pay))
        .routes(routes!(payments::list))
        .routes(routes!(payments::show))
        .routes(routes!(providers::list))
        .routes(routes!(routing_rules::create, routing_rules::list))
        .routes(routes!(routing_rules::replace, routing_rules::delete))
        .routes(routes!(routing_rules::choice))
        .routes(routes!(routing_rules::list_changes))
        .routes(routes!(products::list))
        .routes(routes!(products::describe, products::show))
        .routes(routes!(price_history::list))
        .routes(routes!(rates::load))
        .routes(routes!(rates::list))
        .routes(routes!(availability::show))
        .routes(routes!(inventory::list))
        .routes(routes!(inventory::show))
        .routes(routes!(inventory::receive))
        .routes(routes!(inventory::adjust))
        .routes(routes!(events::list))
        .routes(routes!(tail::follow))
        .routes(routes!(stored::list))
        .routes(routes!(stored::list_seals))
        .routes(routes!(proofs::head))
        .routes(routes!(proofs::prove_inclusion))
        .routes(routes!(proofs::prove_consistency))
        .routes(routes!(reports::report_sales))
        .routes(routes!(reports::report_settlement))
        .routes(routes!(reports::report_customers))
        .routes(routes!(read_models::list))
        .routes(routes!(read_models::rebuild))
        .routes(routes!(rows::take_away))
        .routes(routes!(read_models::pause))
        .routes(routes!(read_models::resume))
        .routes(routes!(read_models::cancel))
        .routes(routes!(read_models::drop_replay))
        .routes(routes!(self_audits::show))
        .routes(routes!(parked::list))
        .routes(routes!(webhooks::receive, webhooks::receive_put, webhooks::show))
        .routes(routes!(webhooks::list))
        .routes(routes!(unmatched::refund))
        .routes(routes!(attending::resolve))
        .routes(routes!(attending::retry))
        .routes(routes!(manual::receive))
        .routes(routes!(manual::pay_out))
        .routes(routes!(reconciliations::reconcile));
    let all = business
        .merge(accounts())
        .merge(screening())
        .merge(community())
        .merge(shelves())
        .merge(marketplace())
        .merge(buying());
    operation().nest(BASE, all)
}

/// What a shop front shows beside its products.
fn shelves() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(listings::list))
        .routes(routes!(listings::show, listings::describe, listings::withdraw))
        .routes(routes!(catalogue_export::export))
        .routes(routes!(catalogue_import::import))
        .routes(routes!(categories::list))
        .routes(routes!(categories::show, categories::put, categories::remove))
}

/// Who may sign in, of which nothing is in the log; and who is to be forgotten by it.
fn accounts() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(auth::register))
        .routes(routes!(auth::login))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::change_password))
        .routes(routes!(auth::forgot_password))
        .routes(routes!(auth::reset_password))
        .routes(routes!(auth::verify_email))
        .routes(routes!(auth::ask_for_proof))
        .routes(routes!(api_keys::make, api_keys::list))
        .routes(routes!(api_keys::revoke))
        .routes(routes!(profile::show, profile::describe, profile::amend))
        .routes(routes!(addresses::list, addresses::add))
        .routes(routes!(addresses::show, addresses::replace, addresses::delete))
        .routes(routes!(customers::list, customers::open))
        .routes(routes!(customers::show, customers::describe, customers::close))
        .routes(routes!(forgetting::forget))
}

/// What orders are screened by; the decisions are in the log.
fn screening() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(fraud_rules::list, fraud_rules::make))
        .routes(routes!(fraud_rules::replace, fraud_rules::delete))
        .routes(routes!(blocklist::list, blocklist::block))
        .routes(routes!(blocklist::unblock))
}

/// What customers say that is no order: wishes, reviews, questions.
fn community() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(wishlists::list, wishlists::create))
        .routes(routes!(wishlists::show, wishlists::rename, wishlists::delete))
        .routes(routes!(wishlists::put, wishlists::remove))
        .routes(routes!(wishlists::share, wishlists::unshare))
        .routes(routes!(reviews::list_published))
        .routes(routes!(reviews::list_own))
        .routes(routes!(reviews::show, reviews::write, reviews::delete))
        .routes(routes!(reviews::list))
        .routes(routes!(reviews::moderate))
        .routes(routes!(tickets::open, tickets::list))
        .routes(routes!(tickets::show))
        .routes(routes!(tickets::write))
        .routes(routes!(tickets::close))
        .routes(routes!(faq::list, faq::add))
        .routes(routes!(faq::replace, faq::delete))
}

/// Who sells beside the house, and what they ship.
fn marketplace() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(vendors::register, vendors::list))
        .routes(routes!(vendors::show_own, vendors::describe_own))
        .routes(routes!(back_office::list_orders))
        .routes(routes!(back_office::show_order))
        .routes(routes!(back_office::report_sales))
        .routes(routes!(vendors::show))
        .routes(routes!(vendors::activate))
        .routes(routes!(vendors::deactivate))
        .routes(routes!(shipping::ship))
}

/// What leads to an order.
fn buying() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(carts::open))
        .routes(routes!(carts::show, carts::amend, carts::throw_away))
        .routes(routes!(carts::add))
        .routes(routes!(carts::set, carts::take_out))
        .routes(routes!(carts::merge))
        .routes(routes!(carts::checkout::check_out))
        .routes(routes!(promotions::list))
        .routes(routes!(promotions::list_all))
        .routes(routes!(promotions::describe, promotions::show))
        .routes(routes!(delivery::list_methods))
        .routes(routes!(delivery::describe_method, delivery::show_method))
        .routes(routes!(delivery::list_points))
        .routes(routes!(delivery::describe_point, delivery::show_point))
        .routes(routes!(shipping_quotes::quote))
        .routes(routes!(shipping_quotes::quote_cart))
}

fn operation() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::metrics))
}

/// The OpenAPI document, as it is served.
pub fn document() -> Value {
    openapi::complete(&routes().split_for_parts().1)
}

/// The same as a Postman collection.
pub fn postman_collection() -> Value {
    openapi::postman::collection(&document())
}

/// Everything that is served, on one port.
pub fn router(app: App) -> Router {
    let (routes, document) = routes().split_for_parts();
    let document = openapi::complete(&document);
    let routes = routes.merge(documentation(document));
    layered(routes, Guard::of(&app), &app.settings.protection.origins).with_state(app)
}

/// The document, to try out, to read, and to take along.
fn documentation(document: Value) -> Router<App> {
    let reference: Arc<str> = openapi::reference::page(&document).into();
    let collection = openapi::postman::collection(&document);
    // The page would show the document to a validator on the internet.
    let offline = Config::default().validator_url("none");
    let interactive = SwaggerUi::new("/docs")
        .config(offline)
        .external_url_unchecked("/openapi.json", document);
    Router::new()
        .route("/docs/reference", get(async move || Html(reference.to_string())))
        .route("/postman.json", get(async move || Json(collection)))
        .merge(interactive)
}

/// Health and metrics only.
fn operation_router(app: App) -> Router {
    let guard = Guard::of_operation(app.journal.pace().clone());
    layered(operation().split_for_parts().0, guard, &Origins::default()).with_state(app)
}

/// The layers around every route, the outermost last.
fn layered<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    guard: Guard,
    origins: &Origins,
) -> Router<S> {
    let routes = routes
        .fallback(async || Problem::not_found("address"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(from_fn_with_state(guard, around));
    // Around everything, so that pages can read refusals too.
    match origins.layer() {
        Some(cors) => routes.layer(cors),
        None => routes,
    }
}

/// One layer for everything, because each costs every request two allocations.
async fn around(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let is_secure = guard.is_secure(&request);
    let is_documentation = protection::headers::is_documentation(request.uri().path());
    let mut response = occurrence::occur(request, |mut request| async move {
        // Before anything is read of it: what is too much must cost as little as possible.
        if guard.pace.is_full() && !request.method().is_safe() {
            return Problem::too_many_commands().into_response();
        }
        let admitted = match guard.admit(&mut request) {
            Ok(admitted) => admitted,
            Err(problem) => return problem.into_response(),
        };
        let terms = caching::Terms::of(&request);
        let mut response = terms.apply(in_time(request, next).await).await;
        // Whoever was held up by another limit since is told of that one.
        let is_held_up = response.status() == StatusCode::TOO_MANY_REQUESTS;
        if let Some(admitted) = admitted.filter(|_| !is_held_up) {
            admitted.tell(response.headers_mut());
        }
        response
    })
    .await;
    protection::headers::tell(response.headers_mut(), is_documentation, is_secure);
    response
}

/// An answer within bounded time, whatever the handler does.
async fn in_time(request: Request, next: Next) -> Response {
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(ANSWER_MAX, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => panicked(panic.as_ref()),
        Err(_elapsed) => Problem::timeout().into_response(),
    }
}

/// A bug of ours stops one request, not the process.
fn panicked(panic: &(dyn Any + Send)) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(panic = text, "a handler panicked");
    Problem::internal().into_response()
}

#[cfg(test)]
#[path = "http/layers_tests.rs"]
mod tests;
