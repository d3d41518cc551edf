//! Stock: pieces in the house, held for orders, and available.
//!
//! One row per SKU that ever had stock. Who holds what is the write side's business.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::ids::{Sku, VendorId};
use domain::inventory;
use futures::future::BoxFuture;
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgExecutor, PgPool, Postgres, QueryBuilder};
use store::recorded::RecordedEvent;
use utoipa::ToSchema;

use crate::error::Error;
use crate::history::Fold;
use crate::paging::{self, Page, SkuCursor};
use crate::projection::{Audited, By, Projection};
use crate::storable;

/// The name of this read model.
pub const NAME: &str = "stock";

/// The stock of one SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StockView {
    /// The article.
    #[schema(value_type = String)]
    pub sku: Sku,
    /// Pieces in the house.
    pub on_hand: i64,
    /// Pieces held for orders.
    pub reserved: i64,
    /// Pieces that can still be reserved.
    pub available: i64,
    /// The stock's version, for `If-Match`.
    pub version: i64,
    /// When it last moved.
    pub updated_at: DateTime<Utc>,
}

/// The stock of one SKU; `None` if it never had any.
pub async fn by_sku(pool: &PgPool, sku: &Sku) -> Result<Option<StockView>, Error> {
    let select = "select sku, on_hand, reserved, version, updated_at from stock where sku = $1";
    let row: Option<Level> = sqlx::query_as(select)
        .bind(sku.as_str())
        .fetch_optional(pool)
        .await?;
    row.map(Level::view).transpose()
}

/// Which stock to list. What is not given does not restrict.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this vendor's articles.
    pub vendor: Option<VendorId>,
    /// Part of the SKU or of the product's name, in upper or lower case. An article that nobody has
    /// described is found by its SKU as it is written.
    pub search: Option<String>,
    /// That many pieces can still be ordered, or more.
    pub available_min: Option<i64>,
    /// That many, or fewer.
    pub available_max: Option<i64>,
}

/// Stock, ordered by SKU.
pub async fn list(
    database: impl PgExecutor<'_>,
    filter: &Filter,
    limit: i64,
    after: Option<SkuCursor>,
) -> Result<Page<StockView>, Error> {
    let mut sql: QueryBuilder<'_, Postgres> = QueryBuilder::new(
        "select stock.sku, on_hand, reserved, stock.version, stock.updated_at from stock \
         left join products using (sku) where true",
    );
    if let Some(SkuCursor(sku)) = after {
        sql.push(" and stock.sku > ").push_bind(String::from(sku));
    }
    if let Some(vendor) = filter.vendor {
        sql.push(" and vendor_id = ").push_bind(vendor.0);
    }
    if let Some(search) = &filter.search {
        // Reads every row; a shop has thousands of articles, not millions.
        let search = storable::storable(search);
        sql.push(" and (0 < strpos(search_key, ")
            .push_bind(search.to_lowercase());
        sql.push(") or 0 < strpos(stock.sku, ")
            .push_bind(search)
            .push("))");
    }
    if let Some(least) = filter.available_min {
        sql.push(" and on_hand - reserved >= ").push_bind(least);
    }
    if let Some(most) = filter.available_max {
        sql.push(" and on_hand - reserved <= ").push_bind(most);
    }
    sql.push(" order by stock.sku limit ")
        .push(paging::rows_for(limit));
    let rows: Vec<Level> = sql.build_query_as().fetch_all(database).await?;
    let items = rows
        .into_iter()
        .map(Level::view)
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(paging::page(items, limit, |stock| SkuCursor(stock.sku.clone()).to_string()))
}

/// Most SKUs whose levels are held: some 15 MB.
const LEVELS_MAX: i64 = 100_000;

/// How many pieces of each SKU can still be reserved, for whoever follows the log and has to tell
/// what runs out or comes in again from what only becomes more or less.
#[derive(Debug, Default)]
pub struct Levels {
    by_sku: HashMap<String, i64>,
    /// There are more SKUs than are held, so one that is not may have any level.
    is_partial: bool,
}

impl Levels {
    /// All levels, and the position of the log as of which they are.
    pub async fn read(pool: &PgPool) -> Result<(Self, i64), Error> {
        // One statement sees one moment.
        let select = format!(
            "select position, sku, on_hand - reserved from marks \
             left join (select * from stock limit {}) as stock on true where name = '{NAME}'",
            LEVELS_MAX + 1
        );
        let rows: Vec<(i64, Option<String>, Option<i64>)> =
            sqlx::query_as(&select).fetch_all(pool).await?;
        let position = rows.first().ok_or(Error::NoMark { name: NAME })?.0;
        let by_sku: HashMap<String, i64> = rows
            .into_iter()
            .filter_map(|(_, sku, available)| sku.zip(available))
            .collect();
        let is_partial = usize::try_from(LEVELS_MAX).is_ok_and(|max| max < by_sku.len());
        Ok((Self { by_sku, is_partial }, position))
    }

    /// Takes the next move of a SKU: whether there is some of it now and was none before, or the
    /// other way round. Whoever is not sure says so.
    pub fn runs_out_or_comes_in(&mut self, sku: &str, pieces: i64) -> bool {
        let room = usize::try_from(LEVELS_MAX).is_ok_and(|max| self.by_sku.len() < max);
        let level = match self.by_sku.get_mut(sku) {
            Some(level) => level,
            None if room && !self.is_partial => self.by_sku.entry(sku.to_owned()).or_default(),
            None => {
                self.is_partial = true;
                return true;
            }
        };
        let before = *level;
        *level = before.saturating_add(pieces);
        (0 < before) != (0 < *level)
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq, FromRow)]
struct Level {
    sku: String,
    on_hand: i64,
    reserved: i64,
    version: i64,
    updated_at: DateTime<Utc>,
}

/// The projector's side.
pub(crate) struct Stock;

impl Projection for Stock {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["stock"]
    }

    fn audited(&self) -> Vec<Audited> {
        vec![Audited::new("stock", "sku", By::Sku)]
    }

    fn ddl(&self) -> &'static str {
        include_str!("stock/tables.sql")
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
    let mut levels: BTreeMap<&str, Level> = BTreeMap::new();
    let moves = || {
        batch.iter().filter_map(|recorded| {
            let event: &inventory::Event = (&recorded.event).try_into().ok()?;
            Some((recorded, event))
        })
    };
    for (recorded, _) in moves() {
        let sku = recorded.aggregate_id.as_str();
        levels.entry(sku).or_insert_with(|| Level::empty(sku));
    }
    if levels.is_empty() {
        return Ok(());
    }
    let select =
        "select sku, on_hand, reserved, version, updated_at from stock where sku = any($1)";
    let known: Vec<Level> = sqlx::query_as(select)
        .bind(levels.keys().copied().collect::<Vec<_>>())
        .fetch_all(&mut *connection)
        .await?;
    for level in known {
        if let Some(empty) = levels.get_mut(level.sku.as_str()) {
            *empty = level;
        }
    }
    for (recorded, event) in moves() {
        if let Some(level) = levels.get_mut(recorded.aggregate_id.as_str()) {
            level.follow(recorded, event);
        }
    }
    sqlx::query(include_str!("stock/upsert.sql"))
        .bind(
            levels
                .values()
                .map(|level| level.sku.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            levels
                .values()
                .map(|level| level.on_hand)
                .collect::<Vec<_>>(),
        )
        .bind(
            levels
                .values()
                .map(|level| level.reserved)
                .collect::<Vec<_>>(),
        )
        .bind(
            levels
                .values()
                .map(|level| level.version)
                .collect::<Vec<_>>(),
        )
        .bind(
            levels
                .values()
                .map(|level| level.updated_at)
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await?;
    Ok(())
}

/// One article's events, in log order.
#[derive(Debug, Default)]
pub(crate) struct Folded(Option<Level>);

impl Fold for Folded {
    type View = StockView;

    fn take(&mut self, recorded: &RecordedEvent) {
        if let Event::Inventory(event) = &recorded.event {
            let empty = || Level::empty(&recorded.aggregate_id);
            self.0.get_or_insert_with(empty).follow(recorded, event);
        }
    }

    fn view(&self) -> Result<Option<StockView>, Error> {
        self.0.clone().map(Level::view).transpose()
    }
}

impl Level {
    fn empty(sku: &str) -> Self {
        Self {
            sku: sku.to_owned(),
            on_hand: 0,
            reserved: 0,
            version: 0,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    fn follow(&mut self, recorded: &RecordedEvent, event: &inventory::Event) {
        self.take(event);
        self.version = recorded.sequence;
        self.updated_at = recorded.recorded_at;
    }

    fn take(&mut self, event: &inventory::Event) {
        use inventory::Event as E;

        match event {
            E::Received { quantity, .. } | E::Restocked { quantity, .. } => {
                self.on_hand = self.on_hand.saturating_add_unsigned(*quantity);
            }
            E::Adjusted { quantity, .. } => {
                self.on_hand = self.on_hand.saturating_add(*quantity);
            }
            E::Reserved { quantity, .. } => {
                self.reserved = self.reserved.saturating_add_unsigned(*quantity);
            }
            E::Released { quantity, .. } => {
                self.reserved = self.reserved.saturating_sub_unsigned(*quantity);
            }
            E::Issued { quantity, .. } => {
                self.reserved = self.reserved.saturating_sub_unsigned(*quantity);
                self.on_hand = self.on_hand.saturating_sub_unsigned(*quantity);
            }
        }
    }

    fn view(self) -> Result<StockView, Error> {
        Ok(StockView {
            sku: storable::named(&self.sku)?,
            on_hand: self.on_hand,
            reserved: self.reserved,
            available: self.on_hand.saturating_sub(self.reserved),
            version: self.version,
            updated_at: self.updated_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::aggregate::Decider as _;
    use domain::ids::{OrderId, RefundId};
    use inventory::{Event as E, Inventory};
    use uuid::Uuid;

    #[test]
    fn each_event_moves_the_row_as_it_moves_the_stock() {
        let (one, two) = (OrderId(Uuid::from_u128(1)), OrderId(Uuid::from_u128(2)));
        let expires_at = DateTime::UNIX_EPOCH;
        let mut level = Level::empty("cup");
        let mut stock = Inventory::default();
        for event in [
            E::Received { quantity: 10, reference: String::new() },
            E::Reserved { order_id: one, quantity: 3, expires_at },
            E::Reserved { order_id: two, quantity: 4, expires_at },
            E::Adjusted { quantity: -2, reason: String::new() },
            E::Released { order_id: one, quantity: 3 },
            E::Issued { order_id: two, quantity: 4 },
            E::Restocked { order_id: two, refund_id: RefundId(Uuid::nil()), quantity: 1 },
        ] {
            level.take(&event);
            stock.evolve(&event);

            let row = (level.on_hand.unsigned_abs(), level.reserved.unsigned_abs());
            assert_eq!(row, (stock.on_hand(), stock.reserved()), "after {event:?}");
        }
        assert_eq!((level.on_hand, level.reserved), (5, 0));
    }
}
