//! What a payment answers when a provider was not reached and another is to be asked instead.

use super::*;

/// `b` in place of `a`, a moment before the deadline.
fn falls_back() -> Command {
    falls_back_on("b")
}

fn falls_back_on(reference: &str) -> Command {
    let attempt = standing_in(reference, "a");
    Command::FallBack { reference: "a".into(), reason: "not_reached".into(), attempt }
}

fn standing_in(reference: &str, instead_of: &str) -> Attempt {
    Attempt { instead_of: Some(instead_of.into()), ..attempt(reference) }
}

fn fell_back() -> Vec<Event> {
    let declined = Event::Declined { reference: "a".into(), reason: "not_reached".into() };
    vec![declined, Event::AttemptStarted(standing_in("b", "a"))]
}

#[test]
fn one_decision_ends_an_attempt_and_starts_the_one_that_stands_in_for_it() {
    given::<Payment>(&opened())
        .when(falls_back())
        .then(&fell_back());
}

#[test]
fn an_attempt_that_was_reached_or_is_over_is_not_replaced() {
    let twice = [opened(), fell_back()].concat();
    for history in [
        and(accepted("a")),
        and(got("a")),
        and(got_less("a")),
        and(declined("a")),
        [voided(), vec![declined("a")]].concat(),
        twice,
    ] {
        given::<Payment>(&history).when(falls_back()).then(&[]);
    }
}

#[test]
fn nothing_is_tried_instead_once_nothing_is_to_be_paid() {
    given::<Payment>(&[])
        .when(falls_back())
        .then_refused(&Refusal::NotOpen);
    given::<Payment>(&voided())
        .when(falls_back())
        .then_refused(&Refusal::AlreadyVoided);
    let paid_by_another = [and(declined("a")), vec![started("b"), got("a")]].concat();
    let attempt = standing_in("c", "b");
    let command =
        Command::FallBack { reference: "b".into(), reason: "not_reached".into(), attempt };
    given::<Payment>(&paid_by_another)
        .when(command)
        .then_refused(&Refusal::AlreadyCaptured);
    given::<Payment>(&opened())
        .when(Command::FallBack {
            reference: "z".into(),
            reason: "not_reached".into(),
            attempt: standing_in("b", "z"),
        })
        .then_refused(&Refusal::UnknownAttempt { reference: "z".into() });
}

#[test]
fn nothing_is_tried_instead_after_the_deadline() {
    let started_at = terms().pay_by + chrono::TimeDelta::milliseconds(1);
    let attempt = Attempt { started_at, ..standing_in("b", "a") };
    given::<Payment>(&opened())
        .when(Command::FallBack { reference: "a".into(), reason: "not_reached".into(), attempt })
        .then_refused(&Refusal::TooLate);
}

#[test]
fn a_stand_in_has_a_reference_of_its_own_and_counts_among_the_attempts() {
    given::<Payment>(&opened())
        .when(falls_back_on("a"))
        .then_refused(&Refusal::ReferenceUsed { reference: "a".into() });
    let mut history = vec![Event::Opened(terms())];
    for n in 1..ATTEMPTS_MAX {
        let name = format!("attempt-{n}");
        history.extend([started(&name), declined(&name)]);
    }
    history.push(started("a"));
    given::<Payment>(&history)
        .when(falls_back())
        .then_refused(&Refusal::TooManyAttempts);
}

#[test]
fn what_an_attempt_stands_in_for_is_known_over_any_number_of_steps() {
    let names = |history: &[Event], of: &str| {
        let payment = Payment::replay(history);
        let tried = payment.stands_in_for(of);
        tried
            .map(|tried| tried.attempt.reference.clone())
            .collect::<Vec<_>>()
    };
    let mut history = [opened(), fell_back()].concat();
    history.push(declined("b"));
    history.push(Event::AttemptStarted(standing_in("c", "b")));
    assert_eq!(names(&history, "c"), ["c", "b", "a"]);
    history.extend([declined("c"), started("d")]);
    assert_eq!(names(&history, "d"), ["d"], "the customer tried again");
    assert_eq!(names(&history, "z"), Vec::<String>::new());
}

#[test]
fn money_of_an_attempt_that_was_said_not_to_be_reached_is_money_all_the_same() {
    let history = [opened(), fell_back()].concat();
    let captures_a =
        || Command::RecordOutcome { reference: "a".into(), outcome: captures(gbp(1850)) };
    given::<Payment>(&history)
        .when(captures_a())
        .then(&[got("a")]);
    let history = [history, vec![got("b")]].concat();
    given::<Payment>(&history)
        .when(captures_a())
        .then(&[got_again("a")]);
}
