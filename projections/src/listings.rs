//! Listings: the pages of the shop, as they are looked through and looked at.
//!
//! Prices, names and stock are those of `products` and `stock`, looked up when somebody asks. What
//! customers see is what can be bought: active listings with at least one active product.

mod fold;
mod list;
mod whole;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::ids::{Handle, Sku};
use domain::listing::Choice;
use domain::money::Money;
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use utoipa::ToSchema;
use uuid::Uuid;

pub(crate) use self::fold::Listings;
pub use self::list::{Filter, ListingCursor, ListingSummary, PriceRange, Sort, list};
pub use self::whole::{ListingPart, Place, ProductPart, WholeLine, lines_after};
use crate::categories::{self, CategoryName};
use crate::error::Error;
use crate::money::MoneyView;
use crate::products::can_be_bought;
use crate::storable;

/// The name of this read model.
pub const NAME: &str = "listings";

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Onlooker {
    /// Sees what can be bought.
    Customer,
    /// Sees all there is.
    Staff,
}

/// One listing, with everything on its page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ListingView {
    /// Its name in addresses.
    #[schema(value_type = String, example = "tea-cup")]
    pub handle: Handle,
    /// Its headline.
    pub title: String,
    /// What there is to say, as plain text.
    pub description: String,
    /// Addresses of pictures, the most important one first.
    pub images: Vec<String>,
    /// Where it stands: the way from the top; empty if it stands nowhere.
    pub categories: Vec<CategoryName>,
    /// Words by which it is found.
    pub tags: Vec<String>,
    /// Whether customers see it.
    pub active: bool,
    /// Whose it is, if not the shop's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<Uuid>,
    /// By what its variants differ, and the values there are.
    pub options: Vec<OptionView>,
    /// What can be chosen.
    pub variants: Vec<VariantView>,
    /// When it was listed.
    pub listed_at: DateTime<Utc>,
    /// When it was last described.
    pub updated_at: DateTime<Utc>,
    /// Its version, for `If-Match`.
    pub version: i64,
}

/// An option of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OptionView {
    /// Such as `size`.
    #[schema(example = "size")]
    pub name: String,
    /// In the order of the variants.
    pub values: Vec<String>,
}

/// A product as part of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VariantView {
    /// The article.
    #[schema(value_type = String)]
    pub sku: Sku,
    /// What sets it apart.
    pub options: Vec<ChoiceView>,
    /// What the product is called; null while nobody has described it.
    pub name: Option<String>,
    /// Price of one piece.
    pub price: Option<MoneyView>,
    /// The same in further currencies.
    pub prices: Vec<MoneyView>,
    /// Whether it can be bought.
    pub active: bool,
    /// Pieces that can still be reserved.
    pub available: i64,
}

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChoiceView {
    /// Such as `size`.
    #[schema(example = "size")]
    pub name: String,
    /// Such as `large`.
    #[schema(example = "large")]
    pub value: String,
}

impl From<Choice> for ChoiceView {
    fn from(Choice { name, value }: Choice) -> Self {
        Self { name, value }
    }
}

impl ListingView {
    /// What somebody sees of it, if anything.
    pub fn seen_by(mut self, onlooker: Onlooker) -> Option<Self> {
        if onlooker == Onlooker::Staff {
            return Some(self);
        }
        self.variants.retain(|variant| variant.active);
        self.options = options_of(&self.variants);
        (self.active && !self.variants.is_empty()).then_some(self)
    }
}

/// One listing, with all there is to see of it.
pub async fn by_handle(pool: &PgPool, handle: &Handle) -> Result<Option<ListingView>, Error> {
    let select = "select title, description, images::text, category, tags, vendor, active, \
                  listed_at, version, updated_at from listings where handle = $1";
    let row: Option<Row> = sqlx::query_as(select)
        .bind(handle.as_str())
        .fetch_optional(pool)
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let select = concat!(
        "select sku, options::text, name, price_minor, currency, prices::text, coalesce(",
        can_be_bought!(),
        ", false) as active, coalesce(on_hand - reserved, 0) as available \
         from listing_variants left join products using (sku) left join stock using (sku) \
         where handle = $1 order by place",
    );
    let variants: Vec<VariantRow> = sqlx::query_as(select)
        .bind(handle.as_str())
        .fetch_all(pool)
        .await?;
    let variants = variants
        .into_iter()
        .map(VariantRow::view)
        .collect::<Result<Vec<_>, Error>>()?;
    let categories = match &row.category {
        Some(category) => categories::way_to(pool, category).await?,
        None => vec![],
    };
    Ok(Some(ListingView {
        handle: handle.clone(),
        title: row.title,
        description: row.description,
        images: serde_json::from_str(&row.images)?,
        categories,
        tags: row.tags,
        active: row.active,
        vendor: row.vendor,
        options: options_of(&variants),
        variants,
        listed_at: row.listed_at,
        updated_at: row.updated_at,
        version: row.version,
    }))
}

/// Which of these SKUs stand on pages, and on which.
pub async fn pages_of(pool: &PgPool, skus: &[String]) -> Result<BTreeMap<String, String>, Error> {
    let select = "select sku, handle from listing_variants where sku = any($1)";
    let rows: Vec<(String, String)> = sqlx::query_as(select).bind(skus).fetch_all(pool).await?;
    Ok(rows.into_iter().collect())
}

fn options_of(variants: &[VariantView]) -> Vec<OptionView> {
    let mut options: Vec<OptionView> = Vec::new();
    for ChoiceView { name, value } in variants.iter().flat_map(|variant| &variant.options) {
        match options.iter_mut().find(|option| option.name == *name) {
            Some(option) if option.values.contains(value) => {}
            Some(option) => option.values.push(value.clone()),
            None => options.push(OptionView { name: name.clone(), values: vec![value.clone()] }),
        }
    }
    options
}

#[derive(FromRow)]
struct Row {
    title: String,
    description: String,
    images: String,
    category: Option<String>,
    tags: Vec<String>,
    vendor: Option<Uuid>,
    active: bool,
    listed_at: DateTime<Utc>,
    version: i64,
    updated_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct VariantRow {
    sku: String,
    options: String,
    name: Option<String>,
    price_minor: Option<i64>,
    currency: Option<String>,
    prices: Option<String>,
    active: bool,
    available: i64,
}

impl VariantRow {
    fn view(self) -> Result<VariantView, Error> {
        let options: Vec<Choice> = serde_json::from_str(&self.options)?;
        let prices: Vec<Money> = self
            .prices
            .as_deref()
            .map(serde_json::from_str)
            .transpose()?
            .unwrap_or_default();
        let currency = self.currency.as_deref().map(storable::named).transpose()?;
        Ok(VariantView {
            sku: storable::named(&self.sku)?,
            options: options.into_iter().map(Into::into).collect(),
            name: self.name,
            price: self
                .price_minor
                .zip(currency)
                .map(|(minor, currency)| MoneyView::of(minor, currency)),
            prices: prices.into_iter().map(Into::into).collect(),
            active: self.active,
            available: self.available,
        })
    }
}
