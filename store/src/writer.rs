//! Group commit: one task drains the queue of decided commands and commits many in one statement.
//!
//! What can go wrong with a batch, and what follows:
//!
//! | what | follows |
//! | --- | --- |
//! | a command id has acted before | that command gets its receipt, the rest is tried again |
//! | another process extended a stream | commands on that stream are decided anew, the rest is tried again |
//! | a refusal was decided on an outdated state | that command is decided anew |
//! | connection lost, outcome unknown | the batch's receipts are looked for |
//! | the database refuses what a command holds | the batch is halved until that command stands alone |
//! | the database says no, or stays away | every command of the batch fails |
//!
//! Whatever was decided on the state of a failed command fails with it: see [`crate::states`].

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::append::{Appended, Entry, append, offsets};
use crate::culprits;
use crate::lost;
use crate::pace::Pace;
use crate::states::Epoch;

/// Most commands in one batch. Beyond this a larger batch no longer commits more per second.
const BATCH_COMMANDS_MAX: usize = 1_000;
/// Times that others are let run before a batch is closed.
const GATHERINGS_MAX: usize = 4;
/// How long a worker's command waits for company while batches follow closely: a batch takes about
/// as long, and costs half of that whatever is in it.
const COMPANY_WAIT: Duration = Duration::from_millis(2);
/// Commands that are company enough.
const COMPANY: usize = 64;
/// Most bytes in one batch: bounds the statement and the memory behind it.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most times a batch is tried: each round but those of a lost connection removes a command.
const ROUNDS_MAX: usize = 8;
/// Committed batches that wait for the relay; beyond it the relay reads Postgres. Batches of usual
/// commands take a megabyte together, batches of the largest 512 MB.
const RELAY_QUEUE_MAX: usize = 64;

/// Where a command's effect is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committed {
    pub(crate) first_position: i64,
    pub(crate) last_position: i64,
}

/// Why a command was not committed.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// Its id has acted before: look for its receipt.
    Duplicate,
    /// It was decided on a version that is not the stream's.
    Conflict { expected: i64, actual: i64 },
    /// Something it was decided on has failed.
    Outdated,
    /// The database could not be asked, or its answer never came.
    Unavailable(String),
}

/// A decided command on its way.
pub(crate) struct Submission {
    pub(crate) entry: Entry,
    /// The aggregate's epoch that it was decided in; none for commands turned away.
    pub(crate) decided_in: Option<(Epoch, u64)>,
    pub(crate) reply: oneshot::Sender<Result<Committed, Failure>>,
}

impl Submission {
    /// Whether somebody waits for the answer at the other end of a connection.
    fn is_a_clients(&self) -> bool {
        self.entry.answer.is_some()
    }

    fn is_outdated(&self) -> bool {
        self.decided_in
            .as_ref()
            .is_some_and(|(epoch, decided_in)| epoch.now() != *decided_in)
    }

    pub(crate) fn fail(self, failure: Failure) {
        if let Some((epoch, decided_in)) = &self.decided_in {
            // Only the first failure of an epoch ends it: the next may be decided on sound state.
            if epoch.now() == *decided_in {
                epoch.end();
            }
        }
        // Nobody listens any more if the client has gone.
        let _gone = self.reply.send(Err(failure));
    }
}

/// A batch as committed, for the relay.
#[derive(Debug)]
pub(crate) struct CommittedBatch {
    pub(crate) base: i64,
    pub(crate) recorded_at: DateTime<Utc>,
    pub(crate) entries: Vec<Entry>,
}

/// The writer's inbox, and the relay's.
pub(crate) fn start(
    pool: PgPool,
    queue_max: usize,
    pace: Pace,
) -> (mpsc::Sender<Submission>, mpsc::Receiver<CommittedBatch>) {
    let (submit, mut submissions) = mpsc::channel::<Submission>(queue_max);
    let (to_relay, committed) = mpsc::channel(RELAY_QUEUE_MAX);
    tokio::spawn(async move {
        let mut writer = Writer { pool, to_relay, head: None };
        let mut waiting = Vec::new();
        let mut took = Duration::ZERO;
        while gather(&mut submissions, &mut waiting, &pace, took).await {
            let began = Instant::now();
            while !waiting.is_empty() {
                let rest = waiting.split_off(batch_len(&waiting));
                writer.commit(std::mem::replace(&mut waiting, rest)).await;
            }
            took = began.elapsed();
        }
    });
    (submit, committed)
}

/// Takes what waits, and whatever else is about to be submitted: others are let run before the
/// batch is closed, because a batch costs the database as much as thirty of its commands. No client
/// waits for others: where nothing else is to be done, no time passes. Only workers' commands wait
/// for company, and only where batches follow closely on one another: where this one comes sooner
/// than the last one `took`. False when there are no more.
async fn gather(
    submissions: &mut mpsc::Receiver<Submission>,
    waiting: &mut Vec<Submission>,
    pace: &Pace,
    took: Duration,
) -> bool {
    let since = Instant::now();
    if submissions.recv_many(waiting, BATCH_COMMANDS_MAX).await == 0 {
        return false;
    }
    if since.elapsed() < took {
        let until = tokio::time::Instant::now() + COMPANY_WAIT;
        while waiting.len() < COMPANY && !waiting.iter().any(Submission::is_a_clients) {
            match tokio::time::timeout_at(until, submissions.recv()).await {
                Ok(Some(submission)) => waiting.push(submission),
                Ok(None) | Err(_) => break,
            }
        }
    }
    for _ in 0..GATHERINGS_MAX {
        if pace.under_way() <= waiting.len() || BATCH_COMMANDS_MAX <= waiting.len() {
            break;
        }
        tokio::task::yield_now().await;
        while waiting.len() < BATCH_COMMANDS_MAX
            && let Ok(submission) = submissions.try_recv()
        {
            waiting.push(submission);
        }
    }
    true
}

/// How many of the waiting commands make one batch: at least one. No id twice, so that the second
/// of the same id finds the receipt of the first.
fn batch_len(waiting: &[Submission]) -> usize {
    let mut bytes = 0;
    let mut command_ids = HashSet::with_capacity(waiting.len());
    waiting
        .iter()
        .take_while(|submission| {
            let id_is_new = command_ids.insert(submission.entry.metadata.command_id);
            let fits = bytes < BATCH_BYTES_MAX && id_is_new;
            bytes += submission.entry.bytes();
            fits
        })
        .count()
}

/// What became of a batch.
enum Tried {
    /// Everybody has been answered.
    Done,
    /// The database refuses something that one of many commands holds.
    Indigestible(Vec<Submission>),
}

struct Writer {
    pool: PgPool,
    to_relay: mpsc::Sender<CommittedBatch>,
    /// Where the log ended after our last batch, unless it may have been lost.
    head: Option<i64>,
}

impl Writer {
    async fn commit(&mut self, batch: Vec<Submission>) {
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            if let Tried::Indigestible(mut first) = self.try_to_commit(part).await {
                let second = first.split_off(first.len() / 2);
                // In the order in which they were decided.
                parts.extend([second, first]);
            }
        }
    }

    async fn try_to_commit(&mut self, mut batch: Vec<Submission>) -> Tried {
        for _ in 0..ROUNDS_MAX {
            batch = without_outdated(batch);
            if batch.is_empty() {
                return Tried::Done;
            }
            let connection = match self.pool.acquire().await {
                Ok(connection) => connection,
                Err(error) => {
                    fail_all(batch, &error);
                    return Tried::Done;
                }
            };
            let entries: Vec<&Entry> = batch.iter().map(|submission| &submission.entry).collect();
            let error = match append(connection, &entries, self.head.take()).await {
                Ok(appended) => {
                    self.committed(batch, &appended).await;
                    return Tried::Done;
                }
                Err(error) => error,
            };
            match what_failed(&error) {
                Cause::Constraint => batch = culprits::remove(&self.pool, batch).await,
                Cause::Unknown => batch = lost::resolve(&self.pool, batch, &error).await,
                Cause::Data if 1 < batch.len() => return Tried::Indigestible(batch),
                Cause::Data | Cause::Database => {
                    fail_all(batch, &error);
                    return Tried::Done;
                }
            }
        }
        for submission in batch {
            submission.fail(Failure::Unavailable("the batch kept failing".to_owned()));
        }
        Tried::Done
    }

    /// Replies to everybody and hands the batch on.
    async fn committed(&mut self, batch: Vec<Submission>, appended: &Appended) {
        metrics::counter!("daybook_commits_total").increment(1);
        metrics::counter!("daybook_commands_total").increment(appended.receipted.len() as u64);
        let receipted: HashSet<Uuid> = appended.receipted.iter().copied().collect();
        let offsets = offsets(
            &batch
                .iter()
                .map(|submission| &submission.entry)
                .collect::<Vec<_>>(),
        );
        let length = offsets.last().map_or(0, |(_, last)| *last);
        self.head = Some(appended.base + length);
        let mut entries = Vec::with_capacity(batch.len());
        let mut outdated = Vec::new();
        for (submission, (first, last)) in batch.into_iter().zip(offsets) {
            if !receipted.contains(&submission.entry.metadata.command_id) {
                outdated.push(submission);
                continue;
            }
            let committed = Committed {
                first_position: appended.base + first,
                last_position: appended.base + last,
            };
            let _gone = submission.reply.send(Ok(committed));
            if !submission.entry.is_eventless() {
                entries.push(submission.entry);
            }
        }
        if !entries.is_empty() {
            let batch =
                CommittedBatch { base: appended.base, recorded_at: appended.recorded_at, entries };
            // A full or absent relay reads Postgres instead.
            let _behind = self.to_relay.try_send(batch);
        }
        if !outdated.is_empty() {
            culprits::fail_as_conflicts(&self.pool, outdated).await;
        }
    }
}

/// Fails what was decided on something that has failed since, or that this very batch changes
/// before it: no statement sees what it appends itself.
fn without_outdated(batch: Vec<Submission>) -> Vec<Submission> {
    let mut heads: HashMap<(&str, &str), i64> = HashMap::with_capacity(batch.len());
    let actual: Vec<Option<i64>> = batch
        .iter()
        .map(|submission| {
            let entry = &submission.entry;
            let stream = (entry.aggregate_type, entry.aggregate_id.as_str());
            let head = heads.get(&stream).copied();
            let overtaken = head.filter(|head| *head != entry.decided_on());
            if overtaken.is_none() && !entry.is_eventless() {
                heads.insert(stream, entry.version);
            }
            overtaken
        })
        .collect();
    let mut rest = Vec::with_capacity(batch.len());
    for (submission, actual) in batch.into_iter().zip(actual) {
        match actual {
            Some(actual) => {
                let expected = submission.entry.decided_on();
                submission.fail(Failure::Conflict { expected, actual });
            }
            None => rest.push(submission),
        }
    }
    // After the conflicts, which may have outdated more.
    let (outdated, sound): (Vec<_>, Vec<_>) = rest.into_iter().partition(Submission::is_outdated);
    for submission in outdated {
        submission.fail(Failure::Outdated);
    }
    sound
}

fn fail_all(batch: Vec<Submission>, error: &sqlx::Error) {
    tracing::error!(%error, commands = batch.len(), "a batch could not be committed");
    for submission in batch {
        submission.fail(Failure::Unavailable(error.to_string()));
    }
}

enum Cause {
    /// A constraint that names a duplicate or a conflict.
    Constraint,
    /// The connection failed: the batch may have been committed or not.
    Unknown,
    /// The database refused a value: nothing was committed.
    Data,
    /// The database refused the statement: nothing was committed.
    Database,
}

/// Duplicates and conflicts are told from accidents by the constraint's name alone.
fn what_failed(error: &sqlx::Error) -> Cause {
    match error {
        sqlx::Error::Database(refusal) => {
            let constraint = refusal.constraint();
            let code = refusal.code().unwrap_or_default();
            match (constraint, code.get(..2)) {
                (Some("events_stream_is_sequential" | "receipts_command_acts_once"), _) => {
                    Cause::Constraint
                }
                // 57P01-57P03: the server is going down; the answer to the commit may be lost
                // with it. 08: a pooler in between has lost the server.
                _ if code.starts_with("57P") || code.starts_with("08") => Cause::Unknown,
                // Data exceptions and integrity constraints.
                (_, Some("22" | "23")) => Cause::Data,
                _ => Cause::Database,
            }
        }
        sqlx::Error::Encode(_) => Cause::Data,
        _ => Cause::Unknown,
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
