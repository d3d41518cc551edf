//! Whose money it is: a payment belongs to exactly one order, and money is kept for goods only.

use std::collections::{HashMap, HashSet};

use domain::ids::OrderId;
use domain::money::Money;
use domain::{order, payment};
use uuid::Uuid;

use super::Finding;

/// Every payment with the order that it belongs to.
#[derive(Default)]
pub(super) struct Belongings {
    of_payments: HashMap<Uuid, Belonging>,
    payments: HashMap<OrderId, Uuid>,
    /// Payments of money that nobody asked for.
    unmatched: HashSet<Uuid>,
}

/// An order's money, in minor units of its currency.
struct Belonging {
    order_id: OrderId,
    total: Money,
    state: State,
    /// What the order has asked to be given back, and was not told that it cannot be.
    asked_back: i128,
    came_in: i128,
    /// By refund: what is gone or on its way.
    going: HashMap<Uuid, i128>,
    /// Whether a provider could not give money back, or has taken it back, so that staff were called.
    is_with_staff: bool,
    /// The newest event about it.
    position: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Waits for its stock or its money.
    Open,
    /// Paid, and not given up since.
    Live,
    /// Cancelled or failed.
    Over,
}

impl Belongings {
    /// Takes an order's event on board; what is wrong with it, if anything is.
    pub(super) fn take_order(
        &mut self,
        position: i64,
        order_id: OrderId,
        event: &order::Event,
    ) -> Result<(), String> {
        use order::Event as E;
        if let E::Placed(placing) = event {
            let belonging = Belonging {
                order_id,
                total: placing.total(),
                state: State::Open,
                asked_back: 0,
                came_in: 0,
                going: HashMap::new(),
                is_with_staff: false,
                position,
            };
            let payment_id = placing.payment_id.0;
            self.payments.insert(order_id, payment_id);
            return match self.of_payments.insert(payment_id, belonging) {
                None => Ok(()),
                Some(other) => {
                    let first = other.order_id;
                    Err(format!("payment {payment_id} of order {first} is order {order_id}'s too"))
                }
            };
        }
        let payment = self.payments.get(&order_id);
        let Some(belonging) = payment.and_then(|id| self.of_payments.get_mut(id)) else {
            return Err(format!("order {order_id} has not been placed"));
        };
        belonging.position = position;
        match event {
            E::Confirmed { .. } => belonging.state = State::Live,
            E::Cancelled { .. } | E::Failed(_) => belonging.state = State::Over,
            E::RefundRequested(refund) => belonging.asked_back += i128::from(refund.amount_minor),
            E::RefundFailed { amount_minor, .. } => {
                belonging.asked_back -= i128::from(*amount_minor);
            }
            E::Placed(_)
            | E::Screened(_)
            | E::ReviewApproved { .. }
            | E::ReviewRefused { .. }
            | E::Processing
            | E::LinesShipped(_)
            | E::Completed
            | E::Refunded(_) => {}
        }
        Ok(())
    }

    /// The same of a payment's.
    pub(super) fn take_payment(
        &mut self,
        position: i64,
        payment_id: Uuid,
        event: &payment::Event,
    ) -> Result<(), String> {
        use payment::Event as E;
        if matches!(event, E::UnmatchedReceived(_)) {
            self.unmatched.insert(payment_id);
        }
        if self.unmatched.contains(&payment_id) {
            return Ok(());
        }
        let Some(belonging) = self.of_payments.get_mut(&payment_id) else {
            return Err(format!("payment {payment_id} belongs to no order"));
        };
        belonging.position = position;
        match event {
            E::Opened(terms) if terms.order_id != belonging.order_id => {
                let (named, of) = (terms.order_id, belonging.order_id);
                return Err(format!("payment {payment_id} of order {of} names order {named}"));
            }
            E::Captured { received, .. }
            | E::CapturedAgain { received, .. }
            | E::Mismatched { received, .. }
                if received.currency == belonging.total.currency =>
            {
                belonging.came_in += i128::from(received.minor.max(0));
            }
            E::RefundRequested { refund_id, amount_minor, .. } => {
                belonging
                    .going
                    .insert(refund_id.0, i128::from(*amount_minor));
            }
            E::RefundFailed { refund_id, .. } | E::RefundReturned { refund_id, .. } => {
                belonging.going.remove(&refund_id.0);
                belonging.is_with_staff = true;
            }
            E::ChargedBack { .. } => belonging.is_with_staff = true,
            E::Opened(_)
            | E::UnmatchedReceived(_)
            | E::Captured { .. }
            | E::CapturedAgain { .. }
            | E::Mismatched { .. }
            | E::AttemptStarted(_)
            | E::AttemptAccepted { .. }
            | E::Misnamed { .. }
            | E::Declined { .. }
            | E::Refunded { .. }
            | E::RefundAccepted { .. }
            | E::ChargebackReversed { .. }
            | E::Voided => {}
        }
        Ok(())
    }

    /// The first order whose money is neither for goods nor on its way back, of those about which
    /// the checkout process has heard everything. What could not be given back, or was charged back, is
    /// with staff.
    pub(super) fn kept_without_goods(&self, heard_to: i64) -> Option<Finding> {
        let heard = self
            .of_payments
            .values()
            .filter(|of| of.position <= heard_to && !of.is_with_staff);
        let wrong = heard.filter_map(|belonging| {
            let due = match belonging.state {
                State::Open => return None,
                State::Live => i128::from(belonging.total.minor) - belonging.asked_back,
                State::Over => 0,
            };
            let kept = belonging.came_in - belonging.going.values().sum::<i128>();
            let (order_id, position) = (belonging.order_id, belonging.position);
            let what = format!("order {order_id}: {kept} is kept of its money where {due} is due");
            (kept != due).then_some(Finding { position, what })
        });
        wrong.min_by_key(|finding| finding.position)
    }
}

#[cfg(test)]
#[path = "belonging_tests.rs"]
mod tests;
