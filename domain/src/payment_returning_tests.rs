//! Money that was paid out and did not arrive; and what only looks like it.

use super::*;

#[test]
fn money_that_was_paid_out_and_came_back_may_be_refunded_again_and_comes_back_once() {
    let settled = [captured(), vec![requested(1, 1850), settled(1, 1850)]].concat();
    let back = Event::RefundReturned {
        refund_id: refund_id(1),
        amount_minor: 1850,
        reference: Some("a".into()),
        reason: "account closed".into(),
    };
    given::<Payment>(&settled)
        .when(returned(1))
        .then(std::slice::from_ref(&back));
    let history = [settled, vec![back]].concat();
    let payment = Payment::replay(&history);
    assert_eq!((payment.refunded_minor(), payment.refundable_minor()), (0, 1850));
    for command in [returned(1), fail(1)] {
        given::<Payment>(&history)
            .when(command)
            .then_refused(&Refusal::NoSuchRefund);
    }
    given::<Payment>(&history)
        .when(refund(2, 1850))
        .then(&[requested(2, 1850)]);
}

/// The call that asked for it is answered after a webhook has said that it is paid out.
#[test]
fn a_late_word_of_the_call_that_asked_for_it_returns_nothing() {
    let settled = [captured(), vec![requested(1, 1850), settled(1, 1850)]].concat();
    given::<Payment>(&settled)
        .when(fail(1))
        .then_refused(&Refusal::NoSuchRefund);
}

#[test]
fn what_was_not_paid_out_does_not_come_back() {
    let pending = [captured(), vec![requested(1, 1000)]].concat();
    for history in [captured(), pending] {
        given::<Payment>(&history)
            .when(returned(1))
            .then_refused(&Refusal::NoSuchRefund);
    }
}

fn returned(name: u128) -> Command {
    Command::ReturnRefund { refund_id: refund_id(name), reason: "account closed".into() }
}
