//! Feeds give the log in order and without holes, however slow the reader and whatever the stream.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng as _;
use store::feed::{Feed, Feeds};
use store::log::{self, Slice};
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
    let feeds =
        Feeds::start(world.pool.clone(), world.stream(), store::pace::Pace::default(), stopped);
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
    let feeds =
        Feeds::start(world.pool.clone(), world.stream(), store::pace::Pace::default(), stopped);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_relays_own_process_events_arrive_as_they_are_committed() {
    let world = World::new().await;
    let (_stop, stopped) = watch::channel(false);
    let (stream, (journal, committed)) = (world.stream(), world.journal_and_its_batches());
    // An idle reader would look into Postgres.
    let feeds =
        Feeds::start(world.pool.clone(), stream.clone(), store::pace::Pace::default(), stopped)
            .looking_every(Duration::from_hours(1));
    let relay = world.relay_on(stream, committed);
    relay.stands_at(0).await;
    // What happened before its first look a reader takes from Postgres.
    append(&journal, 1).await;
    let mut feeds = [feeds.subscribe(), feeds.subscribe()];
    for feed in &mut feeds {
        read(feed, 0, 1, 50).await;
    }
    let readers = feeds.map(|mut feed| {
        tokio::spawn(async move {
            let mut told = Vec::new();
            while told.len() < 200 {
                let mark = 1 + i64::try_from(told.len()).unwrap();
                told.extend(read(&mut feed, mark, mark + 1, 50).await);
            }
            told
        })
    });
    append(&journal, 200).await;
    let [one, two] = readers;
    let (one, two) = (one.await.unwrap(), two.await.unwrap());

    for ((one, two), stored) in one
        .iter()
        .zip(&two)
        .zip(world.log().await.into_iter().skip(1))
    {
        assert!(Arc::ptr_eq(one, two), "it is in memory once");
        assert_eq!((one.position, one.event_id), (stored.position, stored.event_id));
        assert_eq!((&one.payload, &one.event), (&stored.payload, &stored.event));
        assert_eq!((&one.metadata, one.recorded_at), (&stored.metadata, stored.recorded_at));
        assert_eq!(
            (&one.event_type, &one.event_version),
            (&stored.event_type, &stored.event_version)
        );
        assert_eq!(
            (&one.aggregate_type, &one.aggregate_id),
            (&stored.aggregate_type, &stored.aggregate_id)
        );
        assert_eq!(one.sequence, stored.sequence);
    }
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_goes_on_when_another_process_takes_over_the_relay_and_when_it_gives_it_back() {
    let world = World::new().await;
    let (_stop, stopped) = watch::channel(false);
    let stream = world.stream();
    let feeds =
        Feeds::start(world.pool.clone(), stream.clone(), store::pace::Pace::default(), stopped);
    let mut feed = feeds.subscribe();
    let mut mark = 0;
    for turn in 0..4 {
        let (journal, committed) = world.journal_and_its_batches();
        let relay = if turn % 2 == 0 {
            world.relay_on(stream.clone(), committed)
        } else {
            world.relay(committed)
        };
        append(&journal, 30).await;
        read(&mut feed, mark, mark + 30, 20).await;
        relay.stands_at(mark + 30).await;
        append(&journal, 30).await;
        read(&mut feed, mark + 30, mark + 60, 20).await;
        mark += 60;
        relay.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_lags_behind_all_that_is_kept_in_memory_misses_nothing() {
    let world = World::new().await;
    let (_stop, stopped) = watch::channel(false);
    let (stream, (journal, committed)) = (world.stream(), world.journal_and_its_batches());
    let feeds =
        Feeds::start(world.pool.clone(), stream.clone(), store::pace::Pace::default(), stopped);
    let relay = world.relay_on(stream, committed);
    let (mut slow, mut quick) = (feeds.subscribe(), feeds.subscribe());
    append(&journal, 5).await;
    read(&mut slow, 0, 5, 10).await;
    // Twice what is kept.
    world.append_by_hand(100, 1_000_000).await;

    let kept_up = read(&mut quick, 0, 105, 10).await;
    relay.stands_at(105).await;
    let lagged = read(&mut slow, 5, 105, 7).await;

    let ids = |events: &[Arc<RecordedEvent>]| -> Vec<_> {
        events.iter().map(|event| event.event_id).collect()
    };
    assert_eq!(ids(&kept_up), ids(&world.log().await));
    assert_eq!(ids(&lagged), ids(&kept_up[5..]));
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_fell_behind_together_share_their_pages_and_miss_nothing() {
    let world = World::new().await;
    let (_stop, stopped) = watch::channel(false);
    let (stream, (journal, committed)) = (world.stream(), world.journal_and_its_batches());
    let feeds =
        Feeds::start(world.pool.clone(), stream.clone(), store::pace::Pace::default(), stopped);
    let relay = world.relay_on(stream, committed);
    let (mut one, mut other) = (feeds.subscribe(), feeds.subscribe());
    append(&journal, 5).await;
    // More than is kept, and two pages and a part.
    world.append_by_hand(2_600, 10_500).await;
    relay.stands_at(2_605).await;

    let (ones, others) =
        tokio::join!(read(&mut one, 0, 2_605, 300), read(&mut other, 700, 2_605, 4_000));

    let ids = |events: &[Arc<RecordedEvent>]| -> Vec<_> {
        events.iter().map(|event| event.event_id).collect()
    };
    assert_eq!(ids(&ones), ids(&world.log().await));
    assert_eq!(ids(&others), ids(&ones[700..]));
    let mut of_one_page = ones[700..1_000].iter().zip(&others);
    assert!(of_one_page.all(|(one, other)| Arc::ptr_eq(one, other)), "it was read for both");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_large_events_is_short_and_the_next_goes_on_behind_it() {
    let world = World::new().await;
    world.append_by_hand(300, 100_000).await;
    let after = log::after(&world.pool, 0, log::PAGE_MAX).await.unwrap();
    assert!(!after.is_empty() && after.len() < 300);
    assert_eq!(world.log().await.len(), 300);

    let all = Slice::default();
    let page = log::page(&world.pool, &all, log::PAGE_MAX).await.unwrap();
    assert!(page.more && page.events.len() < 300);
    let from = page.events.last().map(|last| last.position + 1);
    let rest = Slice { from, ..Slice::default() };
    let rest = log::page(&world.pool, &rest, log::PAGE_MAX).await.unwrap();
    assert_eq!((page.events.len() + rest.events.len(), rest.more), (300, false));
    for (to, more) in [(8, true), (7, false)] {
        let slice = Slice { to: Some(to), ..Slice::default() };
        let page = log::page(&world.pool, &slice, 7).await.unwrap();
        assert_eq!((page.events.len(), page.more), (7, more));
    }
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
