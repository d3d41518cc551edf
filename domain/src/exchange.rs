//! Exchange rates, and prices converted by them.
//!
//! A rate is what one euro costs in another currency, as the European Central Bank publishes it. A
//! price goes through the euro: price ÷ (its currency per euro) × (the other currency per euro).
//!
//! 1. Whole numbers all the way: one division, one rounding, half up, to the decimals of the
//!    currency converted into. A cross rate is never written down, because as a decimal it would
//!    have to be rounded before it is used.
//! 2. What is converted and rounded is the price of *one piece*. That is what the customer sees; a
//!    line is then exactly pieces times price, and any pieces that go back cost what they cost.
//! 3. What comes to nothing is no price: free goods would follow from a rounding.

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::money::{AMOUNT_MINOR_MAX, Currency, Money};

/// Most digits of a rate, leading zeros apart: twice as many as any that the ECB publishes, and few
/// enough that the largest amount times the largest rate is far from the end of an `i128`.
pub const RATE_DIGITS_MAX: u32 = 12;
/// Most decimals of a rate.
pub const RATE_DECIMALS_MAX: u32 = 8;

/// Units of a currency that one euro buys: an exact decimal above zero, written as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate {
    digits: i64,
    decimals: u32,
}

/// Why a text is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRate {
    /// Signs, exponents, separators and blanks are not part of a rate.
    #[error("a rate is written as digits with a decimal point, such as \"1.0834\"")]
    NotDecimal,
    /// Nothing costs nothing.
    #[error("a rate is above zero")]
    Zero,
    /// Beyond [`RATE_DIGITS_MAX`] or [`RATE_DECIMALS_MAX`].
    #[error("a rate has at most {RATE_DIGITS_MAX} digits, {RATE_DECIMALS_MAX} of them decimals")]
    TooLong,
}

impl Rate {
    /// Of the euro to itself.
    pub const EUR: Self = Self { digits: 1, decimals: 0 };
}

impl FromStr for Rate {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Self, BadRate> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(BadRate::NotDecimal),
            None => (text, ""),
        };
        let are_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !are_digits(whole) || !are_digits(fraction) {
            return Err(BadRate::NotDecimal);
        }
        let decimals = u32::try_from(fraction.len()).unwrap_or(u32::MAX);
        let digits = format!("{whole}{fraction}");
        let digits = digits.trim_start_matches('0');
        let is_long = usize::try_from(RATE_DIGITS_MAX).is_ok_and(|max| max < digits.len());
        if is_long || RATE_DECIMALS_MAX < decimals {
            return Err(BadRate::TooLong);
        }
        if digits.is_empty() {
            return Err(BadRate::Zero);
        }
        let digits = digits.parse().map_err(|_| BadRate::TooLong)?;
        Ok(Self { digits, decimals })
    }
}

impl TryFrom<String> for Rate {
    type Error = BadRate;

    fn try_from(text: String) -> Result<Self, BadRate> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { digits, decimals } = *self;
        if decimals == 0 {
            return write!(f, "{digits}");
        }
        let scale = 10_i64.saturating_pow(decimals);
        let whole = digits.checked_div(scale).unwrap_or(0);
        let fraction = digits.checked_rem(scale).unwrap_or(0);
        let width = usize::try_from(decimals).unwrap_or(0);
        write!(f, "{whole}.{fraction:0width$}")
    }
}

/// A rate as somebody published it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// Units per euro.
    pub per_eur: Rate,
    /// The day that it is of.
    pub date: NaiveDate,
    /// Who published it.
    pub source: String,
}

/// What a price was converted from, and by what: frozen with the price, so that it can be worked
/// out again whatever rates are known by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversion {
    /// The price that the product has.
    pub price: Money,
    /// What a euro cost in that price's currency; `None` if it is the euro.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Quote>,
    /// What a euro cost in the currency converted into; `None` if it is the euro.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Quote>,
}

/// Why a price cannot be converted by rates that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unconvertible {
    /// Invariant 3.
    #[error("{price} come to less than half of the smallest amount in {into}")]
    TooSmall {
        /// What was to be converted.
        price: Money,
        /// Into what.
        into: Currency,
    },
    /// Beyond the largest amount.
    #[error("{price} are too large an amount in {into}")]
    TooLarge {
        /// What was to be converted.
        price: Money,
        /// Into what.
        into: Currency,
    },
}

impl Conversion {
    /// The price of one piece in the other currency; see the invariants.
    pub fn converted(&self, into: Currency) -> Result<Money, Unconvertible> {
        let price = self.price;
        let minor = self
            .minor_in(into)
            .filter(|minor| *minor <= AMOUNT_MINOR_MAX)
            .ok_or(Unconvertible::TooLarge { price, into })?;
        if minor <= 0 {
            return Err(Unconvertible::TooSmall { price, into });
        }
        Ok(Money { minor, currency: into })
    }

    fn minor_in(&self, into: Currency) -> Option<i64> {
        let rate = |quote: &Option<Quote>| quote.as_ref().map_or(Rate::EUR, |quote| quote.per_eur);
        let (from, to) = (rate(&self.from), rate(&self.to));
        let scale = |decimals: u32, more: u32| 10_i128.checked_pow(decimals.checked_add(more)?);
        let dividend = i128::from(self.price.minor)
            .checked_mul(i128::from(to.digits))?
            .checked_mul(scale(from.decimals, into.decimals())?)?;
        let divisor = i128::from(from.digits)
            .checked_mul(scale(to.decimals, self.price.currency.decimals())?)?;
        // Half up: floor(x + 1/2), in halves so that nothing is lost before the division.
        let doubled = dividend.checked_mul(2)?.checked_add(divisor)?;
        let minor = doubled.checked_div_euclid(divisor.checked_mul(2)?)?;
        i64::try_from(minor).ok()
    }
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
