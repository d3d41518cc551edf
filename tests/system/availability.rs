//! What can still be had, as everybody who looks at a shop asks: at once, and never staler than it
//! says.

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use tests::telling::names_of;
use tests::world::{an_order, send};
use tests::{Answer, World};

const CUP: &str = "/api/v1/products/cup/availability";

/// Asked by a guest who has seen the log up to a position.
async fn ask(world: &World, position: i64) -> Answer {
    let request = world.guest(Method::GET, CUP);
    send(request.header("daybook-min-position", position)).await
}

async fn pieces(world: &World, position: i64) -> i64 {
    let answer = ask(world, position).await.expect(200);
    assert!(position <= answer.position());
    answer.json()["available"].as_i64().unwrap()
}

async fn receive(world: &World, quantity: u32) -> i64 {
    let path = "/api/v1/inventory/cup/receipts";
    let body = json!({"quantity": quantity, "reference": "delivery"});
    world.post(path, body).await.expect(200).position()
}

#[tokio::test]
async fn who_names_the_position_of_a_command_sees_what_there_is_after_it() {
    let mut world = World::new().await;
    world.article("cup", "4.50", 10).await;
    let mut expected = 10;
    for quantity in 1..=20 {
        let position = receive(&world, quantity).await;
        expected += i64::from(quantity);
        assert_eq!(pieces(&world, position).await, expected);
        if quantity == 10 {
            // Memory begins anew.
            world.restart().await;
        }
    }

    let adjusted = json!({"quantity": -20, "reason": "broken"});
    let path = "/api/v1/inventory/cup/adjustments";
    let position = world.post(path, adjusted).await.expect(200).position();
    assert_eq!(pieces(&world, position).await, expected - 20);
}

#[tokio::test]
async fn what_is_held_for_an_order_cannot_be_had_until_it_is_given_back() {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    let order = an_order(&[("cup", 3)]);
    let placed = world.post("/api/v1/orders", order).await.expect(201);
    let id = placed.json()["id"].as_str().unwrap().to_owned();
    let _confirmed = world.order_when(&id, "confirmed").await;
    world.settle().await;
    assert_eq!(pieces(&world, placed.position()).await, 7);

    let cancel = format!("/api/v1/orders/{id}/cancel");
    let cancelled = world
        .post(&cancel, json!({"reason": "changed my mind"}))
        .await;
    let position = cancelled.expect(200).position();
    world.settle().await;
    assert_eq!(pieces(&world, position).await, 10);
}

#[tokio::test]
async fn while_many_buy_nobody_is_told_of_more_than_there_was_when_they_asked() {
    let world = World::new().await;
    world.article("cup", "4.50", 100).await;
    // Whoever asks without a position is told what the read models have heard of.
    world.settle().await;
    let order = || world.post("/api/v1/orders", an_order(&[("cup", 1)]));
    let ask = || async {
        let mut told = Vec::new();
        for _ in 0..20 {
            told.push(ask(&world, 0).await.expect(200).json());
        }
        told
    };
    let (placed, told) =
        tokio::join!(join_all((0..120).map(|_| order())), join_all((0..10).map(|_| ask())),);
    for placed in placed {
        let _placed = placed.expect(201);
    }
    world.settle().await;

    // Stock only falls here: what was left at a position is an upper bound for whoever named it.
    let left = "select 100 - count(*) from events \
                where event_type = 'inventory.reserved' and position <= $1";
    for told in told.iter().flatten() {
        let left: i64 = sqlx::query_scalar(left)
            .bind(told["as_of_position"].as_i64().unwrap())
            .fetch_one(&world.pool)
            .await
            .unwrap();
        assert!(told["available"].as_i64().unwrap() <= left, "{told}");
    }
    assert_eq!(pieces(&world, 0).await, 0);
    assert_eq!(world.stock("cup").await, (100, 100));
}

#[tokio::test]
async fn an_article_without_stock_has_none_and_one_without_a_name_is_not_there() {
    let world = World::new().await;
    world.article("cup", "4.50", 0).await;
    world.settle().await;

    let none = ask(&world, 0).await.expect(200);
    let told = json!({"sku": "cup", "available": 0, "as_of_position": none.position()});
    assert_eq!((none.json(), names_of(&none.json())), (told.clone(), names_of(&told)));
    assert_eq!(none.header("cache-control").as_deref(), Some("no-store"));

    // Goods without a name are not offered.
    let received = json!({"quantity": 1, "reference": "delivery"});
    let received = world.post("/api/v1/inventory/pot/receipts", received).await;
    let _received = received.expect(200);
    world.settle().await;
    let unknown = world.get("/api/v1/products/pot/availability").await;
    assert_eq!(unknown.problem(404), "not_found");
    assert!(0 < unknown.position());

    let garbled = world.get("/api/v1/products/%00/availability").await;
    assert_eq!(garbled.problem(400), "invalid_parameters");
    let unasked = world.get(&format!("{CUP}?colour=red")).await;
    assert_eq!(unasked.problem(400), "invalid_parameters");
}
