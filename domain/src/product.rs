//! Products: what a SKU is called and what it costs. Every change of a price is a fact.
//!
//! A product has a price of its own and may have prices in further currencies, one in each. An order
//! in one of these is priced by it; in any other, the product's own price is converted
//! ([`crate::exchange`]).
//!
//! A product is the house's or a vendor's. A vendor describes what is theirs or nobody's yet; staff
//! describe anything, may give it to a vendor, and leave it with its vendor where they name none.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::aggregate::{Decider, runs_on_cqrs_es, stored_events};
use crate::ids::VendorId;
use crate::money::{Currency, Money};

/// Most further prices of a product: shops sell in a handful of currencies, and each description is
/// kept in memory while it is wanted.
pub const PRICES_MAX: usize = 50;
/// Heaviest piece, in grams: ten tonnes.
pub const WEIGHT_GRAMS_MAX: u32 = 10_000_000;

/// What rules and orders read of a product; `None` before it was first described.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    description: Option<Description>,
}

/// How a product is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// What it is called.
    pub name: String,
    /// Price of one piece.
    pub price: Money,
    /// Whether it can be bought.
    pub active: bool,
    /// The same in further currencies, in order of their codes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<Money>,
    /// Who sells it, where that is not the house.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<VendorId>,
    /// What one piece weighs in grams, packed; above zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_grams: Option<u32>,
}

impl Description {
    /// What one piece costs in a currency, if somebody has said so.
    pub fn price_in(&self, currency: Currency) -> Option<Money> {
        let mut all = std::iter::once(&self.price).chain(&self.prices);
        all.find(|price| price.currency == currency).copied()
    }
}

/// What can be asked of a product.
#[derive(Debug, Clone)]
pub enum Command {
    /// Offer it like this from now on.
    Describe(Description),
    /// Change this about it.
    Amend(Amendment),
    /// The same by a vendor, whose it is or becomes.
    DescribeOwn(VendorId, Description),
}

/// What is to be different. What is not given stays; a product that nobody has described yet needs
/// a name and a price, and can be bought unless something else is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Amendment {
    /// What it is called.
    pub name: Option<String>,
    /// Price of one piece.
    pub price: Option<Money>,
    /// Whether it can be bought.
    pub active: Option<bool>,
    /// All prices in further currencies.
    pub prices: Option<Vec<Money>>,
    /// What one piece weighs, in grams.
    pub weight_grams: Option<u32>,
    /// Who sells it.
    pub vendor: Option<VendorId>,
}

/// What can have happened to a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// It is offered like this from now on.
    #[serde(rename = "product.described")]
    Described(Description),
}

stored_events!(Event {
    Self::Described(_) => "product.described" v 1,
});
runs_on_cqrs_es!(Product, "product");

/// Why a product may say no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// Nobody could order it.
    #[error("a new product needs a name and a price")]
    NotDescribed,
    /// For a vendor, what others sell does not exist.
    #[error("there is no such product of this vendor")]
    NotTheirs,
    /// Free goods would make orders without anything to pay.
    #[error("a price must be above zero")]
    PriceNotPositive,
    /// Which of them would count?
    #[error("the product has two prices in {currency}")]
    TwoPrices {
        /// In which.
        currency: Currency,
    },
    /// Beyond [`PRICES_MAX`].
    #[error("a product has at most {PRICES_MAX} prices beside its own, not {prices}")]
    TooManyPrices {
        /// How many there were.
        prices: usize,
    },
    /// Nothing weighs nothing, and lorries have an end.
    #[error("a piece weighs 1 to {WEIGHT_GRAMS_MAX} grams")]
    WeightOutOfBounds,
}

impl Product {
    /// How it is offered, if it is known at all.
    pub fn description(&self) -> Option<&Description> {
        self.description.as_ref()
    }

    fn amended(&self, amendment: Amendment) -> Result<Description, Refusal> {
        let Amendment { name, price, active, prices, weight_grams, vendor } = amendment;
        let known = self.description.as_ref();
        let name = name.or_else(|| known.map(|known| known.name.clone()));
        let price = price.or_else(|| known.map(|known| known.price));
        let (Some(name), Some(price)) = (name, price) else {
            return Err(Refusal::NotDescribed);
        };
        let active = active.unwrap_or_else(|| known.is_none_or(|known| known.active));
        let prices = prices.or_else(|| known.map(|known| known.prices.clone()));
        let vendor = vendor.or_else(|| known.and_then(|known| known.vendor));
        let weight_grams = weight_grams.or_else(|| known.and_then(|known| known.weight_grams));
        let prices = prices.unwrap_or_default();
        Ok(Description { name, price, active, prices, vendor, weight_grams })
    }

    /// Bytes in memory beside the value itself, roughly: whoever keeps many bounds them by it.
    pub fn heap_bytes(&self) -> usize {
        self.description.as_ref().map_or(0, |description| {
            let prices = description.prices.len().saturating_mul(size_of::<Money>());
            description.name.len().saturating_add(prices)
        })
    }
}

impl Decider for Product {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: Command) -> Result<Vec<Event>, Refusal> {
        let mut description = self.attributed(command)?;
        let prices = &mut description.prices;
        if description.price.minor <= 0 || prices.iter().any(|price| price.minor <= 0) {
            return Err(Refusal::PriceNotPositive);
        }
        if PRICES_MAX < prices.len() {
            return Err(Refusal::TooManyPrices { prices: prices.len() });
        }
        // In whatever order they are given, they say the same.
        prices.sort_by_key(|price| price.currency.code());
        let own = std::iter::once(description.price.currency);
        let mut seen = HashSet::new();
        let mut currencies = own.chain(prices.iter().map(|price| price.currency));
        if let Some(currency) = currencies.find(|currency| !seen.insert(*currency)) {
            return Err(Refusal::TwoPrices { currency });
        }
        let weight = description.weight_grams;
        if weight.is_some_and(|grams| !(1..=WEIGHT_GRAMS_MAX).contains(&grams)) {
            return Err(Refusal::WeightOutOfBounds);
        }
        // What is as it should be needs no fact.
        if self.description.as_ref() == Some(&description) {
            return Ok(vec![]);
        }
        Ok(vec![Event::Described(description)])
    }

    fn evolve(&mut self, Event::Described(description): &Event) {
        self.description = Some(description.clone());
    }
}

impl Product {
    /// What is to be said of it, with whose it is from now on.
    fn attributed(&self, command: Command) -> Result<Description, Refusal> {
        let known = self.description.as_ref();
        match command {
            Command::Amend(amendment) => self.amended(amendment),
            Command::Describe(description) => {
                let vendor = description.vendor.or(known.and_then(|known| known.vendor));
                Ok(Description { vendor, ..description })
            }
            Command::DescribeOwn(vendor, _)
                if known.is_some_and(|known| known.vendor != Some(vendor)) =>
            {
                Err(Refusal::NotTheirs)
            }
            Command::DescribeOwn(vendor, description) => {
                Ok(Description { vendor: Some(vendor), ..description })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::testing::given;

    #[test]
    fn a_change_of_price_is_a_fact_and_no_change_is_none() {
        given::<Product>(&[])
            .when(Command::Describe(cup(450)))
            .then(&[Event::Described(cup(450))]);
        given::<Product>(&[Event::Described(cup(450))])
            .when(Command::Describe(cup(500)))
            .then(&[Event::Described(cup(500))]);
        given::<Product>(&[Event::Described(cup(450))])
            .when(Command::Describe(cup(450)))
            .then(&[]);
    }

    #[test]
    fn an_amendment_changes_what_it_names_and_a_new_product_needs_name_and_price() {
        let amend = |amendment| Command::Amend(amendment);
        let price = Some(money(500, "GBP"));
        given::<Product>(&[Event::Described(cup(450))])
            .when(amend(Amendment { price, ..Amendment::default() }))
            .then(&[Event::Described(cup(500))]);
        given::<Product>(&[Event::Described(cup(450))])
            .when(amend(Amendment { active: Some(false), ..Amendment::default() }))
            .then(&[Event::Described(Description { active: false, ..cup(450) })]);
        given::<Product>(&[Event::Described(cup(450))])
            .when(amend(Amendment::default()))
            .then(&[]);
        given::<Product>(&[])
            .when(amend(Amendment { price, ..Amendment::default() }))
            .then_refused(&Refusal::NotDescribed);
        given::<Product>(&[])
            .when(amend(Amendment { name: Some("Cup".into()), price, ..Amendment::default() }))
            .then(&[Event::Described(cup(500))]);
        given::<Product>(&[Event::Described(cup(450))])
            .when(amend(Amendment { price: Some(money(0, "GBP")), ..Amendment::default() }))
            .then_refused(&Refusal::PriceNotPositive);
    }

    #[test]
    fn nothing_is_free() {
        given::<Product>(&[])
            .when(Command::Describe(cup(0)))
            .then_refused(&Refusal::PriceNotPositive);
    }

    #[test]
    fn a_piece_weighs_something_or_nobody_has_said_what() {
        let weighing = |weight_grams| Description { weight_grams, ..cup(450) };
        for grams in [1, WEIGHT_GRAMS_MAX] {
            given::<Product>(&[Event::Described(cup(450))])
                .when(Command::Describe(weighing(Some(grams))))
                .then(&[Event::Described(weighing(Some(grams)))]);
        }
        for grams in [0, WEIGHT_GRAMS_MAX + 1] {
            given::<Product>(&[])
                .when(Command::Describe(weighing(Some(grams))))
                .then_refused(&Refusal::WeightOutOfBounds);
        }
        // What is not said stays.
        let amendment = Amendment { price: Some(money(500, "GBP")), ..Amendment::default() };
        given::<Product>(&[Event::Described(weighing(Some(350)))])
            .when(Command::Amend(amendment))
            .then(&[Event::Described(Description {
                weight_grams: Some(350),
                ..cup(500)
            })]);
    }

    #[test]
    fn further_prices_are_one_for_each_currency_and_their_order_says_nothing() {
        let priced = |prices: &[(i64, &str)]| Description {
            prices: prices
                .iter()
                .map(|(minor, code)| money(*minor, code))
                .collect(),
            ..cup(450)
        };
        let sorted = priced(&[(520, "EUR"), (900, "JPY")]);
        given::<Product>(&[])
            .when(Command::Describe(priced(&[(900, "JPY"), (520, "EUR")])))
            .then(&[Event::Described(sorted.clone())]);
        given::<Product>(&[Event::Described(sorted.clone())])
            .when(Command::Describe(priced(&[(900, "JPY"), (520, "EUR")])))
            .then(&[]);
        assert_eq!(sorted.price_in("JPY".parse().unwrap()), Some(money(900, "JPY")));
        assert_eq!(sorted.price_in("GBP".parse().unwrap()), Some(money(450, "GBP")));
        assert_eq!(sorted.price_in("USD".parse().unwrap()), None);

        let refused = |prices: &[(i64, &str)], refusal: &Refusal| {
            given::<Product>(&[])
                .when(Command::Describe(priced(prices)))
                .then_refused(refusal);
        };
        refused(&[(520, "EUR"), (0, "JPY")], &Refusal::PriceNotPositive);
        let eur = "EUR".parse().unwrap();
        refused(&[(520, "EUR"), (521, "EUR")], &Refusal::TwoPrices { currency: eur });
        let gbp = "GBP".parse().unwrap();
        refused(&[(450, "GBP")], &Refusal::TwoPrices { currency: gbp });
        let many = PRICES_MAX.saturating_add(1);
        refused(&vec![(1, "EUR"); many], &Refusal::TooManyPrices { prices: many });
    }

    #[test]
    fn a_product_without_further_prices_is_written_as_before_there_were_any() {
        let written = serde_json::to_string(&Event::Described(cup(450))).unwrap();
        let before = r#"{"type":"product.described","name":"Cup","price":{"minor":450,"currency":"GBP"},"active":true}"#;
        assert_eq!(written, before);
        assert_eq!(serde_json::from_str::<Event>(before).unwrap(), Event::Described(cup(450)));
    }

    #[test]
    fn a_vendor_describes_what_is_theirs_or_nobodys_and_staff_leave_it_theirs() {
        let (potts, wedge) = (VendorId(Uuid::from_u128(1)), VendorId(Uuid::from_u128(2)));
        let of = |minor, vendor| Description { vendor: Some(vendor), ..cup(minor) };
        let theirs = Event::Described(of(450, potts));
        given::<Product>(&[])
            .when(Command::DescribeOwn(potts, cup(450)))
            .then(std::slice::from_ref(&theirs));
        // Whatever they say of whose it is.
        given::<Product>(&[])
            .when(Command::DescribeOwn(potts, of(450, wedge)))
            .then(std::slice::from_ref(&theirs));
        given::<Product>(std::slice::from_ref(&theirs))
            .when(Command::DescribeOwn(potts, cup(500)))
            .then(&[Event::Described(of(500, potts))]);
        given::<Product>(std::slice::from_ref(&theirs))
            .when(Command::Describe(cup(500)))
            .then(&[Event::Described(of(500, potts))]);
        given::<Product>(std::slice::from_ref(&theirs))
            .when(Command::Describe(of(450, wedge)))
            .then(&[Event::Described(of(450, wedge))]);
    }

    #[test]
    fn what_is_the_houses_or_anothers_is_not_there_for_a_vendor() {
        let (potts, wedge) = (VendorId(Uuid::from_u128(1)), VendorId(Uuid::from_u128(2)));
        for known in [cup(450), Description { vendor: Some(wedge), ..cup(450) }] {
            given::<Product>(&[Event::Described(known)])
                // Also where something else is wrong with it.
                .when(Command::DescribeOwn(potts, cup(0)))
                .then_refused(&Refusal::NotTheirs);
        }
    }

    fn money(minor: i64, code: &str) -> Money {
        Money { minor, currency: code.parse().unwrap() }
    }

    fn cup(minor: i64) -> Description {
        let price = money(minor, "GBP");
        Description {
            name: "Cup".into(),
            price,
            active: true,
            prices: vec![],
            vendor: None,
            weight_grams: None,
        }
    }
}
