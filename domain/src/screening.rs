//! Screening: rules that staff make judge an order before it is paid, and the payment once its
//! provider has said what it makes of it.
//!
//! Rules are asked in their order, and every one that holds gives its reason. The strongest outcome
//! wins: refuse before review before accept. A rule that accepts ends the search, so that known good
//! customers, put first, are asked nothing more.
//!
//! What a rule needs to know of the world (earlier orders, lists) is passed in.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::identifiers::{self, Identifier, Kind};
use crate::money::Money;
use crate::placing::Placing;
use crate::risk::{Assessment, Risk};

/// Longest window of a rule about earlier orders, in seconds: a week.
pub const WINDOW_SECONDS_MAX: u32 = 604_800;
/// Most earlier orders that a rule may allow: more of one party are nobody's pattern.
pub const ORDERS_MAX: u32 = 1_000;
/// What a reason is called that no rule of staff's gave.
const PROVIDER_HOLD: &str = "provider hold";

/// What is to become of an order; the stronger one is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It goes on.
    Accept,
    /// It waits for staff.
    Review,
    /// It ends.
    Refuse,
}

impl Outcome {
    /// Every outcome with its name in bodies, rows and answers.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("accept", Self::Accept),
        ("review", Self::Review),
        ("refuse", Self::Refuse),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Review => "review",
            Self::Refuse => "refuse",
        }
    }
}

/// Whose earlier orders are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// Under the same e-mail address.
    Email,
    /// With the same telephone number.
    Phone,
    /// To the same address.
    Address,
    /// By the same account.
    Account,
}

impl Party {
    /// Every party with its name in bodies and rows.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("email", Self::Email),
        ("phone", Self::Phone),
        ("address", Self::Address),
        ("account", Self::Account),
    ];

    fn words(self) -> &'static str {
        match self {
            Self::Email => "e-mail address",
            Self::Phone => "telephone number",
            Self::Address => "shipping address",
            Self::Account => "account",
        }
    }
}

/// What the shipping country is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The country of the telephone number, where it is in international form.
    Phone,
    /// The country that the customer says to pay from.
    Payer,
    /// The country of the card, as the provider reports it.
    Card,
}

impl Against {
    /// Every one with its name in bodies and rows.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("phone", Self::Phone),
        ("payer", Self::Payer),
        ("card", Self::Card),
    ];
}

/// When a rule holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Condition {
    /// This order is one too many, or too much together with earlier ones.
    Velocity {
        /// Whose orders count together.
        by: Party,
        /// So many orders in the window are fine.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        orders: Option<u32>,
        /// So much money in the window is fine; orders of its currency count.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Money>,
        /// How far back earlier orders count, in seconds.
        window_seconds: u32,
    },
    /// The order's total is above this, in its currency.
    Amount {
        /// The most that is fine.
        above: Money,
    },
    /// The goods go to another country than this one.
    CountryMismatch {
        /// Compared with the shipping country.
        with: Against,
    },
    /// Something about the order is on the list of what is blocked.
    Blocked {
        /// Only entries of this kind; any if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        what: Option<Kind>,
    },
    /// The order has this identifier.
    Is {
        /// Which.
        identifier: Identifier,
    },
    /// The provider finds the payment this risky, or more.
    ProviderRisk {
        /// From this level on.
        at_least: Risk,
    },
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name in reasons.
    pub name: String,
    /// When it holds.
    pub condition: Condition,
    /// What follows.
    pub outcome: Outcome,
}

/// Why an order is judged as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The rule's name when it held.
    pub rule: String,
    /// What it asks for.
    pub outcome: Outcome,
    /// What it found, in words without personal data.
    pub detail: String,
}

/// What the rules have come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The strongest outcome of all reasons.
    pub outcome: Outcome,
    /// Every rule that held, in order.
    pub reasons: Vec<Reason>,
}

/// A decision as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Screening {
    /// What is to become of the order.
    pub outcome: Outcome,
    /// Why.
    pub reasons: Vec<Reason>,
    /// When a hold ends by itself, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_by: Option<DateTime<Utc>>,
}

impl Screening {
    /// A decision; a hold that follows from it ends then.
    pub fn new(decision: Decision, review_by: DateTime<Utc>) -> Self {
        let Decision { outcome, reasons } = decision;
        let review_by = (outcome == Outcome::Review).then_some(review_by);
        Self { outcome, reasons, review_by }
    }

    /// What whoever carries the order through has to know of it.
    pub(crate) fn set_aside(&self) -> Option<SetAside> {
        match (self.outcome, self.review_by) {
            (Outcome::Accept, _) | (Outcome::Review, None) => None,
            (Outcome::Review, Some(review_by)) => Some(SetAside::Held { review_by }),
            (Outcome::Refuse, _) => Some(SetAside::Refused),
        }
    }
}

/// An order that does not simply go on once it is placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "screening", rename_all = "snake_case")]
pub enum SetAside {
    /// It waits for staff.
    Held {
        /// Until then.
        review_by: DateTime<Utc>,
    },
    /// It has ended.
    Refused,
}

/// An entry of the list of what is blocked that is about an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// What of the order it is about.
    pub kind: Kind,
    /// The entry's name, by which staff find it.
    pub entry: String,
}

/// An earlier order of some party.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier {
    /// When it was placed.
    pub at: DateTime<Utc>,
    /// What it came to.
    pub total: Money,
}

/// What rules look at.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// What the order comes to.
    pub total: Money,
    /// Where the goods go.
    pub shipping_country: String,
    /// The countries that the customer's telephone number can belong to; none if it does not say.
    pub phone_countries: Vec<&'static str>,
    /// Where the customer says to pay from.
    pub payer_country: Option<String>,
    /// What the order can be recognised by.
    pub identifiers: Vec<Identifier>,
    /// What of that is blocked.
    pub blocked: Vec<Blocked>,
    /// Earlier orders of each party, back to the longest window of any rule.
    pub earlier: BTreeMap<Party, Vec<Earlier>>,
    /// What the provider says; `None` before anybody has paid.
    pub assessment: Option<Assessment>,
    /// The time.
    pub now: DateTime<Utc>,
}

impl Circumstances {
    /// An order as it is about to be placed; what is blocked and what came earlier is to be added.
    pub fn of(
        placing: &Placing,
        payer_country: Option<&str>,
        ip: Option<std::net::IpAddr>,
        now: DateTime<Utc>,
    ) -> Self {
        let phone = placing.customer.phone.as_deref();
        Self {
            total: placing.total(),
            shipping_country: placing.shipping_address.country.to_uppercase(),
            phone_countries: phone.map_or_else(Vec::new, identifiers::countries_of_phone),
            payer_country: payer_country.map(str::to_uppercase),
            identifiers: identifiers::of(placing, payer_country, ip),
            blocked: Vec::new(),
            earlier: BTreeMap::new(),
            assessment: None,
            now,
        }
    }

    /// The same order once it has been paid, with what the provider says.
    #[must_use]
    pub fn once_paid(mut self, assessment: Assessment) -> Self {
        let fingerprint = assessment.fingerprint.as_deref();
        let fingerprint = fingerprint.map(|text| Identifier::listed(Kind::Fingerprint, text));
        self.identifiers.extend(fingerprint.and_then(Result::ok));
        self.assessment = Some(assessment);
        self
    }
}

/// Who an order is counted with, each party under the one form in which it is compared.
pub fn parties(placing: &Placing) -> Vec<(Party, String)> {
    let of_kind = |found: &Identifier| match found.kind {
        Kind::Email => Some(Party::Email),
        Kind::Phone => Some(Party::Phone),
        Kind::Account => Some(Party::Account),
        Kind::EmailDomain | Kind::Country | Kind::Postcode | Kind::Ip | Kind::Fingerprint => None,
    };
    let found = identifiers::of(placing, None, None);
    let known = found
        .into_iter()
        .filter_map(|found| Some((of_kind(&found)?, found.value)));
    let address = identifiers::address(&placing.shipping_address);
    known
        .chain(address.map(|address| (Party::Address, address)))
        .collect()
}

/// Judges; see the head of this file.
pub fn judge(rules: &[Rule], of: &Circumstances) -> Decision {
    let mut reasons = Vec::new();
    let mut is_allowed = false;
    for rule in rules.iter().filter(|rule| rule.is_for(of)) {
        let Some(detail) = rule.condition.found_in(of) else {
            continue;
        };
        let Rule { name, outcome, .. } = rule;
        reasons.push(Reason { rule: name.clone(), outcome: *outcome, detail });
        if *outcome == Outcome::Accept {
            is_allowed = true;
            break;
        }
    }
    // What the provider itself would not deliver waits, unless a rule has said what is to be done.
    let holds = of.assessment.as_ref().is_some_and(|said| said.hold);
    if holds && reasons.is_empty() && !is_allowed {
        let (rule, outcome) = (PROVIDER_HOLD.to_owned(), Outcome::Review);
        let detail =
            "the provider asks that somebody looks before anything is delivered".to_owned();
        reasons.push(Reason { rule, outcome, detail });
    }
    let strongest = reasons.iter().map(|reason| reason.outcome).max();
    Decision { outcome: strongest.unwrap_or(Outcome::Accept), reasons }
}

impl Rule {
    /// Once an order is paid, only what its provider said is news; who is always accepted still is.
    fn is_for(&self, of: &Circumstances) -> bool {
        match of.assessment {
            None => true,
            Some(_) => self.outcome == Outcome::Accept || self.condition.asks_provider(),
        }
    }
}

impl Condition {
    /// Whether it can hold before anybody has paid.
    pub fn asks_order(&self) -> bool {
        match self {
            Self::ProviderRisk { .. } | Self::CountryMismatch { with: Against::Card } => false,
            Self::Blocked { what } => *what != Some(Kind::Fingerprint),
            Self::Is { identifier } => identifier.kind != Kind::Fingerprint,
            Self::Velocity { .. }
            | Self::Amount { .. }
            | Self::CountryMismatch { with: Against::Phone | Against::Payer } => true,
        }
    }

    /// Whether it can hold because of what the provider reports.
    pub fn asks_provider(&self) -> bool {
        match self {
            Self::ProviderRisk { .. } | Self::CountryMismatch { with: Against::Card } => true,
            Self::Blocked { what } => what.is_none_or(|kind| kind == Kind::Fingerprint),
            Self::Is { identifier } => identifier.kind == Kind::Fingerprint,
            Self::Velocity { .. }
            | Self::Amount { .. }
            | Self::CountryMismatch { with: Against::Phone | Against::Payer } => false,
        }
    }

    /// What it finds, in words; `None` if it does not hold.
    fn found_in(&self, of: &Circumstances) -> Option<String> {
        match self {
            Self::Velocity { by, orders, amount, window_seconds } => {
                let earlier = of.earlier.get(by).map_or(&[][..], Vec::as_slice);
                let since = TimeDelta::seconds(i64::from(*window_seconds));
                let is_recent = |one: &&Earlier| of.now.signed_duration_since(one.at) <= since;
                let recent: Vec<&Earlier> = earlier.iter().filter(is_recent).collect();
                too_many(*orders, recent.len(), *by, *window_seconds)
                    .or_else(|| too_much(*amount, &recent, of.total, *by, *window_seconds))
            }
            Self::Amount { above } => {
                let is_above = above.currency == of.total.currency && above.minor < of.total.minor;
                is_above.then(|| format!("the total is above {above}"))
            }
            Self::CountryMismatch { with } => of.mismatch(*with),
            Self::Blocked { what } => {
                // What was looked at when the order was placed is no news once it is paid.
                let is_meant = |one: &&Blocked| {
                    let is_news = of.assessment.is_none() || one.kind == Kind::Fingerprint;
                    is_news && what.is_none_or(|kind| kind == one.kind)
                };
                let mut found = of.blocked.iter().filter(is_meant).map(|one| {
                    format!("the {} is blocked by entry {}", one.kind.words(), one.entry)
                });
                let first = found.next()?;
                Some(found.fold(first, |all, one| format!("{all}; {one}")))
            }
            Self::Is { identifier } => {
                let is_about = |found: &Identifier| {
                    found.kind == identifier.kind && found.listed_as().contains(&identifier.value)
                };
                let is_found = of.identifiers.iter().any(is_about);
                is_found.then(|| format!("the {} is the one named", identifier.kind.words()))
            }
            Self::ProviderRisk { at_least } => {
                let risk = of.assessment.as_ref()?.risk?;
                (*at_least <= risk).then(|| format!("the provider finds the risk {}", risk.name()))
            }
        }
    }
}

impl Circumstances {
    fn mismatch(&self, with: Against) -> Option<String> {
        let to = &self.shipping_country;
        match with {
            Against::Phone => {
                let elsewhere = !self.phone_countries.is_empty()
                    && !self.phone_countries.contains(&to.as_str());
                elsewhere.then(|| {
                    let from = self.phone_countries.join("/");
                    format!("the goods go to {to}, the telephone number is of {from}")
                })
            }
            Against::Payer => {
                let from = self.payer_country.as_ref().filter(|from| *from != to)?;
                Some(format!("the goods go to {to}, the customer pays from {from}"))
            }
            Against::Card => {
                let from = self
                    .assessment
                    .as_ref()?
                    .card_country
                    .as_ref()?
                    .to_uppercase();
                (from != *to).then(|| format!("the goods go to {to}, the card is of {from}"))
            }
        }
    }
}

fn too_many(orders: Option<u32>, earlier: usize, by: Party, seconds: u32) -> Option<String> {
    let allowed = usize::try_from(orders?).ok()?;
    let count = earlier.saturating_add(1);
    (allowed < count)
        .then(|| format!("{count} orders by the same {} within {seconds} s", by.words()))
}

fn too_much(
    amount: Option<Money>,
    earlier: &[&Earlier],
    total: Money,
    by: Party,
    seconds: u32,
) -> Option<String> {
    let allowed = amount?;
    let is_ours = |money: &Money| money.currency == allowed.currency;
    // An order of another currency adds nothing, and so cannot be the one that is too much.
    let minor = earlier
        .iter()
        .map(|one| one.total)
        .chain([total])
        .filter(is_ours)
        .fold(0_i64, |sum, money| sum.saturating_add(money.minor));
    (is_ours(&total) && allowed.minor < minor).then(|| {
        let sum = Money { minor, ..allowed };
        format!("{sum} ordered by the same {} within {seconds} s", by.words())
    })
}

#[cfg(test)]
#[path = "screening_tests.rs"]
mod tests;
