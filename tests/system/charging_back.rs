//! Money that a provider had captured and has taken back, because the customer's bank wanted it: it is
//! counted and refunded no more, staff are told, and what is won back counts again.

use std::sync::Arc;

use domain::money::Money;
use serde_json::{Value, json};
use tests::World;
use tests::simulators::paystack::Paystack;
use tests::simulators::stripe::Stripe;
use tests::simulators::{Fault, Sent, Simulator};
use tests::world::until;

use crate::gateways::{delivered, paid, webhooks, worked_off, world};

/// All of it is taken in and worked on.
async fn deliver(world: &World, simulator: &Arc<dyn Simulator>, said: &[Sent]) {
    for sent in said {
        let _stored = delivered(world, simulator.name(), sent).await.expect(200);
    }
    worked_off(world).await;
    world.settle().await;
}

async fn order(world: &World, order_id: &str) -> Value {
    let order = world.get(&format!("/api/v1/orders/{order_id}")).await;
    order.expect(200).json()
}

async fn payment(world: &World, payment_id: &str) -> Value {
    let payment = world.get(&format!("/api/v1/payments/{payment_id}")).await;
    payment.expect(200).json()
}

/// What the settlement of all days comes to: chargebacks, what they took, and what is left, in minor
/// units. One row, unless midnight has just passed.
async fn settled(world: &World, simulator: &Arc<dyn Simulator>) -> (i64, i64, i64) {
    let path = format!("/api/v1/reports/settlement?gateway={}", simulator.name());
    let report = world.get(&path).await.expect(200).json();
    let minor = |row: &Value, name: &str| -> i64 {
        let digits = row[name].as_str().unwrap().replace('.', "");
        digits.parse().unwrap()
    };
    let rows = report["items"].as_array().unwrap().iter();
    rows.fold((0, 0, 0), |(count, taken, net), row| {
        let chargebacks = row["chargebacks"].as_i64().unwrap();
        (count + chargebacks, taken + minor(row, "charged_back"), net + minor(row, "net"))
    })
}

/// Why staff were called about an order.
async fn called(world: &World, order_id: &str) -> Vec<String> {
    let facts = world.get("/api/v1/parked-facts").await.expect(200).json();
    let facts = facts["items"].as_array().unwrap().iter();
    let ours = facts.filter(|fact| fact["order_id"] == order_id);
    ours.map(|fact| fact["reason"].as_str().unwrap().to_owned())
        .collect()
}

fn shown(money: Money) -> Value {
    json!({"amount": money.decimal(), "currency": money.currency.code()})
}

async fn refund(world: &World, order_id: &str, amount: Option<Money>) -> String {
    let mut asked = json!({"reason": "a chip"});
    if let Some(amount) = amount {
        asked["amount"] = shown(amount);
    }
    let path = format!("/api/v1/orders/{order_id}/refunds");
    let asked = world.post(&path, asked).await.expect(201).json();
    asked["refund_id"].as_str().unwrap().to_owned()
}

async fn it_is_counted_and_refunded_no_more(simulator: Arc<dyn Simulator>) {
    let (world, price) = (world(&simulator).await, simulator.price());
    let (order_id, payment_id, reference) = paid(&world, &simulator).await;
    let mut said = simulator.charges_back(&reference, price.minor);
    // The last comes first, each comes twice, and the provider does not answer at once.
    said.reverse();
    simulator.faults().next(Fault::Fails);
    deliver(&world, &simulator, &[said.clone(), said].concat()).await;

    let (order, payment) = (order(&world, &order_id).await, payment(&world, &payment_id).await);
    for (shows, status) in [(&order, "payment_status"), (&payment, "status")] {
        assert_eq!(shows["charged_back"], shown(price), "{shows}");
        assert_eq!(shows[status], "charged_back", "{shows}");
        assert_eq!(shows["captured"], shown(price), "what came in came in");
    }
    assert_eq!(order["status"], "confirmed", "what becomes of the goods, people say");
    assert_eq!(world.stock("cup").await, (10, 1));
    assert_eq!(settled(&world, &simulator).await, (1, price.minor, 0));
    let timeline = world
        .get(&format!("/api/v1/orders/{order_id}/timeline"))
        .await;
    let sentence = format!("{price} charged back by {}", simulator.name());
    assert!(timeline.text.contains(&sentence), "{}", timeline.text);
    let reasons = called(&world, &order_id).await;
    let [reason] = reasons.as_slice() else {
        panic!("once: {reasons:?}");
    };
    assert!(reason.contains("was charged back"), "{reason}");
    let parked = webhooks(&world, "parked").await;
    assert!(!parked.is_empty(), "somebody has to answer the bank");
    for webhook in parked {
        assert_eq!(webhook["payment_id"], payment_id.as_str());
        let path = format!("/api/v1/webhooks/{}/refund", webhook["id"].as_str().unwrap());
        let refused = world.post(&path, json!({"reason": "disputed"})).await;
        assert_eq!(refused.problem(409), "webhook_without_money", "it would be paid out twice");
    }

    let refund_id = refund(&world, &order_id, None).await;
    let refunds = until("the refund fails", async || {
        let refunds = self::order(&world, &order_id).await["refunds"].clone();
        (refunds[0]["status"] == "failed").then_some(refunds)
    })
    .await;
    let failure = refunds[0]["failure"].as_str().unwrap();
    assert!(failure.contains("charged back"), "{failure}");
    assert_eq!(simulator.refunds_called(&refund_id), 0);
    world.verify().await;
}

async fn what_is_left_of_it_may_be_refunded(simulator: Arc<dyn Simulator>) {
    let (world, price) = (world(&simulator).await, simulator.price());
    let (order_id, payment_id, reference) = paid(&world, &simulator).await;
    let part = Money { minor: price.minor / 3, ..price };
    let said = simulator.charges_back(&reference, part.minor);
    deliver(&world, &simulator, &said).await;
    assert_eq!(payment(&world, &payment_id).await["charged_back"], shown(part));

    let rest = Money { minor: price.minor - part.minor, ..price };
    let refund_id = refund(&world, &order_id, Some(rest)).await;
    until("the provider has taken the refund on", async || {
        (simulator.refunds_called(&refund_id) == 1).then_some(())
    })
    .await;
    simulator.works_off_refunds();
    deliver(&world, &simulator, &simulator.refund_webhooks(&reference)).await;
    assert_eq!(payment(&world, &payment_id).await["refunded"], shown(rest));
    assert_eq!(settled(&world, &simulator).await, (1, part.minor, 0));
    world.verify().await;
}

/// Every story, for each provider that says where disputed money is.
macro_rules! stories {
    ($provider:ident, $start:expr) => {
        mod $provider {
            #[tokio::test]
            async fn it_is_counted_and_refunded_no_more() {
                super::it_is_counted_and_refunded_no_more($start.await).await;
            }

            #[tokio::test]
            async fn what_is_left_of_it_may_be_refunded() {
                super::what_is_left_of_it_may_be_refunded($start.await).await;
            }
        }
    };
}

stories!(stripe, super::Stripe::start());
stories!(paystack, super::Paystack::start());

#[tokio::test]
async fn what_is_won_back_counts_again_and_may_be_refunded() {
    let simulator: Arc<dyn Simulator> = Stripe::start().await;
    let (world, price) = (world(&simulator).await, simulator.price());
    let (order_id, payment_id, reference) = paid(&world, &simulator).await;
    let taken = simulator.charges_back(&reference, price.minor);
    deliver(&world, &simulator, &taken).await;
    assert_eq!(payment(&world, &payment_id).await["status"], "charged_back");

    let back = simulator.reinstates(&reference);
    deliver(&world, &simulator, &back).await;
    // What was said before comes late.
    deliver(&world, &simulator, &taken).await;
    let shows = payment(&world, &payment_id).await;
    assert_eq!(shows["status"], "captured", "{shows}");
    assert_eq!(shows["charged_back"], Value::Null);
    assert_eq!(order(&world, &order_id).await["payment_status"], "captured");
    assert_eq!(settled(&world, &simulator).await, (0, 0, price.minor));
    let timeline = world
        .get(&format!("/api/v1/orders/{order_id}/timeline"))
        .await;
    assert!(timeline.text.contains("reinstated by stripe"), "{}", timeline.text);

    let refund_id = refund(&world, &order_id, None).await;
    until("the provider has taken the refund on", async || {
        (simulator.refunds_called(&refund_id) == 1).then_some(())
    })
    .await;
    world.verify().await;
}

/// A bank that asks takes nothing. Stripe names its own payment and nothing of ours; staff see whose it
/// is.
#[tokio::test]
async fn an_inquiry_reaches_staff_with_its_payment_and_takes_nothing() {
    let stripe = Stripe::start().await;
    let simulator: Arc<dyn Simulator> = stripe.clone();
    let world = world(&simulator).await;
    let (order_id, payment_id, reference) = paid(&world, &simulator).await;

    deliver(&world, &simulator, &[stripe.inquires(&reference)]).await;
    let parked = webhooks(&world, "parked").await;
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0]["payment_id"], payment_id.as_str());
    assert!(parked[0]["reason"].as_str().unwrap().contains("fraudulent"), "{parked:?}");
    assert_eq!(order(&world, &order_id).await["payment_status"], "captured");
    assert_eq!(called(&world, &order_id).await, Vec::<String>::new());
    world.verify().await;
}

#[tokio::test]
async fn a_dispute_that_is_declined_takes_nothing() {
    let paystack = Paystack::start().await;
    let simulator: Arc<dyn Simulator> = paystack.clone();
    let world = world(&simulator).await;
    let (_, payment_id, reference) = paid(&world, &simulator).await;
    let opened = paystack.disputes(&reference, simulator.price().minor);
    deliver(&world, &simulator, &[opened]).await;
    deliver(&world, &simulator, &paystack.resolves(&reference, "declined")).await;

    let reasons = webhooks(&world, "parked").await;
    let reasons: Vec<&str> = reasons
        .iter()
        .map(|webhook| webhook["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        reasons,
        [
            "charge.dispute.resolve: chargeback declined",
            "charge.dispute.create: chargeback"
        ]
    );
    assert_eq!(payment(&world, &payment_id).await["status"], "captured");
    world.verify().await;
}

/// While the provider is silent, people hear of what has to be answered; what says that the money is gone
/// waits for the provider, or nobody would ever count it.
#[tokio::test]
async fn a_chargeback_is_counted_however_long_its_provider_is_silent() {
    let simulator: Arc<dyn Simulator> = Paystack::start().await;
    let (world, price) = (world(&simulator).await, simulator.price());
    let (_, payment_id, reference) = paid(&world, &simulator).await;
    let said = simulator.charges_back(&reference, price.minor);
    simulator.server().goes_away().await;
    for sent in &said {
        let _stored = delivered(&world, "paystack", sent).await.expect(200);
    }
    let change = async |set: &str| {
        let change = format!("update webhooks set {set} where state = 'received'");
        sqlx::query(&change).execute(&world.pool).await.unwrap();
    };
    // As after a few tries.
    change("tries = 5, due_at = now()").await;

    let parked = until("people hear of it", async || webhooks(&world, "parked").await.pop()).await;
    let reason = parked["reason"].as_str().unwrap();
    assert!(reason.starts_with("charge.dispute.create:"), "{reason}");
    assert!(reason.ends_with("the provider does not answer"), "{reason}");
    until("the other has been tried", async || {
        let tries: i32 = sqlx::query_scalar("select tries from webhooks where state = 'received'")
            .fetch_one(&world.pool)
            .await
            .ok()?;
        (6 <= tries).then_some(())
    })
    .await;
    assert_eq!(webhooks(&world, "received").await.len(), 1);

    simulator.server().comes_back().await;
    change("due_at = now()").await;
    until("it is counted", async || {
        let shows = payment(&world, &payment_id).await;
        (shows["status"] == "charged_back").then_some(())
    })
    .await;
    world.settle().await;
    world.verify().await;
}
