//! Money that its provider has taken back is refunded no more, until it is given back.

use super::*;
use crate::aggregate::Decider as _;
use crate::attempt::{Attempt, Terms};
use crate::ids::RefundId;
use crate::payment::{Command, Unmatched};
use crate::testing::{by_card, gbp, given, noon, order_id, refund_id};

#[test]
fn a_dispute_takes_its_money_once_and_gives_it_back_once() {
    given::<Payment>(&captured())
        .when(withdrawn(1, 1850))
        .then(&[charged_back(1, 1850)]);
    let taken = [captured(), vec![charged_back(1, 1850)]].concat();
    given::<Payment>(&taken).when(withdrawn(1, 1850)).then(&[]);
    given::<Payment>(&taken)
        .when(reinstated(1, 1850))
        .then(&[reversed(1, 1850)]);
    let back = [taken, vec![reversed(1, 1850)]].concat();
    for command in [withdrawn(1, 1850), reinstated(1, 1850)] {
        given::<Payment>(&back).when(command).then(&[]);
    }
}

#[test]
fn what_comes_back_is_what_was_taken() {
    let taken = [captured(), vec![charged_back(1, 700)]].concat();
    given::<Payment>(&taken)
        .when(reinstated(1, 699))
        .then(&[reversed(1, 700)]);
}

#[test]
fn a_dispute_that_is_won_before_anybody_heard_of_it_changes_nothing_for_good() {
    let both = [charged_back(1, 1850), reversed(1, 1850)];
    given::<Payment>(&captured())
        .when(reinstated(1, 1850))
        .then(&both);
    // What was said before that arrives late.
    let history = [captured(), both.to_vec()].concat();
    given::<Payment>(&history)
        .when(withdrawn(1, 1850))
        .then(&[]);
    assert_eq!(Payment::replay(&history).refundable_minor(), 1850);
}

#[test]
fn what_is_charged_back_is_not_refunded_and_what_is_given_back_may_be() {
    let taken = [captured(), vec![charged_back(1, 1000)]].concat();
    let payment = Payment::replay(&taken);
    assert_eq!((payment.charged_back_minor(), payment.refundable_minor()), (1000, 850));
    given::<Payment>(&taken)
        .when(refund(1, 851))
        .then_refused(&Refusal::RefundTooLarge { left_minor: 850 });
    given::<Payment>(&taken)
        .when(refund(1, 850))
        .then(&[requested(1, 850)]);
    let back = [taken, vec![reversed(1, 1000)]].concat();
    given::<Payment>(&back)
        .when(refund(1, 1850))
        .then(&[requested(1, 1850)]);
}

#[test]
fn what_had_been_refunded_may_be_charged_back_all_the_same() {
    let gone = Event::Refunded {
        refund_id: refund_id(1),
        amount_minor: 1850,
        provider_reference: "r".into(),
    };
    let refunded = [captured(), vec![requested(1, 1850), gone]].concat();
    given::<Payment>(&refunded)
        .when(withdrawn(1, 1850))
        .then(&[charged_back(1, 1850)]);
    let lost = [refunded, vec![charged_back(1, 1850)]].concat();
    assert_eq!(Payment::replay(&lost).refundable_minor(), 0, "and no less");
    given::<Payment>(&lost)
        .when(refund(2, 1))
        .then_refused(&Refusal::RefundTooLarge { left_minor: 0 });
}

#[test]
fn only_money_that_came_in_is_charged_back_and_only_in_its_currency() {
    let euros = Money { minor: 1850, currency: "EUR".parse().unwrap() };
    for amount in [euros, gbp(0), gbp(-1)] {
        given::<Payment>(&captured())
            .when(said("a", 1, amount, Funds::Withdrawn))
            .then_refused(&Refusal::NothingCameIn);
    }
    given::<Payment>(&opened())
        .when(withdrawn(1, 1850))
        .then_refused(&Refusal::NothingCameIn);
    given::<Payment>(&captured())
        .when(said("b", 1, gbp(1850), Funds::Withdrawn))
        .then_refused(&Refusal::UnknownAttempt { reference: "b".into() });
    given::<Payment>(&[])
        .when(withdrawn(1, 1850))
        .then_refused(&Refusal::NotOpen);
}

#[test]
fn what_nobody_asked_for_is_not_given_back_once_it_is_charged_back() {
    let theirs = Unmatched {
        gateway: "stripe".into(),
        reference: "a".into(),
        provider_reference: "p".into(),
        received: gbp(1850),
        told_at: noon(),
    };
    let reason = || "closed".to_owned();
    let failed =
        Event::RefundFailed { refund_id: refund_id(1), amount_minor: 1850, reason: reason() };
    let history = [
        Event::UnmatchedReceived(theirs.clone()),
        requested(1, 1850),
        failed,
    ];
    given::<Payment>(&history)
        .when(withdrawn(1, 1850))
        .then(&[charged_back(1, 1850)]);
    let gone = [history.to_vec(), vec![charged_back(1, 1850)]].concat();
    given::<Payment>(&gone)
        .when(Command::GiveBackUnmatched {
            money: theirs,
            refund_id: refund_id(2),
            reason: reason(),
        })
        .then_refused(&Refusal::GivenBack);
}

fn opened() -> Vec<Event> {
    let terms = Terms { order_id: order_id(1), amount: gbp(1850), pay_by: noon() };
    let attempt =
        Attempt { reference: "a".into(), choice: by_card(), started_at: noon(), instead_of: None };
    vec![Event::Opened(terms), Event::AttemptStarted(attempt)]
}

fn captured() -> Vec<Event> {
    let captured = Event::Captured {
        reference: "a".into(),
        provider_reference: "p".into(),
        received: gbp(1850),
        assessment: None,
    };
    [opened(), vec![captured]].concat()
}

fn said(reference: &str, n: u8, amount: Money, funds: Funds) -> Command {
    let (dispute, reason) = (dispute(n), "fraudulent".into());
    let chargeback = Chargeback { dispute, amount, reason, funds };
    Command::RecordChargeback { reference: reference.into(), chargeback }
}

fn withdrawn(n: u8, minor: i64) -> Command {
    said("a", n, gbp(minor), Funds::Withdrawn)
}

fn reinstated(n: u8, minor: i64) -> Command {
    said("a", n, gbp(minor), Funds::Reinstated)
}

fn dispute(n: u8) -> String {
    format!("dp_{n}")
}

fn charged_back(n: u8, amount_minor: i64) -> Event {
    let (dispute, reason) = (dispute(n), "fraudulent".into());
    Event::ChargedBack { reference: "a".into(), dispute, amount_minor, reason }
}

fn reversed(n: u8, amount_minor: i64) -> Event {
    Event::ChargebackReversed { reference: "a".into(), dispute: dispute(n), amount_minor }
}

fn refund(n: u128, amount_minor: i64) -> Command {
    let reason = "broken".into();
    Command::Refund { refund_id: refund_id(n), amount_minor, reference: None, reason }
}

fn requested(n: u128, amount_minor: i64) -> Event {
    let (refund_id, reference): (RefundId, _) = (refund_id(n), Some("a".to_owned()));
    Event::RefundRequested { refund_id, amount_minor, reference, reason: "broken".into() }
}
