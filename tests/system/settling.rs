//! The settlement report: what a day brought, as JSON and as a table.

use std::sync::Arc;

use domain::money::Money;
use reqwest::Method;
use serde_json::{Value, json};
use tests::World;
use tests::simulators::Simulator;
use tests::simulators::paystack::Paystack;
use tests::world::{send, until};

use crate::gateways::{delivered, place, world};

async fn rows(world: &World, query: &str) -> Vec<Value> {
    world.settle().await;
    let path = format!("/api/v1/reports/settlement{query}");
    let report = world.get(&path).await.expect(200).json();
    report["items"].as_array().unwrap().clone()
}

/// A paid order; its payment.
async fn paid(world: &World, simulator: &Arc<dyn Simulator>) -> (String, String) {
    let (order_id, payment_id) = place(world, simulator).await;
    let reference = until("it is begun", async || {
        let payment = world.get(&format!("/api/v1/payments/{payment_id}")).await;
        let attempt = payment
            .status
            .is_success()
            .then(|| payment.json()["attempts"][0].clone())?;
        (attempt["status"] == "accepted").then(|| attempt["reference"].clone())
    })
    .await;
    let reference = reference.as_str().unwrap();
    simulator.customer_pays(reference);
    let webhook = simulator.webhook(reference);
    let _stored = delivered(world, simulator.name(), &webhook)
        .await
        .expect(200);
    world.order_when(&order_id, "confirmed").await;
    (order_id, payment_id)
}

#[tokio::test]
async fn a_day_shows_what_came_in_went_back_and_is_pending() {
    let simulator: Arc<dyn Simulator> = Paystack::start().await;
    let world = world(&simulator).await;
    assert_eq!(rows(&world, "").await, Vec::<Value>::new());
    let price = simulator.price();
    let money = |minor: i64| Money { minor, ..price }.decimal();
    let (order_id, payment_id) = paid(&world, &simulator).await;
    paid(&world, &simulator).await;
    let asked = json!({
        "amount": {"amount": money(5_000), "currency": "NGN"}, "reason": "a chip",
    });
    let path = format!("/api/v1/orders/{order_id}/refunds");
    let refund = world.post(&path, asked).await.expect(201).json();
    let refund_id = refund["refund_id"].as_str().unwrap();
    until("the provider has taken the refund on", async || {
        (simulator.refunds_called(refund_id) == 1).then_some(())
    })
    .await;

    let before = rows(&world, "").await;
    assert_eq!(before.len(), 1, "{before:#?}");
    let day = &before[0];
    let both = money(2 * price.minor);
    for (member, expected) in [
        ("gateway", json!("paystack")),
        ("currency", json!("NGN")),
        ("captures", json!(2)),
        ("captured", json!(both)),
        ("refunds", json!(0)),
        ("pending_refunds", json!(1)),
        ("pending_refunds_amount", json!(money(5_000))),
        ("net", json!(both)),
    ] {
        assert_eq!(day[member], expected, "{member}");
    }

    simulator.works_off_refunds();
    until("the refund is paid out", async || {
        world
            .get(&format!("/api/v1/orders/{order_id}/payment"))
            .await;
        let payment = world
            .get(&format!("/api/v1/payments/{payment_id}"))
            .await
            .json();
        (payment["refunds"][0]["status"] == "refunded").then_some(())
    })
    .await;
    let after = rows(&world, "?gateway=paystack").await;
    let total = |member: &str| -> i64 {
        let digits = |row: &Value| row[member].as_str().unwrap().replace('.', "");
        after
            .iter()
            .map(|row| digits(row).parse::<i64>().unwrap())
            .sum()
    };
    // Two rows, should midnight have passed.
    assert_eq!((total("refunded"), total("net")), (5_000, 2 * price.minor - 5_000));
    assert_eq!(after.last().unwrap()["pending_refunds"], 0);
    assert_eq!(rows(&world, "?gateway=stripe").await, Vec::<Value>::new());
    assert_eq!(rows(&world, "?to=2026-01-01").await, Vec::<Value>::new());

    let table = world.staff(Method::GET, "/api/v1/reports/settlement");
    let table = send(table.header("accept", "text/csv")).await.expect(200);
    assert!(
        table
            .header("content-type")
            .unwrap()
            .starts_with("text/csv")
    );
    let lines: Vec<&str> = table.text.lines().collect();
    assert_eq!(lines.len(), 1 + after.len());
    let columns: Vec<&str> = lines[0].split(',').collect();
    for (line, row) in lines[1..].iter().zip(&after) {
        let members = row.as_object().unwrap();
        assert_eq!(columns.len(), members.len(), "as many columns as members");
        for (name, cell) in columns.iter().zip(line.split(',')) {
            assert_eq!(members[*name].to_string().trim_matches('"'), cell, "{name}");
        }
    }
}
