//! Rebuilding a read model: a second copy is filled from the log beside the live one, then swapped.
//!
//! ```text
//! claim ─▶ make tables ─▶ fill, page by page ─▶ swap ─▶ done
//!              (schema `rebuild`)     ▲── lock timeout ─┘ (again, a bounded number of times)
//! ```
//!
//! Invariants:
//! 1. Until the swap commits, the live copy is as if nothing happened; so it is after a failure.
//! 2. The swap holds the lock on the live mark, so no projector writes while tables change places.
//! 3. One rebuild of a read model at a time, in all processes.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};
use store::log::{self, Slice};
use store::recorded::RecordedEvent;
use tokio::sync::watch;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::error::Error;
use crate::marks::{self, COPY, LIVE};
use crate::projection::Projection;
use crate::projector::fresh;

/// Most events left for the swap, which holds the projector up while it applies them.
const SWAP_EVENTS_MAX: i64 = 1_000;
/// Tries at the swap: with the pauses, longer than any query may run.
const SWAP_TRIES_MAX: u32 = 30;
/// How long the swap waits for a lock. Queries queue up behind it meanwhile.
const SWAP_LOCK_TIMEOUT: &str = "set local lock_timeout = '500ms'";
/// Pause between tries: lets the queries through that had to queue.
const SWAP_PAUSE: Duration = Duration::from_millis(500);
/// First half of the advisory lock of a rebuild, so that it meets no other lock of ours.
const CLAIM_CLASS: i32 = 0x6461_7962;

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RebuildState {
    /// The copy is being filled.
    Running,
    /// It takes the live copy's place.
    Swapping,
    /// It was given up; the live copy is as it was.
    Failed,
    /// The copy is live.
    Done,
}

/// A rebuild, running or over.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RebuildView {
    /// How far it is.
    pub state: RebuildState,
    /// How far the copy has been brought.
    pub position: i64,
    /// How far it is to be brought.
    pub target: i64,
    /// Why it was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How long it has been running, or ran.
    pub seconds: f64,
}

/// Why a rebuild was not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RebuildRefused {
    /// No read model has this name.
    #[error("there is no projection {name}; there are {}", names.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        names: Vec<&'static str>,
    },
    /// One at a time.
    #[error("{name} is already being rebuilt")]
    AlreadyRunning {
        /// Which.
        name: &'static str,
    },
}

/// Why a rebuild was given up.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("another process is rebuilding it")]
    Claimed,
    #[error("the live tables were in use all the time")]
    Busy,
    #[error(transparent)]
    Error(#[from] Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Error(error.into())
    }
}

/// The last rebuild of a read model.
#[derive(Debug, Clone)]
struct Progress {
    state: RebuildState,
    position: i64,
    target: i64,
    detail: Option<String>,
    started_at: Instant,
    ended_at: Option<Instant>,
}

/// The rebuilds of one read model in this process.
#[derive(Debug)]
pub(crate) struct Rebuilds {
    last: watch::Sender<Option<Progress>>,
}

impl Rebuilds {
    pub(crate) fn new() -> Self {
        Self { last: watch::Sender::new(None) }
    }

    pub(crate) fn view(&self) -> Option<RebuildView> {
        self.last.borrow().as_ref().map(Progress::view)
    }

    #[cfg(test)]
    pub(crate) async fn ended(&self) -> RebuildView {
        let mut last = self.last.subscribe();
        let over = |last: &Option<Progress>| last.as_ref().is_some_and(|it| it.ended_at.is_some());
        let last = last
            .wait_for(over)
            .await
            .expect("we hold the sender")
            .clone();
        last.as_ref().map(Progress::view).expect("waited for")
    }

    #[cfg(test)]
    pub(crate) async fn swapping(&self) {
        let mut last = self.last.subscribe();
        let swapping = |last: &Option<Progress>| {
            last.as_ref()
                .is_some_and(|it| it.state == RebuildState::Swapping)
        };
        last.wait_for(swapping).await.expect("we hold the sender");
    }

    /// Starts a rebuild in the background.
    pub(crate) fn start(
        self: &Arc<Self>,
        projection: &'static dyn Projection,
        log: PgPool,
    ) -> Result<(), RebuildRefused> {
        let started = self.last.send_if_modified(|last| {
            let running = last.as_ref().is_some_and(|last| last.ended_at.is_none());
            if !running {
                *last = Some(Progress::begun());
            }
            !running
        });
        if !started {
            return Err(RebuildRefused::AlreadyRunning { name: projection.name() });
        }
        let rebuilds = Arc::clone(self);
        tokio::spawn(async move {
            let running = tokio::spawn(run(projection, log, Arc::clone(&rebuilds)));
            let sentence = match running.await {
                Ok(Ok(())) => None,
                Ok(Err(failure)) => Some(failure.to_string()),
                // Without this, a mistake of ours would block the name for ever.
                Err(panic) => Some(panic.to_string()),
            };
            rebuilds.end(projection.name(), sentence);
        });
        Ok(())
    }

    fn end(&self, name: &str, failure: Option<String>) {
        if let Some(detail) = &failure {
            tracing::error!(projection = name, detail, "not rebuilt");
        } else {
            tracing::info!(projection = name, "rebuilt");
        }
        self.note(|last| {
            last.ended_at = Some(Instant::now());
            last.state = match failure {
                Some(_) => RebuildState::Failed,
                None => RebuildState::Done,
            };
            last.detail = failure;
        });
    }

    fn note(&self, note: impl FnOnce(&mut Progress)) {
        self.last.send_modify(|last| {
            if let Some(last) = last {
                note(last);
            }
        });
    }
}

impl Progress {
    fn begun() -> Self {
        Self {
            state: RebuildState::Running,
            position: 0,
            target: 0,
            detail: None,
            started_at: Instant::now(),
            ended_at: None,
        }
    }

    fn view(&self) -> RebuildView {
        let until = self.ended_at.unwrap_or_else(Instant::now);
        RebuildView {
            state: self.state,
            position: self.position,
            target: self.target,
            detail: self.detail.clone(),
            seconds: until.duration_since(self.started_at).as_secs_f64(),
        }
    }
}

/// A copy being filled.
struct Copy {
    projection: &'static dyn Projection,
    log: PgPool,
    /// Its own, on the schema of copies; holds the claim while it lives.
    connection: PgConnection,
    position: i64,
    rebuilds: Arc<Rebuilds>,
}

async fn run(
    projection: &'static dyn Projection,
    log: PgPool,
    rebuilds: Arc<Rebuilds>,
) -> Result<(), Failure> {
    let options = PgConnectOptions::clone(&log.connect_options()).options([
        ("search_path", format!("{COPY},public").as_str()),
        // A copy lost in a crash is filled again; the swap itself is made durable.
        ("synchronous_commit", "off"),
    ]);
    let connection = PgConnection::connect_with(&options).await?;
    let mut copy = Copy { projection, log, connection, position: 0, rebuilds };
    copy.claim().await?;
    copy.make().await?;
    copy.fill().await?;
    for _ in 0..SWAP_TRIES_MAX {
        match copy.swap().await {
            Ok(()) => return Ok(copy.connection.close().await?),
            Err(Error::Database(error)) if is_busy(&error) => {
                tokio::time::sleep(SWAP_PAUSE).await;
                copy.fill().await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::Busy)
}

impl Copy {
    /// Invariant 3. The lock goes with the connection, however that ends.
    async fn claim(&mut self) -> Result<(), Failure> {
        let claim = "select pg_try_advisory_lock($1, hashtext($2))";
        let claimed: bool = sqlx::query_scalar(claim)
            .bind(CLAIM_CLASS)
            .bind(self.projection.name())
            .fetch_one(&mut self.connection)
            .await?;
        claimed.then_some(()).ok_or(Failure::Claimed)
    }

    async fn make(&mut self) -> Result<(), Error> {
        let mut transaction = self.connection.begin().await?;
        marks::make_tables(&mut transaction, self.projection).await?;
        Ok(transaction.commit().await?)
    }

    /// Brings the copy near the end of the log.
    async fn fill(&mut self) -> Result<(), Error> {
        let mut head = log::head(&self.log).await?;
        self.note(RebuildState::Running, self.position, head);
        let mut page = log::after(&self.log, self.position, log::PAGE_MAX).await?;
        while SWAP_EVENTS_MAX < head - self.position {
            let Some(last) = page.last().map(|event| event.position) else {
                break;
            };
            let log = self.log.clone();
            // Reading and writing take turns on the database, but parsing and folding are ours.
            let (applied, next) =
                tokio::join!(self.apply(&page), log::after(&log, last, log::PAGE_MAX));
            applied?;
            page = next?;
            head = log::head(&self.log).await?;
            self.note(RebuildState::Running, self.position, head);
        }
        Ok(())
    }

    async fn apply(&mut self, page: &[Arc<RecordedEvent>]) -> Result<(), Error> {
        let page = fresh(self.position, page)?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        let mut transaction = self.connection.begin().await?;
        self.projection.apply(&mut transaction, page).await?;
        marks::move_to(&mut transaction, self.projection.name(), last.position).await?;
        transaction.commit().await?;
        self.position = last.position;
        Ok(())
    }

    /// Takes the live copy's place, in one transaction. Locks in the order of everyone else: the
    /// mark, then the tables in the order of the queries.
    async fn swap(&mut self) -> Result<(), Error> {
        self.note(RebuildState::Swapping, self.position, self.position);
        let (projection, name) = (self.projection, self.projection.name());
        let mut transaction = self.connection.begin().await?;
        transaction.execute(SWAP_LOCK_TIMEOUT).await?;
        transaction
            .execute("set local synchronous_commit = on")
            .await?;
        let lock = format!("select position from {LIVE}.marks where name = $1 for update");
        let live: i64 = sqlx::query_scalar(&lock)
            .bind(name)
            .fetch_one(&mut *transaction)
            .await?;

        // Up to the live mark, so that nobody sees the read model go back. A live copy that is
        // stuck behind ours jumps ahead: that is a rebuild's other use.
        let mut position = self.position;
        while position < live {
            let slice = Slice { from: Some(position + 1), to: Some(live), ..Slice::default() };
            let page = log::page(&self.log, &slice, log::PAGE_MAX).await?;
            let rest = fresh(position, &page.events)?;
            let Some(last) = rest.last() else { break };
            projection.apply(&mut transaction, rest).await?;
            position = last.position;
        }

        let live_tables = marks::qualified(LIVE, projection).join(", ");
        let drop = format!("drop table if exists {live_tables}");
        transaction.execute(drop.as_str()).await?;
        for copy in marks::qualified(COPY, projection) {
            let moved = format!("alter table {copy} set schema {LIVE}");
            transaction.execute(moved.as_str()).await?;
        }
        let mark = format!("update {LIVE}.marks set position = $2, version = $3 where name = $1");
        sqlx::query(&mark)
            .bind(name)
            .bind(position)
            .bind(projection.version())
            .execute(&mut *transaction)
            .await?;
        sqlx::query("delete from marks where name = $1")
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        self.note(RebuildState::Swapping, position, position);
        Ok(())
    }

    fn note(&self, state: RebuildState, position: i64, target: i64) {
        self.rebuilds.note(|last| {
            last.state = state;
            last.position = position;
            last.target = target;
        });
    }
}

/// Whether a lock was not to be had, for now.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    // lock_not_available, deadlock_detected
    code.is_some_and(|code| ["55P03", "40P01"].contains(&code.as_ref()))
}
