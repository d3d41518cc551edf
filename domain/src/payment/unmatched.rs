//! Money that nobody asked for: it came in under no name of ours, so that no order waits for it.
//!
//! ```text
//! nothing ─ GiveBackUnmatched ─▶ received, refund pending ──▶ given back
//!                                          ▲    └──▶ failed ─┐
//!                                          └─ GiveBackUnmatched ◀─┘
//! ```
//!
//! It has a payment of its own, so that its refund is a refund like any other: in the log before the
//! provider is called, pending until it is paid out, and never more than what came in.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Event, Payment, Refusal, Tried};
use crate::ids::RefundId;
use crate::money::Money;

/// Money that came in at a provider and that no payment of ours asked for, as the provider itself
/// reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmatched {
    /// Which provider.
    pub gateway: String,
    /// What it is called there by whoever asked for it; empty if nobody gave it a name.
    pub reference: String,
    /// The provider's own name for it.
    pub provider_reference: String,
    /// What came in.
    pub received: Money,
    /// When we were told of it.
    pub told_at: DateTime<Utc>,
}

/// What brought money in, and so the way that it goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brought<'a> {
    /// An attempt of ours.
    Attempt(&'a Tried),
    /// Somebody, unasked.
    Unmatched(&'a Unmatched),
}

impl<'a> Brought<'a> {
    /// The provider that has it.
    pub fn gateway(self) -> &'a str {
        match self {
            Self::Attempt(tried) => &tried.attempt.choice.gateway,
            Self::Unmatched(unmatched) => &unmatched.gateway,
        }
    }

    /// What it is called there by whoever asked for it.
    pub fn reference(self) -> &'a str {
        match self {
            Self::Attempt(tried) => &tried.attempt.reference,
            Self::Unmatched(unmatched) => &unmatched.reference,
        }
    }
}

/// What became of money that nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivingBack {
    /// It is on its way.
    Pending,
    /// It has gone back.
    Settled,
    /// It could not go back, and may be tried again.
    Failed,
}

impl Payment {
    /// The money that nobody had asked for, where this is its payment.
    pub fn unmatched(&self) -> Option<&Unmatched> {
        self.unmatched.as_ref()
    }

    /// What became of it; `None` if there is none.
    pub fn giving_back(&self) -> Option<GivingBack> {
        self.unmatched.as_ref()?;
        Some(if self.pending_refunds().next().is_some() {
            GivingBack::Pending
        } else if self.refundable_minor() == 0 {
            GivingBack::Settled
        } else {
            GivingBack::Failed
        })
    }

    /// Invariant 6. What came in is taken down once: whatever the provider says later, no more than
    /// that goes back.
    pub(super) fn give_back(
        &self,
        money: Unmatched,
        refund_id: RefundId,
        reason: String,
    ) -> Result<Vec<Event>, Refusal> {
        if self.refunds.contains_key(&refund_id) {
            return Err(Refusal::RefundExists);
        }
        let known = self.unmatched.as_ref().unwrap_or(&money);
        let amount_minor = match self.giving_back() {
            Some(GivingBack::Pending) => return Err(Refusal::BeingGivenBack),
            Some(GivingBack::Settled) => return Err(Refusal::GivenBack),
            Some(GivingBack::Failed) => self.refundable_minor(),
            None if money.received.minor <= 0 => return Err(Refusal::NothingCameIn),
            None => money.received.minor,
        };
        let reference = Some(known.reference.clone());
        let requested = Event::RefundRequested { refund_id, amount_minor, reference, reason };
        Ok(match self.unmatched {
            Some(_) => vec![requested],
            None => vec![Event::UnmatchedReceived(money), requested],
        })
    }
}

#[cfg(test)]
#[path = "unmatched_tests.rs"]
mod tests;
