//! Carts: filled, merged, and ordered exactly once.

mod ordering;

use accounts::{Password, Role};
use futures::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tests::telling::keyed;
use tests::world::send;
use tests::{Answer, World};
use uuid::Uuid;

/// Somebody with a cart.
struct Shopper<'w> {
    world: &'w World,
    /// A guest's.
    cart_token: Option<String>,
    /// Of whoever has signed in.
    access: Option<String>,
}

impl<'w> Shopper<'w> {
    /// A guest with a cart in pounds.
    async fn guest(world: &'w World) -> Self {
        let open = world.guest(Method::POST, "/api/v1/carts");
        let opened = send(open.json(&json!({"currency": "GBP"})))
            .await
            .expect(201);
        let token = opened.json()["cart_token"].as_str().unwrap().to_owned();
        Self { world, cart_token: Some(token), access: None }
    }

    /// Somebody who has signed in, without a cart.
    async fn account(world: &'w World, email: &str) -> Self {
        let password = Password::chosen("a phrase of some words").unwrap();
        let accounts = &world.app().accounts;
        let registered = accounts.register(email, &password, None, Role::Customer);
        let access = registered.await.unwrap().access;
        Self { world, cart_token: None, access: Some(access) }
    }

    fn asks(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.world.guest(method, &format!("/api/v1{path}"));
        if let Some(token) = &self.cart_token {
            request = request.header("daybook-cart-token", token);
        }
        if let Some(token) = &self.access {
            request = request.bearer_auth(token);
        }
        request
    }

    async fn says(&self, method: Method, path: &str, body: Value) -> Answer {
        send(keyed(self.asks(method, path)).json(&body)).await
    }

    async fn adds(&self, items: &[(&str, u32)]) -> Answer {
        let body = json!({"items": items_of(items)});
        self.says(Method::POST, "/cart/items", body).await
    }

    async fn cart(&self) -> Value {
        send(self.asks(Method::GET, "/cart"))
            .await
            .expect(200)
            .json()
    }

    /// What is in the cart.
    async fn holds(&self) -> Vec<(String, u64)> {
        held(&self.cart().await)
    }

    async fn checks_out(&self, key: &str, body: Value) -> Answer {
        let request = self.asks(Method::POST, "/cart/checkout");
        send(request.header("idempotency-key", key).json(&body)).await
    }
}

fn items_of(items: &[(&str, u32)]) -> Vec<Value> {
    let item = |(sku, quantity): &(&str, u32)| json!({"sku": sku, "quantity": quantity});
    items.iter().map(item).collect()
}

fn held(cart: &Value) -> Vec<(String, u64)> {
    let items = cart["items"].as_array().unwrap().iter();
    items
        .map(|item| (item["sku"].as_str().unwrap().to_owned(), item["quantity"].as_u64().unwrap()))
        .collect()
}

fn lines(items: &[(&str, u64)]) -> Vec<(String, u64)> {
    items
        .iter()
        .map(|(sku, quantity)| ((*sku).to_owned(), *quantity))
        .collect()
}

async fn a_shop() -> World {
    let world = World::new().await;
    world.article("cup", "4.50", 100).await;
    world.article("pot", "6.00", 100).await;
    world.settle().await;
    world
}

#[tokio::test]
async fn a_guest_fills_a_cart_that_only_its_token_opens() {
    let world = a_shop().await;
    let ada = Shopper::guest(&world).await;
    let added = ada.adds(&[("cup", 2), ("pot", 1)]).await.expect(200);
    assert_eq!(added.header("cache-control").as_deref(), Some("no-store"));
    let cart = added.json();
    assert_eq!(cart["subtotal"], json!({"amount": "15.00", "currency": "GBP"}));
    assert_eq!(cart["items"][0]["unit_price"]["amount"], "4.50");
    assert_eq!(cart["items"][0]["line_total"]["amount"], "9.00");
    assert_eq!(cart["items"][0]["name"], "The cup");
    assert_eq!((&cart["can_be_ordered"], cart.get("cart_token")), (&json!(true), None));

    let _more = ada.adds(&[("cup", 3)]).await.expect(200);
    assert_eq!(ada.holds().await, lines(&[("cup", 5), ("pot", 1)]));
    let changes = json!({"items": items_of(&[("cup", 1), ("pot", 0)])});
    let _changed = ada.says(Method::PATCH, "/cart", changes).await.expect(200);
    assert_eq!(ada.holds().await, lines(&[("cup", 1)]));
    let _set = ada
        .says(Method::PUT, "/cart/items/pot", json!({"quantity": 4}))
        .await
        .expect(200);
    assert_eq!(ada.holds().await, lines(&[("cup", 1), ("pot", 4)]));
    for _ in 0..2 {
        let _out = send(ada.asks(Method::DELETE, "/cart/items/cup"))
            .await
            .expect(200);
    }
    assert_eq!(ada.holds().await, lines(&[("pot", 4)]));

    let token = ada.cart_token.clone().unwrap();
    for wrong in ["", "x", &token[1..], &format!("{token}A")] {
        let asked = world
            .guest(Method::GET, "/api/v1/cart")
            .header("daybook-cart-token", wrong);
        assert_eq!(send(asked).await.problem(404), "not_found", "{wrong}");
    }
    assert_eq!(
        send(world.guest(Method::GET, "/api/v1/cart"))
            .await
            .problem(404),
        "not_found"
    );
    assert_eq!(world.get("/api/v1/cart").await.problem(403), "forbidden");
    let stored: i64 = sqlx::query_scalar(
        "select count(*) from carts where position(convert_to($1, 'UTF8') in token_hash) > 0",
    )
    .bind(&token)
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(stored, 0, "the token is kept as a digest");

    let _gone = send(ada.asks(Method::DELETE, "/cart")).await.expect(204);
    assert_eq!(send(ada.asks(Method::GET, "/cart")).await.problem(404), "not_found");
}

#[tokio::test]
async fn prices_are_those_of_the_moment_and_what_cannot_be_ordered_says_why() {
    let world = a_shop().await;
    world.article("jug", "9.00", 1).await;
    world.settle().await;
    let ada = Shopper::guest(&world).await;
    let _added = ada
        .adds(&[("cup", 1), ("jug", 2), ("pot", 1)])
        .await
        .expect(200);
    let cart = ada.cart().await;
    let hint = |cart: &Value, n: usize| {
        cart["items"][n]["availability"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!((hint(&cart, 0), hint(&cart, 1)), ("in_stock".to_owned(), "short".to_owned()));
    assert_eq!(cart["items"][1]["available"], 1);
    assert_eq!(cart["can_be_ordered"], false);

    for (sku, price, active) in [("cup", "5.00", true), ("pot", "6.00", false)] {
        let body = json!({
            "name": "Another name", "active": active,
            "price": {"amount": price, "currency": "GBP"},
        });
        let put = world.staff(Method::PUT, &format!("/api/v1/products/{sku}"));
        let put = put.header("idempotency-key", Uuid::now_v7().to_string());
        let _described = send(put.json(&body)).await.expect(200);
    }
    let cart = ada.cart().await;
    assert_eq!(cart["items"][0]["unit_price"]["amount"], "5.00");
    assert_eq!(cart["items"][2]["problem"]["code"], "product_inactive");
    assert_eq!(cart["items"][2]["unit_price"], Value::Null);
    assert_eq!(cart["subtotal"]["amount"], "23.00", "what can be ordered");
    assert_eq!(cart["can_be_ordered"], false);

    // Into it goes only what is sold; out of it, anything.
    let unknown = ada.adds(&[("cup", 1), ("nope", 1)]).await;
    assert_eq!(unknown.problem(422), "unknown_product");
    assert_eq!(unknown.json()["errors"][0]["pointer"], "/items/1/sku");
    assert_eq!(ada.adds(&[("pot", 1)]).await.problem(422), "product_inactive");
    let out = json!({"items": items_of(&[("pot", 0), ("jug", 1)])});
    let out = ada
        .says(Method::PATCH, "/cart", out)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (held(&out), &out["can_be_ordered"]),
        (lines(&[("cup", 1), ("jug", 1)]), &json!(true))
    );

    let euros = ada
        .says(Method::PATCH, "/cart", json!({"currency": "EUR"}))
        .await
        .expect(200)
        .json();
    assert_eq!(euros["items"][0]["problem"]["code"], "currency_mismatch");
}

#[tokio::test]
async fn whoever_signs_in_has_one_cart_wherever_they_do() {
    let world = a_shop().await;
    let ada = Shopper::account(&world, "ada@example.org").await;
    let bob = Shopper::account(&world, "bob@example.org").await;
    assert_eq!(send(ada.asks(Method::GET, "/cart")).await.problem(404), "not_found");
    let open = || ada.says(Method::POST, "/carts", json!({"currency": "GBP"}));
    let opened = join_all((0..5).map(|_| open())).await;
    let ids: std::collections::BTreeSet<String> = opened
        .into_iter()
        .map(|opened| opened.expect(201).json()["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 1);
    let added = ada.adds(&[("cup", 2)]).await.expect(200).json();
    assert_eq!(added.get("cart_token"), None);
    assert_eq!(send(bob.asks(Method::GET, "/cart")).await.problem(404), "not_found");
    let again = open().await.expect(201).json();
    assert_eq!(held(&again), lines(&[("cup", 2)]));
}

#[tokio::test]
async fn a_guests_cart_goes_into_the_accounts_once() {
    let world = a_shop().await;
    let guest = Shopper::guest(&world).await;
    let _added = guest
        .adds(&[("cup", 2), ("pot", 999_999)])
        .await
        .expect(200);
    let ada = Shopper::account(&world, "ada@example.org").await;
    let _opened = ada
        .says(Method::POST, "/carts", json!({"currency": "GBP"}))
        .await
        .expect(201);
    let _added = ada.adds(&[("pot", 3)]).await.expect(200);

    let token = json!({"cart_token": guest.cart_token.clone().unwrap()});
    let as_guest = guest.says(Method::POST, "/cart/merge", token.clone()).await;
    assert_eq!(as_guest.problem(401), "unauthenticated");
    let merged = ada
        .says(Method::POST, "/cart/merge", token.clone())
        .await
        .expect(200)
        .json();
    assert_eq!(held(&merged["cart"]), lines(&[("pot", 1_000_000), ("cup", 2)]));
    assert_eq!(
        merged["merged"],
        json!([
            {"sku": "cup", "before": 0, "added": 2, "quantity": 2, "capped": false},
            {"sku": "pot", "before": 3, "added": 999_999, "quantity": 1_000_000, "capped": true},
        ])
    );
    // Whose answer was lost asks again; nobody else finds it, and the guest's token opens nothing.
    let again = ada
        .says(Method::POST, "/cart/merge", token.clone())
        .await
        .expect(200)
        .json();
    assert_eq!(again["merged"], json!([]));
    assert_eq!(held(&again["cart"]), lines(&[("pot", 1_000_000), ("cup", 2)]));
    let bob = Shopper::account(&world, "bob@example.org").await;
    assert_eq!(
        bob.says(Method::POST, "/cart/merge", token)
            .await
            .problem(404),
        "not_found"
    );
    assert_eq!(send(guest.asks(Method::GET, "/cart")).await.problem(404), "not_found");
}

#[tokio::test]
async fn a_guests_cart_is_the_accounts_once_they_sign_in() {
    let world = a_shop().await;
    let sign_in = async |path: &str, cart_token: &str| {
        let request = world.guest(Method::POST, &format!("/api/v1/auth/{path}"));
        let body = json!({"email": "ada@example.org", "password": tests::people::PHRASE});
        let answer = send(request.header("daybook-cart-token", cart_token).json(&body)).await;
        let status = if path == "register" { 201 } else { 200 };
        answer.expect(status).json()["access"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let held_by = async |access: &str| {
        let cart = world.guest(Method::GET, "/api/v1/cart").bearer_auth(access);
        held(&send(cart).await.expect(200).json())
    };
    for (path, pieces) in [("register", 2), ("login", 4)] {
        let guest = Shopper::guest(&world).await;
        let _added = guest.adds(&[("cup", 2)]).await.expect(200);
        let access = sign_in(path, guest.cart_token.as_deref().unwrap()).await;
        assert_eq!(held_by(&access).await, lines(&[("cup", pieces)]), "{path}");
        assert_eq!(send(guest.asks(Method::GET, "/cart")).await.problem(404), "not_found");
    }
    // Nobody is kept out by what opens no cart.
    let access = sign_in("login", "what nobody was given").await;
    assert_eq!(held_by(&access).await, lines(&[("cup", 4)]));
}

#[tokio::test]
async fn a_cart_takes_two_thousand_lines_and_garbage_takes_none() {
    let world = World::new().await;
    let ada = Shopper::guest(&world).await;
    // Sold, but not one by one: that would take longer than the rest of the test.
    let app = world.app();
    let (price, name) =
        (domain::money::Money { minor: 100, currency: "GBP".parse().unwrap() }, "A");
    let described = join_all((0..=2_000).map(|n| {
        let offer = domain::product::Description {
            vendor: None,
            weight_grams: None,
            name: name.to_owned(),
            price,
            active: true,
            prices: vec![],
        };
        let envelope = store::command::Envelope {
            command_id: Uuid::now_v7(),
            fingerprint: [0; 32],
            correlation_id: Uuid::now_v7(),
            causation_id: None,
            actor: "staff".to_owned(),
            request_id: None,
            traceparent: None,
            reason: None,
            expected_version: None,
        };
        let command = domain::product::Command::Describe(offer);
        async move {
            let sku = format!("article {n}");
            let executed = app
                .journal
                .execute_derived::<domain::product::Product>(&sku, command, envelope);
            executed.await.map(drop)
        }
    }));
    assert!(described.await.iter().all(Result::is_ok));
    let item = |n: usize| json!({"sku": format!("article {n}"), "quantity": 1});
    let most: Vec<Value> = (0..2_000).map(item).collect();
    let full = json!({"items": most});
    let cart = ada
        .says(Method::PATCH, "/cart", full)
        .await
        .expect(200)
        .json();
    assert_eq!(cart["items"].as_array().unwrap().len(), 2_000);
    assert_eq!(cart["items"][1_999]["sku"], "article 1999", "in the order of the request");
    assert_eq!(cart["subtotal"]["amount"], "2000.00");
    let one_more = ada
        .says(Method::POST, "/cart/items", json!({"items": [item(2_000)]}))
        .await;
    assert_eq!(one_more.problem(422), "line_count_out_of_bounds");
    let _fits = ada.adds(&[("article 0", 999_999)]).await.expect(200);
    assert_eq!(ada.adds(&[("article 0", 1)]).await.problem(422), "quantity_out_of_bounds");

    for (method, path, body, pointer) in [
        (Method::POST, "/cart/items", json!({"items": []}), "/items"),
        (
            Method::POST,
            "/cart/items",
            json!({"items": [{"sku": "x"}]}),
            "/items/0/quantity",
        ),
        (
            Method::POST,
            "/cart/items",
            json!({"items": items_of(&[("x", 0)])}),
            "/items/0/quantity",
        ),
        (
            Method::PATCH,
            "/cart",
            json!({"items": items_of(&[("x", 1_000_001)])}),
            "/items/0/quantity",
        ),
        (Method::PATCH, "/cart", json!({"currency": "gold"}), "/currency"),
        (Method::PUT, "/cart/items/x", json!({"quantity": -1}), "/quantity"),
        (Method::POST, "/carts", json!({}), "/currency"),
    ] {
        let refused = ada.says(method, path, body).await;
        assert_eq!(refused.problem(422), "invalid_fields", "{path}");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer);
    }
}

#[tokio::test]
async fn a_cart_that_nobody_touches_expires() {
    let world = a_shop().await;
    let (ada, eve) =
        (Shopper::guest(&world).await, Shopper::account(&world, "eve@example.org").await);
    let _added = ada.adds(&[("cup", 1)]).await.expect(200);
    let _opened = eve
        .says(Method::POST, "/carts", json!({"currency": "GBP"}))
        .await
        .expect(201);
    let _added = eve.adds(&[("cup", 1)]).await.expect(200);
    let days: Vec<i32> = sqlx::query_scalar(
        "select extract(day from expires_at - updated_at)::int from carts order by 1",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(days, [30, 180]);
    sqlx::query("update carts set expires_at = now()")
        .execute(&world.pool)
        .await
        .unwrap();
    assert_eq!(send(ada.asks(Method::GET, "/cart")).await.problem(404), "not_found");
    let anew = eve
        .says(Method::POST, "/carts", json!({"currency": "GBP"}))
        .await
        .expect(201)
        .json();
    assert_eq!(held(&anew), lines(&[]));
    assert_eq!(world.app().carts.tidy().await.unwrap(), 1);
    let left: i64 = sqlx::query_scalar("select count(*) from cart_items")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn the_cart_of_somebody_who_is_forgotten_is_gone() {
    let world = a_shop().await;
    let ada = Shopper::account(&world, "ada@example.org").await;
    let _opened = ada
        .says(Method::POST, "/carts", json!({"currency": "GBP"}))
        .await
        .expect(201);
    let _added = ada.adds(&[("cup", 1)]).await.expect(200);
    let id: Uuid = sqlx::query_scalar("select account_id from accounts")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    let forget = ada.asks(Method::DELETE, &format!("/customers/{id}/personal-data"));
    let forget = forget
        .header("idempotency-key", "k")
        .json(&json!({"reason": "asked for it"}));
    let _forgotten = send(forget).await.expect(200);
    let left: i64 = sqlx::query_scalar("select count(*) from carts")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(left, 0);
}
