//! The stream is the log: sequence k holds the event at position k, whatever happens to the stream.

use std::collections::HashMap;

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::Config;
use domain::inventory::Inventory;
use futures::future::join_all;
use rand::Rng as _;
use serde_json::Value;
use store::journal::{Committed, Journal};
use store::relay::{self, Standing};
use store::stream::Stream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::world::{World, chance, envelope, eventually, receive};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_stands_at_the_sequence_of_its_position() {
    let world = World::new().await;
    let (journal, committed) = world.journal_and_its_batches();
    let elsewhere = world.journal();
    append(&journal, 50).await;
    let relay = world.relay(committed);

    let appending = (0..8).map(async |n| {
        append(if n == 0 { &elsewhere } else { &journal }, 40).await;
    });
    join_all(appending).await;

    world.stream_becomes_the_log().await;
    relay.stands_at(world.head().await).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_relays_that_both_think_they_lead_double_and_reorder_nothing() {
    let world = World::new().await;
    let mut chance = chance();
    let (one, to_one) = world.journal_and_its_batches();
    let (two, to_two) = world.journal_and_its_batches();
    let relays = [world.relay(to_one), world.relay(to_two)];
    for _ in 0..10 {
        let commands = chance.random_range(10..40);
        let appending = [append(&one, commands), append(&two, commands)];
        // Whoever led goes on publishing without the lock until he is idle.
        let usurping = world.run(
            "select pg_terminate_backend(pid) from pg_locks \
             where locktype = 'advisory' \
               and database = (select oid from pg_database where datname = current_database())",
        );
        tokio::join!(join_all(appending), usurping);
    }

    world.stream_becomes_the_log().await;
    for relay in relays {
        relay.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_deleted_is_refilled_even_while_nothing_happens() {
    let world = World::new().await;
    let (journal, relay) = world.journal_with_a_relay();
    append(&journal, 30).await;
    world.stream_becomes_the_log().await;

    world.jetstream().delete_stream(&world.name).await.unwrap();
    world.stream_becomes_the_log().await;
    world.jetstream().delete_stream(&world.name).await.unwrap();
    append(&journal, 10).await;
    world.stream_becomes_the_log().await;

    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_purged_goes_on_where_it_was() {
    let world = World::new().await;
    let (journal, relay) = world.journal_with_a_relay();
    append(&journal, 30).await;
    world.stream_becomes_the_log().await;

    let stream = world.jetstream().get_stream(&world.name).await.unwrap();
    stream.purge().await.unwrap();
    append(&journal, 10).await;

    world.stream_becomes_the_log().await;
    let info = stream.get_info().await.unwrap();
    assert_eq!((info.state.first_sequence, info.state.messages), (31, 10));
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_comes_back_shorter_is_refilled() {
    let world = World::new().await;
    let (journal, relay) = world.journal_with_a_relay();
    append(&journal, 40).await;
    world.stream_becomes_the_log().await;
    let (config, messages) = world.stored().await;
    for kept in [25, 0] {
        world.make_stream_anew(&config, &messages[..kept]).await;
        append(&journal, 3).await;
        world.stream_becomes_the_log().await;
    }
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_another_log_or_of_a_longer_one_is_made_anew() {
    let world = World::new().await;
    let (journal, relay) = world.journal_with_a_relay();
    append(&journal, 20).await;
    world.stream_becomes_the_log().await;
    relay.stop().await;
    let (ours, messages) = world.stored().await;
    let metadata = HashMap::from([("daybook-log-id".to_owned(), "another".to_owned())]);
    let anothers = Config { metadata, ..ours.clone() };
    let mut longer = messages.clone();
    longer.extend_from_slice(&messages[..5]);

    for (config, messages) in [(anothers, &messages), (ours, &longer)] {
        world.make_stream_anew(&config, messages).await;
        let (_journal, relay) = world.journal_with_a_relay();
        world.stream_becomes_the_log().await;
        relay.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_not_daybooks_is_left_alone() {
    let world = World::new().await;
    let subjects = vec![format!("{}.somebody.elses", world.name)];
    let theirs = Config { name: world.name.clone(), subjects, ..Config::default() };
    let jetstream = world.jetstream();
    jetstream.create_stream(theirs.clone()).await.unwrap();

    let (_journal, mut relay) = world.journal_with_a_relay();
    let failing = relay
        .standing
        .wait_for(|standing| *standing == Standing::Failing);
    failing.await.unwrap();

    let stream = jetstream.get_stream(&world.name).await.unwrap();
    assert_eq!(stream.cached_info().config.subjects, theirs.subjects);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_takes_the_size_that_is_asked_for_without_losing_anything() {
    let world = World::new().await;
    let (journal, relay) = world.journal_with_a_relay();
    append(&journal, 20).await;
    world.stream_becomes_the_log().await;
    let (config, _) = world.stored().await;
    let smaller = Config { max_bytes: config.max_bytes / 2, ..config.clone() };
    world.jetstream().update_stream(&smaller).await.unwrap();
    relay.stop().await;

    let (_journal, relay) = world.journal_with_a_relay();
    relay.stands_at(20).await;

    world.stream_becomes_the_log().await;
    assert_eq!(world.stored().await.0.max_bytes, config.max_bytes);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_stream_or_one_far_behind_takes_up_the_log_at_its_newest_events() {
    let world = World::new().await;
    // Room for 1,048 usual events.
    let small = || Stream::new(world.nats.clone(), world.name.clone(), 1024 * 1024);
    for (appended, first) in [(1_500, 453), (3_000, 3_456)] {
        world.append_by_hand(appended, 10).await;
        let (journal, committed) = world.journal_and_its_batches();
        let relay = world.relay_on(small(), committed);
        relay.stands_at(world.head().await).await;
        let stream = world.jetstream().get_stream(&world.name).await.unwrap();
        assert_eq!(stream.cached_info().state.first_sequence, first);
        world.stream_becomes_the_log().await;

        append(&journal, 3).await;
        world.stream_becomes_the_log().await;
        relay.stop().await;
    }
    // It is long, but not behind.
    let (_journal, relay) = world.journal_with_a_relay();
    relay.stands_at(world.head().await).await;
    let stream = world.jetstream().get_stream(&world.name).await.unwrap();
    assert_eq!(stream.cached_info().state.first_sequence, 3_456);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nats_that_is_killed_delays_the_stream_and_loses_nothing() {
    let world = World::alone().await;
    let (journal, relay) = world.journal_with_a_relay();
    for _ in 0..2 {
        let head = world.head().await;
        let killing = async {
            eventually("some are there", || async { head + 100 < world.head().await }).await;
            World::kill_nats().await;
        };
        tokio::join!(join_all((0..4).map(|_| append(&journal, 60))), killing);
    }

    world.stream_becomes_the_log().await;
    relay.stop().await;
}

/// Appends so many events one after the other, to streams of their own.
pub(crate) async fn append(journal: &Journal, count: usize) {
    let run = Uuid::new_v4();
    for n in 0..count {
        let sku = format!("sku.{} {run}", n % 5);
        let asked = journal.execute_derived::<Inventory>(&sku, receive(1), envelope());
        asked.await.unwrap();
    }
}

impl World {
    /// Appends events to the log as if somebody had: so many, with a reference of so many bytes.
    pub(crate) async fn append_by_hand(&self, count: i64, bytes: i32) {
        let append =
            "with head as (update log_head set position = position + $1 returning position)
             insert into events
             select n, gen_random_uuid(), 'inventory', 'by hand', n, 'inventory.received', '1',
                 json_build_object(
                     'type', 'inventory.received', 'quantity', 1, 'reference', repeat('x', $2)),
                 json_build_object(
                     'command_id', gen_random_uuid(), 'correlation_id', gen_random_uuid(),
                     'actor', 'staff'),
                 now()
             from head, generate_series(position - $1 + 1, position) as n";
        let append = sqlx::query(append).bind(count).bind(bytes);
        append.execute(&self.pool).await.unwrap();
    }
}

/// A relay of a process of its own.
pub(crate) struct Relay {
    pub(crate) standing: watch::Receiver<Standing>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Relay {
    pub(crate) async fn stands_at(&self, position: i64) {
        let mut standing = self.standing.clone();
        let at = standing.wait_for(|standing| *standing == Standing::At(position));
        tokio::time::timeout(crate::world::PATIENCE, at)
            .await
            .expect("the relay gets there")
            .unwrap();
    }

    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }
}

impl World {
    pub(crate) fn relay(&self, committed: Committed) -> Relay {
        self.relay_on(self.stream(), committed)
    }

    /// A relay that shares its stream with the feeds of its process.
    pub(crate) fn relay_on(&self, stream: Stream, committed: Committed) -> Relay {
        let (moved, standing) = watch::channel(Standing::Waiting);
        let (stop, stopped) = watch::channel(false);
        let run = relay::run(self.pool.clone(), stream, committed, moved, stopped);
        Relay { standing, stop, task: tokio::spawn(run) }
    }

    pub(crate) fn journal_with_a_relay(&self) -> (Journal, Relay) {
        let (journal, committed) = self.journal_and_its_batches();
        (journal, self.relay(committed))
    }

    pub(crate) async fn stream_becomes_the_log(&self) {
        eventually("the stream is the log", || self.stream_is_the_log()).await;
    }

    async fn stream_is_the_log(&self) -> bool {
        let Ok(stream) = self.jetstream().get_stream(&self.name).await else {
            return false;
        };
        let state = &stream.cached_info().state;
        let log = self.log().await;
        if state.last_sequence != log.len() as u64 {
            return false;
        }
        for event in &log[usize::try_from(state.first_sequence - 1).unwrap()..] {
            let sequence = u64::try_from(event.position).unwrap();
            let Ok(message) = stream.get_raw_message(sequence).await else {
                return false;
            };
            let Ok(envelope) = serde_json::from_slice::<Value>(&message.payload) else {
                return false;
            };
            if envelope["id"] != event.event_id.to_string() {
                return false;
            }
            assert_eq!(message.subject.as_str(), self.stream().subject(&event.event_type));
            assert_eq!(envelope["position"], event.position);
            assert_eq!(envelope["subject"], event.aggregate_id);
            assert_eq!(envelope["specversion"], "1.0");
            let stored: Value = serde_json::from_str(&event.payload).unwrap();
            assert_eq!(envelope["data"], stored);
        }
        true
    }

    /// The stream's configuration and everything on it.
    pub(crate) async fn stored(&self) -> (Config, Vec<StreamMessage>) {
        let stream = self.jetstream().get_stream(&self.name).await.unwrap();
        let info = stream.cached_info();
        let mut messages = Vec::new();
        for sequence in info.state.first_sequence..=info.state.last_sequence {
            messages.push(stream.get_raw_message(sequence).await.unwrap());
        }
        (info.config.clone(), messages)
    }

    pub(crate) async fn make_stream_anew(&self, config: &Config, messages: &[StreamMessage]) {
        let jetstream = self.jetstream();
        let _may_be_gone = jetstream.delete_stream(&self.name).await;
        jetstream.create_stream(config.clone()).await.unwrap();
        for message in messages {
            // Each at its place again, but for what we demanded of the place.
            let (subject, payload) = (message.subject.clone(), message.payload.clone());
            let stored = jetstream.publish(subject, payload).await;
            stored.unwrap().await.unwrap();
        }
    }
}
