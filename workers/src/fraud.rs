//! Screening: what staff's rules make of an order when it is placed, and of its payment once the
//! provider has said what it thinks of it. The rules themselves are in `domain::screening`.
//!
//! 1. Without a rule nothing is judged, and no order costs a query, with or without rules: rules and
//!    lists are in memory, and so are the earlier orders that rules about velocity count.
//! 2. What this process changes counts at once, what another process changes within
//!    [`LEARN_EVERY`].
//! 3. A decision is an event together with what follows from it; what a repetition would decide
//!    differently does not count (see [`crate::checkout`]).

mod blocklist;
mod known;
mod rules;
mod velocity;

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use domain::event::Event;
use domain::ids::OrderId;
use domain::order;
use domain::placing::Placing;
use domain::risk::Assessment;
use domain::screening::{Circumstances, Screening, judge, parties};
use sqlx::{PgPool, Postgres, Transaction};
use store::command::ExecuteError;
use store::feed::Feeds;
use tokio::sync::watch;

pub use self::blocklist::{BLOCKLIST_MAX, BlockedEntry, NewEntry};
use self::known::Known;
pub use self::rules::{FraudRule, NewRule, RULES_MAX};
pub use self::velocity::Counted;
use self::velocity::Velocity;
use crate::bells::every;

/// How long another process may not have heard of a change.
pub const LEARN_EVERY: Duration = Duration::from_secs(1);

/// Why a rule or an entry cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not answer.
    #[error("the database does not answer: {0}")]
    Database(#[from] sqlx::Error),
    /// Reasons call rules by name.
    #[error("another rule has this name")]
    NameTaken,
    /// Every order is asked by all of them.
    #[error("there are {RULES_MAX} rules at most; delete one that is no longer used")]
    TooManyRules,
    /// It is on the list already.
    #[error("this is blocked already")]
    AlreadyBlocked,
    /// The list is in memory.
    #[error("there are {BLOCKLIST_MAX} entries at most; delete some that are no longer needed")]
    TooManyEntries,
}

/// Rules, lists and earlier orders; clones share them.
#[derive(Clone)]
pub struct Fraud(Arc<Parts>);

struct Parts {
    pool: PgPool,
    /// How long an order may wait for staff.
    review_window: TimeDelta,
    known: RwLock<Arc<Known>>,
    velocity: Velocity,
    /// The longest window of any rule about velocity, in seconds; 0 where there is none.
    window: watch::Sender<u32>,
}

/// What screening has made of an order, and its place among those that are counted.
pub struct Screened {
    /// The decision.
    pub screening: Screening,
    /// To be kept once the order is placed; dropped, it counts no more.
    pub counted: Option<Counted>,
}

impl Fraud {
    /// Opens them on a migrated database. An order that is held waits for staff this long.
    pub async fn open(pool: PgPool, review_window: Duration) -> Result<Self, Error> {
        let known = Known::read(&pool).await?;
        let window = watch::Sender::new(known.window_seconds());
        let day = TimeDelta::days(1);
        Ok(Self(Arc::new(Parts {
            pool,
            review_window: TimeDelta::from_std(review_window).unwrap_or(day),
            known: RwLock::new(Arc::new(known)),
            velocity: Velocity::default(),
            window,
        })))
    }

    /// Hears what other processes change, for ever.
    pub async fn keep_up(self) {
        let mut ticks = every(LEARN_EVERY);
        loop {
            ticks.tick().await;
            if let Err(error) = self.learn_of_others().await {
                tracing::warn!(%error, "changes of fraud rules are heard late");
            }
        }
    }

    /// Counts orders while there is a rule that counts them, for ever. For processes that take
    /// orders.
    pub async fn count(self, feeds: Feeds) {
        let window = self.0.window.subscribe();
        self.0.velocity.keep_up(&self.0.pool, &feeds, window).await;
    }

    /// Judges an order that is about to be placed; nothing where there are no rules, or where it was
    /// placed long ago.
    pub fn screen(
        &self,
        order_id: OrderId,
        placing: &Placing,
        payer_country: Option<&str>,
        ip: Option<IpAddr>,
    ) -> Option<Screened> {
        let known = self.known();
        let now = Utc::now();
        if !known.judges_orders() || velocity::is_history(placing.placed_at, now) {
            return None;
        }
        let mut of = Circumstances::of(placing, payer_country, ip, now);
        of.blocked = known.blocked(&of.identifiers, now);
        let mut counted = None;
        if 0 < known.window_seconds() {
            let velocity = &self.0.velocity;
            let window = TimeDelta::seconds(i64::from(known.window_seconds()));
            let (earlier, place) =
                velocity.count(order_id, &parties(placing), placing.total(), now, window);
            of.earlier = earlier;
            counted = Some(place);
        }
        let screening = self.screening(&known, &of, "order");
        Some(Screened { screening, counted })
    }

    /// Judges a payment by what its provider says; nothing where no rule asks about it and the
    /// provider has no objection.
    pub(crate) async fn screen_payment(
        &self,
        order_id: OrderId,
        assessment: &Assessment,
    ) -> Result<Option<Screening>, ExecuteError> {
        let known = self.known();
        if !known.judges_payments() && !assessment.hold {
            return Ok(None);
        }
        let events = store::log::of_aggregate(&self.0.pool, "order", &order_id.to_string()).await;
        let events = events.map_err(|error| ExecuteError::Unavailable(error.to_string()))?;
        let placing = events.iter().find_map(|recorded| match &recorded.event {
            Event::Order(order::Event::Placed(placing)) => Some(placing),
            _ => None,
        });
        let Some(placing) = placing else {
            let why = format!("order {order_id} is paid, and was never placed");
            return Err(ExecuteError::Corrupt(why));
        };
        let now = Utc::now();
        let mut of = Circumstances::of(placing, None, None, now).once_paid(assessment.clone());
        of.blocked = known.blocked(&of.identifiers, now);
        Ok(Some(self.screening(&known, &of, "payment")))
    }

    fn screening(&self, known: &Known, of: &Circumstances, what: &'static str) -> Screening {
        let decision = judge(&known.rules, of);
        let outcome = decision.outcome.name();
        metrics::counter!("daybook_screenings_total", "of" => what, "outcome" => outcome)
            .increment(1);
        Screening::new(decision, of.now + self.0.review_window)
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.0.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn learn_of_others(&self) -> Result<(), Error> {
        let revision = known::revision(&self.0.pool).await?;
        if revision == self.known().revision {
            return Ok(());
        }
        self.learn().await
    }

    async fn learn(&self) -> Result<(), Error> {
        let fresh = Known::read(&self.0.pool).await?;
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        // Two may read at once; the one that has read more stays.
        if known.revision <= fresh.revision {
            let window = fresh.window_seconds();
            *known = Arc::new(fresh);
            self.0.window.send_if_modified(|before| {
                let is_other = *before != window;
                *before = window;
                is_other
            });
        }
        Ok(())
    }

    /// Begins a change. Changes follow one another, so that bounds hold and the revision tells all.
    async fn begin(&self) -> Result<Transaction<'static, Postgres>, Error> {
        let mut transaction = self.0.pool.begin().await?;
        sqlx::query("update fraud_revision set revision = revision + 1")
            .execute(&mut *transaction)
            .await?;
        Ok(transaction)
    }

    /// Ends a change; whoever screens in this process knows of it when this returns.
    async fn finish(&self, transaction: Transaction<'static, Postgres>) -> Result<(), Error> {
        transaction.commit().await?;
        self.learn().await
    }
}
