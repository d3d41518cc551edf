//! The bodies of shipping methods, pick-up points and quotes, as the OpenAPI document shows them: see
//! [`super::bodies`].

use serde::Serialize;
use utoipa::ToSchema;

use super::bodies::{Address, Money};
use super::buying_bodies::CartItem;

/// How a shipping method is offered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Post", "description": "By the postman, on working days", "countries": ["GB", "IE"],
    "days": {"min": 2, "max": 4},
    "rates": [{
        "currency": "GBP", "free_from": {"amount": "50.00", "currency": "GBP"},
        "bands": [
            {"weight_up_to": 2000, "price": {"amount": "3.50", "currency": "GBP"}},
            {"weight_over": 2000, "weight_up_to": 10000,
             "price": {"amount": "7.00", "currency": "GBP"}}
        ]
    }]
}))]
pub struct DescribeShippingMethod {
    /// What customers are told
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    /// What else they are told
    #[schema(min_length = 1, max_length = 500)]
    pub description: Option<String>,
    /// `address`, the order's, if not given
    pub kind: Option<ShippingKind>,
    /// Of a method to pick-up points: their names
    #[schema(max_items = 2000)]
    pub pickup_points: Option<Vec<String>>,
    /// Whether it can be chosen; true if not given
    pub active: Option<bool>,
    /// Where it goes, ISO 3166-1 alpha-2; everywhere if not given
    #[schema(max_items = 300)]
    pub countries: Option<Vec<String>>,
    /// What it costs, one table in each currency; it is not offered in others
    #[schema(min_items = 1, max_items = 50)]
    pub rates: Vec<ShippingRates>,
    /// How long it takes
    pub days: Option<ShippingDays>,
}

/// Where goods go.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShippingKind {
    /// To the address of the order
    Address,
    /// To where the customer picks them up
    PickupPoint,
}

/// What a method costs in a currency.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShippingRates {
    /// ISO 4217 code; of every amount in it
    #[schema(min_length = 3, max_length = 3)]
    pub currency: String,
    /// What the goods must come to for their shipping to cost nothing; their weight must be one that
    /// a band holds for all the same
    pub free_from: Option<Money>,
    /// No two of them may hold for the same order; what none holds for is not carried
    #[schema(min_items = 1, max_items = 200)]
    pub bands: Vec<ShippingBand>,
}

/// What shipping costs within bounds; without any, always.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShippingBand {
    /// Heavier than so many grams
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub weight_over: Option<u64>,
    /// At most so many grams
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub weight_up_to: Option<u64>,
    /// Goods for this or more, after any discount
    pub total_from: Option<Money>,
    /// Goods for less than this, after any discount
    pub total_below: Option<Money>,
    /// 0 for nothing
    pub price: Money,
}

/// From so many days to so many.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShippingDays {
    #[schema(minimum = 0, maximum = 365)]
    pub min: u16,
    #[schema(minimum = 0, maximum = 365)]
    pub max: u16,
}

/// How a pick-up point is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Station kiosk", "opening_hours": "Mo-Su 06:00-22:00",
    "address": {"line1": "Platform 1, Euston Station", "city": "London", "country": "GB"}
}))]
pub struct DescribePickupPoint {
    /// What customers are told
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    pub address: Address,
    /// When it is open, in words
    #[schema(min_length = 1, max_length = 500)]
    pub opening_hours: Option<String>,
    /// Whether it can be chosen; true if not given
    pub active: Option<bool>,
}

/// What is to be sent, and where to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "country": "GB", "currency": "GBP", "items": [{"sku": "CUP-RED", "quantity": 2}]
}))]
pub struct AskShipping {
    /// ISO 3166-1 alpha-2
    #[schema(min_length = 2, max_length = 2)]
    pub country: String,
    /// ISO 4217 code; the order's
    #[schema(min_length = 3, max_length = 3)]
    pub currency: String,
    /// The promotion that the order would name: what is free from a total on is so after the discount
    #[schema(min_length = 1, max_length = 40)]
    pub promotion_code: Option<String>,
    #[schema(min_items = 1, max_items = 2000)]
    pub items: Vec<CartItem>,
}
