//! Providers of all speeds beside each other, and what the mark may pass meanwhile.

use workers::providers::NAME;

use crate::provider::{Manner, Provider};
use crate::world::{World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_does_not_answer_delays_no_other() {
    let world = World::new().await;
    let slow = Provider::new("slow", Manner::Hangs);
    let quick = Provider::new("quick", Manner::Pays);
    let process = world.start(&[slow.clone(), quick.clone()]).await;

    // More than are called at once.
    let asked = (0..300).map(|_| process.ask_for_money("slow"));
    futures::future::join_all(asked).await;
    until("as many are called as may be at once", async || slow.calls() == 256).await;
    for _ in 0..3 {
        process.ask_for_money("quick").await;
    }

    world.happens("payment.captured", 3).await;
    assert_eq!((quick.calls(), slow.calls()), (3, 256));
    assert!(world.mark(NAME).await < world.first("payment.attempt_started").await);
    process.crash().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mark_never_passes_a_call_that_is_under_way() {
    let world = World::new().await;
    let provider = Provider::new("careful", Manner::Waits);
    let process = world.start(std::slice::from_ref(&provider)).await;
    let (payment_id, reference) = process.ask_for_money("careful").await;
    until("it is called", async || provider.called(&reference) == 1).await;

    provider.behaves(Manner::Pays);
    process.ask_for_money("careful").await;
    world.happens("payment.captured", 1).await;
    process.ask_for_money("careful").await;
    world.happens("payment.captured", 2).await;
    assert!(world.mark(NAME).await < world.first("payment.attempt_started").await);

    provider.let_go();
    world.happens("payment.attempt_accepted", 1).await;
    provider.says_paid(payment_id, &reference).await;
    world.happens("payment.captured", 3).await;
    world.settle().await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_may_come_before_the_answer_to_the_call() {
    let world = World::new().await;
    let provider = Provider::new("hasty", Manner::Waits);
    let process = world.start(std::slice::from_ref(&provider)).await;
    let (payment_id, reference) = process.ask_for_money("hasty").await;
    until("it is called", async || provider.called(&reference) == 1).await;

    provider.says_paid(payment_id, &reference).await;
    world.happens("payment.captured", 1).await;
    // Whatever the call says now is no news, so nothing has to wait for it.
    world.settle().await;
    provider.let_go();
    process.ask_for_money("hasty").await;
    until("the next is called", async || provider.calls() == 2).await;

    assert_eq!(world.count("payment.attempt_accepted").await, 0);
    assert_eq!(world.questions().await, 0);
    process.crash().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_answered_at_once_leaves_no_question_behind() {
    let world = World::new().await;
    world
        .run(
            "create function refuse() returns trigger language plpgsql as $$ \
             begin raise exception 'a question was planned'; end $$; \
             create trigger none before insert on provider_polls \
             for each row execute function refuse()",
        )
        .await;
    let provider = Provider::new("quick", Manner::Pays);
    let process = world.start(&[provider]).await;

    let asked = (0..50).map(|_| process.ask_for_money("quick"));
    futures::future::join_all(asked).await;

    world.happens("payment.captured", 50).await;
    world.settle().await;
    process.stop().await;
}
