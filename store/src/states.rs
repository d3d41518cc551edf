//! Aggregates in memory: one lock each, and the state that the next decision is made on.
//!
//! A state runs *ahead* of the commit: the next command is decided on it while the last one is
//! still being written. Each aggregate has an epoch; when anything that was decided on a state
//! fails to commit, the epoch moves on, the state is dropped, and everything else that was
//! decided on it fails as well.
//!
//! All states together are bounded in bytes. What somebody uses, or what has a decision on its way
//! to the log, is never evicted: a second place for the same aggregate would decide without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::categories::Categories;
use domain::delivery::Delivery;
use domain::inventory::Inventory;
use domain::listing::Listing;
use domain::order::Order;
use domain::payment::Payment;
use domain::person::Person;
use domain::product::Product;
use domain::promotion::Promotion;
use domain::vendor::Vendor;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};
use tokio::sync::{Mutex, MutexGuard};

pub use crate::kept::Kept;

/// States in memory, in bytes: a third of what the whole process may take. Seventy thousand
/// aggregates of the usual size, which is more than are under way at a time; others are loaded.
pub const STATES_BYTES_MAX: usize = 80 * 1024 * 1024;
/// Sixteenths of it for each type. Stock is asked with every order, holds every order that is not
/// yet delivered, and takes long to load: where it does not fit, everything waits for Postgres. An
/// order changes a few times, a payment is needed for a moment, both are loaded in no time, and
/// products are needed only when they are written.
const ORDERS_SHARE: usize = 4;
const PAYMENTS_SHARE: usize = 3;
const INVENTORIES_SHARE: usize = 8;
const PRODUCTS_SHARE: usize = 1;
/// A shop has few promotions at a time; the largest takes 6 MB. Beside the shares, and seldom taken.
const PROMOTIONS_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Nobody is asked for twice, so a few places beside the shares will do.
const PERSONS_BYTES_MAX: usize = 64 * 1024;
/// A thousand listings of the usual size: they are written by people, and by files that name each
/// once.
const LISTINGS_BYTES_MAX: usize = 2 * 1024 * 1024;
/// All categories there can be, twice.
const CATEGORIES_BYTES_MAX: usize = 2 * 1024 * 1024;
/// All shipping methods and pick-up points there can be, twice: 10 MB if every method names every
/// point. A shop has some kilobytes of them.
const DELIVERY_BYTES_MAX: usize = 24 * 1024 * 1024;
/// Vendors are written now and then; whether they may sell is known elsewhere.
const VENDORS_BYTES_MAX: usize = 64 * 1024;
/// What a place takes beside its state: its id, its locks, its share of the tables; as measured.
const PLACE_BYTES: usize = 450;
/// Of a full cache, what stays because it was asked for more than once; the rest is for newcomers,
/// because whatever has just begun is what goes on next.
const HOT_SHARE: f64 = 0.5;

/// The state of one aggregate as far as it has been decided.
pub(crate) struct Held<A> {
    pub(crate) state: A,
    pub(crate) version: i64,
    /// The epoch that `state` belongs to; `None` before it was first loaded, and while a decision
    /// is being made: should that be broken off half-way, the state is loaded again.
    pub(crate) epoch: Option<u64>,
    /// A long stream as it was last loaded. The log never changes, so the next load starts here.
    pub(crate) loaded: Option<Box<(A, i64)>>,
    /// Nobody has looked at it yet: whoever begins a stream may presume that it is empty.
    pub(crate) is_untouched: bool,
    /// The version of the newest snapshot that is known or asked for.
    pub(crate) snapshot_version: i64,
    /// Bytes that the cache believes it takes.
    weighed: usize,
}

impl<A: Kept> Held<A> {
    fn bytes(&self) -> usize {
        let state = |state: &A| size_of::<A>() + state.heap_bytes();
        let loaded = self
            .loaded
            .as_deref()
            .map_or(0, |(loaded, _)| state(loaded));
        PLACE_BYTES + state(&self.state) + loaded
    }
}

/// Exclusive use of one aggregate.
pub(crate) type Guard<'a, A> = MutexGuard<'a, Held<A>>;

/// One aggregate's place in memory.
pub(crate) struct Slot<A> {
    held: Mutex<Held<A>>,
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

impl<A: Kept> Slot<A> {
    fn untouched() -> Arc<Self> {
        let held = Held {
            state: A::default(),
            version: 0,
            epoch: None,
            loaded: None,
            is_untouched: true,
            snapshot_version: 0,
            weighed: usual_bytes::<A>(),
        };
        Arc::new(Self { held: Mutex::new(held), epoch: Epoch::default() })
    }
}

impl<A> Slot<A> {
    pub(crate) async fn lock(&self) -> Guard<'_, A> {
        self.held.lock().await
    }

    pub(crate) fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// Whether nobody uses it but so many owners, and nothing decided on it is on its way.
    fn rests_but_for(self: &Arc<Self>, owners: usize) -> bool {
        Arc::strong_count(self) <= owners && Arc::strong_count(&self.epoch.0) == 1
    }
}

/// What an aggregate takes that nothing is known of yet: near enough for most.
fn usual_bytes<A: Kept>() -> usize {
    PLACE_BYTES + size_of::<A>() + A::USUAL_HEAP_BYTES
}

/// A slot and the bytes it takes, as last weighed: the cache may not see them change.
pub(crate) struct Placed<A> {
    slot: Arc<Slot<A>>,
    bytes: u64,
}

impl<A> Clone for Placed<A> {
    fn clone(&self) -> Self {
        Self { slot: Arc::clone(&self.slot), bytes: self.bytes }
    }
}

/// How places are weighed, and which of them stay.
#[derive(Clone, Copy)]
pub(crate) struct InBytes;

impl<A> Weighter<String, Placed<A>> for InBytes {
    fn weight(&self, _id: &String, placed: &Placed<A>) -> u64 {
        placed.bytes
    }
}

impl<A> Lifecycle<String, Placed<A>> for InBytes {
    /// Evicted states are dropped after the cache's lock has been let go.
    type RequestState = Vec<Placed<A>>;

    fn is_pinned(&self, _id: &String, placed: &Placed<A>) -> bool {
        !placed.slot.rests_but_for(1)
    }

    fn on_evict(&self, evicted: &mut Vec<Placed<A>>, _id: String, placed: Placed<A>) {
        evicted.push(placed);
    }
}

/// The places of all aggregates of one type.
pub struct Slots<A>(Cache<String, Placed<A>, InBytes, DefaultHashBuilder, InBytes>);

impl<A: Kept> Slots<A> {
    /// `locks` is how many parts it has, each with a lock and a share of the bytes of its own.
    fn new(bytes_max: usize, locks: Option<usize>) -> Self {
        let mut options = OptionsBuilder::new();
        options
            .weight_capacity(bytes_max as u64)
            .estimated_items_capacity(bytes_max / usual_bytes::<A>())
            .hot_allocation(HOT_SHARE);
        if let Some(locks) = locks {
            options.shards(locks);
        }
        let options = options.build().expect("both capacities are given");
        Self(Cache::with_options(options, InBytes, DefaultHashBuilder::default(), InBytes))
    }
}

/// Every aggregate in memory.
pub struct States {
    pub(crate) orders: Slots<Order>,
    pub(crate) payments: Slots<Payment>,
    pub(crate) inventories: Slots<Inventory>,
    pub(crate) products: Slots<Product>,
    pub(crate) persons: Slots<Person>,
    pub(crate) listings: Slots<Listing>,
    pub(crate) categories: Slots<Categories>,
    pub(crate) vendors: Slots<Vendor>,
    pub(crate) promotions: Slots<Promotion>,
    pub(crate) deliveries: Slots<Delivery>,
}

impl States {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let share = |sixteenths| bytes_max / 16 * sixteenths;
        // Stock of one SKU may take megabytes, so it must not be confined to a part.
        let undivided = Some(1);
        Self {
            orders: Slots::new(share(ORDERS_SHARE), None),
            payments: Slots::new(share(PAYMENTS_SHARE), None),
            inventories: Slots::new(share(INVENTORIES_SHARE), undivided),
            products: Slots::new(share(PRODUCTS_SHARE), undivided),
            persons: Slots::new(PERSONS_BYTES_MAX, undivided),
            listings: Slots::new(LISTINGS_BYTES_MAX, undivided),
            categories: Slots::new(CATEGORIES_BYTES_MAX, undivided),
            vendors: Slots::new(VENDORS_BYTES_MAX, undivided),
            promotions: Slots::new(PROMOTIONS_BYTES_MAX, undivided),
            deliveries: Slots::new(DELIVERY_BYTES_MAX, undivided),
        }
    }

    /// The place of one aggregate, made if need be.
    pub(crate) fn slot<A: Kept>(&self, aggregate_id: &str) -> Arc<Slot<A>> {
        let Slots(all) = A::slots(self);
        let made = || {
            let slot = Slot::untouched();
            Ok::<_, std::convert::Infallible>(Placed { slot, bytes: usual_bytes::<A>() as u64 })
        };
        match all.get_or_insert_with(aggregate_id, made) {
            Ok(placed) => placed.slot,
        }
    }

    /// Weighs a state after it has changed, and tells the cache if it is far from what was known.
    pub(crate) fn weigh<A: Kept>(
        &self,
        aggregate_id: &str,
        slot: &Arc<Slot<A>>,
        held: &mut Held<A>,
    ) {
        let bytes = held.bytes();
        if bytes.abs_diff(held.weighed) <= held.weighed / 4 {
            return;
        }
        held.weighed = bytes;
        let placed = Placed { slot: Arc::clone(slot), bytes: bytes as u64 };
        let Slots(all) = A::slots(self);
        // Nothing to tell if it has no place any more; that happens only to what nobody uses.
        let _gone = all.replace(aggregate_id.to_owned(), placed, true);
    }

    /// Forgets an aggregate of which little more is expected, unless somebody else uses it.
    pub(crate) fn let_go<A: Kept>(&self, aggregate_id: &str, slot: &Arc<Slot<A>>) {
        let Slots(all) = A::slots(self);
        // The cache's and the caller's.
        all.remove_if(aggregate_id, |placed| {
            Arc::ptr_eq(&placed.slot, slot) && slot.rests_but_for(2)
        });
    }
}

#[cfg(test)]
#[path = "states_tests.rs"]
mod tests;
