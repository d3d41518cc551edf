//! Orders that nobody carries through: new ones are told to come later, and everything else goes on.

use api::node::Role;
use tests::World;
use tests::world::{an_order, until};

#[tokio::test]
async fn while_too_many_orders_wait_new_ones_are_told_to_come_later() {
    let mut world = World::with(|settings| settings.backlog_max = 10).await;
    world.article("cup", "4.50", 10_000).await;
    let body = an_order(&[("cup", 1)]);
    // From here on the process has said how far it is.
    let _placed = world
        .post_as("first", "/api/v1/orders", body.clone())
        .await
        .expect(201);
    world.settle().await;

    world.stop().await;
    world.settings.roles = vec![Role::Api, Role::Relay, Role::Projector];
    world.start().await;
    let mut placed = Vec::new();
    let turned_away = loop {
        let key = format!("order-{}", placed.len());
        let answer = world.post_as(&key, "/api/v1/orders", body.clone()).await;
        if answer.status == 503 {
            break (key, answer);
        }
        placed.push(answer.expect(201).json()["id"].as_str().unwrap().to_owned());
    };
    let (key, answer) = turned_away;
    assert!(10 <= placed.len(), "so many may wait: {}", placed.len());
    assert_eq!(answer.problem(503), "overloaded");
    assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
    let cancel = format!("/api/v1/orders/{}/cancel", placed[0]);
    let _cancelled = world
        .post_as("cancel", &cancel, serde_json::json!({ "reason": "too late" }))
        .await
        .expect(200);
    let _shown = world.order_when(&placed[1], "pending").await;

    world.stop().await;
    world.settings.roles = Role::ALL.to_vec();
    world.start().await;
    let later = until("the order is taken", async || {
        let answer = world.post_as(&key, "/api/v1/orders", body.clone()).await;
        (answer.status == 201).then_some(answer)
    });
    placed.push(later.await.json()["id"].as_str().unwrap().to_owned());
    world.settle().await;
    for id in &placed[1..] {
        let order = world
            .get(&format!("/api/v1/orders/{id}"))
            .await
            .expect(200)
            .json();
        assert_eq!(order["status"], "confirmed");
    }

    // An older program has moved the mark since, and knows of nothing else.
    world.stop().await;
    sqlx::query("update worker_marks set begun_to = 0")
        .execute(&world.pool)
        .await
        .unwrap();
    world.start().await;
    for key in ["later-1", "later-2", "later-3", "later-4", "later-5"] {
        let _placed = world
            .post_as(key, "/api/v1/orders", body.clone())
            .await
            .expect(201);
        world.settle().await;
    }
}
