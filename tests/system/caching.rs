//! What may be kept and for how long; and that what is kept is never what was.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use tests::telling::{items, keyed};
use tests::world::{STAFF, an_order, send, until};
use tests::{Answer, World};

async fn put(world: &World, path: &str, body: Value) -> i64 {
    let request = world.staff(Method::PUT, &format!("/api/v1{path}"));
    send(keyed(request).json(&body))
        .await
        .expect(200)
        .position()
}

async fn price(world: &World, sku: &str, amount: &str) -> i64 {
    let price = json!({"amount": amount, "currency": "GBP"});
    let body = json!({"name": format!("The {sku}"), "price": price, "active": true});
    put(world, &format!("/products/{sku}"), body).await
}

async fn see(world: &World, path: &str, position: i64) -> Answer {
    let request = world.guest(Method::GET, &format!("/api/v1{path}"));
    send(request.header("daybook-min-position", position))
        .await
        .expect(200)
}

/// A cup on a page in a category.
async fn a_shop() -> World {
    let world = World::new().await;
    world.article("cup", "4.50", 3).await;
    let _there = put(&world, "/categories/cups", json!({"name": "Cups"})).await;
    let page = json!({
        "title": "Cup", "category": "cups", "active": true, "variants": [{"sku": "cup"}]
    });
    let _there = put(&world, "/listings/cup", page).await;
    world.settle().await;
    world
}

const PUBLIC: [(&str, &str); 9] = [
    ("/products", "public, max-age=600"),
    ("/products/cup", "public, max-age=600"),
    ("/listings", "public, max-age=600"),
    ("/listings/cup", "public, max-age=600"),
    ("/categories", "public, max-age=900"),
    ("/categories/cups", "public, max-age=900"),
    ("/shipping/methods", "public, max-age=300"),
    ("/shipping/pickup-points", "public, max-age=300"),
    ("/promotions", "public, max-age=300"),
];

#[tokio::test]
async fn each_route_says_how_it_may_be_kept_and_an_unclassified_one_not_at_all() {
    let world = a_shop().await;
    let told = |answer: &Answer| answer.header("cache-control").unwrap();
    for (path, expected) in PUBLIC {
        let answer = send(world.guest(Method::GET, &format!("/api/v1{path}")))
            .await
            .expect(200);
        assert_eq!(told(&answer), expected, "{path}");
        assert!(
            answer
                .header("vary")
                .unwrap()
                .contains("Daybook-Min-Position"),
            "{path}"
        );
    }
    for path in PUBLIC.map(|(path, _)| path) {
        let answer = world.get(&format!("/api/v1{path}")).await.expect(200);
        // Categories and promotions look the same to everybody.
        let expected = match path {
            "/categories" | "/categories/cups" => "private, max-age=900",
            "/promotions" => "private, max-age=300",
            _ => "no-store",
        };
        assert_eq!(told(&answer), expected, "{path} as staff");
    }
    let report = world
        .get("/api/v1/reports/sales?group_by=day")
        .await
        .expect(200);
    assert_eq!(told(&report), "private, max-age=60");

    let document = send(world.guest(Method::GET, "/openapi.json"))
        .await
        .expect(200)
        .json();
    let mut unclassified = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let known = path.starts_with("/api/v1/products")
            || path.starts_with("/api/v1/listings")
            || path.starts_with("/api/v1/categories")
            || path.starts_with("/api/v1/shipping")
            || path.starts_with("/api/v1/reports")
            || path == "/api/v1/promotions";
        if known && !path.ends_with("availability") || item.get("get").is_none() {
            continue;
        }
        let path = path
            .replace("{id}", "01890000-0000-7000-8000-000000000000")
            .replace("{sku}", "cup")
            .replace("/events/stream", "/events/stream?to=0");
        let answer = world.get(&path).await;
        assert_eq!(told(&answer), "no-store", "{path}");
        unclassified += 1;
    }
    assert!(20 < unclassified, "{unclassified}");
    let refused = send(world.guest(Method::GET, "/api/v1/products?colour=red")).await;
    assert_eq!((refused.status.as_u16(), told(&refused).as_str()), (400, "no-store"));
    let placed = world
        .post("/api/v1/orders", an_order(&[("cup", 1)]))
        .await
        .expect(201);
    assert_eq!(told(&placed), "no-store");
}

#[tokio::test]
async fn who_has_it_already_gets_304_until_it_changes() {
    let world = a_shop().await;
    let paths: Vec<String> = PUBLIC
        .iter()
        .map(|(path, _)| format!("/api/v1{path}"))
        .chain(["/api/v1/reports/sales?group_by=day".to_owned()])
        .collect();
    for path in &paths {
        let ask = || {
            let request = world.guest(Method::GET, path);
            if path.contains("reports") {
                request.bearer_auth(STAFF)
            } else {
                request
            }
        };
        let first = send(ask()).await.expect(200);
        let tag = first.header("etag").unwrap();
        let same = send(ask().header("if-none-match", &tag)).await.expect(304);
        assert_eq!((same.text.as_str(), same.header("etag")), ("", Some(tag.clone())), "{path}");
        assert_eq!(same.header("cache-control"), first.header("cache-control"), "{path}");
        assert!(first.position() <= same.position(), "{path}");
        let other = send(ask().header("if-none-match", "\"other\""))
            .await
            .expect(200);
        assert_eq!(other.text, first.text, "{path}");
    }
    let list = see(&world, "/listings", 0).await;
    let position = price(&world, "cup", "5.00").await;
    let request = world.guest(Method::GET, "/api/v1/listings");
    let request = request.header("if-none-match", list.header("etag").unwrap());
    let changed = send(request.header("daybook-min-position", position))
        .await
        .expect(200);
    assert_eq!(items(&changed)[0]["price"]["amount"], "5.00");
}

#[tokio::test]
async fn what_is_kept_is_told_with_the_position_up_to_which_it_is_true() {
    let world = a_shop().await;
    for pence in 10..40 {
        let amount = format!("4.{pence}");
        let position = price(&world, "cup", &amount).await;
        let told = |answer: &Answer, pointer: &str| {
            assert!(position <= answer.position());
            answer.json().pointer(pointer).unwrap().clone()
        };
        let (list, page, products, product) = tokio::join!(
            see(&world, "/listings", position),
            see(&world, "/listings/cup", position),
            see(&world, "/products", position),
            see(&world, "/products/cup", position),
        );
        assert_eq!(told(&list, "/items/0/price/amount"), amount);
        assert_eq!(told(&page, "/variants/0/price/amount"), amount);
        assert_eq!(told(&products, "/items/0/price/amount"), amount);
        assert_eq!(told(&product, "/price/amount"), amount);
        // The log goes on, and nothing of it concerns the categories.
        let categories = see(&world, "/categories", position).await;
        assert_eq!(told(&categories, "/items/0/handle"), "cups");
    }
}

#[tokio::test]
async fn stock_that_moves_changes_pages_and_lists_only_when_it_runs_out() {
    let world = a_shop().await;
    let adjust = async |pieces: i64| {
        let body = json!({"quantity": pieces, "reason": "counted"});
        let path = "/api/v1/inventory/cup/adjustments";
        world.post(path, body).await.expect(200).position()
    };
    for (pieces, left) in [(-1, 2), (-1, 1), (-1, 0), (5, 5)] {
        let position = adjust(pieces).await;
        let page = see(&world, "/listings/cup", position).await.json();
        assert_eq!(page["variants"][0]["available"], left);
        let list = see(&world, "/listings?in_stock=true", position).await;
        assert_eq!(items(&list).len(), usize::from(0 < left), "{left}");
        let product = see(&world, "/products/cup", position).await.json();
        assert_eq!(product["available"], left);
    }
}

#[tokio::test]
async fn a_second_process_keeps_nothing_that_the_first_has_changed() {
    let world = a_shop().await;
    let mut other = world.beside().await;
    for pence in 10..20 {
        let amount = format!("5.{pence}");
        let position = price(&world, "cup", &amount).await;
        let page = see(&other, "/listings/cup", position).await.json();
        assert_eq!(page["variants"][0]["price"]["amount"], amount);
    }
    other.stop().await;
}

#[tokio::test]
async fn many_who_ask_the_same_cost_little_and_the_hit_rate_is_counted() {
    let world = a_shop().await;
    let asked = (0..200).map(|_| see(&world, "/listings?search=cup&sort=title", 0));
    let answers = futures::future::join_all(asked).await;
    assert!(answers.iter().all(|answer| answer.text == answers[0].text));
    let metrics = send(world.guest(Method::GET, "/metrics"))
        .await
        .expect(200)
        .text;
    let told = |from: &str| {
        let name = format!("catalogue_answers_total{{from=\"{from}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap().parse::<u64>().unwrap()
    };
    // All worlds of this process are counted together.
    assert!(199 <= told("memory"), "{}", told("memory"));
    assert!(1 <= told("computation"));
}

fn offered(name: &str, starts_at: Option<DateTime<Utc>>, ends_at: Option<DateTime<Utc>>) -> Value {
    json!({
        "name": name, "percentage": "10", "listed": true,
        "starts_at": starts_at, "ends_at": ends_at
    })
}

fn codes(answer: &Answer) -> Vec<String> {
    let items = items(answer);
    let codes = items.iter().map(|item| item["code"].as_str().unwrap());
    codes.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_promotion_is_told_of_as_soon_as_it_is_offered_and_no_longer_than_it_is() {
    let world = World::new().await;
    let other = world.beside().await;
    for name in ["Spring", "Summer"] {
        let position = put(&world, "/promotions/SALE", offered(name, None, None)).await;
        for process in [&world, &other] {
            let list = see(process, "/promotions", position).await;
            assert_eq!(items(&list)[0]["name"], name);
        }
    }
    let mut off = offered("Summer", None, None);
    off["active"] = false.into();
    let position = put(&world, "/promotions/SALE", off).await;
    assert!(codes(&see(&world, "/promotions", position).await).is_empty());
    let mut other = other;
    other.stop().await;
}

#[tokio::test]
async fn promotions_begin_and_end_by_the_clock_though_nothing_is_heard() {
    let world = World::new().await;
    let soon = Utc::now() + TimeDelta::seconds(3);
    let _there = put(&world, "/promotions/ENDS", offered("Ends", None, Some(soon))).await;
    let position = put(&world, "/promotions/STARTS", offered("Starts", Some(soon), None)).await;
    let list = see(&world, "/promotions", position).await;
    // Where this machine was slow, it has happened already.
    if Utc::now() < soon {
        assert_eq!(codes(&list), ["ENDS"]);
        let kept = list.header("cache-control").unwrap();
        let seconds = kept.strip_prefix("public, max-age=");
        let seconds = seconds.map_or(0, |seconds| seconds.parse::<u32>().unwrap());
        assert!(seconds <= 3, "{kept} outlives what it says");
    }
    let changed = until("the clock to change promotions", async || {
        let list = see(&world, "/promotions", position).await;
        let is_as_before = codes(&list) == ["ENDS"];
        assert!(!is_as_before || Utc::now() < soon + TimeDelta::seconds(1), "told too long");
        (!is_as_before).then_some(list)
    })
    .await;
    assert_eq!(codes(&changed), ["STARTS"]);
    assert_eq!(changed.header("cache-control").as_deref(), Some("public, max-age=300"));
}
