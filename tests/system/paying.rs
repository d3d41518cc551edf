//! Every token of the sandbox, and what becomes of order, stock and money.

use std::time::Duration;

use serde_json::{Value, json};
use tests::World;
use tests::world::{an_order_paid_with, until};

async fn place(world: &World, token: &str) -> (String, String) {
    let order = an_order_paid_with(token, &[("cup", 2)]);
    let placed = world.post("/api/v1/orders", order).await.expect(201).json();
    let id = |name: &str| placed[name].as_str().unwrap().to_owned();
    (id("id"), id("payment_id"))
}

async fn payment(world: &World, payment_id: &str) -> Value {
    world.settle().await;
    world
        .get(&format!("/api/v1/payments/{payment_id}"))
        .await
        .expect(200)
        .json()
}

async fn events(world: &World, order_id: &str) -> Vec<String> {
    world.settle().await;
    let timeline = world
        .get(&format!("/api/v1/orders/{order_id}/timeline"))
        .await
        .json();
    let items = timeline["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["event"].as_str().unwrap().to_owned())
        .collect()
}

async fn parked(world: &World) -> Vec<Value> {
    let parked = world.get("/api/v1/parked-facts").await.expect(200).json();
    parked["items"].as_array().unwrap().clone()
}

/// A window long enough for a slow machine to pay in, short enough to wait for.
async fn impatient_world() -> World {
    let world = World::with(|settings| settings.payment_window = Duration::from_secs(2)).await;
    world.article("cup", "4.50", 10).await;
    world
}

async fn patient_world() -> World {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    world
}

#[tokio::test]
async fn ok_is_paid_and_confirmed() {
    let world = patient_world().await;
    let (order_id, payment_id) = place(&world, "ok").await;

    let order = world.order_when(&order_id, "confirmed").await;

    assert_eq!(order["captured"], json!({"amount": "9.00", "currency": "GBP"}));
    assert_eq!(payment(&world, &payment_id).await["status"], "captured");
    assert_eq!(world.stock("cup").await, (10, 2));
    world.verify().await;
}

#[tokio::test]
async fn declined_may_be_tried_again_until_it_works() {
    let world = patient_world().await;
    let (order_id, _) = place(&world, "declined").await;
    let path = format!("/api/v1/orders/{order_id}");
    until("the attempt is declined", async || {
        (world.get(&path).await.json()["payment_status"] == "declined").then_some(())
    })
    .await;

    let again = json!({"payment_method": "credit_card", "payment_token": "ok"});
    let started = world.post(&format!("{path}/payments"), again.clone()).await;
    assert!(started.status.is_success(), "{}", started.text);

    world.order_when(&order_id, "confirmed").await;
    let more = world.post(&format!("{path}/payments"), again).await;
    assert_eq!(more.status.as_u16(), 409, "paid already: {}", more.text);
    world.verify().await;
}

#[tokio::test]
async fn a_second_attempt_waits_for_the_first_ones_answer() {
    let world = patient_world().await;
    let (order_id, _) = place(&world, "silent").await;
    world.order_when(&order_id, "processing").await;

    let again = json!({"payment_method": "credit_card", "payment_token": "ok"});
    let refused = world
        .post(&format!("/api/v1/orders/{order_id}/payments"), again)
        .await;

    assert_eq!(refused.status.as_u16(), 409, "{}", refused.text);
}

#[tokio::test]
async fn silent_runs_into_the_deadline_and_gives_the_stock_back() {
    let world = impatient_world().await;
    let (order_id, payment_id) = place(&world, "silent").await;

    let order = world.order_when(&order_id, "failed").await;

    assert!(order.to_string().contains("payment_timed_out"), "{order}");
    assert_eq!(payment(&world, &payment_id).await["status"], "voided");
    assert_eq!(world.stock("cup").await, (10, 0));
    world.verify().await;
}

#[tokio::test]
async fn late_money_finds_its_stock_again() {
    let world = impatient_world().await;
    let (order_id, _) = place(&world, "late").await;

    world.order_when(&order_id, "confirmed").await;

    let events = events(&world, &order_id).await;
    assert!(events.contains(&"order.failed".to_owned()), "it had timed out: {events:?}");
    assert_eq!(world.stock("cup").await, (10, 2));
    world.verify().await;
}

#[tokio::test]
async fn late_money_without_stock_goes_back() {
    let world = impatient_world().await;
    let (order_id, payment_id) = place(&world, "late").await;
    world.order_when(&order_id, "failed").await;
    let gone = json!({"quantity": -10, "reason": "broken"});
    // The reservation is let go a moment after the order has failed.
    until("the stock is written off", async || {
        let adjusted = world
            .post("/api/v1/inventory/cup/adjustments", gone.clone())
            .await;
        adjusted.status.is_success().then_some(())
    })
    .await;

    until("the money goes back", async || {
        (payment(&world, &payment_id).await["refunded"]["amount"] == "9.00").then_some(())
    })
    .await;

    assert_eq!(world.order_when(&order_id, "failed").await["status"], "failed");
    assert_eq!(world.stock("cup").await, (0, 0));
    world.verify().await;
}

#[tokio::test]
async fn the_same_callback_twice_counts_once() {
    let world = patient_world().await;
    let (order_id, _) = place(&world, "twice").await;

    world.order_when(&order_id, "confirmed").await;

    let events = events(&world, &order_id).await;
    let captured = events
        .iter()
        .filter(|event| event.starts_with("payment.captured"))
        .count();
    assert_eq!(captured, 1, "{events:?}");
    world.verify().await;
}

#[tokio::test]
async fn a_wrong_amount_confirms_nothing_goes_back_and_calls_staff() {
    let world = patient_world().await;
    let (order_id, payment_id) = place(&world, "wrong_amount").await;

    let order = world.order_when(&order_id, "failed").await;

    assert!(order.to_string().contains("payment_mismatched"), "{order}");
    until("the money goes back", async || {
        (payment(&world, &payment_id).await["refunded"]["amount"] == "9.01").then_some(())
    })
    .await;
    assert_eq!(world.stock("cup").await, (10, 0));
    assert_eq!(parked(&world).await.len(), 1);
    world.verify().await;
}

#[tokio::test]
async fn a_payment_that_nobody_speaks_of_is_found_by_asking() {
    let world = patient_world().await;
    let (order_id, _) = place(&world, "poll_only").await;

    world.order_when(&order_id, "confirmed").await;

    world.verify().await;
}

#[tokio::test]
async fn a_refund_that_fails_can_be_asked_for_again_and_calls_staff() {
    let world = patient_world().await;
    let (order_id, _) = place(&world, "refund_fails").await;
    world.order_when(&order_id, "confirmed").await;
    let path = format!("/api/v1/orders/{order_id}/refunds");

    for tries in 1..=2 {
        let asked = world.post(&path, json!({"reason": "broken"})).await;
        assert!(asked.status.is_success(), "the same money again: {}", asked.text);
        until("the refund fails", async || {
            let events = events(&world, &order_id).await;
            let failed = events
                .iter()
                .filter(|event| *event == "order.refund_failed")
                .count();
            (failed == tries).then_some(())
        })
        .await;
    }

    let order = world.order_when(&order_id, "confirmed").await;
    assert_eq!(order["refunded"]["amount"], "0.00");
    assert_eq!(parked(&world).await.len(), 2);
    world.verify().await;
}
