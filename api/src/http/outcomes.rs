//! Waiting for what becomes of an order: one map of waiters, told by whoever follows the read
//! model, so that hundreds who wait cost nothing until their own order moves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::ids::OrderId;
use domain::order::Review;
use projections::orders::{OrderView, Status};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use uuid::Uuid;

use super::App;
use super::problem::Problem;

/// A waiter looks by itself this often, should nobody tell it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// An order moves several times in a row; looking after each is no use to anybody.
const LOOK_AFTER: Duration = Duration::from_millis(5);

/// Those who wait for orders.
#[derive(Debug, Clone)]
pub struct Outcomes {
    waiting: Arc<Mutex<HashMap<Uuid, Waiters>>>,
    closing: Arc<watch::Sender<bool>>,
}

#[derive(Debug, Default)]
struct Waiters {
    count: usize,
    moved: Arc<Notify>,
}

/// A place among those who wait for one order; taken before the order can move.
#[derive(Debug)]
pub(crate) struct Waiting {
    order_id: Uuid,
    outcomes: Outcomes,
    moved: Arc<Notify>,
}

impl Default for Outcomes {
    fn default() -> Self {
        Self { waiting: Arc::default(), closing: Arc::new(watch::Sender::new(false)) }
    }
}

impl Outcomes {
    /// These orders have moved, and the read model `orders` knows it.
    pub fn changed(&self, order_ids: &[Uuid]) {
        let waiting = self.waiting();
        if waiting.is_empty() {
            return;
        }
        for waiters in order_ids
            .iter()
            .filter_map(|order_id| waiting.get(order_id))
        {
            // Also kept for one who is just looking, and would otherwise miss it.
            waiters.moved.notify_waiters();
            waiters.moved.notify_one();
        }
    }

    /// Whether there is nobody to tell.
    pub fn is_nobody_waiting(&self) -> bool {
        self.waiting().is_empty()
    }

    /// Nobody waits any longer: the server is about to stop.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    pub(crate) fn wait_for(&self, order_id: OrderId) -> Waiting {
        let mut waiting = self.waiting();
        let waiters = waiting.entry(order_id.0).or_default();
        waiters.count += 1;
        let moved = Arc::clone(&waiters.moved);
        drop(waiting);
        Waiting { order_id: order_id.0, outcomes: self.clone(), moved }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Uuid, Waiters>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = self.outcomes.waiting();
        if let Some(waiters) = waiting.get_mut(&self.order_id) {
            waiters.count -= 1;
            if waiters.count == 0 {
                waiting.remove(&self.order_id);
            }
        }
    }
}

impl Waiting {
    /// The order once it is held for staff or neither pending nor processing, or as it is when the time is over.
    /// `None` if the read model has not even heard of it by then.
    pub(crate) async fn outcome(
        &self,
        app: &App,
        until: Instant,
    ) -> Result<Option<OrderView>, Problem> {
        let mut closing = self.outcomes.closing.subscribe();
        loop {
            let stored = app.read_models.order(OrderId(self.order_id)).await?;
            let order = stored.map(|stored| stored.view()).transpose()?;
            // Whoever waits for staff waits longer than anybody does for an answer.
            let undecided = |order: &OrderView| {
                order.review != Review::Held
                    && matches!(order.status, Status::Pending | Status::Processing)
            };
            let decided = order.as_ref().is_some_and(|order| !undecided(order));
            if decided || until <= Instant::now() || *closing.borrow() {
                return Ok(order);
            }
            tokio::select! {
                () = self.moved.notified() => {
                    tokio::time::sleep_until(until.min(Instant::now() + LOOK_AFTER)).await;
                }
                () = tokio::time::sleep_until(until.min(Instant::now() + LOOK_EVERY)) => {}
                _ = closing.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_who_waits_for_the_order_is_told() {
        let outcomes = Outcomes::default();
        let (mine, other) = (OrderId(Uuid::from_u128(1)), OrderId(Uuid::from_u128(2)));
        let (waiting, bystander) = (outcomes.wait_for(mine), outcomes.wait_for(other));

        outcomes.changed(&[mine.0]);

        tokio::time::timeout(LOOK_EVERY, waiting.moved.notified())
            .await
            .unwrap();
        let told = tokio::time::timeout(Duration::ZERO, bystander.moved.notified()).await;
        assert!(told.is_err());
    }

    #[test]
    fn a_place_is_given_up_when_it_is_dropped() {
        let outcomes = Outcomes::default();
        let order_id = OrderId(Uuid::from_u128(1));
        let (one, two) = (outcomes.wait_for(order_id), outcomes.wait_for(order_id));
        drop(one);
        assert_eq!(outcomes.waiting().len(), 1);
        drop(two);
        assert!(outcomes.waiting().is_empty());
    }
}
