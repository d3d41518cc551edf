//! The journal: commands in, receipts out.
//!
//! Invariants (DESIGN section 7):
//! 1. An acknowledged command is in the log for ever, and a command id acts at most once.
//! 2. The same command gets the same receipt, refusals included.
//! 3. A refusal is answered only when what it was decided on has committed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Executor as _, PgPool};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::append::Entry;
use crate::attempt::{Request, Room};
use crate::command::{Answer, Decided, Envelope, ExecuteError, Fingerprint, Receipt, Verdict};
use crate::deciding::{Presumed, unavailable};
use crate::loading;
use crate::pace::Pace;
use crate::personal::Sealer;
use crate::pools;
use crate::receipts;
use crate::recent::Recent;
use crate::snapshots::{self, Snapshots};
use crate::states::{Kept, STATES_BYTES_MAX, States};
use crate::streams::Streams;
use crate::writer::{self, CommittedBatch, Failure, Submission};

/// Commands that may wait for their aggregate or the writer; each waits in memory.
const QUEUE_MAX: usize = 20_000;
/// The writer commits one batch at a time, and needs a second connection when one was lost.
const WRITER_CONNECTIONS_MAX: u32 = 2;
/// How long a batch waits for a connection before its callers are told to try again.
const WRITER_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// The head's row lock stops every writer, so nobody may hold it or wait for it without a bound:
/// the largest batch takes a second, and a client that has vanished does not come back. And there
/// is one plan for a batch, whatever is in it: making it anew took as long as thirty rows.
const WRITER_SETTINGS: &str = "set statement_timeout = '15s'; \
    set idle_in_transaction_session_timeout = '10s'; \
    set plan_cache_mode = force_generic_plan";

/// Handle to the journal; clones share it.
#[derive(Clone)]
pub struct Journal {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pool: PgPool,
    pub(crate) states: States,
    pub(crate) streams: Streams,
    pub(crate) snapshots: Snapshots,
    pub(crate) sealer: Option<Sealer>,
    recent: Recent,
    pace: Pace,
    queue: mpsc::Sender<Submission>,
}

/// How much the journal keeps in memory, and how often it writes down what a stream adds up to.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Of all states of aggregates together.
    pub states_bytes_max: usize,
    /// Events of one stream between two snapshots.
    pub snapshot_events_min: i64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { states_bytes_max: STATES_BYTES_MAX, snapshot_events_min: snapshots::EVENTS_MIN }
    }
}

/// What the relay is fed with.
pub struct Committed(pub(crate) mpsc::Receiver<CommittedBatch>);

impl Journal {
    /// Starts the writer. The second part goes to the relay; without one it may be dropped.
    pub fn start(pool: &PgPool) -> (Self, Committed) {
        Self::start_within(pool, &Bounds::default())
    }

    /// The same with other bounds than the usual ones.
    pub fn start_within(pool: &PgPool, bounds: &Bounds) -> (Self, Committed) {
        Self::start_sealing(pool, bounds, None)
    }

    /// The same with what personal data is sealed with, if it is.
    pub fn start_sealing(
        pool: &PgPool,
        bounds: &Bounds,
        sealer: Option<Sealer>,
    ) -> (Self, Committed) {
        // Of its own, so that no crowd of readers keeps the writer from the database.
        let writers = pools::trusting()
            .max_connections(WRITER_CONNECTIONS_MAX)
            .acquire_timeout(WRITER_ACQUIRE_TIMEOUT)
            .after_connect(|connection, _| {
                Box::pin(async { connection.execute(WRITER_SETTINGS).await.map(|_| ()) })
            })
            .connect_lazy_with(PgConnectOptions::clone(&pool.connect_options()));
        let pace = Pace::default();
        let (queue, committed) = writer::start(writers, QUEUE_MAX, pace.clone());
        let streams = Streams::start(pool);
        let events_min = bounds.snapshot_events_min;
        let inner = Inner {
            pool: pool.clone(),
            states: States::new(bounds.states_bytes_max),
            snapshots: Snapshots::start(pool, &streams, pace.clone(), events_min),
            streams,
            sealer,
            recent: Recent::default(),
            pace,
            queue,
        };
        (Self { inner: Arc::new(inner) }, Committed(committed))
    }

    /// Executes a client's command. A repetition gets the receipt of the first, whether it is known
    /// as one at once or found by the log's constraint.
    ///
    /// A full queue is reported at once as [`ExecuteError::Overloaded`].
    pub async fn execute<A: Kept>(
        &self,
        aggregate_id: &str,
        command: A::Command,
        envelope: Envelope,
        wording: impl Fn(Decided<'_, A>) -> Option<Answer> + Send + Sync,
    ) -> Result<Receipt<A::Error>, ExecuteError> {
        let _under_way = self.inner.pace.enter();
        if let Some(receipt) = self.receipt_of_repetition(&envelope).await? {
            return Ok(receipt);
        }
        let room = self
            .inner
            .queue
            .try_reserve()
            .map_err(|error| match error {
                TrySendError::Full(()) => ExecuteError::Overloaded,
                TrySendError::Closed(()) => closed(),
            })?;
        let metadata_json = to_json(&envelope.metadata())?.into();
        let envelope = &envelope;
        let request = Request { aggregate_id, envelope, metadata_json, wording: &wording };
        self.decide(request, command, room).await
    }

    /// Executes a command whose id was derived from its cause, as workers do. Repetitions are rare
    /// (after a crash), so they are found by the log's constraint alone. Waits while the queue is
    /// full.
    pub async fn execute_derived<A: Kept>(
        &self,
        aggregate_id: &str,
        command: A::Command,
        envelope: Envelope,
    ) -> Result<Receipt<A::Error>, ExecuteError> {
        let room = self.room().await?;
        let metadata_json = to_json(&envelope.metadata())?.into();
        let (envelope, wording) = (&envelope, &|_: Decided<'_, A>| None);
        let request = Request { aggregate_id, envelope, metadata_json, wording };
        self.decide(request, command, room).await
    }

    /// State and version of one aggregate as far as it has been decided, which may be ahead of the
    /// commit: for who will command it next, because the journal has the last word then.
    pub async fn decided<A: Kept>(&self, aggregate_id: &str) -> Result<(A, i64), ExecuteError> {
        let slot = self.inner.states.slot::<A>(aggregate_id);
        let (mut guard, epoch) = self.lock(&slot, aggregate_id, Presumed::Anything).await?;
        guard.epoch = Some(epoch);
        Ok((guard.state.clone(), guard.version))
    }

    /// Remembers an answer that no aggregate was asked for. Should the command have come to an
    /// aggregate the first time, its receipt holds whatever that said.
    pub async fn turn_away(
        &self,
        envelope: Envelope,
        answer: Answer,
    ) -> Result<Receipt<Value>, ExecuteError> {
        let _under_way = self.inner.pace.enter();
        if let Some(receipt) = self.receipt_of_repetition(&envelope).await? {
            return Ok(receipt);
        }
        let (command_id, fingerprint) = (envelope.command_id, envelope.fingerprint);
        let entry = Entry {
            aggregate_type: "none",
            aggregate_id: command_id.to_string(),
            events: Vec::new(),
            keys: Vec::new(),
            metadata: envelope.metadata(),
            metadata_json: "".into(),
            fingerprint,
            refusal: Some(to_json(&Verdict::<()>::TurnedAway)?),
            version: 0,
            answer: Some(answer.clone()),
        };
        let (reply, outcome) = oneshot::channel();
        let submission = Submission { entry, decided_in: None, reply };
        self.room().await?.send(submission);
        match outcome.await.map_err(|_| closed())? {
            Ok(committed) => Ok(Receipt {
                verdict: Verdict::TurnedAway,
                aggregate_type: "none".to_owned(),
                aggregate_id: command_id.to_string(),
                version: 0,
                first_position: committed.first_position,
                last_position: committed.last_position,
                answer: Some(answer),
                replayed: false,
            }),
            Err(Failure::Duplicate) => self.receipt_of_duplicate(command_id, &fingerprint).await,
            Err(failure) => Err(unavailable(failure)),
        }
    }

    /// The receipt of a command id, if it has one; with the awaited answer if there is one.
    pub async fn receipt<R: DeserializeOwned>(
        &self,
        command_id: Uuid,
        fingerprint: &Fingerprint,
    ) -> Result<Option<Receipt<R>>, ExecuteError> {
        receipts::find(&self.inner.pool, command_id, fingerprint).await
    }

    /// Keeps an answer that waited for an outcome, for repetitions of the command. The first one
    /// stays, and is what comes back.
    pub async fn keep_awaited_answer(
        &self,
        command_id: Uuid,
        answer: &Answer,
    ) -> Result<Answer, ExecuteError> {
        receipts::keep_awaited_answer(&self.inner.pool, command_id, answer)
            .await
            .map_err(|error| ExecuteError::Unavailable(error.to_string()))
    }

    /// Whether personal data is sealed before it is stored, so that it can be forgotten.
    pub fn seals_personal_data(&self) -> bool {
        self.inner.sealer.is_some()
    }

    /// How many of clients' commands are under way.
    pub fn pace(&self) -> &Pace {
        &self.inner.pace
    }

    /// State and version of one aggregate, read from its first event on: committed facts only, and
    /// for streams that end some day.
    pub async fn load<A: Kept>(&self, aggregate_id: &str) -> Result<(A, i64), ExecuteError> {
        loading::load(&self.inner.pool, aggregate_id).await
    }

    /// States and versions of many aggregates, read from the log in few queries: committed facts
    /// only. Unknown ones are absent.
    pub async fn fold_many<A: Kept>(
        &self,
        aggregate_ids: &[String],
    ) -> Result<HashMap<String, (A, i64)>, ExecuteError> {
        loading::load_many(&self.inner.streams, aggregate_ids).await
    }

    /// The receipt of a command that this process has seen before.
    async fn receipt_of_repetition<R: DeserializeOwned>(
        &self,
        envelope: &Envelope,
    ) -> Result<Option<Receipt<R>>, ExecuteError> {
        if self.inner.recent.has_seen(envelope.command_id) {
            self.receipt(envelope.command_id, &envelope.fingerprint)
                .await
        } else {
            Ok(None)
        }
    }

    pub(crate) async fn room(&self) -> Result<Room<'_>, ExecuteError> {
        self.inner.queue.reserve().await.map_err(|_| closed())
    }

    pub(crate) async fn receipt_of_duplicate<R: DeserializeOwned>(
        &self,
        command_id: Uuid,
        fingerprint: &Fingerprint,
    ) -> Result<Receipt<R>, ExecuteError> {
        self.receipt(command_id, fingerprint).await?.ok_or_else(|| {
            ExecuteError::Corrupt(format!("command {command_id} acted but has no receipt"))
        })
    }
}

fn closed() -> ExecuteError {
    ExecuteError::Unavailable("the journal has been closed".to_owned())
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, ExecuteError> {
    serde_json::to_string(value).map_err(|error| ExecuteError::Corrupt(error.to_string()))
}
