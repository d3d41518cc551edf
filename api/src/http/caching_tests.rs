//! How answers may be kept, class by class.

use axum::Router;
use axum::body::to_bytes;
use axum::http::Request;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use axum::routing::get;
use tower::ServiceExt as _;

use super::*;

const BODY: &str = r#"{"items":[]}"#;

async fn ask(path: &str, method: &str, headers: &[(&str, &str)]) -> Response {
    let routes = Router::new()
        .route("/api/v1/products", get(async || BODY).post(async || BODY))
        .route("/api/v1/products/{sku}", get(async || for_staff(BODY.into_response())))
        .route("/api/v1/categories", get(async || StatusCode::NOT_FOUND))
        .route("/api/v1/reports/sales", get(async || ([("etag", "\"7\"")], BODY)))
        .route("/api/v1/listings", get(async || Body::from_stream(a_stream()).into_response()))
        .route("/api/v1/carts", get(async || BODY))
        .layer(from_fn(async |request: axum::extract::Request, next: Next| {
            let terms = Terms::of(&request);
            terms.apply(next.run(request).await).await
        }));
    let mut request = Request::builder().uri(path).method(method);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    routes.oneshot(request).await.unwrap()
}

fn a_stream() -> impl futures::Stream<Item = std::io::Result<&'static str>> + Send {
    futures::stream::iter([Ok(BODY)])
}

fn told<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_route_that_nobody_classified_and_whatever_is_no_answer_is_kept_by_nobody() {
    for (path, method) in [
        ("/api/v1/carts", "GET"),
        ("/nowhere", "GET"),
        ("/api/v1/products", "POST"),
        ("/api/v1/categories", "GET"),
        ("/api/v1/products/cup", "GET"),
    ] {
        let response = ask(path, method, &[]).await;
        assert_eq!(told(&response, "cache-control"), Some("no-store"), "{method} {path}");
        assert_eq!(told(&response, "etag"), None, "{method} {path}");
    }
}

#[tokio::test]
async fn what_everybody_sees_is_public_and_with_a_token_private() {
    let response = ask("/api/v1/products", "GET", &[]).await;
    assert_eq!(told(&response, "cache-control"), Some("public, max-age=600"));
    assert_eq!(told(&response, "vary"), Some(VARIES_BY));
    let response = ask("/api/v1/products", "GET", &[("authorization", "Bearer x")]).await;
    assert_eq!(told(&response, "cache-control"), Some("private, max-age=600"));
    let response = ask("/api/v1/reports/sales", "GET", &[]).await;
    assert_eq!(told(&response, "cache-control"), Some("private, max-age=60"));
    let left = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(Class::Categories.cache_control(false, None), "public, max-age=900");
    assert_eq!(Class::Promotions.cache_control(false, left(900)), "public, max-age=300");
    assert_eq!(Class::Promotions.cache_control(true, left(7)), "private, max-age=7");
    assert_eq!(Class::Promotions.cache_control(false, left(0)), "public, no-cache");
}

#[tokio::test]
async fn who_has_the_answer_already_is_not_sent_it_again() {
    let response = ask("/api/v1/products", "GET", &[]).await;
    let tag = told(&response, "etag").unwrap().to_owned();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert_eq!(body, BODY, "a body that was tagged is whole");

    for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
        let same = ask("/api/v1/products", "GET", &[("if-none-match", &known)]).await;
        assert_eq!(same.status(), 304, "{known}");
        assert_eq!(told(&same, "etag"), Some(tag.as_str()));
        assert_eq!(told(&same, "cache-control"), Some("public, max-age=600"));
        let body = to_bytes(same.into_body(), usize::MAX).await.unwrap();
        assert!(body.is_empty(), "{body:?}");
    }
    let other = ask("/api/v1/products", "GET", &[("if-none-match", "\"x\"")]).await;
    assert_eq!(other.status(), 200);
    let own = ask("/api/v1/reports/sales", "GET", &[("if-none-match", "\"7\"")]).await;
    assert_eq!(own.status(), 304, "a handler's own tag is as good");
}

#[tokio::test]
async fn what_flows_is_not_gathered_for_a_tag() {
    let response = ask("/api/v1/listings", "GET", &[]).await;
    assert_eq!((response.status().as_u16(), told(&response, "etag")), (200, None));
}
