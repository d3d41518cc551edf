//! Which provider is asked where nobody is named: rules over HTTP, health, and what happens when one
//! is not reached. What both have in common is here.

mod reaching;
mod ruling;

use std::sync::Arc;

use gateways::health::Thresholds;
use gateways::settings::Environment;
use reqwest::Method;
use serde_json::{Value, json};
use tests::World;
use tests::simulators::Simulator;
use tests::simulators::paystack::Paystack;
use tests::simulators::stripe::Stripe;
use tests::telling::items;
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
