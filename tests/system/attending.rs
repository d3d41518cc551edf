//! Webhooks that wait for a person: closed by one, or worked off again once their cause is mended.

use std::sync::Arc;

use domain::money::Money;
use reqwest::Method;
use serde_json::{Value, json};
use tests::simulators::Simulator;
use tests::simulators::paystack::Paystack;
use tests::simulators::sslcommerz::SslCommerz;
use tests::world::{send, until};
use tests::{Answer, World};
use uuid::Uuid;
use workers::inbox::{Inbox, Unattended};

use crate::gateways::{delivered, paid, place, refund_asked, to_pay, webhooks, worked_off, world};

async fn said_of(world: &World, webhook_id: &str, what: &str, key: &str, body: Value) -> Answer {
    let path = format!("/api/v1/webhooks/{webhook_id}/{what}");
    world.post_as(key, &path, body).await
}

async fn resolve(world: &World, webhook_id: &str, key: &str) -> Answer {
    let note = json!({"note": "settled on their pages"});
    said_of(world, webhook_id, "resolve", key, note).await
}

async fn retry(world: &World, webhook_id: &str, key: &str) -> Answer {
    said_of(world, webhook_id, "retry", key, json!({})).await
}

async fn refund(world: &World, webhook_id: &str) -> Answer {
    let key = Uuid::now_v7().to_string();
    said_of(world, webhook_id, "refund", &key, json!({"reason": "nobody's"})).await
}

async fn shown(world: &World, webhook_id: &str) -> Value {
    let path = format!("/api/v1/webhooks/{webhook_id}");
    world.get(&path).await.expect(200).json()
}

/// The one webhook in this state, once there is one; its id.
async fn the_one(world: &World, state: &str) -> String {
    until(&format!("a webhook is {state}"), async || {
        let found = webhooks(world, state).await;
        (found.len() == 1).then(|| found[0]["id"].as_str().unwrap().to_owned())
    })
    .await
}

/// How many the settlement report says that wait for a person.
async fn waiting(world: &World) -> i64 {
    let report = world.get("/api/v1/reports/settlement").await.expect(200);
    let report = report.json();
    let parked = report["parked"].as_array().unwrap().iter();
    parked.map(|of| of["webhooks"].as_i64().unwrap()).sum()
}

/// Money that another shop of the same account has asked for: what the provider says of it.
async fn nobodys(simulator: &Arc<dyn Simulator>) -> tests::simulators::Sent {
    let elsewhere = world(simulator).await;
    let (order_id, _) = place(&elsewhere, simulator).await;
    let to_pay = to_pay(&elsewhere, &order_id).await;
    let reference = to_pay["reference"].as_str().unwrap();
    simulator.customer_pays(reference);
    simulator.webhook(reference)
}

#[tokio::test]
async fn what_staff_have_settled_waits_for_nobody_any_more() {
    let simulator: Arc<dyn Simulator> = Paystack::start().await;
    let world = world(&simulator).await;
    let sent = nobodys(&simulator).await;
    let _stored = delivered(&world, "paystack", &sent).await.expect(200);
    let webhook_id = the_one(&world, "parked").await;
    assert_eq!(waiting(&world).await, 1);

    let unsaid = said_of(&world, &webhook_id, "resolve", "unsaid", json!({})).await;
    assert_eq!(unsaid.problem(422), "invalid_fields");
    let told = resolve(&world, &webhook_id, "k").await.expect(200);
    assert_eq!(told.json()["state"], "resolved");

    let again = resolve(&world, &webhook_id, "k").await.expect(200);
    assert_eq!(
        (again.text.as_str(), again.header("idempotent-replayed").as_deref()),
        (told.text.as_str(), Some("true"))
    );
    assert_eq!(resolve(&world, &webhook_id, "other").await.problem(409), "webhook_resolved");
    assert_eq!(refund(&world, &webhook_id).await.problem(409), "webhook_resolved");
    // The provider says it once more.
    let _stored = delivered(&world, "paystack", &sent).await.expect(200);
    worked_off(&world).await;
    let webhook = shown(&world, &webhook_id).await;
    assert_eq!((&webhook["state"], &webhook["deliveries"]), (&json!("resolved"), &json!(2)));
    assert_eq!(webhook["resolution"]["by"], "staff");
    assert_eq!(webhook["resolution"]["note"], "settled on their pages");
    assert!(webhook["resolution"]["at"].is_string(), "{webhook}");
    assert_eq!((webhooks(&world, "parked").await.len(), waiting(&world).await), (0, 0));
    assert_eq!(webhooks(&world, "resolved").await.len(), 1);

    // It was a mistake.
    let reopened = retry(&world, &webhook_id, "r").await.expect(202);
    assert_eq!(reopened.json(), json!({"id": webhook_id, "state": "received"}));
    assert_eq!(the_one(&world, "parked").await, webhook_id);
    assert_eq!(shown(&world, &webhook_id).await.get("resolution"), None);
    let _on_its_way = refund(&world, &webhook_id).await.expect(202);

    let nothing = Uuid::now_v7().to_string();
    assert_eq!(resolve(&world, &nothing, "n").await.problem(404), "not_found");
    assert_eq!(retry(&world, &nothing, "m").await.problem(404), "not_found");
    let path = format!("/api/v1/webhooks/{webhook_id}/retry");
    let guest = world.guest(Method::POST, &path).json(&json!({}));
    let guest = send(guest.header("idempotency-key", "g")).await;
    assert_eq!(guest.problem(401), "unauthenticated");
    world.verify().await;
}

/// As after a restored backup: nobody knows whose the name is, until somebody says so.
#[tokio::test]
async fn what_was_parked_for_a_cause_that_is_mended_is_worked_off_again() {
    let simulator: Arc<dyn Simulator> = Paystack::start().await;
    let world = world(&simulator).await;
    let (order_id, _) = place(&world, &simulator).await;
    let to_pay = to_pay(&world, &order_id).await;
    let reference = to_pay["reference"].as_str().unwrap();
    let change = async |statement: &str| {
        let done = sqlx::query(statement).execute(&world.pool).await.unwrap();
        assert_eq!(done.rows_affected(), 1, "{statement}");
    };
    change("update provider_references set gateway = 'nobody'").await;
    simulator.customer_pays(reference);
    let _stored = delivered(&world, "paystack", &simulator.webhook(reference))
        .await
        .expect(200);
    let webhook_id = the_one(&world, "parked").await;
    // As after a day without an answer.
    change("update webhooks set tries = 30").await;

    // Too early, it is parked once more.
    let _again = retry(&world, &webhook_id, "early").await.expect(202);
    assert_eq!(the_one(&world, "parked").await, webhook_id);
    change("update provider_references set gateway = 'paystack'").await;
    simulator.faults().next(tests::simulators::Fault::Fails);
    let first = retry(&world, &webhook_id, "k").await.expect(202);

    world.order_when(&order_id, "confirmed").await;
    assert_eq!(the_one(&world, "done").await, webhook_id, "it has all of its tries again");
    let again = retry(&world, &webhook_id, "k").await.expect(202);
    assert_eq!(again.text, first.text);
    assert_eq!(retry(&world, &webhook_id, "other").await.problem(409), "webhook_not_parked");
    assert_eq!(resolve(&world, &webhook_id, "o").await.problem(409), "webhook_not_parked");
    world.verify().await;
}

/// What a poll has found is parked without anybody's word.
#[tokio::test]
async fn what_no_provider_has_sent_is_resolved_and_not_repeated() {
    let simulator: Arc<dyn Simulator> = Paystack::start().await;
    let world = world(&simulator).await;
    let (order_id, _) = place(&world, &simulator).await;
    let to_pay = to_pay(&world, &order_id).await;
    let reference = to_pay["reference"].as_str().unwrap();
    let received = Money { minor: 4_200, currency: "USD".parse().unwrap() };
    simulator.customer_pays_instead(reference, received);
    let webhook_id = until("somebody who looks finds it", async || {
        let path = format!("/api/v1/orders/{order_id}/payment");
        let _looked = world.get(&path).await;
        let parked = webhooks(&world, "parked").await;
        Some(parked.first()?["id"].as_str()?.to_owned())
    })
    .await;

    let refused = retry(&world, &webhook_id, "k").await;
    assert_eq!(refused.problem(409), "webhook_not_repeatable");
    let _closed = resolve(&world, &webhook_id, "r").await.expect(200);

    // The webhook comes after all, and is no second thing to do.
    let _stored = delivered(&world, "paystack", &simulator.webhook(reference))
        .await
        .expect(200);
    let _done = the_one(&world, "done").await;
    assert_eq!(webhooks(&world, "parked").await.len(), 0);
    world.verify().await;
}

/// Its provider gives no other currency back from here, so that staff do so on its own pages.
#[tokio::test]
async fn money_that_could_not_go_back_from_here_is_closed_by_whoever_gave_it_back() {
    let simulator: Arc<dyn Simulator> = SslCommerz::start().await;
    let world = world(&simulator).await;
    let failed = async || {
        let (order_id, _) = place(&world, &simulator).await;
        let to_pay = to_pay(&world, &order_id).await;
        let reference = to_pay["reference"].as_str().unwrap();
        let received = Money { minor: 4_200, currency: "USD".parse().unwrap() };
        simulator.customer_pays_instead(reference, received);
        let _stored = delivered(&world, "sslcommerz", &simulator.webhook(reference))
            .await
            .expect(200);
        let webhook_id = the_one(&world, "parked").await;
        let _asked = refund(&world, &webhook_id).await.expect(202);
        until("it has failed", async || {
            let webhook = shown(&world, &webhook_id).await;
            (webhook["state"] == "failed").then_some(())
        })
        .await;
        webhook_id
    };
    let first = failed().await;
    assert_eq!(retry(&world, &first, "r").await.problem(409), "webhook_not_parked");
    let _closed = resolve(&world, &first, "k").await.expect(200);

    // While others are followed to their end it stays closed.
    let second = failed().await;
    assert_eq!(shown(&world, &first).await["state"], "resolved");
    assert_eq!(the_one(&world, "failed").await, second);
    world.verify().await;
}

/// A process may end between what it does and its receipt.
#[tokio::test]
async fn whoever_repeats_it_after_a_crash_finds_it_done_whatever_became_of_it() {
    let world = World::new().await;
    let (webhook_id, inbox) = (Uuid::now_v7(), Inbox::new(world.pool.clone()));
    sqlx::query(
        "insert into webhooks (webhook_id, gateway, event_key, body, state) \
         values ($1, 'sandbox', 'e', 'no webhook', 'parked')",
    )
    .bind(webhook_id)
    .execute(&world.pool)
    .await
    .unwrap();
    let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
    let parks = async || {
        until("it is parked again", async || {
            let webhook = inbox.by_id(webhook_id).await.unwrap().unwrap();
            (webhook.state == "parked").then_some(())
        })
        .await;
    };

    let at = inbox.resolve(webhook_id, "staff", "a", one).await.unwrap();
    assert_eq!(inbox.resolve(webhook_id, "staff", "a", one).await.unwrap(), at);
    let refused = inbox.resolve(webhook_id, "staff", "a", other).await;
    assert!(matches!(refused, Err(Unattended::Resolved { .. })), "{refused:?}");
    inbox.retry(webhook_id, one).await.unwrap();
    parks().await;
    inbox.retry(webhook_id, one).await.unwrap();
    assert_eq!(inbox.resolve(webhook_id, "staff", "a", one).await.unwrap(), at);

    let webhook = inbox.by_id(webhook_id).await.unwrap().unwrap();
    assert_eq!(webhook.state, "parked", "neither was done a second time");
    sqlx::query("update webhooks set body = ''")
        .execute(&world.pool)
        .await
        .unwrap();
    let gone = inbox.retry(webhook_id, other).await;
    assert!(matches!(gone, Err(Unattended::BodyGone)), "{gone:?}");
}

/// A refund that goes no further without a person, found by asking: whoever asks, and however often,
/// staff have it before them once, and only as long as it waits; and again when it waits again.
async fn a_refund_that_waits_for_a_person_is_told_once(simulator: Arc<dyn Simulator>) {
    let world = world(&simulator).await;
    let (order_id, payment_id, reference) = paid(&world, &simulator).await;
    let (reference, refund_id) = (&*reference, &*refund_asked(&world, &order_id).await);
    until("the provider has taken the refund on", async || {
        (simulator.refunds_called(refund_id) == 1).then_some(())
    })
    .await;
    assert!(simulator.refunds_wait_for_somebody(), "it knows of such refunds");
    let look = async || {
        let path = format!("/api/v1/orders/{order_id}/payment");
        let _looked = world.get(&path).await.expect(200);
    };

    let parked = until("a poll finds it", async || {
        look().await;
        webhooks(&world, "parked").await.pop()
    })
    .await;
    assert_eq!(parked["payment_id"], payment_id.as_str());
    assert_eq!(parked["event"], format!("needs attention {refund_id}"));
    assert!(parked["reason"].is_string(), "{parked}");
    // The provider says so itself, too, and is asked again because of it.
    for sent in simulator.refund_webhooks(reference) {
        let _stored = delivered(&world, simulator.name(), &sent).await.expect(200);
    }
    worked_off(&world).await;
    assert_eq!(webhooks(&world, "parked").await.len(), 1);
    let id = parked["id"].as_str().unwrap();
    assert_eq!(retry(&world, id, "r").await.problem(409), "webhook_not_repeatable");
    assert_eq!(
        refund(&world, id).await.problem(409),
        "webhook_without_money",
        "it goes already"
    );

    simulator.refunds_go_on();
    until("it waits for nobody", async || {
        look().await;
        webhooks(&world, "parked").await.is_empty().then_some(())
    })
    .await;
    assert!(simulator.refunds_wait_for_somebody(), "once more");
    let again = until("staff have it before them again", async || {
        look().await;
        webhooks(&world, "parked").await.pop()
    })
    .await;
    assert_eq!((&again["id"], &again["reason"]), (&parked["id"], &parked["reason"]));

    simulator.works_off_refunds();
    until("it is paid out", async || {
        look().await;
        let payment = world.get(&format!("/api/v1/payments/{payment_id}")).await;
        let payment = payment.json();
        (payment["refunded"] == payment["captured"]).then_some(())
    })
    .await;
    assert_eq!(webhooks(&world, "parked").await.len(), 0, "it waits for nobody any more");
    world.verify().await;
}

#[tokio::test]
async fn a_refund_that_waits_for_a_person_at_stripe_is_told_once() {
    let stripe = tests::simulators::stripe::Stripe::start().await;
    a_refund_that_waits_for_a_person_is_told_once(stripe).await;
}

#[tokio::test]
async fn a_refund_that_waits_for_a_person_at_paystack_is_told_once() {
    a_refund_that_waits_for_a_person_is_told_once(Paystack::start().await).await;
}

#[tokio::test]
async fn a_refund_that_waits_for_a_person_at_flutterwave_v4_is_told_once() {
    let flutterwave = tests::simulators::flutterwave_v4::FlutterwaveV4::start().await;
    a_refund_that_waits_for_a_person_is_told_once(flutterwave).await;
}
