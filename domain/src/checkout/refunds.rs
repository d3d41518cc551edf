//! Refunds on their way through a checkout: what belonged to the order, and what never did.

use super::{Checkout, OWN_REFUNDS_AGAIN_MAX, Stage};
use crate::checkout::Intent;
use crate::ids::{PaymentId, RefundId};
use crate::refunding::Refund;

impl Checkout {
    pub(super) fn refund(&mut self, payment_id: PaymentId, refund: Refund) -> Vec<Intent> {
        let Refund { refund_id, amount_minor, restock, reason, .. } = refund;
        self.refunds.insert(refund_id, (amount_minor, restock));
        let (refund_id, reference) = (Some(refund_id), None);
        vec![Intent::RefundPayment { payment_id, refund_id, reference, amount_minor, reason }]
    }

    pub(super) fn settle(&mut self, refund_id: RefundId) -> Vec<Intent> {
        let Some((amount_minor, restock)) = self.refunds.remove(&refund_id) else {
            // Money that never belonged to the order: the order need not know.
            self.own_refunds.remove(&refund_id);
            return vec![];
        };
        self.refunded_minor = self.refunded_minor.saturating_add(amount_minor);
        let all_gone = self
            .brief
            .as_ref()
            .is_some_and(|brief| brief.total.minor == self.refunded_minor);
        let mut intents = vec![Intent::SettleRefund { refund_id }];
        let restock = restock.into_iter().map(|part| (refund_id, part));
        match self.stage {
            Stage::Confirmed if all_gone => {
                restock.for_each(|(refund_id, part)| self.count_restocked(refund_id, &part));
                intents.extend(self.end_shipping());
                self.stage = Stage::Abandoned;
            }
            Stage::Confirmed => {
                for (refund_id, part) in restock {
                    self.count_restocked(refund_id, &part);
                    self.restock_later.push((refund_id, part));
                }
            }
            Stage::Completed => intents
                .extend(restock.map(|(refund_id, part)| Intent::RestockStock { refund_id, part })),
            Stage::Idle
            | Stage::Reserving
            | Stage::Held
            | Stage::Reserved
            | Stage::AwaitingPayment
            | Stage::Confirming
            | Stage::HeldPaid
            | Stage::Rereserving
            | Stage::TimedOut
            | Stage::Abandoned => {}
        }
        intents
    }

    /// It had been paid out, and the order has been told so: it is owed all the same, and goes back
    /// again like money that never was the order's. A person is called, because whom it is paid to may
    /// not be able to take it.
    pub(super) fn refund_returned(
        &mut self,
        payment_id: PaymentId,
        refund_id: RefundId,
        said: &str,
    ) -> Vec<Intent> {
        let reason = format!("refund {refund_id} was paid out and came back: {said}");
        let call = Intent::CallStaff { reason: reason.clone() };
        if OWN_REFUNDS_AGAIN_MAX <= self.own_refunds_again {
            return vec![call];
        }
        self.own_refunds_again = self.own_refunds_again.saturating_add(1);
        vec![
            call,
            Intent::RefundAgain { payment_id, failed: refund_id, reason },
        ]
    }

    /// What belonged to the order is asked for again by people, who may have changed their minds.
    /// Invariant 2 is nobody's choice.
    pub(super) fn refund_failed(
        &mut self,
        payment_id: PaymentId,
        refund_id: RefundId,
        said: String,
    ) -> Vec<Intent> {
        let reason = format!("refund {refund_id} failed: {said}");
        if self.refunds.remove(&refund_id).is_some() {
            let fail = Intent::FailRefund { refund_id, reason: said };
            return vec![fail, Intent::CallStaff { reason }];
        }
        self.own_refunds.remove(&refund_id);
        if OWN_REFUNDS_AGAIN_MAX <= self.own_refunds_again {
            return vec![Intent::CallStaff { reason }];
        }
        self.own_refunds_again = self.own_refunds_again.saturating_add(1);
        vec![Intent::RefundAgain { payment_id, failed: refund_id, reason }]
    }
}
