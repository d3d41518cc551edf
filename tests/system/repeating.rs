//! What is kept in ordinary rows and would be there twice if it were sent twice: it is named by its key,
//! and a repetition makes nothing more.

use accounts::Role;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tests::people::{asked, said, signed_in};
use tests::telling::{a_world_with_cups, items};
use tests::world::{Answer, STAFF, World, send};

const ADA: &str = "ada@example.org";

/// Somebody who posts to one address.
struct Poster<'w> {
    world: &'w World,
    path: &'static str,
    access: Option<String>,
    cart: Option<String>,
}

impl<'w> Poster<'w> {
    fn new(world: &'w World, path: &'static str, access: &str) -> Self {
        Self { world, path, access: Some(access.to_owned()), cart: None }
    }

    /// A guest with an empty cart.
    async fn shopping(world: &'w World) -> Self {
        let open = world.guest(Method::POST, "/api/v1/carts");
        let opened = send(open.json(&json!({"currency": "GBP"})))
            .await
            .expect(201);
        let cart = opened.json()["cart_token"].as_str().map(str::to_owned);
        Self { world, path: "/api/v1/cart/items", access: None, cart }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.world.guest(method, path);
        if let Some(access) = &self.access {
            request = request.bearer_auth(access);
        }
        if let Some(cart) = &self.cart {
            request = request.header("daybook-cart-token", cart);
        }
        request
    }

    async fn posts(&self, key: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, self.path);
        send(request.header("idempotency-key", key).json(body)).await
    }

    async fn pieces(&self) -> u64 {
        let cart = send(self.request(Method::GET, "/api/v1/cart"))
            .await
            .expect(200)
            .json();
        cart["items"][0]["quantity"].as_u64().unwrap_or(0)
    }
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed").as_deref() == Some("true")
}

/// As if the process had died between what it did and writing down its answer.
async fn forget_receipts(world: &World) {
    for statement in [
        "alter table receipts disable trigger receipts_are_append_only",
        "delete from receipts where aggregate_type = 'none'",
        "alter table receipts enable trigger receipts_are_append_only",
    ] {
        sqlx::query(statement).execute(&world.pool).await.unwrap();
    }
}

async fn count(world: &World, table: &str) -> i64 {
    sqlx::query_scalar(&format!("select count(*) from {table}"))
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn pieces_are_put_into_a_cart_once_however_often_they_are_sent() {
    let world = a_world_with_cups().await;
    let ada = Poster::shopping(&world).await;
    let two_cups = json!({"items": [{"sku": "cup", "quantity": 2}]});

    let (one, other) = tokio::join!(ada.posts("k", &two_cups), ada.posts("k", &two_cups));
    let (one, other) = (one.expect(200), other.expect(200));
    assert_eq!(one.text, other.text, "byte for byte");
    assert!(is_replayed(&one) != is_replayed(&other), "one of them is the first");
    assert!(one.header("daybook-position").is_some());
    assert_eq!(ada.pieces().await, 2);

    let three = json!({"items": [{"sku": "cup", "quantity": 3}]});
    assert_eq!(ada.posts("k", &three).await.problem(422), "idempotency_key_reused");
    let _more = ada.posts("k-2", &three).await.expect(200);
    let again = ada.posts("k", &two_cups).await.expect(200);
    assert_eq!((again.text, ada.pieces().await), (one.text, 5));

    forget_receipts(&world).await;
    let after_a_crash = ada.posts("k", &two_cups).await.expect(200).json();
    assert_eq!(after_a_crash["items"][0]["quantity"], 5, "nothing more");
    assert_eq!(ada.pieces().await, 5);

    // Another guest may use the same key for a cart of their own.
    let bob = Poster::shopping(&world).await;
    let _added = bob.posts("k", &two_cups).await.expect(200);
    assert_eq!((bob.pieces().await, ada.pieces().await), (2, 5));
    // What was refused changed nothing, and is judged anew.
    let pots = json!({"items": [{"sku": "pot", "quantity": 1}]});
    assert_eq!(ada.posts("pot", &pots).await.problem(422), "unknown_product");
}

#[tokio::test]
async fn an_account_is_opened_once_and_its_owner_invited_once() {
    let world = World::new().await;
    let staff = Poster::new(&world, "/api/v1/customers", STAFF);
    let body = json!({"email": ADA, "name": "Ada Lovelace", "role": "analyst"});

    let opened = staff.posts("k", &body).await.expect(201);
    let again = staff.posts("k", &body).await.expect(201);

    assert_eq!(again.text, opened.text);
    assert_eq!(again.header("location"), opened.header("location"));
    assert!(is_replayed(&again) && !is_replayed(&opened));
    let other = json!({"email": ADA, "name": "Ada King"});
    assert_eq!(staff.posts("k", &other).await.problem(422), "idempotency_key_reused");
    forget_receipts(&world).await;
    let after_a_crash = staff.posts("k", &body).await.expect(201);
    assert_eq!(after_a_crash.text, opened.text);
    assert_eq!((count(&world, "accounts").await, count(&world, "notifications").await), (1, 1));

    // A receipt is kept for ever, so it says nothing of anybody.
    let kept: Vec<Option<String>> = sqlx::query_scalar("select answer_body from receipts")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    let kept = format!("{kept:?}");
    assert!(
        kept.contains("id") && !kept.contains("Lovelace") && !kept.contains(ADA),
        "{kept}"
    );
    let id = opened.json()["id"].as_str().unwrap().to_owned();
    let close = world.staff(Method::DELETE, &format!("/api/v1/customers/{id}"));
    let _closed = send(close).await.expect(204);
    assert_eq!(staff.posts("k", &body).await.problem(404), "not_found");
    let _new = staff.posts("k-2", &body).await.expect(201);
}

#[tokio::test]
async fn a_wishlist_is_made_once_and_told_as_it_is_by_then() {
    let world = World::new().await;
    let token = signed_in(&world, ADA, Role::Customer).await;
    let ada = Poster::new(&world, "/api/v1/wishlists", &token);
    let body = json!({"name": "For Byron"});

    let made = ada.posts("k", &body).await.expect(201);
    let again = ada.posts("k", &body).await.expect(201);
    assert_eq!(again.text, made.text);
    assert!(is_replayed(&again) && !is_replayed(&made));
    forget_receipts(&world).await;
    assert_eq!(ada.posts("k", &body).await.expect(201).text, made.text);
    assert_eq!(ada.posts("other", &body).await.problem(409), "wishlist_name_taken");

    let list = format!("{}/{}", ada.path, made.json()["id"].as_str().unwrap());
    let rename = said(&world, Some(&token), Method::PUT, &list, json!({"name": "Mine"})).await;
    let _renamed = rename.expect(200);
    assert_eq!(ada.posts("k", &body).await.expect(201).json()["name"], "Mine");
    assert_eq!(items(&asked(&world, Some(&token), ada.path).await).len(), 1);
    let _gone = send(ada.request(Method::DELETE, &list)).await.expect(204);
    assert_eq!(ada.posts("k", &body).await.problem(404), "not_found");
    assert_eq!(count(&world, "wishlists").await, 0);
}

#[tokio::test]
async fn a_question_stands_once_and_a_repetition_is_told_the_first_answer() {
    let world = World::new().await;
    let staff = Poster::new(&world, "/api/v1/faq", STAFF);
    let body = json!({"question": "How long?", "answer": "Two days."});

    let added = staff.posts("k", &body).await.expect(201);
    let again = staff.posts("k", &body).await.expect(201);
    assert_eq!(again.text, added.text, "byte for byte");
    assert!(is_replayed(&again));
    forget_receipts(&world).await;
    assert_eq!(staff.posts("k", &body).await.expect(201).text, added.text);
    assert_eq!(staff.posts("other", &body).await.problem(409), "question_stands");
    assert_eq!(count(&world, "faq_entries").await, 1);
}

#[tokio::test]
async fn what_needs_a_key_says_so() {
    let world = World::new().await;
    let token = signed_in(&world, ADA, Role::Customer).await;
    for (path, access) in [
        ("/api/v1/cart/items", token.as_str()),
        ("/api/v1/wishlists", token.as_str()),
        ("/api/v1/customers", STAFF),
        ("/api/v1/faq", STAFF),
    ] {
        let request = world.guest(Method::POST, path).bearer_auth(access);
        let refused = send(request.json(&json!({}))).await;
        assert_eq!(refused.problem(400), "idempotency_key_missing", "{path}");
    }
}

#[tokio::test]
async fn what_nobody_asked_for_is_refused_of_what_is_deleted_as_well() {
    let world = World::new().await;
    let token = signed_in(&world, ADA, Role::Customer).await;
    let id = uuid::Uuid::now_v7();
    for (path, access) in [
        (format!("/api/v1/api-keys/{id}"), STAFF),
        (format!("/api/v1/customers/{id}"), STAFF),
        (format!("/api/v1/faq/{id}"), STAFF),
        ("/api/v1/profile/reviews/cup".to_owned(), token.as_str()),
        (format!("/api/v1/wishlists/{id}"), token.as_str()),
        (format!("/api/v1/wishlists/{id}/items/cup"), token.as_str()),
        (format!("/api/v1/wishlists/{id}/share"), token.as_str()),
    ] {
        let request = world.guest(Method::DELETE, &format!("{path}?force=true"));
        let refused = send(request.bearer_auth(access)).await;
        assert_eq!(refused.problem(400), "invalid_parameters", "{path}");
        assert_eq!(refused.json()["errors"][0]["pointer"], "?force", "{path}");
    }
}
