//! Payments: the money side of one order, over any number of attempts at any provider.
//!
//! ```text
//! Unopened ─ Open ─▶ Open ─ StartAttempt ─▶ attempt: awaited ──▶ declined   (try again)
//!                      │                        │    └─────────▶ mismatched (goes back)
//!                      └─ Void ─▶ Voided         └─────────────▶ captured ─ Refund ─▶ refunded
//! ```
//!
//! Invariants:
//! 1. `refunded + pending refunds ≤ captured`, where captured counts all money that came in.
//! 2. One attempt is awaited at a time, and none is started once the money is there.
//! 3. What a provider says is recorded, however late: a void payment can still be captured, and
//!    the checkout then decides whether goods or money go out.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::aggregate::{Decider, runs_on_cqrs_es, stored_events};
use crate::ids::{OrderId, RefundId};
use crate::money::Money;
use crate::placing::PaymentChoice;

/// Most attempts of one payment: a customer at a desk needs a few, a machine must not probe cards.
pub const ATTEMPTS_MAX: usize = 20;

/// What an attempt takes in memory with its texts, and a refund with its place in the map.
const ATTEMPT_BYTES: usize = 250;
const REFUND_BYTES: usize = 80;

/// One try at one provider, as requested; recorded before the provider is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Our name for it at the provider: 26 letters and digits, which every provider accepts.
    pub reference: String,
    /// Which provider, and with what.
    #[serde(flatten)]
    pub choice: PaymentChoice,
    /// When it was started.
    pub started_at: DateTime<Utc>,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptState {
    /// No final answer yet.
    Awaited,
    /// The provider has taken it on; no final answer yet.
    Accepted,
    /// The money is ours.
    Captured,
    /// The provider said no.
    Declined,
    /// Money came in, but not the amount or currency asked for.
    Mismatched,
}

/// What a provider says about an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Taken on, undecided.
    Accepted {
        /// The provider's own name for it.
        provider_reference: String,
    },
    /// Captured.
    Captured {
        /// What came in, as the provider reports it.
        received: Money,
        /// The provider's own name for it.
        provider_reference: String,
    },
    /// Refused by the provider.
    Declined {
        /// Normalised reason.
        reason: String,
    },
}

/// Whether a refund has been paid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RefundState {
    Pending,
    Settled,
    /// Gives its money back to the payment, but never its name.
    Failed,
}

/// What rules read of a payment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    terms: Option<Terms>,
    voided: bool,
    attempts: Vec<(Attempt, AttemptState)>,
    captured_minor: i64,
    refunds: BTreeMap<RefundId, (i64, RefundState)>,
}

/// What is to be paid, for what, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The order it pays.
    pub order_id: OrderId,
    /// The order's total.
    pub amount: Money,
    /// After this the checkout gives the order up.
    pub pay_by: DateTime<Utc>,
}

/// What can be asked of a payment.
#[derive(Debug, Clone)]
pub enum Command {
    /// Ask for the money, with a first attempt.
    Open {
        /// What is to be paid.
        terms: Terms,
        /// The first try.
        attempt: Attempt,
    },
    /// Try again.
    StartAttempt {
        /// The try.
        attempt: Attempt,
    },
    /// Take down what the provider says.
    RecordOutcome {
        /// Which attempt.
        reference: String,
        /// What it said.
        outcome: Outcome,
    },
    /// Ask for no more money.
    Void,
    /// Give money back.
    Refund {
        /// The refund's name.
        refund_id: RefundId,
        /// Minor units.
        amount_minor: i64,
        /// Why.
        reason: String,
    },
    /// The provider has paid the refund out.
    SettleRefund {
        /// Which.
        refund_id: RefundId,
        /// The provider's own name for it.
        provider_reference: String,
    },
    /// The provider could not pay the refund out.
    FailRefund {
        /// Which.
        refund_id: RefundId,
        /// What it said.
        reason: String,
    },
}

/// What can have happened to a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// Money is asked for.
    #[serde(rename = "payment.opened")]
    Opened(Terms),
    /// A provider is about to be called.
    #[serde(rename = "payment.attempt_started")]
    AttemptStarted(Attempt),
    /// The provider has taken it on.
    #[serde(rename = "payment.attempt_accepted")]
    AttemptAccepted {
        /// Which attempt.
        reference: String,
        /// The provider's own name for it.
        provider_reference: String,
    },
    /// The order's exact amount came in.
    #[serde(rename = "payment.captured")]
    Captured {
        /// By which attempt.
        reference: String,
        /// The provider's own name for it.
        provider_reference: String,
        /// What came in.
        received: Money,
    },
    /// It came in a second time.
    #[serde(rename = "payment.captured_again")]
    CapturedAgain {
        /// By which attempt.
        reference: String,
        /// The provider's own name for it.
        provider_reference: String,
        /// What came in.
        received: Money,
    },
    /// Another amount or currency came in than was asked for.
    #[serde(rename = "payment.mismatched")]
    Mismatched {
        /// By which attempt.
        reference: String,
        /// The provider's own name for it.
        provider_reference: String,
        /// What was asked for.
        expected: Money,
        /// What came in.
        received: Money,
    },
    /// The provider said no.
    #[serde(rename = "payment.declined")]
    Declined {
        /// Which attempt.
        reference: String,
        /// Normalised reason.
        reason: String,
    },
    /// No more money is asked for.
    #[serde(rename = "payment.voided")]
    Voided,
    /// Money is to go back.
    #[serde(rename = "payment.refund_requested")]
    RefundRequested {
        /// The refund's name.
        refund_id: RefundId,
        /// Minor units.
        amount_minor: i64,
        /// Why.
        reason: String,
    },
    /// Money has gone back.
    #[serde(rename = "payment.refunded")]
    Refunded {
        /// Which refund.
        refund_id: RefundId,
        /// Minor units.
        amount_minor: i64,
        /// The provider's own name for it.
        provider_reference: String,
    },
    /// Money could not go back.
    #[serde(rename = "payment.refund_failed")]
    RefundFailed {
        /// Which refund.
        refund_id: RefundId,
        /// Minor units.
        amount_minor: i64,
        /// What the provider said.
        reason: String,
    },
}

stored_events!(Event {
    Self::Opened(_) => "payment.opened" v 1,
    Self::AttemptStarted(_) => "payment.attempt_started" v 1,
    Self::AttemptAccepted { .. } => "payment.attempt_accepted" v 1,
    Self::Captured { .. } => "payment.captured" v 1,
    Self::CapturedAgain { .. } => "payment.captured_again" v 1,
    Self::Mismatched { .. } => "payment.mismatched" v 1,
    Self::Declined { .. } => "payment.declined" v 1,
    Self::Voided => "payment.voided" v 1,
    Self::RefundRequested { .. } => "payment.refund_requested" v 1,
    Self::Refunded { .. } => "payment.refunded" v 1,
    Self::RefundFailed { .. } => "payment.refund_failed" v 1,
});
runs_on_cqrs_es!(Payment, "payment");

/// Why a payment may say no. When several apply, the first listed is reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// The order's stock is not reserved yet, so no money is asked for.
    #[error("the payment is not open yet")]
    NotOpen,
    /// Payments are opened once.
    #[error("the payment is open already")]
    AlreadyOpen,
    /// Invariant 2.
    #[error("the money has already been captured")]
    AlreadyCaptured,
    /// The order was given up.
    #[error("no more money is asked for")]
    AlreadyVoided,
    /// Invariant 2.
    #[error("attempt {reference} is still awaited")]
    AttemptAwaited {
        /// Which.
        reference: String,
    },
    /// Bounds probing.
    #[error("a payment has at most {ATTEMPTS_MAX} attempts")]
    TooManyAttempts,
    /// No attempt has this reference.
    #[error("no attempt has the reference {reference}")]
    UnknownAttempt {
        /// Which.
        reference: String,
    },
    /// The refund's name has been used.
    #[error("a refund of this name exists already")]
    RefundExists,
    /// No such refund is pending.
    #[error("no such refund is pending")]
    NoSuchRefund,
    /// Invariant 1.
    #[error("a refund must be above zero and at most what is left")]
    RefundTooLarge {
        /// What may still be refunded, in minor units.
        left_minor: i64,
    },
}

impl Payment {
    /// What is to be paid, once opened.
    pub fn terms(&self) -> Option<&Terms> {
        self.terms.as_ref()
    }

    /// The attempt of this reference, and what became of it.
    pub fn attempt(&self, reference: &str) -> Option<(&Attempt, AttemptState)> {
        let of_reference = |(attempt, _): &&(Attempt, AttemptState)| attempt.reference == reference;
        self.attempts
            .iter()
            .find(of_reference)
            .map(|(attempt, state)| (attempt, *state))
    }

    /// The attempt that brought money in; refunds go back through its provider.
    pub fn paying_attempt(&self) -> Option<&Attempt> {
        let brought_money =
            |state| matches!(state, AttemptState::Captured | AttemptState::Mismatched);
        self.attempts
            .iter()
            .find(|(_, state)| brought_money(*state))
            .map(|(attempt, _)| attempt)
    }

    /// All money that came in, in minor units of the order's currency.
    pub fn captured_minor(&self) -> i64 {
        self.captured_minor
    }

    /// What has gone back, in minor units.
    pub fn refunded_minor(&self) -> i64 {
        self.sum_of_refunds(|state| state == RefundState::Settled)
    }

    /// Whether this refund still waits for the provider, and its minor units.
    pub fn pending_refund_minor(&self, refund_id: RefundId) -> Option<i64> {
        match self.refunds.get(&refund_id) {
            Some((amount_minor, RefundState::Pending)) => Some(*amount_minor),
            Some((_, RefundState::Settled | RefundState::Failed)) | None => None,
        }
    }

    /// What may still be refunded: captured less refunded and pending, in minor units.
    pub fn refundable_minor(&self) -> i64 {
        self.captured_minor
            .saturating_sub(self.sum_of_refunds(|state| state != RefundState::Failed))
    }

    /// Bytes in memory beside the value itself, roughly: whoever keeps many bounds them by it.
    pub fn heap_bytes(&self) -> usize {
        let attempts = self.attempts.len().saturating_mul(ATTEMPT_BYTES);
        let refunds = self.refunds.len().saturating_mul(REFUND_BYTES);
        attempts.saturating_add(refunds)
    }

    fn sum_of_refunds(&self, of: impl Fn(RefundState) -> bool) -> i64 {
        self.refunds
            .values()
            .filter(|(_, state)| of(*state))
            .map(|(amount_minor, _)| *amount_minor)
            .fold(0_i64, i64::saturating_add)
    }

    fn is_captured(&self) -> bool {
        self.attempts
            .iter()
            .any(|(_, state)| *state == AttemptState::Captured)
    }
}

impl Decider for Payment {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: Command) -> Result<Vec<Event>, Refusal> {
        use Command as C;

        match (self.terms, command) {
            (None, C::Open { terms, attempt }) => {
                Ok(vec![Event::Opened(terms), Event::AttemptStarted(attempt)])
            }
            (Some(_), C::Open { .. }) => Err(Refusal::AlreadyOpen),
            (None, _) => Err(Refusal::NotOpen),
            (Some(_), C::StartAttempt { attempt }) => self.start(attempt),
            (Some(terms), C::RecordOutcome { reference, outcome }) => {
                self.record(&terms, reference, outcome)
            }
            (Some(_), C::Void) if self.is_captured() => Err(Refusal::AlreadyCaptured),
            (Some(_), C::Void) if self.voided => Err(Refusal::AlreadyVoided),
            (Some(_), C::Void) => Ok(vec![Event::Voided]),
            (Some(_), C::Refund { refund_id, amount_minor, reason }) => {
                let left_minor = self.refundable_minor();
                if self.refunds.contains_key(&refund_id) {
                    return Err(Refusal::RefundExists);
                }
                if amount_minor <= 0 || left_minor < amount_minor {
                    return Err(Refusal::RefundTooLarge { left_minor });
                }
                Ok(vec![Event::RefundRequested { refund_id, amount_minor, reason }])
            }
            (Some(_), C::SettleRefund { refund_id, provider_reference }) => {
                let pending = self.pending_refund_minor(refund_id);
                let amount_minor = pending.ok_or(Refusal::NoSuchRefund)?;
                Ok(vec![Event::Refunded { refund_id, amount_minor, provider_reference }])
            }
            (Some(_), C::FailRefund { refund_id, reason }) => {
                let pending = self.pending_refund_minor(refund_id);
                let amount_minor = pending.ok_or(Refusal::NoSuchRefund)?;
                Ok(vec![Event::RefundFailed { refund_id, amount_minor, reason }])
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Opened(terms) => self.terms = Some(*terms),
            Event::AttemptStarted(attempt) => {
                self.attempts.push((attempt.clone(), AttemptState::Awaited));
            }
            Event::AttemptAccepted { reference, .. } => {
                self.move_attempt(reference, AttemptState::Accepted);
            }
            Event::Captured { reference, received, .. }
            | Event::CapturedAgain { reference, received, .. } => {
                self.move_attempt(reference, AttemptState::Captured);
                self.captured_minor = self.captured_minor.saturating_add(received.minor);
            }
            Event::Mismatched { reference, expected, received, .. } => {
                self.move_attempt(reference, AttemptState::Mismatched);
                // Another currency cannot be added up; staff settle it by hand. And whatever a
                // provider means by an amount below zero, no money came in.
                if expected.currency == received.currency {
                    let came_in_minor = received.minor.max(0);
                    self.captured_minor = self.captured_minor.saturating_add(came_in_minor);
                }
            }
            Event::Declined { reference, .. } => {
                self.move_attempt(reference, AttemptState::Declined);
            }
            Event::Voided => self.voided = true,
            Event::RefundRequested { refund_id, amount_minor, .. } => {
                self.refunds
                    .insert(*refund_id, (*amount_minor, RefundState::Pending));
            }
            Event::Refunded { refund_id, amount_minor, .. } => {
                self.refunds
                    .insert(*refund_id, (*amount_minor, RefundState::Settled));
            }
            Event::RefundFailed { refund_id, amount_minor, .. } => {
                self.refunds
                    .insert(*refund_id, (*amount_minor, RefundState::Failed));
            }
        }
    }
}

impl Payment {
    fn start(&self, attempt: Attempt) -> Result<Vec<Event>, Refusal> {
        if self.is_captured() {
            return Err(Refusal::AlreadyCaptured);
        }
        if self.voided {
            return Err(Refusal::AlreadyVoided);
        }
        let awaited = |state| matches!(state, AttemptState::Awaited | AttemptState::Accepted);
        if let Some((other, _)) = self.attempts.iter().find(|(_, state)| awaited(*state)) {
            return Err(Refusal::AttemptAwaited { reference: other.reference.clone() });
        }
        if ATTEMPTS_MAX <= self.attempts.len() {
            return Err(Refusal::TooManyAttempts);
        }
        Ok(vec![Event::AttemptStarted(attempt)])
    }

    /// One row per state of the attempt and word of the provider. What was said before is no news.
    fn record(
        &self,
        terms: &Terms,
        reference: String,
        outcome: Outcome,
    ) -> Result<Vec<Event>, Refusal> {
        use AttemptState as S;
        use Outcome as O;

        let Some((_, state)) = self.attempt(&reference) else {
            return Err(Refusal::UnknownAttempt { reference });
        };
        Ok(match (state, outcome) {
            (S::Awaited, O::Accepted { provider_reference }) => {
                vec![Event::AttemptAccepted { reference, provider_reference }]
            }
            (S::Awaited | S::Accepted, O::Declined { reason }) => {
                vec![Event::Declined { reference, reason }]
            }
            // A capture after a decline is money all the same.
            (
                S::Awaited | S::Accepted | S::Declined,
                O::Captured { received, provider_reference },
            ) => {
                let expected = terms.amount;
                vec![if received != expected {
                    Event::Mismatched { reference, provider_reference, expected, received }
                } else if self.is_captured() {
                    Event::CapturedAgain { reference, provider_reference, received }
                } else {
                    Event::Captured { reference, provider_reference, received }
                }]
            }
            (S::Accepted | S::Declined, O::Accepted { .. })
            | (S::Declined, O::Declined { .. })
            | (S::Captured | S::Mismatched, _) => vec![],
        })
    }

    fn move_attempt(&mut self, reference: &str, to: AttemptState) {
        for (attempt, state) in &mut self.attempts {
            if attempt.reference == reference {
                *state = to;
            }
        }
    }
}

#[cfg(test)]
#[path = "payment_property_tests.rs"]
mod property_tests;
#[cfg(test)]
#[path = "payment_tests.rs"]
mod tests;
