//! Lists of listings: filtered, sorted, in pages.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use domain::ids::Handle;
use domain::money::Currency;
use serde::Serialize;
use sqlx::{FromRow, PgPool, Postgres, QueryBuilder};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Onlooker;
use crate::categories::CategoryName;
use crate::error::Error;
use crate::money::MoneyView;
use crate::paging::{self, BadCursor, Page};
use crate::products::can_be_bought;
use crate::storable::{self, storable};

/// Words of a search that count: whoever types more has found nothing long before.
const WORDS_MAX: usize = 10;
/// Sorts behind every price: an amount is below it.
const NO_PRICE_UP: i64 = i64::MAX;
/// The same the other way round: a price is above zero.
const NO_PRICE_DOWN: i64 = 0;

/// A listing in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ListingSummary {
    /// Its name in addresses.
    #[schema(value_type = String, example = "tea-cup")]
    pub handle: Handle,
    /// Its headline.
    pub title: String,
    /// Its first picture.
    pub image: Option<String>,
    /// Where it stands.
    pub category: Option<CategoryName>,
    /// Words by which it is found.
    pub tags: Vec<String>,
    /// The lowest price of what can be bought, in the currency asked for or else the first
    /// product's own; null if there is none.
    pub price: Option<MoneyView>,
    /// How many variants it has that can be bought; for staff, all.
    pub variants: i64,
    /// Whether some of one of them can still be reserved.
    pub in_stock: bool,
    /// Whether customers see it.
    pub active: bool,
    /// Whose it is, if not the shop's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<Uuid>,
    /// When it was listed.
    pub listed_at: DateTime<Utc>,
}

/// In which order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Sort {
    /// What was listed last comes first.
    #[default]
    Newest,
    /// By title, whatever its case.
    Title,
    /// What costs least comes first.
    PriceUp,
    /// What costs most comes first.
    PriceDown,
}

impl Sort {
    /// Every order with its name.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("newest", Self::Newest),
        ("title", Self::Title),
        ("price", Self::PriceUp),
        ("-price", Self::PriceDown),
    ];

    /// Whether prices are compared, which only those of one currency can be.
    pub fn is_by_price(self) -> bool {
        matches!(self, Self::PriceUp | Self::PriceDown)
    }
}

/// Prices between which some variant must lie, in minor units of the filter's currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PriceRange {
    /// At least.
    pub from_minor: Option<i64>,
    /// At most.
    pub to_minor: Option<i64>,
}

/// Which listings to list. What is not given does not restrict.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Words, each of which occurs in handle, title, description, tags or SKUs.
    pub search: Option<String>,
    /// This category or one below it.
    pub category: Option<Handle>,
    /// All of these tags.
    pub tags: Vec<String>,
    /// The currency that prices are told and compared in.
    pub currency: Option<Currency>,
    /// The lowest price lies here.
    pub price: PriceRange,
    /// Whether some can still be reserved.
    pub in_stock: Option<bool>,
    /// Whether customers see it.
    pub active: Option<bool>,
    /// Whose.
    pub vendor: Option<Uuid>,
}

/// Where a page ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingCursor {
    key: Key,
    handle: Handle,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Newest(DateTime<Utc>),
    Title(String),
    PriceUp(i64),
    PriceDown(i64),
}

impl ListingCursor {
    /// Whether it is of a list in this order.
    pub fn is_of(&self, sort: Sort) -> bool {
        sort == match self.key {
            Key::Newest(_) => Sort::Newest,
            Key::Title(_) => Sort::Title,
            Key::PriceUp(_) => Sort::PriceUp,
            Key::PriceDown(_) => Sort::PriceDown,
        }
    }
}

impl fmt::Display for ListingCursor {
    // In hexadecimal: a title may hold any character, an address may not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = match &self.key {
            Key::Newest(at) => format!("n{}", at.timestamp_micros()),
            Key::Title(title) => format!("t{title}"),
            Key::PriceUp(minor) => format!("u{minor}"),
            Key::PriceDown(minor) => format!("d{minor}"),
        };
        f.write_str(&paging::to_hex(&format!("{key} {}", self.handle)))
    }
}

impl FromStr for ListingCursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let text = paging::from_hex(text)?;
        let (key, handle) = text.rsplit_once(' ').ok_or(BadCursor)?;
        let handle = handle.parse().map_err(|_| BadCursor)?;
        let number = |text: &str| text.parse::<i64>().map_err(|_| BadCursor);
        let key = match key.split_at_checked(1).ok_or(BadCursor)? {
            ("n", at) => {
                let at = DateTime::from_timestamp_micros(number(at)?).ok_or(BadCursor)?;
                Key::Newest(
                    Some(at)
                        .filter(|at| storable::instant(*at) == *at)
                        .ok_or(BadCursor)?,
                )
            }
            ("t", title) if !title.contains('\0') => Key::Title(title.to_owned()),
            ("u", minor) => Key::PriceUp(number(minor)?),
            ("d", minor) => Key::PriceDown(number(minor)?),
            _ => return Err(BadCursor),
        };
        Ok(Self { key, handle })
    }
}

/// Listings as somebody sees them.
pub async fn list(
    pool: &PgPool,
    onlooker: Onlooker,
    filter: &Filter,
    sort: Sort,
    limit: i64,
    after: Option<ListingCursor>,
) -> Result<Page<ListingSummary>, Error> {
    let mut sql = selected(onlooker, filter, sort);
    if let Some(ListingCursor { key, handle }) = after {
        let handle = handle.to_string();
        match key {
            Key::Newest(at) => sql.push(" and (listed_at, handle) < (").push_bind(at),
            Key::Title(title) => sql.push(" and (title_key, handle) > (").push_bind(title),
            Key::PriceUp(minor) => sql.push(" and (price_key, handle) > (").push_bind(minor),
            Key::PriceDown(minor) => sql.push(" and (price_key, handle) < (").push_bind(minor),
        };
        sql.push(", ").push_bind(handle).push(")");
    }
    sql.push(match sort {
        Sort::Newest => " order by listed_at desc, handle desc",
        Sort::Title => " order by title_key, handle",
        Sort::PriceUp => " order by price_key, handle",
        Sort::PriceDown => " order by price_key desc, handle desc",
    });
    sql.push(" limit ").push(paging::rows_for(limit));
    let rows: Vec<Row> = sql.build_query_as().fetch_all(pool).await?;
    let rows = rows
        .into_iter()
        .map(|row| Ok((row.cursor(sort)?, row.view()?)))
        .collect::<Result<Vec<_>, Error>>()?;
    let Page { items, next_cursor } = paging::page(rows, limit, |(cursor, _)| cursor.to_string());
    let items = items.into_iter().map(|(_, view)| view).collect();
    Ok(Page { items, next_cursor })
}

/// The listings that the filter leaves, with what they are sorted by.
fn selected<'q>(onlooker: Onlooker, filter: &Filter, sort: Sort) -> QueryBuilder<'q, Postgres> {
    let mut sql: QueryBuilder<'q, Postgres> = QueryBuilder::new("");
    if let Some(category) = &filter.category {
        sql.push("with recursive below as (select handle from categories where handle = ")
            .push_bind(category.to_string())
            .push(
                " union select categories.handle \
                 from categories join below on categories.parent = below.handle) ",
            );
    }
    sql.push("select * from (select listings.handle, title, images ->> 0 as image, ")
        .push("category, categories.name as category_name, tags, vendor, listings.active, ")
        .push("listed_at, title_key, told.currency, offered.price_minor, offered.in_stock, ")
        .push("coalesce(offered.price_minor, ")
        .push_bind(if sort == Sort::PriceDown {
            NO_PRICE_DOWN
        } else {
            NO_PRICE_UP
        })
        .push(") as price_key, ")
        .push(match onlooker {
            Onlooker::Customer => "offered.sold",
            Onlooker::Staff => "offered.variants",
        })
        .push(" as variants, offered.sold from listings cross join (select ")
        .push_bind(filter.currency.map(Currency::code))
        .push("::text as currency) as asked left join categories ")
        .push("on categories.handle = listings.category ")
        .push(include_str!("offered.sql").replace("{can_be_bought}", can_be_bought!()))
        .push(") as found where true");
    narrow(&mut sql, onlooker, filter);
    sql
}

fn narrow(sql: &mut QueryBuilder<'_, Postgres>, onlooker: Onlooker, filter: &Filter) {
    let Filter { search, category, tags, currency: _, price, in_stock, active, vendor } = filter;
    if onlooker == Onlooker::Customer {
        sql.push(" and active and 0 < sold");
    }
    // Reads every row; a shop has thousands of listings, not millions.
    let words = search.as_deref().unwrap_or_default().split_whitespace();
    for word in words.take(WORDS_MAX) {
        sql.push(" and exists (select from listings where listings.handle = found.handle ")
            .push("and 0 < strpos(search_key, ")
            .push_bind(storable(word).to_lowercase())
            .push("))");
    }
    if category.is_some() {
        sql.push(" and category in (select handle from below)");
    }
    if !tags.is_empty() {
        let tags: Vec<String> = tags.iter().map(|tag| storable(tag)).collect();
        sql.push(" and tags @> ").push_bind(tags).push("::text[]");
    }
    if let Some(from) = price.from_minor {
        sql.push(" and ").push_bind(from).push(" <= price_minor");
    }
    if let Some(to) = price.to_minor {
        sql.push(" and price_minor <= ").push_bind(to);
    }
    if let Some(in_stock) = in_stock {
        sql.push(" and in_stock = ").push_bind(*in_stock);
    }
    if let Some(active) = active {
        sql.push(" and active = ").push_bind(*active);
    }
    if let Some(vendor) = vendor {
        sql.push(" and vendor = ").push_bind(*vendor);
    }
}

#[derive(FromRow)]
struct Row {
    handle: String,
    title: String,
    image: Option<String>,
    category: Option<String>,
    category_name: Option<String>,
    tags: Vec<String>,
    vendor: Option<Uuid>,
    active: bool,
    listed_at: DateTime<Utc>,
    title_key: String,
    currency: Option<String>,
    price_minor: Option<i64>,
    price_key: i64,
    in_stock: bool,
    variants: i64,
}

impl Row {
    fn cursor(&self, sort: Sort) -> Result<ListingCursor, Error> {
        let key = match sort {
            Sort::Newest => Key::Newest(self.listed_at),
            Sort::Title => Key::Title(self.title_key.clone()),
            Sort::PriceUp => Key::PriceUp(self.price_key),
            Sort::PriceDown => Key::PriceDown(self.price_key),
        };
        Ok(ListingCursor { key, handle: storable::named(&self.handle)? })
    }

    fn view(self) -> Result<ListingSummary, Error> {
        let currency = self.currency.as_deref().map(storable::named).transpose()?;
        Ok(ListingSummary {
            handle: storable::named(&self.handle)?,
            title: self.title,
            image: self.image,
            category: self
                .category
                .zip(self.category_name)
                .map(|(handle, name)| CategoryName { handle, name }),
            tags: self.tags,
            price: self
                .price_minor
                .zip(currency)
                .map(|(minor, currency)| MoneyView::of(minor, currency)),
            variants: self.variants,
            in_stock: self.in_stock,
            active: self.active,
            vendor: self.vendor,
            listed_at: self.listed_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_as_it_was_written_and_fits_its_order_alone() {
        let at = "2026-03-01T09:00:00.123456Z".parse().unwrap();
        let handle: Handle = "tea-cup".parse().unwrap();
        for (key, sort) in [
            (Key::Newest(at), Sort::Newest),
            (Key::Title("tea cup, größe 7".into()), Sort::Title),
            (Key::PriceUp(NO_PRICE_UP), Sort::PriceUp),
            (Key::PriceDown(450), Sort::PriceDown),
        ] {
            let cursor = ListingCursor { key, handle: handle.clone() };
            assert_eq!(cursor.to_string().parse(), Ok(cursor.clone()));
            for (_, other) in Sort::NAMES {
                assert_eq!(cursor.is_of(other), other == sort);
            }
        }
    }

    #[test]
    fn a_text_of_someones_own_is_no_cursor() {
        for text in [
            "",
            "zz",
            "6e",
            "6e3120",
            "783120637570",
            "6e7820637570",
            "74002063",
        ] {
            assert_eq!(text.parse::<ListingCursor>(), Err(BadCursor), "{text}");
        }
    }
}
