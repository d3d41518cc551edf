//! Projectors on a real feed: catching up, waiting, failing and recovering.

use std::time::Duration;

use store::feed::Feeds;
use store::pace::Pace;
use store::stream::{self, Stream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::stories::{busy, tell_all};
use super::world::{PATIENCE, World, nats_url};
use crate::{NAMES, State, WaitError};

/// Nothing is ever published to it: the feed reads Postgres, as it does while NATS is away.
const STREAM_BYTES_MAX: i64 = 1024 * 1024;

/// All projectors of a world, until `stop` says so.
pub(super) async fn run(world: &World) -> (watch::Sender<bool>, JoinSet<()>) {
    let (stop, stopped) = watch::channel(false);
    let client = stream::connect(&nats_url()).await.unwrap();
    let name = format!("test_{}", Uuid::now_v7().simple());
    let stream = Stream::new(client, name, STREAM_BYTES_MAX);
    let feeds = Feeds::start(world.pool.clone(), stream, Pace::default(), stopped.clone());
    (stop, world.models.spawn(&feeds, &stopped))
}

#[tokio::test]
async fn projectors_catch_up_follow_and_stop_when_told_to() {
    let mut shop = busy(1);
    let world = World::with(&shop.log).await;
    let (to_stop, mut running) = run(&world).await;
    let models = &world.models;
    assert_eq!(
        models
            .wait_for(&NAMES, shop.head(), PATIENCE)
            .await
            .unwrap(),
        shop.head()
    );

    let first = shop.log.len();
    tell_all(&mut shop, 1, 1);
    world.write(&shop.log[first..]).await;
    assert_eq!(
        models
            .wait_for(&NAMES, shop.head(), PATIENCE)
            .await
            .unwrap(),
        shop.head()
    );
    for status in models.statuses().await.unwrap() {
        assert_eq!((status.position, status.lag), (shop.head(), 0), "{}", status.name);
        assert_eq!(status.state, State::Running, "{}", status.name);
    }
    world
        .holds(&World::projected(&shop.log, 1_000).await.dump().await)
        .await;

    to_stop.send(true).unwrap();
    while running.join_next().await.is_some() {}
    assert_eq!(models.statuses().await.unwrap()[0].state, State::Stopped);
    assert_eq!(models.reached("orders").await.unwrap(), shop.head());
}

#[tokio::test]
async fn a_projector_that_fails_says_so_and_goes_on_once_the_cause_is_gone() {
    let shop = busy(1);
    let world = World::with(&shop.log).await;
    world
        .execute("alter table read.stock add constraint broken check (on_hand < 0)")
        .await;
    let (_stop, _running) = run(&world).await;
    let mut states = world.models.projector_of("stock").live.states();

    let failed = states
        .wait_for(|state| matches!(state, State::Failed(_)))
        .await
        .unwrap()
        .clone();
    assert!(failed.to_string().contains("broken"), "{failed}");
    let others: Vec<&str> = NAMES.into_iter().filter(|name| *name != "stock").collect();
    world
        .models
        .wait_for(&others, shop.head(), PATIENCE)
        .await
        .unwrap();
    assert_eq!(world.models.reached("stock").await.unwrap(), 0);

    world
        .execute("alter table read.stock drop constraint broken")
        .await;
    world
        .models
        .wait_for(&["stock"], shop.head(), PATIENCE)
        .await
        .unwrap();
    states
        .wait_for(|state| *state == State::Running)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_rebuild_frees_a_projector_that_is_stuck_on_a_broken_copy() {
    let shop = busy(1);
    let world = World::projected(&shop.log[..100], 1_000).await;
    world
        .execute("alter table read.stock drop column updated_at")
        .await;
    world.write(&shop.log[100..]).await;
    let (_stop, _running) = run(&world).await;
    let mut states = world.models.projector_of("stock").live.states();
    states
        .wait_for(|state| matches!(state, State::Failed(_)))
        .await
        .unwrap();

    world.models.start_rebuild("stock").unwrap();

    world
        .models
        .wait_for(&NAMES, shop.head(), PATIENCE)
        .await
        .unwrap();
    states
        .wait_for(|state| *state == State::Running)
        .await
        .unwrap();
    world
        .holds(&World::projected(&shop.log, 1_000).await.dump().await)
        .await;
}

#[tokio::test]
async fn waiting_ends_with_where_the_read_model_is() {
    let shop = busy(1);
    let world = World::projected(&shop.log, 1_000).await;
    let wanted = shop.head() + 1;
    // No projector runs here, as in a process that only serves.
    let behind = world
        .models
        .wait_for(&["orders"], wanted, Duration::from_millis(1))
        .await;
    let Err(WaitError::Behind { name: "orders", reached, .. }) = behind else {
        panic!("{behind:?}");
    };
    assert_eq!(reached, shop.head());

    // A projector of another process does its work while this one waits.
    let mut longer = busy(1);
    tell_all(&mut longer, 1, 1);
    let other = async {
        world.write(&longer.log[shop.log.len()..]).await;
        world.project("orders", &longer.log, 1_000).await;
    };
    let elsewhere = crate::ReadModels::open(world.pool.clone()).await.unwrap();
    let (reached, ()) = tokio::join!(elsewhere.wait_for(&["orders"], wanted, PATIENCE), other);
    assert!(wanted <= reached.unwrap());
}
