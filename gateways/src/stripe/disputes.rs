//! Disputes: what a customer's bank has taken back, and what was given back once the dispute was won.
//!
//! Whether money is gone, its balance says (`balance_transactions`: none, one that takes it, and one that
//! gives it back), not the dispute's status: an inquiry takes nothing, and a dispute takes it while it is
//! still open. Fees are none of the order's money. Source: docs.stripe.com/api/disputes/object.

use domain::payment::{Chargeback, Funds};
use reqwest::StatusCode;
use serde::Deserialize;

use super::{Stripe, decimals, intent_of};
use crate::amount;
use crate::gateway::{CallError, Charge, Found};
use crate::http::Reply;

#[derive(Deserialize)]
struct Dispute {
    id: String,
    amount: i64,
    currency: String,
    payment_intent: Option<String>,
    reason: String,
    balance_transactions: Vec<Moved>,
}

/// Of the balance, in the currency that the account is kept in.
#[derive(Deserialize)]
struct Moved {
    amount: i64,
}

impl Stripe {
    pub(super) async fn ask_about_dispute(
        &self,
        charge: &Charge,
        name: &str,
    ) -> Result<Found<Option<Chargeback>>, CallError> {
        let request = self.get(&format!("/v1/disputes/{name}"));
        let reply = self.http.send("dispute", request).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(Found::NeverHeard);
        }
        let reply = reply.successful()?;
        let dispute: Dispute = reply.json()?;
        let intent = dispute.payment_intent.as_deref();
        if intent.is_none() || intent != intent_of(charge) {
            return Err(reply.unexpected());
        }
        dispute.chargeback(&reply).map(Found::Said)
    }
}

impl Dispute {
    fn chargeback(self, reply: &Reply) -> Result<Option<Chargeback>, CallError> {
        let Some(funds) = self.funds() else {
            return Ok(None);
        };
        let code = self.currency.to_uppercase();
        let amount = code
            .parse()
            .ok()
            .and_then(|currency| amount::from_units(self.amount, decimals(&code), currency));
        let amount = amount.ok_or_else(|| reply.unexpected())?;
        Ok(Some(Chargeback { dispute: self.id, amount, reason: self.reason, funds }))
    }

    fn funds(&self) -> Option<Funds> {
        let mut moved = self.balance_transactions.iter();
        if moved.clone().any(|moved| 0 < moved.amount) {
            return Some(Funds::Reinstated);
        }
        moved
            .any(|moved| moved.amount < 0)
            .then_some(Funds::Withdrawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_balance_says_where_the_money_is() {
        for (amounts, funds) in [
            (vec![], None),
            (vec![-1530], Some(Funds::Withdrawn)),
            (vec![-1530, 1530], Some(Funds::Reinstated)),
            (vec![1530, -1530], Some(Funds::Reinstated)),
        ] {
            let dispute = Dispute {
                id: "dp_1".to_owned(),
                amount: 1530,
                currency: "gbp".to_owned(),
                payment_intent: Some("pi_1".to_owned()),
                reason: "fraudulent".to_owned(),
                balance_transactions: amounts
                    .iter()
                    .map(|amount| Moved { amount: *amount })
                    .collect(),
            };
            assert_eq!(dispute.funds(), funds, "{amounts:?}");
        }
    }
}
