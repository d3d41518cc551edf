//! Requests that no client library would send: refused in passing, and nobody else is hurt.

use serde_json::Value;
use tests::World;
use tests::wire::{bare, speak, with_length};
use tests::world::{STAFF, an_order, send};

const JSON: &str = "content-type: application/json";

#[tokio::test]
async fn a_head_that_is_no_http_or_too_large_is_refused_and_the_next_request_answered() {
    let world = World::new().await;
    let many: Vec<String> = (0..200).map(|number| format!("x-{number}: y")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let long = format!("x-long: {}", "y".repeat(1_000_000));
    let far = format!("GET /api/v1/products?search={}", "y".repeat(1_000_000));
    for (request, statuses) in [
        (b"HELO daybook\r\n\r\n".to_vec(), &[400][..]),
        (bare("GET /health/live", &["no colon"]), &[400]),
        (bare("GET /health/live", &["x-odd: a\u{0}b"]), &[400]),
        (bare("POST /api/v1/orders", &["content-length: x"]), &[400]),
        (bare("POST /api/v1/orders", &["content-length: 1", "content-length: 2"]), &[400]),
        (bare("POST /api/v1/orders", &["transfer-encoding: gzip"]), &[400]),
        (bare("GET /health/live", &many), &[431]),
        (bare("GET /health/live", &[&long]), &[431]),
        (bare(&far, &[]), &[414, 431]),
    ] {
        let answer = speak(&world, &request).await;
        let told = String::from_utf8_lossy(&request[..100.min(request.len())]).into_owned();
        assert!(statuses.contains(&answer.status.as_u16()), "{told:?}: {}", answer.status);
    }
    let _alive = send(world.guest(reqwest::Method::GET, "/health/live"))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_head_request_is_answered_without_a_body() {
    let world = World::new().await;
    for path in [
        "/api/v1/products",
        "/api/v1/products?limit=0",
        "/api/v1/nothing",
    ] {
        let got = send(world.guest(reqwest::Method::GET, path)).await;
        let head = speak(&world, &bare(&format!("HEAD {path}"), &[])).await;
        assert_eq!((head.status, head.text.as_str()), (got.status, ""), "{path}");
        assert_eq!(head.header("content-type"), got.header("content-type"), "{path}");
    }
}

#[tokio::test]
async fn headers_given_twice_or_in_capitals_make_nobody_staff() {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    let token = format!("AUTHORIZATION: bEARER {STAFF}");
    let wrong = "authorization: Bearer wrong";
    let list = async |lines: &[&str]| {
        let answer = speak(&world, &bare("GET /api/v1/orders", lines)).await;
        answer.status.as_u16()
    };
    assert_eq!(list(&[&token]).await, 200);
    assert_eq!(list(&[wrong, &token]).await, 401);
    assert_eq!(list(&[&token, wrong]).await, 401);
    assert_eq!(list(&["x-forwarded-for: 127.0.0.1", "x-original-url: /health/live"]).await, 401);

    // A second request hidden behind the body of the first is not run as part of it.
    let order = an_order(&[("cup", 1)]).to_string();
    let lines = [
        "idempotency-key: key-1",
        JSON,
        "x-http-method-override: DELETE",
    ];
    let mut request = with_length("POST /api/v1/orders", &lines, order.as_bytes());
    request.extend_from_slice(b"GET /metrics HTTP/1.1\r\nhost: daybook\r\n\r\n");
    let answer = speak(&world, &request).await.expect(201);
    assert!(
        serde_json::from_str::<Value>(&answer.text).is_ok(),
        "one answer: {}",
        answer.text
    );
}
