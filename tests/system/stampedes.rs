//! When many ask the same at the same time, one of them makes the work; and what memory knows of stock
//! before anybody has asked.

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use tests::counting::Counting;
use tests::people::PHRASE;
use tests::telling::{items, keyed, pointers, these};
use tests::world::{an_order, send, until};
use tests::{Answer, World};

const MANY: usize = 60;
const REPORTS: &str = "report_answers_total";
const LOOK_UPS: &str = "availability_lookups_total";

async fn bought(world: &World, cups: u32) -> String {
    let placed = world
        .post("/api/v1/orders", an_order(&[("cup", cups)]))
        .await;
    let id = placed.expect(201).json()["id"].as_str().unwrap().to_owned();
    let _paid = world.order_when(&id, "confirmed").await;
    id
}

async fn see(world: &World, path: &str, position: i64) -> Answer {
    let request = world.staff(Method::GET, path);
    let request = request.header("daybook-min-position", position);
    send(request).await.expect(200)
}

#[tokio::test]
async fn a_report_that_many_ask_for_is_computed_once_until_something_is_sold_or_given_back() {
    let counting = Counting::begin();
    let world = World::new().await;
    world.article("cup", "4.50", 1_000).await;
    let order = bought(&world, 2).await;
    let paths = [
        "/api/v1/reports/sales?group_by=country",
        "/api/v1/reports/customers?group_by=month",
    ];
    let mut computed = 0;
    let net = ["9.00", "18.00", "13.50"];
    for (round, net) in net.into_iter().enumerate() {
        world.settle().await;
        let position = world.get("/api/v1/events?limit=1").await.position();
        for path in paths {
            // The first is alone, so that all the others are told as of a position that it knows.
            let first = see(&world, path, position).await;
            assert_eq!(items(&first)[0]["net"]["amount"], net, "{path} {round}");
            let others = join_all((0..MANY).map(|_| see(&world, path, position))).await;
            assert!(others.iter().all(|other| other.text == first.text));
            computed += 1;
            assert_eq!(counting.from(REPORTS, "computation"), computed, "{path} {round}");
        }
        // What is no sale changes no report.
        let received = json!({"quantity": 5, "reference": "delivery"});
        let received = world.post("/api/v1/inventory/cup/receipts", received).await;
        let position = received.expect(200).position();
        for path in paths {
            let still = see(&world, path, position).await;
            assert_eq!(items(&still)[0]["net"]["amount"], net);
            assert!(position <= still.position());
        }
        assert_eq!(counting.from(REPORTS, "computation"), computed);
        if round == 0 {
            let _another = bought(&world, 2).await;
        } else if round == 1 {
            let refund = json!({
                "reason": "broken", "items": [{"sku": "cup", "quantity": 1, "restock": false}]
            });
            let path = format!("/api/v1/orders/{order}/refunds");
            let refunded = world.post(&path, refund).await;
            assert!(refunded.status.is_success(), "{}", refunded.text);
            until("it has gone back", async || {
                let shown = world.get(&format!("/api/v1/orders/{order}")).await.json();
                (shown["refunded"]["amount"] == "4.50").then_some(())
            })
            .await;
        }
    }
    // Together with those who ask while it is computed for the first time.
    let path = "/api/v1/reports/sales?group_by=sku";
    let told = join_all((0..MANY).map(|_| see(&world, path, 0))).await;
    assert!(told.iter().all(|one| one.text == told[0].text));
    assert_eq!(counting.from(REPORTS, "computation"), computed + 1);

    // Whoever may not see reports is not told what is kept of them.
    let body = json!({"email": "eve@example.org", "password": PHRASE});
    let register = world.guest(Method::POST, "/api/v1/auth/register");
    let eve = send(register.json(&body)).await.expect(201).json();
    let eve = eve["access"].as_str().unwrap();
    let denied = send(world.guest(Method::GET, path).bearer_auth(eve)).await;
    assert_eq!(denied.problem(403), "forbidden");
    assert_eq!(send(world.guest(Method::GET, path)).await.problem(401), "unauthenticated");
}

#[tokio::test]
async fn who_was_forgotten_is_in_no_report_that_is_kept() {
    let world = World::new().await;
    world.article("cup", "4.50", 1_000).await;
    let _order = bought(&world, 1).await;
    world.settle().await;
    let path = "/api/v1/reports/customers?group_by=month";
    assert_eq!(items(&see(&world, path, 0).await)[0]["customers"], 1);
    let email = an_order(&[])["customer"]["email"].clone();
    let forget = format!("/api/v1/customers/{}/personal-data", email.as_str().unwrap());
    let reason = json!({"reason": "asked to be"});
    let forgotten = send(keyed(world.staff(Method::DELETE, &forget)).json(&reason)).await;
    assert!(forgotten.status.is_success(), "{}", forgotten.text);
    world.settle().await;
    let position = world.get("/api/v1/events?limit=1").await.position();
    let row = items(&see(&world, path, position).await)[0].clone();
    assert_eq!((&row["customers"], &row["forgotten_orders"]), (&json!(0), &json!(1)));
}

#[tokio::test]
async fn an_article_that_memory_does_not_hold_is_looked_up_once_for_all_who_ask() {
    let counting = Counting::begin();
    let mut world = World::new().await;
    world.article("tea", "3.00", 7).await;
    world.settle().await;
    world.restart().await;
    world.article("cup", "4.50", 10).await;
    world.settle().await;
    let position = world.get("/api/v1/events?limit=1").await.position();
    let ask = async |sku: &str| {
        let path = format!("/api/v1/products/{sku}/availability");
        let request = world.guest(Method::GET, &path);
        let answer = send(request.header("daybook-min-position", position)).await;
        answer.expect(200).json()["available"].as_i64().unwrap()
    };
    // Known from the start.
    assert_eq!(ask("tea").await, 7);
    assert_eq!(counting.from(LOOK_UPS, "database"), 0);

    let told = join_all((0..MANY).map(|_| ask("cup"))).await;
    assert!(told.iter().all(|available| *available == 10));
    assert_eq!(counting.from(LOOK_UPS, "database"), 1);
    assert_eq!(ask("cup").await, 10);
    assert_eq!(counting.from(LOOK_UPS, "database"), 1, "it is known by now");
}

#[tokio::test]
async fn what_is_gone_is_refused_at_once_though_nobody_has_asked_since_the_start() {
    let counting = Counting::begin();
    let mut world = World::new().await;
    world.article("cup", "4.50", 2).await;
    world.article("pot", "9.00", 0).await;
    let _sold = bought(&world, 1).await;
    world.settle().await;
    world.restart().await;
    let place = async |items: &[(&str, u32)]| {
        let request = world.guest(Method::POST, "/api/v1/orders");
        let request = keyed(request).header("prefer", "in-stock, wait=30");
        send(request.json(&an_order(items))).await
    };
    // What the log held at the start is heard before anything is told of it.
    let gone = until("it is refused", async || {
        let answer = place(&[("pot", 1), ("cup", 2)]).await;
        (answer.status == 409).then_some(answer)
    })
    .await;
    assert_eq!(gone.problem(409), "out_of_stock");
    assert_eq!(pointers(&gone), these(&["/items/0/sku", "/items/1/sku"]));
    let left = async |sku: &str, position: i64| {
        let path = format!("/api/v1/products/{sku}/availability");
        let request = world.guest(Method::GET, &path);
        let told = send(request.header("daybook-min-position", position)).await;
        told.expect(200).json()["available"].as_i64().unwrap()
    };
    // What has been sold since is gone as well, and what has come in is there.
    assert_eq!(place(&[("cup", 1)]).await.expect(201).json()["status"], "confirmed");
    let position = world.get("/api/v1/events?limit=1").await.position();
    assert_eq!(left("cup", position).await, 0);
    assert_eq!(place(&[("cup", 1)]).await.problem(409), "out_of_stock");
    let received = json!({"quantity": 1, "reference": "delivery"});
    let received = world.post("/api/v1/inventory/pot/receipts", received).await;
    assert_eq!(left("pot", received.expect(200).position()).await, 1);
    assert_eq!(place(&[("pot", 1)]).await.expect(201).json()["status"], "confirmed");
    assert_eq!(counting.from(LOOK_UPS, "database"), 0);
    world.verify().await;
}
