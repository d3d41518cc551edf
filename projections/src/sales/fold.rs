//! What a batch of events adds to the sales.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use domain::event::Event;
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
}

/// Where an order's sales are booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) day: NaiveDate,
    pub(super) country: String,
    pub(super) currency: String,
    /// Not booked yet; `None` once they are.
    pub(super) goods: Option<Vec<Good>>,
}

/// Sales of a day and currency: of a country, or of a SKU.
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
    /// The orders whose row is new or has changed.
    pub(super) changed: BTreeSet<Uuid>,
    pub(super) by_country: BTreeMap<Key, Added>,
    pub(super) by_sku: BTreeMap<Key, Added>,
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
                self.changed.insert(id);
            }
            order::Event::Confirmed { .. } => self.confirm(id),
            order::Event::Refunded(refund) => self.refund(id, refund),
            order::Event::Processing
            | order::Event::Screened(_)
            | order::Event::ReviewApproved { .. }
            | order::Event::ReviewRefused { .. }
            | order::Event::Completed
            | order::Event::Cancelled { .. }
            | order::Event::Failed(_)
            | order::Event::RefundRequested(_)
            | order::Event::RefundFailed { .. } => {}
        }
    }

    fn confirm(&mut self, id: Uuid) {
        let Some(order) = self.orders.get_mut(&id) else {
            return;
        };
        let Some(goods) = order.goods.take() else {
            return;
        };
        self.changed.insert(id);
        let mut whole = Added { orders: 1, ..Added::default() };
        for Good { sku, units, gross_minor } in goods {
            let sold = Added { orders: 1, units, gross_minor, refunded_minor: 0 };
            self.by_sku.entry(order.key(sku)).or_default().add(sold);
            whole.add(Added { orders: 0, ..sold });
        }
        self.by_country
            .entry(order.key(order.country.clone()))
            .or_default()
            .add(whole);
    }

    /// Shipping is left out, as it is of the gross.
    fn refund(&mut self, id: Uuid, refund: &Refund) {
        let Some(order) = self.orders.get(&id) else {
            return;
        };
        for part in &refund.goods {
            let back = Added { refunded_minor: part.amount_minor, ..Added::default() };
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
        for line in &placing.lines {
            let sum = gross_minor.entry(line.sku.as_str()).or_default();
            *sum = sum.saturating_add(line.total_minor());
        }
        let goods = placing
            .pieces_by_sku()
            .into_iter()
            .map(|(sku, units)| Good {
                units: i64::try_from(units).unwrap_or(i64::MAX),
                gross_minor: gross_minor.get(sku.as_str()).copied().unwrap_or(0),
                sku: sku.into(),
            });
        Self {
            day: storable::instant(placing.placed_at).date_naive(),
            country: storable::key(&placing.shipping_address.country),
            currency: placing.currency.code().to_owned(),
            goods: Some(goods.collect()),
        }
    }

    fn key(&self, of: String) -> Key {
        Key { day: self.day, of, currency: self.currency.clone() }
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
