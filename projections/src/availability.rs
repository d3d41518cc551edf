//! How many pieces of an article can still be had, from memory: the one question that everybody
//! who looks at a shop asks.
//!
//! ```text
//! log ─▶ feed ─▶ table of articles ◀── asked ── holds it: the answer
//!                 ▲                     └── holds it not: the read models `products` and `stock`
//!                 └──────────── learned, at the start and when asked ────────────────┘
//! ```
//!
//! 1. Whatever is answered from the table holds every event up to the position that comes with it.
//! 2. A level moves by the event that continues its sequence, and by no other. One that would
//!    leave a hole ends what is known of the article.
//! 3. What the read model says becomes known only if no event since was missed.
//! 4. The table is bounded; an article that finds no room in it is answered from the read model.
//! 5. Nothing is told from the table before it has heard all that was in the log when it began.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::event::Event;
use domain::ids::Sku;
use domain::inventory;
use serde::Serialize;
use sqlx::PgExecutor;
use store::feed::Feeds;
use store::recorded::RecordedEvent;
use tokio::sync::watch;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::error::Error;
use crate::read_models::WaitError;

/// The name in errors.
const NAME: &str = "availability";

/// Articles in memory: some 20 MB with the longest SKUs. Those that there are at the start, and then
/// those that are asked for first; a shop of more keeps its others in the read model.
const ARTICLES_MAX: usize = 100_000;
/// Those that are known from the start; there is room left for what is asked for.
const KNOWN_AT_START_MAX: usize = ARTICLES_MAX / 2;
/// Moves that are remembered of one article while the read model is behind them; some seconds of
/// an article that everybody wants.
const MOVES_MAX: usize = 4_096;
/// Events that are taken on board at a time: nobody is answered meanwhile, for some microseconds.
const BATCH_EVENTS_MAX: usize = 500;
/// Pause before the feed is asked again after it failed.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// How many pieces of an article can still be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AvailabilityView {
    /// The article.
    #[schema(value_type = String)]
    pub sku: Sku,
    /// Pieces that can still be reserved.
    pub available: i64,
    /// The log position as of which this is so.
    pub as_of_position: i64,
}

/// What the read models say of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Found {
    available: i64,
    /// The last event that counts, of its stock; 0 if it never had any.
    version: i64,
    /// How far the read model of stock had been brought.
    position: i64,
}

/// Asks the read models; `None` if there is no such product.
pub async fn find(reads: impl PgExecutor<'_>, sku: &Sku) -> Result<Option<Found>, Error> {
    // One statement sees one moment: no row can be older than the mark beside it.
    let select = "select coalesce(on_hand - reserved, 0) as available, \
                  coalesce(stock.version, 0) as version, position \
                  from products left join stock using (sku), marks \
                  where sku = $1 and marks.name = 'stock'";
    Ok(sqlx::query_as(select)
        .bind(sku.as_str())
        .fetch_optional(reads)
        .await?)
}

/// The same of many articles; those that are no products are absent.
pub async fn find_many(
    reads: impl PgExecutor<'_>,
    skus: &[Sku],
) -> Result<Vec<(Sku, Found)>, Error> {
    let select = "select sku, coalesce(on_hand - reserved, 0) as available, \
                  coalesce(stock.version, 0) as version, position \
                  from products left join stock using (sku), marks \
                  where sku = any($1) and marks.name = 'stock'";
    let skus: Vec<&str> = skus.iter().map(Sku::as_str).collect();
    let rows: Vec<(String, i64, i64, i64)> =
        sqlx::query_as(select).bind(skus).fetch_all(reads).await?;
    rows.into_iter()
        .map(|(sku, available, version, position)| {
            Ok((crate::storable::named(&sku)?, Found { available, version, position }))
        })
        .collect()
}

/// An article beside the mark, or the mark alone.
#[derive(sqlx::FromRow)]
struct KnownRow {
    position: i64,
    sku: Option<String>,
    available: Option<i64>,
    version: Option<i64>,
}

/// The read models' word on every article that there is room for, and the position as of which.
async fn find_all(reads: impl PgExecutor<'_>) -> Result<(i64, Vec<(String, Found)>), Error> {
    // One statement sees one moment.
    let select = format!(
        "select marks.position, known.sku, available, known.version from marks left join \
         (select sku, coalesce(on_hand - reserved, 0) as available, \
          coalesce(stock.version, 0) as version \
          from products left join stock using (sku) where products.active \
          order by sku limit {KNOWN_AT_START_MAX}) as known \
         on true where marks.name = 'stock'"
    );
    let rows: Vec<KnownRow> = sqlx::query_as(&select).fetch_all(reads).await?;
    let first = rows.first();
    let position = first
        .ok_or(Error::NoMark { name: crate::stock::NAME })?
        .position;
    let known = rows.into_iter().filter_map(|row| {
        Some((row.sku?, Found { available: row.available?, version: row.version?, position }))
    });
    Ok((position, known.collect()))
}

/// The table; clones share it.
#[derive(Debug, Clone)]
pub struct Availability {
    table: Arc<Mutex<Table>>,
    /// How far the log has been heard; the table's, for those who wait.
    heard: Arc<watch::Sender<i64>>,
}

#[derive(Debug)]
struct Table {
    heard: i64,
    /// Until this was heard, what is in the table may be long over.
    tells_from: i64,
    articles: HashMap<String, Article>,
}

/// What is known of an article.
#[derive(Debug, PartialEq, Eq)]
enum Article {
    /// As of the table's position.
    Known(Level),
    /// The read model was behind when somebody asked; every move since a position.
    Awaited { since: i64, moves: Vec<Move> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Level {
    available: i64,
    version: i64,
}

/// One event of an article's stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Move {
    sequence: i64,
    pieces: i64,
}

impl Availability {
    /// Knows every article that there is room for, as the read models have it; to be kept up from
    /// there. `head` is a position that the log has reached.
    pub async fn open(reads: impl PgExecutor<'_>, head: i64) -> Result<Self, Error> {
        let (position, known) = find_all(reads).await?;
        let availability = Self::from(position, head);
        let mut table = availability.table();
        for (sku, found) in known {
            table.learn(&sku, found);
        }
        drop(table);
        Ok(availability)
    }

    /// Knows nothing yet; to be kept up from this position on.
    pub fn new(position: i64) -> Self {
        Self::from(position, position)
    }

    fn from(position: i64, tells_from: i64) -> Self {
        let table = Table { heard: position, tells_from, articles: HashMap::new() };
        Self {
            table: Arc::new(Mutex::new(table)),
            heard: Arc::new(watch::Sender::new(position)),
        }
    }

    /// The article, if memory holds it.
    pub fn of(&self, sku: &Sku) -> Option<AvailabilityView> {
        let table = self.table();
        match table.articles.get(sku.as_str()) {
            Some(Article::Known(level)) if table.tells_from <= table.heard => {
                Some(view(sku, level.available, table.heard))
            }
            Some(_) | None => None,
        }
    }

    /// The article as the read models have it, or fresher; known from now on if that is safe.
    pub fn learn(&self, sku: &Sku, found: Found) -> AvailabilityView {
        let mut table = self.table();
        table.learn(sku.as_str(), found);
        match table.articles.get(sku.as_str()) {
            // It holds whatever the read models hold, even if less has been heard of others.
            Some(Article::Known(level)) if found.version <= level.version => {
                view(sku, level.available, table.heard.max(found.position))
            }
            Some(_) | None => view(sku, found.available, found.position),
        }
    }

    /// Waits until the log has been heard up to a position.
    pub async fn wait_for(&self, position: i64, patience: Duration) -> Result<(), WaitError> {
        let mut heard = self.heard.subscribe();
        let until_then = heard.wait_for(|heard| position <= *heard);
        if let Ok(Ok(_)) = timeout(patience, until_then).await {
            return Ok(());
        }
        let reached = *self.heard.borrow();
        Err(WaitError::Behind { name: NAME, reached, wanted: position })
    }

    /// Hears what happens to the articles, for ever.
    pub async fn keep_up(self, feeds: Feeds) {
        let mut feed = feeds.subscribe();
        loop {
            let mark = *self.heard.borrow();
            match feed.next(mark, BATCH_EVENTS_MAX).await {
                Ok(batch) => self.hear(&batch),
                Err(error) => {
                    tracing::warn!(%error, "what is available is heard late");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// Takes events on board, all of them at once: invariant 1.
    fn hear(&self, batch: &[Arc<RecordedEvent>]) {
        let Some(last) = batch.last() else { return };
        let mut table = self.table();
        for recorded in batch {
            if let Event::Inventory(event) = &recorded.event {
                let pieces = pieces_of(event);
                table.take(&recorded.aggregate_id, Move { sequence: recorded.sequence, pieces });
            }
        }
        table.heard = last.position;
        drop(table);
        self.heard.send_replace(last.position);
    }

    /// The table is whole after every line that holds it, so a panic elsewhere spoils nothing.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn view(sku: &Sku, available: i64, as_of_position: i64) -> AvailabilityView {
    AvailabilityView { sku: sku.clone(), available, as_of_position }
}

/// How many more pieces can be reserved after an event than before it.
pub fn pieces_of(event: &inventory::Event) -> i64 {
    use inventory::Event as E;

    match event {
        E::Received { quantity, .. }
        | E::Restocked { quantity, .. }
        | E::Released { quantity, .. } => 0_i64.saturating_add_unsigned(*quantity),
        E::Reserved { quantity, .. } => 0_i64.saturating_sub_unsigned(*quantity),
        E::Adjusted { quantity, .. } => *quantity,
        // What is issued was reserved before.
        E::Issued { .. } => 0,
    }
}

impl Table {
    fn learn(&mut self, sku: &str, found: Found) {
        let full = ARTICLES_MAX <= self.articles.len();
        let level = Level { available: found.available, version: found.version };
        match self.articles.entry(sku.to_owned()) {
            Entry::Vacant(entry) if !full => {
                // Up to what was heard nothing can be told of an article that nobody knew.
                entry.insert(if self.heard <= found.position {
                    Article::Known(level)
                } else {
                    Article::Awaited { since: self.heard, moves: Vec::new() }
                });
            }
            Entry::Occupied(mut entry) => {
                if let Article::Awaited { since, moves } = entry.get()
                    && *since <= found.position
                {
                    match level.after(moves) {
                        Some(level) => *entry.get_mut() = Article::Known(level),
                        None => _ = entry.remove(),
                    }
                }
            }
            Entry::Vacant(_) => {}
        }
    }

    fn take(&mut self, sku: &str, next: Move) {
        let kept = match self.articles.get_mut(sku) {
            None => return,
            Some(Article::Known(level)) => {
                level.after(&[next]).map(|moved| *level = moved).is_some()
            }
            Some(Article::Awaited { moves, .. }) => {
                moves.push(next);
                moves.len() <= MOVES_MAX
            }
        };
        if !kept {
            self.articles.remove(sku);
        }
    }
}

impl Level {
    /// The level after these, without those that it counts already; `None` if one is missing.
    fn after(mut self, moves: &[Move]) -> Option<Self> {
        for Move { sequence, pieces } in moves {
            match sequence - self.version {
                ..=0 => {}
                1 => {
                    self.available = self.available.saturating_add(*pieces);
                    self.version = *sequence;
                }
                2.. => return None,
            }
        }
        Some(self)
    }
}

#[cfg(test)]
#[path = "availability_tests.rs"]
mod tests;
