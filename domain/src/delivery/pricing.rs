//! What shipping costs for one order, or why a method does not carry it.

use serde::{Deserialize, Serialize};

use super::{BOUND_GRAMS_MAX, Band, Method, Table};
use crate::money::Money;

/// What is to be carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parcel<'a> {
    /// Where to: ISO 3166-1 alpha-2.
    pub country: &'a str,
    /// What the goods cost, after any discount.
    pub goods: Money,
    /// What they weigh in grams; `None` if that is not known of all of them.
    pub grams: Option<u64>,
}

/// Why a method does not carry something. When several apply, the first listed is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Unavailable {
    /// It is switched off.
    #[error("it is not offered at the moment")]
    Inactive,
    /// It does not go there.
    #[error("it does not go to this country")]
    Country,
    /// It has no price in the order's currency: what somebody has to pay is not converted.
    #[error("it has no rates in this currency")]
    Currency,
    /// What it costs depends on the weight, and some of the goods have none.
    #[error("what it costs depends on the weight, which is not known of all articles")]
    WeightUnknown,
    /// No band holds for the weight.
    #[error("it does not carry this weight")]
    Weight,
    /// No band holds for what the goods cost.
    #[error("it is not offered for goods of this total")]
    Total,
}

impl Unavailable {
    /// Its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Country => "country",
            Self::Currency => "currency",
            Self::WeightUnknown => "weight_unknown",
            Self::Weight => "weight",
            Self::Total => "total",
        }
    }
}

impl Method {
    /// What it asks for a parcel, in minor units of the currency of the goods.
    pub fn price_of(&self, parcel: Parcel<'_>) -> Result<i64, Unavailable> {
        if !self.active {
            return Err(Unavailable::Inactive);
        }
        if !self.goes_to(parcel.country) {
            return Err(Unavailable::Country);
        }
        let mut tables = self.rates.iter();
        let table = tables.find(|table| table.currency == parcel.goods.currency);
        table.ok_or(Unavailable::Currency)?.price_of(parcel)
    }

    /// Whether it goes to a country at all.
    pub fn goes_to(&self, country: &str) -> bool {
        self.countries.is_empty() || self.countries.iter().any(|of| of == country)
    }
}

impl Table {
    fn price_of(&self, Parcel { goods, grams, .. }: Parcel<'_>) -> Result<i64, Unavailable> {
        let asks_weight = self.bands.iter().any(Band::asks_weight);
        if asks_weight && grams.is_none() {
            return Err(Unavailable::WeightUnknown);
        }
        // Where no band asks for the weight, any will do.
        let grams = grams.unwrap_or(0);
        let mut carrying = self
            .bands
            .iter()
            .filter(|band| band.carries(grams))
            .peekable();
        if carrying.peek().is_none() {
            return Err(Unavailable::Weight);
        }
        if self.free_from_minor.is_some_and(|from| from <= goods.minor) {
            return Ok(0);
        }
        carrying
            .find(|band| band.is_for(goods.minor))
            .map(|band| band.price_minor)
            .ok_or(Unavailable::Total)
    }
}

impl Band {
    fn asks_weight(&self) -> bool {
        self.over_grams.is_some() || self.up_to_grams.is_some()
    }

    fn carries(&self, grams: u64) -> bool {
        self.over_grams.is_none_or(|over| over < grams)
            && self.up_to_grams.is_none_or(|up_to| grams <= up_to)
    }

    fn is_for(&self, goods_minor: i64) -> bool {
        self.from_minor.is_none_or(|from| from <= goods_minor)
            && self.below_minor.is_none_or(|below| goods_minor < below)
    }

    /// Whether no order is within it, or a bound is beyond what can be.
    pub(super) fn is_empty(&self) -> bool {
        let grams = [self.over_grams, self.up_to_grams].into_iter().flatten();
        let mut amounts_minor = [self.from_minor, self.below_minor].into_iter().flatten();
        let lightest = self.over_grams.unwrap_or(0);
        let least_minor = self.from_minor.unwrap_or(0);
        // What weighs nothing is not over nothing, so a band up to 0 g holds for it alone.
        let has_no_weight = match (self.over_grams, self.up_to_grams) {
            (Some(_), Some(up_to)) => up_to <= lightest,
            (None, _) | (_, None) => false,
        };
        has_no_weight
            || self.below_minor.is_some_and(|below| below <= least_minor)
            || amounts_minor.any(|amount_minor| amount_minor < 0)
            || grams.into_iter().any(|grams| BOUND_GRAMS_MAX < grams)
    }

    /// Whether there is an order for which both hold.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let over = self.over_grams.max(other.over_grams);
        let up_to = least(self.up_to_grams, other.up_to_grams);
        let some_weight = match (over, up_to) {
            (Some(over), Some(up_to)) => over < up_to,
            (None, _) | (_, None) => true,
        };
        let from = self.from_minor.max(other.from_minor);
        let below = least(self.below_minor, other.below_minor);
        let some_total = match (from, below) {
            (Some(from), Some(below)) => from < below,
            (None, _) | (_, None) => true,
        };
        some_weight && some_total
    }
}

/// The lower of two upper bounds, where none is no bound.
fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, None) => one,
        (None, other) => other,
    }
}
