//! What one process decides while another changes the same stream.

use domain::inventory::Refusal;
use sqlx::{Executor as _, PgConnection};
use store::command::{ExecuteError, Verdict};
use tokio::task::JoinHandle;

use crate::audit::Stock;
use crate::world::{World, ask, envelope, eventually, receive, reserve, stock};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_on_outdated_stock_is_decided_anew() {
    let world = World::new().await;
    let (one, two) = (world.journal(), world.journal());
    stock(&one, "cup", receive(1)).await;
    stock(&one, "cup", reserve(1)).await;
    // Unseen by the first journal, which would refuse from memory.
    stock(&two, "cup", receive(5)).await;

    let answer = ask(&one, "cup", reserve(5), envelope()).await.unwrap();

    assert_eq!(answer.verdict, Verdict::Accepted);
    world.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acceptance_on_outdated_stock_is_decided_anew() {
    let world = World::new().await;
    let (one, two) = (world.journal(), world.journal());
    stock(&one, "cup", receive(5)).await;
    stock(&two, "cup", reserve(4)).await;

    let answer = ask(&one, "cup", reserve(2), envelope()).await.unwrap();

    let short = Refusal::InsufficientStock { requested: 2, available: 1 };
    assert_eq!(answer.verdict, Verdict::Refused(short));
    let stocks = world.audit().await;
    assert_eq!(stocks["cup"], Stock { on_hand: 5, reserved: 4 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_that_waits_for_another_process_sees_what_that_one_has_done() {
    let world = World::new().await;
    let journal = world.journal();
    stock(&journal, "cup", receive(1)).await;
    let mut other = world.bystander().await;
    lock_the_head(&mut other).await;
    let asked = tokio::spawn(async move { ask(&journal, "cup", reserve(2), envelope()).await });
    writers_wait(&world, 1).await;

    append_received(&mut other, "cup", 2, 9).await;
    commit(&mut other).await;

    assert_eq!(asked.await.unwrap().unwrap().verdict, Verdict::Accepted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_meets_a_conflict_every_time_is_told_so_in_the_end() {
    let world = World::new().await;
    let journal = world.journal();
    stock(&journal, "cup", receive(1)).await;
    let (mut holder, mut next) = (world.bystander().await, world.bystander().await);
    lock_the_head(&mut holder).await;
    let asked = tokio::spawn(async move { ask(&journal, "cup", receive(1), envelope()).await });

    // Whenever ours gets the lock, the other has just appended, and is in the lock's queue again.
    let mut version = 1;
    while ours_waits(&world, &asked).await {
        let queued = tokio::spawn(async move {
            lock_the_head(&mut next).await;
            next
        });
        writers_wait(&world, 2).await;
        version += 1;
        append_received(&mut holder, "cup", version, 1).await;
        commit(&mut holder).await;
        (holder, next) = (queued.await.unwrap(), holder);
    }
    let refused = asked.await.unwrap();

    let Err(ExecuteError::Conflict { stream, expected, actual }) = refused else {
        panic!("no conflict: {refused:?}")
    };
    assert_eq!((stream.as_str(), actual), ("inventory cup", version));
    assert!(expected < actual);
    // Six tries, each of them outdated by at least one event.
    assert!(7 <= version, "{version}");
}

/// As the writer of another process does.
pub(crate) async fn lock_the_head(connection: &mut PgConnection) {
    let begin = "begin; select position from log_head for update";
    connection.execute(begin).await.unwrap();
}

pub(crate) async fn commit(connection: &mut PgConnection) {
    connection.execute("commit").await.unwrap();
}

/// Appends as the writer of another process does.
async fn append_received(connection: &mut PgConnection, sku: &str, sequence: i64, quantity: u64) {
    let append = "with head as (update log_head set position = position + 1 returning position) \
         insert into events select position, gen_random_uuid(), 'inventory', $1, $2, \
             'inventory.received', '1', \
             json_build_object('type', 'inventory.received', 'quantity', $3::bigint, \
                               'reference', 'theirs'), \
             json_build_object('command_id', gen_random_uuid(), \
                               'correlation_id', gen_random_uuid(), 'actor', 'staff'), \
             clock_timestamp() from head";
    sqlx::query(append)
        .bind(sku)
        .bind(sequence)
        .bind(i64::try_from(quantity).unwrap())
        .execute(connection)
        .await
        .unwrap();
}

/// Until so many wait for the head's lock.
pub(crate) async fn writers_wait(world: &World, count: i64) {
    eventually("the writers wait for the lock", || async { waiting(world).await == count }).await;
}

/// Until ours waits for the head's lock, or has got its answer and waits no more.
async fn ours_waits<T>(world: &World, ours: &JoinHandle<T>) -> bool {
    let waits_or_ended = || async { ours.is_finished() || waiting(world).await == 1 };
    eventually("ours waits", waits_or_ended).await;
    !ours.is_finished()
}

pub(crate) async fn waiting(world: &World) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_stat_activity \
         where datname = current_database() and wait_event_type = 'Lock' \
           and query like '%log_head%'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap()
}
