//! Shipping on the way from a cart to an order, and who says what it costs.

use super::*;

#[tokio::test]
async fn a_price_of_their_own_is_for_staff_and_a_shop_may_ask_for_a_method() {
    let world = World::with(|settings| settings.shipping_required = true).await;
    world.article("card", "1.00", 100).await;
    let _put = put(&world, "pickup-points/station", &station(true))
        .await
        .expect(200);
    let _put = put(&world, "methods/collect", &collect()).await.expect(200);
    let refused = order(&world, &an_order(&[("card", 1)])).await;
    assert_eq!(refused.problem(422), "shipping_method_missing");
    let _placed = order(&world, &to_collect(&[("card", 1)])).await.expect(201);
    let cheap = with(to_collect(&[("card", 1)]), &json!({"shipping_cost": pounds("0.01")}));
    let refused = order(&world, &cheap).await;
    assert_eq!(refused.problem(403), "staff_only_fields");
    let placed = world.post("/api/v1/orders", cheap).await.expect(201);
    assert_eq!(placed.json()["total"], pounds("1.01"));
    let history = an_order(&[("card", 1)]);
    let _placed = world.post("/api/v1/orders", history).await.expect(201);
}

#[tokio::test]
async fn a_cart_is_quoted_and_checked_out_with_its_shipping() {
    let world = a_shop().await;
    let opened = send(
        world
            .guest(Method::POST, "/api/v1/carts")
            .json(&json!({"currency": "GBP"})),
    )
    .await
    .expect(201)
    .json();
    let token = opened["cart_token"].as_str().unwrap().to_owned();
    let says = |method: Method, path: &str| {
        world
            .guest(method, &format!("/api/v1/cart{path}"))
            .header("daybook-cart-token", &token)
    };
    let empty = send(says(Method::GET, "/shipping?country=GB")).await;
    assert_eq!(empty.problem(422), "cart_empty");
    let two = json!({"items": [{"sku": "cup", "quantity": 2}]});
    let _added = send(keyed(says(Method::POST, "/items")).json(&two))
        .await
        .expect(200);
    let quoted = send(says(Method::GET, "/shipping?country=GB")).await;
    let quoted = quoted.expect(200).json();
    assert_eq!(told(&quoted), [("collect", "1.00"), ("post", "3.50")]);
    let nowhere = send(says(Method::GET, "/shipping")).await;
    assert_eq!(nowhere.problem(400), "invalid_parameters");

    let mut body = by_post(&[]);
    body.as_object_mut().unwrap().remove("items");
    body["expected_total"] = quoted["methods"][1]["total"].clone();
    let cheap = with(body.clone(), &json!({"shipping_cost": pounds("0.01")}));
    let refused = send(keyed(says(Method::POST, "/checkout")).json(&cheap)).await;
    assert_eq!(refused.problem(403), "staff_only_fields");
    let placed = send(keyed(says(Method::POST, "/checkout")).json(&body)).await;
    let placed = placed.expect(201);
    assert_eq!(placed.json()["total"], pounds("11.50"));
    let shown = world.order_when(&id_of(&placed), "confirmed").await;
    assert_eq!(shown["shipping"]["method"], "post");
}

#[tokio::test]
async fn points_are_told_in_their_order_however_they_were_sent() {
    let world = World::new().await;
    world.article("card", "1.00", 100).await;
    for point in ["station", "arcade", "market"] {
        let path = format!("pickup-points/{point}");
        let _put = put(&world, &path, &station(true)).await.expect(200);
    }
    let points = json!({"pickup_points": ["station", "arcade", "market"]});
    let described = put(&world, "methods/collect", &with(collect(), &points)).await;
    let position = described.expect(200).position();
    let told = |method: &Value, ids: &str| -> Vec<String> {
        let points = method["pickup_points"].as_array().unwrap().iter();
        let id = |point: &Value| point.pointer(ids).unwrap().as_str().unwrap().to_owned();
        points.map(id).collect()
    };
    // From the memory of the process that was asked, and as every other has it from the log.
    let quoted = quotes(&world, "GB", &[("card", 1)]).await;
    assert_eq!(told(&quoted["methods"][0], "/id"), ["arcade", "market", "station"]);
    let shown = world
        .guest(Method::GET, "/api/v1/shipping/methods/collect")
        .header("daybook-min-position", position);
    let shown = send(shown).await.expect(200).json();
    assert_eq!(told(&shown, ""), ["arcade", "market", "station"]);
}
