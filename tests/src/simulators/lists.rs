//! Lists of what was made within a span of time, the newest first, page by page.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde_json::Value;

/// Entries of a page unless a test wants fewer.
pub(super) const PAGE_MAX: usize = 100;

/// Parameters as an address has them.
pub(super) type Query = BTreeMap<String, String>;

/// A page, and how many there are.
pub(super) struct Numbered {
    pub(super) items: Vec<Value>,
    pub(super) page: usize,
    pub(super) pages: usize,
}

/// The page that is asked for by `page`, `from` and `to`, of those that were made within.
pub(super) fn numbered(
    all: impl DoubleEndedIterator<Item = Value>,
    made_at: &str,
    query: &Query,
    size: usize,
) -> Numbered {
    let from = query.get("from").and_then(|text| instant(text, 0));
    let until = query.get("to").and_then(|text| instant(text, 1));
    let is_within = |item: &Value| {
        let made_at: DateTime<Utc> = item[made_at]
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("it has a time");
        from.is_none_or(|from| from <= made_at) && until.is_none_or(|until| made_at < until)
    };
    let within: Vec<Value> = all.rev().filter(is_within).collect();
    let page = query.get("page").and_then(|text| text.parse().ok());
    let page: usize = page.unwrap_or(1).max(1);
    let pages = within.len().div_ceil(size);
    let items = within.into_iter().skip((page - 1) * size).take(size);
    Numbered { items: items.collect(), page, pages }
}

/// A time, or a day, which ends so many days later.
fn instant(text: &str, days: u64) -> Option<DateTime<Utc>> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        let day = day.checked_add_days(Days::new(days))?;
        return Some(day.and_hms_opt(0, 0, 0)?.and_utc());
    }
    text.parse().ok()
}
