//! One try at one provider: how it was asked for, what the provider says, what became of it.
//!
//! ```text
//! awaited ──▶ accepted ──▶ captured | declined | mismatched
//!    └──────────────────────────▲
//! ```

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::OrderId;
use crate::money::Money;
use crate::placing::PaymentChoice;
use crate::risk::Assessment;

/// Why an attempt is over whose provider did nothing; another stands in for it.
pub const NOT_REACHED: &str = "not_reached";

/// What is to be paid, for what, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The order it pays.
    pub order_id: OrderId,
    /// The order's total.
    pub amount: Money,
    /// After this the checkout gives the order up.
    pub pay_by: DateTime<Utc>,
}

/// One try at one provider, as requested; recorded before the provider is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Our name for it at the provider: 26 letters and digits, which every provider accepts.
    pub reference: String,
    /// Which provider, and with what.
    #[serde(flatten)]
    pub choice: PaymentChoice,
    /// When it was started.
    pub started_at: DateTime<Utc>,
    /// The attempt that it stands in for, whose provider was not reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptState {
    /// No final answer yet.
    Awaited,
    /// The provider has taken it on; no final answer yet.
    Accepted,
    /// The money is ours.
    Captured,
    /// The provider said no.
    Declined,
    /// Money came in, but not the amount or currency asked for, or under another reference.
    Mismatched,
}

impl AttemptState {
    /// Whether its provider has not answered for good.
    pub fn is_open(self) -> bool {
        match self {
            Self::Awaited | Self::Accepted => true,
            Self::Captured | Self::Declined | Self::Mismatched => false,
        }
    }
}

/// What the customer has to do before the provider can go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum NextStep {
    /// Pay on the provider's page.
    Redirect {
        /// Where.
        url: String,
    },
    /// Agree on the telephone, where the provider has asked.
    ApproveOnPhone,
}

/// What a provider says about an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Taken on, undecided.
    Accepted {
        /// The provider's own name for it.
        provider_reference: String,
        /// What the customer has to do now, if anything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_step: Option<NextStep>,
    },
    /// Captured.
    Captured {
        /// What came in, as the provider reports it.
        received: Money,
        /// The provider's own name for it.
        provider_reference: String,
        /// What it makes of whoever paid, if it says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        assessment: Option<Assessment>,
    },
    /// Captured, as the provider says, but for somebody else: it answers under another reference
    /// than it was asked about.
    Misnamed {
        /// The reference it gave.
        named: String,
        /// What came in, as the provider reports it.
        received: Money,
        /// The provider's own name for it.
        provider_reference: String,
    },
    /// Refused by the provider.
    Declined {
        /// Normalised reason.
        reason: String,
    },
}

/// An attempt and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// As requested.
    pub attempt: Attempt,
    /// What became of it.
    pub state: AttemptState,
    /// The provider's own name for it, once it gave one.
    pub provider_reference: Option<String>,
    /// What it brought, in minor units of the order's currency.
    pub received_minor: i64,
}
