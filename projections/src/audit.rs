//! Self-audit: a slice of history is folded again and held against the rows that it should have
//! made, while the shop goes on.
//!
//! ```text
//! block of the log ─▶ who began in it ─▶ live rows and marks, one snapshot
//!                          └─▶ their events, up to each mark ─▶ folded in temporary tables ─▶ equal?
//! ```
//!
//! 1. Rows and marks are read in one snapshot, so that a row is held against exactly the events that
//!    are in it. Events never change, so they may be read after it.
//! 2. A block answers for the orders, payments and SKUs that begin in it, and for the timeline's
//!    rows of its events: all blocks together answer for every row.
//! 3. `order_skus` has no index by order, and is looked up by the SKUs that the order names.

mod snapshot;
mod sums;

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::event::Event;
use domain::order;
use domain::placing::Placing;
use serde_json::Value;
use sqlx::{Connection as _, Executor as _, PgPool};
use store::log::{self, Slice};
use store::recorded::RecordedEvent;
use uuid::Uuid;

use self::snapshot::{KeyColumns, Keys, Rows, Snapshot};
use crate::differences::{self, FieldDifference};
use crate::error::Error;
use crate::projection::{ALL, Audited, By, Projection};
use crate::scratch::{self, SCRATCH, Scratch};

/// Events of one block: a dozen orders.
pub const BLOCK_EVENTS: i64 = 100;
/// Longest stream of a SKU that is folded again: a second's work, some 30 MB. `daybook verify` and
/// `daybook diff` follow all of them.
const STREAM_EVENTS_MAX: i64 = 20_000;
/// What is rolled back stays in temporary tables as dead rows, which nobody else clears away.
const CLEAR_EVERY_BLOCKS: u32 = 200;

/// A row that is not what its events make of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Mismatch {
    /// Of which read model.
    pub read_model: &'static str,
    /// In which table.
    pub table: &'static str,
    /// Its key, as JSON.
    pub key: String,
    /// In which fields.
    pub fields: Vec<FieldDifference>,
    /// Up to which position the read model had been brought.
    pub position: i64,
}

/// What was found in one block.
#[derive(Debug, Default)]
pub struct Checked {
    /// Orders that began in it.
    pub orders: usize,
    /// Streams that were too long to be folded again.
    pub left_out: usize,
    /// Rows that were compared.
    pub rows: usize,
    /// What differs.
    pub mismatches: Vec<Mismatch>,
    /// The events of each order with its payment, and of each SKU, in log order: for whoever checks
    /// what must hold of them.
    pub histories: Vec<Vec<Arc<RecordedEvent>>>,
}

/// Checks blocks, one at a time.
pub struct Auditor {
    log: PgPool,
    scratch: Scratch,
    keys: KeyColumns,
    blocks: u32,
}

/// Who begins in a block, and what has happened to them.
#[derive(Default)]
struct Begun {
    block: Vec<Arc<RecordedEvent>>,
    orders: Vec<(Uuid, Placing)>,
    skus: Vec<String>,
    /// Of orders and their payments.
    of_orders: Vec<Arc<RecordedEvent>>,
    /// The same, and what else the timeline says is theirs.
    of_timelines: Vec<Arc<RecordedEvent>>,
    of_skus: Vec<Arc<RecordedEvent>>,
    left_out: usize,
}

impl Auditor {
    /// Makes room in temporary tables.
    pub async fn open(log: &PgPool) -> Result<Self, Error> {
        let mut scratch = Scratch::open(log).await?;
        let keys = snapshot::key_columns(&mut scratch.connection).await?;
        Ok(Self { log: log.clone(), scratch, keys, blocks: 0 })
    }

    /// Checks the block with this number; 0 holds positions 1 to [`BLOCK_EVENTS`].
    pub async fn check(&mut self, block: i64) -> Result<Checked, Error> {
        self.clear_now_and_then().await?;
        let mut begun = self.begun(block).await?;
        let keys = Keys::of(&begun.orders, &begun.skus);
        let mut transaction = scratch::one_moment(&mut self.scratch.connection).await?;
        let live = Snapshot::take(&mut transaction, &self.keys, &keys, &begun.block).await?;
        let sums = sums::take(&mut transaction, &begun.orders, &live).await?;
        transaction.commit().await?;
        self.read(&mut begun, &live).await?;

        let mut checked = Checked {
            orders: begun.orders.len(),
            left_out: begun.left_out,
            histories: histories(&begun),
            ..Checked::default()
        };
        for (index, projection) in ALL.into_iter().enumerate() {
            let mark = live.marks[index];
            let audited = projection.audited();
            for (by, events) in [
                (By::Order, &begun.of_orders),
                (By::Payment, &begun.of_orders),
                (By::Sku, &begun.of_skus),
                (By::Event, &begun.of_timelines),
            ] {
                let tables: Vec<Audited> =
                    audited.iter().filter(|it| it.by == by).copied().collect();
                let folded = self
                    .fold(projection, &tables, events, mark, Some(&keys))
                    .await?;
                for (audited, folded) in tables.iter().zip(&folded) {
                    let stored = live.rows(audited);
                    checked.compare(projection, audited.table, mark, stored, folded);
                }
                if by == By::Event {
                    let folded = self
                        .fold(projection, &tables, &begun.block, mark, None)
                        .await?;
                    for (audited, folded) in tables.iter().zip(&folded) {
                        let stored = live.rows_of_block(audited);
                        checked.compare(projection, audited.table, mark, stored, folded);
                    }
                }
            }
        }
        if let Some(sums) = sums {
            let mismatches = sums::check(&self.log, &mut self.scratch, sums).await?;
            checked.mismatches.extend(mismatches);
        }
        Ok(checked)
    }

    async fn clear_now_and_then(&mut self) -> Result<(), Error> {
        self.blocks += 1;
        if self.blocks.is_multiple_of(CLEAR_EVERY_BLOCKS) {
            let tables = ALL.iter().flat_map(|projection| projection.tables());
            let tables: Vec<String> = tables.map(|table| format!("{SCRATCH}.{table}")).collect();
            let clear = format!("truncate {}", tables.join(", "));
            self.scratch.connection.execute(clear.as_str()).await?;
        }
        Ok(())
    }

    /// Who begins in a block.
    async fn begun(&self, block: i64) -> Result<Begun, Error> {
        let slice = Slice {
            from: Some(block * BLOCK_EVENTS + 1),
            to: Some((block + 1) * BLOCK_EVENTS),
            ..Slice::default()
        };
        let block = log::page(&self.log, &slice, BLOCK_EVENTS).await?.events;
        let mut begun = Begun { block, ..Begun::default() };
        for recorded in &begun.block {
            match &recorded.event {
                Event::Order(order::Event::Placed(placing)) => {
                    if let Ok(id) = recorded.aggregate_id.parse() {
                        begun.orders.push((id, placing.as_ref().clone()));
                    }
                }
                Event::Inventory(_) | Event::Product(_) if recorded.sequence == 1 => {
                    begun.skus.push(recorded.aggregate_id.clone());
                }
                Event::Order(_)
                | Event::Payment(_)
                | Event::Inventory(_)
                | Event::Product(_)
                | Event::Person(_)
                | Event::Listing(_)
                | Event::Categories(_)
                | Event::Vendor(_)
                | Event::Promotion(_)
                | Event::Delivery(_) => {}
            }
        }
        begun.skus.sort();
        begun.skus.dedup();
        let select = "select aggregate_id from events where aggregate_type = 'inventory' \
                      and aggregate_id = any($1) and sequence = $2";
        let too_long: Vec<String> = sqlx::query_scalar(select)
            .bind(&begun.skus)
            .bind(STREAM_EVENTS_MAX)
            .fetch_all(&self.log)
            .await?;
        begun.skus.retain(|sku| !too_long.contains(sku));
        begun.left_out = too_long.len();
        Ok(begun)
    }

    /// What has happened to them.
    async fn read(&self, begun: &mut Begun, live: &Snapshot) -> Result<(), Error> {
        let orders: Vec<String> = begun.orders.iter().map(|(id, _)| id.to_string()).collect();
        let payments: Vec<String> = begun
            .orders
            .iter()
            .map(|(_, placing)| placing.payment_id.to_string())
            .collect();
        begun.of_orders = log::of_aggregates(&self.log, "order", &orders).await?;
        begun
            .of_orders
            .extend(log::of_aggregates(&self.log, "payment", &payments).await?);
        begun.of_orders.sort_by_key(|event| event.position);
        // What the timeline says is an order's must be: those of stock are found in no other way.
        let mut of_timelines = begun.of_orders.clone();
        let page = usize::try_from(log::PAGE_MAX).unwrap_or(usize::MAX);
        for positions in live.positions.chunks(page) {
            let mut slice = Slice {
                from: positions.first().copied(),
                to: positions.last().copied(),
                positions: Some(positions.to_vec()),
                ..Slice::default()
            };
            let mut more = true;
            while more {
                let page = log::page(&self.log, &slice, log::PAGE_MAX).await?;
                slice.from = page.events.last().map(|last| last.position + 1);
                more = page.more && slice.from.is_some();
                of_timelines.extend(page.events);
            }
        }
        of_timelines.sort_by_key(|event| event.position);
        of_timelines.dedup_by_key(|event| event.position);
        // Whose personal data is gone is said by no event of the order itself.
        let forgets = |event: &&Arc<RecordedEvent>| matches!(event.event, Event::Person(_));
        begun
            .of_orders
            .extend(of_timelines.iter().filter(forgets).cloned());
        begun.of_orders.sort_by_key(|event| event.position);
        begun.of_timelines = of_timelines;

        for sku in &begun.skus {
            begun.of_skus.extend(self.stream("inventory", sku).await?);
            begun.of_skus.extend(self.stream("product", sku).await?);
        }
        begun.of_skus.sort_by_key(|event| event.position);
        Ok(())
    }

    /// A stream from its first event.
    async fn stream(
        &self,
        aggregate_type: &str,
        id: &str,
    ) -> Result<Vec<Arc<RecordedEvent>>, Error> {
        let mut events: Vec<Arc<RecordedEvent>> = Vec::new();
        loop {
            let last = events.last().map_or(0, |last| last.sequence);
            let page = log::PAGE_MAX;
            let next = log::of_aggregate_after(&self.log, aggregate_type, id, last, page).await?;
            events.extend(next.events);
            if !next.more {
                return Ok(events);
            }
        }
    }

    /// What the events up to a mark make of some tables: of the rows with these keys, or of all.
    async fn fold(
        &mut self,
        projection: &'static dyn Projection,
        tables: &[Audited],
        events: &[Arc<RecordedEvent>],
        mark: i64,
        keys: Option<&Keys>,
    ) -> Result<Vec<Rows>, Error> {
        let events = &events[..events.partition_point(|event| event.position <= mark)];
        let mut folded = Vec::with_capacity(tables.len());
        if tables.is_empty() {
            return Ok(folded);
        }
        let mut transaction = self.scratch.connection.begin().await?;
        projection.apply(&mut transaction, events).await?;
        for audited in tables {
            let rows = snapshot::rows(&mut transaction, SCRATCH, audited, &self.keys, keys).await?;
            folded.push(rows);
        }
        transaction.rollback().await?;
        Ok(folded)
    }
}

fn histories(begun: &Begun) -> Vec<Vec<Arc<RecordedEvent>>> {
    let mut histories: BTreeMap<String, Vec<Arc<RecordedEvent>>> = BTreeMap::new();
    for event in &begun.of_orders {
        let order = event.metadata.correlation_id.to_string();
        histories.entry(order).or_default().push(Arc::clone(event));
    }
    for event in &begun.of_skus {
        let sku = event.aggregate_id.clone();
        histories.entry(sku).or_default().push(Arc::clone(event));
    }
    histories.into_values().collect()
}

impl Checked {
    fn compare(
        &mut self,
        projection: &dyn Projection,
        table: &'static str,
        position: i64,
        stored: &Rows,
        folded: &Rows,
    ) {
        let absent = folded.keys().filter(|key| !stored.contains_key(*key));
        for key in stored.keys().chain(absent) {
            self.rows += 1;
            let (old, new) = (stored.get(key), folded.get(key));
            if old == new {
                continue;
            }
            let read = |text: &String| serde_json::from_str(text).unwrap_or(Value::Null);
            let (old, new) = (old.map(read), new.map(read));
            let fields = differences::fields(old.as_ref(), new.as_ref());
            if !fields.is_empty() {
                let (read_model, key) = (projection.name(), key.clone());
                self.mismatches
                    .push(Mismatch { read_model, table, key, fields, position });
            }
        }
    }
}
