//! What an order consists of when it is placed, and the one place that judges it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::delivery::Days;
use crate::exchange::Conversion;
use crate::ids::{CustomerId, Handle, PaymentId, Sku, VendorId};
use crate::money::{AMOUNT_MINOR_MAX, Currency, Money};
use crate::order::Refusal;
use crate::promotion::Code;
use crate::screening::SetAside;

/// Most lines of one order: bounds the largest event, which every load of the stream reads again.
pub const LINES_MAX: usize = 2_000;
/// Most pieces on one line.
pub const QUANTITY_MAX: u32 = 1_000_000;

/// One article, at the price the customer saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The article.
    pub sku: Sku,
    /// Its name when it was ordered.
    pub name: String,
    /// Pieces, 1 to [`QUANTITY_MAX`].
    pub quantity: u32,
    /// Price of one piece in minor units of the order's currency.
    pub unit_price_minor: i64,
    /// What the price was converted from, where the product has none in the order's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub converted_from: Option<Box<Conversion>>,
    /// Who sells it, where that is not the house.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<VendorId>,
}

impl Line {
    /// Price of all pieces, in minor units.
    ///
    /// # Panics
    /// Never for a line of a placed order: its total was found to be representable.
    pub fn total_minor(&self) -> i64 {
        self.unit_price_minor
            .checked_mul(i64::from(self.quantity))
            .expect("a placed line's total is at most AMOUNT_MINOR_MAX")
    }
}

/// What an order costs less, and by which promotion: as it was when the order was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discount {
    /// The promotion.
    pub promotion: Code,
    /// What customers were told.
    pub name: String,
    /// All of it, in minor units of the order's currency; above zero.
    pub amount_minor: i64,
    /// What of it is taken off each line, in their order; they add up to it.
    pub lines_minor: Vec<i64>,
}

/// By which method an order's goods come to the customer: as it was when the order was placed. What
/// that costs is the order's `shipping_minor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipping {
    /// The method.
    pub method: Handle,
    /// What customers were told.
    pub name: String,
    /// Where the goods are picked up, where they do not go to the order's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pickup_point: Option<PickupPoint>,
    /// What they weigh in grams, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_grams: Option<u64>,
    /// How long that was said to take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<Days>,
}

/// A place where goods are picked up, as customers were told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PickupPoint {
    /// Which.
    pub id: Handle,
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub address: Address,
}

/// Who orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// Name as given.
    pub name: String,
    /// Where to write to.
    pub email: String,
    /// Where to call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// Where the goods go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Street and number.
    pub line1: String,
    /// Flat, building, company.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    /// Town.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// Postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postcode: Option<String>,
    /// ISO 3166-1 alpha-2, user-assigned codes included.
    pub country: String,
}

/// How the customer means to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentMethod {
    /// Credit card.
    CreditCard,
    /// Debit card.
    DebitCard,
    /// `PayPal`.
    Paypal,
    /// Transfer to our account.
    BankTransfer,
    /// Notes and coins.
    Cash,
    /// A cryptocurrency.
    Cryptocurrency,
    /// A mobile network's wallet.
    MobileMoney,
}

impl PaymentMethod {
    /// Every method with its name in bodies and events.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("credit_card", Self::CreditCard),
        ("debit_card", Self::DebitCard),
        ("paypal", Self::Paypal),
        ("bank_transfer", Self::BankTransfer),
        ("cash", Self::Cash),
        ("cryptocurrency", Self::Cryptocurrency),
        ("mobile_money", Self::MobileMoney),
    ];
}

/// Which provider is to be asked for the money, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentChoice {
    /// How the customer pays.
    pub method: PaymentMethod,
    /// The provider's name.
    pub gateway: String,
    /// What the provider gave the customer's browser; never a card number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The rule of routing by which the provider was chosen; `None` if the customer named it, or
    /// there were no rules. Only what a rule chose may be exchanged for another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routed_by: Option<Uuid>,
}

/// An order as submitted, with prices and names already looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placing {
    /// Who orders.
    pub customer: Customer,
    /// Their account; `None` for guests and for what staff place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// Where to.
    pub shipping_address: Address,
    /// Currency of every amount of the order.
    pub currency: Currency,
    /// The lines as submitted; equal SKUs may appear on several.
    pub lines: Vec<Line>,
    /// Cost of shipping in minor units.
    pub shipping_minor: i64,
    /// By which method they are sent, where the order names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping: Option<Box<Shipping>>,
    /// What a promotion takes off the goods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<Box<Discount>>,
    /// The payment that will carry the order's money.
    pub payment_id: PaymentId,
    /// How it is to be paid.
    pub payment: PaymentChoice,
    /// When the customer ordered; for history this lies in the past.
    pub placed_at: DateTime<Utc>,
    /// Until when stock is held and money awaited.
    pub pay_by: DateTime<Utc>,
    /// What screening has made of it, where it does not simply go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<SetAside>,
}

/// What lines cost that nobody has judged yet, in minor units; `None` if it cannot be represented.
pub fn subtotal_if_any(lines: &[Line]) -> Option<i64> {
    let subtotal = lines.iter().try_fold(0_i64, |sum, line| {
        let line_minor = line
            .unit_price_minor
            .checked_mul(i64::from(line.quantity))?;
        sum.checked_add(line_minor)
    });
    subtotal.filter(|minor| *minor <= AMOUNT_MINOR_MAX)
}

impl Placing {
    /// Goods at their prices, without shipping and before any discount, in minor units.
    pub fn subtotal_minor(&self) -> i64 {
        self.lines
            .iter()
            .map(Line::total_minor)
            .fold(0_i64, i64::saturating_add)
    }

    /// What is taken off that, in minor units.
    pub fn discount_minor(&self) -> i64 {
        self.discount
            .as_ref()
            .map_or(0, |discount| discount.amount_minor)
    }

    /// The lines, each with what its pieces cost after the discount, in minor units: what was sold
    /// for how much, and what of it can be refunded.
    pub fn lines_paid(&self) -> impl Iterator<Item = (&Line, i64)> {
        self.lines.iter().enumerate().map(|(index, line)| {
            let discount = self.discount.as_ref();
            let off = discount.and_then(|discount| discount.lines_minor.get(index));
            (line, line.total_minor().saturating_sub(off.copied().unwrap_or(0)))
        })
    }

    /// Goods after the discount, and shipping, in minor units.
    pub fn total_minor(&self) -> i64 {
        self.subtotal_minor()
            .saturating_sub(self.discount_minor())
            .saturating_add(self.shipping_minor)
    }

    /// Goods after the discount, and shipping.
    pub fn total(&self) -> Money {
        Money { minor: self.total_minor(), currency: self.currency }
    }

    /// The same of lines that nobody has judged yet; `None` if it cannot be represented.
    pub fn total_if_any(&self) -> Option<Money> {
        let minor = self
            .lines
            .iter()
            .try_fold(self.shipping_minor, |total_minor, line| {
                let line_minor = line
                    .unit_price_minor
                    .checked_mul(i64::from(line.quantity))?;
                total_minor.checked_add(line_minor)
            })?
            .checked_sub(self.discount_minor())?;
        (minor <= AMOUNT_MINOR_MAX).then_some(Money { minor, currency: self.currency })
    }

    /// Pieces per SKU, equal SKUs summed, in order of first appearance.
    pub fn pieces_by_sku(&self) -> Vec<(Sku, u64)> {
        let mut index_of = std::collections::HashMap::with_capacity(self.lines.len());
        let mut pieces: Vec<(Sku, u64)> = Vec::with_capacity(self.lines.len());
        for line in &self.lines {
            let index = *index_of.entry(&line.sku).or_insert_with(|| {
                pieces.push((line.sku.clone(), 0));
                pieces.len().saturating_sub(1)
            });
            if let Some((_, quantity)) = pieces.get_mut(index) {
                *quantity = quantity.saturating_add(u64::from(line.quantity));
            }
        }
        pieces
    }

    /// Judges the lines and amounts; the first rule broken is reported.
    pub(crate) fn judge(&self) -> Result<(), Refusal> {
        if self.lines.is_empty() || LINES_MAX < self.lines.len() {
            return Err(Refusal::LineCount { lines: self.lines.len() });
        }
        for Line { sku, quantity, .. } in &self.lines {
            if *quantity == 0 || QUANTITY_MAX < *quantity {
                return Err(Refusal::Quantity { sku: sku.clone(), quantity: *quantity });
            }
        }
        let mut prices_minor = self.lines.iter().map(|line| line.unit_price_minor);
        if self.shipping_minor < 0 || prices_minor.any(|price_minor| price_minor < 0) {
            return Err(Refusal::NegativeAmount);
        }
        let total = self.total_if_any().ok_or(Refusal::TotalTooLarge)?;
        self.judge_discount()?;
        if total.minor == 0 {
            return Err(Refusal::NothingToPay);
        }
        Ok(())
    }

    /// The discount adds up, and no line costs less than nothing. To be asked once the lines add up.
    fn judge_discount(&self) -> Result<(), Refusal> {
        let Some(discount) = &self.discount else {
            return Ok(());
        };
        let lines = self.lines.iter().zip(&discount.lines_minor);
        let fits = |(line, off): (&Line, &i64)| (0..=line.total_minor()).contains(off);
        let sum = discount.lines_minor.iter().copied();
        let sum = sum.fold(0_i64, i64::saturating_add);
        let adds_up = discount.lines_minor.len() == self.lines.len()
            && lines.into_iter().all(fits)
            && 0 < discount.amount_minor
            && sum == discount.amount_minor;
        if adds_up {
            Ok(())
        } else {
            Err(Refusal::DiscountDoesNotAddUp)
        }
    }
}

#[cfg(test)]
#[path = "placing_tests.rs"]
mod tests;
