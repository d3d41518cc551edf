//! Many aggregates at once that are not in memory.

use std::sync::Arc;

use domain::inventory::Inventory;
use futures::future::join_all;
use sqlx::Executor as _;
use store::command::ExecuteError;
use tokio::task::JoinSet;

use crate::conflicts::commit;
use crate::world::{World, eventually, receive, stock};

/// As many as a checkout takes up at once.
const CROWD: u64 = 256;
/// Queries that the journal has under way at a time.
const QUERIES: i64 = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_cold_aggregates_takes_two_connections_and_each_gets_its_own() {
    let world = World::new().await;
    stock_up(&world).await;
    let mut other = world.bystander().await;
    other
        .execute("begin; lock table events in access exclusive mode")
        .await
        .unwrap();

    let journal = world.journal();
    let mut asking = JoinSet::new();
    for n in 1..=CROWD {
        let journal = journal.clone();
        asking.spawn(async move { (n, journal.decided::<Inventory>(&sku(n)).await) });
    }
    eventually("its queries wait", || async { waiting(&world).await == QUERIES }).await;
    commit(&mut other).await;

    let answers = asking.join_all().await;
    assert_eq!(answers.len(), usize::try_from(CROWD).unwrap());
    for (n, answer) in answers {
        let (inventory, version) = answer.unwrap();
        assert_eq!((inventory.on_hand(), version), (n, 1), "{}", sku(n));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_whose_connection_dies_fails_for_its_crowd_and_for_nobody_else() {
    let world = World::new().await;
    stock_up(&world).await;
    let mut other = world.bystander().await;
    other
        .execute("begin; lock table events in access exclusive mode")
        .await
        .unwrap();
    let journal = Arc::new(world.journal());
    let asking = (1..=CROWD).map(|n| {
        let journal = Arc::clone(&journal);
        tokio::spawn(async move { journal.decided::<Inventory>(&sku(n)).await })
    });
    let asking: Vec<_> = asking.collect();
    eventually("its queries wait", || async { waiting(&world).await == QUERIES }).await;

    let kill = "select pg_terminate_backend(pid) from pg_stat_activity \
                where datname = current_database() and wait_event_type = 'Lock'";
    sqlx::query(kill).execute(&world.pool).await.unwrap();
    commit(&mut other).await;

    let mut failed = 0;
    for answer in join_all(asking).await {
        match answer.unwrap() {
            Ok((_, version)) => assert_eq!(version, 1),
            Err(ExecuteError::Unavailable(_)) => failed += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(0 < failed, "two queries were killed");
    for n in 1..=CROWD {
        let (inventory, _) = journal.decided::<Inventory>(&sku(n)).await.unwrap();
        assert_eq!(inventory.on_hand(), n);
    }
}

fn sku(n: u64) -> String {
    format!("sku {n}")
}

/// As many pieces of each as its number.
async fn stock_up(world: &World) {
    let journal = world.journal();
    join_all((1..=CROWD).map(|n| {
        let journal = journal.clone();
        async move { stock(&journal, &sku(n), receive(n)).await }
    }))
    .await;
}

/// Queries that wait for somebody's lock.
async fn waiting(world: &World) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_stat_activity \
         where datname = current_database() and wait_event_type = 'Lock'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap()
}
