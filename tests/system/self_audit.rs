//! The self-audit of a running shop: silent while all is well, and an alarm when it is not.

use serde_json::{Value, json};
use sqlx::Executor as _;
use tests::World;
use tests::world::{an_order, until};

async fn a_world_that_audits_itself() -> World {
    // Without a rest: harder than any shop would have it.
    let world = World::with(|settings| settings.self_audit = 100).await;
    world.article("cup", "4.50", 10_000).await;
    world.article("pot", "9.00", 10_000).await;
    world
}

async fn self_audit(world: &World) -> Value {
    world.get("/api/v1/self-audit").await.expect(200).json()
}

/// Waits until a round that begins after this has gone through all of history.
async fn a_whole_round(world: &World) -> Value {
    let rounds = self_audit(world).await["rounds"].as_i64().unwrap();
    until("a whole round of the self-audit", async || {
        let now = self_audit(world).await;
        (rounds + 2 <= now["rounds"].as_i64()?).then_some(now)
    })
    .await
}

#[tokio::test]
async fn nothing_is_found_while_orders_flow_and_what_is_changed_then_is_named() {
    let world = a_world_that_audits_itself().await;
    let place = async |lane: u32| {
        for quantity in 1..=15 {
            let order = an_order(&[("cup", quantity), ("pot", lane)]);
            let _placed = world.post("/api/v1/orders", order).await.expect(201);
        }
    };
    tokio::join!(place(1), place(2), place(3), place(4));
    world.settle().await;

    let clean = a_whole_round(&world).await;
    assert_eq!(clean["alarms_raised"], 0, "{clean}");
    assert_eq!(clean["differs_now"], json!([]), "{clean}");

    let change = "update read.order_progress set status = 'lost' \
                  where order_id = (select min(order_id::text)::uuid from read.order_progress)";
    world.pool.execute(change).await.unwrap();
    let found = until("an alarm", async || {
        let now = self_audit(&world).await;
        (now["alarms_raised"] != 0).then_some(now)
    })
    .await;
    let alarm = &found["alarms"][0];
    assert_eq!(alarm["read_model"], "orders", "{found}");
    assert_eq!(alarm["table_name"], "order_progress");
    assert_eq!(alarm["fields"], json!(["status"]), "a field, and never what it holds");
    let field = &found["differs_now"][0]["fields"][0];
    assert_eq!(field["stored"], "lost", "{found}");
    assert!(field["folded"].is_string());
    // The same row does not raise another.
    assert_eq!(a_whole_round(&world).await["alarms_raised"], 1);
    let metrics = world.get("/metrics").await.text;
    assert!(metrics.contains("daybook_self_audit_mismatches_total"), "{metrics}");

    // A rebuild mends the row; the alarm stays, for ever.
    let rebuild = "/api/v1/projections/orders/rebuild";
    let _started = world.post(rebuild, json!({})).await.expect(202);
    until("the row is mended", async || {
        let now = self_audit(&world).await;
        (now["differs_now"] == json!([])).then_some(())
    })
    .await;
    assert_eq!(self_audit(&world).await["alarms_raised"], 1);
    let forgotten = world.pool.execute("delete from self_audit_alarms").await;
    assert!(forgotten.unwrap_err().to_string().contains("append-only"));
}

#[tokio::test]
async fn after_a_restart_it_goes_on_and_still_finds_nothing() {
    let mut world = a_world_that_audits_itself().await;
    let _first = a_whole_round(&world).await;
    world.restart().await;
    let again = a_whole_round(&world).await;
    assert_eq!(again["alarms_raised"], 0, "{again}");
}
