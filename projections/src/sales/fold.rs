//! What a batch of events adds to the sales.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use domain::event::Event;
use domain::ids::VendorId;
use domain::order;
use domain::placing::Placing;
use domain::refunding::Refund;
use serde::{Deserialize, Serialize};
use store::recorded::RecordedEvent;
use uuid::Uuid;

use super::first_of_month;
use crate::storable;

/// What was sold of one SKU in one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Good {
    sku: String,
    units: i64,
    gross_minor: i64,
    /// Whose it is, where it is not the house's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vendor: Option<VendorId>,
}

/// When something was booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Booked {
    pub(super) position: i64,
    pub(super) at: DateTime<Utc>,
}

impl From<&RecordedEvent> for Booked {
    fn from(recorded: &RecordedEvent) -> Self {
        Self { position: recorded.position, at: storable::instant(recorded.recorded_at) }
    }
}

/// Where an order's sales are booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) day: NaiveDate,
    pub(super) country: String,
    pub(super) currency: String,
    /// Of an order that was booked before this batch they are loaded only if some are a vendor's.
    pub(super) goods: Vec<Good>,
    pub(super) booked: Option<Booked>,
}

/// What of a SKU went back with a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Back {
    pub(super) at: Booked,
    pub(super) order_id: Uuid,
    pub(super) sku: String,
    pub(super) day: NaiveDate,
    pub(super) country: String,
    pub(super) currency: String,
    pub(super) refunded_minor: i64,
    pub(super) vendor: String,
}

/// What stands for the vendor of what the house sells.
pub(super) const HOUSE: &str = "house";

/// Sales of a day and currency: of a country, of a SKU, or of a vendor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) day: NaiveDate,
    pub(super) of: String,
    pub(super) currency: String,
}

/// What is added to the sales under one key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Added {
    pub(super) orders: i64,
    pub(super) units: i64,
    pub(super) gross_minor: i64,
    pub(super) refunded_minor: i64,
}

/// A batch, folded.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) orders: BTreeMap<Uuid, Order>,
    /// The orders whose row is new.
    pub(super) placed: BTreeSet<Uuid>,
    /// The orders of earlier batches that are booked now.
    pub(super) booked: BTreeSet<Uuid>,
    pub(super) backs: Vec<Back>,
    pub(super) by_country: BTreeMap<Key, Added>,
    pub(super) by_sku: BTreeMap<Key, Added>,
    pub(super) by_vendor: BTreeMap<Key, Added>,
}

/// The orders that must be known to fold the events, besides those placed among them.
pub(super) fn needed<'a>(events: impl Iterator<Item = &'a RecordedEvent>) -> BTreeSet<Uuid> {
    let books = |event: &&RecordedEvent| {
        matches!(
            event.event,
            Event::Order(order::Event::Confirmed { .. } | order::Event::Refunded(_))
        )
    };
    events
        .filter(books)
        .filter_map(|event| event.aggregate_id.parse().ok())
        .collect()
}

impl Batch {
    /// These orders, as the batch left them.
    pub(super) fn of(&self, ids: &BTreeSet<Uuid>) -> Vec<(Uuid, &Order)> {
        ids.iter()
            .filter_map(|id| Some((*id, self.orders.get(id)?)))
            .collect()
    }

    pub(super) fn take(&mut self, recorded: &RecordedEvent) {
        let Event::Order(event) = &recorded.event else {
            return;
        };
        let Ok(id) = recorded.aggregate_id.parse::<Uuid>() else {
            return;
        };
        match event {
            order::Event::Placed(placing) => {
                self.orders.insert(id, Order::of(placing));
                self.placed.insert(id);
            }
            order::Event::Confirmed { .. } => self.confirm(id, recorded.into()),
            order::Event::Refunded(refund) => self.refund(id, refund, recorded.into()),
            order::Event::Processing
            | order::Event::Screened(_)
            | order::Event::ReviewApproved { .. }
            | order::Event::ReviewRefused { .. }
            | order::Event::LinesShipped(_)
            | order::Event::Completed
            | order::Event::Cancelled { .. }
            | order::Event::Failed(_)
            | order::Event::RefundRequested(_)
            | order::Event::RefundFailed { .. } => {}
        }
    }

    fn confirm(&mut self, id: Uuid, at: Booked) {
        let Some(order) = self.orders.get_mut(&id) else {
            return;
        };
        if order.booked.is_some() {
            return;
        }
        order.booked = Some(at);
        if !self.placed.contains(&id) {
            self.booked.insert(id);
        }
        let mut of_vendors: BTreeMap<String, Added> = BTreeMap::new();
        for good in &order.goods {
            let Good { sku, units, gross_minor, .. } = good;
            let sold =
                Added { orders: 1, units: *units, gross_minor: *gross_minor, refunded_minor: 0 };
            self.by_sku
                .entry(order.key(sku.clone()))
                .or_default()
                .add(sold);
            let of_vendor = of_vendors
                .entry(good.seller())
                .or_insert(Added { orders: 1, ..Added::default() });
            of_vendor.add(Added { orders: 0, ..sold });
        }
        for (vendor, sold) in of_vendors {
            self.by_vendor
                .entry(order.key(vendor))
                .or_default()
                .add(sold);
        }
        self.by_country
            .entry(order.key(order.country.clone()))
            .or_default()
            .add(order.sold());
    }

    /// Shipping is left out, as it is of the gross.
    fn refund(&mut self, id: Uuid, refund: &Refund, at: Booked) {
        let Some(order) = self.orders.get(&id) else {
            return;
        };
        for part in &refund.goods {
            let back = Added { refunded_minor: part.amount_minor, ..Added::default() };
            let good = order
                .goods
                .iter()
                .find(|good| good.sku == part.sku.as_str());
            let vendor = good.map_or_else(|| HOUSE.to_owned(), Good::seller);
            self.backs.push(Back {
                at,
                order_id: id,
                sku: part.sku.to_string(),
                day: order.day,
                country: order.country.clone(),
                currency: order.currency.clone(),
                refunded_minor: part.amount_minor,
                vendor: vendor.clone(),
            });
            self.by_vendor
                .entry(order.key(vendor))
                .or_default()
                .add(back);
            self.by_sku
                .entry(order.key(part.sku.to_string()))
                .or_default()
                .add(back);
            self.by_country
                .entry(order.key(order.country.clone()))
                .or_default()
                .add(back);
        }
    }
}

/// The same sales, each day's under the first day of its month.
pub(super) fn by_month(by_day: &BTreeMap<Key, Added>) -> BTreeMap<Key, Added> {
    let mut by_month: BTreeMap<Key, Added> = BTreeMap::new();
    for (key, added) in by_day {
        let month = Key { day: first_of_month(key.day), ..key.clone() };
        by_month.entry(month).or_default().add(*added);
    }
    by_month
}

impl Order {
    fn of(placing: &Placing) -> Self {
        let mut gross_minor: BTreeMap<&str, i64> = BTreeMap::new();
        let mut vendors: BTreeMap<&str, VendorId> = BTreeMap::new();
        for (line, paid_minor) in placing.lines_paid() {
            vendors.extend(line.vendor.map(|vendor| (line.sku.as_str(), vendor)));
            let sum = gross_minor.entry(line.sku.as_str()).or_default();
            *sum = sum.saturating_add(paid_minor);
        }
        let goods = placing
            .pieces_by_sku()
            .into_iter()
            .map(|(sku, units)| Good {
                units: i64::try_from(units).unwrap_or(i64::MAX),
                gross_minor: gross_minor.get(sku.as_str()).copied().unwrap_or(0),
                vendor: vendors.get(sku.as_str()).copied(),
                sku: sku.into(),
            });
        Self {
            day: storable::instant(placing.placed_at).date_naive(),
            country: storable::key(&placing.shipping_address.country),
            currency: placing.currency.code().to_owned(),
            goods: goods.collect(),
            booked: None,
        }
    }

    /// Whether any of its goods is a vendor's.
    pub(super) fn has_vendors(&self) -> bool {
        self.goods.iter().any(|good| good.vendor.is_some())
    }

    /// All of its goods.
    pub(super) fn sold(&self) -> Added {
        let mut whole = Added { orders: 1, ..Added::default() };
        for Good { units, gross_minor, .. } in &self.goods {
            let (units, gross_minor) = (*units, *gross_minor);
            whole.add(Added { units, gross_minor, ..Added::default() });
        }
        whole
    }

    fn key(&self, of: String) -> Key {
        Key { day: self.day, of, currency: self.currency.clone() }
    }
}

impl Good {
    /// The key of whoever sells it.
    fn seller(&self) -> String {
        self.vendor
            .map_or_else(|| HOUSE.to_owned(), |vendor| vendor.to_string())
    }
}

impl Added {
    fn add(&mut self, other: Self) {
        self.orders = self.orders.saturating_add(other.orders);
        self.units = self.units.saturating_add(other.units);
        self.gross_minor = self.gross_minor.saturating_add(other.gross_minor);
        self.refunded_minor = self.refunded_minor.saturating_add(other.refunded_minor);
    }
}
