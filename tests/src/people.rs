//! People who sign in, as tests need them.

use accounts::{Password, Role};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use uuid::Uuid;

use crate::World;
use crate::telling::keyed;
use crate::world::{Answer, an_order, send};

/// What everybody signs in with.
pub const PHRASE: &str = "a phrase of some words";

/// The access token of somebody who has just registered.
///
/// # Panics
/// If they cannot.
pub async fn signed_in(world: &World, email: &str, role: Role) -> String {
    let password = Password::chosen(PHRASE).expect("a password");
    let accounts = &world.app().accounts;
    let registered = accounts.register(email, &password, None, role).await;
    registered.expect("an account").access
}

/// Proves an address by the newest mail that was sent there, for the account that it was sent for.
///
/// # Panics
/// If there is none.
pub async fn prove(world: &World, email: &str) {
    let (account_id, token): (Uuid, String) = sqlx::query_as(
        "select account_id, payload->>'token' from notifications join mailed_tokens \
             on token_hash = sha256(convert_to(payload->>'token', 'UTF8')) \
         where recipient = $1 and kind = 'verify_email' order by created_at desc limit 1",
    )
    .bind(email)
    .fetch_one(&world.pool)
    .await
    .expect("a mail");
    let _merged = world
        .app()
        .accounts
        .verify_email(account_id, &token)
        .await
        .expect("a good token");
}

/// Asks with this token, or as a guest.
pub fn asking(world: &World, token: Option<&str>, method: Method, path: &str) -> RequestBuilder {
    let request = world.guest(method, path);
    match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    }
}

/// Says something with this token, or as a guest, under a key of its own.
pub async fn said(
    world: &World,
    token: Option<&str>,
    method: Method,
    path: &str,
    body: Value,
) -> Answer {
    send(keyed(asking(world, token, method, path)).json(&body)).await
}

/// What somebody is told who says this and is not refused; the path is below `/api/v1/`.
///
/// # Panics
/// If they are.
pub async fn told(
    world: &World,
    token: Option<&str>,
    method: Method,
    path: &str,
    body: Value,
) -> Value {
    let answer = said(world, token, method, &format!("/api/v1/{path}"), body).await;
    assert!(answer.status.is_success(), "{path}: {} {}", answer.status, answer.text);
    serde_json::from_str(&answer.text).unwrap_or(Value::Null)
}

/// Asks for something with this token, or as a guest.
pub async fn asked(world: &World, token: Option<&str>, path: &str) -> Answer {
    send(asking(world, token, Method::GET, path)).await
}

/// Places an order with this token, or as a guest, under an address.
pub async fn ordered(world: &World, token: Option<&str>, email: &str, sku: &str) -> Value {
    let mut order = an_order(&[(sku, 1)]);
    order["customer"]["email"] = email.into();
    said(world, token, Method::POST, "/api/v1/orders", order)
        .await
        .expect(201)
        .json()
}
