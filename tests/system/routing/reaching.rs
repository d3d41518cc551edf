//! What happens when a provider is not reached, or may have been.

use api::node::Role;
use chrono::TimeDelta;
use tests::simulators::Fault;

use super::*;

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
async fn a_process_that_calls_nobody_hears_who_is_away() {
    let providers = Providers::start().await;
    let breakers = Thresholds { in_a_row: 1, ..Thresholds::default() };
    let world = providers
        .world_with(&[("PAYSTACK_BASE_URL", NOWHERE)], breakers)
        .await;
    let mut settings = world.settings.clone();
    settings.roles = vec![Role::Api];
    let other = world.beside_with(settings).await;

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
