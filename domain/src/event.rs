//! Every event that the log can hold, read back from its stored form.

use cqrs_es::DomainEvent as _;

use crate::{
    categories, delivery, inventory, listing, order, payment, person, product, promotion, upcast,
    vendor,
};

/// One event of any aggregate.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Of an order.
    Order(order::Event),
    /// Of a payment.
    Payment(payment::Event),
    /// Of the stock of one SKU.
    Inventory(inventory::Event),
    /// Of a product.
    Product(product::Event),
    /// Of somebody who was forgotten.
    Person(person::Event),
    /// Of a listing.
    Listing(listing::Event),
    /// Of the shop's categories.
    Categories(categories::Event),
    /// Of a vendor.
    Vendor(vendor::Event),
    /// Of a promotion.
    Promotion(promotion::Event),
    /// Of shipping methods and pick-up points.
    Delivery(delivery::Event),
}

/// The event is another aggregate's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event is another aggregate's")]
pub struct OfAnother;

macro_rules! events_of {
    ($($variant:ident of $aggregate:ident),+) => {
        $(
            impl From<$aggregate::Event> for Event {
                fn from(event: $aggregate::Event) -> Self {
                    Self::$variant(event)
                }
            }

            impl TryFrom<Event> for $aggregate::Event {
                type Error = OfAnother;

                fn try_from(event: Event) -> Result<Self, OfAnother> {
                    if let Event::$variant(event) = event {
                        Ok(event)
                    } else {
                        Err(OfAnother)
                    }
                }
            }

            impl<'e> TryFrom<&'e Event> for &'e $aggregate::Event {
                type Error = OfAnother;

                fn try_from(event: &'e Event) -> Result<Self, OfAnother> {
                    if let Event::$variant(event) = event {
                        Ok(event)
                    } else {
                        Err(OfAnother)
                    }
                }
            }
        )+
    };
}
events_of!(
    Order of order, Payment of payment, Inventory of inventory, Product of product,
    Person of person, Listing of listing, Categories of categories, Vendor of vendor,
    Promotion of promotion, Delivery of delivery
);

/// A stored event that this version of the program cannot read.
#[derive(Debug, thiserror::Error)]
#[error("the stored event {name} (schema version {version}) cannot be read: {cause}")]
pub struct Unreadable {
    /// Its stored name.
    pub name: String,
    /// Its schema version.
    pub version: String,
    /// What was wrong.
    pub cause: String,
}

impl Event {
    /// Reads a stored payload, upcasting older schema versions.
    pub fn read(
        aggregate_type: &str,
        name: &str,
        version: &str,
        payload: &str,
    ) -> Result<Self, Unreadable> {
        let unreadable = |cause: String| Unreadable {
            name: name.to_owned(),
            version: version.to_owned(),
            cause,
        };
        let upcast = upcast::from_text(name, version, payload)
            .map_err(|cause| unreadable(cause.to_string()))?;
        let payload = upcast.as_deref().unwrap_or(payload);
        let read = match aggregate_type {
            "order" => serde_json::from_str(payload).map(Self::Order),
            "payment" => serde_json::from_str(payload).map(Self::Payment),
            "inventory" => serde_json::from_str(payload).map(Self::Inventory),
            "product" => serde_json::from_str(payload).map(Self::Product),
            "person" => serde_json::from_str(payload).map(Self::Person),
            "listing" => serde_json::from_str(payload).map(Self::Listing),
            "categories" => serde_json::from_str(payload).map(Self::Categories),
            "vendor" => serde_json::from_str(payload).map(Self::Vendor),
            "promotion" => serde_json::from_str(payload).map(Self::Promotion),
            "delivery" => serde_json::from_str(payload).map(Self::Delivery),
            other => return Err(unreadable(format!("there is no aggregate {other}"))),
        };
        read.map_err(|cause| unreadable(cause.to_string()))
    }

    /// The stored name, such as `order.placed`.
    pub fn name(&self) -> String {
        match self {
            Self::Order(event) => event.event_type(),
            Self::Payment(event) => event.event_type(),
            Self::Inventory(event) => event.event_type(),
            Self::Product(event) => event.event_type(),
            Self::Person(event) => event.event_type(),
            Self::Listing(event) => event.event_type(),
            Self::Categories(event) => event.event_type(),
            Self::Vendor(event) => event.event_type(),
            Self::Promotion(event) => event.event_type(),
            Self::Delivery(event) => event.event_type(),
        }
    }

    /// Its payload in the current schema version, whichever it was stored in.
    pub fn payload(&self) -> serde_json::Result<serde_json::Value> {
        match self {
            Self::Order(event) => serde_json::to_value(event),
            Self::Payment(event) => serde_json::to_value(event),
            Self::Inventory(event) => serde_json::to_value(event),
            Self::Product(event) => serde_json::to_value(event),
            Self::Person(event) => serde_json::to_value(event),
            Self::Listing(event) => serde_json::to_value(event),
            Self::Categories(event) => serde_json::to_value(event),
            Self::Vendor(event) => serde_json::to_value(event),
            Self::Promotion(event) => serde_json::to_value(event),
            Self::Delivery(event) => serde_json::to_value(event),
        }
    }

    /// Every stored name there is.
    pub fn names() -> impl Iterator<Item = &'static str> {
        [
            order::Event::NAMES,
            payment::Event::NAMES,
            inventory::Event::NAMES,
            product::Event::NAMES,
            person::Event::NAMES,
            listing::Event::NAMES,
            categories::Event::NAMES,
            vendor::Event::NAMES,
            promotion::Event::NAMES,
            delivery::Event::NAMES,
        ]
        .into_iter()
        .flatten()
        .copied()
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
