//! One command's way from its aggregate to its receipt.
//!
//! The aggregate is locked, loaded if need be, and asked; what it decides goes to the writer before
//! the lock is let go. Should the state turn out to be wrong, the command is decided anew.

use std::sync::Arc;
use std::time::Duration;

use cqrs_es::{AggregateError, CqrsFramework};
use uuid::Uuid;

use crate::attempt::{Attempt, AttemptRef, Done, Request, Room, Wording};
use crate::command::{Decided, ExecuteError, Receipt, Verdict};
use crate::journal::{Journal, to_json};
use crate::loading;
use crate::states::{Guard, Kept, Slot};
use crate::writer::Failure;

/// Five tries outlast a burst on one stream; beyond that the client should know.
const CONFLICT_RETRIES_MAX: u32 = 5;
/// Pause before the first of them; each next one is twice as long, so that together they outlast
/// the burst of another process that has the next batch ready whenever ours has failed.
const CONFLICT_PAUSE: Duration = Duration::from_millis(5);
/// Times a command is decided anew because something else that shared its state failed.
const OUTDATED_RETRIES_MAX: u32 = 50;

impl Journal {
    /// Decides and commits, again if the state it was decided on turns out to be wrong.
    pub(crate) async fn decide<A: Kept, W: Wording<A>>(
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
        slot: &Arc<Slot<A>>,
        request: &Request<'_, W>,
        command: A::Command,
        room: Room<'_>,
    ) -> Result<Result<Receipt<A::Error>, Failure>, ExecuteError> {
        let presumed = if A::begins(&command) {
            Presumed::Empty
        } else {
            Presumed::Anything
        };
        let (guard, decided_in) = self.lock(slot, request.aggregate_id, presumed).await?;
        let version = guard.version;
        let attempt = Attempt::new(request, room, self, slot, (guard, decided_in));
        let receipt = |verdict, done: Done| {
            self.take_note(slot, request.aggregate_id, &done);
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
            let done = attempt
                .submit(guard, (Vec::new(), Vec::new()), remembered, answer)
                .await;
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
    pub(crate) async fn lock<'s, A: Kept>(
        &self,
        slot: &'s Arc<Slot<A>>,
        aggregate_id: &str,
        presumed: Presumed,
    ) -> Result<(Guard<'s, A>, u64), ExecuteError> {
        let mut guard = slot.lock().await;
        // Read before the log is: what fails meanwhile ends this epoch, and the decision with it.
        let epoch = slot.epoch().now();
        let is_untouched = std::mem::take(&mut guard.is_untouched);
        let is_known = guard.epoch.take() == Some(epoch);
        let is_begun = is_untouched && presumed == Presumed::Empty;
        if !is_known && !is_begun {
            loading::reload(&self.inner.streams, aggregate_id, &mut guard).await?;
            self.inner.states.weigh(aggregate_id, slot, &mut guard);
        }
        Ok((guard, epoch))
    }

    /// What is to be done about an aggregate after a commit, when its caller waits no more for it.
    fn take_note<A: Kept>(&self, slot: &Arc<Slot<A>>, aggregate_id: &str, done: &Done) {
        if done.committed.is_err() {
            return;
        }
        if done.is_snapshot_due {
            self.inner.snapshots.offer::<A>(aggregate_id);
        }
        if done.is_settled {
            self.inner.states.let_go(aggregate_id, slot);
        }
    }
}

/// What may be taken for granted of a stream that nobody has looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presumed {
    /// Its id was just made.
    Empty,
    Anything,
}

/// Twice as long each time, and not the same for all who met the same conflict.
fn conflict_pause(conflicts: u32, command_id: Uuid) -> Duration {
    let pause = CONFLICT_PAUSE * 2_u32.pow(conflicts);
    let share = u32::from(command_id.as_bytes()[15]);
    pause + pause * share / u32::from(u8::MAX)
}

pub(crate) fn unavailable(failure: Failure) -> ExecuteError {
    ExecuteError::Unavailable(match failure {
        Failure::Unavailable(cause) => cause,
        Failure::Duplicate | Failure::Conflict { .. } | Failure::Outdated => {
            "other commands on the same aggregate kept failing".to_owned()
        }
    })
}
