//! Money that nobody asked for: parked, shown to staff, and given back once, by each provider that
//! signs what it says; whatever is repeated, breaks off or crashes on the way.

mod twice;

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use domain::attempt::Outcome;
use domain::ids::{OrderId, PaymentId, attempt_reference};
use domain::money::Money;
use domain::placing::{Address, Customer};
use gateways::gateway::{Charge, Payer};
use gateways::registry::Registry;
use reqwest::Method;
use serde_json::{Value, json};
use tests::simulators::paystack::Paystack;
use tests::simulators::stripe::Stripe;
use tests::simulators::{Fault, Sent, Simulator};
use tests::world::{an_order, send, until};
use tests::{Answer, World};
use uuid::Uuid;
use workers::providers::Pauses;

const PAUSE: std::time::Duration = std::time::Duration::from_millis(300);

async fn world(simulator: &Arc<dyn Simulator>) -> World {
    World::with(|settings| {
        settings.environment = simulator.environment();
        settings.poll_pauses = Pauses::new(vec![PAUSE]);
    })
    .await
}

/// Money that was asked for under the provider's same account, but not by us.
async fn paid_to_somebody_else(simulator: &Arc<dyn Simulator>) -> String {
    let (registry, _) = Registry::new(&simulator.environment()).unwrap();
    let now = Utc::now();
    let customer = Customer {
        name: "Ada Byron".into(),
        email: "ada@example.com".into(),
        phone: Some("+2348012345678".into()),
    };
    let address = Address {
        line1: "12 St James's Square".into(),
        line2: None,
        city: None,
        postcode: None,
        country: "GB".into(),
    };
    let charge = Charge {
        payment_id: PaymentId(Uuid::now_v7()),
        order_id: OrderId(Uuid::now_v7()),
        reference: attempt_reference(Uuid::now_v7()),
        provider_reference: None,
        amount: simulator.price(),
        method: simulator.method(),
        token: simulator.token().map(ToOwned::to_owned),
        payer: Some(Box::new(Payer { customer, address })),
        started_at: now,
        pay_by: now + TimeDelta::minutes(15),
    };
    let gateway = registry.get(simulator.name()).unwrap();
    let outcome = gateway.initialize(&charge).await.unwrap();
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
    charge.reference
}

async fn deliver(world: &World, gateway: &str, sent: &Sent) {
    let path = format!("/api/v1/webhooks/{gateway}");
    let request = world
        .guest(Method::POST, &path)
        .headers(sent.headers.clone());
    let _stored = send(request.body(sent.body.clone())).await.expect(200);
}

async fn webhooks(world: &World, state: &str) -> Vec<Value> {
    let path = format!("/api/v1/webhooks?state={state}");
    let page = world.get(&path).await.expect(200).json();
    page["items"].as_array().unwrap().clone()
}

/// The one webhook in this state, once there is one; its id.
async fn the_one(world: &World, state: &str) -> String {
    until(&format!("a webhook is {state}"), async || {
        let found = webhooks(world, state).await;
        (found.len() == 1).then(|| found[0]["id"].as_str().unwrap().to_owned())
    })
    .await
}

async fn give_back_as(world: &World, key: &str, webhook_id: &str) -> Answer {
    let path = format!("/api/v1/webhooks/{webhook_id}/refund");
    world
        .post_as(key, &path, json!({"reason": "nobody's"}))
        .await
}

async fn give_back(world: &World, webhook_id: &str) -> Answer {
    give_back_as(world, &Uuid::now_v7().to_string(), webhook_id).await
}

async fn webhook_when(world: &World, webhook_id: &str, state: &str) -> Value {
    until(&format!("webhook {webhook_id} is {state}"), async || {
        let path = format!("/api/v1/webhooks/{webhook_id}");
        let webhook = world.get(&path).await.expect(200).json();
        (webhook["state"] == state).then_some(webhook)
    })
    .await
}

/// The settlement report of a provider: its rows, and how many webhooks wait for a person.
async fn settled(world: &World, gateway: &str) -> (Vec<Value>, i64) {
    let path = format!("/api/v1/reports/settlement?gateway={gateway}");
    let report = world.get(&path).await.expect(200).json();
    let parked = report["parked"].as_array().unwrap().iter();
    let waiting = parked.map(|of| of["webhooks"].as_i64().unwrap()).sum();
    (report["items"].as_array().unwrap().clone(), waiting)
}

async fn refund_called(simulator: &Arc<dyn Simulator>, refund_id: &str) {
    until("the provider has taken the refund on", async || {
        (simulator.refunds_called(refund_id) == 1).then_some(())
    })
    .await;
}

fn shown(money: Money) -> Value {
    json!({"amount": money.decimal(), "currency": money.currency.code()})
}

fn refund_id_in(answer: &Answer) -> String {
    answer.json()["refund_id"].as_str().unwrap().to_owned()
}

/// Nothing that is about orders has heard of it.
async fn no_order_knows(world: &World) {
    world.settle().await;
    for (path, name) in [
        ("/api/v1/parked-facts", "items"),
        ("/api/v1/payments", "items"),
        ("/api/v1/orders", "items"),
        ("/api/v1/reports/sales?group_by=currency", "items"),
    ] {
        let answer = world.get(path).await.expect(200).json();
        assert_eq!(answer[name], json!([]), "{path}");
    }
    let in_timelines: i64 = sqlx::query_scalar("select count(*) from read.timeline")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(in_timelines, 0);
    world.verify().await;
}

async fn it_is_parked_and_goes_back_once_it_is_paid_out(simulator: Arc<dyn Simulator>) {
    let world = world(&simulator).await;
    let reference = paid_to_somebody_else(&simulator).await;
    simulator.customer_pays(&reference);
    let sent = simulator.webhook(&reference);
    deliver(&world, simulator.name(), &sent).await;
    let webhook_id = the_one(&world, "parked").await;
    let (rows, waiting) = settled(&world, simulator.name()).await;
    assert_eq!((rows, waiting), (vec![], 1), "what nobody has asked about is only counted");

    let asked = give_back_as(&world, "once", &webhook_id).await.expect(202);
    let refund_id = refund_id_in(&asked);
    assert_eq!(asked.json()["amount"], shown(simulator.price()), "as the provider says");
    let again = give_back_as(&world, "once", &webhook_id).await.expect(202);
    assert_eq!(
        (again.text.as_str(), again.header("idempotent-replayed").as_deref()),
        (asked.text.as_str(), Some("true"))
    );
    refund_called(&simulator, &refund_id).await;
    let webhook = webhook_when(&world, &webhook_id, "refunding").await;
    assert_eq!(webhook["refund"]["amount"], shown(simulator.price()));
    assert_eq!(give_back(&world, &webhook_id).await.problem(409), "money_being_refunded");

    simulator.works_off_refunds();
    // It says so itself, too, and what it said before comes once more.
    deliver(&world, simulator.name(), &sent).await;
    let webhook = webhook_when(&world, &webhook_id, "refunded").await;
    assert_eq!(webhook["refund"].get("failure"), None);
    let refused = give_back(&world, &webhook_id).await;
    assert_eq!(refused.status.as_u16(), 409, "{}", refused.text);
    assert_eq!(simulator.refunds_called(&refund_id), 1);
    assert_eq!(webhooks(&world, "parked").await, Vec::<Value>::new(), "nothing is left to do");
    world.settle().await;
    let (rows, waiting) = settled(&world, simulator.name()).await;
    assert_eq!(waiting, 0);
    let sum = |name: &str| {
        rows.iter()
            .filter_map(|row| row[name].as_i64())
            .sum::<i64>()
    };
    assert_eq!((sum("unmatched"), sum("refunds"), sum("captures")), (1, 1, 0));
    let price = simulator.price();
    let last = rows.last().unwrap();
    assert_eq!(last["refunded"], price.decimal().as_str());
    assert_eq!(
        (&last["pending_refunds"], &last["currency"]),
        (&0.into(), &price.currency.code().into())
    );
    assert_eq!(rows[0]["unmatched_amount"], price.decimal().as_str());
    // One row, unless midnight has just passed.
    let net = Money { minor: price.minor * i64::from(rows.len() == 2), ..price };
    assert_eq!(rows[0]["net"], net.decimal().as_str());
    no_order_knows(&world).await;
}

async fn what_could_not_go_back_is_tried_again(simulator: Arc<dyn Simulator>) {
    let world = world(&simulator).await;
    let reference = paid_to_somebody_else(&simulator).await;
    simulator.customer_pays(&reference);
    deliver(&world, simulator.name(), &simulator.webhook(&reference)).await;
    let webhook_id = the_one(&world, "parked").await;
    simulator.refunds_work(false);
    let first = refund_id_in(&give_back(&world, &webhook_id).await.expect(202));
    refund_called(&simulator, &first).await;
    simulator.works_off_refunds();
    let webhook = webhook_when(&world, &webhook_id, "failed").await;
    assert!(webhook["refund"]["failure"].is_string(), "{webhook}");
    assert_eq!(the_one(&world, "failed").await, webhook_id);

    simulator.refunds_work(true);
    let second = refund_id_in(&give_back(&world, &webhook_id).await.expect(202));
    assert_ne!(first, second, "a provider answers an old name with its old answer");
    refund_called(&simulator, &second).await;
    simulator.works_off_refunds();
    webhook_when(&world, &webhook_id, "refunded").await;
    no_order_knows(&world).await;
}

/// The provider acts and its answer is lost, and then the process is stopped and started again.
async fn a_crash_and_a_lost_answer_give_nothing_back_twice(simulator: Arc<dyn Simulator>) {
    let mut world = world(&simulator).await;
    let reference = paid_to_somebody_else(&simulator).await;
    simulator.customer_pays(&reference);
    deliver(&world, simulator.name(), &simulator.webhook(&reference)).await;
    let webhook_id = the_one(&world, "parked").await;

    // Asking whose it is fails first: nothing is decided, and the same key may be used again.
    simulator.faults().next(Fault::Fails);
    let silent = give_back_as(&world, "k", &webhook_id).await;
    assert_eq!(silent.problem(503), "payment_provider_silent");
    assert!(silent.header("retry-after").is_some());

    let asked = give_back_as(&world, "k", &webhook_id).await.expect(202);
    simulator.faults().next(Fault::ActsThenBreaksOff);
    world.restart().await;
    simulator.faults().clear();
    let refund_id = refund_id_in(&asked);
    refund_called(&simulator, &refund_id).await;
    let again = give_back_as(&world, "k", &webhook_id).await.expect(202);
    assert_eq!(again.text, asked.text);
    simulator.works_off_refunds();
    webhook_when(&world, &webhook_id, "refunded").await;
    assert_eq!(simulator.refunds_called(&refund_id), 1);
    no_order_knows(&world).await;
}

async fn what_is_not_there_or_is_ours_does_not_go_back(simulator: Arc<dyn Simulator>) {
    let world = world(&simulator).await;
    // Promised, but not paid.
    let reference = paid_to_somebody_else(&simulator).await;
    deliver(&world, simulator.name(), &simulator.webhook(&reference)).await;
    let webhook_id = the_one(&world, "parked").await;
    let refused = give_back_as(&world, "k", &webhook_id).await;
    assert!(
        ["money_not_captured", "money_not_found"].contains(&refused.problem(409).as_str()),
        "{}",
        refused.text
    );
    let again = give_back_as(&world, "k", &webhook_id).await;
    assert_eq!(again.text, refused.text, "a refusal is remembered");

    // An order's.
    let (order_id, payment_id, reference) = ordered(&world, &simulator).await;
    simulator.customer_pays(&reference);
    deliver(&world, simulator.name(), &simulator.webhook(&reference)).await;
    world.order_when(&order_id, "confirmed").await;
    let done = the_one(&world, "done").await;
    let refused = give_back(&world, &done).await;
    assert_eq!(refused.problem(409), "money_is_ours");
    assert_eq!(refused.json()["payment_id"], payment_id.as_str());

    let nothing = Uuid::now_v7().to_string();
    assert_eq!(give_back(&world, &nothing).await.problem(404), "not_found");
    assert_eq!(
        world
            .get(&format!("/api/v1/webhooks/{nothing}"))
            .await
            .problem(404),
        "not_found"
    );
    let path = format!("/api/v1/webhooks/{webhook_id}/refund");
    let unsaid = world.post(&path, json!({})).await;
    assert_eq!(unsaid.problem(422), "invalid_fields");
    world.verify().await;
}

/// After a year, and after its customer is forgotten.
async fn what_waits_for_staff_goes_back_whatever_became_of_its_body(simulator: Arc<dyn Simulator>) {
    let world = world(&simulator).await;
    let reference = paid_to_somebody_else(&simulator).await;
    simulator.customer_pays(&reference);
    deliver(&world, simulator.name(), &simulator.webhook(&reference)).await;
    let webhook_id = the_one(&world, "parked").await;
    let emptied = sqlx::query("update webhooks set body = '' where state = 'parked'");
    let emptied = emptied.execute(&world.pool).await.unwrap();
    assert_eq!(emptied.rows_affected(), 1);

    let asked = give_back(&world, &webhook_id).await.expect(202);
    refund_called(&simulator, &refund_id_in(&asked)).await;
    simulator.works_off_refunds();
    webhook_when(&world, &webhook_id, "refunded").await;
    no_order_knows(&world).await;
}

/// An order that waits for its money there: its id, its payment's, its attempt's reference.
async fn ordered(world: &World, simulator: &Arc<dyn Simulator>) -> (String, String, String) {
    let price = simulator.price();
    let body = json!({"name": "The cup", "price": shown(price), "active": true});
    let put = world.staff(Method::PUT, "/api/v1/products/cup");
    let put = put.header("idempotency-key", Uuid::now_v7().to_string());
    let _described = send(put.json(&body)).await.expect(200);
    let stock = json!({"quantity": 10, "reference": "opening stock"});
    let _received = world.post("/api/v1/inventory/cup/receipts", stock).await;
    let mut order = an_order(&[("cup", 1)]);
    order["currency"] = price.currency.code().into();
    let methods = domain::placing::PaymentMethod::NAMES;
    let method = methods.iter().find(|(_, of)| *of == simulator.method());
    order["payment_method"] = method.unwrap().0.into();
    order["gateway"] = simulator.name().into();
    if let Some(token) = simulator.token() {
        order["payment_token"] = token.into();
    }
    let placed = world.post("/api/v1/orders", order).await.expect(201).json();
    let order_id = placed["id"].as_str().unwrap().to_owned();
    let reference = until("the customer is told where to pay", async || {
        let answer = world
            .get(&format!("/api/v1/orders/{order_id}/payment"))
            .await;
        let to_pay = answer.status.is_success().then(|| answer.json())?;
        let reference = to_pay["reference"].as_str()?.to_owned();
        to_pay["next_step"].is_object().then_some(reference)
    })
    .await;
    (order_id, placed["payment_id"].as_str().unwrap().to_owned(), reference)
}

async fn another_currency_fails_the_order_and_goes_back_by_its_webhook(
    simulator: Arc<dyn Simulator>,
) {
    let world = world(&simulator).await;
    let (order_id, _, reference) = ordered(&world, &simulator).await;
    let received = Money { minor: 4_200, currency: other_than(simulator.price()) };
    simulator.customer_pays_instead(&reference, received);
    deliver(&world, simulator.name(), &simulator.webhook(&reference)).await;
    world.order_when(&order_id, "failed").await;
    let webhook_id = the_one(&world, "parked").await;
    it_goes_back_in_its_currency(&world, &simulator, &order_id, &webhook_id, received).await;
}

/// MTN calls back once and most providers in vain at times: a poll finds it, or somebody who looks.
async fn another_currency_that_only_a_poll_finds_goes_back_as_well(simulator: Arc<dyn Simulator>) {
    let world = world(&simulator).await;
    let (order_id, _, reference) = ordered(&world, &simulator).await;
    let received = Money { minor: 4_200, currency: other_than(simulator.price()) };
    simulator.customer_pays_instead(&reference, received);
    world.order_when(&order_id, "failed").await;
    let webhook_id = the_one(&world, "parked").await;
    // The webhook comes after all, and is no second thing to do.
    deliver(&world, simulator.name(), &simulator.webhook(&reference)).await;
    let _done = the_one(&world, "done").await;
    assert_eq!(the_one(&world, "parked").await, webhook_id);
    it_goes_back_in_its_currency(&world, &simulator, &order_id, &webhook_id, received).await;
}

fn other_than(price: Money) -> domain::money::Currency {
    let other = if price.currency.code() == "USD" {
        "GBP"
    } else {
        "USD"
    };
    other.parse().unwrap()
}

async fn it_goes_back_in_its_currency(
    world: &World,
    simulator: &Arc<dyn Simulator>,
    order_id: &str,
    webhook_id: &str,
    received: Money,
) {
    let asked = give_back(world, webhook_id).await.expect(202);
    assert_eq!(asked.json()["amount"], shown(received), "in the currency that came in");
    let refund_id = refund_id_in(&asked);
    if simulator.name() == ::gateways::sslcommerz::NAME {
        // It does not say in which currency it would, and nobody guesses.
        let webhook = webhook_when(world, webhook_id, "failed").await;
        let failure = webhook["refund"]["failure"].as_str().unwrap();
        assert!(failure.contains("dashboard"), "{failure}");
        assert_eq!(simulator.refunds_called(&refund_id), 0);
        return world.verify().await;
    }
    refund_called(simulator, &refund_id).await;
    simulator.works_off_refunds();
    webhook_when(world, webhook_id, "refunded").await;
    let order = world.order_when(order_id, "failed").await;
    assert_eq!(order["refunds"], json!([]), "it was never the order's");
    world.verify().await;
}

/// Every story, for one provider.
macro_rules! stories {
    ($provider:ident, $start:expr, [$($story:ident),+ $(,)?]) => {
        mod $provider {
            $(
                #[tokio::test]
                async fn $story() {
                    super::$story($start.await).await;
                }
            )+
        }
    };
    ($provider:ident, $start:expr) => {
        stories!($provider, $start, [
            it_is_parked_and_goes_back_once_it_is_paid_out,
            what_could_not_go_back_is_tried_again,
            a_crash_and_a_lost_answer_give_nothing_back_twice,
            what_is_not_there_or_is_ours_does_not_go_back,
            another_currency_fails_the_order_and_goes_back_by_its_webhook,
            another_currency_that_only_a_poll_finds_goes_back_as_well,
            what_waits_for_staff_goes_back_whatever_became_of_its_body,
        ]);
    };
}

stories!(stripe, tests::simulators::stripe::Stripe::start());
stories!(paystack, tests::simulators::paystack::Paystack::start());
stories!(flutterwave, tests::simulators::flutterwave::Flutterwave::start());
stories!(sslcommerz, tests::simulators::sslcommerz::SslCommerz::start());
stories!(flutterwave_v4, tests::simulators::flutterwave_v4::FlutterwaveV4::start());

mod mtn_momo {
    /// It signs nothing, so that only what names an attempt of ours is kept.
    #[tokio::test]
    async fn another_currency_that_only_a_poll_finds_goes_back_as_well() {
        let start = tests::simulators::mtn_momo::MtnMomo::start();
        super::another_currency_that_only_a_poll_finds_goes_back_as_well(start.await).await;
    }
}

/// Two webhooks, and several people, about the same money at once.
#[tokio::test]
async fn whichever_webhook_tells_of_it_the_same_money_goes_back_once() {
    let stripe = Stripe::start().await;
    let simulator: Arc<dyn Simulator> = stripe.clone();
    let world = world(&simulator).await;
    let reference = paid_to_somebody_else(&simulator).await;
    simulator.customer_pays(&reference);
    // Each is an event of its own to Stripe.
    for _ in 0..2 {
        deliver(&world, "stripe", &simulator.webhook(&reference)).await;
    }
    let parked = until("both are parked", async || {
        let parked = webhooks(&world, "parked").await;
        (parked.len() == 2).then_some(parked)
    })
    .await;
    let ids: Vec<&str> = parked
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();

    let asked = (0..12).map(|n| give_back(&world, ids[n % 2]));
    let answers = futures::future::join_all(asked).await;

    let (granted, refused): (Vec<&Answer>, Vec<&Answer>) = answers
        .iter()
        .partition(|answer| answer.status.is_success());
    assert_eq!(granted.len(), 1);
    for answer in refused {
        assert_eq!(answer.problem(409), "money_being_refunded");
    }
    refund_called(&simulator, &refund_id_in(granted[0])).await;
    simulator.works_off_refunds();
    for id in ids {
        webhook_when(&world, id, "refunded").await;
    }
    no_order_knows(&world).await;
}

/// While the provider speaks of somebody else's money nothing goes back; once it has sorted itself out
/// the money is no order's any more, and goes back.
#[tokio::test]
async fn money_under_another_name_goes_back_once_the_provider_knows_whose_it_is() {
    let simulator: Arc<dyn Simulator> = Paystack::start().await;
    let world = world(&simulator).await;
    let (order_id, _, reference) = ordered(&world, &simulator).await;
    simulator.customer_pays(&reference);
    let sent = simulator.webhook(&reference);
    simulator.confuses(&reference, "01K0000000000000000000000Z");
    deliver(&world, "paystack", &sent).await;
    world.order_when(&order_id, "failed").await;
    let webhook_id = the_one(&world, "parked").await;
    assert_eq!(give_back(&world, &webhook_id).await.problem(409), "money_not_captured");

    simulator.confuses(&reference, &reference);
    let asked = give_back(&world, &webhook_id).await.expect(202);
    assert_eq!(asked.json()["amount"], shown(simulator.price()));
    refund_called(&simulator, &refund_id_in(&asked)).await;
    simulator.works_off_refunds();
    webhook_when(&world, &webhook_id, "refunded").await;
    let order = world.order_when(&order_id, "failed").await;
    assert_eq!((&order["refunds"], &order["captured"]["amount"]), (&json!([]), &json!("0.00")));
    world.verify().await;
}

/// A payment link made on Stripe's own pages: nobody gave the money any name.
#[tokio::test]
async fn money_without_any_name_goes_back_by_the_providers_own() {
    let stripe = Stripe::start().await;
    let simulator: Arc<dyn Simulator> = stripe.clone();
    let world = world(&simulator).await;
    let sent = stripe.paid_by_a_link(simulator.price());
    deliver(&world, "stripe", &sent).await;
    let webhook_id = the_one(&world, "parked").await;

    let asked = give_back(&world, &webhook_id).await.expect(202);
    let refund_id = refund_id_in(&asked);
    assert_eq!(asked.json()["amount"], shown(simulator.price()));
    refund_called(&simulator, &refund_id).await;
    simulator.works_off_refunds();
    webhook_when(&world, &webhook_id, "refunded").await;
    no_order_knows(&world).await;
}
