//! Lanes by themselves: who is called when, what is written down, and what the mark may pass.

use std::collections::HashMap;
use std::time::Instant;

use domain::ids::PaymentId;
use uuid::Uuid;

use super::lanes::{
    Call, Ended, Lanes, OF_ONE_ASKED_MAX, OF_ONE_UNDER_WAY_MAX, OF_ONE_WAITING_MAX, PATIENCE, Why,
};
use crate::derived::Cause;
use crate::polls::{Note, Subject};

fn attempt(position: i64) -> Subject {
    let payment_id = PaymentId(Uuid::from_u128(u128::from(position.unsigned_abs())));
    Subject::Attempt { payment_id, reference: position.to_string() }
}

fn call(gateway: &str, position: i64) -> Call {
    let cause = Cause::named(Uuid::from_u128(u128::from(position.unsigned_abs())));
    let why = Why::Event { cause };
    Call { subject: attempt(position), gateway: gateway.to_owned(), why }
}

fn hear(lanes: &mut Lanes, gateway: &str, positions: impl Iterator<Item = i64>) {
    for position in positions {
        lanes.hear(call(gateway, position), position);
        lanes.have_read_to(position);
    }
}

fn next(lanes: &mut Lanes) -> Vec<Call> {
    std::iter::from_fn(|| lanes.next()).collect()
}

fn end(lanes: &mut Lanes, call: Call, now: Instant) {
    lanes.ended(Ended { call, is_open: true }, now);
}

fn planned(called: bool) -> Note {
    Note::Plan { gateway: "slow".to_owned(), called }
}

#[test]
fn the_mark_never_passes_a_call_that_waits_or_is_under_way() {
    let mut lanes = Lanes::after(6);
    assert_eq!(lanes.mark(), 6);
    hear(&mut lanes, "slow", 7..10);
    assert_eq!(lanes.mark(), 6, "all wait");
    let mut calls = next(&mut lanes);
    assert_eq!(lanes.mark(), 6, "all are under way");
    let now = Instant::now();
    let first = calls.remove(0);
    end(&mut lanes, calls.pop().unwrap(), now);
    assert!(lanes.notes(now + PATIENCE).contains_key(&attempt(9)));
    assert_eq!(lanes.mark(), 6, "the oldest are still under way");
    end(&mut lanes, first, now);
    assert_eq!(lanes.mark(), 6, "it has no answer yet");
    assert_eq!(lanes.notes(now), HashMap::new());
    let notes = lanes.notes(now + PATIENCE);
    assert_eq!(notes, HashMap::from([(attempt(7), planned(true))]));
    assert_eq!(lanes.mark(), 7, "its question is planned, 8 is under way");
    lanes.hear_answer(attempt(8));
    assert_eq!(lanes.mark(), 9);
}

#[test]
fn what_is_answered_in_time_is_never_written_down() {
    let mut lanes = Lanes::after(0);
    hear(&mut lanes, "slow", 1..4);
    lanes.hear_answer(attempt(1));
    let calls = next(&mut lanes);
    assert_eq!(calls.len(), 2, "the first was answered while it waited");
    lanes.hear_answer(attempt(2));
    let now = Instant::now();
    for call in calls {
        end(&mut lanes, call, now);
    }
    lanes.hear_answer(attempt(3));
    assert_eq!(lanes.notes(now + PATIENCE), HashMap::new());
    assert_eq!(lanes.mark(), 3);
    assert!(!lanes.have_news());
}

#[test]
fn an_answer_that_comes_after_patience_has_ended_is_written_down() {
    let mut lanes = Lanes::after(0);
    hear(&mut lanes, "slow", 1..2);
    let now = Instant::now();
    let call = next(&mut lanes).remove(0);
    end(&mut lanes, call, now);
    assert_eq!(lanes.all_notes(), HashMap::from([(attempt(1), planned(true))]));
    lanes.hear_answer(attempt(1));
    assert_eq!(lanes.notes(now), HashMap::from([(attempt(1), Note::Forget)]));
}

#[test]
fn a_provider_that_does_not_answer_keeps_nobody_waiting_but_its_own() {
    let mut lanes = Lanes::after(0);
    let many = i64::try_from(2 * OF_ONE_UNDER_WAY_MAX).unwrap();
    hear(&mut lanes, "slow", 1..many);
    assert_eq!(next(&mut lanes).len(), OF_ONE_UNDER_WAY_MAX);
    hear(&mut lanes, "quick", many..many + 3);
    assert_eq!(next(&mut lanes).len(), 3);
}

#[test]
fn calls_beyond_a_full_lane_are_written_down_and_made_when_it_has_room() {
    let mut lanes = Lanes::after(0);
    let room = i64::try_from(OF_ONE_WAITING_MAX).unwrap();
    hear(&mut lanes, "slow", 1..room + 2);
    assert_eq!(lanes.full(), ["slow"]);
    let now = Instant::now();
    let notes = lanes.notes(now);
    assert_eq!(notes, HashMap::from([(attempt(room + 1), planned(false))]));
    assert!(!lanes.are_hungry());

    while let Some(call) = lanes.next() {
        end(&mut lanes, call, now);
    }
    assert!(lanes.are_hungry());
    let late = Call { why: Why::Late, ..call("slow", room + 1) };
    lanes.ask([late.clone(), late].into_iter());
    let mut calls = next(&mut lanes);
    assert_eq!(calls.len(), 1, "the same one only once");
    let ended = Ended { call: calls.remove(0), is_open: true };
    lanes.ended(ended, now);
    let put_off = Note::PutOff { asked: 0 };
    assert_eq!(lanes.notes(now).get(&attempt(room + 1)), Some(&put_off));
    lanes.ask(std::iter::empty());
    assert!(!lanes.are_hungry(), "there are no more");
}

#[test]
fn few_questions_are_under_way_and_calls_do_not_wait_for_the_rest() {
    let mut lanes = Lanes::after(0);
    let many = i64::try_from(OF_ONE_ASKED_MAX).unwrap() + 5;
    let question = |position| Call { why: Why::Silence { asked: 0 }, ..call("slow", position) };
    lanes.ask((1..=many).map(question));
    hear(&mut lanes, "slow", many + 1..many + 4);
    let calls = next(&mut lanes);
    let about_silence = |call: &&Call| matches!(call.why, Why::Silence { .. });
    assert_eq!(calls.iter().filter(about_silence).count(), OF_ONE_ASKED_MAX);
    assert_eq!(calls.len(), OF_ONE_ASKED_MAX + 3);
    let first = calls.into_iter().next().unwrap();
    end(&mut lanes, first, Instant::now());
    assert_eq!(next(&mut lanes).len(), 1);
}

#[test]
fn a_question_is_put_off_while_it_is_open_and_forgotten_once_it_is_answered() {
    let mut lanes = Lanes::after(0);
    let question = |position| Call { why: Why::Silence { asked: 2 }, ..call("slow", position) };
    lanes.ask([question(1), question(2), question(3)].into_iter());
    assert_eq!(lanes.being_asked(), 3);
    let now = Instant::now();
    for (call, is_open) in next(&mut lanes).into_iter().zip([true, false, true]) {
        lanes.ended(Ended { call, is_open }, now);
    }
    // Answered after the question was found open.
    lanes.hear_answer(attempt(3));
    let expected = [
        (attempt(1), Note::PutOff { asked: 3 }),
        (attempt(2), Note::Forget),
        (attempt(3), Note::Forget),
    ];
    assert_eq!(lanes.notes(now), HashMap::from(expected));
    assert_eq!((lanes.being_asked(), lanes.mark()), (0, 0));
}
