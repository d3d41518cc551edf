//! What is counted, and what no longer.

use domain::money::Currency;
use uuid::Uuid;

use super::*;

fn noon() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn order(number: u128) -> OrderId {
    OrderId(Uuid::from_u128(number))
}

fn pounds(minor: i64) -> Money {
    Money { minor, currency: "GBP".parse::<Currency>().unwrap() }
}

fn ada() -> Vec<(Party, String)> {
    vec![
        (Party::Email, "ada@example.com".to_owned()),
        (Party::Phone, "44".to_owned()),
    ]
}

/// How many came earlier under Ada's address; the order's own place.
fn count(velocity: &Velocity, number: u128, minutes: i64) -> (usize, Counted) {
    let now = noon() + TimeDelta::minutes(minutes);
    let (earlier, counted) =
        velocity.count(order(number), &ada(), pounds(100), now, TimeDelta::hours(1));
    assert_eq!(earlier[&Party::Email], earlier[&Party::Phone]);
    (earlier[&Party::Email].len(), counted)
}

#[test]
fn each_order_finds_those_before_it() {
    let velocity = Velocity::default();
    for number in 0..5 {
        let (earlier, counted) = count(&velocity, number, 0);
        assert_eq!(earlier, usize::try_from(number).unwrap());
        counted.keep();
    }
    let (earlier, _counted) = count(&velocity, 9, 61);
    assert_eq!(earlier, 0, "the window is over");
    assert_eq!(velocity.orders().parties.len(), 1, "and what lies before it is forgotten");
}

#[test]
fn an_order_that_was_not_placed_after_all_counts_no_more() {
    let velocity = Velocity::default();
    count(&velocity, 1, 0).1.keep();
    drop(count(&velocity, 2, 0));
    let (earlier, counted) = count(&velocity, 3, 0);
    assert_eq!(earlier, 1);
    counted.keep();
    // The log has it all the same: it is counted once.
    let earlier = Earlier { at: noon(), total: pounds(100) };
    for _ in 0..2 {
        velocity.orders().take(order(2), ada(), earlier);
    }
    assert_eq!(count(&velocity, 4, 0).0, 3);
}

#[test]
fn only_so_many_orders_are_kept_and_only_so_many_of_one_party_are_shown() {
    let velocity = Velocity::default();
    let many = ORDERS_MAX as u128 + 10;
    for number in 0..many {
        let earlier = Earlier { at: noon(), total: pounds(1) };
        velocity.orders().take(order(number), ada(), earlier);
    }
    assert_eq!(velocity.orders().parties.len(), ORDERS_MAX);
    assert!(!velocity.orders().known.contains(&order(9)));
    let (earlier, _counted) = count(&velocity, many, 0);
    assert_eq!(earlier, PER_PARTY_MAX);
}

#[test]
fn an_order_of_the_past_is_nobodys_haste() {
    assert!(is_history(noon() - TimeDelta::minutes(6), noon()));
    assert!(!is_history(noon() - TimeDelta::minutes(4), noon()));
}
