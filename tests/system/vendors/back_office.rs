//! What vendors see of their business: an order of theirs, all of them as a table, what they have sold.

use reqwest::Method;
use serde_json::{Value, json};
use tests::telling::{id_in, items, pointers, these};
use tests::world::{Answer, World, an_order, send};

use super::selling::Seller;
use crate::tables::cells;

const ORDERS: &str = "/api/v1/vendors/me/orders";
const SALES: &str = "/api/v1/vendors/me/sales";

/// An order on a day, as staff take down what was ordered; its id.
async fn sold(world: &World, day: &str, articles: &[(&str, u32)]) -> String {
    let mut order = an_order(articles);
    order["placed_at"] = format!("{day}T12:00:00Z").into();
    let id = id_in(&world.post("/api/v1/orders", order).await.expect(201));
    let _paid = world.order_when(&id, "confirmed").await;
    id
}

async fn csv(world: &World, seller: &Seller, path: &str) -> Answer {
    let request = world.guest(Method::GET, path).bearer_auth(&seller.token);
    send(request.header("accept", "text/csv")).await
}

async fn a_market() -> (World, Seller, Seller) {
    let world = World::new().await;
    world.article("cup", "4.50", 1_000).await;
    let potts = Seller::active(&world, "potts@example.org").await;
    let wedge = Seller::active(&world, "wedge@example.org").await;
    potts.stocked(&world, "vase", "9.00", 1_000).await;
    potts.stocked(&world, "bowl", "7.00", 1_000).await;
    wedge.stocked(&world, "pot", "6.00", 1_000).await;
    (world, potts, wedge)
}

#[tokio::test]
async fn a_vendor_opens_an_order_with_lines_of_theirs_and_no_other() {
    let (world, potts, wedge) = a_market().await;
    let id = sold(&world, "2025-01-10", &[("cup", 1), ("vase", 2)]).await;
    let mut unpaid = an_order(&[("vase", 1)]);
    unpaid["payment_token"] = "declined".into();
    let unpaid = id_in(&world.post("/api/v1/orders", unpaid).await.expect(201));
    world.settle().await;

    let path = format!("{ORDERS}/{id}");
    let seen = potts.get(&world, &path).await.expect(200);
    let listed = items(&potts.get(&world, ORDERS).await.expect(200));
    assert_eq!(seen.json(), listed[0], "as in the list");
    assert_eq!((listed.len(), &listed[0]["items"][0]["line"]), (1, &json!(2)));
    assert_eq!(seen.header("cache-control").as_deref(), Some("no-store"));
    let tag = seen.header("etag").unwrap();
    let same = world.guest(Method::GET, &path).bearer_auth(&potts.token);
    let _same = send(same.header("if-none-match", &tag)).await.expect(304);
    let shipped = format!("/api/v1/orders/{id}/shipments");
    let _left = potts.post(&world, &shipped, &json!({})).await.expect(200);
    world.settle().await;
    let after = potts.get(&world, &path).await.expect(200);
    assert_ne!(after.header("etag"), Some(tag));
    assert_eq!(after.json()["shipped"], true);

    for (whose, path) in [
        (&wedge, path.clone()),
        (&potts, format!("{ORDERS}/{unpaid}")),
        (&potts, format!("{ORDERS}/{}", potts.id)),
        (&potts, format!("{ORDERS}/x")),
    ] {
        assert_eq!(whose.get(&world, &path).await.problem(404), "not_found", "{path}");
    }
    assert_eq!(world.get(&path).await.problem(403), "forbidden");
    assert_eq!(send(world.guest(Method::GET, &path)).await.problem(401), "unauthenticated");

    let profile = potts.get(&world, "/api/v1/vendors/me").await.expect(200);
    let tag = profile.header("etag").unwrap();
    let same = world
        .guest(Method::GET, "/api/v1/vendors/me")
        .bearer_auth(&potts.token);
    let _same = send(same.header("if-none-match", tag)).await.expect(304);
}

#[tokio::test]
async fn a_vendors_orders_are_a_table_of_their_lines_over_many_pages() {
    let (world, potts, wedge) = a_market().await;
    for n in 0..120 {
        let mut order = an_order(&[("cup", 1), ("vase", 1), ("pot", 1), ("bowl", 2)]);
        order["customer"]["name"] = format!("=Ada {n}").into();
        let _placed = world.post("/api/v1/orders", order).await.expect(201);
    }
    world.settle().await;
    let listed = items(&potts.get(&world, &format!("{ORDERS}?limit=1")).await);
    let shipments = format!("/api/v1/orders/{}/shipments", listed[0]["id"].as_str().unwrap());
    let parcel = json!({"carrier": "Royal Mail", "tracking_number": "+44 1"});
    let _left = potts.post(&world, &shipments, &parcel).await.expect(200);
    world.settle().await;

    let table = cells(&csv(&world, &potts, ORDERS).await.expect(200));
    assert_eq!(table.len(), 1 + 240, "two lines of each order");
    let place = |name: &str| table[0].iter().position(|of| of == name).unwrap();
    let lines: Vec<&str> = table[1..]
        .iter()
        .map(|row| row[place("line")].as_str())
        .collect();
    assert_eq!(lines, ["2", "4"].repeat(120), "and none of others");
    let row: Vec<&str> = [
        "sku",
        "quantity",
        "currency",
        "unit_price",
        "line_total",
        "country",
    ]
    .iter()
    .map(|name| table[2][place(name)].as_str())
    .collect();
    assert_eq!(row, ["bowl", "2", "GBP", "7.00", "14.00", "GB"]);
    assert!(
        table[1..]
            .iter()
            .all(|row| row[place("ship_to_name")].starts_with("'=Ada"))
    );
    assert_eq!(table[1][place("tracking_number")], "'+44 1");
    assert_eq!(table[3][place("tracking_number")], "");

    let left = csv(&world, &potts, &format!("{ORDERS}?shipped=true")).await;
    assert_eq!(cells(&left.expect(200)).len(), 1 + 2);
    let open = csv(&world, &potts, &format!("{ORDERS}?shipped=false&status=confirmed")).await;
    assert_eq!(cells(&open.expect(200)).len(), 1 + 238);
    let other = cells(&csv(&world, &wedge, ORDERS).await.expect(200));
    assert_eq!(other.len(), 1 + 120);
    assert!(other[1..].iter().all(|row| row[place("sku")] == "pot"));
    let refused = csv(&world, &potts, &format!("{ORDERS}?limit=5")).await;
    assert_eq!(pointers(&refused), these(&["?limit"]));
}

/// Key, orders, units, gross, refunded and net of each row.
fn told(answer: &Answer) -> Vec<Vec<String>> {
    let rows = items(answer);
    let cell = |row: &Value, name: &str| match &row[name] {
        Value::String(text) => text.clone(),
        Value::Object(money) => money["amount"].as_str().unwrap().to_owned(),
        other => other.to_string(),
    };
    let names = ["key", "orders", "units", "gross", "refunded", "net"];
    rows.iter()
        .map(|row| names.iter().map(|name| cell(row, name)).collect())
        .collect()
}

#[tokio::test]
async fn a_vendors_sales_are_their_own_lines_and_add_up_however_they_are_grouped() {
    let (world, potts, wedge) = a_market().await;
    let first = sold(&world, "2025-01-10", &[("cup", 5), ("vase", 2), ("bowl", 1)]).await;
    let _second = sold(&world, "2025-01-31", &[("vase", 1), ("pot", 1)]).await;
    let _third = sold(&world, "2025-03-01", &[("bowl", 3)]).await;
    let mut unpaid = an_order(&[("vase", 9)]);
    unpaid["payment_token"] = "declined".into();
    let _unpaid = world.post("/api/v1/orders", unpaid).await.expect(201);
    let back = json!({"reason": "a crack", "items": [
        {"sku": "vase", "quantity": 1, "restock": false},
        {"sku": "cup", "quantity": 1, "restock": true},
    ]});
    let path = format!("/api/v1/orders/{first}/refunds");
    let _asked = world.post(&path, back).await.expect(201);
    world.settle().await;

    let report = async |seller: &Seller, query: &str| {
        let told_of = seller
            .get(&world, &format!("{SALES}?group_by={query}"))
            .await;
        told(&told_of.expect(200))
    };
    assert_eq!(
        report(&potts, "sku").await,
        [
            ["bowl", "2", "4", "28.00", "0.00", "28.00"],
            ["vase", "2", "3", "27.00", "9.00", "18.00"],
        ]
    );
    assert_eq!(
        report(&potts, "month").await,
        [
            ["2025-01", "2", "4", "34.00", "9.00", "25.00"],
            ["2025-03", "1", "3", "21.00", "0.00", "21.00"],
        ]
    );
    assert_eq!(report(&potts, "currency").await, [["GBP", "3", "7", "55.00", "9.00", "46.00"]]);
    assert_eq!(report(&potts, "day").await.len(), 3);
    // Both ends are included, by article as by day.
    for group in ["day", "sku"] {
        let query = format!("{group}&from=2025-01-31&to=2025-01-31");
        let rows = report(&potts, &query).await;
        assert_eq!(rows.len(), 1, "{query}");
        assert_eq!(rows[0][1..], ["1", "1", "9.00", "0.00", "9.00"], "{query}");
    }
    assert_eq!(report(&wedge, "sku").await, [["pot", "1", "1", "6.00", "0.00", "6.00"]]);

    let table = cells(
        &csv(&world, &potts, &format!("{SALES}?group_by=sku"))
            .await
            .expect(200),
    );
    assert_eq!(
        table,
        [
            [
                "key", "currency", "orders", "units", "gross", "refunded", "net"
            ],
            ["bowl", "GBP", "2", "4", "28.00", "0.00", "28.00"],
            ["vase", "GBP", "2", "3", "27.00", "9.00", "18.00"],
        ]
    );
    let shop = world.get("/api/v1/reports/sales?group_by=vendor").await;
    let row = told(&shop.expect(200))
        .into_iter()
        .find(|row| row[0] == potts.id);
    assert_eq!(row.unwrap()[1..], ["3", "7", "55.00", "9.00", "46.00"], "as staff are told");
    for wrong in ["", "?group_by=vendor", "?group_by=country"] {
        let refused = potts.get(&world, &format!("{SALES}{wrong}")).await;
        assert_eq!(pointers(&refused), these(&["?group_by"]), "{wrong}");
    }
    let refused = world.get(&format!("{SALES}?group_by=day")).await;
    assert_eq!(refused.problem(403), "forbidden");
}
