//! Which events of the log the checkout process hears, and as what.
//!
//! Events that only echo its own commands are left out: their answers were heard already.

use domain::checkout::Fact;
use domain::event::Event;
use domain::ids::OrderId;
use domain::{order, payment};
use store::recorded::RecordedEvent;

use super::Heard;
use crate::derived::Cause;
use crate::unmatched::is_no_orders;

/// What an event means to the order that it belongs to. Steps that follow from events up to the
/// given position keep the ids of older builds.
pub(super) fn heard(event: &RecordedEvent, version_5_to: i64) -> Option<Heard> {
    let fact = match &event.event {
        Event::Order(event) => of_order(event),
        // Money that nobody asked for: see `crate::unmatched`.
        Event::Payment(_) if is_no_orders(event) => None,
        Event::Payment(event) => of_payment(event),
        Event::Inventory(_)
        | Event::Product(_)
        | Event::Person(_)
        | Event::Listing(_)
        | Event::Categories(_)
        | Event::Vendor(_)
        | Event::Promotion(_)
        | Event::Delivery(_) => None,
    }?;
    Some(Heard {
        order_id: OrderId(event.metadata.correlation_id),
        cause: Cause::event(event, version_5_to),
        position: Some(event.position),
        fact,
    })
}

fn of_order(event: &order::Event) -> Option<Fact> {
    use order::Event as E;
    match event {
        E::Placed(placing) => Some(Fact::OrderPlaced(placing.clone())),
        E::LinesShipped(shipment) => Some(Fact::LinesShipped { lines: shipment.lines.clone() }),
        E::Completed => Some(Fact::OrderCompleted),
        E::Cancelled { .. } => Some(Fact::OrderCancelled),
        E::RefundRequested(refund) => Some(Fact::RefundRequested(refund.clone())),
        E::ReviewApproved { pay_by, .. } => Some(Fact::OrderApproved { pay_by: *pay_by }),
        E::ReviewRefused { .. } => Some(Fact::OrderRefused),
        E::Screened(_)
        | E::Processing
        | E::Confirmed { .. }
        | E::Failed(_)
        | E::Refunded(_)
        | E::RefundFailed { .. } => None,
    }
}

fn of_payment(event: &payment::Event) -> Option<Fact> {
    use payment::Event as E;
    match event {
        E::Captured { received, assessment, .. } => {
            Some(Fact::PaymentCaptured { received: *received, assessment: assessment.clone() })
        }
        E::CapturedAgain { reference, received, .. } => {
            Some(Fact::PaymentCapturedAgain { reference: reference.clone(), received: *received })
        }
        E::Mismatched { reference, expected, received, .. } => Some(Fact::PaymentMismatched {
            reference: reference.clone(),
            expected: *expected,
            received: *received,
        }),
        E::Misnamed { reference, named, .. } => {
            Some(Fact::PaymentMisnamed { reference: reference.clone(), named: named.clone() })
        }
        E::Declined { .. } => Some(Fact::PaymentDeclined),
        E::Refunded { refund_id, .. } => Some(Fact::PaymentRefunded { refund_id: *refund_id }),
        E::RefundFailed { refund_id, reason, .. } => {
            Some(Fact::PaymentRefundFailed { refund_id: *refund_id, reason: reason.clone() })
        }
        E::RefundReturned { refund_id, reason, .. } => {
            Some(Fact::PaymentRefundReturned { refund_id: *refund_id, reason: reason.clone() })
        }
        E::ChargedBack { dispute, amount_minor, reason, .. } => Some(Fact::PaymentChargedBack {
            dispute: dispute.clone(),
            amount_minor: *amount_minor,
            reason: reason.clone(),
        }),
        E::Opened(_)
        | E::AttemptStarted(_)
        | E::AttemptAccepted { .. }
        | E::Voided
        | E::ChargebackReversed { .. }
        | E::UnmatchedReceived(_)
        | E::RefundAccepted { .. }
        | E::RefundRequested { .. } => None,
    }
}
