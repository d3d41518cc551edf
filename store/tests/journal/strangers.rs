//! Messages that somebody else puts onto our stream, where each takes the sequence of an event.

use futures::future::join_all;
use rand::Rng as _;
use rand::rngs::StdRng;
use store::feed::Feeds;
use store::pace::Pace;
use tokio::sync::watch;

use crate::feeds::read;
use crate::relaying::append;
use crate::world::{World, chance};

impl World {
    /// Garbage, or a copy of one of our own messages.
    async fn meddle(&self, chance: &mut StdRng) {
        let jetstream = self.jetstream();
        let (subject, payload) = match chance.random_range(0..3) {
            0 => (format!("{}.events.inventory.eaten.cup", self.name), "garbage".into()),
            1 => (format!("{}.events.x", self.name), "{}".into()),
            _ => {
                let stream = jetstream.get_stream(&self.name).await.unwrap();
                let copied = stream.get_raw_message(1).await;
                let Ok(message) = copied else { return };
                (message.subject.to_string(), message.payload)
            }
        };
        let sent = jetstream.publish(subject, payload).await.unwrap();
        // While the stream is made anew, nobody takes it.
        let _taken = sent.await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_message_on_an_idle_stream_is_noticed_and_removed() {
    let world = World::new().await;
    let mut chance = chance();
    let (journal, relay) = world.journal_with_a_relay();
    append(&journal, 20).await;
    world.stream_becomes_the_log().await;

    world.meddle(&mut chance).await;
    world.stream_becomes_the_log().await;
    world.meddle(&mut chance).await;
    append(&journal, 5).await;
    world.stream_becomes_the_log().await;

    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_messages_in_the_middle_of_a_flow_shift_nothing() {
    let world = World::new().await;
    let mut chance = chance();
    let (journal, relay) = world.journal_with_a_relay();
    let (_stop, stopped) = watch::channel(false);
    let feeds = Feeds::start(world.pool.clone(), world.stream(), Pace::default(), stopped);
    append(&journal, 10).await;
    world.stream_becomes_the_log().await;

    let reading = tokio::spawn(async move {
        let mut feed = feeds.subscribe();
        read(&mut feed, 0, 490, 50).await
    });
    let flow = join_all((0..8).map(|_| append(&journal, 60)));
    let meddling = async {
        for _ in 0..15 {
            world.meddle(&mut chance).await;
        }
    };
    tokio::join!(flow, meddling);

    world.stream_becomes_the_log().await;
    let told = reading.await.unwrap();
    for (told, stored) in told.iter().zip(world.log().await) {
        assert_eq!((told.position, told.event_id), (stored.position, stored.event_id));
    }
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_behind_whom_our_own_went_on_is_found() {
    let world = World::new().await;
    let (journal, relay) = world.journal_with_a_relay();
    join_all((0..6).map(|_| append(&journal, 100))).await;
    world.stream_becomes_the_log().await;
    relay.stop().await;
    let (config, mut messages) = world.stored().await;
    // The oldest place where one can hide: a whole run was under way behind it, one by one.
    let hidden = messages.len() - 500;
    messages[hidden].payload = "garbage".into();
    world.make_stream_anew(&config, &messages).await;

    let (_journal, relay) = world.journal_with_a_relay();
    world.stream_becomes_the_log().await;
    relay.stop().await;
}
