//! Runs the checkout process: facts from the log and the clock in, commands out.
//!
//! Orders go on beside each other, the facts of one order one after another; the answer to an
//! intent is the next fact. An order that has come to rest is kept with the newest event that it
//! has heard, many orders in one statement, and with them the mark: the position before the oldest
//! event that is heard and not kept. An order that takes long holds back the mark, and nobody else.
//!
//! A crash loses what was heard and not kept. It is read again from the mark on, and orders pass
//! over what they are known to have heard; so the same facts on the same states ask for the same
//! commands, which have receipts by then.
//!
//! The clock is not in the log, so a repetition could hear a deadline before or after a payment,
//! other than the first time. Therefore an order hears a deadline only while nothing else that it
//! has heard is still to be kept; the deadline is marked as heard before anything follows from it;
//! and after a start none is heard until everything has been that was in the log by then.

mod carrying;
mod facts;
mod intents;
mod orders;
#[cfg(test)]
#[path = "checkout/orders_tests.rs"]
mod orders_tests;
mod states;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::checkout::Fact;
use domain::ids::OrderId;
use futures::StreamExt as _;
use sqlx::PgPool;
use store::feed::Feeds;
use store::journal::Journal;
use store::leader::{self, Lead, Office};
use store::log::{self, Slice};
use store::recorded::RecordedEvent;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use self::intents::Executor;
use self::orders::{Orders, Rested};
use crate::bells::{every, told_to_stop};
use crate::derived::{self, Cause};
use crate::fraud::Fraud;
use crate::{marks, reading};

/// Its name among the workers.
pub const NAME: &str = "checkout";
/// How often orders that have come to rest are kept: often enough that nobody waits for the mark,
/// seldom enough that under load one statement serves a hundred orders.
const KEEP_EVERY: Duration = Duration::from_millis(50);
/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(250);
/// Pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Why the process has to begin again from what is kept.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the database does not answer: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Log(#[from] store::log::Error),
    #[error("the log has come to an end")]
    NoMoreLog,
    #[error("a checkout cannot be stored: {0}")]
    State(#[from] serde_json::Error),
    #[error("an order was broken off: {0}")]
    BrokenOff(#[from] JoinError),
}

/// What one order hears, and because of what.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    order_id: OrderId,
    /// The event, or a name for the deadline.
    cause: Cause,
    /// The event's position; none for a deadline.
    position: Option<i64>,
    fact: Fact,
}

/// Runs until told to stop. Failures are logged and tried again for ever.
pub async fn run(
    pool: PgPool,
    journal: Journal,
    fraud: Fraud,
    feeds: Feeds,
    mut stop: watch::Receiver<bool>,
) {
    let executor = Arc::new(Executor::new(pool.clone(), journal, fraud));
    loop {
        let lead = tokio::select! {
            lead = leader::lead(&pool, Office::Checkout) => lead.map_err(Error::from),
            () = told_to_stop(&mut stop) => return,
        };
        let done = match lead {
            Ok(lead) => act(&pool, &executor, &feeds, lead, &mut stop).await,
            Err(error) => Err(error),
        };
        let Err(error) = done else { return };
        tracing::warn!(%error, "the checkout process tries again");
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

async fn act(
    pool: &PgPool,
    executor: &Arc<Executor>,
    feeds: &Feeds,
    mut lead: Lead,
    stop: &mut watch::Receiver<bool>,
) -> Result<(), Error> {
    let mark = marks::of(pool, NAME).await?;
    let mut process = Process::new(pool.clone(), &mark);
    process
        .hear(deadlines(states::heard_before(pool).await?))
        .await?;
    let begun_before = store::log::head(pool).await?;
    process.begun_before = Some(begun_before);
    let mut batches = pin!(reading::batches(feeds.subscribe(), mark.position));
    let mut carried = JoinSet::new();
    let (mut keep, mut tick) = (every(KEEP_EVERY), every(TICK));
    tracing::info!(mark = mark.position, "the checkout process is active");
    loop {
        process.take_up().await?;
        while let Some(journey) = process.orders.next(Instant::now()) {
            carried.spawn(carrying::carry(Arc::clone(executor), journey));
        }
        tokio::select! {
            Some(moved) = carried.join_next() => {
                process.orders.moved(moved?, Instant::now());
                while let Some(moved) = carried.try_join_next() {
                    process.orders.moved(moved?, Instant::now());
                }
            }
            batch = batches.next(), if process.orders.have_room() => {
                process.read(&batch.ok_or(Error::NoMoreLog)??).await?;
            }
            _ = keep.tick(), if process.has_news() => {
                let rested = process.orders.rested(Instant::now());
                process.keep(&rested).await?;
            }
            _ = tick.tick() => {
                lead.still_ours().await?;
                if begun_before <= process.orders.read_to() {
                    process.hear_deadlines().await?;
                }
            }
            () = told_to_stop(stop) => {
                // What is still carried is heard again at the next start.
                let rested = process.orders.all_rested();
                return process.keep(&rested).await;
            }
        }
    }
}

fn deadlines(passed: Vec<(OrderId, DateTime<Utc>)>) -> Vec<Heard> {
    passed.into_iter().map(deadline).collect()
}

/// A deadline that has passed. Its cause is named after order and time, so that it acts once.
fn deadline((order_id, due_at): (OrderId, DateTime<Utc>)) -> Heard {
    let cause = derived::id(order_id.0, &format!("deadline {}", due_at.to_rfc3339()));
    Heard { order_id, cause: Cause::named(cause), position: None, fact: Fact::DeadlinePassed }
}

struct Process {
    pool: PgPool,
    orders: Orders,
    /// The mark that is kept.
    mark: i64,
    version_5_to: i64,
    /// Where the log ended when this process began to lead: nobody keeps anything of orders that
    /// were placed later but this process.
    begun_before: Option<i64>,
}

impl Process {
    fn new(pool: PgPool, mark: &marks::Mark) -> Self {
        let orders = Orders::after(mark.position);
        let (mark, version_5_to) = (mark.position, mark.version_5_to);
        Self { pool, orders, mark, version_5_to, begun_before: None }
    }

    async fn read(&mut self, batch: &[Arc<RecordedEvent>]) -> Result<(), Error> {
        let heard = batch
            .iter()
            .filter_map(|event| facts::heard(event, self.version_5_to))
            .collect();
        self.hear(heard).await?;
        if let Some(last) = batch.last() {
            self.orders.have_read_to(last.position);
        }
        Ok(())
    }

    /// Reads again how queued orders were placed, when it is their turn.
    async fn take_up(&mut self) -> Result<(), Error> {
        let positions = self.orders.to_take_up();
        let (Some(from), Some(to)) = (positions.first(), positions.last()) else {
            return Ok(());
        };
        let slice = Slice {
            from: Some(*from),
            to: Some(*to),
            positions: Some(positions.clone()),
            ..Slice::default()
        };
        let page = log::page(&self.pool, &slice, log::PAGE_MAX).await?;
        // As many as had room in a page; the log never changes, so they are the first of those.
        let placed = page.events.iter().zip(&positions).map(|(event, position)| {
            let placed = facts::heard(event, self.version_5_to);
            placed
                .filter(|placed| placed.position == Some(*position))
                .ok_or(Error::NoMoreLog)
        });
        let placed = placed.collect::<Result<_, _>>()?;
        self.orders.take_up(placed, Instant::now());
        Ok(())
    }

    fn is_just_placed(&self, heard: &Heard) -> bool {
        matches!(heard.fact, Fact::OrderPlaced(_))
            && self.begun_before.is_some()
            && self.begun_before < heard.position
    }

    async fn hear(&mut self, heard: Vec<Heard>) -> Result<(), Error> {
        let may_be_kept = |heard: &&Heard| !self.is_just_placed(heard);
        let unknown = self.orders.unknown(heard.iter().filter(may_be_kept));
        let kept = states::of(&self.pool, &unknown).await?;
        self.orders.hear(heard, kept, Instant::now());
        Ok(())
    }

    /// Lets orders at rest hear that their time is over. Whoever is on its way is asked later: the
    /// log would not tell a repetition what it had heard by now.
    async fn hear_deadlines(&mut self) -> Result<(), Error> {
        let now = Utc::now();
        let mut due = states::due(&self.pool, now).await?;
        due.retain(|order_id| !self.orders.is_on_its_way(*order_id));
        if due.is_empty() {
            return Ok(());
        }
        let passed = states::hear_deadlines(&self.pool, &due, now).await?;
        self.hear(deadlines(passed)).await
    }

    fn has_news(&self) -> bool {
        !self.orders.are_all_at_rest() || self.mark != self.orders.mark()
    }

    async fn keep(&mut self, rested: &[Rested]) -> Result<(), Error> {
        let mark = self.orders.mark();
        if rested.is_empty() && mark == self.mark {
            return Ok(());
        }
        let begun_to = self.orders.begun_to();
        states::keep(&self.pool, rested, mark, begun_to).await?;
        self.mark = mark;
        Ok(())
    }
}
