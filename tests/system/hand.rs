//! The simulators in a person's hand, as docs/PAYMENTS.md has it.

use std::process::Stdio;
use std::sync::Arc;

use serde_json::{Value, json};
use tests::World;
use tests::command::daybook;
use tests::hand::Hand;
use tests::simulators::{self, Simulator};
use tests::world::until;

use crate::gateways::{place, world};

/// An order that can be paid, by each provider's simulator; and the hand that holds it.
async fn to_pay(simulator: Arc<dyn Simulator>) -> (World, Hand, String, String) {
    let world = world(&simulator).await;
    let (order_id, _) = place(&world, &simulator).await;
    let path = format!("/api/v1/orders/{order_id}/payment");
    let reference = until("the customer is told where to pay", async || {
        let answer = world.get(&path).await;
        let payment = answer.status.is_success().then(|| answer.json())?;
        let is_ready = payment["next_step"].is_object();
        is_ready.then(|| payment["reference"].as_str().unwrap().to_owned())
    })
    .await;
    let hand = Hand::new(vec![simulator], &format!("{}/", world.url));
    (world, hand, order_id, reference)
}

#[tokio::test]
async fn an_order_is_paid_and_given_back_by_hand_at_each_provider() {
    for simulator in simulators::all().await {
        let name = simulator.name();
        let (world, hand, order_id, reference) = to_pay(simulator).await;
        let said = hand.obey(&format!("pay {reference}")).await.unwrap();
        assert!(said.ends_with("200 OK"), "{name}: {said}");
        world.order_when(&order_id, "confirmed").await;

        let path = format!("/api/v1/orders/{order_id}/refunds");
        let _asked = world
            .post(&path, json!({"reason": "broken"}))
            .await
            .expect(201);
        let payment = format!("/api/v1/orders/{order_id}/payment");
        until("it has gone back", async || {
            hand.obey(&format!("refunds {reference}")).await.unwrap();
            let _asked_soon = world.get(&payment).await;
            let order = world.get(&format!("/api/v1/orders/{order_id}")).await;
            (order.json()["status"] == "refunded").then_some(())
        })
        .await;
        let account = hand.obey(&format!("account {reference}")).await.unwrap();
        assert!(account.ends_with("going: 0"), "{name}: {account}");
        world.verify().await;
    }
}

#[tokio::test]
async fn a_customer_is_turned_away_and_a_provider_disturbed_by_hand() {
    let simulator: Arc<dyn Simulator> = simulators::stripe::Stripe::start().await;
    let (world, hand, order_id, reference) = to_pay(simulator).await;
    let forged = hand.obey(&format!("forge {reference}")).await.unwrap();
    assert!(forged.ends_with("401 Unauthorized"), "{forged}");
    hand.obey("fault fails stripe").await.unwrap();
    hand.obey(&format!("pay {reference} 1.00 GBP"))
        .await
        .unwrap();
    let order = world.order_when(&order_id, "failed").await;
    assert!(order.to_string().contains("payment_mismatched"), "{order}");

    for (line, said) in [
        ("pay NOBODY", "nobody was asked for NOBODY"),
        ("fault earthquake stripe", "there is no fault earthquake"),
        ("fault fails paystack", "paystack is not among those"),
        ("dance", "what is meant?"),
    ] {
        let refused = hand.obey(line).await.unwrap_err();
        assert!(refused.starts_with(said), "{line}: {refused}");
    }
    for line in [
        format!("pay {reference} much GBP"),
        format!("pay {reference} 1.00 pounds"),
        format!("decline {reference} politely"),
    ] {
        assert!(hand.obey(&line).await.is_err(), "{line}");
    }
    assert_eq!(hand.obey("  ").await, Ok(String::new()));
    assert_eq!(hand.obey("words stripe").await.unwrap(), "expired");
}

/// What it prints is all that a Daybook needs to be told.
#[tokio::test]
async fn the_program_prints_what_a_daybook_is_to_be_told() {
    let run = |words: &'static [&'static str]| {
        tokio::task::spawn_blocking(move || {
            let mut command = daybook(env!("CARGO_BIN_EXE_simulator"), words);
            // Nobody says anything, so that it ends.
            command.stdin(Stdio::null()).output().unwrap()
        })
    };
    let output = run(&["paystack", "mtn-momo"]).await.unwrap();
    assert!(output.status.success());
    let told = String::from_utf8(output.stdout).unwrap();
    let names: Vec<&str> = told
        .lines()
        .map(|line| line.strip_prefix("export ").unwrap())
        .map(|line| line.split_once('=').unwrap().0)
        .collect();
    let expected = [
        "DAYBOOK_PUBLIC_URL",
        "DAYBOOK_RETURN_URL",
        "MTN_MOMO_API_KEY",
        "MTN_MOMO_API_USER",
        "MTN_MOMO_BASE_URL",
        "MTN_MOMO_COLLECTION_KEY",
        "MTN_MOMO_DISBURSEMENT_KEY",
        "PAYSTACK_BASE_URL",
        "PAYSTACK_SECRET_KEY",
    ];
    assert_eq!(names, expected);
    let output = run(&["paypal"]).await.unwrap();
    let complained = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && complained.contains("sslcommerz"), "{complained}");
    assert_eq!(Value::from(output.stdout.len()), Value::from(0));
}
