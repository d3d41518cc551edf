//! Orders: what a customer asked for, and how far we are with it.
//!
//! ```text
//! Unplaced ─ Place ─▶ Pending ─ Process ─▶ Processing ─ Confirm ─▶ Confirmed ─ Complete ─▶ Completed
//!                        │                     │                      │                       │
//!                        ├── Fail ──▶ Failed ◀─┤          Refund (all)└──▶ Refunded ◀─────────┘
//!                        └── Cancel ─▶ Cancelled ◀────────────────────┘
//! ```
//!
//! Invariants:
//! 1. `Event::Placed` fixes lines and total; later price changes never reach them.
//! 2. No order is confirmed without exactly its total captured, in its currency.
//! 3. Refunds, pending ones included, never exceed the total, nor any SKU's own share.
//! 4. An order that failed because payment came too late may still be confirmed by that payment,
//!    once its stock has been reserved again. Every other end is final.
//! 5. Goods do not leave once all of their money is on its way back.
//! 6. While staff have to look at an order (see `order/review.rs`), it is not confirmed, and asks
//!    for no money.

mod fulfilment;
mod money;
mod review;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::aggregate::{Decider, runs_on_cqrs_es, stored_events};
use crate::ids::{PaymentId, RefundId, Sku};
use crate::money::{Currency, Money};
use crate::placing::{LINES_MAX, Placing, QUANTITY_MAX};
use crate::promotion::Code;
use crate::refunding::{Ask, Refund, Tally};
use crate::screening::Screening;

use self::fulfilment::Fulfilment;
pub use self::fulfilment::{
    CARRIER_CHARS_MAX, Dispatch, Shipment, Shipper, TRACKING_NUMBER_CHARS_MAX, Which,
};
pub use self::review::{Review, Verdict};

/// What the name of a refund takes in memory with its place in the set.
const REFUND_NAME_BYTES: usize = 40;

/// How far an order has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// No such order: the stream is empty.
    #[default]
    Unplaced,
    /// Accepted; its stock is being reserved.
    Pending,
    /// Its stock is reserved; its money is awaited.
    Processing,
    /// Paid.
    Confirmed,
    /// Fulfilled.
    Completed,
    /// Withdrawn.
    Cancelled,
    /// Given up, because stock was short, money did not come, or it was refused.
    Failed,
    /// All of its money has gone back.
    Refunded,
}

/// Why an order was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Failure {
    /// Not enough of these.
    OutOfStock {
        /// What was short.
        skus: Vec<Sku>,
    },
    /// The deadline passed before the money came.
    PaymentTimedOut,
    /// The provider reported another amount or currency than the order's.
    PaymentMismatched,
    /// Screening or staff would not have it.
    Refused,
    /// It was held for staff, and nobody looked at it in time.
    ReviewTimedOut,
    /// Others had used the promotion up that it was promised.
    PromotionUsedUp {
        /// Which.
        promotion: Code,
    },
}

/// What rules read of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    stage: Stage,
    total: Option<Money>,
    failed_for_want_of_payment: bool,
    captured_minor: i64,
    tally: Tally,
    payment_id: Option<PaymentId>,
    refund_names: BTreeSet<RefundId>,
    pending_refunds: BTreeMap<RefundId, Refund>,
    refunded_minor: i64,
    #[serde(default)]
    review: Review,
    fulfilment: Fulfilment,
}

/// What can be asked of an order.
#[derive(Debug, Clone)]
pub enum Command {
    /// Accept it as submitted.
    Place(Box<Placing>),
    /// The same, with what screening has made of it.
    PlaceScreened(Box<Placing>, Screening),
    /// Its stock is reserved: await its money.
    Process,
    /// Its money is captured.
    Confirm {
        /// What was captured.
        captured: Money,
    },
    /// The same, with what screening makes of the provider's word on it.
    ConfirmScreened {
        /// What was captured.
        captured: Money,
        /// Whether the order goes on, waits or ends.
        screening: Screening,
    },
    /// Staff have looked at it.
    Review {
        /// What they say.
        verdict: Verdict,
        /// Why.
        reason: String,
    },
    /// Lines of it have left.
    Ship(Dispatch),
    /// It has been fulfilled.
    Complete,
    /// Withdraw it; captured money goes back under this refund.
    Cancel {
        /// Why.
        reason: String,
        /// The refund's name, should one be due.
        refund_id: RefundId,
    },
    /// Give it up.
    Fail(Failure),
    /// Give money back.
    Refund {
        /// The refund's name.
        refund_id: RefundId,
        /// What to give back.
        ask: Ask,
        /// Why.
        reason: String,
    },
    /// The provider has paid the refund out.
    SettleRefund {
        /// Which.
        refund_id: RefundId,
    },
    /// The provider could not pay the refund out.
    FailRefund {
        /// Which.
        refund_id: RefundId,
        /// What the provider said.
        reason: String,
    },
}

/// What can have happened to an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// It was accepted; its total is now fixed.
    #[serde(rename = "order.placed")]
    Placed(Box<Placing>),
    /// It was judged by staff's rules.
    #[serde(rename = "order.screened")]
    Screened(Screening),
    /// Staff let it go on.
    #[serde(rename = "order.review_approved")]
    ReviewApproved {
        /// Why.
        reason: String,
        /// Until when it may be paid, if it is not paid yet.
        pay_by: DateTime<Utc>,
    },
    /// Staff would not have it.
    #[serde(rename = "order.review_refused")]
    ReviewRefused {
        /// Why.
        reason: String,
    },
    /// Its stock is reserved and its money awaited.
    #[serde(rename = "order.processing")]
    Processing,
    /// It is paid.
    #[serde(rename = "order.confirmed")]
    Confirmed {
        /// What was captured, in minor units of the order's currency.
        captured_minor: i64,
    },
    /// Lines of it have left.
    #[serde(rename = "order.lines_shipped")]
    LinesShipped(Shipment),
    /// It is fulfilled.
    #[serde(rename = "order.completed")]
    Completed,
    /// It was withdrawn.
    #[serde(rename = "order.cancelled")]
    Cancelled {
        /// Why.
        reason: String,
    },
    /// It was given up.
    #[serde(rename = "order.failed")]
    Failed(Failure),
    /// Money is to go back.
    #[serde(rename = "order.refund_requested")]
    RefundRequested(Refund),
    /// Money has gone back.
    #[serde(rename = "order.refunded")]
    Refunded(Refund),
    /// Money could not go back; it may be asked for again.
    #[serde(rename = "order.refund_failed")]
    RefundFailed {
        /// Which.
        refund_id: RefundId,
        /// How much, in minor units.
        amount_minor: i64,
        /// What the provider said.
        reason: String,
    },
}

stored_events!(Event {
    // Version 1 knew no shipping cost; see `upcast`.
    Self::Placed(_) => "order.placed" v 2,
    Self::Screened(_) => "order.screened" v 1,
    Self::ReviewApproved { .. } => "order.review_approved" v 1,
    Self::ReviewRefused { .. } => "order.review_refused" v 1,
    Self::Processing => "order.processing" v 1,
    Self::Confirmed { .. } => "order.confirmed" v 1,
    Self::LinesShipped(_) => "order.lines_shipped" v 1,
    Self::Completed => "order.completed" v 1,
    Self::Cancelled { .. } => "order.cancelled" v 1,
    Self::Failed(_) => "order.failed" v 1,
    Self::RefundRequested(_) => "order.refund_requested" v 1,
    Self::Refunded(_) => "order.refunded" v 1,
    Self::RefundFailed { .. } => "order.refund_failed" v 1,
});
runs_on_cqrs_es!(Order, "order");

/// Why an order may say no. When several apply, the first listed is reported; of the pieces of a
/// refund, the first piece that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// There is nothing to act on.
    #[error("the order has not been placed")]
    NotPlaced,
    /// Orders are placed once.
    #[error("the order has already been placed")]
    AlreadyPlaced,
    /// Its stock is not reserved yet.
    #[error("the order is still waiting for its stock")]
    StillPending,
    /// It is not paid yet.
    #[error("the order is not paid yet")]
    NotPaid,
    /// It awaits its money already.
    #[error("the order is already being processed")]
    AlreadyProcessing,
    /// It is paid already.
    #[error("the order has already been confirmed")]
    AlreadyConfirmed,
    /// Invariant 4.
    #[error("the order has already been completed")]
    AlreadyCompleted,
    /// Invariant 4.
    #[error("the order has been cancelled")]
    AlreadyCancelled,
    /// Invariant 4.
    #[error("the order has failed")]
    AlreadyFailed,
    /// Invariant 4.
    #[error("the order has been refunded in full")]
    AlreadyRefunded,
    /// Invariant 5.
    #[error("all of the order's money is on its way back")]
    BeingRefunded,
    /// For a vendor, an order without lines of theirs does not exist.
    #[error("the order holds nothing of this vendor")]
    NoLinesOfVendor,
    /// It was counted wrongly, or is not the shipper's.
    #[error("there is no line {line} to ship; lines are counted from 1")]
    NoSuchLine {
        /// Which was named.
        line: u16,
    },
    /// Invariant 5.
    #[error("line {line} has been refunded, so it is not to be shipped")]
    LineRefunded {
        /// Which.
        line: u16,
    },
    /// Vendors have not sent everything that is theirs.
    #[error("{lines} of its lines are still to be shipped by their vendors")]
    NotShipped {
        /// How many.
        lines: usize,
    },
    /// What has left cannot be withdrawn.
    #[error("part of the order has been shipped: ask for a refund of what is not wanted")]
    AlreadyShipped,
    /// Invariant 6.
    #[error("the order waits for somebody to look at it")]
    HeldForReview,
    /// There is nothing to say about it, or somebody has said it.
    #[error("the order does not wait for anybody to look at it")]
    NotHeld,
    /// Bounds the event.
    #[error("an order has 1 to {LINES_MAX} lines, not {lines}")]
    LineCount {
        /// How many there were.
        lines: usize,
    },
    /// Bounds a line.
    #[error("the quantity of {sku} must be 1 to {QUANTITY_MAX}, not {quantity}")]
    Quantity {
        /// The article.
        sku: Sku,
        /// What was asked for.
        quantity: u32,
    },
    /// Prices and shipping cost are never below zero.
    #[error("a price or shipping cost is below zero")]
    NegativeAmount,
    /// The total cannot be represented.
    #[error("the total is too large")]
    TotalTooLarge,
    /// A mistake of whoever worked it out.
    #[error("the discount does not add up")]
    DiscountDoesNotAddUp,
    /// A payment needs an amount.
    #[error("the total is zero, so there is nothing to pay")]
    NothingToPay,
    /// Invariant 2.
    #[error("the order's total is {expected}, but {captured} was captured")]
    CaptureMismatch {
        /// The order's total.
        expected: Money,
        /// What was captured.
        captured: Money,
    },
    /// The refund's name has been used.
    #[error("a refund of this name exists already")]
    RefundExists,
    /// No such refund is pending.
    #[error("no such refund is pending")]
    NoSuchRefund,
    /// Everything has gone back, or is about to.
    #[error("nothing is left to refund")]
    NothingToRefund,
    /// It cost nothing, or all of it has gone back or is about to.
    #[error("nothing is left to refund of the shipping")]
    NoShippingToRefund,
    /// The order holds no such article.
    #[error("{sku} is not part of the order")]
    NotOrdered {
        /// The article.
        sku: Sku,
    },
    /// Each SKU is named once in a refund.
    #[error("{sku} is named twice; add the pieces up")]
    PiecesTwice {
        /// The article.
        sku: Sku,
    },
    /// Invariant 3.
    #[error("{left} pieces of {sku} are left to refund")]
    TooManyPieces {
        /// The article.
        sku: Sku,
        /// What may still be refunded.
        left: u64,
    },
    /// Zero gives nothing back.
    #[error("a refund must be above zero")]
    RefundNotPositive,
    /// Invariant 3.
    #[error("the refund is larger than what is left of it")]
    RefundTooLarge {
        /// What may still be refunded, in minor units.
        left_minor: i64,
    },
}

impl Order {
    /// How far it has come.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Goods and shipping, once placed.
    pub fn total(&self) -> Option<Money> {
        self.total
    }

    /// What has gone back, in minor units.
    pub fn refunded_minor(&self) -> i64 {
        self.refunded_minor
    }

    /// What was captured for it, in minor units.
    pub fn captured_minor(&self) -> i64 {
        self.captured_minor
    }

    /// The payment that carries its money, once placed.
    pub fn payment_id(&self) -> Option<PaymentId> {
        self.payment_id
    }

    /// Bytes in memory beside the value itself, roughly: whoever keeps many bounds them by it.
    pub fn heap_bytes(&self) -> usize {
        let names = self.refund_names.len().saturating_mul(REFUND_NAME_BYTES);
        self.pending_refunds
            .values()
            .map(Refund::bytes)
            .fold(names, usize::saturating_add)
            .saturating_add(self.tally.heap_bytes())
            .saturating_add(self.fulfilment.heap_bytes())
    }

    /// Its currency, once placed.
    pub fn currency(&self) -> Option<Currency> {
        self.total.map(|total| total.currency)
    }
}

impl Decider for Order {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: Command) -> Result<Vec<Event>, Refusal> {
        use Command as C;
        use Stage as S;

        match (self.stage, command) {
            (S::Unplaced, C::Place(placing)) => {
                placing.judge()?;
                Ok(vec![Event::Placed(placing)])
            }
            (S::Unplaced, C::PlaceScreened(placing, screening)) => {
                Self::place_screened(placing, screening)
            }
            (S::Unplaced, _) => Err(Refusal::NotPlaced),
            (_, C::Place(_) | C::PlaceScreened(..)) => Err(Refusal::AlreadyPlaced),

            // Invariant 6.
            (S::Pending, C::Process)
            | (S::Processing, C::Confirm { .. } | C::ConfirmScreened { .. })
                if self.review == Review::Held =>
            {
                Err(Refusal::HeldForReview)
            }
            (S::Pending | S::Processing, C::Review { verdict, reason }) => {
                self.take_verdict(verdict, reason)
            }
            (S::Pending | S::Processing, C::Fail(Failure::ReviewTimedOut))
                if self.review != Review::Held =>
            {
                Err(Refusal::NotHeld)
            }

            (S::Pending, C::Process) => Ok(vec![Event::Processing]),
            (S::Processing, C::Confirm { captured }) => self.confirm(captured),
            (S::Processing, C::ConfirmScreened { captured, screening }) => {
                self.confirm_screened(captured, screening)
            }
            // Invariant 4: late money finds its stock again.
            (S::Failed, C::Confirm { captured }) if self.failed_for_want_of_payment => {
                self.confirm(captured)
            }
            (S::Failed, C::ConfirmScreened { captured, screening })
                if self.failed_for_want_of_payment =>
            {
                self.confirm_screened(captured, screening)
            }
            (_, C::Ship(dispatch)) => self.ship(dispatch),
            (S::Confirmed, C::Complete) => self.complete(),
            (S::Pending | S::Processing, C::Fail(failure)) => Ok(vec![Event::Failed(failure)]),
            (S::Pending | S::Processing, C::Cancel { reason, .. }) => {
                Ok(vec![Event::Cancelled { reason }])
            }
            (S::Confirmed, C::Cancel { .. }) if self.fulfilment.has_begun() => {
                Err(Refusal::AlreadyShipped)
            }
            (S::Confirmed, C::Cancel { reason, refund_id }) => {
                self.cancel_and_refund(reason, refund_id)
            }
            (S::Confirmed | S::Completed | S::Cancelled, C::Refund { refund_id, ask, reason })
                if 0 < self.captured_minor =>
            {
                Ok(vec![self.request_refund(refund_id, ask, reason)?])
            }
            (_, C::SettleRefund { refund_id }) => {
                let refund = self.pending(refund_id)?;
                Ok(vec![Event::Refunded(refund.clone())])
            }
            (_, C::FailRefund { refund_id, reason }) => {
                let amount_minor = self.pending(refund_id)?.amount_minor;
                Ok(vec![Event::RefundFailed { refund_id, amount_minor, reason }])
            }

            (S::Pending, C::Confirm { .. } | C::ConfirmScreened { .. } | C::Complete) => {
                Err(Refusal::StillPending)
            }
            (S::Pending | S::Processing, C::Refund { .. }) | (S::Processing, C::Complete) => {
                Err(Refusal::NotPaid)
            }
            (S::Processing, C::Process) => Err(Refusal::AlreadyProcessing),
            (S::Confirmed, _) => Err(Refusal::AlreadyConfirmed),
            (S::Completed, _) => Err(Refusal::AlreadyCompleted),
            (S::Cancelled, _) => Err(Refusal::AlreadyCancelled),
            (S::Failed, _) => Err(Refusal::AlreadyFailed),
            (S::Refunded, _) => Err(Refusal::AlreadyRefunded),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Placed(placing) => {
                self.stage = Stage::Pending;
                self.total = Some(placing.total());
                self.tally = Tally::of(placing);
                self.fulfilment = Fulfilment::of(placing);
                self.payment_id = Some(placing.payment_id);
            }
            Event::Processing => self.stage = Stage::Processing,
            Event::Screened(_) | Event::ReviewApproved { .. } | Event::ReviewRefused { .. } => {}
            Event::Confirmed { captured_minor } => {
                self.stage = Stage::Confirmed;
                self.captured_minor = *captured_minor;
            }
            Event::LinesShipped(shipment) => self.fulfilment.ship(shipment),
            Event::Completed => self.stage = Stage::Completed,
            Event::Cancelled { .. } => self.stage = Stage::Cancelled,
            Event::Failed(failure) => {
                self.stage = Stage::Failed;
                self.failed_for_want_of_payment = *failure == Failure::PaymentTimedOut;
            }
            Event::RefundRequested(refund) => {
                self.tally.take(refund);
                self.refund_names.insert(refund.refund_id);
                self.pending_refunds
                    .insert(refund.refund_id, refund.clone());
            }
            Event::Refunded(refund) => {
                self.pending_refunds.remove(&refund.refund_id);
                self.refunded_minor = self.refunded_minor.saturating_add(refund.amount_minor);
                let all_gone = self.refunded_minor == self.captured_minor;
                if all_gone && matches!(self.stage, Stage::Confirmed | Stage::Completed) {
                    self.stage = Stage::Refunded;
                }
            }
            Event::RefundFailed { refund_id, .. } => {
                if let Some(refund) = self.pending_refunds.remove(refund_id) {
                    self.tally.give_back(&refund);
                }
            }
        }
        self.evolve_review(event);
    }
}

#[cfg(test)]
#[path = "order_property_tests.rs"]
mod property_tests;
#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
