//! Vendors whose account ends: nothing of theirs stays on sale that nobody could sign in to send.

use accounts::Role;
use reqwest::Method;
use serde_json::json;
use tests::people::{PHRASE, prove, said, signed_in};
use tests::world::{Answer, STAFF, World, an_order, send};

use crate::vendors::selling::Seller;

async fn buy(world: &World) -> Answer {
    said(world, None, Method::POST, "/api/v1/orders", an_order(&[("vase", 1)])).await
}

/// An active vendor with something on sale.
async fn selling(world: &World) -> Seller {
    let potts = Seller::active(world, "potts@example.org").await;
    potts.stocked(world, "vase", "9.00", 10).await;
    world.settle().await;
    let _bought = buy(world).await.expect(201);
    potts
}

/// Nothing of theirs is bought any more, at once and in the read models.
async fn sells_nothing(world: &World, potts: &Seller, reason: &str) {
    assert_eq!(buy(world).await.problem(422), "product_inactive");
    world.settle().await;
    let vendor = world.get(&format!("/api/v1/vendors/{}", potts.id)).await;
    let vendor = vendor.expect(200).json();
    assert_eq!(vendor["status"], "inactive");
    let told = vendor["reason"].as_str().unwrap();
    assert!(told.contains(reason), "{told}");
}

async fn activate(world: &World, potts: &Seller) -> Answer {
    let path = format!("/api/v1/vendors/{}/activate", potts.id);
    world.post(&path, json!({})).await
}

#[tokio::test]
async fn whoever_closes_a_vendors_account_takes_their_products_off_sale() {
    let world = World::new().await;
    let potts = selling(&world).await;
    let path = format!("/api/v1/customers/{}", potts.id);

    let _closed = send(world.staff(Method::DELETE, &path)).await.expect(204);

    sells_nothing(&world, &potts, "was closed").await;
    assert_eq!(activate(&world, &potts).await.problem(409), "vendor_without_account");
    assert_eq!(send(world.staff(Method::DELETE, &path)).await.problem(404), "not_found");
    world.verify().await;
}

#[tokio::test]
async fn whoever_makes_a_vendor_something_else_takes_their_products_off_sale() {
    let world = World::new().await;
    let potts = selling(&world).await;
    let path = format!("/api/v1/customers/{}", potts.id);
    let put = async |role: &str| {
        let body = json!({"name": "Potts", "role": role});
        said(&world, Some(STAFF), Method::PUT, &path, body)
            .await
            .expect(200)
    };
    let _same = put("vendor").await;
    let _bought = buy(&world).await.expect(201);

    let _customer = put("customer").await;

    sells_nothing(&world, &potts, "no vendor's").await;
    assert_eq!(activate(&world, &potts).await.problem(409), "vendor_without_account");
    let _vendor = put("vendor").await;
    assert_eq!(
        buy(&world).await.problem(422),
        "product_inactive",
        "staff decide that by themselves"
    );
    let _active = activate(&world, &potts).await.expect(200);
    let _bought = buy(&world).await.expect(201);
}

#[tokio::test]
async fn a_vendor_who_is_forgotten_sells_nothing_any_more() {
    let world = World::new().await;
    let potts = selling(&world).await;
    let path = format!("/api/v1/customers/{}/personal-data", potts.id);
    let forget = async || {
        let request = world.staff(Method::DELETE, &path);
        let body = json!({"reason": "asked for it"});
        send(request.header("idempotency-key", "k").json(&body))
            .await
            .expect(200)
    };

    let told = forget().await;

    sells_nothing(&world, &potts, "personal data").await;
    assert_eq!(forget().await.text, told.text, "a repetition is told the same");
    assert_eq!(activate(&world, &potts).await.problem(409), "vendor_without_account");
}

#[tokio::test]
async fn a_vendor_whose_address_somebody_else_proves_sells_nothing_any_more() {
    let world = World::new().await;
    let potts = selling(&world).await;
    let body = json!({"email": "potts@example.org", "password": PHRASE});
    let owner = said(&world, None, Method::POST, "/api/v1/auth/register", body).await;
    let owner = owner.expect(201).json();
    let token: String = sqlx::query_scalar(
        "select payload->>'token' from notifications where kind = 'verify_email' \
         order by notification_id desc limit 1",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    let (path, body) = ("/api/v1/auth/verify-email", json!({"token": token}));
    let _proved = said(&world, owner["access"].as_str(), Method::POST, path, body)
        .await
        .expect(204);

    sells_nothing(&world, &potts, "merged").await;
}

#[tokio::test]
async fn an_account_that_sells_nothing_is_closed_without_a_fact() {
    let world = World::new().await;
    let ada = signed_in(&world, "ada@example.org", Role::Customer).await;
    prove(&world, "ada@example.org").await;
    let profile = said(&world, Some(&ada), Method::PATCH, "/api/v1/profile", json!({})).await;
    let id = profile.expect(200).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/api/v1/customers/{id}");
    let _closed = send(world.staff(Method::DELETE, &path)).await.expect(204);
    let head: i64 = sqlx::query_scalar("select position from log_head")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(head, 0);
}
