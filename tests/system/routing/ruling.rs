//! Rules over HTTP: what they are, whom they lead to, and who is told no.

use api::node::Role;
use tests::telling::{pointers, these};

use super::*;

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
    let other = world.beside_with(settings).await;
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
