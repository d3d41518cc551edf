//! What an order answers to whoever ships its lines, completes it or withdraws it meanwhile.

use uuid::Uuid;

use super::*;
use crate::aggregate::Decider as _;
use crate::order::Command;
use crate::placing::Placing;
use crate::refunding::{Ask, Pieces, Restock};
use crate::testing::{an_order, given, line, noon, refund_id};

#[test]
fn a_vendor_ships_their_own_lines_and_says_how() {
    let expected = Shipment {
        carrier: Some("Royal Mail".into()),
        tracking_number: Some("JD0002".into()),
        ..shipment(Some(potts()), &[1, 3])
    };
    given::<Order>(&paid())
        .when(Command::Ship(Dispatch {
            carrier: Some("Royal Mail".into()),
            tracking_number: Some("JD0002".into()),
            ..by(potts(), Which::Left)
        }))
        .then(&[Event::LinesShipped(expected)]);
    given::<Order>(&paid())
        .when(Command::Ship(by(potts(), Which::These(vec![3, 3]))))
        .then(&[shipped(Some(potts()), &[3])]);
}

#[test]
fn another_vendors_line_the_houses_and_none_are_all_the_same_to_a_vendor() {
    for line in [0, 2, 4, 5, u16::MAX] {
        given::<Order>(&paid())
            .when(Command::Ship(by(potts(), Which::These(vec![1, line]))))
            .then_refused(&Refusal::NoSuchLine { line });
    }
    given::<Order>(&paid())
        .when(Command::Ship(by_staff(Which::These(vec![5]))))
        .then_refused(&Refusal::NoSuchLine { line: 5 });
}

#[test]
fn a_vendor_without_a_line_in_the_order_learns_nothing_of_it() {
    let nobody = VendorId(Uuid::from_u128(3));
    for history in [paid(), vec![placed()], completed()] {
        given::<Order>(&history)
            .when(Command::Ship(by(nobody, Which::Left)))
            .then_refused(&Refusal::NoLinesOfVendor);
    }
    given::<Order>(&[])
        .when(Command::Ship(by(potts(), Which::Left)))
        .then_refused(&Refusal::NotPlaced);
    assert!(Order::replay(&paid()).holds_lines_of(potts()));
    assert!(!Order::replay(&paid()).holds_lines_of(nobody));
}

#[test]
fn what_has_left_does_not_leave_again() {
    let history = [paid(), vec![shipped(Some(potts()), &[1])]].concat();
    given::<Order>(&history)
        .when(Command::Ship(by(potts(), Which::These(vec![1]))))
        .then(&[]);
    given::<Order>(&history)
        .when(Command::Ship(by(potts(), Which::These(vec![1, 3]))))
        .then(&[shipped(Some(potts()), &[3])]);
    // Nor when the order has come to its end since.
    given::<Order>(&completed())
        .when(Command::Ship(by(potts(), Which::Left)))
        .then(&[]);
}

#[test]
fn only_lines_of_a_confirmed_order_are_shipped() {
    let with = |event: Event| vec![placed(), event];
    for (history, refusal) in [
        (vec![placed()], Refusal::StillPending),
        (with(Event::Processing), Refusal::NotPaid),
        (with(Event::Cancelled { reason: "no".into() }), Refusal::AlreadyCancelled),
        (
            with(Event::Failed(crate::order::Failure::PaymentTimedOut)),
            Refusal::AlreadyFailed,
        ),
    ] {
        given::<Order>(&history)
            .when(Command::Ship(by(potts(), Which::Left)))
            .then_refused(&refusal);
    }
    let house = [
        vec![Event::Placed(Box::new(an_order())), Event::Processing],
        vec![Event::Confirmed { captured_minor: 1850 }, Event::Completed],
    ];
    given::<Order>(&house.concat())
        .when(Command::Ship(by_staff(Which::Left)))
        .then_refused(&Refusal::AlreadyCompleted);
}

#[test]
fn the_shipment_after_which_no_line_is_left_completes_the_order() {
    let history = [
        paid(),
        vec![shipped(Some(potts()), &[1, 3]), shipped(None, &[4])],
    ];
    given::<Order>(&history.concat())
        .when(Command::Ship(by(wedge(), Which::Left)))
        .then(&[shipped(Some(wedge()), &[2]), Event::Completed]);
    given::<Order>(&paid())
        .when(Command::Ship(by_staff(Which::Left)))
        .then(&[shipped(None, &[1, 2, 3, 4]), Event::Completed]);
}

#[test]
fn staff_complete_an_order_once_its_vendors_have_shipped_and_say_nothing_of_the_houses_lines() {
    let history = [paid(), vec![shipped(Some(potts()), &[1, 3])]].concat();
    given::<Order>(&history)
        .when(Command::Complete)
        .then_refused(&Refusal::NotShipped { lines: 1 });
    given::<Order>(&[history, vec![shipped(Some(wedge()), &[2])]].concat())
        .when(Command::Complete)
        .then(&[Event::Completed]);
}

#[test]
fn what_is_refunded_is_neither_shipped_nor_waited_for() {
    // All of the pot, which is Wedge's.
    let history = refunded(&paid(), "pot", 1);
    given::<Order>(&history)
        .when(Command::Ship(by(wedge(), Which::These(vec![2]))))
        .then_refused(&Refusal::LineRefunded { line: 2 });
    given::<Order>(&history)
        .when(Command::Ship(by(wedge(), Which::Left)))
        .then_refused(&Refusal::BeingRefunded);
    let history = [history, vec![shipped(Some(potts()), &[1, 3])]].concat();
    given::<Order>(&history)
        .when(Command::Complete)
        .then(&[Event::Completed]);
    given::<Order>(&history)
        .when(Command::Ship(by_staff(Which::Left)))
        .then(&[shipped(None, &[4]), Event::Completed]);
    // Some of the cups: the others are to be sent.
    given::<Order>(&refunded(&paid(), "cup", 1))
        .when(Command::Ship(by(potts(), Which::Left)))
        .then(&[shipped(Some(potts()), &[1, 3])]);
}

#[test]
fn nothing_leaves_once_all_of_the_money_is_on_its_way_back() {
    let refund = Order::replay(&paid()).decide(refund(Ask::Rest)).unwrap();
    given::<Order>(&[paid(), refund].concat())
        .when(Command::Ship(by_staff(Which::Left)))
        .then_refused(&Refusal::BeingRefunded);
}

#[test]
fn what_is_on_its_way_is_not_withdrawn_but_refunded() {
    let history = [paid(), vec![shipped(Some(potts()), &[1])]].concat();
    given::<Order>(&history)
        .when(Command::Cancel { reason: "changed my mind".into(), refund_id: refund_id(1) })
        .then_refused(&Refusal::AlreadyShipped);
    let refund = Order::replay(&history).decide(refund(Ask::Amount(100)));
    assert!(refund.is_ok(), "{refund:?}");
}

fn potts() -> VendorId {
    VendorId(Uuid::from_u128(1))
}

fn wedge() -> VendorId {
    VendorId(Uuid::from_u128(2))
}

/// Cups and a saucer of Potts's, a pot of Wedge's, and a spoon of the house.
fn placed() -> Event {
    let of = |vendor, line| crate::placing::Line { vendor, ..line };
    let lines = vec![
        of(Some(potts()), line("cup", 2, 450)),
        of(Some(wedge()), line("pot", 1, 600)),
        of(Some(potts()), line("saucer", 1, 200)),
        of(None, line("spoon", 1, 150)),
    ];
    Event::Placed(Box::new(Placing { lines, pay_by: noon(), ..an_order() }))
}

fn paid() -> Vec<Event> {
    vec![
        placed(),
        Event::Processing,
        Event::Confirmed { captured_minor: 2200 },
    ]
}

fn completed() -> Vec<Event> {
    [paid(), vec![shipped(None, &[1, 2, 3, 4]), Event::Completed]].concat()
}

fn by(vendor: VendorId, which: Which) -> Dispatch {
    Dispatch { by: Shipper::Vendor(vendor), which, carrier: None, tracking_number: None }
}

fn by_staff(which: Which) -> Dispatch {
    Dispatch { by: Shipper::Staff, which, carrier: None, tracking_number: None }
}

fn shipment(vendor: Option<VendorId>, lines: &[u16]) -> Shipment {
    Shipment { vendor, lines: lines.to_vec(), carrier: None, tracking_number: None }
}

fn shipped(vendor: Option<VendorId>, lines: &[u16]) -> Event {
    Event::LinesShipped(shipment(vendor, lines))
}

fn refund(ask: Ask) -> Command {
    Command::Refund { refund_id: refund_id(1), ask, reason: "broken".into() }
}

/// The history after these pieces were to be given back.
fn refunded(history: &[Event], sku: &str, quantity: u32) -> Vec<Event> {
    let pieces = Pieces { sku: sku.parse().unwrap(), quantity, restock: Restock::No };
    let events = Order::replay(history)
        .decide(refund(Ask::Pieces(vec![pieces])))
        .unwrap();
    [history.to_vec(), events].concat()
}
