//! Why money did not come, in the same words for every provider.

use domain::attempt::{NOT_REACHED, Outcome};

/// Why an attempt did not bring its money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There is not enough money on the account.
    InsufficientFunds,
    /// The customer's bank said no and did not say why.
    Declined,
    /// The card has expired.
    CardExpired,
    /// A number, date or code is wrong.
    IncorrectDetails,
    /// The customer could not show who they are.
    AuthenticationFailed,
    /// A limit of the customer's account.
    LimitExceeded,
    /// Somebody suspects fraud.
    SuspectedFraud,
    /// The customer said no.
    CustomerCancelled,
    /// The customer did nothing for too long.
    Expired,
    /// The customer has no account there.
    PayerNotFound,
    /// The account may not do this.
    NotPermitted,
    /// The provider does not take this currency, amount or way of paying.
    NotSupported,
    /// The provider had trouble of its own.
    ProviderError,
    /// The provider was not reached and did nothing; another was asked instead.
    NotReached,
    /// It was paid, and has been taken back.
    Reversed,
    /// The provider said no more.
    Unspecified,
}

impl Reason {
    /// Its name in events and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::InsufficientFunds => "insufficient_funds",
            Self::Declined => "declined",
            Self::CardExpired => "card_expired",
            Self::IncorrectDetails => "incorrect_details",
            Self::AuthenticationFailed => "authentication_failed",
            Self::LimitExceeded => "limit_exceeded",
            Self::SuspectedFraud => "suspected_fraud",
            Self::CustomerCancelled => "customer_cancelled",
            Self::Expired => "expired",
            Self::PayerNotFound => "payer_not_found",
            Self::NotPermitted => "not_permitted",
            Self::NotSupported => "not_supported",
            Self::ProviderError => "provider_error",
            Self::NotReached => NOT_REACHED,
            Self::Reversed => "reversed",
            Self::Unspecified => "unspecified",
        }
    }

    /// Of the words of banks, which some providers pass on and which follow no list: the common ones.
    pub fn of_words(words: Option<&str>) -> Self {
        let words = words.unwrap_or_default().to_lowercase();
        let table = [
            ("insufficient", Self::InsufficientFunds),
            ("expired", Self::CardExpired),
            ("incorrect", Self::IncorrectDetails),
            ("invalid", Self::IncorrectDetails),
            ("authentication", Self::AuthenticationFailed),
            ("limit", Self::LimitExceeded),
            ("fraud", Self::SuspectedFraud),
            ("not permitted", Self::NotPermitted),
            ("cancel", Self::CustomerCancelled),
            ("timeout", Self::ProviderError),
            ("declined", Self::Declined),
            ("do not honor", Self::Declined),
        ];
        let found = table.iter().find(|(part, _)| words.contains(part));
        found.map_or(Self::Unspecified, |(_, reason)| *reason)
    }

    /// The attempt is over, for this reason.
    pub fn declines(self) -> Outcome {
        Outcome::Declined { reason: self.name().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_banks_become_reasons() {
        for (words, expected) in [
            ("Insufficient Funds", Reason::InsufficientFunds),
            ("Incorrect PIN", Reason::IncorrectDetails),
            ("Transaction not permitted to card", Reason::NotPermitted),
            ("Declined", Reason::Declined),
            ("Kudi don finish", Reason::Unspecified),
        ] {
            assert_eq!(Reason::of_words(Some(words)), expected, "{words}");
        }
        assert_eq!(Reason::of_words(None), Reason::Unspecified);
    }
}
