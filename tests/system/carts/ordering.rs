//! What is in a cart is ordered, exactly once.

use tests::world::an_order;

use super::*;

/// An order without lines.
fn an_order_of_the_cart() -> Value {
    let mut order = an_order(&[]);
    order.as_object_mut().unwrap().remove("items");
    order
}

async fn orders_in_the_log(world: &World) -> i64 {
    let count = "select count(*) from events where event_type = 'order.placed'";
    sqlx::query_scalar(count)
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn checking_out_places_an_order_and_empties_the_cart() {
    let world = a_shop().await;
    let ada = Shopper::guest(&world).await;
    let _added = ada.adds(&[("cup", 2), ("pot", 1)]).await.expect(200);
    let mut body = an_order_of_the_cart();
    body["currency"] = "EUR".into();
    let refused = ada.checks_out("euros", body).await;
    assert_eq!(refused.problem(422), "invalid_fields");
    assert_eq!(refused.json()["errors"][0]["pointer"], "/currency");

    let mut body = an_order_of_the_cart();
    body["expected_total"] = json!({"amount": "14.99", "currency": "GBP"});
    assert_eq!(ada.checks_out("dear", body).await.problem(422), "price_changed");
    assert_eq!(ada.holds().await.len(), 2, "what is not ordered stays");

    let placed = ada
        .checks_out("k", an_order_of_the_cart())
        .await
        .expect(201);
    let order = placed.json();
    assert_eq!(order["total"], json!({"amount": "15.00", "currency": "GBP"}));
    assert!(order["order_token"].is_string(), "guests are given what opens it");
    assert!(
        placed
            .header("location")
            .unwrap()
            .ends_with(order["id"].as_str().unwrap())
    );
    assert_eq!(ada.holds().await, lines(&[]));
    let shown = world
        .order_when(order["id"].as_str().unwrap(), "confirmed")
        .await;
    assert_eq!(held(&shown), lines(&[("cup", 2), ("pot", 1)]));

    let again = ada.checks_out("k", an_order_of_the_cart()).await;
    assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
    assert_eq!(again.text, placed.text);
    let empty = ada.checks_out("another", an_order_of_the_cart()).await;
    assert_eq!(empty.problem(422), "cart_empty");
    // The next order of the same cart is another one.
    let _added = ada.adds(&[("pot", 1)]).await.expect(200);
    let next = ada
        .checks_out("next", an_order_of_the_cart())
        .await
        .expect(201);
    assert_ne!(next.json()["id"], order["id"]);
    assert_eq!(orders_in_the_log(&world).await, 2);
}

#[tokio::test]
async fn a_cart_is_ordered_once_however_many_press_the_button() {
    let mut world = a_shop().await;
    let beside = world.beside().await;
    let ada = Shopper::account(&world, "ada@example.org").await;
    let _opened = ada
        .says(Method::POST, "/carts", json!({"currency": "GBP"}))
        .await
        .expect(201);
    let _added = ada.adds(&[("cup", 1)]).await.expect(200);
    let elsewhere = Shopper { world: &beside, cart_token: None, access: ada.access.clone() };
    let press = |n: usize| {
        let shopper = if n.is_multiple_of(2) {
            &ada
        } else {
            &elsewhere
        };
        let key = format!("press-{}", n / 3);
        async move { shopper.checks_out(&key, an_order_of_the_cart()).await }
    };
    let answers = join_all((0..18).map(press)).await;
    let mut ids = std::collections::BTreeSet::new();
    for answer in answers {
        match answer.status.as_u16() {
            201 => _ = ids.insert(answer.json()["id"].to_string()),
            409 => assert_eq!(answer.problem(409), "order_already_placed"),
            _ => assert_eq!(answer.problem(422), "cart_empty"),
        }
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(orders_in_the_log(&world).await, 1);
    assert_eq!(ada.holds().await, lines(&[]));
    drop(beside);
    world.stop().await;
}

/// The process dies after the order is durable and before it is taken out of the cart.
#[tokio::test]
async fn a_crash_between_the_order_and_its_cart_leaves_nothing_doubled() {
    let world = a_shop().await;
    for next in ["look", "same key", "another key", "change", "merge"] {
        let ada = Shopper::guest(&world).await;
        let _added = ada.adds(&[("cup", 2), ("pot", 1)]).await.expect(200);
        let key = Uuid::now_v7().to_string();
        let placed = ada
            .checks_out(&key, an_order_of_the_cart())
            .await
            .expect(201);
        let before = orders_in_the_log(&world).await;
        // The cart as it was, with one more cup that was put in at the last moment.
        let id: Uuid = placed.json()["id"].as_str().unwrap().parse().unwrap();
        let restored = "with cart as (update carts set order_id = $2 where token_hash = sha256($1) \
                        returning cart_id) \
                        insert into cart_items (cart_id, sku, quantity) \
                        select cart_id, sku, quantity \
                        from cart, (values ('cup', 3), ('pot', 1)) as was (sku, quantity)";
        sqlx::query(restored)
            .bind(ada.cart_token.clone().unwrap().into_bytes())
            .bind(id)
            .execute(&world.pool)
            .await
            .unwrap();
        match next {
            "same key" => {
                let again = ada.checks_out(&key, an_order_of_the_cart()).await;
                assert_eq!(again.text, placed.text);
            }
            "another key" => {
                let rest = ada
                    .checks_out("another", an_order_of_the_cart())
                    .await
                    .expect(201);
                assert_eq!(rest.json()["total"]["amount"], "4.50", "what was put in since");
                assert_eq!(orders_in_the_log(&world).await, before + 1);
                continue;
            }
            "change" => {
                let changed = ada.adds(&[("cup", 4)]).await.expect(200).json();
                assert_eq!(held(&changed), lines(&[("cup", 5)]));
                continue;
            }
            "merge" => {
                let eve = Shopper::account(&world, "eve@example.org").await;
                let token = json!({"cart_token": ada.cart_token.clone().unwrap()});
                let merged = eve
                    .says(Method::POST, "/cart/merge", token)
                    .await
                    .expect(200)
                    .json();
                assert_eq!(held(&merged["cart"]), lines(&[("cup", 1)]));
                continue;
            }
            _ => {}
        }
        assert_eq!(ada.holds().await, lines(&[("cup", 1)]), "{next}");
        assert_eq!(orders_in_the_log(&world).await, before, "{next}");
    }
}

#[tokio::test]
async fn two_guests_with_the_same_key_are_two_guests() {
    let world = a_shop().await;
    let (ada, bob) = (Shopper::guest(&world).await, Shopper::guest(&world).await);
    for shopper in [&ada, &bob] {
        let _added = shopper.adds(&[("cup", 1)]).await.expect(200);
    }
    let adas = ada.checks_out("1", an_order_of_the_cart()).await;
    let bobs = bob.checks_out("1", an_order_of_the_cart()).await;
    let (adas, bobs) = (adas.expect(201).json(), bobs.expect(201).json());
    assert!(adas["id"] != bobs["id"] && adas["order_token"] != bobs["order_token"]);
    let again = ada.checks_out("1", an_order_of_the_cart()).await;
    assert_eq!(again.expect(201).json(), adas);
    assert_eq!(bob.holds().await, lines(&[]));
}
