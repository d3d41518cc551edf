//! What can have happened to a payment, as the log keeps it.

use serde::{Deserialize, Serialize};

use crate::aggregate::stored_events;
use crate::attempt::{Attempt, NextStep, Terms};
use crate::ids::RefundId;
use crate::money::Money;
use crate::payment::Unmatched;
use crate::risk::Assessment;

/// What can have happened to a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// Money is asked for.
    #[serde(rename = "payment.opened")]
    Opened(Terms),
    /// A provider is about to be called.
    #[serde(rename = "payment.attempt_started")]
    AttemptStarted(Attempt),
    /// The provider has taken it on.
    #[serde(rename = "payment.attempt_accepted")]
    AttemptAccepted {
        /// Which attempt.
        reference: String,
        /// The provider's own name for it.
        provider_reference: String,
        /// What the customer has to do now, if anything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_step: Option<NextStep>,
    },
    /// The order's exact amount came in.
    #[serde(rename = "payment.captured")]
    Captured {
        /// By which attempt.
        reference: String,
        /// The provider's own name for it.
        provider_reference: String,
        /// What came in.
        received: Money,
        /// What the provider makes of whoever paid, if it says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        assessment: Option<Assessment>,
    },
    /// It came in a second time.
    #[serde(rename = "payment.captured_again")]
    CapturedAgain {
        /// By which attempt.
        reference: String,
        /// The provider's own name for it.
        provider_reference: String,
        /// What came in.
        received: Money,
    },
    /// Another amount or currency came in than was asked for.
    #[serde(rename = "payment.mismatched")]
    Mismatched {
        /// By which attempt.
        reference: String,
        /// The provider's own name for it.
        provider_reference: String,
        /// What was asked for.
        expected: Money,
        /// What came in.
        received: Money,
    },
    /// The provider answered for another reference than it was asked about.
    #[serde(rename = "payment.misnamed")]
    Misnamed {
        /// Which attempt it was asked about.
        reference: String,
        /// The reference it gave.
        named: String,
        /// The provider's own name for it.
        provider_reference: String,
        /// What came in, as the provider reports it; not counted as ours.
        received: Money,
    },
    /// The provider said no.
    #[serde(rename = "payment.declined")]
    Declined {
        /// Which attempt.
        reference: String,
        /// Normalised reason.
        reason: String,
    },
    /// No more money is asked for.
    #[serde(rename = "payment.voided")]
    Voided,
    /// Money is to go back.
    #[serde(rename = "payment.refund_requested")]
    RefundRequested {
        /// The refund's name.
        refund_id: RefundId,
        /// Minor units.
        amount_minor: i64,
        /// The attempt it goes back through; older events do not say, and mean the first that
        /// brought money.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// Why.
        reason: String,
    },
    /// The provider has taken the refund on.
    #[serde(rename = "payment.refund_accepted")]
    RefundAccepted {
        /// Which refund.
        refund_id: RefundId,
        /// The provider's own name for it.
        provider_reference: String,
    },
    /// Money has gone back.
    #[serde(rename = "payment.refunded")]
    Refunded {
        /// Which refund.
        refund_id: RefundId,
        /// Minor units.
        amount_minor: i64,
        /// The provider's own name for it.
        provider_reference: String,
    },
    /// Money came in that nobody had asked for, and is about to go back: this payment is no order's.
    #[serde(rename = "payment.unmatched_received")]
    UnmatchedReceived(Unmatched),
    /// Money could not go back.
    #[serde(rename = "payment.refund_failed")]
    RefundFailed {
        /// Which refund.
        refund_id: RefundId,
        /// Minor units.
        amount_minor: i64,
        /// What the provider said.
        reason: String,
    },
    /// Money that had gone back did not arrive, and is here again.
    #[serde(rename = "payment.refund_returned")]
    RefundReturned {
        /// Which refund.
        refund_id: RefundId,
        /// Minor units.
        amount_minor: i64,
        /// The attempt, or the name of what nobody asked for, that it had gone back through.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// What the provider said.
        reason: String,
    },
    /// The provider has taken back money that had come in, because it is disputed.
    #[serde(rename = "payment.charged_back")]
    ChargedBack {
        /// The attempt, or the name of what nobody asked for, that had brought it.
        reference: String,
        /// The provider's own name for the dispute.
        dispute: String,
        /// Minor units.
        amount_minor: i64,
        /// What the provider said.
        reason: String,
    },
    /// The dispute was won: the provider has given the money back.
    #[serde(rename = "payment.chargeback_reversed")]
    ChargebackReversed {
        /// The attempt, or the name of what nobody asked for, that had brought it.
        reference: String,
        /// The provider's own name for the dispute.
        dispute: String,
        /// Minor units.
        amount_minor: i64,
    },
}

stored_events!(Event {
    Self::Opened(_) => "payment.opened" v 1,
    Self::AttemptStarted(_) => "payment.attempt_started" v 1,
    Self::AttemptAccepted { .. } => "payment.attempt_accepted" v 1,
    Self::Captured { .. } => "payment.captured" v 1,
    Self::CapturedAgain { .. } => "payment.captured_again" v 1,
    Self::Mismatched { .. } => "payment.mismatched" v 1,
    Self::Misnamed { .. } => "payment.misnamed" v 1,
    Self::Declined { .. } => "payment.declined" v 1,
    Self::Voided => "payment.voided" v 1,
    Self::RefundRequested { .. } => "payment.refund_requested" v 1,
    Self::RefundAccepted { .. } => "payment.refund_accepted" v 1,
    Self::Refunded { .. } => "payment.refunded" v 1,
    Self::RefundFailed { .. } => "payment.refund_failed" v 1,
    Self::RefundReturned { .. } => "payment.refund_returned" v 1,
    Self::ChargedBack { .. } => "payment.charged_back" v 1,
    Self::ChargebackReversed { .. } => "payment.chargeback_reversed" v 1,
    Self::UnmatchedReceived(_) => "payment.unmatched_received" v 1,
});
