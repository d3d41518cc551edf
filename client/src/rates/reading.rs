//! Files of exchange rates: the ECB's XML (a day, 90 days, all), its wide CSV, and JSON.
//!
//! | first byte | is | where a day is |
//! | --- | --- | --- |
//! | `<` | XML | `<Cube time='2026-11-26'>` around `<Cube currency='USD' rate='1.0834'/>` |
//! | `{` or `[` | JSON | `{"date", "source", "rates": [{"currency", "per_eur"}]}`, or a list of them |
//! | any other | CSV | a line; the first line names the currencies, `N/A` is none |

use chrono::NaiveDate;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde::Deserialize;

/// What the ECB writes where a currency was not quoted.
const NOT_QUOTED: &str = "N/A";

/// The rates of one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Day {
    pub(super) date: NaiveDate,
    pub(super) source: String,
    pub(super) rates: Vec<Rate>,
}

/// One rate as it is written; the server judges what it is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rate {
    /// Where it stands, counted from 1.
    pub(super) line: usize,
    pub(super) currency: String,
    pub(super) per_eur: String,
}

/// Something that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Where it stands, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// Everything in a file, and everything that could not be read.
pub(super) fn read(text: &str, source: &str) -> (Vec<Day>, Vec<Unread>) {
    let text = text.trim_start_matches('\u{feff}');
    let mut found = Found { source, days: Vec::new(), unread: Vec::new() };
    match text.trim_start().chars().next() {
        None => {}
        Some('<') => found.read_xml(text),
        Some('{' | '[') => found.read_json(text),
        Some(_) => found.read_csv(text),
    }
    found.days.retain(|day| !day.rates.is_empty());
    (found.days, found.unread)
}

struct Found<'a> {
    source: &'a str,
    days: Vec<Day>,
    unread: Vec<Unread>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonDay {
    date: NaiveDate,
    source: Option<String>,
    rates: Vec<JsonRate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRate {
    currency: String,
    per_eur: String,
}

impl Found<'_> {
    fn unread(&mut self, line: usize, what: impl Into<String>) {
        self.unread.push(Unread { line, what: what.into() });
    }

    fn day(&mut self, date: NaiveDate) {
        self.days
            .push(Day { date, source: self.source.to_owned(), rates: Vec::new() });
    }

    fn read_xml(&mut self, text: &str) {
        let mut reader = Reader::from_str(text);
        let mut lines = Lines { text, at: 0, line: 1 };
        // Whether rates belong to a day that could be read.
        let mut has_day = false;
        loop {
            let line = lines.at(usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX));
            let event = reader.read_event();
            match event {
                Ok(Event::Eof) => return,
                Ok(Event::Start(element) | Event::Empty(element)) => {
                    if element.local_name().as_ref() == b"Cube" {
                        self.read_cube(&element, line, &mut has_day);
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    self.unread(line, format!("the XML breaks off here: {error}"));
                    return;
                }
            }
        }
    }

    fn read_cube(&mut self, element: &BytesStart<'_>, line: usize, has_day: &mut bool) {
        let (mut time, mut currency, mut rate) = (None, None, None);
        for attribute in element.attributes() {
            let Ok(attribute) = attribute else {
                return self.unread(line, "its attributes cannot be read");
            };
            let Ok(value) = attribute.unescape_value() else {
                return self.unread(line, "its attributes cannot be read");
            };
            match attribute.key.as_ref() {
                b"time" => time = Some(value.into_owned()),
                b"currency" => currency = Some(value.into_owned()),
                b"rate" => rate = Some(value.into_owned()),
                _ => {}
            }
        }
        match (time, currency, rate) {
            // The envelope of all days.
            (None, None, None) => {}
            (Some(time), ..) => {
                let date = date(&time);
                *has_day = date.is_some();
                if let Some(date) = date {
                    self.day(date);
                } else {
                    self.unread(line, format!("{time:?} is no day; its rates are left out"));
                }
            }
            (None, Some(currency), Some(per_eur)) => match self.days.last_mut() {
                Some(day) if *has_day => day.rates.push(Rate { line, currency, per_eur }),
                Some(_) => {}
                None => self.unread(line, format!("{currency} {per_eur} is of no day")),
            },
            (None, ..) => self.unread(line, "a rate has a currency and a rate"),
        }
    }

    fn read_json(&mut self, text: &str) {
        let days = if text.trim_start().starts_with('[') {
            serde_json::from_str(text)
        } else {
            serde_json::from_str(text).map(|day| vec![day])
        };
        let days: Vec<JsonDay> = match days {
            Ok(days) => days,
            Err(error) => return self.unread(error.line(), error.to_string()),
        };
        let mut line = 1;
        for JsonDay { date, source, rates } in days {
            let source = source.unwrap_or_else(|| self.source.to_owned());
            // The reader keeps no places; an entry's number is the next best.
            let rates = rates.into_iter().map(|JsonRate { currency, per_eur }| {
                let rate = Rate { line, currency, per_eur };
                line += 1;
                rate
            });
            let rates = rates.collect();
            self.days.push(Day { date, source, rates });
        }
    }

    fn read_csv(&mut self, text: &str) {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let mut currencies: Option<Vec<String>> = None;
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    self.unread(usize::try_from(line).unwrap_or(0), error.to_string());
                    continue;
                }
            };
            let line = record.position().map_or(0, csv::Position::line);
            let line = usize::try_from(line).unwrap_or(0);
            let first = record.get(0).unwrap_or_default();
            let Some(currencies) = &currencies else {
                if first.eq_ignore_ascii_case("date") {
                    currencies = Some(record.iter().skip(1).map(str::to_owned).collect());
                    continue;
                }
                let what = "the first line has to be Date and the currencies: Date,USD,JPY,...";
                return self.unread(line, what);
            };
            let Some(date) = date(first) else {
                self.unread(line, format!("{first:?} is no day"));
                continue;
            };
            if currencies.len() + 1 < record.len() {
                self.unread(line, "it has more columns than the first line");
                continue;
            }
            let rates = currencies.iter().zip(record.iter().skip(1));
            let is_quoted = |(currency, rate): &(&String, &str)| {
                // Each line of the ECB ends with a comma, and so with a column of no name.
                !currency.is_empty() && !rate.is_empty() && *rate != NOT_QUOTED
            };
            let rates = rates.filter(is_quoted).map(|(currency, rate)| Rate {
                line,
                currency: currency.clone(),
                per_eur: rate.to_owned(),
            });
            let rates = rates.collect();
            self.days
                .push(Day { date, source: self.source.to_owned(), rates });
        }
    }
}

/// `2026-11-26`, or `26 November 2026` as in the ECB's CSV of one day.
fn date(text: &str) -> Option<NaiveDate> {
    let is_iso = text.len() == "2026-11-26".len() && text.is_ascii();
    let iso = text.parse().ok().filter(|_| is_iso);
    iso.or_else(|| NaiveDate::parse_from_str(text, "%d %B %Y").ok())
}

/// Counts lines up to a place that only moves on.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl Lines<'_> {
    fn at(&mut self, position: usize) -> usize {
        let position = position.clamp(self.at, self.text.len());
        let passed = self.text.as_bytes().get(self.at..position);
        // Pieces between line breaks are one more than the breaks.
        let pieces = passed.map_or(1, |bytes| bytes.split(|byte| *byte == b'\n').count());
        self.at = position;
        self.line += pieces - 1;
        self.line
    }
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
