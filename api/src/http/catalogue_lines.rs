//! The catalogue as a table of lines, in and out: a line a product, with the listing that it stands
//! on. Columns may be left out, and cells empty: what is not given stays as it is.
//!
//! | columns | are |
//! | --- | --- |
//! | `handle`, `title`, `description`, `category`, `tags`, `images`, `shown`, `vendor` | the listing's; once for all of its lines, or the same on each |
//! | `sku`, `name`, `price`, `currency`, `prices`, `active`, `weight_grams`, `sold_by` | the product's |
//! | `options` | what sets the product apart on the listing |
//!
//! Several tags, images, prices or options stand in one cell, with bars between them.

use std::collections::HashMap;

use csv::StringRecord;
use domain::ids::{Handle, Sku, VendorId};
use domain::listing::{self, Choice, DESCRIPTION_CHARS_MAX, TITLE_CHARS_MAX, Variant};
use domain::money::{Currency, Money};
use domain::product;
use exports::delimited;
use uuid::Uuid;

use super::fields::{plain, prose};
use super::listings::{image, option, tag};
use super::order_body::NAME_CHARS_MAX;

/// Every column, as exports write them.
pub(crate) const COLUMNS: [&str; 17] = [
    "handle",
    "title",
    "description",
    "category",
    "tags",
    "images",
    "shown",
    "vendor",
    "sku",
    "name",
    "options",
    "price",
    "currency",
    "prices",
    "active",
    "weight_grams",
    "sold_by",
];
/// What stands between several values in one cell.
pub(crate) const BAR: char = '|';

/// A cell as a file holds it: what a spreadsheet would take for a formula has an apostrophe in front.
pub(crate) fn guarded(text: String) -> String {
    if is_formula(&text) {
        format!("'{text}")
    } else {
        text
    }
}

/// A cell as it was before it was guarded.
fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'')
        .filter(|rest| is_formula(rest))
        .unwrap_or(cell)
}

/// Names that are numbers are guarded as well: files say so since before numbers were told apart, and
/// are read back as they were written.
fn is_formula(text: &str) -> bool {
    delimited::begins_like_a_formula(text.trim_start_matches('\''))
}

/// One line, read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    /// In the file; the head is line 1.
    pub(crate) number: u64,
    pub(crate) handle: Option<Handle>,
    /// What it says of the listing, but for its variants.
    pub(crate) listing: listing::Amendment,
    pub(crate) variant: Option<Variant>,
    pub(crate) product: product::Amendment,
}

/// Where which column is.
#[derive(Debug)]
pub(crate) struct Head(HashMap<&'static str, usize>);

impl Head {
    /// Reads the first line; what is wrong with it.
    pub(crate) fn read(record: &StringRecord) -> Result<Self, Vec<String>> {
        let (mut at, mut wrong) = (HashMap::new(), Vec::new());
        for (index, name) in record.iter().enumerate() {
            // Spreadsheets begin a file with a mark that says it is UTF-8.
            let name = name.trim_start_matches('\u{feff}').trim();
            match COLUMNS.into_iter().find(|column| *column == name) {
                None => wrong.push(format!("{name:?} is not a known column")),
                Some(column) if at.insert(column, index).is_some() => {
                    wrong.push(format!("{column} is there twice"));
                }
                Some(_) => {}
            }
        }
        if !at.contains_key("handle") && !at.contains_key("sku") {
            wrong.push("there is neither a column handle nor a column sku".to_owned());
        }
        if wrong.is_empty() {
            Ok(Self(at))
        } else {
            Err(wrong)
        }
    }

    /// Reads another line; all that is wrong with it.
    pub(crate) fn line(&self, number: u64, record: &StringRecord) -> Result<Line, Vec<String>> {
        let mut cells = Cells { head: self, record, wrong: Vec::new() };
        let handle = cells.read("handle", |text| text.parse::<Handle>().map_err(told));
        let sku = cells.read("sku", |text| text.parse::<Sku>().map_err(told));
        let listing = cells.listing();
        let options = cells.read("options", options);
        let product = cells.product();
        if handle.is_none() && sku.is_none() && cells.wrong.is_empty() {
            cells
                .wrong
                .push("needs a handle, a sku, or both".to_owned());
        }
        if handle.is_none() && (listing != listing::Amendment::default() || options.is_some()) {
            cells
                .wrong
                .push("handle: is missing, but something is said of a listing".to_owned());
        }
        if sku.is_none() && (product != product::Amendment::default() || options.is_some()) {
            cells
                .wrong
                .push("sku: is missing, but something is said of a product".to_owned());
        }
        if !cells.wrong.is_empty() {
            return Err(cells.wrong);
        }
        let variant = sku.map(|sku| Variant { sku, options: options.unwrap_or_default() });
        Ok(Line { number, handle, listing, variant, product })
    }
}

/// The cells of one line, and what is wrong with them.
struct Cells<'l> {
    head: &'l Head,
    record: &'l StringRecord,
    wrong: Vec<String>,
}

impl Cells<'_> {
    /// A cell that `parse` understands; nothing where it is empty.
    fn read<T>(
        &mut self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let cell = unguarded(self.record.get(*self.head.0.get(column)?)?);
        let trimmed = cell.trim();
        if trimmed.is_empty() {
            return None;
        }
        // What people read is as it was written.
        let is_text = matches!(column, "title" | "description" | "name");
        parse(if is_text { cell } else { trimmed })
            .map_err(|why| self.wrong.push(format!("{column}: {why}")))
            .ok()
    }

    fn listing(&mut self) -> listing::Amendment {
        listing::Amendment {
            title: self.read("title", |text| short(text, TITLE_CHARS_MAX)),
            description: self.read("description", |text| prose(text, DESCRIPTION_CHARS_MAX)),
            images: self.read("images", |text| several(text, image)),
            category: self.read("category", |text| text.parse().map_err(told)),
            tags: self.read("tags", |text| several(text, tag)),
            active: self.read("shown", flag),
            vendor: self.read("vendor", uuid),
            variants: vec![],
        }
    }

    fn product(&mut self) -> product::Amendment {
        let currency = self.read("currency", |text| text.parse::<Currency>().map_err(told));
        let wrong = self.wrong.len();
        let price = self.read("price", |text| match currency {
            Some(currency) => Money::parse(text, currency).map_err(told),
            None => Err("needs a currency".to_owned()),
        });
        if currency.is_some() && price.is_none() && self.wrong.len() == wrong {
            self.wrong
                .push("price: is missing beside a currency".to_owned());
        }
        product::Amendment {
            name: self.read("name", |text| short(text, NAME_CHARS_MAX)),
            price,
            active: self.read("active", flag),
            prices: self.read("prices", |text| several(text, money)),
            weight_grams: self.read("weight_grams", grams),
            vendor: self.read("sold_by", uuid).map(VendorId),
        }
    }
}

fn several<T>(text: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let parts = text.split(BAR).map(str::trim);
    parts.filter(|part| !part.is_empty()).map(read).collect()
}

fn options(text: &str) -> Result<Vec<Choice>, String> {
    several(text, |choice| {
        let (name, value) = choice
            .split_once('=')
            .ok_or_else(|| format!("{choice:?} must be a name and a value, such as size=large"))?;
        Ok(Choice { name: option(name)?, value: option(value)? })
    })
}

fn money(text: &str) -> Result<Money, String> {
    let (currency, amount) = text
        .split_once(' ')
        .ok_or_else(|| format!("{text:?} must be a currency and an amount, such as EUR 5.20"))?;
    Money::parse(amount.trim(), currency.parse().map_err(told)?).map_err(told)
}

fn grams(text: &str) -> Result<u32, String> {
    let grams = text.parse().ok();
    grams
        .filter(|grams| (1..=product::WEIGHT_GRAMS_MAX).contains(grams))
        .ok_or_else(|| format!("must be a whole number, 1 to {}", product::WEIGHT_GRAMS_MAX))
}

fn uuid(text: &str) -> Result<Uuid, String> {
    text.parse().map_err(|_| "must be a UUID".to_owned())
}

fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

fn short(text: &str, chars_max: usize) -> Result<String, String> {
    if text.is_empty() || chars_max < text.chars().count() {
        return Err(format!("must have 1 to {chars_max} characters"));
    }
    plain(text).map(str::to_owned)
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &[&str], line: &[&str]) -> Result<Line, Vec<String>> {
        Head::read(&StringRecord::from(head.to_vec()))?.line(2, &StringRecord::from(line.to_vec()))
    }

    #[test]
    fn a_full_line_says_all_there_is() {
        let line = read(
            &COLUMNS,
            &[
                "tea-cup",
                "Tea cup",
                "For tea.\nAnd coffee.",
                "cups",
                "tea|Gift",
                "https://a.example/1|https://a.example/2",
                "yes",
                "",
                "CUP-S",
                "Small cup",
                "size=small | colour=red",
                "4.50",
                "GBP",
                "EUR 5.20|JPY 900",
                "true",
                "350",
                "01890c3e-8d3a-7c55-b0e5-5d1a7a3f9b10",
            ],
        );
        let line = line.unwrap();
        let money = |text: &str| money(text).unwrap();
        assert_eq!(line.handle, Some("tea-cup".parse().unwrap()));
        assert_eq!(line.listing.tags, Some(vec!["tea".to_owned(), "gift".to_owned()]));
        assert_eq!(line.listing.images.as_ref().map(Vec::len), Some(2));
        assert_eq!(line.listing.active, Some(true));
        assert_eq!(line.variant.unwrap().options.len(), 2);
        assert_eq!(line.product.price, Some(money("GBP 4.50")));
        assert_eq!(line.product.weight_grams, Some(350));
        assert_eq!(line.product.prices, Some(vec![money("EUR 5.20"), money("JPY 900")]));
        assert!(line.product.vendor.is_some());
    }

    #[test]
    fn what_looks_like_a_formula_is_guarded_and_read_back_as_it_was() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("-CUP", "'-CUP"),
            ("'=1", "''=1"),
            ("''@x", "'''@x"),
            ("'plain", "'plain"),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(guarded(text.to_owned()), cell);
            assert_eq!(unguarded(cell), text);
        }
    }

    #[test]
    fn what_is_not_given_is_not_said() {
        let line = read(&["\u{feff}sku", "price", "currency", "name"], &["CUP", "5", "GBP", ""]);
        let product = product::Amendment {
            price: Some(money("GBP 5").unwrap()),
            ..product::Amendment::default()
        };
        assert_eq!(line.unwrap().product, product);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let wrong = read(
            &["handle", "sku", "price", "currency", "shown", "options"],
            &["Tea Cup", " ", "4.505", "GBP", "perhaps", "large"],
        )
        .unwrap_err();
        let of = |column: &str| wrong.iter().any(|why| why.starts_with(column));
        for column in ["handle:", "price:", "shown:", "options:"] {
            assert!(of(column), "{column} {wrong:?}");
        }
        for (head, line, why) in [
            (["handle", "colour"], ["cup", "red"], "\"colour\" is not a known column"),
            (["sku", "sku"], ["cup", "cup"], "sku is there twice"),
            (
                ["name", "price"],
                ["Cup", "5"],
                "there is neither a column handle nor a column sku",
            ),
            (["handle", "sku"], ["", ""], "needs a handle, a sku, or both"),
            (
                ["sku", "title"],
                ["cup", "Cup"],
                "handle: is missing, but something is said of a listing",
            ),
            (
                ["handle", "name"],
                ["cup", "Cup"],
                "sku: is missing, but something is said of a product",
            ),
            (["sku", "price"], ["cup", "5"], "price: needs a currency"),
            (["sku", "currency"], ["cup", "GBP"], "price: is missing beside a currency"),
        ] {
            assert_eq!(read(&head, &line).unwrap_err(), [why]);
        }
    }
}
