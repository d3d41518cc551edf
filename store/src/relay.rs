//! The relay: carries the log to the stream, each event exactly at its own sequence.
//!
//! Every publish names the sequence that must come before it, so that two relays can race and
//! neither doubles nor reorders. Where the stream stands is the relay's only checkpoint.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::message::PublishMessage;
use sqlx::PgPool;
use tokio::sync::{mpsc, watch};

use crate::cloudevent::{self, Parts};
use crate::journal::Committed;
use crate::leader::{self, Lead, Office};
use crate::log;
use crate::stream::{Error, Stream};
use crate::tail::WINDOW;
use crate::writer::CommittedBatch;

/// Events read from Postgres at a time while the stream is behind.
const PAGE: i64 = 1_000;
/// How often an idle relay looks whether another process has written.
const IDLE: Duration = Duration::from_millis(200);
/// How often an idle relay looks whether the stream is still what it was: deleted, restored or
/// written to by somebody else, it would otherwise be noticed by the next event.
const CHECK: Duration = Duration::from_secs(2);
/// Pause after a failure: NATS or Postgres is away, and asking faster helps nobody.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// How far the relay has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Another process's relay is active, or ours has not begun.
    Waiting,
    /// The stream holds everything up to here.
    At(i64),
    /// It cannot reach Postgres or NATS; it keeps trying.
    Failing,
}

/// Runs until told to stop. Failures are logged and tried again for ever.
pub async fn run(
    pool: PgPool,
    stream: Stream,
    committed: Committed,
    standing: watch::Sender<Standing>,
    mut stop: watch::Receiver<bool>,
) {
    let mut relay = Relay { pool, stream, committed: committed.0, standing, last: 0 };
    loop {
        let result = tokio::select! {
            result = relay.lead() => result,
            // Whoever could tell us to stop may also just go away.
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Err(error) = result;
        if relay.standing.send_replace(Standing::Failing) == Standing::Failing {
            tracing::debug!(%error, "the relay tries again");
        } else {
            tracing::warn!(%error, "the relay cannot go on; it tries again until it can");
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

struct Relay {
    pool: PgPool,
    stream: Stream,
    committed: mpsc::Receiver<Arc<CommittedBatch>>,
    standing: watch::Sender<Standing>,
    /// The stream's last sequence.
    last: i64,
}

impl Relay {
    /// Becomes the active relay of this database and publishes until something fails.
    async fn lead(&mut self) -> Result<Infallible, Error> {
        let mut lead = self.become_active().await?;
        self.last = self.stream.open(&self.pool).await?.last_sequence;
        tracing::info!(last_sequence = self.last, "the relay is active");
        self.publish_for_ever(&mut lead).await
    }

    /// Until it is our turn, nothing is kept of what is committed: it is read from Postgres then.
    async fn become_active(&mut self) -> Result<Lead, Error> {
        let lead = leader::lead(&self.pool, Office::Relay);
        tokio::pin!(lead);
        let lead = loop {
            tokio::select! {
                lead = &mut lead => break lead?,
                Some(_batch) = self.committed.recv() => {}
            }
        };
        while self.committed.try_recv().is_ok() {}
        Ok(lead)
    }

    async fn publish_for_ever(&mut self, lead: &mut Lead) -> Result<Infallible, Error> {
        self.catch_up(log::head(&self.pool).await?).await?;
        let mut checked = Instant::now();
        loop {
            match tokio::time::timeout(IDLE, self.committed.recv()).await {
                Ok(Some(batch)) => {
                    self.pass_on(&batch).await?;
                    // What was acknowledged is there.
                    checked = Instant::now();
                    continue;
                }
                // The journal is gone; other processes may still write.
                Ok(None) => tokio::time::sleep(IDLE).await,
                Err(_idle) => {}
            }
            lead.still_ours().await?;
            if CHECK <= checked.elapsed() {
                self.check().await?;
                checked = Instant::now();
            }
            self.catch_up(log::head(&self.pool).await?).await?;
        }
    }

    /// Fails if the stream's end is not ours any more; opening it again finds out why.
    async fn check(&self) -> Result<(), Error> {
        let found = self.stream.last_sequence().await?;
        if found == self.last {
            return Ok(());
        }
        let cause = format!("it ends at {found} instead of {}", self.last);
        Err(Error::jetstream("keep the stream", cause))
    }

    /// Publishes a batch from memory, after whatever is missing before it.
    async fn pass_on(&mut self, batch: &CommittedBatch) -> Result<(), Error> {
        self.catch_up(batch.base).await?;
        let mut position = batch.base;
        let mut messages = Vec::with_capacity(batch.entries.len());
        for entry in &batch.entries {
            for event in &entry.events {
                position += 1;
                let parts = Parts {
                    position,
                    event_id: event.event_id,
                    aggregate_type: entry.aggregate_type,
                    aggregate_id: &entry.aggregate_id,
                    sequence: event.sequence,
                    event_type: &event.event_type,
                    event_version: &event.event_version,
                    payload: &event.payload,
                    metadata: &entry.metadata,
                    recorded_at: batch.recorded_at,
                };
                messages.push(self.message(&parts)?);
            }
        }
        self.publish(messages).await
    }

    /// Publishes from Postgres up to a position.
    async fn catch_up(&mut self, until: i64) -> Result<(), Error> {
        while self.last < until {
            let events = log::after(&self.pool, self.last, PAGE.min(until - self.last)).await?;
            if events.is_empty() {
                break;
            }
            let messages: Result<Vec<_>, _> = events
                .iter()
                .map(|event| self.message(&event.as_ref().into()))
                .collect();
            self.publish(messages?).await?;
        }
        self.standing.send_if_modified(|standing| {
            let moved = *standing != Standing::At(self.last);
            *standing = Standing::At(self.last);
            moved
        });
        Ok(())
    }

    fn message(&self, parts: &Parts<'_>) -> Result<Message, Error> {
        let payload = cloudevent::write(parts)
            .map_err(|error| Error::jetstream("take an event that is no JSON", error))?;
        let publish = PublishMessage::build()
            .payload(payload.into())
            .message_id(parts.event_id.to_string())
            .expected_last_sequence(u64::try_from(parts.position - 1).unwrap_or(0));
        Ok(Message {
            position: parts.position,
            subject: self.stream.subject(parts.event_type, parts.aggregate_id),
            publish,
        })
    }

    /// Publishes in order, many at a time, and believes nothing that is not acknowledged.
    async fn publish(&mut self, messages: Vec<Message>) -> Result<(), Error> {
        let refused = |error: String| Error::jetstream("store an event", error);
        let stored = self.last;
        let mut waiting = messages
            .into_iter()
            .filter(|message| stored < message.position);
        loop {
            let mut acknowledgements = Vec::with_capacity(WINDOW);
            for Message { position, subject, publish } in waiting.by_ref().take(WINDOW) {
                let sent = self.stream.context().send_publish(subject, publish).await;
                acknowledgements
                    .push((position, sent.map_err(|error| refused(error.to_string()))?));
            }
            if acknowledgements.is_empty() {
                break;
            }
            for (position, acknowledgement) in acknowledgements {
                let acknowledged = acknowledgement.await;
                let stored = acknowledged
                    .map_err(|error| refused(error.to_string()))?
                    .sequence;
                if i64::try_from(stored) != Ok(position) {
                    return Err(refused(format!("position {position} became sequence {stored}")));
                }
                self.last = position;
            }
        }
        self.standing.send_replace(Standing::At(self.last));
        Ok(())
    }
}

struct Message {
    position: i64,
    subject: String,
    publish: PublishMessage,
}
