//! How amounts are shown: exact decimals, never floats.

use std::fmt;

use domain::money::{Currency, Money};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// An exact amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct MoneyView {
    /// Decimal with all of the currency's decimals.
    #[schema(value_type = String, example = "15.30")]
    pub amount: Decimal,
    /// ISO 4217 code.
    #[schema(value_type = String, example = "GBP")]
    pub currency: &'static str,
}

impl MoneyView {
    /// Shows minor units of a currency.
    pub fn of(minor: i64, currency: Currency) -> Self {
        Self { amount: Decimal::of(minor, currency), currency: currency.code() }
    }
}

impl From<Money> for MoneyView {
    fn from(money: Money) -> Self {
        Self::of(money.minor, money.currency)
    }
}

/// An amount as [`Money::decimal`] has it. An order shows a dozen of them and more, so they are
/// written where they belong, without a text of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    minor: i64,
    decimals: u32,
}

/// Bytes of the longest amount: the digits of `i64`, a sign, a point, and a zero before it.
const BYTES_MAX: usize = 24;

impl Decimal {
    /// Minor units of a currency.
    pub(crate) fn of(minor: i64, currency: Currency) -> Self {
        Self { minor, decimals: currency.decimals() }
    }

    fn write(self, buffer: &mut [u8; BYTES_MAX]) -> &str {
        let (mut rest, mut start, mut digits) = (self.minor.unsigned_abs(), BYTES_MAX, 0);
        let mut put = |byte| {
            start -= 1;
            buffer[start] = byte;
        };
        while digits <= self.decimals || 0 < rest {
            if digits == self.decimals && 0 < digits {
                put(b'.');
            }
            put(b"0123456789"[usize::try_from(rest % 10).unwrap_or(0)]);
            (rest, digits) = (rest / 10, digits + 1);
        }
        if self.minor < 0 {
            put(b'-');
        }
        std::str::from_utf8(&buffer[start..]).expect("digits, a point and a sign are ASCII")
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.write(&mut [0; BYTES_MAX]))
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.write(&mut [0; BYTES_MAX]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_shown_as_the_domain_writes_it() {
        // JPY has no decimals, GBP two, KWD three, and CLF four, which is the most there are.
        for currency in ["JPY", "GBP", "KWD", "CLF"] {
            let currency = currency.parse().unwrap();
            for minor in [
                0,
                1,
                9,
                10,
                99,
                100,
                450,
                12_345,
                -1,
                -450,
                i64::MAX,
                i64::MIN,
            ] {
                let shown = MoneyView::of(minor, currency).amount.to_string();
                assert_eq!(shown, Money { minor, currency }.decimal());
            }
        }
    }
}
