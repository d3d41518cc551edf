//! Promotions: taken off to the penny, counted however many come at once, and given back.

use accounts::{Password, Role};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::world::{an_order, send, until};
use tests::{Answer, World};
use uuid::Uuid;

fn pounds(amount: &str) -> Value {
    json!({"amount": amount, "currency": "GBP"})
}

async fn offer(world: &World, code: &str, terms: Value) -> Answer {
    let put = world.staff(Method::PUT, &format!("/api/v1/promotions/{code}"));
    let put = put.header("idempotency-key", Uuid::now_v7().to_string());
    send(put.json(&terms)).await
}

fn a_tenth() -> Value {
    json!({"name": "Spring sale", "percentage": "10"})
}

fn with(mut terms: Value, more: &Value) -> Value {
    let more = more.as_object().unwrap().clone();
    terms.as_object_mut().unwrap().extend(more);
    terms
}

fn asking_for(code: &str, items: &[(&str, u32)]) -> Value {
    with(an_order(items), &json!({"promotion_code": code}))
}

async fn a_shop() -> World {
    let world = World::new().await;
    world.article("cup", "4.55", 1_000).await;
    world.article("pot", "6.00", 1_000).await;
    world
}

async fn signed_in(world: &World, email: &str) -> String {
    let password = Password::chosen("a phrase of some words").unwrap();
    let accounts = &world.app().accounts;
    let registered = accounts.register(email, &password, None, Role::Customer);
    registered.await.unwrap().access
}

async fn order_as(world: &World, access: Option<&str>, order: Value) -> Answer {
    let mut request = world.guest(Method::POST, "/api/v1/orders");
    if let Some(access) = access {
        request = request.bearer_auth(access);
    }
    let request = request
        .header("idempotency-key", Uuid::now_v7().to_string())
        .header("prefer", "wait=30");
    send(request.json(&order)).await
}

/// Uses that are held and used, as staff see them.
async fn uses(world: &World, code: &str) -> (i64, i64) {
    world.settle().await;
    let path = format!("/api/v1/promotions/{code}");
    let shown = world.get(&path).await.expect(200).json();
    (shown["held"].as_i64().unwrap(), shown["used"].as_i64().unwrap())
}

fn id_of(placed: &Answer) -> String {
    placed.json()["id"].as_str().unwrap().to_owned()
}

async fn cancel(world: &World, id: &str) {
    let path = format!("/api/v1/orders/{id}/cancel");
    let cancelled = world
        .post(&path, json!({"reason": "changed my mind"}))
        .await;
    let _cancelled = cancelled.expect(200);
}

#[tokio::test]
async fn what_is_taken_off_stays_off_and_sales_and_refunds_agree_to_the_penny() {
    let world = a_shop().await;
    let _offered = offer(&world, "spring-26", a_tenth()).await.expect(200);
    let mut order = asking_for(" Spring-26", &[("cup", 3), ("pot", 1), ("cup", 1)]);
    order["shipping_cost"] = pounds("3.95");
    // 13.65 + 6.00 + 4.55 = 24.20, less 2.42, and 3.95.
    order["expected_total"] = pounds("25.73");
    let placed = world.post("/api/v1/orders", order).await.expect(201);
    assert_eq!(placed.json()["total"], pounds("25.73"));
    let id = id_of(&placed);
    // Whatever becomes of the promotion.
    let over = with(a_tenth(), &json!({"active": false, "percentage": "99"}));
    let _ended = offer(&world, "SPRING-26", over).await.expect(200);
    let shown = world.order_when(&id, "confirmed").await;
    assert_eq!(shown["subtotal"], pounds("24.20"));
    assert_eq!(
        shown["discount"],
        json!({"promotion": "SPRING-26", "name": "Spring sale", "amount": pounds("2.42")})
    );
    let off: Vec<&str> = (0..3)
        .map(|n| shown["items"][n]["discount"]["amount"].as_str().unwrap())
        .collect();
    assert_eq!(
        off,
        ["1.37", "0.60", "0.45"],
        "the first of two equal remainders gets the penny"
    );
    assert_eq!(shown["captured"], pounds("25.73"));
    world.settle().await;
    let as_of = format!("/api/v1/orders/{id}?as_of={}", placed.position());
    assert_eq!(world.get(&as_of).await.expect(200).json()["discount"], shown["discount"]);

    let report = async |by: &str| {
        world.settle().await;
        let path = format!("/api/v1/reports/sales?group_by={by}");
        world.get(&path).await.expect(200).json()["items"].clone()
    };
    let total = report("country").await;
    assert_eq!((&total[0]["gross"], &total[0]["units"]), (&pounds("21.78"), &json!(5)));
    let by_sku = report("sku").await;
    assert_eq!((&by_sku[0]["gross"], &by_sku[1]["gross"]), (&pounds("16.38"), &pounds("5.40")));

    // Piece by piece, and nothing is left but the shipping.
    for sku in ["cup", "pot", "cup", "cup", "cup"] {
        let items = json!([{"sku": sku, "quantity": 1, "restock": false}]);
        let refund = json!({"reason": "broken", "items": items});
        let asked = world
            .post(&format!("/api/v1/orders/{id}/refunds"), refund)
            .await;
        assert!(asked.status.is_success(), "{}", asked.text);
    }
    let total = report("country").await;
    assert_eq!((&total[0]["refunded"], &total[0]["net"]), (&pounds("21.78"), &pounds("0.00")));
    let shown = world.get(&format!("/api/v1/orders/{id}")).await.json();
    assert_eq!(shown["refunded"], pounds("21.78"));
    let told = world
        .get(&format!("/api/v1/orders/{id}/timeline"))
        .await
        .expect(200)
        .text;
    for sentence in [
        "2.42 of it taken off by SPRING-26",
        "a use of promotion SPRING-26 held",
    ] {
        assert!(told.contains(sentence), "{told}");
    }
    world.verify().await;
}

#[tokio::test]
async fn a_limit_holds_however_many_order_at_once_and_what_is_cancelled_is_given_back() {
    let mut world = a_shop().await;
    let five = with(a_tenth(), &json!({"uses_max": 5}));
    let _offered = offer(&world, "FIVE", five).await.expect(200);
    let mut beside = world.beside().await;
    let orders = (0..24).map(|n| {
        let world = if n % 2 == 0 { &world } else { &beside };
        order_as(world, None, asking_for("five", &[("cup", 1)]))
    });
    let mut confirmed = Vec::new();
    for answer in join_all(orders).await {
        if answer.status.as_u16() != 201 {
            assert_eq!(answer.problem(422), "promotion_used_up");
            continue;
        }
        let order = world
            .get(&format!("/api/v1/orders/{}", id_of(&answer)))
            .await;
        let order = order.json();
        match order["status"].as_str().unwrap() {
            "confirmed" => confirmed.push(id_of(&answer)),
            "failed" => assert_eq!(
                order["failure"],
                json!({"cause": "promotion_used_up", "promotion": "FIVE"})
            ),
            other => panic!("{other}: {order}"),
        }
    }
    assert_eq!(confirmed.len(), 5);
    assert_eq!(uses(&world, "five").await, (5, 0));
    assert_eq!(world.stock("cup").await, (1_000, 5), "who goes without holds no stock either");
    let too_late = order_as(&world, None, asking_for("FIVE", &[("cup", 1)])).await;
    assert_eq!(too_late.problem(422), "promotion_used_up");
    assert_eq!(too_late.json()["errors"][0]["pointer"], "/promotion_code");

    let complete = format!("/api/v1/orders/{}/complete", confirmed[0]);
    let _completed = world.post(&complete, json!({})).await.expect(200);
    cancel(&world, &confirmed[1]).await;
    assert_eq!(uses(&world, "five").await, (3, 1));
    let again = order_as(&world, None, asking_for("FIVE", &[("cup", 1)])).await;
    assert_eq!(again.expect(201).json()["status"], "confirmed");
    assert_eq!(uses(&world, "five").await, (4, 1));
    // What is known of it survives, and so do those who hold it.
    beside.stop().await;
    world.restart().await;
    let none = order_as(&world, None, asking_for("FIVE", &[("cup", 1)])).await;
    assert_eq!(none.problem(422), "promotion_used_up");
    world.verify().await;
}

#[tokio::test]
async fn an_order_that_is_not_paid_or_has_no_stock_gives_its_use_back() {
    let world = a_shop().await;
    world.article("rare", "9.00", 1).await;
    let once = with(a_tenth(), &json!({"uses_max": 1}));
    let _offered = offer(&world, "ONCE", once).await.expect(200);
    let short = order_as(&world, None, asking_for("ONCE", &[("rare", 2)])).await;
    assert_eq!(short.expect(201).json()["status"], "failed");
    assert_eq!(uses(&world, "ONCE").await, (0, 0));
    let mut unpaid = asking_for("ONCE", &[("cup", 1)]);
    unpaid["payment_token"] = "declined".into();
    let unpaid = world.post("/api/v1/orders", unpaid).await.expect(201);
    assert_eq!(uses(&world, "ONCE").await, (1, 0));
    cancel(&world, &id_of(&unpaid)).await;
    assert_eq!(uses(&world, "ONCE").await, (0, 0));
    world.verify().await;
}

#[tokio::test]
async fn each_customer_has_so_many_uses_and_guests_are_asked_to_sign_in() {
    let world = a_shop().await;
    let limits = json!({"uses_max": 100, "uses_per_customer_max": 1});
    let _offered = offer(&world, "WELCOME", with(a_tenth(), &limits))
        .await
        .expect(200);
    let ada = signed_in(&world, "ada@example.org").await;
    let bob = signed_in(&world, "bob@example.org").await;
    let order = || asking_for("WELCOME", &[("cup", 1)]);
    let guest = order_as(&world, None, order()).await;
    assert_eq!(guest.problem(422), "promotion_needs_account");
    let adas = order_as(&world, Some(&ada), order()).await.expect(201);
    let again = order_as(&world, Some(&ada), order()).await;
    assert_eq!(again.problem(422), "promotion_used_up");
    let bobs = order_as(&world, Some(&bob), order()).await.expect(201);
    assert_eq!(bobs.json()["status"], "confirmed");
    cancel(&world, &id_of(&adas)).await;
    world.settle().await;
    let anew = order_as(&world, Some(&ada), order()).await.expect(201);
    assert_eq!(anew.json()["status"], "confirmed");
}

#[tokio::test]
async fn the_best_of_those_that_apply_by_themselves_does_in_every_process() {
    let mut world = a_shop().await;
    let mut beside = world.beside().await;
    let automatic = json!({"automatic": true});
    let amount = json!({
        "name": "A pound off two pots", "amounts": [pounds("1.00")], "automatic": true,
        "minimum": [pounds("12.00")], "skus": ["pot"],
    });
    let _offered = offer(&world, "TENTH", with(a_tenth(), &automatic))
        .await
        .expect(200);
    let _offered = offer(&world, "POTS", amount).await.expect(200);
    let total = async |world: &World, order: Value| {
        let placed = world.post("/api/v1/orders", order).await.expect(201);
        placed.json()["total"].clone()
    };
    // A tenth of 4.55 is 0.455, which is rounded up; of 12.00 it is more than a pound.
    assert_eq!(total(&world, an_order(&[("cup", 1)])).await, pounds("4.09"));
    assert_eq!(total(&world, an_order(&[("pot", 2)])).await, pounds("10.80"));
    let less = with(a_tenth(), &json!({"percentage": "5", "automatic": true}));
    let _less = offer(&world, "TENTH", less).await.expect(200);
    assert_eq!(total(&world, an_order(&[("pot", 2)])).await, pounds("11.00"));
    until("the other process has heard of it", async || {
        let told = total(&beside, an_order(&[("pot", 2)])).await;
        (told == pounds("11.00")).then_some(())
    })
    .await;
    beside.stop().await;
    world.settle().await;
    world.restart().await;
    assert_eq!(total(&world, an_order(&[("pot", 2)])).await, pounds("11.00"));

    // A code that is asked for is taken, and what staff say is not changed by anybody.
    let one_percent = with(a_tenth(), &json!({"percentage": "1"}));
    let _offered = offer(&world, "SECRET", one_percent).await.expect(200);
    assert_eq!(total(&world, asking_for("SECRET", &[("pot", 2)])).await, pounds("11.88"));
    let mut quoted = an_order(&[("pot", 2)]);
    quoted["items"][0]["unit_price"] = pounds("6.00");
    assert_eq!(total(&world, quoted).await, pounds("12.00"));
    let off = with(a_tenth(), &json!({"automatic": true, "active": false}));
    for code in ["TENTH", "POTS"] {
        let _off = offer(&world, code, off.clone()).await.expect(200);
    }
    assert_eq!(total(&world, an_order(&[("pot", 2)])).await, pounds("12.00"));
}

#[tokio::test]
async fn a_promotion_that_does_not_apply_says_why() {
    let world = a_shop().await;
    for (code, more) in [
        ("OFF", json!({"active": false})),
        ("SOON", json!({"starts_at": "2999-01-01T00:00:00Z"})),
        ("OVER", json!({"ends_at": "2001-01-01T00:00:00Z"})),
        ("LARGE", json!({"minimum": [pounds("4.56")]})),
        ("POTS", json!({"skus": ["pot"]})),
    ] {
        let _offered = offer(&world, code, with(a_tenth(), &more))
            .await
            .expect(200);
        let refused = world
            .post("/api/v1/orders", asking_for(code, &[("cup", 1)]))
            .await;
        assert_eq!(refused.problem(422), "promotion_not_applicable", "{code}");
    }
    let euros = json!({"name": "Euros", "amounts": [{"amount": "1.00", "currency": "EUR"}]});
    let _offered = offer(&world, "EURO", euros).await.expect(200);
    let refused = world
        .post("/api/v1/orders", asking_for("EURO", &[("cup", 1)]))
        .await;
    assert!(refused.json()["detail"].as_str().unwrap().contains("GBP"), "{}", refused.text);
    let unknown = world
        .post("/api/v1/orders", asking_for("NOPE", &[("cup", 1)]))
        .await;
    assert_eq!(unknown.problem(422), "promotion_unknown");
    let garbled = world
        .post("/api/v1/orders", asking_for("50 %", &[("cup", 1)]))
        .await;
    assert_eq!(garbled.problem(422), "invalid_fields");
    // All of the goods, and there is nothing to pay; with shipping there is.
    let gift = with(a_tenth(), &json!({"percentage": "100"}));
    let _offered = offer(&world, "GIFT", gift).await.expect(200);
    let free = world
        .post("/api/v1/orders", asking_for("GIFT", &[("cup", 1)]))
        .await;
    assert_eq!(free.problem(422), "nothing_to_pay");
    let mut sent = asking_for("GIFT", &[("cup", 1)]);
    sent["shipping_cost"] = pounds("1.00");
    let sent = world.post("/api/v1/orders", sent).await.expect(201);
    assert_eq!(sent.json()["total"], pounds("1.00"));
}

#[tokio::test]
async fn everybody_is_told_of_what_is_listed_now_and_staff_of_everything() {
    let world = a_shop().await;
    for (code, more) in [
        ("SHOWN", json!({"listed": true, "ends_at": "2999-01-01T00:00:00Z"})),
        ("SECRET", json!({})),
        ("OVER", json!({"listed": true, "ends_at": "2001-01-01T00:00:00Z"})),
        ("SOON", json!({"listed": true, "starts_at": "2999-01-01T00:00:00Z"})),
        ("OFF", json!({"listed": true, "active": false})),
        ("ALWAYS", json!({"automatic": true})),
    ] {
        let _offered = offer(&world, code, with(a_tenth(), &more))
            .await
            .expect(200);
    }
    world.settle().await;
    let codes = |answer: &Answer| -> Vec<String> {
        let items = answer.json()["items"].as_array().unwrap().clone();
        let code = |of: &Value| of["code"].as_str().unwrap().to_owned();
        items.iter().map(code).collect()
    };
    let public = send(world.guest(Method::GET, "/api/v1/promotions"))
        .await
        .expect(200);
    assert_eq!(codes(&public), ["ALWAYS", "SHOWN"]);
    assert_eq!(
        public.json()["items"][1].get("uses_max"),
        None,
        "limits are the shop's business"
    );
    let all = world
        .get("/api/v1/promotions/all?limit=4")
        .await
        .expect(200);
    assert_eq!(codes(&all), ["ALWAYS", "OFF", "OVER", "SECRET"]);
    let next = all.json()["next_cursor"].as_str().unwrap().to_owned();
    let rest = world
        .get(&format!("/api/v1/promotions/all?cursor={next}"))
        .await
        .expect(200);
    assert_eq!(codes(&rest), ["SHOWN", "SOON"]);
    let secret = send(world.guest(Method::GET, "/api/v1/promotions/SECRET")).await;
    assert_eq!(secret.problem(401), "unauthenticated");
    let shown = world
        .get("/api/v1/promotions/secret")
        .await
        .expect(200)
        .json();
    assert_eq!((&shown["percentage"], &shown["listed"]), (&json!("10"), &json!(false)));
    assert_eq!(world.get("/api/v1/promotions/nope").await.problem(404), "not_found");
    let garbled = world.get("/api/v1/promotions/no%20code").await;
    assert_eq!(garbled.problem(400), "invalid_parameters");
}

#[tokio::test]
async fn terms_that_make_no_sense_are_refused_and_the_last_version_can_be_named() {
    let world = a_shop().await;
    let (start, end) = ("2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z");
    for (terms, code, pointer) in [
        (json!({"percentage": "10"}), "invalid_fields", "/name"),
        (json!({"name": "x"}), "invalid_fields", "/percentage"),
        (json!({"name": "x", "percentage": "0"}), "invalid_fields", "/percentage"),
        (json!({"name": "x", "percentage": "100.01"}), "invalid_fields", "/percentage"),
        (
            with(a_tenth(), &json!({"amounts": [pounds("1.00")]})),
            "invalid_fields",
            "/amounts",
        ),
        (with(a_tenth(), &json!({"uses_max": 0})), "invalid_fields", "/uses_max"),
        (with(a_tenth(), &json!({"skus": ["a", "a"]})), "invalid_fields", "/skus/1"),
        (with(a_tenth(), &json!({"colour": "red"})), "invalid_fields", "/colour"),
        (json!({"name": "x", "amounts": [pounds("0.00")]}), "amount_not_positive", ""),
        (
            json!({"name": "x", "amounts": [pounds("1.00"), pounds("2.00")]}),
            "two_amounts",
            "",
        ),
        (
            with(a_tenth(), &json!({"uses_per_customer_max": 1})),
            "too_many_to_remember",
            "",
        ),
        (
            with(a_tenth(), &json!({"starts_at": start, "ends_at": end})),
            "promotion_ends_before_it_starts",
            "",
        ),
    ] {
        let refused = offer(&world, "X", terms).await;
        assert_eq!(refused.problem(422), code, "{}", refused.text);
        if !pointer.is_empty() {
            assert_eq!(refused.json()["errors"][0]["pointer"], pointer);
        }
    }
    let first = offer(&world, "X", a_tenth()).await.expect(200);
    assert_eq!(first.json()["version"], 1);
    assert_eq!(first.header("etag").as_deref(), Some("\"1\""));
    let again = offer(&world, "x", a_tenth()).await.expect(200);
    assert_eq!(again.json()["version"], 1, "what is as it should be needs no fact");
    let stale = world
        .staff(Method::PUT, "/api/v1/promotions/X")
        .header("idempotency-key", "stale")
        .header("if-match", "\"7\"");
    assert_eq!(send(stale.json(&a_tenth())).await.problem(412), "version_mismatch");
    let guest = world.guest(Method::PUT, "/api/v1/promotions/X");
    let guest = guest.header("idempotency-key", "guest").json(&a_tenth());
    assert_eq!(send(guest).await.problem(401), "unauthenticated");
    let reserved = world.staff(Method::PUT, "/api/v1/promotions/all");
    let reserved = reserved.header("idempotency-key", "all").json(&a_tenth());
    assert_eq!(send(reserved).await.problem(405), "method_not_allowed");
}

#[tokio::test]
async fn a_cart_shows_what_would_be_taken_off_and_is_ordered_with_it() {
    let world = a_shop().await;
    let _offered = offer(&world, "SPRING", a_tenth()).await.expect(200);
    let open = world.guest(Method::POST, "/api/v1/carts");
    let opened = send(open.json(&json!({"currency": "GBP"})))
        .await
        .expect(201)
        .json();
    let token = opened["cart_token"].as_str().unwrap().to_owned();
    let asks = |method, path: &str| {
        world
            .guest(method, &format!("/api/v1{path}"))
            .header("daybook-cart-token", &token)
    };
    let add = asks(Method::POST, "/cart/items").header("idempotency-key", "add");
    let add = add.json(&json!({"items": [{"sku": "pot", "quantity": 2}]}));
    let plain = send(add).await.expect(200).json();
    assert_eq!((plain.get("discount"), &plain["total"]), (None, &pounds("12.00")));
    let look = async |code: &str| {
        let cart = asks(Method::GET, &format!("/cart?promotion_code={code}"));
        send(cart).await.expect(200).json()
    };
    let shown = look("spring").await;
    assert_eq!(shown["discount"]["amount"], pounds("1.20"));
    assert_eq!((&shown["subtotal"], &shown["total"]), (&pounds("12.00"), &pounds("10.80")));
    let wrong = look("nope").await;
    assert_eq!(wrong["promotion_problem"]["code"], "promotion_unknown");
    assert_eq!(wrong["total"], pounds("12.00"));

    let mut order = an_order(&[]);
    order.as_object_mut().unwrap().remove("items");
    order["promotion_code"] = "spring".into();
    order["expected_total"] = shown["total"].clone();
    let placed = asks(Method::POST, "/cart/checkout").header("idempotency-key", "k");
    let placed = send(placed.json(&order)).await.expect(201);
    assert_eq!(placed.json()["total"], pounds("10.80"));
}
