//! The bodies that commands carry, as the OpenAPI document shows them. Nothing parses into these:
//! the readers beside the handlers tell every flaw at once, which a derived parser cannot. A test
//! in `openapi` holds both together.

mod accounts;
mod community;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

pub use self::accounts::*;
pub use self::community::*;

/// An exact amount of money.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"amount": "4.50", "currency": "GBP"}))]
pub struct Money {
    /// Exact decimal; at most as many decimals as the currency has
    #[schema(pattern = r"^[0-9]+(\.[0-9]+)?$")]
    pub amount: String,
    /// ISO 4217 code
    #[schema(min_length = 3, max_length = 3)]
    pub currency: String,
}

/// Who orders.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Customer {
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    #[schema(format = Email, max_length = 254)]
    pub email: String,
    #[schema(min_length = 1, max_length = 40)]
    pub phone: Option<String>,
}

/// Where the goods go.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    #[schema(min_length = 1, max_length = 200)]
    pub line1: String,
    #[schema(min_length = 1, max_length = 200)]
    pub line2: Option<String>,
    #[schema(min_length = 1, max_length = 100)]
    pub city: Option<String>,
    #[schema(min_length = 1, max_length = 20)]
    pub postcode: Option<String>,
    /// ISO 3166-1 alpha-2; its user-assigned codes and `EU` are allowed
    #[schema(min_length = 2, max_length = 2)]
    pub country: String,
}

/// One line of an order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderItem {
    #[schema(min_length = 1, max_length = 64)]
    pub sku: String,
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub quantity: u32,
    /// Staff only: instead of the catalogue's price
    pub unit_price: Option<Money>,
    /// Staff only: instead of the catalogue's name
    #[schema(min_length = 1, max_length = 200)]
    pub name: Option<String>,
    /// The price that the customer was shown: if it is higher by now, 422 `price_changed`
    pub expected_unit_price: Option<Money>,
}

/// An order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "customer": {"name": "Ada Lovelace", "email": "ada@example.org"},
    "shipping_address": {"line1": "12 St James's Square", "city": "London", "country": "GB"},
    "currency": "GBP",
    "shipping_cost": {"amount": "3.95", "currency": "GBP"},
    "payment_method": "credit_card",
    "payment_token": "ok",
    "items": [{"sku": "CUP-RED", "quantity": 2}]
}))]
pub struct PlaceOrder {
    pub customer: Customer,
    /// Where the goods go, if no `address_id` is given
    pub shipping_address: Option<Address>,
    /// Instead: an address of `GET /profile/addresses`, of which the order keeps a copy. A
    /// telephone number then names its country
    pub address_id: Option<uuid::Uuid>,
    /// ISO 4217 code; every amount of the order is in this currency
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
    /// Payment provider; chosen by the rules of routing if not given, and while there are none
    /// `sandbox` where it is on, or else any that can take it
    pub gateway: Option<String>,
    /// What the provider gave the customer's browser; the sandbox obeys it: `ok`, `declined`,
    /// `silent`, `late`, `twice`, `wrong_amount`, `poll_only`, `refund_fails`, `elevated_risk`,
    /// `highest_risk`
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
    /// Staff only: when the customer ordered, for past orders
    pub placed_at: Option<DateTime<Utc>>,
    #[schema(min_items = 1, max_items = 2000)]
    pub items: Vec<OrderItem>,
}

/// Exchange rates of one day.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "source": "ECB",
    "rates": [{"currency": "USD", "per_eur": "1.0834"}, {"currency": "JPY", "per_eur": "164.35"}]
}))]
pub struct LoadRates {
    /// Who published them
    #[schema(min_length = 1, max_length = 100)]
    pub source: String,
    #[schema(min_items = 1, max_items = 300)]
    pub rates: Vec<ExchangeRate>,
}

/// What one euro costs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExchangeRate {
    /// ISO 4217 code; not EUR
    #[schema(min_length = 3, max_length = 3)]
    pub currency: String,
    /// Units of it that one euro buys: exact decimal, 12 digits at most, 8 of them decimals
    #[schema(pattern = r"^[0-9]+(\.[0-9]+)?$")]
    pub per_eur: String,
}

/// How the customer pays.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentMethod {
    CreditCard,
    DebitCard,
    Paypal,
    BankTransfer,
    Cash,
    Cryptocurrency,
    MobileMoney,
}

/// Why an order is withdrawn.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "ordered twice"}))]
pub struct CancelOrder {
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

/// Why a person is forgotten; it stays in the log, and names nobody.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "asked for it, letter 17"}))]
pub struct ForgetPerson {
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

/// What staff say about an order that is held.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"decision": "approve", "reason": "called back, it is them"}))]
pub struct ReviewOrder {
    /// `approve` or `refuse`
    pub decision: String,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

/// When a rule holds; which of the other fields it has depends on its kind.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleCondition {
    /// `velocity` (`by`, `orders` or `amount` or both, `window_seconds`), `amount` (`above`),
    /// `country_mismatch` (`with`), `blocked` (`what?`), `is` (`what`, `value`), `provider_risk`
    /// (`at_least`)
    pub kind: String,
    /// Whose earlier orders count: `email`, `phone`, `address`, `account`
    pub by: Option<String>,
    /// So many orders are fine, this one included
    #[schema(maximum = 1000)]
    pub orders: Option<u32>,
    /// So much is fine, this order included; orders of its currency count
    pub amount: Option<Money>,
    /// How far back earlier orders count
    #[schema(minimum = 1, maximum = 604_800)]
    pub window_seconds: Option<u32>,
    /// The total may be so much
    pub above: Option<Money>,
    /// What the shipping country is compared with: `phone`, `payer`, `card`
    pub with: Option<String>,
    /// `email`, `email_domain`, `phone`, `country`, `postcode`, `ip`, `account`, `fingerprint`
    pub what: Option<String>,
    /// The one that is meant
    pub value: Option<String>,
    /// `normal`, `elevated`, `highest`
    pub at_least: Option<String>,
}

/// A fraud rule.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "many orders", "outcome": "review",
    "condition": {"kind": "velocity", "by": "email", "orders": 3, "window_seconds": 3600}
}))]
pub struct WriteFraudRule {
    /// What reasons call it; no two rules have the same
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    /// What follows: `accept` (ends the search), `review`, `refuse`
    pub outcome: String,
    pub condition: RuleCondition,
    /// Rules are asked in this order, the smallest first; 100 if not given
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub priority: Option<i32>,
    /// What it is for
    #[schema(min_length = 1, max_length = 500)]
    pub note: Option<String>,
    /// Whether it is asked at all; true if not given
    pub active: Option<bool>,
}

/// Something that is to be blocked.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "kind": "email_domain", "value": "mailinator.example", "note": "throwaway addresses"
}))]
pub struct Block {
    /// `email`, `email_domain`, `phone`, `country`, `postcode`, `ip`, `account`, `fingerprint`
    pub kind: String,
    /// Telephone numbers in international form; an IP address may be a network
    #[schema(min_length = 1, max_length = 320)]
    pub value: String,
    /// Why
    #[schema(min_length = 1, max_length = 500)]
    pub note: String,
    /// When it ends by itself
    pub expires_at: Option<DateTime<Utc>>,
}

/// A body without fields; it may also be left out.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct Nothing {}

/// How a projection is to be rebuilt; it may also be left out.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"until": "2026-11-21T18:00:00Z"}))]
pub struct RebuildProjection {
    /// A position (a number) or a time: fill tables of their own with what was then, and leave the
    /// live ones alone
    #[schema(value_type = Option<String>, example = "2026-11-21T18:00:00Z")]
    pub until: Option<String>,
}

/// Another try at paying.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"payment_method": "debit_card", "payment_token": "ok"}))]
pub struct StartPayment {
    pub payment_method: PaymentMethod,
    /// Payment provider; chosen by the rules of routing if not given, and while there are none
    /// `sandbox` where it is on, or else any that can take it
    pub gateway: Option<String>,
    /// As when placing an order
    #[schema(min_length = 1, max_length = 255)]
    pub payment_token: Option<String>,
}

/// Pieces that a refund is for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefundItem {
    #[schema(min_length = 1, max_length = 64)]
    pub sku: String,
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub quantity: u32,
    /// Whether the pieces go back on the shelf
    pub restock: bool,
}

/// Money to give back: an amount, pieces, an amount for pieces, or, with neither, all that is left.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "reason": "arrived broken",
    "items": [{"sku": "CUP-RED", "quantity": 1, "restock": false}]
}))]
pub struct RefundOrder {
    pub amount: Option<Money>,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
    #[schema(min_items = 1, max_items = 2000)]
    pub items: Option<Vec<RefundItem>>,
    /// Whether all that is left of the shipping goes back beside the items, or, without any, alone;
    /// not beside an amount
    pub shipping: Option<bool>,
}

/// Why unmatched money goes back.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "paid to a closed shop"}))]
pub struct RefundWebhook {
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

/// How a webhook that waited for a person has been settled.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"note": "settled on the provider's own pages"}))]
pub struct ResolveWebhook {
    /// Kept with the webhook, in clear; nothing personal belongs there
    #[schema(min_length = 1, max_length = 500)]
    pub note: String,
}

/// Money that staff have taken.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "amount": {"amount": "15.30", "currency": "GBP"}, "note": "statement 17, line 3"
}))]
pub struct ReceivePayment {
    pub amount: Money,
    /// Kept with the money, such as where a bank statement shows it
    #[schema(min_length = 1, max_length = 255)]
    pub note: Option<String>,
    /// That this is what came in although another amount was asked for
    pub differs: Option<bool>,
}

/// A refund that staff have handed out.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "refund_id": "0192f1a0-0000-7000-8000-000000000001", "note": "over the counter"
}))]
pub struct PayOutRefund {
    pub refund_id: uuid::Uuid,
    #[schema(min_length = 1, max_length = 255)]
    pub note: Option<String>,
}

/// How a product is offered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Red cup", "price": {"amount": "4.50", "currency": "GBP"}, "active": true,
    "prices": [{"amount": "5.40", "currency": "EUR"}], "weight_grams": 350
}))]
pub struct DescribeProduct {
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    pub price: Money,
    /// Whether it can be ordered
    pub active: bool,
    /// The same in further currencies, one price in each
    #[schema(max_items = 50)]
    pub prices: Option<Vec<Money>>,
    /// Staff only: who sells it; where it is not given, whoever does already
    pub vendor: Option<uuid::Uuid>,
    /// What one piece weighs in grams, packed; unknown if not given
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub weight_grams: Option<u32>,
}

/// A business that asks to sell.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "business_name": "Potts Pottery",
    "address": {"line1": "3 Kiln Lane", "city": "Stoke-on-Trent", "country": "GB"}
}))]
pub struct RegisterVendor {
    #[schema(min_length = 1, max_length = 200)]
    pub business_name: String,
    pub address: Address,
    /// What it tells customers of itself
    #[schema(min_length = 1, max_length = 2000)]
    pub description: Option<String>,
    /// Whether customers are told its town and country; false if not given
    pub shows_place: Option<bool>,
    /// Staff only: whose vendor it is to be
    pub account_id: Option<uuid::Uuid>,
}

/// What a vendor's business is called, and where it is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "business_name": "Potts & Daughter",
    "address": {"line1": "3 Kiln Lane", "city": "Stoke-on-Trent", "country": "GB"},
    "description": "Pots since 1760", "shows_place": true
}))]
pub struct DescribeVendor {
    #[schema(min_length = 1, max_length = 200)]
    pub business_name: String,
    pub address: Address,
    /// What it tells customers of itself
    #[schema(min_length = 1, max_length = 2000)]
    pub description: Option<String>,
    /// Whether customers are told its town and country; false if not given
    pub shows_place: Option<bool>,
}

/// Lines of an order that have left.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "lines": [1, 3], "carrier": "Royal Mail", "tracking_number": "JD0002254647"
}))]
pub struct ShipLines {
    /// Their numbers, counted from 1; all that are left if not given
    #[schema(min_items = 1, max_items = 2000, value_type = Option<Vec<i32>>)]
    pub lines: Option<Vec<u16>>,
    #[schema(min_length = 1, max_length = 100)]
    pub carrier: Option<String>,
    #[schema(min_length = 1, max_length = 100)]
    pub tracking_number: Option<String>,
}

/// Goods that came in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"quantity": 100, "reference": "delivery note 17"}))]
pub struct ReceiveStock {
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub quantity: u64,
    #[schema(min_length = 1, max_length = 200)]
    pub reference: String,
}

/// What counting found, as a difference.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"quantity": -3, "reason": "broken on the shelf"}))]
pub struct AdjustStock {
    /// Pieces more, or fewer if negative; not zero
    #[schema(minimum = -1_000_000, maximum = 1_000_000)]
    pub quantity: i64,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

/// Which payment providers are asked for what. Conditions that are left out hold for everything.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "priority": 10,
    "currencies": ["NGN"],
    "methods": ["credit_card", "debit_card"],
    "gateways": ["paystack", "flutterwave"],
    "note": "cheaper than Stripe"
}))]
pub struct WriteRoutingRule {
    /// Rules are tried by it, the lowest first; no two have the same
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub priority: u32,
    /// ISO 4217 codes
    #[schema(max_items = 300)]
    pub currencies: Option<Vec<String>>,
    /// Where the goods go: ISO 3166-1 alpha-2 codes
    #[schema(max_items = 300)]
    pub countries: Option<Vec<String>>,
    /// How the customer pays
    pub methods: Option<Vec<PaymentMethod>>,
    /// At least so much, in this currency only
    pub amount_from: Option<Money>,
    /// At most so much, in this currency only
    pub amount_to: Option<Money>,
    /// Who is asked, the first first
    #[schema(min_items = 1, max_items = 10)]
    pub gateways: Vec<String>,
    /// Whether it counts; `true` if not given
    pub active: Option<bool>,
    /// What it is there for, for people
    #[schema(min_length = 1, max_length = 500)]
    pub note: Option<String>,
}
