//! A shop in the middle of its day, so that examples of carts, reviews, tickets, vendors, wishlists
//! and money by hand meet what they are about.

use accounts::Role;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use tests::World;
use tests::people::{ordered, signed_in, told};
use tests::world::{STAFF, an_order, an_order_paid_with, until};

use super::{Scene, made, text};

/// What the sandbox signs its webhooks with.
pub(super) const WEBHOOK_SECRET: &str = "what the sandbox signs with";

/// Somebody who has signed in.
async fn customer(world: &World, name: &str) -> String {
    signed_in(world, &format!("{name}@example.org"), Role::Customer).await
}

/// A cart with so many cups, of whoever shows the token; a guest's token.
pub(super) async fn filled_cart(world: &World, token: Option<&str>, cups: u32) -> Value {
    let cart = told(world, token, Method::POST, "carts", json!({"currency": "GBP"})).await;
    let items = json!({"items": [{"sku": "CUP-RED", "quantity": cups}]});
    let put = match cart["cart_token"].as_str() {
        Some(cart) => world
            .guest(Method::POST, "/api/v1/cart/items")
            .header("daybook-cart-token", cart),
        None => tests::people::asking(world, token, Method::POST, "/api/v1/cart/items"),
    };
    let _filled = tests::world::send(tests::telling::keyed(put).json(&items))
        .await
        .expect(200);
    cart["cart_token"].clone()
}

/// An order that is paid by hand, of 15.30 as a transfer would bring it; its ids.
async fn by_transfer(world: &World) -> (String, String) {
    let mut order = an_order(&[("CUP-RED", 3)]);
    order["payment_method"] = "bank_transfer".into();
    order["gateway"] = "manual".into();
    order["shipping_cost"] = json!({"amount": "1.80", "currency": "GBP"});
    let order = made(world, "/api/v1/orders", order).await;
    let payment = text(&order["payment_id"]);
    let path = format!("/api/v1/payments/{payment}");
    until("its attempt waits for the money", async || {
        let shown = world.get(&path).await;
        let is_there = shown.status.is_success();
        (is_there && shown.json()["attempts"][0]["status"] == "accepted").then_some(())
    })
    .await;
    (text(&order["id"]), payment)
}

/// Somebody who has bought a red cup.
async fn buyer(world: &World, name: &str) -> String {
    let token = customer(world, name).await;
    let email = format!("{name}@example.org");
    let order = ordered(world, Some(&token), &email, "CUP-RED").await;
    let _paid = world.order_when(&text(&order["id"]), "confirmed").await;
    token
}

/// A vendor with a profile that nobody has activated; the account's token and the vendor's id.
async fn vendor(world: &World, name: &str) -> (String, String) {
    let token = signed_in(world, &format!("{name}@example.org"), Role::Vendor).await;
    let body = json!({"business_name": name, "address": {"line1": "3 Kiln Lane", "country": "GB"}});
    let vendor = told(world, Some(&token), Method::POST, "vendors", body).await;
    (token, text(&vendor["id"]))
}

/// The provider speaks of money that is nobody's: a webhook that waits for a person; its id.
async fn parked(world: &World, event: &str) -> String {
    let body = json!({"id": event, "reference": "01K0000000000000000000000Z"}).to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    let request = world.guest(Method::POST, "/api/v1/webhooks/sandbox");
    let request = request.header("sandbox-signature", signature).body(body);
    let _stored = tests::world::send(request).await.expect(200);
    until("it is parked", async || {
        let page = world.get("/api/v1/webhooks?state=parked").await.json();
        let found = page["items"]
            .as_array()?
            .iter()
            .find(|of| of["event"] == event)?;
        Some(text(&found["id"]))
    })
    .await
}

impl Scene {
    /// Before there are rules that hold orders back.
    pub(super) async fn open_the_shop(&mut self) {
        self.fill_carts().await;
        self.take_and_send().await;
        self.let_people_speak().await;
        self.let_vendors_in().await;
        for name in ["post /webhooks/{id}/resolve", "post /webhooks/{id}/retry"] {
            let webhook = parked(&self.world, name).await;
            self.places.insert(name, webhook);
        }
    }

    async fn fill_carts(&mut self) {
        let world = &self.world;
        let lou = customer(world, "lou").await;
        let _own = filled_cart(world, Some(&lou), 1).await;
        for name in [
            "patch /cart",
            "post /cart/items",
            "put /cart/items/{sku}",
            "post /cart/merge",
            "post /carts",
        ] {
            self.tokens.insert(name, lou.clone());
        }
        self.tokens.insert("post /profile/addresses", lou);
        // Both examples are the same address, which stands in a book once.
        let jo = customer(world, "jo").await;
        let address = json!({"line1": "3 High Street", "country": "GB"});
        let kept = told(world, Some(&jo), Method::POST, "profile/addresses", address).await;
        self.places
            .insert("put /profile/addresses/{id}", text(&kept["id"]));
        self.tokens.insert("put /profile/addresses/{id}", jo);
        let guest = filled_cart(world, None, 1).await;
        self.values
            .insert("post /cart/merge", json!({"cart_token": guest}));
        // As many as the example expects to pay for.
        let kim = customer(world, "kim").await;
        let _own = filled_cart(world, Some(&kim), 2).await;
        self.tokens.insert("post /cart/checkout", kim);
    }

    async fn take_and_send(&mut self) {
        let world = &self.world;
        let lines = [("CUP-RED", 1), ("cup", 1), ("CUP-RED", 1)];
        let order = made(world, "/api/v1/orders", an_order_paid_with("ok", &lines)).await;
        let id = text(&order["id"]);
        let _paid = world.order_when(&id, "confirmed").await;
        self.places.insert("post /orders/{id}/shipments", id);

        let (_, payment) = by_transfer(world).await;
        self.places.insert("post /payments/{id}/receipt", payment);
        let (order, payment) = by_transfer(world).await;
        let amount = json!({"amount": {"amount": "15.30", "currency": "GBP"}});
        let _taken = made(world, &format!("/api/v1/payments/{payment}/receipt"), amount).await;
        let _paid = world.order_when(&order, "confirmed").await;
        let back = json!({"amount": {"amount": "1.00", "currency": "GBP"}, "reason": "a chip"});
        let refund = made(world, &format!("/api/v1/orders/{order}/refunds"), back).await;
        let path = format!("/api/v1/payments/{payment}");
        until("the refund waits to be handed out", async || {
            let shown = world.get(&path).await.json();
            (shown["refunds"][0]["status"] == "pending").then_some(())
        })
        .await;
        self.places.insert("post /payments/{id}/payout", payment);
        self.values
            .insert("post /payments/{id}/payout", json!({"refund_id": refund["refund_id"]}));
    }

    async fn let_people_speak(&mut self) {
        let world = &self.world;
        let mia = buyer(world, "mia").await;
        self.tokens.insert("put /profile/reviews/{sku}", mia);
        let ned = buyer(world, "ned").await;
        let review = json!({"author": "Ned", "rating": 1});
        let path = "profile/reviews/CUP-RED";
        let review = told(world, Some(&ned), Method::PUT, path, review).await;
        self.places
            .insert("post /reviews/{id}/moderation", text(&review["id"]));

        let question = json!({
            "subject": "Where is it?", "message": "It is late.", "email": "max@example.org"
        });
        let ticket = told(world, None, Method::POST, "tickets", question).await;
        for name in ["post /tickets/{id}/close", "post /tickets/{id}/messages"] {
            self.places.insert(name, text(&ticket["id"]));
        }
        let entry = json!({"question": "How much is it?", "answer": "Five pounds."});
        let entry = told(world, Some(STAFF), Method::POST, "faq", entry).await;
        self.places.insert("put /faq/{id}", text(&entry["id"]));
        // Another than the example of `post`, which is there by then.
        self.values
            .insert("put /faq/{id}", json!({"question": "How long does it take abroad?"}));

        let pia = customer(world, "pia").await;
        let list = told(world, Some(&pia), Method::POST, "wishlists", json!({"name": "Tea"})).await;
        let list = text(&list["id"]);
        for (name, place) in [
            ("put /wishlists/{id}", list.clone()),
            ("put /wishlists/{id}/items/{sku}", format!("{list} CUP-RED")),
            ("post /wishlists/{id}/share", list),
        ] {
            self.places.insert(name, place);
            self.tokens.insert(name, pia.clone());
        }
        // No two lists of one account have the same name.
        self.tokens
            .insert("post /wishlists", customer(world, "quin").await);
    }

    async fn let_vendors_in(&mut self) {
        let world = &self.world;
        self.tokens
            .insert("post /vendors", customer(world, "potts").await);
        let (wedge, _) = vendor(world, "wedge").await;
        self.tokens.insert("put /vendors/me", wedge);
        let (_, waiting) = vendor(world, "spode").await;
        self.places.insert("post /vendors/{id}/activate", waiting);
        let (_, active) = vendor(world, "doulton").await;
        let _active = made(world, &format!("/api/v1/vendors/{active}/activate"), json!({})).await;
        self.places.insert("post /vendors/{id}/deactivate", active);
    }
}
