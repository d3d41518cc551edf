//! Lists taken away as tables, with the filters of the lists.

use reqwest::Method;
use serde_json::json;
use tests::telling::{keyed, pointers};
use tests::world::{Answer, World, an_order, send};

async fn table(world: &World, path: &str) -> Answer {
    send(world.staff(Method::GET, path).header("accept", "text/csv")).await
}

/// The rows of a table, cell by cell; the line of names first.
pub(crate) fn cells(answer: &Answer) -> Vec<Vec<String>> {
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("text/csv"), "{kind}");
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(answer.text.as_bytes());
    let rows = reader.records().map(Result::unwrap);
    rows.map(|row| row.iter().map(str::to_owned).collect())
        .collect()
}

#[tokio::test]
async fn a_list_of_orders_is_a_table_of_all_that_its_filters_leave() {
    let world = World::new().await;
    world.article("cup", "4.50", 1_000).await;
    // More than two pages, and some that the filter leaves out.
    for n in 0..230 {
        let mut order = an_order(&[("cup", 1)]);
        order["shipping_address"]["country"] = if n % 23 == 0 { "FR" } else { "GB" }.into();
        order["customer"]["name"] = format!("=HYPERLINK(\"http://evil.example/{n}\")").into();
        let _placed = world.post("/api/v1/orders", order).await.expect(201);
    }
    world.settle().await;

    let all = table(&world, "/api/v1/orders").await.expect(200);
    let rows = cells(&all);
    assert_eq!(rows.len(), 231);
    assert_eq!(rows[0][..4], ["id", "placed_at", "status", "payment_status"]);
    assert_eq!(all.position(), world.get("/api/v1/orders").await.position());
    let column = |name: &str| rows[0].iter().position(|of| of == name).unwrap();
    let times: Vec<&String> = rows[1..]
        .iter()
        .map(|row| &row[column("placed_at")])
        .collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "newest first");
    let names = rows[1..].iter().map(|row| &row[column("customer_name")]);
    assert!(names.clone().all(|name| name.starts_with("'=HYPERLINK")), "no formula");
    let ids: std::collections::BTreeSet<&String> = rows[1..].iter().map(|row| &row[0]).collect();
    assert_eq!(ids.len(), 230, "each once");
    assert_eq!(rows[1][column("total")], "4.50");

    let french = cells(&table(&world, "/api/v1/orders?country=FR").await);
    assert_eq!(french.len(), 11);
    assert!(french[1..].iter().all(|row| row[column("country")] == "FR"));
    let none = cells(&table(&world, "/api/v1/orders?status=failed").await);
    assert_eq!(none, [rows[0].clone()], "the names are there all the same");

    let payments = cells(&table(&world, "/api/v1/payments").await);
    assert_eq!(payments.len(), 231);
    let gateway = payments[0].iter().position(|of| of == "gateway").unwrap();
    assert_eq!(payments[1][gateway], "sandbox");
}

#[tokio::test]
async fn products_stock_and_accounts_are_tables_too_and_pages_have_no_place_there() {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    world.article("-pot", "6.00", 5).await;
    let invite = json!({"email": "bob@example.org", "name": "@Bob", "phone": "+44 20 7946 0123"});
    let invited = keyed(world.staff(Method::POST, "/api/v1/customers")).json(&invite);
    let _invited = send(invited).await.expect(201);
    world.settle().await;

    let products = cells(&table(&world, "/api/v1/products?search=cup").await);
    assert_eq!(
        products[0],
        [
            "sku",
            "name",
            "currency",
            "price",
            "active",
            "available",
            "vendor",
            "updated_at",
            "version"
        ]
    );
    assert_eq!(products[1][..7], ["cup", "The cup", "GBP", "4.50", "true", "10", ""]);
    assert_eq!(products.len(), 2);
    let whole = world.staff(Method::GET, "/api/v1/products");
    let whole = send(whole.header("accept", "text/csv")).await.expect(200);
    assert_eq!(whole.header("cache-control").as_deref(), Some("no-store"));
    let stock = cells(&table(&world, "/api/v1/inventory").await);
    assert_eq!(stock[1][..4], ["'-pot", "5", "0", "5"], "a SKU is text as well");
    let people = cells(&table(&world, "/api/v1/customers?search=bob").await);
    assert_eq!(people.len(), 2);
    assert_eq!(
        people[1][1..7],
        [
            "account",
            "customer",
            "bob@example.org",
            "false",
            "'@Bob",
            "'+442079460123"
        ]
    );
    let nobody = table(&world, "/api/v1/customers?role=vendor").await;
    assert_eq!(nobody.header("cache-control").as_deref(), Some("no-store"));
    assert_eq!(cells(&nobody).len(), 1);

    for path in [
        "orders",
        "payments",
        "inventory",
        "products",
        "customers",
        "vendors",
    ] {
        let refused = table(&world, &format!("/api/v1/{path}?limit=5&cursor=x")).await;
        assert_eq!(refused.problem(400), "invalid_parameters", "{path}");
        assert!(pointers(&refused).contains("?limit"), "{}", refused.text);
    }
    // Guests see products page by page, whatever they accept.
    let guest = world.guest(Method::GET, "/api/v1/products");
    let page = send(guest.header("accept", "text/csv")).await.expect(200);
    assert!(page.json()["items"].is_array());
}

/// Staff have no way around the order's own rules: what the document does not have is not there, and
/// what it has asks the order.
#[tokio::test]
async fn the_status_of_an_order_changes_by_its_own_commands_alone() {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    let document = send(world.guest(Method::GET, "/openapi.json")).await.json();
    let mut changing = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let of_orders = path.starts_with("/api/v1/orders") || path.starts_with("/api/v1/payments");
        for method in item
            .as_object()
            .unwrap()
            .keys()
            .filter(|method| *method != "get")
        {
            if of_orders {
                changing.push(format!("{method} {}", path.trim_start_matches("/api/v1")));
            }
        }
    }
    changing.sort();
    assert_eq!(
        changing,
        [
            "post /orders",
            "post /orders/{id}/cancel",
            "post /orders/{id}/complete",
            "post /orders/{id}/payments",
            "post /orders/{id}/refunds",
            "post /orders/{id}/review",
            "post /orders/{id}/shipments",
            "post /payments/{id}/payout",
            "post /payments/{id}/receipt",
        ]
    );
    let placed = world
        .post("/api/v1/orders", an_order(&[("cup", 1)]))
        .await
        .expect(201)
        .json();
    let id = placed["id"].as_str().unwrap();
    let before = world.order_when(id, "confirmed").await;
    let path = format!("/api/v1/orders/{id}");
    for method in [Method::PUT, Method::PATCH, Method::DELETE, Method::POST] {
        let request = world
            .staff(method.clone(), &path)
            .header("idempotency-key", "k");
        let refused = send(request.json(&json!({"status": "completed"}))).await;
        assert_eq!(refused.problem(405), "method_not_allowed", "{method}");
    }
    for command in ["cancel", "complete", "refunds", "review", "shipments"] {
        let body = json!({"status": "completed"});
        let refused = world.post(&format!("{path}/{command}"), body).await;
        assert_eq!(refused.problem(422), "invalid_fields", "{command}");
        assert!(pointers(&refused).contains("/status"), "{command}");
    }
    assert_eq!(world.get(&path).await.json()["version"], before["version"]);
}
