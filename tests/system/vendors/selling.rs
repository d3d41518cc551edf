//! Vendors for tests, and what they say.

use accounts::{Password, Role};
use reqwest::Method;
use serde_json::{Value, json};
use tests::world::{Answer, World, send};
use uuid::Uuid;

/// Somebody who sells.
pub(crate) struct Seller {
    pub(crate) id: String,
    pub(crate) token: String,
}

impl Seller {
    /// Registered, and not activated.
    pub(crate) async fn registered(world: &World, email: &str) -> Self {
        let password = Password::chosen("a phrase of some words").unwrap();
        let accounts = &world.app().accounts;
        let registered = accounts.register(email, &password, None, Role::Vendor);
        let token = registered.await.unwrap().access;
        let request = world
            .guest(Method::POST, "/api/v1/vendors")
            .bearer_auth(&token)
            .header("idempotency-key", Uuid::now_v7().to_string());
        let name = email.split('@').next().unwrap();
        let vendor = send(request.json(&pottery(name))).await.expect(201).json();
        Self { id: vendor["id"].as_str().unwrap().to_owned(), token }
    }

    /// Registered and activated.
    pub(crate) async fn active(world: &World, email: &str) -> Self {
        let seller = Self::registered(world, email).await;
        let path = format!("/api/v1/vendors/{}/activate", seller.id);
        let _active = world.post(&path, json!({})).await.expect(200);
        seller
    }

    /// Offers an article with so many in stock.
    pub(crate) async fn stocked(&self, world: &World, sku: &str, price: &str, stock: u32) {
        let _described = put_product(world, self, sku, price).await.expect(200);
        let path = format!("/api/v1/inventory/{sku}/receipts");
        let body = json!({"quantity": stock, "reference": "opening stock"});
        let _received = self.post(world, &path, &body).await.expect(200);
    }

    pub(crate) async fn get(&self, world: &World, path: &str) -> Answer {
        send(world.guest(Method::GET, path).bearer_auth(&self.token)).await
    }

    pub(crate) async fn post(&self, world: &World, path: &str, body: &Value) -> Answer {
        self.command(world, Method::POST, path, body).await
    }

    pub(crate) async fn put(&self, world: &World, path: &str, body: &Value) -> Answer {
        self.command(world, Method::PUT, path, body).await
    }

    async fn command(&self, world: &World, method: Method, path: &str, body: &Value) -> Answer {
        let key = Uuid::now_v7().to_string();
        let request = world.guest(method, path).bearer_auth(&self.token);
        send(request.header("idempotency-key", key).json(body)).await
    }
}

/// The body of a registration.
pub(crate) fn pottery(name: &str) -> Value {
    json!({
        "business_name": name,
        "address": {"line1": "3 Kiln Lane", "city": "Stoke-on-Trent", "country": "GB"},
    })
}

/// Offers an article in pounds.
pub(crate) async fn put_product(world: &World, seller: &Seller, sku: &str, price: &str) -> Answer {
    let body = json!({
        "name": format!("The {sku}"),
        "price": {"amount": price, "currency": "GBP"},
        "active": true,
    });
    let path = format!("/api/v1/products/{sku}");
    seller.put(world, &path, &body).await
}
