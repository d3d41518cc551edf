//! A shop that answers commands by the domain's own rules and keeps the log in memory, so that no
//! test can be about a history that could not have happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::aggregate::Decider;
use domain::categories::{self, Categories, SHOP};
use domain::delivery::{self, Band, Delivery, Destination, Method, Point, Table};
use domain::event::Event;
use domain::ids::{OrderId, PaymentId, Sku, VendorId};
use domain::inventory::{self, Inventory};
use domain::listing::{self, Listing};
use domain::order::{self, Order};
use domain::payment::{self, Payment};
use domain::person::{self, Person};
use domain::product::{self, Product};
use domain::promotion::{self, Promotion};
use domain::vendor::{self, Vendor};
use store::recorded::{Metadata, RecordedEvent};
use uuid::Uuid;

use super::stories::Tale;

/// The shop, and all that happened in it.
#[derive(Default)]
pub(super) struct Shop {
    pub(super) orders: BTreeMap<OrderId, Order>,
    payments: BTreeMap<PaymentId, Payment>,
    stock: BTreeMap<Sku, Inventory>,
    products: BTreeMap<Sku, Product>,
    listings: BTreeMap<String, Listing>,
    promotions: BTreeMap<String, Promotion>,
    categories: Categories,
    delivery: Delivery,
    sequences: BTreeMap<(String, String), i64>,
    pub(super) log: Vec<Arc<RecordedEvent>>,
}

/// The first event's time; each further one is a second later.
pub(super) fn opening() -> DateTime<Utc> {
    "2026-03-01T09:00:00.123456Z".parse().unwrap()
}

impl Shop {
    pub(super) fn order(&mut self, id: OrderId, command: order::Command) {
        let order = self.orders.entry(id).or_default();
        for event in decided(order, command) {
            self.record("order", &id.to_string(), id.0, Event::Order(event));
        }
    }

    pub(super) fn payment(&mut self, id: PaymentId, of: OrderId, command: payment::Command) {
        let payment = self.payments.entry(id).or_default();
        for event in decided(payment, command) {
            self.record("payment", &id.to_string(), of.0, Event::Payment(event));
        }
    }

    pub(super) fn stock(&mut self, sku: &str, command: inventory::Command) {
        let correlation = match &command {
            inventory::Command::Reserve { order_id, .. }
            | inventory::Command::Release { order_id }
            | inventory::Command::Issue { order_id }
            | inventory::Command::IssuePart { order_id, .. }
            | inventory::Command::Restock { order_id, .. } => order_id.0,
            inventory::Command::Receive { .. } | inventory::Command::Adjust { .. } => {
                Uuid::from_u128(1)
            }
        };
        let stock = self.stock.entry(sku.parse().unwrap()).or_default();
        for event in decided(stock, command) {
            self.record("inventory", sku, correlation, Event::Inventory(event));
        }
    }

    pub(super) fn describe(&mut self, sku: &str, description: product::Description) {
        let product = self.products.entry(sku.parse().unwrap()).or_default();
        for event in decided(product, product::Command::Describe(description)) {
            self.record("product", sku, Uuid::from_u128(2), Event::Product(event));
        }
    }

    pub(super) fn list(&mut self, handle: &str, command: listing::Command) {
        let listing = self.listings.entry(handle.to_owned()).or_default();
        for event in decided(listing, command) {
            self.record("listing", handle, Uuid::from_u128(3), Event::Listing(event));
        }
    }

    pub(super) fn categorise(&mut self, command: categories::Command) {
        for event in decided(&mut self.categories, command) {
            self.record("categories", SHOP, Uuid::from_u128(4), Event::Categories(event));
        }
    }

    /// A tenth off everything for whoever knows the code.
    pub(super) fn offer(&mut self, code: &str) {
        let terms = promotion::Terms {
            name: "A tenth".into(),
            reduction: promotion::Reduction::Percentage { basis_points: 1_000 },
            automatic: false,
            listed: true,
            active: true,
            starts_at: None,
            ends_at: None,
            uses_max: None,
            uses_per_customer_max: None,
            minimum: vec![],
            skus: vec![],
        };
        self.promote(code, promotion::Command::Describe(terms));
    }

    pub(super) fn promote(&mut self, code: &str, command: promotion::Command) {
        let promotion = self.promotions.entry(code.to_owned()).or_default();
        for event in decided(promotion, command) {
            self.record("promotion", code, Uuid::from_u128(3), Event::Promotion(event));
        }
    }

    /// A method to pick goods up at a point, both of this name.
    pub(super) fn deliver(&mut self, id: &str) {
        let address = Tale::of(0).placing.shipping_address;
        let point =
            Point { name: "Kiosk".into(), address, opening_hours: "Mo-Su".into(), active: true };
        let rates = vec![Table {
            currency: "GBP".parse().unwrap(),
            free_from_minor: Some(5_000),
            bands: vec![Band { up_to_grams: Some(2_000), price_minor: 350, ..Band::default() }],
        }];
        let method = Method {
            name: "Collect".into(),
            description: String::new(),
            to: Destination::PickupPoint { points: vec![id.parse().unwrap()] },
            active: true,
            countries: vec!["GB".into()],
            rates,
            days: None,
        };
        let (method_id, point_id) = (id.parse().unwrap(), id.parse().unwrap());
        for command in [
            delivery::Command::DescribePoint { point_id, point: Box::new(point) },
            delivery::Command::DescribeMethod { method_id, method: Box::new(method) },
        ] {
            for event in decided(&mut self.delivery, command) {
                let id = Uuid::from_u128(6);
                self.record("delivery", delivery::SHOP, id, Event::Delivery(event));
            }
        }
    }

    pub(super) fn forget(&mut self, orders: Vec<OrderId>) {
        let id = Uuid::now_v7();
        let command = person::Command::Forget { orders, reason: "asked for it".into() };
        for event in decided(&mut Person::default(), command) {
            self.record("person", &id.to_string(), id, Event::Person(event));
        }
    }

    pub(super) fn register_vendor(&mut self, id: VendorId) {
        let address = Tale::of(0).placing.shipping_address;
        let (description, shows_place) = (Some("Pots since 1760".into()), true);
        let profile =
            vendor::Profile { business_name: "Potts".into(), address, description, shows_place };
        let command = vendor::Command::Register(profile);
        for event in decided(&mut Vendor::default(), command) {
            self.record("vendor", &id.to_string(), id.0, Event::Vendor(event));
        }
    }

    /// The events of an order and of its payment, in log order.
    pub(super) fn of_order(&self, id: OrderId) -> Vec<Arc<RecordedEvent>> {
        self.log
            .iter()
            .filter(|event| matches!(event.event, Event::Order(_) | Event::Payment(_)))
            .filter(|event| event.metadata.correlation_id == id.0)
            .cloned()
            .collect()
    }

    pub(super) fn head(&self) -> i64 {
        self.log.last().map_or(0, |event| event.position)
    }

    fn record(&mut self, aggregate: &str, id: &str, correlation_id: Uuid, event: Event) {
        let position = self.head() + 1;
        let sequence = self
            .sequences
            .entry((aggregate.to_owned(), id.to_owned()))
            .or_default();
        *sequence += 1;
        let (payload, version) = match &event {
            Event::Order(event) => (serde_json::to_string(event), event.schema_version()),
            Event::Payment(event) => (serde_json::to_string(event), event.schema_version()),
            Event::Inventory(event) => (serde_json::to_string(event), event.schema_version()),
            Event::Product(event) => (serde_json::to_string(event), event.schema_version()),
            Event::Person(event) => (serde_json::to_string(event), event.schema_version()),
            Event::Listing(event) => (serde_json::to_string(event), event.schema_version()),
            Event::Categories(event) => (serde_json::to_string(event), event.schema_version()),
            Event::Vendor(event) => (serde_json::to_string(event), event.schema_version()),
            Event::Promotion(event) => (serde_json::to_string(event), event.schema_version()),
            Event::Delivery(event) => (serde_json::to_string(event), event.schema_version()),
        };
        let payload: Arc<str> = payload.unwrap().into();
        self.log.push(Arc::new(RecordedEvent {
            position,
            event_id: Uuid::now_v7(),
            aggregate_type: aggregate.to_owned(),
            aggregate_id: id.to_owned(),
            sequence: *sequence,
            event_type: event.name(),
            event_version: version.to_string(),
            stored: Arc::clone(&payload),
            payload,
            metadata: Metadata {
                command_id: Uuid::now_v7(),
                correlation_id,
                causation_id: None,
                actor: "staff".to_owned(),
                request_id: None,
                traceparent: None,
                reason: None,
            },
            recorded_at: opening() + TimeDelta::seconds(position),
            event,
        }));
    }
}

#[track_caller]
fn decided<A: Decider>(aggregate: &mut A, command: A::Command) -> Vec<A::Event> {
    let events = aggregate
        .decide(command)
        .expect("the story obeys the rules");
    for event in &events {
        aggregate.evolve(event);
    }
    events
}
