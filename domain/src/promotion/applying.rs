//! What a promotion takes off an order, to the penny and line by line.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::{BASIS_POINTS_MAX, Code, Reduction, Terms};
use crate::ids::Sku;
use crate::money::{Currency, Money, split};
use crate::placing::{Discount, Line};

/// Why a promotion takes nothing off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Inapplicable {
    /// Staff have switched it off.
    #[error("the promotion is not offered at the moment")]
    Inactive,
    /// Not yet.
    #[error("the promotion begins on {starts_at}")]
    NotBegun {
        /// When.
        starts_at: DateTime<Utc>,
    },
    /// Not any more.
    #[error("the promotion has ended")]
    Ended,
    /// It knows nothing of the order's currency.
    #[error("the promotion is not offered in {currency}")]
    OtherCurrency {
        /// The order's.
        currency: Currency,
    },
    /// The goods must come to more.
    #[error("the promotion is for orders of {minimum} and more, shipping apart")]
    BelowMinimum {
        /// To so much.
        minimum: Money,
    },
    /// None of its articles is ordered.
    #[error("the promotion is for other articles")]
    OtherGoods,
    /// It comes to less than half of the smallest coin.
    #[error("the promotion takes nothing off goods of so little")]
    Nothing,
}

impl Terms {
    /// What is taken off an order of these lines, limits of use apart. The lines must add up: an
    /// order is judged by its own rules as well.
    pub fn apply(
        &self,
        code: &Code,
        lines: &[Line],
        currency: Currency,
        at: DateTime<Utc>,
    ) -> Result<Discount, Inapplicable> {
        self.must_hold_at(at)?;
        let goods = |line: &Line| {
            line.unit_price_minor
                .saturating_mul(i64::from(line.quantity))
        };
        let subtotal_minor = lines.iter().map(goods).fold(0, i64::saturating_add);
        if !self.minimum.is_empty() {
            let minimum = in_currency(&self.minimum, currency)?;
            if subtotal_minor < minimum.minor {
                return Err(Inapplicable::BelowMinimum { minimum });
            }
        }
        let named: HashSet<&Sku> = self.skus.iter().collect();
        let is_meant = |line: &Line| named.is_empty() || named.contains(&line.sku);
        let weights: Vec<i64> = lines
            .iter()
            .map(|line| if is_meant(line) { goods(line) } else { 0 })
            .collect();
        let base_minor = weights.iter().copied().fold(0, i64::saturating_add);
        if base_minor <= 0 {
            return Err(Inapplicable::OtherGoods);
        }
        let amount_minor = match &self.reduction {
            Reduction::Percentage { basis_points } => share_of(base_minor, *basis_points),
            Reduction::Amount { amounts } => in_currency(amounts, currency)?.minor.min(base_minor),
        };
        if amount_minor <= 0 {
            return Err(Inapplicable::Nothing);
        }
        let lines_minor = split(amount_minor, &weights).ok_or(Inapplicable::Nothing)?;
        let (promotion, name) = (code.clone(), self.name.clone());
        Ok(Discount { promotion, name, amount_minor, lines_minor })
    }

    /// Whether it is offered at this moment.
    pub fn must_hold_at(&self, at: DateTime<Utc>) -> Result<(), Inapplicable> {
        if !self.active {
            return Err(Inapplicable::Inactive);
        }
        if let Some(starts_at) = self.starts_at.filter(|starts_at| at < *starts_at) {
            return Err(Inapplicable::NotBegun { starts_at });
        }
        if self.ends_at.is_some_and(|ends_at| ends_at <= at) {
            return Err(Inapplicable::Ended);
        }
        Ok(())
    }
}

fn in_currency(amounts: &[Money], currency: Currency) -> Result<Money, Inapplicable> {
    let found = amounts.iter().find(|amount| amount.currency == currency);
    found
        .copied()
        .ok_or(Inapplicable::OtherCurrency { currency })
}

/// Rounded to the nearest coin, half of one up.
fn share_of(base_minor: i64, basis_points: u32) -> i64 {
    let whole = i128::from(BASIS_POINTS_MAX);
    let share = i128::from(base_minor)
        .checked_mul(i128::from(basis_points))
        .and_then(|product| product.checked_add(whole.checked_div(2)?))
        .and_then(|product| product.checked_div(whole));
    share
        .and_then(|share| i64::try_from(share).ok())
        .unwrap_or(base_minor)
        .min(base_minor)
}
