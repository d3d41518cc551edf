//! Amounts as providers write them, exactly or not at all.

use domain::money::{Currency, Money};

/// A whole number of units with so many decimals; `None` where it would have to be rounded.
pub(crate) fn to_units(money: Money, decimals: u32) -> Option<i64> {
    scale(money.minor, money.currency.decimals(), decimals)
}

/// Money of a whole number of units with so many decimals; `None` where it would have to be
/// rounded, or is beyond all measure.
pub(crate) fn from_units(units: i64, decimals: u32, currency: Currency) -> Option<Money> {
    let minor = scale(units, decimals, currency.decimals())?;
    Some(Money { minor, currency })
}

/// Money of a decimal as providers write them: `100`, `100.5`, `100.50`, also `100.5000`.
pub(crate) fn from_decimal(text: &str, currency: Currency) -> Option<Money> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        return Money::parse(whole, currency).ok();
    }
    Money::parse(&format!("{whole}.{fraction}"), currency).ok()
}

fn scale(units: i64, from: u32, to: u32) -> Option<i64> {
    if from <= to {
        return units.checked_mul(10_i64.checked_pow(to - from)?);
    }
    let divisor = 10_i64.checked_pow(from - to)?;
    (units % divisor == 0).then_some(units / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(minor: i64, code: &str) -> Money {
        Money { minor, currency: code.parse().unwrap() }
    }

    #[test]
    fn units_are_exact_or_refused() {
        assert_eq!(to_units(money(1530, "GBP"), 2), Some(1530));
        assert_eq!(to_units(money(1530, "JPY"), 0), Some(1530));
        assert_eq!(to_units(money(1530, "XOF"), 2), Some(153_000));
        assert_eq!(to_units(money(1500, "MGA"), 0), Some(15));
        assert_eq!(to_units(money(1530, "MGA"), 0), None);
        assert_eq!(to_units(money(i64::MAX, "XOF"), 2), None);
        assert_eq!(from_units(153_000, 2, "XOF".parse().unwrap()), Some(money(1530, "XOF")));
        assert_eq!(from_units(153_001, 2, "XOF".parse().unwrap()), None);
    }

    #[test]
    fn decimals_are_read_whatever_zeros_they_end_in() {
        for text in ["100.5", "100.50", "100.5000"] {
            assert_eq!(from_decimal(text, "BDT".parse().unwrap()), Some(money(10050, "BDT")));
        }
        assert_eq!(from_decimal("100.00", "UGX".parse().unwrap()), Some(money(100, "UGX")));
        for text in ["100.005", "-1", "1e3", "", ".5", "NaN"] {
            assert_eq!(from_decimal(text, "BDT".parse().unwrap()), None, "{text}");
        }
    }
}
