//! Forgetting: that the personal data of somebody's orders is gone.
//!
//! Each time has a stream of its own under an id of chance, so that nothing in the log says who it
//! was. The keys of the orders' personal data are destroyed in the transaction that appends this.

use serde::{Deserialize, Serialize};

use crate::aggregate::{Decider, runs_on_cqrs_es, stored_events};
use crate::ids::OrderId;

/// Orders named in one event: 80 kB.
pub const ORDERS_PER_EVENT_MAX: usize = 2_000;
/// Most orders that are forgotten at a time: 2 MB in one commit, while every writer waits.
pub const ORDERS_MAX: usize = 50_000;

/// One time that somebody was forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    forgotten: bool,
}

/// What can be asked.
#[derive(Debug, Clone)]
pub enum Command {
    /// Forget whose orders these are; for an account without orders, none.
    Forget {
        /// Their orders.
        orders: Vec<OrderId>,
        /// Why. For ever in the log, so it names nobody.
        reason: String,
    },
}

/// What can have happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// The personal data of these orders is gone.
    #[serde(rename = "person.forgotten")]
    Forgotten {
        /// Which; who has more of them than [`ORDERS_PER_EVENT_MAX`] has several events.
        orders: Vec<OrderId>,
        /// Why.
        reason: String,
    },
}

stored_events!(Event {
    Self::Forgotten { .. } => "person.forgotten" v 1,
});
runs_on_cqrs_es!(Person, "person");

/// Why it may not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// It happens once.
    #[error("this has been forgotten already")]
    AlreadyForgotten,
    /// Bounds the commit.
    #[error("at most {ORDERS_MAX} orders are forgotten at a time, not {orders}")]
    TooManyOrders {
        /// How many there were.
        orders: usize,
    },
}

impl Decider for Person {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, Command::Forget { orders, reason }: Command) -> Result<Vec<Event>, Refusal> {
        if self.forgotten {
            return Err(Refusal::AlreadyForgotten);
        }
        if ORDERS_MAX < orders.len() {
            return Err(Refusal::TooManyOrders { orders: orders.len() });
        }
        if orders.is_empty() {
            return Ok(vec![Event::Forgotten { orders, reason }]);
        }
        let named = |orders: &[OrderId]| {
            let (orders, reason) = (orders.to_vec(), reason.clone());
            Event::Forgotten { orders, reason }
        };
        Ok(orders.chunks(ORDERS_PER_EVENT_MAX).map(named).collect())
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Forgotten { .. } => self.forgotten = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::testing::given;

    fn forget(orders: usize) -> Command {
        let orders = (1..=orders).map(|n| OrderId(Uuid::from_u128(n as u128)));
        Command::Forget { orders: orders.collect(), reason: "asked for it".into() }
    }

    #[test]
    fn somebody_is_forgotten_once() {
        let forgotten = Event::Forgotten { orders: vec![], reason: "asked for it".into() };
        given::<Person>(&[])
            .when(forget(0))
            .then(std::slice::from_ref(&forgotten));
        given::<Person>(&[forgotten])
            .when(forget(1))
            .then_refused(&Refusal::AlreadyForgotten);
    }

    #[test]
    fn every_order_is_named_once_however_many_there_are() {
        let events = Person::default()
            .decide(forget(ORDERS_PER_EVENT_MAX + 1))
            .unwrap();
        let named: Vec<usize> = events
            .iter()
            .map(|Event::Forgotten { orders, .. }| orders.len())
            .collect();
        assert_eq!(named, [ORDERS_PER_EVENT_MAX, 1]);
        given::<Person>(&[])
            .when(forget(ORDERS_MAX + 1))
            .then_refused(&Refusal::TooManyOrders { orders: ORDERS_MAX + 1 });
    }
}
