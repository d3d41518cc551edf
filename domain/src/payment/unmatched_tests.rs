//! Money that nobody asked for goes back, once, and pays no order.

use super::*;
use crate::attempt::{Attempt, Terms};
use crate::payment::{Command, Outcome};
use crate::testing::{by_card, gbp, given, noon, order_id, refund_id};

#[test]
fn what_nobody_asked_for_is_taken_down_and_goes_back_in_one_decision() {
    given::<Payment>(&[])
        .when(give_back(1, gbp(1850)))
        .then(&[received(gbp(1850)), requested(1, 1850)]);
}

#[test]
fn it_goes_back_once_however_often_it_is_asked_for() {
    let being = [received(gbp(1850)), requested(1, 1850)];
    given::<Payment>(&being)
        .when(give_back(2, gbp(1850)))
        .then_refused(&Refusal::BeingGivenBack);
    given::<Payment>(&being)
        .when(give_back(1, gbp(1850)))
        .then_refused(&Refusal::RefundExists);
    given::<Payment>(&[received(gbp(1850)), requested(1, 1850), refunded(1, 1850)])
        .when(give_back(2, gbp(1850)))
        .then_refused(&Refusal::GivenBack);
}

#[test]
fn what_could_not_go_back_may_be_tried_again_but_never_more_than_came_in() {
    let history = [received(gbp(1850)), requested(1, 1850), failed(1, 1850)];
    // Whatever the provider says came in by now.
    given::<Payment>(&history)
        .when(give_back(2, gbp(9999)))
        .then(&[requested(2, 1850)]);
    given::<Payment>(&history)
        .when(give_back(1, gbp(1850)))
        .then_refused(&Refusal::RefundExists);
}

#[test]
fn nothing_gives_nothing_back() {
    for minor in [0, -1] {
        given::<Payment>(&[])
            .when(give_back(1, gbp(minor)))
            .then_refused(&Refusal::NothingCameIn);
    }
}

#[test]
fn its_refund_moves_like_any_other() {
    let history = [received(gbp(1850)), requested(1, 1850)];
    let accepted =
        || Event::RefundAccepted { refund_id: refund_id(1), provider_reference: "r-1".into() };
    let named = || "r-1".to_owned();
    given::<Payment>(&history)
        .when(Command::AcceptRefund { refund_id: refund_id(1), provider_reference: named() })
        .then(&[accepted()]);
    given::<Payment>(&history)
        .when(Command::SettleRefund { refund_id: refund_id(1), provider_reference: named() })
        .then(&[refunded(1, 1850)]);
    given::<Payment>(&history)
        .when(Command::FailRefund { refund_id: refund_id(1), reason: "closed".into() })
        .then(&[failed(1, 1850)]);
    given::<Payment>(&history)
        .when(Command::FailRefund { refund_id: refund_id(2), reason: "closed".into() })
        .then_refused(&Refusal::NoSuchRefund);
}

#[test]
fn no_order_is_paid_by_it_and_no_orders_money_is_taken_for_it() {
    let terms = Terms { order_id: order_id(1), amount: gbp(1850), pay_by: noon() };
    let attempt = || Attempt {
        reference: "a".into(),
        choice: by_card(),
        started_at: noon(),
        instead_of: None,
    };
    let open = Command::Open { terms, attempt: attempt() };
    let history = [received(gbp(1850)), requested(1, 1850), failed(1, 1850)];
    given::<Payment>(&history)
        .when(open)
        .then_refused(&Refusal::AlreadyOpen);
    let captured = Outcome::Captured {
        received: gbp(1850),
        provider_reference: "p-1".into(),
        assessment: None,
    };
    for command in [
        Command::StartAttempt { attempt: attempt() },
        Command::RecordOutcome { reference: "theirs".into(), outcome: captured },
        Command::Void,
        Command::Refund {
            refund_id: refund_id(2),
            amount_minor: 1,
            reference: None,
            reason: "broken".into(),
        },
    ] {
        given::<Payment>(&history)
            .when(command)
            .then_refused(&Refusal::NotOpen);
    }
    given::<Payment>(&[Event::Opened(terms), Event::AttemptStarted(attempt())])
        .when(give_back(1, gbp(1850)))
        .then_refused(&Refusal::AlreadyOpen);
}

#[test]
fn what_became_of_it_is_told() {
    use crate::aggregate::Decider as _;

    let state = |history: &[Event]| Payment::replay(history).giving_back();
    let (came, asked) = (received(gbp(1850)), requested(1, 1850));
    assert_eq!(state(&[]), None);
    assert_eq!(state(&[came.clone(), asked.clone()]), Some(GivingBack::Pending));
    let history = [came.clone(), asked.clone(), failed(1, 1850)];
    assert_eq!(state(&history), Some(GivingBack::Failed));
    assert_eq!(state(&[came, asked, refunded(1, 1850)]), Some(GivingBack::Settled));

    let payment = Payment::replay(&history);
    assert_eq!((payment.captured_minor(), payment.refundable_minor()), (1850, 1850));
    assert_eq!(payment.terms(), None);
}

fn theirs(received: Money) -> Unmatched {
    Unmatched {
        gateway: "sandbox".into(),
        reference: "theirs".into(),
        provider_reference: "p-1".into(),
        received,
        told_at: noon(),
    }
}

fn give_back(name: u128, money: Money) -> Command {
    let (money, refund_id) = (theirs(money), refund_id(name));
    Command::GiveBackUnmatched { money, refund_id, reason: "nobody's".into() }
}

fn received(money: Money) -> Event {
    Event::UnmatchedReceived(theirs(money))
}

fn requested(name: u128, amount_minor: i64) -> Event {
    let (refund_id, reference) = (refund_id(name), Some("theirs".into()));
    Event::RefundRequested { refund_id, amount_minor, reference, reason: "nobody's".into() }
}

fn refunded(name: u128, amount_minor: i64) -> Event {
    let provider_reference = "r-1".into();
    Event::Refunded { refund_id: refund_id(name), amount_minor, provider_reference }
}

fn failed(name: u128, amount_minor: i64) -> Event {
    Event::RefundFailed { refund_id: refund_id(name), amount_minor, reason: "closed".into() }
}
