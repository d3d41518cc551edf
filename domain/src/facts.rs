//! The words in which the checkout process hears and asks: facts in, intents out.
//!
//! The table that turns the one into the other is [`crate::checkout`].

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::checkout::{Brief, Stage};
use crate::ids::{CustomerId, PaymentId, RefundId, Sku};
use crate::money::Money;
use crate::order::Failure;
use crate::placing::Placing;
use crate::promotion::Code;
use crate::refunding::{Refund, RestockPart};
use crate::risk::Assessment;

/// What the process hears: events of the log, answers to its own intents, and the clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// An order was placed.
    OrderPlaced(Box<Placing>),
    /// A reservation was granted.
    StockReserved {
        /// Of this article.
        sku: Sku,
    },
    /// A reservation was refused for want of stock.
    StockShort {
        /// Of this article.
        sku: Sku,
    },
    /// The order holds a use of the promotion that it was promised.
    PromotionReserved,
    /// Others have used it up.
    PromotionUsedUp,
    /// The order waits for its money.
    OrderProcessing,
    /// The order is confirmed.
    OrderConfirmed,
    /// The order had come to another end before the intent reached it.
    OrderMovedOn,
    /// The order was withdrawn.
    OrderCancelled,
    /// The order is paid, and waits for staff.
    OrderHeld {
        /// Until then.
        review_by: DateTime<Utc>,
    },
    /// Staff let the order go on.
    OrderApproved {
        /// Until when it may be paid, if it is not paid yet.
        pay_by: DateTime<Utc>,
    },
    /// The order has ended: screening, staff, or nobody in time.
    OrderRefused,
    /// Lines of the order have left, before all of it has.
    LinesShipped {
        /// Which, counted from 1.
        lines: Vec<u16>,
    },
    /// The order was fulfilled.
    OrderCompleted,
    /// The order wants money to go back.
    RefundRequested(Refund),
    /// The order's exact amount came in.
    PaymentCaptured {
        /// What came in.
        received: Money,
        /// What the provider makes of whoever paid.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        assessment: Option<Assessment>,
    },
    /// It came in once more.
    PaymentCapturedAgain {
        /// By which attempt.
        reference: String,
        /// What came in.
        received: Money,
    },
    /// Something else came in.
    PaymentMismatched {
        /// By which attempt.
        reference: String,
        /// What was asked for.
        expected: Money,
        /// What came in.
        received: Money,
    },
    /// The provider speaks of money under a reference that it was not asked about.
    PaymentMisnamed {
        /// What it was asked about.
        reference: String,
        /// What it spoke of.
        named: String,
    },
    /// An attempt was declined.
    PaymentDeclined,
    /// Money has gone back.
    PaymentRefunded {
        /// Which refund.
        refund_id: RefundId,
    },
    /// Money could not go back.
    PaymentRefundFailed {
        /// Which refund.
        refund_id: RefundId,
        /// What the provider said.
        reason: String,
    },
    /// Money that had gone back did not arrive.
    PaymentRefundReturned {
        /// Which refund.
        refund_id: RefundId,
        /// What the provider said.
        reason: String,
    },
    /// The provider has taken money back, because it is disputed.
    PaymentChargedBack {
        /// The provider's own name for the dispute.
        dispute: String,
        /// How much, in minor units.
        amount_minor: i64,
        /// What the provider said.
        reason: String,
    },
    /// The time to pay is over.
    DeadlinePassed,
}

/// What the process asks for next; each becomes one command, `ReleaseStock` undoes `ReserveStock`,
/// `ReleasePromotion` undoes `ReservePromotion`, `VoidPayment` and `RefundPayment` undo `OpenPayment`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Hold stock.
    ReserveStock {
        /// Of this article.
        sku: Sku,
        /// Pieces.
        quantity: u64,
        /// Until when.
        expires_at: DateTime<Utc>,
    },
    /// Let it go.
    ReleaseStock {
        /// Of this article.
        sku: Sku,
    },
    /// It leaves the house.
    IssueStock {
        /// Of this article.
        sku: Sku,
    },
    /// A part of it does, and the rest is let go: one command, because intents are carried out side
    /// by side.
    IssuePart {
        /// Of this article.
        sku: Sku,
        /// Pieces that leave.
        quantity: u64,
    },
    /// Hold a use of a promotion.
    ReservePromotion {
        /// Of this one.
        promotion: Code,
        /// For whom, if they have an account.
        customer_id: Option<CustomerId>,
    },
    /// Give it back.
    ReleasePromotion {
        /// Of this one.
        promotion: Code,
    },
    /// It is used up.
    SettlePromotion {
        /// Of this one.
        promotion: Code,
    },
    /// It comes back on the shelf.
    RestockStock {
        /// Under which refund.
        refund_id: RefundId,
        /// What.
        part: RestockPart,
    },
    /// Tell the order that its stock is held.
    ProcessOrder,
    /// Tell the order that its money is there.
    ConfirmOrder {
        /// What came in.
        captured: Money,
        /// What is to be screened before; nothing where staff have looked.
        assessment: Option<Assessment>,
    },
    /// Tell the order that nobody has looked at it in time.
    EndReview,
    /// Tell the order that it is given up.
    FailOrder(Failure),
    /// Ask for the money.
    OpenPayment(Brief),
    /// Ask for no more money.
    VoidPayment(PaymentId),
    /// Give money back.
    RefundPayment {
        /// Whose.
        payment_id: PaymentId,
        /// The refund's name; `None` if the process is to name it after its cause.
        refund_id: Option<RefundId>,
        /// The attempt that brought the money; `None` for whichever brought the order's.
        reference: Option<String>,
        /// Minor units.
        amount_minor: i64,
        /// Why.
        reason: String,
    },
    /// Give back what could not be given back, under a name after its cause.
    RefundAgain {
        /// Whose.
        payment_id: PaymentId,
        /// The refund that failed.
        failed: RefundId,
        /// Why.
        reason: String,
    },
    /// Tell the order that its refund is paid out.
    SettleRefund {
        /// Which.
        refund_id: RefundId,
    },
    /// Tell the order that its refund failed.
    FailRefund {
        /// Which.
        refund_id: RefundId,
        /// What the provider said.
        reason: String,
    },
    /// A person is needed.
    CallStaff {
        /// For what.
        reason: String,
    },
}

/// A fact that no row of the table expects: park it and call a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fact:?} is out of place while {stage:?}")]
pub struct OutOfPlace {
    /// Where we stood.
    pub stage: Stage,
    /// What we heard.
    pub fact: Box<Fact>,
}
