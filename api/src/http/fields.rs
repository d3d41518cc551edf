//! Reads the fields of a body into what the domain understands, and takes down every flaw on the
//! way, so that a client can mend all of them at once.
//!
//! 1. A reader returns `None` only after it has taken down a flaw, or where an optional field is
//!    absent (`null` counts as absent).
//! 2. A field that no reader asked for is refused by name.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;

use super::json::{Json, Members};
use super::problem::{Flaw, Problem};
use chrono::{DateTime, Datelike as _, Utc};
use domain::ids::Sku;
use domain::money::{Currency, Money};
use projections::Until;

/// Flaws told at once: four on each line of the largest order, and a bound on our answer.
const FLAWS_MAX: usize = 8_000;
/// Years that an instant may lie in: what Postgres, chrono and RFC 3339 all hold.
const YEARS: RangeInclusive<i32> = 1970..=9999;

/// What a command carries.
pub(crate) trait Body: Sized {
    /// Longest body in bytes.
    const BYTES_MAX: usize = 64 * 1024;
    /// Whether no body at all means `{}`.
    const OPTIONAL: bool = false;

    /// Reads it; see invariant 1.
    fn read(fields: &mut Fields<'_>) -> Option<Self>;
}

/// Reads a whole body; `gateways` are the payment providers that it may name.
pub(crate) fn read<B: Body>(value: &Json<'_>, gateways: &[String]) -> Result<B, Problem> {
    let notes = Notes { gateways, flaws: RefCell::default() };
    let body = object(value, String::new(), &notes, B::read);
    match (notes.flaws.into_inner(), body) {
        (flaws, Some(body)) if flaws.is_empty() => Ok(body),
        (flaws, _) => Err(Problem::invalid_fields(flaws)),
    }
}

/// Reads what a test has put together.
#[cfg(test)]
pub(crate) fn read_value<B: Body>(
    value: &serde_json::Value,
    gateways: &[String],
) -> Result<B, Problem> {
    let text = value.to_string();
    read(&super::json::parse(text.as_bytes()).unwrap(), gateways)
}

/// What all objects of a body share.
#[derive(Debug)]
struct Notes<'v> {
    gateways: &'v [String],
    flaws: RefCell<Vec<Flaw>>,
}

impl Notes<'_> {
    fn add(&self, pointer: &str, detail: impl Into<String>) {
        let mut flaws = self.flaws.borrow_mut();
        if flaws.len() < FLAWS_MAX {
            flaws.push(Flaw { pointer: pointer.to_owned(), detail: detail.into() });
        }
    }
}

/// The fields of one object.
pub(crate) struct Fields<'v> {
    at: String,
    members: &'v Members<'v>,
    asked: Vec<&'static str>,
    notes: &'v Notes<'v>,
}

impl<'v> Fields<'v> {
    /// Names as they stand in a pointer (RFC 6901).
    pub(crate) fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.at, name.replace('~', "~0").replace('/', "~1"))
    }

    /// Takes down a flaw that only the reader of the whole can see.
    pub(crate) fn flaw(&self, name: &str, detail: impl Into<String>) {
        self.notes.add(&self.pointer(name), detail);
    }

    /// The same of a member of a list of objects.
    pub(crate) fn flaw_within(&self, list: &str, index: usize, name: &str, detail: &str) {
        self.notes
            .add(&format!("{}/{index}/{name}", self.pointer(list)), detail);
    }

    /// The same of an item of a list.
    pub(crate) fn flaw_at(&self, name: &str, index: usize, detail: impl Into<String>) {
        self.notes
            .add(&format!("{}/{index}", self.pointer(name)), detail);
    }

    /// The payment providers that the body may name.
    pub(crate) fn gateways(&self) -> &'v [String] {
        self.notes.gateways
    }

    /// Whether the client gave it.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    fn optional(&mut self, name: &'static str) -> Option<&'v Json<'v>> {
        self.asked.push(name);
        self.members.get(name).filter(|value| !value.is_null())
    }

    fn required(&mut self, name: &'static str) -> Option<&'v Json<'v>> {
        let value = self.optional(name);
        if value.is_none() {
            self.flaw(name, "is missing");
        }
        value
    }

    fn parsed<T>(
        &self,
        name: &str,
        value: Option<&Json<'_>>,
        parse: impl FnOnce(&Json<'_>) -> Result<T, String>,
    ) -> Option<T> {
        parse(value?).map_err(|detail| self.flaw(name, detail)).ok()
    }

    /// A text of 1 to `chars_max` characters.
    pub(crate) fn text(&mut self, name: &'static str, chars_max: usize) -> Option<String> {
        let value = self.required(name);
        self.parsed(name, value, |value| text(value, chars_max))
    }

    /// The same, or nothing.
    pub(crate) fn optional_text(&mut self, name: &'static str, chars_max: usize) -> Option<String> {
        let value = self.optional(name);
        self.parsed(name, value, |value| text(value, chars_max))
    }

    /// A text of 1 to `chars_max` characters on several lines, which end in line feeds.
    pub(crate) fn prose(&mut self, name: &'static str, chars_max: usize) -> Option<String> {
        let value = self.required(name);
        self.parsed(name, value, |value| prose(string(value)?, chars_max))
    }

    /// The same, or nothing.
    pub(crate) fn optional_prose(
        &mut self,
        name: &'static str,
        chars_max: usize,
    ) -> Option<String> {
        self.optional(name)?;
        self.prose(name, chars_max)
    }

    /// A text that `parse` understands.
    pub(crate) fn of<T, E: Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.required(name);
        self.parsed(name, value, |value| parse(string(value)?).map_err(|e| e.to_string()))
    }

    /// The SKU of an article.
    pub(crate) fn sku(&mut self, name: &'static str) -> Option<Sku> {
        self.of(name, str::parse)
    }

    /// One of a few words.
    pub(crate) fn one_of<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        self.of(name, |text| {
            let known = words.iter().find(|(word, _)| *word == text);
            known.map(|(_, value)| *value).ok_or_else(|| {
                let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                format!("must be one of {}", words.join(", "))
            })
        })
    }

    /// A whole number.
    pub(crate) fn integer(
        &mut self,
        name: &'static str,
        range: RangeInclusive<i64>,
    ) -> Option<i64> {
        let value = self.required(name);
        self.parsed(name, value, |value| match value.as_i64() {
            Some(number) if range.contains(&number) => Ok(number),
            Some(_) => Err(format!("must be {} to {}", range.start(), range.end())),
            None => Err(format!(
                "must be a whole number, {} to {}, without quotation marks",
                range.start(),
                range.end()
            )),
        })
    }

    /// A whole number, or nothing.
    pub(crate) fn optional_integer(
        &mut self,
        name: &'static str,
        range: RangeInclusive<i64>,
    ) -> Option<i64> {
        self.optional(name)?;
        self.integer(name, range)
    }

    /// A text that `parse` understands, or nothing.
    pub(crate) fn optional_of<T, E: Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.optional(name)?;
        self.of(name, parse)
    }

    /// One of a few words, or nothing.
    pub(crate) fn optional_one_of<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        self.optional(name)?;
        self.one_of(name, words)
    }

    /// `true`, `false`, or nothing.
    pub(crate) fn optional_flag(&mut self, name: &'static str) -> Option<bool> {
        self.optional(name)?;
        self.flag(name)
    }

    /// A number of pieces, which is never negative.
    pub(crate) fn pieces(&mut self, name: &'static str, pieces_max: u32) -> Option<u32> {
        let pieces = self.integer(name, 1..=i64::from(pieces_max))?;
        u32::try_from(pieces).ok()
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, name: &'static str) -> Option<bool> {
        let value = self.required(name);
        self.parsed(name, value, |value| value.as_bool().ok_or("must be true or false".into()))
    }

    /// A list of up to `max` different words that `parse` understands; empty if there is none.
    pub(crate) fn words<T: PartialEq, E: Display>(
        &mut self,
        name: &'static str,
        max: usize,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let Some(value) = self.optional(name) else {
            return Some(Vec::new());
        };
        let Some(items) = value.as_list().filter(|items| items.len() <= max) else {
            self.flaw(name, format!("must be a list of {max} at most"));
            return None;
        };
        let (mut words, mut all_read) = (Vec::with_capacity(items.len()), true);
        for (index, item) in items.iter().enumerate() {
            let read = string(item).and_then(|text| parse(text).map_err(|error| error.to_string()));
            match read {
                Ok(word) if !words.contains(&word) => words.push(word),
                Ok(_) => {
                    self.flaw_at(name, index, "is named twice");
                    all_read = false;
                }
                Err(detail) => {
                    self.flaw_at(name, index, detail);
                    all_read = false;
                }
            }
        }
        all_read.then_some(words)
    }

    /// A list of 1 to `max` whole numbers from 1 on, or nothing.
    pub(crate) fn numbers(&mut self, name: &'static str, max: usize) -> Option<Vec<u16>> {
        let value = self.optional(name)?;
        let items = value.as_list();
        let Some(items) = items.filter(|items| (1..=max).contains(&items.len())) else {
            self.flaw(name, format!("must be a list of 1 to {max}"));
            return None;
        };
        let number = |(index, item): (usize, &Json<'_>)| {
            let number = item.as_i64().and_then(|number| u16::try_from(number).ok());
            let number = number.filter(|number| 0 < *number);
            if number.is_none() {
                self.flaw_at(name, index, format!("must be a whole number, 1 to {}", u16::MAX));
            }
            number
        };
        // Read to the end before the first absence counts, so that no item's flaws are missed.
        let read: Vec<Option<u16>> = items.iter().enumerate().map(number).collect();
        read.into_iter().collect()
    }

    /// An instant (RFC 3339), or nothing.
    pub(crate) fn optional_instant(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        let value = self.optional(name);
        self.parsed(name, value, |value| instant(string(value)?))
    }

    /// A point of the past, or nothing: a position as a number, or a time.
    pub(crate) fn optional_until(&mut self, name: &'static str) -> Option<Until> {
        let value = self.optional(name);
        self.parsed(name, value, |value| match value.as_i64() {
            Some(position) => position.to_string().parse(),
            None => string(value)?.parse(),
        })
    }

    /// A currency.
    pub(crate) fn currency(&mut self, name: &'static str) -> Option<Currency> {
        self.of(name, str::parse)
    }

    /// An amount of any currency.
    pub(crate) fn money(&mut self, name: &'static str) -> Option<Money> {
        self.required(name)?;
        self.optional_money(name, None)
    }

    /// An amount, or nothing. `in_currency`, if it is known, is the only one that will do.
    pub(crate) fn optional_money(
        &mut self,
        name: &'static str,
        in_currency: Option<Currency>,
    ) -> Option<Money> {
        self.optional_object(name, |fields| fields.amount(in_currency))
    }

    /// The amount that this object is.
    pub(crate) fn amount(&mut self, in_currency: Option<Currency>) -> Option<Money> {
        let amount = self.of("amount", |text| Ok::<_, String>(text.to_owned()));
        let currency = self.currency("currency");
        let (amount, currency) = (amount?, currency?);
        if let Some(expected) = in_currency.filter(|expected| *expected != currency) {
            self.flaw("currency", format!("must be {expected}, the order's currency"));
            return None;
        }
        let money = Money::parse(&amount, currency);
        money
            .map_err(|error| self.flaw("amount", error.to_string()))
            .ok()
    }

    /// An object.
    pub(crate) fn object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
    ) -> Option<T> {
        let value = self.required(name)?;
        object(value, self.pointer(name), self.notes, read)
    }

    /// An object, or nothing.
    pub(crate) fn optional_object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
    ) -> Option<T> {
        let value = self.optional(name)?;
        object(value, self.pointer(name), self.notes, read)
    }

    /// A list of 1 to `max` objects.
    pub(crate) fn list<T>(
        &mut self,
        name: &'static str,
        max: usize,
        read: impl Fn(&mut Fields<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.required(name)?;
        self.optional_list(name, max, read)
    }

    /// A list of 1 to `max` objects, or nothing.
    pub(crate) fn optional_list<T>(
        &mut self,
        name: &'static str,
        max: usize,
        read: impl Fn(&mut Fields<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let value = self.optional(name)?;
        self.items(name, value, 1..=max, read)
    }

    /// A list of up to `max` objects; none of them where it is absent.
    pub(crate) fn list_up_to<T>(
        &mut self,
        name: &'static str,
        max: usize,
        read: impl Fn(&mut Fields<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        match self.optional(name) {
            Some(value) => self.items(name, value, 0..=max, read),
            None => Some(Vec::new()),
        }
    }

    fn items<T>(
        &self,
        name: &str,
        value: &Json<'_>,
        many: RangeInclusive<usize>,
        read: impl Fn(&mut Fields<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = value.as_list();
        let Some(items) = items.filter(|items| many.contains(&items.len())) else {
            self.flaw(name, format!("must be a list of {} to {}", many.start(), many.end()));
            return None;
        };
        let at = self.pointer(name);
        // Read to the end before the first absence counts, so that no item's flaws are missed.
        let read: Vec<Option<T>> = items
            .iter()
            .enumerate()
            .map(|(index, item)| object(item, format!("{at}/{index}"), self.notes, &read))
            .collect();
        read.into_iter().collect()
    }
}

/// Reads one object, and refuses the fields that nobody asked for.
fn object<T>(
    value: &Json<'_>,
    at: String,
    notes: &Notes<'_>,
    read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
) -> Option<T> {
    let Some(members) = value.as_object() else {
        notes.add(&at, "must be an object");
        return None;
    };
    let mut fields = Fields { at, members, asked: Vec::new(), notes };
    let whole = read(&mut fields);
    for name in members.names().filter(|name| !fields.asked.contains(name)) {
        fields.flaw(name, "is not a known field");
    }
    whole
}

fn string<'v>(value: &'v Json<'_>) -> Result<&'v str, String> {
    value.as_text().ok_or_else(|| "must be a text".to_owned())
}

fn text(value: &Json<'_>, chars_max: usize) -> Result<String, String> {
    let text = string(value)?;
    if text.trim().is_empty() || chars_max < text.chars().count() {
        return Err(format!("must have 1 to {chars_max} characters, not all of them blank"));
    }
    plain(text).map(str::to_owned)
}

/// Refuses what cannot be stored (NUL) or would garble a line of a log or an invoice.
pub(crate) fn plain(text: &str) -> Result<&str, String> {
    if text.contains(char::is_control) {
        Err("must not contain control characters".to_owned())
    } else {
        Ok(text)
    }
}

/// The same with line breaks and tabs, which garble nothing where several lines are expected.
pub(crate) fn prose(text: &str, chars_max: usize) -> Result<String, String> {
    let text = text.replace("\r\n", "\n");
    if text.trim().is_empty() || chars_max < text.chars().count() {
        return Err(format!("must have 1 to {chars_max} characters, not all of them blank"));
    }
    if text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err("must not contain control characters but line breaks and tabs".to_owned());
    }
    Ok(text)
}

/// RFC 3339, in a year that everything downstream can hold.
pub(crate) fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let read = DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|at| at.with_timezone(&Utc));
    read.filter(|at| YEARS.contains(&at.year()))
        .ok_or_else(|| "must be a time such as 2026-11-21T09:30:00Z (RFC 3339)".to_owned())
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
