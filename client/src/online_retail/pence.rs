//! Prices of the file: decimal text to whole pence and back, without a float in between.

/// The server's largest amount, in minor units.
const PRICE_PENCE_MAX: i64 = 1_000_000_000_000;

/// Why a text is no price that an order can carry. When several apply, the first is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotAPrice {
    /// Not digits with at most one point and a leading minus.
    Unreadable,
    /// Nothing, or less.
    NotPositive,
    /// As written: `2.500` counts too, since someone meant the third decimal.
    MoreThanTwoDecimals,
    TooLarge,
}

/// Reads `2.55`, `2.1`, `25` as pence.
pub(super) fn parse(text: &str) -> Result<i64, NotAPrice> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return Err(NotAPrice::Unreadable),
        Some(parts) => parts,
        None => (digits, ""),
    };
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return Err(NotAPrice::Unreadable);
    }
    let is_zero = digits.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    if negative || is_zero {
        return Err(NotAPrice::NotPositive);
    }
    if 2 < fraction.len() {
        return Err(NotAPrice::MoreThanTwoDecimals);
    }
    match format!("{whole}{fraction:0<2}").parse() {
        Ok(pence) if pence <= PRICE_PENCE_MAX => Ok(pence),
        Ok(_) | Err(_) => Err(NotAPrice::TooLarge),
    }
}

/// Writes pence as the decimal that the server reads: `15.30`.
pub(super) fn decimal<P: Into<i128>>(pence: P) -> String {
    let pence = pence.into();
    format!("{}.{:02}", pence / 100, pence % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact_to_the_penny() {
        let read =
            ["2.55", "2.1", "25", "0.07", "13541.33", "0.29"].map(|text| parse(text).unwrap());

        assert_eq!(read, [255, 210, 2_500, 7, 1_354_133, 29]);
        assert_eq!(read.map(decimal::<i64>), ["2.55", "2.10", "25.00", "0.07", "13541.33", "0.29"]);
    }

    #[test]
    fn nothing_and_less_is_no_price() {
        for text in ["0", "0.0", "0.000", "-11062.06", "-0.001"] {
            assert_eq!(parse(text), Err(NotAPrice::NotPositive), "{text}");
        }
    }

    #[test]
    fn a_third_decimal_is_not_rounded_away() {
        for text in ["0.001", "2.500", "1.999"] {
            assert_eq!(parse(text), Err(NotAPrice::MoreThanTwoDecimals), "{text}");
        }
    }

    #[test]
    fn what_is_no_decimal_is_unreadable() {
        for text in [
            "", "-", ".", "1.", ".5", "1e3", "1,5", " 1", "+1", "1.2.3", "NaN", "£1", "--1",
        ] {
            assert_eq!(parse(text), Err(NotAPrice::Unreadable), "{text}");
        }
    }

    #[test]
    fn prices_end_where_the_server_ends() {
        assert_eq!(parse("10000000000.00"), Ok(PRICE_PENCE_MAX));
        assert_eq!(parse("10000000000.01"), Err(NotAPrice::TooLarge));
        assert_eq!(parse(&"9".repeat(40)), Err(NotAPrice::TooLarge));
    }
}
