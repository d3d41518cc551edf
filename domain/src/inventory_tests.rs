//! What the stock of one SKU answers, and that nothing is ever oversold.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows has failed, and says where"
)]

use proptest::prelude::*;

use super::*;
use crate::testing::{given, noon, order_id, random, refund_id};

#[test]
fn goods_that_come_in_are_on_hand_and_available() {
    given::<Inventory>(&[])
        .when(receive(10))
        .then(&[received(10)]);
    let inventory = Inventory::replay(&[received(10), received(5)]);
    assert_eq!(figures(&inventory), (15, 0, 15));
}

#[test]
fn counting_finds_more_or_fewer() {
    for (quantity, on_hand) in [(3, 13), (-3, 7), (-10, 0)] {
        given::<Inventory>(&[received(10)])
            .when(adjust(quantity))
            .then(&[adjusted(quantity)]);
        let inventory = Inventory::replay(&[received(10), adjusted(quantity)]);
        assert_eq!(inventory.on_hand(), on_hand);
    }
}

#[test]
fn reserved_stock_is_still_in_the_house_but_not_available() {
    given::<Inventory>(&[received(10)])
        .when(reserve(1, 4))
        .then(&[reserved(1, 4)]);
    let inventory = Inventory::replay(&[received(10), reserved(1, 4)]);
    assert_eq!(figures(&inventory), (10, 4, 6));
    let held = Reservation { quantity: 4, expires_at: noon() };
    assert_eq!(inventory.reservation(order_id(1)), Some(held));
    assert_eq!(inventory.reservation(order_id(2)), None);
}

#[test]
fn released_stock_is_available_again() {
    let history = [received(10), reserved(1, 4), reserved(2, 5)];
    given::<Inventory>(&history)
        .when(Command::Release { order_id: order_id(1) })
        .then(&[released(1, 4)]);
    let inventory = Inventory::replay(history.iter().chain(&[released(1, 4)]));
    assert_eq!(figures(&inventory), (10, 5, 5));
}

#[test]
fn issued_stock_has_left_the_house() {
    let history = [received(10), reserved(1, 4), reserved(2, 5)];
    given::<Inventory>(&history)
        .when(Command::Issue { order_id: order_id(1) })
        .then(&[issued(1, 4)]);
    let inventory = Inventory::replay(history.iter().chain(&[issued(1, 4)]));
    assert_eq!(figures(&inventory), (6, 5, 1));
}

#[test]
fn refunded_pieces_come_back_on_the_shelf() {
    let history = [received(10), reserved(1, 4), issued(1, 4)];
    given::<Inventory>(&history)
        .when(restock(3))
        .then(&[restocked(3)]);
    let inventory = Inventory::replay(history.iter().chain(&[restocked(3)]));
    assert_eq!(figures(&inventory), (9, 0, 9));
}

#[test]
fn zero_pieces_change_nothing_whatever_is_asked() {
    // Not even where another reason would apply as well.
    let full = [received(ON_HAND_MAX), reserved(1, 4)];
    for command in [receive(0), adjust(0), reserve(1, 0), restock(0)] {
        for history in [&full[..], &[]] {
            given::<Inventory>(history)
                .when(command.clone())
                .then_refused(&Refusal::ZeroQuantity);
        }
    }
}

#[test]
fn an_order_reserves_a_sku_once() {
    for quantity in [1, 7, u64::MAX] {
        given::<Inventory>(&[received(10), reserved(1, 4)])
            .when(reserve(1, quantity))
            .then_refused(&Refusal::AlreadyReserved);
    }
}

#[test]
fn an_order_may_reserve_again_once_it_has_let_go() {
    for end in [released(1, 4), issued(1, 4)] {
        given::<Inventory>(&[received(10), reserved(1, 4), end])
            .when(reserve(1, 6))
            .then(&[reserved(1, 6)]);
    }
}

#[test]
fn an_order_that_holds_nothing_has_nothing_to_release_or_issue() {
    let order_id = order_id(1);
    for history in [
        vec![],
        vec![received(10), reserved(2, 4)],
        vec![received(10), reserved(1, 4), released(1, 4)],
        vec![received(10), reserved(1, 4), issued(1, 4)],
    ] {
        for command in [Command::Release { order_id }, Command::Issue { order_id }] {
            given::<Inventory>(&history)
                .when(command)
                .then_refused(&Refusal::NotReserved);
        }
    }
}

#[test]
fn no_more_is_reserved_than_is_available() {
    let history = [received(10), reserved(1, 4)];
    given::<Inventory>(&history)
        .when(reserve(2, 6))
        .then(&[reserved(2, 6)]);
    for requested in [7, u64::MAX] {
        given::<Inventory>(&history)
            .when(reserve(2, requested))
            .then_refused(&Refusal::InsufficientStock { requested, available: 6 });
    }
    given::<Inventory>(&[])
        .when(reserve(2, 1))
        .then_refused(&Refusal::InsufficientStock { requested: 1, available: 0 });
}

#[test]
fn counting_never_takes_away_what_is_reserved() {
    let history = [received(10), reserved(1, 4)];
    given::<Inventory>(&history)
        .when(adjust(-6))
        .then(&[adjusted(-6)]);
    for quantity in [-7, i64::MIN] {
        given::<Inventory>(&history)
            .when(adjust(quantity))
            .then_refused(&Refusal::BelowReserved { available: 6 });
    }
}

#[test]
fn no_shelf_is_endless() {
    for command in [
        receive(1),
        adjust(1),
        restock(1),
        receive(u64::MAX),
        adjust(i64::MAX),
    ] {
        given::<Inventory>(&[received(ON_HAND_MAX)])
            .when(command)
            .then_refused(&Refusal::TooMuch);
    }
    for command in [receive(1), adjust(1), restock(1)] {
        let inventory = Inventory::replay(&[received(ON_HAND_MAX - 1)]);
        assert!(inventory.decide(command).is_ok());
    }
}

proptest! {
    #![proptest_config(random())]

    #[test]
    fn nothing_is_ever_oversold(commands in prop::collection::vec(a_command(), 1..120)) {
        let mut inventory = Inventory::default();
        let mut held: BTreeMap<OrderId, u64> = BTreeMap::new();
        for command in commands {
            let available = inventory.available();
            for event in inventory.decide(command).unwrap_or_default() {
                inventory.evolve(&event);
                match event {
                    Event::Reserved { order_id, quantity, .. } => {
                        prop_assert!(quantity <= available);
                        prop_assert_eq!(held.insert(order_id, quantity), None);
                    }
                    Event::Released { order_id, quantity }
                    | Event::Issued { order_id, quantity } => {
                        prop_assert_eq!(held.remove(&order_id), Some(quantity));
                    }
                    Event::Received { .. } | Event::Adjusted { .. } | Event::Restocked { .. } => {}
                }
                let reserved: u64 = held.values().sum();
                prop_assert_eq!(inventory.reserved(), reserved);
                prop_assert!(inventory.reserved() <= inventory.on_hand());
                prop_assert!(inventory.on_hand() <= ON_HAND_MAX);
                prop_assert_eq!(inventory.available(), inventory.on_hand() - reserved);
            }
        }
    }
}

fn a_command() -> impl Strategy<Value = Command> {
    // Few orders, so that they meet; mostly small amounts, now and then an absurd one.
    let order = || (1_u128..6).prop_map(order_id);
    let pieces = || prop_oneof![20 => 0_u64..8, 1 => Just(ON_HAND_MAX), 1 => any::<u64>()];
    let signed = prop_oneof![20 => -8_i64..8, 1 => any::<i64>()];
    prop_oneof![
        2 => pieces().prop_map(receive),
        2 => signed.prop_map(adjust),
        4 => (order(), pieces()).prop_map(|(order_id, quantity)| {
            Command::Reserve { order_id, quantity, expires_at: noon() }
        }),
        2 => order().prop_map(|order_id| Command::Release { order_id }),
        2 => order().prop_map(|order_id| Command::Issue { order_id }),
        1 => pieces().prop_map(restock),
    ]
}

fn figures(inventory: &Inventory) -> (u64, u64, u64) {
    (inventory.on_hand(), inventory.reserved(), inventory.available())
}

fn receive(quantity: u64) -> Command {
    Command::Receive { quantity, reference: "delivery 1".into() }
}

fn received(quantity: u64) -> Event {
    Event::Received { quantity, reference: "delivery 1".into() }
}

fn adjust(quantity: i64) -> Command {
    Command::Adjust { quantity, reason: "counted".into() }
}

fn adjusted(quantity: i64) -> Event {
    Event::Adjusted { quantity, reason: "counted".into() }
}

fn reserve(order: u128, quantity: u64) -> Command {
    Command::Reserve { order_id: order_id(order), quantity, expires_at: noon() }
}

fn reserved(order: u128, quantity: u64) -> Event {
    Event::Reserved { order_id: order_id(order), quantity, expires_at: noon() }
}

fn released(order: u128, quantity: u64) -> Event {
    Event::Released { order_id: order_id(order), quantity }
}

fn issued(order: u128, quantity: u64) -> Event {
    Event::Issued { order_id: order_id(order), quantity }
}

fn restock(quantity: u64) -> Command {
    Command::Restock { order_id: order_id(1), refund_id: refund_id(1), quantity }
}

fn restocked(quantity: u64) -> Event {
    Event::Restocked { order_id: order_id(1), refund_id: refund_id(1), quantity }
}

#[test]
fn a_part_of_what_is_held_leaves_and_the_rest_is_let_go() {
    let id = order_id(7);
    let reserved = Event::Reserved { order_id: id, quantity: 5, expires_at: noon() };
    let history = [received(10), reserved];
    let part = |quantity| Command::IssuePart { order_id: id, quantity };
    let issued = |quantity| Event::Issued { order_id: id, quantity };
    let left = [issued(3), Event::Released { order_id: id, quantity: 2 }];
    given::<Inventory>(&history).when(part(3)).then(&left);
    given::<Inventory>(&history)
        .when(part(5))
        .then(&[issued(5)]);
    given::<Inventory>(&history)
        .when(part(0))
        .then_refused(&Refusal::ZeroQuantity);
    given::<Inventory>(&history)
        .when(part(6))
        .then_refused(&Refusal::InsufficientStock { requested: 6, available: 5 });
    let all = [&history[..], &left[..]].concat();
    let stock = Inventory::replay(&all);
    assert_eq!((figures(&stock), stock.reservation(id)), ((7, 0, 7), None));
    given::<Inventory>(&all)
        .when(part(1))
        .then_refused(&Refusal::NotReserved);
}
