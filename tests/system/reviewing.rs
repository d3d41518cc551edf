//! Orders that wait for staff: before anybody is asked for money, and once the money is there.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use reqwest::Method;
use serde_json::{Value, json};
use tests::World;
use tests::simulators::Simulator;
use tests::simulators::sslcommerz::SslCommerz;
use tests::simulators::stripe::Stripe;
use tests::telling::{fraud_rule, id_in, items, keyed};
use tests::world::{Answer, an_order, an_order_paid_with, send, until};

/// A Daybook whose staff look at every order before it is paid.
async fn a_careful_world(review_window: Duration) -> World {
    let world = World::with(|settings| settings.review_window = review_window).await;
    world.article("cup", "4.50", 10).await;
    let condition = json!({"kind": "amount", "above": {"amount": "0.01", "currency": "GBP"}});
    fraud_rule(&world, "every order", "review", condition).await;
    world
}

/// One whose staff look at payments that their provider finds risky.
async fn a_wary_world(outcome: &str, review_window: Duration) -> World {
    let world = World::with(|settings| settings.review_window = review_window).await;
    world.article("cup", "4.50", 10).await;
    let condition = json!({"kind": "provider_risk", "at_least": "elevated"});
    fraud_rule(&world, "risky", outcome, condition).await;
    world
}

const A_DAY: Duration = Duration::from_hours(24);
const A_MOMENT: Duration = Duration::from_secs(1);

async fn place(world: &World, token: &str) -> String {
    let order = an_order_paid_with(token, &[("cup", 2)]);
    id_in(&world.post("/api/v1/orders", order).await.expect(201))
}

/// The order once it is held and all of its stock is, or its money is there.
async fn held(world: &World, order_id: &str) -> Value {
    until("the order is held", async || {
        let order = world.get(&format!("/api/v1/orders/{order_id}")).await;
        let order = order.status.is_success().then(|| order.json())?;
        (order["review"] == "held").then_some(order)
    })
    .await;
    world.settle().await;
    world
        .get(&format!("/api/v1/orders/{order_id}"))
        .await
        .expect(200)
        .json()
}

async fn review(world: &World, order_id: &str, decision: &str) -> Answer {
    let body = json!({"decision": decision, "reason": "we called them back"});
    world
        .post(&format!("/api/v1/orders/{order_id}/review"), body)
        .await
}

async fn timeline(world: &World, order_id: &str) -> Vec<Value> {
    items(
        &world
            .get(&format!("/api/v1/orders/{order_id}/timeline"))
            .await
            .expect(200),
    )
}

async fn all_goes_back(world: &World, order_id: &str) -> Value {
    until("all of it goes back", async || {
        let order = world
            .get(&format!("/api/v1/orders/{order_id}"))
            .await
            .json();
        (order["refunded"] == order["captured"]).then_some(order)
    })
    .await
}

async fn nobody_else_is_needed(world: &World) {
    let parked = world.get("/api/v1/parked-facts").await.expect(200);
    assert_eq!(items(&parked), Vec::<Value>::new());
    world.verify().await;
}

#[tokio::test]
async fn a_held_order_has_its_stock_and_asks_for_money_once_it_is_approved() {
    let world = a_careful_world(A_DAY).await;
    let order = an_order_paid_with("ok", &[("cup", 2)]);
    let request = keyed(world.guest(Method::POST, "/api/v1/orders")).header("prefer", "wait=30");
    let placed = send(request.json(&order)).await.expect(201).json();
    assert_eq!((&placed["status"], &placed["review"]), (&json!("pending"), &json!("held")));
    let id = placed["id"].as_str().unwrap();
    let order = held(&world, id).await;
    assert_eq!(
        (&order["status"], &order["payment_status"]),
        (&json!("pending"), &json!("pending"))
    );
    assert_eq!(order["screenings"][0]["reasons"][0]["rule"], "every order");
    assert_eq!(world.stock("cup").await, (10, 2));
    let listed = items(&world.get("/api/v1/orders?review=held").await.expect(200));
    assert_eq!((listed.len(), &listed[0]["id"]), (1, &placed["id"]));
    let pay = json!({"payment_method": "credit_card", "payment_token": "ok"});
    let early = world
        .post(&format!("/api/v1/orders/{id}/payments"), pay)
        .await;
    assert_eq!(early.problem(409), "payment_not_open");

    let before = chrono::Utc::now();
    let approved = review(&world, id, "approve").await.expect(200).json();
    assert_eq!((&approved["review"], &approved["version"]), (&json!("approved"), &json!(3)));
    let order = world.order_when(id, "confirmed").await;
    assert_eq!(order["review"], "approved");
    world.settle().await;
    let told = timeline(&world, id).await;
    let of = |name: &str| told.iter().find(|entry| entry["event"] == name).unwrap();
    assert_eq!(of("order.review_approved")["actor"], "staff");
    assert_eq!(of("order.review_approved")["data"]["reason"], "we called them back");
    let pay_by = of("payment.opened")["data"]["pay_by"].as_str().unwrap();
    let pay_by: chrono::DateTime<chrono::Utc> = pay_by.parse().unwrap();
    let window = chrono::TimeDelta::from_std(world.settings.payment_window).unwrap();
    assert!(before + window <= pay_by, "all the time that others have: {pay_by}");
    assert_eq!(review(&world, id, "approve").await.problem(409), "order_already_confirmed");
    let link =
        format!("/api/v1/orders/{id}/timeline?token={}", placed["order_token"].as_str().unwrap());
    let customer = send(world.guest(Method::GET, &link)).await.expect(200);
    assert!(!customer.text.contains("called them") && !customer.text.contains("every order"));
    nobody_else_is_needed(&world).await;
}

#[tokio::test]
async fn a_refused_order_gives_its_stock_back_and_nobody_is_asked_for_money() {
    let world = a_careful_world(A_DAY).await;
    let id = place(&world, "ok").await;
    held(&world, &id).await;
    let key = "the-verdict";
    let path = format!("/api/v1/orders/{id}/review");
    let body = json!({"decision": "refuse", "reason": "a stolen card"});
    let refused = world.post_as(key, &path, body.clone()).await.expect(200);
    assert_eq!(
        (&refused.json()["status"], &refused.json()["review"]),
        (&json!("failed"), &json!("refused"))
    );
    let again = world.post_as(key, &path, body).await.expect(200);
    assert_eq!(
        (again.header("idempotent-replayed").as_deref(), &again.text),
        (Some("true"), &refused.text)
    );
    let order = world.order_when(&id, "failed").await;
    assert_eq!(
        (&order["failure"], &order["review"]),
        (&json!({"cause": "refused"}), &json!("refused"))
    );
    assert_eq!(world.stock("cup").await, (10, 0));
    let told = timeline(&world, &id).await;
    assert!(told.iter().all(|entry| entry["aggregate"] != "payment"), "{told:?}");
    assert_eq!(review(&world, &id, "approve").await.problem(409), "order_already_failed");
    nobody_else_is_needed(&world).await;
}

#[tokio::test]
async fn what_is_not_held_is_not_reviewed_and_only_staff_review() {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    let id = place(&world, "silent").await;
    world.order_when(&id, "processing").await;
    assert_eq!(review(&world, &id, "approve").await.problem(409), "order_not_held");
    let unknown = "01890000-0000-7000-8000-000000000000";
    assert_eq!(review(&world, unknown, "approve").await.problem(404), "not_found");
    let path = format!("/api/v1/orders/{id}/review");
    let bad = world.post(&path, json!({"decision": "perhaps"})).await;
    assert_eq!(bad.problem(422), "invalid_fields");
    let body = json!({"decision": "approve", "reason": "mine"});
    let guest = send(keyed(world.guest(Method::POST, &path)).json(&body)).await;
    assert_eq!(guest.problem(401), "unauthenticated");
    let filter = world.get("/api/v1/orders?review=perhaps").await;
    assert_eq!(filter.problem(400), "invalid_parameters");
}

#[tokio::test]
async fn an_order_is_cancelled_while_it_is_held() {
    for (world, token) in [
        (a_careful_world(A_DAY).await, "ok"),
        (a_wary_world("review", A_DAY).await, "elevated_risk"),
    ] {
        let id = place(&world, token).await;
        held(&world, &id).await;
        let reason = json!({"reason": "changed my mind"});
        let cancelled = world
            .post(&format!("/api/v1/orders/{id}/cancel"), reason)
            .await;
        assert_eq!(cancelled.expect(200).json()["status"], "cancelled");
        world.order_when(&id, "cancelled").await;
        let order = all_goes_back(&world, &id).await;
        assert_eq!(order["review"], "none");
        assert_eq!(world.stock("cup").await, (10, 0), "{token}");
        assert_eq!(review(&world, &id, "approve").await.problem(409), "order_already_cancelled");
        nobody_else_is_needed(&world).await;
    }
}

#[tokio::test]
async fn a_hold_that_nobody_looks_at_ends_by_itself() {
    for (world, token) in [
        (a_careful_world(A_MOMENT).await, "ok"),
        (a_wary_world("review", A_MOMENT).await, "elevated_risk"),
    ] {
        let id = place(&world, token).await;
        let order = world.order_when(&id, "failed").await;
        assert_eq!(order["failure"], json!({"cause": "review_timed_out"}), "{token}");
        assert_eq!(order["review"], "refused");
        all_goes_back(&world, &id).await;
        assert_eq!(world.stock("cup").await, (10, 0), "{token}");
        assert_eq!(review(&world, &id, "approve").await.problem(409), "order_already_failed");
        assert_eq!(items(&world.get("/api/v1/orders?review=held").await), Vec::<Value>::new());
        nobody_else_is_needed(&world).await;
    }
}

#[tokio::test]
async fn of_an_approval_and_a_refusal_at_once_one_wins_in_any_process() {
    let world = a_careful_world(A_DAY).await;
    let other = world.beside().await;
    for round in 0..5 {
        let id = place(&world, "ok").await;
        held(&world, &id).await;
        let (yes, no) = join(review(&world, &id, "approve"), review(&other, &id, "refuse")).await;
        let (won, lost, status) = if yes.status.is_success() {
            (yes, no, "confirmed")
        } else {
            (no, yes, "failed")
        };
        let _won = won.expect(200);
        assert_eq!(lost.status.as_u16(), 409, "round {round}: {}", lost.text);
        world.order_when(&id, status).await;
        if status == "confirmed" {
            let cancel = format!("/api/v1/orders/{id}/cancel");
            let _cancelled = world
                .post(&cancel, json!({"reason": "next"}))
                .await
                .expect(200);
        }
    }
    assert_eq!(world.stock("cup").await, (10, 0));
    nobody_else_is_needed(&world).await;
}

#[tokio::test]
async fn orders_stay_held_over_a_restart() {
    for token in ["ok", "highest_risk"] {
        let mut world = if token == "ok" {
            a_careful_world(A_DAY).await
        } else {
            a_wary_world("review", A_DAY).await
        };
        let (kept, refused) = (place(&world, token).await, place(&world, token).await);
        world.restart().await;
        held(&world, &kept).await;
        held(&world, &refused).await;
        world.restart().await;
        let _approved = review(&world, &kept, "approve").await.expect(200);
        let _refused = review(&world, &refused, "refuse").await.expect(200);
        world.restart().await;
        let order = world.order_when(&kept, "confirmed").await;
        // A payment that was approved before it was made is not looked at twice.
        assert_eq!(order["review"], "approved");
        world.order_when(&refused, "failed").await;
        all_goes_back(&world, &refused).await;
        assert_eq!(world.stock("cup").await, (10, 2), "{token}");
        nobody_else_is_needed(&world).await;
    }
}

#[tokio::test]
async fn what_was_decided_before_a_crash_counts_whatever_the_rules_say_now() {
    for outcome in ["review", "refuse"] {
        let mut world = a_wary_world(outcome, A_DAY).await;
        let id = place(&world, "elevated_risk").await;
        if outcome == "review" {
            held(&world, &id).await;
        } else {
            world.order_when(&id, "failed").await;
        }
        world.settle().await;
        world.stop().await;
        // As if it had stopped before anything that it heard was kept; and the rule is gone.
        for sql in [
            "delete from checkouts",
            "update worker_marks set position = 0 where worker = 'checkout'",
            "delete from fraud_rules",
            "update fraud_revision set revision = revision + 1",
        ] {
            sqlx::query(sql).execute(&world.pool).await.unwrap();
        }
        world.start().await;
        world.settle().await;
        if outcome == "review" {
            let order = held(&world, &id).await;
            assert_eq!(order["status"], "processing", "{order}");
            let _approved = review(&world, &id, "approve").await.expect(200);
            world.order_when(&id, "confirmed").await;
        } else {
            world.order_when(&id, "failed").await;
            all_goes_back(&world, &id).await;
            assert_eq!(world.stock("cup").await, (10, 0));
        }
        nobody_else_is_needed(&world).await;
    }
}

#[tokio::test]
async fn a_payment_that_its_provider_finds_risky_waits_for_staff() {
    let world = a_wary_world("review", A_DAY).await;
    let plain = place(&world, "ok").await;
    assert_eq!(world.order_when(&plain, "confirmed").await["review"], "none");
    let id = place(&world, "elevated_risk").await;
    let order = held(&world, &id).await;
    assert_eq!(
        (&order["status"], &order["payment_status"]),
        (&json!("processing"), &json!("captured"))
    );
    assert_eq!(order["screenings"][0]["reasons"][0]["rule"], "risky");
    let payment = order["payment_id"].as_str().unwrap();
    let payment = world
        .get(&format!("/api/v1/payments/{payment}"))
        .await
        .expect(200)
        .json();
    assert_eq!(payment["attempts"][0]["risk"], "elevated");
    let refund = json!({"reason": "too early"});
    let early = world
        .post(&format!("/api/v1/orders/{id}/refunds"), refund)
        .await;
    assert_eq!(early.problem(409), "order_not_paid");

    let _approved = review(&world, &id, "approve").await.expect(200);
    world.order_when(&id, "confirmed").await;
    let names: Vec<String> = timeline(&world, &id)
        .await
        .iter()
        .map(|entry| entry["event"].as_str().unwrap().to_owned())
        .collect();
    let screened = names.iter().filter(|name| *name == "order.screened");
    assert_eq!(screened.count(), 1, "what staff have looked at is not judged again: {names:?}");

    let id = place(&world, "elevated_risk").await;
    held(&world, &id).await;
    let _refused = review(&world, &id, "refuse").await.expect(200);
    let order = all_goes_back(&world, &id).await;
    assert_eq!(
        (&order["status"], &order["failure"]),
        (&json!("failed"), &json!({"cause": "refused"}))
    );
    assert_eq!(world.stock("cup").await, (10, 4));
    nobody_else_is_needed(&world).await;
}

#[tokio::test]
async fn a_payment_that_rules_refuse_goes_back_at_once() {
    let world = a_wary_world("refuse", A_DAY).await;
    let id = place(&world, "highest_risk").await;
    let order = world.order_when(&id, "failed").await;
    assert_eq!(
        (&order["failure"], &order["review"]),
        (&json!({"cause": "refused"}), &json!("refused"))
    );
    all_goes_back(&world, &id).await;
    assert_eq!(world.stock("cup").await, (10, 0));
    assert_eq!(review(&world, &id, "approve").await.problem(409), "order_already_failed");
    nobody_else_is_needed(&world).await;
}

/// An order that is to be paid there, and the attempt's reference.
async fn to_be_paid(world: &World, simulator: &dyn Simulator) -> (String, String) {
    let price = simulator.price();
    let cup = json!({
        "name": "The cup", "active": true,
        "price": {"amount": price.decimal(), "currency": price.currency.code()},
    });
    let put = keyed(world.staff(Method::PUT, "/api/v1/products/cup"));
    let _described = send(put.json(&cup)).await.expect(200);
    let goods = json!({"quantity": 10, "reference": "opening stock"});
    let _received = world.post("/api/v1/inventory/cup/receipts", goods).await;
    let mut order = an_order(&[("cup", 1)]);
    order["currency"] = price.currency.code().into();
    order["gateway"] = simulator.name().into();
    let id = id_in(&world.post("/api/v1/orders", order).await.expect(201));
    let path = format!("/api/v1/orders/{id}/payment");
    let reference = until("the customer is told where to pay", async || {
        let answer = world.get(&path).await;
        let to_pay = answer.status.is_success().then(|| answer.json())?;
        to_pay["next_step"]
            .is_object()
            .then(|| to_pay["reference"].as_str().unwrap().to_owned())
    })
    .await;
    (id, reference)
}

async fn delivered(world: &World, simulator: &dyn Simulator, reference: &str) {
    let sent = simulator.webhook(reference);
    let path = format!("/api/v1/webhooks/{}", simulator.name());
    let request = world.guest(Method::POST, &path).headers(sent.headers);
    let _stored = send(request.body(sent.body)).await.expect(200);
}

#[tokio::test]
async fn stripe_reports_risk_country_and_card() {
    let stripe = Stripe::start().await;
    let dynamic: Arc<dyn Simulator> = stripe.clone();
    let world = World::with(|settings| settings.environment = dynamic.environment()).await;
    let condition = json!({"kind": "provider_risk", "at_least": "elevated"});
    fraud_rule(&world, "radar", "review", condition).await;
    let (id, reference) = to_be_paid(&world, &*stripe).await;
    stripe.finds_risk("elevated");
    stripe.customer_pays(&reference);
    delivered(&world, &*stripe, &reference).await;
    let order = held(&world, &id).await;
    let detail = &order["screenings"][0]["reasons"][0]["detail"];
    assert_eq!(detail, "the provider finds the risk elevated");
    let payment = order["payment_id"].as_str().unwrap();
    let payment = world
        .get(&format!("/api/v1/payments/{payment}"))
        .await
        .expect(200)
        .json();
    let attempt = &payment["attempts"][0];
    assert_eq!((&attempt["risk"], &attempt["card_country"]), (&json!("elevated"), &json!("GB")));
    // The card is blocked, and the next order by it ends.
    let card = json!({"kind": "fingerprint", "value": attempt["fingerprint"], "note": "stolen"});
    let _blocked = send(world.staff(Method::POST, "/api/v1/blocklist").json(&card))
        .await
        .expect(201);
    fraud_rule(&world, "stolen", "refuse", json!({"kind": "blocked", "what": "fingerprint"})).await;
    let _approved = review(&world, &id, "approve").await.expect(200);
    world.order_when(&id, "confirmed").await;
    let (id, reference) = to_be_paid(&world, &*stripe).await;
    stripe.customer_pays(&reference);
    delivered(&world, &*stripe, &reference).await;
    let order = world.order_when(&id, "failed").await;
    assert_eq!(order["screenings"][0]["outcome"], "refuse", "{order}");
    assert_eq!(order["screenings"][0]["reasons"].as_array().unwrap().len(), 2);

    // A token of Stripe.js is paid at once, and judged all the same.
    let mut direct = an_order(&[("cup", 1)]);
    direct["gateway"] = "stripe".into();
    direct["payment_token"] = "pm_card_riskLevelElevated".into();
    let id = id_in(&world.post("/api/v1/orders", direct).await.expect(201));
    let order = world.order_when(&id, "failed").await;
    assert_eq!(order["screenings"][0]["outcome"], "refuse");
    world.verify().await;
}

#[tokio::test]
async fn what_sslcommerz_would_not_deliver_waits_without_any_rule() {
    let sslcommerz = SslCommerz::start().await;
    let dynamic: Arc<dyn Simulator> = sslcommerz.clone();
    let world = World::with(|settings| settings.environment = dynamic.environment()).await;
    let (id, reference) = to_be_paid(&world, &*sslcommerz).await;
    sslcommerz.finds_risk();
    sslcommerz.customer_pays(&reference);
    delivered(&world, &*sslcommerz, &reference).await;
    let order = held(&world, &id).await;
    assert_eq!(order["screenings"][0]["reasons"][0]["rule"], "provider hold");
    let payment = order["payment_id"].as_str().unwrap();
    let payment = world
        .get(&format!("/api/v1/payments/{payment}"))
        .await
        .expect(200)
        .json();
    assert_eq!(payment["attempts"][0]["risk"], "highest");
    let _approved = review(&world, &id, "approve").await.expect(200);
    world.order_when(&id, "confirmed").await;

    // A rule may say what is to be done with such payments.
    let condition = json!({"kind": "provider_risk", "at_least": "highest"});
    fraud_rule(&world, "risky", "refuse", condition).await;
    let (id, reference) = to_be_paid(&world, &*sslcommerz).await;
    sslcommerz.customer_pays(&reference);
    delivered(&world, &*sslcommerz, &reference).await;
    world.order_when(&id, "failed").await;
    nobody_else_is_needed(&world).await;
}
