//! The aggregates that the journal keeps, and what it has to know of each to keep it well.

use cqrs_es::Aggregate;
use domain::categories::{self, Categories};
use domain::delivery::{self, Delivery};
use domain::event::Event;
use domain::inventory::{self, Inventory};
use domain::listing::{self, Listing};
use domain::order::{self, Order, Stage};
use domain::payment::{self, Payment};
use domain::person::{self, Person};
use domain::product::{self, Product};
use domain::promotion::{self, Promotion};
use domain::vendor::{self, Vendor};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::states::{Slots, States};

/// An aggregate that the journal keeps.
pub trait Kept:
    Aggregate<
        Services = (),
        Command: Clone + Send,
        Event: Into<Event> + TryFrom<Event> + Send,
        Error: Serialize + DeserializeOwned + Clone + Send + Sync,
    > + Clone
    + PartialEq
    + 'static
{
    /// Names the shape of the stored state and the rules by which it was folded, in snapshots: a
    /// number for what people know to have changed, and a hash of how an example is stored.
    ///
    /// A snapshot of another schema is not read. So the number goes up with every change of how an
    /// event is applied or upcast; `schema_tests.rs` notices most changes and has the new hash.
    #[doc(hidden)]
    const STATE_SCHEMA: &'static str;

    /// What most of them take beside the value itself; who takes much more is weighed again.
    #[doc(hidden)]
    const USUAL_HEAP_BYTES: usize;

    /// Where its states are.
    #[doc(hidden)]
    fn slots(states: &States) -> &Slots<Self>;

    /// Bytes in memory beside the value itself.
    #[doc(hidden)]
    fn heap_bytes(&self) -> usize;

    /// Whether a command begins a stream whose id has just been made. It is decided on an empty
    /// stream without a look at the log, whose primary key objects should it not be empty.
    #[doc(hidden)]
    fn begins(command: &Self::Command) -> bool;

    /// Whether little more is expected of it, so that its place in memory is better used by others.
    /// Whoever asks for it all the same has it loaded again.
    #[doc(hidden)]
    fn is_settled(&self) -> bool;

    /// Whether the state holds personal data: then it is in the log, sealed, and nowhere else. No
    /// snapshot is taken of it.
    #[doc(hidden)]
    fn is_personal(&self) -> bool {
        false
    }
}

impl Kept for Order {
    const STATE_SCHEMA: &'static str = "3-9dba5b14";
    /// Three articles.
    const USUAL_HEAP_BYTES: usize = 312;

    fn slots(states: &States) -> &Slots<Self> {
        &states.orders
    }

    fn heap_bytes(&self) -> usize {
        Self::heap_bytes(self)
    }

    fn begins(command: &order::Command) -> bool {
        matches!(command, order::Command::Place(_) | order::Command::PlaceScreened(..))
    }

    fn is_settled(&self) -> bool {
        match self.stage() {
            Stage::Completed | Stage::Cancelled | Stage::Failed | Stage::Refunded => true,
            Stage::Unplaced | Stage::Pending | Stage::Processing | Stage::Confirmed => false,
        }
    }
}

impl Kept for Payment {
    const STATE_SCHEMA: &'static str = "6-c79d47e7";
    /// One attempt.
    const USUAL_HEAP_BYTES: usize = 250;

    fn slots(states: &States) -> &Slots<Self> {
        &states.payments
    }

    fn heap_bytes(&self) -> usize {
        Self::heap_bytes(self)
    }

    fn begins(command: &payment::Command) -> bool {
        matches!(command, payment::Command::Open { .. })
    }

    /// Its money is there, and none of it is on its way back.
    fn is_settled(&self) -> bool {
        let left_minor = self.captured_minor().saturating_sub(self.refunded_minor());
        0 < self.captured_minor() && self.refundable_minor() == left_minor
    }

    fn is_personal(&self) -> bool {
        self.holds_tokens()
    }
}

impl Kept for Inventory {
    const STATE_SCHEMA: &'static str = "1-d78a2d15";
    const USUAL_HEAP_BYTES: usize = 0;

    fn slots(states: &States) -> &Slots<Self> {
        &states.inventories
    }

    fn heap_bytes(&self) -> usize {
        Self::heap_bytes(self)
    }

    /// A SKU is a name that may have been given before.
    fn begins(_named_by_people: &inventory::Command) -> bool {
        false
    }

    fn is_settled(&self) -> bool {
        false
    }
}

impl Kept for Product {
    const STATE_SCHEMA: &'static str = "4-60c9ae4d";
    /// Its name.
    const USUAL_HEAP_BYTES: usize = 30;

    fn slots(states: &States) -> &Slots<Self> {
        &states.products
    }

    fn heap_bytes(&self) -> usize {
        Self::heap_bytes(self)
    }

    /// A SKU is a name that may have been given before.
    fn begins(_named_by_people: &product::Command) -> bool {
        false
    }

    fn is_settled(&self) -> bool {
        false
    }
}

impl Kept for Person {
    const STATE_SCHEMA: &'static str = "1-4afbc2c4";
    const USUAL_HEAP_BYTES: usize = 0;

    fn slots(states: &States) -> &Slots<Self> {
        &states.persons
    }

    fn heap_bytes(&self) -> usize {
        0
    }

    fn begins(command: &person::Command) -> bool {
        matches!(command, person::Command::Forget { .. })
    }

    fn is_settled(&self) -> bool {
        true
    }
}

impl Kept for Listing {
    const STATE_SCHEMA: &'static str = "1-db670eca";
    /// A paragraph, a picture or two, a few variants.
    const USUAL_HEAP_BYTES: usize = 1_000;

    fn slots(states: &States) -> &Slots<Self> {
        &states.listings
    }

    fn heap_bytes(&self) -> usize {
        Self::heap_bytes(self)
    }

    /// A handle is a name that may have been given before.
    fn begins(_: &listing::Command) -> bool {
        false
    }

    fn is_settled(&self) -> bool {
        false
    }
}

impl Kept for Categories {
    const STATE_SCHEMA: &'static str = "1-4520b97d";
    /// Some dozens.
    const USUAL_HEAP_BYTES: usize = 5_000;

    fn slots(states: &States) -> &Slots<Self> {
        &states.categories
    }

    fn heap_bytes(&self) -> usize {
        Self::heap_bytes(self)
    }

    /// There is one stream, and it has begun but once.
    fn begins(_: &categories::Command) -> bool {
        false
    }

    fn is_settled(&self) -> bool {
        false
    }
}

impl Kept for Vendor {
    const STATE_SCHEMA: &'static str = "1-18b88c83";
    /// Name and address.
    const USUAL_HEAP_BYTES: usize = 80;

    fn slots(states: &States) -> &Slots<Self> {
        &states.vendors
    }

    fn heap_bytes(&self) -> usize {
        Self::heap_bytes(self)
    }

    /// A vendor's id is that of an account, which may have registered before.
    fn begins(_of_an_account: &vendor::Command) -> bool {
        false
    }

    fn is_settled(&self) -> bool {
        false
    }
}

impl Kept for Delivery {
    const STATE_SCHEMA: &'static str = "1-99649534";
    /// A few methods and points.
    const USUAL_HEAP_BYTES: usize = 5_000;

    fn slots(states: &States) -> &Slots<Self> {
        &states.deliveries
    }

    fn heap_bytes(&self) -> usize {
        Self::heap_bytes(self)
    }

    /// There is one stream, and it has begun but once.
    fn begins(_: &delivery::Command) -> bool {
        false
    }

    fn is_settled(&self) -> bool {
        false
    }
}

impl Kept for Promotion {
    const STATE_SCHEMA: &'static str = "1-037e4ade";
    /// Its name, and a few uses.
    const USUAL_HEAP_BYTES: usize = 400;

    fn slots(states: &States) -> &Slots<Self> {
        &states.promotions
    }

    fn heap_bytes(&self) -> usize {
        Self::heap_bytes(self)
    }

    /// A code is a name that may have been given before.
    fn begins(_named_by_people: &promotion::Command) -> bool {
        false
    }

    fn is_settled(&self) -> bool {
        false
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod schema_tests;
