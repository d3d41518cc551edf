//! Commands on one aggregate are decided ahead of the commit, and fall together if it fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::inventory::{self, Inventory, Refusal};
use store::command::{Decided, Envelope, ExecuteError, Verdict};
use store::journal::Journal;
use tokio::task::JoinHandle;

use crate::audit::Stock;
use crate::conflicts::{commit, lock_the_head, writers_wait};
use crate::world::{StockReceipt, World, ask, envelope, eventually, receive, reserve, stock};

pub(crate) type Asked = JoinHandle<Result<StockReceipt, ExecuteError>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_on_one_aggregate_share_a_commit() {
    let world = World::new().await;
    let journal = world.journal();
    stock(&journal, "cup", receive(500)).await;

    let asked = while_the_writer_waits(&world, &journal, async |line| {
        for _ in 0..200 {
            line.ask(reserve(1));
        }
        line.decided(200).await;
    });

    for answer in asked.await {
        assert_eq!(answer.await.unwrap().unwrap().verdict, Verdict::Accepted);
    }
    assert_eq!(world.audit().await["cup"], Stock { on_hand: 500, reserved: 300 });
    // The delivery, what the writer waited with, and all that came up meanwhile.
    assert_eq!(commits(&world).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_fails_takes_everything_decided_on_it_along() {
    let world = World::new().await;
    refuse_to_store(&world, "raise_exception").await;
    let journal = world.journal();
    stock(&journal, "cup", receive(1_000)).await;

    let asked = while_the_writer_waits(&world, &journal, in_line_with_666).await;

    let mut answers = Vec::new();
    for answer in asked {
        answers.push(answer.await.unwrap());
    }
    assert_eq!(answers.remove(0).unwrap().verdict, Verdict::Accepted);
    for answer in answers {
        assert!(matches!(answer, Err(ExecuteError::Unavailable(_))), "{answer:?}");
    }
    assert_eq!(world.audit().await["cup"], Stock { on_hand: 1_000, reserved: 100 });
    // On the state without them.
    let answer = ask(&journal, "cup", reserve(900), envelope())
        .await
        .unwrap();
    assert_eq!((answer.verdict, answer.version), (Verdict::Accepted, 3));
    let short = Refusal::InsufficientStock { requested: 1, available: 0 };
    let answer = ask(&journal, "cup", reserve(1), envelope()).await.unwrap();
    assert_eq!(answer.verdict, Verdict::Refused(short));
    world.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_the_database_refuses_fails_alone() {
    let world = World::new().await;
    refuse_to_store(&world, "check_violation").await;
    let journal = world.journal();
    stock(&journal, "cup", receive(1_000)).await;

    let asked = while_the_writer_waits(&world, &journal, in_line_with_666).await;

    let mut verdicts = Vec::new();
    for answer in asked {
        verdicts.push(answer.await.unwrap().map(|answer| answer.verdict).ok());
    }
    let yes = || Some(Verdict::Accepted);
    // The last had been refused because of the 666, and is decided anew without them.
    assert_eq!(verdicts, [yes(), yes(), None, yes(), yes()]);
    assert_eq!(world.audit().await["cup"], Stock { on_hand: 1_000, reserved: 600 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_id_that_comes_again_before_the_first_has_committed_acts_once() {
    let world = World::new().await;
    let journal = world.journal();
    stock(&journal, "cup", receive(1_000)).await;
    let (repeated, command) = (envelope(), reserve(7));

    let asked = while_the_writer_waits(&world, &journal, async |line| {
        for _ in 0..5 {
            line.ask_as(repeated.clone(), command.clone());
        }
        line.ask(reserve(1));
        line.decided(6).await;
    });

    let mut versions = Vec::new();
    for answer in asked.await {
        let answer = answer.await.unwrap().unwrap();
        assert_eq!(answer.verdict, Verdict::Accepted);
        versions.push(answer.version);
    }
    versions.sort_unstable();
    assert_eq!(versions.len(), 7);
    versions.dedup();
    assert_eq!(versions, [2, 3, 4]);
    assert_eq!(world.audit().await["cup"], Stock { on_hand: 1_000, reserved: 108 });
}

/// Reserves 100 with which the writer waits; then 100, the 666, 100, and 300 of which 34 are there.
pub(crate) async fn in_line_with_666(line: &mut Line) {
    for quantity in [100, 666, 100] {
        line.ask(reserve(quantity));
        line.decided(line.asked.len() - 1).await;
    }
    line.ask(reserve(300));
    line.decided(4).await;
}

/// A database that stores no event about 666 pieces.
pub(crate) async fn refuse_to_store(world: &World, condition: &str) {
    let trigger = format!(
        "create function refuse_666() returns trigger language plpgsql as $$ \
         begin \
             if new.payload->>'quantity' = '666' then \
                 raise exception 'no' using errcode = '{condition}'; \
             end if; \
             return new; \
         end $$; \
         create trigger no_666 before insert on events \
             for each row execute function refuse_666()"
    );
    world.run(&trigger).await;
}

/// Commands in the order in which they are decided.
pub(crate) struct Line {
    journal: Journal,
    asked: Vec<Asked>,
    decided: Arc<AtomicUsize>,
}

impl Line {
    fn ask(&mut self, command: inventory::Command) {
        self.ask_as(envelope(), command);
    }

    fn ask_as(&mut self, asked: Envelope, command: inventory::Command) {
        let (journal, decided) = (self.journal.clone(), Arc::clone(&self.decided));
        self.asked.push(tokio::spawn(async move {
            let wording = |_: Decided<'_, Inventory>| {
                decided.fetch_add(1, Ordering::Relaxed);
                None
            };
            let executed = journal.execute::<Inventory>("cup", command, asked, wording);
            executed.await
        }));
    }

    /// Until so many more than the first have been decided.
    async fn decided(&self, count: usize) {
        eventually("they are decided", || async {
            self.decided.load(Ordering::Relaxed) == count + 1
        })
        .await;
    }
}

/// Lets commands queue up behind a first one of 100 pieces that waits for the head's lock.
pub(crate) async fn while_the_writer_waits(
    world: &World,
    journal: &Journal,
    act: impl AsyncFnOnce(&mut Line),
) -> Vec<Asked> {
    let mut other = world.bystander().await;
    lock_the_head(&mut other).await;
    let mut line = Line { journal: journal.clone(), asked: Vec::new(), decided: Arc::default() };
    line.ask(reserve(100));
    writers_wait(world, 1).await;
    act(&mut line).await;
    commit(&mut other).await;
    line.asked
}

async fn commits(world: &World) -> i64 {
    sqlx::query_scalar("select count(distinct recorded_at) from events")
        .fetch_one(&world.pool)
        .await
        .unwrap()
}
