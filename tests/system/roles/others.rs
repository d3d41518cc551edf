//! What is somebody else's does not exist: every address that names a thing of somebody's, asked by a
//! stranger of every role for whom only their own things exist.

use std::collections::BTreeMap;

use accounts::Role;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tests::people::{asked, asking, ordered, said, signed_in, told};
use tests::telling::{a_world_with_cups, items, keyed};
use tests::world::{STAFF, World, an_order, send};

use super::{Endpoint, GUEST, document, tokens};
use crate::vendors::selling::Seller;

const BASE: &str = "/api/v1";

/// What is told instead of 404 where something else is asked for than somebody's thing.
const ELSEWHERE: [(&str, u16, &str); 1] = [
    // A review of one's own, of what somebody else has bought.
    ("PUT /profile/reviews/{sku}", 409, "product_not_bought"),
];

/// Mina's things, and Potts' (who sells her a vase): what stands in an address that begins like this.
struct Things {
    mina: String,
    potts: Seller,
    by_prefix: BTreeMap<&'static str, String>,
    /// A guest's order, cart and ticket, each with the secret that opens it.
    guests: Vec<(&'static str, String, String)>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn page(title: &str, skus: &[&str]) -> Value {
    let variants: Vec<Value> = skus
        .iter()
        .map(|sku| json!({"sku": sku, "options": []}))
        .collect();
    json!({"title": title, "images": [], "tags": [], "active": true, "variants": variants})
}

impl Things {
    async fn of_somebody(world: &World) -> Self {
        let potts = Seller::active(world, "potts@example.org").await;
        potts.stocked(world, "vase", "9.00", 10).await;
        let listed = potts
            .put(world, "/api/v1/listings/vases", &page("Vases", &["vase"]))
            .await;
        let _listed = listed.expect(200);
        let mina = signed_in(world, "mina@example.org", Role::Customer).await;
        let by_mina = async |method: Method, path: &str, body: Value| {
            told(world, Some(&mina), method, path.trim_start_matches('/'), body).await
        };
        let order = by_mina(Method::POST, "/orders", an_order(&[("cup", 1), ("vase", 1)])).await;
        let order = text(&order["id"]);
        let _paid = world.order_when(&order, "confirmed").await;
        let question = json!({"subject": "Where is it?", "message": "It is late."});
        let ticket = text(&by_mina(Method::POST, "/tickets", question).await["id"]);
        let address = json!({"line1": "7 Crescent", "country": "GB"});
        let address = text(&by_mina(Method::POST, "/profile/addresses", address).await["id"]);
        let list = by_mina(Method::POST, "/wishlists", json!({"name": "Tea"})).await;
        let list = text(&list["id"]);
        let wish = format!("{BASE}/wishlists/{list}/items/cup");
        let _wished = said(world, Some(&mina), Method::PUT, &wish, json!({}))
            .await
            .expect(204);
        let review = json!({"author": "M.", "rating": 5});
        let _written = by_mina(Method::PUT, "/profile/reviews/cup", review).await;
        let account = text(&told_of(world, &mina, "/profile").await["id"]);
        let guests = of_a_guest(world).await;
        world.settle().await;
        let by_prefix = BTreeMap::from([
            ("/orders/", order.clone()),
            ("/vendors/me/orders/", order),
            ("/tickets/", ticket),
            ("/profile/addresses/", address),
            ("/wishlists/", list),
            ("/profile/reviews/", "cup".to_owned()),
            ("/customers/", account),
            ("/products/", "vase".to_owned()),
            ("/listings/", "vases".to_owned()),
            ("/inventory/", "vase".to_owned()),
        ]);
        Self { mina, potts, by_prefix, guests }
    }

    /// The address with their thing in it.
    fn path(&self, path: &str) -> Option<String> {
        let below = path.trim_start_matches(BASE);
        let (_, thing) = self
            .by_prefix
            .iter()
            .find(|(prefix, _)| below.starts_with(*prefix))?;
        // Beside a thing that is somebody's stands an article that anybody may wish for.
        let sku = if below.contains("{id}") { "cup" } else { thing };
        let path = path.replace("{id}", thing).replace("{handle}", thing);
        Some(path.replace("{sku}", sku))
    }
}

async fn told_of(world: &World, token: &str, path: &str) -> Value {
    asked(world, Some(token), &format!("{BASE}{path}"))
        .await
        .expect(200)
        .json()
}

async fn of_a_guest(world: &World) -> Vec<(&'static str, String, String)> {
    let order = ordered(world, None, "max@example.org", "cup").await;
    let cart = told(world, None, Method::POST, "carts", json!({"currency": "GBP"})).await;
    let question = json!({"subject": "Hm", "message": "Well?", "email": "max@example.org"});
    let ticket = told(world, None, Method::POST, "tickets", question).await;
    vec![
        (
            "daybook-order-token",
            format!("{BASE}/orders/{}", text(&order["id"])),
            text(&order["order_token"]),
        ),
        ("daybook-cart-token", format!("{BASE}/cart"), text(&cart["cart_token"])),
        (
            "daybook-ticket-token",
            format!("{BASE}/tickets/{}", text(&ticket["id"])),
            text(&ticket["ticket_token"]),
        ),
    ]
}

/// A body that would be taken if the thing were there.
fn body_of(name: &str) -> Value {
    let price = json!({"amount": "1.00", "currency": "GBP"});
    match name {
        "POST /orders/{id}/cancel" | "DELETE /customers/{id}/personal-data" => {
            json!({"reason": "curious"})
        }
        "POST /orders/{id}/payments" => json!({"payment_method": "credit_card"}),
        "POST /tickets/{id}/messages" => json!({"message": "let me in"}),
        "PUT /profile/addresses/{id}" => json!({"line1": "1 Elsewhere", "country": "GB"}),
        "PUT /wishlists/{id}" => json!({"name": "Mine"}),
        "PUT /profile/reviews/{sku}" => json!({"author": "E.", "rating": 1}),
        "PUT /products/{sku}" => json!({"name": "Mine", "price": price, "active": true}),
        "PUT /listings/{handle}" => page("Mine", &[]),
        "POST /inventory/{sku}/receipts" => json!({"quantity": 1, "reference": "mine"}),
        "POST /inventory/{sku}/adjustments" => json!({"quantity": -1, "reason": "mine"}),
        _ => json!({}),
    }
}

/// With every secret that opens something, but nothing that is asked for here.
fn with_others_secrets(mut request: RequestBuilder, things: &Things) -> RequestBuilder {
    for (header, _, secret) in &things.guests {
        request = request.header(*header, secret);
    }
    request
}

#[tokio::test]
async fn what_is_somebody_elses_does_not_exist_at_any_address_for_any_role() {
    let world = a_world_with_cups().await;
    let things = Things::of_somebody(&world).await;
    let wedge = Seller::active(&world, "wedge@example.org").await;
    let mut strangers: BTreeMap<&str, Option<String>> = tokens(&world).await.into_iter().collect();
    strangers.insert("vendor", Some(wedge.token));
    let endpoints = Endpoint::all(&document(&world).await);
    let (mut walked, mut addresses) = (0, 0);
    for endpoint in endpoints.iter().filter(|it| it.path.contains('{')) {
        if endpoint.own.is_empty() {
            continue;
        }
        let name = format!("{} {}", endpoint.method, endpoint.path.trim_start_matches(BASE));
        let path = things.path(&endpoint.path);
        let path = path.unwrap_or_else(|| panic!("{name}: give somebody a thing of this kind"));
        addresses += 1;
        for role in &endpoint.own {
            let token = strangers[role.as_str()].as_deref();
            let method: Method = endpoint.method.parse().unwrap();
            let mut request = asking(&world, token, method.clone(), &path);
            if method != Method::GET {
                request = keyed(request).json(&body_of(&name));
            }
            if role == GUEST {
                request = with_others_secrets(request, &things);
            }
            let answer = send(request).await;
            let (status, code) = ELSEWHERE
                .iter()
                .find(|(other, ..)| *other == name)
                .map_or((404, "not_found"), |(_, status, code)| (*status, *code));
            let what = format!("{name} as {role}: {} {}", answer.status, answer.text);
            assert_eq!(answer.status.as_u16(), status, "{what}");
            assert_eq!(answer.problem(status), code, "{what}");
            walked += 1;
        }
    }
    assert!(25 <= addresses && 60 <= walked, "{walked} at {addresses} addresses");
    nothing_has_changed(&world, &things).await;
}

/// Whoever the things belong to still has them, as they were.
async fn nothing_has_changed(world: &World, things: &Things) {
    world.settle().await;
    let of = |prefix: &str| format!("{prefix}{}", things.by_prefix[prefix]);
    let theirs = async |path: &str| told_of(world, &things.mina, path).await;
    assert_eq!(theirs(&of("/orders/")).await["status"], "confirmed");
    let ticket = theirs(&of("/tickets/")).await;
    assert_eq!(
        (&ticket["status"], ticket["messages"].as_array().unwrap().len()),
        (&json!("open"), 1)
    );
    assert_eq!(theirs(&of("/profile/addresses/")).await["line1"], "7 Crescent");
    let list = theirs(&of("/wishlists/")).await;
    assert_eq!((&list["name"], &list["count"]), (&json!("Tea"), &json!(1)));
    assert_eq!(list["token"], Value::Null, "nobody has shared it");
    assert_eq!(theirs("/profile/reviews/cup").await["rating"], 5);
    let staff = told_of(world, STAFF, "/inventory/vase").await;
    assert_eq!(staff["on_hand"], 10);
    let product = told_of(world, STAFF, "/products/vase").await;
    assert_eq!(product["vendor"], things.potts.id.as_str());
    let seen = things
        .potts
        .get(world, &format!("{BASE}/vendors/me/orders"))
        .await;
    assert_eq!(items(&seen.expect(200))[0]["id"], things.by_prefix["/orders/"].as_str());
    world.verify().await;
}

#[tokio::test]
async fn a_secret_opens_what_it_was_told_for_and_nothing_else() {
    let world = a_world_with_cups().await;
    let (one, other) = (of_a_guest(&world).await, of_a_guest(&world).await);
    world.settle().await;
    let see = async |path: &str, header: &str, secret: &str| {
        let request = world.guest(Method::GET, path);
        send(request.header(header, secret)).await
    };
    for (which, (header, path, secret)) in one.iter().enumerate() {
        let _seen = see(path, header, secret).await.expect(200);
        for (kind, (_, _, wrong)) in one.iter().chain(&other).enumerate() {
            let answer = see(path, header, wrong).await;
            let what = format!("{path} by secret {kind}: {}", answer.text);
            // Every cart has the same address: there, another cart's secret opens that one.
            if kind == which || *header == "daybook-cart-token" && kind == one.len() + which {
                assert_eq!(answer.status, 200, "{what}");
            } else {
                assert_eq!(answer.problem(404), "not_found", "{what}");
            }
        }
    }
    // Whoever has signed in shows a ticket's secret as anybody does; it is no way into others.
    let eve = signed_in(&world, "eve@example.org", Role::Customer).await;
    let (_, order, _) = &one[0];
    let (_, _, ticket_token) = &one[2];
    let request = asking(&world, Some(&eve), Method::GET, order);
    let answer = send(request.header("daybook-order-token", ticket_token)).await;
    assert_eq!(answer.problem(404), "not_found");
    let answer = said(
        &world,
        Some(&eve),
        Method::POST,
        &format!("{BASE}/cart/merge"),
        json!({"cart_token": ticket_token}),
    )
    .await;
    assert_eq!(answer.problem(404), "not_found");
}
