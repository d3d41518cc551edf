//! What an order's events, and those of its payment, make of it. The projector and
//! [`Folded`] both go through here, so that a row and a replay cannot differ.

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::ids::OrderId;
use domain::order::{self, Review};
use domain::payment;
use domain::placing::{PaymentMethod, Placing};
use domain::screening::Screening;
use serde::{Deserialize, Serialize};
use store::recorded::RecordedEvent;

use super::view::{Audience, OrderView, ShipmentView, Status};
use crate::error::Error;
use crate::history::Fold;
use crate::paying::{Paying, Refunds};
use crate::storable;

/// What moves after the order was placed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) status: Status,
    pub(super) cancel_reason: Option<String>,
    pub(super) failure: Option<order::Failure>,
    pub(super) review: Review,
    /// What rules made of it, for staff.
    pub(super) screenings: Vec<Screening>,
    pub(super) method: PaymentMethod,
    pub(super) gateway: String,
    pub(super) paying: Paying,
    pub(super) refunds: Refunds,
    /// What has left, in log order.
    pub(super) shipments: Vec<ShipmentView>,
    /// What the order was confirmed with, and what has gone back of that: the order's own books,
    /// which say when it counts as refunded.
    confirmed_minor: i64,
    returned_minor: i64,
    pub(super) version: i64,
    pub(super) updated_at: DateTime<Utc>,
}

/// An order from its first event; `None` for any other event.
pub(super) fn placed(event: &RecordedEvent) -> Option<(Placing, Progress)> {
    let Event::Order(order::Event::Placed(placing)) = &event.event else {
        return None;
    };
    let mut placing = placing.as_ref().clone();
    placing.placed_at = storable::instant(placing.placed_at);
    // What the provider gave the browser is of no use to a reader.
    placing.payment.token = None;
    let progress = Progress {
        status: Status::Pending,
        cancel_reason: None,
        failure: None,
        review: Review::None,
        screenings: Vec::new(),
        method: placing.payment.method,
        gateway: placing.payment.gateway.clone(),
        paying: Paying::default(),
        refunds: Refunds::default(),
        shipments: Vec::new(),
        confirmed_minor: 0,
        returned_minor: 0,
        version: event.sequence,
        updated_at: storable::instant(event.recorded_at),
    };
    Some((placing, progress))
}

/// One order's events, and its payment's, in log order.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    audience: Audience,
    order: Option<(OrderId, Placing, Progress)>,
}

impl Fold for Folded {
    type View = OrderView;

    fn take(&mut self, recorded: &RecordedEvent) {
        if let Some((_, _, progress)) = &mut self.order {
            progress.take(recorded);
        } else if let Some((placing, progress)) = placed(recorded) {
            let id = recorded.aggregate_id.parse().ok();
            self.order = id.map(|id| (id, placing, progress));
        }
    }

    fn view(&self) -> Result<Option<OrderView>, Error> {
        Ok(self.shown())
    }
}

impl Folded {
    /// Nothing yet, to be shown to these.
    pub(crate) fn to(audience: Audience) -> Self {
        Self { audience, order: None }
    }

    pub(super) fn shown(&self) -> Option<OrderView> {
        let (id, placing, progress) = self.order.clone()?;
        Some(OrderView::of(id, placing, progress).shown_to(self.audience))
    }
}

impl Progress {
    /// Moves on by one event of the order or of its payment.
    pub(super) fn take(&mut self, recorded: &RecordedEvent) {
        match &recorded.event {
            Event::Order(event) => {
                self.take_order(event, storable::instant(recorded.recorded_at));
                self.version = recorded.sequence;
            }
            Event::Payment(event) => self.take_payment(event),
            Event::Inventory(_)
            | Event::Product(_)
            | Event::Person(_)
            | Event::Listing(_)
            | Event::Categories(_)
            | Event::Vendor(_)
            | Event::Promotion(_)
            | Event::Delivery(_) => return,
        }
        self.updated_at = storable::instant(recorded.recorded_at);
    }

    fn take_order(&mut self, event: &order::Event, at: DateTime<Utc>) {
        self.review = self.review.after(event);
        match event {
            // Read by `placed`; an order is placed once. And what staff say is all in the review.
            order::Event::Placed(_)
            | order::Event::ReviewApproved { .. }
            | order::Event::ReviewRefused { .. } => {}
            order::Event::Screened(screening) => {
                self.screenings.push(screening.clone());
                // Late money revives an order, also where it waits for staff.
                if self.review == Review::Held && self.status == Status::Failed {
                    self.status = Status::Processing;
                    self.failure = None;
                }
            }
            order::Event::Processing => self.status = Status::Processing,
            order::Event::Confirmed { captured_minor } => {
                self.status = Status::Confirmed;
                self.confirmed_minor = *captured_minor;
                // Late money revives an order that was given up.
                self.failure = None;
            }
            order::Event::LinesShipped(shipment) => self.shipments.push(ShipmentView {
                lines: shipment.lines.clone(),
                carrier: shipment.carrier.clone(),
                tracking_number: shipment.tracking_number.clone(),
                shipped_at: at,
            }),
            order::Event::Completed => self.status = Status::Completed,
            order::Event::Cancelled { reason } => {
                self.status = Status::Cancelled;
                self.cancel_reason = Some(reason.clone());
            }
            order::Event::Failed(failure) => {
                self.status = Status::Failed;
                self.failure = Some(failure.clone());
            }
            order::Event::RefundRequested(refund) => {
                self.refunds
                    .ask(refund.refund_id, refund.amount_minor, &refund.reason);
            }
            order::Event::Refunded(refund) => {
                self.refunds.settle(refund.refund_id);
                self.returned_minor = self.returned_minor.saturating_add(refund.amount_minor);
                let all_gone = self.returned_minor == self.confirmed_minor;
                if all_gone && matches!(self.status, Status::Confirmed | Status::Completed) {
                    self.status = Status::Refunded;
                }
            }
            order::Event::RefundFailed { refund_id, reason, .. } => {
                self.refunds.fail(*refund_id, reason);
            }
        }
    }

    fn take_payment(&mut self, event: &payment::Event) {
        self.paying.take(event);
        match event {
            payment::Event::AttemptStarted(attempt) => {
                self.method = attempt.choice.method;
                self.gateway.clone_from(&attempt.choice.gateway);
            }
            payment::Event::RefundRequested { refund_id, amount_minor, reason, .. } => {
                self.refunds.ask(*refund_id, *amount_minor, reason);
            }
            payment::Event::Refunded { refund_id, .. } => self.refunds.settle(*refund_id),
            payment::Event::RefundFailed { refund_id, reason, .. }
            | payment::Event::RefundReturned { refund_id, reason, .. } => {
                self.refunds.fail(*refund_id, reason);
            }
            payment::Event::Opened(_)
            | payment::Event::AttemptAccepted { .. }
            | payment::Event::Misnamed { .. }
            | payment::Event::RefundAccepted { .. }
            | payment::Event::Captured { .. }
            | payment::Event::CapturedAgain { .. }
            | payment::Event::Mismatched { .. }
            | payment::Event::Declined { .. }
            | payment::Event::ChargedBack { .. }
            | payment::Event::ChargebackReversed { .. }
            | payment::Event::UnmatchedReceived(_)
            | payment::Event::Voided => {}
        }
    }
}
