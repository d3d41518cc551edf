//! Walks through an export, with no database and no operator: the lines of the events, and beside
//! them a file of seals.
//!
//! The file of seals has a line for every head and for every 256 stored leaves:
//!
//! ```text
//! {"head":"daybook/018f...\n10000\n..."}
//! {"tile":0,"leaves":"base64 of 32 bytes for each of the positions 1 to 256"}
//! ```

use std::io::{self, BufRead, Write};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::checking::{Finding, Heads, Proved};
use crate::head::SignedHead;
use crate::keys::PublicKey;
use crate::online::{leaf_of, told};
use crate::tables;

/// Longest line: far more than an order of 2,000 lines takes.
const LINE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Lines between two reports of progress.
const TELL_EVERY: u64 = 10_000;

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Head { head: String },
    Leaves { tile: u64, leaves: String },
}

/// Why nothing could be proved, one way or the other.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("the export cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The file of seals is something else.
    #[error("line {0} of the file of seals is none that Daybook writes")]
    Seals(u64),
    /// A head that was given says nothing about this log.
    #[error("{0}")]
    Kept(String),
    /// Something is wrong; each finding a line.
    #[error("{}", told(.0))]
    Wrong(Vec<Finding>),
}

/// Why seals could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The database did not answer.
    #[error("the heads of the log cannot be read: {0}")]
    Database(#[from] sqlx::Error),
    /// The disk did not take them.
    #[error("the file of seals cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// Writes the seals of the log up to a position; how many heads there are.
pub async fn write_seals(pool: &PgPool, to: i64, mut out: impl Write) -> Result<u64, WriteError> {
    let mut seals = SealLines::of(pool.clone(), to);
    while let Some(lines) = seals.next().await? {
        out.write_all(&lines)?;
    }
    out.flush()?;
    Ok(seals.heads)
}

/// The seals of the log up to a position, to be read some lines at a time.
#[derive(Debug)]
pub struct SealLines {
    pool: PgPool,
    to: i64,
    /// Events under the last head that was read.
    size: i64,
    heads: u64,
    /// The next tile, once all heads are read.
    tile: Option<u64>,
}

impl SealLines {
    /// From their beginning.
    pub fn of(pool: PgPool, to: i64) -> Self {
        Self { pool, to, size: 0, heads: 0, tile: None }
    }

    /// Some more lines, each with its line feed; nothing after the last.
    pub async fn next(&mut self) -> sqlx::Result<Option<Vec<u8>>> {
        let mut lines = Vec::new();
        if self.tile.is_none() {
            let notes = tables::notes_after(&self.pool, self.size).await?;
            // A head beyond the end, or none: then the tiles are next.
            if notes.last().is_none_or(|(size, _)| self.to < *size) {
                self.tile = Some(0);
            }
            for (size, note) in notes {
                if self.to < size {
                    break;
                }
                (self.size, self.heads) = (size, self.heads + 1);
                put(&Line::Head { head: note }, &mut lines);
            }
            if !lines.is_empty() {
                return Ok(Some(lines));
            }
        }
        let tiles = self.size.unsigned_abs().div_ceil(256);
        let Some(tile) = self.tile.filter(|tile| *tile < tiles) else {
            return Ok(None);
        };
        let leaves = BASE64_STANDARD.encode(tables::leaves(&self.pool, tile).await?);
        put(&Line::Leaves { tile, leaves }, &mut lines);
        self.tile = Some(tile + 1);
        Ok(Some(lines))
    }
}

fn put(line: &Line, lines: &mut Vec<u8>) {
    serde_json::to_writer(&mut *lines, line).expect("texts and numbers are JSON");
    lines.push(b'\n');
}

/// Checks a whole export against the seals beside it and heads kept elsewhere. `seals` opens the
/// file of seals, which is read twice; without one, only the heads kept elsewhere speak. Tells the
/// position now and then.
pub fn check<R: BufRead>(
    mut events: impl BufRead,
    seals: Option<&dyn Fn() -> io::Result<R>>,
    keys: Vec<PublicKey>,
    kept: &[SignedHead],
    mut progress: impl FnMut(u64),
) -> Result<Proved, Error> {
    let mut heads = Heads::trusting(keys);
    let mut leaves = None;
    if let Some(open) = seals {
        let mut reader = Seals { lines: Lines::of(open()?), next: None };
        while let Some(line) = reader.read()? {
            if let Line::Head { head } = line {
                heads.take(&head);
            }
        }
        leaves = Some(Seals { lines: Lines::of(open()?), next: None });
    }
    let mut walk = heads.and_kept_elsewhere(kept).map_err(Error::Kept)?;
    let mut lines = Lines::of(&mut events);
    while let Some(line) = lines.next()?.filter(|_| !walk.is_over()) {
        match position_of(line) {
            Ok(position) => {
                let stored = match &mut leaves {
                    Some(leaves) => leaves.leaf(position)?,
                    None => None,
                };
                walk.take(position, line, stored);
            }
            Err(why) => walk.take_unreadable(&why),
        }
        if lines.number.is_multiple_of(TELL_EVERY) {
            progress(lines.number);
        }
    }
    walk.finish().map_err(Error::Wrong)
}

fn position_of(line: &[u8]) -> Result<u64, String> {
    #[derive(Deserialize)]
    struct Event {
        position: u64,
    }
    let event: Event = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    Ok(event.position)
}

/// Lines of a file, one in memory at a time.
struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    fn of(reader: R) -> Self {
        Self { reader, line: Vec::new(), number: 0 }
    }

    /// The next line without its line feed. One that never ends is cut, and is then no event.
    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        let mut bounded = io::Read::take(&mut self.reader, LINE_BYTES_MAX);
        if bounded.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        }
        Ok(Some(&self.line))
    }
}

/// The file of seals, read in step with the events.
struct Seals<R> {
    lines: Lines<R>,
    /// The newest tile that was read.
    next: Option<(u64, Vec<u8>)>,
}

impl<R: BufRead> Seals<R> {
    fn read(&mut self) -> Result<Option<Line>, Error> {
        let number = self.lines.number + 1;
        let line = self.lines.next()?;
        line.map(|line| serde_json::from_slice(line).map_err(|_| Error::Seals(number)))
            .transpose()
    }

    fn leaf(&mut self, position: u64) -> Result<Option<tlog_tiles::tlog::Hash>, Error> {
        let index = position.saturating_sub(1);
        while self
            .next
            .as_ref()
            .is_none_or(|(tile, _)| *tile < index / 256)
        {
            match self.read()? {
                None => return Ok(None),
                Some(Line::Head { .. }) => {}
                Some(Line::Leaves { tile, leaves }) => {
                    let number = self.lines.number;
                    let hashes = BASE64_STANDARD
                        .decode(leaves)
                        .map_err(|_| Error::Seals(number))?;
                    self.next = Some((tile, hashes));
                }
            }
        }
        let tile = self.next.as_ref().filter(|(tile, _)| *tile == index / 256);
        Ok(tile.and_then(|(_, hashes)| leaf_of(hashes, index)))
    }
}
