//! What a payment provider makes of whoever pays, in the same words for every provider.

use serde::{Deserialize, Serialize};

/// How risky a provider finds a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Like most.
    Normal,
    /// Worth a look.
    Elevated,
    /// Most likely fraud.
    Highest,
}

impl Risk {
    /// Every level with its name in bodies, events and answers.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("normal", Self::Normal),
        ("elevated", Self::Elevated),
        ("highest", Self::Highest),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Elevated => "elevated",
            Self::Highest => "highest",
        }
    }
}

/// What a provider reports with the money; what it does not report is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// How risky it finds the payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
    /// Where the card was issued, ISO 3166-1 alpha-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card_country: Option<String>,
    /// The provider's name for the card or account, the same for every payment by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Whether the provider asks that nothing is delivered before somebody has looked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hold: bool,
}

impl Assessment {
    /// This, unless it says nothing at all.
    #[must_use]
    pub fn if_any(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}
