//! Stripe's refunds, made under a key, paid out or turned away later: docs.stripe.com/api/refunds.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use chrono::Utc;
use serde_json::json;

use super::{Books, Stripe, missing, parameters, problem, read};
use crate::simulators::Reply;

pub(super) async fn refund(State(books): State<Books>, headers: HeaderMap, body: String) -> Reply {
    let (key, form) = match read(&headers, &body, &parameters::REFUND) {
        Ok(read) => read,
        Err(reply) => return reply,
    };
    books.lock().once(&key, form, |pages, form| {
        let text = |name: &str| form.get(name).cloned().unwrap_or_default();
        let Some(intent) = pages.intents.get(&text("payment_intent")) else {
            return missing("payment_intent");
        };
        let currency = intent["currency"].clone();
        let left = intent["amount_received"].as_i64().unwrap_or(0)
            - pages
                .refunds
                .values()
                .filter(|refund| refund["payment_intent"] == intent["id"])
                .filter(|refund| refund["status"] != "failed")
                .filter_map(|refund| refund["amount"].as_i64())
                .sum::<i64>();
        let amount: i64 = text("amount").parse().unwrap_or(left);
        if left < amount {
            let message = "Refund amount is greater than unrefunded amount on charge";
            return problem(StatusCode::BAD_REQUEST, "invalid_request_error", None, message);
        }
        let id = pages.name("re");
        let refund = json!({
            "id": id, "object": "refund", "status": "pending", "amount": amount,
            "currency": currency, "created": Utc::now().timestamp(), "payment_intent": text("payment_intent"),
            "metadata": {
                "refund_id": text("metadata[refund_id]"),
                "reference": text("metadata[reference]"),
            },
        });
        pages.refunds.insert(id, refund.clone());
        (StatusCode::OK, Json(refund))
    })
}

pub(super) async fn show(State(books): State<Books>, Path(id): Path<String>) -> Reply {
    let found = books.lock().refunds.get(&id).cloned();
    found.map_or_else(|| missing("refund"), |refund| (StatusCode::OK, Json(refund)))
}

impl Stripe {
    /// Every refund in one state is in another from now on.
    pub(super) fn refunds_move(&self, from: &str, to: &str) {
        for refund in self.books.lock().refunds.values_mut() {
            if refund["status"] == from {
                refund["status"] = to.into();
            }
        }
    }

    /// The banks of customers turn away what was paid out of this attempt.
    pub(super) fn refunds_are_turned_away(&self, reference: &str) {
        let mut pages = self.books.lock();
        for refund in pages.refunds.values_mut() {
            if refund["status"] == "succeeded" && refund["metadata"]["reference"] == reference {
                refund["status"] = "failed".into();
                refund["failure_reason"] = "expired_or_canceled_card".into();
            }
        }
    }
}
