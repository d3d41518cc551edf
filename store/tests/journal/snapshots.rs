//! Snapshots: taken from what has been committed, used where they help, passed over where they lie.

use domain::inventory::Inventory;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor as _, FromRow, PgPool};
use store::comparing::{self, Comparison};
use store::journal::{Bounds, Journal};
use store::states::Kept;
use tokio::sync::oneshot;

use crate::ahead::{in_line_with_666, refuse_to_store, while_the_writer_waits};
use crate::audit::Stock;
use crate::conflicts::commit;
use crate::world::{World, eventually, receive, reserve, stock};

#[derive(Debug, Clone, PartialEq, FromRow)]
struct Row {
    version: i64,
    state: String,
    state_schema: String,
}

impl World {
    async fn snapshot(&self) -> Option<Row> {
        sqlx::query_as("select version, state::text as state, state_schema from snapshots")
            .fetch_optional(&self.pool)
            .await
            .unwrap()
    }

    async fn snapshot_is_at(&self, version: i64) {
        eventually("the snapshot is taken", || async {
            self.snapshot()
                .await
                .is_some_and(|row| row.version == version)
        })
        .await;
    }

    pub(crate) async fn comparison(&self) -> Comparison {
        comparing::compare(&self.pool, 1).await.unwrap()
    }

    /// A stream of five events and its snapshot.
    async fn with_a_snapshot_of_cups(&self) -> Journal {
        let journal = self.journal_with_snapshots(5);
        stock(&journal, "cup", receive(100)).await;
        for _ in 0..4 {
            stock(&journal, "cup", reserve(1)).await;
        }
        self.snapshot_is_at(5).await;
        journal
    }

    /// Stock of cups as a process decides on it that has just been started.
    async fn cups_after_a_start(&self) -> (Stock, i64) {
        let (inventory, version) = self.journal().decided::<Inventory>("cup").await.unwrap();
        let (on_hand, reserved) = (inventory.on_hand().into(), inventory.reserved().into());
        (Stock { on_hand, reserved }, version)
    }
}

const WHAT_HAPPENED: (Stock, i64) = (Stock { on_hand: 100, reserved: 4 }, 5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_stream_is_loaded_from_its_snapshot_and_what_came_after() {
    let world = World::new().await;
    let journal = world.with_a_snapshot_of_cups().await;
    stock(&journal, "cup", reserve(3)).await;

    let after_a_start = world.cups_after_a_start().await;
    assert_eq!(after_a_start, (Stock { on_hand: 100, reserved: 7 }, 6));
    let comparison = Comparison { equal: 1, ..Comparison::default() };
    assert_eq!(world.comparison().await, comparison);

    // That it is read at all shows where it lies.
    let lie = "update snapshots set state = \
               replace(state::text, '\"on_hand\":100', '\"on_hand\":900')::json";
    world.run(lie).await;
    let after_a_start = world.cups_after_a_start().await;
    assert_eq!(after_a_start, (Stock { on_hand: 900, reserved: 7 }, 6));
    let difference = world.comparison().await.differences.remove(0);
    assert_eq!(difference.position, 5);
    assert_eq!(
        difference.what,
        "the snapshot of inventory cup at version 5 is not what its stream adds up to"
    );
    // And without it, all is well.
    world.run("delete from snapshots").await;
    assert_eq!(world.cups_after_a_start().await.0, Stock { on_hand: 100, reserved: 7 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_of_an_older_or_newer_program_says_nothing() {
    let world = World::new().await;
    let journal = world.with_a_snapshot_of_cups().await;
    for (schema, version) in [("0-older", 10), ("99-newer", 15)] {
        let rename = format!("update snapshots set state_schema = '{schema}', state = '[7]'");
        world.run(&rename).await;

        assert_eq!(world.cups_after_a_start().await.1, version - 5);
        let comparison = Comparison { of_other_schemas: 1, ..Comparison::default() };
        assert_eq!(world.comparison().await, comparison);

        // The next one of ours takes its place.
        for _ in 0..5 {
            stock(&journal, "cup", reserve(1)).await;
        }
        world.snapshot_is_at(version).await;
        assert_eq!(world.snapshot().await.unwrap().state_schema, Inventory::STATE_SCHEMA);
        assert_eq!(world.comparison().await.equal, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_makes_no_sense_is_passed_over_found_and_replaced() {
    for (damage, found) in [
        ("state = '{\"on_hand\": -1}'", "at version 5 cannot be read"),
        ("version = 1000", "at version 1000 is not of this log"),
        ("event_id = gen_random_uuid()", "at version 5 is not of this log"),
    ] {
        let world = World::new().await;
        let journal = world.with_a_snapshot_of_cups().await;
        world.run(&format!("update snapshots set {damage}")).await;

        assert_eq!(world.cups_after_a_start().await, WHAT_HAPPENED, "{damage}");
        let difference = world.comparison().await.differences.remove(0);
        assert_eq!(difference.what, format!("the snapshot of inventory cup {found}"));

        for _ in 0..5 {
            stock(&journal, "cup", reserve(1)).await;
        }
        world.snapshot_is_at(10).await;
        assert_eq!(world.comparison().await.equal, 1, "{damage}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_slower_of_two_does_not_replace_a_newer_snapshot() {
    let world = World::new().await;
    let journal = world.with_a_snapshot_of_cups().await;
    let mut other = world.bystander().await;
    other
        .execute("begin; select from snapshots for update")
        .await
        .unwrap();
    for _ in 0..5 {
        stock(&journal, "cup", reserve(1)).await;
    }
    eventually("ours waits with version 10", || async { ours_waits(&world).await }).await;
    for _ in 0..4 {
        stock(&journal, "cup", reserve(1)).await;
    }
    // As another process would, that has seen them all.
    let (state, version) = journal.load::<Inventory>("cup").await.unwrap();
    let newer = "update snapshots s set version = $1, state = $2::json, event_id = e.event_id \
                 from events e where e.sequence = $1";
    sqlx::query(newer)
        .bind(version)
        .bind(serde_json::to_string(&state).unwrap())
        .execute(&mut other)
        .await
        .unwrap();
    commit(&mut other).await;

    eventually("ours waits no more", || async { !ours_waits(&world).await }).await;
    assert_eq!(world.snapshot().await.unwrap().version, 14);
    assert_eq!(world.comparison().await.equal, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_batch_that_fails_is_in_a_snapshot() {
    let world = World::new().await;
    refuse_to_store(&world, "raise_exception").await;
    // After every event, so that each decision ahead of the commit has one due.
    let journal = world.journal_with_snapshots(1);
    stock(&journal, "cup", receive(1_000)).await;

    let asked = while_the_writer_waits(&world, &journal, in_line_with_666).await;
    let mut accepted = 0;
    for answer in asked {
        accepted += i64::from(answer.await.unwrap().is_ok());
    }

    assert_eq!(accepted, 1, "the others were decided on what failed");
    world.snapshot_is_at(1 + accepted).await;
    assert_eq!(world.comparison().await.equal, 1);
    stock(&journal, "cup", reserve(900)).await;
    world.snapshot_is_at(3).await;
    assert_eq!(world.comparison().await.equal, 1);
    assert_eq!(world.audit().await["cup"], Stock { on_hand: 1_000, reserved: 1_000 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_between_commit_and_snapshot_leaves_nothing_to_repair() {
    let world = World::new().await;
    let mut other = world.bystander().await;
    other
        .execute("begin; lock table snapshots in share mode")
        .await
        .unwrap();
    let (is_committed, committed) = oneshot::channel();
    let options = world.pool.connect_options().as_ref().clone();
    // A process of its own, which ends at once and tidies nothing up.
    let process = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.spawn(async move {
            let pool = PgPoolOptions::new()
                .max_connections(4)
                .connect_lazy_with(options);
            let journal = journal_of(&pool);
            stock(&journal, "cup", receive(100)).await;
            for _ in 0..4 {
                stock(&journal, "cup", reserve(1)).await;
            }
            is_committed.send(()).unwrap();
            std::future::pending::<()>().await;
        });
        runtime
    });
    let runtime = process.join().unwrap();
    committed.await.unwrap();
    eventually("its snapshot waits", || async { ours_waits(&world).await }).await;
    runtime.shutdown_background();
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity \
                where datname = current_database() and wait_event_type = 'Lock'";
    other.execute(kill).await.unwrap();
    commit(&mut other).await;

    assert_eq!(world.snapshot().await, None);
    assert_eq!(world.cups_after_a_start().await, WHAT_HAPPENED);
    // The next process writes it down, as soon as there is something to do.
    let journal = world.journal_with_snapshots(5);
    stock(&journal, "cup", reserve(1)).await;
    world.snapshot_is_at(6).await;
    assert_eq!(world.comparison().await.equal, 1);
}

fn journal_of(pool: &PgPool) -> Journal {
    let bounds = Bounds { snapshot_events_min: 5, ..Bounds::default() };
    Journal::start_within(pool, &bounds).0
}

/// Whether a snapshot waits for somebody's lock.
async fn ours_waits(world: &World) -> bool {
    sqlx::query_scalar(
        "select exists (select from pg_stat_activity \
         where datname = current_database() and wait_event_type = 'Lock' \
           and query like '%insert into snapshots%')",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap()
}
