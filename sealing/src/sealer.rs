//! The sealer: reads what has been committed, grows the tree, and signs a head at least every
//! minute and every 10,000 events, where anything has happened.
//!
//! 1. Tiles and head are kept in one transaction; a crash leaves both or neither.
//! 2. A head is only put on what leads to the head before it. A tree, a file or a key that does not
//!    is an alarm: nothing is sealed until a person has looked.
//! 3. Of several processes that have keys one is active; should two be, the second's head finds its
//!    predecessor taken.
//! 4. A process never goes back behind a head that it has signed or seen. Otherwise whoever deletes
//!    heads, changes events and cuts the sealer's connection would have the rest signed anew.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{SubsecRound as _, Utc};
use sqlx::{Connection as _, PgPool};
use store::leader::{self, Lead, Office};
use store::log::{self, Slice};
use store::pace::{PAUSE_MAX, Pace};
use store::stored;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::head::{Head, Signed, SignedHead, origin};
use crate::keys::SealKey;
use crate::tree::{StoredTile, Tree, tails_of};
use crate::{heads_file, leaf, tables};

/// Events of one head, at most.
pub const EVENTS_MAX: u64 = 10_000;
/// Events without a head from which on the sealer lets nobody go first: else a load that never ends
/// would leave it ever further behind.
pub(crate) const EVENTS_MANY: u64 = 2 * EVENTS_MAX;
/// How often the sealer looks whether there is something to seal.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often a process that waits for its turn looks at the newest head.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// Pause after something went wrong.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// How a process seals.
#[derive(Debug, Clone)]
pub struct Settings {
    /// All of them sign every head.
    pub keys: Vec<SealKey>,
    /// Longest time that an event waits for its head.
    pub every: Duration,
    /// Where heads are appended to, besides the database.
    pub heads_file: Option<PathBuf>,
}

/// Why nothing is sealed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not answer.
    #[error("the log cannot be sealed: {0}")]
    Database(#[from] sqlx::Error),
    /// A stored head is none.
    #[error(transparent)]
    Heads(#[from] tables::Error),
    /// The file did not take the heads.
    #[error("the file of heads cannot be written: {0}")]
    File(#[from] io::Error),
    /// Somebody has changed the tiles.
    #[error("the stored tree is not the one that was sealed at position {0}; run daybook verify")]
    Tree(u64),
    /// An event of the log is not there.
    #[error("the event at position {0} is missing; run daybook verify")]
    Missing(i64),
    /// The file says something else than the database.
    #[error("the file of heads ends with a head of {0} events that the database does not have")]
    Fork(u64),
    /// Nobody could verify what these keys sign.
    #[error(
        "none of the given keys may sign the next head: the last one names {0}; \
         to change the key, let the old and the new one sign together first"
    )]
    Keys(String),
    /// The last head is signed by nobody that may.
    #[error("the last head, of {0} events, is not signed by a key that it names")]
    Signature(u64),
    /// Somebody has removed or changed heads while we were running.
    #[error(
        "the database no longer has the head of {0} events that this process has seen: heads were \
         removed or changed, or a backup was restored; run daybook verify with the heads you kept"
    )]
    Forgotten(u64),
}

/// The newest head that a process has signed or seen; outlives a sealer that fails.
#[derive(Debug, Default)]
pub struct Remembered(Option<SignedHead>);

impl Remembered {
    /// Takes a newer head into account, if it leads on from the one before.
    async fn look(&mut self, pool: &PgPool) -> Result<(), Error> {
        if let Some(seen) = &self.0 {
            let size = seen.head.size;
            let stored = tables::of_size(pool, tables::signed64(size)).await?;
            if stored.is_none_or(|stored| stored.note() != seen.note()) {
                return Err(Error::Forgotten(size));
            }
        }
        if let Some(newest) = tables::newest(pool).await? {
            self.0 = Some(newest);
        }
        Ok(())
    }

    /// Looks at what another process seals, as long as that one is active. What does not lead on is
    /// not remembered, and is refused when it is our turn.
    async fn keep_looking(&mut self, pool: &PgPool) -> Infallible {
        loop {
            if let Err(error) = self.look(pool).await {
                tracing::debug!(%error, "the newest head is not remembered");
            }
            tokio::time::sleep(WATCH_EVERY).await;
        }
    }
}

/// Seals until told to stop. Gives way to the commands that are counted in `pace`.
pub async fn run(pool: PgPool, settings: Settings, pace: Pace, mut stop: watch::Receiver<bool>) {
    let sealing = async {
        let mut remembered = Remembered::default();
        loop {
            let Err(error) = seal_until_it_fails(&pool, &settings, &pace, &mut remembered).await;
            metrics::counter!("log_sealing_failures_total").increment(1);
            tracing::error!(error = &error as &dyn std::error::Error, "the log is not sealed");
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    };
    tokio::select! {
        () = sealing => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

/// Waits until the office is free, and seals until something is wrong. Goes on only from what leads
/// on from the head that is remembered.
pub async fn seal_until_it_fails(
    pool: &PgPool,
    settings: &Settings,
    pace: &Pace,
    remembered: &mut Remembered,
) -> Result<Infallible, Error> {
    let lead = tokio::select! {
        lead = leader::lead(pool, Office::Sealer) => lead?,
        never = remembered.keep_looking(pool) => match never {},
    };
    remembered.look(pool).await?;
    let mut sealer = Sealer::open(pool, settings, pace, lead, remembered).await?;
    let mut waiting = Waiting::default();
    loop {
        let head = log::head(pool).await?.unsigned_abs();
        let unsealed = head.saturating_sub(sealer.tree.size());
        if let Some(due) = waiting.due(unsealed, settings.every, Instant::now()) {
            sealer.seal(&due, head).await?;
            continue;
        }
        tokio::time::sleep(LOOK_EVERY.min(settings.every)).await;
    }
}

/// Since when events wait for a head.
#[derive(Debug, Default)]
struct Waiting {
    /// When the oldest of them may have come.
    since: Option<Instant>,
}

/// A head that is to be made now.
#[derive(Debug, PartialEq)]
struct Due {
    /// How many events it adds.
    events: u64,
    /// Until when clients may go first.
    until: Instant,
}

impl Waiting {
    /// What is to be done about so many events without a head.
    fn due(&mut self, unsealed: u64, every: Duration, now: Instant) -> Option<Due> {
        if unsealed == 0 {
            self.since = None;
            return None;
        }
        let late_at = *self.since.get_or_insert(now) + every;
        if unsealed < EVENTS_MAX && now < late_at {
            return None;
        }
        // What it does not cover has been there for as long; what comes while it is made, from now.
        if unsealed <= EVENTS_MAX {
            self.since = Some(now);
        }
        let until = if EVENTS_MANY <= unsealed {
            now
        } else {
            late_at.min(now + PAUSE_MAX)
        };
        Some(Due { events: unsealed.min(EVENTS_MAX), until })
    }
}

struct Sealer<'a> {
    pool: &'a PgPool,
    settings: &'a Settings,
    pace: &'a Pace,
    lead: Lead,
    origin: String,
    tree: Tree,
    last: Option<SignedHead>,
    remembered: &'a mut Remembered,
}

impl<'a> Sealer<'a> {
    async fn open(
        pool: &'a PgPool,
        settings: &'a Settings,
        pace: &'a Pace,
        lead: Lead,
        remembered: &'a mut Remembered,
    ) -> Result<Self, Error> {
        let origin = origin(tables::log_id(pool).await?);
        // As it was when it was found to lead on.
        let last = remembered.0.clone();
        let tree = match &last {
            None => Tree::default(),
            Some(last) => {
                let named = &last.head.keys;
                if last.signed_by(named) != Signed::Known || last.head.origin != origin {
                    return Err(Error::Signature(last.head.size));
                }
                if !settings.keys.iter().any(|key| named.contains(key.public())) {
                    let keys: Vec<String> = named.iter().map(ToString::to_string).collect();
                    return Err(Error::Keys(keys.join(", ")));
                }
                tree_of(pool, &last.head).await?
            }
        };
        let sealer = Self { pool, settings, pace, lead, origin, tree, last, remembered };
        sealer.fill_file().await?;
        Ok(sealer)
    }

    /// Adds the next events to the tree and puts a head on it; `head` is where the log ends. Lets
    /// clients go first once for the whole head, not before each page.
    async fn seal(&mut self, due: &Due, head: u64) -> Result<(), Error> {
        let begun = Instant::now();
        let events = due.events;
        let mut until = Some(due.until);
        let (mut tree, mut tiles) = (self.tree.clone(), Vec::new());
        let previous_size = tree.size();
        let size = previous_size + events;
        while tree.size() < size {
            let behind = tables::signed64(head.saturating_sub(tree.size()));
            self.pace.give_way(behind, &mut until).await;
            self.read_on(&mut tree, size, &mut tiles).await?;
        }
        tiles.extend(tree.tails());
        let head = Head {
            origin: self.origin.clone(),
            size,
            root: tree.root(),
            sealed_at: Utc::now().trunc_subsecs(6),
            previous: self.last.as_ref().map(SignedHead::text_hash),
            keys: self
                .settings
                .keys
                .iter()
                .map(|key| key.public().clone())
                .collect(),
        };
        let signed = head.sign(&self.settings.keys);
        self.lead.still_ours().await?;
        let mut connection = self.pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        tables::keep_tiles(&mut transaction, &tiles).await?;
        tables::keep(&mut transaction, &signed, tables::signed64(previous_size)).await?;
        transaction.commit().await?;
        self.remembered.0 = Some(signed.clone());
        (self.tree, self.last) = (tree, Some(signed));
        metrics::counter!("log_sealed_events_total").increment(events);
        metrics::histogram!("log_seal_seconds").record(begun.elapsed());
        self.fill_file().await
    }

    /// Adds the events of one page.
    async fn read_on(
        &self,
        tree: &mut Tree,
        size: u64,
        tiles: &mut Vec<StoredTile>,
    ) -> Result<(), Error> {
        let from = tables::signed64(tree.size() + 1);
        let slice =
            Slice { from: Some(from), to: Some(tables::signed64(size)), ..Slice::default() };
        let page = stored::page(self.pool, &slice, stored::ROWS_MAX).await?;
        if page.is_empty() {
            return Err(Error::Missing(from));
        }
        for event in page {
            let expected = tables::signed64(tree.size() + 1);
            if event.position != expected {
                return Err(Error::Missing(expected));
            }
            tree.push(leaf(event.line().as_bytes()), tiles);
        }
        Ok(())
    }

    /// Brings the file up to the database; after a crash, an outage or a full disk as well.
    async fn fill_file(&self) -> Result<(), Error> {
        let Some(path) = &self.settings.heads_file else {
            return Ok(());
        };
        let last = heads_file::last(path)?;
        let mut size = 0;
        if let Some(last) = last {
            size = tables::signed64(last.head.size);
            let ours = tables::of_size(self.pool, size).await?;
            if ours.is_none_or(|ours| ours.note() != last.note()) {
                return Err(Error::Fork(last.head.size));
            }
        }
        loop {
            let notes = tables::notes_after(self.pool, size).await?;
            let Some((last, _)) = notes.last() else {
                return Ok(());
            };
            size = *last;
            heads_file::append(path, notes.iter().map(|(_, note)| note.as_str()))?;
        }
    }
}

/// The tree that a head was put on.
async fn tree_of(pool: &PgPool, head: &Head) -> Result<Tree, Error> {
    let wanted: Vec<_> = tails_of(head.size)
        .map(|(level, tile, _)| (u8::try_from(level).unwrap_or(u8::MAX), tile))
        .collect();
    let tiles = tables::tiles(pool, &wanted).await?;
    let tree = Tree::from_tails(head.size, &tiles).ok_or(Error::Tree(head.size))?;
    if tree.root() == head.root {
        Ok(tree)
    } else {
        Err(Error::Tree(head.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_head_is_due_after_a_minute_or_ten_thousand_events_whichever_comes_first() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut waiting = Waiting::default();
        assert_eq!(waiting.due(0, MINUTE, at(0)), None);
        assert_eq!(waiting.due(1, MINUTE, at(100)), None, "first seen now");
        assert_eq!(waiting.due(9_999, MINUTE, at(159)), None);
        let late = waiting.due(9_999, MINUTE, at(160));
        assert_eq!(late, Some(Due { events: 9_999, until: at(160) }), "a late one lets nobody in");
        // What came while that was made is counted from when it was begun.
        assert_eq!(waiting.due(5, MINUTE, at(170)), None);
        assert_eq!(waiting.due(5, MINUTE, at(220)), Some(Due { events: 5, until: at(220) }));

        assert_eq!(waiting.due(0, MINUTE, at(221)), None);
        let full = waiting.due(10_000, MINUTE, at(300));
        assert_eq!(full, Some(Due { events: 10_000, until: at(300) + PAUSE_MAX }));
    }

    #[test]
    fn a_sealer_that_is_behind_waits_for_nobody_and_forgets_no_age() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut waiting = Waiting::default();
        let behind = waiting.due(25_000, MINUTE, at(0));
        assert_eq!(behind, Some(Due { events: 10_000, until: at(0) }));
        let rest = waiting.due(15_000, MINUTE, at(58));
        assert_eq!(rest, Some(Due { events: 10_000, until: at(60) }), "no later than its minute");
        assert_eq!(waiting.due(5_000, MINUTE, at(60)), Some(Due { events: 5_000, until: at(60) }));
    }
}
