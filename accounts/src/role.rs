//! What somebody may be. What each role may do is decided where the routes are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A role of an account or of a machine. Guests have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Buys; sees what is theirs.
    Customer,
    /// Sells; sees what is theirs.
    Vendor,
    /// May do everything.
    Admin,
    /// Reads figures, orders and events.
    Analyst,
    /// Reads everything that happened, and proves it.
    Auditor,
    /// A machine that brings products, stock and past orders in.
    Importer,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Customer,
        Self::Vendor,
        Self::Admin,
        Self::Analyst,
        Self::Auditor,
        Self::Importer,
    ];
    /// Those that an account can have.
    pub const OF_ACCOUNTS: [Self; 5] = [
        Self::Customer,
        Self::Vendor,
        Self::Admin,
        Self::Analyst,
        Self::Auditor,
    ];
    /// Those that an API key can have.
    pub const OF_KEYS: [Self; 3] = [Self::Analyst, Self::Auditor, Self::Importer];

    /// Its name, as stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Vendor => "vendor",
            Self::Admin => "admin",
            Self::Analyst => "analyst",
            Self::Auditor => "auditor",
            Self::Importer => "importer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of customer, vendor, admin, analyst, auditor, importer")]
pub struct BadRole;

impl FromStr for Role {
    type Err = BadRole;

    fn from_str(text: &str) -> Result<Self, BadRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or(BadRole)
    }
}
