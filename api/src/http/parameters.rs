//! What the address of a request says: its path and its query. Read like a body: all flaws at
//! once, and what nobody asked for is refused by name.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::ids::{BadHandle, Handle, OrderId, PaymentId, Sku};
use projections::BadCursor;
use uuid::Uuid;

use super::fields::{instant, plain};
use super::problem::{Flaw, Problem};

/// Items of a page that nobody asked to be larger or smaller.
const LIMIT_DEFAULT: i64 = 20;
/// Items of the largest page.
const LIMIT_MAX: i64 = 100;
/// Longest value of a parameter, in characters.
const VALUE_CHARS_MAX: usize = 1_000;

/// The parameters of one query.
#[derive(Debug)]
pub(crate) struct Parameters {
    given: BTreeMap<String, String>,
    flaws: Vec<Flaw>,
}

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self::of(parts.uri.query().unwrap_or_default()))
    }
}

impl Parameters {
    pub(crate) fn of(query: &str) -> Self {
        let mut parameters = Self { given: BTreeMap::new(), flaws: Vec::new() };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            // What is not UTF-8 has become U+FFFD here, which nobody types.
            if value.contains('\u{fffd}') || name.contains('\u{fffd}') {
                parameters.flaw(&name, "is not UTF-8");
            } else if let Err(detail) = plain(&value) {
                parameters.flaw(&name, detail);
            } else if VALUE_CHARS_MAX < value.chars().count() {
                parameters.flaw(&name, format!("has more than {VALUE_CHARS_MAX} characters"));
            } else if parameters
                .given
                .insert(name.to_string(), value.into_owned())
                .is_some()
            {
                parameters.flaw(&name, "is given twice");
            }
        }
        parameters
    }

    fn flaw(&mut self, name: &str, detail: impl Into<String>) {
        self.flaws
            .push(Flaw { pointer: format!("?{name}"), detail: detail.into() });
    }

    /// All that was given, in one order however it was given: the same question has the same key.
    pub(crate) fn key(&self, of: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(format!("{of}?"));
        query.extend_pairs(&self.given);
        query.finish()
    }

    /// A parameter that `parse` understands, or nothing.
    pub(crate) fn optional<T, E: Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.given.remove(name)?;
        parse(&value)
            .map_err(|error| self.flaw(name, error.to_string()))
            .ok()
    }

    /// A parameter that has to be there.
    pub(crate) fn required<T, E: Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if !self.given.contains_key(name) {
            self.flaw(name, "is missing");
        }
        self.optional(name, parse)
    }

    /// A text as it is.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.optional(name, |text| Ok::<_, String>(text.to_owned()))
    }

    /// A whole number.
    pub(crate) fn integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Option<i64> {
        self.optional(name, |text| {
            let number = text.parse().ok().filter(|number| range.contains(number));
            number.ok_or_else(|| {
                format!("must be a whole number, {} to {}", range.start(), range.end())
            })
        })
    }

    /// A time (RFC 3339), or a day, which is its first instant.
    pub(crate) fn instant(&mut self, name: &str) -> Option<DateTime<Utc>> {
        self.optional(name, instant_or_day)
    }

    /// The same as an end that is included: of a day, its last instant.
    pub(crate) fn end(&mut self, name: &str) -> Option<DateTime<Utc>> {
        self.optional(name, |text| {
            let at = instant_or_day(text)?;
            let is_day = text.parse::<NaiveDate>().is_ok();
            Ok::<_, String>(if is_day {
                at + TimeDelta::days(1) - TimeDelta::microseconds(1)
            } else {
                at
            })
        })
    }

    /// One of a few words.
    pub(crate) fn one_of(&mut self, name: &str, words: &[&str]) -> Option<String> {
        self.optional(name, |text| {
            if words.contains(&text) {
                Ok(text.to_owned())
            } else {
                Err(format!("must be one of {}", words.join(", ")))
            }
        })
    }

    /// The same, with what each of them means.
    pub(crate) fn named<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        self.optional(name, |text| {
            let known = words.iter().find(|(word, _)| *word == text);
            known.map(|(_, meant)| *meant).ok_or_else(|| {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                format!("must be one of {}", words.join(", "))
            })
        })
    }

    /// The same, which has to be there.
    pub(crate) fn required_named<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        if !self.given.contains_key(name) {
            self.flaw(name, "is missing");
        }
        self.named(name, words)
    }

    /// Yes or no.
    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        self.optional(name, |text| text.parse().map_err(|_| "must be true or false"))
    }

    /// How many items a page is to have.
    pub(crate) fn limit(&mut self) -> i64 {
        self.integer("limit", 1..=LIMIT_MAX)
            .unwrap_or(LIMIT_DEFAULT)
    }

    /// Where a page begins.
    pub(crate) fn cursor<C: FromStr<Err = BadCursor>>(&mut self) -> Option<C> {
        self.optional("cursor", str::parse)
    }

    /// Refuses what asks for a page, where all of a list is told.
    pub(crate) fn whole(&mut self) {
        for name in ["limit", "cursor"] {
            if self.given.remove(name).is_some() {
                self.flaw(name, "is for pages; text/csv has all rows");
            }
        }
    }

    /// Refuses what is wrong about a parameter beside others.
    pub(crate) fn refuse(&mut self, name: &str, detail: &str) {
        self.flaw(name, detail);
    }

    /// Refuses what was wrong, and what nobody asked for.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        for name in std::mem::take(&mut self.given).into_keys() {
            self.flaw(&name, "is not a known parameter");
        }
        if self.flaws.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid_parameters(self.flaws))
        }
    }
}

pub(crate) fn instant_or_day(text: &str) -> Result<DateTime<Utc>, String> {
    let day = text
        .parse::<NaiveDate>()
        .ok()
        .filter(|_| text.len() == "2026-11-21".len());
    match day.and_then(|day| day.and_hms_opt(0, 0, 0)) {
        Some(midnight) => Ok(midnight.and_utc()),
        None => instant(text).map_err(|detail| format!("{detail} or a day such as 2026-11-21")),
    }
}

/// The last segment but one of a path that names an order. What is no id names nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OfOrder(pub(crate) OrderId);

impl<S: Send + Sync> FromRequestParts<S> for OfOrder {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = segment(parts, state).await;
        id.and_then(|id| id.parse().ok())
            .map(Self)
            .ok_or_else(|| Problem::not_found("order"))
    }
}

/// The same for a payment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OfPayment(pub(crate) PaymentId);

impl<S: Send + Sync> FromRequestParts<S> for OfPayment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = segment(parts, state).await;
        id.and_then(|id| id.parse().ok())
            .map(Self)
            .ok_or_else(|| Problem::not_found("payment"))
    }
}

/// The same for anything else that has a UUID; the handler knows what is missing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OfId(pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for OfId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = segment(parts, state).await;
        id.and_then(|id| id.parse().ok())
            .map(Self)
            .ok_or_else(|| Problem::not_found("id"))
    }
}

/// The same for an article. A text that cannot be a SKU is a mistake worth explaining.
#[derive(Debug, Clone)]
pub(crate) struct OfSku(pub(crate) Sku);

impl<S: Send + Sync> FromRequestParts<S> for OfSku {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let sku = segment(parts, state).await;
        let sku = sku.ok_or_else(|| flawed("{sku}", "is not UTF-8".to_owned()))?;
        sku.try_into()
            .map(Self)
            .map_err(|error: domain::ids::BadSku| flawed("{sku}", error.to_string()))
    }
}

/// The same for a listing or a category. A text that cannot be a handle is a mistake worth
/// explaining.
#[derive(Debug, Clone)]
pub(crate) struct OfHandle(pub(crate) Handle);

impl<S: Send + Sync> FromRequestParts<S> for OfHandle {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let handle = segment(parts, state).await;
        let handle = handle.ok_or_else(|| flawed("{handle}", "is not UTF-8".to_owned()))?;
        handle
            .try_into()
            .map(Self)
            .map_err(|error: BadHandle| flawed("{handle}", error.to_string()))
    }
}

/// The same for a read model, whatever it is called.
#[derive(Debug, Clone)]
pub(crate) struct OfReadModel(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for OfReadModel {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let name = segment(parts, state).await;
        name.map(Self)
            .ok_or_else(|| Problem::not_found("read model"))
    }
}

/// The one parameter of a path; `None` if it is not UTF-8.
async fn segment<S: Send + Sync>(parts: &mut Parts, state: &S) -> Option<String> {
    let path = Path::<String>::from_request_parts(parts, state).await;
    path.ok().map(|Path(value)| value)
}

fn flawed(segment: &str, detail: String) -> Problem {
    Problem::invalid_parameters(vec![Flaw { pointer: segment.to_owned(), detail }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T>(read: impl Fn(&mut Parameters) -> T, query: &str) -> bool {
        let mut parameters = Parameters::of(query);
        let _value = read(&mut parameters);
        parameters.finish().is_err()
    }

    #[test]
    fn a_limit_has_a_default_and_bounds() {
        assert_eq!(Parameters::of("").limit(), 20);
        assert_eq!(Parameters::of("limit=100").limit(), 100);
        for query in [
            "limit=0",
            "limit=101",
            "limit=-1",
            "limit=",
            "limit=ten",
            "limit=1.5",
        ] {
            assert!(refused(Parameters::limit, query), "{query}");
        }
    }

    #[test]
    fn what_nobody_asked_for_or_is_garbled_is_refused() {
        for query in ["colour=red", "sku=%00", "sku=%ff", "sku=a&sku=b", "%ff=1"] {
            assert!(refused(|parameters| parameters.text("sku"), query), "{query}");
        }
        assert!(!refused(|parameters| parameters.text("sku"), "sku=BANK+CHARGES%2F%C3%A9"));
    }

    #[test]
    fn a_day_ends_with_its_last_instant() {
        let end = |query| Parameters::of(query).end("to").unwrap().to_rfc3339();
        assert_eq!(end("to=2010-12-01"), "2010-12-01T23:59:59.999999+00:00");
        assert_eq!(end("to=2010-12-01T08:00:00Z"), "2010-12-01T08:00:00+00:00");
    }

    #[test]
    fn a_time_may_be_a_day() {
        let read = |query| Parameters::of(query).instant("from");
        assert_eq!(read("from=2010-12-01"), read("from=2010-12-01T00:00:00Z"));
        assert_eq!(read("from=2010-12-01T02:00:00%2B02:00"), read("from=2010-12-01"));
        for query in [
            "from=1",
            "from=2010-13-01",
            "from=2010-12",
            "from=2010-12-01T00:00:00+02:00",
        ] {
            assert!(refused(|parameters| parameters.instant("from"), query), "{query}");
        }
    }
}
