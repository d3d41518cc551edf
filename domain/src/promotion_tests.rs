//! What a promotion takes off, and whom it says no to.

use proptest::prelude::*;

use super::*;
use crate::placing::{Discount, Line};
use crate::testing::{gbp, given, line, noon, order_id, random};

fn code() -> Code {
    "SPRING".parse().unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "as commands and events hold it")]
fn customer(n: u128) -> Option<CustomerId> {
    Some(CustomerId(uuid::Uuid::from_u128(n)))
}

/// A tenth off everything, for whoever knows the code.
fn a_tenth() -> Terms {
    Terms {
        name: "Spring".into(),
        reduction: Reduction::Percentage { basis_points: 1_000 },
        automatic: false,
        listed: false,
        active: true,
        starts_at: None,
        ends_at: None,
        uses_max: None,
        uses_per_customer_max: None,
        minimum: vec![],
        skus: vec![],
    }
}

fn limited(uses_max: u32, uses_per_customer_max: Option<u32>) -> Terms {
    Terms { uses_max: Some(uses_max), uses_per_customer_max, ..a_tenth() }
}

fn described(terms: Terms) -> Event {
    Event::Described(terms)
}

fn reserve(order: u128, of: Option<CustomerId>) -> Command {
    Command::Reserve { order_id: order_id(order), customer_id: of }
}

fn reserved(order: u128, of: Option<CustomerId>) -> Event {
    Event::UseReserved { order_id: order_id(order), customer_id: of }
}

fn applied(terms: &Terms, lines: &[Line]) -> Result<Discount, Inapplicable> {
    terms.apply(&code(), lines, "GBP".parse().unwrap(), noon())
}

#[test]
fn a_percentage_is_rounded_to_the_nearest_penny_and_spread_over_the_lines() {
    // 10 % of 15.05 is 1.505.
    let lines = [line("cup", 2, 450), line("pot", 1, 605)];
    let discount = applied(&a_tenth(), &lines).unwrap();
    assert_eq!((discount.amount_minor, discount.lines_minor), (151, vec![90, 61]));
    assert_eq!((discount.promotion, discount.name.as_str()), (code(), "Spring"));

    let all = Terms { reduction: Reduction::Percentage { basis_points: 10_000 }, ..a_tenth() };
    assert_eq!(applied(&all, &lines).unwrap().lines_minor, [900, 605]);
    assert_eq!(applied(&a_tenth(), &[line("pin", 1, 4)]), Err(Inapplicable::Nothing));
    assert_eq!(
        applied(&a_tenth(), &[line("pin", 1, 5)])
            .unwrap()
            .amount_minor,
        1
    );
}

#[test]
fn an_amount_is_taken_off_what_it_is_for_and_never_more_than_that_costs() {
    let off = |minor| Reduction::Amount { amounts: vec![gbp(minor)] };
    let for_cups = Terms { reduction: off(500), skus: vec!["cup".parse().unwrap()], ..a_tenth() };
    let lines = [
        line("cup", 1, 450),
        line("pot", 1, 605),
        line("cup", 1, 400),
    ];
    assert_eq!(applied(&for_cups, &lines).unwrap().lines_minor, [265, 0, 235]);
    let much = Terms { reduction: off(5_000), ..for_cups.clone() };
    assert_eq!(applied(&much, &lines).unwrap().lines_minor, [450, 0, 400]);
    assert_eq!(applied(&for_cups, &[line("pot", 1, 605)]), Err(Inapplicable::OtherGoods));
    let euros = "EUR".parse().unwrap();
    assert_eq!(
        for_cups.apply(&code(), &lines, euros, noon()),
        Err(Inapplicable::OtherCurrency { currency: euros })
    );
}

#[test]
fn a_promotion_holds_for_its_time_its_currency_and_orders_that_are_large_enough() {
    let lines = [line("cup", 2, 450)];
    let hour = chrono::TimeDelta::hours(1);
    let (before, after) = (noon() - hour, noon() + hour);
    for (terms, expected) in [
        (Terms { active: false, ..a_tenth() }, Some(Inapplicable::Inactive)),
        (
            Terms { starts_at: Some(after), ..a_tenth() },
            Some(Inapplicable::NotBegun { starts_at: after }),
        ),
        (Terms { starts_at: Some(noon()), ..a_tenth() }, None),
        (Terms { ends_at: Some(noon()), ..a_tenth() }, Some(Inapplicable::Ended)),
        (Terms { starts_at: Some(before), ends_at: Some(after), ..a_tenth() }, None),
        (Terms { minimum: vec![gbp(900)], ..a_tenth() }, None),
        (
            Terms { minimum: vec![gbp(901)], ..a_tenth() },
            Some(Inapplicable::BelowMinimum { minimum: gbp(901) }),
        ),
        (
            Terms {
                minimum: vec![Money { minor: 1, currency: "EUR".parse().unwrap() }],
                ..a_tenth()
            },
            Some(Inapplicable::OtherCurrency { currency: "GBP".parse().unwrap() }),
        ),
    ] {
        assert_eq!(applied(&terms, &lines).err(), expected, "{terms:?}");
    }
}

#[test]
fn terms_are_a_fact_when_they_change_and_the_order_of_their_lists_says_nothing() {
    let sku = |text: &str| text.parse().unwrap();
    let given_terms = Terms { skus: vec![sku("pot"), sku("cup"), sku("cup")], ..a_tenth() };
    let kept = Terms { skus: vec![sku("cup"), sku("pot")], ..a_tenth() };
    given::<Promotion>(&[])
        .when(Command::Describe(given_terms.clone()))
        .then(&[described(kept.clone())]);
    given::<Promotion>(&[described(kept)])
        .when(Command::Describe(given_terms))
        .then(&[]);
}

#[test]
fn terms_that_make_no_sense_are_refused() {
    let euros = |minor| Money { minor, currency: "EUR".parse().unwrap() };
    let amounts = |amounts: Vec<Money>| Reduction::Amount { amounts };
    let off = |reduction| Terms { reduction, ..a_tenth() };
    let percent = |basis_points| off(Reduction::Percentage { basis_points });
    let skus = (0..=SKUS_MAX).map(|n| format!("article {n}").parse().unwrap());
    for (terms, refusal) in [
        (percent(0), Refusal::PercentageOutOfBounds),
        (percent(10_001), Refusal::PercentageOutOfBounds),
        (off(amounts(vec![])), Refusal::AmountCount { amounts: 0 }),
        (off(amounts(vec![gbp(0)])), Refusal::AmountNotPositive),
        (
            off(amounts(vec![gbp(1), euros(1), euros(2)])),
            Refusal::TwoAmounts { currency: "EUR".parse().unwrap() },
        ),
        (Terms { minimum: vec![gbp(-1)], ..a_tenth() }, Refusal::AmountNotPositive),
        (
            Terms { minimum: vec![gbp(1); AMOUNTS_MAX + 1], ..a_tenth() },
            Refusal::AmountCount { amounts: AMOUNTS_MAX + 1 },
        ),
        (
            Terms { skus: skus.collect(), ..a_tenth() },
            Refusal::TooManySkus { skus: SKUS_MAX + 1 },
        ),
        (
            Terms { starts_at: Some(noon()), ends_at: Some(noon()), ..a_tenth() },
            Refusal::EndsBeforeItStarts,
        ),
        (limited(0, None), Refusal::UsesOutOfBounds),
        (limited(5, Some(0)), Refusal::UsesOutOfBounds),
        (limited(REMEMBERED_USES_MAX + 1, Some(1)), Refusal::TooManyToRemember),
        (
            Terms { uses_per_customer_max: Some(1), ..a_tenth() },
            Refusal::TooManyToRemember,
        ),
    ] {
        given::<Promotion>(&[])
            .when(Command::Describe(terms))
            .then_refused(&refusal);
    }
}

#[test]
fn a_use_is_held_for_an_order_given_back_or_used_up_and_each_once() {
    let terms = described(limited(1, None));
    let held = [terms.clone(), reserved(1, None)];
    given::<Promotion>(std::slice::from_ref(&terms))
        .when(reserve(1, customer(7)))
        .then(&[reserved(1, None)]);
    given::<Promotion>(&held)
        .when(reserve(1, None))
        .then_refused(&Refusal::AlreadyReserved);
    given::<Promotion>(&held)
        .when(reserve(2, None))
        .then_refused(&Refusal::UsedUp);

    let released = Event::UseReleased { order_id: order_id(1) };
    let used = Event::Used { order_id: order_id(1) };
    given::<Promotion>(&held)
        .when(Command::Release { order_id: order_id(1) })
        .then(std::slice::from_ref(&released));
    given::<Promotion>(&held)
        .when(Command::Settle { order_id: order_id(1) })
        .then(std::slice::from_ref(&used));
    for (end, next) in [(released, None), (used, Some(Refusal::UsedUp))] {
        let history = [held.to_vec(), vec![end]].concat();
        for command in [
            Command::Release { order_id: order_id(1) },
            Command::Settle { order_id: order_id(1) },
        ] {
            given::<Promotion>(&history)
                .when(command)
                .then_refused(&Refusal::NotReserved);
        }
        let promotion = Promotion::replay(&history);
        assert_eq!(promotion.decide(reserve(2, None)).err(), next);
    }
}

#[test]
fn each_customer_has_so_many_uses_and_a_guest_none() {
    let terms = described(limited(10, Some(1)));
    given::<Promotion>(std::slice::from_ref(&terms))
        .when(reserve(1, None))
        .then_refused(&Refusal::SignIn);
    let held = [terms.clone(), reserved(1, customer(7))];
    given::<Promotion>(&held)
        .when(reserve(2, customer(7)))
        .then_refused(&Refusal::UsedUpByCustomer);
    given::<Promotion>(&held)
        .when(reserve(2, customer(8)))
        .then(&[reserved(2, customer(8))]);
    let back = [
        held.to_vec(),
        vec![Event::UseReleased { order_id: order_id(1) }],
    ]
    .concat();
    given::<Promotion>(&back)
        .when(reserve(2, customer(7)))
        .then(&[reserved(2, customer(7))]);
    let used = [held.to_vec(), vec![Event::Used { order_id: order_id(1) }]].concat();
    given::<Promotion>(&used)
        .when(reserve(2, customer(7)))
        .then_refused(&Refusal::UsedUpByCustomer);
}

#[test]
fn a_promotion_that_was_never_described_is_none_and_one_that_has_ended_still_keeps_its_word() {
    given::<Promotion>(&[])
        .when(reserve(1, None))
        .then_refused(&Refusal::Unknown);
    let ended = Terms { active: false, ends_at: Some(noon()), ..a_tenth() };
    given::<Promotion>(&[described(ended)])
        .when(reserve(1, None))
        .then(&[reserved(1, None)]);
}

#[test]
fn what_a_promotion_writes_has_this_form() {
    let terms = Terms { minimum: vec![gbp(900)], ..limited(5, Some(1)) };
    assert_eq!(
        serde_json::to_value(described(terms)).unwrap(),
        serde_json::json!({
            "type": "promotion.described", "name": "Spring",
            "reduction": {"kind": "percentage", "basis_points": 1_000},
            "automatic": false, "listed": false, "active": true,
            "uses_max": 5, "uses_per_customer_max": 1,
            "minimum": [{"minor": 900, "currency": "GBP"}],
        })
    );
    assert_eq!(
        serde_json::to_value(reserved(1, None)).unwrap(),
        serde_json::json!({
            "type": "promotion.use_reserved",
            "order_id": "00000000-0000-0000-0000-000000000001",
        })
    );
}

proptest! {
    #![proptest_config(random())]

    #[test]
    fn what_is_taken_off_adds_up_and_no_line_costs_less_than_nothing(
        prices in prop::collection::vec((1_u32..50, 1_i64..100_000), 1..30),
        basis_points in 1_u32..=10_000,
        amount in 1_i64..10_000_000,
        percentage: bool,
    ) {
        let lines: Vec<Line> =
            prices.iter().map(|(quantity, price)| line("cup", *quantity, *price)).collect();
        let reduction = if percentage {
            Reduction::Percentage { basis_points }
        } else {
            Reduction::Amount { amounts: vec![gbp(amount)] }
        };
        let Ok(discount) = applied(&Terms { reduction, ..a_tenth() }, &lines) else {
            return Ok(());
        };
        prop_assert_eq!(discount.lines_minor.iter().sum::<i64>(), discount.amount_minor);
        let costs = lines.iter().map(Line::total_minor);
        prop_assert!(discount.lines_minor.iter().zip(costs).all(|(off, cost)| (0..=cost).contains(off)));
    }

    #[test]
    fn no_limit_is_ever_exceeded(
        uses_max in 1_u32..6,
        per_customer in prop::option::of(1_u32..3),
        script in prop::collection::vec((0_u8..3, 1_u128..12, 1_u128..4), 1..80),
    ) {
        let mut promotion = Promotion::default();
        promotion.evolve(&described(limited(uses_max, per_customer)));
        let mut granted: BTreeMap<u128, (u128, bool)> = BTreeMap::new();
        for (what, order, of) in script {
            let order_id = order_id(order);
            let command = match what {
                0 => reserve(order, customer(of)),
                1 => Command::Release { order_id },
                _ => Command::Settle { order_id },
            };
            let Ok(events) = promotion.decide(command) else { continue };
            for event in &events {
                match event {
                    Event::UseReserved { .. } => _ = granted.insert(order, (of, false)),
                    Event::UseReleased { .. } => _ = granted.remove(&order),
                    Event::Used { .. } => granted.get_mut(&order).unwrap().1 = true,
                    Event::Described(_) => {}
                }
                promotion.evolve(event);
            }
            // An order that used one up may be given another by this test, and by no checkout.
            prop_assert!(promotion.taken() <= u64::from(uses_max));
            if let Some(per_customer) = per_customer {
                prop_assert!(promotion.by_customer.values().all(|taken| *taken <= per_customer));
            }
        }
    }
}
