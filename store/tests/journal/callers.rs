//! Callers who go away, and too many of them.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use domain::inventory::Inventory;
use rand::Rng as _;
use store::command::ExecuteError;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::conflicts::{commit, lock_the_head};
use crate::world::{
    World, ask, chance, envelope, envelope_of, eventually, insist, receive, reserve,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_go_away_at_any_moment_harm_nobody() {
    let world = World::new().await;
    let mut chance = chance();
    let (one, two) = (world.journal(), world.journal());
    let mut asking = JoinSet::new();
    for n in 0..500 {
        // The second process makes states outdated, so that callers also go during a reload.
        let journal = if n % 25 == 0 { &two } else { &one }.clone();
        let sku = ["cup", "pot", "tray"][chance.random_range(0..3)];
        let command = match chance.random_range(0..3) {
            0 => receive(chance.random_range(1..9)),
            _ => reserve(chance.random_range(1..9)),
        };
        let patience = chance.random_range(0..12);
        asking.spawn(async move {
            let asked = envelope_of(Uuid::new_v4());
            let first = ask(&journal, sku, command.clone(), asked.clone());
            let first = polled_at_most(patience, first).await.and_then(Result::ok);
            let last = insist(&journal, sku, command, asked.clone()).await;
            if let Some(first) = &first {
                assert_eq!((&first.verdict, first.version), (&last.verdict, last.version));
            }
            (first.is_none(), (asked.command_id, last))
        });
    }
    let answers = asking.join_all().await;
    println!("{} of 500 went away", answers.iter().filter(|(gone, _)| *gone).count());

    world.audit().await;
    let answers: Vec<_> = answers.into_iter().map(|(_, answer)| answer).collect();
    world.audit_answers(&answers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_full_says_so_at_once_and_empties_again() {
    let world = World::new().await;
    let journal = world.journal();
    let mut other = world.bystander().await;
    lock_the_head(&mut other).await;

    let mut waiting = JoinSet::new();
    for n in 0..22_000 {
        let journal = journal.clone();
        waiting.spawn(async move {
            let sku = format!("sku {}", n % 50);
            let asked = journal.execute_derived::<Inventory>(&sku, receive(1), envelope());
            asked.await.unwrap();
        });
    }
    eventually("the journal is overloaded", || async {
        let asked = ask(&journal, "cup", receive(1), envelope());
        let refused = tokio::time::timeout(Duration::from_millis(100), asked).await;
        matches!(refused, Ok(Err(ExecuteError::Overloaded)))
    })
    .await;
    commit(&mut other).await;

    waiting.join_all().await;
    ask(&journal, "cup", receive(1), envelope()).await.unwrap();
}

/// Drops a future that is not ready after so many polls.
async fn polled_at_most<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}
