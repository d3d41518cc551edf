//! Feeds give the log in order and without holes, however slow the reader and whatever the stream.

use std::sync::Arc;

use rand::Rng as _;
use store::feed::{Feed, Feeds};
use store::recorded::RecordedEvent;
use tokio::sync::watch;

use crate::relaying::append;
use crate::world::{PATIENCE, World, chance};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_gets_everything_in_order_whenever_it_comes_and_however_slow_it_is() {
    let world = World::new().await;
    let mut chance = chance();
    let (journal, relay) = world.journal_with_a_relay();
    let (_stop, stopped) = watch::channel(false);
    let feeds = Feeds::start(world.pool.clone(), world.stream(), stopped);
    let (mut early, mut slow) = (feeds.subscribe(), feeds.subscribe());
    let reading = tokio::spawn(async move { read(&mut early, 0, 260, 7).await });
    // A batch each, and more of them than are kept for a slow reader.
    append(&journal, 10).await;
    let begun = read(&mut slow, 0, 10, 3).await;
    append(&journal, 250).await;
    world.stream_becomes_the_log().await;

    let mut late = feeds.subscribe();
    let log = world.log().await;
    let slow = [
        begun,
        read(&mut slow, 10, 260, chance.random_range(1..300)).await,
    ]
    .concat();
    let late = read(&mut late, 0, 260, chance.random_range(1..300)).await;

    for told in [slow, late, reading.await.unwrap()] {
        assert!(
            told.iter()
                .map(|event| event.event_id)
                .eq(log.iter().map(|event| event.event_id))
        );
    }
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_misses_nothing_when_the_stream_is_purged_deleted_or_absent() {
    let world = World::new().await;
    let (journal, committed) = world.journal_and_its_batches();
    let (_stop, stopped) = watch::channel(false);
    let feeds = Feeds::start(world.pool.clone(), world.stream(), stopped);
    let mut feed = feeds.subscribe();
    append(&journal, 20).await;
    read(&mut feed, 0, 20, 100).await;

    let relay = world.relay(committed);
    append(&journal, 20).await;
    read(&mut feed, 20, 40, 100).await;
    world.stream_becomes_the_log().await;
    let stream = world.jetstream().get_stream(&world.name).await.unwrap();
    append(&journal, 20).await;
    stream.purge().await.unwrap();
    read(&mut feed, 40, 60, 100).await;
    append(&journal, 20).await;
    world.jetstream().delete_stream(&world.name).await.unwrap();
    append(&journal, 20).await;
    read(&mut feed, 60, 100, 100).await;

    world.stream_becomes_the_log().await;
    relay.stop().await;
}

/// Reads on from a mark; fails at the first hole.
pub(crate) async fn read(
    feed: &mut Feed,
    mut mark: i64,
    until: i64,
    max: usize,
) -> Vec<Arc<RecordedEvent>> {
    let mut events = Vec::new();
    while mark < until {
        let batch = tokio::time::timeout(PATIENCE, feed.next(mark, max)).await;
        let batch = batch.expect("events come").unwrap();
        assert!(!batch.is_empty() && batch.len() <= max);
        for event in batch {
            assert_eq!(event.position, mark + 1, "a feed has no holes");
            mark += 1;
            events.push(event);
        }
    }
    events
}
