//! What Daybook asks of every payment provider.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::ids::{PaymentId, RefundId};
use domain::money::Money;
use domain::payment::Outcome;
use domain::placing::PaymentMethod;
use futures::future::BoxFuture;

/// A call that takes longer has an unknown outcome, which is asked for later.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// An attempt, as a provider needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The payment it belongs to.
    pub payment_id: PaymentId,
    /// Our name for it at the provider.
    pub reference: String,
    /// What is to be paid.
    pub amount: Money,
    /// How.
    pub method: PaymentMethod,
    /// What the provider gave the customer's browser.
    pub token: Option<String>,
    /// After this nobody waits for it any more.
    pub pay_by: DateTime<Utc>,
}

/// Money that goes back, as a provider needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payback {
    /// Our name for it at the provider.
    pub refund_id: RefundId,
    /// The attempt that brought the money in.
    pub charge: Charge,
    /// How much.
    pub amount: Money,
}

/// What a provider says about a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaybackOutcome {
    /// Taken on, undecided.
    Pending,
    /// Paid out.
    Settled {
        /// The provider's own name for it.
        provider_reference: String,
    },
    /// Not paid out.
    Failed {
        /// Normalised reason.
        reason: String,
    },
}

/// Why a provider gave no answer. Its outcome is then unknown, never assumed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It did not answer in time, or not in a form we know.
    #[error("{gateway} gave no answer: {cause}")]
    NoAnswer {
        /// Which provider.
        gateway: &'static str,
        /// What happened instead.
        cause: String,
    },
}

/// Something that a provider says of its own accord.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The provider's name for this message; repetitions carry the same.
    pub callback_id: String,
    /// Which payment.
    pub payment_id: PaymentId,
    /// Which attempt.
    pub reference: String,
    /// What it says.
    pub outcome: Outcome,
}

/// One payment provider.
pub trait Gateway: Send + Sync {
    /// Its name in bodies, events and settings.
    fn name(&self) -> &'static str;

    /// Whether it takes this token; the reason if not. Asked before an order is accepted.
    fn accepts_token(&self, token: Option<&str>) -> Result<(), String>;

    /// Asks for the money. May be repeated with the same reference: it acts once.
    fn initialize<'a>(&'a self, charge: &'a Charge) -> BoxFuture<'a, Result<Outcome, CallError>>;

    /// Asks what became of an attempt.
    fn verify<'a>(&'a self, charge: &'a Charge) -> BoxFuture<'a, Result<Outcome, CallError>>;

    /// Gives money back. May be repeated with the same refund id: it acts once.
    fn refund<'a>(
        &'a self,
        payback: &'a Payback,
    ) -> BoxFuture<'a, Result<PaybackOutcome, CallError>>;

    /// Asks what became of a refund.
    fn refund_status<'a>(
        &'a self,
        payback: &'a Payback,
    ) -> BoxFuture<'a, Result<PaybackOutcome, CallError>>;
}
