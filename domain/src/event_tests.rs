//! One of each event, written to the log and read back.

#[path = "event_payment_tests.rs"]
mod payments;

use std::collections::BTreeSet;

use uuid::Uuid;

use super::*;
use crate::aggregate::Decider;
use crate::exchange::{Conversion, Quote};
use crate::ids::VendorId;
use crate::money::Money;
use crate::order::Failure;
use crate::payment::{Attempt, NextStep, Terms, Unmatched};
use crate::placing::Placing;
use crate::refunding::{GoodsPart, Refund, RestockPart};
use crate::risk::{Assessment, Risk};
use crate::screening::{Decision, Outcome, Reason, Screening, SetAside};
use crate::testing::{
    an_order, an_order_to_pick_up, by_card, gbp, noon, of_delivery, order_id, refund_id,
};

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
    let mut listing = listing::Listing::default();
    let mut categories = categories::Categories::default();
    let (mut person, mut vendor) = (person::Person::default(), vendor::Vendor::default());
    let mut promotion = promotion::Promotion::default();
    let mut delivery = delivery::Delivery::default();
    for event in one_of_each() {
        match &event {
            Event::Order(event) => order.evolve(event),
            Event::Payment(event) => payment.evolve(event),
            Event::Inventory(event) => stock.evolve(event),
            Event::Product(event) => product.evolve(event),
            Event::Person(event) => person.evolve(event),
            Event::Listing(event) => listing.evolve(event),
            Event::Categories(event) => categories.evolve(event),
            Event::Vendor(event) => vendor.evolve(event),
            Event::Promotion(event) => promotion.evolve(event),
            Event::Delivery(event) => delivery.evolve(event),
        }
        survives(&order);
        survives(&payment);
        survives(&stock);
        survives(&product);
        survives(&person);
        survives(&listing);
        survives(&categories);
        survives(&vendor);
        survives(&promotion);
        survives(&delivery);
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
    let currency = "EUR".parse().unwrap();
    let refusal = product::Refusal::TwoPrices { currency };
    let written = serde_json::to_string(&refusal).unwrap();
    assert_eq!(serde_json::from_str::<product::Refusal>(&written).unwrap(), refusal);
    let refusal = listing::Refusal::SkuTwice { sku: sku() };
    let written = serde_json::to_string(&refusal).unwrap();
    assert_eq!(serde_json::from_str::<listing::Refusal>(&written).unwrap(), refusal);
    let refusal = categories::Refusal::NoSuchParent { parent: "cups".parse().unwrap() };
    let written = serde_json::to_string(&refusal).unwrap();
    assert_eq!(serde_json::from_str::<categories::Refusal>(&written).unwrap(), refusal);
    let refusal = payment::Refusal::AttemptAwaited { reference: "a".into() };
    let written = serde_json::to_string(&refusal).unwrap();
    assert_eq!(serde_json::from_str::<payment::Refusal>(&written).unwrap(), refusal);
}

/// What is in the log for ever is not to change by accident.
#[test]
fn what_screening_writes_has_this_form() {
    let form = |event: order::Event| serde_json::to_value(event).unwrap();
    assert_eq!(
        form(order::Event::Screened(screened(Outcome::Review))),
        serde_json::json!({
            "type": "order.screened", "outcome": "review", "review_by": "2026-03-01T12:00:00Z",
            "reasons": [{"rule": "many orders", "outcome": "review", "detail": "4 orders"}],
        })
    );
    assert_eq!(
        form(order::Event::ReviewApproved { reason: "known".into(), pay_by: noon() }),
        serde_json::json!({
            "type": "order.review_approved", "reason": "known", "pay_by": "2026-03-01T12:00:00Z",
        })
    );
    assert_eq!(
        form(order::Event::Failed(Failure::Refused)),
        serde_json::json!({"type": "order.failed", "cause": "refused"})
    );
    // Without rules, an order is written as it always was.
    let plain = form(order::Event::Placed(Box::new(an_order())));
    assert_eq!(plain.get("set_aside"), None);
    let held = Some(SetAside::Held { review_by: noon() });
    let held = form(order::Event::Placed(Box::new(Placing { set_aside: held, ..an_order() })));
    assert_eq!(
        held["set_aside"],
        serde_json::json!({"screening": "held", "review_by": "2026-03-01T12:00:00Z"})
    );
    let assessment = Some(Assessment { risk: Some(Risk::Highest), ..Assessment::default() });
    let captured = payment::Event::Captured {
        reference: "a".into(),
        provider_reference: "p".into(),
        received: gbp(1),
        assessment,
    };
    let captured = serde_json::to_value(captured).unwrap();
    assert_eq!(captured["assessment"], serde_json::json!({"risk": "highest"}));
}

/// What is the house's says nothing of vendors, so that old bytes still compare.
#[test]
fn what_vendors_write_has_this_form() {
    let id = "00000000-0000-0000-0000-000000000005";
    let form = |event: order::Event| serde_json::to_value(event).unwrap();
    assert_eq!(
        form(order::Event::LinesShipped(shipment())),
        serde_json::json!({
            "type": "order.lines_shipped", "vendor": id, "lines": [1, 3],
            "carrier": "Royal Mail", "tracking_number": "JD0002",
        })
    );
    let by_staff =
        order::Shipment { vendor: None, lines: vec![2], carrier: None, tracking_number: None };
    assert_eq!(
        form(order::Event::LinesShipped(by_staff)),
        serde_json::json!({"type": "order.lines_shipped", "lines": [2]})
    );
    let mut placing = an_order();
    let plain = form(order::Event::Placed(Box::new(placing.clone())));
    assert_eq!(plain["lines"][0].get("vendor"), None);
    placing.lines[0].vendor = Some(VendorId(Uuid::from_u128(5)));
    let sold = form(order::Event::Placed(Box::new(placing)));
    assert_eq!(sold["lines"][0]["vendor"], id);
    assert_eq!(sold["lines"][1], plain["lines"][1]);
    let [registered, _, changed, deactivated] = of_a_vendor();
    assert_eq!(
        serde_json::to_value(changed).unwrap(),
        serde_json::json!({
            "type": "vendor.profile_changed", "business_name": "Potts",
            "address": {"line1": "12 St James's Square", "city": "London", "country": "GB"},
            "description": "Pots since 1760", "shows_place": true,
        })
    );
    assert_eq!(
        serde_json::to_value(registered).unwrap(),
        serde_json::json!({
            "type": "vendor.registered", "business_name": "Potts",
            "address": {"line1": "12 St James's Square", "city": "London", "country": "GB"},
        })
    );
    assert_eq!(
        serde_json::to_value(deactivated).unwrap(),
        serde_json::json!({"type": "vendor.deactivated", "reason": "sold fakes"})
    );
}

fn stored(event: &Event) -> (&'static str, String, serde_json::Value) {
    let (aggregate, version, payload) = match event {
        Event::Order(event) => ("order", event.event_version(), serde_json::to_value(event)),
        Event::Payment(event) => ("payment", event.event_version(), serde_json::to_value(event)),
        Event::Inventory(event) => {
            ("inventory", event.event_version(), serde_json::to_value(event))
        }
        Event::Product(event) => ("product", event.event_version(), serde_json::to_value(event)),
        Event::Person(event) => ("person", event.event_version(), serde_json::to_value(event)),
        Event::Listing(event) => ("listing", event.event_version(), serde_json::to_value(event)),
        Event::Categories(event) => {
            ("categories", event.event_version(), serde_json::to_value(event))
        }
        Event::Vendor(event) => ("vendor", event.event_version(), serde_json::to_value(event)),
        Event::Promotion(event) => {
            ("promotion", event.event_version(), serde_json::to_value(event))
        }
        Event::Delivery(event) => ("delivery", event.event_version(), serde_json::to_value(event)),
    };
    (aggregate, version, payload.unwrap())
}

fn one_of_each() -> Vec<Event> {
    let orders = of_an_order().into_iter().map(Event::Order);
    let payments = payments::one_of_each().into_iter().map(Event::Payment);
    let stock = of_stock().into_iter().map(Event::Inventory);
    let price = Money { minor: 450, currency: "GBP".parse().unwrap() };
    let prices = vec![Money { minor: 900, currency: "JPY".parse().unwrap() }];
    let cup = product::Description {
        name: "Cup".into(),
        price,
        active: true,
        prices,
        vendor: Some(VendorId(Uuid::from_u128(5))),
        weight_grams: Some(350),
    };
    let products = [Event::Product(product::Event::Described(cup))];
    let forgotten =
        person::Event::Forgotten { orders: vec![order_id(1)], reason: "asked for it".into() };
    orders
        .chain(payments)
        .chain(stock)
        .chain(products)
        .chain([Event::Person(forgotten)])
        .chain(of_the_catalogue())
        .chain(of_a_vendor().map(Event::Vendor))
        .chain(of_a_promotion().into_iter().map(Event::Promotion))
        .chain(of_delivery().map(Event::Delivery))
        .collect()
}

fn of_the_catalogue() -> Vec<Event> {
    use categories::{Category, Event as C};
    use listing::{Choice, Description, Event as L, Variant};

    let handle = |text: &str| text.parse().unwrap();
    let options = vec![Choice { name: "size".into(), value: "large".into() }];
    let described = Description {
        description: "For tea.".into(),
        images: vec!["https://shop.example/cup.jpg".into()],
        category: Some(handle("cups")),
        tags: vec!["tea".into()],
        variants: vec![Variant { sku: "cup".parse().unwrap(), options }],
        vendor: Some(uuid::Uuid::from_u128(7)),
        ..Description::new("Tea cup".into())
    };
    let cups = |parent| Category { name: "Cups".into(), parent };
    vec![
        Event::Listing(L::Described(Box::new(described))),
        Event::Listing(L::Withdrawn),
        Event::Categories(C::Added { handle: handle("kitchen"), category: cups(None) }),
        Event::Categories(C::Added {
            handle: handle("cups"),
            category: cups(Some(handle("kitchen"))),
        }),
        Event::Categories(C::Renamed { handle: handle("cups"), name: "Mugs".into() }),
        Event::Categories(C::Moved { handle: handle("cups"), parent: None }),
        Event::Categories(C::Removed { handle: handle("cups") }),
    ]
}

fn of_a_vendor() -> [vendor::Event; 4] {
    let address = an_order().shipping_address;
    let business_name = "Potts".into();
    let profile = vendor::Profile { business_name, address, description: None, shows_place: false };
    let description = Some("Pots since 1760".into());
    let shown = vendor::Profile { description, shows_place: true, ..profile.clone() };
    [
        vendor::Event::Registered(profile),
        vendor::Event::Activated,
        vendor::Event::ProfileChanged(shown),
        vendor::Event::Deactivated { reason: "sold fakes".into() },
    ]
}

fn of_a_promotion() -> Vec<promotion::Event> {
    use promotion::Event as E;

    let gbp = |minor| Money { minor, currency: "GBP".parse().unwrap() };
    let order_id = order_id(1);
    let terms = promotion::Terms {
        name: "Spring".into(),
        reduction: promotion::Reduction::Amount { amounts: vec![gbp(100)] },
        automatic: true,
        listed: true,
        active: true,
        starts_at: Some(noon()),
        ends_at: Some(noon()),
        uses_max: Some(5),
        uses_per_customer_max: Some(1),
        minimum: vec![gbp(900)],
        skus: vec!["cup".parse().unwrap()],
    };
    let customer_id = Some(crate::ids::CustomerId(uuid::Uuid::from_u128(7)));
    vec![
        E::Described(terms),
        E::UseReserved { order_id, customer_id },
        E::UseReleased { order_id },
        E::UseReserved { order_id, customer_id: None },
        E::Used { order_id },
    ]
}

/// Without a promotion, an order is written as it was before there were any.
#[test]
fn an_order_says_what_was_taken_off_and_nothing_where_nothing_was() {
    let form =
        |placing: Placing| serde_json::to_value(order::Event::Placed(Box::new(placing))).unwrap();
    assert_eq!(form(an_order()).get("discount"), None);
    let discounted = a_discounted_order();
    let written = form(discounted.clone());
    assert_eq!(
        written["discount"],
        serde_json::json!({
            "promotion": "SPRING", "name": "Spring", "amount_minor": 150, "lines_minor": [90, 60],
        })
    );
    let read: order::Event = serde_json::from_value(written).unwrap();
    assert_eq!(read, order::Event::Placed(Box::new(discounted)));
    let failed = Failure::PromotionUsedUp { promotion: "SPRING".parse().unwrap() };
    assert_eq!(
        serde_json::to_value(order::Event::Failed(failed)).unwrap(),
        serde_json::json!({
            "type": "order.failed", "cause": "promotion_used_up", "promotion": "SPRING",
        })
    );
}

fn a_discounted_order() -> Placing {
    let discount = crate::placing::Discount {
        promotion: "SPRING".parse().unwrap(),
        name: "Spring".into(),
        amount_minor: 150,
        lines_minor: vec![90, 60],
    };
    Placing { discount: Some(Box::new(discount)), ..an_order() }
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
        order::Event::Placed(Box::new(a_converted_order())),
        order::Event::Placed(Box::new(a_discounted_order())),
        order::Event::Placed(Box::new(an_order_to_pick_up())),
        order::Event::Failed(Failure::PromotionUsedUp { promotion: "SPRING".parse().unwrap() }),
        order::Event::Placed(Box::new(Placing {
            set_aside: Some(SetAside::Held { review_by: noon() }),
            ..an_order()
        })),
        order::Event::Placed(Box::new(Placing {
            set_aside: Some(SetAside::Refused),
            ..an_order()
        })),
        order::Event::Screened(screened(Outcome::Accept)),
        order::Event::Screened(screened(Outcome::Refuse)),
        order::Event::Screened(screened(Outcome::Review)),
        order::Event::ReviewRefused { reason: "a stolen card".into() },
        order::Event::ReviewApproved { reason: "known to us".into(), pay_by: noon() },
        order::Event::Failed(Failure::Refused),
        order::Event::Failed(Failure::ReviewTimedOut),
        order::Event::Processing,
        order::Event::Failed(Failure::OutOfStock { skus: vec![sku()] }),
        order::Event::Failed(Failure::PaymentMismatched),
        order::Event::Failed(Failure::PaymentTimedOut),
        order::Event::Confirmed { captured_minor: 1850 },
        order::Event::LinesShipped(shipment()),
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

fn shipment() -> order::Shipment {
    order::Shipment {
        vendor: Some(VendorId(Uuid::from_u128(5))),
        lines: vec![1, 3],
        carrier: Some("Royal Mail".into()),
        tracking_number: Some("JD0002".into()),
    }
}

fn screened(outcome: Outcome) -> Screening {
    let reason = Reason { rule: "many orders".into(), outcome, detail: "4 orders".into() };
    Screening::new(Decision { outcome, reasons: vec![reason] }, noon())
}

/// Its first line costs what EUR 5.35 come to by way of the euro.
fn a_converted_order() -> crate::placing::Placing {
    let mut order = an_order();
    let quote = Quote {
        per_eur: "0.8412".parse().unwrap(),
        date: "2026-02-27".parse().unwrap(),
        source: "ECB".into(),
    };
    let price = Money { minor: 535, currency: "EUR".parse().unwrap() };
    let conversion = Conversion { price, from: None, to: Some(quote) };
    order.lines[0].converted_from = Some(Box::new(conversion));
    order
}

#[test]
fn a_line_says_what_its_price_was_converted_from_and_nothing_where_it_was_not() {
    let line = |order: crate::placing::Placing| serde_json::to_value(&order.lines[0]).unwrap();
    assert_eq!(
        line(an_order()),
        serde_json::json!({"sku": "cup", "name": "CUP", "quantity": 2, "unit_price_minor": 450}),
        "as it was written before prices were converted"
    );
    assert_eq!(
        line(a_converted_order())["converted_from"],
        serde_json::json!({
            "price": {"minor": 535, "currency": "EUR"},
            "to": {"per_eur": "0.8412", "date": "2026-02-27", "source": "ECB"},
        })
    );
    let conversion = a_converted_order().lines[0].converted_from.clone().unwrap();
    assert_eq!(conversion.converted("GBP".parse().unwrap()), Ok(gbp(450)));
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
