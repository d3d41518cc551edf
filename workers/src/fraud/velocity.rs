//! Earlier orders by whom they may be, in memory, for rules about how many are too many.
//!
//! 1. What this process is about to place is counted when it is judged, so that two at once are
//!    counted one after the other; what was not placed after all counts no more.
//! 2. What other processes place is heard with the feed. They may each let as many through as come
//!    within that time: milliseconds, half a second without NATS.
//! 3. When the first such rule appears, or at a start, the window is read from the log, at most
//!    [`READ_BACK_MAX`] events of it; until then, and beyond, earlier orders are missed.
//! 4. At most [`ORDERS_MAX`] orders are kept, the newest; of one party, the newest
//!    [`PER_PARTY_MAX`] are shown to rules, more than any of them allows.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::event::Event;
use domain::ids::OrderId;
use domain::money::Money;
use domain::order;
use domain::screening::{self, Earlier, Party, parties};
use sqlx::PgPool;
use store::feed::Feeds;
use store::log::{self, Slice};
use store::recorded::RecordedEvent;
use tokio::sync::watch;

/// Orders in memory: some 50 MB.
const ORDERS_MAX: usize = 100_000;
/// Orders of one party that are looked at.
const PER_PARTY_MAX: usize = screening::ORDERS_MAX as usize + 1;
/// Events that are read back for the window: a hundred thousand orders.
const READ_BACK_MAX: i64 = 1_000_000;
/// Events looked through at a time.
const BATCH_MAX: usize = 2_000;
/// An order that was placed so long before it was written down is history, and nobody's haste.
const HISTORY: TimeDelta = TimeDelta::minutes(5);
/// Pause before the feed is asked again after it failed.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Whether an order is one of the past.
pub(super) fn is_history(placed_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    placed_at + HISTORY < now
}

/// Earlier orders; clones share them.
#[derive(Clone, Default)]
pub(super) struct Velocity(Arc<Mutex<Orders>>);

#[derive(Default)]
struct Orders {
    /// The oldest first.
    in_order: VecDeque<(DateTime<Utc>, OrderId)>,
    known: HashSet<OrderId>,
    by_party: HashMap<(Party, String), VecDeque<(OrderId, Earlier)>>,
    parties: HashMap<OrderId, Vec<(Party, String)>>,
}

/// An order's place among those that are counted, until it is known whether it was placed.
#[must_use = "dropped, the order counts no more"]
pub struct Counted {
    order_id: OrderId,
    velocity: Option<Velocity>,
}

impl Counted {
    /// It was placed, or may have been.
    pub fn keep(mut self) {
        self.velocity = None;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(velocity) = self.velocity.take() {
            velocity.orders().forget(self.order_id);
        }
    }
}

impl Velocity {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came earlier in the window of each of these; from now on the order counts as well.
    pub(super) fn count(
        &self,
        order_id: OrderId,
        of: &[(Party, String)],
        total: Money,
        now: DateTime<Utc>,
        window: TimeDelta,
    ) -> (BTreeMap<Party, Vec<Earlier>>, Counted) {
        let mut orders = self.orders();
        orders.let_go_before(now - window);
        let earlier = of.iter().map(|party| (party.0, orders.of(party)));
        let earlier = earlier.collect();
        orders.take(order_id, of.to_vec(), Earlier { at: now, total });
        drop(orders);
        (earlier, Counted { order_id, velocity: Some(self.clone()) })
    }

    /// Hears of orders while `window` (seconds) is above zero, for ever.
    pub(super) async fn keep_up(
        &self,
        pool: &PgPool,
        feeds: &Feeds,
        mut window: watch::Receiver<u32>,
    ) {
        loop {
            if window.wait_for(|seconds| 0 < *seconds).await.is_err() {
                return;
            }
            let seconds = *window.borrow_and_update();
            let following = self.follow(pool, feeds, TimeDelta::seconds(i64::from(seconds)));
            tokio::select! {
                Err(error) = following => {
                    tracing::warn!(%error, "orders are counted late");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                // A longer window is read back; without any, nothing needs to be remembered.
                changed = window.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    if *window.borrow() == 0 {
                        *self.orders() = Orders::default();
                    }
                }
            }
        }
    }

    async fn follow(
        &self,
        pool: &PgPool,
        feeds: &Feeds,
        window: TimeDelta,
    ) -> Result<(), log::Error> {
        let mut mark = log::head(pool).await?;
        self.read_back(pool, mark, window).await?;
        let mut feed = feeds.subscribe_promptly();
        loop {
            let batch = feed.next(mark, BATCH_MAX).await?;
            mark = batch.last().map_or(mark, |event| event.position);
            let mut orders = self.orders();
            for event in &batch {
                orders.hear(event);
            }
            orders.let_go_before(Utc::now() - window);
        }
    }

    async fn read_back(
        &self,
        pool: &PgPool,
        head: i64,
        window: TimeDelta,
    ) -> Result<(), log::Error> {
        let since = Utc::now() - window;
        let earliest = head.saturating_sub(READ_BACK_MAX).max(0);
        let mut slice = Slice {
            from: Some(first_since(pool, since, earliest, head).await?),
            to: Some(head),
            event_type: Some("order.placed".to_owned()),
            ..Slice::default()
        };
        loop {
            let page = log::page(pool, &slice, log::PAGE_MAX).await?;
            let Some(last) = page.events.last() else {
                return Ok(());
            };
            slice.from = Some(last.position + 1);
            let mut orders = self.orders();
            for event in &page.events {
                orders.hear(event);
            }
            drop(orders);
            if !page.more {
                return Ok(());
            }
        }
    }
}

/// The first position after `low` that was recorded then or later: times follow positions, so that
/// twenty looks find it, where there is no index by time.
async fn first_since(
    pool: &PgPool,
    since: DateTime<Utc>,
    mut low: i64,
    mut high: i64,
) -> sqlx::Result<i64> {
    while low < high {
        let middle = low + (high - low) / 2 + 1;
        let at: Option<DateTime<Utc>> =
            sqlx::query_scalar("select recorded_at from events where position = $1")
                .bind(middle)
                .fetch_optional(pool)
                .await?;
        if at.is_some_and(|at| at < since) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Ok(low + 1)
}

impl Orders {
    fn hear(&mut self, event: &RecordedEvent) {
        let Event::Order(order::Event::Placed(placing)) = &event.event else {
            return;
        };
        if is_history(placing.placed_at, event.recorded_at) {
            return;
        }
        let order_id = OrderId(event.metadata.correlation_id);
        let earlier = Earlier { at: event.recorded_at, total: placing.total() };
        self.take(order_id, parties(placing), earlier);
    }

    fn take(&mut self, order_id: OrderId, parties: Vec<(Party, String)>, earlier: Earlier) {
        if !self.known.insert(order_id) {
            return;
        }
        for party in &parties {
            let of_party = self.by_party.entry(party.clone()).or_default();
            of_party.push_back((order_id, earlier));
        }
        self.parties.insert(order_id, parties);
        self.in_order.push_back((earlier.at, order_id));
        while ORDERS_MAX < self.in_order.len() {
            self.let_go_first();
        }
    }

    /// The newest of a party.
    fn of(&self, party: &(Party, String)) -> Vec<Earlier> {
        self.by_party.get(party).map_or_else(Vec::new, |orders| {
            let newest = orders.iter().rev().take(PER_PARTY_MAX);
            newest.map(|(_, earlier)| *earlier).collect()
        })
    }

    fn let_go_before(&mut self, since: DateTime<Utc>) {
        while self.in_order.front().is_some_and(|(at, _)| *at < since) {
            self.let_go_first();
        }
    }

    fn let_go_first(&mut self) {
        if let Some((_, order_id)) = self.in_order.pop_front() {
            self.forget(order_id);
        }
    }

    /// Its place in the order of time goes with its time.
    fn forget(&mut self, order_id: OrderId) {
        self.known.remove(&order_id);
        for party in self.parties.remove(&order_id).unwrap_or_default() {
            let Some(orders) = self.by_party.get_mut(&party) else {
                continue;
            };
            // Mostly it is the oldest that goes.
            if orders.front().is_some_and(|(id, _)| *id == order_id) {
                orders.pop_front();
            } else {
                orders.retain(|(id, _)| *id != order_id);
            }
            if orders.is_empty() {
                self.by_party.remove(&party);
            }
        }
    }
}

#[cfg(test)]
#[path = "velocity_tests.rs"]
mod tests;
