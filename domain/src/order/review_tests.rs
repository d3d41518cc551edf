//! What an order answers while it is held, and to whoever speaks of holds.

use super::*;
use crate::aggregate::Decider as _;
use crate::order::Command;
use crate::screening::{Decision, Reason, SetAside};
use crate::testing::{an_order, gbp, given, noon, refund_id};

#[test]
fn an_order_is_placed_together_with_what_screening_made_of_it() {
    for (outcome, set_aside) in [
        (Outcome::Accept, None),
        (Outcome::Review, Some(SetAside::Held { review_by: noon() })),
        (Outcome::Refuse, Some(SetAside::Refused)),
    ] {
        let placed = Placing { set_aside, ..an_order() };
        let mut expected = vec![
            Event::Placed(Box::new(placed)),
            Event::Screened(screened(outcome)),
        ];
        expected.extend((outcome == Outcome::Refuse).then_some(failed()));
        given::<Order>(&[]).when(place(outcome)).then(&expected);
        let order = Order::replay(&expected);
        let (stage, review) = match outcome {
            Outcome::Accept => (Stage::Pending, Review::None),
            Outcome::Review => (Stage::Pending, Review::Held),
            Outcome::Refuse => (Stage::Failed, Review::Refused),
        };
        assert_eq!((order.stage(), order.review()), (stage, review));
        given::<Order>(&expected)
            .when(place(outcome))
            .then_refused(&Refusal::AlreadyPlaced);
    }
    let nothing = Box::new(Placing { lines: vec![], ..an_order() });
    given::<Order>(&[])
        .when(Command::PlaceScreened(nothing, screened(Outcome::Review)))
        .then_refused(&Refusal::LineCount { lines: 0 });
}

#[test]
fn a_held_order_asks_for_no_money_and_is_not_confirmed() {
    given::<Order>(&held())
        .when(Command::Process)
        .then_refused(&Refusal::HeldForReview);
    for command in [confirm(), confirm_screened(Outcome::Accept)] {
        given::<Order>(&held_paid())
            .when(command)
            .then_refused(&Refusal::HeldForReview);
    }
}

#[test]
fn staff_let_an_order_go_on_or_end_it_once() {
    for history in [held(), held_paid(), late_and_held()] {
        given::<Order>(&history).when(approve()).then(&[approved()]);
        given::<Order>(&history)
            .when(refuse())
            .then(&[refused(), failed()]);

        let on = [history.clone(), vec![approved()]].concat();
        for again in [approve(), refuse()] {
            given::<Order>(&on)
                .when(again)
                .then_refused(&Refusal::NotHeld);
        }
        let ended = [history, vec![refused(), failed()]].concat();
        for again in [approve(), refuse()] {
            given::<Order>(&ended)
                .when(again)
                .then_refused(&Refusal::AlreadyFailed);
        }
        assert_eq!(Order::replay(&ended).review(), Review::Refused);
    }
}

#[test]
fn an_approved_order_goes_on_as_if_nobody_had_looked() {
    let on = [held(), vec![approved()]].concat();
    given::<Order>(&on)
        .when(Command::Process)
        .then(&[Event::Processing]);
    let on = [held_paid(), vec![approved()]].concat();
    given::<Order>(&on)
        .when(confirm())
        .then(&[Event::Confirmed { captured_minor: 1850 }]);
    // What its payment's provider says is looked at all the same.
    let paid = [held(), vec![approved(), Event::Processing]].concat();
    given::<Order>(&paid)
        .when(confirm_screened(Outcome::Review))
        .then(&[Event::Screened(screened(Outcome::Review))]);
}

#[test]
fn what_screening_makes_of_a_payment_confirms_holds_or_ends_the_order() {
    let confirmed = Event::Confirmed { captured_minor: 1850 };
    for history in [processing(), timed_out()] {
        for (outcome, rest) in [
            (Outcome::Accept, vec![confirmed.clone()]),
            (Outcome::Review, vec![]),
            (Outcome::Refuse, vec![failed()]),
        ] {
            let expected = [vec![Event::Screened(screened(outcome))], rest].concat();
            given::<Order>(&history)
                .when(confirm_screened(outcome))
                .then(&expected);
        }
        let captured = gbp(1849);
        let screening = screened(Outcome::Accept);
        given::<Order>(&history)
            .when(Command::ConfirmScreened { captured, screening })
            .then_refused(&Refusal::CaptureMismatch { expected: gbp(1850), captured });
    }
    let order = Order::replay(&late_and_held());
    assert_eq!(
        (order.stage(), order.review()),
        (Stage::Processing, Review::Held),
        "it is alive"
    );
}

#[test]
fn a_hold_ends_by_itself_only_while_it_lasts() {
    let end = || Command::Fail(Failure::ReviewTimedOut);
    for history in [held(), held_paid()] {
        given::<Order>(&history)
            .when(end())
            .then(&[Event::Failed(Failure::ReviewTimedOut)]);
        let ended = [
            history.clone(),
            vec![Event::Failed(Failure::ReviewTimedOut)],
        ]
        .concat();
        assert_eq!(Order::replay(&ended).review(), Review::Refused);
        given::<Order>(&ended)
            .when(approve())
            .then_refused(&Refusal::AlreadyFailed);
        let on = [history, vec![approved()]].concat();
        given::<Order>(&on)
            .when(end())
            .then_refused(&Refusal::NotHeld);
    }
    given::<Order>(&processing())
        .when(end())
        .then_refused(&Refusal::NotHeld);
}

#[test]
fn a_held_order_is_cancelled_without_a_refund_of_its_own() {
    let reason = || "changed my mind".to_owned();
    for history in [held(), held_paid()] {
        let cancel = Command::Cancel { reason: reason(), refund_id: refund_id(1) };
        given::<Order>(&history)
            .when(cancel)
            .then(&[Event::Cancelled { reason: reason() }]);
        let ended = [history, vec![Event::Cancelled { reason: reason() }]].concat();
        assert_eq!(Order::replay(&ended).review(), Review::None);
        given::<Order>(&ended)
            .when(approve())
            .then_refused(&Refusal::AlreadyCancelled);
    }
}

#[test]
fn nobody_reviews_what_is_not_held() {
    given::<Order>(&[])
        .when(approve())
        .then_refused(&Refusal::NotPlaced);
    for history in [vec![placed()], processing()] {
        given::<Order>(&history)
            .when(approve())
            .then_refused(&Refusal::NotHeld);
    }
    let confirmed = [
        processing(),
        vec![Event::Confirmed { captured_minor: 1850 }],
    ]
    .concat();
    given::<Order>(&confirmed)
        .when(refuse())
        .then_refused(&Refusal::AlreadyConfirmed);
}

fn screened(outcome: Outcome) -> Screening {
    let reason = Reason { rule: "many orders".into(), outcome, detail: "4 orders".into() };
    Screening::new(Decision { outcome, reasons: vec![reason] }, noon())
}

fn place(outcome: Outcome) -> Command {
    Command::PlaceScreened(Box::new(an_order()), screened(outcome))
}

fn confirm() -> Command {
    Command::Confirm { captured: gbp(1850) }
}

fn confirm_screened(outcome: Outcome) -> Command {
    Command::ConfirmScreened { captured: gbp(1850), screening: screened(outcome) }
}

fn approve() -> Command {
    Command::Review { verdict: Verdict::Approve { pay_by: noon() }, reason: "known".into() }
}

fn refuse() -> Command {
    Command::Review { verdict: Verdict::Refuse, reason: "a stolen card".into() }
}

fn approved() -> Event {
    Event::ReviewApproved { reason: "known".into(), pay_by: noon() }
}

fn refused() -> Event {
    Event::ReviewRefused { reason: "a stolen card".into() }
}

fn failed() -> Event {
    Event::Failed(Failure::Refused)
}

fn placed() -> Event {
    Event::Placed(Box::new(an_order()))
}

fn held() -> Vec<Event> {
    vec![placed(), Event::Screened(screened(Outcome::Review))]
}

fn processing() -> Vec<Event> {
    vec![placed(), Event::Processing]
}

fn held_paid() -> Vec<Event> {
    [
        processing(),
        vec![Event::Screened(screened(Outcome::Review))],
    ]
    .concat()
}

fn timed_out() -> Vec<Event> {
    [processing(), vec![Event::Failed(Failure::PaymentTimedOut)]].concat()
}

fn late_and_held() -> Vec<Event> {
    [
        timed_out(),
        vec![Event::Screened(screened(Outcome::Review))],
    ]
    .concat()
}
