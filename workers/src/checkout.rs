//! Runs the checkout process: facts from the log and the clock in, commands out.
//!
//! Facts are taken in batches. The orders of a batch go on beside each other, the facts of one
//! order one after another; the answer to an intent is the next fact. When a batch has come to
//! rest, states, parked facts and the mark are kept in one transaction. A crash before that
//! repeats the batch: the same facts on the same states ask for the same commands, which have
//! receipts by then.
//!
//! The clock is not in the log, so a repetition could hear a deadline before or after a payment,
//! other than the first time. Therefore a deadline is marked as heard before anything follows
//! from it, and after a start none is heard until everything has been that was in the log by then.

mod facts;
mod intents;
mod states;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use chrono::Utc;
use domain::checkout::{Checkout, Fact};
use domain::ids::OrderId;
use futures::StreamExt as _;
use sqlx::PgPool;
use store::command::ExecuteError;
use store::feed::Feeds;
use store::journal::Journal;
use store::leader::{self, Office};
use tokio::sync::watch;

use self::intents::{Answer, Executor};
use self::states::States;
use crate::derived::Cause;
use crate::parked::ParkedFact;
use crate::{derived, marks};

/// Its name among the workers.
pub const NAME: &str = "checkout";
/// Most events of one batch: a few hundred orders' steps, so that one commit serves many.
const BATCH_MAX: usize = 2_000;
/// Orders that go on beside each other.
const ORDERS_AT_ONCE: usize = 256;
/// Intents of one order under way at once: an order of 2,000 lines must not crowd out the others.
const INTENTS_AT_ONCE: usize = 256;
/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(250);
/// Pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Why a batch could not be carried through. It is tried again.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the database does not answer: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Log(#[from] store::log::Error),
    #[error(transparent)]
    Journal(#[from] ExecuteError),
    #[error("a stored checkout cannot be read: {0}")]
    State(#[from] serde_json::Error),
}

/// What one order hears, and because of what.
pub(crate) struct Heard {
    order_id: OrderId,
    /// The event, or a name for the deadline.
    cause: Cause,
    /// The event's position; none for a deadline.
    position: Option<i64>,
    fact: Fact,
}

/// Runs until told to stop. Failures are logged and tried again for ever.
pub async fn run(pool: PgPool, journal: Journal, feeds: Feeds, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let failed = tokio::select! {
            result = lead(&pool, &journal, &feeds) => result.err(),
            _ = stop.changed() => None,
        };
        if let Some(error) = failed {
            tracing::warn!(%error, "the checkout process tries again");
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}

async fn lead(pool: &PgPool, journal: &Journal, feeds: &Feeds) -> Result<(), Error> {
    let mut lead = leader::lead(pool, Office::Checkout).await?;
    let mut feed = feeds.subscribe();
    let mut mark = marks::of(pool, NAME).await?;
    let mut process = Process {
        pool: pool.clone(),
        executor: Executor::new(journal.clone()),
        states: States::default(),
    };
    let heard_before = states::heard_before(pool).await?;
    process
        .carry_on(heard_before.into_iter().map(deadline).collect(), None)
        .await?;
    let begun_before = store::log::head(pool).await?;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tracing::info!(mark, "the checkout process is active");
    loop {
        tokio::select! {
            // `next` keeps what it has read if it is dropped here.
            batch = feed.next(mark, BATCH_MAX) => {
                let batch = batch?;
                let last = batch.last().map_or(mark, |event| event.position);
                let heard = batch.iter().filter_map(|event| facts::heard(event)).collect();
                process.carry_on(heard, Some(last)).await?;
                mark = last;
            }
            _ = tick.tick() => {
                lead.still_ours().await?;
                if begun_before <= mark {
                    let due = states::hear_due(pool, Utc::now()).await?;
                    process.carry_on(due.into_iter().map(deadline).collect(), None).await?;
                }
            }
        }
    }
}

/// A deadline that has passed. Its cause is named after order and time, so that it acts once.
fn deadline((order_id, due_at): (OrderId, chrono::DateTime<Utc>)) -> Heard {
    let cause = derived::id(order_id.0, &format!("deadline {}", due_at.to_rfc3339()));
    Heard { order_id, cause: Cause::named(cause), position: None, fact: Fact::DeadlinePassed }
}

struct Process {
    pool: PgPool,
    executor: Executor,
    states: States,
}

/// What became of one order's facts.
struct Moved {
    order_id: OrderId,
    state: Checkout,
    parked: Vec<ParkedFact>,
}

impl Process {
    /// Carries the orders of a batch on until they rest, and keeps where they are.
    async fn carry_on(&mut self, heard: Vec<Heard>, mark: Option<i64>) -> Result<(), Error> {
        if heard.is_empty() && mark.is_none() {
            return Ok(());
        }
        let mut by_order: HashMap<OrderId, Vec<Heard>> = HashMap::new();
        for heard in heard {
            by_order.entry(heard.order_id).or_default().push(heard);
        }
        let order_ids: Vec<OrderId> = by_order.keys().copied().collect();
        let mut states = self.states.take(&self.pool, &order_ids).await?;
        let orders: Vec<_> = by_order
            .into_iter()
            .map(|(order_id, heard)| {
                let state = states.remove(&order_id).unwrap_or_default();
                carry_one(&self.executor, order_id, state, heard)
            })
            .collect();
        let moved: Vec<Result<Moved, Error>> = futures::stream::iter(orders)
            .buffer_unordered(ORDERS_AT_ONCE)
            .collect()
            .await;
        let moved = moved.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.keep(moved, mark).await
    }

    async fn keep(&mut self, moved: Vec<Moved>, mark: Option<i64>) -> Result<(), Error> {
        let mut transaction = self.pool.begin().await?;
        states::keep(&mut transaction, &moved).await?;
        for moved in &moved {
            crate::parked::keep(&mut transaction, &moved.parked).await?;
        }
        if let Some(mark) = mark {
            marks::set(&mut transaction, NAME, mark).await?;
        }
        transaction.commit().await?;
        self.states.put_back(moved);
        Ok(())
    }
}

/// Lets one order hear its facts, each to its end.
async fn carry_one(
    executor: &Executor,
    order_id: OrderId,
    mut state: Checkout,
    heard: Vec<Heard>,
) -> Result<Moved, Error> {
    let mut parked = Vec::new();
    for Heard { cause, position, fact, .. } in heard {
        let mut facts = VecDeque::from([fact]);
        while let Some(fact) = facts.pop_front() {
            let mut park = |step: &str, fact: &Fact, reason: String| {
                parked.push(ParkedFact {
                    parked_id: derived::id(cause.id, &format!("parked {step}")),
                    order_id: order_id.0,
                    position,
                    fact: serde_json::to_value(fact)?,
                    reason,
                    parked_at: Utc::now(),
                });
                Ok::<(), Error>(())
            };
            let intents = match state.react(fact.clone()) {
                Ok(intents) => intents,
                Err(out_of_place) => {
                    park("out of place", &fact, out_of_place.to_string())?;
                    continue;
                }
            };
            let answers: Vec<_> = futures::stream::iter(intents)
                .map(|intent| executor.execute(order_id, &cause, intent))
                .buffered(INTENTS_AT_ONCE)
                .collect()
                .await;
            for answer in answers {
                match answer? {
                    Answer::Done => {}
                    Answer::Fact(fact) => facts.push_back(fact),
                    Answer::OwnRefund(refund_id) => state.name_own_refund(refund_id),
                    Answer::Park { step, reason } => park(&step, &fact, reason)?,
                }
            }
        }
    }
    Ok(Moved { order_id, state, parked })
}
