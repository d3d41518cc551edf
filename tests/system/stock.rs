//! Nothing is oversold, whoever comes at once.

use futures::future::join_all;
use serde_json::Value;
use tests::World;
use tests::world::an_order;

async fn place_waiting(world: &World, items: &[(&str, u32)]) -> Value {
    let request = world
        .guest(reqwest::Method::POST, "/api/v1/orders")
        .header("idempotency-key", uuid::Uuid::now_v7().to_string())
        .header("prefer", "wait=30")
        .json(&an_order(items));
    tests::world::send(request).await.expect(201).json()
}

fn count(orders: &[Value], status: &str) -> usize {
    orders
        .iter()
        .filter(|order| order["status"] == status)
        .count()
}

#[tokio::test]
async fn of_two_buyers_for_the_last_unit_one_gets_it() {
    let world = World::new().await;
    world.article("cup", "4.50", 1).await;

    let cup = [("cup", 1)];
    let (one, two) = tokio::join!(place_waiting(&world, &cup), place_waiting(&world, &cup));

    let orders = [one, two];
    assert_eq!((count(&orders, "confirmed"), count(&orders, "failed")), (1, 1));
    assert_eq!(world.stock("cup").await, (1, 1));
    world.verify().await;
}

#[tokio::test]
async fn of_two_hundred_buyers_for_one_unit_one_gets_it() {
    let world = World::new().await;
    world.article("cup", "4.50", 1).await;

    let cup = [("cup", 1)];
    let orders = join_all((0..200).map(|_| place_waiting(&world, &cup))).await;

    assert_eq!((count(&orders, "confirmed"), count(&orders, "failed")), (1, 199));
    let failed = orders
        .iter()
        .find(|order| order["status"] == "failed")
        .unwrap();
    let path = format!("/api/v1/orders/{}", failed["id"].as_str().unwrap());
    let order = world.get(&path).await.json();
    assert!(order.to_string().contains("out_of_stock"), "{order}");
    assert_eq!(world.stock("cup").await, (1, 1));
    world.verify().await;
}

#[tokio::test]
async fn one_sku_on_two_lines_is_one_reservation_and_fails_above_stock() {
    let world = World::new().await;
    world.article("cup", "4.50", 5).await;

    let above = place_waiting(&world, &[("cup", 3), ("cup", 3)]).await;
    assert_eq!(above["status"], "failed");
    assert_eq!(world.stock("cup").await, (5, 0));

    let within = place_waiting(&world, &[("cup", 3), ("cup", 2)]).await;
    assert_eq!(within["status"], "confirmed");
    assert_eq!(world.stock("cup").await, (5, 5));
    world.verify().await;
}

#[tokio::test]
async fn an_order_that_is_short_of_one_article_gives_the_others_back_and_names_it() {
    let world = World::new().await;
    world.article("cup", "4.50", 5).await;
    world.article("pot", "9.00", 1).await;

    let order = place_waiting(&world, &[("cup", 1), ("pot", 2)]).await;

    let order_id = order["id"].as_str().unwrap();
    let order = world.order_when(order_id, "failed").await;
    assert!(order.to_string().contains("\"pot\""), "{order}");
    assert_eq!(world.stock("cup").await, (5, 0));
    assert_eq!(world.stock("pot").await, (1, 0));
    world.verify().await;
}

#[tokio::test]
async fn an_order_of_two_thousand_lines_goes_through_and_one_more_is_refused() {
    let world = World::new().await;
    world.article("cup", "4.50", 2_000).await;

    let lines = vec![("cup", 1); 2_000];
    assert_eq!(place_waiting(&world, &lines).await["status"], "confirmed");

    let lines = vec![("cup", 1); 2_001];
    let refused = world.post("/api/v1/orders", an_order(&lines)).await;
    assert_eq!(refused.status.as_u16(), 422, "{}", refused.text);
    world.verify().await;
}
