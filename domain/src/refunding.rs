//! How a refund is spread over an order's goods and shipping.
//!
//! The order keeps a tally per SKU. A refund by pieces takes what those pieces cost; a refund by
//! amount is split in proportion to what is left. Either way the parts add up to the refund
//! exactly, so that sales by SKU stay exact to the penny. What pieces cost is what was paid for them,
//! after the discount.

use serde::{Deserialize, Serialize};

use crate::ids::{RefundId, Sku};
use crate::money::split;
use crate::order::Refusal;
use crate::placing::Placing;

/// What one SKU of an order or a refund takes in memory with its text.
const GOOD_BYTES: usize = 80;

/// What staff ask to give back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// All that is left.
    Rest,
    /// An amount in minor units, spread over all goods and shipping.
    Amount(i64),
    /// Pieces, at what they cost.
    Pieces(Vec<Pieces>),
    /// An amount in minor units for these pieces only; at most what they cost.
    AmountForPieces(i64, Vec<Pieces>),
    /// Pieces, at what they cost, and all that is left of the shipping.
    PiecesAndShipping(Vec<Pieces>),
    /// All that is left of the shipping, and no goods.
    Shipping,
}

/// Pieces of one SKU that a refund is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pieces {
    /// The article.
    pub sku: Sku,
    /// How many.
    pub quantity: u32,
    /// Whether they go back on the shelf.
    pub restock: Restock,
}

/// What happens to refunded pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restock {
    /// Back on the shelf, for sale again.
    Shelf,
    /// Kept by the customer, broken or lost.
    No,
}

/// Money given back for one SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoodsPart {
    /// The article.
    pub sku: Sku,
    /// Minor units of the order's currency.
    pub amount_minor: i64,
    /// Pieces this part is for; 0 where a refund is by amount.
    pub quantity: u32,
}

/// Pieces of one SKU that go back on the shelf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestockPart {
    /// The article.
    pub sku: Sku,
    /// Pieces.
    pub quantity: u32,
}

/// A refund with its parts; `goods` and `shipping_minor` add up to `amount_minor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Its name.
    pub refund_id: RefundId,
    /// All of it, in minor units of the order's currency.
    pub amount_minor: i64,
    /// What of it is for goods.
    pub goods: Vec<GoodsPart>,
    /// What of it is for shipping.
    pub shipping_minor: i64,
    /// What goes back on the shelf.
    pub restock: Vec<RestockPart>,
    /// Why.
    pub reason: String,
}

impl Refund {
    /// Bytes in memory, roughly.
    pub(crate) fn bytes(&self) -> usize {
        let parts = self.goods.len().saturating_add(self.restock.len());
        size_of::<Self>()
            .saturating_add(self.reason.len())
            .saturating_add(parts.saturating_mul(GOOD_BYTES))
    }
}

/// What one SKU of an order cost, and what of it has been given back or is about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Good {
    sku: Sku,
    quantity: u64,
    paid_minor: i64,
    refunded_minor: i64,
    returned: u64,
}

impl Good {
    fn left_minor(&self) -> i64 {
        self.paid_minor.saturating_sub(self.refunded_minor)
    }

    /// What the first `pieces` pieces cost: cumulative, so that all of them cost exactly all.
    fn cost_of_first(&self, pieces: u64) -> i64 {
        i128::from(self.paid_minor)
            .checked_mul(i128::from(pieces))
            .and_then(|product| product.checked_div(i128::from(self.quantity)))
            .and_then(|cost| i64::try_from(cost).ok())
            .unwrap_or(self.paid_minor)
    }
}

/// An order's goods and shipping, and what has gone back of them. Pending refunds count as gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    goods: Vec<Good>,
    shipping_left_minor: i64,
}

impl Tally {
    pub(crate) fn of(placing: &Placing) -> Self {
        let mut goods: Vec<Good> = placing
            .pieces_by_sku()
            .into_iter()
            .map(|(sku, quantity)| Good {
                sku,
                quantity,
                paid_minor: 0,
                refunded_minor: 0,
                returned: 0,
            })
            .collect();
        let index_of: std::collections::HashMap<Sku, usize> = goods
            .iter()
            .enumerate()
            .map(|(i, good)| (good.sku.clone(), i))
            .collect();
        for (line, paid_minor) in placing.lines_paid() {
            if let Some(good) = index_of.get(&line.sku).and_then(|i| goods.get_mut(*i)) {
                good.paid_minor = good.paid_minor.saturating_add(paid_minor);
            }
        }
        Self { goods, shipping_left_minor: placing.shipping_minor }
    }

    /// Bytes in memory beside the value itself, roughly.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.goods.len().saturating_mul(GOOD_BYTES)
    }

    pub(crate) fn left_minor(&self) -> i64 {
        self.goods
            .iter()
            .map(Good::left_minor)
            .fold(self.shipping_left_minor, i64::saturating_add)
    }

    /// Whether all pieces, or all money, of the article in this place have gone back.
    pub(crate) fn has_gone_back(&self, index: usize) -> bool {
        self.goods.get(index).is_some_and(|good| {
            good.returned == good.quantity || 0 < good.paid_minor && good.left_minor() == 0
        })
    }

    /// Spreads a refund over what is left.
    pub(crate) fn spread(
        &self,
        refund_id: RefundId,
        ask: Ask,
        reason: String,
    ) -> Result<Refund, Refusal> {
        let left_minor = self.left_minor();
        if left_minor == 0 {
            return Err(Refusal::NothingToRefund);
        }
        match ask {
            Ask::Rest => self.by_amount(refund_id, left_minor, reason),
            Ask::Amount(amount_minor) => self.by_amount(refund_id, amount_minor, reason),
            Ask::Pieces(pieces) => self.by_pieces(refund_id, None, pieces, reason),
            Ask::AmountForPieces(amount_minor, pieces) => {
                self.by_pieces(refund_id, Some(amount_minor), pieces, reason)
            }
            Ask::PiecesAndShipping(pieces) => {
                let shipping = self.of_shipping(refund_id, String::new())?;
                let mut refund = self.by_pieces(refund_id, None, pieces, reason)?;
                refund.shipping_minor = shipping.shipping_minor;
                refund.amount_minor = refund.amount_minor.saturating_add(shipping.amount_minor);
                Ok(refund)
            }
            Ask::Shipping => self.of_shipping(refund_id, reason),
        }
    }

    fn of_shipping(&self, refund_id: RefundId, reason: String) -> Result<Refund, Refusal> {
        let shipping_minor = self.shipping_left_minor;
        if shipping_minor <= 0 {
            return Err(Refusal::NoShippingToRefund);
        }
        Ok(Refund {
            refund_id,
            amount_minor: shipping_minor,
            goods: Vec::new(),
            shipping_minor,
            restock: Vec::new(),
            reason,
        })
    }

    fn by_amount(
        &self,
        refund_id: RefundId,
        amount_minor: i64,
        reason: String,
    ) -> Result<Refund, Refusal> {
        if amount_minor <= 0 {
            return Err(Refusal::RefundNotPositive);
        }
        let mut weights: Vec<i64> = self.goods.iter().map(Good::left_minor).collect();
        weights.push(self.shipping_left_minor);
        let mut parts = split(amount_minor, &weights)
            .ok_or(Refusal::RefundTooLarge { left_minor: self.left_minor() })?;
        let shipping_minor = parts.pop().unwrap_or(0);
        let goods = self.goods.iter().zip(parts).filter(|(_, part)| *part != 0);
        Ok(Refund {
            refund_id,
            amount_minor,
            goods: goods
                .map(|(good, amount_minor)| GoodsPart {
                    sku: good.sku.clone(),
                    amount_minor,
                    quantity: 0,
                })
                .collect(),
            shipping_minor,
            restock: Vec::new(),
            reason,
        })
    }

    fn by_pieces(
        &self,
        refund_id: RefundId,
        amount_minor: Option<i64>,
        pieces: Vec<Pieces>,
        reason: String,
    ) -> Result<Refund, Refusal> {
        let mut goods: Vec<GoodsPart> = Vec::with_capacity(pieces.len());
        let mut restock = Vec::new();
        for Pieces { sku, quantity, restock: to } in pieces {
            let good = self
                .goods
                .iter()
                .find(|good| good.sku == sku)
                .ok_or_else(|| Refusal::NotOrdered { sku: sku.clone() })?;
            if goods.iter().any(|part| part.sku == sku) {
                return Err(Refusal::PiecesTwice { sku });
            }
            let left = good.quantity.saturating_sub(good.returned);
            if quantity == 0 || left < u64::from(quantity) {
                return Err(Refusal::TooManyPieces { sku, left });
            }
            let until = good.returned.saturating_add(u64::from(quantity));
            let cost = good
                .cost_of_first(until)
                .saturating_sub(good.cost_of_first(good.returned));
            // Refunds by amount may have taken from this SKU already.
            let amount_minor = cost.min(good.left_minor());
            if to == Restock::Shelf {
                restock.push(RestockPart { sku: sku.clone(), quantity });
            }
            goods.push(GoodsPart { sku, amount_minor, quantity });
        }
        let cost_minor = goods
            .iter()
            .map(|part| part.amount_minor)
            .fold(0_i64, i64::saturating_add);
        let amount_minor = amount_minor.unwrap_or(cost_minor);
        if amount_minor <= 0 {
            return Err(Refusal::RefundNotPositive);
        }
        let weights: Vec<i64> = goods.iter().map(|part| part.amount_minor).collect();
        let parts = split(amount_minor, &weights)
            .ok_or(Refusal::RefundTooLarge { left_minor: cost_minor })?;
        for (part, amount_minor) in goods.iter_mut().zip(parts) {
            part.amount_minor = amount_minor;
        }
        Ok(Refund { refund_id, amount_minor, goods, shipping_minor: 0, restock, reason })
    }

    /// Counts a refund as gone.
    pub(crate) fn take(&mut self, refund: &Refund) {
        self.shipping_left_minor = self
            .shipping_left_minor
            .saturating_sub(refund.shipping_minor);
        for part in &refund.goods {
            if let Some(good) = self.goods.iter_mut().find(|good| good.sku == part.sku) {
                good.refunded_minor = good.refunded_minor.saturating_add(part.amount_minor);
                good.returned = good.returned.saturating_add(u64::from(part.quantity));
            }
        }
    }

    /// Counts a refund that failed as not gone after all.
    pub(crate) fn give_back(&mut self, refund: &Refund) {
        self.shipping_left_minor = self
            .shipping_left_minor
            .saturating_add(refund.shipping_minor);
        for part in &refund.goods {
            if let Some(good) = self.goods.iter_mut().find(|good| good.sku == part.sku) {
                good.refunded_minor = good.refunded_minor.saturating_sub(part.amount_minor);
                good.returned = good.returned.saturating_sub(u64::from(part.quantity));
            }
        }
    }
}

#[cfg(test)]
#[path = "refunding_tests.rs"]
mod tests;
