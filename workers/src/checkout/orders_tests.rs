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
use super::orders::{CARRIED_MAX, Journey, Kept, Moved, Orders, PATIENCE};
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
    orders.moved(Moved { order_id, state, parked: Vec::new() });
}

fn positions(journey: &Journey) -> Vec<Option<i64>> {
    journey.heard.iter().map(|heard| heard.position).collect()
}

/// A checkout that awaits its money.
fn awaiting() -> Checkout {
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
            sku: sku.clone(),
            name: "A cup".into(),
            quantity: 1,
            unit_price_minor: 450,
        }],
        shipping_minor: 0,
        payment_id: PaymentId(Uuid::from_u128(9)),
        payment: PaymentChoice {
            method: PaymentMethod::CreditCard,
            gateway: "sandbox".into(),
            token: None,
        },
        placed_at: now,
        pay_by: now + TimeDelta::hours(1),
    };
    let mut checkout = Checkout::default();
    for fact in [
        Fact::OrderPlaced(Box::new(placing)),
        Fact::StockReserved { sku },
        Fact::OrderProcessing,
    ] {
        checkout.react(fact).unwrap();
    }
    assert!(checkout.deadline().is_some());
    checkout
}

#[test]
fn an_order_hears_one_thing_after_another_and_others_go_on_beside_it() {
    let mut orders = Orders::after(0);
    hear(&mut orders, vec![cancelled(1, 1), cancelled(2, 2), cancelled(1, 3)]);
    let first = orders.next().unwrap();
    assert_eq!(positions(&first), [Some(1), Some(3)]);
    hear(&mut orders, vec![cancelled(1, 4), cancelled(3, 5)]);
    let others: Vec<OrderId> = std::iter::from_fn(|| orders.next())
        .map(|journey| journey.order_id)
        .collect();
    assert_eq!(others, [order(2), order(3)], "the first is still carried");
    rest(&mut orders, first);
    assert_eq!(positions(&orders.next().unwrap()), [Some(4)]);
}

#[test]
fn only_so_many_orders_are_carried_at_once() {
    let mut orders = Orders::after(0);
    let many = i64::try_from(CARRIED_MAX).unwrap() + 1;
    let heard = (1..=many).map(|position| cancelled(u128::from(position.unsigned_abs()), position));
    hear(&mut orders, heard.collect());
    let mut journeys: Vec<Journey> = std::iter::from_fn(|| orders.next()).collect();
    assert_eq!(journeys.len(), CARRIED_MAX);
    rest(&mut orders, journeys.remove(0));
    assert!(orders.next().is_some());
}

#[test]
fn the_mark_never_passes_what_is_heard_and_not_kept() {
    let mut orders = Orders::after(6);
    hear(&mut orders, vec![cancelled(1, 7), cancelled(2, 8), cancelled(1, 9)]);
    assert_eq!(orders.mark(), 6, "both wait");
    let (first, second) = (orders.next().unwrap(), orders.next().unwrap());
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
    let journey = orders.next().unwrap();
    assert_eq!(positions(&journey), [Some(6)]);
    orders.hear(again, HashMap::new(), Instant::now());
    rest(&mut orders, journey);
    assert!(orders.next().is_none());
}

#[test]
fn an_order_that_awaits_its_money_is_held_back_for_a_moment_and_any_other_is_kept_at_once() {
    let mut orders = Orders::after(0);
    hear(&mut orders, vec![cancelled(1, 1), cancelled(2, 2)]);
    let (first, second) = (orders.next().unwrap(), orders.next().unwrap());
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
    let journey = orders.next().unwrap();
    rest(&mut orders, journey);
    let rested = orders.all_rested();
    assert_eq!((rested[0].position, orders.mark()), (3, 4));
}
