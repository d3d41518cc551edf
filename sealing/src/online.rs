//! Walks through the log in a database: events, stored leaves and heads as they stand there.

use std::time::Duration;

use sqlx::PgPool;
use store::log::Slice;
use store::stored;
use tlog_tiles::tlog::{HASH_SIZE, Hash};
use tokio::time::Instant;

use crate::checking::{Finding, Heads, Proved};
use crate::head::{SignedHead, origin};
use crate::keys::PublicKey;
use crate::sealer::EVENTS_MAX;
use crate::tables;

/// How long a sealer may take to come within its 10,000 events of the end.
const SEALER_PATIENCE: Duration = Duration::from_secs(10);
/// How often we look whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Why nothing could be proved, one way or the other.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not answer.
    #[error("the log cannot be read: {0}")]
    Database(#[from] sqlx::Error),
    /// A head that was given says nothing about this log.
    #[error("{0}")]
    Kept(String),
    /// Something is wrong; each finding a line.
    #[error("{}", told(.0))]
    Wrong(Vec<Finding>),
}

pub(crate) fn told(findings: &[Finding]) -> String {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Checks the log, up to where it ends now, against its heads and those kept elsewhere; tells the
/// position now and then.
pub async fn check(
    pool: &PgPool,
    keys: Vec<PublicKey>,
    kept: &[SignedHead],
    mut progress: impl FnMut(i64),
) -> Result<Proved, Error> {
    let origin = origin(tables::log_id(pool).await?);
    // Before the heads, so that a log which grows meanwhile is not told to have an unsealed tail.
    let mut end = end(pool).await?;
    let (mut heads, mut size) = read_heads(pool, &origin, keys.clone()).await?;
    let patience = Instant::now() + SEALER_PATIENCE;
    // A sealer that works catches up with where the log was a moment ago.
    while 0 < size && tables::signed64(EVENTS_MAX) < end - size && Instant::now() < patience {
        tokio::time::sleep(LOOK_EVERY).await;
        (heads, size) = read_heads(pool, &origin, keys.clone()).await?;
    }
    end = end.max(size);
    let mut walk = heads.and_kept_elsewhere(kept).map_err(Error::Kept)?;
    let mut leaves = Leaves { pool, tile: None, hashes: Vec::new() };
    let mut from = 1;
    while !walk.is_over() {
        let slice = Slice { from: Some(from), to: Some(end), ..Slice::default() };
        let page = stored::page(pool, &slice, stored::ROWS_MAX).await?;
        let Some(last) = page.last() else {
            break;
        };
        from = last.position.saturating_add(1);
        for event in &page {
            let position = event.position.unsigned_abs();
            let stored = leaves.of(position).await?;
            walk.take(position, event.line().as_bytes(), stored);
        }
        progress(from - 1);
    }
    walk.finish().map_err(Error::Wrong)
}

/// The position of the last event, whatever the log says of itself.
async fn end(pool: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar("select coalesce(max(position), 0) from events")
        .fetch_one(pool)
        .await
}

/// All heads, and how many events the last one covers.
async fn read_heads(
    pool: &PgPool,
    origin: &str,
    keys: Vec<PublicKey>,
) -> sqlx::Result<(Heads, i64)> {
    let mut heads = Heads::trusting(keys).of_log(origin.to_owned());
    let mut size = 0;
    loop {
        let notes = tables::notes_after(pool, size).await?;
        let Some((last, _)) = notes.last() else {
            return Ok((heads, size));
        };
        size = *last;
        for (_, note) in &notes {
            heads.take(note);
        }
    }
}

/// Stored leaves, a tile at a time.
struct Leaves<'a> {
    pool: &'a PgPool,
    tile: Option<u64>,
    hashes: Vec<u8>,
}

impl Leaves<'_> {
    async fn of(&mut self, position: u64) -> sqlx::Result<Option<Hash>> {
        let index = position.saturating_sub(1);
        if self.tile != Some(index / 256) {
            self.hashes = tables::leaves(self.pool, index / 256).await?;
            self.tile = Some(index / 256);
        }
        Ok(leaf_of(&self.hashes, index))
    }
}

pub(crate) fn leaf_of(tile: &[u8], index: u64) -> Option<Hash> {
    let start = usize::try_from(index % 256).ok()? * HASH_SIZE;
    let hash = tile.get(start..start + HASH_SIZE)?;
    hash.try_into().ok().map(Hash)
}
