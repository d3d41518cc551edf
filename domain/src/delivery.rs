//! Delivery: by which methods goods come to customers, what that costs, and where they are picked up.
//!
//! A method has a table of rates for each currency that it is offered in. A band of a table holds for
//! weights *over* one bound and *up to* another, as carriers have it, and for goods that come to one
//! amount or more and to *less than* another, as shops have it.
//!
//! 1. No two bands of a table hold for the same order, so there is one price or none.
//! 2. A method to pick-up points names such as are known.
//! 3. What an order was asked for its shipping is frozen into it, with the method's name: what is
//!    said here holds for orders to come.
//!
//! Invariant 2 is about methods and points together, so all of them are one aggregate with one
//! stream. There are few, and they change seldom. None is ever taken away, only switched off: orders
//! and events name them.

mod pricing;

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::aggregate::{Decider, runs_on_cqrs_es, stored_events};
use crate::ids::Handle;
use crate::money::{AMOUNT_MINOR_MAX, Currency};
use crate::placing::Address;

pub use self::pricing::{Parcel, Unavailable};

/// The one stream's id.
pub const SHOP: &str = "shop";
/// Longest description of a method, in characters: what still fits beside a choice.
pub const DESCRIPTION_CHARS_MAX: usize = 500;
/// Longest opening hours, in characters: a line for each day.
pub const HOURS_CHARS_MAX: usize = 500;
/// Most methods: a quote looks at each, and all of them are in memory.
pub const METHODS_MAX: usize = 100;
/// Most pick-up points: all of them are in memory, half a kilobyte each.
pub const POINTS_MAX: usize = 2_000;
/// Most countries of a method: all there are.
pub const COUNTRIES_MAX: usize = 300;
/// Most tables of a method, one for each currency that a shop sells in.
pub const TABLES_MAX: usize = 50;
/// Most bands of a method, those of all its tables: each is compared with each when it is described.
pub const BANDS_MAX: usize = 200;
/// Heaviest weight that a band names, in grams: a thousand tonnes.
pub const BOUND_GRAMS_MAX: u64 = 1_000_000_000;
/// Longest time on the way, in days.
pub const DAYS_MAX: u16 = 365;

/// Every method and every pick-up point of the shop.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    methods: BTreeMap<Handle, Method>,
    points: BTreeMap<Handle, Point>,
}

/// A way for goods to come to customers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    /// What customers are told.
    pub name: String,
    /// What else they are told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Where the goods go.
    pub to: Destination,
    /// Whether it can be chosen.
    pub active: bool,
    /// Where it goes: ISO 3166-1 alpha-2 in order; everywhere if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub countries: Vec<String>,
    /// What it costs, in order of their currencies.
    pub rates: Vec<Table>,
    /// How long it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<Days>,
}

/// Where goods go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Destination {
    /// To the address of the order.
    Address,
    /// To where the customer picks them up.
    PickupPoint {
        /// Where that may be, in order.
        points: Vec<Handle>,
    },
}

/// From so many days to so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Days {
    /// Not less.
    pub min: u16,
    /// Not more, at most [`DAYS_MAX`].
    pub max: u16,
}

/// What a method costs in a currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Of every amount in it.
    pub currency: Currency,
    /// What the goods must come to for their shipping to cost nothing, in minor units. Their weight
    /// must be one that a band holds for all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_from_minor: Option<i64>,
    /// The prices; an order for which none holds is not carried.
    pub bands: Vec<Band>,
}

/// What shipping costs within these bounds; without any, always.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band {
    /// Heavier than this, in grams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_grams: Option<u64>,
    /// At most this heavy, in grams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to_grams: Option<u64>,
    /// Goods for this or more, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_minor: Option<i64>,
    /// Goods for less than this, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below_minor: Option<i64>,
    /// What it costs, in minor units; 0 for nothing.
    pub price_minor: i64,
}

/// A place where goods are picked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// What customers are told.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// When it is open, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub opening_hours: String,
    /// Whether it can be chosen.
    pub active: bool,
}

/// What can be asked.
#[derive(Debug, Clone)]
pub enum Command {
    /// Offer a method like this from now on.
    DescribeMethod {
        /// Which.
        method_id: Handle,
        /// How.
        method: Box<Method>,
    },
    /// Let there be this pick-up point, like this from now on.
    DescribePoint {
        /// Which.
        point_id: Handle,
        /// How.
        point: Box<Point>,
    },
}

/// What can have happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// A method is offered like this from now on.
    #[serde(rename = "delivery.method_described")]
    MethodDescribed {
        /// Which.
        method_id: Handle,
        /// How.
        method: Box<Method>,
    },
    /// A pick-up point is like this from now on.
    #[serde(rename = "delivery.point_described")]
    PointDescribed {
        /// Which.
        point_id: Handle,
        /// How.
        point: Box<Point>,
    },
}

stored_events!(Event {
    Self::MethodDescribed { .. } => "delivery.method_described" v 1,
    Self::PointDescribed { .. } => "delivery.point_described" v 1,
});
runs_on_cqrs_es!(Delivery, "delivery");

/// Why not. When several apply, the first listed is reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// Beyond [`METHODS_MAX`].
    #[error("there are at most {METHODS_MAX} shipping methods: describe one anew that is not used")]
    TooManyMethods,
    /// Beyond [`POINTS_MAX`].
    #[error("there are at most {POINTS_MAX} pick-up points: describe one anew that is not used")]
    TooManyPoints,
    /// Nobody could pick anything up.
    #[error("a method to pick-up points names 1 to {POINTS_MAX} of them, not {points}")]
    PointCount {
        /// How many there were.
        points: usize,
    },
    /// Invariant 2.
    #[error("there is no pick-up point {point_id}")]
    UnknownPoint {
        /// Which.
        point_id: Handle,
    },
    /// Beyond [`COUNTRIES_MAX`].
    #[error("a method names at most {COUNTRIES_MAX} countries, not {countries}")]
    TooManyCountries {
        /// How many there were.
        countries: usize,
    },
    /// Nobody could say when.
    #[error("a delivery takes 0 to {DAYS_MAX} days, the most of them not fewer than the least")]
    DaysOutOfBounds,
    /// Nobody could pay for it.
    #[error("a method has 1 to {TABLES_MAX} tables of rates, not {tables}")]
    TableCount {
        /// How many there were.
        tables: usize,
    },
    /// Which of them would count?
    #[error("there are two tables of rates in {currency}")]
    TwoTables {
        /// In which.
        currency: Currency,
    },
    /// Bounds the event.
    #[error("a method has at most {BANDS_MAX} bands in all, and each table at least one")]
    BandCount,
    /// Nobody is paid for having something carried.
    #[error("rates in {currency}: band {band} has a price below zero or too large")]
    PriceOutOfBounds {
        /// In which table.
        currency: Currency,
        /// Counted from 1.
        band: usize,
    },
    /// No order would ever be within it.
    #[error(
        "rates in {currency}: nothing is within band {band}; its upper bounds must be above its \
         lower ones, and none below zero"
    )]
    EmptyBand {
        /// In which table.
        currency: Currency,
        /// Counted from 1.
        band: usize,
    },
    /// Everything would be free, or nothing.
    #[error("rates in {currency}: what goods must come to must be above zero")]
    FreeFromOutOfBounds {
        /// In which table.
        currency: Currency,
    },
    /// Invariant 1.
    #[error("rates in {currency}: bands {band} and {other} hold for the same order")]
    BandsOverlap {
        /// In which table.
        currency: Currency,
        /// Counted from 1.
        band: usize,
        /// Counted from 1.
        other: usize,
    },
}

impl Delivery {
    /// The method of this name.
    pub fn method(&self, method_id: &Handle) -> Option<&Method> {
        self.methods.get(method_id)
    }

    /// The pick-up point of this name.
    pub fn point(&self, point_id: &Handle) -> Option<&Point> {
        self.points.get(point_id)
    }

    /// Bytes in memory beside the value itself, roughly.
    pub fn heap_bytes(&self) -> usize {
        let methods = self.methods.iter().map(|(method_id, method)| {
            size_of::<(Handle, Method)>()
                .saturating_add(method_id.as_str().len())
                .saturating_add(method.heap_bytes())
        });
        let points = self.points.iter().map(|(point_id, point)| {
            size_of::<(Handle, Point)>()
                .saturating_add(point_id.as_str().len())
                .saturating_add(point.heap_bytes())
        });
        methods.chain(points).fold(0, usize::saturating_add)
    }

    /// The method with its lists in order, if it makes sense.
    fn judged(&self, mut method: Method) -> Result<Method, Refusal> {
        if let Destination::PickupPoint { points } = &mut method.to {
            points.sort_unstable();
            points.dedup();
            if points.is_empty() || POINTS_MAX < points.len() {
                return Err(Refusal::PointCount { points: points.len() });
            }
            let mut named = points.iter();
            if let Some(point_id) = named.find(|point_id| !self.points.contains_key(*point_id)) {
                return Err(Refusal::UnknownPoint { point_id: point_id.clone() });
            }
        }
        method.countries.sort_unstable();
        method.countries.dedup();
        if COUNTRIES_MAX < method.countries.len() {
            return Err(Refusal::TooManyCountries { countries: method.countries.len() });
        }
        if method
            .days
            .is_some_and(|days| days.max < days.min || DAYS_MAX < days.max)
        {
            return Err(Refusal::DaysOutOfBounds);
        }
        let tables = &mut method.rates;
        if tables.is_empty() || TABLES_MAX < tables.len() {
            return Err(Refusal::TableCount { tables: tables.len() });
        }
        tables.sort_by_key(|table| table.currency.code());
        let mut seen = HashSet::new();
        let mut currencies = tables.iter().map(|table| table.currency);
        if let Some(currency) = currencies.find(|currency| !seen.insert(*currency)) {
            return Err(Refusal::TwoTables { currency });
        }
        let bands = tables.iter().map(|table| table.bands.len());
        if tables.iter().any(|table| table.bands.is_empty())
            || BANDS_MAX < bands.fold(0, usize::saturating_add)
        {
            return Err(Refusal::BandCount);
        }
        tables.iter().try_for_each(Table::judge)?;
        Ok(method)
    }
}

impl Method {
    fn heap_bytes(&self) -> usize {
        let points = match &self.to {
            Destination::Address => 0,
            Destination::PickupPoint { points } => {
                let texts = points.iter().map(|point_id| point_id.as_str().len());
                let list = points.len().saturating_mul(size_of::<Handle>());
                texts.fold(list, usize::saturating_add)
            }
        };
        let bands = self.rates.iter().map(|table| {
            let bands = table.bands.len().saturating_mul(size_of::<Band>());
            bands.saturating_add(size_of::<Table>())
        });
        let country_bytes = size_of::<String>().saturating_add(2);
        let countries = self.countries.len().saturating_mul(country_bytes);
        let texts = self.name.len().saturating_add(self.description.len());
        bands
            .fold(points, usize::saturating_add)
            .saturating_add(countries)
            .saturating_add(texts)
    }
}

impl Point {
    fn heap_bytes(&self) -> usize {
        let Address { line1, line2, city, postcode, country } = &self.address;
        let optional = [line2, city, postcode].into_iter().flatten();
        let texts = [&self.name, &self.opening_hours, line1, country]
            .into_iter()
            .chain(optional);
        texts.map(String::len).fold(0, usize::saturating_add)
    }
}

impl Table {
    fn judge(&self) -> Result<(), Refusal> {
        let currency = self.currency;
        let amounts = 0..=AMOUNT_MINOR_MAX;
        for (index, band) in self.bands.iter().enumerate() {
            let number = index.saturating_add(1);
            if !amounts.contains(&band.price_minor) {
                return Err(Refusal::PriceOutOfBounds { currency, band: number });
            }
            if band.is_empty() {
                return Err(Refusal::EmptyBand { currency, band: number });
            }
        }
        if self
            .free_from_minor
            .is_some_and(|from| from == 0 || !amounts.contains(&from))
        {
            return Err(Refusal::FreeFromOutOfBounds { currency });
        }
        for (index, band) in self.bands.iter().enumerate() {
            let mut before = self.bands.iter().take(index);
            if let Some(other) = before.position(|other| other.overlaps(band)) {
                return Err(Refusal::BandsOverlap {
                    currency,
                    band: other.saturating_add(1),
                    other: index.saturating_add(1),
                });
            }
        }
        Ok(())
    }
}

impl Decider for Delivery {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: Command) -> Result<Vec<Event>, Refusal> {
        // What is as it should be needs no fact.
        match command {
            Command::DescribeMethod { method_id, method } => {
                let known = self.methods.get(&method_id);
                if known.is_none() && METHODS_MAX <= self.methods.len() {
                    return Err(Refusal::TooManyMethods);
                }
                let method = self.judged(*method)?;
                if known == Some(&method) {
                    return Ok(vec![]);
                }
                Ok(vec![Event::MethodDescribed { method_id, method: Box::new(method) }])
            }
            Command::DescribePoint { point_id, point } => {
                let known = self.points.get(&point_id);
                if known.is_none() && POINTS_MAX <= self.points.len() {
                    return Err(Refusal::TooManyPoints);
                }
                if known == Some(&*point) {
                    return Ok(vec![]);
                }
                Ok(vec![Event::PointDescribed { point_id, point }])
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::MethodDescribed { method_id, method } => {
                self.methods
                    .insert(method_id.clone(), method.as_ref().clone());
            }
            Event::PointDescribed { point_id, point } => {
                self.points.insert(point_id.clone(), point.as_ref().clone());
            }
        }
    }
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
