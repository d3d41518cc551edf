//! What stays in memory and what does not.

use chrono::Utc;
use domain::aggregate::Decider as _;
use domain::ids::OrderId;
use domain::inventory;
use uuid::Uuid;

use super::*;

/// All of it for one type would be sixteen sixteenths.
fn with_room_for_inventories(bytes: usize) -> States {
    States::new(bytes * 16 / INVENTORIES_SHARE)
}

fn bytes_of_inventories(states: &States) -> usize {
    usize::try_from(states.inventories.0.weight()).unwrap()
}

fn sku(n: usize) -> String {
    format!("sku {n}")
}

#[test]
fn all_states_together_keep_within_their_bytes() {
    let room = 100 * usual_bytes::<Inventory>();
    let states = with_room_for_inventories(room);
    for n in 0..1_000 {
        states.slot::<Inventory>(&sku(n));
        assert!(bytes_of_inventories(&states) <= room);
    }
    assert!(90 <= states.inventories.0.len(), "most of the room is used");
}

#[test]
fn what_is_in_use_stays_whoever_else_comes() {
    let states = with_room_for_inventories(10 * usual_bytes::<Inventory>());
    let in_use = states.slot::<Inventory>("in use");
    let on_its_way = {
        let slot = states.slot::<Inventory>("decided and on its way");
        (Arc::as_ptr(&slot), slot.epoch().clone())
    };
    let mut at_rest = std::sync::Weak::new();
    for n in 0..1_000 {
        let slot = states.slot::<Inventory>(&sku(n));
        if n == 500 {
            at_rest = Arc::downgrade(&slot);
        }
    }

    assert!(Arc::ptr_eq(&in_use, &states.slot("in use")));
    let slot = states.slot::<Inventory>("decided and on its way");
    assert_eq!(Arc::as_ptr(&slot), on_its_way.0);
    assert!(at_rest.upgrade().is_none());
}

#[test]
fn an_aggregate_that_grows_pushes_others_out() {
    let room = 100 * usual_bytes::<Inventory>();
    let states = with_room_for_inventories(room);
    for n in 0..90 {
        states.slot::<Inventory>(&sku(n));
    }
    let others = states.inventories.0.len();
    let slot = states.slot::<Inventory>("cup");
    let mut held = slot.held.try_lock().unwrap();
    for _ in 0..400 {
        let (order_id, expires_at) = (OrderId(Uuid::new_v4()), Utc::now());
        let reserved = inventory::Event::Reserved { order_id, quantity: 1, expires_at };
        held.state.evolve(&reserved);
        states.weigh("cup", &slot, &mut held);
    }

    assert!(
        held.bytes() - held.weighed <= held.weighed / 4,
        "the cache knows about what it takes"
    );
    assert!(bytes_of_inventories(&states) <= room);
    assert!(states.inventories.0.len() < others);
    assert!(Arc::ptr_eq(&slot, &states.slot("cup")));
}

#[test]
fn what_is_settled_is_forgotten_unless_somebody_else_uses_it() {
    let states = States::new(STATES_BYTES_MAX);
    let slot = states.slot::<Order>("an order");
    let used_by_another = states.slot::<Order>("an order");

    states.let_go("an order", &slot);
    assert_eq!(states.orders.0.len(), 1);
    drop(used_by_another);
    states.let_go("an order", &slot);

    assert_eq!(states.orders.0.len(), 0);
    states.let_go("an order", &slot);
    assert!(
        !Arc::ptr_eq(&slot, &states.slot("an order")),
        "it has another place from now on"
    );
}
