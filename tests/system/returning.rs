//! Money that had gone back and did not arrive: days later the customer's bank has turned it away. It
//! is not lost, neither to the log, nor to the customer.

use std::sync::Arc;

use chrono::{Days, Utc};
use reqwest::Method;
use serde_json::Value;
use tests::World;
use tests::simulators::Simulator;
use tests::simulators::paystack::Paystack;
use tests::simulators::stripe::Stripe;
use tests::world::{send, until};

use crate::gateways::{delivered, paid, refund_asked, world};

/// An order that was paid and refunded whole: its id, its payment's, its attempt's reference.
async fn refunded(world: &World, simulator: &Arc<dyn Simulator>) -> (String, String, String) {
    let (order_id, payment_id, reference) = paid(world, simulator).await;
    let refund_id = refund_asked(world, &order_id).await;
    goes_through(world, simulator, &reference, &refund_id).await;
    world.order_when(&order_id, "refunded").await;
    (order_id, payment_id, reference)
}

async fn goes_through(
    world: &World,
    simulator: &Arc<dyn Simulator>,
    reference: &str,
    refund_id: &str,
) {
    until("the provider has taken the refund on", async || {
        (simulator.refunds_called(refund_id) == 1).then_some(())
    })
    .await;
    simulator.works_off_refunds();
    for webhook in simulator.refund_webhooks(reference) {
        let _stored = delivered(world, simulator.name(), &webhook)
            .await
            .expect(200);
    }
}

async fn refunds(world: &World, payment_id: &str) -> Vec<Value> {
    let payment = world.get(&format!("/api/v1/payments/{payment_id}")).await;
    let payment = payment.expect(200).json();
    payment["refunds"].as_array().unwrap().clone()
}

/// The second refund, once the first is seen to have failed and there is one.
async fn another(world: &World, payment_id: &str) -> String {
    until("it goes back again", async || {
        let refunds = refunds(world, payment_id).await;
        let [first, second] = refunds.as_slice() else {
            return None;
        };
        (first["status"] == "failed" && second["status"] == "pending")
            .then(|| second["refund_id"].as_str().unwrap().to_owned())
    })
    .await
}

fn nothing(simulator: &Arc<dyn Simulator>) -> String {
    let price = simulator.price();
    domain::money::Money { minor: 0, ..price }.decimal()
}

async fn staff_were_called(world: &World, order_id: &str) {
    let facts = world.get("/api/v1/parked-facts").await.expect(200).json();
    let facts = facts["items"].as_array().unwrap().clone();
    assert_eq!(facts.len(), 1, "{facts:?}");
    assert_eq!(facts[0]["order_id"], order_id);
    let reason = facts[0]["reason"].as_str().unwrap();
    assert!(reason.contains("was paid out and came back"), "{reason}");
}

async fn net(world: &World, gateway: &str) -> Vec<(String, i64)> {
    let path = format!("/api/v1/reports/settlement?gateway={gateway}");
    let report = world.get(&path).await.expect(200).json();
    let rows = report["items"].as_array().unwrap().clone();
    let shown =
        |row: &Value| (row["net"].as_str().unwrap().to_owned(), row["refunds"].as_i64().unwrap());
    rows.iter().map(shown).collect()
}

async fn a_webhook_says_so_and_it_goes_back_again(simulator: Arc<dyn Simulator>) {
    let world = world(&simulator).await;
    let (order_id, payment_id, reference) = refunded(&world, &simulator).await;
    assert!(simulator.refunds_come_back(&reference));

    // Twice, as providers do.
    for _ in 0..2 {
        for webhook in simulator.refund_webhooks(&reference) {
            let _stored = delivered(&world, simulator.name(), &webhook)
                .await
                .expect(200);
        }
    }
    let again = another(&world, &payment_id).await;
    world.settle().await;
    let order = world
        .get(&format!("/api/v1/orders/{order_id}"))
        .await
        .json();
    assert_eq!(order["refunded"]["amount"], nothing(&simulator).as_str());
    staff_were_called(&world, &order_id).await;
    world.verify().await;

    goes_through(&world, &simulator, &reference, &again).await;
    until("it has gone back", async || {
        let refunds = refunds(&world, &payment_id).await;
        (refunds[1]["status"] == "refunded").then_some(())
    })
    .await;
    world.settle().await;
    let order = world
        .get(&format!("/api/v1/orders/{order_id}"))
        .await
        .json();
    assert_eq!(order["refunded"]["amount"], simulator.price().decimal().as_str());
    let timeline = world
        .get(&format!("/api/v1/orders/{order_id}/timeline"))
        .await
        .text;
    assert!(timeline.contains("had gone back and came back"), "{timeline}");
    // One row, unless midnight has just passed.
    let rows = net(&world, simulator.name()).await;
    let paid_out: i64 = rows.iter().map(|(_, refunds)| refunds).sum();
    assert_eq!(paid_out, 1, "{rows:?}");
    world.verify().await;
}

async fn a_reconciliation_finds_it(simulator: Arc<dyn Simulator>) {
    let world = world(&simulator).await;
    let (order_id, payment_id, reference) = refunded(&world, &simulator).await;
    assert!(simulator.refunds_come_back(&reference));
    let today = Utc::now().date_naive();
    let told = async |repair: bool| {
        let path = format!(
            "/api/v1/reconciliations?gateway={}&from={}&to={}&repair={repair}",
            simulator.name(),
            today - Days::new(1),
            today + Days::new(1)
        );
        let answer = send(world.staff(Method::POST, &path)).await.expect(200);
        let lines = answer.text.lines();
        let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .filter(|line| line["line"] == "difference")
            .map(|line| {
                let text = |name: &str| line[name].as_str().unwrap().to_owned();
                (text("kind"), text("what"), text("outcome"))
            })
            .collect::<Vec<_>>()
    };
    let is = |outcome: &str| {
        let words = ["state_differs", "refund", outcome].map(ToOwned::to_owned);
        let [kind, what, outcome] = words;
        vec![(kind, what, outcome)]
    };

    assert_eq!(told(false).await, is("reported"));
    assert_eq!(told(true).await, is("repaired"));
    let again = another(&world, &payment_id).await;
    world.settle().await;
    staff_were_called(&world, &order_id).await;
    goes_through(&world, &simulator, &reference, &again).await;
    until("it has gone back", async || {
        let refunds = refunds(&world, &payment_id).await;
        (refunds[1]["status"] == "refunded").then_some(())
    })
    .await;
    assert_eq!(told(true).await, vec![]);
    world.verify().await;
}

/// Every story, for each provider that ever says so.
macro_rules! stories {
    ($provider:ident, $start:expr) => {
        mod $provider {
            #[tokio::test]
            async fn a_webhook_says_so_and_it_goes_back_again() {
                super::a_webhook_says_so_and_it_goes_back_again($start.await).await;
            }

            #[tokio::test]
            async fn a_reconciliation_finds_it() {
                super::a_reconciliation_finds_it($start.await).await;
            }
        }
    };
}

stories!(stripe, super::Stripe::start());
stories!(paystack, super::Paystack::start());
