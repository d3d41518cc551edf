//! The catalogue as a file: what is good is applied, what is bad is told, and nothing happens twice.

use reqwest::Method;
use serde_json::{Value, json};
use tests::World;
use tests::telling::keyed;
use tests::world::{Answer, send};

const HEAD: &str = "handle,title,sku,name,options,price,currency";

async fn import_as(world: &World, key: &str, file: &str) -> Answer {
    let request = world.staff(Method::POST, "/api/v1/catalogue/import");
    let request = request.header("content-type", "text/csv; charset=utf-8");
    send(request.header("idempotency-key", key).body(file.to_owned())).await
}

async fn import(world: &World, file: &str) -> Value {
    let key = uuid::Uuid::now_v7().to_string();
    import_as(world, &key, file).await.expect(200).json()
}

async fn export(world: &World) -> String {
    world.settle().await;
    world.get("/api/v1/catalogue/export").await.expect(200).text
}

async fn head(world: &World) -> i64 {
    world.settle().await;
    world.get("/api/v1/events?limit=1").await.position()
}

fn rejects(told: &Value) -> Vec<(u64, String)> {
    let of = |reject: &Value| {
        let reasons = reject["reasons"].as_array().unwrap().iter();
        let reasons: Vec<&str> = reasons.map(|reason| reason.as_str().unwrap()).collect();
        (reject["line"].as_u64().unwrap(), reasons.join("; "))
    };
    told["rejects"].as_array().unwrap().iter().map(of).collect()
}

#[tokio::test]
async fn good_lines_are_applied_and_bad_ones_told_with_line_and_reason() {
    let world = World::new().await;
    let file = format!(
        "{HEAD}\n\
         cup,Tea cup,S,Small cup,size=small,4.50,GBP\n\
         cup,,L,Large cup,size=large,free,GBP\n\
         cup,,M,Middle cup,tier=gold,5.50,GBP\n\
         cup,Mug,X,Mug,size=huge,5.50,GBP\n\
         pot,,P,Pot,,20,GBP\n\
         ,,LOOSE,\"A loose\nthing\",,1,GBP\n\
         ,,ALONE,Alone,,1,GBP\n\
         ,,ALONE,Alone,,2,GBP\n\
         ,,NEW,,,,\n"
    );
    let told = import(&world, &file).await;
    assert_eq!((&told["lines"], &told["applied"]), (&json!(9), &json!(2)));
    assert_eq!((&told["products_changed"], &told["listings_changed"]), (&json!(4), &json!(1)));
    let rejects = rejects(&told);
    for (line, why) in [
        (3, "price: an amount is written as digits"),
        (4, "the product holds, the listing not: M names other options than S"),
        (5, "title: is another than on line 2"),
        (6, "the product holds, the listing not: a new listing needs a title"),
        (7, "name: must not contain control characters"),
        (10, "sku: is on line 9 already"),
        (11, "a new product needs a name and a price"),
    ] {
        let found = rejects
            .iter()
            .any(|(at, told)| *at == line && told.contains(why));
        assert!(found, "line {line}: {why} in {rejects:#?}");
    }
    assert_eq!(rejects.len(), 7, "{rejects:#?}");
    world.settle().await;
    let cup = world.get("/api/v1/listings/cup").await.expect(200).json();
    let of = |variant: &Value| variant["sku"].as_str().unwrap().to_owned();
    let skus: Vec<_> = cup["variants"].as_array().unwrap().iter().map(of).collect();
    assert_eq!(skus, ["S"]);
    world.verify().await;
}

#[tokio::test]
async fn a_file_adds_and_changes_and_takes_nothing_away() {
    let world = World::new().await;
    let _first = import(
        &world,
        &format!(
            "{HEAD}\ncup,Tea cup,S,Small cup,size=small,4.50,GBP\n\
             cup,,L,Large cup,size=large,6.50,GBP\n"
        ),
    )
    .await;
    let changed = import(&world, "sku,price,currency\nS,4.75,GBP\nL,nonsense,GBP\n").await;
    assert_eq!((&changed["applied"], &changed["products_changed"]), (&json!(1), &json!(1)));
    assert_eq!(changed["listings_changed"], 0);
    world.settle().await;
    let cup = world.get("/api/v1/listings/cup").await.expect(200).json();
    let of = |variant: &Value| variant["price"]["amount"].as_str().unwrap().to_owned();
    let prices: Vec<_> = cup["variants"].as_array().unwrap().iter().map(of).collect();
    assert_eq!(prices, ["4.75", "6.50"]);
    let history = world
        .get("/api/v1/products/S/history")
        .await
        .expect(200)
        .json();
    assert_eq!(history["items"][1]["changed"], json!(["price"]));
    // What an import has acknowledged is the price of the next order.
    let _dearer = import(&world, "sku,price,currency\nS,9.75,GBP\n").await;
    let order = tests::world::an_order(&[("S", 1)]);
    let placed = world.post("/api/v1/orders", order).await.expect(201);
    assert_eq!(placed.json()["total"]["amount"], "9.75");
}

#[tokio::test]
async fn an_export_that_is_imported_again_changes_nothing() {
    let world = World::new().await;
    let put = async |path: &str, body: Value| {
        let request = world.staff(Method::PUT, &format!("/api/v1{path}"));
        let _there = send(keyed(request).json(&body)).await.expect(200);
    };
    let price = json!({"amount": "4.50", "currency": "GBP"});
    let prices =
        json!([{"amount": "900", "currency": "JPY"}, {"amount": "5.20", "currency": "EUR"}]);
    for sku in ["S", "L", "LOOSE"] {
        let body = json!({"name": format!("A \"{sku}\", big"), "price": price, "prices": prices, "active": sku != "L"});
        put(&format!("/products/{sku}"), body).await;
    }
    put("/categories/cups", json!({"name": "Cups"})).await;
    let variant = |sku: &str| {
        json!({"sku": sku, "options": [
            {"name": "size", "value": sku}, {"name": "colour", "value": "dark red"}
        ]})
    };
    put(
        "/listings/cup",
        json!({
            "title": "Cup, large or small", "description": "- Line one.\n\"Line two\", he said. ",
            "images": ["https://images.example/1", "https://images.example/2"],
            "category": "cups", "tags": ["tea", "gift"], "active": false,
            "variants": [variant("S"), variant("L")],
        }),
    )
    .await;
    put("/listings/empty", json!({"title": "Empty", "active": true})).await;
    let file = export(&world).await;
    let before = head(&world).await;
    let told = import(&world, &file).await;
    assert_eq!((&told["lines"], &told["applied"]), (&json!(4), &json!(4)), "{told} {file}");
    assert_eq!(head(&world).await, before, "what is as it should be needs no fact");

    // The same into an empty shop comes to the same catalogue.
    let other = World::new().await;
    let put = other.staff(Method::PUT, "/api/v1/categories/cups");
    let _there = send(keyed(put).json(&json!({"name": "Cups"})))
        .await
        .expect(200);
    let told = import(&other, &file).await;
    assert_eq!(told["rejects"], json!([]));
    assert_eq!(export(&other).await, file);
}

#[tokio::test]
async fn the_same_key_is_told_the_same_and_does_nothing_twice() {
    let world = World::new().await;
    let file = format!("{HEAD}\ncup,Cup,S,Cup,,4.50,GBP\nbad handle,,,,,,\n");
    let first = import_as(&world, "import-1", &file).await.expect(200);
    let before = head(&world).await;
    let again = import_as(&world, "import-1", &file).await.expect(200);
    assert_eq!((again.text, again.status), (first.text, first.status));
    assert_eq!(again.headers.get("idempotent-replayed").unwrap(), "true");
    assert_eq!(head(&world).await, before);
    let other = import_as(&world, "import-1", "sku\nS\n").await;
    assert_eq!(other.problem(422), "idempotency_key_reused");
}

#[tokio::test]
async fn a_file_that_is_none_is_refused_as_a_whole() {
    let world = World::new().await;
    for (file, why) in [
        ("", "there is no head"),
        ("colour,sku\nred,S\n", "is not a known column"),
        ("name\nCup\n", "neither a column handle nor a column sku"),
    ] {
        let refused = import_as(&world, &uuid::Uuid::now_v7().to_string(), file).await;
        assert_eq!(refused.problem(422), "invalid_fields");
        assert!(refused.text.contains(why), "{}", refused.text);
    }
    let long = format!("sku\n{}", "X\n".repeat(10_001));
    let long = import_as(&world, "long", &long).await;
    assert!(long.text.contains("at most 10000 lines"), "{}", long.text);
    let huge = import_as(&world, "huge", &"x".repeat(8 * 1024 * 1024 + 1)).await;
    assert_eq!(huge.problem(413), "body_too_large");
    let request = world.staff(Method::POST, "/api/v1/catalogue/import");
    let json = send(keyed(request).json(&json!({}))).await;
    assert_eq!(json.problem(415), "unsupported_media_type");
    let garbled = world.staff(Method::POST, "/api/v1/catalogue/import");
    let garbled = keyed(garbled).header("content-type", "text/csv");
    let garbled = send(garbled.body(b"sku,name\nS,\xff\nT,Pot\n".to_vec()))
        .await
        .expect(200)
        .json();
    assert!(
        rejects(&garbled)
            .iter()
            .any(|(line, why)| *line == 2 && why == "is not UTF-8")
    );
}
