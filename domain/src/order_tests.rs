//! What an order answers, stage by stage, and what no sequence of questions can make it do.

use super::*;
use crate::refunding::GoodsPart;
use crate::testing::{an_order, gbp, given, refund_id};

#[test]
fn placing_an_order_fixes_its_lines_and_its_total() {
    given::<Order>(&[])
        .when(Command::Place(Box::new(an_order())))
        .then(&[placed()]);
    let order = Order::replay(&[placed()]);
    assert_eq!((order.stage(), order.total()), (Stage::Pending, Some(gbp(1850))));
    assert_eq!(order.currency(), Some(an_order().currency));
    assert_eq!(order.payment_id(), Some(an_order().payment_id));
}

#[test]
#[rustfmt::skip]
fn every_stage_answers_every_command_with_a_fact_or_a_reason() {
    use Refusal::*;

    let yes = || None;
    let no = Some::<Refusal>;
    let cancelled_unpaid = vec![placed(), cancelled()];
    let cancelled_paid = [paid(), vec![cancelled()]].concat();
    let table = [
        // history           Process                Confirm                Complete               Cancel                 Fail                   Refund
        (vec![],            [no(NotPlaced),         no(NotPlaced),         no(NotPlaced),         no(NotPlaced),         no(NotPlaced),         no(NotPlaced)]),
        (vec![placed()],    [yes(),                 no(StillPending),      no(StillPending),      yes(),                 yes(),                 no(NotPaid)]),
        (processing(),      [no(AlreadyProcessing), yes(),                 no(NotPaid),           yes(),                 yes(),                 no(NotPaid)]),
        (paid(),            [no(AlreadyConfirmed),  no(AlreadyConfirmed),  yes(),                 yes(),                 no(AlreadyConfirmed),  yes()]),
        (completed(),       [no(AlreadyCompleted),  no(AlreadyCompleted),  no(AlreadyCompleted),  no(AlreadyCompleted),  no(AlreadyCompleted),  yes()]),
        (cancelled_unpaid,  [no(AlreadyCancelled),  no(AlreadyCancelled),  no(AlreadyCancelled),  no(AlreadyCancelled),  no(AlreadyCancelled),  no(AlreadyCancelled)]),
        (cancelled_paid,    [no(AlreadyCancelled),  no(AlreadyCancelled),  no(AlreadyCancelled),  no(AlreadyCancelled),  no(AlreadyCancelled),  yes()]),
        (out_of_stock(),    [no(AlreadyFailed),     no(AlreadyFailed),     no(AlreadyFailed),     no(AlreadyFailed),     no(AlreadyFailed),     no(AlreadyFailed)]),
        (mismatched(),      [no(AlreadyFailed),     no(AlreadyFailed),     no(AlreadyFailed),     no(AlreadyFailed),     no(AlreadyFailed),     no(AlreadyFailed)]),
        (timed_out(),       [no(AlreadyFailed),     yes(),                 no(AlreadyFailed),     no(AlreadyFailed),     no(AlreadyFailed),     no(AlreadyFailed)]),
        (refunded(),        [no(AlreadyRefunded),   no(AlreadyRefunded),   no(AlreadyRefunded),   no(AlreadyRefunded),   no(AlreadyRefunded),   no(AlreadyRefunded)]),
    ];
    for (history, answers) in table {
        let order = Order::replay(&history);
        let commands = [
            Command::Process,
            confirm(1850),
            Command::Complete,
            cancel(1),
            Command::Fail(Failure::PaymentTimedOut),
            refund(1, Ask::Rest),
        ];
        for (command, answer) in commands.into_iter().zip(answers) {
            let what = format!("{command:?} while {:?}", order.stage());
            assert_eq!(order.decide(command).err(), answer, "{what}");
        }
    }
}

#[test]
fn an_order_is_placed_once() {
    for history in [
        vec![placed()],
        paid(),
        completed(),
        out_of_stock(),
        refunded(),
    ] {
        given::<Order>(&history)
            .when(Command::Place(Box::new(an_order())))
            .then_refused(&Refusal::AlreadyPlaced);
    }
}

#[test]
fn a_refund_that_nobody_asked_for_is_neither_settled_nor_failed() {
    for history in [
        vec![placed()],
        processing(),
        paid(),
        completed(),
        timed_out(),
        refunded(),
    ] {
        given::<Order>(&history)
            .when(Command::SettleRefund { refund_id: refund_id(7) })
            .then_refused(&Refusal::NoSuchRefund);
        given::<Order>(&history)
            .when(fail_refund(7))
            .then_refused(&Refusal::NoSuchRefund);
    }
    given::<Order>(&[])
        .when(Command::SettleRefund { refund_id: refund_id(7) })
        .then_refused(&Refusal::NotPlaced);
}

#[test]
fn an_order_goes_from_placed_to_completed_one_fact_at_a_time() {
    for (history, command, event) in [
        (vec![placed()], Command::Process, Event::Processing),
        (processing(), confirm(1850), Event::Confirmed { captured_minor: 1850 }),
        (paid(), Command::Complete, Event::Completed),
    ] {
        given::<Order>(&history).when(command).then(&[event]);
    }
    let order = Order::replay(&completed());
    assert_eq!((order.stage(), order.captured_minor()), (Stage::Completed, 1850));
}

#[test]
fn an_order_that_is_given_up_says_why() {
    for history in [vec![placed()], processing()] {
        for failure in [
            Failure::OutOfStock { skus: vec!["cup".parse().unwrap()] },
            Failure::PaymentTimedOut,
            Failure::PaymentMismatched,
        ] {
            given::<Order>(&history)
                .when(Command::Fail(failure.clone()))
                .then(&[Event::Failed(failure)]);
        }
    }
}

#[test]
fn an_order_that_cannot_be_placed_leaves_no_trace() {
    let placing = Placing { lines: vec![], ..an_order() };
    given::<Order>(&[])
        .when(Command::Place(Box::new(placing)))
        .then_refused(&Refusal::LineCount { lines: 0 });
}

#[test]
fn no_order_is_confirmed_without_exactly_its_total_in_its_currency() {
    let euros = Money { minor: 1850, currency: "EUR".parse().unwrap() };
    for history in [processing(), timed_out()] {
        for captured in [gbp(1849), gbp(1851), gbp(0), gbp(-1850), euros] {
            given::<Order>(&history)
                .when(Command::Confirm { captured })
                .then_refused(&Refusal::CaptureMismatch { expected: gbp(1850), captured });
        }
    }
}

#[test]
fn late_money_confirms_an_order_that_failed_for_want_of_payment() {
    given::<Order>(&timed_out())
        .when(confirm(1850))
        .then(&[Event::Confirmed { captured_minor: 1850 }]);
    let revived = [timed_out(), vec![Event::Confirmed { captured_minor: 1850 }]].concat();
    assert_eq!(Order::replay(&revived).stage(), Stage::Confirmed);
    given::<Order>(&revived)
        .when(Command::Complete)
        .then(&[Event::Completed]);
}

#[test]
fn an_unpaid_order_is_cancelled_without_a_refund() {
    for history in [vec![placed()], processing()] {
        given::<Order>(&history)
            .when(cancel(1))
            .then(&[cancelled()]);
    }
}

#[test]
fn a_paid_order_is_cancelled_together_with_its_money() {
    given::<Order>(&paid()).when(cancel(1)).then(&[
        cancelled(),
        Event::RefundRequested(everything(1, "changed my mind")),
    ]);
}

#[test]
fn cancelling_gives_back_only_what_no_other_refund_has_taken() {
    let (history, part) = asked(&paid(), 1, Ask::Amount(1000));
    assert_eq!(part.amount_minor, 1000);
    let (_, rest) = requested(&history, cancel(2));
    assert_eq!(rest.amount_minor, 850);

    let (history, _) = asked(&paid(), 1, Ask::Rest);
    given::<Order>(&history)
        .when(cancel(2))
        .then(&[cancelled()]);
}

#[test]
fn a_refund_has_a_name_that_no_refund_of_the_order_had_before() {
    let (pending, part) = asked(&paid(), 1, Ask::Amount(100));
    let settled = [pending.clone(), vec![Event::Refunded(part)]].concat();
    let failed = [pending.clone(), vec![refund_failed(1, 100)]].concat();
    for history in [pending, settled, failed] {
        for command in [refund(1, Ask::Rest), cancel(1)] {
            given::<Order>(&history)
                .when(command)
                .then_refused(&Refusal::RefundExists);
        }
        // Before anything else that is wrong with it.
        given::<Order>(&history)
            .when(refund(1, Ask::Amount(-1)))
            .then_refused(&Refusal::RefundExists);
    }
}

#[test]
fn a_refund_that_is_paid_out_is_settled_as_it_was_asked_for() {
    let (history, part) = asked(&paid(), 1, Ask::Amount(1000));
    given::<Order>(&history)
        .when(Command::SettleRefund { refund_id: refund_id(1) })
        .then(&[Event::Refunded(part.clone())]);

    let settled = [history, vec![Event::Refunded(part)]].concat();
    let order = Order::replay(&settled);
    assert_eq!((order.stage(), order.refunded_minor()), (Stage::Confirmed, 1000));
    given::<Order>(&settled)
        .when(Command::SettleRefund { refund_id: refund_id(1) })
        .then_refused(&Refusal::NoSuchRefund);
}

#[test]
fn an_order_is_refunded_once_all_of_its_money_has_gone_back() {
    for history in [paid(), completed()] {
        let (history, part) = asked(&history, 1, Ask::Amount(1000));
        let history = [history, vec![Event::Refunded(part)]].concat();
        assert_ne!(Order::replay(&history).stage(), Stage::Refunded);
        let (history, rest) = asked(&history, 2, Ask::Rest);
        assert_ne!(Order::replay(&history).stage(), Stage::Refunded);
        let history = [history, vec![Event::Refunded(rest)]].concat();
        assert_eq!(Order::replay(&history).stage(), Stage::Refunded);
    }
}

#[test]
fn a_cancelled_order_stays_cancelled_when_its_money_has_gone_back() {
    let all = everything(1, "changed my mind");
    let history = [
        paid(),
        vec![
            cancelled(),
            Event::RefundRequested(all.clone()),
            Event::Refunded(all),
        ],
    ]
    .concat();
    assert_eq!(Order::replay(&history).stage(), Stage::Cancelled);
    given::<Order>(&history)
        .when(refund(2, Ask::Rest))
        .then_refused(&Refusal::NothingToRefund);
}

#[test]
fn what_is_on_its_way_back_cannot_be_refunded_again() {
    let (history, _) = asked(&paid(), 1, Ask::Rest);
    for ask in [Ask::Rest, Ask::Amount(1), Ask::Amount(0)] {
        given::<Order>(&history)
            .when(refund(2, ask))
            .then_refused(&Refusal::NothingToRefund);
    }
}

#[test]
fn money_that_could_not_go_back_may_be_asked_for_again() {
    let (history, _) = asked(&paid(), 1, Ask::Rest);
    given::<Order>(&history)
        .when(fail_refund(1))
        .then(&[refund_failed(1, 1850)]);
    let history = [history, vec![refund_failed(1, 1850)]].concat();
    let (_, again) = asked(&history, 2, Ask::Rest);
    assert_eq!(again, everything(2, "broken"));
    given::<Order>(&history)
        .when(fail_refund(1))
        .then_refused(&Refusal::NoSuchRefund);
}

#[test]
fn goods_do_not_leave_once_all_of_their_money_is_on_its_way_back() {
    let (history, part) = asked(&paid(), 1, Ask::Amount(1849));
    given::<Order>(&history)
        .when(Command::Complete)
        .then(&[Event::Completed]);

    let (history, _) = asked(&[history, vec![Event::Refunded(part)]].concat(), 2, Ask::Amount(1));
    given::<Order>(&history)
        .when(Command::Complete)
        .then_refused(&Refusal::BeingRefunded);

    let history = [history, vec![refund_failed(2, 1)]].concat();
    given::<Order>(&history)
        .when(Command::Complete)
        .then(&[Event::Completed]);
}

fn placed() -> Event {
    Event::Placed(Box::new(an_order()))
}

fn processing() -> Vec<Event> {
    vec![placed(), Event::Processing]
}

fn paid() -> Vec<Event> {
    [
        processing(),
        vec![Event::Confirmed { captured_minor: 1850 }],
    ]
    .concat()
}

fn completed() -> Vec<Event> {
    [paid(), vec![Event::Completed]].concat()
}

fn cancelled() -> Event {
    Event::Cancelled { reason: "changed my mind".into() }
}

fn out_of_stock() -> Vec<Event> {
    let skus = vec!["cup".parse().unwrap()];
    vec![placed(), Event::Failed(Failure::OutOfStock { skus })]
}

fn timed_out() -> Vec<Event> {
    [processing(), vec![Event::Failed(Failure::PaymentTimedOut)]].concat()
}

fn mismatched() -> Vec<Event> {
    [
        processing(),
        vec![Event::Failed(Failure::PaymentMismatched)],
    ]
    .concat()
}

fn refunded() -> Vec<Event> {
    let all = everything(99, "broken");
    [
        completed(),
        vec![Event::RefundRequested(all.clone()), Event::Refunded(all)],
    ]
    .concat()
}

fn everything(name: u128, reason: &str) -> Refund {
    let part = |sku: &str, amount_minor| {
        let sku = sku.parse().unwrap();
        GoodsPart { sku, amount_minor, quantity: 0 }
    };
    Refund {
        refund_id: refund_id(name),
        amount_minor: 1850,
        goods: vec![part("cup", 900), part("pot", 600)],
        shipping_minor: 350,
        restock: vec![],
        reason: reason.into(),
    }
}

fn refund_failed(name: u128, amount_minor: i64) -> Event {
    Event::RefundFailed {
        refund_id: refund_id(name),
        amount_minor,
        reason: "account closed".into(),
    }
}

fn confirm(captured_minor: i64) -> Command {
    Command::Confirm { captured: gbp(captured_minor) }
}

fn cancel(name: u128) -> Command {
    Command::Cancel { reason: "changed my mind".into(), refund_id: refund_id(name) }
}

fn refund(name: u128, ask: Ask) -> Command {
    Command::Refund { refund_id: refund_id(name), ask, reason: "broken".into() }
}

fn fail_refund(name: u128) -> Command {
    Command::FailRefund { refund_id: refund_id(name), reason: "account closed".into() }
}

/// The history after a refund was asked for, and the refund.
fn asked(history: &[Event], name: u128, ask: Ask) -> (Vec<Event>, Refund) {
    requested(history, refund(name, ask))
}

fn requested(history: &[Event], command: Command) -> (Vec<Event>, Refund) {
    let events = Order::replay(history).decide(command).unwrap();
    let Some(Event::RefundRequested(refund)) = events.last().cloned() else {
        panic!("no refund was requested, but {events:?}")
    };
    ([history.to_vec(), events].concat(), refund)
}
