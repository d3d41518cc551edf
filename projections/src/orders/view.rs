//! An order as it is shown.

use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::delivery::Days;
use domain::ids::{Handle, OrderId, PaymentId, Sku, VendorId};
use domain::money::Currency;
use domain::order::{Failure, Review};
use domain::placing::{Address, Discount, Line, PaymentMethod, PickupPoint, Placing, Shipping};
use domain::promotion::Code;
use domain::screening::{Outcome, Reason, Screening};
use serde::{Deserialize, Serialize};
use store::recorded::RecordedEvent;
use utoipa::ToSchema;

use super::converted::ConversionView;
use super::fold::{Folded, Progress};
use crate::history::Fold as _;
use crate::money::MoneyView;
use crate::paying::{PaymentStatus, RefundView};

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Its stock is being reserved.
    Pending,
    /// Its money is awaited.
    Processing,
    /// Paid.
    Confirmed,
    /// Fulfilled.
    Completed,
    /// Withdrawn.
    Cancelled,
    /// Given up, because stock was short, money did not come, or it was refused.
    Failed,
    /// All of its money has gone back.
    Refunded,
}

/// Why a text is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a status is pending, processing, confirmed, completed, cancelled, failed or refunded")]
pub struct UnknownStatus;

impl Status {
    /// Every status with its name.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("pending", Self::Pending),
        ("processing", Self::Processing),
        ("confirmed", Self::Confirmed),
        ("completed", Self::Completed),
        ("cancelled", Self::Cancelled),
        ("failed", Self::Failed),
        ("refunded", Self::Refunded),
    ];

    /// The name in answers and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Confirmed => "confirmed",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Refunded => "refunded",
        }
    }
}

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        let named = |(name, _): &&(&str, Self)| *name == text;
        Self::NAMES
            .iter()
            .find(named)
            .map(|(_, status)| *status)
            .ok_or(UnknownStatus)
    }
}

/// Every state of a review with its name in answers and rows.
pub const REVIEWS: [(&str, Review); 4] = [
    ("none", Review::None),
    ("held", Review::Held),
    ("approved", Review::Approved),
    ("refused", Review::Refused),
];

pub(super) fn review_name(review: Review) -> &'static str {
    match review {
        Review::None => "none",
        Review::Held => "held",
        Review::Approved => "approved",
        Review::Refused => "refused",
    }
}

/// Whom an order is shown to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Audience {
    /// Whoever sees every order.
    Staff,
    /// Whose order it is; they are not told by which rule it was judged.
    #[default]
    Customer,
}

/// Why a rule held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReasonView {
    /// The rule's name when it held.
    pub rule: String,
    /// `accept`, `review` or `refuse`.
    #[schema(value_type = String, example = "review")]
    pub outcome: Outcome,
    /// What it found.
    #[schema(example = "4 orders by the same e-mail address within 3600 s")]
    pub detail: String,
}

/// What the fraud rules made of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ScreeningView {
    /// `accept`, `review` or `refuse`.
    #[schema(value_type = String, example = "review")]
    pub outcome: Outcome,
    /// Every rule that held, in order.
    pub reasons: Vec<ReasonView>,
    /// When the hold ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review_by: Option<DateTime<Utc>>,
}

impl From<Screening> for ScreeningView {
    fn from(screening: Screening) -> Self {
        let reason =
            |Reason { rule, outcome, detail }: Reason| ReasonView { rule, outcome, detail };
        Self {
            outcome: screening.outcome,
            reasons: screening.reasons.into_iter().map(reason).collect(),
            review_by: screening.review_by,
        }
    }
}

/// Who ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CustomerView {
    /// Name as given.
    pub name: String,
    /// Where to write to.
    pub email: String,
    /// Where to call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// Where the goods go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AddressView {
    /// Street and number.
    pub line1: String,
    /// Flat, building, company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    /// Town.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postcode: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: String,
}

impl From<Address> for AddressView {
    fn from(Address { line1, line2, city, postcode, country }: Address) -> Self {
        Self { line1, line2, city, postcode, country }
    }
}

/// One line, at the price the customer saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ItemView {
    /// The article.
    #[schema(value_type = String)]
    pub sku: Sku,
    /// Its name when it was ordered.
    pub name: String,
    /// Pieces.
    pub quantity: u32,
    /// Price of one piece.
    pub unit_price: MoneyView,
    /// Price of all pieces.
    pub line_total: MoneyView,
    /// What of the order's discount is taken off that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount: Option<MoneyView>,
    /// What the price was converted from, where the product had none in the order's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub converted_from: Option<ConversionView>,
    /// Who sells it, where that is not the house.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    pub vendor: Option<VendorId>,
}

/// Lines that have left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShipmentView {
    /// Which, counted from 1 in the order of `items`.
    #[schema(value_type = Vec<i32>, example = json!([1, 3]))]
    pub lines: Vec<u16>,
    /// Who carries them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "Royal Mail")]
    pub carrier: Option<String>,
    /// What the carrier calls them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
    /// When they left.
    pub shipped_at: DateTime<Utc>,
}

/// What a promotion takes off an order, as it was when that was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DiscountView {
    /// The promotion's code.
    #[schema(value_type = String, example = "SPRING-26")]
    pub promotion: Code,
    /// What customers were told.
    pub name: String,
    /// All of it.
    pub amount: MoneyView,
}

impl DiscountView {
    pub(super) fn of(discount: &Discount, currency: Currency) -> Self {
        Self {
            promotion: discount.promotion.clone(),
            name: discount.name.clone(),
            amount: MoneyView::of(discount.amount_minor, currency),
        }
    }
}

/// By which method an order is sent, as it was when that was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ShippingView {
    /// The method.
    #[schema(value_type = String, example = "post")]
    pub method: Handle,
    /// What customers were told.
    pub name: String,
    /// Where the goods are picked up, where they do not go to the order's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pickup_point: Option<PickupPointView>,
    /// What the goods weigh in grams, where that was known.
    pub weight_grams: Option<u64>,
    /// How many days it was said to take.
    pub days: Option<DaysView>,
}

/// A place where goods are picked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PickupPointView {
    /// Which.
    #[schema(value_type = String, example = "station")]
    pub id: Handle,
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub address: AddressView,
}

/// From so many days to so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct DaysView {
    /// Not fewer.
    pub min: u16,
    /// Not more.
    pub max: u16,
}

impl From<Days> for DaysView {
    fn from(Days { min, max }: Days) -> Self {
        Self { min, max }
    }
}

impl From<Shipping> for ShippingView {
    fn from(shipping: Shipping) -> Self {
        let point = |PickupPoint { id, name, address }| PickupPointView {
            id,
            name,
            address: address.into(),
        };
        Self {
            method: shipping.method,
            name: shipping.name,
            pickup_point: shipping.pickup_point.map(point),
            weight_grams: shipping.weight_grams,
            days: shipping.days.map(Into::into),
        }
    }
}

/// What is taken off a line, where anything is.
pub(super) fn off(discount: &Discount, index: usize) -> Option<i64> {
    let off = discount.lines_minor.get(index).copied();
    off.filter(|off| *off != 0)
}

/// One order, all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OrderView {
    /// Which.
    #[schema(value_type = Uuid)]
    pub id: OrderId,
    /// How far it has come.
    pub status: Status,
    /// Where its money stands.
    pub payment_status: PaymentStatus,
    /// Whether staff have to look at it: `none`, `held`, `approved` or `refused`.
    #[schema(value_type = String, example = "none")]
    pub review: Review,
    /// Who ordered.
    pub customer: CustomerView,
    /// Where the goods go.
    pub shipping_address: AddressView,
    /// The lines as submitted.
    pub items: Vec<ItemView>,
    /// Goods at their prices, without shipping and before any discount.
    pub subtotal: MoneyView,
    /// What a promotion takes off that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount: Option<DiscountView>,
    /// Shipping.
    pub shipping_cost: MoneyView,
    /// By which method the goods are sent, where the order named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipping: Option<ShippingView>,
    /// Goods after the discount, and shipping.
    pub total: MoneyView,
    /// All money that came in for it.
    pub captured: MoneyView,
    /// What has gone back of that.
    pub refunded: MoneyView,
    /// What its provider has taken back of that, because it is disputed; absent if nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charged_back: Option<MoneyView>,
    /// The payment that carries its money.
    #[schema(value_type = Uuid)]
    pub payment_id: PaymentId,
    /// How it is paid: as chosen last.
    #[schema(value_type = String, example = "credit_card")]
    pub payment_method: PaymentMethod,
    /// The provider chosen last.
    pub gateway: String,
    /// Why it was withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_reason: Option<String>,
    /// Why it was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub failure: Option<Failure>,
    /// What the fraud rules made of it, where there are any; for staff, analysts and auditors only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub screenings: Vec<ScreeningView>,
    /// Its refunds, in the order in which they were asked for.
    pub refunds: Vec<RefundView>,
    /// What has left, where its vendors or staff said so line by line.
    pub shipments: Vec<ShipmentView>,
    /// The order's version, for `If-Match`.
    pub version: i64,
    /// When the customer ordered.
    pub placed_at: DateTime<Utc>,
    /// When it last moved.
    pub updated_at: DateTime<Utc>,
}

/// One order in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OrderSummary {
    /// Which.
    #[schema(value_type = Uuid)]
    pub id: OrderId,
    /// How far it has come.
    pub status: Status,
    /// Where its money stands.
    pub payment_status: PaymentStatus,
    /// Whether staff have to look at it: `none`, `held`, `approved` or `refused`.
    #[schema(value_type = String, example = "none")]
    pub review: Review,
    /// Who ordered; without the telephone number.
    pub customer: CustomerView,
    /// Where the goods go.
    pub country: String,
    /// Goods and shipping.
    pub total: MoneyView,
    /// What of it is for shipping.
    pub shipping_cost: MoneyView,
    /// The shipping method, where the order named one.
    pub shipping_method: Option<String>,
    /// What has gone back.
    pub refunded: MoneyView,
    /// The order's version, for `If-Match`.
    pub version: i64,
    /// When the customer ordered.
    pub placed_at: DateTime<Utc>,
    /// When it last moved.
    pub updated_at: DateTime<Utc>,
}

impl OrderView {
    /// What one order's events, and its payment's, make of it; in log order, others do no harm.
    /// `None` if it was not placed yet.
    pub fn at(events: &[Arc<RecordedEvent>]) -> Option<Self> {
        let mut folded = Folded::to(Audience::Staff);
        for event in events {
            folded.take(event);
        }
        folded.shown()
    }

    /// The same for them.
    #[must_use]
    pub fn shown_to(mut self, audience: Audience) -> Self {
        match audience {
            Audience::Staff => {}
            Audience::Customer => self.screenings.clear(),
        }
        self
    }

    pub(super) fn of(id: OrderId, placing: Placing, progress: Progress) -> Self {
        let money = |minor| MoneyView::of(minor, placing.currency);
        let discount = placing.discount.as_deref();
        let item = |(index, line): (usize, &Line)| ItemView {
            sku: line.sku.clone(),
            name: line.name.clone(),
            quantity: line.quantity,
            unit_price: money(line.unit_price_minor),
            line_total: money(line.total_minor()),
            discount: discount.and_then(|of| off(of, index)).map(money),
            converted_from: ConversionView::of(line.converted_from.as_deref(), placing.currency),
            vendor: line.vendor,
        };
        Self {
            id,
            status: progress.status,
            payment_status: progress.paying.status(),
            review: progress.review,
            items: placing.lines.iter().enumerate().map(item).collect(),
            subtotal: money(placing.subtotal_minor()),
            discount: discount.map(|of| DiscountView::of(of, placing.currency)),
            shipping_cost: money(placing.shipping_minor),
            shipping: placing.shipping.as_deref().cloned().map(Into::into),
            total: money(placing.total_minor()),
            captured: money(progress.paying.captured_minor),
            refunded: money(progress.paying.refunded_minor),
            charged_back: progress.paying.charged_back(placing.currency),
            payment_id: placing.payment_id,
            payment_method: progress.method,
            gateway: progress.gateway,
            cancel_reason: progress.cancel_reason,
            failure: progress.failure,
            screenings: progress.screenings.into_iter().map(Into::into).collect(),
            refunds: progress.refunds.view(placing.currency),
            shipments: progress.shipments,
            version: progress.version,
            placed_at: placing.placed_at,
            updated_at: progress.updated_at,
            customer: CustomerView {
                name: placing.customer.name,
                email: placing.customer.email,
                phone: placing.customer.phone,
            },
            shipping_address: placing.shipping_address.into(),
        }
    }
}
