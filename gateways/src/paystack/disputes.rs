//! Disputes: money is gone once one is resolved by accepting it (`merchant-accepted`), as much of it as
//! `refund_amount` says. One that was declined took nothing, so that nothing ever comes back.
//!
//! Sources: paystack.com/docs/api/dispute, `PaystackOSS/openapi`. Resolutions of other names are not
//! documented; they change nothing here, and staff see them.

use domain::money::Currency;
use domain::payment::{Chargeback, Funds};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::{DECIMALS, Envelope, Paystack};
use crate::amount;
use crate::gateway::{CallError, Charge, Found};
use crate::http::Reply;
use crate::webhook;

#[derive(Deserialize)]
struct Dispute {
    id: u64,
    status: String,
    resolution: Option<String>,
    refund_amount: Option<i64>,
    currency: Option<Currency>,
    category: Option<String>,
    transaction: Disputed,
}

#[derive(Deserialize)]
struct Disputed {
    reference: String,
}

/// What a webhook says of one. Each of them takes a person: to answer it in time, or to see what came of
/// it.
pub(super) fn about(kind: &str, data: &Value) -> webhook::Dispute {
    let text = |pointer: &str| Some(data.pointer(pointer)?.as_str()?.to_owned());
    let words = [text("/category"), text("/resolution")];
    let words: Vec<String> = words.into_iter().flatten().collect();
    webhook::Dispute {
        name: data.get("id").map(Value::to_string),
        reference: text("/transaction/reference"),
        provider_reference: None,
        what: format!("{kind}: {}", words.join(" ")),
        is_for_staff: true,
        is_urgent: kind != "charge.dispute.resolve",
    }
}

impl Paystack {
    pub(super) async fn ask_about_dispute(
        &self,
        charge: &Charge,
        name: &str,
    ) -> Result<Found<Option<Chargeback>>, CallError> {
        let request = self.get(&format!("/dispute/{name}"));
        let reply = self.http.send("dispute", request).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(Found::NeverHeard);
        }
        let reply = reply.successful()?;
        let dispute = reply.json::<Envelope<Dispute>>()?.data;
        if dispute.transaction.reference != charge.reference {
            return Err(reply.unexpected());
        }
        dispute.chargeback(charge, &reply).map(Found::Said)
    }
}

impl Dispute {
    fn chargeback(self, charge: &Charge, reply: &Reply) -> Result<Option<Chargeback>, CallError> {
        if !self.took_money() {
            return Ok(None);
        }
        let currency = self.currency.unwrap_or(charge.amount.currency);
        let amount = self.refund_amount;
        let amount = amount.and_then(|units| amount::from_units(units, DECIMALS, currency));
        let amount = amount.ok_or_else(|| reply.unexpected())?;
        let reason = self.category.unwrap_or_else(|| "accepted".to_owned());
        let (dispute, funds) = (self.id.to_string(), Funds::Withdrawn);
        Ok(Some(Chargeback { dispute, amount, reason, funds }))
    }

    fn took_money(&self) -> bool {
        self.status == "resolved" && self.resolution.as_deref() == Some("merchant-accepted")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_that_was_accepted_has_taken_money() {
        let took = |status: &str, resolution: Value| {
            let dispute = serde_json::json!({
                "id": 7, "status": status, "resolution": resolution, "refund_amount": 100,
                "transaction": {"reference": "A1"},
            });
            serde_json::from_value::<Dispute>(dispute)
                .unwrap()
                .took_money()
        };
        assert!(took("resolved", "merchant-accepted".into()));
        for (status, resolution) in [
            ("awaiting-merchant-feedback", Value::Null),
            ("pending", "merchant-accepted".into()),
            ("resolved", "declined".into()),
            ("resolved", "something-else".into()),
            ("resolved", Value::Null),
        ] {
            assert!(!took(status, resolution.clone()), "{status} {resolution}");
        }
    }

    #[test]
    fn a_webhook_names_the_dispute_and_its_money() {
        let data = serde_json::json!({
            "id": 7, "category": "chargeback", "transaction": {"reference": "A1"},
            "resolution": null,
        });
        let told = about("charge.dispute.create", &data);
        assert_eq!(told.what, "charge.dispute.create: chargeback");
        assert_eq!((told.name.as_deref(), told.reference.as_deref()), (Some("7"), Some("A1")));
        let nameless = about("charge.dispute.remind", &Value::Null);
        assert_eq!((nameless.name, nameless.reference), (None, None));
    }
}
