//! Telephone numbers, judged and written by libphonenumber's metadata: as long as numbers of their
//! country are, in a range that it has given out.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, Region};

/// Longest number as somebody writes it, in characters: brackets, blanks and all.
const CHARS_MAX: usize = 40;

/// Reads a number, and writes it as E.164 has it: `+442079460123`. What is in national form is a number
/// of `home`, a country code of ISO 3166-1, where that is known.
pub(crate) fn parse(text: &str, home: Option<&str>) -> Result<String, &'static str> {
    if CHARS_MAX < text.chars().count() || text.contains(char::is_control) {
        return Err(WRONG);
    }
    let home: Option<Region> = home.and_then(|country| country.parse().ok());
    let number = PHONE_NUMBER_UTIL
        .parse(text, home)
        .ok()
        .filter(PhoneNumber::is_valid)
        .ok_or(WRONG)?;
    // E.164 has no room for it, and dropping it would lose what a courier needs.
    if !number.extension().is_empty() {
        return Err("must have no extension");
    }
    Ok(number.format_as(PhoneNumberFormat::E164).into_owned())
}

const WRONG: &str = "must be a telephone number with its country, such as +44 20 7946 0123";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_as_e164_has_it() {
        for (text, home, number) in [
            ("+44 20 7946 0123", None, "+442079460123"),
            ("+44 (0)20-7946 0123", None, "+442079460123"),
            ("020 7946 0123", Some("GB"), "+442079460123"),
            ("(212) 555-0100", Some("US"), "+12125550100"),
            ("+1 212 555 0100", Some("GB"), "+12125550100"),
            ("+234 803 123 4567", Some("GB"), "+2348031234567"),
            ("\u{ff0b}44 20 7946 0123", None, "+442079460123"),
        ] {
            assert_eq!(parse(text, home).as_deref(), Ok(number), "{text}");
        }
    }

    #[test]
    fn what_nobody_can_be_called_by_is_refused() {
        let long = format!("+44 20 7946 0123{}", " ".repeat(40));
        for (text, home) in [
            ("", None),
            ("phone", None),
            ("+", None),
            ("12", Some("GB")),
            ("020 7946 0123", None),
            // Of a place that is no country.
            ("020 7946 0123", Some("ZZ")),
            ("+999 123456", None),
            ("+44 20 7946 01234567", None),
            ("+44 20 7946 0123 ext. 5", None),
            ("+44 20 7946 0123\n", None),
            ("+44 20 7946 0123\u{0}", None),
            (&long, None),
        ] {
            assert!(parse(text, home).is_err(), "{text:?}");
        }
    }
}
