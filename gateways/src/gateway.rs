//! What Daybook asks of every payment provider.
//!
//! 1. Every call may be repeated with the same reference, and acts once.
//! 2. An answer is what the provider said, in our words. Where it said nothing that we know how to
//!    read, there is no answer but a [`CallError`], and the outcome is unknown.
//! 3. A webhook is a reason to ask, never the truth: what it is about is then verified.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::attempt::Outcome;
use domain::ids::{OrderId, PaymentId, RefundId};
use domain::money::Money;
use domain::payment::Chargeback;
use domain::placing::{Address, Customer, PaymentMethod};
use futures::future::BoxFuture;

pub use crate::capabilities::Capabilities;
use crate::listing::{Page, Span};
use crate::reason::Reason;
pub use crate::webhook::{About, BadSignature, Delivery, Dispute, Notice, Unreadable};

/// A call that takes longer has an unknown outcome, which is asked for later.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// An attempt, as a provider needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The payment it belongs to.
    pub payment_id: PaymentId,
    /// The order it pays.
    pub order_id: OrderId,
    /// Our name for it at the provider: 26 letters and digits.
    pub reference: String,
    /// The provider's own name for it, once it gave one.
    pub provider_reference: Option<String>,
    /// What is to be paid.
    pub amount: Money,
    /// How.
    pub method: PaymentMethod,
    /// What the provider gave the customer's browser.
    pub token: Option<String>,
    /// Who pays; known to providers that need it.
    pub payer: Option<Box<Payer>>,
    /// When the attempt was started.
    pub started_at: DateTime<Utc>,
    /// After this nobody waits for it any more.
    pub pay_by: DateTime<Utc>,
}

/// After the order's own deadline a page that was left stays open; after this nobody comes back.
const ABANDONED_AFTER: TimeDelta = TimeDelta::hours(24);

impl Charge {
    /// Whether nobody will pay any more on a page that was opened for it.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.pay_by + ABANDONED_AFTER < Utc::now()
    }

    /// How it stands with a provider that knows of no transaction before somebody tries to pay.
    pub(crate) fn not_attempted(&self) -> Found<Outcome> {
        let Some(provider_reference) = self.provider_reference.clone() else {
            return Found::NeverHeard;
        };
        Found::Said(if self.is_abandoned() {
            Reason::Expired.declines()
        } else {
            Outcome::Accepted { provider_reference, next_step: None }
        })
    }
}

/// Who pays, and where the goods go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payer {
    /// Name, email, telephone.
    pub customer: Customer,
    /// Where the goods go.
    pub address: Address,
}

/// Money that goes back, as a provider needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payback {
    /// Our name for it at the provider.
    pub refund_id: RefundId,
    /// The provider's own name for it, once it gave one.
    pub provider_reference: Option<String>,
    /// The attempt that brought the money in.
    pub charge: Charge,
    /// How much.
    pub amount: Money,
}

/// What a provider says about a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaybackOutcome {
    /// Taken on, undecided.
    Pending {
        /// The provider's own name for it.
        provider_reference: Option<String>,
    },
    /// Taken on, and goes no further before a person has done something about it.
    NeedsStaff {
        /// The provider's own name for it.
        provider_reference: String,
        /// What it waits for.
        what: String,
    },
    /// Paid out.
    Settled {
        /// The provider's own name for it.
        provider_reference: String,
    },
    /// Not paid out.
    Failed {
        /// What the provider said.
        reason: String,
    },
}

/// What a provider that is asked about something says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T> {
    /// This is how it stands.
    Said(T),
    /// It has never heard of it: what we sent did not arrive.
    NeverHeard,
}

/// Why a provider gave no answer. Its outcome is then unknown, never assumed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It did not answer in time, or not in a form we know; it may have acted all the same.
    #[error("the outcome at {gateway} is unknown: {cause}")]
    OutcomeUnknown {
        /// Which provider.
        gateway: &'static str,
        /// What happened instead.
        cause: String,
    },
    /// It was not reached, or turned the call away before it did anything.
    #[error("{gateway} was not reached: {cause}")]
    NotSent {
        /// Which provider.
        gateway: &'static str,
        /// What happened instead.
        cause: String,
    },
    /// It does not take our credentials.
    #[error("{gateway} does not take our credentials ({cause}); check its settings")]
    Unauthorised {
        /// Which provider.
        gateway: &'static str,
        /// What it said.
        cause: String,
    },
}

/// Something that a provider says of its own accord in this process, as only the sandbox does.
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

/// What a call to a provider comes to.
pub type Calling<'a, T> = BoxFuture<'a, Result<T, CallError>>;

/// One payment provider.
pub trait Gateway: Send + Sync {
    /// Its name in bodies, events, settings and the address of its webhooks.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> &'static Capabilities;

    /// Asks for the money. May be repeated with the same reference: it acts once.
    fn initialize<'a>(&'a self, charge: &'a Charge) -> Calling<'a, Outcome>;

    /// Asks what became of an attempt.
    fn verify<'a>(&'a self, charge: &'a Charge) -> Calling<'a, Found<Outcome>>;

    /// Asks about one of several payments that the same reference may have brought, by the provider's
    /// own name for it: captured only if it is that one. `None` where a reference is one payment.
    fn verify_one<'a>(
        &'a self,
        _charge: &'a Charge,
        _name: &'a str,
    ) -> Option<Calling<'a, Found<Outcome>>> {
        None
    }

    /// Whether an attempt can be ended there before anybody has paid.
    fn cancels(&self) -> bool {
        false
    }

    /// Ends an attempt that nobody waits for any more, so that nobody pays it by mistake, and says how
    /// it stands then: what was paid a moment before is money like any other. May be repeated. A
    /// provider that has no such call says how the attempt stands.
    fn cancel<'a>(&'a self, charge: &'a Charge) -> Calling<'a, Found<Outcome>> {
        self.verify(charge)
    }

    /// Gives money back. May be repeated with the same refund id: it acts once.
    fn refund<'a>(&'a self, payback: &'a Payback) -> Calling<'a, PaybackOutcome>;

    /// Asks what became of a refund.
    fn refund_status<'a>(&'a self, payback: &'a Payback) -> Calling<'a, Found<PaybackOutcome>>;

    /// Asks what a dispute has made of an attempt's money, by the provider's own name for the dispute:
    /// `None` in the answer if it is where it was. `None` where the provider does not say so in a form
    /// that we know.
    fn chargeback<'a>(
        &'a self,
        _charge: &'a Charge,
        _dispute: &'a str,
    ) -> Option<Calling<'a, Found<Option<Chargeback>>>> {
        None
    }

    /// A page of what it has, made within a span of time: the first one, or where the cursor of the
    /// page before leads. `None` where the provider has no lists.
    fn list<'a>(&'a self, _span: &'a Span, _cursor: Option<&'a str>) -> Option<Calling<'a, Page>> {
        None
    }

    /// Whether webhooks of it can arrive, so that it has to be known whose references are.
    fn takes_webhooks(&self) -> bool {
        true
    }

    /// Whether a webhook comes from the provider, by its raw body and in constant time.
    fn verify_webhook_signature(&self, delivery: &Delivery<'_>) -> Result<(), BadSignature>;

    /// What a webhook is about.
    fn parse_webhook_event(&self, delivery: &Delivery<'_>) -> Result<Notice, Unreadable>;
}
