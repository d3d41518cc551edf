//! Disputes: open until the shop accepts or declines, and accepted where it says nothing in time.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::json;

use super::{Books, KEY, Paystack, Reply, Sent, no, yes};

pub(super) async fn show(State(books): State<Books>, Path(id): Path<String>) -> Reply {
    let pages = books.lock();
    let mut disputes = pages.disputes.iter();
    match disputes.find(|dispute| dispute["id"].as_u64() == id.parse().ok()) {
        Some(dispute) => yes("Dispute retrieved", dispute.clone()),
        None => no(StatusCode::NOT_FOUND, "Dispute not found", "not_found"),
    }
}

impl Paystack {
    /// The customer's bank disputes so much of this attempt, and nobody has decided yet; what Paystack
    /// says then.
    pub fn disputes(&self, reference: &str, minor: i64) -> Sent {
        let mut pages = self.books.lock();
        let (id, transaction) = (pages.name(), pages.transactions[reference].clone());
        let dispute = json!({
            "id": id, "status": "awaiting-merchant-feedback", "resolution": null,
            "refund_amount": minor, "currency": transaction["currency"], "category": "chargeback",
            "transaction": transaction,
        });
        pages.disputes.push(dispute.clone());
        Self::signed(KEY, &json!({"event": "charge.dispute.create", "data": dispute}))
    }

    /// All disputes of this attempt are decided; what Paystack says then.
    pub fn resolves(&self, reference: &str, resolution: &str) -> Vec<Sent> {
        let mut pages = self.books.lock();
        let disputes = pages.disputes.iter_mut();
        let ours = disputes.filter(|dispute| dispute["transaction"]["reference"] == reference);
        ours.map(|dispute| {
            dispute["status"] = "resolved".into();
            dispute["resolution"] = resolution.into();
            Self::signed(KEY, &json!({"event": "charge.dispute.resolve", "data": dispute}))
        })
        .collect()
    }
}
