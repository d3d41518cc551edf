//! Rebuilds: equal to the live copy, beside it, and harmless when they fail.

use std::sync::Arc;

use store::recorded::RecordedEvent;

use super::stories::{busy, tell_all};
use super::world::World;
use crate::orders::{self, Filter};
use crate::projection::ALL;
use crate::{NAMES, RebuildRefused, RebuildState, RebuildView};

async fn rebuilt(world: &World, name: &str) -> RebuildView {
    world.models.start_rebuild(name).unwrap();
    world.models.rebuilds_of(name).ended().await
}

#[tokio::test]
async fn a_rebuilt_read_model_equals_the_live_one() {
    let shop = busy(5);
    let world = World::projected(&shop.log, 100).await;
    let before = world.dump().await;
    for projection in ALL {
        // What a rebuild is for: the live copy is not what it should be.
        world
            .execute(&format!("truncate read.{}", projection.tables()[0]))
            .await;
    }
    assert_ne!(world.dump().await, before);

    for name in NAMES {
        // Twice, so that a rebuild finds the place as another one left it.
        for _ in 0..2 {
            let view = rebuilt(&world, name).await;
            assert_eq!(view.state, RebuildState::Done, "{name}: {view:?}");
            assert_eq!((view.position, view.target), (shop.head(), shop.head()), "{name}");
        }
    }
    world.holds(&before).await;
}

#[tokio::test]
async fn a_rebuild_runs_beside_a_live_projector_while_events_and_queries_go_on() {
    let mut shop = busy(20);
    let first = shop.log.len();
    let world = World::projected(&shop.log, 1_000).await;
    tell_all(&mut shop, 20, 20);
    let (batches, of): (Vec<&[Arc<RecordedEvent>]>, _) =
        (shop.log[first..].chunks(40).collect(), world.models.reads());

    for name in NAMES {
        world.models.start_rebuild(name).unwrap();
    }
    let live = async {
        let projectors = NAMES.map(|name| world.models.projector_of(name));
        for batch in batches {
            world.write(batch).await;
            for projector in &projectors {
                // The second try is for a mark that the swap of a rebuild has moved.
                projector.apply(batch).await.unwrap();
                projector.apply(batch).await.unwrap();
            }
            let page = orders::list(of, &Filter::default(), 100, None)
                .await
                .unwrap();
            assert_eq!(page.items.len(), 100, "no query sees a copy that is not full");
        }
    };
    let rebuilds = async {
        for name in NAMES {
            let view = world.models.rebuilds_of(name).ended().await;
            assert_eq!(view.state, RebuildState::Done, "{name}: {view:?}");
        }
    };
    tokio::join!(live, rebuilds);

    let expected = World::projected(&shop.log, 1_000).await.dump().await;
    world.holds(&expected).await;
}

#[tokio::test]
async fn a_rebuild_that_fails_leaves_the_live_copy_and_says_why() {
    let shop = busy(2);
    let world = World::projected(&shop.log, 1_000).await;
    let before = world.dump().await;
    // The copy's table cannot be made.
    world.execute("create view rebuild.stock as select 1").await;

    let view = rebuilt(&world, "stock").await;

    assert_eq!(view.state, RebuildState::Failed);
    let detail = view.detail.unwrap();
    assert!(detail.contains("is not a table"), "{detail}");
    world.holds(&before).await;

    // The next one finds nothing in its way.
    world.execute("drop view rebuild.stock").await;
    assert_eq!(rebuilt(&world, "stock").await.state, RebuildState::Done);
    world.holds(&before).await;
}

#[tokio::test]
async fn a_rebuild_waits_for_a_long_query_and_then_swaps() {
    let shop = busy(2);
    let world = World::projected(&shop.log, 1_000).await;
    let before = world.dump().await;
    let mut query = world.models.reads().begin().await.unwrap();
    let count = "select count(*) from orders";
    let counted: i64 = sqlx::query_scalar(count)
        .fetch_one(&mut *query)
        .await
        .unwrap();

    world.models.start_rebuild("orders").unwrap();
    let rebuilds = world.models.rebuilds_of("orders");
    rebuilds.is_now(RebuildState::Swapping).await;
    // Others are not kept waiting for longer than the swap itself waits.
    let page = orders::list(world.models.reads(), &Filter::default(), 20, None)
        .await
        .unwrap();
    assert_eq!(page.items.len(), 20);
    let again: i64 = sqlx::query_scalar(count)
        .fetch_one(&mut *query)
        .await
        .unwrap();
    assert_eq!(again, counted);
    query.commit().await.unwrap();

    assert_eq!(rebuilds.ended().await.state, RebuildState::Done);
    world.holds(&before).await;
}

#[tokio::test]
async fn a_read_model_is_rebuilt_once_at_a_time() {
    let shop = busy(2);
    let world = World::with(&shop.log).await;
    let other = crate::ReadModels::open(world.pool.clone()).await.unwrap();
    // Holds the first rebuild up where it is about to make its tables.
    let mut holding = world.pool.begin().await.unwrap();
    let insert = "insert into rebuild.marks values ('sales', 0, 0)";
    sqlx::query(insert).execute(&mut *holding).await.unwrap();

    world.models.start_rebuild("sales").unwrap();
    let again = world.models.start_rebuild("sales");
    assert_eq!(again, Err(RebuildRefused::AlreadyRunning { name: "sales" }));

    // One of another process can only be noticed once it has its claim.
    let claimed = "select exists (select from pg_locks join pg_database on database = \
                   pg_database.oid where locktype = 'advisory' and objsubid = 2 \
                   and datname = current_database())";
    while !sqlx::query_scalar::<_, bool>(claimed)
        .fetch_one(&world.pool)
        .await
        .unwrap()
    {}
    other.start_rebuild("sales").unwrap();
    let view = other.rebuilds_of("sales").ended().await;
    assert_eq!(view.detail.as_deref(), Some("another process is rebuilding it"));

    holding.rollback().await.unwrap();
    assert_eq!(world.models.rebuilds_of("sales").ended().await.state, RebuildState::Done);
}

#[tokio::test]
async fn a_rebuild_of_something_unknown_is_refused_with_what_is_known() {
    let world = World::new().await;
    let refused = world.models.start_rebuild("invoices").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "there is no projection invoices; there are orders, timeline, payments, stock, products, \
         sales, settlement, milestones, guests, listings, categories, customers, vendors, \
         vendor_orders, promotions, delivery"
    );
}
