//! Where the money of one order stands, as told by its payment's events. Read by `orders` and
//! `payments`, so that the two cannot disagree.
//!
//! ```text
//! pending ─▶ awaiting ⇄ declined      voided
//!               ├─▶ captured ──▶ partially_refunded ─▶ refunded
//!               │      └──────▶ charged_back (until the dispute is won)
//!               └─▶ mismatched ───────────┴───────────────┘
//! ```

use domain::ids::RefundId;
use domain::money::Currency;
use domain::payment;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::money::MoneyView;

/// Where the money stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Not asked for yet.
    Pending,
    /// A provider is being asked.
    Awaiting,
    /// The exact amount is here.
    Captured,
    /// The last attempt was declined; another may be started.
    Declined,
    /// Another amount or currency came in.
    Mismatched,
    /// No more money is asked for.
    Voided,
    /// Part of what came in has gone back.
    PartiallyRefunded,
    /// All that came in has gone back.
    Refunded,
    /// Its provider has taken back what came in, or part of it, because it is disputed.
    ChargedBack,
}

impl PaymentStatus {
    /// Every one of them, in the order in which money moves.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Awaiting,
        Self::Captured,
        Self::Declined,
        Self::Mismatched,
        Self::Voided,
        Self::PartiallyRefunded,
        Self::Refunded,
        Self::ChargedBack,
    ];

    /// The name in answers and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Awaiting => "awaiting",
            Self::Captured => "captured",
            Self::Declined => "declined",
            Self::Mismatched => "mismatched",
            Self::Voided => "voided",
            Self::PartiallyRefunded => "partially_refunded",
            Self::Refunded => "refunded",
            Self::ChargedBack => "charged_back",
        }
    }
}

/// What must be remembered of a payment to know where its money stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Paying {
    /// What is asked for, once opened.
    asked_minor: Option<i64>,
    /// All money that came in.
    pub(crate) captured_minor: i64,
    /// What has gone back of it.
    pub(crate) refunded_minor: i64,
    /// What its provider has taken back of it.
    #[serde(default)]
    pub(crate) charged_back_minor: i64,
    /// The attempt that has no final answer yet.
    awaited: Option<String>,
    exact: bool,
    mismatched: bool,
    voided: bool,
}

impl Paying {
    pub(crate) fn take(&mut self, event: &payment::Event) {
        match event {
            payment::Event::Opened(terms) => self.asked_minor = Some(terms.amount.minor),
            payment::Event::AttemptStarted(attempt) => {
                self.awaited = Some(attempt.reference.clone());
            }
            payment::Event::Captured { reference, received, .. }
            | payment::Event::CapturedAgain { reference, received, .. } => {
                self.answered(reference);
                self.exact = true;
                self.captured_minor = self.captured_minor.saturating_add(received.minor);
            }
            payment::Event::Mismatched { reference, expected, received, .. } => {
                self.answered(reference);
                self.mismatched = true;
                // Another currency cannot be added up.
                if expected.currency == received.currency {
                    self.captured_minor = self.captured_minor.saturating_add(received.minor);
                }
            }
            payment::Event::Misnamed { reference, .. } => {
                self.answered(reference);
                self.mismatched = true;
            }
            payment::Event::Declined { reference, .. } => self.answered(reference),
            payment::Event::Voided => self.voided = true,
            payment::Event::Refunded { amount_minor, .. } => {
                self.refunded_minor = self.refunded_minor.saturating_add(*amount_minor);
            }
            payment::Event::RefundReturned { amount_minor, .. } => {
                self.refunded_minor = self.refunded_minor.saturating_sub(*amount_minor);
            }
            payment::Event::ChargedBack { amount_minor, .. } => {
                self.charged_back_minor = self.charged_back_minor.saturating_add(*amount_minor);
            }
            payment::Event::ChargebackReversed { amount_minor, .. } => {
                self.charged_back_minor = self.charged_back_minor.saturating_sub(*amount_minor);
            }
            // Of a payment that is no order's.
            payment::Event::UnmatchedReceived(_)
            | payment::Event::AttemptAccepted { .. }
            | payment::Event::RefundRequested { .. }
            | payment::Event::RefundAccepted { .. }
            | payment::Event::RefundFailed { .. } => {}
        }
    }

    /// What its provider has taken back, where it has.
    pub(crate) fn charged_back(&self, currency: Currency) -> Option<MoneyView> {
        let is_any = self.charged_back_minor != 0;
        is_any.then(|| MoneyView::of(self.charged_back_minor, currency))
    }

    pub(crate) fn status(&self) -> PaymentStatus {
        let Some(asked_minor) = self.asked_minor else {
            return PaymentStatus::Pending;
        };
        let not_returned_minor = self.captured_minor.saturating_sub(self.refunded_minor);
        let kept_minor = not_returned_minor.saturating_sub(self.charged_back_minor);
        if 0 < self.refunded_minor && not_returned_minor <= 0 {
            PaymentStatus::Refunded
        } else if 0 < self.charged_back_minor && kept_minor < asked_minor {
            PaymentStatus::ChargedBack
        } else if self.exact && asked_minor <= kept_minor {
            // What was paid twice and has gone back once is paid.
            PaymentStatus::Captured
        } else if 0 < self.refunded_minor {
            PaymentStatus::PartiallyRefunded
        } else if self.mismatched {
            PaymentStatus::Mismatched
        } else if self.voided {
            PaymentStatus::Voided
        } else if self.awaited.is_some() {
            PaymentStatus::Awaiting
        } else {
            PaymentStatus::Declined
        }
    }

    fn answered(&mut self, reference: &str) {
        if self.awaited.as_deref() == Some(reference) {
            self.awaited = None;
        }
    }
}

/// How far a refund has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// Asked of the provider.
    Pending,
    /// Paid out.
    Refunded,
    /// The provider could not pay it out.
    Failed,
}

/// One refund, as remembered in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Refund {
    id: RefundId,
    amount_minor: i64,
    state: RefundState,
    reason: String,
    failure: Option<String>,
}

/// One refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefundView {
    /// Its name.
    #[schema(value_type = Uuid)]
    pub refund_id: RefundId,
    /// All of it, goods and shipping.
    pub amount: MoneyView,
    /// How far it has come.
    pub status: RefundState,
    /// Why it was asked for.
    pub reason: String,
    /// Why it could not be paid out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// All refunds of one payment, in the order in which they were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Refunds(Vec<Refund>);

impl Refunds {
    /// The order asks its refund of the payment, so either may be the first to name it.
    pub(crate) fn ask(&mut self, refund_id: RefundId, amount_minor: i64, reason: &str) {
        match self.0.iter_mut().find(|refund| refund.id == refund_id) {
            Some(refund) => {
                refund.amount_minor = amount_minor;
                refund.state = RefundState::Pending;
                refund.failure = None;
            }
            None => self.0.push(Refund {
                id: refund_id,
                amount_minor,
                state: RefundState::Pending,
                reason: reason.to_owned(),
                failure: None,
            }),
        }
    }

    pub(crate) fn settle(&mut self, refund_id: RefundId) {
        self.end(refund_id, RefundState::Refunded, None);
    }

    pub(crate) fn fail(&mut self, refund_id: RefundId, why: &str) {
        self.end(refund_id, RefundState::Failed, Some(why));
    }

    pub(crate) fn pending_minor(&self) -> i64 {
        self.0
            .iter()
            .filter(|refund| refund.state == RefundState::Pending)
            .fold(0, |sum, refund| sum.saturating_add(refund.amount_minor))
    }

    pub(crate) fn view(&self, currency: Currency) -> Vec<RefundView> {
        let view = |refund: &Refund| RefundView {
            refund_id: refund.id,
            amount: MoneyView::of(refund.amount_minor, currency),
            status: refund.state,
            reason: refund.reason.clone(),
            failure: refund.failure.clone(),
        };
        self.0.iter().map(view).collect()
    }

    fn end(&mut self, refund_id: RefundId, state: RefundState, failure: Option<&str>) {
        for refund in &mut self.0 {
            if refund.id == refund_id {
                refund.state = state;
                refund.failure = failure.map(str::to_owned);
            }
        }
    }
}
