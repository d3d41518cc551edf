//! Every aggregate's state, folded from a history by this program's rules: for whoever wants to know
//! whether another program's rules come to the same.

use std::collections::BTreeMap;

use domain::aggregate::Decider as _;
use domain::categories::Categories;
use domain::delivery::Delivery;
use domain::event::Event;
use domain::inventory::Inventory;
use domain::listing::Listing;
use domain::order::Order;
use domain::payment::Payment;
use domain::product::Product;
use domain::promotion::Promotion;
use domain::vendor::Vendor;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::recorded::RecordedEvent;

/// States by the id of their aggregate, each with its version.
type Of<A> = BTreeMap<String, (i64, A)>;

/// The states of all aggregates of a history. All of them are in memory: some kilobytes each.
#[derive(Debug, Default)]
pub struct States {
    orders: Of<Order>,
    payments: Of<Payment>,
    inventories: Of<Inventory>,
    products: Of<Product>,
    listings: Of<Listing>,
    categories: Of<Categories>,
    vendors: Of<Vendor>,
    promotions: Of<Promotion>,
    deliveries: Of<Delivery>,
}

/// One state, as it is written down.
#[derive(Debug, Serialize)]
pub struct Folded {
    /// Of what.
    #[serde(skip)]
    pub aggregate_type: &'static str,
    /// Of which.
    #[serde(skip)]
    pub aggregate_id: String,
    /// The sequence of the last event that is in it.
    pub version: i64,
    /// The state, as a snapshot would hold it.
    pub state: Box<RawValue>,
}

impl States {
    /// Takes the next event of the history.
    pub fn take(&mut self, recorded: &RecordedEvent) {
        macro_rules! evolve {
            ($states:ident, $event:ident) => {{
                let (version, state) = self
                    .$states
                    .entry(recorded.aggregate_id.clone())
                    .or_default();
                state.evolve($event);
                *version = recorded.sequence;
            }};
        }
        match &recorded.event {
            Event::Order(event) => evolve!(orders, event),
            Event::Payment(event) => evolve!(payments, event),
            Event::Inventory(event) => evolve!(inventories, event),
            Event::Product(event) => evolve!(products, event),
            Event::Listing(event) => evolve!(listings, event),
            Event::Categories(event) => evolve!(categories, event),
            Event::Vendor(event) => evolve!(vendors, event),
            Event::Promotion(event) => evolve!(promotions, event),
            Event::Delivery(event) => evolve!(deliveries, event),
            // Nothing is decided on what is known of a person.
            Event::Person(_) => {}
        }
    }

    /// All of them, in order of type and id.
    pub fn all(&self) -> serde_json::Result<Vec<Folded>> {
        fn written<A: Serialize>(
            aggregate_type: &'static str,
            of: &Of<A>,
            into: &mut Vec<Folded>,
        ) -> serde_json::Result<()> {
            for (aggregate_id, (version, state)) in of {
                into.push(Folded {
                    aggregate_type,
                    aggregate_id: aggregate_id.clone(),
                    version: *version,
                    state: serde_json::value::to_raw_value(state)?,
                });
            }
            Ok(())
        }
        let mut all = Vec::new();
        written("categories", &self.categories, &mut all)?;
        written("inventory", &self.inventories, &mut all)?;
        written("listing", &self.listings, &mut all)?;
        written("order", &self.orders, &mut all)?;
        written("payment", &self.payments, &mut all)?;
        written("product", &self.products, &mut all)?;
        written("vendor", &self.vendors, &mut all)?;
        written("promotion", &self.promotions, &mut all)?;
        written("delivery", &self.deliveries, &mut all)?;
        Ok(all)
    }
}
