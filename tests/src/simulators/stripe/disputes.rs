//! Money that is taken back: disputes, which name Stripe's payment and nothing of the shop's.

use serde_json::json;

use super::{Sent, Stripe, WEBHOOK_SECRET};

impl Stripe {
    /// The customer's bank takes the money of this attempt back; what Stripe says then.
    pub fn disputes(&self, reference: &str) -> Sent {
        let mut pages = self.books.lock();
        let (id, event_id) = (pages.name("dp"), pages.name("evt"));
        let mut intents = pages.intents.values();
        let intent = intents.find(|intent| intent["metadata"]["reference"] == reference);
        let intent = intent.expect("it is paid");
        let dispute = json!({
            "id": id, "object": "dispute", "payment_intent": intent["id"],
            "amount": intent["amount"], "currency": intent["currency"], "reason": "fraudulent",
            "status": "needs_response", "metadata": {},
        });
        let event = json!({
            "id": event_id, "object": "event", "type": "charge.dispute.created",
            "data": {"object": dispute},
        });
        Self::signed(WEBHOOK_SECRET, &event)
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
