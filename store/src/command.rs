//! What goes into the journal with a command, and what comes back for it.

use cqrs_es::Aggregate;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::recorded::Metadata;

/// SHA-256 of a request, by which the journal tells a repetition from another request.
pub type Fingerprint = [u8; 32];

/// A command's id and origin.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Acts at most once, for ever.
    pub command_id: Uuid,
    /// Of the whole request.
    pub fingerprint: Fingerprint,
    /// See [`Metadata`].
    pub correlation_id: Uuid,
    /// See [`Metadata`].
    pub causation_id: Option<Uuid>,
    /// See [`Metadata`].
    pub actor: String,
    /// See [`Metadata`].
    pub request_id: Option<String>,
    /// See [`Metadata`].
    pub traceparent: Option<String>,
    /// See [`Metadata`].
    pub reason: Option<String>,
    /// The aggregate's version that the caller acts on (`If-Match`); `None` for any.
    pub expected_version: Option<i64>,
}

impl Envelope {
    pub(crate) fn metadata(&self) -> Metadata {
        Metadata {
            command_id: self.command_id,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            actor: self.actor.clone(),
            request_id: self.request_id.clone(),
            traceparent: self.traceparent.clone(),
            reason: self.reason.clone(),
        }
    }
}

/// What the caller is told, kept byte for byte with the receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: String,
}

/// A decision, before it is committed: the caller words its answer from it.
#[derive(Debug)]
pub enum Decided<'a, A: Aggregate> {
    /// New facts, possibly none.
    Accepted {
        /// The aggregate with the new facts applied.
        state: &'a A,
        /// Its version with them.
        version: i64,
        /// The new facts.
        events: &'a [A::Event],
    },
    /// The rules said no.
    Refused(&'a A::Error),
    /// The caller acted on another version.
    VersionMismatch {
        /// What the caller expected.
        expected: i64,
        /// What it is.
        actual: i64,
    },
}

/// How a command ended, as its receipt remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict<R> {
    /// Done.
    Accepted,
    /// The rules said no.
    Refused(R),
    /// The caller acted on another version.
    VersionMismatch {
        /// What the caller expected.
        expected: i64,
        /// What it was.
        actual: i64,
    },
    /// Turned away before it reached an aggregate; the answer says why.
    TurnedAway,
}

/// The journal's word on one command; the same word every time it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt<R> {
    /// How it ended.
    pub verdict: Verdict<R>,
    /// `order`, `payment`, `inventory`, `product`, `person`, `listing`, `categories`, `vendor`,
    /// `promotion`, `delivery`.
    pub aggregate_type: String,
    /// Which one.
    pub aggregate_id: String,
    /// Its version after the command.
    pub version: i64,
    /// Position of the command's first event, or of the log's head where it had none.
    pub first_position: i64,
    /// Position of its last.
    pub last_position: i64,
    /// What the caller is told.
    pub answer: Option<Answer>,
    /// Whether this is a repetition of an earlier command's receipt.
    pub replayed: bool,
}

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The command id was used for another request.
    #[error("this command id was used for another request")]
    KeyReused,
    /// Others kept changing the aggregate.
    #[error("{stream} keeps changing: expected version {expected}, found {actual}")]
    Conflict {
        /// Type and id.
        stream: String,
        /// What the decision was based on.
        expected: i64,
        /// What the log held.
        actual: i64,
    },
    /// The queue to the log is full.
    #[error("too many commands are waiting")]
    Overloaded,
    /// The log cannot be reached; whether the command was done will be known when it is asked again.
    #[error("the journal is unavailable: {0}")]
    Unavailable(String),
    /// Stored events cannot be read, or stored answers not understood.
    #[error("the journal is corrupt: {0}")]
    Corrupt(String),
}
