//! Nobody is asked for more than they were shown.

use reqwest::Method;
use serde_json::{Value, json};
use tests::World;
use tests::world::{an_order, send};
use uuid::Uuid;

fn pounds(amount: &str) -> Value {
    json!({"amount": amount, "currency": "GBP"})
}

async fn reprice(world: &World, sku: &str, price: &str) {
    let body = json!({"name": format!("The {sku}"), "price": pounds(price), "active": true});
    let put = world.staff(Method::PUT, &format!("/api/v1/products/{sku}"));
    let put = put.header("idempotency-key", Uuid::now_v7().to_string());
    let _described = send(put.json(&body)).await.expect(200);
}

fn expecting(total: &str) -> Value {
    let mut order = an_order(&[("cup", 2), ("pot", 1)]);
    order["expected_total"] = pounds(total);
    order
}

#[tokio::test]
async fn an_order_that_has_become_dearer_is_not_placed_until_its_price_was_seen() {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    world.article("pot", "6.00", 10).await;
    let _as_expected = world
        .post("/api/v1/orders", expecting("15.00"))
        .await
        .expect(201);

    reprice(&world, "cup", "5.00").await;
    let mut order = expecting("15.00");
    order["items"][0]["expected_unit_price"] = pounds("4.50");
    order["items"][1]["expected_unit_price"] = pounds("6.00");
    let refused = world.post_as("k", "/api/v1/orders", order.clone()).await;
    assert_eq!(refused.problem(422), "price_changed");
    let told = refused.json();
    assert_eq!((&told["old"], &told["new"]), (&pounds("15.00"), &pounds("16.00")));
    assert_eq!(
        told["lines"],
        json!([{"sku": "cup", "old": pounds("4.50"), "new": pounds("5.00")}]),
        "the line that has changed is named, and no other"
    );
    assert_eq!(told["errors"][0]["pointer"], "/items/0/expected_unit_price");

    // The refusal is remembered, also once the price is what it was.
    reprice(&world, "cup", "4.50").await;
    let again = world.post_as("k", "/api/v1/orders", order).await;
    assert_eq!((again.text, again.status), (refused.text, refused.status));

    // Shipping is part of what is to be paid.
    let mut sent = expecting("15.00");
    sent["shipping_cost"] = pounds("0.01");
    let refused = world.post("/api/v1/orders", sent).await;
    assert_eq!(refused.problem(422), "price_changed");
    assert_eq!(refused.json()["lines"], json!([]));
}

#[tokio::test]
async fn an_order_that_has_become_cheaper_is_placed_at_what_it_costs() {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    world.article("pot", "6.00", 10).await;
    let mut order = expecting("99.00");
    order["items"][0]["expected_unit_price"] = pounds("5.00");
    let placed = world.post("/api/v1/orders", order).await.expect(201);
    assert_eq!(placed.json()["total"], pounds("15.00"));
}

#[tokio::test]
async fn a_line_is_not_sold_dearer_than_it_was_shown_whatever_the_total() {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    let mut order = an_order(&[("cup", 1)]);
    order["items"][0]["expected_unit_price"] = pounds("4.49");
    let refused = world.post("/api/v1/orders", order).await;
    assert_eq!(refused.problem(422), "price_changed");
    assert_eq!(refused.json()["old"], Value::Null, "no total was expected");
}

#[tokio::test]
async fn what_is_expected_is_an_amount_in_the_orders_currency() {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    for (expected, pointer) in [
        (json!({"amount": "4.50", "currency": "EUR"}), "/expected_total/currency"),
        (json!({"amount": "4.505", "currency": "GBP"}), "/expected_total/amount"),
        (json!("4.50"), "/expected_total"),
    ] {
        let mut order = an_order(&[("cup", 1)]);
        order["expected_total"] = expected;
        let refused = world.post("/api/v1/orders", order).await;
        assert_eq!(refused.problem(422), "invalid_fields");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer);
    }
}
