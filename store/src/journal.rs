//! The journal: commands in, receipts out.
//!
//! Invariants (DESIGN section 7):
//! 1. An acknowledged command is in the log for ever, and a command id acts at most once.
//! 2. The same command gets the same receipt, refusals included.
//! 3. A refusal is answered only when what it was decided on has committed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cqrs_es::{AggregateError, CqrsFramework};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor as _, PgPool};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::append::Entry;
use crate::attempt::{Attempt, AttemptRef, Done, Request, Room, Wording};
use crate::command::{Answer, Decided, Envelope, ExecuteError, Fingerprint, Receipt, Verdict};
use crate::loading;
use crate::receipts;
use crate::states::{Guard, Kept, Slot, States};
use crate::writer::{self, CommittedBatch, Failure, Submission};

/// Five tries outlast a burst on one stream; beyond that the client should know.
const CONFLICT_RETRIES_MAX: u32 = 5;
/// Pause before the first of them; each next one is twice as long, so that together they outlast
/// the burst of another process that has the next batch ready whenever ours has failed.
const CONFLICT_PAUSE: Duration = Duration::from_millis(5);
/// Times a command is decided anew because something else that shared its state failed.
const OUTDATED_RETRIES_MAX: u32 = 50;
/// Commands that may wait for their aggregate or the writer; each waits in memory.
const QUEUE_MAX: usize = 20_000;
/// The writer commits one batch at a time, and needs a second connection when one was lost.
const WRITER_CONNECTIONS_MAX: u32 = 2;
/// How long a batch waits for a connection before its callers are told to try again.
const WRITER_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// The head's row lock stops every writer, so nobody may hold it or wait for it without a bound:
/// the largest batch takes a second, and a client that has vanished does not come back.
const WRITER_SETTINGS: &str =
    "set statement_timeout = '15s'; set idle_in_transaction_session_timeout = '10s'";

/// Handle to the journal; clones share it.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    pool: PgPool,
    states: States,
    queue: mpsc::Sender<Submission>,
}

/// What the relay is fed with.
pub struct Committed(pub(crate) mpsc::Receiver<Arc<CommittedBatch>>);

impl Journal {
    /// Starts the writer. The second part goes to the relay; without one it may be dropped.
    pub fn start(pool: &PgPool) -> (Self, Committed) {
        // Of its own, so that no crowd of readers keeps the writer from the database.
        let writers = PgPoolOptions::new()
            .max_connections(WRITER_CONNECTIONS_MAX)
            .acquire_timeout(WRITER_ACQUIRE_TIMEOUT)
            .after_connect(|connection, _| {
                Box::pin(async { connection.execute(WRITER_SETTINGS).await.map(|_| ()) })
            })
            .connect_lazy_with(PgConnectOptions::clone(&pool.connect_options()));
        let (queue, committed) = writer::start(writers, QUEUE_MAX);
        let inner = Inner { pool: pool.clone(), states: States::default(), queue };
        (Self { inner: Arc::new(inner) }, Committed(committed))
    }

    /// Executes a client's command, which may be a repetition: its receipt is looked for first.
    ///
    /// A full queue is reported at once as [`ExecuteError::Overloaded`].
    pub async fn execute<A: Kept>(
        &self,
        aggregate_id: &str,
        command: A::Command,
        envelope: Envelope,
        wording: impl Fn(Decided<'_, A>) -> Option<Answer> + Send + Sync,
    ) -> Result<Receipt<A::Error>, ExecuteError> {
        let known = self
            .receipt(envelope.command_id, &envelope.fingerprint)
            .await?;
        if let Some(receipt) = known {
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
        let metadata_json = to_json(&envelope.metadata())?;
        let envelope = &envelope;
        let request = Request { aggregate_id, envelope, metadata_json, wording: &wording };
        self.decide(request, command, room).await
    }

    /// Executes a command whose id was derived from its cause, as workers do. Repetitions are rare
    /// (after a crash), so they are found by the log's constraint instead of being looked for.
    pub async fn execute_derived<A: Kept>(
        &self,
        aggregate_id: &str,
        command: A::Command,
        envelope: Envelope,
    ) -> Result<Receipt<A::Error>, ExecuteError> {
        let room = self.room().await?;
        let metadata_json = to_json(&envelope.metadata())?;
        let (envelope, wording) = (&envelope, &|_: Decided<'_, A>| None);
        let request = Request { aggregate_id, envelope, metadata_json, wording };
        self.decide(request, command, room).await
    }

    /// Remembers an answer that no aggregate was asked for.
    pub async fn turn_away(
        &self,
        envelope: Envelope,
        answer: Answer,
    ) -> Result<Receipt<()>, ExecuteError> {
        let known = self
            .receipt(envelope.command_id, &envelope.fingerprint)
            .await?;
        if let Some(receipt) = known {
            return Ok(receipt);
        }
        let (command_id, fingerprint) = (envelope.command_id, envelope.fingerprint);
        let entry = Entry {
            aggregate_type: "none",
            aggregate_id: command_id.to_string(),
            events: Vec::new(),
            metadata: envelope.metadata(),
            metadata_json: String::new(),
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

    /// State and version of one aggregate, read from the log: committed facts only.
    pub async fn load<A: Kept>(&self, aggregate_id: &str) -> Result<(A, i64), ExecuteError> {
        loading::load(&self.inner.pool, aggregate_id).await
    }

    /// States of many small aggregates, read from the log in one query. Unknown ones are absent.
    pub async fn fold_many<A: Kept>(
        &self,
        aggregate_ids: &[String],
    ) -> Result<HashMap<String, A>, ExecuteError> {
        loading::fold_many(&self.inner.pool, aggregate_ids).await
    }

    /// Decides and commits, again if the state it was decided on turns out to be wrong.
    async fn decide<A: Kept, W: Wording<A>>(
        &self,
        request: Request<'_, W>,
        command: A::Command,
        mut room: Room<'_>,
    ) -> Result<Receipt<A::Error>, ExecuteError> {
        let slot = self.inner.states.slot::<A>(request.aggregate_id);
        let (mut conflicts, mut outdated) = (0, 0);
        loop {
            let failure = match self
                .try_once(&slot, &request, command.clone(), room)
                .await?
            {
                Ok(receipt) => return Ok(receipt),
                Err(failure) => failure,
            };
            let command_id = request.envelope.command_id;
            match failure {
                Failure::Duplicate => {
                    let fingerprint = &request.envelope.fingerprint;
                    return self.receipt_of_duplicate(command_id, fingerprint).await;
                }
                Failure::Conflict { .. } if conflicts < CONFLICT_RETRIES_MAX => {
                    tokio::time::sleep(conflict_pause(conflicts, command_id)).await;
                    conflicts += 1;
                }
                Failure::Conflict { expected, actual } => {
                    let stream = format!("{} {}", A::TYPE, request.aggregate_id);
                    return Err(ExecuteError::Conflict { stream, expected, actual });
                }
                Failure::Outdated if outdated < OUTDATED_RETRIES_MAX => outdated += 1,
                Failure::Outdated | Failure::Unavailable(_) => return Err(unavailable(failure)),
            }
            room = self.room().await?;
        }
    }

    async fn try_once<A: Kept, W: Wording<A>>(
        &self,
        slot: &Slot<A>,
        request: &Request<'_, W>,
        command: A::Command,
        room: Room<'_>,
    ) -> Result<Result<Receipt<A::Error>, Failure>, ExecuteError> {
        let (guard, decided_in) = self.lock(slot, request.aggregate_id).await?;
        let version = guard.version;
        let attempt = Attempt::new(request, room, slot.epoch(), (guard, decided_in));
        let receipt = |verdict, done: Done| {
            done.committed.map(|committed| Receipt {
                verdict,
                aggregate_type: A::TYPE.to_owned(),
                aggregate_id: request.aggregate_id.to_owned(),
                version: done.version,
                first_position: committed.first_position,
                last_position: committed.last_position,
                answer: done.answer,
                replayed: false,
            })
        };
        let refuse = async |decided: Decided<'_, A>, verdict: Verdict<A::Error>| {
            let answer = (request.wording)(decided);
            let remembered = Some(to_json(&verdict)?);
            let guard = attempt.take_home();
            let done = attempt.submit(guard, Vec::new(), remembered, answer).await;
            Ok(receipt(verdict, done))
        };
        if let Some(expected) = request.envelope.expected_version
            && expected != version
        {
            let decided = Decided::VersionMismatch { expected, actual: version };
            let verdict = Verdict::VersionMismatch { expected, actual: version };
            return refuse(decided, verdict).await;
        }
        let framework = CqrsFramework::new(AttemptRef(&attempt), Vec::new(), ());
        match framework.execute(request.aggregate_id, command).await {
            Ok(()) => Ok(receipt(Verdict::Accepted, attempt.take_result())),
            Err(AggregateError::UserError(refusal)) => {
                refuse(Decided::Refused(&refusal), Verdict::Refused(refusal.clone())).await
            }
            Err(other) => Err(ExecuteError::Corrupt(other.to_string())),
        }
    }

    /// Locks an aggregate and makes sure that its state belongs to the current epoch, which comes
    /// with it; the state counts again once what is decided on it has been submitted.
    async fn lock<A: Kept>(
        &self,
        slot: &Slot<A>,
        aggregate_id: &str,
    ) -> Result<(Guard<A>, u64), ExecuteError> {
        let mut guard = slot.lock().await;
        // Read before the log is: what fails meanwhile ends this epoch, and the decision with it.
        let epoch = slot.epoch().now();
        if guard.epoch.take() != Some(epoch) {
            loading::reload(&self.inner.pool, aggregate_id, &mut guard).await?;
        }
        Ok((guard, epoch))
    }

    async fn room(&self) -> Result<Room<'_>, ExecuteError> {
        self.inner.queue.reserve().await.map_err(|_| closed())
    }

    async fn receipt_of_duplicate<R: DeserializeOwned>(
        &self,
        command_id: Uuid,
        fingerprint: &Fingerprint,
    ) -> Result<Receipt<R>, ExecuteError> {
        self.receipt(command_id, fingerprint).await?.ok_or_else(|| {
            ExecuteError::Corrupt(format!("command {command_id} acted but has no receipt"))
        })
    }
}

/// Twice as long each time, and not the same for all who met the same conflict.
fn conflict_pause(conflicts: u32, command_id: Uuid) -> Duration {
    let pause = CONFLICT_PAUSE * 2_u32.pow(conflicts);
    let share = u32::from(command_id.as_bytes()[15]);
    pause + pause * share / u32::from(u8::MAX)
}

fn closed() -> ExecuteError {
    ExecuteError::Unavailable("the journal has been closed".to_owned())
}

fn to_json<T: Serialize>(value: &T) -> Result<String, ExecuteError> {
    serde_json::to_string(value).map_err(|error| ExecuteError::Corrupt(error.to_string()))
}

fn unavailable(failure: Failure) -> ExecuteError {
    ExecuteError::Unavailable(match failure {
        Failure::Unavailable(cause) => cause,
        Failure::Duplicate | Failure::Conflict { .. } | Failure::Outdated => {
            "other commands on the same aggregate kept failing".to_owned()
        }
    })
}
