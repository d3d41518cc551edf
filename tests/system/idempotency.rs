//! The same command, sent twice, acts once and is answered the same.

use serde_json::json;
use tests::World;
use tests::world::an_order;

#[tokio::test]
async fn the_same_key_sent_twice_at_once_places_one_order() {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;

    let body = an_order(&[("cup", 2)]);
    let (first, second) = tokio::join!(
        world.post_as("key-1", "/api/v1/orders", body.clone()),
        world.post_as("key-1", "/api/v1/orders", body.clone()),
    );

    let (first, second) = (first.expect(201), second.expect(201));
    assert_eq!(first.text, second.text, "byte for byte");
    assert_eq!(first.header("location"), second.header("location"));
    let replayed = |answer: &tests::Answer| answer.header("idempotent-replayed").is_some();
    assert!(replayed(&first) != replayed(&second), "one of them is the first");
    world.settle().await;
    assert_eq!(
        world.get("/api/v1/orders").await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(world.stock("cup").await, (10, 2));
}

#[tokio::test]
async fn a_key_used_for_another_request_is_refused_and_changes_nothing() {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    let placed = world
        .post_as("key-1", "/api/v1/orders", an_order(&[("cup", 2)]))
        .await;
    let _placed = placed.expect(201);

    let other = world
        .post_as("key-1", "/api/v1/orders", an_order(&[("cup", 3)]))
        .await;

    assert_eq!(other.problem(422), "idempotency_key_reused");
    assert_eq!(world.stock("cup").await, (10, 2));
}

#[tokio::test]
async fn a_quoted_key_and_another_order_of_fields_are_the_same_request() {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    let first = world.post_as(
        "key-1",
        "/api/v1/inventory/cup/receipts",
        json!({
            "quantity": 1, "reference": "note 7",
        }),
    );
    let first = first.await;

    let body = r#"{ "reference": "note 7", "quantity": 1 }"#;
    let again = world
        .staff(reqwest::Method::POST, "/api/v1/inventory/cup/receipts")
        .header("idempotency-key", "\"key-1\"")
        .header("content-type", "application/json")
        .body(body);
    let again = tests::world::send(again).await;

    assert_eq!(again.text, first.text);
    assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
    assert_eq!(world.stock("cup").await, (11, 0));
}

#[tokio::test]
async fn a_refusal_is_remembered_although_it_would_be_granted_now() {
    let world = World::new().await;
    world.article("cup", "4.50", 1).await;
    let body = json!({"quantity": -5, "reason": "count"});
    let path = "/api/v1/inventory/cup/adjustments";
    let refused = world.post_as("key-1", path, body.clone()).await;
    assert_eq!(refused.problem(409), "stock_below_reserved");

    world.article("cup", "4.50", 100).await;
    let again = world.post_as("key-1", path, body.clone()).await;

    assert_eq!(again.status.as_u16(), 409);
    assert_eq!(again.text, refused.text, "byte for byte");
    let _granted = world.post_as("key-2", path, body).await.expect(200);
}

#[tokio::test]
async fn an_answer_that_waited_is_repeated_as_it_was() {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    let place = || {
        world
            .staff(reqwest::Method::POST, "/api/v1/orders")
            .header("idempotency-key", "key-1")
            .header("prefer", "wait=30")
            .json(&an_order(&[("cup", 2)]))
    };

    let first = tests::world::send(place()).await.expect(201);
    assert_eq!(first.json()["status"], "confirmed");
    assert!(first.header("preference-applied").is_some());
    let order_id = first.json()["id"].as_str().unwrap().to_owned();
    let _completed = world
        .post(&format!("/api/v1/orders/{order_id}/complete"), json!({}))
        .await
        .expect(200);

    let again = tests::world::send(place()).await.expect(201);
    assert_eq!(again.text, first.text);
    assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
}

#[tokio::test]
async fn a_restart_forgets_no_answer() {
    let mut world = World::new().await;
    world.article("cup", "4.50", 10).await;
    let first = world
        .post_as("key-1", "/api/v1/orders", an_order(&[("cup", 2)]))
        .await;

    world.restart().await;
    let again = world
        .post_as("key-1", "/api/v1/orders", an_order(&[("cup", 2)]))
        .await;

    assert_eq!(again.text, first.text);
    world.verify().await;
}

#[tokio::test]
async fn what_the_order_said_is_told_again_whatever_the_catalogue_says_by_then() {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    let mut free = an_order(&[("cup", 1)]);
    free["items"][0]["unit_price"] = json!({"amount": "0.00", "currency": "GBP"});
    let refused = world.post_as("free", "/api/v1/orders", free.clone()).await;
    assert_eq!(refused.problem(422), "nothing_to_pay");
    let gone = json!({
        "name": "Cup", "price": {"amount": "4.50", "currency": "GBP"}, "active": false,
    });
    let put = world.staff(reqwest::Method::PUT, "/api/v1/products/cup");
    let put = put.header("idempotency-key", "gone").json(&gone);
    let _gone = tests::world::send(put).await.expect(200);
    // By now it would be turned away before the order is asked.
    let again = world.post_as("free", "/api/v1/orders", free).await;
    assert_eq!((again.status, again.text), (refused.status, refused.text));
}
