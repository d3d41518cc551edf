//! Products: what is offered, at what price, and how many can be had.
//!
//! One row per SKU that was ever described. Availability is looked up in `stock`, never copied.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::ids::{Sku, VendorId};
use domain::money::Money;
use domain::product::{self, Description};
use futures::future::BoxFuture;
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgExecutor, PgPool, Postgres, QueryBuilder};
use store::recorded::RecordedEvent;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::error::Error;
use crate::money::MoneyView;
use crate::paging::{self, Page, SkuCursor};
use crate::projection::{Audited, By, Projection};
use crate::storable;

/// The name of this read model.
pub const NAME: &str = "products";

/// Whether a row can be bought: what a vendor offers, only while the vendor is active. Looked up, so
/// that whoever deactivates a vendor hides all of their products at once.
macro_rules! can_be_bought {
    () => {
        "(products.active and (vendor_id is null or exists (select from vendors \
         where vendors.vendor_id = products.vendor_id and standing = 'active')))"
    };
}

pub(crate) use can_be_bought;

/// Looks stock up for the rows that are shown and no others: a join may read all of it.
const SELECT: &str = concat!(
    "select sku, name, price_minor, currency, prices::text, ",
    can_be_bought!(),
    " as active, vendor_id, weight_grams, version, updated_at, \
     coalesce((select on_hand - reserved from stock where stock.sku = products.sku), 0) \
     as available from products"
);

/// One product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProductView {
    /// The article.
    #[schema(value_type = String)]
    pub sku: Sku,
    /// What it is called.
    pub name: String,
    /// Price of one piece.
    pub price: MoneyView,
    /// The same in further currencies; in any other it is converted, where rates are known.
    pub prices: Vec<MoneyView>,
    /// Whether it can be bought.
    pub active: bool,
    /// Pieces that can still be reserved.
    pub available: i64,
    /// Who sells it, where that is not the house.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    pub vendor: Option<VendorId>,
    /// What one piece weighs in grams, packed; null if nobody has said.
    pub weight_grams: Option<i32>,
    /// The product's version, for `If-Match`.
    pub version: i64,
    /// When it was last described.
    pub updated_at: DateTime<Utc>,
}

/// Which products to list. What is not given does not restrict.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Whether they can be bought.
    pub active: Option<bool>,
    /// Sold by them.
    pub vendor: Option<VendorId>,
    /// Part of the SKU or of the name, in upper or lower case.
    pub search: Option<String>,
    /// Only what can be bought, whatever else is asked for.
    pub is_sold: bool,
}

/// One product.
pub async fn by_sku(pool: &PgPool, sku: &Sku) -> Result<Option<ProductView>, Error> {
    let mut sql: QueryBuilder<'_, Postgres> = QueryBuilder::new(SELECT);
    sql.push(" where products.sku = ").push_bind(sku.as_str());
    let row: Option<Row> = sql.build_query_as().fetch_optional(pool).await?;
    row.map(Row::view).transpose()
}

/// Products, ordered by SKU.
pub async fn list(
    database: impl PgExecutor<'_>,
    filter: &Filter,
    limit: i64,
    after: Option<SkuCursor>,
) -> Result<Page<ProductView>, Error> {
    let mut sql: QueryBuilder<'_, Postgres> = QueryBuilder::new(SELECT);
    sql.push(" where true");
    if let Some(SkuCursor(sku)) = after {
        sql.push(" and products.sku > ")
            .push_bind(String::from(sku));
    }
    if filter.is_sold {
        sql.push(concat!(" and ", can_be_bought!()));
    }
    if let Some(active) = filter.active {
        sql.push(concat!(" and ", can_be_bought!(), " = "))
            .push_bind(active);
    }
    if let Some(vendor) = filter.vendor {
        sql.push(" and vendor_id = ").push_bind(vendor.0);
    }
    if let Some(search) = &filter.search {
        // Reads every row; a shop has thousands of products, not millions.
        sql.push(" and 0 < strpos(search_key, ");
        sql.push_bind(storable::storable(search).to_lowercase())
            .push(")");
    }
    sql.push(" order by products.sku limit ")
        .push(paging::rows_for(limit));
    let rows: Vec<Row> = sql.build_query_as().fetch_all(database).await?;
    let items = rows
        .into_iter()
        .map(Row::view)
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(paging::page(items, limit, |product| SkuCursor(product.sku.clone()).to_string()))
}

#[derive(FromRow)]
struct Row {
    sku: String,
    name: String,
    price_minor: i64,
    currency: String,
    prices: String,
    active: bool,
    available: i64,
    vendor_id: Option<Uuid>,
    weight_grams: Option<i32>,
    version: i64,
    updated_at: DateTime<Utc>,
}

/// The projector's side.
pub(crate) struct Products;

impl Projection for Products {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        4
    }

    fn tables(&self) -> &'static [&'static str] {
        &["products"]
    }

    fn audited(&self) -> Vec<Audited> {
        vec![Audited::new("products", "sku", By::Sku)]
    }

    fn ddl(&self) -> &'static str {
        include_str!("products/tables.sql")
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        batch: &'a [Arc<RecordedEvent>],
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(apply(connection, batch))
    }
}

async fn apply(connection: &mut PgConnection, batch: &[Arc<RecordedEvent>]) -> Result<(), Error> {
    let latest = latest_of(batch);
    if latest.is_empty() {
        return Ok(());
    }
    let (events, offers): (Vec<_>, Vec<_>) = latest.into_values().unzip();
    let prices = offers
        .iter()
        .map(|offer| serde_json::to_string(&offer.prices))
        .collect::<Result<Vec<_>, _>>()?;
    let search_key = |(event, offer): (&&RecordedEvent, &&Description)| {
        storable::storable(&format!("{}\n{}", event.aggregate_id, offer.name)).to_lowercase()
    };
    sqlx::query(include_str!("products/upsert.sql"))
        .bind(
            events
                .iter()
                .map(|event| event.aggregate_id.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            offers
                .iter()
                .map(|offer| storable::storable(&offer.name))
                .collect::<Vec<_>>(),
        )
        .bind(
            offers
                .iter()
                .map(|offer| offer.price.minor)
                .collect::<Vec<_>>(),
        )
        .bind(
            offers
                .iter()
                .map(|offer| offer.price.currency.code())
                .collect::<Vec<_>>(),
        )
        .bind(offers.iter().map(|offer| offer.active).collect::<Vec<_>>())
        .bind(
            events
                .iter()
                .zip(&offers)
                .map(search_key)
                .collect::<Vec<_>>(),
        )
        .bind(
            events
                .iter()
                .map(|event| event.sequence)
                .collect::<Vec<_>>(),
        )
        .bind(
            events
                .iter()
                .map(|event| event.recorded_at)
                .collect::<Vec<_>>(),
        )
        .bind(prices)
        .bind(
            offers
                .iter()
                .map(|offer| offer.vendor.map(|vendor| vendor.0))
                .collect::<Vec<_>>(),
        )
        .bind(
            offers
                .iter()
                .map(|offer| {
                    offer
                        .weight_grams
                        .and_then(|grams| i32::try_from(grams).ok())
                })
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await?;
    Ok(())
}

/// The last description of each SKU: nothing of the ones before it is left in a row.
fn latest_of(batch: &[Arc<RecordedEvent>]) -> BTreeMap<&str, (&RecordedEvent, &Description)> {
    batch
        .iter()
        .filter_map(|recorded| {
            let event: &product::Event = (&recorded.event).try_into().ok()?;
            let product::Event::Described(description) = event;
            Some((recorded.aggregate_id.as_str(), (recorded.as_ref(), description)))
        })
        .collect()
}

impl Row {
    fn view(self) -> Result<ProductView, Error> {
        let prices: Vec<Money> = serde_json::from_str(&self.prices)?;
        Ok(ProductView {
            sku: storable::named(&self.sku)?,
            name: self.name,
            price: MoneyView::of(self.price_minor, storable::named(&self.currency)?),
            prices: prices.into_iter().map(Into::into).collect(),
            active: self.active,
            available: self.available,
            vendor: self.vendor_id.map(VendorId),
            weight_grams: self.weight_grams,
            version: self.version,
            updated_at: self.updated_at,
        })
    }
}
