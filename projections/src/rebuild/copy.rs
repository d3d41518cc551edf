//! A copy being filled, page by page, until it takes its place.
//!
//! ```text
//! claim ─▶ make tables ─▶ fill ⇄ paused ──▶ swap with the live copy, or show as a replay
//!                           └─ cancelled, failed ─▶ clear away
//! ```

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};
use store::log::{self, Slice};
use store::recorded::RecordedEvent;

use super::replays;
use super::{Failure, Goal, RebuildState, Rebuilds};
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

/// A copy being filled.
struct Copy {
    projection: &'static dyn Projection,
    log: PgPool,
    /// Its own, on the schema that it fills; holds the claim while it lives.
    connection: PgConnection,
    position: i64,
    goal: Goal,
    rebuilds: Arc<Rebuilds>,
}

pub(super) async fn run(
    projection: &'static dyn Projection,
    log: PgPool,
    goal: Goal,
    rebuilds: Arc<Rebuilds>,
) -> Result<(), Failure> {
    let schema = match goal {
        Goal::Live => COPY.to_owned(),
        Goal::Until(_) => replays::filling_of(projection.name()),
    };
    let options = PgConnectOptions::clone(&log.connect_options()).options([
        ("search_path", format!("{schema},public").as_str()),
        // A copy lost in a crash is filled again; what takes its place is made durable.
        ("synchronous_commit", "off"),
    ]);
    let connection = PgConnection::connect_with(&options).await?;
    let mut copy = Copy { projection, log, connection, position: 0, goal, rebuilds };
    copy.claim().await?;
    let done = copy.build().await;
    if let Err(failure) = &done {
        tracing::debug!(%failure, "what was copied is cleared away");
        copy.clear().await;
    }
    let _gone = copy.connection.close().await;
    done
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

    async fn build(&mut self) -> Result<(), Failure> {
        if let Goal::Until(_) = self.goal {
            replays::make_place(&mut self.connection, self.projection.name()).await?;
        }
        self.make().await?;
        match self.goal {
            Goal::Live => self.swap_in().await,
            Goal::Until(_) => {
                self.fill().await?;
                self.rebuilds.may_go_on().await?;
                Ok(replays::show(&mut self.connection, self.projection.name()).await?)
            }
        }
    }

    async fn make(&mut self) -> Result<(), Error> {
        let mut transaction = self.connection.begin().await?;
        marks::make_tables(&mut transaction, self.projection).await?;
        Ok(transaction.commit().await?)
    }

    /// Where the copy is to be brought, and how much may be left for the swap.
    async fn target(&self) -> sqlx::Result<(i64, i64)> {
        match self.goal {
            Goal::Live => Ok((log::head(&self.log).await?, SWAP_EVENTS_MAX)),
            Goal::Until(until) => Ok((until, 0)),
        }
    }

    /// Brings the copy to its goal, or near the end of the log.
    async fn fill(&mut self) -> Result<(), Failure> {
        let (mut target, left) = self.target().await?;
        self.note(RebuildState::Running, self.position, target);
        let mut page = log::after(&self.log, self.position, log::PAGE_MAX)
            .await
            .map_err(Error::from)?;
        while left < target - self.position {
            self.rebuilds.may_go_on().await?;
            if let Goal::Until(until) = self.goal {
                page.truncate(page.partition_point(|event| event.position <= until));
            }
            let Some(last) = page.last().map(|event| event.position) else {
                break;
            };
            let log = self.log.clone();
            // Reading and writing take turns on the database, but parsing and folding are ours.
            let (applied, next) =
                tokio::join!(self.apply(&page), log::after(&log, last, log::PAGE_MAX));
            applied?;
            page = next.map_err(Error::from)?;
            (target, _) = self.target().await?;
            self.note(RebuildState::Running, self.position, target);
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

    async fn swap_in(&mut self) -> Result<(), Failure> {
        for _ in 0..SWAP_TRIES_MAX {
            self.rebuilds.may_go_on().await?;
            // Again after each pause and each vain try: the swap must not have much left to do.
            self.fill().await?;
            match self.swap().await {
                Ok(()) => return Ok(()),
                Err(Error::Database(error)) if is_busy(&error) => {
                    tokio::time::sleep(SWAP_PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Failure::Busy)
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

    /// Gives the room back. What is left all the same, because the connection is gone or something
    /// is in the way, is replaced by the next one.
    async fn clear(&mut self) {
        let (projection, name) = (self.projection, self.projection.name());
        let cleared = match self.goal {
            Goal::Until(_) => replays::clear(&mut self.connection, name).await,
            Goal::Live => {
                let tables = marks::qualified(COPY, projection).join(", ");
                let clear = format!(
                    "drop table if exists {tables}; delete from {COPY}.marks where name = '{name}'"
                );
                let cleared = self.connection.execute(clear.as_str()).await;
                cleared.map(|_| ()).map_err(Into::into)
            }
        };
        if let Err(error) = cleared {
            tracing::warn!(projection = name, %error, "what was copied is still there");
        }
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
