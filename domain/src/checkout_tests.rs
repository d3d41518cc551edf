//! The checkout row by row: what each fact leads to, wherever the order stands.

use super::examples::*;
use super::*;
use crate::testing::{an_order, gbp, refund_id};

#[test]
fn a_placed_order_reserves_every_article_once() {
    let mut checkout = Checkout::default();
    let mut placing = an_order();
    placing.lines.push(crate::testing::line("cup", 3, 400));
    let intents = checkout.react(Fact::OrderPlaced(Box::new(placing)));
    assert_eq!(intents, Ok(vec![reserve("cup", 5), reserve("pot", 1)]));
    assert_eq!(checkout.stage(), Stage::Reserving);
}

#[test]
fn the_way_from_order_to_goods() {
    walk(
        Stage::Idle,
        [
            (placed(), vec![reserve("cup", 2), reserve("pot", 1)], Stage::Reserving),
            (held("pot"), vec![], Stage::Reserving),
            (held("cup"), vec![Intent::ProcessOrder], Stage::Reserved),
            (Fact::OrderProcessing, vec![open()], Stage::AwaitingPayment),
            (Fact::PaymentDeclined, vec![], Stage::AwaitingPayment),
            (captured(), vec![confirm()], Stage::Confirming),
            (Fact::OrderConfirmed, vec![], Stage::Confirmed),
            (Fact::OrderCompleted, vec![issue("cup"), issue("pot")], Stage::Completed),
        ],
    );
}

#[test]
fn an_order_that_is_out_of_stock_lets_the_rest_go_and_says_what_was_short() {
    for (first, second, released) in [
        (held("cup"), short("pot"), vec![release("cup")]),
        (short("pot"), held("cup"), vec![release("cup")]),
    ] {
        let failed = [released, vec![fail_short(&["pot"])]].concat();
        let steps = [
            (first, vec![], Stage::Reserving),
            (second, failed, Stage::Abandoned),
        ];
        walk(Stage::Reserving, steps);
    }
    walk(
        Stage::Reserving,
        [
            (short("pot"), vec![], Stage::Reserving),
            (short("cup"), vec![fail_short(&["cup", "pot"])], Stage::Abandoned),
        ],
    );
}

#[test]
fn an_order_that_is_cancelled_while_its_stock_is_asked_for_keeps_none_of_it() {
    walk(
        Stage::Reserving,
        [
            (held("cup"), vec![], Stage::Reserving),
            (Fact::OrderCancelled, vec![release("cup")], Stage::Abandoned),
            (held("pot"), vec![release("pot")], Stage::Abandoned),
        ],
    );
    walk(
        Stage::Reserving,
        [
            (Fact::OrderCancelled, vec![], Stage::Abandoned),
            (short("pot"), vec![], Stage::Abandoned),
            (held("cup"), vec![release("cup")], Stage::Abandoned),
        ],
    );
}

#[test]
fn an_order_that_is_cancelled_lets_its_stock_go_and_asks_for_no_more_money() {
    let stock = vec![release("cup"), release("pot")];
    let money = |intent| [vec![intent], stock.clone()].concat();
    for (from, intents) in [
        (Stage::Reserved, stock.clone()),
        (Stage::AwaitingPayment, money(void())),
        // Its money came in first, so that goes back.
        (Stage::Confirming, money(goes_back(1850, "the order was cancelled"))),
        (Stage::HeldPaid, money(goes_back(1850, "the order was cancelled"))),
        (Stage::Held, stock.clone()),
        // The order asks for its refund itself.
        (Stage::Confirmed, stock.clone()),
        // Its stock went back when it timed out.
        (Stage::TimedOut, vec![]),
        (Stage::Abandoned, vec![]),
    ] {
        walk(from, [(Fact::OrderCancelled, intents, Stage::Abandoned)]);
    }
}

#[test]
fn an_order_that_has_moved_on_leaves_the_rest_to_the_fact_that_moved_it() {
    for (from, to) in [
        (Stage::Held, Stage::Held),
        (Stage::Reserved, Stage::Reserved),
        (Stage::HeldPaid, Stage::HeldPaid),
        (Stage::Confirming, Stage::Confirming),
        (Stage::TimedOut, Stage::Abandoned),
        (Stage::Abandoned, Stage::Abandoned),
    ] {
        walk(from, [(Fact::OrderMovedOn, vec![], to)]);
    }
}

#[test]
fn an_order_that_is_not_paid_in_time_fails_and_lets_its_stock_go() {
    let mut checkout = at(Stage::AwaitingPayment);
    assert_eq!(checkout.deadline(), Some(an_order().pay_by));
    let failed = Intent::FailOrder(Failure::PaymentTimedOut);
    let intents = checkout.react(Fact::DeadlinePassed);
    assert_eq!(intents, Ok(vec![failed, void(), release("cup"), release("pot")]));
    assert_eq!((checkout.stage(), checkout.deadline()), (Stage::TimedOut, None));
}

#[test]
fn a_deadline_runs_only_while_money_or_staff_are_awaited() {
    for stage in STAGES {
        let for_money = (stage == Stage::AwaitingPayment).then_some(an_order().pay_by);
        let is_held = matches!(stage, Stage::Held | Stage::HeldPaid);
        let expected = for_money.or(is_held.then_some(review_by()));
        assert_eq!(at(stage).deadline(), expected, "{stage:?}");
    }
}

#[test]
fn late_money_gets_its_goods_if_they_are_still_there() {
    walk(
        Stage::TimedOut,
        [
            (captured(), vec![reserve("cup", 2), reserve("pot", 1)], Stage::Rereserving),
            (held("cup"), vec![], Stage::Rereserving),
            (held("pot"), vec![confirm()], Stage::Confirming),
            (Fact::OrderConfirmed, vec![], Stage::Confirmed),
            (Fact::OrderCompleted, vec![issue("cup"), issue("pot")], Stage::Completed),
        ],
    );
}

#[test]
fn late_money_goes_back_if_the_goods_are_gone() {
    let back = vec![
        release("cup"),
        goes_back(1850, "paid too late: out of stock"),
    ];
    walk(
        Stage::Rereserving,
        [
            (short("pot"), vec![], Stage::Rereserving),
            (held("cup"), back, Stage::Abandoned),
        ],
    );
}

#[test]
fn late_money_goes_back_if_the_order_was_cancelled_meanwhile() {
    for fact in [Fact::OrderCancelled, Fact::OrderMovedOn] {
        let back = vec![goes_back(1850, "the order was cancelled"), release("pot")];
        walk(
            Stage::Rereserving,
            [
                (held("pot"), vec![], Stage::Rereserving),
                (fact, back, Stage::Abandoned),
                (Fact::OrderCancelled, vec![], Stage::Abandoned),
                (Fact::OrderMovedOn, vec![], Stage::Abandoned),
                (held("cup"), vec![release("cup")], Stage::Abandoned),
            ],
        );
    }
    walk(
        Stage::TimedOut,
        [
            (Fact::OrderCancelled, vec![], Stage::Abandoned),
            (
                captured(),
                vec![goes_back(1850, "the order had been given up")],
                Stage::Abandoned,
            ),
        ],
    );
}

#[test]
fn money_that_comes_in_twice_goes_back_once() {
    let again = Fact::PaymentCapturedAgain { reference: "b".into(), received: gbp(1850) };
    for stage in AFTER_MONEY {
        let back = vec![goes_back_by("b", 1850, "it was paid twice")];
        walk(stage, [(again.clone(), back, stage)]);
    }
}

#[test]
fn a_wrong_amount_goes_back_and_ends_an_unpaid_order() {
    let reason = "GBP 18.50 was asked for, GBP 18.49 came in";
    let wrong =
        Fact::PaymentMismatched { reference: "a".into(), expected: gbp(1850), received: gbp(1849) };
    let back = vec![
        Intent::CallStaff { reason: reason.into() },
        goes_back_by("a", 1849, reason),
    ];
    let failed = vec![Intent::FailOrder(Failure::PaymentMismatched), void()];
    let all = [failed, back.clone(), vec![release("cup"), release("pot")]].concat();
    walk(Stage::AwaitingPayment, [(wrong.clone(), all, Stage::Abandoned)]);
    for stage in AFTER_MONEY {
        walk(stage, [(wrong.clone(), back.clone(), stage)]);
    }
}

#[test]
fn money_under_another_reference_confirms_nothing_and_calls_staff() {
    let misnamed = Fact::PaymentMisnamed { reference: "a".into(), named: "z".into() };
    let reason = "the provider was asked about a and spoke of z".to_owned();
    let call = Intent::CallStaff { reason };
    let ends = vec![
        Intent::FailOrder(Failure::PaymentMismatched),
        void(),
        call.clone(),
        release("cup"),
        release("pot"),
    ];
    walk(Stage::AwaitingPayment, [(misnamed.clone(), ends, Stage::Abandoned)]);
    for stage in AFTER_MONEY {
        walk(stage, [(misnamed.clone(), vec![call.clone()], stage)]);
    }
}

#[test]
fn money_that_cannot_be_given_back_in_the_orders_currency_takes_a_person() {
    let euros = Money { minor: 1850, currency: "EUR".parse().unwrap() };
    for received in [euros, gbp(0), gbp(-5)] {
        let wrong =
            Fact::PaymentMismatched { reference: "a".into(), expected: gbp(1850), received };
        let reason = format!("GBP 18.50 was asked for, {received} came in");
        let call = Intent::CallStaff { reason };
        walk(Stage::Confirmed, [(wrong, vec![call], Stage::Confirmed)]);
    }
}

#[test]
fn a_refund_is_paid_out_and_then_settled_with_the_order() {
    for stage in [Stage::Confirmed, Stage::Completed, Stage::Abandoned] {
        walk(
            stage,
            [
                (asked(1, 900, None), vec![pay_out(1, 900)], stage),
                (paid_out(1), vec![settle(1)], stage),
            ],
        );
    }
}

#[test]
fn a_refund_that_fails_is_told_to_the_order_and_to_a_person() {
    let fact =
        Fact::PaymentRefundFailed { refund_id: refund_id(1), reason: "account closed".into() };
    let reason = format!("refund {} failed: account closed", refund_id(1));
    let call = Intent::CallStaff { reason };
    let fail = Intent::FailRefund { refund_id: refund_id(1), reason: "account closed".into() };
    let asked = (asked(1, 900, None), vec![pay_out(1, 900)], Stage::Completed);
    let failed = (fact, vec![fail, call], Stage::Completed);
    walk(Stage::Completed, [asked, failed]);
}

#[test]
fn money_that_never_belonged_to_the_order_goes_back_again_before_a_person_is_called() {
    let mut checkout = at(Stage::Abandoned);
    checkout.react(captured()).unwrap();
    for name in 1..=6 {
        checkout.name_own_refund(refund_id(name));
        let fact = Fact::PaymentRefundFailed {
            refund_id: refund_id(name),
            reason: "account closed".into(),
        };
        let reason = format!("refund {} failed: account closed", refund_id(name));
        let (payment_id, failed) = (an_order().payment_id, refund_id(name));
        let expected = if name < 6 {
            Intent::RefundAgain { payment_id, failed, reason }
        } else {
            Intent::CallStaff { reason }
        };
        assert_eq!(checkout.react(fact.clone()), Ok(vec![expected]), "{name}");
        assert!(checkout.react(fact).is_err(), "it is known no longer");
    }
}

#[test]
fn money_that_came_back_after_it_was_paid_out_goes_back_again_and_a_person_is_called() {
    let paid = (
        paid_out(1),
        vec![Intent::SettleRefund { refund_id: refund_id(1) }],
        Stage::Completed,
    );
    let asked = (asked(1, 900, None), vec![pay_out(1, 900)], Stage::Completed);
    let fact =
        Fact::PaymentRefundReturned { refund_id: refund_id(1), reason: "account closed".into() };
    let reason = format!("refund {} was paid out and came back: account closed", refund_id(1));
    let (payment_id, failed) = (an_order().payment_id, refund_id(1));
    let call = Intent::CallStaff { reason: reason.clone() };
    let again = Intent::RefundAgain { payment_id, failed, reason };
    walk(Stage::Completed, [asked, paid, (fact, vec![call, again], Stage::Completed)]);
}

#[test]
fn a_person_is_called_about_money_that_is_charged_back_and_the_stock_stays_where_it_is() {
    let fact = || Fact::PaymentChargedBack {
        dispute: "dp_1".into(),
        amount_minor: 1850,
        reason: "fraudulent".into(),
    };
    for stage in [Stage::Confirmed, Stage::Completed, Stage::Abandoned] {
        let reason = "GBP 18.50 was charged back (dp_1): fraudulent".to_owned();
        walk(stage, [(fact(), vec![Intent::CallStaff { reason }], stage)]);
    }
    assert!(at(Stage::Reserved).react(fact()).is_err(), "nothing was asked for yet");
}

#[test]
fn a_refund_that_nobody_asked_for_is_out_of_place() {
    assert!(at(Stage::Completed).react(paid_out(1)).is_err());
}

#[test]
fn the_order_need_not_know_of_money_that_never_belonged_to_it() {
    let mut checkout = at(Stage::Abandoned);
    checkout.react(captured()).unwrap();
    checkout.name_own_refund(refund_id(1));
    assert_eq!(checkout.react(paid_out(1)), Ok(vec![]));
}

#[test]
fn an_order_that_is_refunded_in_full_before_its_goods_left_keeps_them_on_the_shelf() {
    let released = vec![settle(2), release("cup"), release("pot")];
    walk(
        Stage::Confirmed,
        [
            (asked(1, 900, Some("cup")), vec![pay_out(1, 900)], Stage::Confirmed),
            (asked(2, 950, Some("pot")), vec![pay_out(2, 950)], Stage::Confirmed),
            (paid_out(1), vec![settle(1)], Stage::Confirmed),
            (paid_out(2), released, Stage::Abandoned),
        ],
    );
}

#[test]
fn refunded_pieces_go_back_on_the_shelf_once_they_have_left_it() {
    walk(
        Stage::Completed,
        [
            (asked(1, 450, Some("cup")), vec![pay_out(1, 450)], Stage::Completed),
            (paid_out(1), vec![settle(1), restock(1, "cup")], Stage::Completed),
        ],
    );
    let issued = vec![issue("cup"), issue("pot"), restock(1, "cup")];
    walk(
        Stage::Confirmed,
        [
            (asked(1, 450, Some("cup")), vec![pay_out(1, 450)], Stage::Confirmed),
            (paid_out(1), vec![settle(1)], Stage::Confirmed),
            (Fact::OrderCompleted, issued, Stage::Completed),
        ],
    );
    // A refund that fails puts nothing on the shelf.
    let mut checkout = at(Stage::Completed);
    checkout.react(asked(1, 450, Some("cup"))).unwrap();
    let failed = Fact::PaymentRefundFailed { refund_id: refund_id(1), reason: "closed".into() };
    let intents = checkout.react(failed).unwrap();
    assert!(!intents.contains(&restock(1, "cup")));
}

/// What the world looks like once all of an order of five cups on two lines, and a pot, is refunded.
fn refunded_after(facts: Vec<Fact>) -> Vec<Intent> {
    let mut placing = an_order();
    placing.lines.push(crate::testing::line("cup", 3, 400));
    let total_minor = placing.total_minor();
    let mut checkout = Checkout::default();
    let received = gbp(total_minor);
    let way = [
        Fact::OrderPlaced(Box::new(placing)),
        held("cup"),
        held("pot"),
        Fact::OrderProcessing,
        Fact::PaymentCaptured { received, assessment: None },
        Fact::OrderConfirmed,
    ];
    for fact in way.into_iter().chain(facts) {
        checkout.react(fact).unwrap();
    }
    let left_minor = total_minor.saturating_sub(checkout.refunded_minor);
    checkout.react(asked(9, left_minor, None)).unwrap();
    let intents = checkout.react(paid_out(9)).unwrap();
    assert_eq!(checkout.stage(), Stage::Abandoned);
    assert!(checkout.parcels.is_empty());
    intents
}

fn call(lines: &str) -> Intent {
    let reason = format!("refunded in full after lines {lines} had left; receive what comes back");
    Intent::CallStaff { reason }
}

fn part(code: &str, quantity: u64) -> Intent {
    Intent::IssuePart { sku: code.parse().unwrap(), quantity }
}

#[test]
fn what_has_left_is_not_on_the_shelf_though_all_of_the_order_is_refunded() {
    let shipped = |lines: &[u16]| Fact::LinesShipped { lines: lines.to_vec() };
    assert_eq!(refunded_after(vec![]), [settle(9), release("cup"), release("pot")]);
    // The second line is the pot's, the third has three cups.
    assert_eq!(
        refunded_after(vec![shipped(&[3])]),
        [settle(9), part("cup", 3), release("pot"), call("3")]
    );
    assert_eq!(
        refunded_after(vec![shipped(&[3]), shipped(&[1])]),
        [settle(9), issue("cup"), release("pot"), call("1, 3")]
    );
}

#[test]
fn pieces_that_were_put_back_are_on_the_shelf_once() {
    let shipped = |lines: &[u16]| Fact::LinesShipped { lines: lines.to_vec() };
    let back = || vec![asked(1, 450, Some("cup")), paid_out(1)];
    // A cup of the first line is kept back, and the other one leaves.
    assert_eq!(
        refunded_after([back(), vec![shipped(&[1])]].concat()),
        [settle(9), part("cup", 1), release("pot"), call("1")]
    );
    // All cups had left, and one has come back.
    assert_eq!(
        refunded_after([vec![shipped(&[1, 3])], back()].concat()),
        [
            settle(9),
            issue("cup"),
            release("pot"),
            restock(1, "cup"),
            call("1, 3")
        ]
    );
}

#[test]
fn an_order_that_was_begun_before_lines_were_kept_calls_staff_to_adjust() {
    let mut checkout = at(Stage::Confirmed);
    checkout.parcels = Parcels::default();
    let mut old = serde_json::to_value(&checkout).unwrap();
    assert_eq!(old.as_object_mut().unwrap().remove("parcels"), None);
    let mut checkout: Checkout = serde_json::from_value(old).unwrap();
    for fact in [Fact::LinesShipped { lines: vec![1] }, asked(1, 1850, None)] {
        checkout.react(fact).unwrap();
    }
    let intents = checkout.react(paid_out(1)).unwrap();
    assert_eq!(intents[..3], [settle(1), release("cup"), release("pot")]);
    let [Intent::CallStaff { reason }] = &intents[3..] else {
        panic!("{intents:?}")
    };
    assert!(reason.contains("adjust"), "{reason}");
}

#[test]
fn what_no_row_expects_changes_nothing_and_is_reported() {
    for (stage, expected) in ROWS {
        for fact in one_of_each_fact() {
            let mut checkout = at(stage);
            let before = checkout.clone();
            let name = serde_json::to_value(&fact).unwrap()["fact"].clone();
            let answer = checkout.react(fact.clone());
            let in_place = expected.contains(&name.as_str().unwrap());
            assert_eq!(answer.is_ok(), in_place, "{name} while {stage:?}");
            if let Err(out_of_place) = answer {
                assert_eq!(out_of_place, OutOfPlace { stage, fact: Box::new(fact) });
                assert_eq!(checkout, before);
            }
        }
    }
}

#[test]
fn a_checkout_and_what_it_hears_survive_being_written_down() {
    for stage in STAGES {
        let checkout = at(stage);
        let written = serde_json::to_string(&checkout).unwrap();
        assert_eq!(serde_json::from_str::<Checkout>(&written).unwrap(), checkout);
    }
    for fact in one_of_each_fact() {
        let written = serde_json::to_string(&fact).unwrap();
        assert_eq!(serde_json::from_str::<Fact>(&written).unwrap(), fact);
    }
}

/// Where more money may come in than the first capture.
const AFTER_MONEY: [Stage; 7] = [
    Stage::Confirming,
    Stage::HeldPaid,
    Stage::Confirmed,
    Stage::Completed,
    Stage::Rereserving,
    Stage::TimedOut,
    Stage::Abandoned,
];

/// What may be heard where; refunds are answered wherever their name is known.
#[rustfmt::skip]
const ROWS: [(Stage, &[&str]); 12] = [
    (Stage::Idle,            &["order_placed"]),
    (Stage::Reserving,       &["stock_reserved", "stock_short", "order_cancelled",
                               "order_approved", "order_refused",]),
    (Stage::Held,            &["order_moved_on", "order_cancelled", "order_approved",
                               "order_refused", "deadline_passed",]),
    (Stage::Reserved,        &["order_processing", "order_moved_on", "order_cancelled",]),
    (Stage::AwaitingPayment, &["order_cancelled", "payment_captured", "payment_captured_again",
                               "payment_mismatched", "payment_misnamed", "payment_declined",
                               "deadline_passed",
                               "payment_refund_returned", "payment_charged_back",]),
    (Stage::Confirming,      &["order_confirmed", "order_moved_on", "order_cancelled",
                               "order_held", "order_refused",
                               "payment_captured_again", "payment_mismatched", "payment_misnamed",
                               "payment_declined", "deadline_passed",
                               "payment_refund_returned", "payment_charged_back",]),
    (Stage::HeldPaid,        &["order_moved_on", "order_cancelled", "order_approved",
                               "order_refused",
                               "payment_captured_again", "payment_mismatched", "payment_misnamed",
                               "payment_declined", "deadline_passed",
                               "payment_refund_returned", "payment_charged_back",]),
    (Stage::Confirmed,       &["lines_shipped", "order_completed", "order_cancelled", "refund_requested",
                               "payment_captured_again", "payment_mismatched", "payment_misnamed",
                               "payment_declined", "deadline_passed",
                               "payment_refund_returned", "payment_charged_back",]),
    (Stage::Completed,       &["refund_requested",
                               "payment_captured_again", "payment_mismatched", "payment_misnamed",
                               "payment_declined", "deadline_passed",
                               "payment_refund_returned", "payment_charged_back",]),
    (Stage::Rereserving,     &["stock_reserved", "stock_short", "order_moved_on", "order_cancelled",
                               "payment_captured_again", "payment_mismatched", "payment_misnamed",
                               "payment_declined", "deadline_passed",
                               "payment_refund_returned", "payment_charged_back",]),
    (Stage::TimedOut,        &["order_moved_on", "order_cancelled", "payment_captured",
                               "payment_captured_again", "payment_mismatched", "payment_misnamed",
                               "payment_declined", "deadline_passed",
                               "payment_refund_returned", "payment_charged_back",]),
    (Stage::Abandoned,       &["stock_reserved", "stock_short", "order_moved_on", "order_cancelled",
                               "order_approved", "order_refused", "refund_requested", "payment_captured",
                               "payment_captured_again", "payment_mismatched", "payment_misnamed",
                               "payment_declined", "deadline_passed",
                               "payment_refund_returned", "payment_charged_back",]),
];
