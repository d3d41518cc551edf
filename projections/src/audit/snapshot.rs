//! Live rows of some keys, with the marks that they are of: one snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;
use store::recorded::RecordedEvent;
use uuid::Uuid;

use super::begun::Begun;
use super::kin::Kin;
use super::strays;
use crate::belonging::{forgotten_in, order_of};
use crate::error::Error;
use crate::marks::LIVE;
use crate::projection::{ALL, Audited, By};
use crate::scratch::{self, SCRATCH};
use crate::storable;

/// Rows as JSON, by their key as JSON.
pub(super) type Rows = BTreeMap<String, String>;

/// The columns of each audited table's primary key.
pub(super) type KeyColumns = BTreeMap<&'static str, Vec<String>>;

/// Whose rows are looked up.
#[derive(Debug, Default)]
pub(super) struct Keys {
    orders: Vec<Uuid>,
    payments: Vec<Uuid>,
    skus: Vec<String>,
    guests: Vec<String>,
    listings: Vec<String>,
    variants: Vec<String>,
    vendors: Vec<Uuid>,
    promotions: Vec<String>,
    /// Whether all rows that are the shop's are looked up.
    of_shop: bool,
    /// Whether they are those of the first block.
    pub(super) is_first: bool,
    /// Of the orders' lines, and when the orders were placed.
    ordered_skus: Vec<String>,
    placed_at: Vec<DateTime<Utc>>,
}

impl Keys {
    pub(super) fn of(begun: &Begun, kin: &Kin) -> Self {
        let placings = || begun.orders.iter().map(|(_, placing)| placing);
        let mut ordered_skus: Vec<String> = placings()
            .flat_map(|placing| &placing.lines)
            .map(|line| line.sku.to_string())
            .collect();
        ordered_skus.sort();
        ordered_skus.dedup();
        Self {
            orders: begun.orders.iter().map(|(id, _)| *id).collect(),
            payments: begun.payments.clone(),
            skus: begun.skus.clone(),
            guests: kin.guests.clone(),
            listings: kin.compared_listings.clone(),
            variants: kin.variants.clone(),
            vendors: begun.vendors.clone(),
            promotions: begun.promotions.clone(),
            of_shop: begun.of_shop,
            is_first: begun.is_first,
            ordered_skus,
            placed_at: placings()
                .map(|placing| storable::instant(placing.placed_at))
                .collect(),
        }
    }

    /// Whether no row is looked up by them.
    fn are_none(&self, by: By) -> bool {
        match by {
            By::Shop => !self.of_shop,
            _ => self.of_kind(by).is_empty(),
        }
    }

    /// As text.
    pub(super) fn of_kind(&self, by: By) -> Vec<String> {
        let texts = |ids: &[Uuid]| ids.iter().map(Uuid::to_string).collect();
        match by {
            By::Order | By::Event => texts(&self.orders),
            By::Payment => texts(&self.payments),
            By::Vendor => texts(&self.vendors),
            By::Sku => self.skus.clone(),
            By::Guest => self.guests.clone(),
            By::Listing => self.listings.clone(),
            By::Variant => self.variants.clone(),
            By::Promotion => self.promotions.clone(),
            By::Shop | By::Sum => Vec::new(),
        }
    }
}

/// What a snapshot showed.
pub(super) struct Snapshot {
    /// Of each read model, in the order of [`ALL`].
    pub(super) marks: Vec<i64>,
    /// Of every event that a timeline of these orders names.
    pub(super) positions: Vec<i64>,
    rows: BTreeMap<&'static str, Rows>,
    strays: BTreeMap<&'static str, Rows>,
    of_block: BTreeMap<&'static str, Rows>,
}

impl Snapshot {
    /// Looks in the caller's transaction.
    pub(super) async fn take(
        connection: &mut PgConnection,
        columns: &KeyColumns,
        keys: &Keys,
        block: &[Arc<RecordedEvent>],
    ) -> Result<Self, Error> {
        let select = format!("select name, position from {LIVE}.marks");
        let found: Vec<(String, i64)> = sqlx::query_as(&select).fetch_all(&mut *connection).await?;
        let mut snapshot = Self {
            marks: Vec::new(),
            positions: Vec::new(),
            rows: BTreeMap::new(),
            strays: BTreeMap::new(),
            of_block: BTreeMap::new(),
        };
        for projection in ALL {
            let name = projection.name();
            let mark = found.iter().find(|(of, _)| of == name);
            snapshot
                .marks
                .push(mark.map(|(_, mark)| *mark).ok_or(Error::NoMark { name })?);
            for audited in projection.audited() {
                if audited.by == By::Sum {
                    continue;
                }
                let strays = strays::of(connection, &audited, columns, keys).await?;
                snapshot.strays.insert(audited.table, strays);
                let found = rows(connection, LIVE, &audited, columns, Some(keys)).await?;
                if audited.by == By::Event {
                    snapshot.note_positions(&found)?;
                    let of_block = rows_of_block(connection, &audited, columns, block).await?;
                    snapshot.of_block.insert(audited.table, of_block);
                }
                snapshot.rows.insert(audited.table, found);
            }
        }
        Ok(snapshot)
    }

    pub(super) fn rows(&self, audited: &Audited) -> &Rows {
        &self.rows[audited.table]
    }

    /// Rows of those who never were.
    pub(super) fn strays(&self, audited: &Audited) -> &Rows {
        &self.strays[audited.table]
    }

    pub(super) fn rows_of_block(&self, audited: &Audited) -> &Rows {
        &self.of_block[audited.table]
    }

    fn note_positions(&mut self, rows: &Rows) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Row {
            position: i64,
        }
        for row in rows.values() {
            let row: Row = serde_json::from_str(row)?;
            self.positions.push(row.position);
        }
        self.positions.sort_unstable();
        self.positions.dedup();
        Ok(())
    }
}

/// The columns of every audited table's primary key.
pub(super) async fn key_columns(connection: &mut PgConnection) -> Result<KeyColumns, Error> {
    let mut columns = KeyColumns::new();
    for projection in ALL {
        for audited in projection.audited() {
            let key = scratch::key_of(connection, SCRATCH, audited.table).await?;
            columns.insert(audited.table, key);
        }
    }
    Ok(columns)
}

/// The rows of these keys, or all rows.
pub(super) async fn rows(
    connection: &mut PgConnection,
    schema: &str,
    audited: &Audited,
    columns: &KeyColumns,
    keys: Option<&Keys>,
) -> Result<Rows, Error> {
    let Audited { table, column, by, narrowed } = *audited;
    let select = scratch::rows_of(schema, table, &columns[table]);
    let Some(keys) = keys else {
        return Ok(sqlx::query_as(&select)
            .fetch_all(connection)
            .await?
            .into_iter()
            .collect());
    };
    if keys.are_none(by) {
        return Ok(Rows::new());
    }
    let narrowing = narrowed.map_or_else(String::new, |narrowed| format!(" and {narrowed}"));
    let select = match by {
        By::Shop => format!("{select} where $1"),
        _ => format!("{select} where t.{column} = any($1){narrowing}"),
    };
    let query = sqlx::query_as(&select);
    let query = match by {
        By::Order | By::Event => query.bind(&keys.orders),
        By::Payment => query.bind(&keys.payments),
        By::Sku => query.bind(&keys.skus),
        By::Guest => query.bind(&keys.guests),
        By::Listing => query.bind(&keys.listings),
        By::Variant => query.bind(&keys.variants),
        By::Vendor => query.bind(&keys.vendors),
        By::Promotion => query.bind(&keys.promotions),
        By::Shop => query.bind(keys.of_shop),
        By::Sum => return Ok(Rows::new()),
    };
    let query = match narrowed {
        Some(_) => query.bind(&keys.ordered_skus).bind(&keys.placed_at),
        None => query,
    };
    let rows: Vec<(String, String)> = query.fetch_all(connection).await?;
    Ok(rows.into_iter().collect())
}

/// The live rows of the block's own events, whosever they are.
async fn rows_of_block(
    connection: &mut PgConnection,
    audited: &Audited,
    columns: &KeyColumns,
    block: &[Arc<RecordedEvent>],
) -> Result<Rows, Error> {
    let orders: Vec<Uuid> = block
        .iter()
        .flat_map(|event| {
            order_of(event)
                .into_iter()
                .chain(forgotten_in(event).to_vec())
        })
        .map(|order| order.0)
        .collect();
    let Audited { table, column, .. } = *audited;
    let rows = scratch::rows_of(LIVE, table, &columns[table]);
    let select = format!("{rows} where t.{column} = any($1) and t.position between $2 and $3");
    let rows: Vec<(String, String)> = sqlx::query_as(&select)
        .bind(orders)
        .bind(block.first().map_or(0, |event| event.position))
        .bind(block.last().map_or(0, |event| event.position))
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().collect())
}
