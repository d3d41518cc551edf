//! Pages of the shop that are a vendor's: theirs to describe, with what they sell and nothing else.

use reqwest::Method;
use serde_json::{Value, json};
use tests::World;
use tests::telling::{items, pointers, these};
use tests::world::{Answer, send};
use uuid::Uuid;

use super::selling::Seller;

fn page(title: &str, skus: &[&str]) -> Value {
    let variant = |sku: &&str| json!({"sku": sku, "options": [{"name": "kind", "value": sku}]});
    let variants: Vec<Value> = skus.iter().map(variant).collect();
    json!({"title": title, "images": [], "tags": [], "active": true, "variants": variants})
}

async fn withdraw(world: &World, seller: &Seller, handle: &str) -> Answer {
    let path = format!("/api/v1/listings/{handle}");
    let request = world
        .guest(Method::DELETE, &path)
        .bearer_auth(&seller.token);
    let key = Uuid::now_v7().to_string();
    send(request.header("idempotency-key", key)).await
}

async fn by_guest(world: &World, path: &str) -> Answer {
    send(world.guest(Method::GET, path)).await
}

async fn import(world: &World, file: &str) -> Value {
    let request = world.staff(Method::POST, "/api/v1/catalogue/import");
    let request = request
        .header("content-type", "text/csv")
        .header("idempotency-key", Uuid::now_v7().to_string());
    send(request.body(file.to_owned())).await.expect(200).json()
}

#[tokio::test]
async fn a_vendor_describes_their_own_pages_and_others_do_not_exist_for_them() {
    let world = World::new().await;
    world.article("kettle", "20.00", 5).await;
    let applicant = Seller::registered(&world, "new@example.org").await;
    let (potts, other) = (
        Seller::active(&world, "potts@example.org").await,
        Seller::active(&world, "other@example.org").await,
    );
    potts.stocked(&world, "vase", "9.00", 3).await;
    potts.stocked(&world, "bowl", "7.00", 3).await;
    let house = world.staff(Method::PUT, "/api/v1/listings/kettles");
    let house = house
        .header("idempotency-key", "house")
        .json(&page("Kettles", &["kettle"]));
    let _house = send(house).await.expect(200);
    let put = async |seller: &Seller, handle: &str, body: Value| {
        let path = format!("/api/v1/listings/{handle}");
        seller.put(&world, &path, &body).await
    };

    let refused = put(&applicant, "pots", page("Pots", &[])).await;
    assert_eq!(refused.problem(403), "vendor_not_active");
    let shown = put(&potts, "pots", page("Pots", &["vase"])).await;
    assert_eq!(shown.expect(200).json()["version"], 1);
    let again = put(&potts, "pots", page("Pots", &["vase", "bowl"])).await;
    assert_eq!(again.expect(200).json()["version"], 2);
    world.settle().await;
    let seen = by_guest(&world, "/api/v1/listings/pots").await;
    assert_eq!(seen.expect(200).json()["vendor"], potts.id.as_str());

    // What is the house's or another's, they cannot show, change or withdraw.
    let foreign = put(&potts, "more", page("More", &["vase", "kettle", "unheard-of"])).await;
    assert_eq!(foreign.problem(422), "product_of_another");
    assert_eq!(pointers(&foreign), these(&["/variants/1/sku", "/variants/2/sku"]));
    for handle in ["pots", "kettles"] {
        let taken = put(&other, handle, page("Mine", &[])).await;
        assert_eq!(taken.problem(404), "not_found", "{handle}");
        assert_eq!(withdraw(&world, &other, handle).await.problem(404), "not_found");
    }
    let mut given = page("Pots", &["vase"]);
    given["vendor"] = other.id.clone().into();
    assert_eq!(put(&potts, "pots", given).await.problem(403), "staff_only_fields");

    let _gone = withdraw(&world, &potts, "pots").await.expect(200);
    let free = put(&other, "pots", page("Jars", &[])).await;
    assert_eq!(free.expect(200).json()["version"], 4);
    world.verify().await;
}

#[tokio::test]
async fn a_vendor_sees_all_that_is_theirs_and_of_the_rest_what_customers_see() {
    let world = World::new().await;
    let potts = Seller::active(&world, "potts@example.org").await;
    potts.stocked(&world, "vase", "9.00", 3).await;
    let mut hidden = page("Pots", &["vase"]);
    hidden["active"] = false.into();
    let _hidden = potts
        .put(&world, "/api/v1/listings/pots", &hidden)
        .await
        .expect(200);
    let off = json!({
        "name": "Bowl", "price": {"amount": "7.00", "currency": "GBP"}, "active": false,
    });
    let _off = potts
        .put(&world, "/api/v1/products/bowl", &off)
        .await
        .expect(200);
    let body = json!({
        "name": "Kettle", "price": {"amount": "20.00", "currency": "GBP"}, "active": false,
    });
    let house = world.staff(Method::PUT, "/api/v1/products/kettle");
    let house = house.header("idempotency-key", "house").json(&body);
    let _house = send(house).await.expect(200);
    world.settle().await;

    let own = format!("?vendor={}", potts.id);
    for (path, theirs, public) in [
        (format!("/api/v1/listings{own}"), 1, 0),
        (format!("/api/v1/products{own}"), 2, 1),
        ("/api/v1/listings".to_owned(), 0, 0),
        ("/api/v1/products".to_owned(), 1, 1),
    ] {
        let seen = potts.get(&world, &path).await.expect(200);
        assert_eq!(items(&seen).len(), theirs, "{path}");
        let seen = by_guest(&world, &path).await.expect(200);
        assert_eq!(items(&seen).len(), public, "{path}");
    }
    for path in ["/api/v1/listings/pots", "/api/v1/products/bowl"] {
        let seen = potts.get(&world, path).await.expect(200);
        assert_eq!(seen.header("cache-control").as_deref(), Some("no-store"), "{path}");
        assert_eq!(by_guest(&world, path).await.problem(404), "not_found", "{path}");
    }
    let foreign = potts.get(&world, "/api/v1/products/kettle").await;
    assert_eq!(foreign.problem(404), "not_found");
}

#[tokio::test]
async fn whose_a_page_is_agrees_with_whose_its_products_are() {
    let world = World::new().await;
    world.article("kettle", "20.00", 5).await;
    let potts = Seller::active(&world, "potts@example.org").await;
    potts.stocked(&world, "vase", "9.00", 3).await;
    let put = async |handle: &str, vendor: &str, skus: &[&str]| {
        let mut body = page("Pots", skus);
        body["vendor"] = vendor.into();
        let path = format!("/api/v1/listings/{handle}");
        let request = world.staff(Method::PUT, &path);
        let key = Uuid::now_v7().to_string();
        send(request.header("idempotency-key", key).json(&body)).await
    };
    let unknown = put("pots", &Uuid::now_v7().to_string(), &[]).await;
    assert_eq!(unknown.problem(422), "unknown_vendor");
    let foreign = put("pots", &potts.id, &["vase", "kettle"]).await;
    assert_eq!(foreign.problem(422), "product_of_another");
    let _theirs = put("pots", &potts.id, &["vase"]).await.expect(200);
    world.article("tray", "6.00", 5).await;
    let house = world.staff(Method::PUT, "/api/v1/listings/trays");
    let house = house
        .header("idempotency-key", "trays")
        .json(&page("Trays", &["tray"]));
    let _house = send(house).await.expect(200);

    let (id, nobody) = (&potts.id, Uuid::now_v7());
    let told = import(
        &world,
        &format!(
            "handle,title,vendor,sku,name,price,currency,options,sold_by\n\
             bowls,Bowls,{id},bowl-s,Small bowl,5,GBP,size=s,{id}\n\
             bowls,,,bowl-l,Large bowl,8,GBP,size=l,{id}\n\
             bowls,,,kettle,,,,size=xl,\n\
             jars,Jars,{nobody},,,,,,\n\
             ,,,jar,Jar,4,GBP,,{nobody}\n\
             pots,,,bowl-x,Odd bowl,3,GBP,kind=odd,\n\
             trays,,{id},mug,Mug,2,GBP,kind=mug,{id}\n"
        ),
    )
    .await;
    assert_eq!((&told["lines"], &told["applied"]), (&json!(7), &json!(2)), "{told}");
    let rejects = told["rejects"].as_array().unwrap();
    let why: Vec<String> = rejects
        .iter()
        .map(|reject| format!("{} {}", reject["line"], reject["reasons"][0]))
        .collect();
    for (line, words) in [
        (4, "vendor: kettle is not sold by"),
        (5, "vendor: there is no vendor"),
        (6, "sold_by: there is no vendor"),
        (7, "vendor: bowl-x is not sold by"),
        (8, "vendor: tray is not sold by"),
    ] {
        let is_told = |told: &String| told.starts_with(&format!("{line} ")) && told.contains(words);
        assert!(why.iter().any(is_told), "{line} {words}: {why:#?}");
    }
    world.settle().await;
    let bowl = world.get("/api/v1/products/bowl-s").await.expect(200);
    assert_eq!(bowl.json()["vendor"], potts.id.as_str());
    let history = world.get("/api/v1/products/bowl-s/history").await;
    let first = items(&history.expect(200)).remove(0);
    assert_eq!(first["vendor"], potts.id.as_str());
    assert_eq!(first["changed"].as_array().unwrap().last(), Some(&json!("vendor")));

    // What is exported says whose everything is.
    let file = world.get("/api/v1/catalogue/export").await.expect(200).text;
    let told = import(&world, &file).await;
    assert_eq!(
        (&told["products_changed"], &told["listings_changed"], &told["rejects"]),
        (&json!(0), &json!(0), &json!([])),
        "{file}"
    );
    world.verify().await;
}

#[tokio::test]
async fn what_cannot_be_bought_has_neither_availability_nor_reviews_for_customers() {
    let world = World::new().await;
    let potts = Seller::active(&world, "potts@example.org").await;
    potts.stocked(&world, "vase", "9.00", 3).await;
    world.settle().await;
    let paths = ["availability", "reviews"].map(|of| format!("/api/v1/products/vase/{of}"));
    let is_there = async |there: bool| {
        for path in &paths {
            let seen = by_guest(&world, path).await;
            assert_eq!(seen.status.is_success(), there, "{path}: {}", seen.text);
        }
        // Staff and whose it is see what there is, sold or not.
        let _staff = world.get(&paths[0]).await.expect(200);
        let _own = potts.get(&world, &paths[0]).await.expect(200);
    };
    is_there(true).await;
    let standing = async |what: &str, body: Value| {
        let path = format!("/api/v1/vendors/{}/{what}", potts.id);
        let _done = world.post(&path, body).await.expect(200);
    };
    standing("deactivate", json!({"reason": "sold fakes"})).await;
    is_there(false).await;
    standing("activate", json!({})).await;
    is_there(true).await;
    let mut off = json!({
        "name": "Vase", "price": {"amount": "9.00", "currency": "GBP"}, "active": false,
    });
    let _off = potts
        .put(&world, "/api/v1/products/vase", &off)
        .await
        .expect(200);
    is_there(false).await;
    off["active"] = true.into();
    let _on = potts
        .put(&world, "/api/v1/products/vase", &off)
        .await
        .expect(200);
    is_there(true).await;
}

#[tokio::test]
async fn a_page_shows_a_product_that_became_anothers_until_it_is_described_anew() {
    let world = World::new().await;
    let potts = Seller::active(&world, "potts@example.org").await;
    let wedge = Seller::active(&world, "wedge@example.org").await;
    potts.stocked(&world, "vase", "9.00", 3).await;
    potts.stocked(&world, "bowl", "7.00", 3).await;
    let path = |handle: &str| format!("/api/v1/listings/{handle}");
    let both = page("Pots", &["vase", "bowl"]);
    let _shown = potts.put(&world, &path("pots"), &both).await.expect(200);
    let given = json!({
        "name": "Vase", "price": {"amount": "9.00", "currency": "GBP"}, "active": true,
        "vendor": wedge.id,
    });
    let given = world
        .staff(Method::PUT, "/api/v1/products/vase")
        .json(&given);
    let _given = send(given.header("idempotency-key", "given"))
        .await
        .expect(200);
    world.settle().await;

    let skus = async || -> Vec<Value> {
        let seen = by_guest(&world, &path("pots")).await.expect(200).json();
        assert_eq!(seen["vendor"], potts.id.as_str(), "the page stays whose it was");
        let variants = seen["variants"].as_array().unwrap().iter();
        variants.map(|variant| variant["sku"].clone()).collect()
    };
    assert_eq!(skus().await, ["vase", "bowl"], "customers find what they can buy where it was");
    let sold = by_guest(&world, &format!("/api/v1/products?vendor={}", wedge.id)).await;
    assert_eq!(items(&sold)[0]["sku"], "vase");
    let refused = potts.put(&world, &path("pots"), &both).await;
    assert_eq!(refused.problem(422), "product_of_another");
    assert_eq!(pointers(&refused), these(&["/variants/0/sku"]));
    let taken = wedge
        .put(&world, &path("vases"), &page("Vases", &["vase"]))
        .await;
    assert_eq!(taken.problem(409), "sku_listed_elsewhere");
    let _let_go = potts
        .put(&world, &path("pots"), &page("Pots", &["bowl"]))
        .await
        .expect(200);
    let _theirs = wedge
        .put(&world, &path("vases"), &page("Vases", &["vase"]))
        .await
        .expect(200);
    world.settle().await;
    assert_eq!(skus().await, ["bowl"]);
    world.verify().await;
}
