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
//! 4. Money goes back through the attempt that brought it: each refund names one, and never takes
//!    more than that attempt brought.
//! 5. An attempt's reference is its own: no attempt before it had it.
//! 6. Money that nobody asked for has a payment of its own, without terms or attempts: no order is
//!    paid by it, and all of it goes back.
//! 7. An attempt whose provider was certainly not reached ends in the same decision that starts the
//!    one that stands in for it: there is never neither of them, and never both.
//! 8. What its provider has taken back is refunded no more; see [`chargebacks`].

mod chargebacks;
mod refunds;
#[path = "payment_starting.rs"]
mod starting;
mod unmatched;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::chargebacks::{Chargeback, Funds};
pub use self::unmatched::{Brought, GivingBack, Unmatched};
use crate::aggregate::{Decider, runs_on_cqrs_es};
pub use crate::attempt::{Attempt, AttemptState, NextStep, Outcome, Terms, Tried};
use crate::ids::RefundId;
pub use crate::payment_event::Event;

/// Most attempts of one payment: a customer at a desk needs a few, a machine must not probe cards.
pub const ATTEMPTS_MAX: usize = 20;

/// What an attempt takes in memory with its texts, and a refund with its place in the map.
const ATTEMPT_BYTES: usize = 380;
const REFUND_BYTES: usize = 190;

/// Whether a refund has been paid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// The provider has not said yet.
    Pending,
    /// Paid out.
    Settled,
    /// Gives its money back to the payment, but never its name.
    Failed,
}

/// What rules read of a payment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    terms: Option<Terms>,
    voided: bool,
    attempts: Vec<Tried>,
    /// The attempt that brought the order's own money; what others brought never was the order's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    own: Option<String>,
    refunds: BTreeMap<RefundId, Payback>,
    /// Invariant 6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unmatched: Option<Unmatched>,
    /// By the provider's name; invariant 8.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    disputes: BTreeMap<String, chargebacks::Disputed>,
}

/// A refund and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Payback {
    amount_minor: i64,
    state: RefundState,
    /// The attempt it goes back through.
    reference: Option<String>,
    provider_reference: Option<String>,
}

/// A refund, as whoever asks its provider needs to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refund<'a> {
    /// Whether it has been paid out.
    pub state: RefundState,
    /// Minor units.
    pub amount_minor: i64,
    /// What brought the money.
    pub brought: Brought<'a>,
    /// The provider's own name for the refund, once it gave one.
    pub provider_reference: Option<&'a str>,
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
    /// End an attempt whose provider did nothing, and try another in its place.
    FallBack {
        /// Which attempt ends.
        reference: String,
        /// Normalised reason.
        reason: String,
        /// The try that stands in for it.
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
        /// The attempt to go back through; `None` for the first that has brought enough.
        reference: Option<String>,
        /// Why.
        reason: String,
    },
    /// Give back, all of it, what nobody had asked for.
    GiveBackUnmatched {
        /// What came in.
        money: Unmatched,
        /// The refund's name.
        refund_id: RefundId,
        /// Why.
        reason: String,
    },
    /// Give back what could not be given back, the same way under another name.
    RefundAgain {
        /// The refund's name.
        refund_id: RefundId,
        /// The refund that failed.
        failed: RefundId,
        /// Why.
        reason: String,
    },
    /// The provider has taken the refund on.
    AcceptRefund {
        /// Which.
        refund_id: RefundId,
        /// The provider's own name for it.
        provider_reference: String,
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
    /// What the provider had paid out did not arrive.
    ReturnRefund {
        /// Which.
        refund_id: RefundId,
        /// What it said.
        reason: String,
    },
    /// Take down what the provider says of money that is disputed.
    RecordChargeback {
        /// What the money came in under.
        reference: String,
        /// What it said.
        chargeback: Chargeback,
    },
}

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
    /// Invariant 5.
    #[error("the reference {reference} has been used before")]
    ReferenceUsed {
        /// Which.
        reference: String,
    },
    /// Bounds probing.
    #[error("a payment has at most {ATTEMPTS_MAX} attempts")]
    TooManyAttempts,
    /// The checkout has given the order up, or is about to.
    #[error("the time to pay is over")]
    TooLate,
    /// No attempt has this reference.
    #[error("no attempt has the reference {reference}")]
    UnknownAttempt {
        /// Which.
        reference: String,
    },
    /// The refund's name has been used.
    #[error("a refund of this name exists already")]
    RefundExists,
    /// No such refund is pending, or has failed where it is to be made again.
    #[error("no such refund is pending")]
    NoSuchRefund,
    /// Invariant 6: once is enough.
    #[error("this money is on its way back already")]
    BeingGivenBack,
    /// Invariant 6.
    #[error("this money has been given back already")]
    GivenBack,
    /// There is nothing to give back.
    #[error("no money came in")]
    NothingCameIn,
    /// Invariants 1 and 4.
    #[error(
        "a refund must be above zero and at most what is left of one attempt's money; \
             what is refunded, about to be or charged back is not left"
    )]
    RefundTooLarge {
        /// What may still be refunded at once, in minor units.
        left_minor: i64,
    },
}

impl Payment {
    /// What is to be paid, once opened.
    pub fn terms(&self) -> Option<&Terms> {
        self.terms.as_ref()
    }

    /// The attempt of this reference, and what became of it.
    pub fn attempt(&self, reference: &str) -> Option<&Tried> {
        self.attempts
            .iter()
            .find(|tried| tried.attempt.reference == reference)
    }

    /// Every attempt, in order.
    pub fn attempts(&self) -> &[Tried] {
        &self.attempts
    }

    /// All money that came in, in minor units of the order's currency.
    pub fn captured_minor(&self) -> i64 {
        let unmatched = self.unmatched.as_ref();
        let unmatched_minor = unmatched.map_or(0, |unmatched| unmatched.received.minor);
        self.attempts
            .iter()
            .map(|tried| tried.received_minor)
            .fold(unmatched_minor, i64::saturating_add)
    }

    /// What has gone back, in minor units.
    pub fn refunded_minor(&self) -> i64 {
        self.sum_of_refunds(|refund| refund.state == RefundState::Settled)
    }

    /// The refund of this name, and what became of it.
    pub fn refund_of(&self, refund_id: RefundId) -> Option<Refund<'_>> {
        let Payback { amount_minor, state, reference, provider_reference } =
            self.refunds.get(&refund_id)?;
        let brought = match &self.unmatched {
            Some(unmatched) => Brought::Unmatched(unmatched),
            None => Brought::Attempt(self.attempt(reference.as_deref()?)?),
        };
        let provider_reference = provider_reference.as_deref();
        Some(Refund { state: *state, amount_minor: *amount_minor, brought, provider_reference })
    }

    /// A refund that still waits for its provider.
    pub fn pending_refund(&self, refund_id: RefundId) -> Option<Refund<'_>> {
        self.refund_of(refund_id)
            .filter(|refund| refund.state == RefundState::Pending)
    }

    /// Every refund, whatever became of it.
    pub fn refunds(&self) -> impl Iterator<Item = RefundId> {
        self.refunds.keys().copied()
    }

    /// Refunds that still wait for their provider.
    pub fn pending_refunds(&self) -> impl Iterator<Item = RefundId> {
        self.refunds
            .iter()
            .filter(|(_, refund)| refund.state == RefundState::Pending)
            .map(|(refund_id, _)| *refund_id)
    }

    /// What may still be refunded: captured less refunded, pending and charged back, in minor units.
    pub fn refundable_minor(&self) -> i64 {
        self.captured_minor()
            .saturating_sub(self.sum_of_refunds(Payback::counts))
            .saturating_sub(self.charged_back_minor())
            .max(0)
    }

    /// The same of one attempt.
    fn left_minor(&self, tried: &Tried) -> i64 {
        let reference = Some(tried.attempt.reference.as_str());
        let gone = |refund: &Payback| refund.counts() && refund.reference.as_deref() == reference;
        tried
            .received_minor
            .saturating_sub(self.sum_of_refunds(gone))
            .saturating_sub(self.charged_back_of(&tried.attempt.reference))
            .max(0)
    }

    /// Bytes in memory beside the value itself, roughly: whoever keeps many bounds them by it.
    pub fn heap_bytes(&self) -> usize {
        let attempts = self.attempts.len().saturating_mul(ATTEMPT_BYTES);
        let refunds = self.refunds.len().saturating_mul(REFUND_BYTES);
        let unmatched = self.unmatched.as_ref().map_or(0, |_| ATTEMPT_BYTES);
        let disputes = self.disputes.len().saturating_mul(REFUND_BYTES);
        let more = unmatched.saturating_add(disputes);
        attempts.saturating_add(refunds).saturating_add(more)
    }

    /// Whether it holds what a customer gave to pay with.
    pub fn holds_tokens(&self) -> bool {
        let mut attempts = self.attempts.iter();
        attempts.any(|tried| tried.attempt.choice.token.is_some())
    }

    fn sum_of_refunds(&self, of: impl Fn(&Payback) -> bool) -> i64 {
        self.refunds
            .values()
            .filter(|refund| of(refund))
            .map(|refund| refund.amount_minor)
            .fold(0_i64, i64::saturating_add)
    }

    fn is_captured(&self) -> bool {
        self.attempts
            .iter()
            .any(|tried| tried.state == AttemptState::Captured)
    }
}

impl Payback {
    /// Whether its money is gone or on its way.
    fn counts(&self) -> bool {
        self.state != RefundState::Failed
    }
}

impl Decider for Payment {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: Command) -> Result<Vec<Event>, Refusal> {
        use Command as C;

        match (self.terms, command) {
            (None, C::Open { terms, attempt }) if self.unmatched.is_none() => {
                Ok(vec![Event::Opened(terms), Event::AttemptStarted(attempt)])
            }
            (_, C::Open { .. }) | (Some(_), C::GiveBackUnmatched { .. }) => {
                Err(Refusal::AlreadyOpen)
            }
            (None, C::GiveBackUnmatched { money, refund_id, reason }) => {
                self.give_back(money, refund_id, reason)
            }
            (None, _) if self.unmatched.is_none() => Err(Refusal::NotOpen),
            (Some(_), C::StartAttempt { attempt }) => self.start(attempt),
            (Some(terms), C::FallBack { reference, reason, attempt }) => {
                self.fall_back(&terms, reference, reason, attempt)
            }
            (Some(terms), C::RecordOutcome { reference, outcome }) => {
                self.record(&terms, reference, outcome)
            }
            (Some(_), C::Void) if self.is_captured() => Err(Refusal::AlreadyCaptured),
            (Some(_), C::Void) if self.voided => Err(Refusal::AlreadyVoided),
            (Some(_), C::Void) => Ok(vec![Event::Voided]),
            (Some(_), C::Refund { refund_id, amount_minor, reference, reason }) => {
                self.refund(refund_id, amount_minor, reference.as_deref(), reason)
            }
            (Some(_), C::RefundAgain { refund_id, failed, reason }) => {
                let failed = self.refunds.get(&failed);
                let failed = failed.filter(|refund| refund.state == RefundState::Failed);
                let Payback { amount_minor, reference, .. } =
                    failed.ok_or(Refusal::NoSuchRefund)?;
                self.refund(refund_id, *amount_minor, reference.as_deref(), reason)
            }
            (_, C::AcceptRefund { refund_id, provider_reference }) => {
                let refund = self.pending(refund_id)?;
                // What was said before is no news.
                Ok(match refund.provider_reference {
                    Some(_) => vec![],
                    None => vec![Event::RefundAccepted { refund_id, provider_reference }],
                })
            }
            (_, C::SettleRefund { refund_id, provider_reference }) => {
                let amount_minor = self.pending(refund_id)?.amount_minor;
                Ok(vec![Event::Refunded { refund_id, amount_minor, provider_reference }])
            }
            (_, C::FailRefund { refund_id, reason }) => self.fail_refund(refund_id, reason),
            (_, C::ReturnRefund { refund_id, reason }) => self.return_refund(refund_id, reason),
            (_, C::RecordChargeback { reference, chargeback }) => {
                self.charge_back(reference, chargeback)
            }
            // Nobody is asked for money that has come in of its own accord.
            (
                None,
                C::StartAttempt { .. }
                | C::FallBack { .. }
                | C::RecordOutcome { .. }
                | C::Void
                | C::Refund { .. }
                | C::RefundAgain { .. },
            ) => Err(Refusal::NotOpen),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Opened(terms) => self.terms = Some(*terms),
            Event::AttemptStarted(attempt) => self.attempts.push(Tried {
                attempt: attempt.clone(),
                state: AttemptState::Awaited,
                provider_reference: None,
                received_minor: 0,
            }),
            Event::AttemptAccepted { reference, provider_reference, .. } => {
                self.move_attempt(reference, AttemptState::Accepted, Some(provider_reference), 0);
            }
            Event::Captured { reference, provider_reference, received, .. }
            | Event::CapturedAgain { reference, provider_reference, received } => {
                let _own = self.own.get_or_insert_with(|| reference.clone());
                let named = Some(provider_reference);
                self.move_attempt(reference, AttemptState::Captured, named, received.minor);
            }
            Event::Mismatched { reference, provider_reference, expected, received } => {
                // Another currency cannot be added up; staff settle it by hand. And whatever a
                // provider means by an amount below zero, no money came in.
                let is_ours = expected.currency == received.currency;
                let came_in_minor = if is_ours { received.minor.max(0) } else { 0 };
                let named = Some(provider_reference);
                self.move_attempt(reference, AttemptState::Mismatched, named, came_in_minor);
            }
            // Somebody else's money: what the provider calls it is no name of ours either.
            Event::Misnamed { reference, .. } => {
                self.move_attempt(reference, AttemptState::Mismatched, None, 0);
            }
            Event::Declined { reference, .. } => {
                self.move_attempt(reference, AttemptState::Declined, None, 0);
            }
            Event::Voided => self.voided = true,
            Event::UnmatchedReceived(unmatched) => self.unmatched = Some(unmatched.clone()),
            Event::RefundRequested { refund_id, amount_minor, reference, .. } => {
                let brought_money = |tried: &&Tried| 0 < tried.received_minor;
                let first = self.attempts.iter().find(brought_money);
                let reference = reference
                    .clone()
                    .or_else(|| first.map(|tried| tried.attempt.reference.clone()));
                let refund = Payback {
                    amount_minor: *amount_minor,
                    state: RefundState::Pending,
                    reference,
                    provider_reference: None,
                };
                self.refunds.insert(*refund_id, refund);
            }
            Event::RefundAccepted { refund_id, provider_reference } => {
                if let Some(refund) = self.refunds.get_mut(refund_id) {
                    refund.provider_reference = Some(provider_reference.clone());
                }
            }
            Event::Refunded { refund_id, .. } => self.move_refund(*refund_id, RefundState::Settled),
            Event::RefundFailed { refund_id, .. } | Event::RefundReturned { refund_id, .. } => {
                self.move_refund(*refund_id, RefundState::Failed);
            }
            Event::ChargedBack { reference, dispute, amount_minor, .. } => {
                self.take_charge_back(reference, dispute, *amount_minor);
            }
            Event::ChargebackReversed { dispute, .. } => self.reverse_charge_back(dispute),
        }
    }
}

impl Payment {
    /// One row per state of the attempt and word of the provider. What was said before is no news.
    fn record(
        &self,
        terms: &Terms,
        reference: String,
        outcome: Outcome,
    ) -> Result<Vec<Event>, Refusal> {
        use AttemptState as S;
        use Outcome as O;

        let Some(tried) = self.attempt(&reference) else {
            return Err(Refusal::UnknownAttempt { reference });
        };
        Ok(match (tried.state, outcome) {
            (S::Awaited, O::Accepted { provider_reference, next_step }) => {
                vec![Event::AttemptAccepted { reference, provider_reference, next_step }]
            }
            (S::Awaited | S::Accepted, O::Declined { reason }) => {
                vec![Event::Declined { reference, reason }]
            }
            // A capture after a decline is money all the same.
            (
                S::Awaited | S::Accepted | S::Declined,
                O::Captured { received, provider_reference, assessment },
            ) => {
                let expected = terms.amount;
                vec![if received != expected {
                    Event::Mismatched { reference, provider_reference, expected, received }
                } else if self.is_captured() {
                    Event::CapturedAgain { reference, provider_reference, received }
                } else {
                    Event::Captured { reference, provider_reference, received, assessment }
                }]
            }
            (
                S::Awaited | S::Accepted | S::Declined,
                O::Misnamed { named, received, provider_reference },
            ) => {
                vec![Event::Misnamed { reference, named, provider_reference, received }]
            }
            (S::Accepted | S::Declined, O::Accepted { .. })
            | (S::Declined, O::Declined { .. })
            | (S::Captured | S::Mismatched, _) => vec![],
        })
    }

    fn move_attempt(
        &mut self,
        reference: &str,
        to: AttemptState,
        named: Option<&String>,
        received_minor: i64,
    ) {
        for tried in &mut self.attempts {
            if tried.attempt.reference == reference {
                tried.state = to;
                tried.received_minor = tried.received_minor.saturating_add(received_minor);
                if let Some(named) = named {
                    tried.provider_reference = Some(named.clone());
                }
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
