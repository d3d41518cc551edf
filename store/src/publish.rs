//! Puts a run of the log onto the stream, each event at its own sequence.
//!
//! Every message names the sequence that must come before it, so the server stores the event at
//! position k at sequence k or not at all: relays may race, and neither doubles nor reorders.
//!
//! A run goes as one *fast batch* (nats-server 2.14, ADR-50): the server answers the first message,
//! every [`FLOW`]th and the last, instead of each. It stores what comes until a message is refused,
//! and nothing behind that one, so that nobody's message can hide between ours.
//!
//! ```text
//! message 1 ── START ──▶ ack                            refused: error
//! message 2 ── APPEND ─▶ nothing                        refused: err, then the end of the batch
//! message n ── COMMIT ─▶ end: stored up to sequence k    ... and an error for each one behind it
//! ```
//!
//! Where batches are refused as such, messages go one by one, with an acknowledgement each.
//!
//! Atomic batches were measured and rejected: the server writes each into a store of its own first,
//! which costs more than an acknowledgement per message does. Message ids cost a look-up and a
//! place in memory per message, for two minutes of what the expected sequence does for ever.

use std::sync::Arc;
use std::time::Duration;

use async_nats::header::NATS_EXPECTED_LAST_SEQUENCE;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::message::PublishMessage;
use async_nats::{Client, HeaderMap, HeaderValue, StatusCode, Subscriber};
use futures::StreamExt as _;
use serde::Deserialize;

use crate::cloudevent;
use crate::recorded::RecordedEvent;
use crate::stream::{Error, Stream};

/// Most events of one run. The next run is made while this one is on its way; longer ones would
/// only let readers wait longer for their first event.
pub(crate) const RUN_MAX: usize = 500;
/// Most bytes of one run, but for a last event that exceeds it: far below what the server lets wait
/// for being stored.
pub(crate) const RUN_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Messages between two acknowledgements of a batch; the server takes it for a suggestion.
const FLOW: usize = RUN_MAX;
/// How long the server may take to store a run: it stores ten thousands of events in a second.
const TIMEOUT: Duration = Duration::from_secs(5);
/// What a message takes of the server's limit for its headers.
const HEADER_BYTES: usize = 256;

const START: u8 = 0;
const APPEND: u8 = 1;
const COMMIT: u8 = 2;

/// The way onto the stream.
pub(crate) struct Publisher {
    stream: Stream,
    client: Client,
    batches: Option<Batches>,
}

struct Message {
    position: i64,
    subject: String,
    payload: Vec<u8>,
}

impl Publisher {
    /// `takes_batches`: whether the stream does.
    pub(crate) async fn open(stream: &Stream, takes_batches: bool) -> Result<Self, Error> {
        let client = stream.context().client();
        let batches = if takes_batches {
            Some(Batches::open(&client).await?)
        } else {
            None
        };
        Ok(Self { stream: stream.clone(), client, batches })
    }

    /// Stores events that follow one another, all of them, or fails.
    pub(crate) async fn put(&mut self, run: &[Arc<RecordedEvent>]) -> Result<(), Error> {
        let put = async {
            let mut rest = run;
            if let Some(batches) = &mut self.batches {
                let messages = messages(&self.stream, &self.client, run);
                let ending = batches.put(&self.client, messages).await?;
                let Some(refusal) = ending.refusal else {
                    return Ok(());
                };
                if refusal.is_about_the_sequence() {
                    return Err(not_stored(refusal));
                }
                tracing::debug!(%refusal, "a batch was refused; its events go one by one");
                rest = &rest[ending.stored.min(rest.len())..];
            }
            self.put_one_by_one(messages(&self.stream, &self.client, rest))
                .await
        };
        let too_late = |_elapsed| Err(not_stored("no acknowledgement has come"));
        tokio::time::timeout(TIMEOUT, put)
            .await
            .unwrap_or_else(too_late)
    }

    async fn put_one_by_one(&self, messages: Vec<Message>) -> Result<(), Error> {
        let mut acknowledgements = Vec::with_capacity(messages.len());
        for message in messages {
            let publish = PublishMessage::build()
                .headers(message.headers())
                .payload(message.payload.into());
            let sent = self.stream.context().send_publish(message.subject, publish);
            acknowledgements.push((message.position, sent.await.map_err(not_stored)?));
        }
        for (position, acknowledgement) in acknowledgements {
            let stored = acknowledgement.await.map_err(not_stored)?.sequence;
            if i64::try_from(stored) != Ok(position) {
                return Err(not_stored(format!("position {position} became sequence {stored}")));
            }
        }
        Ok(())
    }
}

impl Message {
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SEQUENCE, HeaderValue::from(self.position - 1));
        headers
    }
}

fn messages(stream: &Stream, client: &Client, run: &[Arc<RecordedEvent>]) -> Vec<Message> {
    let bytes_max = client.server_info().max_payload;
    let message = |event: &Arc<RecordedEvent>| {
        let mut payload = cloudevent::write(event);
        if bytes_max < payload.len() + HEADER_BYTES {
            let position = event.position;
            tracing::warn!(position, "too large for NATS: carried without its data");
            payload = cloudevent::write_without_data(event);
        }
        let subject = stream.subject(&event.event_type);
        Message { position: event.position, subject, payload }
    };
    run.iter().map(message).collect()
}

fn not_stored(cause: impl std::fmt::Display) -> Error {
    Error::jetstream("store events", cause)
}

/// Where the server answers batches, which are numbered.
struct Batches {
    inbox: String,
    replies: Subscriber,
    number: u64,
}

/// How a batch ended.
struct Ending {
    /// Messages that were stored, counted from its first.
    stored: usize,
    /// Why it did not go on.
    refusal: Option<Refusal>,
}

/// An answer of the server. What it means is told by what it has.
#[derive(Deserialize)]
struct Reply {
    /// `ack`, `err` or `gap` while the batch goes on; absent from its last word.
    #[serde(rename = "type")]
    on_the_way: Option<String>,
    error: Option<Refusal>,
    /// Messages stored.
    #[serde(default)]
    count: usize,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    err_code: u64,
    description: String,
}

impl Refusal {
    fn is_about_the_sequence(&self) -> bool {
        self.err_code == ErrorCode::STREAM_WRONG_LAST_SEQUENCE.0
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.description, self.err_code)
    }
}

impl Batches {
    async fn open(client: &Client) -> Result<Self, Error> {
        let inbox = client.new_inbox();
        let replies = client.subscribe(format!("{inbox}.>")).await;
        let replies = replies.map_err(|error| Error::jetstream("listen for replies", error))?;
        Ok(Self { inbox, replies, number: 0 })
    }

    async fn put(&mut self, client: &Client, messages: Vec<Message>) -> Result<Ending, Error> {
        let count = messages.len();
        self.number += 1;
        // The server knows a batch by the token before the flow, and reads on from there.
        let name = self.inbox.rsplit('.').next().unwrap_or(&self.inbox);
        let batch = format!("{}.{name}-{}.", self.inbox, self.number);
        for (message, number) in messages.into_iter().zip(1..) {
            let operation = match number {
                last if last == count => COMMIT,
                1 => START,
                _ => APPEND,
            };
            let reply = format!("{batch}{FLOW}.fail.{number}.{operation}.$FI");
            let (headers, payload) = (message.headers(), message.payload.into());
            client
                .publish_with_reply_and_headers(message.subject, reply, headers, payload)
                .await
                .map_err(not_stored)?;
        }
        let ending = self.ending(&batch).await?;
        if ending.refusal.is_none() && ending.stored != count {
            return Err(not_stored(format!("{} of {count} were stored", ending.stored)));
        }
        Ok(ending)
    }

    async fn ending(&mut self, batch: &str) -> Result<Ending, Error> {
        let mut refusal = None;
        while let Some(reply) = self.replies.next().await {
            // Each message behind a refused one is answered, even if nobody listens any more.
            if !reply.subject.starts_with(batch) {
                continue;
            }
            if reply.status == Some(StatusCode::NO_RESPONDERS) {
                return Err(not_stored("there is no such stream"));
            }
            let reply: Reply = serde_json::from_slice(&reply.payload).map_err(not_stored)?;
            refusal = reply.error.or(refusal);
            if reply.on_the_way.is_none() {
                return Ok(Ending { stored: reply.count, refusal });
            }
        }
        Err(not_stored("the connection is closed"))
    }
}

#[cfg(test)]
#[path = "publish_tests.rs"]
mod tests;
