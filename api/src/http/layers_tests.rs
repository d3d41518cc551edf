//! What every answer has in common, seen from outside a router of three routes.

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::routing::get;
use serde_json::Value;
use store::pace::Pace;
use tower::ServiceExt as _;

use super::*;

fn panics() -> &'static str {
    panic!("an invariant we relied on")
}

async fn asked(method: &str, path: &str) -> Response {
    let router = Router::new()
        .route("/fine", get(async || "fine"))
        .route("/broken", get(async || panics()))
        .route("/slow", get(std::future::pending::<()>));
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("x-request-id", "r-7");
    let request = request.body(Body::empty()).unwrap();
    layered(router, Guard::of_operation(Pace::default()), &Origins::default())
        .oneshot(request)
        .await
        .unwrap()
}

async fn problem(response: Response) -> (StatusCode, Value) {
    assert_eq!(response.headers()[header::CONTENT_TYPE], problem::MEDIA_TYPE);
    assert_eq!(response.headers()[occurrence::X_REQUEST_ID], "r-7");
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 10_000)
        .await
        .unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&body["request_id"], &body["status"]), (&"r-7".into(), &status.as_u16().into()));
    (status, body["code"].clone())
}

#[tokio::test]
async fn every_answer_echoes_the_request_id() {
    let response = asked("GET", "/fine").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[occurrence::X_REQUEST_ID], "r-7");
}

#[tokio::test]
async fn an_unknown_address_is_a_problem() {
    let answer = problem(asked("GET", "/nowhere").await).await;
    assert_eq!(answer, (StatusCode::NOT_FOUND, "not_found".into()));
}

#[tokio::test]
async fn a_wrong_method_is_a_problem_that_names_the_right_ones() {
    let response = asked("DELETE", "/fine").await;
    assert_eq!(response.headers()[header::ALLOW], "GET,HEAD");
    let answer = problem(response).await;
    assert_eq!(answer, (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed".into()));
}

#[tokio::test]
async fn a_panic_is_our_fault_and_says_nothing_else() {
    let answer = problem(asked("GET", "/broken").await).await;
    assert_eq!(answer, (StatusCode::INTERNAL_SERVER_ERROR, "internal".into()));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_too_long_is_given_up() {
    let answer = problem(asked("GET", "/slow").await).await;
    assert_eq!(answer, (StatusCode::SERVICE_UNAVAILABLE, "timeout".into()));
}
