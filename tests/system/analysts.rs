//! What analysts and auditors read: timelines, the log, reports, and how far read models are.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use tests::World;
use tests::telling::{a_world_with_cups, items, names_of};
use tests::world::{an_order, an_order_paid_with, send, until};

/// More than two pages of those that the server streams the log in.
const RECEIPTS: usize = 450;

/// Places an order and waits until it is confirmed.
async fn paid(world: &World, order: Value) -> String {
    let placed = world.post("/api/v1/orders", order).await.expect(201).json();
    let id = placed["id"].as_str().unwrap().to_owned();
    world.order_when(&id, "confirmed").await;
    id
}

async fn lines(world: &World, filter: &str) -> Vec<Value> {
    let path = format!("/api/v1/events{filter}");
    let request = world
        .staff(Method::GET, &path)
        .header("accept", "application/x-ndjson");
    let answer = send(request).await.expect(200);
    assert_eq!(answer.header("content-type").as_deref(), Some("application/x-ndjson"));
    let _reached = answer.position();
    assert!(answer.text.is_empty() || answer.text.ends_with('\n'), "the last line is whole");
    answer
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn positions(events: &[Value]) -> Vec<i64> {
    events
        .iter()
        .map(|event| event["position"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_timeline_tells_every_event_of_an_order_its_payment_and_its_stock() {
    let world = a_world_with_cups().await;
    let bystander = paid(&world, an_order(&[("cup", 1)])).await;
    let id = paid(&world, an_order_paid_with("ok", &[("cup", 3)])).await;
    let path = format!("/api/v1/orders/{id}");
    let refund = json!({"reason": "arrived broken", "items": [
        {"sku": "cup", "quantity": 1, "restock": true},
    ]});
    let _asked = world
        .post(&format!("{path}/refunds"), refund)
        .await
        .expect(201);
    until("the refund is paid out", async || {
        let order = world.get(&path).await.json();
        (order["refunded"]["amount"] == "4.50").then_some(())
    })
    .await;
    let _done = world
        .post(&format!("{path}/complete"), json!({}))
        .await
        .expect(200);
    world.settle().await;

    let timeline = world.get(&format!("{path}/timeline")).await.expect(200);

    assert_eq!(names_of(&timeline.json()), ["items", "order_id"]);
    assert_eq!(timeline.json()["order_id"], json!(id));
    let told = items(&timeline);
    let mut members = [
        "position",
        "at",
        "aggregate",
        "aggregate_id",
        "sequence",
        "event",
        "summary",
        "actor",
        "reason",
        "command_id",
        "correlation_id",
        "causation_id",
        "data",
        "event_id",
        "request_id",
        "caused",
    ];
    members.sort_unstable();
    for entry in &told {
        assert_eq!(names_of(entry), members);
        assert!(!entry["summary"].as_str().unwrap().is_empty(), "{entry}");
        assert_eq!(entry["correlation_id"], json!(id), "{entry}");
    }
    assert!(positions(&told).is_sorted_by(|a, b| a < b), "in log order");
    let happened: BTreeSet<&str> = told
        .iter()
        .map(|entry| entry["event"].as_str().unwrap())
        .collect();
    for event in [
        "order.placed",
        "order.confirmed",
        "order.completed",
        "payment.captured",
    ] {
        assert!(happened.contains(event), "{event} is missing of {happened:?}");
    }
    for aggregate in ["order", "payment", "inventory"] {
        assert!(told.iter().any(|entry| entry["aggregate"] == aggregate), "{aggregate}");
    }
    let reasons: Vec<&str> = told
        .iter()
        .filter_map(|entry| entry["reason"].as_str())
        .collect();
    assert!(reasons.contains(&"arrived broken"), "{reasons:?}");
    assert_eq!(told[0]["event"], "order.placed");
    assert_eq!(told[0]["actor"], "staff");
    assert_eq!(told[0]["causation_id"], Value::Null);
    assert!(
        told[1..]
            .iter()
            .any(|entry| entry["causation_id"].is_string()),
        "one causes another"
    );

    // The log says the same of the order, and nothing of its neighbour.
    let logged = lines(&world, &format!("?order_id={id}")).await;
    assert_eq!(positions(&logged), positions(&told));
    for (event, entry) in logged.iter().zip(&told) {
        for member in members
            .iter()
            .filter(|member| !["summary", "caused"].contains(*member))
        {
            assert_eq!(event[member], entry[member], "{member}");
        }
    }
    let other = positions(&lines(&world, &format!("?order_id={bystander}")).await);
    assert!(
        other
            .iter()
            .all(|position| !positions(&told).contains(position))
    );
    world.verify().await;
}

#[tokio::test]
async fn the_log_is_streamed_and_paged_in_order_and_without_gaps() {
    let world = a_world_with_cups().await;
    let receipt = json!({"quantity": 1, "reference": "note 7"});
    let receipts =
        (0..RECEIPTS).map(|_| world.post("/api/v1/inventory/cup/receipts", receipt.clone()));
    for received in futures::future::join_all(receipts).await {
        let _received = received.expect(200);
    }

    let streamed = lines(&world, "").await;

    let all: Vec<i64> = (1..=i64::try_from(RECEIPTS + 2).unwrap()).collect();
    assert_eq!(positions(&streamed), all);
    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world
            .get(&format!("/api/v1/events?limit=100{cursor}"))
            .await
            .expect(200);
        paged.extend(items(&page));
        assert!(positions(&items(&page)).len() <= 100);
        match page.json()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, streamed);
    assert_eq!(items(&world.get("/api/v1/events").await).len(), 20, "unless more are asked for");
    assert_eq!(positions(&lines(&world, "?limit=205").await), all[..205]);
    assert_eq!(positions(&lines(&world, "?from=100&to=399").await), all[99..399]);
    let mut members = [
        "position",
        "event_id",
        "at",
        "aggregate",
        "aggregate_id",
        "sequence",
        "event",
        "schema_version",
        "actor",
        "reason",
        "command_id",
        "correlation_id",
        "causation_id",
        "request_id",
        "traceparent",
        "data",
    ];
    members.sort_unstable();
    assert_eq!(names_of(&streamed[0]), members);
}

#[tokio::test]
async fn the_log_is_filtered_by_every_word_of_the_contract() {
    let world = a_world_with_cups().await;
    world.article("pot", "9.00", 10).await;
    let id = paid(&world, an_order(&[("cup", 1), ("pot", 1)])).await;
    world.settle().await;
    let all = lines(&world, "").await;
    let that = |keep: &dyn Fn(&Value) -> bool| -> Vec<i64> {
        positions(
            &all.iter()
                .filter(|event| keep(event))
                .cloned()
                .collect::<Vec<_>>(),
        )
    };
    let middle = all[all.len() / 2]["at"].as_str().unwrap();
    let at = |event: &Value| event["at"].as_str().unwrap().to_owned();
    let placed = that(&|event| event["event"] == "order.placed");
    assert_eq!(placed.len(), 1);
    for (filter, expected) in [
        ("aggregate=inventory", that(&|event| event["aggregate"] == "inventory")),
        (
            "aggregate=product&aggregate_id=pot",
            that(&|event| event["aggregate"] == "product" && event["aggregate_id"] == "pot"),
        ),
        ("aggregate_id=cup", that(&|event| event["aggregate_id"] == "cup")),
        (
            &format!("aggregate_id={id}"),
            that(&|event| event["aggregate_id"] == id.as_str()),
        ),
        ("type=order.placed", placed.clone()),
        (&format!("order_id={id}&type=order.placed"), placed.clone()),
        (&format!("order_id={id}&aggregate=product"), vec![]),
        (&format!("since={middle}"), that(&|event| middle <= at(event).as_str())),
        (&format!("until={middle}"), that(&|event| at(event).as_str() < middle)),
        (&format!("since={middle}&until={middle}"), vec![]),
        ("from=3&to=5", vec![3, 4, 5]),
        ("from=5&to=3", vec![]),
        ("since=2999-01-01", vec![]),
        ("order_id=01890000-0000-7000-8000-000000000000", vec![]),
    ] {
        let paged = items(
            &world
                .get(&format!("/api/v1/events?limit=100&{filter}"))
                .await,
        );
        assert_eq!(positions(&paged), expected, "{filter}");
        let streamed = lines(&world, &format!("?{filter}")).await;
        assert_eq!(streamed, paged, "{filter}");
    }
    for filter in [
        "aggregate=basket",
        "type=order.eaten",
        "from=x",
        "to=-1",
        "since=noon",
        "until=32",
        "order_id=x",
        "cursor=x",
        "limit=0",
        "colour=red",
    ] {
        let answer = world.get(&format!("/api/v1/events?{filter}")).await;
        assert_eq!(answer.problem(400), "invalid_parameters", "{filter}");
    }
}

#[tokio::test]
async fn sales_count_paid_orders_on_the_day_they_were_placed_and_goods_only() {
    let world = a_world_with_cups().await;
    world.article("pot", "9.00", 10).await;
    let yen =
        json!({"name": "Yen cup", "price": {"amount": "450", "currency": "JPY"}, "active": true});
    let put = world
        .staff(Method::PUT, "/api/v1/products/yen")
        .header("idempotency-key", "yen");
    let _described = send(put.json(&yen)).await.expect(200);
    let goods = json!({"quantity": 9, "reference": "note 7"});
    let _received = world
        .post("/api/v1/inventory/yen/receipts", goods)
        .await
        .expect(200);
    let on = |day: &str, country: &str, mut order: Value| {
        order["placed_at"] = format!("{day}T23:59:59Z").into();
        order["shipping_address"]["country"] = country.into();
        order["shipping_cost"] =
            json!({"amount": "3", "currency": order["currency"].as_str().unwrap()});
        order
    };
    let first = paid(&world, on("2010-12-01", "GB", an_order(&[("cup", 2), ("pot", 1)]))).await;
    let _second = paid(&world, on("2010-12-31", "FR", an_order(&[("cup", 1), ("cup", 3)]))).await;
    let mut third = on("2011-01-01", "GB", an_order(&[("yen", 2)]));
    third["currency"] = "JPY".into();
    third["shipping_cost"]["currency"] = "JPY".into();
    let _third = paid(&world, third).await;
    let unpaid = on("2010-12-01", "GB", an_order_paid_with("declined", &[("cup", 7)]));
    let _unpaid = world.post("/api/v1/orders", unpaid).await.expect(201);
    let refund = json!({"reason": "broken", "items": [
        {"sku": "cup", "quantity": 1, "restock": false},
    ]});
    let path = format!("/api/v1/orders/{first}");
    let _asked = world
        .post(&format!("{path}/refunds"), refund)
        .await
        .expect(201);
    until("the refund is paid out", async || {
        (world.get(&path).await.json()["refunded"]["amount"] == "4.50").then_some(())
    })
    .await;
    world.settle().await;

    let report = async |query: &str| {
        let answer = world
            .get(&format!("/api/v1/reports/sales?group_by={query}"))
            .await
            .expect(200);
        assert_eq!(names_of(&answer.json()), ["items"]);
        items(&answer)
    };
    let row = |key: &str, orders: u32, units: u32, money: [&str; 3], currency: &str| {
        let [gross, refunded, net] =
            money.map(|amount| json!({"amount": amount, "currency": currency}));
        json!({
            "key": key, "orders": orders, "units": units,
            "gross": gross, "refunded": refunded, "net": net,
        })
    };
    let first = |key| row(key, 1, 3, ["18.00", "4.50", "13.50"], "GBP");
    let second = |key| row(key, 1, 4, ["18.00", "0.00", "18.00"], "GBP");
    let third = |key| row(key, 1, 2, ["900", "0", "900"], "JPY");
    let december = |key| row(key, 2, 7, ["36.00", "4.50", "31.50"], "GBP");
    let cups = |key| row(key, 2, 6, ["27.00", "4.50", "22.50"], "GBP");
    let pots = row("pot", 1, 1, ["9.00", "0.00", "9.00"], "GBP");
    for (query, expected) in [
        (
            "day",
            vec![
                first("2010-12-01"),
                second("2010-12-31"),
                third("2011-01-01"),
            ],
        ),
        ("month", vec![december("2010-12"), third("2011-01")]),
        ("country", vec![second("FR"), first("GB"), third("GB")]),
        ("sku", vec![cups("cup"), pots, third("yen")]),
        ("currency", vec![december("GBP"), third("JPY")]),
        ("day&from=2010-12-02&to=2010-12-31", vec![second("2010-12-31")]),
        ("month&from=2010-12-31", vec![second("2010-12"), third("2011-01")]),
        ("sku&to=2010-11-30", vec![]),
        ("sku&from=2010-12-31&to=2010-12-31", vec![second("cup")]),
    ] {
        assert_eq!(report(query).await, expected, "{query}");
    }
    for query in [
        "",
        "?group_by=week",
        "?group_by=day&from=x",
        "?group_by=day&limit=5",
    ] {
        let answer = world.get(&format!("/api/v1/reports/sales{query}")).await;
        assert_eq!(answer.problem(400), "invalid_parameters", "{query}");
    }
}

#[tokio::test]
async fn projections_say_how_far_they_are_and_are_rebuilt_once_per_key() {
    let world = a_world_with_cups().await;
    world.settle().await;
    let head = world.get("/api/v1/events?limit=1").await.position();

    let projections = items(&world.get("/api/v1/projections").await.expect(200));

    let mut names: Vec<&str> = projections
        .iter()
        .filter_map(|it| it["name"].as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "categories",
            "customers",
            "delivery",
            "guests",
            "listings",
            "milestones",
            "orders",
            "payments",
            "products",
            "promotions",
            "sales",
            "settlement",
            "stock",
            "timeline",
            "vendor_orders",
            "vendors",
        ]
    );
    for projection in &projections {
        assert_eq!(names_of(projection), ["lag", "name", "position", "state"]);
        assert_eq!(projection["position"], json!(head), "{projection}");
        assert_eq!((&projection["lag"], &projection["state"]), (&json!(0), &json!("running")));
    }
    let path = "/api/v1/projections/orders/rebuild";
    let started = world.post_as("key-1", path, json!({})).await.expect(202);
    let again = world.post_as("key-1", path, json!({})).await.expect(202);
    assert_eq!((&again.text, started.json()["name"].as_str()), (&started.text, Some("orders")));
    assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
    until("it is rebuilt", async || {
        let projections = items(&world.get("/api/v1/projections").await);
        let orders = projections.iter().find(|it| it["name"] == "orders")?;
        (orders["rebuild"]["state"] == "done").then_some(())
    })
    .await;
    let unknown = world
        .post("/api/v1/projections/nothing/rebuild", json!({}))
        .await;
    assert_eq!(unknown.problem(404), "not_found");
}
