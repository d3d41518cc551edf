//! Walks through the log in a database: events, stored leaves and heads as they stand there.

use sqlx::PgPool;
use store::log::Slice;
use store::stored;
use tlog_tiles::tlog::{HASH_SIZE, Hash};

use crate::checking::{Finding, Heads, Proved};
use crate::head::{SignedHead, origin};
use crate::keys::PublicKey;
use crate::tables;

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

/// Checks the whole log against its heads and those kept elsewhere; tells the position now and
/// then.
pub async fn check(
    pool: &PgPool,
    keys: Vec<PublicKey>,
    kept: &[SignedHead],
    mut progress: impl FnMut(i64),
) -> Result<Proved, Error> {
    let log_id = tables::log_id(pool).await?;
    let mut heads = Heads::trusting(keys).of_log(origin(log_id));
    let mut size = 0;
    loop {
        let notes = tables::notes_after(pool, size).await?;
        let Some((last, _)) = notes.last() else {
            break;
        };
        size = *last;
        for (_, note) in &notes {
            heads.take(note);
        }
    }
    let mut walk = heads.and_kept_elsewhere(kept).map_err(Error::Kept)?;
    let mut leaves = Leaves { pool, tile: None, hashes: Vec::new() };
    let mut from = 1;
    while !walk.is_over() {
        let slice = Slice { from: Some(from), ..Slice::default() };
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
