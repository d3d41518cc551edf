//! The checkout while staff have to look at an order: before anybody is asked for money, and once
//! the money is there.

use super::examples::*;
use super::*;
use crate::risk::Risk;
use crate::testing::{an_order, gbp};

#[test]
fn an_order_that_staff_have_to_see_holds_its_stock_and_asks_nobody_for_money() {
    let until_then = |code: &str, quantity| Intent::ReserveStock {
        sku: sku(code),
        quantity,
        expires_at: review_by() + chrono::TimeDelta::minutes(30),
    };
    walk(
        Stage::Idle,
        [
            (
                placed_to_be_reviewed(),
                vec![until_then("cup", 2), until_then("pot", 1)],
                Stage::Reserving,
            ),
            (held("cup"), vec![], Stage::Reserving),
            (held("pot"), vec![], Stage::Held),
        ],
    );
}

#[test]
fn an_approved_order_has_a_full_window_to_pay_from_then_on() {
    let open = {
        let Intent::OpenPayment(brief) = open() else {
            unreachable!()
        };
        Intent::OpenPayment(Brief { pay_by: new_pay_by(), ..brief })
    };
    let mut checkout = at(Stage::Held);
    assert_eq!(checkout.react(approved()), Ok(vec![Intent::ProcessOrder]));
    assert_eq!(checkout.react(Fact::OrderProcessing), Ok(vec![open]));
    assert_eq!(checkout.deadline(), Some(new_pay_by()));
}

#[test]
fn staff_may_be_faster_than_the_stock() {
    walk(
        Stage::Idle,
        [
            (placed_to_be_reviewed(), at_once(), Stage::Reserving),
            (held("cup"), vec![], Stage::Reserving),
            (approved(), vec![], Stage::Reserving),
            (held("pot"), vec![Intent::ProcessOrder], Stage::Reserved),
        ],
    );
    walk(
        Stage::Idle,
        [
            (placed_to_be_reviewed(), at_once(), Stage::Reserving),
            (held("cup"), vec![], Stage::Reserving),
            (Fact::OrderRefused, vec![release("cup")], Stage::Abandoned),
            (held("pot"), vec![release("pot")], Stage::Abandoned),
        ],
    );
    // Nothing is held that is not there, whatever staff say in that moment.
    for fact in [approved(), Fact::OrderRefused] {
        walk(
            Stage::Idle,
            [
                (placed_to_be_reviewed(), at_once(), Stage::Reserving),
                (held("cup"), vec![], Stage::Reserving),
                (short("pot"), vec![release("cup"), fail_short(&["pot"])], Stage::Abandoned),
                (fact, vec![], Stage::Abandoned),
            ],
        );
    }
}

#[test]
fn an_order_that_was_refused_as_it_was_placed_holds_nothing_and_calls_nobody() {
    let set_aside = Some(SetAside::Refused);
    let placed = Fact::OrderPlaced(Box::new(Placing { set_aside, ..an_order() }));
    walk(Stage::Idle, [(placed, vec![], Stage::Abandoned)]);
}

#[test]
fn a_refused_order_gives_back_what_it_holds() {
    let stock = vec![release("cup"), release("pot")];
    let money = [
        vec![goes_back(1850, "the order was refused")],
        stock.clone(),
    ]
    .concat();
    for (from, intents) in [
        (Stage::Held, stock),
        (Stage::Confirming, money.clone()),
        (Stage::HeldPaid, money),
    ] {
        walk(from, [(Fact::OrderRefused, intents, Stage::Abandoned)]);
    }
}

#[test]
fn a_hold_that_nobody_ends_is_ended_by_the_order() {
    for stage in [Stage::Held, Stage::HeldPaid] {
        let mut checkout = at(stage);
        assert_eq!(checkout.react(Fact::DeadlinePassed), Ok(vec![Intent::EndReview]));
        // Nothing is let go before the order has said that it has not been approved.
        assert_eq!((checkout.stage(), checkout.deadline()), (stage, None));
        let mut approved_in_time = checkout.clone();
        let intents = checkout.react(Fact::OrderRefused).unwrap();
        assert!(intents.contains(&release("cup")) && checkout.stage() == Stage::Abandoned);

        let goes_on = approved_in_time.react(approved()).unwrap();
        let expected = if stage == Stage::Held {
            Intent::ProcessOrder
        } else {
            confirm()
        };
        assert_eq!(goes_on, [expected], "approved in that very moment");
    }
}

#[test]
fn what_the_provider_says_is_looked_at_before_the_order_is_confirmed() {
    let assessment = Some(Assessment { risk: Some(Risk::Elevated), ..Assessment::default() });
    let risky = Fact::PaymentCaptured { received: gbp(1850), assessment: assessment.clone() };
    let look = Intent::ConfirmOrder { captured: gbp(1850), assessment };
    walk(
        Stage::AwaitingPayment,
        [
            (risky.clone(), vec![look.clone()], Stage::Confirming),
            (held_paid(), vec![], Stage::HeldPaid),
            // Staff have looked, so that nothing has to be looked at again.
            (approved(), vec![confirm()], Stage::Confirming),
            (Fact::OrderConfirmed, vec![], Stage::Confirmed),
        ],
    );
    // Late money is looked at once its stock is held again.
    walk(
        Stage::TimedOut,
        [
            (risky, vec![reserve("cup", 2), reserve("pot", 1)], Stage::Rereserving),
            (held("cup"), vec![], Stage::Rereserving),
            (held("pot"), vec![look], Stage::Confirming),
            (held_paid(), vec![], Stage::HeldPaid),
        ],
    );
}

#[test]
fn a_second_payment_of_a_held_order_goes_back_and_the_first_waits() {
    let again = Fact::PaymentCapturedAgain { reference: "b".into(), received: gbp(1850) };
    let mut checkout = at(Stage::HeldPaid);
    let back = vec![goes_back_by("b", 1850, "it was paid twice")];
    assert_eq!(checkout.react(again), Ok(back));
    // Refused while that refund runs: the order's own money follows it.
    checkout.name_own_refund(crate::testing::refund_id(1));
    let intents = checkout.react(Fact::OrderRefused).unwrap();
    assert_eq!(intents[0], goes_back(1850, "the order was refused"));
    assert_eq!(checkout.react(paid_out(1)), Ok(vec![]));
}

fn at_once() -> Vec<Intent> {
    Checkout::default().react(placed_to_be_reviewed()).unwrap()
}
