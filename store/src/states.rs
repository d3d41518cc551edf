//! Aggregates in memory: one lock each, and the state that the next decision is made on.
//!
//! A state runs *ahead* of the commit: the next command is decided on it while the last one is
//! still being written. Each aggregate has an epoch; when anything that was decided on a state
//! fails to commit, the epoch moves on, the state is dropped, and everything else that was
//! decided on it fails as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cqrs_es::Aggregate;
use domain::inventory::Inventory;
use domain::order::Order;
use domain::payment::Payment;
use domain::product::Product;
use moka::sync::Cache;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Orders in memory: those of the last minutes are asked again, older ones are loaded.
const ORDERS_MAX: u64 = 20_000;
/// The same for payments.
const PAYMENTS_MAX: u64 = 20_000;
/// SKUs in memory: a large catalogue; stock is asked with every order.
const INVENTORIES_MAX: u64 = 100_000;
/// Products in memory: only writes need them.
const PRODUCTS_MAX: u64 = 10_000;

/// The state of one aggregate as far as it has been decided.
pub(crate) struct Held<A> {
    pub(crate) state: A,
    pub(crate) version: i64,
    /// The epoch that `state` belongs to; `None` before it was first loaded, and while a decision
    /// is being made: should that be broken off half-way, the state is loaded again.
    pub(crate) epoch: Option<u64>,
    /// A long stream as it was last loaded. The log never changes, so the next load starts here.
    pub(crate) loaded: Option<(A, i64)>,
}

/// Exclusive use of one aggregate.
pub(crate) type Guard<A> = OwnedMutexGuard<Held<A>>;

/// One aggregate's place in memory.
pub(crate) struct Slot<A> {
    held: Arc<Mutex<Held<A>>>,
    epoch: Epoch,
}

/// Moves on whenever the state in memory turns out to be wrong.
#[derive(Clone, Default)]
pub(crate) struct Epoch(Arc<AtomicU64>);

impl Epoch {
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

impl<A> Slot<A> {
    pub(crate) async fn lock(&self) -> Guard<A> {
        Arc::clone(&self.held).lock_owned().await
    }

    pub(crate) fn epoch(&self) -> &Epoch {
        &self.epoch
    }
}

/// Every aggregate in memory.
pub struct States {
    orders: Cache<String, Arc<Slot<Order>>>,
    payments: Cache<String, Arc<Slot<Payment>>>,
    inventories: Cache<String, Arc<Slot<Inventory>>>,
    products: Cache<String, Arc<Slot<Product>>>,
}

impl Default for States {
    fn default() -> Self {
        Self {
            orders: Cache::new(ORDERS_MAX),
            payments: Cache::new(PAYMENTS_MAX),
            inventories: Cache::new(INVENTORIES_MAX),
            products: Cache::new(PRODUCTS_MAX),
        }
    }
}

impl States {
    /// The place of one aggregate, made if need be. Should it be evicted while in use, a second
    /// one may appear; the log's primary key then refuses whoever comes second.
    pub(crate) fn slot<A: Kept>(&self, aggregate_id: &str) -> Arc<Slot<A>> {
        A::slots(self).0.get_with_by_ref(aggregate_id, || {
            let held = Held { state: A::default(), version: 0, epoch: None, loaded: None };
            Arc::new(Slot { held: Arc::new(Mutex::new(held)), epoch: Epoch::default() })
        })
    }
}

/// The places of all aggregates of one type.
pub struct Slots<'a, A>(&'a Cache<String, Arc<Slot<A>>>);

/// An aggregate that the journal keeps.
pub trait Kept:
    Aggregate<
        Services = (),
        Command: Clone + Send,
        Event: Send,
        Error: Serialize + DeserializeOwned + Clone + Send + Sync,
    > + Clone
    + 'static
{
    /// Where its states are.
    #[doc(hidden)]
    fn slots(states: &States) -> Slots<'_, Self>;
}

macro_rules! kept {
    ($aggregate:ty, $field:ident) => {
        impl Kept for $aggregate {
            fn slots(states: &States) -> Slots<'_, Self> {
                Slots(&states.$field)
            }
        }
    };
}
kept!(Order, orders);
kept!(Payment, payments);
kept!(Inventory, inventories);
kept!(Product, products);
