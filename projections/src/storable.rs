//! Texts and instants as Postgres can keep and index them.
//!
//! The log holds what people wrote, as json, and a projector must get past all of it: one name
//! with a NUL would otherwise hold a read model up for ever.

use std::ops::RangeInclusive;

use chrono::{DateTime, NaiveDate, NaiveTime, SubsecRound as _, Utc};
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer as _};

use crate::error::Error;

/// Longest text in an index, in characters: an e-mail address has at most 320, and a btree entry
/// of more than 2,704 bytes is refused.
const KEY_CHARS_MAX: usize = 320;

/// The text with NUL, which `text` cannot hold, shown as what it is: unprintable.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The text as an index holds it.
pub(crate) fn key(text: &str) -> String {
    storable(text).chars().take(KEY_CHARS_MAX).collect()
}

/// The key of an e-mail address: how people write it does not tell addresses apart.
pub(crate) fn email_key(email: &str) -> String {
    key(email.trim()).to_lowercase()
}

/// The first and the last day that anything is dated: years that everyone writes with four digits,
/// well within what `date` and `timestamptz` can hold.
pub(crate) const DAYS: RangeInclusive<NaiveDate> = {
    let first = NaiveDate::from_ymd_opt(1, 1, 1).expect("year 1 is in the calendar");
    let last = NaiveDate::from_ymd_opt(9_999, 12, 31).expect("so is year 9999");
    first..=last
};

/// The first and the last day that are asked for, both included.
pub(crate) fn days(from: Option<NaiveDate>, to: Option<NaiveDate>) -> (NaiveDate, NaiveDate) {
    let (first, last) = DAYS.into_inner();
    let within = |day: NaiveDate| day.clamp(first, last);
    (from.map_or(first, within), to.map_or(last, within))
}

/// Postgres keeps microseconds; what has not been stored yet must show no more than a row can.
const SUBSECOND_DIGITS: u16 = 6;

/// The instant as a row holds it.
pub(crate) fn instant(at: DateTime<Utc>) -> DateTime<Utc> {
    let first = DAYS.start().and_time(NaiveTime::MIN).and_utc();
    let last = DAYS.end().and_time(NaiveTime::MIN).and_utc();
    at.clamp(first, last).trunc_subsecs(SUBSECOND_DIGITS)
}

/// Reads a value from the name it has in a column.
pub(crate) fn named<T: DeserializeOwned>(name: &str) -> Result<T, Error> {
    let name: StrDeserializer<'_, serde_json::Error> = name.into_deserializer();
    Ok(T::deserialize(name)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_nul_can_be_stored() {
        assert_eq!(storable("A\0B"), "A\u{fffd}B");
    }

    #[test]
    fn a_key_fits_an_index() {
        assert_eq!(key(&"\u{10ffff}".repeat(5_000)).len(), 4 * KEY_CHARS_MAX);
    }

    #[test]
    fn an_instant_fits_a_row() {
        let stored = |at: &str| instant(at.parse().unwrap()).to_rfc3339();
        assert_eq!(stored("2011-12-09T12:50:00.123456789Z"), "2011-12-09T12:50:00.123456+00:00");
        assert_eq!(instant(DateTime::<Utc>::MIN_UTC).date_naive(), *DAYS.start());
        assert_eq!(instant(DateTime::<Utc>::MAX_UTC).date_naive(), *DAYS.end());
    }

    #[test]
    fn an_email_is_found_however_it_is_written() {
        assert_eq!(email_key(" Ada@Example.COM"), email_key("ada@example.com"));
    }
}
