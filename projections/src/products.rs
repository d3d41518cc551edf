//! Products: what is offered, at what price, and how many can be had.
//!
//! One row per SKU that was ever described. Availability is looked up in `stock`, never copied.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::ids::Sku;
use domain::money::Money;
use domain::product::{self, Description};
use futures::future::BoxFuture;
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgPool, Postgres, QueryBuilder};
use store::recorded::RecordedEvent;
use utoipa::ToSchema;

use crate::error::Error;
use crate::money::MoneyView;
use crate::paging::{self, Page, SkuCursor};
use crate::projection::{Audited, By, Projection};
use crate::storable;

/// The name of this read model.
pub const NAME: &str = "products";

/// Looks stock up for the rows that are shown and no others: a join may read all of it.
const SELECT: &str = "select sku, name, price_minor, currency, prices::text, active, version, \
    updated_at, \
    coalesce((select on_hand - reserved from stock where stock.sku = products.sku), 0) \
    as available from products";

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
    /// Part of the SKU or of the name, in upper or lower case.
    pub search: Option<String>,
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
    pool: &PgPool,
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
    if let Some(active) = filter.active {
        sql.push(" and active = ").push_bind(active);
    }
    if let Some(search) = &filter.search {
        // Reads every row; a shop has thousands of products, not millions.
        sql.push(" and 0 < strpos(search_key, ");
        sql.push_bind(storable::storable(search).to_lowercase())
            .push(")");
    }
    sql.push(" order by products.sku limit ")
        .push(paging::rows_for(limit));
    let rows: Vec<Row> = sql.build_query_as().fetch_all(pool).await?;
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
        2
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
        .execute(connection)
        .await?;
    Ok(())
}

/// The last description of each SKU: nothing of the ones before it is left in a row.
fn latest_of(batch: &[Arc<RecordedEvent>]) -> BTreeMap<&str, (&RecordedEvent, &Description)> {
    batch
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::Product(product::Event::Described(description)) => {
                Some((recorded.aggregate_id.as_str(), (recorded.as_ref(), description)))
            }
            Event::Order(_)
            | Event::Payment(_)
            | Event::Inventory(_)
            | Event::Person(_)
            | Event::Promotion(_) => None,
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
            version: self.version,
            updated_at: self.updated_at,
        })
    }
}
