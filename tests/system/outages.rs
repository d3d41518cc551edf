//! Restarts, a purged stream, an absent NATS: a delay, never a loss.

use serde_json::json;
use tests::World;
use tests::servers::nats_url;
use tests::world::{an_order, an_order_paid_with, until};

async fn jetstream() -> async_nats::jetstream::Context {
    let client = store::stream::connect(nats_url()).await.unwrap();
    async_nats::jetstream::new(client)
}

async fn all_confirmed(world: &World, count: usize) {
    until("every order is confirmed", async || {
        let orders = world
            .get("/api/v1/orders?status=confirmed&limit=100")
            .await
            .json();
        (orders["items"].as_array()?.len() == count).then_some(())
    })
    .await;
    world.verify().await;
}

#[tokio::test]
async fn checkouts_go_on_after_a_restart_in_their_middle() {
    let mut world = World::new().await;
    world.article("cup", "4.50", 1_000).await;
    for _ in 0..3 {
        let orders = (0..20).map(|_| world.post("/api/v1/orders", an_order(&[("cup", 1)])));
        for placed in futures::future::join_all(orders).await {
            let _placed = placed.expect(201);
        }
        // Somewhere in the middle, wherever that is.
        world.restart().await;
    }

    all_confirmed(&world, 60).await;
    assert_eq!(world.stock("cup").await, (1_000, 60));
}

#[tokio::test]
async fn a_deadline_that_passes_while_nobody_runs_is_kept_after_the_restart() {
    let window = std::time::Duration::from_secs(3);
    let mut world = World::with(|settings| settings.payment_window = window).await;
    world.article("cup", "4.50", 10).await;
    let silent = an_order_paid_with("silent", &[("cup", 1)]);
    let placed = world
        .post("/api/v1/orders", silent)
        .await
        .expect(201)
        .json();
    let order_id = placed["id"].as_str().unwrap();
    until("the deadline is kept", async || {
        let kept = "select count(*) from checkouts where due_at is not null";
        let kept: i64 = sqlx::query_scalar(kept).fetch_one(&world.pool).await.ok()?;
        (kept == 1).then_some(())
    })
    .await;

    world.stop().await;
    until("the deadline passes", async || {
        // None is left if it passed a moment before the stop.
        let passed = "select coalesce(bool_and(due_at < now()), true) from checkouts \
                      where due_at is not null";
        let passed: bool = sqlx::query_scalar(passed)
            .fetch_one(&world.pool)
            .await
            .ok()?;
        passed.then_some(())
    })
    .await;
    world.start().await;

    world.order_when(order_id, "failed").await;
    assert_eq!(world.stock("cup").await, (10, 0));
    world.verify().await;
}

#[tokio::test]
async fn a_purged_stream_loses_nothing() {
    let world = World::new().await;
    world.article("cup", "4.50", 1_000).await;
    let jetstream = jetstream().await;
    let stream = jetstream.get_stream(&world.settings.stream).await.unwrap();
    for _ in 0..5 {
        let orders = (0..10).map(|_| world.post("/api/v1/orders", an_order(&[("cup", 1)])));
        let (placed, purged) = tokio::join!(futures::future::join_all(orders), stream.purge());
        purged.unwrap();
        for placed in placed {
            let _placed = placed.expect(201);
        }
    }

    all_confirmed(&world, 50).await;
}

#[tokio::test]
async fn a_deleted_stream_is_made_anew_with_sequence_k_for_position_k() {
    let world = World::new().await;
    world.article("cup", "4.50", 1_000).await;
    world.settle().await;
    let jetstream = jetstream().await;
    jetstream
        .delete_stream(&world.settings.stream)
        .await
        .unwrap();
    let orders = (0..10).map(|_| world.post("/api/v1/orders", an_order(&[("cup", 1)])));
    for placed in futures::future::join_all(orders).await {
        let _placed = placed.expect(201);
    }

    all_confirmed(&world, 10).await;

    let head: i64 = sqlx::query_scalar("select position from log_head")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    let head = u64::try_from(head).unwrap();
    let stream = until("the stream holds the log again", async || {
        let mut stream = jetstream.get_stream(&world.settings.stream).await.ok()?;
        (stream.info().await.ok()?.state.last_sequence == head).then_some(stream)
    })
    .await;
    for sequence in 1..=head {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(event["position"], json!(sequence));
    }
}
