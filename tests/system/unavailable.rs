//! Without its database Daybook says so, at once and to everybody, and goes on where it was.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tests::servers::database_url;
use tests::simulators::Simulator;
use tests::simulators::paystack::Paystack;
use tests::world::{an_order, send, until};
use tests::{Answer, World};

use crate::gateways;

/// Closes or opens this world's database; closing it ends every connection to it.
async fn allow_connections(world: &World, allow: bool) {
    let mut admin = PgConnection::connect(database_url()).await.unwrap();
    let name = &world.settings.stream;
    let alter = format!("alter database {name} allow_connections {allow}");
    let _altered = admin.execute(alter.as_str()).await.unwrap();
    if !allow {
        let terminate = format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        );
        let _terminated = admin.execute(terminate.as_str()).await.unwrap();
    }
}

fn part<'h>(health: &'h Value, name: &str) -> &'h Value {
    let parts = health["parts"].as_array().unwrap();
    parts.iter().find(|part| part["name"] == name).unwrap()
}

fn assert_for_later(answer: &Answer) {
    assert_eq!(answer.problem(503), "unavailable");
    assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
    let text = answer.text.to_lowercase();
    for cause in ["database", "postgres", "sql", "pool", "connection"] {
        assert!(!text.contains(cause), "no cause ever: {text}");
    }
}

#[tokio::test]
async fn without_its_database_daybook_asks_for_patience_and_then_acts_once() {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    let body = an_order(&[("cup", 2)]);
    let place = |key: &'static str| world.post_as(key, "/api/v1/orders", body.clone());
    let before = place("key-1").await.expect(201);
    world.settle().await;

    allow_connections(&world, false).await;
    let ask = |path: &'static str| world.get(path);
    let commands = futures::future::join_all(["key-2", "key-2", "key-3"].map(place));
    let queries = futures::future::join_all(
        ["/api/v1/orders", "/api/v1/events", "/api/v1/products/cup"].map(ask),
    );
    let (commands, queries, ready, live) =
        tokio::join!(commands, queries, ask("/health/ready"), ask("/health/live"),);

    commands.iter().chain(&queries).for_each(assert_for_later);
    let ready = ready.expect(503).json();
    assert_eq!(
        (&ready["ready"], &part(&ready, "database")["ready"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(part(&ready, "nats")["ready"], true);
    let _alive = live.expect(200);

    allow_connections(&world, true).await;
    let after = until("the same key is taken", async || {
        let answer = place("key-2").await;
        (answer.status.as_u16() == 201).then_some(answer)
    })
    .await;
    let again = place("key-2").await.expect(201);
    assert_eq!(again.text, after.text);
    assert_eq!(place("key-1").await.expect(201).text, before.text);
    until("everything is ready again", async || {
        (world.get("/health/ready").await.status.as_u16() == 200).then_some(())
    })
    .await;
    for order in [&before, &after] {
        world
            .order_when(order.json()["id"].as_str().unwrap(), "confirmed")
            .await;
    }
    let orders = send(world.staff(Method::GET, "/api/v1/orders"))
        .await
        .expect(200)
        .json();
    assert_eq!(orders["items"].as_array().unwrap().len(), 2);
    assert_eq!(world.stock("cup").await, (10, 4));
    world.verify().await;
}

#[tokio::test]
async fn a_webhook_that_cannot_be_stored_is_never_answered_as_if_it_were() {
    let simulator: Arc<dyn Simulator> = Paystack::start().await;
    let world = gateways::world(&simulator).await;
    let (order_id, _) = gateways::place(&world, &simulator).await;
    let to_pay = gateways::to_pay(&world, &order_id).await;
    let reference = to_pay["reference"].as_str().unwrap();
    simulator.customer_pays(reference);
    let webhook = simulator.webhook(reference);
    world.settle().await;

    allow_connections(&world, false).await;
    let refused = gateways::delivered(&world, "paystack", &webhook).await;
    assert_for_later(&refused);

    allow_connections(&world, true).await;
    until("the provider, who says it again, is heard", async || {
        let stored = gateways::delivered(&world, "paystack", &webhook).await;
        (stored.status.as_u16() == 200).then_some(())
    })
    .await;
    world.order_when(&order_id, "confirmed").await;
    world.verify().await;
}
