//! What a payment answers, whatever its providers say and however late.

#[path = "payment_falling_back_tests.rs"]
mod falling_back;
#[path = "payment_returning_tests.rs"]
mod returning;

use super::*;
use crate::money::Money;
use crate::testing::{by_card, gbp, given, noon, order_id, refund_id};

#[test]
fn a_payment_is_opened_with_its_first_attempt() {
    given::<Payment>(&[])
        .when(Command::Open { terms: terms(), attempt: attempt("a") })
        .then(&opened());
    let payment = Payment::replay(&opened());
    assert_eq!(payment.terms(), Some(&terms()));
    let tried = payment.attempt("a").unwrap();
    assert_eq!((&tried.attempt, tried.state), (&attempt("a"), AttemptState::Awaited));
    assert_eq!(payment.attempt("b"), None);
}

#[test]
fn nobody_waits_for_what_is_open_once_the_money_is_there_or_given_up() {
    for (history, wants_money, open) in [
        (vec![], true, 0),
        (opened(), true, 1),
        (and(accepted("a")), true, 1),
        (and(declined("a")), true, 0),
        (captured(), false, 0),
        (voided(), false, 1),
    ] {
        let payment = Payment::replay(&history);
        assert_eq!(payment.wants_money(), wants_money, "{history:?}");
        assert_eq!(payment.open_attempts().count(), open, "{history:?}");
    }
}

#[test]
fn a_payment_is_opened_once() {
    for history in [opened(), captured(), voided()] {
        given::<Payment>(&history)
            .when(Command::Open { terms: terms(), attempt: attempt("b") })
            .then_refused(&Refusal::AlreadyOpen);
    }
}

#[test]
fn no_money_moves_before_the_payment_is_open() {
    for command in [
        Command::StartAttempt { attempt: attempt("a") },
        Command::RecordOutcome { reference: "a".into(), outcome: captures(gbp(1850)) },
        Command::Void,
        refund(1, 100),
        settle(1),
        fail(1),
    ] {
        given::<Payment>(&[])
            .when(command)
            .then_refused(&Refusal::NotOpen);
    }
}

#[test]
#[rustfmt::skip]
fn every_state_of_an_attempt_takes_down_every_word_of_the_provider_once() {
    let none = Vec::new;
    let table = [
        // the attempt is         accepted             declined             captured
        (opened(),                [vec![accepted("a")], vec![declined("a")], vec![got("a")]]),
        (and(accepted("a")),      [none(),              vec![declined("a")], vec![got("a")]]),
        (and(declined("a")),      [none(),              none(),              vec![got("a")]]),
        (and(got("a")),           [none(),              none(),              none()]),
        (and(got_less("a")),      [none(),              none(),              none()]),
    ];
    for (history, answers) in table {
        let payment = Payment::replay(&history);
        let outcomes = [accepts(), declines(), captures(gbp(1850))];
        for (outcome, events) in outcomes.into_iter().zip(answers) {
            let what = format!("{outcome:?} while {:?}", payment.attempt("a"));
            let command = Command::RecordOutcome { reference: "a".into(), outcome };
            assert_eq!(payment.decide(command), Ok(events), "{what}");
        }
    }
}

#[test]
fn each_word_of_the_provider_moves_its_attempt() {
    for (event, state) in [
        (accepted("a"), AttemptState::Accepted),
        (declined("a"), AttemptState::Declined),
        (got("a"), AttemptState::Captured),
        (got_again("a"), AttemptState::Captured),
        (got_less("a"), AttemptState::Mismatched),
    ] {
        let payment = Payment::replay(&and(event));
        assert_eq!(payment.attempt("a").unwrap().state, state);
    }
}

#[test]
fn a_provider_that_speaks_of_an_unknown_attempt_is_refused() {
    for history in [opened(), captured(), voided()] {
        for outcome in [accepts(), declines(), captures(gbp(1850))] {
            given::<Payment>(&history)
                .when(Command::RecordOutcome { reference: "z".into(), outcome })
                .then_refused(&Refusal::UnknownAttempt { reference: "z".into() });
        }
    }
}

#[test]
fn money_that_is_not_exactly_what_was_asked_for_is_no_capture() {
    let euros = Money { minor: 1850, currency: "EUR".parse().unwrap() };
    for history in [opened(), and(accepted("a")), and(declined("a")), voided()] {
        for (received, captured_minor) in [
            (gbp(1849), 1849),
            (gbp(1851), 1851),
            (gbp(0), 0),
            (gbp(-1850), 0),
            (euros, 0),
        ] {
            given::<Payment>(&history)
                .when(Command::RecordOutcome { reference: "a".into(), outcome: captures(received) })
                .then(&[mismatched("a", received)]);
            let after = Payment::replay(history.iter().chain(&[mismatched("a", received)]));
            assert_eq!(after.captured_minor(), captured_minor, "{received}");
            assert_eq!(after.refundable_minor(), captured_minor, "{received}");
        }
    }
}

#[test]
fn money_that_comes_in_a_second_time_is_told_apart() {
    let history = [and(declined("a")), vec![started("b"), got("b")]].concat();
    given::<Payment>(&history)
        .when(Command::RecordOutcome { reference: "a".into(), outcome: captures(gbp(1850)) })
        .then(&[got_again("a")]);
    let payment = Payment::replay(history.iter().chain(&[got_again("a")]));
    assert_eq!(payment.captured_minor(), 3700);
}

#[test]
fn a_void_payment_can_still_be_captured() {
    given::<Payment>(&voided())
        .when(Command::RecordOutcome { reference: "a".into(), outcome: captures(gbp(1850)) })
        .then(&[got("a")]);
}

#[test]
fn after_a_no_the_customer_may_try_again() {
    for history in [and(declined("a")), and(got_less("a"))] {
        given::<Payment>(&history)
            .when(Command::StartAttempt { attempt: attempt("b") })
            .then(&[started("b")]);
    }
}

#[test]
fn one_attempt_is_awaited_at_a_time() {
    for history in [opened(), and(accepted("a"))] {
        given::<Payment>(&history)
            .when(Command::StartAttempt { attempt: attempt("b") })
            .then_refused(&Refusal::AttemptAwaited { reference: "a".into() });
    }
}

#[test]
fn nobody_tries_more_than_20_times() {
    let mut history = and(declined("a"));
    for n in 2..=ATTEMPTS_MAX {
        let reference = format!("a{n}");
        given::<Payment>(&history)
            .when(Command::StartAttempt { attempt: attempt(&reference) })
            .then(&[started(&reference)]);
        history.extend([started(&reference), declined(&reference)]);
    }
    given::<Payment>(&history)
        .when(Command::StartAttempt { attempt: attempt("b") })
        .then_refused(&Refusal::TooManyAttempts);
}

#[test]
fn of_several_reasons_not_to_try_again_the_first_listed_is_reported() {
    let mut history = and(declined("a"));
    for n in 2..ATTEMPTS_MAX {
        let reference = format!("a{n}");
        history.extend([started(&reference), declined(&reference)]);
    }
    history.extend([started("last")]);
    for (event, refusal) in [
        (None, Refusal::AttemptAwaited { reference: "last".into() }),
        (Some(Event::Voided), Refusal::AlreadyVoided),
        (Some(got("a")), Refusal::AlreadyCaptured),
    ] {
        history.extend(event);
        given::<Payment>(&history)
            .when(Command::StartAttempt { attempt: attempt("b") })
            .then_refused(&refusal);
    }
}

#[test]
fn no_attempt_is_started_once_the_money_is_there() {
    given::<Payment>(&captured())
        .when(Command::StartAttempt { attempt: attempt("b") })
        .then_refused(&Refusal::AlreadyCaptured);
}

#[test]
fn a_payment_is_voided_until_its_money_is_there() {
    for history in [
        opened(),
        and(accepted("a")),
        and(declined("a")),
        and(got_less("a")),
    ] {
        given::<Payment>(&history)
            .when(Command::Void)
            .then(&[Event::Voided]);
    }
    given::<Payment>(&voided())
        .when(Command::Void)
        .then_refused(&Refusal::AlreadyVoided);
    given::<Payment>(&voided())
        .when(Command::StartAttempt { attempt: attempt("b") })
        .then_refused(&Refusal::AlreadyVoided);
    for history in [captured(), [voided(), vec![got("a")]].concat()] {
        given::<Payment>(&history)
            .when(Command::Void)
            .then_refused(&Refusal::AlreadyCaptured);
    }
}

#[test]
fn money_goes_back_in_parts_until_none_is_left() {
    given::<Payment>(&captured())
        .when(refund(1, 1850))
        .then(&[requested(1, 1850)]);
    let history = [captured(), vec![requested(1, 1000)]].concat();
    given::<Payment>(&history)
        .when(refund(2, 850))
        .then(&[requested(2, 850)]);
    let payment = Payment::replay(history.iter().chain(&[settled(1, 1000)]));
    assert_eq!((payment.refunded_minor(), payment.refundable_minor()), (1000, 850));
}

#[test]
fn a_refund_is_above_zero_and_at_most_what_is_left() {
    for (history, left_minor) in [
        (opened(), 0),
        (captured(), 1850),
        (and(got_less("a")), 1849),
        ([captured(), vec![requested(1, 1000)]].concat(), 850),
        ([captured(), vec![requested(1, 1000), settled(1, 1000)]].concat(), 850),
        ([captured(), vec![requested(1, 1000), failed(1, 1000)]].concat(), 1850),
    ] {
        for amount_minor in [i64::MIN, -1, 0, left_minor + 1, i64::MAX] {
            given::<Payment>(&history)
                .when(refund(2, amount_minor))
                .then_refused(&Refusal::RefundTooLarge { left_minor });
        }
    }
}

#[test]
fn a_refund_has_a_name_that_no_refund_of_the_payment_had_before() {
    let pending = [captured(), vec![requested(1, 1000)]].concat();
    for last in [vec![], vec![settled(1, 1000)], vec![failed(1, 1000)]] {
        let history = [pending.clone(), last].concat();
        for amount_minor in [1, i64::MAX] {
            given::<Payment>(&history)
                .when(refund(1, amount_minor))
                .then_refused(&Refusal::RefundExists);
        }
    }
}

#[test]
fn a_pending_refund_is_settled_or_fails_once() {
    let pending = [captured(), vec![requested(1, 1000)]].concat();
    given::<Payment>(&pending)
        .when(settle(1))
        .then(&[settled(1, 1000)]);
    given::<Payment>(&pending)
        .when(fail(1))
        .then(&[failed(1, 1000)]);
    let payment = Payment::replay(&pending);
    assert_eq!(payment.pending_refund(refund_id(1)).unwrap().amount_minor, 1000);
    assert_eq!(payment.pending_refund(refund_id(2)), None);

    for history in [
        captured(),
        [pending.clone(), vec![settled(1, 1000)]].concat(),
        [pending, vec![failed(1, 1000)]].concat(),
    ] {
        assert_eq!(Payment::replay(&history).pending_refund(refund_id(1)), None);
        given::<Payment>(&history)
            .when(settle(1))
            .then_refused(&Refusal::NoSuchRefund);
    }
    for history in [
        captured(),
        [captured(), vec![requested(1, 1000), failed(1, 1000)]].concat(),
    ] {
        given::<Payment>(&history)
            .when(fail(1))
            .then_refused(&Refusal::NoSuchRefund);
    }
}

#[test]
fn money_that_could_not_go_back_may_be_refunded_under_another_name() {
    let history = [captured(), vec![requested(1, 1850), failed(1, 1850)]].concat();
    given::<Payment>(&history)
        .when(refund(2, 1850))
        .then(&[requested(2, 1850)]);
    assert_eq!(Payment::replay(&history).refunded_minor(), 0);
}

#[test]
fn money_that_could_not_go_back_may_go_the_same_way_again() {
    let again = |name: u128, failed: u128| Command::RefundAgain {
        refund_id: refund_id(name),
        failed: refund_id(failed),
        reason: "it failed".into(),
    };
    let mut payment = Payment::replay(&captured());
    let mut ask = |command| {
        let events = payment.decide(command)?;
        for event in &events {
            payment.evolve(event);
        }
        Ok(events)
    };
    assert_eq!(ask(again(2, 1)), Err(Refusal::NoSuchRefund));
    ask(refund_by(Some("a"), 1, 700)).unwrap();
    assert_eq!(ask(again(2, 1)), Err(Refusal::NoSuchRefund), "it is pending");
    ask(Command::FailRefund { refund_id: refund_id(1), reason: "closed".into() }).unwrap();
    assert_eq!(ask(again(1, 1)), Err(Refusal::RefundExists));
    let requested = Event::RefundRequested {
        refund_id: refund_id(2),
        amount_minor: 700,
        reference: Some("a".into()),
        reason: "it failed".into(),
    };
    assert_eq!(ask(again(2, 1)), Ok(vec![requested]));
}

#[test]
fn a_refund_goes_back_through_the_attempt_that_brought_the_money() {
    let twice = [
        and(declined("a")),
        vec![started("b"), got("b"), got_again("a")],
    ]
    .concat();
    let wrong_first = [and(got_less("a")), vec![started("b"), got("b")]].concat();
    for (history, asked_for, by) in [
        (captured(), None, "a"),
        (and(got_less("a")), None, "a"),
        (twice.clone(), None, "b"),
        (twice.clone(), Some("b"), "b"),
        (twice, Some("a"), "a"),
        // The order's own money, not what came in wrong before it.
        (wrong_first.clone(), None, "b"),
        (wrong_first, Some("a"), "a"),
    ] {
        given::<Payment>(&history)
            .when(refund_by(asked_for, 1, 1000))
            .then(&[requested_by(by, 1, 1000)]);
        let payment = Payment::replay(history.iter().chain(&[requested_by(by, 1, 1000)]));
        let pending = payment.pending_refund(refund_id(1)).unwrap();
        let Brought::Attempt(tried) = pending.brought else {
            panic!("an attempt of ours brought it")
        };
        assert_eq!((tried.attempt.reference.as_str(), pending.brought.reference()), (by, by));
        assert_eq!(tried.provider_reference.as_deref(), Some("p-1"));
    }
}

#[test]
fn no_attempt_gives_back_more_than_it_brought() {
    let twice = [
        and(declined("a")),
        vec![started("b"), got("b"), got_again("a")],
    ]
    .concat();
    given::<Payment>(&twice)
        .when(refund_by(None, 1, 1851))
        .then_refused(&Refusal::RefundTooLarge { left_minor: 1850 });
    let history = [twice, vec![requested_by("b", 1, 1850)]].concat();
    given::<Payment>(&history)
        .when(refund_by(Some("b"), 2, 1))
        .then_refused(&Refusal::RefundTooLarge { left_minor: 0 });
    given::<Payment>(&history)
        .when(refund_by(Some("z"), 2, 1))
        .then_refused(&Refusal::RefundTooLarge { left_minor: 0 });
    given::<Payment>(&history)
        .when(refund_by(None, 2, 1850))
        .then(&[requested_by("a", 2, 1850)]);
}

#[test]
fn a_refund_of_an_older_log_means_the_first_attempt_that_brought_money() {
    let second = [and(declined("a")), vec![started("b"), got("b")]].concat();
    let old = Event::RefundRequested {
        refund_id: refund_id(1),
        amount_minor: 1000,
        reference: None,
        reason: "broken".into(),
    };
    let payment = Payment::replay(second.iter().chain(&[old]));
    let pending = payment.pending_refund(refund_id(1)).unwrap();
    assert_eq!(pending.brought.reference(), "b");
}

#[test]
fn a_refund_that_the_provider_takes_on_gets_the_providers_name_once() {
    let pending = [captured(), vec![requested(1, 1000)]].concat();
    given::<Payment>(&pending)
        .when(accept_refund(1))
        .then(&[refund_accepted(1)]);
    let history = [pending.clone(), vec![refund_accepted(1)]].concat();
    given::<Payment>(&history).when(accept_refund(1)).then(&[]);
    let payment = Payment::replay(&history);
    let refund = payment.pending_refund(refund_id(1)).unwrap();
    assert_eq!(refund.provider_reference, Some("r-1"));
    for history in [captured(), [pending, vec![settled(1, 1000)]].concat()] {
        given::<Payment>(&history)
            .when(accept_refund(1))
            .then_refused(&Refusal::NoSuchRefund);
    }
}

#[test]
fn a_reference_is_used_once() {
    given::<Payment>(&and(declined("a")))
        .when(Command::StartAttempt { attempt: attempt("a") })
        .then_refused(&Refusal::ReferenceUsed { reference: "a".into() });
}

#[test]
fn money_under_another_reference_is_not_ours() {
    for history in [opened(), and(accepted("a")), and(declined("a")), voided()] {
        let outcome = Outcome::Misnamed {
            named: "z".into(),
            received: gbp(1850),
            provider_reference: "p-1".into(),
        };
        let misnamed = Event::Misnamed {
            reference: "a".into(),
            named: "z".into(),
            provider_reference: "p-1".into(),
            received: gbp(1850),
        };
        given::<Payment>(&history)
            .when(Command::RecordOutcome { reference: "a".into(), outcome })
            .then(std::slice::from_ref(&misnamed));
        let payment = Payment::replay(history.iter().chain(&[misnamed]));
        assert_eq!((payment.captured_minor(), payment.refundable_minor()), (0, 0));
        assert_eq!(payment.attempt("a").unwrap().state, AttemptState::Mismatched);
    }
}

fn terms() -> Terms {
    Terms { order_id: order_id(1), amount: gbp(1850), pay_by: noon() }
}

fn attempt(reference: &str) -> Attempt {
    Attempt {
        reference: reference.into(),
        choice: by_card(),
        started_at: noon(),
        instead_of: None,
    }
}

fn started(reference: &str) -> Event {
    Event::AttemptStarted(attempt(reference))
}

fn opened() -> Vec<Event> {
    vec![Event::Opened(terms()), started("a")]
}

fn and(event: Event) -> Vec<Event> {
    [opened(), vec![event]].concat()
}

fn captured() -> Vec<Event> {
    and(got("a"))
}

fn voided() -> Vec<Event> {
    and(Event::Voided)
}

fn accepts() -> Outcome {
    Outcome::Accepted { provider_reference: "p-1".into(), next_step: None }
}

fn declines() -> Outcome {
    Outcome::Declined { reason: "insufficient_funds".into() }
}

fn captures(received: Money) -> Outcome {
    Outcome::Captured { received, provider_reference: "p-1".into(), assessment: None }
}

fn accepted(reference: &str) -> Event {
    let (reference, provider_reference) = (reference.into(), "p-1".into());
    Event::AttemptAccepted { reference, provider_reference, next_step: None }
}

fn declined(reference: &str) -> Event {
    Event::Declined { reference: reference.into(), reason: "insufficient_funds".into() }
}

fn got(reference: &str) -> Event {
    let (reference, provider_reference) = (reference.into(), "p-1".into());
    Event::Captured { reference, provider_reference, received: gbp(1850), assessment: None }
}

fn got_again(reference: &str) -> Event {
    let (reference, provider_reference) = (reference.into(), "p-1".into());
    Event::CapturedAgain { reference, provider_reference, received: gbp(1850) }
}

fn got_less(reference: &str) -> Event {
    mismatched(reference, gbp(1849))
}

fn mismatched(reference: &str, received: Money) -> Event {
    let (reference, provider_reference) = (reference.into(), "p-1".into());
    Event::Mismatched { reference, provider_reference, expected: gbp(1850), received }
}

fn refund(name: u128, amount_minor: i64) -> Command {
    refund_by(None, name, amount_minor)
}

fn refund_by(reference: Option<&str>, name: u128, amount_minor: i64) -> Command {
    let (refund_id, reference) = (refund_id(name), reference.map(Into::into));
    Command::Refund { refund_id, amount_minor, reference, reason: "broken".into() }
}

fn requested(name: u128, amount_minor: i64) -> Event {
    requested_by("a", name, amount_minor)
}

fn requested_by(reference: &str, name: u128, amount_minor: i64) -> Event {
    let (refund_id, reference) = (refund_id(name), Some(reference.into()));
    Event::RefundRequested { refund_id, amount_minor, reference, reason: "broken".into() }
}

fn accept_refund(name: u128) -> Command {
    Command::AcceptRefund { refund_id: refund_id(name), provider_reference: "r-1".into() }
}

fn refund_accepted(name: u128) -> Event {
    Event::RefundAccepted { refund_id: refund_id(name), provider_reference: "r-1".into() }
}

fn settle(name: u128) -> Command {
    Command::SettleRefund { refund_id: refund_id(name), provider_reference: "r-1".into() }
}

fn settled(name: u128, amount_minor: i64) -> Event {
    let provider_reference = "r-1".into();
    Event::Refunded { refund_id: refund_id(name), amount_minor, provider_reference }
}

fn fail(name: u128) -> Command {
    Command::FailRefund { refund_id: refund_id(name), reason: "account closed".into() }
}

fn failed(name: u128, amount_minor: i64) -> Event {
    let reason = "account closed".into();
    Event::RefundFailed { refund_id: refund_id(name), amount_minor, reason }
}
