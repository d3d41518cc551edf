//! Orders on their way by themselves: what they hear, when they are kept, and what the mark may
//! pass.

use std::collections::HashMap;
use std::time::Instant;

use chrono::{TimeDelta, Utc};
use domain::checkout::{Checkout, Fact};
use domain::ids::{OrderId, PaymentId};
use domain::money::Currency;
use domain::placing::{Address, Customer, Line, PaymentChoice, PaymentMethod, Placing};
use uuid::Uuid;

use super::Heard;
use super::orders::{
    CARRIED_MAX, Journey, Kept, Moved, NEW_MAX, ON_THEIR_WAY_MAX, Orders, PATIENCE, SETTLING_MAX,
    UNSETTLED_MAX,
};
use crate::derived::Cause;

fn order(number: u128) -> OrderId {
    OrderId(Uuid::from_u128(number))
}

fn cancelled(number: u128, position: i64) -> Heard {
    heard(number, Some(position), Fact::OrderCancelled)
}

fn heard(number: u128, position: Option<i64>, fact: Fact) -> Heard {
    Heard {
        order_id: order(number),
        cause: Cause::named(Uuid::from_u128(number)),
        position,
        fact,
    }
}

fn hear(orders: &mut Orders, heard: Vec<Heard>) {
    let last = heard.iter().filter_map(|heard| heard.position).max();
    orders.hear(heard, HashMap::new(), Instant::now());
    orders.have_read_to(last.unwrap_or_else(|| orders.read_to()));
}

fn rest(orders: &mut Orders, journey: Journey) {
    let Journey { order_id, state, .. } = journey;
    orders.moved(Moved { order_id, state, parked: Vec::new() }, Instant::now());
}

fn positions(journey: &Journey) -> Vec<Option<i64>> {
    journey.heard.iter().map(|heard| heard.position).collect()
}

/// A checkout that awaits its money.
fn awaiting() -> Checkout {
    let sku: domain::ids::Sku = "cup".parse().unwrap();
    let mut checkout = Checkout::default();
    for fact in [placed(), Fact::StockReserved { sku }, Fact::OrderProcessing] {
        checkout.react(fact).unwrap();
    }
    assert!(checkout.deadline().is_some());
    checkout
}

fn placed() -> Fact {
    let currency: Currency = "GBP".parse().unwrap();
    let sku: domain::ids::Sku = "cup".parse().unwrap();
    let now = Utc::now();
    let placing = Placing {
        customer: Customer { name: "Ada".into(), email: "ada@example.com".into(), phone: None },
        customer_id: None,
        shipping_address: Address {
            line1: "1 High Street".into(),
            line2: None,
            city: None,
            postcode: None,
            country: "GB".into(),
        },
        currency,
        lines: vec![Line {
            sku,
            name: "A cup".into(),
            quantity: 1,
            unit_price_minor: 450,
            converted_from: None,
            vendor: None,
        }],
        shipping_minor: 0,
        shipping: None,
        discount: None,
        payment_id: PaymentId(Uuid::from_u128(9)),
        payment: PaymentChoice {
            method: PaymentMethod::CreditCard,
            gateway: "sandbox".into(),
            token: None,
            routed_by: None,
        },
        placed_at: now,
        pay_by: now + TimeDelta::hours(1),
        set_aside: None,
    };
    Fact::OrderPlaced(Box::new(placing))
}

#[test]
fn an_order_hears_one_thing_after_another_and_others_go_on_beside_it() {
    let mut orders = Orders::after(0);
    hear(&mut orders, vec![cancelled(1, 1), cancelled(2, 2), cancelled(1, 3)]);
    let first = orders.next(Instant::now()).unwrap();
    assert_eq!(positions(&first), [Some(1), Some(3)]);
    hear(&mut orders, vec![cancelled(1, 4), cancelled(3, 5)]);
    let others: Vec<OrderId> = std::iter::from_fn(|| orders.next(Instant::now()))
        .map(|journey| journey.order_id)
        .collect();
    assert_eq!(others, [order(2), order(3)], "the first is still carried");
    rest(&mut orders, first);
    assert_eq!(positions(&orders.next(Instant::now()).unwrap()), [Some(4)]);
}

#[test]
fn only_so_many_orders_are_carried_at_once() {
    let mut orders = Orders::after(0);
    let many = i64::try_from(CARRIED_MAX).unwrap() + 1;
    let heard = (1..=many).map(|position| cancelled(u128::from(position.unsigned_abs()), position));
    hear(&mut orders, heard.collect());
    let mut journeys: Vec<Journey> = std::iter::from_fn(|| orders.next(Instant::now())).collect();
    assert_eq!(journeys.len(), CARRIED_MAX);
    rest(&mut orders, journeys.remove(0));
    assert!(orders.next(Instant::now()).is_some());
}

#[test]
fn the_mark_never_passes_what_is_heard_and_not_kept() {
    let mut orders = Orders::after(6);
    hear(&mut orders, vec![cancelled(1, 7), cancelled(2, 8), cancelled(1, 9)]);
    assert_eq!(orders.mark(), 6, "both wait");
    let (first, second) =
        (orders.next(Instant::now()).unwrap(), orders.next(Instant::now()).unwrap());
    rest(&mut orders, second);
    assert_eq!(orders.rested(Instant::now()).len(), 1);
    assert_eq!(orders.mark(), 6, "the first is still carried");
    rest(&mut orders, first);
    assert_eq!(orders.mark(), 6, "it is not kept yet");
    let rested = orders.rested(Instant::now());
    assert_eq!(
        rested
            .iter()
            .map(|order| order.position)
            .collect::<Vec<_>>(),
        [9]
    );
    assert_eq!(orders.mark(), 9);
    assert!(orders.are_all_at_rest());
}

#[test]
fn what_is_read_again_is_not_heard_again() {
    let mut orders = Orders::after(0);
    let kept = HashMap::from([(order(1), Kept { state: Checkout::default(), position: 5 })]);
    let again = vec![cancelled(1, 5), cancelled(1, 6)];
    orders.hear(again.clone(), kept, Instant::now());
    let journey = orders.next(Instant::now()).unwrap();
    assert_eq!(positions(&journey), [Some(6)]);
    orders.hear(again, HashMap::new(), Instant::now());
    rest(&mut orders, journey);
    assert!(orders.next(Instant::now()).is_none());
}

#[test]
fn an_order_that_awaits_its_money_is_held_back_for_a_moment_and_any_other_is_kept_at_once() {
    let mut orders = Orders::after(0);
    hear(&mut orders, vec![cancelled(1, 1), cancelled(2, 2)]);
    let (first, second) =
        (orders.next(Instant::now()).unwrap(), orders.next(Instant::now()).unwrap());
    rest(&mut orders, Journey { state: awaiting(), ..first });
    rest(&mut orders, second);
    let now = Instant::now();
    let at_once: Vec<OrderId> = orders
        .rested(now)
        .iter()
        .map(|rested| rested.order_id)
        .collect();
    assert_eq!(at_once, [order(2)]);
    assert_eq!(orders.mark(), 0);
    assert_eq!(orders.rested(now + PATIENCE).len(), 1);
    assert_eq!(orders.mark(), 2);
}

#[test]
fn a_deadline_has_no_position_and_is_kept_all_the_same() {
    let mut orders = Orders::after(4);
    let kept = HashMap::from([(order(1), Kept { state: awaiting(), position: 3 })]);
    orders.hear(vec![heard(1, None, Fact::DeadlinePassed)], kept, Instant::now());
    assert!(orders.is_on_its_way(order(1)));
    let journey = orders.next(Instant::now()).unwrap();
    rest(&mut orders, journey);
    let rested = orders.all_rested();
    assert_eq!((rested[0].position, orders.mark()), (3, 4));
}

#[test]
fn what_was_begun_goes_before_what_is_new_and_only_so_many_are_begun() {
    let mut orders = Orders::after(0);
    let now = Instant::now();
    let many = u128::try_from(2 * UNSETTLED_MAX).unwrap();
    let placed = (1..=many).map(|number| cancelled(number, i64::try_from(number).unwrap()));
    hear(&mut orders, placed.collect());
    let mut begun = Vec::new();
    while let Some(journey) = orders.next(now) {
        begun.push(journey.order_id);
        let moved = Moved { order_id: journey.order_id, state: awaiting(), parked: Vec::new() };
        orders.moved(moved, now);
    }
    assert_eq!(begun.len(), UNSETTLED_MAX, "they all await their money");
    assert_eq!(begun[0], order(1));

    hear(&mut orders, vec![cancelled(7, 9_999)]);
    let paid = orders.next(now).unwrap();
    assert_eq!(paid.order_id, order(7), "it was begun before");
    rest(&mut orders, Journey { state: Checkout::default(), ..paid });
    let next = orders.next(now).unwrap();
    assert_eq!(next.order_id, order(many / 2 + 1), "one is settled, one is begun");
    rest(&mut orders, Journey { state: awaiting(), ..next });
    assert!(orders.next(now).is_none());

    // Nobody has paid the others yet, and that must not keep the shop waiting.
    orders.rested(Instant::now() + SETTLING_MAX);
    let others = std::iter::from_fn(|| orders.next(now));
    assert_eq!(others.count(), CARRIED_MAX);
}

#[test]
fn a_rush_is_queued_and_taken_up_in_order_with_all_that_was_heard_meanwhile() {
    let mut orders = Orders::after(0);
    let now = Instant::now();
    let many = NEW_MAX + 300;
    let position = |number: usize| i64::try_from(number).unwrap();
    let is_placed = |number: usize| heard(number as u128, Some(position(number)), placed());
    hear(&mut orders, (1..=many).map(is_placed).collect());
    assert!(orders.have_room(), "what comes behind the rush is read");
    assert_eq!((orders.mark(), orders.begun_to()), (0, position(NEW_MAX)));
    assert!(orders.to_take_up().is_empty(), "enough are new");

    // One of the queued is cancelled, and one that is on its way.
    let (queued, begun) = (NEW_MAX + 1, 1);
    let later = position(many) + 1;
    hear(
        &mut orders,
        vec![
            cancelled(queued as u128, later),
            cancelled(begun, later + 1),
        ],
    );
    assert!(orders.is_on_its_way(order(queued as u128)));
    assert_eq!(orders.unknown([cancelled(queued as u128, later + 2)].iter()), []);
    let first = orders.next(now).unwrap();
    assert_eq!(positions(&first), [Some(1), Some(later + 1)]);
    rest(&mut orders, first);
    for _ in 1..NEW_MAX {
        let journey = orders.next(now).unwrap();
        rest(&mut orders, journey);
    }
    assert!(orders.next(now).is_none(), "the others are queued");

    let first: Vec<usize> = (queued..=many).take(250).collect();
    let wanted: Vec<i64> = first.iter().copied().map(position).collect();
    assert_eq!(orders.to_take_up(), wanted);
    orders.take_up(first.into_iter().map(is_placed).collect(), now);
    assert_eq!(orders.begun_to(), position(NEW_MAX + 250));
    let journey = orders.next(now).unwrap();
    assert_eq!(journey.order_id, order(queued as u128));
    assert_eq!(positions(&journey), [Some(position(queued)), Some(later)]);
    rest(&mut orders, journey);
    orders.rested(now);
    assert_eq!(orders.mark(), position(queued), "the next one is new, and not kept");
}

#[test]
fn a_backlog_that_has_no_room_is_begun_whatever_it_awaits() {
    let mut orders = Orders::after(0);
    let now = Instant::now();
    let many = u128::try_from(ON_THEIR_WAY_MAX).unwrap();
    let placed = (1..=many).map(|number| cancelled(number, i64::try_from(number).unwrap()));
    hear(&mut orders, placed.collect());
    assert!(!orders.have_room());
    for _ in 0..=UNSETTLED_MAX {
        let journey = orders.next(now).unwrap();
        rest(&mut orders, Journey { state: awaiting(), ..journey });
    }
}
