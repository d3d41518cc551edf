//! What is asked of providers that have said nothing.

use crate::provider::{Manner, Provider};
use crate::world::{World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_provider_is_asked_until_it_says_what_became_of_an_attempt() {
    let world = World::new().await;
    let provider = Provider::new("silent", Manner::TakesOn);
    let process = world.start(std::slice::from_ref(&provider)).await;
    let (_, reference) = process.ask_for_money("silent").await;

    until("it is asked twice", async || 2 <= provider.asked(&reference)).await;
    provider.behaves(Manner::Pays);

    world.happens("payment.captured", 1).await;
    until("the question is forgotten", async || world.questions().await == 0).await;
    world.settle().await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_to_a_provider_that_hangs_delays_no_other() {
    let world = World::new().await;
    let hanging = Provider::new("hanging", Manner::TakesOn);
    let silent = Provider::new("silent", Manner::TakesOn);
    let process = world.start(&[hanging.clone(), silent.clone()]).await;
    let (_, first) = process.ask_for_money("hanging").await;
    world.happens("payment.attempt_accepted", 1).await;
    hanging.behaves(Manner::Hangs);
    until("it is asked", async || hanging.asked(&first) == 1).await;

    let (_, second) = process.ask_for_money("silent").await;

    until("the other is asked", async || 1 <= silent.asked(&second)).await;
    process.crash().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_had_no_room_is_made_when_its_turn_comes() {
    let world = World::new().await;
    let provider = Provider::new("crowded", Manner::Hangs);
    let process = world.start(std::slice::from_ref(&provider)).await;
    let (payment_id, reference) = process.ask_for_money("crowded").await;
    until("it is called", async || provider.called(&reference) == 1).await;
    process.crash().await;
    // As if its lane had been full.
    let written_down = format!(
        "insert into provider_polls (payment_id, reference, kind, gateway, called, due_at) \
         values ('{payment_id}', '{reference}', 'attempt', 'crowded', false, now()); \
         insert into worker_marks select 'providers', position from log_head \
         on conflict (worker) do update set position = excluded.position"
    );
    world.run(&written_down).await;

    provider.behaves(Manner::TakesOn);
    let process = world.start(std::slice::from_ref(&provider)).await;
    until("it is called", async || provider.called(&reference) == 2).await;
    until("and asked after that", async || 1 <= provider.asked(&reference)).await;

    provider.behaves(Manner::Pays);
    world.happens("payment.captured", 1).await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_is_asked_again_because_somebody_looks_may_have_another_answer() {
    let world = World::new().await;
    let provider = Provider::new("patient", Manner::TakesOn);
    let an_hour = std::time::Duration::from_hours(1);
    let process = world
        .start_with(std::slice::from_ref(&provider), an_hour)
        .await;
    let (_, reference) = process.ask_for_money("patient").await;
    until("the question is planned", async || world.questions().await == 1).await;

    // As a look does: sooner, and one question less.
    let look = "update provider_polls set asked = greatest(asked - 1, 0), due_at = now()";
    world.run(look).await;
    until("it is put off again", async || {
        let asked = sqlx::query_scalar("select asked from provider_polls")
            .fetch_one(&world.pool)
            .await;
        asked.is_ok_and(|asked: i32| asked == 1)
    })
    .await;
    assert_eq!(provider.asked(&reference), 1);
    provider.behaves(Manner::Pays);
    world.run(look).await;

    world.happens("payment.captured", 1).await;
    assert_eq!(provider.asked(&reference), 2);
    process.stop().await;
}
