//! From an order to its money and back, by each payment provider: page, webhook, refund, report.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tests::World;
use tests::simulators::paystack::Paystack;
use tests::simulators::stripe::Stripe;
use tests::simulators::{Fault, Sent, Simulator};
use tests::world::{an_order, send, until};
use workers::providers::Pauses;

/// A Daybook that asks nobody of its own accord: what happens, happens because of a webhook.
pub(crate) async fn world(simulator: &Arc<dyn Simulator>) -> World {
    let world = World::with(|settings| {
        settings.environment = simulator.environment();
        settings.poll_pauses = Pauses::new(vec![std::time::Duration::from_hours(1)]);
    })
    .await;
    let price = simulator.price();
    let body = json!({
        "name": "The cup",
        "price": {"amount": price.decimal(), "currency": price.currency.code()},
        "active": true,
    });
    let put = world.staff(Method::PUT, "/api/v1/products/cup");
    let _described = send(put.header("idempotency-key", "cup").json(&body))
        .await
        .expect(200);
    let stock = json!({"quantity": 10, "reference": "opening stock"});
    let received = world.post("/api/v1/inventory/cup/receipts", stock).await;
    assert!(received.status.is_success(), "{}", received.text);
    world
}

/// An order for one cup that is to be paid there; its id and its payment's.
pub(crate) async fn place(world: &World, simulator: &Arc<dyn Simulator>) -> (String, String) {
    let mut order = an_order(&[("cup", 1)]);
    order["currency"] = simulator.price().currency.code().into();
    let methods = domain::placing::PaymentMethod::NAMES;
    let method = methods.iter().find(|(_, of)| *of == simulator.method());
    order["payment_method"] = method.unwrap().0.into();
    order["gateway"] = simulator.name().into();
    if let Some(token) = simulator.token() {
        order["payment_token"] = token.into();
    }
    let placed = world.post("/api/v1/orders", order).await.expect(201).json();
    let id = |name: &str| placed[name].as_str().unwrap().to_owned();
    (id("id"), id("payment_id"))
}

/// What the customer has to do, once the provider has said so; and the attempt's reference.
pub(crate) async fn to_pay(world: &World, order_id: &str) -> Value {
    let path = format!("/api/v1/orders/{order_id}/payment");
    until("the customer is told where to pay", async || {
        let answer = world.get(&path).await;
        let to_pay = answer.status.is_success().then(|| answer.json())?;
        to_pay["next_step"].is_object().then_some(to_pay)
    })
    .await
}

/// An order that is paid for, and whose webhook has come: its id, its payment's, its attempt's reference.
pub(crate) async fn paid(
    world: &World,
    simulator: &Arc<dyn Simulator>,
) -> (String, String, String) {
    let (order_id, payment_id) = place(world, simulator).await;
    let to_pay = to_pay(world, &order_id).await;
    let reference = to_pay["reference"].as_str().unwrap().to_owned();
    pay(world, simulator, &order_id, &reference).await;
    (order_id, payment_id, reference)
}

/// The customer pays, the provider's webhook comes, and the order is confirmed.
pub(crate) async fn pay(
    world: &World,
    simulator: &Arc<dyn Simulator>,
    order_id: &str,
    reference: &str,
) {
    simulator.customer_pays(reference);
    let webhook = simulator.webhook(reference);
    let _stored = delivered(world, simulator.name(), &webhook)
        .await
        .expect(200);
    world.order_when(order_id, "confirmed").await;
}

/// Asks for all of an order's money back; the refund's id.
pub(crate) async fn refund_asked(world: &World, order_id: &str) -> String {
    let path = format!("/api/v1/orders/{order_id}/refunds");
    let asked = world.post(&path, json!({"reason": "broken"})).await;
    let asked = asked.expect(201).json();
    asked["refund_id"].as_str().unwrap().to_owned()
}

pub(crate) async fn delivered(world: &World, gateway: &str, sent: &Sent) -> tests::Answer {
    let path = format!("/api/v1/webhooks/{gateway}");
    let request = world
        .guest(Method::POST, &path)
        .headers(sent.headers.clone());
    send(request.body(sent.body.clone())).await
}

pub(crate) async fn webhooks(world: &World, state: &str) -> Vec<Value> {
    let path = format!("/api/v1/webhooks?state={state}");
    let page = world.get(&path).await.expect(200).json();
    page["items"].as_array().unwrap().clone()
}

/// Waits until nothing in the inbox waits.
pub(crate) async fn worked_off(world: &World) {
    until("every webhook is worked on", async || {
        webhooks(world, "received").await.is_empty().then_some(())
    })
    .await;
}

async fn an_order_is_paid_and_refunded_in_part(simulator: Arc<dyn Simulator>) {
    let world = world(&simulator).await;
    let price = simulator.price();
    let (order_id, payment_id) = place(&world, &simulator).await;
    let to_pay = to_pay(&world, &order_id).await;
    let reference = to_pay["reference"].as_str().unwrap();
    assert_eq!(
        (&to_pay["status"], &to_pay["gateway"]),
        (&"accepted".into(), &simulator.name().into())
    );

    simulator.customer_pays(reference);
    let webhook = simulator.webhook(reference);
    for _ in 0..3 {
        let answer = delivered(&world, simulator.name(), &webhook)
            .await
            .expect(200);
        assert_eq!(answer.json(), json!({"stored": true}));
    }
    let order = world.order_when(&order_id, "confirmed").await;
    let money = |minor: i64| {
        let amount = domain::money::Money { minor, ..price };
        json!({"amount": amount.decimal(), "currency": price.currency.code()})
    };
    assert_eq!(order["captured"], money(price.minor));
    assert_eq!(world.stock("cup").await, (10, 1));

    let part = price.minor / 3;
    let path = format!("/api/v1/orders/{order_id}/refunds");
    let asked = json!({"amount": money(part), "reason": "a chip"});
    let refund = world.post(&path, asked).await.expect(201).json();
    let refund_id = refund["refund_id"].as_str().unwrap().to_owned();
    until("the provider has taken the refund on", async || {
        (simulator.refunds_called(&refund_id) == 1).then_some(())
    })
    .await;
    let payment = async || {
        world
            .get(&format!("/api/v1/payments/{payment_id}"))
            .await
            .json()
    };
    assert_eq!(payment().await["refunded"], money(0), "not before the provider has paid it out");

    simulator.works_off_refunds();
    until("the refund is paid out", async || {
        // As soon as somebody looks, the provider is asked.
        world
            .get(&format!("/api/v1/orders/{order_id}/payment"))
            .await;
        (payment().await["refunded"] == money(part)).then_some(())
    })
    .await;
    world.settle().await;
    let report = world
        .get("/api/v1/reports/sales?group_by=currency")
        .await
        .expect(200)
        .json();
    assert_eq!(report["items"][0]["refunded"], money(part));
    assert_eq!(webhooks(&world, "parked").await, Vec::<Value>::new());
    assert_eq!(simulator.refunds_called(&refund_id), 1);
    world.verify().await;
}

async fn another_amount_confirms_nothing_and_goes_back(simulator: Arc<dyn Simulator>) {
    let world = world(&simulator).await;
    let (order_id, _) = place(&world, &simulator).await;
    let to_pay = to_pay(&world, &order_id).await;
    let reference = to_pay["reference"].as_str().unwrap();

    let price = simulator.price();
    let less = domain::money::Money { minor: price.minor - 1, ..price };
    simulator.customer_pays_instead(reference, less);
    let _stored = delivered(&world, simulator.name(), &simulator.webhook(reference))
        .await
        .expect(200);

    let order = world.order_when(&order_id, "failed").await;
    assert!(order.to_string().contains("payment_mismatched"), "{order}");
    assert_eq!(world.stock("cup").await, (10, 0));
    let parked = world.get("/api/v1/parked-facts").await.expect(200).json();
    assert_eq!(parked["items"].as_array().unwrap().len(), 1, "staff are told: {parked}");
    world.verify().await;
}

async fn forged_webhooks_are_refused_and_nothing_is_stored(simulator: Arc<dyn Simulator>) {
    let world = world(&simulator).await;
    let (order_id, _) = place(&world, &simulator).await;
    let to_pay = to_pay(&world, &order_id).await;
    let reference = to_pay["reference"].as_str().unwrap();
    if let Some(forged) = simulator.forged_webhook(reference) {
        let refused = delivered(&world, simulator.name(), &forged).await;
        assert_eq!(refused.problem(401), "webhook_signature_wrong");
        let unsigned = Sent { headers: gateways::webhook::HeaderMap::new(), ..forged };
        let refused = delivered(&world, simulator.name(), &unsigned).await;
        assert!(refused.status.is_client_error(), "{}", refused.text);
    }

    // One that is genuine but says what is not so leads to the truth all the same.
    let early = simulator.webhook(reference);
    let _stored = delivered(&world, simulator.name(), &early)
        .await
        .expect(200);
    worked_off(&world).await;
    let order = world.order_when(&order_id, "processing").await;
    let nothing = domain::money::Money { minor: 0, ..simulator.price() };
    assert_eq!(order["captured"]["amount"], nothing.decimal());
    assert_eq!(webhooks(&world, "done").await.len(), 1, "the forged ones are not stored");
    world.verify().await;
}

async fn a_provider_that_is_away_is_asked_again(simulator: Arc<dyn Simulator>) {
    let world = world(&simulator).await;
    let (order_id, _) = place(&world, &simulator).await;
    let to_pay = to_pay(&world, &order_id).await;
    let reference = to_pay["reference"].as_str().unwrap();
    simulator.customer_pays(reference);
    let webhook = simulator.webhook(reference);
    simulator.faults().next(Fault::Fails);

    let _stored = delivered(&world, simulator.name(), &webhook)
        .await
        .expect(200);

    world.order_when(&order_id, "confirmed").await;
    world.verify().await;
}

async fn money_whose_webhook_is_lost_is_found_by_whoever_looks(simulator: Arc<dyn Simulator>) {
    let world = world(&simulator).await;
    let (order_id, _) = place(&world, &simulator).await;
    let to_pay = to_pay(&world, &order_id).await;
    simulator.customer_pays(to_pay["reference"].as_str().unwrap());

    until("looking at the payment confirms the order", async || {
        world
            .get(&format!("/api/v1/orders/{order_id}/payment"))
            .await;
        let order = world.get(&format!("/api/v1/orders/{order_id}")).await;
        (order.json()["status"] == "confirmed").then_some(())
    })
    .await;
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
            an_order_is_paid_and_refunded_in_part,
            another_amount_confirms_nothing_and_goes_back,
            forged_webhooks_are_refused_and_nothing_is_stored,
            a_provider_that_is_away_is_asked_again,
            money_whose_webhook_is_lost_is_found_by_whoever_looks,
        ]);
    };
}

stories!(stripe, tests::simulators::stripe::Stripe::start());
stories!(paystack, tests::simulators::paystack::Paystack::start());
stories!(flutterwave, tests::simulators::flutterwave::Flutterwave::start());
stories!(flutterwave_v4, tests::simulators::flutterwave_v4::FlutterwaveV4::start());
stories!(mtn_momo, tests::simulators::mtn_momo::MtnMomo::start());
stories!(sslcommerz, tests::simulators::sslcommerz::SslCommerz::start());

#[tokio::test]
async fn what_nobody_signed_and_names_nothing_of_ours_is_not_stored() {
    let simulator: Arc<dyn Simulator> = tests::simulators::mtn_momo::MtnMomo::start().await;
    let world = world(&simulator).await;
    let (order_id, _) = place(&world, &simulator).await;
    let to_pay = to_pay(&world, &order_id).await;

    let body = json!({"externalId": "01K0000000000000000000000Z", "status": "SUCCESSFUL"});
    let headers = gateways::webhook::HeaderMap::new();
    let guessed = Sent { headers: headers.clone(), body: body.to_string().into_bytes() };
    assert_eq!(delivered(&world, "mtn-momo", &guessed).await.problem(404), "not_found");
    assert_eq!(webhooks(&world, "parked").await.len(), 0);

    // Whoever knows a reference can make us ask, as often as they like; it changes nothing.
    let body = json!({"externalId": to_pay["reference"], "status": "SUCCESSFUL"});
    let known = Sent { headers, body: body.to_string().into_bytes() };
    for _ in 0..3 {
        let _stored = delivered(&world, "mtn-momo", &known).await.expect(200);
    }
    worked_off(&world).await;
    assert_eq!(world.order_when(&order_id, "processing").await["status"], "processing");
    assert_eq!(webhooks(&world, "done").await[0]["deliveries"], 3);

    // And the provider, who says the same in the same words, is heard all the same.
    simulator.customer_pays(to_pay["reference"].as_str().unwrap());
    let _stored = delivered(&world, "mtn-momo", &known).await.expect(200);
    world.order_when(&order_id, "confirmed").await;
    world.verify().await;
}

#[tokio::test]
async fn a_webhook_about_one_refund_does_not_begin_another() {
    let simulator: Arc<dyn Simulator> = Paystack::start().await;
    let world = world(&simulator).await;
    let (order_id, _) = place(&world, &simulator).await;
    let to_pay = to_pay(&world, &order_id).await;
    let reference = to_pay["reference"].as_str().unwrap();
    simulator.customer_pays(reference);
    let _stored = delivered(&world, "paystack", &simulator.webhook(reference))
        .await
        .expect(200);
    world.order_when(&order_id, "confirmed").await;
    let refund = async |amount: &str| {
        let path = format!("/api/v1/orders/{order_id}/refunds");
        let amount = json!({"amount": amount, "currency": "NGN"});
        let asked = json!({"amount": amount, "reason": "a chip"});
        let refund = world.post(&path, asked).await.expect(201).json();
        refund["refund_id"].as_str().unwrap().to_owned()
    };
    let first = refund("10.00").await;
    until("the first is taken on", async || {
        (simulator.refunds_called(&first) == 1).then_some(())
    })
    .await;
    world.settle().await;

    // The second is turned away, so that its call is still to come: soon, by itself.
    simulator.faults().next(Fault::TurnsAway);
    let second = refund("20.00").await;
    world.settle().await;
    for sent in simulator.refund_webhooks(reference) {
        let _stored = delivered(&world, "paystack", &sent).await.expect(200);
    }
    worked_off(&world).await;
    assert_eq!(simulator.refunds_called(&second), 0, "two would begin it at the same time");

    until("the second is taken on", async || {
        let path = format!("/api/v1/orders/{order_id}/payment");
        let _asked_soon = world.get(&path).await;
        (simulator.refunds_called(&second) == 1).then_some(())
    })
    .await;
    assert_eq!(simulator.refunds_called(&first), 1);
    world.verify().await;
}

#[tokio::test]
async fn money_that_belongs_to_no_payment_of_ours_is_shown_to_staff() {
    let ours: Arc<dyn Simulator> = Paystack::start().await;
    let (world, elsewhere) = (world(&ours).await, world(&ours).await);
    let (order_id, _) = place(&elsewhere, &ours).await;
    let to_pay = to_pay(&elsewhere, &order_id).await;
    let reference = to_pay["reference"].as_str().unwrap();
    ours.customer_pays(reference);

    let _stored = delivered(&world, "paystack", &ours.webhook(reference))
        .await
        .expect(200);
    worked_off(&world).await;

    let parked = webhooks(&world, "parked").await;
    assert_eq!(parked.len(), 1);
    let (reason, body) = (&parked[0]["reason"], &parked[0]["body"]);
    assert!(reason.as_str().unwrap().contains(reference), "{reason}");
    assert!(body.as_str().unwrap().contains("charge.success"), "as it came in: {body}");
    let guest = send(world.guest(Method::GET, "/api/v1/webhooks")).await;
    assert_eq!(guest.problem(401), "unauthenticated");
}

#[tokio::test]
async fn a_webhook_for_a_provider_that_is_off_or_unknown_finds_nobody() {
    let world = World::new().await;
    let sent = Sent { headers: gateways::webhook::HeaderMap::new(), body: b"{}".to_vec() };
    for gateway in ["stripe", "sandbox", "nobody"] {
        assert_eq!(delivered(&world, gateway, &sent).await.problem(404), "not_found");
    }
    let endless = Sent { body: vec![b' '; 300_000], ..sent };
    let simulator: Arc<dyn Simulator> = Stripe::start().await;
    let world = World::with(|settings| settings.environment = simulator.environment()).await;
    assert_eq!(delivered(&world, "stripe", &endless).await.problem(413), "body_too_large");
}

#[tokio::test]
async fn an_order_that_a_provider_cannot_be_paid_for_is_refused_at_once() {
    let simulator: Arc<dyn Simulator> = Paystack::start().await;
    let world = world(&simulator).await;
    let mut order = an_order(&[("cup", 1)]);
    order["gateway"] = "paystack".into();
    for (field, value, pointer) in [
        ("payment_method", "cash", "/payment_method"),
        ("payment_token", "tok_1", "/payment_token"),
        ("currency", "GBP", "/currency"),
        ("gateway", "stripe", "/gateway"),
    ] {
        let mut order = order.clone();
        order["currency"] = "NGN".into();
        order[field] = value.into();
        let refused = world.post("/api/v1/orders", order).await;
        assert_eq!(refused.problem(422), "invalid_fields", "{field}");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{}", refused.text);
    }
}
