//! Orders on their way beside each other, and after a crash.

use domain::order::Stage;
use workers::checkout::NAME;

use crate::provider::{Manner, Provider};
use crate::world::{World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_cannot_go_on_holds_back_the_mark_and_nobody_else() {
    let world = World::new().await;
    world
        .run(
            "create function refuse() returns trigger language plpgsql as $$ \
             begin \
                 if new.aggregate_id = 'cursed' and new.event_type = 'inventory.reserved' then \
                     raise exception 'no' using errcode = 'check_violation'; \
                 end if; \
                 return new; \
             end $$; \
             create trigger cursed before insert on events \
             for each row execute function refuse()",
        )
        .await;
    let process = world.start(&[Provider::new("quick", Manner::Pays)]).await;
    process.receive("cursed", 10).await;
    process.receive("cup", 10).await;

    let held = process.place("cursed", "quick").await;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(process.place("cup", "quick").await);
    }

    world.happens("order.confirmed", 3).await;
    for order_id in others {
        assert_eq!(process.stage(order_id).await, Stage::Confirmed);
    }
    assert!(world.mark(NAME).await < world.first("order.placed").await);
    assert_eq!(process.stage(held).await, Stage::Pending);

    world.run("drop trigger cursed on events").await;
    world.happens("order.confirmed", 4).await;
    world.settle().await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_heard_and_not_kept_is_heard_again_and_acts_once() {
    let world = World::new().await;
    let provider = Provider::new("silent", Manner::TakesOn);
    let process = world.start(std::slice::from_ref(&provider)).await;
    process.receive("cup", 10).await;
    let order_id = process.place("cup", "silent").await;
    // It awaits its money, and most likely is not kept yet.
    world.happens("payment.attempt_accepted", 1).await;
    process.crash().await;

    provider.behaves(Manner::Pays);
    let process = world.start(std::slice::from_ref(&provider)).await;
    world.happens("order.confirmed", 1).await;
    world.settle().await;

    for event in ["inventory.reserved", "order.processing", "payment.opened"] {
        assert_eq!(world.count(event).await, 1, "{event}");
    }
    assert_eq!(process.stage(order_id).await, Stage::Confirmed);
    assert_eq!(parked(&world).await, 0);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_kept_is_not_heard_again_though_the_mark_is_behind_it() {
    let world = World::new().await;
    let provider = Provider::new("quick", Manner::Pays);
    let process = world.start(std::slice::from_ref(&provider)).await;
    process.receive("cup", 10).await;
    for _ in 0..5 {
        process.place("cup", "quick").await;
    }
    world.happens("order.confirmed", 5).await;
    world.settle().await;
    process.stop().await;
    world.run("update worker_marks set position = 0").await;

    let process = world.start(std::slice::from_ref(&provider)).await;
    process.place("cup", "quick").await;
    world.happens("order.confirmed", 6).await;
    world.settle().await;

    assert_eq!(world.count("inventory.reserved").await, 6);
    assert_eq!(parked(&world).await, 0);
    until("all six are kept", async || {
        let kept: i64 = sqlx::query_scalar("select count(*) from checkouts where due_at is null")
            .fetch_one(&world.pool)
            .await
            .unwrap();
        kept == 6
    })
    .await;
    process.stop().await;
}

async fn parked(world: &World) -> i64 {
    sqlx::query_scalar("select count(*) from parked_facts")
        .fetch_one(&world.pool)
        .await
        .unwrap()
}
