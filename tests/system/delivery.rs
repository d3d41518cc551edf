//! Shipping methods and pick-up points: what sending an order costs, by the rates of the moment in
//! which it is placed, and what becomes of it afterwards.

mod buying;

use reqwest::Method;
use serde_json::{Value, json};
use tests::telling::{items, keyed, pointers, these};
use tests::world::{an_order, send, until};
use tests::{Answer, World};

fn pounds(amount: &str) -> Value {
    json!({"amount": amount, "currency": "GBP"})
}

fn with(mut body: Value, more: &Value) -> Value {
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    body
}

async fn put(world: &World, path: &str, body: &Value) -> Answer {
    let path = format!("/api/v1/shipping/{path}");
    send(keyed(world.staff(Method::PUT, &path)).json(body)).await
}

/// To Britain and Ireland: up to 1 kg for 3.50, up to 5 kg for 7.00, for nothing from 50.00 on.
fn post() -> Value {
    json!({
        "name": "Post", "countries": ["GB", "IE"], "days": {"min": 2, "max": 4},
        "rates": [{"currency": "GBP", "free_from": pounds("50.00"), "bands": [
            {"weight_up_to": 1000, "price": pounds("3.50")},
            {"weight_over": 1000, "weight_up_to": 5000, "price": pounds("7.00")},
        ]}],
    })
}

fn station(active: bool) -> Value {
    json!({
        "name": "Station kiosk", "opening_hours": "Mo-Su 06:00-22:00", "active": active,
        "address": {"line1": "Platform 1", "city": "London", "country": "GB"},
    })
}

fn collect() -> Value {
    json!({
        "name": "Collect", "kind": "pickup_point", "pickup_points": ["station"],
        "rates": [{"currency": "GBP", "bands": [{"price": pounds("1.00")}]}],
    })
}

/// Cups of 4.00 and 400 g, pots of 10.00 and 1,000 g, cards of 1.00 and nobody knows what weight.
async fn a_shop() -> World {
    let world = World::new().await;
    for (sku, price, grams) in [
        ("cup", "4.00", Some(400)),
        ("pot", "10.00", Some(1_000)),
        ("card", "1.00", None),
    ] {
        world.article(sku, price, 1_000).await;
        let offer = json!({
            "name": format!("The {sku}"), "price": pounds(price), "active": true,
            "weight_grams": grams,
        });
        let path = format!("/api/v1/products/{sku}");
        let described = send(keyed(world.staff(Method::PUT, &path)).json(&offer)).await;
        assert_eq!(described.expect(200).json()["weight_grams"], json!(grams));
    }
    let _put = put(&world, "methods/post", &post()).await.expect(200);
    let _put = put(&world, "pickup-points/station", &station(true))
        .await
        .expect(200);
    let _put = put(&world, "methods/collect", &collect()).await.expect(200);
    world
}

fn by_post(items: &[(&str, u32)]) -> Value {
    with(an_order(items), &json!({"shipping_method": "post"}))
}

fn to_collect(items: &[(&str, u32)]) -> Value {
    let how = json!({"shipping_method": "collect", "pickup_point": "station"});
    with(an_order(items), &how)
}

async fn order(world: &World, order: &Value) -> Answer {
    send(keyed(world.guest(Method::POST, "/api/v1/orders")).json(order)).await
}

async fn quotes(world: &World, country: &str, items: &[(&str, u32)]) -> Value {
    let items: Vec<Value> = items
        .iter()
        .map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity}))
        .collect();
    let body = json!({"country": country, "currency": "GBP", "items": items});
    let request = world.guest(Method::POST, "/api/v1/shipping/quotes");
    send(request.json(&body)).await.expect(200).json()
}

fn told(quotes: &Value) -> Vec<(&str, &str)> {
    let methods = quotes["methods"].as_array().unwrap().iter();
    methods
        .map(|of| (of["id"].as_str().unwrap(), of["price"]["amount"].as_str().unwrap()))
        .collect()
}

fn reasons(quotes: &Value) -> Vec<(&str, &str)> {
    let methods = quotes["unavailable"].as_array().unwrap().iter();
    methods
        .map(|of| (of["id"].as_str().unwrap(), of["reason"].as_str().unwrap()))
        .collect()
}

fn id_of(placed: &Answer) -> String {
    placed.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_quote_is_what_an_order_is_asked_for_at_the_edges_of_the_rates() {
    let world = a_shop().await;
    for (items, price, total) in [
        (&[("cup", 2)][..], "3.50", "11.50"),
        // A thousand grams to the gram.
        (&[("pot", 1)], "3.50", "13.50"),
        (&[("pot", 1), ("cup", 1)], "7.00", "21.00"),
        (&[("pot", 4), ("cup", 2)], "7.00", "55.00"),
        // Five kilograms, and for nothing from 50.00 on.
        (&[("pot", 5)], "0.00", "50.00"),
    ] {
        let quoted = quotes(&world, "GB", items).await;
        let post = quoted["methods"].as_array().unwrap().iter();
        let post = post.clone().find(|of| of["id"] == "post").unwrap();
        assert_eq!(post["price"], pounds(price), "{items:?}");
        assert_eq!(post["total"], pounds(total), "{items:?}");
        assert_eq!(post["days"], json!({"min": 2, "max": 4}));
        let asked = with(by_post(items), &json!({"expected_total": post["total"]}));
        let placed = order(&world, &asked).await.expect(201);
        assert_eq!(placed.json()["total"], pounds(total), "{items:?}");
    }
    // The cheapest first.
    let both = quotes(&world, "GB", &[("cup", 1)]).await;
    assert_eq!(told(&both), [("collect", "1.00"), ("post", "3.50")]);
    assert_eq!(both["weight_grams"], 400);
    assert_eq!(both["methods"][0]["pickup_points"][0]["id"], "station");
    // Too heavy, elsewhere, and of unknown weight.
    let heavy = quotes(&world, "GB", &[("pot", 4), ("cup", 3)]).await;
    assert_eq!(
        (told(&heavy), reasons(&heavy)),
        (vec![("collect", "1.00")], vec![("post", "weight")])
    );
    let away = quotes(&world, "FR", &[("cup", 1)]).await;
    assert_eq!(reasons(&away), [("collect", "country"), ("post", "country")]);
    let unweighed = quotes(&world, "GB", &[("cup", 1), ("card", 1)]).await;
    assert_eq!(reasons(&unweighed), [("post", "weight_unknown")]);
    assert_eq!(unweighed["unweighed"], json!(["card"]));
    assert_eq!(unweighed["weight_grams"], Value::Null);
    world.verify().await;
}

#[tokio::test]
async fn a_discount_is_for_goods_and_decides_what_is_sent_for_nothing() {
    let world = a_shop().await;
    let path = "/api/v1/promotions/HALF";
    let half = json!({"name": "Half", "percentage": "50", "listed": true});
    let _offered = send(keyed(world.staff(Method::PUT, path)).json(&half))
        .await
        .expect(200);
    let goods = [("pot", 5)];
    let asked = with(by_post(&goods), &json!({"promotion_code": "HALF"}));
    let placed = order(&world, &asked).await.expect(201);
    // 50.00 less a half, which is not for nothing any more, and no half of the shipping.
    assert_eq!(placed.json()["total"], pounds("32.00"));
    let body = json!({
        "country": "GB", "currency": "GBP", "promotion_code": "half",
        "items": [{"sku": "pot", "quantity": 5}],
    });
    let request = world.guest(Method::POST, "/api/v1/shipping/quotes");
    let quoted = send(request.json(&body)).await.expect(200).json();
    assert_eq!(quoted["goods"], pounds("25.00"));
    assert_eq!(told(&quoted), [("collect", "1.00"), ("post", "7.00")]);
}

#[tokio::test]
async fn what_an_order_was_asked_for_stays_whatever_becomes_of_the_rates() {
    let world = a_shop().await;
    let asked = by_post(&[("cup", 2)]);
    let placed = world
        .post_as("once", "/api/v1/orders", asked.clone())
        .await
        .expect(201);
    let id = id_of(&placed);
    let dearer = json!({"rates": [{"currency": "GBP", "bands": [{"price": pounds("9.99")}]}]});
    let changed = put(&world, "methods/post", &with(post(), &dearer))
        .await
        .expect(200);
    let off = with(post(), &json!({"active": false}));
    let _off = put(&world, "methods/post", &off).await.expect(200);

    // The same key is told the same again, and nothing is ordered twice.
    let again = world.post_as("once", "/api/v1/orders", asked.clone()).await;
    assert_eq!((again.status, &again.text), (placed.status, &placed.text));
    let shown = world.order_when(&id, "confirmed").await;
    assert_eq!(shown["shipping_cost"], pounds("3.50"));
    assert_eq!(shown["total"], pounds("11.50"));
    assert_eq!(shown["captured"], pounds("11.50"));
    assert_eq!(
        shown["shipping"],
        json!({
            "method": "post", "name": "Post", "weight_grams": 800, "days": {"min": 2, "max": 4},
        })
    );
    world.settle().await;
    let as_of = format!("/api/v1/orders/{id}?as_of={}", placed.position());
    assert_eq!(world.get(&as_of).await.expect(200).json()["shipping"], shown["shipping"]);

    // Who changed which rate, and when.
    let events = world
        .get("/api/v1/events?aggregate=delivery&type=delivery.method_described")
        .await
        .expect(200);
    let events = items(&events);
    let of_post: Vec<&Value> = events
        .iter()
        .filter(|event| event["data"]["method_id"] == "post")
        .collect();
    assert_eq!(of_post.len(), 3);
    let dearest = of_post
        .iter()
        .find(|event| event["position"] == changed.position())
        .unwrap();
    assert_eq!(dearest["data"]["method"]["rates"][0]["bands"][0]["price_minor"], 999);
    assert_eq!(dearest["actor"], "staff");
    let timeline = world
        .get(&format!("/api/v1/orders/{id}/timeline"))
        .await
        .expect(200);
    let sentence = &items(&timeline)[0]["summary"];
    assert_eq!(sentence, "1 line ordered for GBP 11.50, GBP 3.50 of it for Post");
    world.verify().await;
}

#[tokio::test]
async fn rates_that_change_between_quote_and_order_are_told_and_nothing_is_placed() {
    let world = a_shop().await;
    let asked = with(by_post(&[("cup", 1)]), &json!({"expected_total": pounds("7.50")}));
    let dearer = json!({"rates": [{"currency": "GBP", "bands": [{"price": pounds("4.00")}]}]});
    let _dearer = put(&world, "methods/post", &with(post(), &dearer))
        .await
        .expect(200);
    let refused = order(&world, &asked).await;
    assert_eq!(refused.problem(422), "price_changed");
    let told = refused.json();
    assert_eq!((&told["old"], &told["new"]), (&pounds("7.50"), &pounds("8.00")));
    let off = with(post(), &json!({"active": false}));
    let _off = put(&world, "methods/post", &off).await.expect(200);
    let refused = order(&world, &asked).await;
    assert_eq!(refused.problem(422), "shipping_unavailable");
    assert_eq!(refused.json()["reason"], "inactive");
    world.settle().await;
    assert_eq!(world.get("/api/v1/orders").await.expect(200).json()["items"], json!([]));
}

#[tokio::test]
async fn an_order_that_a_method_does_not_carry_is_refused_with_the_reason() {
    let world = a_shop().await;
    let by_total = json!({"name": "Van", "rates": [{"currency": "GBP", "bands": [
        {"total_from": pounds("8.00"), "total_below": pounds("20.00"), "price": pounds("2.00")},
    ]}]});
    let _put = put(&world, "methods/van", &by_total).await.expect(200);
    for (change, items, reason) in [
        (json!({}), &[("pot", 6)][..], "weight"),
        (json!({}), &[("cup", 1), ("card", 1)], "weight_unknown"),
        (json!({"shipping_method": "van"}), &[("cup", 1)], "total"),
        (json!({"shipping_method": "van"}), &[("pot", 2)], "total"),
        (
            json!({"shipping_address": {"line1": "1 Rue", "country": "FR"}}),
            &[("cup", 1)],
            "country",
        ),
        (
            json!({"currency": "EUR", "items": [{
                "sku": "cup", "quantity": 1, "name": "Cup",
                "unit_price": {"amount": "5.00", "currency": "EUR"},
            }]}),
            &[("cup", 1)],
            "currency",
        ),
    ] {
        let asked = with(by_post(items), &change);
        let refused = world.post("/api/v1/orders", asked).await;
        assert_eq!(refused.problem(422), "shipping_unavailable", "{change}");
        assert_eq!(refused.json()["reason"], reason, "{change}");
        let told = pointers(&refused);
        assert!(told.contains("/shipping_method"), "{told:?}");
        assert_eq!(told.contains("/items/1/sku"), reason == "weight_unknown", "{told:?}");
    }
    for (items, total) in [
        (&[("cup", 2)][..], "10.00"),
        (&[("pot", 1), ("cup", 2)], "20.00"),
    ] {
        let asked = with(by_post(items), &json!({"shipping_method": "van"}));
        let placed = order(&world, &asked).await.expect(201);
        assert_eq!(placed.json()["total"], pounds(total));
    }
    let unknown = with(by_post(&[("cup", 1)]), &json!({"shipping_method": "pigeon"}));
    assert_eq!(order(&world, &unknown).await.problem(422), "shipping_method_unknown");
}

#[tokio::test]
async fn goods_are_picked_up_where_the_method_goes_and_the_point_is_open() {
    let world = a_shop().await;
    let placed = order(&world, &to_collect(&[("card", 1)])).await.expect(201);
    assert_eq!(placed.json()["total"], pounds("2.00"));
    let shown = world.order_when(&id_of(&placed), "confirmed").await;
    assert_eq!(shown["shipping"]["pickup_point"]["id"], "station");
    assert_eq!(shown["shipping"]["pickup_point"]["address"]["line1"], "Platform 1");
    assert_eq!(shown["shipping"]["weight_grams"], Value::Null);
    // What counts is where the point is, not where the customer lives.
    let abroad = json!({"shipping_address": {"line1": "1 Rue", "country": "FR"}});
    let abroad = with(to_collect(&[("cup", 1)]), &abroad);
    let _placed = order(&world, &abroad).await.expect(201);

    let _other = put(&world, "pickup-points/harbour", &station(true))
        .await
        .expect(200);
    for (change, code) in [
        (json!({"pickup_point": null}), "pickup_point_missing"),
        (json!({"pickup_point": "nowhere"}), "pickup_point_unknown"),
        // It is there, but not this method's.
        (json!({"pickup_point": "harbour"}), "pickup_point_unknown"),
        (json!({"shipping_method": "post"}), "pickup_point_unknown"),
    ] {
        let refused = order(&world, &with(to_collect(&[("cup", 1)]), &change)).await;
        assert_eq!(refused.problem(422), code, "{change}");
        assert_eq!(pointers(&refused), these(&["/pickup_point"]));
    }
    let _closed = put(&world, "pickup-points/station", &station(false))
        .await
        .expect(200);
    let refused = order(&world, &to_collect(&[("cup", 1)])).await;
    assert_eq!(refused.problem(422), "pickup_point_inactive");
    let none_left = quotes(&world, "GB", &[("cup", 1)]).await;
    assert_eq!(reasons(&none_left), [("collect", "country")]);
    world.settle().await;
    let path = "/api/v1/shipping/pickup-points";
    let open = send(world.guest(Method::GET, path)).await.expect(200);
    assert_eq!(items(&open).len(), 1, "customers see what is open");
    assert_eq!(items(&world.get(path).await.expect(200)).len(), 2);
    let elsewhere = world.get(&format!("{path}?country=FR")).await.expect(200);
    assert_eq!(items(&elsewhere), Vec::<Value>::new());
}

#[tokio::test]
async fn the_shipping_goes_back_with_everything_or_where_it_is_asked_for() {
    let world = a_shop().await;
    let refund = async |id: &str, body: &Value| {
        let path = format!("/api/v1/orders/{id}/refunds");
        world
            .post(&path, with(body.clone(), &json!({"reason": "broken"})))
            .await
    };
    let back = async |id: &str, amount: &str| {
        until(&format!("{amount} has gone back"), async || {
            let shown = world.get(&format!("/api/v1/orders/{id}")).await.json();
            (shown["refunded"] == pounds(amount)).then_some(())
        })
        .await;
    };
    let confirmed = async || {
        let placed = order(&world, &by_post(&[("cup", 2)])).await.expect(201);
        let id = id_of(&placed);
        let _there = world.order_when(&id, "confirmed").await;
        id
    };
    let a_cup = json!([{"sku": "cup", "quantity": 1, "restock": false}]);
    let id = confirmed().await;
    let part = refund(&id, &json!({"items": a_cup})).await.expect(201);
    assert_eq!(part.json()["amount"], pounds("4.00"), "without the shipping");
    back(&id, "4.00").await;
    let rest = refund(&id, &json!({"items": a_cup, "shipping": true})).await;
    assert_eq!(rest.expect(201).json()["amount"], pounds("7.50"));
    back(&id, "11.50").await;
    let _all_gone = world.order_when(&id, "refunded").await;

    let id = confirmed().await;
    let alone = refund(&id, &json!({"shipping": true})).await.expect(201);
    assert_eq!(alone.json()["amount"], pounds("3.50"));
    back(&id, "3.50").await;
    let twice = refund(&id, &json!({"shipping": true})).await;
    assert_eq!(twice.problem(409), "nothing_to_refund");

    let id = confirmed().await;
    let all = refund(&id, &json!({})).await.expect(201);
    assert_eq!(all.json()["amount"], pounds("11.50"));
    back(&id, "11.50").await;

    // Three orders of two cups each; what was sent is nobody's turnover.
    world.settle().await;
    let report = world.get("/api/v1/reports/sales?group_by=sku").await;
    let report = report.expect(200).json()["items"][0].clone();
    assert_eq!((&report["key"], &report["gross"]), (&json!("cup"), &pounds("24.00")));
    assert_eq!((&report["refunded"], &report["net"]), (&pounds("16.00"), &pounds("8.00")));
    // In the settlement, all money counts: 34.50 came in, 26.50 went back.
    let settled = world
        .get("/api/v1/reports/settlement")
        .await
        .expect(200)
        .json();
    let settled = &settled["items"][0];
    assert_eq!(settled["captured"], "34.50", "{settled}");
    assert_eq!(settled["refunded"], "26.50", "{settled}");
    world.verify().await;
}

#[tokio::test]
async fn rates_that_make_no_sense_are_refused() {
    let world = a_shop().await;
    let rates = |bands: Value| json!({"rates": [{"currency": "GBP", "bands": bands}]});
    let price = || pounds("1.00");
    for (change, code) in [
        (rates(json!([{"price": price()}, {"price": price()}])), "rate_bands_overlap"),
        (
            rates(json!([
                {"weight_up_to": 1000, "price": price()},
                {"weight_over": 999, "price": price()},
            ])),
            "rate_bands_overlap",
        ),
        (
            rates(json!([{"weight_over": 9, "weight_up_to": 9, "price": price()}])),
            "rate_band_empty",
        ),
        (
            rates(json!([{"total_from": pounds("9.00"), "total_below": pounds("8.00"),
                          "price": price()}])),
            "rate_band_empty",
        ),
        (
            json!({"rates": [{"currency": "GBP", "bands": [{"price": price()}]},
                             {"currency": "GBP", "bands": [{"price": price()}]}]}),
            "two_rates",
        ),
        (
            json!({"rates": [{"currency": "GBP", "free_from": pounds("0.00"),
                              "bands": [{"price": price()}]}]}),
            "rate_out_of_bounds",
        ),
        (json!({"days": {"min": 3, "max": 2}}), "days_out_of_bounds"),
        (json!({"kind": "pickup_point"}), "pickup_point_count_out_of_bounds"),
        (
            json!({"kind": "pickup_point", "pickup_points": ["nowhere"]}),
            "pickup_point_unknown",
        ),
        (json!({"pickup_points": ["station"]}), "invalid_fields"),
        (json!({"countries": ["GB", "XY1"]}), "invalid_fields"),
        (json!({"countries": ["GB", "GB"]}), "invalid_fields"),
        (json!({"rates": []}), "invalid_fields"),
        (rates(json!([])), "invalid_fields"),
        (rates(json!([{"price": pounds("-1.00")}])), "invalid_fields"),
        (
            rates(json!([{"price": {"amount": "1.00", "currency": "EUR"}}])),
            "invalid_fields",
        ),
        (rates(json!([{"weight_up_to": -1, "price": price()}])), "invalid_fields"),
        (rates(json!([{"weight_up_to": 1.5, "price": price()}])), "invalid_fields"),
        (rates(json!([{"weight_up_to": 5}])), "invalid_fields"),
        (json!({"colour": "red"}), "invalid_fields"),
    ] {
        let refused = put(&world, "methods/post", &with(post(), &change)).await;
        assert_eq!(refused.problem(422), code, "{change}");
    }
    let unknown = put(&world, "methods/By%20Post", &post()).await;
    assert_eq!(unknown.problem(400), "invalid_parameters");
    // Nothing of it has happened.
    let quoted = quotes(&world, "GB", &[("cup", 1)]).await;
    assert_eq!(told(&quoted), [("collect", "1.00"), ("post", "3.50")]);
}

#[tokio::test]
async fn rates_are_read_by_everybody_and_written_by_staff_of_the_version_they_have_seen() {
    let world = a_shop().await;
    let path = "/api/v1/shipping/methods/post";
    let guest = send(keyed(world.guest(Method::PUT, path)).json(&post())).await;
    assert_eq!(guest.problem(401), "unauthenticated");
    world.settle().await;
    let shown = send(world.guest(Method::GET, path)).await.expect(200);
    let view = shown.json();
    assert_eq!(view["rates"][0]["free_from"], pounds("50.00"));
    assert_eq!(view["rates"][0]["bands"][1]["weight_over"], 1_000);
    assert_eq!(shown.header("cache-control").as_deref(), Some("public, max-age=300"));
    // Unchanged is no fact; a version that is over is refused.
    let same = put(&world, "methods/post", &post()).await.expect(200);
    let version = same.json()["version"].as_i64().unwrap();
    let stale = keyed(world.staff(Method::PUT, path)).header("if-match", "\"1\"");
    let off = with(post(), &json!({"active": false}));
    assert_eq!(send(stale.json(&off)).await.problem(412), "version_mismatch");
    let fresh = keyed(world.staff(Method::PUT, path)).header("if-match", format!("\"{version}\""));
    let changed = send(fresh.json(&off)).await.expect(200);
    assert_eq!(changed.json()["version"], version + 1);
    world.settle().await;
    let request = world.guest(Method::GET, path);
    let request = request.header("daybook-min-position", changed.position().to_string());
    assert_eq!(send(request).await.problem(404), "not_found");
    let all = items(&world.get("/api/v1/shipping/methods").await.expect(200));
    assert_eq!(all.len(), 2);
    assert_eq!((&all[1]["id"], &all[1]["active"]), (&json!("post"), &json!(false)));
}

#[tokio::test]
async fn another_process_hears_of_rates_and_a_restart_knows_them() {
    let mut world = a_shop().await;
    let mut beside = world.beside().await;
    let price = async |world: &World| {
        let quoted = quotes(world, "GB", &[("cup", 1)]).await;
        told(&quoted)
            .iter()
            .find(|(id, _)| *id == "post")
            .map(|(_, price)| (*price).to_owned())
    };
    until("the other process has heard of the rates", async || {
        (price(&beside).await.as_deref() == Some("3.50")).then_some(())
    })
    .await;
    let dearer = json!({"rates": [{"currency": "GBP", "bands": [{"price": pounds("4.20")}]}]});
    let _put = put(&world, "methods/post", &with(post(), &dearer))
        .await
        .expect(200);
    assert_eq!(
        price(&world).await.as_deref(),
        Some("4.20"),
        "at once where it was acknowledged"
    );
    until("the other process has heard of the change", async || {
        (price(&beside).await.as_deref() == Some("4.20")).then_some(())
    })
    .await;
    beside.stop().await;
    world.settle().await;
    world.restart().await;
    assert_eq!(price(&world).await.as_deref(), Some("4.20"));
}
