//! The sandbox, which confirms orders that nobody has paid: only where somebody has switched it on.

use gateways::settings::Environment;
use reqwest::Method;
use serde_json::{Value, json};
use tests::served::Served;
use tests::servers;
use tests::simulators::Simulator;
use tests::simulators::paystack::Paystack;
use tests::world::{MASTER_KEY, STAFF, World, an_order, new_database};

async fn without_the_sandbox(more: Vec<(&'static str, String)>) -> World {
    let off = [("SANDBOX_PAYMENTS", "off".to_owned())];
    let environment = Environment::of(more.into_iter().chain(off));
    let world = World::with(|settings| settings.environment = environment).await;
    let cup = json!({
        "name": "The cup", "active": true, "price": {"amount": "4.50", "currency": "GBP"},
        "prices": [{"amount": "12500.50", "currency": "NGN"}],
    });
    let put = world.staff(Method::PUT, "/api/v1/products/cup");
    let put = put.header("idempotency-key", "cup").json(&cup);
    assert!(put.send().await.unwrap().status().is_success());
    let stock = json!({"quantity": 10, "reference": "opening stock"});
    let received = world.post("/api/v1/inventory/cup/receipts", stock).await;
    let _received = received.expect(200);
    world
}

fn an_order_for(currency: &str, gateway: Option<&str>) -> Value {
    let mut order = an_order(&[("cup", 1)]);
    order["currency"] = currency.into();
    if let Some(gateway) = gateway {
        order["gateway"] = gateway.into();
    }
    order
}

#[tokio::test]
async fn where_it_is_off_nobody_can_have_an_order_confirmed_for_free() {
    let world = without_the_sandbox(Vec::new()).await;

    let unnamed = world
        .post("/api/v1/orders", an_order_for("GBP", None))
        .await;
    assert_eq!(unnamed.problem(422), "no_gateway");
    let named = an_order_for("GBP", Some("sandbox"));
    let named = world.post("/api/v1/orders", named).await;
    assert_eq!(named.problem(422), "invalid_fields");
    assert_eq!(named.json()["errors"][0]["pointer"], "/gateway", "{}", named.text);
    let mut by_token = an_order_for("GBP", None);
    by_token["payment_token"] = "ok".into();
    let by_token = world.post("/api/v1/orders", by_token).await;
    assert_eq!(by_token.problem(422), "invalid_fields");
    assert_eq!(by_token.json()["errors"][0]["pointer"], "/payment_token", "{}", by_token.text);
}

#[tokio::test]
async fn where_it_is_off_and_there_are_no_rules_whoever_is_on_and_can_is_asked() {
    let paystack = Paystack::start().await;
    let world = without_the_sandbox(paystack.settings()).await;

    let placed = world
        .post("/api/v1/orders", an_order_for("NGN", None))
        .await;
    let placed = placed.expect(201).json();
    let order = format!("/api/v1/orders/{}", placed["id"].as_str().unwrap());
    world.settle().await;
    assert_eq!(world.get(&order).await.expect(200).json()["gateway"], "paystack");
    let in_pounds = world
        .post("/api/v1/orders", an_order_for("GBP", None))
        .await;
    assert_eq!(in_pounds.problem(422), "no_gateway");

    let choice = "/api/v1/routing-rules/choice?currency=NGN&country=NG&method=credit_card&amount=1";
    let choice = world.get(choice).await.expect(200).json();
    let gateways: Vec<&str> = choice["gateways"]
        .as_array()
        .unwrap()
        .iter()
        .map(|gateway| gateway.as_str().unwrap())
        .collect();
    assert_eq!(gateways, ["paystack"], "{choice}");
}

#[tokio::test]
async fn production_has_it_off_unless_somebody_switches_it_on() {
    for (setting, is_on) in [(None, false), (Some("off"), false), (Some("on"), true)] {
        let (stream, database_url) = new_database("").await;
        let mut variables = vec![
            ("DATABASE_URL", database_url),
            ("NATS_URL", servers::nats_url().to_owned()),
            ("DAYBOOK_STREAM", stream),
            ("DAYBOOK_STREAM_BYTES_MAX", (16 * 1024 * 1024).to_string()),
            ("DAYBOOK_STAFF_TOKEN", STAFF.to_owned()),
            ("DAYBOOK_MASTER_KEY", MASTER_KEY.clone()),
        ];
        variables.extend(setting.map(|value| ("SANDBOX_PAYMENTS", value.to_owned())));
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let served = Served::start(env!("CARGO_BIN_EXE_served"), variables).await;
        let get = || {
            let get = served.request(Method::GET, "/api/v1/gateways");
            get.bearer_auth(STAFF)
        };
        let gateways = served.insist(get).await.expect(200).json();
        let gateways = gateways["items"].as_array().unwrap().clone();
        let sandbox = gateways.iter().find(|of| of["name"] == "sandbox");
        assert_eq!(sandbox.unwrap()["on"], is_on, "{setting:?}: {gateways:?}");
    }
}
