//! The self-audit: slices of history, chosen by chance, are folded again and held against every read
//! model, and what must hold of stock and money is checked on the way (docs/OPERATIONS.md).
//!
//! 1. A round goes through every block of the log once, in an order of chance; then the next begins.
//! 2. It takes a bounded share of time: after each block it rests in proportion to what that took.
//! 3. Each row that is wrong raises one alarm in the life of the process: an error in the log of the
//!    program, a metric, and a row that nobody changes. It names fields and holds no values.
//! 4. Of several processes one is active.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use projections::audit::{Auditor, BLOCK_EVENTS, Checked, Mismatch};
use sqlx::PgPool;
use store::leader::{self, Office};
use store::log;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::verify;

/// Pause after something went wrong.
const RETRY_PAUSE: Duration = Duration::from_secs(10);
/// Shortest rest after a block, so that an idle shop is not audited without end.
const REST_MIN: Duration = Duration::from_millis(100);
/// Longest rest, however slow the database is.
const REST_MAX: Duration = Duration::from_mins(1);
/// How long a row that seems wrong may have to catch up with its events.
const SECOND_LOOK: Duration = Duration::from_secs(2);
/// What the alarm of a row is filed under that no block answers for, but all of history.
pub(crate) const OF_NO_BLOCK: i64 = -1;
/// Alarms of one process: whoever has seen a thousand needs no more to look.
const ALARMS_MAX: usize = 1_000;

/// Why nothing is audited.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres does not answer.
    #[error("history cannot be audited: {0}")]
    Database(#[from] sqlx::Error),
    /// A slice cannot be folded.
    #[error("history cannot be folded again: {0}")]
    Fold(#[from] projections::Error),
}

/// A row that is wrong, or a history that is.
struct Alarm {
    position: i64,
    read_model: String,
    table: String,
    key: String,
    fields: Vec<String>,
}

impl From<&Mismatch> for Alarm {
    fn from(mismatch: &Mismatch) -> Self {
        Self {
            position: mismatch.position,
            read_model: mismatch.read_model.to_owned(),
            table: mismatch.table.to_owned(),
            key: mismatch.key.clone(),
            fields: mismatch
                .fields
                .iter()
                .map(|difference| difference.field.clone())
                .collect(),
        }
    }
}

impl From<verify::Finding> for Alarm {
    fn from(finding: verify::Finding) -> Self {
        Self {
            position: finding.position,
            read_model: "log".to_owned(),
            table: "events".to_owned(),
            key: finding.position.to_string(),
            fields: vec![finding.what],
        }
    }
}

/// Audits until told to stop, with so many percent of a processor's time.
pub async fn run(pool: PgPool, share_percent: u32, mut stop: watch::Receiver<bool>) {
    let auditing = async {
        loop {
            let Err(error) = audit_until_it_fails(&pool, share_percent).await;
            tracing::warn!(error = &error as &dyn std::error::Error, "will be tried again");
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    };
    tokio::select! {
        () = auditing => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn audit_until_it_fails(pool: &PgPool, share_percent: u32) -> Result<Infallible, Error> {
    let mut lead = leader::lead(pool, Office::SelfAudit).await?;
    let mut auditor = Auditor::open(pool).await?;
    let finished: Option<i64> = sqlx::query_scalar("select rounds from self_audit")
        .fetch_optional(pool)
        .await?;
    let mut round = Round { finished: finished.unwrap_or(0), ..Round::default() };
    let mut raised = Raised::default();
    loop {
        lead.still_ours().await?;
        let head = log::head(pool).await?;
        let Some(block) = round.next(blocks_of(head), rand::random()) else {
            tokio::time::sleep(REST_MIN).await;
            continue;
        };
        let began = Instant::now();
        let mut checked = auditor.check(block).await?;
        if !checked.mismatches.is_empty() {
            // Keys of personal data are destroyed a moment before the read models hear of it. What is
            // wrong stays wrong.
            tokio::time::sleep(SECOND_LOOK).await;
            let again = auditor.check(block).await?;
            let is_same = |one: &Mismatch, other: &Mismatch| {
                (one.read_model, one.table, &one.key) == (other.read_model, other.table, &other.key)
            };
            checked
                .mismatches
                .retain(|one| again.mismatches.iter().any(|other| is_same(one, other)));
        }
        raised.raise(pool, block, &checked).await?;
        round.orders += checked.orders;
        count(&round, &checked);
        // Held against the events of one moment, so there is nothing that could catch up.
        if let Some(added_up) = auditor.add_up().await? {
            raised.raise(pool, OF_NO_BLOCK, &added_up).await?;
            count(&round, &added_up);
        }
        keep(pool, &round).await?;
        metrics::histogram!("daybook_self_audit_block_seconds")
            .record(began.elapsed().as_secs_f64());
        tokio::time::sleep(rest(began.elapsed(), share_percent)).await;
    }
}

fn blocks_of(head: i64) -> usize {
    usize::try_from(head.unsigned_abs().div_ceil(BLOCK_EVENTS.unsigned_abs())).unwrap_or(usize::MAX)
}

fn rest(took: Duration, share_percent: u32) -> Duration {
    match took.checked_mul(100 - share_percent.min(100)) {
        Some(others) if share_percent < 100 => {
            (others / share_percent.max(1)).clamp(REST_MIN, REST_MAX)
        }
        Some(_) => Duration::ZERO,
        None => REST_MAX,
    }
}

/// Read models that are wrong, and histories that must not be.
fn alarms(checked: &Checked) -> Vec<Alarm> {
    let broken = checked
        .histories
        .iter()
        .filter_map(|history| verify::history(history).err());
    checked
        .mismatches
        .iter()
        .map(Alarm::from)
        .chain(broken.map(Alarm::from))
        .collect()
}

/// The rows that have raised an alarm.
#[derive(Default)]
struct Raised(BTreeSet<String>);

impl Raised {
    async fn raise(&mut self, pool: &PgPool, block: i64, checked: &Checked) -> Result<(), Error> {
        for alarm in alarms(checked) {
            let name = format!("{}.{} {}", alarm.read_model, alarm.table, alarm.key);
            if self.0.len() < ALARMS_MAX && self.0.insert(name) {
                raise(pool, block, &alarm).await?;
            }
        }
        Ok(())
    }
}

async fn raise(pool: &PgPool, block: i64, alarm: &Alarm) -> Result<(), Error> {
    let Alarm { position, read_model, table, key, fields } = alarm;
    tracing::error!(
        read_model,
        table,
        key,
        position,
        ?fields,
        "ALARM: a row is not what its events make of it; GET /api/v1/self-audit shows it"
    );
    metrics::counter!("daybook_self_audit_mismatches_total", "read_model" => read_model.clone())
        .increment(1);
    sqlx::query(
        "insert into self_audit_alarms \
         (position, block, read_model, table_name, row_key, fields) \
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(position)
    .bind(block)
    .bind(read_model)
    .bind(table)
    .bind(key)
    .bind(fields)
    .execute(pool)
    .await?;
    Ok(())
}

/// One way through history.
#[derive(Debug)]
struct Round {
    began_at: chrono::DateTime<chrono::Utc>,
    checked: Vec<bool>,
    count: usize,
    orders: usize,
    finished: i64,
}

impl Default for Round {
    fn default() -> Self {
        let began_at = chrono::Utc::now();
        Self { began_at, checked: Vec::new(), count: 0, orders: 0, finished: 0 }
    }
}

impl Round {
    /// A block that was not checked in this round, or the first of the next; `None` if the log is
    /// empty. What the log has grown by belongs to the round.
    fn next(&mut self, blocks: usize, chance: u64) -> Option<i64> {
        if blocks == 0 {
            return None;
        }
        if self.checked.len() < blocks {
            // What was the last block may not have been full when it was checked.
            if let Some(last) = self.checked.last_mut()
                && std::mem::take(last)
            {
                self.count -= 1;
            }
            self.checked.resize(blocks, false);
        }
        if self.count == self.checked.len() {
            *self = Self { finished: self.finished + 1, ..Self::default() };
            self.checked.resize(blocks, false);
        }
        let start = usize::try_from(chance % u64::try_from(self.checked.len()).ok()?).ok()?;
        let (before, after) = self.checked.split_at(start);
        let free = |part: &[bool]| part.iter().position(|checked| !checked);
        let block = free(after).map_or_else(|| free(before), |found| Some(start + found))?;
        self.checked[block] = true;
        self.count += 1;
        i64::try_from(block).ok()
    }
}

async fn keep(pool: &PgPool, round: &Round) -> Result<(), Error> {
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    sqlx::query(
        "insert into self_audit \
         (since, blocks, blocks_checked, orders_checked, rounds, updated_at) \
         values ($1, $2, $3, $4, $5, now()) \
         on conflict (only_row) do update set \
         since = excluded.since, blocks = excluded.blocks, \
         blocks_checked = excluded.blocks_checked, orders_checked = excluded.orders_checked, \
         rounds = excluded.rounds, updated_at = excluded.updated_at",
    )
    .bind(round.began_at)
    .bind(number(round.checked.len()))
    .bind(number(round.count))
    .bind(number(round.orders))
    .bind(round.finished)
    .execute(pool)
    .await?;
    Ok(())
}

fn count(round: &Round, checked: &Checked) {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let share = f64::from(number(round.count)) / f64::from(number(round.checked.len()).max(1));
    metrics::gauge!("daybook_self_audit_share_checked").set(share);
    metrics::counter!("daybook_self_audit_orders_total").increment(number(checked.orders).into());
    for (read_model, rows) in &checked.rows {
        metrics::counter!("daybook_self_audit_rows_total", "read_model" => *read_model)
            .increment(number(*rows).into());
    }
    metrics::counter!("daybook_self_audit_left_out_total")
        .increment(number(checked.left_out).into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_goes_through_every_block_once_and_the_next_begins() {
        let mut round = Round::default();
        assert_eq!(round.next(0, 7), None);
        let mut seen: Vec<i64> = (0..10)
            .map(|nth| round.next(10, nth * 7919).unwrap())
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
        // The log has grown meanwhile; its last block was not full before.
        let mut grown = [3, 3].map(|chance| round.next(11, chance).unwrap());
        grown.sort_unstable();
        assert_eq!(grown, [9, 10]);
        assert_eq!((round.count, round.finished), (11, 0));
        assert!(round.next(11, 5).is_some());
        assert_eq!((round.count, round.finished), (1, 1));
    }

    #[test]
    fn its_rest_keeps_it_to_its_share() {
        let took = Duration::from_millis(20);
        assert_eq!(rest(took, 1), Duration::from_millis(1_980));
        assert_eq!(rest(took, 50), REST_MIN, "but it never runs without a rest");
        assert_eq!(rest(took, 100), Duration::ZERO);
        assert_eq!(rest(Duration::from_hours(1), 1), REST_MAX);
    }
}
