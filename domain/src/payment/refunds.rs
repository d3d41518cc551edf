//! Whether money goes back, and whether it comes back again.
//!
//! ```text
//! asked for ── pending ──▶ settled ──▶ failed: the provider paid it out, and it did not arrive
//!                 └──────▶ failed
//! ```
//!
//! What has failed gives its money back to the payment, whenever it does.

use super::{AttemptState, Event, Payment, Refund, RefundState, Refusal, Tried};
use crate::ids::RefundId;

impl Payment {
    pub(super) fn pending(&self, refund_id: RefundId) -> Result<Refund<'_>, Refusal> {
        self.pending_refund(refund_id).ok_or(Refusal::NoSuchRefund)
    }

    /// Invariants 1, 4 and 8.
    pub(super) fn refund(
        &self,
        refund_id: RefundId,
        amount_minor: i64,
        reference: Option<&str>,
        reason: String,
    ) -> Result<Vec<Event>, Refusal> {
        if self.refunds.contains_key(&refund_id) {
            return Err(Refusal::RefundExists);
        }
        let may_pay = |tried: &&Tried| {
            let is_meant = reference.is_none_or(|meant| meant == tried.attempt.reference);
            is_meant && 0 < tried.received_minor
        };
        // Where one attempt lost more than it brought, by a refund and a chargeback of the same money,
        // the others do not make up for it.
        let left_minor = self.refundable_minor();
        let mut able: Vec<(&Tried, i64)> = self
            .attempts
            .iter()
            .filter(may_pay)
            .map(|tried| (tried, self.left_minor(tried).min(left_minor)))
            .collect();
        // The order's own money first: what came in wrong or once more goes back by its reference,
        // and has to be there then.
        let is_own = |tried: &Tried| self.own.as_ref() == Some(&tried.attempt.reference);
        able.sort_by_key(|(tried, _)| (!is_own(tried), tried.state != AttemptState::Captured));
        let enough = able
            .iter()
            .find(|(_, left_minor)| amount_minor <= *left_minor);
        let Some((tried, _)) = enough.filter(|_| 0 < amount_minor) else {
            let most = able.iter().map(|(_, left_minor)| *left_minor).max();
            return Err(Refusal::RefundTooLarge { left_minor: most.unwrap_or(0) });
        };
        let reference = Some(tried.attempt.reference.clone());
        Ok(vec![Event::RefundRequested { refund_id, amount_minor, reference, reason }])
    }

    /// Only while nothing has been paid out: what is said late of the first call is no return.
    pub(super) fn fail_refund(
        &self,
        refund_id: RefundId,
        reason: String,
    ) -> Result<Vec<Event>, Refusal> {
        let amount_minor = self.pending(refund_id)?.amount_minor;
        Ok(vec![Event::RefundFailed { refund_id, amount_minor, reason }])
    }

    /// Banks turn money away days after a provider has paid it out.
    pub(super) fn return_refund(
        &self,
        refund_id: RefundId,
        reason: String,
    ) -> Result<Vec<Event>, Refusal> {
        let refund = self.refund_of(refund_id);
        let settled = refund.filter(|refund| refund.state == RefundState::Settled);
        let refund = settled.ok_or(Refusal::NoSuchRefund)?;
        let (amount_minor, reference) = (refund.amount_minor, refund.brought.reference());
        let reference = Some(reference.to_owned());
        Ok(vec![Event::RefundReturned { refund_id, amount_minor, reference, reason }])
    }

    pub(super) fn move_refund(&mut self, refund_id: RefundId, to: RefundState) {
        if let Some(refund) = self.refunds.get_mut(&refund_id) {
            refund.state = to;
        }
    }
}
