//! Promotions: what takes something off an order, for whom, until when, and how often.
//!
//! ```text
//!            Reserve               Settle
//! (a use) ───────────▶ held ───────────────▶ used
//!                        │ Release
//!                        └───────────────────▶ (given back)
//! ```
//!
//! An order holds a use from when it is placed, as it holds stock, until it is fulfilled; what
//! becomes of its money later gives nothing back.
//!
//! Invariants:
//! 1. No use is granted beyond the limit that holds at that moment, held uses included.
//! 2. The same for each customer, who is known by their account.
//! 3. An order holds one use at most, and lets go of it or uses it up once.
//! 4. What an order was promised is frozen into it: a promotion that is changed or ended meanwhile
//!    still grants its use, limits apart.

mod applying;
mod code;

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::aggregate::{Decider, runs_on_cqrs_es, stored_events};
use crate::ids::{CustomerId, OrderId, Sku};
use crate::money::{Currency, Money};

pub use self::applying::Inapplicable;
pub use self::code::{BadCode, CODE_CHARS_MAX, Code};

/// A hundredth of a percent.
pub const BASIS_POINTS_MAX: u32 = 10_000;
/// Most uses of a promotion that has a limit.
pub const USES_MAX: u32 = 1_000_000_000;
/// Most uses of a promotion that has a limit for each customer: every customer is remembered, 6 MB
/// of them at the most.
pub const REMEMBERED_USES_MAX: u32 = 100_000;
/// Most articles that a promotion is limited to: they are part of its event, and looked at with
/// every order.
pub const SKUS_MAX: usize = 1_000;
/// Most amounts of a promotion, one for each currency that a shop sells in.
pub const AMOUNTS_MAX: usize = 50;

/// What a use takes in memory with its place in the map.
const USE_BYTES: usize = 60;

/// What is taken off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reduction {
    /// A share of the price of the goods.
    Percentage {
        /// In hundredths of a percent, 1 to [`BASIS_POINTS_MAX`].
        basis_points: u32,
    },
    /// An amount, in each of these currencies and no other.
    Amount {
        /// Above zero, one in each currency, in order of their codes.
        amounts: Vec<Money>,
    },
}

/// How a promotion is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What customers are told.
    pub name: String,
    /// What is taken off.
    pub reduction: Reduction,
    /// Whether it applies by itself; otherwise whoever knows its code asks for it.
    pub automatic: bool,
    /// Whether everybody is told of it.
    pub listed: bool,
    /// Whether it can be used at all.
    pub active: bool,
    /// From when on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<DateTime<Utc>>,
    /// Until when; not at that moment any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<DateTime<Utc>>,
    /// How often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses_max: Option<u32>,
    /// How often by one customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses_per_customer_max: Option<u32>,
    /// What the goods must come to before anything is taken off, in these currencies and no other;
    /// nothing where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub minimum: Vec<Money>,
    /// The articles that it is for, in their order; all of them where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skus: Vec<Sku>,
}

/// What rules read of a promotion.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    terms: Option<Terms>,
    used: u64,
    held: BTreeMap<OrderId, Option<CustomerId>>,
    by_customer: BTreeMap<CustomerId, u32>,
}

/// What can be asked of a promotion.
#[derive(Debug, Clone)]
pub enum Command {
    /// Offer it like this from now on.
    Describe(Terms),
    /// Hold a use for an order.
    Reserve {
        /// Which.
        order_id: OrderId,
        /// Whose, if they have an account.
        customer_id: Option<CustomerId>,
    },
    /// Give an order's use back.
    Release {
        /// Whose.
        order_id: OrderId,
    },
    /// An order's use is final.
    Settle {
        /// Whose.
        order_id: OrderId,
    },
}

/// What can have happened to a promotion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// It is offered like this from now on.
    #[serde(rename = "promotion.described")]
    Described(Terms),
    /// A use is held for an order.
    #[serde(rename = "promotion.use_reserved")]
    UseReserved {
        /// Which.
        order_id: OrderId,
        /// Whose, where uses are counted by customer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        customer_id: Option<CustomerId>,
    },
    /// It is free again.
    #[serde(rename = "promotion.use_released")]
    UseReleased {
        /// Whose it was.
        order_id: OrderId,
    },
    /// It is used up.
    #[serde(rename = "promotion.used")]
    Used {
        /// By which order.
        order_id: OrderId,
    },
}

stored_events!(Event {
    Self::Described(_) => "promotion.described" v 1,
    Self::UseReserved { .. } => "promotion.use_reserved" v 1,
    Self::UseReleased { .. } => "promotion.use_released" v 1,
    Self::Used { .. } => "promotion.used" v 1,
});
runs_on_cqrs_es!(Promotion, "promotion");

/// Why a promotion may say no. When several apply, the first listed is reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// Nobody has described it.
    #[error("there is no such promotion")]
    Unknown,
    /// Invariant 3.
    #[error("the order holds a use of this promotion already")]
    AlreadyReserved,
    /// Nothing to give back or to use up.
    #[error("the order holds no use of this promotion")]
    NotReserved,
    /// Invariant 1.
    #[error("the promotion has been used up")]
    UsedUp,
    /// Invariant 2: a guest cannot be told from the next.
    #[error("the promotion is for customers who have signed in")]
    SignIn,
    /// Invariant 2.
    #[error("the customer has used the promotion as often as they may")]
    UsedUpByCustomer,
    /// More than all, or nothing.
    #[error("a percentage is above 0 and at most 100")]
    PercentageOutOfBounds,
    /// Nothing, or less.
    #[error("an amount must be above zero")]
    AmountNotPositive,
    /// Which of them would count?
    #[error("there are two amounts in {currency}")]
    TwoAmounts {
        /// In which.
        currency: Currency,
    },
    /// Bounds the event.
    #[error("a promotion has 1 to {AMOUNTS_MAX} amounts of a kind, not {amounts}")]
    AmountCount {
        /// How many there were.
        amounts: usize,
    },
    /// Bounds the event.
    #[error("a promotion names at most {SKUS_MAX} articles, not {skus}")]
    TooManySkus {
        /// How many there were.
        skus: usize,
    },
    /// It would never begin.
    #[error("a promotion ends after it has begun")]
    EndsBeforeItStarts,
    /// None could ever be used, or more than can be counted.
    #[error("a limit of uses is 1 to {USES_MAX}")]
    UsesOutOfBounds,
    /// Bounds what is remembered.
    #[error(
        "a limit for each customer needs a limit of all uses, at most {REMEMBERED_USES_MAX}: every \
         customer is remembered"
    )]
    TooManyToRemember,
}

impl Promotion {
    /// How it is offered, if it is known at all.
    pub fn terms(&self) -> Option<&Terms> {
        self.terms.as_ref()
    }

    /// Whether an order may hold a use by what is known now: only a reservation tells for certain.
    pub fn may_be_used(&self, customer_id: Option<CustomerId>) -> Result<(), Refusal> {
        let terms = self.terms.as_ref().ok_or(Refusal::Unknown)?;
        if terms
            .uses_max
            .is_some_and(|max| u64::from(max) <= self.taken())
        {
            return Err(Refusal::UsedUp);
        }
        let Some(max) = terms.uses_per_customer_max else {
            return Ok(());
        };
        let customer_id = customer_id.ok_or(Refusal::SignIn)?;
        let taken = self.by_customer.get(&customer_id).copied().unwrap_or(0);
        if max <= taken {
            return Err(Refusal::UsedUpByCustomer);
        }
        Ok(())
    }

    /// Whether a use is held for an order.
    pub fn is_held_for(&self, order_id: OrderId) -> bool {
        self.held.contains_key(&order_id)
    }

    /// Uses that are held or used up.
    pub fn taken(&self) -> u64 {
        let held = u64::try_from(self.held.len()).unwrap_or(u64::MAX);
        self.used.saturating_add(held)
    }

    /// Bytes in memory beside the value itself, roughly: whoever keeps many bounds them by it.
    pub fn heap_bytes(&self) -> usize {
        let uses = self.held.len().saturating_add(self.by_customer.len());
        let terms = self.terms.as_ref().map_or(0, |terms| {
            let skus = terms.skus.iter().map(|sku| sku.as_str().len());
            let amounts = match &terms.reduction {
                Reduction::Percentage { .. } => 0,
                Reduction::Amount { amounts } => amounts.len(),
            };
            let amounts = amounts.saturating_add(terms.minimum.len());
            let list = terms.skus.len().saturating_mul(size_of::<Sku>());
            skus.fold(list, usize::saturating_add)
                .saturating_add(terms.name.len())
                .saturating_add(amounts.saturating_mul(size_of::<Money>()))
        });
        uses.saturating_mul(USE_BYTES).saturating_add(terms)
    }

    fn must_hold(&self, order_id: OrderId) -> Result<(), Refusal> {
        if self.is_held_for(order_id) {
            Ok(())
        } else {
            Err(Refusal::NotReserved)
        }
    }
}

impl Decider for Promotion {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: Command) -> Result<Vec<Event>, Refusal> {
        let event = match command {
            Command::Describe(terms) => {
                let terms = terms.judged()?;
                // What is as it should be needs no fact.
                if self.terms.as_ref() == Some(&terms) {
                    return Ok(vec![]);
                }
                Event::Described(terms)
            }
            Command::Reserve { order_id, customer_id } => {
                if self.is_held_for(order_id) {
                    return Err(Refusal::AlreadyReserved);
                }
                self.may_be_used(customer_id)?;
                // Who uses what is nobody's business where it is not counted.
                let terms = self.terms.as_ref();
                let is_counted = terms.is_some_and(|terms| terms.uses_per_customer_max.is_some());
                Event::UseReserved { order_id, customer_id: customer_id.filter(|_| is_counted) }
            }
            Command::Release { order_id } => {
                self.must_hold(order_id)?;
                Event::UseReleased { order_id }
            }
            Command::Settle { order_id } => {
                self.must_hold(order_id)?;
                Event::Used { order_id }
            }
        };
        Ok(vec![event])
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Described(terms) => self.terms = Some(terms.clone()),
            Event::UseReserved { order_id, customer_id } => {
                self.held.insert(*order_id, *customer_id);
                if let Some(customer_id) = customer_id {
                    let taken = self.by_customer.entry(*customer_id).or_default();
                    *taken = taken.saturating_add(1);
                }
            }
            Event::UseReleased { order_id } => {
                if let Some(Some(customer_id)) = self.held.remove(order_id)
                    && let Some(taken) = self.by_customer.get_mut(&customer_id)
                {
                    *taken = taken.saturating_sub(1);
                    if *taken == 0 {
                        self.by_customer.remove(&customer_id);
                    }
                }
            }
            Event::Used { order_id } => {
                self.held.remove(order_id);
                self.used = self.used.saturating_add(1);
            }
        }
    }
}

impl Terms {
    /// The terms with their lists in order, if they make sense.
    fn judged(mut self) -> Result<Self, Refusal> {
        match &mut self.reduction {
            Reduction::Percentage { basis_points } => {
                if *basis_points == 0 || BASIS_POINTS_MAX < *basis_points {
                    return Err(Refusal::PercentageOutOfBounds);
                }
            }
            Reduction::Amount { amounts } => {
                if amounts.is_empty() {
                    return Err(Refusal::AmountCount { amounts: 0 });
                }
                in_order(amounts)?;
            }
        }
        in_order(&mut self.minimum)?;
        if SKUS_MAX < self.skus.len() {
            return Err(Refusal::TooManySkus { skus: self.skus.len() });
        }
        // In whatever order they are given, they say the same.
        self.skus.sort_unstable();
        self.skus.dedup();
        if let (Some(starts_at), Some(ends_at)) = (self.starts_at, self.ends_at)
            && ends_at <= starts_at
        {
            return Err(Refusal::EndsBeforeItStarts);
        }
        let mut limits = [self.uses_max, self.uses_per_customer_max]
            .into_iter()
            .flatten();
        if limits.any(|uses| uses == 0 || USES_MAX < uses) {
            return Err(Refusal::UsesOutOfBounds);
        }
        let remembers_all = self.uses_max.is_some_and(|max| max <= REMEMBERED_USES_MAX);
        if self.uses_per_customer_max.is_some() && !remembers_all {
            return Err(Refusal::TooManyToRemember);
        }
        Ok(self)
    }
}

fn in_order(amounts: &mut [Money]) -> Result<(), Refusal> {
    if AMOUNTS_MAX < amounts.len() {
        return Err(Refusal::AmountCount { amounts: amounts.len() });
    }
    if amounts.iter().any(|amount| amount.minor <= 0) {
        return Err(Refusal::AmountNotPositive);
    }
    amounts.sort_by_key(|amount| amount.currency.code());
    let mut seen = HashSet::new();
    let mut currencies = amounts.iter().map(|amount| amount.currency);
    match currencies.find(|currency| !seen.insert(*currency)) {
        Some(currency) => Err(Refusal::TwoAmounts { currency }),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "promotion_tests.rs"]
mod tests;
