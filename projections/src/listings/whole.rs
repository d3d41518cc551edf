//! The whole catalogue, line by line: each listing with its products, then the products that stand on
//! no page.

use domain::listing::Choice;
use domain::money::Money;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::error::Error;
use crate::storable;

/// Listings whose lines are in memory at a time: at most some megabytes.
const LISTINGS_AT_ONCE: i64 = 100;
/// The same of products that stand on no page.
const PRODUCTS_AT_ONCE: i64 = 1_000;

/// Where the reading of the catalogue is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Behind this listing.
    Listing(String),
    /// Behind this product, of those that stand on no page.
    Product(String),
}

impl Default for Place {
    fn default() -> Self {
        // No handle is empty, so all of them come after the empty text.
        Self::Listing(String::new())
    }
}

/// A product, with the page that it stands on; or a page without any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WholeLine {
    /// The listing, if there is one.
    pub listing: Option<ListingPart>,
    /// The product, if there is one.
    pub product: Option<ProductPart>,
}

/// What is the listing's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingPart {
    /// Its name in addresses.
    pub handle: String,
    /// Its headline.
    pub title: String,
    /// What there is to say.
    pub description: String,
    /// Where it stands.
    pub category: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its pictures.
    pub images: Vec<String>,
    /// Whether customers see it.
    pub shown: bool,
    /// Whose it is.
    pub vendor: Option<Uuid>,
}

/// What is the product's, and its options on the listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductPart {
    /// The article.
    pub sku: String,
    /// What sets it apart.
    pub options: Vec<Choice>,
    /// What it is called; none while nobody has described it.
    pub name: Option<String>,
    /// Price of one piece.
    pub price: Option<Money>,
    /// The same in further currencies.
    pub prices: Vec<Money>,
    /// Whether it can be bought.
    pub active: Option<bool>,
    /// What one piece weighs in grams.
    pub weight_grams: Option<i32>,
    /// Who sells it, where that is not the house.
    pub vendor: Option<Uuid>,
}

/// Some more lines, and where to go on; nowhere when that was all.
pub async fn lines_after(
    pool: &PgPool,
    place: &Place,
) -> Result<(Vec<WholeLine>, Option<Place>), Error> {
    let (select, after) = match place {
        Place::Listing(handle) => (
            format!(
                "select page.handle, title, description, images::text, category, tags, page.vendor, \
                 page.active as shown, listing_variants.sku, options::text, name, price_minor, \
                 currency, prices::text, products.active, weight_grams, \
                 products.vendor_id as sold_by from \
                 (select * from listings where $1 < handle order by handle limit \
                 {LISTINGS_AT_ONCE}) as page left join listing_variants using (handle) \
                 left join products on products.sku = listing_variants.sku \
                 order by page.handle, place"
            ),
            handle,
        ),
        Place::Product(sku) => (
            format!(
                "select null as handle, null as title, null as description, null as images, \
                 null as category, null::text[] as tags, null::uuid as vendor, \
                 null::boolean as shown, sku, null as options, name, price_minor, currency, \
                 prices::text, active, weight_grams, vendor_id as sold_by from products where $1 < sku \
                 and not exists (select from \
                 listing_variants where listing_variants.sku = products.sku) \
                 order by sku limit {PRODUCTS_AT_ONCE}"
            ),
            sku,
        ),
    };
    let rows: Vec<Row> = sqlx::query_as(&select).bind(after).fetch_all(pool).await?;
    let next = match (rows.last(), place) {
        (Some(last), Place::Listing(_)) => last.handle.clone().map(Place::Listing),
        (Some(last), Place::Product(_)) => last.sku.clone().map(Place::Product),
        (None, Place::Listing(_)) => Some(Place::Product(String::new())),
        (None, Place::Product(_)) => None,
    };
    let lines = rows.into_iter().map(Row::line).collect::<Result<_, _>>()?;
    Ok((lines, next))
}

#[derive(FromRow)]
struct Row {
    handle: Option<String>,
    title: Option<String>,
    description: Option<String>,
    images: Option<String>,
    category: Option<String>,
    tags: Option<Vec<String>>,
    vendor: Option<Uuid>,
    shown: Option<bool>,
    sku: Option<String>,
    options: Option<String>,
    name: Option<String>,
    price_minor: Option<i64>,
    currency: Option<String>,
    prices: Option<String>,
    active: Option<bool>,
    weight_grams: Option<i32>,
    sold_by: Option<Uuid>,
}

impl Row {
    fn line(self) -> Result<WholeLine, Error> {
        let listing = match self.handle {
            Some(handle) => Some(ListingPart {
                handle,
                title: self.title.unwrap_or_default(),
                description: self.description.unwrap_or_default(),
                category: self.category,
                tags: self.tags.unwrap_or_default(),
                images: listed(self.images.as_deref())?,
                shown: self.shown.unwrap_or_default(),
                vendor: self.vendor,
            }),
            None => None,
        };
        let currency = self.currency.as_deref().map(storable::named).transpose()?;
        let price = self.price_minor.zip(currency);
        let product = match self.sku {
            Some(sku) => Some(ProductPart {
                sku,
                options: listed(self.options.as_deref())?,
                name: self.name,
                price: price.map(|(minor, currency)| Money { minor, currency }),
                prices: listed(self.prices.as_deref())?,
                active: self.active,
                weight_grams: self.weight_grams,
                vendor: self.sold_by,
            }),
            None => None,
        };
        Ok(WholeLine { listing, product })
    }
}

fn listed<T: serde::de::DeserializeOwned>(json: Option<&str>) -> Result<Vec<T>, Error> {
    Ok(json
        .map(serde_json::from_str)
        .transpose()?
        .unwrap_or_default())
}
