//! What is open at a provider and nobody waits for any more: ended there, without holding anything up;
//! and money that comes all the same.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tests::World;
use tests::simulators::sslcommerz::SslCommerz;
use tests::simulators::stripe::Stripe;
use tests::simulators::{Fault, Simulator};
use tests::world::{an_order, an_order_paid_with, send, until};
use workers::providers::Pauses;

use crate::gateways::{delivered, place, to_pay, worked_off, world};

async fn stripe() -> Arc<dyn Simulator> {
    Stripe::start().await
}

async fn opened(world: &World, order_id: &str) -> String {
    let to_pay = to_pay(world, order_id).await;
    to_pay["reference"].as_str().unwrap().to_owned()
}

async fn cancel(world: &World, order_id: &str) {
    let path = format!("/api/v1/orders/{order_id}/cancel");
    let cancelled = world.post(&path, json!({"reason": "found it cheaper"}));
    let _cancelled = cancelled.await.expect(200);
}

/// All that this attempt brought is given back, and the payment says so.
async fn goes_back(
    world: &World,
    simulator: &Arc<dyn Simulator>,
    (order_id, payment_id): (&str, &str),
    reference: &str,
) {
    let price = simulator.price();
    until("it goes back", async || {
        (simulator.account(reference).going_minor == price.minor).then_some(())
    })
    .await;
    simulator.works_off_refunds();
    until("it has gone back", async || {
        let path = format!("/api/v1/orders/{order_id}/payment");
        let _looked = world.get(&path).await;
        let payment = world.get(&format!("/api/v1/payments/{payment_id}")).await;
        (payment.json()["refunded"]["amount"] == price.decimal().as_str()).then_some(())
    })
    .await;
}

async fn is_over(simulator: &Arc<dyn Simulator>, reference: &str) {
    until("nobody can pay there any more", async || {
        simulator.is_over(reference).then_some(())
    })
    .await;
}

/// The attempt of this reference, once it is declined.
async fn declined(world: &World, payment_id: &str, reference: &str) -> Value {
    until("the attempt is over here too", async || {
        let path = format!("/api/v1/payments/{payment_id}");
        let payment = world.get(&path).await.expect(200).json();
        let attempts = payment["attempts"].as_array()?.clone();
        let of =
            |attempt: &Value| attempt["reference"] == reference && attempt["status"] == "declined";
        attempts.into_iter().find(of)
    })
    .await
}

#[tokio::test]
async fn the_page_of_an_order_that_is_cancelled_is_ended() {
    let simulator = stripe().await;
    let world = world(&simulator).await;
    let (order_id, payment_id) = place(&world, &simulator).await;
    let reference = opened(&world, &order_id).await;

    cancel(&world, &order_id).await;

    is_over(&simulator, &reference).await;
    let attempt = declined(&world, &payment_id, &reference).await;
    assert_eq!(attempt["reason"], "expired");
    simulator.customer_pays(&reference);
    assert_eq!(simulator.account(&reference).came_in, vec![], "the page takes nothing");
    assert_eq!(world.stock("cup").await, (10, 0));
    world.verify().await;
}

#[tokio::test]
async fn the_page_of_an_order_that_nobody_paid_in_time_is_ended() {
    let simulator = stripe().await;
    let environment = simulator.environment();
    let world = World::with(|settings| {
        settings.environment = environment;
        settings.payment_window = Duration::from_secs(3);
    })
    .await;
    world.article("cup", "15.30", 10).await;
    let (order_id, payment_id) = place(&world, &simulator).await;
    let reference = opened(&world, &order_id).await;

    let order = world.order_when(&order_id, "failed").await;

    assert!(order.to_string().contains("payment_timed_out"), "{order}");
    is_over(&simulator, &reference).await;
    declined(&world, &payment_id, &reference).await;
    world.verify().await;
}

#[tokio::test]
async fn whoever_pays_otherwise_has_left_the_page_before() {
    let simulator = stripe().await;
    let world = world(&simulator).await;
    let (order_id, payment_id) = place(&world, &simulator).await;
    let first = opened(&world, &order_id).await;
    let path = format!("/api/v1/orders/{order_id}/payments");
    let again = json!({"payment_method": "credit_card", "gateway": "stripe"});

    let started = world.post_as("k", &path, again.clone()).await.expect(201);
    let second = started.json()["reference"].as_str().unwrap().to_owned();
    assert_ne!(second, first);
    assert!(simulator.is_over(&first), "before the other was begun");
    declined(&world, &payment_id, &first).await;
    until("the other page is open", async || {
        (simulator.asked_for(&second) == 1).then_some(())
    })
    .await;
    // A repetition ends nothing.
    let repeated = world.post_as("k", &path, again).await.expect(201);
    assert_eq!(repeated.text, started.text);
    assert!(!simulator.is_over(&second));

    simulator.customer_pays(&second);
    let _stored = delivered(&world, "stripe", &simulator.webhook(&second))
        .await
        .expect(200);
    world.order_when(&order_id, "confirmed").await;
    // What is paid is not ended any more.
    let more = json!({"payment_method": "credit_card", "gateway": "stripe"});
    assert_eq!(world.post(&path, more).await.problem(409), "payment_already_captured");
    world.verify().await;
}

/// The page cannot be ended, and the customer pays on it: that money is late like any other.
#[tokio::test]
async fn a_provider_that_does_not_hear_of_it_holds_nothing_up_and_its_money_goes_back() {
    let simulator = stripe().await;
    let world = world(&simulator).await;
    let (order_id, payment_id) = place(&world, &simulator).await;
    let reference = opened(&world, &order_id).await;
    until("its question is planned", async || {
        let planned: i64 = sqlx::query_scalar("select count(*) from provider_polls")
            .fetch_one(&world.pool)
            .await
            .ok()?;
        (planned == 1).then_some(())
    })
    .await;
    simulator.server().goes_away().await;

    cancel(&world, &order_id).await;

    assert_eq!(world.stock("cup").await, (10, 0));
    until("it has been tried in vain", async || {
        let asked: i32 = sqlx::query_scalar("select asked from provider_polls")
            .fetch_one(&world.pool)
            .await
            .ok()?;
        (asked == 1).then_some(())
    })
    .await;
    simulator.server().comes_back().await;
    simulator.customer_pays(&reference);
    let _stored = delivered(&world, "stripe", &simulator.webhook(&reference))
        .await
        .expect(200);
    worked_off(&world).await;
    goes_back(&world, &simulator, (&order_id, &payment_id), &reference).await;
    assert_eq!(world.order_when(&order_id, "cancelled").await["status"], "cancelled");
    world.verify().await;
}

/// The card was charged and nobody heard of it: by our own name it is found before the attempt is given
/// up, and its money is late like any other.
#[tokio::test]
async fn money_whose_answer_was_lost_is_found_after_the_deadline() {
    let simulator = stripe().await;
    let environment = simulator.environment();
    let world = World::with(|settings| {
        settings.environment = environment;
        settings.payment_window = Duration::from_secs(2);
        // Nobody asks before it is given up.
        settings.poll_pauses = Pauses::new(vec![Duration::from_hours(1)]);
    })
    .await;
    world.article("cup", "15.30", 10).await;
    simulator.faults().next(Fault::ActsThenBreaksOff);
    let mut order = an_order_paid_with("pm_card_visa", &[("cup", 1)]);
    order["gateway"] = "stripe".into();
    let placed = world.post("/api/v1/orders", order).await.expect(201).json();
    let order_id = placed["id"].as_str().unwrap();

    world.order_when(order_id, "confirmed").await;

    world.settle().await;
    let timeline = world
        .get(&format!("/api/v1/orders/{order_id}/timeline"))
        .await;
    assert!(
        timeline.text.contains("payment_timed_out"),
        "it had been given up: {}",
        timeline.text
    );
    assert_eq!(world.stock("cup").await, (10, 1));
    world.verify().await;
}

/// The customer left one page untried, and paid on another; then the first is paid as well.
#[tokio::test]
async fn a_second_success_by_an_attempt_that_nobody_had_tried_goes_back() {
    let sslcommerz = SslCommerz::start().await;
    let simulator: Arc<dyn Simulator> = sslcommerz.clone();
    let world = world(&simulator).await;
    let hear = async |reference: &str| {
        let said = delivered(&world, "sslcommerz", &simulator.webhook(reference)).await;
        let _stored = said.expect(200);
        worked_off(&world).await;
    };
    let (order_id, payment_id) = place(&world, &simulator).await;
    let first = opened(&world, &order_id).await;
    let cancelled = simulator.declines().iter();
    let cancelled = cancelled.copied().find(|how| how.theirs == "CANCELLED");
    simulator.customer_is_declined(&first, cancelled.unwrap());
    hear(&first).await;
    declined(&world, &payment_id, &first).await;
    let again = json!({"payment_method": "credit_card", "gateway": "sslcommerz"});
    let path = format!("/api/v1/orders/{order_id}/payments");
    let started = world.post(&path, again).await.expect(201).json();
    let second = started["reference"].as_str().unwrap();
    until("the other page is open", async || {
        (simulator.asked_for(second) == 1).then_some(())
    })
    .await;
    simulator.customer_pays(second);
    hear(second).await;
    world.order_when(&order_id, "confirmed").await;
    sslcommerz.is_looked_at(&first);
    hear(&first).await;

    simulator.customer_pays(&first);
    hear(&first).await;

    goes_back(&world, &simulator, (&order_id, &payment_id), &first).await;
    assert_eq!(simulator.account(second).going_minor, 0, "through the attempt that brought it");
    assert_eq!(world.order_when(&order_id, "confirmed").await["status"], "confirmed");
    world.verify().await;
}

/// What it comes to in taka is nobody's business here; how it goes back is staff's.
#[tokio::test]
async fn an_order_in_dollars_is_paid_at_sslcommerz_and_given_back_by_staff() {
    let simulator: Arc<dyn Simulator> = SslCommerz::start().await;
    let world = world(&simulator).await;
    let dollars = json!({"amount": "15.30", "currency": "USD"});
    let body = json!({"name": "The cup", "price": dollars, "active": true});
    let put = world.staff(Method::PUT, "/api/v1/products/cup").json(&body);
    let _described = send(put.header("idempotency-key", "dollars"))
        .await
        .expect(200);
    let mut order = an_order(&[("cup", 1)]);
    order["currency"] = "USD".into();
    order["gateway"] = "sslcommerz".into();
    let placed = world.post("/api/v1/orders", order).await.expect(201).json();
    let order_id = placed["id"].as_str().unwrap();
    let reference = opened(&world, order_id).await;
    assert_eq!(simulator.asked_amount(&reference), "15.30");

    simulator.customer_pays(&reference);
    let _stored = delivered(&world, "sslcommerz", &simulator.webhook(&reference))
        .await
        .expect(200);

    let order = world.order_when(order_id, "confirmed").await;
    assert_eq!(order["captured"], dollars);
    let path = format!("/api/v1/orders/{order_id}/refunds");
    let _asked = world
        .post(&path, json!({"reason": "broken"}))
        .await
        .expect(201);
    until("staff are told where to give it back", async || {
        let parked = world.get("/api/v1/parked-facts").await.expect(200);
        parked.text.contains("dashboard").then_some(())
    })
    .await;
    world.verify().await;
}
