//! What providers say of their own accord: whether it is theirs, and what it is about.

use chrono::{DateTime, Utc};
use domain::ids::RefundId;
pub use reqwest::header::HeaderMap;
use sha2::{Digest as _, Sha256};

/// A webhook as it came in. Signatures are over the raw body, so nothing of it is parsed before.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, byte for byte.
    pub body: &'a [u8],
    /// When it came.
    pub received_at: DateTime<Utc>,
}

/// Why a webhook is not taken for the provider's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// Nothing to check it by has been set.
    #[error("{setting} is not set, so that no webhook can be checked")]
    NotConfigured {
        /// What would have to be.
        setting: &'static str,
    },
    /// It carries none.
    #[error("the header {header} is missing")]
    Missing {
        /// Where it belongs.
        header: &'static str,
    },
    /// It carries one that cannot be read.
    #[error("the signature cannot be read")]
    Malformed,
    /// It is not the one that belongs to this body.
    #[error("the signature does not belong to this body")]
    Wrong,
    /// It was signed too long ago, or in the future.
    #[error("the signature is of another time")]
    OutOfTime,
}

/// A body that is not in the form that we know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the webhook cannot be read: {0}")]
pub struct Unreadable(pub String);

/// What a webhook is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The provider's name for it; repetitions carry the same.
    pub key: String,
    /// What to ask about.
    pub about: About,
}

/// What to ask about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// An attempt.
    Attempt {
        /// Our name for it.
        reference: String,
        /// The provider's, where it tells more than it did when the attempt began: which of several
        /// payments under the same reference it speaks of.
        provider_reference: Option<String>,
    },
    /// A refund.
    Refund {
        /// Our name for it.
        refund_id: RefundId,
    },
    /// Some refund of an attempt.
    RefundsOf {
        /// Our name for the attempt.
        reference: String,
    },
    /// Money that came in without a name of ours, or of anybody's.
    Unnamed {
        /// The provider's name for it.
        provider_reference: String,
        /// What it says.
        what: String,
    },
    /// Something that takes a person, such as a refund that needs details.
    Staff {
        /// Our name for the attempt, if it says so.
        reference: Option<String>,
        /// What it says.
        what: String,
    },
    /// Money that had come in and is disputed, so that it may be gone by now, or back.
    Dispute(Dispute),
    /// Nothing that changes anything here.
    Nothing,
}

/// A dispute about money that had come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    /// The provider's name for it; `None` where it has none that we know of.
    pub name: Option<String>,
    /// Our name for the money, if it says so.
    pub reference: Option<String>,
    /// The provider's name for the money, where it says ours not.
    pub provider_reference: Option<String>,
    /// What it says.
    pub what: String,
    /// Whether it takes a person, such as to answer it, whatever the money does.
    pub is_for_staff: bool,
    /// Whether the bank waits for an answer, so that a person has to hear of it at once; what only tells
    /// where the money is can wait for the provider's own word.
    pub is_urgent: bool,
}

impl Delivery<'_> {
    /// A header's text. No provider sends two of a kind, and whoever does wants one of them to be
    /// overlooked.
    pub(crate) fn header(&self, name: &'static str) -> Result<&str, BadSignature> {
        let mut values = self.headers.get_all(name).iter();
        let value = values
            .next()
            .ok_or(BadSignature::Missing { header: name })?;
        if values.next().is_some() {
            return Err(BadSignature::Malformed);
        }
        value.to_str().map_err(|_| BadSignature::Malformed)
    }

    /// A name for what has no other: a digest of the body.
    pub fn digest(&self) -> String {
        format!("sha256:{}", hex::encode(Sha256::digest(self.body)))
    }

    pub(crate) fn json<'b, T: serde::Deserialize<'b>>(&'b self) -> Result<T, Unreadable> {
        serde_json::from_slice(self.body).map_err(|error| Unreadable(error.to_string()))
    }
}
