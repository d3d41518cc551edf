//! Runs on their way onto a stream of a real nats-server: alone, overtaken, interrupted, refused.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};

use async_nats::jetstream::stream::Config;
use stack::{Options, Servers, Stack};
use uuid::Uuid;

use super::*;
use crate::cloudevent::{Identity, identity};
use crate::recorded::tests::received;

const STREAM_BYTES: i64 = 64 * 1024 * 1024;

static NATS: LazyLock<Mutex<Stack>> = LazyLock::new(|| {
    let options = Options { servers: Servers::OnlyNats, ..Options::new(data_dir()) };
    Stack::start_blocking(&options).unwrap().into()
});

/// The first directory beside the test's program that no other run of these tests uses. A static
/// is never dropped, so a run cannot tidy up after itself: the next one does.
fn data_dir() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let home = program.parent().unwrap().join("store-tests");
    std::fs::create_dir_all(&home).unwrap();
    for number in 1.. {
        let lock = File::create(home.join(format!("{number}.lock"))).unwrap();
        if lock.try_lock().is_ok() {
            // Held until this program ends.
            std::mem::forget(lock);
            let dir = home.join(number.to_string());
            if dir.exists() {
                std::fs::remove_dir_all(&dir).unwrap();
            }
            return dir;
        }
    }
    unreachable!("one of all numbers is free")
}

#[tokio::test]
async fn each_event_of_a_run_is_stored_at_the_sequence_of_its_position() {
    let world = World::new().await;
    let mut publisher = world.publisher().await;
    let log = log(1..=1_200);
    for run in [&log[..1], &log[1..3], &log[3..503], &log[503..]] {
        publisher.put(run).await.unwrap();
    }
    world.holds(&log).await;
}

#[tokio::test]
async fn of_two_relays_the_slower_one_stores_nothing_and_says_so() {
    let world = World::new().await;
    let (mut one, mut two) = (world.publisher().await, world.publisher().await);
    let log = log(1..=40);
    one.put(&log[..10]).await.unwrap();
    two.put(&log[10..25]).await.unwrap();

    for late in [&log[10..40], &log[10..11], &log[..3], &log[20..40]] {
        let refusal = one.put(late).await.unwrap_err().to_string();
        assert!(refusal.contains("wrong last sequence"), "{refusal}");
        world.holds(&log[..25]).await;
    }
    one.put(&log[25..]).await.unwrap();
    world.holds(&log).await;
}

#[tokio::test]
async fn two_relays_at_the_same_time_double_and_reorder_nothing() {
    let world = World::new().await;
    let log = log(1..=600);
    let mut stored = 0;
    while stored < log.len() {
        let (mut one, mut two) = (world.publisher().await, world.publisher().await);
        let rest = &log[stored..];
        let both = [rest.len().min(70), rest.len().min(45)];
        let (first, second) = tokio::join!(one.put(&rest[..both[0]]), two.put(&rest[..both[1]]));
        assert!(first.is_err() || second.is_err(), "one of them is second");
        stored = world.last_sequence().await;
        world.holds(&log[..stored]).await;
    }
}

#[tokio::test]
async fn nothing_of_ours_is_stored_behind_a_strangers_message() {
    let world = World::new().await;
    let mut publisher = world.publisher().await;
    let log = log(1..=30);
    publisher.put(&log[..10]).await.unwrap();
    let subject = world.stream.subject("inventory.eaten");
    let strangers = world.context().publish(subject, "garbage".into()).await;
    strangers.unwrap().await.unwrap();

    publisher.put(&log[10..]).await.unwrap_err();

    assert_eq!(world.last_sequence().await, 11);
}

#[tokio::test]
async fn what_a_relay_leaves_behind_when_it_dies_in_a_batch_is_gone_on_from() {
    let world = World::new().await;
    let log = log(1..=30);
    let mut dying = world.publisher().await;
    dying.put(&log[..10]).await.unwrap();
    let mut batch = messages(&world.stream, &dying.client, &log[10..20]);
    batch.truncate(4);
    for (message, number) in batch.into_iter().zip(1..) {
        let operation = if number == 1 { START } else { APPEND };
        let reply = format!("_INBOX.dead.{}-1.{FLOW}.fail.{number}.{operation}.$FI", world.name);
        let (headers, payload) = (message.headers(), message.payload.into());
        let sent =
            dying
                .client
                .publish_with_reply_and_headers(message.subject, reply, headers, payload);
        sent.await.unwrap();
    }
    dying.client.flush().await.unwrap();
    drop(dying);

    // The rest of the batch never comes, and nobody waits for it.
    while world.last_sequence().await < 14 {}
    world.publisher().await.put(&log[14..]).await.unwrap();

    world.holds(&log).await;
}

#[tokio::test]
async fn where_the_stream_takes_no_batches_events_go_one_by_one() {
    let world = World::with(|config| Config { allow_batch_publish: false, ..config }).await;
    let mut publisher = world.publisher().await;
    let log = log(1..=60);
    publisher.put(&log[..20]).await.unwrap();
    world.holds(&log[..20]).await;
    publisher.batches = None;
    publisher.put(&log[20..]).await.unwrap();
    world.holds(&log).await;

    let refusal = publisher.put(&log[30..]).await.unwrap_err().to_string();
    assert!(refusal.contains("wrong last sequence"), "{refusal}");
    world.holds(&log).await;
}

#[tokio::test]
async fn an_event_that_is_too_large_keeps_its_place_without_its_data() {
    let world = World::new().await;
    let large = "x".repeat(world.context().client().server_info().max_payload);
    let mut log = log(1..=5);
    log[2] = Arc::new(received(3, &large));

    world.publisher().await.put(&log).await.unwrap();

    world.holds(&log).await;
    let stream = world.context().get_stream(&world.name).await.unwrap();
    let message = stream.get_raw_message(3).await.unwrap();
    assert!(cloudevent::read(&message.payload).is_err(), "readers find it in Postgres");
}

#[tokio::test]
async fn without_a_stream_nothing_is_stored() {
    let world = World::new().await;
    let mut publisher = world.publisher().await;
    world.context().delete_stream(&world.name).await.unwrap();
    publisher.put(&log(1..=3)).await.unwrap_err();
}

fn log(positions: std::ops::RangeInclusive<i64>) -> Vec<Arc<RecordedEvent>> {
    positions
        .map(|position| Arc::new(received(position, "note 7")))
        .collect()
}

struct World {
    name: String,
    stream: Stream,
}

impl World {
    async fn new() -> Self {
        Self::with(|config| config).await
    }

    async fn with(change: impl FnOnce(Config) -> Config) -> Self {
        let url = NATS.lock().unwrap().nats_url().unwrap().to_owned();
        let client = crate::stream::connect(&url).await.unwrap();
        let name = format!("test_{}", Uuid::now_v7().simple());
        let stream = Stream::new(client, name.clone(), STREAM_BYTES);
        let config = change(stream.config(Uuid::now_v7(), 0));
        stream.context().create_stream(config).await.unwrap();
        Self { name, stream }
    }

    fn context(&self) -> &async_nats::jetstream::Context {
        self.stream.context()
    }

    async fn publisher(&self) -> Publisher {
        Publisher::open(&self.stream, true).await.unwrap()
    }

    async fn last_sequence(&self) -> usize {
        usize::try_from(self.stream.last_sequence().await.unwrap()).unwrap()
    }

    /// These events and nothing else, each at its place.
    async fn holds(&self, log: &[Arc<RecordedEvent>]) {
        assert_eq!(self.last_sequence().await, log.len());
        let stream = self.context().get_stream(&self.name).await.unwrap();
        for event in log {
            let sequence = u64::try_from(event.position).unwrap();
            let message = stream.get_raw_message(sequence).await.unwrap();
            let expected = Identity { id: event.event_id, position: event.position };
            assert_eq!(identity(&message.payload), Some(expected));
        }
    }
}
