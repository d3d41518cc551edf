//! SQL files as read models: given events in order, kept to themselves, and harmless when they fail.

use std::fs;
use std::path::Path;

use super::running::run;
use super::stories::busy;
use super::world::World;
use crate::{NAMES, SqlStatus, State};

/// The example that the documentation shows.
const ORDERS_BY_HOUR: &str = include_str!("../../examples/orders_by_hour.sql");

/// A read model that counts events by their name.
fn counting(extra: &str) -> String {
    format!(
        "-- daybook:tables\n\
         create table counts (event_type text primary key, events bigint not null);\n\
         -- daybook:batch\n\
         insert into counts select event_type, count(*) from batch group by 1\n\
         on conflict (event_type) do update set events = counts.events + excluded.events;\n{extra}"
    )
}

async fn with_files(mut world: World, files: &[(&str, &str)]) -> World {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    world.models = world.models.with_sql(directory.path()).await.unwrap();
    world
}

async fn status(world: &World, name: &str) -> SqlStatus {
    let statuses = world.models.sql_statuses().await.unwrap();
    statuses.into_iter().find(|it| it.name == name).unwrap()
}

/// Why a file fails, once it does.
async fn failure(world: &World, name: &str) -> String {
    let mut states = world.models.sql_projector_of(name).live.states();
    let failed = states.wait_for(|state| matches!(state, State::Failed(_)));
    failed.await.unwrap().to_string()
}

async fn number(world: &World, select: &str) -> i64 {
    sqlx::query_scalar(select)
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_example_counts_what_happened_in_each_hour_whatever_the_batches() {
    let shop = busy(2);
    let mut shown = Vec::new();
    for batch_events in [1_000, 7] {
        let world =
            with_files(World::with(&shop.log).await, &[("orders_by_hour.sql", ORDERS_BY_HOUR)])
                .await;
        let projector = world.models.sql_projector_of("orders_by_hour");
        for batch in shop.log.chunks(batch_events) {
            projector.apply(batch).await.unwrap();
        }
        assert_eq!(status(&world, "orders_by_hour").await.position, shop.head());
        shown.push(
            world
                .rows_of("own_orders_by_hour", ["orders_by_hour"])
                .await,
        );
        let placed =
            number(&world, "select sum(placed)::bigint from own_orders_by_hour.orders_by_hour");
        let orders = i64::try_from(shop.orders.len()).unwrap();
        assert_eq!(placed.await, orders);
    }
    assert!(!shown[0].is_empty());
    assert_eq!(shown[0], shown[1]);
}

#[tokio::test]
async fn a_file_that_fails_stops_only_itself_and_says_why() {
    let shop = busy(1);
    let world = with_files(
        World::with(&shop.log).await,
        &[
            ("good.sql", &counting("")),
            (
                "broken.sql",
                "-- daybook:tables\ncreate tabel a ();\n-- daybook:batch\nselect 1;",
            ),
            ("halved.sql", &counting("select 1 / (events - 1) from counts limit 1;")),
            ("orders.sql", &counting("")),
            ("notes.txt", "no file of SQL"),
        ],
    )
    .await;
    let (_stop, _running) = run(&world).await;

    let why = failure(&world, "halved").await;
    assert!(why.contains("division by zero"), "{why}");
    let mut marks = world.models.sql_projector_of("good").live.marks();
    marks
        .wait_for(|mark| *mark == Some(shop.head()))
        .await
        .unwrap();
    assert_eq!(
        number(&world, "select sum(events)::bigint from own_good.counts").await,
        shop.head()
    );
    for (name, position) in [
        ("good", shop.head()),
        ("halved", 0),
        ("broken", 0),
        ("orders", 0),
    ] {
        let status = status(&world, name).await;
        assert_eq!(status.position, position, "{name}");
        assert_eq!(matches!(status.state, State::Failed(_)), name != "good", "{status:?}");
    }
    assert_eq!(
        number(&world, "select count(*) from own_halved.counts").await,
        0,
        "all or nothing"
    );
    assert!(
        status(&world, "broken")
            .await
            .state
            .to_string()
            .contains("tabel")
    );
    world
        .models
        .wait_for(&NAMES, shop.head(), super::world::PATIENCE)
        .await
        .unwrap();
    assert_eq!(world.models.statuses().await.unwrap().len(), NAMES.len());
}

#[tokio::test]
async fn a_file_cannot_touch_what_is_not_its_own() {
    let shop = busy(1);
    let world = World::projected(&shop.log, 1_000).await;
    let before = world.dump().await;
    for (nth, extra) in [
        "delete from stock;",
        "delete from events;",
        "delete from read.stock;",
        "insert into public.log_head (position) values (1);",
        "update own.marks set position = 0;",
        "drop table read.stock;",
    ]
    .iter()
    .enumerate()
    {
        let file = format!("file_{nth}.sql");
        let models = world.models.clone();
        let with = World { pool: world.pool.clone(), models };
        let with = with_files(with, &[(&file, &counting(extra))]).await;
        let name = format!("file_{nth}");
        let refusal = if let State::Failed(why) = status(&with, &name).await.state {
            why
        } else {
            let projector = with.models.sql_projector_of(&name);
            projector.apply(&shop.log).await.unwrap_err().to_string()
        };
        let refused = ["does not exist", "permission denied", "must be owner"];
        assert!(refused.iter().any(|word| refusal.contains(word)), "{extra}: {refusal}");
    }
    world.holds(&before).await;
}

#[tokio::test]
async fn a_file_cannot_end_the_transaction_that_holds_its_mark() {
    let shop = busy(1);
    let world = World::with(&shop.log).await;
    let world = with_files(world, &[("ending.sql", &counting("commit;"))]).await;
    let projector = world.models.sql_projector_of("ending");
    let why = projector.apply(&shop.log).await.unwrap_err().to_string();
    assert!(why.contains("COMMIT is not allowed"), "{why}");
    assert_eq!(number(&world, "select count(*) from own_ending.counts").await, 0);
    let file = counting("").replace("create table", "commit; create table");
    let world = with_files(World::new().await, &[("ending.sql", &file)]).await;
    let why = status(&world, "ending").await.state.to_string();
    assert!(why.contains("transaction"), "{why}");
}

#[tokio::test]
async fn a_file_that_has_changed_is_filled_anew_and_one_that_has_not_goes_on() {
    let shop = busy(1);
    let first = with_files(World::with(&shop.log).await, &[("mine.sql", &counting(""))]).await;
    let projector = first.models.sql_projector_of("mine");
    projector.apply(&shop.log[..50]).await.unwrap();

    let again = with_files(first, &[("mine.sql", &counting(""))]).await;
    assert_eq!(status(&again, "mine").await.position, 50);
    let projector = again.models.sql_projector_of("mine");
    projector.apply(&shop.log).await.unwrap();
    assert_eq!(
        number(&again, "select sum(events)::bigint from own_mine.counts").await,
        shop.head()
    );

    let changed = with_files(again, &[("mine.sql", &counting("select 2;"))]).await;
    assert_eq!(status(&changed, "mine").await.position, 0);
    assert_eq!(number(&changed, "select count(*) from own_mine.counts").await, 0);
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named() {
    let world = World::new().await;
    let missing = world
        .models
        .clone()
        .with_sql(Path::new("/nowhere/at/all"))
        .await;
    let error = missing.err().expect("nothing to read").to_string();
    assert!(error.contains("/nowhere/at/all"), "{error}");
}
