//! What shoppers, staff, providers and the clock do in the little world.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows has failed, and says where"
)]

use super::*;
use crate::risk::Risk;
use crate::screening::{Decision, Outcome as Screened, Screening};

/// What rules make of an order; nothing where there are none.
pub(super) fn outcome(number: u8) -> Option<Screened> {
    [
        None,
        Some(Screened::Accept),
        Some(Screened::Review),
        Some(Screened::Refuse),
    ][usize::from(number)]
}

/// The rules of this world about payments.
pub(super) fn outcome_of(assessment: &Assessment) -> Screened {
    match assessment.risk {
        Some(Risk::Highest) => Screened::Refuse,
        Some(Risk::Elevated) => Screened::Review,
        Some(Risk::Normal) | None => Screened::Accept,
    }
}

pub(super) fn screened(outcome: Screened) -> Screening {
    let review_by = noon() + chrono::TimeDelta::days(1);
    Screening::new(Decision { outcome, reasons: vec![] }, review_by)
}

impl Trade {
    fn attempt(&mut self) -> Attempt {
        let reference = format!("attempt-{}", self.references.len());
        self.references.push(reference.clone());
        Attempt { reference, choice: by_card(), started_at: noon(), instead_of: None }
    }

    pub(super) fn open_payment(&mut self, brief: &Brief) {
        let terms = Terms { order_id: self.id, amount: brief.total, pay_by: brief.pay_by };
        let attempt = self.attempt();
        let opened = self.ask_payment(payment::Command::Open { terms, attempt });
        opened.expect("a payment is opened once");
    }

    /// A shopper may be told no; that is an answer like any other.
    pub(super) fn shopper_tries_again(&mut self) {
        let attempt = self.attempt();
        let _ = self.ask_payment(payment::Command::StartAttempt { attempt });
    }

    pub(super) fn shopper_cancels(&mut self, how: usize) {
        let refund_id = Self::some_name(how);
        let reason = "changed my mind".into();
        let _ = self.ask_order(order::Command::Cancel { reason, refund_id });
    }

    /// Again and late as they please.
    pub(super) fn staff_review(&mut self, how: usize) {
        let verdict = if how.is_multiple_of(3) {
            order::Verdict::Refuse
        } else {
            order::Verdict::Approve { pay_by: noon() + chrono::TimeDelta::hours(3) }
        };
        let reason = "they looked".into();
        let _ = self.ask_order(order::Command::Review { verdict, reason });
    }

    /// Staff may have looked in this moment; then that fact is on its way.
    pub(super) fn end_review(&mut self) {
        let end = order::Command::Fail(Failure::ReviewTimedOut);
        match self.ask_order(end) {
            Ok(()) | Err(order::Refusal::NotHeld) => {}
            Err(_) => self.tell(Place::Answers, Fact::OrderMovedOn),
        }
    }

    pub(super) fn staff_complete(&mut self) {
        let _ = self.ask_order(order::Command::Complete);
    }

    /// Few names, so that some are used twice.
    fn some_name(how: usize) -> RefundId {
        refund_id(how as u128 % 16)
    }

    pub(super) fn staff_refund(&mut self, how: usize) {
        let refund_id = Self::some_name(how);
        let cup = |quantity| Pieces {
            sku: "cup".parse().unwrap(),
            quantity,
            restock: if how < 128 {
                Restock::Shelf
            } else {
                Restock::No
            },
        };
        let ask = match how % 9 {
            0 | 1 => Ask::Rest,
            2 | 3 => Ask::Pieces(vec![cup(1)]),
            4 => Ask::AmountForPieces(100, vec![cup(2)]),
            5 => Ask::Amount(1),
            6 => Ask::PiecesAndShipping(vec![cup(1)]),
            7 => Ask::Shipping,
            _ => Ask::Amount(777),
        };
        let reason = "broken".into();
        let _ = self.ask_order(order::Command::Refund { refund_id, ask, reason });
    }

    pub(super) fn provider_refunds(&mut self, refund_id: RefundId, how: usize) {
        self.pending_refunds.retain(|id| *id != refund_id);
        let command = if how % 4 == 3 {
            payment::Command::FailRefund { refund_id, reason: "account closed".into() }
        } else {
            let provider_reference = "p".into();
            payment::Command::SettleRefund { refund_id, provider_reference }
        };
        self.ask_payment(command).expect("the refund is pending");
    }

    pub(super) fn deadline_passes(&mut self) {
        if self.checkout.deadline().is_some() {
            self.react(Fact::DeadlinePassed);
        }
    }

    /// Another is asked instead, if there is still something to ask for.
    fn provider_is_not_reached(&mut self, reference: String) {
        let attempt = Attempt { instead_of: Some(reference.clone()), ..self.attempt() };
        let reason = "not_reached".into();
        let _ = self.ask_payment(payment::Command::FallBack { reference, reason, attempt });
    }

    /// Any word about any attempt, again and late as it pleases.
    pub(super) fn provider_says(&mut self, how: usize) {
        let Some(reference) = self.references.get(how / 8 % self.references.len().max(1)) else {
            return;
        };
        let reference = reference.clone();
        let provider_reference = "p".to_owned();
        let total_minor = self.placing.total_minor();
        let risk = [
            None,
            Some(Risk::Normal),
            Some(Risk::Elevated),
            Some(Risk::Highest),
        ][how / 8 % 4];
        let captured = |received| Outcome::Captured {
            received,
            provider_reference: provider_reference.clone(),
            assessment: Assessment { risk, ..Assessment::default() }.if_any(),
        };
        let outcome = match how % 8 {
            0..=2 => captured(gbp(total_minor)),
            3 => captured(gbp(if how < 128 { total_minor - 1 } else { -1 })),
            4 if how < 128 => {
                captured(Money { minor: total_minor, currency: "EUR".parse().unwrap() })
            }
            4 => Outcome::Misnamed {
                named: "somebody-else".into(),
                received: gbp(total_minor),
                provider_reference,
            },
            5 if how < 128 => Outcome::Accepted { provider_reference, next_step: None },
            5 => return self.provider_is_not_reached(reference),
            _ => Outcome::Declined { reason: "insufficient_funds".into() },
        };
        // An attempt that was refused before it began is unknown, and stays so.
        let _ = self.ask_payment(payment::Command::RecordOutcome { reference, outcome });
    }
}
