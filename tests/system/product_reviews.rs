//! Reviews: written by who has bought, judged by staff, read by everybody.

use accounts::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::people::{asked, ordered, prove, said, signed_in};
use tests::telling::{a_world_with_cups, items, pointers, these};
use tests::world::{Answer, STAFF, World};

const PUBLIC: &str = "/api/v1/products/cup/reviews";
const OWN: &str = "/api/v1/profile/reviews/cup";

fn a_review(rating: i64) -> Value {
    json!({"author": "A buyer", "rating": rating, "title": "Keeps tea warm", "body": "Two\nlines."})
}

async fn write(world: &World, token: &str, review: Value) -> Answer {
    said(world, Some(token), Method::PUT, OWN, review).await
}

async fn judge(world: &World, review: &Value, decision: &str) -> Answer {
    let path = format!("/api/v1/reviews/{}/moderation", review["id"].as_str().unwrap());
    let mut body = json!({"decision": decision, "version": review["version"]});
    if decision == "reject" {
        body["reason"] = "names a person".into();
    }
    said(world, Some(STAFF), Method::POST, &path, body).await
}

/// Somebody who has bought a cup.
async fn a_buyer(world: &World, email: &str) -> String {
    let token = signed_in(world, email, Role::Customer).await;
    let order = ordered(world, Some(&token), email, "cup").await;
    world
        .order_when(order["id"].as_str().unwrap(), "confirmed")
        .await;
    token
}

async fn published(world: &World) -> Value {
    asked(world, None, PUBLIC).await.expect(200).json()
}

#[tokio::test]
async fn a_review_is_public_once_staff_have_published_it_and_counts_in_the_average() {
    let world = a_world_with_cups().await;
    let nothing = published(&world).await;
    assert_eq!((&nothing["count"], &nothing["average"]), (&json!(0), &Value::Null));
    let mut written = Vec::new();
    for (number, rating) in [5, 5, 4].into_iter().enumerate() {
        let buyer = a_buyer(&world, &format!("buyer-{number}@example.org")).await;
        let review = write(&world, &buyer, a_review(rating))
            .await
            .expect(200)
            .json();
        assert_eq!((&review["status"], &review["version"]), (&json!("pending"), &json!(1)));
        written.push(review);
    }
    assert_eq!(published(&world).await["count"], 0, "nobody has looked at them");
    let pending = world
        .get("/api/v1/reviews?status=pending&limit=2")
        .await
        .expect(200);
    assert_eq!(items(&pending).len(), 2);
    let cursor = pending.json()["next_cursor"].as_str().unwrap().to_owned();
    let rest = world
        .get(&format!("/api/v1/reviews?status=pending&cursor={cursor}"))
        .await;
    assert_eq!(items(&rest.expect(200)).len(), 1);
    for review in &written {
        let _public = judge(&world, review, "publish").await.expect(200);
    }

    let told = published(&world).await;

    assert_eq!((&told["count"], &told["average"]), (&json!(3), &json!(4.67)));
    assert_eq!(told["ratings"], json!({"1": 0, "2": 0, "3": 0, "4": 1, "5": 2}));
    let first = &told["items"][0];
    assert_eq!((&first["author"], &first["body"]), (&json!("A buyer"), &json!("Two\nlines.")));
    let text = told.to_string();
    assert!(!text.contains("example.org") && !text.contains("account_id"), "{text}");
    let fours = asked(&world, None, &format!("{PUBLIC}?rating=4"))
        .await
        .expect(200)
        .json();
    assert_eq!((fours["items"].as_array().unwrap().len(), &fours["count"]), (1, &json!(3)));
    for wrong in ["rating=6", "limit=0", "cursor=x", "status=pending"] {
        let refused = asked(&world, None, &format!("{PUBLIC}?{wrong}")).await;
        assert_eq!(refused.problem(400), "invalid_parameters", "{wrong}");
    }
    let unknown = asked(&world, None, "/api/v1/products/no-such/reviews").await;
    assert_eq!(unknown.problem(404), "not_found");
}

#[tokio::test]
async fn only_who_has_bought_an_article_reviews_it() {
    let world = a_world_with_cups().await;
    world.article("pot", "9.00", 10).await;
    let ada = signed_in(&world, "ada@example.org", Role::Customer).await;
    let not_bought = async || write(&world, &ada, a_review(5)).await.problem(409);
    assert_eq!(not_bought().await, "product_not_bought");
    // Another article, and an order that came to nothing.
    let pot = ordered(&world, Some(&ada), "ada@example.org", "pot").await;
    world
        .order_when(pot["id"].as_str().unwrap(), "confirmed")
        .await;
    let cancelled = ordered(&world, Some(&ada), "ada@example.org", "cup").await;
    let path = format!("/api/v1/orders/{}/cancel", cancelled["id"].as_str().unwrap());
    let _cancelled = said(&world, Some(&ada), Method::POST, &path, json!({"reason": "no"})).await;
    world
        .order_when(cancelled["id"].as_str().unwrap(), "cancelled")
        .await;
    assert_eq!(not_bought().await, "product_not_bought");
    // Somebody else's, under an address that is only claimed; then it is proved.
    let order = ordered(&world, None, "ada@example.org", "cup").await;
    world
        .order_when(order["id"].as_str().unwrap(), "confirmed")
        .await;
    assert_eq!(not_bought().await, "product_not_bought");
    prove(&world, "ada@example.org").await;
    let _written = write(&world, &ada, a_review(5)).await.expect(200);
}

#[tokio::test]
async fn a_review_written_anew_waits_for_staff_again_and_the_same_again_does_not() {
    let world = a_world_with_cups().await;
    let ada = a_buyer(&world, "ada@example.org").await;
    let first = write(&world, &ada, a_review(5)).await.expect(200).json();
    let _public = judge(&world, &first, "publish").await.expect(200);

    let same = write(&world, &ada, a_review(5)).await.expect(200).json();
    assert_eq!((&same["status"], &same["version"]), (&json!("published"), &json!(1)));
    let other = write(&world, &ada, a_review(1)).await.expect(200).json();
    assert_eq!((&other["status"], &other["version"]), (&json!("pending"), &json!(2)));
    assert_eq!(other["id"], first["id"], "one per buyer and article");
    assert_eq!(published(&world).await["count"], 0);

    // Staff have read the first version.
    let late = judge(&world, &first, "publish").await;
    assert_eq!(late.problem(409), "review_rewritten");
    assert_eq!(late.json()["actual"], 2);
    let rejected = judge(&world, &other, "reject").await.expect(200).json();
    assert_eq!(rejected["status"], "rejected");
    let own = asked(&world, Some(&ada), OWN).await.expect(200).json();
    assert_eq!(own["reason"], "names a person");
    assert_eq!(items(&asked(&world, Some(&ada), "/api/v1/profile/reviews").await).len(), 1);

    for (status, expected) in [(204, "taken back"), (404, "there is none any more")] {
        let deleted = said(&world, Some(&ada), Method::DELETE, OWN, json!({})).await;
        assert_eq!(deleted.status.as_u16(), status, "{expected}");
    }
    assert_eq!(asked(&world, Some(&ada), OWN).await.problem(404), "not_found");
}

#[tokio::test]
async fn what_cannot_be_a_review_or_a_judgement_is_refused_with_every_flaw() {
    let world = a_world_with_cups().await;
    let ada = a_buyer(&world, "ada@example.org").await;
    let wrong = json!({"author": "ada@example.org", "rating": 6, "title": " ", "stars": 5});
    let refused = write(&world, &ada, wrong).await;
    assert_eq!(refused.problem(422), "invalid_fields");
    assert_eq!(pointers(&refused), these(&["/author", "/rating", "/title", "/stars"]));
    let long = json!({"author": "A", "rating": 5, "body": "x".repeat(5_001)});
    assert_eq!(pointers(&write(&world, &ada, long).await), these(&["/body"]));

    let review = write(&world, &ada, a_review(5)).await.expect(200).json();
    let path = format!("/api/v1/reviews/{}/moderation", review["id"].as_str().unwrap());
    for (body, flaws) in [
        (json!({"decision": "reject", "version": 1}), vec!["/reason"]),
        (json!({"decision": "publish", "version": 1, "reason": "fine"}), vec!["/reason"]),
        (json!({"decision": "burn", "version": 0}), vec!["/decision", "/version"]),
    ] {
        let refused = said(&world, Some(STAFF), Method::POST, &path, body).await;
        assert_eq!(refused.problem(422), "invalid_fields");
        assert_eq!(pointers(&refused), these(&flaws));
    }
    let nothing = json!({"id": uuid::Uuid::now_v7(), "version": 1});
    assert_eq!(judge(&world, &nothing, "publish").await.problem(404), "not_found");
}

#[tokio::test]
async fn of_two_reviews_of_accounts_that_became_one_the_newest_stays() {
    let world = a_world_with_cups().await;
    let claim = a_buyer(&world, "ada@example.org").await;
    let _first = write(&world, &claim, a_review(1)).await.expect(200);
    let owner = a_buyer(&world, "Ada@example.org").await;
    let _second = write(&world, &owner, a_review(5)).await.expect(200);
    prove(&world, "Ada@example.org").await;

    let third = write(&world, &owner, a_review(4)).await.expect(200).json();

    let left = items(&world.get("/api/v1/reviews").await.expect(200));
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!((&left[0]["id"], &left[0]["rating"]), (&third["id"], &json!(4)));
}
