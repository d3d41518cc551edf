//! Who is asked instead of a provider that is not reached, and when nobody is.

use std::time::Duration;

use domain::order::Stage;

use crate::provider::{Manner, Provider};
use crate::world::{Process, World, until};

/// Longer than any test.
const NEVER: Duration = Duration::from_hours(1);

/// A log with a rule and some cups.
async fn a_world_that_prefers(gateways: &[&str]) -> World {
    let world = World::new().await;
    world.prefers(gateways).await;
    world
}

/// An order for a cup that was routed to the first of them.
async fn place(process: &Process) -> domain::ids::OrderId {
    process.receive("cup", 5).await;
    process.place_routed("cup", "first").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_is_asked_when_the_first_is_not_reached() {
    let world = a_world_that_prefers(&["first", "second"]).await;
    let first = Provider::known("first", Manner::IsAway);
    let second = Provider::known("second", Manner::Pays);
    let process = world
        .start_with(&[first.clone(), second.clone()], NEVER)
        .await;

    let order_id = place(&process).await;

    until("it is paid", async || process.stage(order_id).await == Stage::Confirmed).await;
    let attempts = world.attempts().await;
    let gateways: Vec<&str> = attempts.iter().map(|(_, at, _)| at.as_str()).collect();
    assert_eq!(gateways, ["first", "second"]);
    assert_eq!(attempts[1].2.as_ref(), Some(&attempts[0].0), "one stands in for the other");
    assert_eq!((first.calls(), second.calls()), (1, 1));
    let declined: String = reason_of_the_decline(&world).await;
    assert_eq!(declined, "not_reached");
    world.settle().await;
    assert_eq!(world.questions().await, 0, "nobody has to be asked what became of the first");
    process.stop().await;
}

async fn reason_of_the_decline(world: &World) -> String {
    sqlx::query_scalar(
        "select payload->>'reason' from events where event_type = 'payment.declined'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_is_tried_once_and_the_last_is_asked_again_later() {
    let world = a_world_that_prefers(&["first", "second", "third"]).await;
    let providers = ["first", "second", "third"].map(|name| Provider::known(name, Manner::IsAway));
    let process = world.start_with(&providers, NEVER).await;

    place(&process).await;

    world.happens("payment.attempt_started", 3).await;
    until("the last is called", async || providers[2].calls() == 1).await;
    until("what became of it will be asked", async || world.questions().await == 1).await;
    world.settle().await;
    assert_eq!(providers.each_ref().map(|provider| provider.calls()), [1, 1, 1]);
    assert_eq!(world.count("payment.declined").await, 2);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_is_asked_after_an_unknown_outcome() {
    let world = a_world_that_prefers(&["first", "second"]).await;
    let first = Provider::known("first", Manner::Babbles);
    let second = Provider::known("second", Manner::Pays);
    let process = world
        .start_with(&[first.clone(), second.clone()], NEVER)
        .await;

    place(&process).await;

    until("what became of it will be asked", async || world.questions().await == 1).await;
    world.settle().await;
    assert_eq!((first.calls(), second.calls()), (1, 0));
    assert_eq!(world.attempts().await.len(), 1);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_is_asked_where_the_customer_named_the_provider() {
    let world = a_world_that_prefers(&["first", "second"]).await;
    let first = Provider::known("first", Manner::IsAway);
    let second = Provider::known("second", Manner::Pays);
    let process = world
        .start_with(&[first.clone(), second.clone()], NEVER)
        .await;
    process.receive("cup", 5).await;

    process.place("cup", "first").await;

    until("what became of it will be asked", async || world.questions().await == 1).await;
    world.settle().await;
    assert_eq!((first.calls(), second.calls()), (1, 0));
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fallback_that_a_crash_kept_from_the_log_is_decided_after_it() {
    // The failure is known, and nothing follows from it: as if the process had gone away in between.
    let world = a_world_that_prefers(&["first"]).await;
    let first = Provider::known("first", Manner::IsAway);
    let second = Provider::known("second", Manner::Pays);
    let both = [first.clone(), second.clone()];
    let process = world.start_with(&both, NEVER).await;
    let order_id = place(&process).await;
    until("it is known that it did nothing", async || world.unheard().await == 1).await;
    process.crash().await;
    world
        .run(
            "update routing_rules set gateways = '{first,second}'; \
             update worker_marks set position = 0 where worker = 'providers'; \
             delete from provider_polls",
        )
        .await;

    let process = world.start_with(&both, NEVER).await;

    until("it is paid", async || process.stage(order_id).await == Stage::Confirmed).await;
    world.settle().await;
    assert_eq!(world.attempts().await.len(), 2, "one stands in for the other, once");
    assert_eq!((first.calls(), second.calls()), (2, 1));
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fallback_that_was_committed_as_its_process_went_away_is_not_decided_again() {
    let world = a_world_that_prefers(&["first", "second"]).await;
    let first = Provider::known("first", Manner::WaitsAway);
    let second = Provider::known("second", Manner::Pays);
    let both = [first.clone(), second.clone()];
    let process = world.start_with(&both, NEVER).await;
    let order_id = place(&process).await;
    until("the first is called", async || first.calls() == 1).await;
    world.settle_checkout().await;

    let mut head = world.pool.begin().await.unwrap();
    sqlx::query("select position from log_head for update")
        .execute(&mut *head)
        .await
        .unwrap();
    first.let_go();
    until("the decision is on its way", async || world.waiting().await == 1).await;
    process.crash().await;
    assert_eq!(world.attempts().await.len(), 1);
    head.rollback().await.unwrap();
    world.happens("payment.attempt_started", 2).await;

    first.behaves(Manner::IsAway);
    let process = world.start_with(&both, NEVER).await;

    until("it is paid", async || process.stage(order_id).await == Stage::Confirmed).await;
    world.settle().await;
    assert_eq!(world.attempts().await.len(), 2, "one stands in for the other, once");
    assert_eq!((first.calls(), second.calls()), (1, 1));
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_the_middle_of_a_call_leaves_it_to_that_provider() {
    let world = a_world_that_prefers(&["first", "second"]).await;
    let first = Provider::known("first", Manner::Hangs);
    let second = Provider::known("second", Manner::Pays);
    let process = world
        .start_with(&[first.clone(), second.clone()], NEVER)
        .await;
    place(&process).await;
    until("the first is called", async || first.calls() == 1).await;
    process.crash().await;

    // It may have acted before, so that not reaching it now proves nothing.
    first.behaves(Manner::IsAway);
    let process = world
        .start_with(&[first.clone(), second.clone()], NEVER)
        .await;

    until("what became of it will be asked", async || world.questions().await == 1).await;
    world.settle().await;
    assert_eq!((first.calls(), second.calls()), (2, 0));
    assert_eq!(world.attempts().await.len(), 1);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_breaker_sends_attempts_elsewhere_without_a_call_and_questions_pass_it() {
    let world = a_world_that_prefers(&["first", "second"]).await;
    let first = Provider::known("first", Manner::TakesOn);
    let second = Provider::known("second", Manner::Pays);
    // Silent providers are asked at once and for ever.
    let process = world.start(&[first.clone(), second.clone()]).await;
    place(&process).await;
    world.happens("payment.attempt_accepted", 1).await;
    let (silent, ..) = world.attempts().await.remove(0);
    first.behaves(Manner::IsAway);
    for paid in 1..=6 {
        place(&process).await;
        world.happens("payment.captured", paid).await;
    }

    let called = first.calls();
    assert_eq!(called, 1 + 5, "the sixth was not even called");
    let asked = first.asked(&silent);
    until("it is asked all the same", async || asked < first.asked(&silent)).await;
    first.behaves(Manner::Pays);
    world.happens("payment.captured", 7).await;
    assert_eq!(first.calls(), called);
    process.crash().await;
}
