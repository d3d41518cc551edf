//! Refunds to the penny: in full, in part, by pieces, never too much.

use serde_json::{Value, json};
use tests::World;
use tests::simulators::Simulator;
use tests::simulators::paystack::Paystack;
use tests::world::{an_order, until};

/// An order of 3 cups at 3.33 and a pot at 10.00, with 4.99 for shipping: 24.98.
async fn confirmed() -> (World, String) {
    let world = World::new().await;
    world.article("cup", "3.33", 10).await;
    world.article("pot", "10.00", 10).await;
    let mut order = an_order(&[("cup", 3), ("pot", 1)]);
    order["shipping_cost"] = json!({"amount": "4.99", "currency": "GBP"});
    let placed = world.post("/api/v1/orders", order).await.expect(201).json();
    let order_id = placed["id"].as_str().unwrap().to_owned();
    world.order_when(&order_id, "confirmed").await;
    (world, order_id)
}

async fn refund(world: &World, order_id: &str, body: Value) -> tests::Answer {
    world
        .post(&format!("/api/v1/orders/{order_id}/refunds"), body)
        .await
}

async fn when_refunded(world: &World, order_id: &str, amount: &str) -> Value {
    until(&format!("{amount} has gone back"), async || {
        let order = world
            .get(&format!("/api/v1/orders/{order_id}"))
            .await
            .json();
        (order["refunded"]["amount"] == amount).then_some(order)
    })
    .await
}

async fn complete(world: &World, order_id: &str) {
    let path = format!("/api/v1/orders/{order_id}/complete");
    let _completed = world.post(&path, json!({})).await.expect(200);
    world.settle().await;
}

fn pounds(amount: &str) -> Value {
    json!({"amount": amount, "currency": "GBP"})
}

#[tokio::test]
async fn partial_refunds_add_up_to_the_whole_and_not_a_penny_more() {
    let (world, order_id) = confirmed().await;
    complete(&world, &order_id).await;

    let part = json!({"amount": pounds("0.01"), "reason": "goodwill"});
    assert!(refund(&world, &order_id, part).await.status.is_success());
    let order = when_refunded(&world, &order_id, "0.01").await;
    assert_eq!(order["payment_status"], "partially_refunded");
    assert_eq!(order["status"], "completed");

    let too_much = json!({"amount": pounds("24.98"), "reason": "all of it"});
    assert_eq!(refund(&world, &order_id, too_much).await.status.as_u16(), 422);

    let rest = json!({"reason": "all that is left"});
    assert!(
        refund(&world, &order_id, rest.clone())
            .await
            .status
            .is_success()
    );
    when_refunded(&world, &order_id, "24.98").await;
    // The order hears of it a moment after the payment.
    world.order_when(&order_id, "refunded").await;

    let nothing_left = refund(&world, &order_id, rest).await.status.as_u16();
    assert!([409, 422].contains(&nothing_left), "{nothing_left}");
    world.verify().await;
}

#[tokio::test]
async fn pieces_go_back_at_what_they_cost_and_on_the_shelf_only_if_asked() {
    let (world, order_id) = confirmed().await;
    complete(&world, &order_id).await;
    assert_eq!(world.stock("cup").await, (7, 0));

    let items = json!({"reason": "broken", "items": [
        {"sku": "cup", "quantity": 1, "restock": true},
        {"sku": "pot", "quantity": 1, "restock": false},
    ]});
    assert!(refund(&world, &order_id, items).await.status.is_success());

    when_refunded(&world, &order_id, "13.33").await;
    assert_eq!(world.stock("cup").await, (8, 0));
    assert_eq!(world.stock("pot").await, (9, 0));
    let again = json!({"reason": "again", "items": [
        {"sku": "pot", "quantity": 1, "restock": false},
    ]});
    assert_eq!(refund(&world, &order_id, again).await.status.as_u16(), 422);
    world.verify().await;
}

#[tokio::test]
async fn refunds_asked_for_at_once_never_exceed_what_was_captured() {
    let (world, order_id) = confirmed().await;
    complete(&world, &order_id).await;

    let ask = json!({"amount": pounds("10.00"), "reason": "many at once"});
    let asked = (0..8).map(|_| refund(&world, &order_id, ask.clone()));
    let answers = futures::future::join_all(asked).await;

    let granted = answers
        .iter()
        .filter(|answer| answer.status.is_success())
        .count();
    assert_eq!(granted, 2, "20.00 of 24.98");
    when_refunded(&world, &order_id, "20.00").await;
    world.verify().await;
}

/// 50 partial refunds at once, of odd amounts: what is granted never exceeds what was captured, and
/// one more penny than is left is refused.
#[tokio::test]
async fn fifty_partial_refunds_at_once_never_exceed_what_was_captured() {
    let (world, order_id) = confirmed().await;
    complete(&world, &order_id).await;

    let ask = |n: i64| json!({"amount": pounds(&format!("1.{n:02}")), "reason": "goodwill"});
    let asked = (0..50).map(|n| refund(&world, &order_id, ask(n)));
    let answers = futures::future::join_all(asked).await;

    let minor = |answer: &tests::Answer| {
        let amount = answer.json()["amount"]["amount"]
            .as_str()
            .unwrap()
            .replace('.', "");
        amount.parse::<i64>().unwrap()
    };
    let (granted, refused): (Vec<&tests::Answer>, Vec<&tests::Answer>) = answers
        .iter()
        .partition(|answer| answer.status.is_success());
    let gone: i64 = granted.iter().map(|answer| minor(answer)).sum();
    assert!(
        gone <= 2_498 && 2_498 - gone < 149,
        "{gone} of 2498 in {} refunds",
        granted.len()
    );
    // By chance the granted ones may add up to all there is: who comes after that is told so.
    let is_all = gone == 2_498;
    for answer in &refused {
        if is_all && answer.status == 409 {
            assert_eq!(answer.problem(409), "nothing_to_refund");
        } else {
            assert_eq!(answer.problem(422), "refund_too_large");
        }
    }
    let written = |minor: i64| format!("{}.{:02}", minor / 100, minor % 100);
    when_refunded(&world, &order_id, &written(gone)).await;
    let more = json!({"amount": pounds(&written(2_498 - gone + 1)), "reason": "more"});
    let more = refund(&world, &order_id, more).await;
    assert_eq!(more.status, if is_all { 409 } else { 422 }, "{}", more.text);
    let _rest = refund(&world, &order_id, json!({"reason": "the rest"})).await;
    when_refunded(&world, &order_id, "24.98").await;
    world.verify().await;
}

/// A refund by pieces that the provider cannot pay out gives the pieces' money back to the order: it
/// is asked for again, under another name.
#[tokio::test]
async fn a_refund_that_the_provider_cannot_pay_out_does_not_count_and_is_asked_for_again() {
    let simulator: std::sync::Arc<dyn Simulator> = Paystack::start().await;
    let world = World::with(|settings| settings.environment = simulator.environment()).await;
    let naira = |amount: &str| json!({"amount": amount, "currency": "NGN"});
    let cup = json!({"name": "Cup", "price": naira("100.00"), "active": true});
    let put = world.staff(reqwest::Method::PUT, "/api/v1/products/cup");
    let _cup = tests::world::send(put.header("idempotency-key", "cup").json(&cup))
        .await
        .expect(200);
    let stock = json!({"quantity": 10, "reference": "opening stock"});
    let _stock = world.post("/api/v1/inventory/cup/receipts", stock).await;
    let mut order = an_order(&[("cup", 3)]);
    order["currency"] = "NGN".into();
    order["payment_method"] = "bank_transfer".into();
    order["gateway"] = "paystack".into();
    let placed = world.post("/api/v1/orders", order).await.expect(201).json();
    let order_id = placed["id"].as_str().unwrap().to_owned();
    let reference = until("there is a page to pay on", async || {
        let path = format!("/api/v1/orders/{order_id}/payment");
        let to_pay = world.get(&path).await;
        let to_pay = to_pay.status.is_success().then(|| to_pay.json())?;
        to_pay["next_step"].as_object()?;
        Some(to_pay["reference"].as_str()?.to_owned())
    })
    .await;
    simulator.customer_pays(&reference);
    world.order_when(&order_id, "confirmed").await;
    let two = json!({"reason": "broken", "items": [
        {"sku": "cup", "quantity": 2, "restock": false},
    ]});
    let status_of = async |refund_id: &str| {
        let order = world
            .get(&format!("/api/v1/orders/{order_id}"))
            .await
            .json();
        let refunds = order["refunds"].as_array().unwrap().clone();
        let refund = refunds
            .into_iter()
            .find(|refund| refund["refund_id"] == refund_id)?;
        Some(refund["status"].as_str()?.to_owned())
    };
    let ask = async || {
        let asked = refund(&world, &order_id, two.clone()).await;
        let refund_id = asked.expect(201).json()["refund_id"]
            .as_str()
            .unwrap()
            .to_owned();
        until("the provider has taken it on", async || {
            (simulator.refunds_called(&refund_id) == 1).then_some(())
        })
        .await;
        refund_id
    };

    simulator.refunds_work(false);
    let first = ask().await;
    assert_eq!(status_of(&first).await.as_deref(), Some("pending"), "taken on is not paid out");
    let meanwhile = refund(&world, &order_id, two.clone()).await;
    assert_eq!(meanwhile.problem(422), "too_many_pieces", "while it is pending, it counts");
    simulator.works_off_refunds();
    until("it has failed", async || (status_of(&first).await? == "failed").then_some(())).await;

    simulator.refunds_work(true);
    // The order hears of it a moment after its payment.
    world.settle().await;
    let second = ask().await;
    simulator.works_off_refunds();
    let order = when_refunded(&world, &order_id, "200.00").await;
    assert_ne!(first, second);
    assert_eq!(order["payment_status"], "partially_refunded");
    assert_eq!(simulator.refunds_called(&first), 1, "and the first was never paid out");
    world.verify().await;
}

#[tokio::test]
async fn the_sales_report_shows_refunds_of_goods_to_the_penny() {
    let (world, order_id) = confirmed().await;
    complete(&world, &order_id).await;
    assert!(
        refund(&world, &order_id, json!({"reason": "all"}))
            .await
            .status
            .is_success()
    );
    when_refunded(&world, &order_id, "24.98").await;
    world.settle().await;

    let by_sku = world
        .get("/api/v1/reports/sales?group_by=sku")
        .await
        .expect(200)
        .json();

    let row = |key: &str, units: u32, gross: &str| {
        json!({
            "key": key, "orders": 1, "units": units,
            "gross": pounds(gross), "refunded": pounds(gross), "net": pounds("0.00"),
        })
    };
    assert_eq!(by_sku["items"], json!([row("cup", 3, "9.99"), row("pot", 1, "10.00")]));
}

#[tokio::test]
async fn an_order_refunded_before_it_was_fulfilled_gives_its_stock_back() {
    let (world, order_id) = confirmed().await;

    assert!(
        refund(&world, &order_id, json!({"reason": "all"}))
            .await
            .status
            .is_success()
    );

    when_refunded(&world, &order_id, "24.98").await;
    // The order hears of it a moment after the payment.
    world.order_when(&order_id, "refunded").await;
    assert_eq!(world.stock("cup").await, (10, 0));
    world.verify().await;
}

#[tokio::test]
async fn an_unpaid_order_has_nothing_to_refund_and_only_staff_may_ask() {
    let world = World::new().await;
    world.article("cup", "3.33", 10).await;
    let silent = tests::world::an_order_paid_with("silent", &[("cup", 1)]);
    let placed = world
        .post("/api/v1/orders", silent)
        .await
        .expect(201)
        .json();
    let order_id = placed["id"].as_str().unwrap();

    let unpaid = refund(&world, order_id, json!({"reason": "why not"})).await;
    assert_eq!(unpaid.status.as_u16(), 409, "{}", unpaid.text);

    let guest = world
        .guest(reqwest::Method::POST, &format!("/api/v1/orders/{order_id}/refunds"))
        .header("idempotency-key", "mine")
        .json(&json!({"reason": "please"}));
    assert_eq!(tests::world::send(guest).await.problem(401), "unauthenticated");
}
