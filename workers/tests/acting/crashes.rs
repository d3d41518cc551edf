//! Processes that go away at the worst moments between a call and its answer.

use std::time::Duration;

use crate::provider::{Manner, Provider};
use crate::world::{World, until};

/// Longer than any test.
const NEVER: Duration = Duration::from_hours(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_answer_was_not_taken_down_is_made_once_more() {
    let world = World::new().await;
    let provider = Provider::new("careful", Manner::Waits);
    let process = world
        .start_with(std::slice::from_ref(&provider), NEVER)
        .await;
    let (_, reference) = process.ask_for_money("careful").await;
    until("it is called", async || provider.called(&reference) == 1).await;
    process.crash().await;

    provider.behaves(Manner::Pays);
    let process = world
        .start_with(std::slice::from_ref(&provider), NEVER)
        .await;

    world.happens("payment.captured", 1).await;
    assert_eq!(provider.called(&reference), 2, "by the same reference");
    world.settle().await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answered_call_is_not_made_again() {
    let world = World::new().await;
    let provider = Provider::new("quick", Manner::Pays);
    let process = world.start(std::slice::from_ref(&provider)).await;
    let (_, reference) = process.ask_for_money("quick").await;
    world.happens("payment.captured", 1).await;
    process.crash().await;
    world.run("update worker_marks set position = 0").await;

    let process = world.start(std::slice::from_ref(&provider)).await;
    process.ask_for_money("quick").await;

    world.happens("payment.captured", 2).await;
    world.settle().await;
    assert_eq!(provider.called(&reference), 1);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_attempt_is_asked_for_after_a_crash_wherever_it_was() {
    let world = World::new().await;
    let provider = Provider::new("silent", Manner::TakesOn);
    let process = world
        .start_with(std::slice::from_ref(&provider), NEVER)
        .await;
    let (_, reference) = process.ask_for_money("silent").await;
    world.happens("payment.attempt_accepted", 1).await;
    // Most likely before its question is planned.
    process.crash().await;

    let process = world
        .start_with(std::slice::from_ref(&provider), NEVER)
        .await;
    until("the question is planned", async || world.questions().await == 1).await;
    world.settle().await;
    assert_eq!(provider.asked(&reference), 0);
    let called = provider.called(&reference);
    process.crash().await;

    world
        .run("update provider_polls set due_at = now() - interval '1 hour'")
        .await;
    provider.behaves(Manner::Pays);
    let process = world.start(std::slice::from_ref(&provider)).await;

    world.happens("payment.captured", 1).await;
    assert_eq!((provider.called(&reference), provider.asked(&reference)), (called, 1));
    until("the question is forgotten", async || world.questions().await == 0).await;
    process.stop().await;
}
