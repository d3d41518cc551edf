//! The bodies of what leads to an order, as the OpenAPI document shows them: see [`super::bodies`].

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::bodies::{Address, Customer, Money, PaymentMethod};

/// A cart to be opened.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"currency": "GBP"}))]
pub struct OpenCart {
    /// ISO 4217 code; what prices are shown in
    #[schema(min_length = 3, max_length = 3)]
    pub currency: String,
}

/// So many pieces of an article.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CartItem {
    #[schema(min_length = 1, max_length = 64)]
    pub sku: String,
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub quantity: u32,
}

/// So many pieces of an article from now on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CartItemToBe {
    #[schema(min_length = 1, max_length = 64)]
    pub sku: String,
    /// 0 takes it out
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub quantity: u32,
}

/// What is put into a cart.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"items": [{"sku": "CUP-RED", "quantity": 2}]}))]
pub struct AddToCart {
    /// So many more pieces of each
    #[schema(min_items = 1, max_items = 2000)]
    pub items: Vec<CartItem>,
}

/// What a cart is to be.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"items": [{"sku": "CUP-RED", "quantity": 3}]}))]
pub struct ChangeCart {
    /// ISO 4217 code; what prices are shown in
    #[schema(min_length = 3, max_length = 3)]
    pub currency: Option<String>,
    /// Lines that change; others stay
    #[schema(max_items = 2000)]
    pub items: Option<Vec<CartItemToBe>>,
}

/// How many pieces there are to be.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"quantity": 3}))]
pub struct SetCartItem {
    /// 0 takes it out
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub quantity: u32,
}

/// A guest's cart that is to go into one's own.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"cart_token": "dbc_47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"}))]
pub struct MergeCart {
    #[schema(min_length = 1, max_length = 100)]
    pub cart_token: String,
}

/// An order of what is in a cart.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "customer": {"name": "Ada Lovelace", "email": "ada@example.org"},
    "shipping_address": {"line1": "12 St James's Square", "city": "London", "country": "GB"},
    "currency": "GBP",
    "expected_total": {"amount": "9.00", "currency": "GBP"},
    "payment_method": "credit_card",
    "payment_token": "ok"
}))]
pub struct CheckOut {
    pub customer: Customer,
    /// Where the goods go, if no `address_id` is given
    pub shipping_address: Option<Address>,
    /// Instead: an address of `GET /profile/addresses`, of which the order keeps a copy. A
    /// telephone number then names its country
    pub address_id: Option<uuid::Uuid>,
    /// ISO 4217 code; the cart's
    #[schema(min_length = 3, max_length = 3)]
    pub currency: String,
    /// What shipping costs where no `shipping_method` is named; beside one, for staff only, instead of
    /// its price
    pub shipping_cost: Option<Money>,
    /// How the goods are sent: its price by the rates of the moment is part of the total
    #[schema(min_length = 1, max_length = 100)]
    pub shipping_method: Option<String>,
    /// Where they are picked up, of a method to pick-up points
    #[schema(min_length = 1, max_length = 100)]
    pub pickup_point: Option<String>,
    pub payment_method: PaymentMethod,
    /// Payment provider; chosen by the rules of routing if not given
    pub gateway: Option<String>,
    /// What the provider gave the customer's browser
    #[schema(min_length = 1, max_length = 255)]
    pub payment_token: Option<String>,
    /// Where the customer says to pay from, ISO 3166-1 alpha-2; looked at by fraud rules and not kept
    #[schema(min_length = 2, max_length = 2)]
    pub payer_country: Option<String>,
    /// The customer's IP address, as the shop sees it; looked at by fraud rules and not kept
    #[schema(min_length = 2, max_length = 45)]
    pub client_ip: Option<String>,
    /// The total that the customer was shown: if it is higher by now, 422 `price_changed`; a lower
    /// one is accepted
    pub expected_total: Option<Money>,
    /// The promotion that the customer asks for; in capitals or not
    #[schema(min_length = 1, max_length = 40)]
    pub promotion_code: Option<String>,
}

/// How a promotion is offered. Give either `percentage` or `amounts`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Spring sale", "percentage": "12.5", "listed": true,
    "starts_at": "2026-03-01T00:00:00Z", "ends_at": "2026-04-01T00:00:00Z",
    "uses_max": 1000, "uses_per_customer_max": 1,
    "minimum": [{"amount": "20.00", "currency": "GBP"}]
}))]
pub struct DescribePromotion {
    /// What customers are told
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    /// What is taken off the goods, in percent: above 0, at most 100, two decimals at most
    #[schema(pattern = r"^[0-9]{1,3}(\.[0-9]{1,2})?$")]
    pub percentage: Option<String>,
    /// The same as an amount, one in each currency in which it is offered
    #[schema(min_items = 1, max_items = 50)]
    pub amounts: Option<Vec<Money>>,
    /// Whether it applies by itself; false if not given
    pub automatic: Option<bool>,
    /// Whether everybody is told of it; if not given, only if it applies by itself
    pub listed: Option<bool>,
    /// Whether it can be used; true if not given
    pub active: Option<bool>,
    /// From when on
    pub starts_at: Option<DateTime<Utc>>,
    /// Until when; not at that moment any more
    pub ends_at: Option<DateTime<Utc>>,
    /// How often it may be used, by all orders that are not cancelled or failed
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub uses_max: Option<u32>,
    /// How often by one customer, who has to sign in then; needs `uses_max`, 100,000 at most
    #[schema(minimum = 1, maximum = 100_000)]
    pub uses_per_customer_max: Option<u32>,
    /// What the goods must come to, one amount in each currency in which it is offered
    #[schema(max_items = 50)]
    pub minimum: Option<Vec<Money>>,
    /// The articles that it is for; all if not given
    #[schema(max_items = 1000)]
    pub skus: Option<Vec<String>>,
}
