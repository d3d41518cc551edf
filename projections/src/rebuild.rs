//! Rebuilding a read model: a second copy is filled from the log beside the live one, then swapped;
//! or, as of some position, shown in tables of its own ([`replays`]).
//!
//! ```text
//! running ⇄ paused      running ─▶ swapping ─▶ done
//!    └───────┴─▶ cancelled, failed ◀───┘
//! ```
//!
//! Invariants:
//! 1. Until the swap commits, the live copy is as if nothing happened; so it is after a failure,
//!    after a cancellation, and after the end of the process.
//! 2. The swap holds the lock on the live mark, so no projector writes while tables change places.
//! 3. One rebuild or replay of a read model at a time, in all processes.

mod copy;
pub(crate) mod replays;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::error::Error;
use crate::projection::Projection;

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RebuildState {
    /// The copy is being filled.
    Running,
    /// Somebody paused it; it keeps what it has.
    Paused,
    /// It takes the live copy's place.
    Swapping,
    /// It was given up; the live copy is as it was.
    Failed,
    /// Somebody cancelled it; the live copy is as it was.
    Cancelled,
    /// The copy is live, or its tables can be read.
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
    /// Events applied per second, pauses left out.
    pub events_per_second: i64,
    /// Where its tables will be, if it is a replay of the past and not to become the live copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Why it was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How long it has been running, or ran, pauses left out.
    pub seconds: f64,
}

/// What a rebuild is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// To become the live copy.
    Live,
    /// To show what was after the event at this position.
    Until(i64),
}

/// What is wanted of a running rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Stop where you are, and keep what you have.
    Pause,
    /// Go on.
    Resume,
    /// Give up, and clear away what you have.
    Cancel,
}

/// Why a rebuild was not started, or not steered.
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
    /// There is nothing to steer.
    #[error("no rebuild of {name} is running in this process")]
    NotRunning {
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
    #[error("somebody cancelled it")]
    Cancelled,
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
    schema: Option<String>,
    detail: Option<String>,
    started_at: Instant,
    paused_at: Option<Instant>,
    paused_for: Duration,
    ended_at: Option<Instant>,
}

/// The rebuilds of one read model in this process.
#[derive(Debug)]
pub(crate) struct Rebuilds {
    last: watch::Sender<Option<Progress>>,
    wish: watch::Sender<Wish>,
}

impl Rebuilds {
    pub(crate) fn new() -> Self {
        Self { last: watch::Sender::new(None), wish: watch::Sender::new(Wish::Resume) }
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
    pub(crate) async fn is_now(&self, state: RebuildState) {
        let mut last = self.last.subscribe();
        let there = |last: &Option<Progress>| last.as_ref().is_some_and(|it| it.state == state);
        last.wait_for(there).await.expect("we hold the sender");
    }

    /// Starts a rebuild in the background.
    pub(crate) fn start(
        self: &Arc<Self>,
        projection: &'static dyn Projection,
        log: PgPool,
        goal: Goal,
    ) -> Result<(), RebuildRefused> {
        let name = projection.name();
        let started = self.last.send_if_modified(|last| {
            let running = last.as_ref().is_some_and(|last| last.ended_at.is_none());
            if !running {
                // Before anybody can wish otherwise.
                self.wish.send_replace(Wish::Resume);
                *last = Some(Progress::begun(name, goal));
            }
            !running
        });
        if !started {
            return Err(RebuildRefused::AlreadyRunning { name });
        }
        let rebuilds = Arc::clone(self);
        tokio::spawn(async move {
            let running = tokio::spawn(copy::run(projection, log, goal, Arc::clone(&rebuilds)));
            let (state, sentence) = match running.await {
                Ok(Ok(())) => (RebuildState::Done, None),
                Ok(Err(Failure::Cancelled)) => (RebuildState::Cancelled, None),
                Ok(Err(failure)) => (RebuildState::Failed, Some(failure.to_string())),
                // Without this, a mistake of ours would block the name for ever.
                Err(panic) => (RebuildState::Failed, Some(panic.to_string())),
            };
            rebuilds.end(name, state, sentence);
        });
        Ok(())
    }

    /// Takes a wish down; it is heeded between two pages.
    pub(crate) fn steer(&self, name: &'static str, wish: Wish) -> Result<(), RebuildRefused> {
        let mut heard = false;
        self.last.send_if_modified(|last| {
            heard = last.as_ref().is_some_and(|last| last.ended_at.is_none());
            if heard {
                self.wish.send_replace(wish);
            }
            false
        });
        heard
            .then_some(())
            .ok_or(RebuildRefused::NotRunning { name })
    }

    /// Waits while somebody wishes a pause.
    async fn may_go_on(&self) -> Result<(), Failure> {
        let mut wish = self.wish.subscribe();
        if *wish.borrow() == Wish::Pause {
            self.note(Progress::pause);
        }
        let goes_on = |wish: &Wish| *wish != Wish::Pause;
        let wish = *wish.wait_for(goes_on).await.expect("we hold the sender");
        self.note(Progress::resume);
        match wish {
            Wish::Cancel => Err(Failure::Cancelled),
            Wish::Pause | Wish::Resume => Ok(()),
        }
    }

    fn end(&self, name: &str, state: RebuildState, failure: Option<String>) {
        if let Some(detail) = &failure {
            tracing::error!(projection = name, detail, "not rebuilt");
        } else {
            tracing::info!(projection = name, ?state, "a rebuild is over");
        }
        self.note(|last| {
            last.resume();
            last.ended_at = Some(Instant::now());
            last.state = state;
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
    fn begun(name: &str, goal: Goal) -> Self {
        let (target, schema) = match goal {
            Goal::Live => (0, None),
            Goal::Until(until) => (until, Some(replays::schema_of(name))),
        };
        Self {
            state: RebuildState::Running,
            position: 0,
            target,
            schema,
            detail: None,
            started_at: Instant::now(),
            paused_at: None,
            paused_for: Duration::ZERO,
            ended_at: None,
        }
    }

    fn pause(&mut self) {
        self.state = RebuildState::Paused;
        self.paused_at.get_or_insert_with(Instant::now);
    }

    fn resume(&mut self) {
        if let Some(since) = self.paused_at.take() {
            self.paused_for += since.elapsed();
            self.state = RebuildState::Running;
        }
    }

    fn view(&self) -> RebuildView {
        let until = self
            .ended_at
            .or(self.paused_at)
            .unwrap_or_else(Instant::now);
        let ran = until
            .duration_since(self.started_at)
            .saturating_sub(self.paused_for);
        // The first instant counts as a millisecond.
        let millis = i64::try_from(ran.as_millis()).unwrap_or(i64::MAX).max(1);
        RebuildView {
            state: self.state,
            position: self.position,
            target: self.target,
            events_per_second: self.position.saturating_mul(1_000) / millis,
            schema: self.schema.clone(),
            detail: self.detail.clone(),
            seconds: ran.as_secs_f64(),
        }
    }
}
