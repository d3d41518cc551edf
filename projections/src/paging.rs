//! Lists in pages: where a page ended, as an opaque text.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use chrono::{DateTime, Utc};
use domain::ids::Sku;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::storable;

/// Most items of one page: bounds an answer's size and a select's time.
pub(crate) const PAGE_ITEMS_MAX: i64 = 100;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Page<T> {
    /// What it holds.
    pub items: Vec<T>,
    /// Where the next page begins; null on the last one.
    pub next_cursor: Option<String>,
}

/// Why a text is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list; take `next_cursor` as it came")]
pub struct BadCursor;

/// Where a page of a list by time, newest first, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) at: DateTime<Utc>,
    pub(crate) id: Uuid,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.at.timestamp_micros(), self.id.simple())
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (at, id) = text.split_once('_').ok_or(BadCursor)?;
        let at = at.parse().map_err(|_| BadCursor)?;
        let at = DateTime::from_timestamp_micros(at).ok_or(BadCursor)?;
        Ok(Self {
            at: Some(at)
                .filter(|at| storable::instant(*at) == *at)
                .ok_or(BadCursor)?,
            id: id.parse().map_err(|_| BadCursor)?,
        })
    }
}

/// Where a page of a list by SKU ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkuCursor(pub(crate) Sku);

impl fmt::Display for SkuCursor {
    // In hexadecimal: a SKU may hold any character, a URL may not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(self.0.as_str()))
    }
}

impl FromStr for SkuCursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let sku = from_hex(text)?;
        sku.try_into().map(Self).map_err(|_| BadCursor)
    }
}

/// A text as a cursor holds it.
pub(crate) fn to_hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes everything");
        hex
    })
}

/// The text that a cursor holds.
pub(crate) fn from_hex(text: &str) -> Result<String, BadCursor> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.ok_or(BadCursor)?;
    let (pairs, []) = digits.as_chunks::<2>() else {
        return Err(BadCursor);
    };
    let bytes = pairs
        .iter()
        .map(|[high, low]| u8::try_from(high * 16 + low).map_err(|_| BadCursor))
        .collect::<Result<Vec<u8>, BadCursor>>()?;
    String::from_utf8(bytes).map_err(|_| BadCursor)
}

/// How many rows to ask for: one more than the page holds tells whether there is a next one.
///
/// To be written into the statement, not bound: Postgres keeps a plan only if it can tell how few
/// rows are wanted, and plans anew each time otherwise.
pub(crate) fn rows_for(limit: i64) -> i64 {
    limit.clamp(1, PAGE_ITEMS_MAX) + 1
}

/// Makes a page of the rows that were found when asking for [`rows_for`] `limit`.
pub(crate) fn page<T>(mut items: Vec<T>, limit: i64, cursor: impl Fn(&T) -> String) -> Page<T> {
    let size = usize::try_from(rows_for(limit) - 1).unwrap_or(1);
    let more = size < items.len();
    items.truncate(size);
    let next_cursor = items.last().filter(|_| more).map(cursor);
    Page { items, next_cursor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_as_it_was_written() {
        let at = "2011-12-09T12:50:00.123456Z".parse().unwrap();
        let cursor = Cursor { at, id: Uuid::from_u128(7) };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));

        let cursor = SkuCursor("BANK CHARGES é".parse().unwrap());
        assert_eq!(cursor.to_string().parse(), Ok(cursor.clone()));
        assert!(
            cursor
                .to_string()
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric())
        );
    }

    #[test]
    fn a_text_of_someones_own_is_no_cursor() {
        for text in [
            "",
            "_",
            "1_",
            "x_00000000000000000000000000000007",
            "9".repeat(40).as_str(),
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(BadCursor), "{text:?}");
        }
        for text in ["", "4", "zz", "ff", "00", "é"] {
            assert_eq!(text.parse::<SkuCursor>(), Err(BadCursor), "{text:?}");
        }
    }

    #[test]
    fn the_last_page_says_so() {
        let cursor = |item: &i32| item.to_string();
        assert_eq!(page(vec![1, 2, 3], 2, cursor).next_cursor.as_deref(), Some("2"));
        assert_eq!(page(vec![1, 2], 2, cursor).next_cursor, None);
    }
}
