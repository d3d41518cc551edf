//! Vendors: who may sell, what is theirs, and what becomes of it.

mod back_office;
mod pages;
mod public;
pub(crate) mod selling;

use accounts::{Password, Role};
use reqwest::Method;
use serde_json::{Value, json};
use tests::telling::{items, pointers, these};
use tests::world::{Answer, World, an_order, send};
use uuid::Uuid;

use self::selling::{Seller, pottery, put_product};

#[tokio::test]
async fn whoever_has_signed_in_registers_and_edits_their_profile_before_anybody_activates_them() {
    let world = World::new().await;
    let password = Password::chosen("a phrase of some words").unwrap();
    let accounts = &world.app().accounts;
    let registered = accounts.register("potts@example.org", &password, None, Role::Customer);
    let tokens = registered.await.unwrap();
    let register = async |token: &str, key: &str| {
        let request = world
            .guest(Method::POST, "/api/v1/vendors")
            .bearer_auth(token);
        let request = request.header("idempotency-key", key);
        send(request.json(&pottery("Potts"))).await
    };
    let told = register(&tokens.access, "k").await.expect(201);
    let vendor = told.json();
    let id = vendor["id"].as_str().unwrap().to_owned();
    assert_eq!(told.header("location"), Some(format!("/api/v1/vendors/{id}")));
    assert_eq!((&vendor["status"], &vendor["version"]), (&json!("applied"), &json!(1)));
    let again = register(&tokens.access, "k").await.expect(201);
    assert_eq!(again.text, told.text);
    assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
    let twice = register(&tokens.access, "other").await;
    assert_eq!(twice.problem(409), "vendor_already_registered");

    // The session goes on; whoever refreshes it is a vendor.
    let me = async |token: &str| {
        send(
            world
                .guest(Method::GET, "/api/v1/vendors/me")
                .bearer_auth(token),
        )
        .await
    };
    assert_eq!(me(&tokens.access).await.problem(403), "forbidden");
    let fresh = accounts.refresh(&tokens.refresh).await.unwrap();
    let seller = Seller { id, token: fresh.access };
    let changed = seller
        .put(&world, "/api/v1/vendors/me", &pottery("Potts & Daughter"))
        .await
        .expect(200);
    assert_eq!(changed.json()["business_name"], "Potts & Daughter");
    world.settle().await;
    let shown = me(&seller.token).await.expect(200).json();
    assert_eq!(
        (&shown["business_name"], &shown["status"], &shown["version"]),
        (&json!("Potts & Daughter"), &json!("applied"), &json!(2))
    );
    assert_eq!(shown["address"]["city"], "Stoke-on-Trent");

    let wrong = json!({"business_name": "", "address": {"country": "XX9"}, "iban": "no"});
    let refused = seller.put(&world, "/api/v1/vendors/me", &wrong).await;
    assert_eq!(
        pointers(&refused),
        these(&[
            "/business_name",
            "/address/line1",
            "/address/country",
            "/iban"
        ])
    );
    let refused = put_product(&world, &seller, "vase", "9.00").await;
    assert_eq!(refused.problem(403), "vendor_not_active");
}

#[tokio::test]
async fn staff_register_activate_and_deactivate_and_nobody_else_does() {
    let world = World::new().await;
    let seller = Seller::registered(&world, "potts@example.org").await;
    let path = format!("/api/v1/vendors/{}", seller.id);
    let reason = json!({"reason": "papers are missing"});
    let act = async |what: &str, body: Value| world.post(&format!("{path}/{what}"), body).await;

    let by_vendor = seller
        .post(&world, &format!("{path}/activate"), &json!({}))
        .await;
    assert_eq!(by_vendor.problem(403), "forbidden");
    let turned_away = act("deactivate", reason.clone()).await.expect(200).json();
    assert_eq!(turned_away["status"], "inactive");
    world.settle().await;
    let shown = world.get(&path).await.expect(200).json();
    assert_eq!(shown["reason"], "papers are missing");
    let active = act("activate", json!({})).await.expect(200).json();
    assert_eq!((&active["status"], &active["version"]), (&json!("active"), &json!(3)));
    let same = act("activate", json!({})).await.expect(200).json();
    assert_eq!(same["version"], 3, "what is as it should be needs no fact");
    world.settle().await;
    assert_eq!(world.get(&path).await.json().get("reason"), None);

    let unknown = format!("/api/v1/vendors/{}", Uuid::now_v7());
    assert_eq!(world.get(&unknown).await.problem(404), "not_found");
    for what in ["activate", "deactivate"] {
        let answer = world
            .post(
                &format!("{unknown}/{what}"),
                if what == "activate" {
                    json!({})
                } else {
                    reason.clone()
                },
            )
            .await;
        assert_eq!(answer.problem(404), "not_found");
    }
    let mut body = pottery("Nobody's");
    assert_eq!(
        pointers(&world.post("/api/v1/vendors", body.clone()).await),
        these(&["/account_id"])
    );
    body["account_id"] = Uuid::now_v7().to_string().into();
    let refused = world.post("/api/v1/vendors", body.clone()).await;
    assert_eq!(pointers(&refused), these(&["/account_id"]));
    let refused = seller.post(&world, "/api/v1/vendors", &body).await;
    assert_eq!(refused.problem(403), "staff_only_fields");

    // The log says who did what, and why.
    let events = world
        .get(&format!("/api/v1/events?aggregate=vendor&aggregate_id={}", seller.id))
        .await
        .expect(200);
    let told: Vec<(String, Value)> = items(&events)
        .iter()
        .map(|event| {
            let actor = event["actor"].as_str().unwrap();
            let name = event["type"].as_str().or(event["event"].as_str()).unwrap();
            (format!("{name} {}", actor.split(':').next().unwrap()), event["reason"].clone())
        })
        .collect();
    assert!(
        told.contains(&("vendor.deactivated staff".into(), json!("papers are missing"))),
        "{told:?}"
    );
    assert!(told.contains(&("vendor.registered vendor".into(), Value::Null)), "{told:?}");
}

#[tokio::test]
async fn a_vendor_offers_their_own_products_and_others_do_not_exist_for_them() {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    let potts = Seller::active(&world, "potts@example.org").await;
    let wedge = Seller::active(&world, "wedge@example.org").await;

    let told = put_product(&world, &potts, "vase", "9.00")
        .await
        .expect(200)
        .json();
    assert_eq!(told["vendor"], potts.id.as_str());
    for sku in ["cup", "vase"] {
        assert_eq!(put_product(&world, &wedge, sku, "0.01").await.problem(404), "not_found");
        for (what, body) in [
            ("receipts", json!({"quantity": 5, "reference": "theirs"})),
            ("adjustments", json!({"quantity": 5, "reason": "theirs"})),
        ] {
            let path = format!("/api/v1/inventory/{sku}/{what}");
            assert_eq!(wedge.post(&world, &path, &body).await.problem(404), "not_found", "{path}");
        }
    }
    // Stock of the house that nobody has described is no vendor's either.
    let body = json!({"quantity": 5, "reference": "found"});
    let _received = world
        .post("/api/v1/inventory/bowl/receipts", body)
        .await
        .expect(200);
    assert_eq!(
        put_product(&world, &potts, "bowl", "3.00")
            .await
            .problem(404),
        "not_found"
    );

    let path = "/api/v1/inventory/vase/receipts";
    let body = json!({"quantity": 5, "reference": "kiln 3"});
    let level = potts.post(&world, path, &body).await.expect(200).json();
    assert_eq!((&level["on_hand"], &level["available"]), (&json!(5), &json!(5)));
    let path = "/api/v1/inventory/vase/adjustments";
    let body = json!({"quantity": -1, "reason": "cracked"});
    assert_eq!(potts.post(&world, path, &body).await.expect(200).json()["on_hand"], 4);

    // Staff change the price and leave it the vendor's, unless they say whose it is.
    world.article("vase", "9.50", 0).await;
    world.settle().await;
    let shown = world.get("/api/v1/products/vase").await.json();
    assert_eq!(
        (&shown["vendor"], &shown["price"]["amount"]),
        (&json!(potts.id), &json!("9.50"))
    );
    let theirs = world
        .get(&format!("/api/v1/products?vendor={}", potts.id))
        .await;
    assert_eq!(items(&theirs).len(), 1);
    let mut body = json!({"name": "Vase", "price": {"amount": "9.50", "currency": "GBP"},
        "active": true, "vendor": Uuid::now_v7()});
    let put = async |body: &Value| {
        let key = Uuid::now_v7().to_string();
        let request = world.staff(Method::PUT, "/api/v1/products/vase");
        send(request.header("idempotency-key", key).json(body)).await
    };
    assert_eq!(put(&body).await.problem(422), "unknown_vendor");
    body["vendor"] = wedge.id.as_str().into();
    let refused = potts.put(&world, "/api/v1/products/vase", &body).await;
    assert_eq!(refused.problem(403), "staff_only_fields");
    assert_eq!(put(&body).await.expect(200).json()["vendor"], wedge.id.as_str());
    assert_eq!(
        put_product(&world, &potts, "vase", "1.00")
            .await
            .problem(404),
        "not_found"
    );
    let _theirs_now = put_product(&world, &wedge, "vase", "1.00")
        .await
        .expect(200);
}

#[tokio::test]
async fn deactivation_hides_products_at_once_in_every_process_and_keeps_orders_under_way() {
    let world = World::new().await;
    let beside = world.beside().await;
    let potts = Seller::active(&world, "potts@example.org").await;
    potts.stocked(&world, "vase", "9.00", 10).await;
    world.settle().await;
    let buy = async |world: &World| {
        let place = world.guest(Method::POST, "/api/v1/orders");
        let key = Uuid::now_v7().to_string();
        send(
            place
                .header("idempotency-key", key)
                .json(&an_order(&[("vase", 1)])),
        )
        .await
    };
    let placed = buy(&world).await.expect(201).json();
    let id = placed["id"].as_str().unwrap();
    let _placed = tests::world::until("the other process sells", async || {
        (buy(&beside).await.status == 201).then_some(())
    })
    .await;
    let _order = world.order_when(id, "confirmed").await;

    let path = format!("/api/v1/vendors/{}/deactivate", potts.id);
    let _out = world
        .post(&path, json!({"reason": "sold fakes"}))
        .await
        .expect(200);
    // Without waiting for anything.
    assert_eq!(buy(&world).await.problem(422), "product_inactive");
    tests::world::until("the other process hears of it", async || {
        (buy(&beside).await.status == 422).then_some(())
    })
    .await;
    assert_eq!(
        put_product(&world, &potts, "vase", "9.00")
            .await
            .problem(403),
        "vendor_not_active"
    );
    let body = json!({"quantity": 5, "reference": "kiln 4"});
    let refused = potts
        .post(&world, "/api/v1/inventory/vase/receipts", &body)
        .await;
    assert_eq!(refused.problem(403), "vendor_not_active");
    world.settle().await;
    let shown = world.get("/api/v1/products/vase").await.json();
    assert_eq!(shown["active"], false);
    let sold = world.get("/api/v1/products?active=true").await;
    assert!(items(&sold).is_empty(), "{}", sold.text);

    // What was ordered before is still theirs to send.
    let theirs = potts
        .get(&world, "/api/v1/vendors/me/orders")
        .await
        .expect(200);
    assert!(items(&theirs).iter().any(|order| order["id"] == id), "{}", theirs.text);
    let path = format!("/api/v1/orders/{id}/shipments");
    let shipped = potts
        .post(&world, &path, &json!({}))
        .await
        .expect(200)
        .json();
    assert_eq!(shipped["status"], "completed");

    let path = format!("/api/v1/vendors/{}/activate", potts.id);
    let _back = world.post(&path, json!({})).await.expect(200);
    let _placed = buy(&world).await.expect(201);
    world.verify().await;
}

#[tokio::test]
async fn a_repetition_is_told_what_it_was_told_whatever_has_become_of_the_vendor() {
    let world = World::new().await;
    let potts = Seller::active(&world, "potts@example.org").await;
    let body =
        json!({"name": "Vase", "price": {"amount": "9.00", "currency": "GBP"}, "active": true});
    let describe = async || -> Answer {
        let request = world.guest(Method::PUT, "/api/v1/products/vase");
        let request = request
            .bearer_auth(&potts.token)
            .header("idempotency-key", "k");
        send(request.json(&body)).await
    };
    let first = describe().await.expect(200);
    let path = format!("/api/v1/vendors/{}/deactivate", potts.id);
    let _out = world
        .post(&path, json!({"reason": "sold fakes"}))
        .await
        .expect(200);
    let again = describe().await.expect(200);
    assert_eq!(
        (again.header("idempotent-replayed"), again.text),
        (Some("true".into()), first.text)
    );
}

#[tokio::test]
async fn vendors_are_listed_by_standing_and_name() {
    let world = World::new().await;
    let potts = Seller::active(&world, "potts@example.org").await;
    let _wedge = Seller::registered(&world, "wedge@example.org").await;
    world.settle().await;
    let ids = async |query: &str| -> Vec<String> {
        let list = world
            .get(&format!("/api/v1/vendors{query}"))
            .await
            .expect(200);
        let id = |vendor: &Value| vendor["id"].as_str().unwrap().to_owned();
        items(&list).iter().map(id).collect()
    };
    assert_eq!(ids("").await.len(), 2);
    assert_eq!(ids("?status=active").await, std::slice::from_ref(&potts.id));
    assert_eq!(ids("?search=POTTS").await, [potts.id]);
    assert!(ids("?status=inactive").await.is_empty());
    let refused = world.get("/api/v1/vendors?status=unknown").await;
    assert_eq!(refused.problem(400), "invalid_parameters");
    let page = world.get("/api/v1/vendors?limit=1").await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = world
        .get(&format!("/api/v1/vendors?limit=1&cursor={cursor}"))
        .await
        .json();
    assert_ne!(page["items"][0]["id"], next["items"][0]["id"]);
    assert_eq!(next["next_cursor"], Value::Null);
}
