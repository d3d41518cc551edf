//! One command on cqrs-es: the [`EventStore`] that its framework sees.
//!
//! The framework asks for the aggregate, lets it handle the command, and commits. Here the
//! aggregate comes locked and already loaded; a commit puts state and events into the writer's
//! queue *before* the lock is let go, so that the queue's order is the order of decision. Room in
//! the queue is taken before anything is decided, so that a caller who goes away cannot leave a
//! state behind whose events never got there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cqrs_es::{
    Aggregate, AggregateContext, AggregateError, DomainEvent as _, EventEnvelope, EventStore,
};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::append::{Entry, NewEvent};
use crate::command::{Answer, Decided, Envelope};
use crate::journal::{Inner, Journal};
use crate::personal::NewKey;
use crate::sealed::Place;
use crate::states::{Guard, Kept, Slot};
use crate::writer::{Committed, Failure, Submission};

/// What an event is given room for while it is written: as much as a placed order with a few lines
/// takes, so that most need no second piece of memory.
const EVENT_BYTES_USUAL: usize = 1_024;

/// How the caller's answer is worded.
pub(crate) trait Wording<A: Aggregate>:
    Fn(Decided<'_, A>) -> Option<Answer> + Send + Sync
{
}
impl<A: Aggregate, F: Fn(Decided<'_, A>) -> Option<Answer> + Send + Sync> Wording<A> for F {}

/// The aggregate, on loan to the framework; goes back to the attempt when dropped uncommitted.
pub(crate) struct Loan<'a, 's, A: Kept> {
    guard: Option<Guard<'s, A>>,
    home: &'a Mutex<Option<Guard<'s, A>>>,
}

impl<A: Kept> AggregateContext<A> for Loan<'_, '_, A> {
    fn aggregate(&mut self) -> &mut A {
        &mut self
            .guard
            .as_mut()
            .expect("a loan holds its guard until it is committed")
            .state
    }
}

impl<A: Kept> Drop for Loan<'_, '_, A> {
    fn drop(&mut self) {
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = self.guard.take();
    }
}

/// Room for one command in the writer's queue.
pub(crate) type Room<'a> = mpsc::Permit<'a, Submission>;

/// One command, as it stays over all tries.
pub(crate) struct Request<'a, W> {
    pub(crate) aggregate_id: &'a str,
    pub(crate) envelope: &'a Envelope,
    /// The metadata of its events.
    pub(crate) metadata_json: Arc<str>,
    pub(crate) wording: &'a W,
}

/// One try at one command.
pub(crate) struct Attempt<'a, A: Kept, W> {
    request: &'a Request<'a, W>,
    journal: &'a Journal,
    slot: &'a Arc<Slot<A>>,
    room: Mutex<Option<Room<'a>>>,
    /// The epoch of the state that is decided on.
    decided_in: u64,
    /// The aggregate when it is not on loan.
    home: Mutex<Option<Guard<'a, A>>>,
    /// How it went.
    result: Mutex<Option<Done>>,
}

/// What a committed command leaves behind for its receipt.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) committed: Result<Committed, Failure>,
    pub(crate) version: i64,
    pub(crate) answer: Option<Answer>,
    /// Its stream has grown long enough for a snapshot.
    pub(crate) is_snapshot_due: bool,
    /// Little more is expected of the aggregate.
    pub(crate) is_settled: bool,
}

impl<'a, A: Kept, W: Wording<A>> Attempt<'a, A, W> {
    pub(crate) fn new(
        request: &'a Request<'a, W>,
        room: Room<'a>,
        journal: &'a Journal,
        slot: &'a Arc<Slot<A>>,
        (guard, decided_in): (Guard<'a, A>, u64),
    ) -> Self {
        Self {
            request,
            journal,
            slot,
            room: Mutex::new(Some(room)),
            decided_in,
            home: Mutex::new(Some(guard)),
            result: Mutex::new(None),
        }
    }

    /// The aggregate, after a refusal or before anything was decided.
    pub(crate) fn take_home(&self) -> Guard<'a, A> {
        take(&self.home).expect("the framework gives the aggregate back, unless it was committed")
    }

    /// How a command that was accepted went.
    pub(crate) fn take_result(&self) -> Done {
        take(&self.result).expect("a command that was executed has been committed")
    }

    /// What is to be stored of an event instead of its payload, if something in it is personal.
    fn sealed(
        &self,
        event: &A::Event,
        sequence: i64,
        payload: &str,
    ) -> Result<Option<(String, NewKey)>, serde_json::Error> {
        let Some(sealer) = &self.journal.inner.sealer else {
            return Ok(None);
        };
        let Request { aggregate_id, envelope, .. } = self.request;
        let event_type = event.event_type();
        let place =
            Place { aggregate_type: A::TYPE, aggregate_id, sequence, event_type: &event_type };
        // Everything about an order is correlated with it.
        sealer.seal(place, envelope.correlation_id, payload)
    }

    /// Submits what was decided and waits for its commit. The guard is let go in between.
    pub(crate) async fn submit(
        &self,
        mut guard: Guard<'a, A>,
        (events, keys): (Vec<NewEvent>, Vec<NewKey>),
        refusal: Option<String>,
        answer: Option<Answer>,
    ) -> Done {
        let Request { aggregate_id, envelope, metadata_json, .. } = self.request;
        let (version, has_changed) = (guard.version, !events.is_empty());
        let entry = Entry {
            aggregate_type: A::TYPE,
            aggregate_id: (*aggregate_id).to_owned(),
            events,
            keys,
            metadata_json: Arc::clone(metadata_json),
            metadata: envelope.metadata(),
            fingerprint: envelope.fingerprint,
            refusal,
            version,
            answer: answer.clone(),
        };
        let (reply, outcome) = oneshot::channel();
        let decided_in = Some((self.slot.epoch().clone(), self.decided_in));
        let room = take(&self.room).expect("an attempt is submitted once");
        room.send(Submission { entry, decided_in, reply });
        // Only now does the state in memory count: what the queue never got never happened.
        guard.epoch = Some(self.decided_in);
        let Inner { states, snapshots, .. } = &*self.journal.inner;
        states.weigh(aggregate_id, self.slot, &mut guard);
        let is_snapshot_due = snapshots.is_due(&mut guard);
        // A refusal stays within reach of the next one who asks in vain.
        let is_settled = has_changed && guard.state.is_settled();
        drop(guard);
        let committed = outcome.await.unwrap_or_else(|_| {
            Err(Failure::Unavailable("the journal was closed during the commit".to_owned()))
        });
        Done { committed, version, answer, is_snapshot_due, is_settled }
    }
}

fn take<T>(place: &Mutex<Option<T>>) -> Option<T> {
    place.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Writes an event down, in one piece of memory that its readers share.
fn written<E: Serialize>(event: &E, buffer: &mut Vec<u8>) -> Result<Arc<str>, String> {
    buffer.clear();
    serde_json::to_writer(&mut *buffer, event).map_err(|error| error.to_string())?;
    let text = str::from_utf8(buffer).map_err(|error| error.to_string())?;
    Ok(text.into())
}

/// The framework owns its store, so it gets a reference to the attempt.
pub(crate) struct AttemptRef<'t, 'a, A: Kept, W>(pub(crate) &'t Attempt<'a, A, W>);

impl<'t, 'a, A: Kept, W: Wording<A>> EventStore<A> for AttemptRef<'t, 'a, A, W> {
    type AC = Loan<'t, 'a, A>;

    async fn load_events(
        &self,
        _aggregate_id: &str,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        // The framework never asks for them; the journal loads streams itself.
        Ok(Vec::new())
    }

    async fn load_aggregate(
        &self,
        _aggregate_id: &str,
    ) -> Result<Loan<'t, 'a, A>, AggregateError<A::Error>> {
        Ok(Loan { guard: Some(self.0.take_home()), home: &self.0.home })
    }

    async fn commit(
        &self,
        events: Vec<A::Event>,
        mut loan: Loan<'t, 'a, A>,
        _metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let mut guard = loan.guard.take().expect("a loan is committed once");
        let mut payloads = Vec::with_capacity(events.len());
        let mut keys = Vec::new();
        let mut buffer = Vec::with_capacity(EVENT_BYTES_USUAL);
        for event in &events {
            guard.version += 1;
            let payload = written(event, &mut buffer)
                .map_err(|error| AggregateError::UnexpectedError(error.into()))?;
            let sealed = self
                .0
                .sealed(event, guard.version, &payload)
                .map_err(|error| AggregateError::UnexpectedError(error.into()))?;
            let stored = match sealed {
                Some((stored, key)) => {
                    keys.push(key);
                    stored.into()
                }
                None => Arc::clone(&payload),
            };
            payloads.push((guard.version, payload, stored));
        }
        let decided =
            Decided::Accepted { state: &guard.state, version: guard.version, events: &events };
        let answer = (self.0.request.wording)(decided);
        let new_event = |(event, (sequence, payload, stored)): (A::Event, _)| NewEvent {
            event_id: Uuid::now_v7(),
            sequence,
            event_type: event.event_type(),
            event_version: event.event_version(),
            payload,
            stored,
            event: event.into(),
        };
        let new_events = events.into_iter().zip(payloads).map(new_event).collect();
        let done = self.0.submit(guard, (new_events, keys), None, answer).await;
        *self.0.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
        // No queries hang on the framework, so nobody needs the envelopes.
        Ok(Vec::new())
    }
}
