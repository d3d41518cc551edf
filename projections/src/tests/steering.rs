//! Rebuilds that are paused, cancelled, broken off or fail half-way: the live copy never notices.

use std::sync::Arc;

use store::recorded::RecordedEvent;

use super::stories::{busy, tell_all};
use super::world::World;
use crate::{NAMES, RebuildRefused, RebuildState, RebuildView, Wish};

/// More than two pages of the log.
const ROUNDS: u32 = 60;

/// Starts something that is held up before its first page until it has heard a wish, and waits
/// there until it pauses.
async fn paused(world: &World, name: &'static str) {
    let mut holding = world.pool.begin().await.unwrap();
    let hold = "insert into rebuild.marks values ($1, 0, 0)";
    sqlx::query(hold)
        .bind(name)
        .execute(&mut *holding)
        .await
        .unwrap();
    world.models.start_rebuild(name).unwrap();
    world.models.steer_rebuild(name, Wish::Pause).unwrap();
    holding.rollback().await.unwrap();
    let rebuilds = world.models.rebuilds_of(name);
    rebuilds.is_now(RebuildState::Paused).await;
}

/// Lets it apply a page, and pauses it again.
async fn one_page(world: &World, name: &'static str) -> RebuildView {
    let rebuilds = world.models.rebuilds_of(name);
    loop {
        world.models.steer_rebuild(name, Wish::Resume).unwrap();
        rebuilds.is_now(RebuildState::Running).await;
        world.models.steer_rebuild(name, Wish::Pause).unwrap();
        rebuilds.is_now(RebuildState::Paused).await;
        let view = rebuilds.view().unwrap();
        if 0 < view.position {
            return view;
        }
    }
}

async fn exists(world: &World, relation: &str) -> bool {
    sqlx::query_scalar("select to_regclass($1) is not null")
        .bind(relation)
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_paused_rebuild_stands_still_and_then_ends_as_if_nothing_had_been() {
    let shop = busy(ROUNDS);
    let world = World::projected(&shop.log, 4_000).await;
    let before = world.dump().await;
    world.execute("truncate read.orders").await;

    paused(&world, "orders").await;
    let view = one_page(&world, "orders").await;

    assert!(0 < view.position && view.position < shop.head(), "{view:?}");
    assert!(0 < view.events_per_second, "{view:?}");
    let later = world.models.rebuilds_of("orders").view().unwrap();
    assert_eq!(later, view, "neither its position nor its seconds move");
    // The shop goes on meanwhile.
    let filter = crate::orders::Filter::default();
    crate::orders::list(world.models.reads(), &filter, 1, None)
        .await
        .unwrap();

    world.models.steer_rebuild("orders", Wish::Resume).unwrap();
    let view = world.models.rebuilds_of("orders").ended().await;
    assert_eq!(view.state, RebuildState::Done, "{view:?}");
    world.holds(&before).await;
    let refused = world.models.steer_rebuild("orders", Wish::Cancel);
    assert_eq!(refused, Err(RebuildRefused::NotRunning { name: "orders" }));
}

#[tokio::test]
async fn a_cancelled_rebuild_leaves_the_live_copy_and_nothing_else() {
    let shop = busy(ROUNDS);
    let world = World::projected(&shop.log, 4_000).await;
    let before = world.dump().await;

    paused(&world, "sales").await;
    let half = one_page(&world, "sales").await;
    assert!(0 < half.position, "{half:?}");
    assert!(exists(&world, "rebuild.sales_orders").await);
    world.models.steer_rebuild("sales", Wish::Cancel).unwrap();

    let view = world.models.rebuilds_of("sales").ended().await;
    assert_eq!((view.state, view.detail), (RebuildState::Cancelled, None));
    world.holds(&before).await;
    assert!(!exists(&world, "rebuild.sales_orders").await, "its room is given back");
    let marks: i64 = sqlx::query_scalar("select count(*) from rebuild.marks")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(marks, 0);
}

#[tokio::test]
async fn a_rebuild_whose_connection_is_cut_leaves_the_live_copy_and_can_be_done_again() {
    let shop = busy(ROUNDS);
    let world = World::projected(&shop.log, 4_000).await;
    let before = world.dump().await;
    paused(&world, "payments").await;
    one_page(&world, "payments").await;

    // What the database sees when the process is killed: the connection that holds the claim ends.
    let kill = "select pg_terminate_backend(pid) from pg_locks join pg_database \
                on database = pg_database.oid where locktype = 'advisory' and objsubid = 2 \
                and datname = current_database()";
    world.execute(kill).await;
    world
        .models
        .steer_rebuild("payments", Wish::Resume)
        .unwrap();

    let view = world.models.rebuilds_of("payments").ended().await;
    assert_eq!(view.state, RebuildState::Failed, "{view:?}");
    world.holds(&before).await;
    // Half a copy lies about; the next rebuild, here of a process that has just started, makes way.
    assert!(exists(&world, "rebuild.payments").await);
    let next = crate::ReadModels::open(world.pool.clone()).await.unwrap();
    next.start_rebuild("payments").unwrap();
    let view = next.rebuilds_of("payments").ended().await;
    assert_eq!(view.state, RebuildState::Done, "{view:?}");
    world.holds(&before).await;
}

#[tokio::test]
async fn an_event_that_cannot_be_applied_ends_the_rebuild_and_leaves_the_live_copy() {
    let shop = busy(ROUNDS);
    // An order that is placed once more, two pages later, as no journal would let it.
    let placed = shop
        .log
        .iter()
        .find(|event| event.event_type == "order.placed");
    let mut log = shop.log.clone();
    log.insert(6_000, Arc::clone(placed.unwrap()));
    let log: Vec<Arc<RecordedEvent>> = (1..)
        .zip(log)
        .map(|(position, event)| {
            let mut event = RecordedEvent::clone(&event);
            if position == 6_001 {
                event.sequence = 1_000;
                event.event_id = uuid::Uuid::now_v7();
            }
            event.position = position;
            Arc::new(event)
        })
        .collect();
    let world = World::with(&log).await;
    for name in NAMES {
        world.project(name, &shop.log, 4_000).await;
    }
    let before = world.dump().await;

    world.models.start_rebuild("orders").unwrap();
    let view = world.models.rebuilds_of("orders").ended().await;

    assert_eq!(view.state, RebuildState::Failed, "{view:?}");
    let detail = view.detail.unwrap();
    assert!(detail.contains("duplicate key"), "{detail}");
    world.holds(&before).await;
    assert!(!exists(&world, "rebuild.orders").await);
}

#[tokio::test]
async fn a_replay_that_is_cancelled_shows_nothing_and_keeps_the_one_before() {
    let shop = busy(ROUNDS);
    let world = World::projected(&shop.log, 4_000).await;
    world.models.start_replay("stock", 10).unwrap();
    let view = world.models.rebuilds_of("stock").ended().await;
    assert_eq!(view.state, RebuildState::Done, "{view:?}");
    let before = world.rows_of("replay_stock", ["stock", "marks"]).await;

    // Held up where it makes its place anew, by whoever reads there.
    let mut holding = world.pool.begin().await.unwrap();
    sqlx::query("create schema filling_stock")
        .execute(&mut *holding)
        .await
        .unwrap();
    world.models.start_replay("stock", shop.head()).unwrap();
    world.models.steer_rebuild("stock", Wish::Cancel).unwrap();
    holding.rollback().await.unwrap();

    let view = world.models.rebuilds_of("stock").ended().await;
    assert_eq!(view.state, RebuildState::Cancelled, "{view:?}");
    assert_eq!(view.schema.as_deref(), Some("replay_stock"));
    assert!(!exists(&world, "filling_stock.stock").await);
    assert_eq!(world.rows_of("replay_stock", ["stock", "marks"]).await, before);
}

#[tokio::test]
async fn rebuilt_beside_a_running_load_or_without_one_the_tables_are_the_same() {
    let mut shop = busy(ROUNDS);
    let first = shop.log.len();
    let world = World::projected(&shop.log, 4_000).await;
    tell_all(&mut shop, ROUNDS, 20);
    for name in NAMES {
        world.models.start_rebuild(name).unwrap();
    }
    for batch in shop.log[first..].chunks(50) {
        world.write(batch).await;
        for name in NAMES {
            let projector = world.models.projector_of(name);
            // The second try is for a mark that a swap has moved.
            projector.apply(batch).await.unwrap();
            projector.apply(batch).await.unwrap();
        }
    }
    for name in NAMES {
        let view = world.models.rebuilds_of(name).ended().await;
        assert_eq!(view.state, RebuildState::Done, "{name}: {view:?}");
    }
    let beside = world.dump().await;

    for name in NAMES {
        world.models.start_rebuild(name).unwrap();
        world.models.rebuilds_of(name).ended().await;
    }
    world.holds(&beside).await;
}
