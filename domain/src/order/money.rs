//! What an order decides about its money: whether it is all there, and what of it goes back.

use super::{Event, Order, Refusal};
use crate::ids::RefundId;
use crate::money::Money;
use crate::refunding::{Ask, Refund};

impl Order {
    /// Invariant 2 is held here and nowhere else.
    pub(super) fn confirm(&self, captured: Money) -> Result<Vec<Event>, Refusal> {
        match self.total {
            Some(expected) if expected == captured => {
                Ok(vec![Event::Confirmed { captured_minor: captured.minor }])
            }
            Some(expected) => Err(Refusal::CaptureMismatch { expected, captured }),
            None => Err(Refusal::NotPlaced),
        }
    }

    /// A paid order is withdrawn together with its money, in one decision.
    pub(super) fn cancel_and_refund(
        &self,
        reason: String,
        refund_id: RefundId,
    ) -> Result<Vec<Event>, Refusal> {
        let mut events = vec![Event::Cancelled { reason: reason.clone() }];
        if 0 < self.tally.left_minor() {
            events.push(self.request_refund(refund_id, Ask::Rest, reason)?);
        }
        Ok(events)
    }

    /// A name is used once, even if its refund fails: a provider answers an old name with its old
    /// answer.
    pub(super) fn request_refund(
        &self,
        refund_id: RefundId,
        ask: Ask,
        reason: String,
    ) -> Result<Event, Refusal> {
        if self.refund_names.contains(&refund_id) {
            return Err(Refusal::RefundExists);
        }
        let refund = self.tally.spread(refund_id, ask, reason)?;
        Ok(Event::RefundRequested(refund))
    }

    pub(super) fn pending(&self, refund_id: RefundId) -> Result<&Refund, Refusal> {
        self.pending_refunds
            .get(&refund_id)
            .ok_or(Refusal::NoSuchRefund)
    }
}
