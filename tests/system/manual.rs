//! Cash and transfers: money that staff take and hand out themselves.

use std::time::Duration;

use gateways::settings::Environment;
use reqwest::Method;
use serde_json::{Value, json};
use tests::World;
use tests::world::{an_order, send, until};

async fn world(window: Duration) -> World {
    let world = World::with(|settings| {
        settings.environment = Environment::of([("MANUAL_PAYMENTS", "on")]);
        settings.payment_window = window;
    })
    .await;
    world.article("cup", "4.50", 10).await;
    world
}

/// An order that is to be paid in this way; its id, its payment's, and what is to be paid.
async fn place(world: &World, method: &str) -> (String, String, Value) {
    let mut order = an_order(&[("cup", 2)]);
    order["payment_method"] = method.into();
    order["gateway"] = "manual".into();
    let placed = world.post("/api/v1/orders", order).await.expect(201).json();
    let id = |name: &str| placed[name].as_str().unwrap().to_owned();
    let (order_id, payment_id) = (id("id"), id("payment_id"));
    let attempt = until("the attempt waits for its money", async || {
        let payment = world.get(&format!("/api/v1/payments/{payment_id}")).await;
        let attempt = payment
            .status
            .is_success()
            .then(|| payment.json()["attempts"][0].clone())?;
        (attempt["status"] == "accepted").then_some(attempt)
    })
    .await;
    assert_eq!(attempt["gateway"], "manual");
    let order = world
        .get(&format!("/api/v1/orders/{order_id}"))
        .await
        .json();
    (order_id, payment_id, order["total"].clone())
}

/// What has gone back of a payment, once it is this.
async fn refunded(world: &World, payment_id: &str, amount: &Value) {
    until("it has gone back", async || {
        let payment = world.get(&format!("/api/v1/payments/{payment_id}")).await;
        (payment.json()["refunded"] == *amount).then_some(())
    })
    .await;
}

async fn refund_of(world: &World, payment_id: &str) -> String {
    let id = until("a refund is pending", async || {
        let payment = world.get(&format!("/api/v1/payments/{payment_id}")).await;
        let refund = payment.json()["refunds"][0].clone();
        (refund["status"] == "pending").then(|| refund["refund_id"].clone())
    })
    .await;
    id.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn cash_and_transfers_are_taken_and_handed_out_by_staff() {
    let world = world(Duration::from_hours(1)).await;
    for method in ["cash", "bank_transfer"] {
        let (order_id, payment_id, total) = place(&world, method).await;
        let receipt = format!("/api/v1/payments/{payment_id}/receipt");
        let guest = world.guest(Method::POST, &receipt);
        let guest = send(
            guest
                .header("idempotency-key", "g")
                .json(&json!({"amount": total})),
        )
        .await;
        assert_eq!(guest.problem(401), "unauthenticated");

        let body = json!({"amount": total, "note": "statement 17"});
        let taken = world
            .post_as(method, &receipt, body.clone())
            .await
            .expect(200);
        assert_eq!(taken.json()["status"], "captured");
        let again = world
            .post_as(method, &receipt, body.clone())
            .await
            .expect(200);
        assert_eq!(again.text, taken.text);
        let twice = world.post(&receipt, body).await;
        assert_eq!(twice.problem(409), "payment_not_by_hand");
        let order = world.order_when(&order_id, "confirmed").await;
        assert_eq!(order["captured"], total);

        let asked = json!({"amount": {"amount": "1.00", "currency": "GBP"}, "reason": "a chip"});
        let refunds = format!("/api/v1/orders/{order_id}/refunds");
        let refund = world.post(&refunds, asked).await.expect(201).json();
        let payout = format!("/api/v1/payments/{payment_id}/payout");
        let body = json!({"refund_id": refund["refund_id"]});
        assert_eq!(refund_of(&world, &payment_id).await, refund["refund_id"].as_str().unwrap());
        let paid = world.post(&payout, body.clone()).await.expect(200);
        assert_eq!(paid.json()["status"], "refunded");
        refunded(&world, &payment_id, &json!({"amount": "1.00", "currency": "GBP"})).await;
        assert_eq!(world.post(&payout, body).await.problem(409), "refund_not_pending");
    }
    world.verify().await;
    world.settle().await;
    let settlement = world
        .get("/api/v1/reports/settlement?gateway=manual")
        .await
        .expect(200)
        .json();
    let sum = |name: &str| {
        let rows = settlement["items"].as_array().unwrap().iter();
        rows.map(|row| row[name].as_i64().unwrap()).sum::<i64>()
    };
    assert_eq!((sum("captures"), sum("refunds")), (2, 2));
}

#[tokio::test]
async fn a_slip_of_the_hand_fails_no_order_and_another_amount_goes_back() {
    let world = world(Duration::from_hours(1)).await;
    let (order_id, payment_id, _) = place(&world, "cash").await;
    let receipt = format!("/api/v1/payments/{payment_id}/receipt");
    let less = json!({"amount": "1.00", "currency": "GBP"});
    for (body, code) in [
        (json!({"amount": less}), "amount_differs"),
        (
            json!({"amount": {"amount": "9.00", "currency": "EUR"}, "differs": true}),
            "currency_mismatch",
        ),
        (json!({"amount": {"amount": "0.00", "currency": "GBP"}}), "invalid_fields"),
        (json!({"amount": less, "differs": true, "signed": "Ada"}), "invalid_fields"),
    ] {
        let refused = world.post(&receipt, body).await;
        assert_eq!(refused.problem(422), code);
    }
    assert_eq!(world.order_when(&order_id, "processing").await["captured"]["amount"], "0.00");

    let taken = world
        .post(&receipt, json!({"amount": less, "differs": true}))
        .await;
    assert_eq!(taken.expect(200).json()["status"], "mismatched");
    world.order_when(&order_id, "failed").await;
    let refund_id = refund_of(&world, &payment_id).await;
    let payout = format!("/api/v1/payments/{payment_id}/payout");
    let _paid = world
        .post(&payout, json!({"refund_id": refund_id, "note": "handed back"}))
        .await
        .expect(200);
    refunded(&world, &payment_id, &less).await;
    assert_eq!(world.stock("cup").await, (10, 0));
    world.verify().await;
}

#[tokio::test]
async fn a_transfer_that_comes_after_the_deadline_finds_its_stock_again() {
    let world = world(Duration::from_secs(3)).await;
    let (order_id, payment_id, total) = place(&world, "bank_transfer").await;
    world.order_when(&order_id, "failed").await;
    assert_eq!(world.stock("cup").await, (10, 0));

    let receipt = format!("/api/v1/payments/{payment_id}/receipt");
    let _taken = world
        .post(&receipt, json!({"amount": total}))
        .await
        .expect(200);
    world.order_when(&order_id, "confirmed").await;
    assert_eq!(world.stock("cup").await, (10, 2));
    world.verify().await;
}

#[tokio::test]
async fn what_a_provider_takes_is_not_taken_by_hand() {
    let world = world(Duration::from_hours(1)).await;
    let order = an_order(&[("cup", 1)]);
    let placed = world.post("/api/v1/orders", order).await.expect(201).json();
    let (order_id, payment_id) =
        (placed["id"].as_str().unwrap(), placed["payment_id"].as_str().unwrap());
    let order = world.order_when(order_id, "confirmed").await;
    let receipt = format!("/api/v1/payments/{payment_id}/receipt");
    let refused = world
        .post(&receipt, json!({"amount": order["total"]}))
        .await;
    assert_eq!(refused.problem(409), "payment_not_by_hand");
    let nobody = format!("/api/v1/payments/{}/receipt", uuid::Uuid::now_v7());
    let refused = world.post(&nobody, json!({"amount": order["total"]})).await;
    assert_eq!(refused.problem(404), "not_found");
    let webhook = send(
        world
            .guest(Method::POST, "/api/v1/webhooks/manual")
            .body("{}"),
    )
    .await;
    assert_eq!(webhook.problem(404), "not_found");

    // Where nobody has said that staff take money, they do not.
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    let mut order = an_order(&[("cup", 1)]);
    order["gateway"] = "manual".into();
    let refused = world.post("/api/v1/orders", order).await;
    assert_eq!(refused.json()["errors"][0]["pointer"], "/gateway", "{}", refused.text);
}
