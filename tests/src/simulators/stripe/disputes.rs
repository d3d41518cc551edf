//! Money that is taken back: disputes, which name Stripe's payment and nothing of the shop's, and whose
//! balance says where the money is.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Books, Pages, Reply, Sent, Stripe, WEBHOOK_SECRET, missing};

pub(super) async fn show(State(books): State<Books>, Path(id): Path<String>) -> Reply {
    let found = books.lock().disputes.get(&id).cloned();
    found.map_or_else(|| missing("dispute"), |dispute| (StatusCode::OK, Json(dispute)))
}

impl Pages {
    fn dispute(&mut self, reference: &str, minor: i64) -> String {
        let id = self.name("dp");
        let mut intents = self.intents.values();
        let intent = intents.find(|intent| intent["metadata"]["reference"] == reference);
        let intent = intent.expect("it is paid");
        let dispute = json!({
            "id": id, "object": "dispute", "payment_intent": intent["id"], "amount": minor,
            "currency": intent["currency"], "reason": "fraudulent", "metadata": {},
            "status": "warning_needs_response", "balance_transactions": [],
        });
        self.disputes.insert(id.clone(), dispute);
        id
    }

    /// The money of the dispute moves: below zero away from the shop.
    fn moves(&mut self, id: &str, status: &str, minor: i64) {
        let dispute = self.disputes.get_mut(id).expect("there is such a dispute");
        dispute["status"] = status.into();
        let moved = json!({"object": "balance_transaction", "amount": minor, "fee": 1500});
        let balance = dispute["balance_transactions"].as_array_mut();
        balance.expect("a list").push(moved);
    }

    fn said_of(&mut self, id: &str, kind: &str) -> Sent {
        let event_id = self.name("evt");
        let event = json!({
            "id": event_id, "object": "event", "type": format!("charge.dispute.{kind}"),
            "data": {"object": self.disputes[id]},
        });
        Stripe::signed(WEBHOOK_SECRET, &event)
    }
}

impl Stripe {
    /// The customer's bank asks what this attempt was about, and takes nothing; what Stripe says then.
    pub fn inquires(&self, reference: &str) -> Sent {
        let mut pages = self.books.lock();
        let id = pages.dispute(reference, 1);
        pages.said_of(&id, "created")
    }

    pub(super) fn withdraws(&self, reference: &str, minor: i64) -> Vec<Sent> {
        let mut pages = self.books.lock();
        let id = pages.dispute(reference, minor);
        pages.moves(&id, "needs_response", -minor);
        ["created", "funds_withdrawn"]
            .map(|kind| pages.said_of(&id, kind))
            .to_vec()
    }

    pub(super) fn wins_disputes_of(&self, reference: &str) -> Vec<Sent> {
        let mut pages = self.books.lock();
        let intents = pages.intents.values();
        let ours: Vec<Value> = intents
            .filter(|intent| intent["metadata"]["reference"] == reference)
            .map(|intent| intent["id"].clone())
            .collect();
        let disputes = pages.disputes.values();
        let open: Vec<(String, i64)> = disputes
            .filter(|dispute| ours.contains(&dispute["payment_intent"]))
            .filter(|dispute| dispute["status"] == "needs_response")
            .map(|dispute| {
                let id = dispute["id"].as_str().expect("a name").to_owned();
                (id, dispute["amount"].as_i64().expect("an amount"))
            })
            .collect();
        let mut said = Vec::new();
        for (id, minor) in open {
            pages.moves(&id, "won", minor);
            said.extend(["funds_reinstated", "closed"].map(|kind| pages.said_of(&id, kind)));
        }
        said
    }
}
