//! Commands whose ids follow from their cause, so that a repeated step meets its receipt.

use domain::ids::OrderId;
use sha2::{Digest as _, Sha256};
use store::command::Envelope;
use store::recorded::RecordedEvent;
use uuid::Uuid;

/// What made a worker act, and the request that stands behind it, if one does.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    /// The event; or a name for what is in no log, such as a deadline or a callback.
    pub(crate) id: Uuid,
    request_id: Option<String>,
    traceparent: Option<String>,
}

impl Cause {
    /// Something that no request stands behind.
    pub(crate) fn named(id: Uuid) -> Self {
        Self { id, request_id: None, traceparent: None }
    }
}

impl From<&RecordedEvent> for Cause {
    fn from(event: &RecordedEvent) -> Self {
        Self {
            id: event.event_id,
            request_id: event.metadata.request_id.clone(),
            traceparent: event.metadata.traceparent.clone(),
        }
    }
}

/// The id of a step that a cause leads to (RFC 9562, version 5).
pub(crate) fn id(cause: Uuid, step: &str) -> Uuid {
    Uuid::new_v5(&cause, step.as_bytes())
}

/// A worker's command about an order.
pub(crate) fn envelope(
    actor: &str,
    order_id: OrderId,
    cause: &Cause,
    step: &str,
    reason: Option<String>,
) -> Envelope {
    let command_id = id(cause.id, step);
    Envelope {
        command_id,
        // The id says it all: the same cause and step are the same request.
        fingerprint: Sha256::digest(command_id.as_bytes()).into(),
        correlation_id: order_id.0,
        causation_id: Some(cause.id),
        actor: actor.to_owned(),
        request_id: cause.request_id.clone(),
        traceparent: cause.traceparent.clone(),
        reason,
        expected_version: None,
    }
}
