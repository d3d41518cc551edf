//! Products: what a SKU is called and what it costs. Every change of a price is a fact.

use serde::{Deserialize, Serialize};

use crate::aggregate::{Decider, runs_on_cqrs_es, stored_events};
use crate::money::Money;

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
}

/// What can be asked of a product.
#[derive(Debug, Clone)]
pub enum Command {
    /// Offer it like this from now on.
    Describe(Description),
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
    /// Free goods would make orders without anything to pay.
    #[error("a price must be above zero")]
    PriceNotPositive,
}

impl Product {
    /// How it is offered, if it is known at all.
    pub fn description(&self) -> Option<&Description> {
        self.description.as_ref()
    }

    /// Bytes in memory beside the value itself, roughly: whoever keeps many bounds them by it.
    pub fn heap_bytes(&self) -> usize {
        self.description
            .as_ref()
            .map_or(0, |description| description.name.len())
    }
}

impl Decider for Product {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, Command::Describe(description): Command) -> Result<Vec<Event>, Refusal> {
        if description.price.minor <= 0 {
            return Err(Refusal::PriceNotPositive);
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

#[cfg(test)]
mod tests {
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
    fn nothing_is_free() {
        given::<Product>(&[])
            .when(Command::Describe(cup(0)))
            .then_refused(&Refusal::PriceNotPositive);
    }

    fn cup(minor: i64) -> Description {
        let price = Money { minor, currency: "GBP".parse().unwrap() };
        Description { name: "Cup".into(), price, active: true }
    }
}
