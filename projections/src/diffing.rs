//! Deploy diff: what this build folds a history to, held against what is stored, so that nobody
//! ships a changed fold or upcaster blind.
//!
//! ```text
//! log, or an export ─▶ this build's folds, in temporary tables ─┬─ the live read models
//!                                                               └─ an expectation that was kept
//! ```
//!
//! Nothing live is written to. Against live read models, each is brought to its own mark and both
//! are seen in one snapshot, so that the shop may go on.

mod expectation;
mod report;

use std::sync::Arc;

use sqlx::{Connection as _, PgConnection, PgPool};
use store::folding::States;
use store::log;
use store::recorded::RecordedEvent;

pub use self::expectation::BadExpectation;
pub use self::report::{Report, RowDifference, TableDiff};
use crate::error::Error;
use crate::marks::LIVE;
use crate::projection::ALL;
use crate::scratch::{self, SCRATCH, Scratch};

/// Why there is nothing to tell.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// Database or history.
    #[error(transparent)]
    Fold(#[from] Error),
    /// The read model is not where it would have to be.
    #[error(
        "the read model {name} stands at position {mark}, and the history that was folded ends at \
         {position}: wait until it has caught up, or compare with an expectation"
    )]
    OtherPosition {
        /// Which.
        name: &'static str,
        /// Where it is.
        mark: i64,
        /// Where the history ends.
        position: i64,
    },
    /// The file that was kept.
    #[error(transparent)]
    Expectation(#[from] BadExpectation),
}

impl From<sqlx::Error> for DiffError {
    fn from(error: sqlx::Error) -> Self {
        Self::Fold(error.into())
    }
}

impl From<log::Error> for DiffError {
    fn from(error: log::Error) -> Self {
        Self::Fold(error.into())
    }
}

/// A history being folded.
pub struct Folding {
    scratch: Scratch,
    states: States,
    position: i64,
}

impl Folding {
    /// Makes room for it in temporary tables of this database.
    pub async fn begin(pool: &PgPool) -> Result<Self, DiffError> {
        let scratch = Scratch::open(pool).await?;
        Ok(Self { scratch, states: States::default(), position: 0 })
    }

    /// Where the history is.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Takes the next events; the first of all is at position 1.
    pub async fn take(&mut self, events: &[Arc<RecordedEvent>]) -> Result<(), DiffError> {
        let Scratch { connection, positions } = &mut self.scratch;
        for index in 0..ALL.len() {
            scratch::take(connection, positions, index, events, i64::MAX).await?;
        }
        for event in events {
            self.states.take(event);
        }
        self.position = events.last().map_or(self.position, |last| last.position);
        Ok(())
    }

    /// Compares with the live read models, which must stand where the history ends.
    pub async fn against_live(mut self, examples_max: usize) -> Result<Report, DiffError> {
        against_live(&mut self.scratch, None, examples_max).await
    }
}

/// Folds the log of a database up to where its read models are, and compares with them. Tells
/// position and goal now and then.
pub async fn live(
    pool: &PgPool,
    examples_max: usize,
    mut progress: impl FnMut(i64, i64),
) -> Result<Report, DiffError> {
    let mut scratch = Scratch::open(pool).await?;
    let Scratch { connection, positions } = &mut scratch;
    let marks = marks(connection).await?;
    let goal = marks.iter().map(|(mark, _)| *mark).max().unwrap_or(0);
    let mut position = 0;
    while position < goal {
        let page = log::after(pool, position, log::PAGE_MAX).await?;
        let Some(last) = page.last() else { break };
        for (index, (mark, _)) in marks.iter().enumerate() {
            scratch::take(connection, positions, index, &page, *mark).await?;
        }
        position = last.position;
        progress(position.min(goal), goal);
    }
    against_live(&mut scratch, Some(pool), examples_max).await
}

/// Mark and version of each read model, in the order of [`ALL`].
async fn marks(connection: &mut PgConnection) -> Result<Vec<(i64, i32)>, Error> {
    let select = format!("select name, position, version from {LIVE}.marks");
    let rows: Vec<(String, i64, i32)> = sqlx::query_as(&select).fetch_all(connection).await?;
    ALL.iter()
        .map(|projection| {
            let name = projection.name();
            let row = rows.iter().find(|(of, ..)| of == name);
            row.map(|(_, position, version)| (*position, *version))
                .ok_or(Error::NoMark { name })
        })
        .collect()
}

/// In one snapshot. `log` has what the read models have taken in since they were looked at.
async fn against_live(
    scratch: &mut Scratch,
    log: Option<&PgPool>,
    examples_max: usize,
) -> Result<Report, DiffError> {
    let Scratch { connection, positions } = scratch;
    let mut snapshot = scratch::one_moment(connection).await?;
    let marks = marks(&mut snapshot).await?;
    for (index, (mark, _)) in marks.iter().enumerate() {
        while let Some(pool) = log
            && positions[index] < *mark
        {
            let page = log::after(pool, positions[index], log::PAGE_MAX).await?;
            scratch::take(&mut snapshot, positions, index, &page, *mark).await?;
        }
        let position = positions[index];
        if position != *mark {
            let name = ALL[index].name();
            return Err(DiffError::OtherPosition { name, mark: *mark, position });
        }
    }
    scratch::plan_freely(&mut snapshot).await?;
    let mut report = Report::new(examples_max);
    for (index, projection) in ALL.iter().enumerate() {
        let (mark, version) = marks[index];
        report.position = report.position.max(mark);
        if version != projection.version() {
            report.tell(format!(
                "{} is stored in version {version}, this build's is {}: it will make the tables \
                 anew and fill them from the log",
                projection.name(),
                projection.version()
            ));
        }
        for table in projection.tables() {
            let key = scratch::key_of(&mut snapshot, SCRATCH, table).await?;
            let stored = scratch::rows_of(LIVE, table, &key);
            let folded = scratch::rows_of(SCRATCH, table, &key);
            let name = format!("{}.{table}", projection.name());
            // A table of another shape must not end the comparison of the others.
            let mut savepoint = snapshot.begin().await?;
            match report::compare(&mut savepoint, &name, &stored, &folded, examples_max).await {
                Ok(table) => report.push(table),
                Err(error) if version != projection.version() => {
                    savepoint.rollback().await?;
                    report.tell(format!("{name} has another shape: {error}"));
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            savepoint.commit().await?;
        }
    }
    snapshot.commit().await?;
    Ok(report)
}
