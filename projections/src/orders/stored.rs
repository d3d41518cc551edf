//! An order as its row holds it, and the answer made of it.
//!
//! The answer is spliced: names, addresses and times are kept as the JSON in which they are shown,
//! so they are copied and never read. Only amounts and the payment's status are worked out.
//! `tests::lookup::what_is_spliced_is_what_the_view_says` holds it against [`OrderView`].

use std::sync::Arc;

use domain::exchange::Conversion;
use domain::ids::OrderId;
use domain::money::Currency;
use domain::placing::{Discount, Shipping};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::converted::ConversionView;
use super::view::{self, Audience, DiscountView, OrderView, ShippingView};
use crate::error::Error;
use crate::money::MoneyView;
use crate::paying::{Paying, PaymentStatus, RefundView, Refunds};

/// Bytes that an answer is longer than its row, per amount shown: `{"amount":"","currency":""}`.
const AMOUNT_BYTES: usize = 48;

/// One order, as its row holds it.
#[derive(Debug, Clone)]
pub struct Stored {
    pub(super) id: OrderId,
    pub(super) row: Arc<PgRow>,
}

/// An answer about one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The order's version.
    pub version: i64,
    /// An [`OrderView`] as JSON.
    pub json: Vec<u8>,
}

impl Stored {
    /// For whoever reads it.
    pub fn view(&self) -> Result<OrderView, Error> {
        let placing = serde_json::from_str(self.text("placed")?)?;
        let progress = serde_json::from_str(self.text("progress")?)?;
        Ok(OrderView::of(self.id, placing, progress))
    }

    /// For whoever passes it on to them.
    pub fn shown(&self, audience: Audience) -> Result<Shown, Error> {
        let (placed, progress) = (self.text("placed")?, self.text("progress")?);
        let order = Order {
            id: self.id,
            placed: serde_json::from_str(placed)?,
            progress: serde_json::from_str(progress)?,
        };
        let amounts = 6 + 2 * order.placed.lines.len();
        let bytes = placed.len() + progress.len() + amounts * AMOUNT_BYTES;
        let mut json = Vec::with_capacity(bytes);
        serde_json::to_writer(&mut json, &order.spliced(audience))?;
        Ok(Shown { version: order.progress.version, json })
    }

    fn text(&self, column: &str) -> Result<&str, Error> {
        let value = self.row.try_get_raw(column)?;
        value
            .as_str()
            .map_err(|error| sqlx::Error::Decode(error).into())
    }
}

/// What of an order is read to show it.
struct Order<'row> {
    id: OrderId,
    placed: AsPlaced<'row>,
    progress: Progress<'row>,
}

/// Of [`domain::placing::Placing`].
#[derive(Deserialize)]
struct AsPlaced<'row> {
    #[serde(borrow)]
    customer: &'row RawValue,
    #[serde(borrow)]
    shipping_address: &'row RawValue,
    currency: Currency,
    #[serde(borrow)]
    lines: Vec<Line<'row>>,
    shipping_minor: i64,
    #[serde(default)]
    discount: Option<Box<Discount>>,
    #[serde(default)]
    shipping: Option<Box<Shipping>>,
    #[serde(borrow)]
    payment_id: &'row RawValue,
    #[serde(borrow)]
    placed_at: &'row RawValue,
}

/// Of [`domain::placing::Line`].
#[derive(Deserialize)]
struct Line<'row> {
    #[serde(borrow)]
    sku: &'row RawValue,
    #[serde(borrow)]
    name: &'row RawValue,
    quantity: u32,
    unit_price_minor: i64,
    #[serde(default)]
    converted_from: Option<Box<Conversion>>,
    #[serde(borrow, default)]
    vendor: Option<&'row RawValue>,
}

/// Of [`super::fold::Progress`].
#[derive(Deserialize)]
struct Progress<'row> {
    #[serde(borrow)]
    status: &'row RawValue,
    #[serde(borrow)]
    cancel_reason: Option<&'row RawValue>,
    #[serde(borrow)]
    failure: Option<&'row RawValue>,
    #[serde(borrow)]
    review: &'row RawValue,
    #[serde(borrow)]
    screenings: Vec<&'row RawValue>,
    #[serde(borrow)]
    method: &'row RawValue,
    #[serde(borrow)]
    gateway: &'row RawValue,
    paying: Paying,
    refunds: Refunds,
    #[serde(borrow)]
    shipments: Vec<&'row RawValue>,
    version: i64,
    #[serde(borrow)]
    updated_at: &'row RawValue,
}

/// [`OrderView`], member by member.
#[derive(Serialize)]
struct Spliced<'row> {
    id: OrderId,
    status: &'row RawValue,
    payment_status: PaymentStatus,
    review: &'row RawValue,
    customer: &'row RawValue,
    shipping_address: &'row RawValue,
    items: Vec<Item<'row>>,
    subtotal: MoneyView,
    #[serde(skip_serializing_if = "Option::is_none")]
    discount: Option<DiscountView>,
    shipping_cost: MoneyView,
    #[serde(skip_serializing_if = "Option::is_none")]
    shipping: Option<ShippingView>,
    total: MoneyView,
    captured: MoneyView,
    refunded: MoneyView,
    #[serde(skip_serializing_if = "Option::is_none")]
    charged_back: Option<MoneyView>,
    payment_id: &'row RawValue,
    payment_method: &'row RawValue,
    gateway: &'row RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<&'row RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'row RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    screenings: Vec<&'row RawValue>,
    refunds: Vec<RefundView>,
    shipments: Vec<&'row RawValue>,
    version: i64,
    placed_at: &'row RawValue,
    updated_at: &'row RawValue,
}

/// [`super::view::ItemView`], member by member.
#[derive(Serialize)]
struct Item<'row> {
    sku: &'row RawValue,
    name: &'row RawValue,
    quantity: u32,
    unit_price: MoneyView,
    line_total: MoneyView,
    #[serde(skip_serializing_if = "Option::is_none")]
    discount: Option<MoneyView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    converted_from: Option<ConversionView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor: Option<&'row RawValue>,
}

impl<'row> Order<'row> {
    fn spliced(&self, audience: Audience) -> Spliced<'row> {
        let (placed, progress) = (&self.placed, &self.progress);
        let money = |minor| MoneyView::of(minor, placed.currency);
        let discount = placed.discount.as_deref();
        let item = |(index, line): (usize, &Line<'row>)| Item {
            sku: line.sku,
            name: line.name,
            quantity: line.quantity,
            unit_price: money(line.unit_price_minor),
            line_total: money(line.total_minor()),
            discount: discount.and_then(|of| view::off(of, index)).map(money),
            converted_from: ConversionView::of(line.converted_from.as_deref(), placed.currency),
            vendor: line.vendor,
        };
        let subtotal_minor = placed.subtotal_minor();
        let screenings = match audience {
            Audience::Staff => progress.screenings.clone(),
            Audience::Customer => Vec::new(),
        };
        Spliced {
            id: self.id,
            status: progress.status,
            payment_status: progress.paying.status(),
            review: progress.review,
            customer: placed.customer,
            shipping_address: placed.shipping_address,
            items: placed.lines.iter().enumerate().map(item).collect(),
            subtotal: money(subtotal_minor),
            discount: discount.map(|of| DiscountView::of(of, placed.currency)),
            shipping_cost: money(placed.shipping_minor),
            shipping: placed.shipping.as_deref().cloned().map(Into::into),
            total: money(
                subtotal_minor
                    .saturating_sub(discount.map_or(0, |of| of.amount_minor))
                    .saturating_add(placed.shipping_minor),
            ),
            captured: money(progress.paying.captured_minor),
            refunded: money(progress.paying.refunded_minor),
            charged_back: progress.paying.charged_back(placed.currency),
            payment_id: placed.payment_id,
            payment_method: progress.method,
            gateway: progress.gateway,
            cancel_reason: progress.cancel_reason,
            failure: progress.failure,
            screenings,
            refunds: progress.refunds.view(placed.currency),
            shipments: progress.shipments.clone(),
            version: progress.version,
            placed_at: placed.placed_at,
            updated_at: progress.updated_at,
        }
    }
}

impl AsPlaced<'_> {
    fn subtotal_minor(&self) -> i64 {
        self.lines
            .iter()
            .map(Line::total_minor)
            .fold(0, i64::saturating_add)
    }
}

impl Line<'_> {
    /// Of a placed line, so it can be represented.
    fn total_minor(&self) -> i64 {
        self.unit_price_minor
            .saturating_mul(i64::from(self.quantity))
    }
}
