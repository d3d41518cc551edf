//! What makes a batch, and what is left out of it before the database is asked.

use domain::inventory;
use uuid::Uuid;

use super::*;
use crate::append::NewEvent;
use crate::recorded::Metadata;

#[test]
fn a_command_id_comes_once_in_a_batch() {
    let batch = [
        decided(1, 0, 1),
        decided(2, 1, 1),
        decided(1, 2, 1),
        decided(3, 3, 1),
    ];
    assert_eq!(batch_len(&batch.map(|(submission, _)| submission)), 2);
}

#[test]
fn a_refusal_that_its_own_batch_overtakes_is_a_conflict_and_one_decided_ahead_is_none() {
    let (accepted, _) = decided(1, 4, 2);
    let (outdated, mut told) = decided(2, 4, 0);
    let (ahead, _) = decided(3, 6, 0);

    let sound = without_outdated(vec![accepted, outdated, ahead]);

    let ids = sound.iter().map(|left| left.entry.metadata.command_id);
    assert!(ids.eq([1, 3].map(Uuid::from_u128)));
    let told = told.try_recv().unwrap();
    assert!(matches!(told, Err(Failure::Conflict { expected: 4, actual: 6 })), "{told:?}");
}

#[test]
fn what_was_decided_on_a_failed_decision_fails_with_it() {
    let epoch = Epoch::default();
    let in_epoch = |(submission, told): Decision| {
        (Submission { decided_in: Some((epoch.clone(), 0)), ..submission }, told)
    };
    let (first, _) = in_epoch(decided(1, 0, 1));
    let (second, mut told) = in_epoch(decided(2, 1, 0));
    let (stranger, _) = decided(3, 0, 0);

    first.fail(Failure::Duplicate);
    let sound = without_outdated(vec![second, stranger]);

    assert_eq!(sound.len(), 1);
    assert!(matches!(told.try_recv().unwrap(), Err(Failure::Outdated)));
    assert_eq!(epoch.now(), 1, "one failure ends an epoch once");
}

type Decision = (Submission, oneshot::Receiver<Result<Committed, Failure>>);

/// A command on the only stream, decided on a version, with so many events.
fn decided(command_id: u128, version: i64, events: i64) -> Decision {
    let command_id = Uuid::from_u128(command_id);
    let event = |n| NewEvent {
        event_id: Uuid::nil(),
        sequence: version + n,
        event_type: "inventory.received".to_owned(),
        event_version: "1".to_owned(),
        payload: "{}".into(),
        stored: "{}".into(),
        event: inventory::Event::Received { quantity: 1, reference: String::new() }.into(),
    };
    let entry = Entry {
        aggregate_type: "inventory",
        aggregate_id: "cup".to_owned(),
        events: (1..=events).map(event).collect(),
        keys: Vec::new(),
        metadata: Metadata {
            command_id,
            correlation_id: command_id,
            causation_id: None,
            actor: "staff".to_owned(),
            request_id: None,
            traceparent: None,
            reason: None,
        },
        metadata_json: "{}".into(),
        fingerprint: [0; 32],
        refusal: None,
        version: version + events,
        answer: None,
    };
    let (reply, told) = oneshot::channel();
    (Submission { entry, decided_in: None, reply }, told)
}
