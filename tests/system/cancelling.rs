//! Cancelling at every state: what was held is let go, what was paid goes back.

use serde_json::{Value, json};
use tests::World;
use tests::world::{an_order_paid_with, until};

async fn placed(token: &str) -> (World, String) {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    let order = an_order_paid_with(token, &[("cup", 2)]);
    let placed = world.post("/api/v1/orders", order).await.expect(201).json();
    let order_id = placed["id"].as_str().unwrap().to_owned();
    (world, order_id)
}

async fn cancel(world: &World, order_id: &str) -> tests::Answer {
    let body = json!({"reason": "changed my mind"});
    world
        .post(&format!("/api/v1/orders/{order_id}/cancel"), body)
        .await
}

async fn refunded(world: &World, order_id: &str) -> Value {
    until("all of it goes back", async || {
        let order = world
            .get(&format!("/api/v1/orders/{order_id}"))
            .await
            .json();
        (order["refunded"] == order["captured"]).then_some(order)
    })
    .await
}

#[tokio::test]
async fn an_order_cancelled_at_once_holds_nothing_in_the_end() {
    let (world, order_id) = placed("silent").await;

    let cancelled = cancel(&world, &order_id).await.expect(200).json();

    assert_eq!(cancelled["status"], "cancelled");
    world.order_when(&order_id, "cancelled").await;
    assert_eq!(world.stock("cup").await, (10, 0));
    world.verify().await;
}

#[tokio::test]
async fn an_order_cancelled_while_its_money_is_awaited_gives_its_stock_back() {
    let (world, order_id) = placed("silent").await;
    world.order_when(&order_id, "processing").await;

    let _cancelled = cancel(&world, &order_id).await.expect(200);

    assert_eq!(world.stock("cup").await, (10, 0));
    world.verify().await;
}

#[tokio::test]
async fn an_order_cancelled_after_it_was_paid_gives_stock_and_money_back() {
    let (world, order_id) = placed("ok").await;
    world.order_when(&order_id, "confirmed").await;

    let _cancelled = cancel(&world, &order_id).await.expect(200);

    let order = refunded(&world, &order_id).await;
    assert_eq!(
        (&order["status"], &order["payment_status"]),
        (&json!("cancelled"), &json!("refunded"))
    );
    assert_eq!(world.stock("cup").await, (10, 0));
    world.verify().await;
}

#[tokio::test]
async fn an_order_that_has_come_to_its_end_cannot_be_cancelled() {
    let (world, order_id) = placed("ok").await;
    world.order_when(&order_id, "confirmed").await;
    let _completed = world
        .post(&format!("/api/v1/orders/{order_id}/complete"), json!({}))
        .await
        .expect(200);
    assert_eq!(cancel(&world, &order_id).await.problem(409), "order_already_completed");
    assert_eq!(world.stock("cup").await, (8, 0));

    let short = an_order_paid_with("ok", &[("cup", 99)]);
    let short = world.post("/api/v1/orders", short).await.expect(201).json();
    let short = short["id"].as_str().unwrap();
    world.order_when(short, "failed").await;
    assert_eq!(cancel(&world, short).await.problem(409), "order_already_failed");

    let silent = an_order_paid_with("silent", &[("cup", 1)]);
    let silent = world
        .post("/api/v1/orders", silent)
        .await
        .expect(201)
        .json();
    let silent = silent["id"].as_str().unwrap();
    let _cancelled = cancel(&world, silent).await.expect(200);
    assert_eq!(cancel(&world, silent).await.problem(409), "order_already_cancelled");

    let all = json!({"reason": "all of it"});
    let asked = world
        .post(&format!("/api/v1/orders/{order_id}/refunds"), all)
        .await;
    assert!(asked.status.is_success(), "{}", asked.text);
    world.order_when(&order_id, "refunded").await;
    assert_eq!(cancel(&world, &order_id).await.problem(409), "order_already_refunded");

    let unknown = cancel(&world, "01890000-0000-7000-8000-000000000000").await;
    assert_eq!(unknown.status.as_u16(), 404);
    world.verify().await;
}

#[tokio::test]
async fn orders_cancelled_in_the_middle_of_their_checkout_come_to_rest() {
    let world = World::new().await;
    world.article("cup", "4.50", 1_000).await;
    let orders = futures::future::join_all((0..60).map(|_| async {
        let order = an_order_paid_with("ok", &[("cup", 2)]);
        let placed = world.post("/api/v1/orders", order).await.expect(201).json();
        let order_id = placed["id"].as_str().unwrap().to_owned();
        // Some are confirmed by now, some are not.
        let answer = cancel(&world, &order_id).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        order_id
    }))
    .await;

    world.settle().await;
    for order_id in &orders {
        let order = refunded(&world, order_id).await;
        assert_eq!(order["status"], "cancelled", "{order}");
    }
    assert_eq!(world.stock("cup").await, (1_000, 0));
    let parked = world.get("/api/v1/parked-facts").await.json();
    assert_eq!(parked["items"], json!([]), "nobody is needed");
    world.verify().await;
}
