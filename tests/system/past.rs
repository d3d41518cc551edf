//! The past: how things were at a moment, and what has changed since and because of what.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::World;
use tests::telling::{a_world_with_cups, id_in, items, names_of};
use tests::world::{an_order_paid_with, until};

/// A world in which three cups were bought, and one of them was paid back.
struct Shop {
    world: World,
    order: String,
    payment: String,
    /// When the order was placed.
    placed: i64,
    /// When everything had come to rest.
    end: i64,
}

async fn shop() -> Shop {
    let world = a_world_with_cups().await;
    let order = an_order_paid_with("ok", &[("cup", 3)]);
    let placed = world.post("/api/v1/orders", order).await.expect(201);
    let order = id_in(&placed);
    let payment = placed.json()["payment_id"].as_str().unwrap().to_owned();
    world.order_when(&order, "confirmed").await;
    let refund = json!({"reason": "a chip", "items": [
        {"sku": "cup", "quantity": 1, "restock": true},
    ]});
    let path = format!("/api/v1/orders/{order}/refunds");
    let _asked = world.post(&path, refund).await.expect(201);
    until("the refund is paid out", async || {
        let order = world.get(&format!("/api/v1/orders/{order}")).await.json();
        (order["refunded"]["amount"] == "4.50").then_some(())
    })
    .await;
    world.settle().await;
    let end = world.get("/api/v1/events?limit=1").await.position();
    Shop { world, order, payment, placed: placed.position(), end }
}

impl Shop {
    /// Everything that can be asked about the past.
    fn paths(&self) -> [String; 4] {
        [
            format!("/api/v1/orders/{}?", self.order),
            format!("/api/v1/payments/{}?", self.payment),
            "/api/v1/inventory/cup?".to_owned(),
            "/api/v1/reports/sales?group_by=sku&".to_owned(),
        ]
    }

    async fn events(&self) -> Vec<Value> {
        items(&self.world.get("/api/v1/events?limit=100").await)
    }
}

/// Puts one field into a tree of fields, as its pointer says.
fn put(tree: &mut Value, pointer: &str, value: &Value) {
    let mut at = tree;
    for name in pointer.split('/').skip(1) {
        at = if let Ok(index) = name.parse::<usize>() {
            if !at.is_array() {
                *at = json!([]);
            }
            let list = at.as_array_mut().unwrap();
            list.resize(list.len().max(index + 1), Value::Null);
            &mut list[index]
        } else {
            if !at.is_object() {
                *at = json!({});
            }
            &mut at[name]
        };
    }
    *at = value.clone();
}

#[tokio::test]
async fn as_of_the_end_everything_is_as_it_is() {
    let shop = shop().await;
    let events = shop.events().await;
    let last = events.last().unwrap()["at"].as_str().unwrap();
    for path in shop.paths() {
        let now = shop.world.get(&path).await.expect(200).json();
        for moment in [
            &shop.end.to_string(),
            last,
            "9223372036854775807",
            "2999-01-01",
        ] {
            let was = shop.world.get(&format!("{path}as_of={moment}")).await;
            assert_eq!(was.expect(200).json(), now, "{path}as_of={moment}");
        }
    }
}

#[tokio::test]
async fn at_every_position_stock_and_money_are_what_had_happened_by_then() {
    let shop = shop().await;
    let (mut on_hand, mut reserved, mut refunded) = (0, 0, "0.00".to_owned());
    let (mut captured, mut sold) = ("0.00".to_owned(), false);
    for event in shop.events().await {
        let at = event["position"].as_i64().unwrap();
        let pieces = event["data"]["quantity"].as_i64().unwrap_or(0);
        match event["event"].as_str().unwrap() {
            "inventory.received" | "inventory.restocked" => on_hand += pieces,
            "inventory.reserved" => reserved += pieces,
            "payment.captured" => "13.50".clone_into(&mut captured),
            "payment.refunded" => "4.50".clone_into(&mut refunded),
            "order.confirmed" => sold = true,
            _ => {}
        }
        let get = async |path: &str| shop.world.get(&format!("{path}as_of={at}")).await;
        let stock = get("/api/v1/inventory/cup?").await;
        if on_hand == 0 {
            assert_eq!(stock.problem(404), "not_found", "at {at}");
        } else {
            let stock = stock.expect(200).json();
            assert_eq!(stock["on_hand"], on_hand, "at {at}");
            assert_eq!(stock["reserved"], reserved, "at {at}");
        }
        let payment = get(&format!("/api/v1/payments/{}?", shop.payment)).await;
        if payment.status == StatusCode::OK {
            let payment = payment.json();
            assert_eq!(payment["captured"]["amount"], captured.as_str(), "at {at}");
            assert_eq!(payment["refunded"]["amount"], refunded.as_str(), "at {at}");
        }
        let sales = get("/api/v1/reports/sales?group_by=country&")
            .await
            .expect(200);
        assert_eq!(items(&sales).len(), usize::from(sold), "at {at}");
    }
}

#[tokio::test]
async fn what_changed_is_the_difference_of_two_moments_and_names_its_events() {
    let shop = shop().await;
    let events = shop.events().await;
    let [order, payment, stock, _] = shop.paths();
    for path in [order, payment, stock] {
        // From before there was any of it, so that every field is told.
        let from = 0;
        for to in [shop.placed + 4, shop.end] {
            let was = shop.world.get(&format!("{path}as_of={to}")).await;
            let asked = format!("{path}diff_from={from}&as_of={to}");
            if was.status != StatusCode::OK {
                assert_eq!(shop.world.get(&asked).await.problem(404), "not_found");
                continue;
            }
            let told = shop.world.get(&asked).await.expect(200).json();
            assert_eq!((&told["from"], &told["to"]), (&json!(from), &json!(to)));
            let mut put_together = json!({});
            for change in told["changes"].as_array().unwrap() {
                assert_eq!(change["from"], Value::Null, "{change}");
                put(&mut put_together, change["pointer"].as_str().unwrap(), &change["to"]);
                let because_of = change["events"].as_array().unwrap();
                assert_eq!(change["events_count"], because_of.len(), "{change}");
                for cause in because_of {
                    let position = cause["position"].as_u64().unwrap();
                    let event = &events[usize::try_from(position).unwrap() - 1];
                    assert_eq!((&event["event"], &event["at"]), (&cause["event"], &cause["at"]));
                }
            }
            assert_eq!(put_together, was.json(), "{asked}");
        }
    }
}

#[tokio::test]
async fn a_refund_is_seen_in_what_changed_since() {
    let shop = shop().await;
    let events = shop.events().await;
    let position = |name: &str| {
        let event = events.iter().find(|event| event["event"] == name).unwrap();
        event["position"].as_i64().unwrap()
    };
    let since = position("order.confirmed");
    let asked = format!("/api/v1/orders/{}?diff_from={since}", shop.order);
    let told = shop.world.get(&asked).await.expect(200).json();
    let changes = told["changes"].as_array().unwrap();
    let of = |pointer: &str| {
        let change = changes.iter().find(|change| change["pointer"] == pointer);
        change.unwrap_or_else(|| panic!("{pointer} is not in {told}"))
    };
    let refunded = of("/refunded/amount");
    assert_eq!((&refunded["from"], &refunded["to"]), (&json!("0.00"), &json!("4.50")));
    assert_eq!(refunded["events"][0]["event"], "payment.refunded");
    assert_eq!(of("/payment_status")["to"], "partially_refunded");
    assert!(changes.iter().all(|change| change["pointer"] != "/status"), "{told}");

    let asked = format!("/api/v1/reports/sales?group_by=sku&diff_from={since}");
    let told = shop.world.get(&asked).await.expect(200).json();
    assert_eq!(names_of(&told), ["from", "items", "to"]);
    let row = &told["items"][0];
    assert_eq!((&row["key"], &row["from"]["orders"]), (&json!("cup"), &json!(1)));
    assert_eq!(row["from"]["refunded"]["amount"], "0.00");
    assert_eq!(row["to"]["refunded"]["amount"], "4.50");
    assert_eq!((&row["events_count"], told["items"].as_array().unwrap().len()), (&json!(1), 1));
    assert_eq!(row["events"][0]["position"], position("order.refunded"));
    let nothing = format!("/api/v1/reports/sales?group_by=sku&diff_from={}", shop.end);
    assert_eq!(items(&shop.world.get(&nothing).await.expect(200)), Vec::<Value>::new());
}

#[tokio::test]
async fn moments_that_make_no_sense_are_refused_by_name() {
    let shop = shop().await;
    for path in shop.paths() {
        for moments in [
            "as_of=",
            "as_of=noon",
            "as_of=-1",
            "diff_from=99999999999999999999",
            "diff_from=5&as_of=4",
            "diff_from=2026-02-01&as_of=2026-01-31T23:59:59Z",
        ] {
            let answer = shop.world.get(&format!("{path}{moments}")).await;
            assert_eq!(answer.problem(400), "invalid_parameters", "{path}{moments}");
        }
    }
}
