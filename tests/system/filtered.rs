//! A list taken away as a table holds what its pages hold, filter for filter, however many pages.

use accounts::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::people::{asked, said, signed_in};
use tests::telling::{a_world_with_cups, id_in, items, keyed, pointers};
use tests::world::{Answer, STAFF, World, an_order, an_order_paid_with, send};

use crate::tables::cells;

/// More than a page of a table has, which is 100 rows.
const MANY: usize = 130;

async fn csv(world: &World, token: &str, path: &str) -> Answer {
    let request = world.guest(Method::GET, &format!("/api/v1{path}"));
    send(request.bearer_auth(token).header("accept", "text/csv")).await
}

/// What a table says in one of its columns, row by row.
fn column(rows: &[Vec<String>], name: &str) -> Vec<String> {
    let place = rows[0].iter().position(|of| of == name);
    let place = place.unwrap_or_else(|| panic!("there is no {name} in {:?}", rows[0]));
    rows[1..].iter().map(|row| row[place].clone()).collect()
}

/// A list in pages of few, to its end.
async fn paged(world: &World, path: &str) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    let joint = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = world
            .get(&format!("/api/v1{path}{joint}limit=37{cursor}"))
            .await
            .expect(200);
        found.extend(items(&page));
        match page.json()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

/// How many rows there are: in the list, and the same ones in the table.
async fn as_listed(world: &World, path: &str, names: &[&str]) -> usize {
    let listed = paged(world, path).await;
    let table = cells(&csv(world, STAFF, path).await.expect(200));
    for name in names {
        let of = |item: &Value| match &item[*name] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let expected: Vec<String> = listed.iter().map(of).collect();
        assert_eq!(column(&table, name), expected, "{name} of {path}");
    }
    listed.len()
}

async fn refuses(world: &World, path: &str, parameter: &str) {
    let refused = csv(world, STAFF, path).await;
    assert_eq!(refused.problem(400), "invalid_parameters", "{path}");
    let pointer = format!("?{parameter}");
    assert!(pointers(&refused).contains(&pointer), "{path}: {}", refused.text);
}

#[tokio::test]
async fn orders_payments_and_customers_are_tables_of_what_their_lists_hold() {
    let world = a_world_with_cups().await;
    let mut last = String::new();
    for n in 0..MANY {
        let token = if n % 10 == 0 { "declined" } else { "ok" };
        let mut order = an_order_paid_with(token, &[("cup", 1)]);
        order["customer"]["email"] = format!("customer-{n}@example.org").into();
        order["payment_method"] = if n % 2 == 0 { "paypal" } else { "credit_card" }.into();
        last = id_in(&world.post("/api/v1/orders", order).await.expect(201));
    }
    world.settle().await;

    let of = async |path: &str, names: &[&str]| as_listed(&world, path, names).await;
    let (declined, captured) = (MANY.div_ceil(10), MANY - MANY.div_ceil(10));
    let orders = ["id", "status", "payment_status"];
    assert_eq!(of("/orders", &orders).await, MANY);
    assert_eq!(of("/orders?status=confirmed", &orders).await, captured);
    let payments = ["payment_id", "order_id", "status", "version"];
    for (query, count) in [
        ("", MANY),
        ("?status=captured", captured),
        ("?status=declined", declined),
        ("?status=refunded", 0),
        ("?gateway=sandbox", MANY),
        ("?gateway=stripe", 0),
        ("?method=paypal", MANY / 2),
        ("?method=credit_card&status=declined", 0),
        ("?method=paypal&status=declined&opened_from=2020-01-01", declined),
        ("?opened_to=2020-01-01", 0),
        (&format!("?order_id={last}"), 1),
    ] {
        assert_eq!(of(&format!("/payments{query}"), &payments).await, count, "{query}");
    }
    let customers = ["id", "email", "name"];
    assert_eq!(of("/customers?kind=guest", &customers).await, MANY);
    assert_eq!(of("/customers?search=customer-11", &customers).await, 11);
    for (path, parameter) in [
        ("/payments?status=paid", "status"),
        ("/payments?method=card", "method"),
        ("/payments?order_id=7", "order_id"),
        ("/payments?opened_from=soon", "opened_from"),
        ("/payments?colour=red", "colour"),
        ("/payments?limit=5", "limit"),
    ] {
        refuses(&world, path, parameter).await;
    }
}

/// Articles with one piece each, two, three and so on.
async fn a_stocked_shop() -> World {
    let world = World::new().await;
    for n in 1..=MANY {
        let stock = u32::try_from(n).unwrap();
        world.article(&format!("art-{n:03}"), "4.50", stock).await;
    }
    world.settle().await;
    world
}

#[tokio::test]
async fn stock_products_and_promotions_are_tables_of_what_their_lists_hold() {
    let world = a_stocked_shop().await;
    for n in 0..MANY {
        let promotion = json!({
            "name": format!("=Sale {n}"), "percentage": "10", "active": n % 2 == 0,
            "listed": n % 3 == 0, "automatic": false,
            "starts_at": (n % 5 == 0).then_some("2099-01-01T00:00:00Z"),
        });
        let put = world.staff(Method::PUT, &format!("/api/v1/promotions/SALE-{n:03}"));
        let _put = send(keyed(put).json(&promotion)).await.expect(200);
    }
    world.settle().await;

    let of = async |path: &str, names: &[&str]| as_listed(&world, path, names).await;
    let stock = ["sku", "on_hand", "reserved", "available", "version"];
    for (query, count) in [
        ("", MANY),
        ("?available_max=105", 105),
        ("?available_min=31", 100),
        ("?available_min=31&available_max=40", 10),
        ("?search=ART-00", 9),
        ("?search=the+art-13", 1),
        ("?vendor=0192d4a0-0000-7000-8000-000000000000", 0),
    ] {
        assert_eq!(of(&format!("/inventory{query}"), &stock).await, count, "{query}");
    }
    let products = ["sku", "name", "active", "available"];
    assert_eq!(of("/products?active=true", &products).await, MANY);
    assert_eq!(of("/products?search=art-01", &products).await, 10);

    let promotions = [
        "code",
        "percentage",
        "active",
        "listed",
        "starts_at",
        "used",
    ];
    let among = |is: fn(usize) -> bool| (0..MANY).filter(|n| is(*n)).count();
    for (query, count) in [
        ("", MANY),
        ("?active=true", among(|n| n % 2 == 0)),
        ("?listed=false&active=false", among(|n| n % 3 != 0 && n % 2 != 0)),
        ("?automatic=true", 0),
        ("?at=2030-01-01", among(|n| n % 5 != 0)),
        ("?at=2100-01-01", MANY),
    ] {
        let path = format!("/promotions/all{query}");
        // A time has six digits behind the point in a table.
        assert_eq!(of(&path, &promotions[..4]).await, count, "{query}");
    }
    let table = cells(&csv(&world, STAFF, "/promotions/all").await.expect(200));
    assert!(
        column(&table, "name")
            .iter()
            .all(|name| name.starts_with("'=Sale")),
        "no formula"
    );
    assert_eq!(column(&table, "starts_at")[..2], ["2099-01-01T00:00:00.000000Z", ""]);
    assert_eq!(column(&table, "skus")[0], "[]");
    for (path, parameter) in [
        ("/inventory?available_max=-1", "available_max"),
        ("/inventory?vendor=potts", "vendor"),
        ("/promotions/all?active=yes", "active"),
        ("/promotions/all?at=soon", "at"),
        ("/promotions/all?cursor=SALE-001", "cursor"),
    ] {
        refuses(&world, path, parameter).await;
    }
}

#[tokio::test]
async fn tickets_and_reviews_are_tables_of_what_their_lists_hold_for_staff_alone() {
    let world = a_stocked_shop().await;
    let mina = signed_in(&world, "mina@example.org", Role::Customer).await;
    let skus: Vec<String> = (1..=MANY).map(|n| format!("art-{n:03}")).collect();
    let lines: Vec<(&str, u32)> = skus.iter().map(|sku| (sku.as_str(), 1)).collect();
    let order = said(&world, Some(&mina), Method::POST, "/api/v1/orders", an_order(&lines)).await;
    let order = id_in(&order.expect(201));
    let _paid = world.order_when(&order, "confirmed").await;
    for (n, sku) in skus.iter().enumerate() {
        let review = json!({"author": "=mina", "rating": 1 + n % 5, "body": "=1+1"});
        let path = format!("/api/v1/profile/reviews/{sku}");
        let _written = said(&world, Some(&mina), Method::PUT, &path, review)
            .await
            .expect(200);
        let question = json!({
            "subject": format!("-{n}+1"), "message": "Hm?", "email": format!("max-{n}@example.org"),
        });
        let _asked = world.post("/api/v1/tickets", question).await.expect(201);
    }
    let own = json!({"subject": "Mine", "message": "Where?", "order_id": order});
    let own = said(&world, Some(&mina), Method::POST, "/api/v1/tickets", own).await;
    let path = format!("/api/v1/tickets/{}/close", id_in(&own.expect(201)));
    let _closed = world.post(&path, json!({})).await.expect(200);

    let of = async |path: &str, names: &[&str]| as_listed(&world, path, names).await;
    let reviews = ["id", "sku", "rating", "status", "account_id"];
    for (query, count) in [
        ("", MANY),
        ("?status=pending", MANY),
        ("?status=published", 0),
        ("?rating=5", MANY / 5),
        ("?sku=art-007", 1),
    ] {
        assert_eq!(of(&format!("/reviews{query}"), &reviews).await, count, "{query}");
    }
    let tickets = ["id", "status", "account_id", "email", "order_id"];
    for (query, count) in [
        ("", MANY + 1),
        ("?status=open", MANY),
        ("?status=closed", 1),
        ("?email=Max-7@example.org", 1),
        (&format!("?order_id={order}"), 1),
        ("?created_from=2020-01-01", MANY + 1),
        ("?created_to=2020-01-01", 0),
    ] {
        assert_eq!(of(&format!("/tickets{query}"), &tickets).await, count, "{query}");
    }
    let table = cells(&csv(&world, STAFF, "/tickets?email=max-7@example.org").await);
    assert_eq!(column(&table, "subject"), ["'-7+1"]);
    let table = cells(&csv(&world, STAFF, "/reviews?sku=art-007").await);
    assert_eq!(column(&table, "author"), ["'=mina"]);
    assert_eq!(column(&table, "body"), ["'=1+1"]);
    // Customers see their own, in pages, whatever they accept.
    let theirs = csv(&world, &mina, "/tickets").await.expect(200);
    assert_eq!(items(&theirs).len(), 1);
    for (path, parameter) in [
        ("/tickets?limit=5", "limit"),
        ("/tickets?created_from=soon", "created_from"),
        ("/reviews?status=good", "status"),
        ("/reviews?cursor=x", "cursor"),
    ] {
        refuses(&world, path, parameter).await;
    }
}

/// A report's items and its table: the same rows, amounts without their currencies.
async fn as_reported(world: &World, path: &str) -> usize {
    let items = items(&world.get(&format!("/api/v1{path}")).await.expect(200));
    let answer = csv(world, STAFF, path).await.expect(200);
    let told = answer.header("cache-control").unwrap();
    assert!(told.starts_with("private"), "{told}");
    assert!(
        answer.header("vary").unwrap().contains("Accept"),
        "or a cache would mix them up"
    );
    let table = cells(&answer);
    assert_eq!(table.len(), 1 + items.len(), "{path}");
    for (name, place) in table[0].iter().zip(0..) {
        for (item, row) in items.iter().zip(&table[1..]) {
            let expected = match (&item[name], name.as_str()) {
                (Value::String(text), _) => text.clone(),
                (Value::Object(money), _) => money["amount"].as_str().unwrap().to_owned(),
                (Value::Null, "currency") => item["gross"]["currency"].as_str().unwrap().to_owned(),
                (Value::Null, _) => String::new(),
                (other, _) => other.to_string(),
            };
            assert_eq!(row[place], expected, "{name} of {path}");
        }
    }
    items.len()
}

#[tokio::test]
async fn reports_are_tables_of_the_same_rows() {
    let world = a_world_with_cups().await;
    world.article("=pot", "6.00", 100).await;
    for (who, day, sku) in [
        ("ada@example.com", "2025-01-10", "cup"),
        ("bob@example.com", "2025-01-31", "=pot"),
        ("ada@example.com", "2025-03-01", "cup"),
    ] {
        let mut order = an_order(&[(sku, 2)]);
        order["customer"]["email"] = who.into();
        order["placed_at"] = format!("{day}T12:00:00Z").into();
        let id = id_in(&world.post("/api/v1/orders", order).await.expect(201));
        let _paid = world.order_when(&id, "confirmed").await;
    }
    world.settle().await;
    for (path, rows) in [
        ("/reports/sales?group_by=day", 3),
        ("/reports/sales?group_by=month&from=2025-02-01", 1),
        ("/reports/sales?group_by=country", 1),
        ("/reports/sales?group_by=vendor&as_of=1", 0),
        ("/reports/customers?group_by=month", 2),
        ("/reports/customers?group_by=cohort&to=2025-01-31", 2),
    ] {
        assert_eq!(as_reported(&world, path).await, rows, "{path}");
    }
    let by_sku = cells(
        &csv(&world, STAFF, "/reports/sales?group_by=sku")
            .await
            .expect(200),
    );
    assert_eq!(
        by_sku,
        [
            [
                "key", "currency", "orders", "units", "gross", "refunded", "net"
            ],
            ["'=pot", "GBP", "1", "2", "12.00", "0.00", "12.00"],
            ["cup", "GBP", "2", "4", "18.00", "0.00", "18.00"],
        ]
    );
    refuses(&world, "/reports/sales?group_by=day&diff_from=1", "diff_from").await;
    refuses(&world, "/reports/sales?group_by=week", "group_by").await;
    let missing = asked(&world, Some(STAFF), "/api/v1/reports/sales").await;
    assert_eq!(pointers(&missing), tests::telling::these(&["?group_by"]));
}
