//! Replays: a read model as of a position equals the fold of the log up to there.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::TimeDelta;

use super::shop::opening;
use super::stories::busy;
use super::world::World;
use crate::projection::ALL;
use crate::{RebuildState, Until, UntilError};

/// Points of the past that are tried, besides the ends.
const POINTS: usize = 6;

#[tokio::test]
async fn a_replay_until_any_position_is_the_fold_of_the_log_up_to_there() {
    let shop = busy(2);
    let world = World::projected(&shop.log, 1_000).await;
    let live = world.dump().await;
    let seed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    println!("seed {seed}");
    let mut chance = seed;
    let mut next = || {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        i64::try_from((chance >> 33) % shop.head().unsigned_abs()).unwrap() + 1
    };
    let points = [1, shop.head()]
        .into_iter()
        .chain((0..POINTS).map(|_| next()));
    for until in points {
        let then = usize::try_from(until).unwrap();
        let expected = World::projected(&shop.log[..then], 7).await;
        for projection in ALL {
            let name = projection.name();
            let schema = world.models.start_replay(name, until).unwrap();
            let view = world.models.rebuilds_of(name).ended().await;
            assert_eq!(view.state, RebuildState::Done, "{name} until {until}: {view:?}");
            assert_eq!((view.position, view.target), (until, until));

            let tables = || projection.tables().iter().copied();
            let found = world.rows_of(&schema, tables()).await;
            assert!(
                found == expected.rows_of("read", tables()).await,
                "seed {seed}: {name} until {until} is another"
            );
            let marks = world.rows_of(&schema, ["marks"]).await;
            assert_eq!(marks, [format!("marks({name},{},{until})", projection.version())]);
        }
    }
    world.holds(&live).await;
}

#[tokio::test]
async fn replays_are_listed_with_their_position_until_they_are_dropped() {
    let shop = busy(1);
    let world = World::projected(&shop.log, 1_000).await;
    world.models.start_replay("orders", 20).unwrap();
    world.models.rebuilds_of("orders").ended().await;
    // A name that only looks like ours.
    world
        .execute("create schema replay_of_something_else")
        .await;

    let statuses = world.models.statuses().await.unwrap();
    let with = |name: &str| {
        let status = statuses.iter().find(|status| status.name == name);
        status.unwrap().replay.clone()
    };
    let replay = with("orders").unwrap();
    assert_eq!((replay.schema.as_str(), replay.position), ("replay_orders", 20));
    assert!(0 < replay.bytes);
    assert_eq!(with("sales"), None);

    assert!(world.models.drop_replay("orders").await.unwrap());
    assert!(!world.models.drop_replay("orders").await.unwrap(), "it is gone already");
    assert!(world.models.drop_replay("nothing").await.is_err());
    let statuses = world.models.statuses().await.unwrap();
    assert!(statuses.iter().all(|status| status.replay.is_none()));
}

#[tokio::test]
async fn a_time_is_the_last_position_recorded_by_then() {
    let shop = busy(1);
    let world = World::with(&shop.log).await;
    let position = async |until| world.models.position_of(until).await;
    // The event at position n was recorded n seconds after the opening.
    let at = |millis| Until::Time(opening() + TimeDelta::milliseconds(millis));

    for (millis, expected) in [
        (1_000, 1),
        (1_999, 1),
        (20_500, 20),
        (90_000_000, shop.head()),
    ] {
        assert_eq!(position(at(millis)).await.unwrap(), expected, "{millis}");
    }
    assert_eq!(position(Until::Position(3)).await.unwrap(), 3);
    assert!(matches!(position(at(999)).await, Err(UntilError::BeforeAll(_))));
    let ahead = position(Until::Position(shop.head() + 1)).await;
    assert!(matches!(ahead, Err(UntilError::Ahead { .. })), "{ahead:?}");
}
