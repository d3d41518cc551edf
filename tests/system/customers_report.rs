//! Who buys, who comes back, and what is left of it when somebody is forgotten.

use reqwest::Method;
use serde_json::{Value, json};
use tests::telling::{items, keyed};
use tests::world::{World, an_order, send};

/// An order of so many cups by somebody on a day, paid.
async fn bought(world: &World, who: &str, day: &str, cups: u32) -> String {
    let mut order = an_order(&[("cup", cups)]);
    order["customer"]["email"] = who.into();
    order["placed_at"] = format!("{day}T12:00:00Z").into();
    let placed = world.post("/api/v1/orders", order).await.expect(201).json();
    placed["id"].as_str().unwrap().to_owned()
}

async fn report(world: &World, query: &str) -> Vec<Value> {
    items(
        &world
            .get(&format!("/api/v1/reports/customers?{query}"))
            .await
            .expect(200),
    )
}

fn told(row: &Value, names: &[&str]) -> Vec<String> {
    let text = |name: &&str| match &row[*name] {
        Value::String(text) => text.clone(),
        Value::Object(money) => money["amount"].as_str().unwrap().to_owned(),
        other => other.to_string(),
    };
    names.iter().map(text).collect()
}

const MONTH: &[&str] = &[
    "month",
    "customers",
    "new_customers",
    "returning_customers",
    "orders",
    "forgotten_orders",
    "orders_per_customer",
    "net",
    "net_per_customer",
];
const COHORT: &[&str] = &[
    "cohort",
    "month",
    "months_since",
    "cohort_customers",
    "customers",
    "orders",
    "net",
    "net_per_customer",
];

#[tokio::test]
async fn customers_are_new_once_and_return_and_are_nobody_once_they_are_forgotten() {
    let world = World::new().await;
    world.article("cup", "4.50", 1_000).await;
    let _a = bought(&world, "ada@example.com", "2025-01-10", 2).await;
    let refunded = bought(&world, "Ada@Example.com", "2025-01-20", 2).await;
    let _b = bought(&world, "bob@example.com", "2025-01-31", 1).await;
    let _c = bought(&world, "ada@example.com", "2025-03-01", 4).await;
    let _d = bought(&world, "eve@example.com", "2025-03-31", 1).await;
    // Nobody buys who does not pay.
    let mut unpaid = an_order(&[("cup", 1)]);
    unpaid["payment_token"] = "declined".into();
    unpaid["placed_at"] = "2025-02-01T12:00:00Z".into();
    let _unpaid = world.post("/api/v1/orders", unpaid).await.expect(201);
    world.settle().await;
    let refund =
        json!({"reason": "broken", "items": [{"sku": "cup", "quantity": 1, "restock": false}]});
    let _refund = world
        .post(&format!("/api/v1/orders/{refunded}/refunds"), refund)
        .await
        .expect(201);
    world.settle().await;

    let months = report(&world, "group_by=month").await;
    let told_of =
        |rows: &[Value], names| rows.iter().map(|row| told(row, names)).collect::<Vec<_>>();
    assert_eq!(
        told_of(&months, MONTH),
        [
            ["2025-01", "2", "2", "0", "3", "0", "1.50", "18.00", "9.00"],
            ["2025-03", "2", "1", "1", "2", "0", "1.00", "22.50", "11.25"],
        ]
    );
    let cohorts = report(&world, "group_by=cohort").await;
    assert_eq!(
        told_of(&cohorts, COHORT),
        [
            ["2025-01", "2025-01", "0", "2", "2", "3", "18.00", "9.00"],
            ["2025-01", "2025-03", "2", "2", "1", "1", "18.00", "18.00"],
            ["2025-03", "2025-03", "0", "1", "1", "1", "4.50", "4.50"],
        ]
    );
    // Who bought within some days is no newer for it; cohorts are bounded by the first purchase.
    let march = report(&world, "group_by=month&from=2025-03-01&to=2025-03-31").await;
    assert_eq!(told_of(&march, MONTH), told_of(&months[1..], MONTH));
    let cohort = report(&world, "group_by=cohort&from=2025-03-01").await;
    assert_eq!(told_of(&cohort, COHORT), told_of(&cohorts[2..], COHORT));
    // As many orders and as much money as the sales have.
    let sales = items(&world.get("/api/v1/reports/sales?group_by=month").await);
    let of_sales: Vec<_> = sales
        .iter()
        .map(|row| told(row, &["key", "orders", "net"]))
        .collect();
    assert_eq!(of_sales, told_of(&months, &["month", "orders", "net"]));
    for query in ["", "group_by=day", "group_by=month&from=never"] {
        let refused = world
            .get(&format!("/api/v1/reports/customers?{query}"))
            .await;
        assert_eq!(refused.problem(400), "invalid_parameters", "{query}");
    }

    let forget = world.staff(Method::DELETE, "/api/v1/customers/ada@example.com/personal-data");
    let _forgotten = send(keyed(forget).json(&json!({"reason": "asked for it"})))
        .await
        .expect(200);
    world.settle().await;
    assert_eq!(
        told_of(&report(&world, "group_by=month").await, MONTH),
        [
            ["2025-01", "1", "1", "0", "3", "2", "1.00", "18.00", "4.50"],
            ["2025-03", "1", "1", "0", "2", "1", "1.00", "22.50", "4.50"],
        ]
    );
    let left: Vec<String> =
        sqlx::query_scalar("select customer_orders::text from read.customer_orders")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert!(left.iter().all(|row| !row.contains('@')), "{left:?}");
    let report = projections::diffing::live(&world.pool, 10, |_, _| ())
        .await
        .unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn what_a_promotion_takes_off_is_not_what_customers_spend() {
    let world = World::new().await;
    world.article("cup", "4.50", 1_000).await;
    let half = json!({"name": "Half", "percentage": "50"});
    let put = world.staff(Method::PUT, "/api/v1/promotions/HALF");
    let _offered = send(keyed(put).json(&half)).await.expect(200);
    let mut order = an_order(&[("cup", 2)]);
    order["promotion_code"] = "HALF".into();
    let placed = world.post("/api/v1/orders", order).await.expect(201).json();
    world.settle().await;

    let months = report(&world, "group_by=month").await;
    assert_eq!(told(&months[0], &["orders", "gross", "net"]), ["1", "4.50", "4.50"]);

    let path = format!("/api/v1/orders/{}/refunds", placed["id"].as_str().unwrap());
    let _asked = world
        .post(&path, json!({"reason": "broken"}))
        .await
        .expect(201);
    world.settle().await;
    let months = report(&world, "group_by=month").await;
    assert_eq!(told(&months[0], &["gross", "refunded", "net"]), ["4.50", "4.50", "0.00"]);
}
