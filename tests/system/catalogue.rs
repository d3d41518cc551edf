//! The catalogue as a shop front sees it: pages, shelves, who sees what, and who changed a price.

use reqwest::Method;
use serde_json::{Value, json};
use tests::telling::{items, keyed, pointers, these};
use tests::world::{an_order, send};
use tests::{Answer, World};

async fn put(world: &World, path: &str, body: Value) -> Answer {
    let request = world.staff(Method::PUT, &format!("/api/v1{path}"));
    send(keyed(request).json(&body)).await
}

async fn delete(world: &World, path: &str) -> Answer {
    send(keyed(world.staff(Method::DELETE, &format!("/api/v1{path}")))).await
}

/// A query by a guest who has seen the log up to a position.
async fn see(world: &World, path: &str, position: i64) -> Answer {
    let request = world.guest(Method::GET, &format!("/api/v1{path}"));
    send(request.header("daybook-min-position", position)).await
}

fn handles(answer: &Answer) -> Vec<String> {
    let of = |item: &Value| item["handle"].as_str().unwrap().to_owned();
    items(answer).iter().map(of).collect()
}

fn cups(skus: &[&str]) -> Value {
    let variant = |sku: &&str| json!({"sku": sku, "options": [{"name": "size", "value": sku}]});
    json!({
        "title": "Tea cup",
        "description": "For tea.\nAnd coffee.",
        "images": ["https://images.example/cup.jpg"],
        "category": "cups",
        "tags": ["Tea", "gift"],
        "active": true,
        "variants": skus.iter().map(variant).collect::<Vec<_>>(),
    })
}

/// A shop with two cups on one page, below the kitchen.
async fn a_shop() -> (World, i64) {
    let world = World::new().await;
    world.article("S", "4.50", 10).await;
    world.article("L", "6.50", 0).await;
    let kitchen = json!({"name": "Kitchen"});
    let _kitchen = put(&world, "/categories/kitchen", kitchen)
        .await
        .expect(200);
    let below = json!({"name": "Cups", "parent": "kitchen"});
    let _cups = put(&world, "/categories/cups", below).await.expect(200);
    let listed = put(&world, "/listings/tea-cup", cups(&["S", "L"])).await;
    let position = listed.expect(200).position();
    (world, position)
}

#[tokio::test]
async fn a_page_shows_its_variants_with_price_and_what_is_left() {
    let (world, position) = a_shop().await;
    let page = see(&world, "/listings/tea-cup", position)
        .await
        .expect(200)
        .json();
    assert_eq!(page["description"], "For tea.\nAnd coffee.");
    assert_eq!(page["tags"], json!(["gift", "tea"]));
    assert_eq!(page["categories"][0], json!({"handle": "kitchen", "name": "Kitchen"}));
    assert_eq!(page["options"], json!([{"name": "size", "values": ["S", "L"]}]));
    let of = |variant: &Value| (variant["price"]["amount"].clone(), variant["available"].clone());
    let variants: Vec<_> = page["variants"]
        .as_array()
        .unwrap()
        .iter()
        .map(of)
        .collect();
    assert_eq!(variants, [(json!("4.50"), json!(10)), (json!("6.50"), json!(0))]);

    let list = see(&world, "/listings?category=kitchen&search=cup", position).await;
    let summary = &items(&list.expect(200))[0];
    assert_eq!(summary["price"], json!({"amount": "4.50", "currency": "GBP"}));
    assert_eq!((&summary["in_stock"], &summary["variants"]), (&json!(true), &json!(2)));
    assert_eq!((summary.get("description"), summary.get("images")), (None, None));
}

#[tokio::test]
async fn customers_see_what_can_be_bought_and_staff_see_all() {
    let (world, _) = a_shop().await;
    let hide = json!({
        "name": "The S", "price": {"amount": "4.50", "currency": "GBP"}, "active": false
    });
    let position = put(&world, "/products/S", hide)
        .await
        .expect(200)
        .position();
    let page = see(&world, "/listings/tea-cup", position)
        .await
        .expect(200)
        .json();
    let variants = page["variants"].as_array().unwrap();
    assert_eq!(
        variants
            .iter()
            .map(|it| it["sku"].clone())
            .collect::<Vec<_>>(),
        ["L"]
    );
    assert_eq!(see(&world, "/products/S", position).await.problem(404), "not_found");
    let list = see(&world, "/products", position).await.expect(200);
    assert_eq!(items(&list).len(), 1);
    let none = see(&world, "/products?active=false", position)
        .await
        .expect(200);
    assert!(items(&none).is_empty());

    let all = world.staff(Method::GET, "/api/v1/listings/tea-cup");
    let all = send(all.header("daybook-min-position", position))
        .await
        .expect(200);
    assert_eq!(all.json()["variants"].as_array().unwrap().len(), 2);
    assert_eq!(items(&world.get("/api/v1/products").await.expect(200)).len(), 2);

    let mut hidden = cups(&["S", "L"]);
    hidden["active"] = false.into();
    let position = put(&world, "/listings/tea-cup", hidden)
        .await
        .expect(200)
        .position();
    assert_eq!(
        see(&world, "/listings/tea-cup", position)
            .await
            .problem(404),
        "not_found"
    );
    assert!(items(&see(&world, "/listings", position).await.expect(200)).is_empty());
    world.settle().await;
    assert_eq!(handles(&world.get("/api/v1/listings").await), ["tea-cup"]);
    let filtered = world.get("/api/v1/listings?active=true").await;
    assert!(handles(&filtered).is_empty());
}

#[tokio::test]
async fn a_listing_is_a_fact_once_and_withdrawn_once() {
    let (world, position) = a_shop().await;
    let again = put(&world, "/listings/tea-cup", cups(&["S", "L"]))
        .await
        .expect(200);
    assert_eq!(again.json()["version"], 1);
    assert!(position <= again.position());
    let changed = put(&world, "/listings/tea-cup", cups(&["S"]))
        .await
        .expect(200);
    assert_eq!(changed.json()["version"], 2);
    let request = world.staff(Method::PUT, "/api/v1/listings/tea-cup");
    let late = keyed(request)
        .header("if-match", "\"1\"")
        .json(&cups(&["L"]));
    assert_eq!(send(late).await.problem(412), "version_mismatch");

    let gone = delete(&world, "/listings/tea-cup").await.expect(200);
    assert_eq!(delete(&world, "/listings/tea-cup").await.problem(404), "not_found");
    assert_eq!(
        see(&world, "/listings/tea-cup", gone.position())
            .await
            .problem(404),
        "not_found"
    );
    // What stood there may stand elsewhere.
    let _other = put(&world, "/listings/mug", cups(&["S", "L"]))
        .await
        .expect(200);
    world.verify().await;
}

#[tokio::test]
async fn a_listing_that_nobody_could_choose_from_is_refused() {
    let (world, _) = a_shop().await;
    let stolen = put(&world, "/listings/mug", cups(&["S"])).await;
    assert_eq!(stolen.problem(409), "sku_listed_elsewhere");
    assert_eq!(pointers(&stolen), these(&["/variants/0/sku"]));
    let mut lost = cups(&[]);
    lost["category"] = "cellar".into();
    assert_eq!(put(&world, "/listings/mug", lost).await.problem(422), "unknown_category");
    let twice = put(&world, "/listings/mug", cups(&["X", "X"])).await;
    assert_eq!(twice.problem(422), "sku_named_twice");
    let mut alike = cups(&["X", "Y"]);
    alike["variants"][1]["options"] = alike["variants"][0]["options"].clone();
    assert_eq!(put(&world, "/listings/mug", alike).await.problem(422), "variants_alike");
    let mut differ = cups(&["X", "Y"]);
    differ["variants"][1]["options"] = json!([{"name": "tier", "value": "gold"}]);
    assert_eq!(put(&world, "/listings/mug", differ).await.problem(422), "options_differ");

    let bad = json!({
        "title": " ", "images": ["javascript:alert(1)"], "category": "No Handle",
        "tags": ["a|b"], "vendor": "me", "variants": [{"sku": " "}], "colour": "red",
    });
    let bad = put(&world, "/listings/mug", bad).await;
    assert_eq!(bad.problem(422), "invalid_fields");
    let expected = [
        "/title",
        "/images/0",
        "/category",
        "/tags/0",
        "/vendor",
        "/variants/0/sku",
        "/colour",
        "/active",
    ];
    assert_eq!(pointers(&bad), these(&expected));
    let unnamed = put(&world, "/listings/Tea%20Cup", cups(&[])).await;
    assert_eq!(unnamed.problem(400), "invalid_parameters");
    let unread = world
        .get("/api/v1/listings?sort=price&colour=red&cursor=00")
        .await;
    assert_eq!(pointers(&unread), these(&["?sort", "?colour", "?cursor"]));
}

#[tokio::test]
async fn the_shelves_stay_a_tree() {
    let (world, _) = a_shop().await;
    let circle = json!({"name": "Kitchen", "parent": "cups"});
    let circle = put(&world, "/categories/kitchen", circle).await;
    assert_eq!(circle.problem(409), "category_below_itself");
    let nowhere = json!({"name": "Pots", "parent": "cellar"});
    assert_eq!(put(&world, "/categories/pots", nowhere).await.problem(422), "unknown_category");
    assert_eq!(
        delete(&world, "/categories/kitchen").await.problem(409),
        "category_has_children"
    );
    assert_eq!(delete(&world, "/categories/pots").await.problem(404), "not_found");

    let gone = delete(&world, "/categories/cups")
        .await
        .expect(200)
        .position();
    let page = see(&world, "/listings/tea-cup", gone)
        .await
        .expect(200)
        .json();
    assert_eq!(page["categories"], json!([]), "it stands nowhere");
    let tree = see(&world, "/categories", gone).await.expect(200);
    assert_eq!(handles(&tree), ["kitchen"]);
    assert_eq!(see(&world, "/categories/cups", gone).await.problem(404), "not_found");
    let kitchen = see(&world, "/categories/kitchen", gone)
        .await
        .expect(200)
        .json();
    assert_eq!((&kitchen["level"], &kitchen["children"]), (&json!(1), &json!([])));
}

#[tokio::test]
async fn who_changed_which_price_and_when_is_told() {
    let world = World::new().await;
    for price in ["4.50", "5.00", "5.00", "5.50"] {
        world.article("cup", price, 0).await;
    }
    let all = world.get("/api/v1/products/cup/history").await.expect(200);
    let told: Vec<(Value, Value)> = items(&all)
        .iter()
        .map(|it| (it["price"]["amount"].clone(), it["changed"].clone()))
        .collect();
    assert_eq!(
        told,
        [
            (json!("4.50"), json!(["name", "price", "prices", "active"])),
            (json!("5.00"), json!(["price"])),
            (json!("5.50"), json!(["price"])),
        ]
    );
    assert!(
        items(&all)
            .iter()
            .all(|it| it["actor"] == "staff" && it["at"].is_string())
    );

    let first = world
        .get("/api/v1/products/cup/history?limit=2")
        .await
        .expect(200);
    let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
    let rest = world
        .get(&format!("/api/v1/products/cup/history?limit=2&cursor={cursor}"))
        .await
        .expect(200);
    assert_eq!(items(&first), items(&all)[..2]);
    assert_eq!(
        (items(&rest).as_slice(), &rest.json()["next_cursor"]),
        (&items(&all)[2..], &Value::Null)
    );
    let unknown = world.get("/api/v1/products/pot/history").await;
    assert_eq!(unknown.problem(404), "not_found");
}

#[tokio::test]
async fn who_prefers_it_is_told_at_once_that_it_is_gone_and_nobody_is_told_that_it_is_there() {
    let world = World::new().await;
    world.article("cup", "4.50", 1).await;
    world.article("pot", "9.00", 0).await;
    let place = async |order: Value, prefer: &str| {
        let request = world
            .guest(Method::POST, "/api/v1/orders")
            .header("prefer", prefer);
        send(keyed(request).json(&order)).await
    };
    // Nobody has looked at it yet, so nothing is known of it.
    let unknown = place(an_order(&[("pot", 1)]), "in-stock").await.expect(201);
    let id = unknown.json()["id"].as_str().unwrap().to_owned();
    let _failed = world.order_when(&id, "failed").await;
    world.settle().await;
    for sku in ["cup", "pot"] {
        let path = format!("/api/v1/products/{sku}/availability");
        let _known = send(world.guest(Method::GET, &path)).await.expect(200);
    }
    let before = world.get("/api/v1/events?limit=1").await.position();
    let gone = place(an_order(&[("cup", 1), ("pot", 1), ("cup", 1)]), "in-stock").await;
    assert_eq!(gone.problem(409), "out_of_stock");
    assert_eq!(pointers(&gone), these(&["/items/0/sku", "/items/1/sku", "/items/2/sku"]));
    assert_eq!(
        world.get("/api/v1/events?limit=1").await.position(),
        before,
        "no order is placed"
    );

    // Unasked, it is an order all the same, and fails as one.
    let placed = place(an_order(&[("pot", 1)]), "wait=10").await.expect(201);
    assert_eq!(placed.json()["status"], "failed");
    let placed = place(an_order(&[("cup", 1)]), "in-stock, wait=10")
        .await
        .expect(201);
    assert_eq!(placed.json()["status"], "confirmed");
    world.verify().await;
}
