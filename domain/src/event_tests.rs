//! One of each event, written to the log and read back.

use std::collections::BTreeSet;

use super::*;
use crate::aggregate::Decider;
use crate::money::Money;
use crate::order::Failure;
use crate::payment::{Attempt, NextStep, Terms};
use crate::refunding::{GoodsPart, Refund, RestockPart};
use crate::testing::{an_order, by_card, gbp, noon, order_id, refund_id};

#[test]
fn every_event_is_written_under_its_name_and_read_back_as_it_was() {
    for event in one_of_each() {
        let (aggregate, version, payload) = stored(&event);
        assert_eq!(payload["type"], event.name(), "the payload explains itself");
        let read = Event::read(aggregate, &event.name(), &version, &payload.to_string());
        assert_eq!(read.unwrap(), event);
    }
}

#[test]
fn every_name_in_the_log_belongs_to_one_event() {
    let written: Vec<String> = one_of_each().iter().map(Event::name).collect();
    let distinct: BTreeSet<&str> = written.iter().map(String::as_str).collect();
    assert_eq!(distinct, Event::names().collect(), "each variant has its example above");
    assert_eq!(Event::names().count(), distinct.len(), "no name is used twice");
    for event in one_of_each() {
        let (aggregate, ..) = stored(&event);
        assert!(event.name().starts_with(&format!("{aggregate}.")), "{}", event.name());
    }
}

#[test]
fn every_event_is_written_in_the_version_that_needs_no_upcasting() {
    for event in one_of_each() {
        let (_, version, payload) = stored(&event);
        assert_eq!(upcast::from_value(&event.name(), &version, &payload), None);
    }
}

#[test]
fn what_cannot_be_read_says_what_it_is_and_why() {
    for (aggregate, payload, why) in [
        ("basket", r#"{"type":"order.completed"}"#, "there is no aggregate basket"),
        ("order", "{", "EOF"),
        ("order", r#"{"type":"order.eaten"}"#, "unknown variant"),
        ("payment", r#"{"type":"order.completed"}"#, "unknown variant"),
        ("order", r#"{"type":"order.confirmed"}"#, "captured_minor"),
    ] {
        let error = Event::read(aggregate, "a.name", "3", payload).unwrap_err();
        assert_eq!((error.name.as_str(), error.version.as_str()), ("a.name", "3"));
        assert!(error.cause.contains(why), "{}", error.cause);
    }
}

#[test]
fn a_state_that_is_written_down_goes_on_as_it_was() {
    fn survives<A>(state: &A)
    where
        A: Decider + PartialEq + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
    {
        let written = serde_json::to_string(state).unwrap();
        assert_eq!(serde_json::from_str::<A>(&written).unwrap(), *state);
    }
    let (mut order, mut payment) = (order::Order::default(), payment::Payment::default());
    let (mut stock, mut product) = (inventory::Inventory::default(), product::Product::default());
    for event in one_of_each() {
        match &event {
            Event::Order(event) => order.evolve(event),
            Event::Payment(event) => payment.evolve(event),
            Event::Inventory(event) => stock.evolve(event),
            Event::Product(event) => product.evolve(event),
        }
        survives(&order);
        survives(&payment);
        survives(&stock);
        survives(&product);
    }
}

/// What was added for routing is not there where there was none, so that old bytes still compare.
#[test]
fn a_routed_attempt_says_by_which_rule_and_instead_of_which_and_others_say_nothing() {
    let plain =
        Attempt { reference: "b".into(), choice: by_card(), started_at: noon(), instead_of: None };
    let mut written = serde_json::json!({
        "reference": "b", "method": "credit_card", "gateway": "sandbox",
        "started_at": "2026-03-01T12:00:00Z",
    });
    assert_eq!(serde_json::to_value(&plain).unwrap(), written);
    let mut routed = Attempt { instead_of: Some("a".into()), ..plain };
    routed.choice.routed_by = Some(uuid::Uuid::from_u128(7));
    written["instead_of"] = "a".into();
    written["routed_by"] = "00000000-0000-0000-0000-000000000007".into();
    assert_eq!(serde_json::to_value(&routed).unwrap(), written);
    assert_eq!(serde_json::from_value::<Attempt>(written).unwrap(), routed);
}

#[test]
fn a_remembered_refusal_is_the_refusal_that_was_given() {
    let sku = || "cup".parse().unwrap();
    for refusal in [
        order::Refusal::NotPlaced,
        order::Refusal::LineCount { lines: 0 },
        order::Refusal::Quantity { sku: sku(), quantity: 0 },
        order::Refusal::CaptureMismatch { expected: gbp(1850), captured: gbp(1) },
        order::Refusal::TooManyPieces { sku: sku(), left: 1 },
        order::Refusal::RefundTooLarge { left_minor: 5 },
    ] {
        let written = serde_json::to_string(&refusal).unwrap();
        assert_eq!(serde_json::from_str::<order::Refusal>(&written).unwrap(), refusal);
    }
    let refusal = inventory::Refusal::InsufficientStock { requested: 2, available: 1 };
    let written = serde_json::to_string(&refusal).unwrap();
    assert_eq!(serde_json::from_str::<inventory::Refusal>(&written).unwrap(), refusal);
    let refusal = payment::Refusal::AttemptAwaited { reference: "a".into() };
    let written = serde_json::to_string(&refusal).unwrap();
    assert_eq!(serde_json::from_str::<payment::Refusal>(&written).unwrap(), refusal);
}

fn stored(event: &Event) -> (&'static str, String, serde_json::Value) {
    let (aggregate, version, payload) = match event {
        Event::Order(event) => ("order", event.event_version(), serde_json::to_value(event)),
        Event::Payment(event) => ("payment", event.event_version(), serde_json::to_value(event)),
        Event::Inventory(event) => {
            ("inventory", event.event_version(), serde_json::to_value(event))
        }
        Event::Product(event) => ("product", event.event_version(), serde_json::to_value(event)),
    };
    (aggregate, version, payload.unwrap())
}

fn one_of_each() -> Vec<Event> {
    let orders = of_an_order().into_iter().map(Event::Order);
    let payments = of_a_payment().into_iter().map(Event::Payment);
    let stock = of_stock().into_iter().map(Event::Inventory);
    let price = Money { minor: 450, currency: "GBP".parse().unwrap() };
    let cup = product::Description { name: "Cup".into(), price, active: true };
    let products = [Event::Product(product::Event::Described(cup))];
    orders
        .chain(payments)
        .chain(stock)
        .chain(products)
        .collect()
}

fn of_an_order() -> Vec<order::Event> {
    let sku = || "cup".parse().unwrap();
    let refund = Refund {
        refund_id: refund_id(1),
        amount_minor: 800,
        goods: vec![GoodsPart { sku: sku(), amount_minor: 450, quantity: 1 }],
        shipping_minor: 350,
        restock: vec![RestockPart { sku: sku(), quantity: 1 }],
        reason: "broken".into(),
    };
    vec![
        order::Event::Placed(Box::new(an_order())),
        order::Event::Processing,
        order::Event::Failed(Failure::OutOfStock { skus: vec![sku()] }),
        order::Event::Failed(Failure::PaymentMismatched),
        order::Event::Failed(Failure::PaymentTimedOut),
        order::Event::Confirmed { captured_minor: 1850 },
        order::Event::Completed,
        order::Event::RefundRequested(refund.clone()),
        order::Event::RefundFailed {
            refund_id: refund_id(1),
            amount_minor: 800,
            reason: "account closed".into(),
        },
        order::Event::RefundRequested(refund.clone()),
        order::Event::Refunded(refund),
        order::Event::Cancelled { reason: "changed my mind".into() },
    ]
}

fn of_a_payment() -> Vec<payment::Event> {
    use payment::Event as E;

    let (reference, provider_reference) = (|| "a".to_owned(), || "p-1".to_owned());
    let (refund_id, amount_minor) = (refund_id(1), 800);
    let reason = || "insufficient_funds".to_owned();
    vec![
        E::Opened(Terms { order_id: order_id(1), amount: gbp(1850), pay_by: noon() }),
        E::AttemptStarted(Attempt {
            reference: reference(),
            choice: by_card(),
            started_at: noon(),
            instead_of: None,
        }),
        E::AttemptAccepted {
            reference: reference(),
            provider_reference: provider_reference(),
            next_step: Some(NextStep::Redirect { url: "https://pay.example/1".into() }),
        },
        E::Declined { reference: reference(), reason: reason() },
        E::Mismatched {
            reference: reference(),
            provider_reference: provider_reference(),
            expected: gbp(1850),
            received: gbp(1849),
        },
        E::Captured {
            reference: reference(),
            provider_reference: provider_reference(),
            received: gbp(1850),
        },
        E::CapturedAgain {
            reference: reference(),
            provider_reference: provider_reference(),
            received: gbp(1850),
        },
        E::Misnamed {
            reference: reference(),
            named: "z".into(),
            provider_reference: provider_reference(),
            received: gbp(1850),
        },
        E::Voided,
        E::RefundRequested {
            refund_id,
            amount_minor,
            reference: Some(reference()),
            reason: reason(),
        },
        E::RefundAccepted { refund_id, provider_reference: provider_reference() },
        E::RefundFailed { refund_id, amount_minor, reason: reason() },
        E::Refunded { refund_id, amount_minor, provider_reference: provider_reference() },
    ]
}

fn of_stock() -> Vec<inventory::Event> {
    use inventory::Event as E;

    let (order_id, refund_id, expires_at) = (order_id(1), refund_id(1), noon());
    vec![
        E::Received { quantity: u64::MAX, reference: "delivery 1".into() },
        E::Adjusted { quantity: i64::MIN, reason: "counted".into() },
        E::Reserved { order_id, quantity: 2, expires_at },
        E::Released { order_id, quantity: 2 },
        E::Issued { order_id, quantity: 2 },
        E::Restocked { order_id, refund_id, quantity: 1 },
    ]
}
