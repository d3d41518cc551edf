//! Connections and servers that die while commands flow.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::inventory;
use rand::Rng as _;
use rand::rngs::StdRng;
use sqlx::Connection as _;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::world::{
    StockReceipt, World, chance, envelope_of, eventually, insist, receive, reserve, stock,
};

const SKUS: [&str; 3] = ["cup", "pot", "tray"];
/// Clients that each send one command after the other.
const CLIENTS: usize = 30;
const COMMANDS_PER_CLIENT: usize = 14;
const COMMANDS: usize = CLIENTS * COMMANDS_PER_CLIENT;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_die_at_any_moment_lose_and_double_no_command() {
    let world = World::new().await;
    let mut chance = chance();
    let flow = Flow::start(&world, &mut chance).await;
    let mut killer = world.bystander().await;
    let mut died = 0_i64;
    let mut next = 0;
    while next < COMMANDS {
        flow.answered(next).await;
        // Mostly in the middle of a batch, now and then everybody.
        let whom = match chance.random_range(0..8) {
            0 => "true",
            _ => "state <> 'idle' and query like '%log_head%'",
        };
        let kill = format!(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity \
             where datname = current_database() and application_name <> 'bystander' and {whom}"
        );
        let count: i64 = sqlx::query_scalar(&kill)
            .fetch_one(&mut killer)
            .await
            .unwrap();
        died += count;
        next += chance.random_range(10..50);
    }
    println!("{died} connections were terminated");
    killer.close().await.unwrap();

    flow.audit(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_killed_twice_loses_and_doubles_no_command() {
    let world = World::alone().await;
    let mut chance = chance();
    let flow = Flow::start(&world, &mut chance).await;
    for share in [1, 2] {
        flow.answered(chance.random_range(COMMANDS / 4..COMMANDS / 3) * share)
            .await;
        World::kill_postgres().await;
    }

    flow.audit(&world).await;
}

/// Many clients who insist on their answers.
struct Flow {
    clients: JoinSet<Vec<(Uuid, StockReceipt)>>,
    answered: Arc<AtomicUsize>,
}

impl Flow {
    async fn start(world: &World, chance: &mut StdRng) -> Self {
        let journals = [world.journal(), world.journal()];
        for sku in SKUS {
            stock(&journals[0], sku, receive(2_000)).await;
        }
        let answered = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let commands: Vec<_> = (0..COMMANDS_PER_CLIENT)
                .map(|_| a_command(chance))
                .collect();
            // One process has most of the clients; two that race all the time mostly conflict.
            let journal = journals[usize::from(client % 10 == 0)].clone();
            let answered = Arc::clone(&answered);
            clients.spawn(async move {
                let mut answers = Vec::with_capacity(commands.len());
                for (sku, command) in commands {
                    let command_id = Uuid::new_v4();
                    let envelope = envelope_of(command_id);
                    answers.push((command_id, insist(&journal, sku, command, envelope).await));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                answers
            });
        }
        Self { clients, answered }
    }

    async fn answered(&self, count: usize) {
        eventually("commands are answered", || async {
            count <= self.answered.load(Ordering::Relaxed)
        })
        .await;
    }

    async fn audit(self, world: &World) {
        let answers = self.clients.join_all().await.concat();
        assert_eq!(answers.len(), COMMANDS);
        world.audit().await;
        world.audit_answers(&answers).await;
        let receipts: i64 = sqlx::query_scalar("select count(*) from receipts")
            .fetch_one(&world.pool)
            .await
            .unwrap();
        assert_eq!(usize::try_from(receipts).unwrap(), COMMANDS + SKUS.len());
    }
}

fn a_command(chance: &mut StdRng) -> (&'static str, inventory::Command) {
    let sku = SKUS[chance.random_range(0..SKUS.len())];
    match chance.random_range(0..10) {
        0 => (sku, receive(chance.random_range(1..20))),
        _ => (sku, reserve(chance.random_range(1..20))),
    }
}
