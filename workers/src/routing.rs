//! Which payment provider is asked: staff's rules and the state of the providers, in memory.
//!
//! ```text
//! routing_rules ──┐ read every few seconds,      ┌── wish ── an order, a retry, a fallback
//! gateway_health ─┴─ and at once where changed ─▶ known ──▶ gateways::routing::route
//!                                                  ▲
//!                        breakers of this process ─┘
//! ```
//!
//! 1. No query runs to route an order. A rule that is changed counts at once in the process that
//!    changed it, and within [`LEARN_EVERY`] in the others.
//! 2. One process calls providers and knows how it stands with them; it writes that down, and the
//!    others believe it. A process that calls them itself believes itself.

mod reports;
mod rules;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::ids::OrderId;
use domain::order;
use gateways::health::{Condition, Health};
use gateways::registry::Registry;
use gateways::routing::{self, Candidate, Route, Rule, Wish};
use sqlx::PgPool;

pub use self::rules::{Change, KeptRule, NewRule, RULES_MAX, RuleError};
use crate::bells::every;

/// How often a process looks at what others have changed.
pub const LEARN_EVERY: Duration = Duration::from_secs(2);

/// What routes are made of; clones share it.
#[derive(Clone)]
pub struct Routing(Arc<Parts>);

struct Parts {
    pool: PgPool,
    registry: Registry,
    health: Health,
    known: RwLock<Arc<Known>>,
}

struct Known {
    rules: Vec<Rule>,
    /// As another process knows them.
    conditions: BTreeMap<String, Condition>,
}

impl Known {
    async fn read(pool: &PgPool) -> sqlx::Result<Self> {
        let rules = rules::all(pool).await?;
        let conditions = reports::all(pool).await?;
        Ok(Self { rules: rules.into_iter().map(|kept| kept.rule).collect(), conditions })
    }
}

impl Routing {
    /// Reads the rules of a migrated database.
    pub async fn open(pool: PgPool, registry: Registry, health: Health) -> sqlx::Result<Self> {
        let known = Known::read(&pool).await?;
        let known = RwLock::new(Arc::new(known));
        Ok(Self(Arc::new(Parts { pool, registry, health, known })))
    }

    /// Hears what other processes have changed, for ever.
    pub async fn keep_up(self) {
        let mut ticks = every(LEARN_EVERY);
        loop {
            ticks.tick().await;
            if let Err(error) = self.learn().await {
                tracing::warn!(%error, "changes of the rules of routing are heard late");
            }
        }
    }

    async fn learn(&self) -> sqlx::Result<()> {
        let known = Known::read(&self.0.pool).await?;
        // Replaced whole, so a panic elsewhere leaves nothing half done.
        *self.0.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
        Ok(())
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.0.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Who is asked for this at this moment. Asks no database.
    pub fn route(&self, wish: &Wish<'_>) -> Route {
        routing::route(&self.known().rules, &self.candidates(Utc::now()), wish)
    }

    /// Every provider there is, on or off, and whether it is reached.
    pub fn candidates(&self, now: DateTime<Utc>) -> Vec<Candidate> {
        let is_away = |gateway: &str| {
            let condition = self.condition(gateway, now);
            condition.is_some_and(|condition| condition.is_away(now))
        };
        self.0.registry.candidates(is_away)
    }

    /// How it stands with a provider; `None` where nobody has called it yet, or it has always
    /// answered.
    pub fn condition(&self, gateway: &str, now: DateTime<Utc>) -> Option<Condition> {
        let own = self.0.health.condition(gateway, now);
        own.or_else(|| {
            let told = self.known().conditions.get(gateway).cloned();
            told.map(|condition| condition.at(now))
        })
    }

    /// The breakers of this process.
    pub(crate) fn health(&self) -> &Health {
        &self.0.health
    }

    /// Tells other processes how it stands with a provider.
    pub(crate) async fn report(&self, gateway: &str, condition: &Condition) {
        if let Err(error) = reports::keep(&self.0.pool, gateway, condition).await {
            tracing::warn!(gateway, %error, "others hear late how it stands with a provider");
        }
    }

    /// This process makes the calls from now on: what others knew is no longer the case.
    pub(crate) async fn takes_over(&self) -> sqlx::Result<()> {
        self.0.health.forget();
        reports::forget(&self.0.pool).await?;
        self.learn().await
    }

    /// Where an order's goods go, as its log has it; `None` if there is no such order.
    pub async fn country_of(&self, order_id: OrderId) -> Result<Option<String>, store::log::Error> {
        let id = order_id.to_string();
        let events = store::log::of_aggregate(&self.0.pool, "order", &id).await?;
        Ok(events.iter().find_map(|recorded| match &recorded.event {
            Event::Order(order::Event::Placed(placing)) => {
                Some(placing.shipping_address.country.clone())
            }
            _ => None,
        }))
    }
}
