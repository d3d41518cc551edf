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
//! 2. A block answers for the orders, payments, SKUs, guests, listings, vendors and promotions that
//!    begin in it, and for the timeline's rows of its events; the first for all categories and
//!    ways of delivery. All blocks
//!    together answer for every row, but for sums.
//! 3. Behind every row of theirs nobody may stand who never was (`strays`).
//! 4. Sums of sales are added up from the orders that are in them (`sums`), days of settlement from all
//!    payments, in passes beside the blocks (`days`).
//! 5. `order_skus` has no index by order, and is looked up by the SKUs that the order names.

mod begun;
mod days;
mod kin;
mod snapshot;
mod strays;
mod sums;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use sqlx::{Connection as _, Executor as _, PgPool};
use store::recorded::RecordedEvent;

use self::begun::Begun;
use self::days::{Pass, Passed};
use self::kin::Kin;
use self::snapshot::{KeyColumns, Keys, Rows, Snapshot};
use crate::differences::{self, FieldDifference};
use crate::error::Error;
use crate::projection::{ALL, Audited, By, Projection};
use crate::scratch::{self, SCRATCH, Scratch};
use crate::settlement::{self, Settlement};

/// Events of one block: a dozen orders.
pub const BLOCK_EVENTS: i64 = 100;
/// Longest stream that is folded again, and of listings all of a block: seconds of work, some 30 MB.
/// `daybook verify` and `daybook diff` follow all of them.
const STREAM_EVENTS_MAX: i64 = 20_000;
/// What is rolled back stays in temporary tables as dead rows, which nobody else clears away.
const CLEAR_EVERY_BLOCKS: u32 = 200;
/// The kinds of rows that are folded again, block by block.
const FOLDED: [By; 10] = [
    By::Order,
    By::Payment,
    By::Sku,
    By::Event,
    By::Guest,
    By::Listing,
    By::Variant,
    By::Vendor,
    By::Promotion,
    By::Shop,
];

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
    /// Rows that were compared, of each read model.
    pub rows: BTreeMap<&'static str, usize>,
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
    /// The way through all payments that is under way.
    pass: Option<Pass>,
}

impl Auditor {
    /// Makes room in temporary tables.
    pub async fn open(log: &PgPool) -> Result<Self, Error> {
        let mut scratch = Scratch::open(log).await?;
        let keys = snapshot::key_columns(&mut scratch.connection).await?;
        Ok(Self { log: log.clone(), scratch, keys, blocks: 0, pass: None })
    }

    /// Checks the block with this number; 0 holds positions 1 to [`BLOCK_EVENTS`].
    pub async fn check(&mut self, block: i64) -> Result<Checked, Error> {
        self.clear_now_and_then().await?;
        let mut begun = Begun::of(&self.log, block).await?;
        let mut transaction = scratch::one_moment(&mut self.scratch.connection).await?;
        let kin = Kin::of(&mut transaction, &begun).await?;
        let keys = Keys::of(&begun, &kin);
        let live = Snapshot::take(&mut transaction, &self.keys, &keys, &begun.block).await?;
        let sums = sums::take(&mut transaction, &begun.orders, &live).await?;
        transaction.commit().await?;
        begun.read(&self.log, &kin, &live).await?;

        let mut checked = Checked {
            orders: begun.orders.len(),
            left_out: begun.left_out + kin.left_out,
            histories: begun.histories(),
            ..Checked::default()
        };
        for (index, projection) in ALL.into_iter().enumerate() {
            let mark = live.marks[index];
            let audited = projection.audited();
            for by in FOLDED {
                let tables: Vec<Audited> =
                    audited.iter().filter(|it| it.by == by).copied().collect();
                let folded = self
                    .fold(projection, &tables, begun.events(by), mark, Some(&keys))
                    .await?;
                for (audited, folded) in tables.iter().zip(&folded) {
                    let stored = live.rows(audited);
                    checked.compare(projection, audited.table, mark, stored, folded);
                    let strays = live.strays(audited);
                    checked.compare(projection, audited.table, mark, strays, &Rows::new());
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

    /// Goes on adding up the days of settlement, by a page of payments; what was found, where that
    /// was the last page. The next begins a new pass.
    pub async fn add_up(&mut self) -> Result<Option<Checked>, Error> {
        let connection = &mut self.scratch.connection;
        let mut checked = Checked::default();
        let Some(mut pass) = self.pass.take() else {
            self.pass = Pass::begin(connection, &self.keys).await?;
            // Days that are too many to be held against anything are told of.
            checked.left_out = usize::from(self.pass.is_none());
            return Ok(self.pass.is_none().then_some(checked));
        };
        if !pass.go_on(&self.log).await? {
            self.pass = Some(pass);
            return Ok(None);
        }
        let Passed { stored, folded, mark } = pass.end(connection, &self.keys).await?;
        checked.compare(&Settlement, settlement::DAYS, mark, &stored, &folded);
        Ok(Some(checked))
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
        if tables.is_empty() || events.is_empty() {
            return Ok(vec![Rows::new(); tables.len()]);
        }
        let mut folded = Vec::with_capacity(tables.len());
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
            *self.rows.entry(projection.name()).or_default() += 1;
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
