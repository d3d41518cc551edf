//! How what is open at Stripe is ended: `docs.stripe.com/api/checkout/sessions/expire` and
//! `docs.stripe.com/api/payment_intents/cancel`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::Value;

use super::{Books, missing, problem};
use crate::simulators::Reply;

/// In which an intent may be cancelled.
const CANCELLABLE: [&str; 4] = [
    "requires_payment_method",
    "requires_capture",
    "requires_confirmation",
    "requires_action",
];

pub(super) async fn expire(State(books): State<Books>, Path(id): Path<String>) -> Reply {
    let mut pages = books.lock();
    match pages.sessions.get_mut(&id) {
        Some(session) => end(session, &["open"], "expired", None),
        None => missing("checkout.session"),
    }
}

pub(super) async fn cancel(State(books): State<Books>, Path(id): Path<String>) -> Reply {
    let mut pages = books.lock();
    let code = Some("payment_intent_unexpected_state");
    match pages.intents.get_mut(&id) {
        Some(intent) => end(intent, &CANCELLABLE, "canceled", code),
        None => missing("payment_intent"),
    }
}

fn end(object: &mut Value, from: &[&str], to: &str, code: Option<&str>) -> Reply {
    let status = object["status"].as_str().unwrap_or_default();
    if !from.contains(&status) {
        let message = format!("only what is {from:?} can be ended, and this is {status}");
        return problem(StatusCode::BAD_REQUEST, "invalid_request_error", code, &message);
    }
    object["status"] = to.into();
    (StatusCode::OK, Json(object.clone()))
}
