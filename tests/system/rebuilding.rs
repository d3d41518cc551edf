//! A rebuilt read model equals the live one.

use serde_json::json;
use tests::World;
use tests::world::{an_order, until};

const TABLES: [&str; 6] = [
    "orders", "timeline", "payments", "stock", "products", "sales",
];

/// What every query shows, as text.
async fn everything(world: &World) -> Vec<String> {
    world.settle().await;
    let mut shown = Vec::new();
    for path in [
        "/api/v1/orders?limit=100",
        "/api/v1/payments?limit=100",
        "/api/v1/products?limit=100",
        "/api/v1/inventory?limit=100",
        "/api/v1/reports/sales?group_by=sku",
        "/api/v1/reports/sales?group_by=day",
        "/api/v1/reports/sales?group_by=country",
    ] {
        shown.push(world.get(path).await.expect(200).text);
    }
    let orders = world.get("/api/v1/orders?limit=100").await.json();
    for order in orders["items"].as_array().unwrap() {
        let path = format!("/api/v1/orders/{}", order["id"].as_str().unwrap());
        shown.push(world.get(&path).await.expect(200).text);
        shown.push(
            world
                .get(&format!("{path}/timeline"))
                .await
                .expect(200)
                .text,
        );
    }
    shown
}

#[tokio::test]
async fn every_read_model_is_rebuilt_to_what_it_was() {
    let world = World::new().await;
    world.article("cup", "4.50", 100).await;
    world.article("pot", "9.00", 3).await;
    for quantity in 1..=5 {
        let order = an_order(&[("cup", quantity), ("pot", 1)]);
        let _placed = world.post("/api/v1/orders", order).await.expect(201);
    }
    world.settle().await;
    let live = everything(&world).await;

    for name in TABLES {
        let path = format!("/api/v1/projections/{name}/rebuild");
        let started = world.post(&path, json!({})).await;
        assert!(started.status.is_success(), "{}", started.text);
        until(&format!("{name} is rebuilt"), async || {
            let projections = world.get("/api/v1/projections").await.json();
            let items = projections["items"].as_array()?.clone();
            let status = items.iter().find(|item| item["name"] == name)?.clone();
            assert_ne!(status["rebuild"]["state"], "failed", "{status}");
            (status["rebuild"]["state"] == "done").then_some(())
        })
        .await;
    }

    assert_eq!(everything(&world).await, live);
}

#[tokio::test]
async fn nobody_rebuilds_what_does_not_exist() {
    let world = World::new().await;
    let refused = world
        .post("/api/v1/projections/nothing/rebuild", json!({}))
        .await;
    assert_eq!(refused.status.as_u16(), 404);
    assert!(refused.text.contains("sales"), "it names what there is: {}", refused.text);
}
