//! Money: whole minor units of one ISO 4217 currency. Exact or refused, never rounded.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An ISO 4217 currency, and how many decimals its amounts have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(iso_currency::Currency);

/// Why a text is no currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an ISO 4217 currency code such as GBP")]
pub struct UnknownCurrency;

impl Currency {
    /// The three-letter code.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Decimals of an amount (ISO 4217 exponent): GBP 2, JPY 0, KWD 3.
    pub fn decimals(self) -> u32 {
        u32::from(self.0.exponent().unwrap_or(0))
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(code: &str) -> Result<Self, UnknownCurrency> {
        iso_currency::Currency::from_code(code)
            .map(Self)
            .ok_or(UnknownCurrency)
    }
}

impl TryFrom<String> for Currency {
    type Error = UnknownCurrency;

    fn try_from(code: String) -> Result<Self, UnknownCurrency> {
        code.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Smallest units of the currency: pence, cents, yen, fils.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

/// Why a text is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAmount {
    /// Signs, exponents, separators and blanks are not part of an amount.
    #[error("an amount is written as digits with a decimal point, such as \"15.30\"")]
    NotDecimal,
    /// Rounding is the sender's decision, not ours.
    #[error("{currency} has {decimals} decimals, the amount has more")]
    TooManyDecimals {
        /// The currency.
        currency: Currency,
        /// What it has.
        decimals: u32,
    },
    /// Beyond [`AMOUNT_MINOR_MAX`].
    #[error("the amount is too large")]
    TooLarge,
}

/// Largest single amount, in minor units: leaves room for sums of millions of them in an `i64`.
pub const AMOUNT_MINOR_MAX: i64 = 1_000_000_000_000;

impl Money {
    /// Reads an exact decimal such as `15.30`; fewer decimals than the currency has are fine.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, BadAmount> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(BadAmount::NotDecimal),
            None => (text, ""),
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return Err(BadAmount::NotDecimal);
        }
        let decimals = currency.decimals();
        let missing = usize::try_from(decimals)
            .ok()
            .and_then(|decimals| decimals.checked_sub(fraction.len()))
            .ok_or(BadAmount::TooManyDecimals { currency, decimals })?;
        let minor = format!("{whole}{fraction}{}", "0".repeat(missing))
            .parse::<i64>()
            .map_err(|_| BadAmount::TooLarge)?;
        if AMOUNT_MINOR_MAX < minor {
            return Err(BadAmount::TooLarge);
        }
        Ok(Self { minor, currency })
    }

    /// The amount as an exact decimal with all of the currency's decimals.
    pub fn decimal(self) -> String {
        let scale = 10_u64.pow(self.currency.decimals());
        let sign = if self.minor < 0 { "-" } else { "" };
        let minor = self.minor.unsigned_abs();
        // `scale` is a power of ten and never zero.
        let (whole, fraction) = (minor.checked_div(scale), minor.checked_rem(scale));
        let (whole, fraction) = (whole.unwrap_or(0), fraction.unwrap_or(0));
        match self.currency.decimals() {
            0 => format!("{sign}{whole}"),
            decimals => {
                let width = usize::try_from(decimals).unwrap_or(0);
                format!("{sign}{whole}.{fraction:0width$}")
            }
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.currency, self.decimal())
    }
}

/// Splits `amount_minor` over `weights` so that the parts add up exactly and none exceeds its
/// weight, by the largest remainder (Hamilton's method). Earlier parts win ties.
///
/// `None` if the amount is negative or more than all weights together.
pub fn split(amount_minor: i64, weights: &[i64]) -> Option<Vec<i64>> {
    let sum: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    let amount = i128::from(amount_minor);
    if amount < 0 || sum < amount {
        return None;
    }
    if sum == 0 {
        return Some(vec![0; weights.len()]);
    }
    let mut parts = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    let mut left = amount;
    for (index, weight) in weights.iter().enumerate() {
        let product = amount.checked_mul(i128::from(*weight))?;
        let part = product.checked_div(sum)?;
        left = left.checked_sub(part)?;
        parts.push(i64::try_from(part).ok()?);
        remainders.push((product.checked_rem(sum)?, index));
    }
    remainders.sort_by_key(|(remainder, index)| (std::cmp::Reverse(*remainder), *index));
    for (_, index) in remainders.into_iter().take(usize::try_from(left).ok()?) {
        let part = parts.get_mut(index)?;
        *part = part.checked_add(1)?;
    }
    Some(parts)
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows has failed, and says where"
)]
mod tests {
    use super::*;
    use crate::testing::random;
    use proptest::prelude::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn an_amount_has_its_currencys_own_decimals() {
        for (text, code, minor, written) in [
            ("15.30", "GBP", 1530, "15.30"),
            ("15.3", "GBP", 1530, "15.30"),
            ("0.01", "GBP", 1, "0.01"),
            ("1200", "JPY", 1200, "1200"),
            ("1.234", "KWD", 1234, "1.234"),
        ] {
            let money = Money::parse(text, currency(code)).unwrap();
            assert_eq!((money.minor, money.decimal().as_str()), (minor, written));
        }
    }

    #[test]
    fn what_is_not_an_exact_amount_is_refused() {
        let gbp = currency("GBP");
        for text in [
            "", ".", "1.", ".5", "-1", "+1", "1e3", "1,000", " 1", "£1", "١",
        ] {
            assert_eq!(Money::parse(text, gbp), Err(BadAmount::NotDecimal), "{text:?}");
        }
        assert_eq!(
            Money::parse("0.001", gbp),
            Err(BadAmount::TooManyDecimals { currency: gbp, decimals: 2 })
        );
        assert_eq!(Money::parse("99999999999999999999", gbp), Err(BadAmount::TooLarge));
        assert_eq!(Money::parse("10000000000.01", gbp), Err(BadAmount::TooLarge));
    }

    #[test]
    fn the_largest_amount_is_read_and_one_penny_more_is_not() {
        let gbp = currency("GBP");
        let largest = Money::parse("10000000000.00", gbp).unwrap();
        assert_eq!(
            (largest.minor, largest.to_string().as_str()),
            (AMOUNT_MINOR_MAX, "GBP 10000000000.00")
        );
    }

    #[test]
    fn a_currency_is_one_of_iso_4217_in_capitals() {
        for code in ["", "gbp", "GB", "GBPX", "ABC"] {
            assert_eq!(code.parse::<Currency>(), Err(UnknownCurrency), "{code:?}");
        }
        assert_eq!(serde_json::to_value(currency("JPY")).unwrap(), "JPY");
        assert!(serde_json::from_str::<Currency>(r#""ABC""#).is_err());
    }

    #[test]
    fn an_amount_is_split_in_proportion_and_the_first_gets_the_odd_penny() {
        for (amount, weights, parts) in [
            (10, vec![5, 5], Some(vec![5, 5])),
            (5, vec![5, 5], Some(vec![3, 2])),
            (1, vec![1, 1, 1], Some(vec![1, 0, 0])),
            (2, vec![0, 3, 1], Some(vec![0, 2, 0])),
            (0, vec![0, 0], Some(vec![0, 0])),
            (0, vec![], Some(vec![])),
            (1, vec![0, 0], None),
            (11, vec![5, 5], None),
            (-1, vec![5, 5], None),
        ] {
            assert_eq!(split(amount, &weights), parts, "{amount} over {weights:?}");
        }
    }

    #[test]
    fn a_negative_amount_is_written_with_its_sign() {
        assert_eq!(Money { minor: -5, currency: currency("GBP") }.decimal(), "-0.05");
    }

    proptest! {
        #![proptest_config(random())]

        #[test]
        fn what_is_written_is_read_back(minor in 0..=AMOUNT_MINOR_MAX, code in "GBP|JPY|KWD") {
            let money = Money { minor, currency: currency(&code) };
            prop_assert_eq!(Money::parse(&money.decimal(), money.currency), Ok(money));
        }

        #[test]
        fn the_parts_of_a_split_add_up_and_stay_within_their_weights(
            weights in prop::collection::vec(0_i64..1_000_000, 1..40),
            share in 0_u32..=1000,
        ) {
            let sum: i64 = weights.iter().sum();
            let amount = sum * i64::from(share) / 1000;
            let parts = split(amount, &weights).unwrap();
            prop_assert_eq!(parts.iter().sum::<i64>(), amount);
            prop_assert!(parts.iter().zip(&weights).all(|(part, weight)| (0..=*weight).contains(part)));
        }
    }
}
