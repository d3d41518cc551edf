//! States of aggregates, folded from the log: committed facts only.

use std::collections::HashMap;

use cqrs_es::EventEnvelope;
use cqrs_es::persist::{PersistedEventRepository as _, SerializedEvent};
use postgres_es::PostgresEventRepository;
use sqlx::PgPool;

use crate::command::ExecuteError;
use crate::log;
use crate::states::{Held, Kept};

/// Events from which on a loaded state is kept beside the one that runs ahead of the commit: below
/// it, reading the stream again costs less than a second copy in memory.
const LONG_STREAM: i64 = 200;

/// Reads a whole stream.
pub(crate) async fn load<A: Kept>(
    pool: &PgPool,
    aggregate_id: &str,
) -> Result<(A, i64), ExecuteError> {
    let streams = PostgresEventRepository::new(pool.clone());
    let events = streams.get_events::<A>(aggregate_id).await;
    let events = events.map_err(|error| ExecuteError::Unavailable(error.to_string()))?;
    fold((A::default(), 0), events)
}

/// Reads what a state in memory lacks, or the whole stream if it is a short one.
pub(crate) async fn reload<A: Kept>(
    pool: &PgPool,
    aggregate_id: &str,
    held: &mut Held<A>,
) -> Result<(), ExecuteError> {
    let (state, version) = match &held.loaded {
        None => load(pool, aggregate_id).await?,
        Some((_, version)) => {
            // A hot stream is loaded after every conflict; its length must not matter then.
            let newer = log::of_aggregate_after(pool, A::TYPE, aggregate_id, *version)
                .await
                .map_err(|error| ExecuteError::Unavailable(error.to_string()))?;
            let start = held.loaded.take().expect("matched above");
            fold(start, newer)?
        }
    };
    held.loaded = (LONG_STREAM <= version).then(|| (state.clone(), version));
    (held.state, held.version) = (state, version);
    Ok(())
}

/// Reads many small streams in one query. Unknown ones are absent.
pub(crate) async fn fold_many<A: Kept>(
    pool: &PgPool,
    aggregate_ids: &[String],
) -> Result<HashMap<String, A>, ExecuteError> {
    let events = log::of_aggregates(pool, A::TYPE, aggregate_ids)
        .await
        .map_err(|error| ExecuteError::Unavailable(error.to_string()))?;
    let mut states: HashMap<String, A> = HashMap::with_capacity(aggregate_ids.len());
    for event in events {
        let id = event.aggregate_id.clone();
        let envelope = read::<A>(event)?;
        states.entry(id).or_default().apply(envelope.payload);
    }
    Ok(states)
}

fn fold<A: Kept>(
    (mut state, mut version): (A, i64),
    events: Vec<SerializedEvent>,
) -> Result<(A, i64), ExecuteError> {
    for event in events {
        let envelope = read::<A>(event)?;
        version = i64::try_from(envelope.sequence).unwrap_or(i64::MAX);
        state.apply(envelope.payload);
    }
    Ok((state, version))
}

/// Upcasts a stored event and reads it.
fn read<A: Kept>(mut event: SerializedEvent) -> Result<EventEnvelope<A>, ExecuteError> {
    let lifted =
        domain::upcast::from_value(&event.event_type, &event.event_version, &event.payload);
    if let Some((payload, version)) = lifted {
        event.payload = payload;
        event.event_version = version.to_string();
    }
    let stream = format!("{} {} sequence {}", A::TYPE, event.aggregate_id, event.sequence);
    event
        .try_into()
        .map_err(|error| ExecuteError::Corrupt(format!("{stream}: {error}")))
}
