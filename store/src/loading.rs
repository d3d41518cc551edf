//! States of aggregates, folded from the log: committed facts only.
//!
//! A fold begins at the newest snapshot that can be understood, and at the first event where there
//! is none. What cannot be understood is passed over: a snapshot spares work and proves nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use cqrs_es::persist::PersistedEventRepository as _;
use domain::event::Event;
use futures::future::try_join_all;
use postgres_es::PostgresEventRepository;
use sqlx::PgPool;

use crate::command::ExecuteError;
use crate::log;
use crate::personal::Keys;
use crate::sealed::Place;
use crate::states::{Held, Kept};
use crate::streams::{Part, Snapshot, StoredEvent, Streams};

/// Events from which on a loaded state is kept beside the one that runs ahead of the commit: below
/// it, reading the stream again costs less than a second copy in memory.
const LONG_STREAM: i64 = 200;
/// Events that are read of a stream at first: all of nearly every one.
const FIRST_EVENTS_MAX: i64 = 200;
/// Warnings about snapshots that are remembered; beyond it they are not told any more.
const TOLD_MAX: usize = 1_000;

/// What a stream adds up to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Folded<A> {
    pub(crate) state: A,
    pub(crate) version: i64,
    /// The version of the snapshot that it began with.
    pub(crate) snapshot: Option<i64>,
    /// The version of the snapshot that was no use.
    pub(crate) passed_over: Option<i64>,
}

impl<A: Kept> Folded<A> {
    /// Takes on board what has been committed since, at most up to a version.
    pub(crate) async fn catch_up(
        &mut self,
        streams: &Streams,
        aggregate_id: &str,
        mut schema: Option<&'static str>,
        version_max: i64,
    ) -> Result<(), ExecuteError> {
        let mut events_max = FIRST_EVENTS_MAX;
        while self.version < version_max {
            let events_wanted = events_max.min(version_max - self.version);
            let part = Part {
                aggregate_type: A::TYPE,
                aggregate_id: aggregate_id.to_owned(),
                after: self.version,
                schema,
                events_max: events_wanted,
            };
            let found = streams.read(part).await?;
            if found.is_cut && found.snapshot.is_none() && found.events.is_empty() {
                continue;
            }
            // There is none between the events that follow; and if it is wrong, so it stays.
            schema = None;
            if let Some(snapshot) = &found.snapshot {
                match understood(snapshot, aggregate_id) {
                    Understood::State(state) => {
                        let version = snapshot.version;
                        *self = Self { state, version, snapshot: Some(version), passed_over: None };
                    }
                    Understood::PassedOver => self.passed_over = Some(snapshot.version),
                    Understood::Damaged => {
                        self.passed_over = Some(snapshot.version);
                        // The events that were found are those after it.
                        continue;
                    }
                }
            }
            let count = i64::try_from(found.events.len()).unwrap_or(i64::MAX);
            for event in &found.events {
                self.take(aggregate_id, event)?;
            }
            if count < events_wanted && !found.is_cut {
                break;
            }
            events_max = log::PAGE_MAX;
        }
        Ok(())
    }

    fn take(&mut self, aggregate_id: &str, stored: &StoredEvent) -> Result<(), ExecuteError> {
        let StoredEvent { sequence, event_type, event_version, payload } = stored;
        let corrupt = |why: String| {
            ExecuteError::Corrupt(format!("{} {aggregate_id} sequence {sequence}: {why}", A::TYPE))
        };
        let payload = payload
            .as_deref()
            .map_err(|error| corrupt(error.to_string()))?;
        let event = Event::read(A::TYPE, event_type, event_version, payload)
            .map_err(|error| corrupt(error.to_string()))?;
        let own = event
            .try_into()
            .map_err(|_| corrupt(format!("{event_type} is not its own")))?;
        self.state.apply(own);
        self.version = *sequence;
        Ok(())
    }
}

enum Understood<A> {
    State(A),
    /// Of another schema or another history, so the events were read without it.
    PassedOver,
    /// Its state is none, though the events that were read come after it.
    Damaged,
}

fn understood<A: Kept>(snapshot: &Snapshot, aggregate_id: &str) -> Understood<A> {
    let Snapshot { version, schema, state } = snapshot;
    let (of, ours) = (A::TYPE, A::STATE_SCHEMA);
    let Some(state) = state else {
        pass_over(if schema == ours {
            format!("that of {of} {aggregate_id} at version {version} is not of this log")
        } else {
            // One word for all of them: there are as many as long streams.
            format!("those of {of} have the schema {schema}, ours is {ours}")
        });
        return Understood::PassedOver;
    };
    match serde_json::from_str(state) {
        Ok(state) => Understood::State(state),
        Err(error) => {
            pass_over(format!("that of {of} {aggregate_id} at version {version}: {error}"));
            Understood::Damaged
        }
    }
}

/// Says so, once for each in the life of the process: the stream says everything itself.
fn pass_over(which: String) {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.len() < TOLD_MAX && !told.contains(&which) {
        tracing::warn!(which, "a snapshot is passed over, and its stream read from the start");
        told.insert(which);
    }
}

/// Reads what a state in memory lacks, or all of it.
pub(crate) async fn reload<A: Kept>(
    streams: &Streams,
    aggregate_id: &str,
    held: &mut Held<A>,
) -> Result<(), ExecuteError> {
    // A hot stream is loaded after every conflict; its length must not matter then.
    let (state, version) = held
        .loaded
        .take()
        .map_or_else(Default::default, |loaded| *loaded);
    let mut folded = Folded { state, version, ..Folded::default() };
    folded
        .catch_up(streams, aggregate_id, Some(A::STATE_SCHEMA), i64::MAX)
        .await?;
    let Folded { state, version, snapshot, .. } = folded;
    held.loaded = (LONG_STREAM <= version).then(|| Box::new((state.clone(), version)));
    held.snapshot_version = snapshot.unwrap_or_else(|| held.snapshot_version.min(version));
    (held.state, held.version) = (state, version);
    Ok(())
}

/// Reads a stream from its first event through postgres-es: for those that end some day.
pub(crate) async fn load<A: Kept>(
    pool: &PgPool,
    aggregate_id: &str,
) -> Result<(A, i64), ExecuteError> {
    let streams = PostgresEventRepository::new(pool.clone());
    let events = streams.get_events::<A>(aggregate_id).await;
    let events = events.map_err(|error| ExecuteError::Unavailable(error.to_string()))?;
    let texts: Vec<String> = events
        .iter()
        .map(|event| event.payload.to_string())
        .collect();
    let types = events.iter().map(|event| event.event_type.as_str());
    let keys = Keys::of(pool, types.zip(texts.iter().map(String::as_str))).await;
    let keys = keys.map_err(|error| ExecuteError::Unavailable(error.to_string()))?;
    let mut folded = Folded::<A>::default();
    for (event, text) in events.into_iter().zip(texts) {
        let sequence = i64::try_from(event.sequence).unwrap_or(i64::MAX);
        let place = Place {
            aggregate_type: A::TYPE,
            aggregate_id,
            sequence,
            event_type: &event.event_type,
        };
        let payload = keys.open(place, &text).map(|opened| opened.unwrap_or(text));
        let stored = StoredEvent {
            sequence,
            event_type: event.event_type,
            event_version: event.event_version,
            payload,
        };
        folded.take(aggregate_id, &stored)?;
    }
    Ok((folded.state, folded.version))
}

/// Reads many streams in few queries. Unknown ones are absent.
pub(crate) async fn load_many<A: Kept>(
    streams: &Streams,
    aggregate_ids: &[String],
) -> Result<HashMap<String, (A, i64)>, ExecuteError> {
    let folds = aggregate_ids.iter().map(async |id| {
        let mut folded = Folded::<A>::default();
        folded
            .catch_up(streams, id, Some(A::STATE_SCHEMA), i64::MAX)
            .await?;
        Ok::<_, ExecuteError>((id.clone(), (folded.state, folded.version)))
    });
    let mut states: HashMap<_, _> = try_join_all(folds).await?.into_iter().collect();
    states.retain(|_, (_, version)| *version != 0);
    Ok(states)
}
