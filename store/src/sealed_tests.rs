//! What is sealed, what stays, and that nothing else opens it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};

use domain::event::Event;
use domain::order;
use domain::placing::Placing;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use super::*;

const PLACED: &str = r#"{"type":"order.placed","customer":{"name":"Ada \"Byron\"","email":"ada@example.com","phone":"+44 20"},"customer_id":"00000000-0000-0000-0000-000000000007","shipping_address":{"line1":"12 St James's Square","city":"London","postcode":"SW1Y 4LB","country":"GB"},"currency":"GBP","lines":[{"sku":"cup","name":"Cup","quantity":2,"unit_price_minor":450}],"shipping_minor":350,"payment_id":"00000000-0000-0000-0000-000000000009","payment":{"method":"mobile_money","gateway":"mtn_momo","token":"46733123450"},"placed_at":"2026-03-01T12:00:00Z","pay_by":"2026-03-01T12:30:00Z"}"#;
const ATTEMPT: &str = r#"{"type":"payment.attempt_started","reference":"A","method":"mobile_money","gateway":"mtn_momo","token":"46733123450","started_at":"2026-03-01T12:00:00Z"}"#;

fn an_order() -> Place<'static> {
    Place {
        aggregate_type: "order",
        aggregate_id: "00000000-0000-0000-0000-000000000001",
        sequence: 1,
        event_type: "order.placed",
    }
}

fn an_attempt() -> Place<'static> {
    let event_type = "payment.attempt_started";
    Place { aggregate_type: "payment", sequence: 2, event_type, ..an_order() }
}

fn read(payload: &str) -> Placing {
    let event = Event::read("order", "order.placed", "2", payload).unwrap();
    let Event::Order(order::Event::Placed(placing)) = event else {
        panic!("an order.placed reads as one")
    };
    *placing
}

#[test]
fn what_is_sealed_reads_as_before_byte_for_byte_and_tells_nothing() {
    for (place, payload) in [(an_order(), PLACED), (an_attempt(), ATTEMPT)] {
        let sealed = seal(place, payload).unwrap().unwrap();
        for gone in [
            "Ada",
            "ada@",
            "+44",
            "James",
            "London",
            "SW1Y",
            "46733123450",
        ] {
            assert!(!sealed.payload.contains(gone), "{gone} in {}", sealed.payload);
        }
        assert_eq!(key_of(place.event_type, &sealed.payload), Some(sealed.key_id));
        let opened = open(place, &sealed.payload, &KeyState::Live(sealed.key)).unwrap();
        assert_eq!(opened, payload);
    }
}

#[test]
fn what_is_stored_has_the_form_that_is_documented() {
    let stored = seal(an_order(), PLACED).unwrap().unwrap().payload;
    assert!(stored.starts_with(r#"{"personal":{"key":""#), "{stored}");
    let mut stored: Value = serde_json::from_str(&stored).unwrap();
    let personal = stored.as_object_mut().unwrap().remove("personal").unwrap();
    let names: Vec<&String> = personal.as_object().unwrap().keys().collect();
    assert_eq!(names, ["key", "sealed"]);
    assert_eq!(
        stored,
        json!({
            "type": "order.placed",
            "customer": null,
            "customer_id": "00000000-0000-0000-0000-000000000007",
            "shipping_address": {"line1": null, "city": null, "postcode": null, "country": "GB"},
            "currency": "GBP",
            "lines": [{"sku": "cup", "name": "Cup", "quantity": 2, "unit_price_minor": 450}],
            "shipping_minor": 350,
            "payment_id": "00000000-0000-0000-0000-000000000009",
            "payment": {"method": "mobile_money", "gateway": "mtn_momo", "token": null},
            "placed_at": "2026-03-01T12:00:00Z",
            "pay_by": "2026-03-01T12:30:00Z",
        })
    );
}

#[test]
fn whoever_was_forgotten_reads_as_whoever_keeps_a_copy_has_to_write() {
    let sealed = seal(an_order(), PLACED).unwrap().unwrap();
    let forgotten = KeyState::Hidden(Hidden::Forgotten);
    let opened = open(an_order(), &sealed.payload, &forgotten).unwrap();
    let mut placing = read(PLACED);
    placing.forget();
    assert_eq!(read(&opened), placing);

    // A member in whose place nothing stands, and a token that was not given, are not made up.
    let mut plain: Value = serde_json::from_str(PLACED).unwrap();
    plain["payment"].as_object_mut().unwrap().remove("token");
    let address = plain["shipping_address"].as_object_mut().unwrap();
    address.remove("city");
    let plain = plain.to_string();
    let sealed = seal(an_order(), &plain).unwrap().unwrap();
    let opened = open(an_order(), &sealed.payload, &forgotten).unwrap();
    let mut placing = read(&plain);
    placing.forget();
    assert_eq!(read(&opened), placing);
    assert_eq!(placing.payment.token, None);

    let hidden = open(an_order(), &sealed.payload, &KeyState::Hidden(Hidden::Sealed)).unwrap();
    assert_eq!(read(&hidden).customer.name, "[sealed]");
}

#[test]
fn what_holds_nothing_personal_is_left_alone() {
    let without = ATTEMPT.replace(r#""token":"46733123450","#, "");
    assert!(seal(an_attempt(), &without).unwrap().is_none());
    let completed = Place { event_type: "order.completed", ..an_order() };
    assert!(
        seal(completed, r#"{"type":"order.completed"}"#)
            .unwrap()
            .is_none()
    );
    assert_eq!(key_of("order.placed", PLACED), None, "stored before anything was sealed");
    assert_eq!(key_of("order.completed", r#"{"personal":{"key":"x"}}"#), None);
}

#[test]
fn a_changed_or_moved_seal_does_not_open() {
    let sealed = seal(an_order(), PLACED).unwrap().unwrap();
    let opens = |place, payload: &str, key| open(place, payload, &KeyState::Live(key)).is_ok();
    assert!(opens(an_order(), &sealed.payload, sealed.key));
    assert!(!opens(an_order(), &sealed.payload, masters::chance()), "another key");
    for moved in [
        Place { aggregate_id: "00000000-0000-0000-0000-000000000002", ..an_order() },
        Place { sequence: 2, ..an_order() },
        Place { aggregate_type: "payment", ..an_order() },
    ] {
        assert!(!opens(moved, &sealed.payload, sealed.key), "{moved:?}");
    }
    let begin = sealed.payload.find(r#""sealed":""#).unwrap() + 10;
    let end = begin + sealed.payload[begin..].find('"').unwrap();
    for place in begin..end {
        let mut changed = sealed.payload.clone();
        let other = if changed.as_bytes()[place] == b'A' {
            "B"
        } else {
            "A"
        };
        changed.replace_range(place..=place, other);
        assert!(!opens(an_order(), &changed, sealed.key), "byte {place}");
    }
}

#[test]
fn whatever_people_write_is_sealed_and_comes_back() {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| RandomState::new().build_hasher().finish());
    eprintln!("SEED={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    for _ in 0..500 {
        let mut order: Value = serde_json::from_str(PLACED).unwrap();
        let mut text = || -> String {
            let length = chance.random_range(1..40);
            // Quotes, escapes, controls, other scripts and what looks like our own form.
            let letters = [
                '"', '\\', '\0', '\n', '{', '}', ':', ',', 'a', 'é', '茶', '😀', ' ',
            ];
            let mut text: String = (0..length)
                .map(|_| letters[chance.random_range(0..letters.len())])
                .collect();
            if chance.random_ratio(1, 8) {
                text.push_str(r#"{"personal":{"key":"#);
            }
            text
        };
        order["customer"] = json!({"name": text(), "email": text(), "phone": text()});
        for field in ["line1", "line2", "city", "postcode"] {
            order["shipping_address"][field] = text().into();
        }
        order["lines"][0]["name"] = text().into();
        order["payment"]["token"] = text().into();
        let placing: Placing = serde_json::from_value(order).unwrap();
        let event = order::Event::Placed(Box::new(placing.clone()));
        let payload = serde_json::to_string(&event).unwrap();
        let sealed = seal(an_order(), &payload).unwrap().unwrap();
        assert_eq!(key_of("order.placed", &sealed.payload), Some(sealed.key_id));
        let opened = open(an_order(), &sealed.payload, &KeyState::Live(sealed.key)).unwrap();
        assert_eq!(opened, payload);
        let hidden = KeyState::Hidden(Hidden::Forgotten);
        let mut forgotten = placing;
        forgotten.forget();
        assert_eq!(read(&open(an_order(), &sealed.payload, &hidden).unwrap()), forgotten);
    }
}
