//! Reconciliation: an answer that does not come to its end is no success.

use std::path::PathBuf;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use chrono::NaiveDate;
use client::{Connection, Error, reconcile};

const PROGRESS: &str = r#"{"line":"progress","listed":2,"agree":1,"in_log":0,"differences":1,"repaired":0,"parked":0,"left":1,"rejected":0}"#;
const DIFFERENCE: &str = r#"{"line":"difference","kind":"missing_in_log","what":"payment","reference":"A1","provider_reference":"pi_1","payment_id":null,"there":"succeeded 15.30 GBP","here":"accepted 15.30 GBP","outcome":"reported"}"#;

/// What the command comes to, if the server answers this.
async fn answered(status: u16, body: String) -> Result<(), Error> {
    let answer = move || {
        let status = StatusCode::from_u16(status).unwrap();
        std::future::ready((status, body.clone()))
    };
    let routes = Router::new().route("/api/v1/reconciliations", post(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, routes).await });
    let day: NaiveDate = "2026-11-21".parse().unwrap();
    let result = reconcile::run(reconcile::Args {
        gateway: "stripe".to_owned(),
        from: day,
        to: day,
        statement: None,
        rejects: None,
        repair: false,
        json: None,
        connection: Connection {
            url,
            token: Some("t".to_owned()),
            data_dir: PathBuf::from("nowhere"),
        },
    })
    .await;
    server.abort();
    result
}

#[tokio::test]
async fn what_is_left_fails_the_command_and_says_what_to_do() {
    let done = PROGRESS.replace("progress", "done");
    let left = answered(200, format!("{PROGRESS}\n{DIFFERENCE}\n{done}\n")).await;

    let error = left.unwrap_err();
    assert!(matches!(error, Error::Disagrees { left: 1, rejected: 0 }), "{error}");
    assert!(error.to_string().contains("--repair"), "{error}");
}

#[tokio::test]
async fn what_agrees_is_a_success() {
    let done = r#"{"line":"done","listed":2,"agree":2,"in_log":2,"differences":0,"repaired":0,"parked":0,"left":0,"rejected":0}"#;
    answered(200, format!("{PROGRESS}\n{done}\n"))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_answer_without_its_end_is_no_success() {
    for body in [
        String::new(),
        format!("{PROGRESS}\n{DIFFERENCE}\n"),
        PROGRESS.to_owned(),
    ] {
        let broken = answered(200, body.clone()).await.unwrap_err();
        assert!(matches!(broken, Error::BrokenOff), "{body}: {broken}");
    }
    let failed = r#"{"line":"failed","detail":"the list cannot be read: stripe was not reached"}"#;
    let failed = answered(200, format!("{PROGRESS}\n{failed}\n"))
        .await
        .unwrap_err();
    assert!(failed.to_string().contains("stripe was not reached"), "{failed}");
    let strange = answered(200, "<html>\n".to_owned()).await.unwrap_err();
    assert!(matches!(strange, Error::NotDaybook { .. }), "{strange}");
}

#[tokio::test]
async fn a_refusal_is_told_in_the_servers_words() {
    let problem = r#"{"code":"statement_needed","detail":"mtn-momo has no lists"}"#;
    let refused = answered(422, problem.to_owned())
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("mtn-momo has no lists"), "{refused}");
    let unknown = answered(401, String::new()).await.unwrap_err();
    assert!(matches!(unknown, Error::UnknownToken { .. }), "{unknown}");
}
