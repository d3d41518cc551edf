//! What a provider lists of its own accord, page by page: what reconciliation compares with the log.

use chrono::{DateTime, Utc};
use domain::money::{Currency, Money};

use crate::amount;

/// A stretch of time: from here on, and before there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Included.
    pub from: DateTime<Utc>,
    /// Not included.
    pub until: DateTime<Utc>,
}

/// Which way money goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// A customer pays.
    Payment,
    /// Money goes back.
    Refund,
}

impl What {
    /// Its name in reports and statements.
    pub fn name(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Refund => "refund",
        }
    }
}

/// How something stands at a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The money has come in, or has been paid out.
    Succeeded,
    /// Undecided.
    Pending,
    /// It came to nothing.
    Failed,
    /// It had come in, and has been taken back or given back since.
    Reversed,
    /// The provider has a word for it that we do not know.
    Unknown,
}

impl Standing {
    /// All that a statement may say.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("succeeded", Self::Succeeded),
        ("pending", Self::Pending),
        ("failed", Self::Failed),
        ("reversed", Self::Reversed),
    ];

    /// Its name in reports and statements.
    pub fn name(self) -> &'static str {
        let mut names = Self::NAMES.iter();
        names
            .find(|(_, of)| *of == self)
            .map_or("unknown", |(name, _)| *name)
    }
}

/// A payment or a refund, as the provider lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Which way the money goes.
    pub what: What,
    /// Our name for it (an attempt's reference, a refund's id), if the provider says one.
    pub reference: Option<String>,
    /// The provider's own name for it.
    pub provider_reference: String,
    /// How much, as an exact decimal of the currency's own unit.
    pub amount: String,
    /// In which currency; some providers say none for refunds, whose currency is the payment's.
    pub currency: Option<Currency>,
    /// How it stands.
    pub standing: Standing,
    /// When it was made.
    pub at: Option<DateTime<Utc>>,
}

impl Transaction {
    /// The money, in the provider's currency or else in this one; `None` if the amount is no exact
    /// amount of it.
    pub fn money(&self, or: Currency) -> Option<Money> {
        amount::from_decimal(&self.amount, self.currency.unwrap_or(or))
    }
}

/// One thing that a provider lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A payment or a refund.
    Transaction(Transaction),
    /// A webhook that the provider could not deliver, body and all.
    Undelivered {
        /// As it would have come in.
        body: Vec<u8>,
    },
}

/// A page of a provider's lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// In the provider's order.
    pub entries: Vec<Entry>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<String>,
}

/// A place in lists whose pages have numbers, one list after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbered {
    /// Which list.
    pub(crate) list: usize,
    /// Which page of it, from 1.
    pub(crate) page: u64,
}

impl Numbered {
    /// Where a cursor of ours leads; without one, to the beginning.
    pub(crate) fn at(cursor: Option<&str>) -> Self {
        let read = |cursor: &str| {
            let (list, page) = cursor.split_once(' ')?;
            Some(Self { list: list.parse().ok()?, page: page.parse().ok()? })
        };
        cursor.and_then(read).unwrap_or(Self { list: 0, page: 1 })
    }

    /// What follows this page: the next one of its list, or the first one of the next list.
    pub(crate) fn next(self, pages: u64, lists: usize) -> Option<String> {
        let Self { list, page } = self;
        if page < pages {
            return Some(format!("{list} {}", page + 1));
        }
        (list + 1 < lists).then(|| format!("{} 1", list + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_pages_lead_through_every_list_to_an_end() {
        let (mut cursor, mut seen) = (None, Vec::new());
        loop {
            let place = Numbered::at(cursor.as_deref());
            seen.push((place.list, place.page));
            // The second list is empty.
            cursor = place.next([2, 0, 1][place.list], 3);
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, [(0, 1), (0, 2), (1, 1), (2, 1)]);
    }
}
