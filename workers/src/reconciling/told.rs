//! What a reconciliation tells: differences, their fates, how far it has come.

use domain::ids::PaymentId;
use gateways::listing::What;

use super::statement::Rejected;

/// What kind of difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The provider has what the log has not heard of, such as a webhook that never arrived.
    MissingInLog,
    /// The log has what the provider does not list, nor know when it is asked.
    MissingAtProvider,
    /// The amounts differ.
    AmountDiffers,
    /// The currencies differ.
    CurrencyDiffers,
    /// It has come to something else at the provider.
    StateDiffers,
    /// Money that belongs to no payment of ours.
    UnknownMoney,
    /// Money went back that nobody asked for here.
    UnknownRefund,
    /// The provider could not deliver a webhook, and it is not in the inbox.
    WebhookUndelivered,
}

impl Kind {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::MissingInLog => "missing_in_log",
            Self::MissingAtProvider => "missing_at_provider",
            Self::AmountDiffers => "amount_differs",
            Self::CurrencyDiffers => "currency_differs",
            Self::StateDiffers => "state_differs",
            Self::UnknownMoney => "unknown_money",
            Self::UnknownRefund => "unknown_refund",
            Self::WebhookUndelivered => "webhook_undelivered",
        }
    }
}

/// What became of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nobody asked for a repair.
    Reported,
    /// The log agrees now, or will when the inbox is worked off.
    Repaired,
    /// Staff see it now among the parked webhooks.
    Parked,
    /// It takes a person.
    Left,
}

impl Fate {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Repaired => "repaired",
            Self::Parked => "parked",
            Self::Left => "left",
        }
    }
}

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What kind.
    pub kind: Kind,
    /// Which way the money goes.
    pub what: What,
    /// Our name for it, if it has one.
    pub reference: Option<String>,
    /// The provider's name for it, if it has one.
    pub provider_reference: Option<String>,
    /// The payment it is about, if it is ours.
    pub payment_id: Option<PaymentId>,
    /// What the provider says, in a few words.
    pub there: String,
    /// What the log says, in a few words.
    pub here: String,
    /// What became of it.
    pub fate: Fate,
}

/// How far it has come, and in the end what it came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Entries of the provider's lists, or rows of the statement.
    pub listed: u64,
    /// Of these, those that agree, and those that are none of ours and brought nothing.
    pub agree: u64,
    /// Captures and refunds of the log that were looked for there.
    pub in_log: u64,
    /// Differences, repaired or not.
    pub differences: u64,
    /// Differences that are none any more.
    pub repaired: u64,
    /// Differences that are with staff now.
    pub parked: u64,
    /// Rows of the statement that could not be read.
    pub rejected: u64,
}

/// What is told while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// How far it has come.
    Progress(Summary),
    /// A row that could not be read.
    Rejected(Rejected),
    /// A difference.
    Difference(Difference),
    /// The last line: all of it has been compared.
    Done(Summary),
    /// The last line: it could not go on, for this reason.
    Failed(String),
}

impl Summary {
    /// Differences that are still there.
    pub fn left(&self) -> u64 {
        self.differences
            .saturating_sub(self.repaired)
            .saturating_sub(self.parked)
    }
}
