//! Prices converted, to the last unit.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows has failed, and says where"
)]

use proptest::prelude::*;

use super::*;
use crate::testing::random;

fn money(amount: &str, code: &str) -> Money {
    Money::parse(amount, code.parse().unwrap()).unwrap()
}

fn quote(per_eur: &str) -> Option<Quote> {
    let (date, source) = ("2026-11-26".parse().unwrap(), "ECB".to_owned());
    (per_eur != "1").then(|| Quote { per_eur: per_eur.parse().unwrap(), date, source })
}

fn converted(price: Money, from: &str, to: &str, into: &str) -> Result<Money, Unconvertible> {
    Conversion { price, from: quote(from), to: quote(to) }.converted(into.parse().unwrap())
}

#[test]
fn a_price_is_converted_exactly_and_rounded_once() {
    for (amount, code, from, to, into, is) in [
        ("10.00", "EUR", "1", "1.0834", "USD", "10.83"),
        ("10.83", "USD", "1.0834", "1", "EUR", "10.00"),
        // 19.99 / 0.8412 × 164.35 = 3905.5592...
        ("19.99", "GBP", "0.8412", "164.35", "JPY", "3906"),
        // 1000 / 164.35 × 0.3324 = 2.02251...
        ("1000", "JPY", "164.35", "0.3324", "KWD", "2.023"),
        ("2.023", "KWD", "0.3324", "164.35", "JPY", "1000"),
        ("0.01", "EUR", "1", "17234.56", "IDR", "172.35"),
        // Both legs are the same: a price through the euro and back is itself.
        ("7.77", "USD", "1.0834", "1.0834", "USD", "7.77"),
    ] {
        let is = money(is, into);
        assert_eq!(converted(money(amount, code), from, to, into), Ok(is), "{amount} {code}");
    }
}

#[test]
fn a_half_goes_up_and_a_hair_less_goes_down() {
    let eur = |amount: &str| money(amount, "EUR");
    for (amount, to, into, is) in [
        ("1.00", "1.005", "USD", "1.01"),
        ("1.00", "1.00499999", "USD", "1.00"),
        ("1.00", "1.015", "USD", "1.02"),
        ("1.00", "2.5", "JPY", "3"),
        ("1.00", "3.5", "JPY", "4"),
        ("1.00", "2.49999999", "JPY", "2"),
        ("1.00", "0.3325", "KWD", "0.333"),
        ("1.00", "0.33249999", "KWD", "0.332"),
    ] {
        assert_eq!(converted(eur(amount), "1", to, into), Ok(money(is, into)), "{to}");
    }
    // A third of the way round: 0.005 dollars lie between two cents, whatever the legs are.
    assert_eq!(converted(money("0.03", "GBP"), "3", "0.5", "USD"), Ok(money("0.01", "USD")));
    assert_eq!(converted(money("0.03", "GBP"), "3.00000001", "0.5", "USD").ok(), None);
}

#[test]
fn what_comes_to_nothing_or_to_too_much_is_no_price() {
    let (price, into) = (money("0.50", "IDR"), "EUR".parse().unwrap());
    let refused = converted(price, "17234.56", "1", "EUR").unwrap_err();
    assert_eq!(refused, Unconvertible::TooSmall { price, into });
    assert!(refused.to_string().contains("IDR 0.50"), "{refused}");

    let (price, into) = (money("10000000000.00", "EUR"), "IDR".parse().unwrap());
    let refused = converted(price, "1", "999999999999", "IDR").unwrap_err();
    assert_eq!(refused, Unconvertible::TooLarge { price, into });
}

#[test]
fn the_longest_numbers_are_no_accident() {
    let (price, into) =
        (Money { minor: AMOUNT_MINOR_MAX, currency: "CLF".parse().unwrap() }, "CLF");
    let of = |from: &str, to: &str| {
        let conversion = Conversion { price, from: quote(from), to: quote(to) };
        (
            conversion.minor_in(into.parse().unwrap()),
            conversion.converted(into.parse().unwrap()).ok(),
        )
    };
    assert_eq!(of("9999.99999999", "9999.99999999"), (Some(price.minor), Some(price)));
    assert_eq!(of("0.00000001", "0.00000001"), (Some(price.minor), Some(price)));
    assert_eq!(of("999999999999", "999999999999"), (Some(price.minor), Some(price)));
    assert_eq!(of("999999999999", "0.00000001"), (Some(0), None));
    assert_eq!(of("0.00000001", "999999999999"), (None, None));
}

#[test]
fn a_rate_is_an_exact_decimal_above_zero_and_stays_as_it_was_written() {
    for text in [
        "1.0834",
        "164.35",
        "0.84128",
        "1.0830",
        "17234.56",
        "1",
        "0.00000001",
    ] {
        assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
    }
    assert_eq!("001.50".parse::<Rate>().unwrap().to_string(), "1.50");
    for text in [
        "", ".", "1.", ".5", "-1", "+1", "1e3", "1,05", " 1", "NaN", "N/A", "１",
    ] {
        assert_eq!(text.parse::<Rate>(), Err(BadRate::NotDecimal), "{text:?}");
    }
    for text in ["0", "0.0", "000.000"] {
        assert_eq!(text.parse::<Rate>(), Err(BadRate::Zero), "{text:?}");
    }
    for text in ["1234567890123", "0.000000001", "12345.12345678"] {
        assert_eq!(text.parse::<Rate>(), Err(BadRate::TooLong), "{text:?}");
    }
    assert_eq!(serde_json::to_value("1.0830".parse::<Rate>().unwrap()).unwrap(), "1.0830");
    assert!(serde_json::from_str::<Rate>("1.0834").is_err(), "no float is ever a rate");
}

/// A rate between a hundred-millionth and a trillion.
fn rates() -> impl Strategy<Value = Rate> {
    (1_i64..1_000_000_000_000, 0..=RATE_DECIMALS_MAX)
        .prop_map(|(digits, decimals)| Rate { digits, decimals })
}

fn currencies() -> impl Strategy<Value = Currency> {
    prop::sample::select(vec!["GBP", "JPY", "KWD", "USD", "CLF", "BDT"])
        .prop_map(|code| code.parse().unwrap())
}

proptest! {
    #![proptest_config(random())]

    #[test]
    fn a_converted_price_is_within_half_a_unit_and_a_dearer_one_is_never_cheaper(
        minor in 1..=AMOUNT_MINOR_MAX, more in 0..1_000_000_i64,
        from in rates(), to in rates(), source in currencies(), into in currencies(),
    ) {
        let quoted = |per_eur| Some(Quote { per_eur, ..quote("2").unwrap() });
        let conversion = |minor| {
            let price = Money { minor, currency: source };
            Conversion { price, from: quoted(from), to: quoted(to) }
        };
        let Some(converted) = conversion(minor).minor_in(into) else {
            // Beyond an i64, and so far beyond the largest amount.
            return Ok(());
        };
        // |converted − exact| ≤ ½, with both sides multiplied out; a half went up.
        let dividend = i128::from(minor) * i128::from(to.digits)
            * 10_i128.pow(from.decimals + into.decimals());
        let divisor = i128::from(from.digits) * 10_i128.pow(to.decimals + source.decimals());
        let twice_off = (i128::from(converted)).checked_mul(divisor).unwrap() - dividend;
        prop_assert!(-divisor < 2 * twice_off && 2 * twice_off <= divisor);

        if let Some(dearer) = conversion(minor + more).minor_in(into) {
            prop_assert!(converted <= dearer);
        }
    }

    #[test]
    fn a_rate_is_read_as_it_is_written(rate in rates()) {
        prop_assert_eq!(rate.to_string().parse(), Ok(rate));
    }
}
