//! Commands whose ids follow from their cause, so that a repeated step meets its receipt.
//!
//! An id is a `UUIDv8` (RFC 9562): the first 48 bits of its cause, the rest from SHA-256 of cause
//! and step. Events are named by `UUIDv7`, whose first 48 bits are their time; so the receipts of
//! what follows from them lie beside each other in the index, not on a page of its own each.
//!
//! Older builds derived `UUIDv5`. What follows from events up to where such a build had come keeps
//! its version 5: the step may have been executed under it, and the rules of the aggregates alone
//! would not keep every step from acting twice (stock that a refund puts back on the shelf). What
//! is named without an event (deadlines, callbacks, questions) does not need it: a deadline's
//! commands are refused the second time, and what a provider says again is no news.

use domain::ids::OrderId;
use sha2::{Digest as _, Sha256};
use store::command::{Envelope, Fingerprint};
use store::recorded::RecordedEvent;
use uuid::{Builder, Uuid};

/// Bytes that an id shares with its cause: the time in a `UUIDv7`.
const SHARED_BYTES: usize = 6;

/// What made a worker act, and the request that stands behind it, if one does.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    /// The event; or a name for what is in no log, such as a deadline or a callback.
    id: Uuid,
    /// Which version the ids of its steps have.
    version: Version,
    request_id: Option<String>,
    traceparent: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V5,
    V8,
}

impl Cause {
    /// An event. Those up to the given position keep the ids of older builds.
    pub(crate) fn event(event: &RecordedEvent, version_5_to: i64) -> Self {
        let is_old = event.position <= version_5_to;
        Self {
            id: event.event_id,
            version: if is_old { Version::V5 } else { Version::V8 },
            request_id: event.metadata.request_id.clone(),
            traceparent: event.metadata.traceparent.clone(),
        }
    }

    /// Something that no request stands behind.
    pub(crate) fn named(id: Uuid) -> Self {
        Self { id, version: Version::V8, request_id: None, traceparent: None }
    }

    /// The id of a step that follows from it.
    pub(crate) fn leads_to(&self, step: &str) -> Uuid {
        self.step(step).0
    }

    /// The same with a fingerprint. The same cause and step are the same request, so that it says
    /// no more than the id, but for bits that an id has no room for.
    fn step(&self, step: &str) -> (Uuid, Fingerprint) {
        match self.version {
            Version::V5 => {
                let id = Uuid::new_v5(&self.id, step.as_bytes());
                (id, Sha256::digest(id.as_bytes()).into())
            }
            Version::V8 => version_8(self.id, step),
        }
    }
}

/// The id of a step that a cause leads to: always the same one.
pub(crate) fn id(cause: Uuid, step: &str) -> Uuid {
    version_8(cause, step).0
}

fn version_8(cause: Uuid, step: &str) -> (Uuid, Fingerprint) {
    let digest: Fingerprint = Sha256::new()
        .chain_update(cause)
        .chain_update(step)
        .finalize()
        .into();
    let mut bytes = cause.into_bytes();
    let own = bytes.iter_mut().skip(SHARED_BYTES);
    own.zip(digest).for_each(|(byte, from)| *byte = from);
    (Builder::from_custom_bytes(bytes).into_uuid(), digest)
}

/// A worker's command about an order.
pub(crate) fn envelope(
    actor: &str,
    order_id: OrderId,
    cause: &Cause,
    step: &str,
    reason: Option<String>,
) -> Envelope {
    let (command_id, fingerprint) = cause.step(step);
    Envelope {
        command_id,
        fingerprint,
        correlation_id: order_id.0,
        causation_id: Some(cause.id),
        actor: actor.to_owned(),
        request_id: cause.request_id.clone(),
        traceparent: cause.traceparent.clone(),
        reason,
        expected_version: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_follows_from_cause_and_step_and_from_nothing_else() {
        let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
        assert_eq!(id(one, "confirm"), id(one, "confirm"));
        assert_ne!(id(one, "confirm"), id(one, "process"));
        assert_ne!(id(one, "confirm"), id(other, "confirm"));
        let (named, again) = (Cause::named(one), Cause::named(one));
        assert_eq!(named.leads_to("confirm"), again.leads_to("confirm"));
    }

    #[test]
    fn an_id_is_a_version_8_that_sorts_by_the_time_of_its_cause() {
        let cause: Uuid = "019a0000-1234-7abc-8def-0123456789ab".parse().unwrap();
        let derived = id(cause, "confirm");
        assert_eq!(derived.to_string().split_at(14).0, "019a0000-1234-");
        assert_eq!(derived.get_version_num(), 8);
        assert_eq!(derived.get_variant(), uuid::Variant::RFC4122);
        let later: Uuid = "019a0000-1235-7000-8000-000000000000".parse().unwrap();
        assert!(derived < id(later, "confirm"));
        assert!(derived < id(id(later, "a deadline"), "fail"), "over any number of steps");
    }

    #[test]
    fn what_an_older_build_may_have_done_keeps_its_id() {
        let cause = Uuid::now_v7();
        let old = Cause { version: Version::V5, ..Cause::named(cause) };
        let id = Uuid::new_v5(&cause, b"confirm");
        let fingerprint = Sha256::digest(id.as_bytes()).into();
        assert_eq!(old.step("confirm"), (id, fingerprint));
    }
}
