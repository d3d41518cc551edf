//! Money that had come in and that its provider has taken back: a customer's bank wanted it back.
//!
//! ```text
//! nothing ──▶ charged back ──▶ reversed: the dispute was won, and the money is here again
//! ```
//!
//! 1. A dispute takes its money once and gives it back once: what is said of it afterwards is no news.
//! 2. What is charged back cannot be refunded, or it would be paid out twice. What had been refunded
//!    before is gone all the same: then more has left than came in, and nobody could have stopped it.

use serde::{Deserialize, Serialize};

use super::{Event, Payment, Refusal};
use crate::money::{Currency, Money};

/// What a dispute has made of money, as its provider says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chargeback {
    /// The provider's own name for the dispute.
    pub dispute: String,
    /// What is disputed.
    pub amount: Money,
    /// Why, in the provider's words.
    pub reason: String,
    /// Where the money is.
    pub funds: Funds,
}

/// Where money is that is disputed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Funds {
    /// The provider has taken it.
    Withdrawn,
    /// The provider had taken it and has given it back.
    Reinstated,
}

/// A dispute, as rules remember it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Disputed {
    reference: String,
    amount_minor: i64,
    funds: Funds,
}

impl Payment {
    /// What is charged back, in minor units.
    pub fn charged_back_minor(&self) -> i64 {
        self.sum_charged_back(|_| true)
    }

    /// The same of what came in under one reference.
    pub(super) fn charged_back_of(&self, reference: &str) -> i64 {
        self.sum_charged_back(|disputed| disputed.reference == reference)
    }

    fn sum_charged_back(&self, of: impl Fn(&Disputed) -> bool) -> i64 {
        self.disputes
            .values()
            .filter(|disputed| disputed.funds == Funds::Withdrawn && of(disputed))
            .map(|disputed| disputed.amount_minor)
            .fold(0_i64, i64::saturating_add)
    }

    /// One row per state of the dispute and word of the provider.
    pub(super) fn charge_back(
        &self,
        reference: String,
        said: Chargeback,
    ) -> Result<Vec<Event>, Refusal> {
        let Chargeback { dispute, amount, reason, funds } = said;
        // Another currency cannot be added up.
        let has_come_in = self.brought_by(&reference)?;
        if has_come_in != Some(amount.currency) || amount.minor <= 0 {
            return Err(Refusal::NothingCameIn);
        }
        let amount_minor = amount.minor;
        Ok(match (self.disputes.get(&dispute), funds) {
            (None, Funds::Withdrawn) => {
                vec![Event::ChargedBack { reference, dispute, amount_minor, reason }]
            }
            // Both are told, so that neither can come to be believed alone.
            (None, Funds::Reinstated) => {
                let (of, named) = (reference.clone(), dispute.clone());
                vec![
                    Event::ChargedBack { reference: of, dispute: named, amount_minor, reason },
                    Event::ChargebackReversed { reference, dispute, amount_minor },
                ]
            }
            // What was taken is what comes back, whatever else is said by now.
            (
                Some(Disputed { reference, amount_minor, funds: Funds::Withdrawn }),
                Funds::Reinstated,
            ) => {
                let (reference, amount_minor) = (reference.clone(), *amount_minor);
                vec![Event::ChargebackReversed { reference, dispute, amount_minor }]
            }
            // Invariant 1.
            (Some(Disputed { funds: Funds::Withdrawn, .. }), Funds::Withdrawn)
            | (Some(Disputed { funds: Funds::Reinstated, .. }), _) => vec![],
        })
    }

    /// The currency of what came in under this reference and is counted, if anything did.
    fn brought_by(&self, reference: &str) -> Result<Option<Currency>, Refusal> {
        if let Some(unmatched) = &self.unmatched {
            let is_its = unmatched.reference == reference;
            return Ok(is_its.then_some(unmatched.received.currency));
        }
        let unknown = || Refusal::UnknownAttempt { reference: reference.to_owned() };
        let tried = self.attempt(reference).ok_or_else(unknown)?;
        let terms = self.terms.filter(|_| 0 < tried.received_minor);
        Ok(terms.map(|terms| terms.amount.currency))
    }

    pub(super) fn take_charge_back(&mut self, reference: &str, dispute: &str, amount_minor: i64) {
        let (reference, funds) = (reference.to_owned(), Funds::Withdrawn);
        let disputed = Disputed { reference, amount_minor, funds };
        self.disputes.insert(dispute.to_owned(), disputed);
    }

    pub(super) fn reverse_charge_back(&mut self, dispute: &str) {
        if let Some(disputed) = self.disputes.get_mut(dispute) {
            disputed.funds = Funds::Reinstated;
        }
    }
}

#[cfg(test)]
#[path = "chargebacks_tests.rs"]
mod tests;
