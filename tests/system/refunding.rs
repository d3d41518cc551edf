//! Refunds to the penny: in full, in part, by pieces, never too much.

use serde_json::{Value, json};
use tests::World;
use tests::world::{an_order, until};

/// An order of 3 cups at 3.33 and a pot at 10.00, with 4.99 for shipping: 24.98.
async fn confirmed() -> (World, String) {
    let world = World::new().await;
    world.article("cup", "3.33", 10).await;
    world.article("pot", "10.00", 10).await;
    let mut order = an_order(&[("cup", 3), ("pot", 1)]);
    order["shipping_cost"] = json!({"amount": "4.99", "currency": "GBP"});
    let placed = world.post("/api/v1/orders", order).await.expect(201).json();
    let order_id = placed["id"].as_str().unwrap().to_owned();
    world.order_when(&order_id, "confirmed").await;
    (world, order_id)
}

async fn refund(world: &World, order_id: &str, body: Value) -> tests::Answer {
    world
        .post(&format!("/api/v1/orders/{order_id}/refunds"), body)
        .await
}

async fn when_refunded(world: &World, order_id: &str, amount: &str) -> Value {
    until(&format!("{amount} has gone back"), async || {
        let order = world
            .get(&format!("/api/v1/orders/{order_id}"))
            .await
            .json();
        (order["refunded"]["amount"] == amount).then_some(order)
    })
    .await
}

async fn complete(world: &World, order_id: &str) {
    let path = format!("/api/v1/orders/{order_id}/complete");
    let _completed = world.post(&path, json!({})).await.expect(200);
    world.settle().await;
}

fn pounds(amount: &str) -> Value {
    json!({"amount": amount, "currency": "GBP"})
}

#[tokio::test]
async fn partial_refunds_add_up_to_the_whole_and_not_a_penny_more() {
    let (world, order_id) = confirmed().await;
    complete(&world, &order_id).await;

    let part = json!({"amount": pounds("0.01"), "reason": "goodwill"});
    assert!(refund(&world, &order_id, part).await.status.is_success());
    let order = when_refunded(&world, &order_id, "0.01").await;
    assert_eq!(order["payment_status"], "partially_refunded");
    assert_eq!(order["status"], "completed");

    let too_much = json!({"amount": pounds("24.98"), "reason": "all of it"});
    assert_eq!(refund(&world, &order_id, too_much).await.status.as_u16(), 422);

    let rest = json!({"reason": "all that is left"});
    assert!(
        refund(&world, &order_id, rest.clone())
            .await
            .status
            .is_success()
    );
    when_refunded(&world, &order_id, "24.98").await;
    // The order hears of it a moment after the payment.
    world.order_when(&order_id, "refunded").await;

    let nothing_left = refund(&world, &order_id, rest).await.status.as_u16();
    assert!([409, 422].contains(&nothing_left), "{nothing_left}");
    world.verify().await;
}

#[tokio::test]
async fn pieces_go_back_at_what_they_cost_and_on_the_shelf_only_if_asked() {
    let (world, order_id) = confirmed().await;
    complete(&world, &order_id).await;
    assert_eq!(world.stock("cup").await, (7, 0));

    let items = json!({"reason": "broken", "items": [
        {"sku": "cup", "quantity": 1, "restock": true},
        {"sku": "pot", "quantity": 1, "restock": false},
    ]});
    assert!(refund(&world, &order_id, items).await.status.is_success());

    when_refunded(&world, &order_id, "13.33").await;
    assert_eq!(world.stock("cup").await, (8, 0));
    assert_eq!(world.stock("pot").await, (9, 0));
    let again = json!({"reason": "again", "items": [
        {"sku": "pot", "quantity": 1, "restock": false},
    ]});
    assert_eq!(refund(&world, &order_id, again).await.status.as_u16(), 422);
    world.verify().await;
}

#[tokio::test]
async fn refunds_asked_for_at_once_never_exceed_what_was_captured() {
    let (world, order_id) = confirmed().await;
    complete(&world, &order_id).await;

    let ask = json!({"amount": pounds("10.00"), "reason": "many at once"});
    let asked = (0..8).map(|_| refund(&world, &order_id, ask.clone()));
    let answers = futures::future::join_all(asked).await;

    let granted = answers
        .iter()
        .filter(|answer| answer.status.is_success())
        .count();
    assert_eq!(granted, 2, "20.00 of 24.98");
    when_refunded(&world, &order_id, "20.00").await;
    world.verify().await;
}

#[tokio::test]
async fn the_sales_report_shows_refunds_of_goods_to_the_penny() {
    let (world, order_id) = confirmed().await;
    complete(&world, &order_id).await;
    assert!(
        refund(&world, &order_id, json!({"reason": "all"}))
            .await
            .status
            .is_success()
    );
    when_refunded(&world, &order_id, "24.98").await;
    world.settle().await;

    let by_sku = world
        .get("/api/v1/reports/sales?group_by=sku")
        .await
        .expect(200)
        .json();

    let row = |key: &str, units: u32, gross: &str| {
        json!({
            "key": key, "orders": 1, "units": units,
            "gross": pounds(gross), "refunded": pounds(gross), "net": pounds("0.00"),
        })
    };
    assert_eq!(by_sku["items"], json!([row("cup", 3, "9.99"), row("pot", 1, "10.00")]));
}

#[tokio::test]
async fn an_order_refunded_before_it_was_fulfilled_gives_its_stock_back() {
    let (world, order_id) = confirmed().await;

    assert!(
        refund(&world, &order_id, json!({"reason": "all"}))
            .await
            .status
            .is_success()
    );

    when_refunded(&world, &order_id, "24.98").await;
    // The order hears of it a moment after the payment.
    world.order_when(&order_id, "refunded").await;
    assert_eq!(world.stock("cup").await, (10, 0));
    world.verify().await;
}

#[tokio::test]
async fn an_unpaid_order_has_nothing_to_refund_and_only_staff_may_ask() {
    let world = World::new().await;
    world.article("cup", "3.33", 10).await;
    let silent = tests::world::an_order_paid_with("silent", &[("cup", 1)]);
    let placed = world
        .post("/api/v1/orders", silent)
        .await
        .expect(201)
        .json();
    let order_id = placed["id"].as_str().unwrap();

    let unpaid = refund(&world, order_id, json!({"reason": "why not"})).await;
    assert_eq!(unpaid.status.as_u16(), 409, "{}", unpaid.text);

    let guest = world
        .guest(reqwest::Method::POST, &format!("/api/v1/orders/{order_id}/refunds"))
        .header("idempotency-key", "mine")
        .json(&json!({"reason": "please"}));
    assert_eq!(tests::world::send(guest).await.problem(401), "unauthenticated");
}
