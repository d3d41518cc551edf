//! What every query keeps to: positions, tags, pages, filters, and the past.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tests::telling::{a_world_with_cups, id_in, items, keyed, names_of};
use tests::world::{an_order, an_order_paid_with, send};
use tests::{Answer, World};
use tokio::time::Instant;

/// Every query, with an order's id and a payment's id for `{order}` and `{payment}`.
const QUERIES: [&str; 14] = [
    "/orders",
    "/orders/{order}",
    "/orders/{order}?as_of=2999-01-01",
    "/orders/{order}/timeline",
    "/payments",
    "/payments/{payment}",
    "/products",
    "/products/cup",
    "/products/cup/availability",
    "/inventory",
    "/inventory/cup",
    "/events",
    "/reports/sales?group_by=day",
    "/projections",
];

async fn place(world: &World, order: Value) -> Answer {
    world.post("/api/v1/orders", order).await.expect(201)
}

/// What a member of each item says, page after page; `between` happens after each page.
async fn walk(
    world: &World,
    path: &str,
    member: &str,
    mut between: impl AsyncFnMut(),
) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.get(&format!("{path}{cursor}")).await.expect(200);
        assert_eq!(names_of(&page.json()), ["items", "next_cursor"]);
        found.extend(
            items(&page)
                .iter()
                .map(|item| item[member].as_str().unwrap().to_owned()),
        );
        match page.json()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
        between().await;
    }
}

#[tokio::test]
async fn a_read_model_that_stays_behind_is_503_after_a_bounded_wait() {
    let world = a_world_with_cups().await;
    let placed = place(&world, an_order(&[("cup", 1)])).await;
    world.settle().await;
    let (order, payment) = (id_in(&placed), placed.json()["payment_id"].clone());
    let future = world.get("/api/v1/events").await.position() + 1_000;
    let paths = QUERIES.map(|path| {
        let path = path.replace("{order}", &order);
        format!("/api/v1{}", path.replace("{payment}", payment.as_str().unwrap()))
    });
    let ask = |path: &str, position: i64| {
        let request = world.staff(Method::GET, path);
        send(request.header("daybook-min-position", position))
    };

    let asked_at = Instant::now();
    let answers = futures::future::join_all(paths.iter().map(|path| ask(path, future))).await;

    let waited = asked_at.elapsed();
    let bounds = Duration::from_secs(5)..Duration::from_secs(15);
    assert!(bounds.contains(&waited), "{waited:?}");
    for (path, answer) in paths.iter().zip(&answers) {
        assert_eq!(answer.problem(503), "read_model_behind", "{path}");
        assert_eq!(answer.header("retry-after").as_deref(), Some("1"), "{path}");
    }
    let reached = placed.position();
    for path in &paths {
        let answer = ask(path, reached).await.expect(200);
        assert!(reached <= answer.position(), "{path}");
    }
}

#[tokio::test]
async fn who_names_the_position_of_a_command_sees_what_it_did() {
    let world = a_world_with_cups().await;
    for count in 1..=20 {
        let placed = place(&world, an_order_paid_with("silent", &[("cup", 1)])).await;
        let position = placed.position();
        let ask = |path: String| {
            let request = world.staff(Method::GET, &path);
            send(request.header("daybook-min-position", position))
        };
        let path = placed.header("location").unwrap();
        let (order, timeline, list) = tokio::join!(
            ask(path.clone()),
            ask(format!("{path}/timeline")),
            ask("/api/v1/orders?limit=100".to_owned()),
        );
        assert_eq!(order.expect(200).json()["id"], placed.json()["id"]);
        assert!(!items(&timeline.expect(200)).is_empty());
        let list = list.expect(200);
        assert_eq!(items(&list).len(), count);
        assert!(position <= list.position());
    }
}

#[tokio::test]
async fn what_the_client_has_already_is_304() {
    let world = a_world_with_cups().await;
    let placed = place(&world, an_order(&[("cup", 1)])).await;
    world.settle().await;
    let order = placed.header("location").unwrap();
    let payment = format!("/api/v1/payments/{}", placed.json()["payment_id"].as_str().unwrap());
    let paths = [
        order.as_str(),
        &payment,
        "/api/v1/products/cup",
        "/api/v1/inventory/cup",
    ];
    let mut tags = Vec::new();
    for path in paths {
        let shown = world.get(path).await.expect(200);
        let version = shown.json()["version"].as_i64().unwrap();
        let tag = shown.header("etag").unwrap();
        assert!(tag.starts_with(&format!("\"{version}")), "{path}: {tag}");
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}")] {
            let request = world
                .staff(Method::GET, path)
                .header("if-none-match", known);
            let same = send(request).await.expect(304);
            assert_eq!(
                (same.text.as_str(), same.header("etag")),
                ("", Some(tag.clone())),
                "{path}"
            );
            let _there = same.position();
        }
        tags.push(tag);
    }

    let refunds = format!("{order}/refunds");
    let _asked = world
        .post(&refunds, json!({"reason": "broken"}))
        .await
        .expect(201);
    let receipt = json!({"quantity": 1, "reference": "note 7"});
    let _received = world
        .post("/api/v1/inventory/cup/receipts", receipt)
        .await
        .expect(200);
    world.settle().await;

    for (path, tag) in paths.iter().zip(tags) {
        let request = world.staff(Method::GET, path).header("if-none-match", tag);
        let _moved = send(request).await.expect(200);
    }
}

#[tokio::test]
async fn a_list_is_walked_exactly_once_newest_first_while_new_ones_arrive() {
    let world = a_world_with_cups().await;
    // Two at a time have the same instant.
    for number in 0..22 {
        let mut order = an_order(&[("cup", 1)]);
        order["placed_at"] = format!("2011-03-{:02}T10:00:00Z", number / 2 + 1).into();
        let _placed = place(&world, order).await;
    }
    world.settle().await;
    let listed = items(&world.get("/api/v1/orders?limit=100").await);
    let all: Vec<&str> = listed
        .iter()
        .map(|order| order["id"].as_str().unwrap())
        .collect();
    assert_eq!(all.len(), 22);
    assert!(listed.is_sorted_by(|a, b| a["placed_at"].as_str() >= b["placed_at"].as_str()));
    let payments = items(&world.get("/api/v1/payments?limit=100").await);
    assert!(payments.is_sorted_by(|a, b| a["opened_at"].as_str() >= b["opened_at"].as_str()));

    let newcomer = async || {
        let newcomer = place(&world, an_order(&[("cup", 1)])).await;
        let request = world.staff(Method::GET, "/api/v1/orders");
        let seen = send(request.header("daybook-min-position", newcomer.position())).await;
        let seen = seen.expect(200);
        assert_eq!(items(&seen)[0]["id"], newcomer.json()["id"], "the newest is first");
        assert_eq!(items(&seen).len(), 20, "unless more are asked for");
    };
    let walked = walk(&world, "/api/v1/orders?limit=4", "id", newcomer).await;

    assert_eq!(walked, all);
    world.settle().await;
    let walked = walk(&world, "/api/v1/payments?limit=7", "payment_id", async || ()).await;
    assert_eq!(walked.len(), 22 + 5);
    assert_eq!(BTreeSet::from_iter(&walked).len(), walked.len());
    for limit in ["0", "101", "-1", "x", ""] {
        for list in [
            "orders",
            "payments",
            "products",
            "inventory",
            "events",
            "parked-facts",
        ] {
            let answer = world.get(&format!("/api/v1/{list}?limit={limit}")).await;
            assert_eq!(answer.problem(400), "invalid_parameters", "{list} {limit}");
        }
    }
}

#[tokio::test]
async fn products_and_stock_are_walked_exactly_once() {
    let world = World::new().await;
    let skus: Vec<String> = (1..=7).map(|number| format!("cup-{number}")).collect();
    for sku in &skus {
        world.article(sku, "4.50", 3).await;
    }
    world.settle().await;
    for list in ["products", "inventory"] {
        let path = format!("/api/v1/{list}?limit=3");
        let mut walked = walk(&world, &path, "sku", async || ()).await;
        walked.sort_unstable();
        assert_eq!(walked, skus, "{list}");
    }
}

#[tokio::test]
async fn orders_are_found_by_what_is_known_of_them() {
    let world = a_world_with_cups().await;
    world.article("pot", "9.00", 2).await;
    let mut old = an_order(&[("pot", 1)]);
    old["placed_at"] = "2011-03-05T23:59:59.5Z".into();
    old["shipping_address"]["country"] = "FR".into();
    let old = id_in(&place(&world, old).await);
    let mut short = an_order(&[("pot", 9)]);
    short["customer"]["email"] = "Grace@Example.com".into();
    let short = id_in(&place(&world, short).await);
    let paid = id_in(&place(&world, an_order(&[("cup", 1), ("cup", 2), ("pot", 1)])).await);
    for confirmed in [&old, &paid] {
        world.order_when(confirmed, "confirmed").await;
    }
    world.order_when(&short, "failed").await;
    world.settle().await;
    let found = async |filter: &str| {
        let page = world
            .get(&format!("/api/v1/orders?{filter}"))
            .await
            .expect(200);
        let ids = items(&page);
        ids.iter()
            .map(|order| order["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let (both, none) = (vec![paid.clone(), short.clone()], Vec::<String>::new());
    for (filter, expected) in [
        ("country=FR", vec![old.clone()]),
        ("country=GB", both.clone()),
        ("country=DE", none.clone()),
        ("sku=cup", vec![paid.clone()]),
        ("sku=pot", vec![paid.clone(), short.clone(), old.clone()]),
        ("sku=pot&country=FR", vec![old.clone()]),
        ("status=confirmed", vec![paid.clone(), old.clone()]),
        ("status=failed", vec![short.clone()]),
        ("status=pending", none.clone()),
        ("customer_email=gRACE%40example.COM", vec![short.clone()]),
        ("customer_email=ada%40example.com&country=GB", vec![paid.clone()]),
        ("customer_email=%25", none.clone()),
        ("placed_to=2011-03-05", vec![old.clone()]),
        ("placed_to=2011-03-05T23:59:59Z", none.clone()),
        ("placed_from=2011-03-05&placed_to=2011-03-05T23:59:59.5Z", vec![old.clone()]),
        ("placed_from=2011-03-06", both.clone()),
    ] {
        assert_eq!(found(filter).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn an_order_shows_all_of_itself_and_what_it_was() {
    let world = a_world_with_cups().await;
    let mut order = an_order_paid_with("ok", &[("cup", 2), ("cup", 1)]);
    order["customer"]["phone"] = "+442079460000".into();
    order["shipping_address"] = json!({
        "line1": "1 High St", "line2": "Flat 2", "city": "Leeds", "postcode": "LS1 1AA",
        "country": "GB",
    });
    order["shipping_cost"] = json!({"amount": "3.95", "currency": "GBP"});
    let placed = place(&world, order.clone()).await;
    let path = placed.header("location").unwrap();
    world.order_when(&id_in(&placed), "confirmed").await;
    let refund = json!({"amount": {"amount": "1.00", "currency": "GBP"}, "reason": "chipped"});
    let refund = world
        .post(&format!("{path}/refunds"), refund)
        .await
        .expect(201);
    world.settle().await;

    let now = world.get(&path).await.expect(200).json();

    let gbp = |amount: &str| json!({"amount": amount, "currency": "GBP"});
    assert_eq!(now["customer"], order["customer"]);
    assert_eq!(now["shipping_address"], order["shipping_address"]);
    let line = |quantity, total| {
        json!({
            "sku": "cup", "name": "The cup", "quantity": quantity,
            "unit_price": gbp("4.50"), "line_total": gbp(total),
        })
    };
    assert_eq!(now["items"], json!([line(2, "9.00"), line(1, "4.50")]));
    for (name, amount) in [
        ("subtotal", "13.50"),
        ("shipping_cost", "3.95"),
        ("total", "17.45"),
        ("captured", "17.45"),
        ("refunded", "1.00"),
    ] {
        assert_eq!(now[name], gbp(amount), "{name}");
    }
    assert_eq!((&now["id"], &now["status"]), (&placed.json()["id"], &json!("confirmed")));
    assert!(now["payment_status"].is_string() && now["version"].is_i64());
    for name in ["placed_at", "updated_at"] {
        assert!(now[name].as_str().unwrap().ends_with('Z'), "{name} in UTC");
    }

    let was = async |as_of: &str| world.get(&format!("{path}?as_of={as_of}")).await;
    let first = was(&placed.position().to_string()).await.expect(200).json();
    assert_eq!((&first["status"], &first["version"]), (&json!("pending"), &json!(1)));
    assert_eq!((&first["captured"], &first["total"]), (&gbp("0.00"), &gbp("17.45")));
    let before = was(&(refund.position() - 1).to_string())
        .await
        .expect(200)
        .json();
    assert_eq!((&before["status"], &before["refunded"]), (&json!("confirmed"), &gbp("0.00")));
    let head = world.get("/api/v1/events?limit=1").await.position();
    assert_eq!(was(&head.to_string()).await.expect(200).json(), now);
    let timeline = items(&world.get(&format!("{path}/timeline")).await);
    let placed_at = timeline[0]["at"].as_str().unwrap();
    assert_eq!(was(placed_at).await.expect(200).json(), first, "by time");
    assert_eq!(was("2999-01-01").await.expect(200).json(), now);
    let unborn = (placed.position() - 1).to_string();
    for as_of in ["2001-01-01T00:00:00Z", "0", unborn.as_str()] {
        assert_eq!(was(as_of).await.problem(404), "not_found", "{as_of}");
    }
    for as_of in ["", "now", "-1", "99999999999999999999"] {
        assert_eq!(was(as_of).await.problem(400), "invalid_parameters", "{as_of}");
    }
}

#[tokio::test]
async fn products_stock_and_payments_show_what_was_promised() {
    let world = a_world_with_cups().await;
    let placed = place(&world, an_order_paid_with("ok", &[("cup", 3)])).await;
    world.order_when(&id_in(&placed), "confirmed").await;
    let gone = json!({
        "name": "Teapot", "price": {"amount": "9.00", "currency": "GBP"}, "active": false,
    });
    let put = keyed(world.staff(Method::PUT, "/api/v1/products/pot")).json(&gone);
    let _described = send(put).await.expect(200);
    world.settle().await;

    let guest = async |path: &str| send(world.guest(Method::GET, path)).await.expect(200);
    let cup = guest("/api/v1/products/cup").await.json();
    assert_eq!((&cup["available"], &cup["active"]), (&json!(997), &json!(true)));
    assert_eq!(cup["price"], json!({"amount": "4.50", "currency": "GBP"}));
    for (filter, skus) in [
        ("", &["cup", "pot"][..]),
        ("?active=true", &["cup"]),
        ("?active=false", &["pot"]),
        ("?search=TEA", &["pot"]),
        ("?search=%25", &[]),
    ] {
        let found = items(&world.get(&format!("/api/v1/products{filter}")).await);
        let found: Vec<_> = found.iter().map(|product| product["sku"].clone()).collect();
        assert_eq!(found, skus, "{filter}");
    }
    let stock = world.get("/api/v1/inventory/cup").await.json();
    for (name, pieces) in [("on_hand", 1_000), ("reserved", 3), ("available", 997)] {
        assert_eq!(stock[name], json!(pieces), "{name}");
    }
    assert_eq!(items(&world.get("/api/v1/inventory").await), [stock]);
    let payment = placed.json()["payment_id"].clone();
    let payment = format!("/api/v1/payments/{}", payment.as_str().unwrap());
    let payment = world.get(&payment).await.expect(200).json();
    assert_eq!(payment["order_id"], placed.json()["id"]);
    assert_eq!(payment["captured"]["amount"], "13.50");
    let attempt = &payment["attempts"][0];
    assert_eq!(
        (&attempt["status"], &attempt["gateway"]),
        (&json!("captured"), &json!("sandbox"))
    );
    assert!(attempt["provider_reference"].is_string(), "{payment}");
    assert_eq!(items(&world.get("/api/v1/payments").await), [payment]);
}
