//! Wishlists: one's own, bounded, and read by others through a link alone.

use accounts::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::people::{asked, said, signed_in};
use tests::telling::{a_world_with_cups, id_in, items, pointers, these};
use tests::world::World;
use uuid::Uuid;

const PATH: &str = "/api/v1/wishlists";

async fn made(world: &World, token: &str, name: &str) -> String {
    let made = said(world, Some(token), Method::POST, PATH, json!({"name": name})).await;
    format!("{PATH}/{}", id_in(&made.expect(201)))
}

fn skus(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| item["sku"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn articles_are_put_on_a_list_and_taken_off_and_a_repetition_changes_nothing() {
    let world = a_world_with_cups().await;
    world.article("pot", "9.00", 0).await;
    let ada = signed_in(&world, "ada@example.org", Role::Customer).await;
    let list = made(&world, &ada, "Kitchen").await;
    let put = async |sku: &str, body: Value| {
        let path = format!("{list}/items/{sku}");
        said(&world, Some(&ada), Method::PUT, &path, body).await
    };
    let _put = put("cup", json!({})).await.expect(204);
    let _put = put("pot", json!({"note": "for tea"})).await.expect(204);
    let _again = put("cup", json!({"note": "the red one"})).await.expect(204);
    assert_eq!(put("no-such", json!({})).await.problem(422), "unknown_product");
    assert_eq!(put("%00", json!({})).await.problem(400), "invalid_parameters");
    let wrong = put("cup", json!({"note": "x".repeat(201), "colour": "red"})).await;
    assert_eq!(pointers(&wrong), these(&["/note", "/colour"]));

    let shown = asked(&world, Some(&ada), &list).await.expect(200);
    assert_eq!(shown.header("cache-control").as_deref(), Some("no-store"));
    let shown = shown.json();
    assert_eq!((skus(&shown), &shown["count"]), (vec!["pot", "cup"], &json!(2)));
    assert_eq!(shown["items"][1]["note"], "the red one");

    for _ in 0..2 {
        let path = format!("{list}/items/pot");
        let _off = said(&world, Some(&ada), Method::DELETE, &path, json!({}))
            .await
            .expect(204);
    }
    assert_eq!(skus(&asked(&world, Some(&ada), &list).await.json()), ["cup"]);
    let renamed = said(&world, Some(&ada), Method::PUT, &list, json!({"name": "Tea"})).await;
    assert_eq!(renamed.expect(200).json()["name"], "Tea");
    assert_eq!(items(&asked(&world, Some(&ada), PATH).await.expect(200)).len(), 1);
    let _gone = said(&world, Some(&ada), Method::DELETE, &list, json!({}))
        .await
        .expect(204);
    assert_eq!(asked(&world, Some(&ada), &list).await.problem(404), "not_found");
}

#[tokio::test]
async fn a_list_is_read_by_whoever_is_shown_its_link_and_changed_by_its_owner_alone() {
    let world = a_world_with_cups().await;
    let ada = signed_in(&world, "ada@example.org", Role::Customer).await;
    let eve = signed_in(&world, "eve@example.org", Role::Customer).await;
    let list = made(&world, &ada, "Kitchen").await;
    let path = format!("{list}/items/cup");
    let _put = said(&world, Some(&ada), Method::PUT, &path, json!({}))
        .await
        .expect(204);
    let share = format!("{list}/share");
    let shared = async || {
        let shared = said(&world, Some(&ada), Method::POST, &share, json!({})).await;
        shared.expect(200).json()["token"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    for token in [None, Some(eve.as_str()), Some(tests::world::STAFF)] {
        assert_eq!(asked(&world, token, &list).await.problem(404), "not_found");
    }
    let link = shared().await;
    let by_link = async |link: &str, token: Option<&str>| {
        asked(&world, token, &format!("{list}?token={link}")).await
    };
    for token in [None, Some(eve.as_str())] {
        let seen = by_link(&link, token).await.expect(200).json();
        assert_eq!((skus(&seen), &seen["token"]), (vec!["cup"], &Value::Null));
    }
    assert_eq!(asked(&world, Some(&ada), &list).await.json()["token"], json!(link));
    for wrong in ["", "x", &link[1..]] {
        assert_eq!(by_link(wrong, None).await.problem(404), "not_found");
    }
    for (method, path) in [
        (Method::PUT, list.clone()),
        (Method::DELETE, list.clone()),
        (Method::PUT, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::POST, share.clone()),
        (Method::DELETE, share.clone()),
    ] {
        let body = if path == list {
            json!({"name": "Mine"})
        } else {
            json!({})
        };
        let refused = said(&world, Some(&eve), method, &path, body.clone()).await;
        assert_eq!(refused.problem(404), "not_found", "{path}");
    }
    let another = shared().await;
    assert_ne!(another, link);
    assert_eq!(
        by_link(&link, None).await.problem(404),
        "not_found",
        "the link before has ended"
    );
    let _seen = by_link(&another, None).await.expect(200);
    let _unshared = said(&world, Some(&ada), Method::DELETE, &share, json!({}))
        .await
        .expect(204);
    assert_eq!(by_link(&another, None).await.problem(404), "not_found");
}

#[tokio::test]
async fn lists_and_what_is_on_them_are_bounded_and_names_differ() {
    let world = a_world_with_cups().await;
    let ada = signed_in(&world, "ada@example.org", Role::Customer).await;
    let make = async |name: String| {
        said(&world, Some(&ada), Method::POST, PATH, json!({"name": name})).await
    };
    let list = format!("{PATH}/{}", id_in(&make("0".into()).await.expect(201)));
    assert_eq!(make("0".into()).await.problem(409), "wishlist_name_taken");
    let other = made(&world, &ada, "1").await;
    let taken = said(&world, Some(&ada), Method::PUT, &other, json!({"name": "0"})).await;
    assert_eq!(taken.problem(409), "wishlist_name_taken");
    for name in 2..20 {
        let _made = make(name.to_string()).await.expect(201);
    }
    assert_eq!(make("20".into()).await.problem(409), "too_many_wishlists");

    let id: Uuid = list.rsplit('/').next().unwrap().parse().unwrap();
    sqlx::query(
        "insert into wishlist_items (wishlist_id, sku, added_at) \
         select $1, 'sku-' || number, now() from generate_series(1, 100) as number",
    )
    .bind(id)
    .execute(&world.pool)
    .await
    .unwrap();
    let path = format!("{list}/items/cup");
    let put = async || said(&world, Some(&ada), Method::PUT, &path, json!({})).await;
    assert_eq!(put().await.problem(409), "wishlist_full");
    sqlx::query("delete from wishlist_items where sku = 'sku-7'")
        .execute(&world.pool)
        .await
        .unwrap();
    let _put = put().await.expect(204);
    let _again = put().await.expect(204);
}
