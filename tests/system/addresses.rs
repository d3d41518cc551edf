//! Address books: one's own, bounded, with one default of a kind; orders keep a copy of what they name.

use accounts::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::people::{asked, asking, prove, said, signed_in};
use tests::telling::{a_world_with_cups, id_in, items, pointers, these};
use tests::world::{STAFF, World, an_order, send};

const PATH: &str = "/api/v1/profile/addresses";
const ORDERS: &str = "/api/v1/orders";

fn at(line1: &str) -> Value {
    json!({"line1": line1, "city": "Whitby", "postcode": "YO22 4DP", "country": "GB"})
}

async fn kept(world: &World, token: &str, address: Value) -> String {
    id_in(
        &said(world, Some(token), Method::POST, PATH, address)
            .await
            .expect(201),
    )
}

/// An order that goes to an address of the book.
fn an_order_to(address_id: &str) -> Value {
    let mut order = an_order(&[("cup", 1)]);
    let fields = order.as_object_mut().unwrap();
    fields.remove("shipping_address");
    fields.insert("address_id".into(), address_id.into());
    order
}

/// The first lines of those that are a default.
fn defaults(book: &[Value], which: &str) -> Vec<String> {
    let book = book.iter().filter(|address| address[which] == true);
    book.map(|address| address["line1"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn addresses_are_kept_changed_and_deleted_by_their_owner_alone() {
    let world = a_world_with_cups().await;
    let mina = signed_in(&world, "mina@example.org", Role::Customer).await;
    let eve = signed_in(&world, "eve@example.org", Role::Customer).await;
    let mut entry = at("7 Crescent");
    entry["label"] = "At the sea".into();
    let id = kept(&world, &mina, entry.clone()).await;
    let path = format!("{PATH}/{id}");

    let shown = asked(&world, Some(&mina), &path).await.expect(200);
    assert_eq!(shown.header("cache-control").as_deref(), Some("no-store"));
    for (name, value) in entry.as_object().unwrap() {
        assert_eq!(&shown.json()[name], value, "{name}");
    }
    let again = said(&world, Some(&mina), Method::POST, PATH, entry.clone()).await;
    assert_eq!(again.problem(409), "address_stands");
    let wrong = json!({"line1": " ", "country": "gb", "is_for_delivery": 1, "colour": "red"});
    let wrong = said(&world, Some(&mina), Method::POST, PATH, wrong).await;
    let flaws = ["/line1", "/country", "/is_for_delivery", "/colour"];
    assert_eq!(pointers(&wrong), these(&flaws));

    for token in [Some(eve.as_str()), Some(STAFF), None] {
        let status = asked(&world, token, &path).await.status.as_u16();
        let expected = match token {
            Some(STAFF) => 403,
            Some(_) => 404,
            None => 401,
        };
        assert_eq!(status, expected, "{token:?}");
    }
    let other = said(&world, Some(&eve), Method::PUT, &path, at("Hers now")).await;
    assert_eq!(other.problem(404), "not_found");
    let other = said(&world, Some(&eve), Method::DELETE, &path, json!({})).await;
    assert_eq!(other.problem(404), "not_found");
    assert!(items(&asked(&world, Some(&eve), PATH).await.expect(200)).is_empty());

    let moved = said(&world, Some(&mina), Method::PUT, &path, at("8 Crescent")).await;
    let moved = moved.expect(200).json();
    assert_eq!((&moved["line1"], &moved["label"]), (&json!("8 Crescent"), &Value::Null));
    for (status, why) in [(204, "deleted"), (404, "gone")] {
        let deleted = said(&world, Some(&mina), Method::DELETE, &path, json!({})).await;
        assert_eq!(deleted.status.as_u16(), status, "{why}");
    }
}

#[tokio::test]
async fn one_address_is_the_default_however_many_say_so_at_once_and_a_book_is_bounded() {
    let world = a_world_with_cups().await;
    let mina = signed_in(&world, "mina@example.org", Role::Customer).await;
    let book = async || items(&asked(&world, Some(&mina), PATH).await.expect(200));
    let first = kept(&world, &mina, at("first")).await;
    let mut second = at("second");
    second["is_for_delivery"] = true.into();
    let _second = kept(&world, &mina, second).await;
    let now = book().await;
    assert_eq!(defaults(&now, "is_for_delivery"), ["second"]);
    assert_eq!(defaults(&now, "is_for_billing"), ["first"]);

    let as_default = |number: usize| {
        let mut address = at(&format!("{number} High Street"));
        address["is_for_delivery"] = true.into();
        address
    };
    let all = (3..=55).map(|n| said(&world, Some(&mina), Method::POST, PATH, as_default(n)));
    let all = futures::future::join_all(all).await;
    let refused: Vec<_> = all.iter().filter(|a| a.status.as_u16() != 201).collect();
    assert_eq!(refused.len(), 5, "50 addresses are kept");
    for answer in refused {
        assert_eq!(answer.problem(409), "too_many_addresses");
    }
    let now = book().await;
    assert_eq!(now.len(), 50);
    assert_eq!(defaults(&now, "is_for_delivery").len(), 1);
    assert_eq!(defaults(&now, "is_for_billing"), ["first"]);

    let path = format!("{PATH}/{first}");
    let _deleted = said(&world, Some(&mina), Method::DELETE, &path, json!({}))
        .await
        .expect(204);
    assert!(defaults(&book().await, "is_for_billing").is_empty());
}

#[tokio::test]
async fn an_order_keeps_a_copy_of_the_address_that_it_names() {
    let world = a_world_with_cups().await;
    let mina = signed_in(&world, "mina@example.org", Role::Customer).await;
    let eve = signed_in(&world, "eve@example.org", Role::Customer).await;
    let id = kept(&world, &mina, at("7 Crescent")).await;
    let order = an_order_to(&id);
    let place = async |token: Option<&str>, key: &str| {
        let request = asking(&world, token, Method::POST, ORDERS);
        send(request.header("idempotency-key", key).json(&order)).await
    };
    for token in [Some(eve.as_str()), Some(STAFF), None] {
        let refused = place(token, "others").await;
        assert_eq!(pointers(&refused), these(&["/address_id"]));
        assert_eq!(refused.problem(422), "unknown_address", "{token:?}");
    }
    let placed = place(Some(&mina), "mine").await.expect(201);
    let path = format!("{PATH}/{id}");
    let _moved = said(&world, Some(&mina), Method::PUT, &path, at("1 Elsewhere"))
        .await
        .expect(200);
    let shown = format!("{ORDERS}/{}", id_in(&placed));
    world.settle().await;
    let shown = asked(&world, Some(&mina), &shown).await.expect(200).json();
    assert_eq!(shown["shipping_address"], at("7 Crescent"));

    let _deleted = said(&world, Some(&mina), Method::DELETE, &path, json!({}))
        .await
        .expect(204);
    let again = place(Some(&mina), "mine").await.expect(201);
    assert_eq!(again.text, placed.text, "a repetition is told what it was told");
    assert_eq!(place(Some(&mina), "anew").await.problem(422), "unknown_address");
}

#[tokio::test]
async fn a_cart_is_checked_out_to_an_address_of_the_book() {
    let world = a_world_with_cups().await;
    let mina = signed_in(&world, "mina@example.org", Role::Customer).await;
    let id = kept(&world, &mina, at("7 Crescent")).await;
    let post = async |path: &str, body: Value| {
        said(&world, Some(&mina), Method::POST, path, body)
            .await
            .expect(201)
    };
    let _cart = post("/api/v1/carts", json!({"currency": "GBP"})).await;
    let cups = json!({"items": [{"sku": "cup", "quantity": 2}]});
    let _put = said(&world, Some(&mina), Method::POST, "/api/v1/cart/items", cups)
        .await
        .expect(200);
    let mut order = an_order_to(&id);
    order.as_object_mut().unwrap().remove("items");
    let placed = id_in(&post("/api/v1/cart/checkout", order).await);
    world.settle().await;
    let shown = asked(&world, Some(&mina), &format!("{ORDERS}/{placed}")).await;
    assert_eq!(shown.expect(200).json()["shipping_address"]["line1"], "7 Crescent");
}

#[tokio::test]
async fn the_book_goes_with_the_account() {
    let world = a_world_with_cups().await;
    let mina = signed_in(&world, "mina@example.org", Role::Customer).await;
    let _kept = kept(&world, &mina, at("7 Crescent")).await;
    let profile = asked(&world, Some(&mina), "/api/v1/profile").await;
    let path = format!("/api/v1/customers/{}", id_in(&profile.expect(200)));
    let _closed = said(&world, Some(STAFF), Method::DELETE, &path, json!({}))
        .await
        .expect(204);
    let left: i64 = sqlx::query_scalar("select count(*) from addresses")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

/// Whoever opened the other account may have mistyped their address.
#[tokio::test]
async fn where_somebody_lives_is_not_told_to_whoever_proves_their_address() {
    let world = a_world_with_cups().await;
    let email = "mina@example.org";
    let mistyped = signed_in(&world, email, Role::Customer).await;
    let of_a_stranger = kept(&world, &mistyped, at("7 Crescent")).await;
    let mina = signed_in(&world, email, Role::Customer).await;

    prove(&world, email).await;

    let merged: i64 =
        sqlx::query_scalar("select count(*) from accounts where merged_into is not null")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert_eq!(merged, 1);
    let book = asked(&world, Some(&mina), PATH).await;
    assert_eq!(items(&book.expect(200)), Vec::<Value>::new());
    let order = an_order_to(&of_a_stranger);
    let order = said(&world, Some(&mina), Method::POST, ORDERS, order).await;
    assert_eq!(order.problem(422), "unknown_address");
    let _own = kept(&world, &mina, at("7 Crescent")).await;
}
