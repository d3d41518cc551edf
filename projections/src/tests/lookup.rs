//! Orders looked up by many at once: each is told about its own, whatever befalls the others.

use domain::ids::OrderId;
use futures::FutureExt as _;
use futures::future::join_all;
use sqlx::Executor as _;
use tokio::time::timeout;
use uuid::Uuid;

use super::shop::Shop;
use super::stories::{Tale, busy};
use super::world::{PATIENCE, World};
use crate::orders::lookup::{LANES, WAITING_MAX};
use crate::orders::{Audience, LookupError, OrderView};

async fn shown(world: &World, id: OrderId) -> Option<String> {
    let stored = world.models.order(id).await.unwrap()?;
    Some(String::from_utf8(stored.shown(Audience::Staff).unwrap().json).unwrap())
}

fn expected(shop: &Shop, id: OrderId) -> String {
    let view = OrderView::at(&shop.of_order(id)).unwrap();
    serde_json::to_string(&view).unwrap()
}

/// Returns once so many selects wait for a lock.
async fn held_up(world: &World, selects: usize) {
    let count = "select count(*) from pg_stat_activity \
                 where wait_event_type = 'Lock' and datname = current_database()";
    let reached = async {
        loop {
            let held: i64 = sqlx::query_scalar(count)
                .fetch_one(&world.pool)
                .await
                .unwrap();
            if usize::try_from(held) == Ok(selects) {
                return;
            }
        }
    };
    timeout(PATIENCE, reached).await.unwrap();
}

#[tokio::test]
async fn what_is_spliced_is_what_the_view_says() {
    let shop = busy(3);
    let world = World::projected(&shop.log, 50).await;
    for id in shop.orders.keys() {
        let stored = world.models.order(*id).await.unwrap().unwrap();
        for audience in [Audience::Staff, Audience::Customer] {
            let shown = stored.shown(audience).unwrap();
            let view = stored.view().unwrap().shown_to(audience);
            assert_eq!(shown.json, serde_json::to_vec(&view).unwrap(), "{view:?}");
            assert_eq!(shown.version, view.version);
        }
    }
}

#[tokio::test]
async fn everybody_is_told_about_their_own_order() {
    let shop = busy(3);
    let world = World::projected(&shop.log, 1_000).await;
    // Each twice, among some that nobody ever placed.
    let placed: Vec<OrderId> = shop.orders.keys().copied().collect();
    let asked: Vec<OrderId> = placed
        .iter()
        .chain(&placed)
        .flat_map(|id| [*id, OrderId(Uuid::now_v7())])
        .collect();

    let told = join_all(asked.iter().map(|id| shown(&world, *id))).await;

    for (id, told) in asked.iter().zip(told) {
        let placed = shop.orders.contains_key(id);
        assert_eq!(told, placed.then(|| expected(&shop, *id)));
    }
}

#[tokio::test]
async fn few_selects_serve_many_and_who_goes_away_keeps_nobody_from_an_answer() {
    let shop = busy(1);
    let world = World::projected(&shop.log, 1_000).await;
    let id = Tale::of(0).order;
    let mut lock = world.pool.begin().await.unwrap();
    lock.execute("lock table read.orders in access exclusive mode")
        .await
        .unwrap();
    let mut asking: Vec<_> = (0..WAITING_MAX)
        .map(|_| {
            let models = world.models.clone();
            tokio::spawn(async move { models.order(id).await.map(|order| order.is_some()) })
        })
        .collect();

    held_up(&world, LANES).await;
    let gone = asking.split_off(WAITING_MAX / 2);
    gone.iter().for_each(tokio::task::JoinHandle::abort);
    lock.rollback().await.unwrap();

    for told in join_all(asking).await {
        assert_eq!(told.unwrap(), Ok(true));
    }
}

#[tokio::test]
async fn whoever_comes_when_too_many_wait_is_told_at_once() {
    let shop = busy(1);
    let world = World::projected(&shop.log, 1_000).await;
    let id = Tale::of(0).order;
    let ask = || world.models.order(id).now_or_never();
    for _ in 0..WAITING_MAX {
        assert!(ask().is_none());
    }

    assert_eq!(ask().unwrap().unwrap_err(), LookupError::Overloaded);

    // All of them have gone away; nobody looks for what they wanted.
    tokio::task::yield_now().await;
    assert_eq!(shown(&world, id).await, Some(expected(&shop, id)));
}

#[tokio::test]
async fn an_error_is_told_to_all_and_forgotten() {
    let shop = busy(1);
    let world = World::projected(&shop.log, 1_000).await;
    let id = Tale::of(0).order;
    world
        .execute("alter table read.orders rename to hidden")
        .await;

    for told in join_all((0..100).map(|_| world.models.order(id))).await {
        assert_eq!(told.unwrap_err(), LookupError::Unavailable);
    }

    world
        .execute("alter table read.hidden rename to orders")
        .await;
    assert_eq!(shown(&world, id).await, Some(expected(&shop, id)));
}

#[tokio::test]
async fn a_connection_that_was_lost_meanwhile_is_made_anew() {
    let shop = busy(1);
    let world = World::projected(&shop.log, 1_000).await;
    let id = Tale::of(0).order;
    for _ in 0..3 {
        assert_eq!(shown(&world, id).await, Some(expected(&shop, id)));
        let terminate = "select pg_terminate_backend(pid) from pg_stat_activity \
                         where datname = current_database() and pid <> pg_backend_pid()";
        world.execute(terminate).await;
    }
}
