//! Commands whose ids follow from their cause, so that a repeated step meets its receipt.

use domain::ids::OrderId;
use sha2::{Digest as _, Sha256};
use store::command::Envelope;
use uuid::Uuid;

/// The id of a step that a cause leads to (RFC 9562, version 5).
pub(crate) fn id(cause: Uuid, step: &str) -> Uuid {
    Uuid::new_v5(&cause, step.as_bytes())
}

/// A worker's command about an order.
pub(crate) fn envelope(
    actor: &str,
    order_id: OrderId,
    cause: Uuid,
    step: &str,
    reason: Option<String>,
) -> Envelope {
    let command_id = id(cause, step);
    Envelope {
        command_id,
        // The id says it all: the same cause and step are the same request.
        fingerprint: Sha256::digest(command_id.as_bytes()).into(),
        correlation_id: order_id.0,
        causation_id: Some(cause),
        actor: actor.to_owned(),
        request_id: None,
        traceparent: None,
        reason,
        expected_version: None,
    }
}
