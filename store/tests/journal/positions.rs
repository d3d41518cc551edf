//! Many commands at once, from one process and from two.

use std::time::Instant;

use domain::inventory::{self, Refusal};
use rand::Rng as _;
use store::command::Verdict;
use store::journal::Journal;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::audit::Stock;
use crate::world::{StockReceipt, World, chance, envelope_of, insist, receive, reserve, stock};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_and_sequences_have_no_gap_however_many_command_at_once() {
    let world = World::new().await;
    let mut chance = chance();
    let journal = world.journal();
    for hot in 0..3 {
        stock(&journal, &format!("hot {hot}"), receive(1_000)).await;
    }
    let commands = (0..2_000).map(|_| {
        let sku = match chance.random_range(0..10) {
            0..6 => format!("hot {}", chance.random_range(0..3)),
            _ => format!("cold {}", chance.random_range(0..500)),
        };
        match chance.random_range(0..3) {
            0 => (sku, receive(chance.random_range(1..5))),
            _ => (sku, reserve(chance.random_range(1..5))),
        }
    });

    let begun = Instant::now();
    let answers = all_at_once(&[&journal], commands.collect()).await;
    let seconds = begun.elapsed().as_secs_f64();

    world.audit().await;
    world.audit_answers(&answers[..500]).await;
    let commits: i64 = sqlx::query_scalar("select count(distinct recorded_at) from events")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    let events = world.head().await;
    println!("2000 commands in {seconds:.2} s; {events} events in {commits} commits");
    assert!(commits * 4 < events, "commands share commits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_that_race_for_deep_stock_lose_and_double_nothing() {
    let world = World::new().await;
    let (one, two) = (world.journal(), world.journal());
    stock(&one, "cup", receive(1_000_000)).await;
    let commands = (0..400).map(|_| ("cup".to_owned(), reserve(3)));

    let answers = all_at_once(&[&one, &two], commands.collect()).await;

    assert!(
        answers
            .iter()
            .all(|(_, answer)| answer.verdict == Verdict::Accepted)
    );
    world.audit_answers(&answers).await;
    let stocks = world.audit().await;
    assert_eq!(stocks["cup"], Stock { on_hand: 1_000_000, reserved: 1_200 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_that_race_for_scarce_stock_sell_exactly_what_there_is() {
    let world = World::new().await;
    let (one, two) = (world.journal(), world.journal());
    stock(&one, "cup", receive(100)).await;
    let commands = (0..400).map(|_| ("cup".to_owned(), reserve(1)));

    let answers = all_at_once(&[&one, &two], commands.collect()).await;

    let sold_out = Verdict::Refused(Refusal::InsufficientStock { requested: 1, available: 0 });
    let refused = answers
        .iter()
        .filter(|(_, answer)| answer.verdict == sold_out);
    assert_eq!(refused.count(), 300);
    world.audit_answers(&answers).await;
    let stocks = world.audit().await;
    assert_eq!(stocks["cup"], Stock { on_hand: 100, reserved: 100 });
}

/// Every command once, in turn from each journal, as clients who insist.
async fn all_at_once(
    journals: &[&Journal],
    commands: Vec<(String, inventory::Command)>,
) -> Vec<(Uuid, StockReceipt)> {
    let mut asking = JoinSet::new();
    for (n, (sku, command)) in commands.into_iter().enumerate() {
        let journal = journals[n % journals.len()].clone();
        asking.spawn(async move {
            let command_id = Uuid::new_v4();
            let answer = insist(&journal, &sku, command, envelope_of(command_id)).await;
            (command_id, answer)
        });
    }
    asking.join_all().await
}
