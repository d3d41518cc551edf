//! What every command is answered, besides what it does: position, version, place, and its trace.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tests::World;
use tests::telling::{a_world_with_cups, id_in, items, keyed, names_of};
use tests::world::{an_order, an_order_paid_with, send};
use uuid::Uuid;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Every event after a position, as the log has it.
async fn events_after(world: &World, position: i64) -> Vec<Value> {
    let path = format!("/api/v1/events?limit=100&from={}", position + 1);
    items(&world.get(&path).await.expect(200))
}

#[tokio::test]
async fn a_placed_order_is_answered_with_position_version_and_place() {
    let world = a_world_with_cups().await;
    let before = world.get("/api/v1/events?limit=1").await.position();

    let placed = world
        .post("/api/v1/orders", an_order(&[("cup", 2)]))
        .await
        .expect(201);

    let (order, id) = (placed.json(), id_in(&placed));
    assert_eq!(names_of(&order), ["id", "payment_id", "status", "total", "version"]);
    assert_eq!(order["status"], "pending");
    assert_eq!(order["total"], json!({"amount": "9.00", "currency": "GBP"}));
    for name in ["id", "payment_id"] {
        let id: Uuid = order[name].as_str().unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 7, "{name}");
    }
    assert_eq!(placed.header("location"), Some(format!("/api/v1/orders/{id}")));
    assert_eq!(placed.header("etag").as_deref(), Some("\"1\""));
    assert_eq!(placed.header("content-type").as_deref(), Some("application/json"));
    assert_eq!(placed.header("idempotent-replayed"), None);
    let events = events_after(&world, before).await;
    let own = events
        .iter()
        .find(|event| event["event"] == "order.placed")
        .unwrap();
    assert_eq!(own["position"], json!(placed.position()), "its effect is there");
    assert_eq!(own["aggregate_id"], json!(id));
}

#[tokio::test]
async fn every_command_answers_with_what_has_become_of_its_subject() {
    let world = a_world_with_cups().await;
    let level = ["available", "on_hand", "reserved", "sku", "version"];
    let received = json!({"quantity": 5, "reference": "note 7"});
    let received = world
        .post("/api/v1/inventory/cup/receipts", received)
        .await
        .expect(200);
    assert_eq!(names_of(&received.json()), level);
    let lost = json!({"quantity": -3, "reason": "broken"});
    let lost = world
        .post("/api/v1/inventory/cup/adjustments", lost)
        .await
        .expect(200);
    let expected =
        json!({"sku": "cup", "on_hand": 1_002, "reserved": 0, "available": 1_002, "version": 3});
    assert_eq!(lost.json(), expected);
    assert_eq!(lost.header("etag").as_deref(), Some("\"3\""));
    let nothing = json!({"quantity": 0, "reason": "counted"});
    let nothing = world
        .post("/api/v1/inventory/cup/adjustments", nothing)
        .await;
    assert_eq!(nothing.problem(422), "quantity_zero");

    let cup = json!({
        "name": "Cup", "price": {"amount": "5.00", "currency": "GBP"}, "active": true,
    });
    let put = keyed(world.staff(Method::PUT, "/api/v1/products/cup")).json(&cup);
    let product = send(put).await.expect(200).json();
    assert_eq!(names_of(&product), ["active", "name", "price", "prices", "sku", "version"]);
    assert_eq!(product["version"], 2);

    let declined = an_order_paid_with("declined", &[("cup", 1)]);
    let order = world.post("/api/v1/orders", declined).await.expect(201);
    let path = format!("/api/v1/orders/{}", id_in(&order));
    let early = world.post(&format!("{path}/complete"), json!({})).await;
    assert!(early.problem(409).starts_with("order_"), "{}", early.text);
    let early = world
        .post(&format!("{path}/refunds"), json!({"reason": "none"}))
        .await;
    assert!(early.problem(409).starts_with("order_"), "{}", early.text);
    world.settle().await;
    let again = json!({"payment_method": "paypal", "payment_token": "ok"});
    let again = world
        .post(&format!("{path}/payments"), again)
        .await
        .expect(201);
    let members = ["id", "order_id", "reference", "status", "version"];
    assert_eq!(names_of(&again.json()), members);
    assert_eq!(again.json()["status"], "awaited");
    assert_eq!(again.header("location"), Some(format!("/api/v1/payments/{}", id_in(&again))));
    world.order_when(&id_in(&order), "confirmed").await;

    let foreign = json!({"amount": {"amount": "1.00", "currency": "EUR"}, "reason": "broken"});
    let foreign = world.post(&format!("{path}/refunds"), foreign).await;
    assert_eq!(foreign.problem(422), "currency_mismatch");
    let part = json!({"amount": {"amount": "1.00", "currency": "GBP"}, "reason": "broken"});
    let part = world
        .post(&format!("{path}/refunds"), part)
        .await
        .expect(201)
        .json();
    assert_eq!(names_of(&part), ["amount", "id", "refund_id", "status", "version"]);
    assert_eq!(part["amount"], json!({"amount": "1.00", "currency": "GBP"}));
    world.settle().await;
    // A command that needs no words needs no body.
    let done = keyed(world.staff(Method::POST, &format!("{path}/complete")));
    let done = send(done).await.expect(200).json();
    assert_eq!(names_of(&done), ["id", "status", "version"]);
    assert_eq!(done["status"], "completed");
    world.verify().await;
}

#[tokio::test]
async fn a_command_on_another_version_is_412_and_names_both() {
    let world = a_world_with_cups().await;
    let silent = an_order_paid_with("silent", &[("cup", 1)]);
    let id = id_in(&world.post("/api/v1/orders", silent).await.expect(201));
    world.order_when(&id, "processing").await;
    world.settle().await;
    let path = format!("/api/v1/orders/{id}");
    let order = world.get(&path).await;
    let (version, tag) = (order.json()["version"].as_i64().unwrap(), order.header("etag").unwrap());
    let cancel = |tag: &str| {
        let cancel = keyed(world.staff(Method::POST, &format!("{path}/cancel")));
        send(
            cancel
                .header("if-match", tag)
                .json(&json!({"reason": "none"})),
        )
    };

    let refused = cancel("\"99\"").await;

    assert_eq!(refused.problem(412), "version_mismatch");
    assert!(order.position() <= refused.position(), "what it was decided on is there");
    let problem = refused.json();
    assert_eq!((&problem["expected"], &problem["actual"]), (&json!(99), &json!(version)));
    // The tag of the view names the version too.
    let _cancelled = cancel(&tag).await.expect(200);
    // Its stock is released; nothing moves after that.
    world.settle().await;
    for (method, path, body) in [
        (
            Method::POST,
            "/api/v1/inventory/cup/receipts",
            json!({"quantity": 1, "reference": "x"}),
        ),
        (
            Method::POST,
            "/api/v1/inventory/cup/adjustments",
            json!({"quantity": 1, "reason": "x"}),
        ),
        (
            Method::PUT,
            "/api/v1/products/cup",
            json!({"name": "x", "price": {"amount": "1", "currency": "GBP"}, "active": true}),
        ),
    ] {
        let send_at = |version: i64| {
            let request = keyed(world.staff(method.clone(), path)).json(&body);
            send(request.header("if-match", format!("\"{version}\"")))
        };
        let refused = send_at(0).await;
        assert_eq!(refused.problem(412), "version_mismatch", "{path}");
        let actual = refused.json()["actual"].as_i64().unwrap();
        let granted = send_at(actual).await.expect(200);
        assert_eq!(granted.json()["version"], json!(actual + 1), "{path}");
    }
}

#[tokio::test]
async fn a_request_id_and_a_trace_are_echoed_and_kept_in_the_events() {
    let world = a_world_with_cups().await;
    let request = keyed(world.guest(Method::POST, "/api/v1/orders"))
        .header("x-request-id", "shop-4711")
        .header("traceparent", TRACE)
        .json(&an_order(&[("cup", 1)]));

    let placed = send(request).await.expect(201);

    assert_eq!(placed.header("x-request-id").as_deref(), Some("shop-4711"));
    assert_eq!(placed.header("traceparent").as_deref(), Some(TRACE));
    world.settle().await;
    let events = events_after(&world, placed.position() - 1).await;
    assert_eq!(events[0]["event"], "order.placed");
    // All that the request causes, until a provider speaks of its own accord.
    for name in [
        "order.placed",
        "inventory.reserved",
        "order.processing",
        "payment.opened",
    ] {
        let event = events
            .iter()
            .find(|event| event["event"] == name)
            .expect(name);
        assert_eq!(event["request_id"], "shop-4711", "{name}");
        assert_eq!(event["traceparent"], TRACE, "{name}");
    }
    assert_eq!(events[0]["actor"], "guest");
    for unusable in ["two words", &"x".repeat(129), "caf\u{e9}"] {
        let request = world.guest(Method::GET, "/api/v1/nothing");
        let request = request
            .header("x-request-id", unusable)
            .header("traceparent", "00-0-0-0");
        let answer = send(request).await;
        let made = answer.header("x-request-id").unwrap();
        assert!(made.parse::<Uuid>().is_ok(), "{made}");
        assert_eq!(answer.json()["request_id"], made.as_str());
        assert_eq!(answer.header("traceparent").unwrap().len(), TRACE.len());
    }
}

#[tokio::test]
async fn a_wait_for_the_outcome_ends_when_its_time_is_over() {
    let world = a_world_with_cups().await;
    let place = |token: &str, prefer: &'static str| {
        let request = keyed(world.guest(Method::POST, "/api/v1/orders"));
        let order = an_order_paid_with(token, &[("cup", 1)]);
        send(request.header("prefer", prefer).json(&order))
    };

    let waited = place("silent", "respond-async, wait=1").await.expect(201);
    let paid = place("ok", "wait=3600").await.expect(201);
    let unheard = place("silent", "wait=soon").await.expect(201);

    assert_eq!(waited.header("preference-applied").as_deref(), Some("wait=1"));
    assert_eq!(waited.json()["status"], "processing");
    assert_eq!(paid.header("preference-applied").as_deref(), Some("wait=30"), "30 s at most");
    assert_eq!(paid.json()["status"], "confirmed");
    assert_eq!(unheard.header("preference-applied"), None);
}

#[tokio::test]
async fn a_key_belongs_to_its_caller_and_may_be_255_characters_long() {
    let world = a_world_with_cups().await;
    let key = "k".repeat(255);
    let order = an_order(&[("cup", 1)]);
    let place =
        |request: RequestBuilder| send(request.header("idempotency-key", &key).json(&order));

    let staff = place(world.staff(Method::POST, "/api/v1/orders"))
        .await
        .expect(201);
    let guest = place(world.guest(Method::POST, "/api/v1/orders"))
        .await
        .expect(201);
    let again = place(world.guest(Method::POST, "/api/v1/orders"))
        .await
        .expect(201);

    assert_ne!(id_in(&staff), id_in(&guest));
    assert_eq!(again.text, guest.text);
    assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
    assert_eq!(again.position(), guest.position());
    assert_eq!(again.header("location"), guest.header("location"));
    // A key is used up by one address, method and version, not only by one body.
    let elsewhere = world
        .post_as(&key, "/api/v1/inventory/cup/receipts", order.clone())
        .await;
    assert_eq!(elsewhere.status.as_u16(), 422);
    let fitting = json!({"quantity": 1, "reference": "x"});
    let elsewhere = world
        .post_as(&key, "/api/v1/inventory/cup/receipts", fitting)
        .await;
    assert_eq!(elsewhere.problem(422), "idempotency_key_reused");
}

#[tokio::test]
async fn every_payment_method_and_every_odd_country_is_taken() {
    let world = a_world_with_cups().await;
    let methods = [
        "credit_card",
        "debit_card",
        "paypal",
        "bank_transfer",
        "cash",
        "cryptocurrency",
        "mobile_money",
    ];
    let countries = ["GB", "ZZ", "XC", "EU", "AA", "QM", "XK"];
    for (method, country) in methods.into_iter().zip(countries) {
        let mut order = an_order(&[("cup", 1)]);
        order["payment_method"] = method.into();
        order["gateway"] = "sandbox".into();
        order["shipping_address"]["country"] = country.into();
        order["shipping_cost"] = json!({"amount": "0.5", "currency": "GBP"});
        let placed = world.post("/api/v1/orders", order).await.expect(201).json();
        assert_eq!(placed["total"]["amount"], "5.00", "{method} {country}");
    }
    let mut order = an_order(&[("cup", 1)]);
    order["payment_method"] = "barter".into();
    order["payment_token"] = "4242424242424242".into();
    order["shipping_cost"] = json!({"amount": "0.5", "currency": "EUR"});
    let refused = world.post("/api/v1/orders", order).await;
    assert_eq!(refused.problem(422), "invalid_fields");
    for pointer in [
        "/payment_method",
        "/payment_token",
        "/shipping_cost/currency",
    ] {
        assert!(refused.text.contains(&format!("\"{pointer}\"")), "{}", refused.text);
    }
}

#[tokio::test]
async fn a_refusal_by_the_catalogue_is_remembered_although_it_would_be_granted_now() {
    let world = World::new().await;
    let order = an_order(&[("cup", 1)]);
    let refused = world
        .post_as("key-1", "/api/v1/orders", order.clone())
        .await;
    assert_eq!(refused.problem(422), "unknown_product");
    let _there = refused.position();

    world.article("cup", "4.50", 10).await;
    let again = world
        .post_as("key-1", "/api/v1/orders", order.clone())
        .await;

    assert_eq!((again.status.as_u16(), &again.text), (422, &refused.text), "byte for byte");
    assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
    assert_eq!(again.problem(422), "unknown_product");
    let _placed = world
        .post_as("key-2", "/api/v1/orders", order)
        .await
        .expect(201);
}
