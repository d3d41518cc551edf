//! One call at a time for one refund.
//!
//! Some providers cannot tell a repeated refund from a second one, so that their adapters look
//! through a payment's refunds for ours before they ask for one. Two that look at the same time both
//! find nothing, and the money would go back twice.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use domain::ids::RefundId;

/// The refunds that somebody is asking for; clones share them.
#[derive(Debug, Clone, Default)]
pub struct InHand(Arc<Mutex<HashSet<RefundId>>>);

/// Somebody asks for this refund until it is dropped.
pub(super) struct Held {
    in_hand: InHand,
    refund_id: RefundId,
}

impl InHand {
    /// Takes a refund in hand; nothing if somebody else has it.
    pub(super) fn take(&self, refund_id: RefundId) -> Option<Held> {
        let mut refunds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = refunds.insert(refund_id);
        is_free.then(|| Held { in_hand: self.clone(), refund_id })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut refunds = self
            .in_hand
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        refunds.remove(&self.refund_id);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_refund_is_in_one_hand_until_it_is_put_down() {
        let (first, second) = (RefundId(Uuid::from_u128(1)), RefundId(Uuid::from_u128(2)));
        let in_hand = InHand::default();
        let held = in_hand.take(first);

        assert!(held.is_some());
        assert!(in_hand.clone().take(first).is_none());
        assert!(in_hand.take(second).is_some());
        drop(held);
        assert!(in_hand.take(first).is_some());
    }
}
