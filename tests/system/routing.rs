//! Which provider is asked where nobody is named: rules over HTTP, health, and what happens when one
//! is not reached.

use std::sync::Arc;

use api::node::Role;
use chrono::TimeDelta;
use gateways::health::Thresholds;
use gateways::settings::Environment;
use reqwest::Method;
use serde_json::{Value, json};
use tests::World;
use tests::simulators::paystack::Paystack;
use tests::simulators::stripe::Stripe;
use tests::simulators::{Fault, Simulator};
use tests::telling::{items, pointers, these};
use tests::world::{an_order, send, until};
use workers::providers::Pauses;

const RULES: &str = "/api/v1/routing-rules";
/// Nobody answers at this port, which no ordinary process may have.
const NOWHERE: &str = "http://127.0.0.1:1";

/// Paystack and Stripe beside each other, both for nairas by card.
struct Providers {
    paystack: Arc<dyn Simulator>,
    stripe: Arc<dyn Simulator>,
}

impl Providers {
    async fn start() -> Self {
        Self { paystack: Paystack::start().await, stripe: Stripe::start().await }
    }

    /// A Daybook that sells cups for nairas, would rather have Paystack asked, and asks nobody of
    /// its own accord what became of anything.
    async fn world(&self) -> World {
        self.world_with(&[], Thresholds::default()).await
    }

    async fn world_with(&self, settings: &[(&'static str, &str)], breakers: Thresholds) -> World {
        let settings = settings
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        let all = self.paystack.settings().into_iter();
        let all = all.chain(self.stripe.settings()).chain(settings);
        let environment = Environment::of(all);
        let world = World::with(|settings| {
            settings.environment = environment;
            settings.breakers = breakers;
            settings.poll_pauses = Pauses::new(vec![std::time::Duration::from_hours(1)]);
        })
        .await;
        let price = json!({"amount": "12500.50", "currency": "NGN"});
        let cup = json!({"name": "The cup", "price": price, "active": true});
        let put = world.staff(Method::PUT, "/api/v1/products/cup");
        let _described = send(put.header("idempotency-key", "cup").json(&cup))
            .await
            .expect(200);
        let stock = json!({"quantity": 100, "reference": "opening stock"});
        let received = world.post("/api/v1/inventory/cup/receipts", stock).await;
        assert!(received.status.is_success(), "{}", received.text);
        make(&world, &json!({"priority": 10, "gateways": ["paystack", "stripe"]})).await;
        world
    }
}

async fn make(world: &World, rule: &Value) -> Value {
    let made = send(world.staff(Method::POST, RULES).json(rule)).await;
    made.expect(201).json()
}

/// An order for a cup by somebody who names nobody.
fn for_nairas() -> Value {
    let mut order = an_order(&[("cup", 1)]);
    order["currency"] = "NGN".into();
    order
}

async fn place(world: &World) -> String {
    place_as(world, for_nairas()).await
}

async fn place_as(world: &World, order: Value) -> String {
    let placed = world.post("/api/v1/orders", order).await.expect(201).json();
    placed["id"].as_str().unwrap().to_owned()
}

async fn payment(world: &World, order_id: &str) -> Option<Value> {
    let answer = world
        .get(&format!("/api/v1/orders/{order_id}/payment"))
        .await;
    answer.status.is_success().then(|| answer.json())
}

/// What the customer has to do, once this provider has said so.
async fn to_pay_at(world: &World, order_id: &str, gateway: &str) -> Value {
    until(&format!("{gateway} is to be paid at"), async || {
        let to_pay = payment(world, order_id).await?;
        (to_pay["gateway"] == gateway && to_pay["next_step"].is_object()).then_some(to_pay)
    })
    .await
}

async fn attempts(world: &World, order_id: &str) -> Vec<Value> {
    let payment_id = payment(world, order_id).await.unwrap()["payment_id"].clone();
    let path = format!("/api/v1/payments/{}", payment_id.as_str().unwrap());
    let payment = world.get(&path).await.expect(200).json();
    payment["attempts"].as_array().unwrap().clone()
}

async fn pay_at(world: &World, simulator: &Arc<dyn Simulator>, reference: &str) {
    simulator.customer_pays(reference);
    let sent = simulator.webhook(reference);
    let path = format!("/api/v1/webhooks/{}", simulator.name());
    let request = world.guest(Method::POST, &path).headers(sent.headers);
    let _stored = send(request.body(sent.body)).await.expect(200);
}

async fn health(world: &World, gateway: &str) -> Value {
    let all = items(&world.get("/api/v1/gateways").await.expect(200));
    let mut all = all.into_iter();
    all.find(|of| of["name"] == gateway).unwrap()
}

async fn choice(world: &World, query: &str) -> Value {
    world
        .get(&format!("{RULES}/choice?{query}"))
        .await
        .expect(200)
        .json()
}

#[tokio::test]
async fn a_provider_that_is_not_reached_is_replaced_and_the_customer_pays_at_the_next() {
    let providers = Providers::start().await;
    let world = providers
        .world_with(&[("PAYSTACK_BASE_URL", NOWHERE)], Thresholds::default())
        .await;

    let order_id = place(&world).await;

    let to_pay = to_pay_at(&world, &order_id, "stripe").await;
    assert_eq!(to_pay["status"], "accepted");
    world.settle().await;
    let attempts = attempts(&world, &order_id).await;
    assert_eq!(attempts.len(), 2);
    assert_eq!(
        (&attempts[0]["gateway"], &attempts[0]["status"], &attempts[0]["reason"]),
        (&json!("paystack"), &json!("declined"), &json!("not_reached"))
    );
    assert_eq!(attempts[1]["instead_of"], attempts[0]["reference"]);
    assert_eq!(attempts[1]["routed_by"], attempts[0]["routed_by"]);
    let timeline = world
        .get(&format!("/api/v1/orders/{order_id}/timeline"))
        .await
        .text;
    assert!(timeline.contains("paystack was not reached"), "{timeline}");
    assert!(timeline.contains("started at stripe instead of paystack"), "{timeline}");
    let events = items(
        &world
            .get(&format!("/api/v1/events?order_id={order_id}"))
            .await,
    );
    let placed = events.iter().find(|event| event["event"] == "order.placed");
    let chosen = &placed.unwrap()["data"]["payment"];
    assert_eq!(chosen["gateway"], "paystack", "what was chosen is in the order: {chosen}");

    pay_at(&world, &providers.stripe, to_pay["reference"].as_str().unwrap()).await;
    world.order_when(&order_id, "confirmed").await;
    world.verify().await;
}

#[tokio::test]
async fn bad_credentials_are_no_reason_to_lose_an_order() {
    let providers = Providers::start().await;
    let world = providers.world().await;
    providers.paystack.faults().next(Fault::KnowsNoKey);

    let order_id = place(&world).await;

    to_pay_at(&world, &order_id, "stripe").await;
    let paystack = health(&world, "paystack").await;
    let failure = paystack["health"]["last_failure"]["what"].as_str().unwrap();
    assert!(failure.contains("does not take our credentials"), "{failure}");
    for secret in providers.paystack.secrets() {
        assert!(!paystack.to_string().contains(&secret), "{paystack}");
    }
    world.verify().await;
}

#[tokio::test]
async fn an_unknown_outcome_is_asked_about_and_never_replaced() {
    for fault in [
        Fault::Fails,
        Fault::ActsThenFails,
        Fault::ActsThenBreaksOff,
        Fault::Babbles,
    ] {
        let providers = Providers::start().await;
        let world = providers.world().await;
        providers.paystack.faults().next(fault);

        let order_id = place(&world).await;

        until("the failure is known", async || {
            let health = health(&world, "paystack").await;
            health["health"]["last_failure"].is_object().then_some(())
        })
        .await;
        world.settle().await;
        let attempts = attempts(&world, &order_id).await;
        assert_eq!(attempts.len(), 1, "{fault:?}: {attempts:?}");
        assert_eq!(attempts[0]["status"], "awaited", "{fault:?}");
        world.verify().await;
    }
}

#[tokio::test]
async fn a_provider_that_hangs_after_acting_is_not_replaced() {
    let providers = Providers::start().await;
    let world = providers
        .world_with(&[("DAYBOOK_GATEWAY_TIMEOUT_MS", "300")], Thresholds::default())
        .await;
    providers.paystack.faults().next(Fault::ActsThenHangs);

    let order_id = place(&world).await;

    until("the failure is known", async || {
        let health = health(&world, "paystack").await;
        health["health"]["last_failure"].is_object().then_some(())
    })
    .await;
    world.settle().await;
    assert_eq!(attempts(&world, &order_id).await.len(), 1);
    world.verify().await;
}

#[tokio::test]
async fn money_of_a_provider_that_had_said_it_did_nothing_goes_back() {
    let providers = Providers::start().await;
    let world = providers.world().await;
    providers.paystack.faults().next(Fault::ActsThenKnowsNoKey);
    let order_id = place(&world).await;
    let to_pay = to_pay_at(&world, &order_id, "stripe").await;
    pay_at(&world, &providers.stripe, to_pay["reference"].as_str().unwrap()).await;
    world.order_when(&order_id, "confirmed").await;
    let lied = attempts(&world, &order_id).await[0]["reference"].clone();

    pay_at(&world, &providers.paystack, lied.as_str().unwrap()).await;

    let path = format!("/api/v1/payments/{}", to_pay["payment_id"].as_str().unwrap());
    until("the second payment goes back", async || {
        // What was taken on is paid out, and asked about as soon as somebody looks.
        providers.paystack.works_off_refunds();
        payment(&world, &order_id).await?;
        let payment = world.get(&path).await.json();
        (payment["refunded"]["amount"] == "12500.50").then_some(())
    })
    .await;
    let timeline = world
        .get(&format!("/api/v1/orders/{order_id}/timeline"))
        .await
        .text;
    assert!(timeline.contains("captured once more by paystack"), "{timeline}");
    let order = world.order_when(&order_id, "confirmed").await;
    assert_eq!(order["captured"]["amount"], "25001.00", "it came in twice");
    assert_eq!(world.stock("cup").await, (100, 1), "and the goods are kept for the order");
    world.verify().await;
}

#[tokio::test]
async fn whoever_names_a_provider_gets_that_one_or_none() {
    let providers = Providers::start().await;
    let world = providers
        .world_with(&[("PAYSTACK_BASE_URL", NOWHERE)], Thresholds::default())
        .await;
    let mut order = for_nairas();
    order["gateway"] = "paystack".into();

    let order_id = place_as(&world, order).await;

    until("the failure is known", async || {
        let health = health(&world, "paystack").await;
        health["health"]["last_failure"].is_object().then_some(())
    })
    .await;
    world.settle().await;
    let attempts = attempts(&world, &order_id).await;
    assert_eq!((attempts.len(), &attempts[0]["gateway"]), (1, &json!("paystack")));
    assert!(attempts[0].get("routed_by").is_none(), "{attempts:?}");
}

#[tokio::test]
async fn an_open_breaker_routes_elsewhere_and_closes_after_a_trial() {
    let providers = Providers::start().await;
    let pause = TimeDelta::milliseconds(1_500);
    let breakers = Thresholds { in_a_row: 2, pause, ..Thresholds::default() };
    let world = providers.world_with(&[], breakers).await;
    let paid = place(&world).await;
    let to_pay = to_pay_at(&world, &paid, "paystack").await;
    for _ in 0..2 {
        providers.paystack.faults().next(Fault::TurnsAway);
        let order_id = place(&world).await;
        to_pay_at(&world, &order_id, "stripe").await;
    }

    let opened = health(&world, "paystack").await["health"].clone();
    assert!(opened["state"] != "closed" && opened["until"].is_string(), "{opened}");
    let metrics = world.get("/metrics").await.text;
    assert!(metrics.contains("daybook_gateway_breaker{gateway=\"paystack\"}"), "{metrics}");
    // Questions and refunds pass: what was begun there is brought to its end there.
    pay_at(&world, &providers.paystack, to_pay["reference"].as_str().unwrap()).await;
    world.order_when(&paid, "confirmed").await;
    let refund = json!({"reason": "broken"});
    let refund = world
        .post(&format!("/api/v1/orders/{paid}/refunds"), refund)
        .await
        .expect(201)
        .json();
    let refund_id = refund["refund_id"].as_str().unwrap();
    until("the refund is asked for", async || {
        (providers.paystack.refunds_called(refund_id) == 1).then_some(())
    })
    .await;

    until("a trial is routed there and closes it", async || {
        let order_id = place(&world).await;
        let at = until("somebody is to be paid at", async || {
            let to_pay = payment(&world, &order_id).await?;
            to_pay["next_step"]
                .is_object()
                .then(|| to_pay["gateway"].clone())
        })
        .await;
        (at == "paystack").then_some(())
    })
    .await;
    assert_eq!(health(&world, "paystack").await["health"]["state"], "closed");
    world.verify().await;
}

#[tokio::test]
async fn where_nobody_is_reached_the_order_is_to_be_placed_again_later() {
    let providers = Providers::start().await;
    let breakers = Thresholds { in_a_row: 1, ..Thresholds::default() };
    let nowhere = [("PAYSTACK_BASE_URL", NOWHERE), ("STRIPE_BASE_URL", NOWHERE)];
    let world = providers.world_with(&nowhere, breakers).await;
    let first = world.post_as("first", "/api/v1/orders", for_nairas()).await;
    let first = first.expect(201);
    until("both are known to be away", async || {
        let choice = choice(&world, "currency=NGN&country=GB&method=credit_card&amount=1").await;
        (choice["gateways"] == json!([])).then_some(())
    })
    .await;

    let refused = world
        .post_as("second", "/api/v1/orders", for_nairas())
        .await;

    assert_eq!(refused.problem(503), "gateways_away");
    assert_eq!(refused.header("retry-after").as_deref(), Some("15"));
    let again = world.post_as("first", "/api/v1/orders", for_nairas()).await;
    assert_eq!(again.expect(201).text, first.text, "what was promised before is told again");
    // Not remembered: the same key is good once somebody is reached.
    let _deleted = send(world.staff(Method::DELETE, &format!("{RULES}/{}", rule_id(&world).await)))
        .await
        .expect(204);
    let mut order = for_nairas();
    order["payment_token"] = "ok".into();
    let other = world
        .post_as("third", "/api/v1/orders", order)
        .await
        .expect(201);
    assert_eq!(other.json()["status"], "pending");
    let second = world
        .post_as("second", "/api/v1/orders", for_nairas())
        .await;
    let _placed = second.expect(201);
}

async fn rule_id(world: &World) -> String {
    let rules = items(&world.get(RULES).await.expect(200));
    rules[0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_nobody_takes_is_refused_and_staff_see_why() {
    let providers = Providers::start().await;
    let world = providers.world().await;
    let mut order = for_nairas();
    order["payment_method"] = "cash".into();

    let refused = world.post_as("cash", "/api/v1/orders", order.clone()).await;

    assert_eq!(refused.problem(422), "no_gateway");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("NGN 12500.50") && detail.contains("cash"), "{detail}");
    let again = world.post_as("cash", "/api/v1/orders", order).await;
    assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
    let choice = choice(&world, "currency=NGN&country=GB&method=cash&amount=12500.50").await;
    assert_eq!(choice["gateways"], json!([]));
    let reasons = choice["left_out"].to_string();
    for part in [
        "it is paid by credit_card, debit_card",
        "the rule does not name it",
    ] {
        assert!(reasons.contains(part), "{reasons}");
    }
}

#[tokio::test]
async fn a_second_try_is_routed_like_the_first() {
    let providers = Providers::start().await;
    let world = providers.world().await;
    let order_id = place(&world).await;
    let to_pay = to_pay_at(&world, &order_id, "paystack").await;
    let reference = to_pay["reference"].as_str().unwrap().to_owned();
    providers.paystack.customer_cannot_pay(&reference);
    let sent = providers.paystack.webhook(&reference);
    let webhook = world.guest(Method::POST, "/api/v1/webhooks/paystack");
    let _stored = send(webhook.headers(sent.headers).body(sent.body))
        .await
        .expect(200);
    until("it is declined", async || {
        let payment = payment(&world, &order_id).await?;
        (payment["status"] == "declined").then_some(())
    })
    .await;
    let path = format!("/api/v1/orders/{order_id}/payments");

    let cash = world.post(&path, json!({"payment_method": "cash"})).await;
    assert_eq!(cash.problem(422), "no_gateway");
    // British goods are not for Paystack, says a rule that comes first.
    let british = json!({"priority": 1, "countries": ["GB"], "gateways": ["stripe"]});
    make(&world, &british).await;
    let card = json!({"payment_method": "credit_card"});
    let _started = world.post(&path, card).await.expect(201);

    to_pay_at(&world, &order_id, "stripe").await;
    let attempts = attempts(&world, &order_id).await;
    assert!(attempts[1].get("instead_of").is_none(), "nothing was replaced: {attempts:?}");
    world.verify().await;
}

#[tokio::test]
async fn a_fresh_daybook_asks_the_sandbox_and_says_so() {
    let world = World::new().await;
    let choice = choice(&world, "currency=GBP&country=GB&method=cash&amount=9").await;
    assert_eq!((&choice["gateways"], &choice["rule_id"]), (&json!(["sandbox"]), &Value::Null));
    let all = items(&world.get("/api/v1/gateways").await.expect(200));
    let on: Vec<&str> = all
        .iter()
        .filter(|of| of["on"] == true)
        .map(|of| of["name"].as_str().unwrap())
        .collect();
    assert_eq!(on, ["sandbox"]);
    let stripe = health(&world, "stripe").await;
    assert_eq!((&stripe["on"], &stripe["health"]), (&json!(false), &Value::Null));
    assert_eq!(stripe["capabilities"]["currencies"], json!({"all_but": ["ISK", "UGX"]}));
    let sandbox = &health(&world, "sandbox").await["health"];
    assert_eq!(sandbox, &json!({"state": "closed", "since": null}));
}

#[tokio::test]
async fn rules_are_made_replaced_and_deleted_and_every_change_is_kept() {
    let world = World::new().await;
    let dear = json!({
        "priority": 20, "currencies": ["GBP"], "countries": ["GB", "IE"], "methods": ["credit_card"],
        "amount_from": {"amount": "100.00", "currency": "GBP"},
        "amount_to": {"amount": "999.99", "currency": "GBP"},
        "gateways": ["stripe", "sandbox"], "note": "insured",
    });
    let made = make(&world, &dear).await;
    for (name, value) in dear.as_object().unwrap() {
        assert_eq!(&made[name], value, "{name}");
    }
    assert_eq!((&made["active"], &made["created_by"]), (&json!(true), &json!("staff")));
    let again = send(world.staff(Method::POST, RULES).json(&dear)).await;
    assert_eq!(again.problem(409), "priority_taken");
    make(&world, &json!({"priority": 10, "gateways": ["sandbox"], "active": false})).await;
    let listed = items(&world.get(RULES).await.expect(200));
    let priorities: Vec<i64> = listed
        .iter()
        .map(|of| of["priority"].as_i64().unwrap())
        .collect();
    assert_eq!(priorities, [10, 20]);
    let query =
        |amount: &str| format!("currency=GBP&country=IE&method=credit_card&amount={amount}");
    assert_eq!(choice(&world, &query("99.99")).await["gateways"], json!([]));
    let dearer = choice(&world, &query("100")).await;
    assert_eq!((&dearer["gateways"], &dearer["rule_id"]), (&json!(["sandbox"]), &made["id"]));
    assert!(
        dearer["left_out"]
            .to_string()
            .contains("it is switched off"),
        "{dearer}"
    );

    let path = format!("{RULES}/{}", made["id"].as_str().unwrap());
    let everything = json!({"priority": 20, "gateways": ["sandbox"]});
    let replaced = send(world.staff(Method::PUT, &path).json(&everything)).await;
    let replaced = replaced.expect(200).json();
    assert_eq!((&replaced["currencies"], &replaced["note"]), (&json!([]), &Value::Null));
    assert_eq!(replaced["created_at"], made["created_at"]);
    assert_eq!(choice(&world, &query("99.99")).await["gateways"], json!(["sandbox"]));
    let _deleted = send(world.staff(Method::DELETE, &path)).await.expect(204);
    for (method, body) in [(Method::DELETE, None), (Method::PUT, Some(&everything))] {
        let request = world.staff(method, &path);
        let request =
            body.map_or_else(|| world.staff(Method::DELETE, &path), |body| request.json(body));
        assert_eq!(send(request).await.problem(404), "not_found");
    }

    let page = world
        .get(&format!("{RULES}/changes?limit=3"))
        .await
        .expect(200);
    let next = page.json()["next_cursor"].as_str().unwrap().to_owned();
    let older = world.get(&format!("{RULES}/changes?cursor={next}")).await;
    assert_eq!(older.json()["next_cursor"], Value::Null);
    let changes = [items(&page), items(&older)].concat();
    let what: Vec<&str> = changes
        .iter()
        .map(|of| of["what"].as_str().unwrap())
        .collect();
    assert_eq!(what, ["deleted", "replaced", "created", "created"]);
    assert_eq!(changes[3]["rule"]["note"], "insured");
    assert_eq!(changes[0]["changed_by"], "staff");
}

#[tokio::test]
async fn a_bad_rule_is_refused_with_everything_that_is_wrong_about_it() {
    let world = World::new().await;
    for (rule, expected) in [
        (json!({}), vec!["/priority", "/gateways"]),
        (
            json!({
                "priority": -1, "currencies": ["GBP", "XXY", "GBP"], "countries": ["UK"],
                "methods": ["barter", 7], "gateways": ["piggybank", "sandbox", "sandbox"],
                "active": "yes", "note": " ", "colour": "red",
            }),
            vec![
                "/priority",
                "/currencies/1",
                "/currencies/2",
                "/countries/0",
                "/methods/0",
                "/methods/1",
                "/gateways/0",
                "/gateways/2",
                "/active",
                "/note",
                "/colour",
            ],
        ),
        (
            json!({"priority": 1, "currencies": ["GBP"], "gateways": ["stripe", "paystack", "mtn-momo"]}),
            vec!["/gateways/1", "/gateways/2"],
        ),
        (
            json!({"priority": 1, "methods": ["cash"], "gateways": ["sandbox", "stripe"]}),
            vec!["/gateways/1"],
        ),
        (
            json!({
                "priority": 1, "gateways": ["sandbox"], "currencies": ["EUR"],
                "amount_from": {"amount": "2.00", "currency": "GBP"},
                "amount_to": {"amount": "1.00", "currency": "GBP"},
            }),
            vec!["/amount_to", "/currencies"],
        ),
        (
            json!({
                "priority": 1, "gateways": ["sandbox"],
                "amount_from": {"amount": "2.00", "currency": "GBP"},
                "amount_to": {"amount": "3.00", "currency": "EUR"},
            }),
            vec!["/amount_to"],
        ),
    ] {
        let refused = send(world.staff(Method::POST, RULES).json(&rule)).await;
        assert_eq!(refused.problem(422), "invalid_fields", "{rule}");
        assert_eq!(pointers(&refused), these(&expected), "{rule}: {}", refused.text);
    }
    assert_eq!(items(&world.get(RULES).await), Vec::<Value>::new());
    let bad = world
        .get(&format!("{RULES}/choice?currency=XXY&country=UK&method=barter"))
        .await;
    assert_eq!(bad.problem(400), "invalid_parameters");
    assert_eq!(pointers(&bad), these(&["?currency", "?country", "?method", "?amount"]));
}

#[tokio::test]
async fn a_rule_counts_at_once_where_it_was_made_and_soon_elsewhere() {
    let providers = Providers::start().await;
    let world = providers.world().await;
    let mut settings = world.settings.clone();
    settings.roles = vec![Role::Api];
    let other = World::beside(&world, settings).await;
    let query = "currency=NGN&country=GB&method=credit_card&amount=1";
    let preferred = json!(["paystack", "stripe"]);
    assert_eq!(choice(&other, query).await["gateways"], preferred, "it was there at its start");

    make(&world, &json!({"priority": 1, "gateways": ["stripe"]})).await;

    assert_eq!(choice(&world, query).await["gateways"], json!(["stripe"]));
    until("the other process has heard of it", async || {
        (choice(&other, query).await["gateways"] == json!(["stripe"])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_process_that_calls_nobody_hears_who_is_away() {
    let providers = Providers::start().await;
    let breakers = Thresholds { in_a_row: 1, ..Thresholds::default() };
    let world = providers
        .world_with(&[("PAYSTACK_BASE_URL", NOWHERE)], breakers)
        .await;
    let mut settings = world.settings.clone();
    settings.roles = vec![Role::Api];
    let other = World::beside(&world, settings).await;

    let order_id = place(&world).await;
    to_pay_at(&world, &order_id, "stripe").await;

    let query = "currency=NGN&country=GB&method=credit_card&amount=1";
    until("the other process routes past it", async || {
        (choice(&other, query).await["gateways"] == json!(["stripe"])).then_some(())
    })
    .await;
    let told = health(&other, "paystack").await["health"].clone();
    assert_eq!(told["state"], "open", "{told}");
    assert!(
        told["last_failure"]["what"]
            .as_str()
            .unwrap()
            .contains("was not reached"),
        "{told}"
    );
}
