//! How screening and staff hold an order, let it go on, or end it.
//!
//! ```text
//! none ─ Screened (review) ─▶ held ─ ReviewApproved ─▶ approved
//!                              ├─ ReviewRefused ─▶ refused, and the order fails
//!                              └─ Failed (nobody looked in time) ─▶ refused
//! ```
//!
//! An order is held while its stock is reserved and nobody has been asked for money, or once its
//! money is there and its provider finds it risky. The second may follow the first.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Event, Failure, Order, Refusal, Stage};
use crate::money::Money;
use crate::placing::Placing;
use crate::screening::{Outcome, Screening};

/// Where the review of an order stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Review {
    /// Nobody has to look at it.
    #[default]
    None,
    /// It waits for staff.
    Held,
    /// Staff let it go on.
    Approved,
    /// It ended for what screening or staff found, or because nobody looked.
    Refused,
}

/// What staff say about an order that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on; what is not paid yet may be paid until then.
    Approve {
        /// The new deadline.
        pay_by: DateTime<Utc>,
    },
    /// It ends.
    Refuse,
}

impl Review {
    /// Where it stands after an event; orders and their read models go by this alone.
    #[must_use]
    pub fn after(self, event: &Event) -> Self {
        match event {
            Event::Screened(screening) => match screening.outcome {
                Outcome::Accept => self,
                Outcome::Review => Self::Held,
                Outcome::Refuse => Self::Refused,
            },
            Event::ReviewApproved { .. } => Self::Approved,
            Event::ReviewRefused { .. } | Event::Failed(Failure::ReviewTimedOut) => Self::Refused,
            // It came to another end before anybody had looked.
            Event::Failed(_) | Event::Cancelled { .. } if self == Self::Held => Self::None,
            Event::Placed(_)
            | Event::Processing
            | Event::Confirmed { .. }
            | Event::LinesShipped(_)
            | Event::Completed
            | Event::Cancelled { .. }
            | Event::Failed(_)
            | Event::RefundRequested(_)
            | Event::Refunded(_)
            | Event::RefundFailed { .. } => self,
        }
    }
}

impl Order {
    /// Where its review stands.
    pub fn review(&self) -> Review {
        self.review
    }

    pub(super) fn place_screened(
        mut placing: Box<Placing>,
        screening: Screening,
    ) -> Result<Vec<Event>, Refusal> {
        placing.judge()?;
        placing.set_aside = screening.set_aside();
        let is_refused = screening.outcome == Outcome::Refuse;
        let mut events = vec![Event::Placed(placing), Event::Screened(screening)];
        events.extend(is_refused.then_some(Event::Failed(Failure::Refused)));
        Ok(events)
    }

    /// The money is there; whether the order is confirmed is for screening to say.
    pub(super) fn confirm_screened(
        &self,
        captured: Money,
        screening: Screening,
    ) -> Result<Vec<Event>, Refusal> {
        let confirmed = self.confirm(captured)?;
        let outcome = screening.outcome;
        let screened = vec![Event::Screened(screening)];
        Ok(match outcome {
            Outcome::Accept => [screened, confirmed].concat(),
            Outcome::Review => screened,
            Outcome::Refuse => [screened, vec![Event::Failed(Failure::Refused)]].concat(),
        })
    }

    pub(super) fn take_verdict(
        &self,
        verdict: Verdict,
        reason: String,
    ) -> Result<Vec<Event>, Refusal> {
        match (self.review, verdict) {
            (Review::Held, Verdict::Approve { pay_by }) => {
                Ok(vec![Event::ReviewApproved { reason, pay_by }])
            }
            (Review::Held, Verdict::Refuse) => Ok(vec![
                Event::ReviewRefused { reason },
                Event::Failed(Failure::Refused),
            ]),
            (Review::None | Review::Approved | Review::Refused, _) => Err(Refusal::NotHeld),
        }
    }

    /// The rest of [`super::Decider::evolve`].
    pub(super) fn evolve_review(&mut self, event: &Event) {
        self.review = self.review.after(event);
        // Late money has found its stock again, and waits for staff: the order is alive.
        if self.review == Review::Held && self.stage == Stage::Failed {
            self.stage = Stage::Processing;
        }
    }
}

#[cfg(test)]
#[path = "review_tests.rs"]
mod tests;
