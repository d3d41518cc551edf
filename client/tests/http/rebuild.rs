//! Read models: their list, and one made anew.

use std::path::PathBuf;

use client::{Connection, Error, projections, rebuild};
use serde_json::{Value, json};

use crate::server::{Server, TOKEN, World};

fn listing(rebuild: &Value) -> Value {
    let mut sales = json!({"name": "sales", "position": 10, "lag": 0, "state": "live"});
    if !rebuild.is_null() {
        sales["rebuild"] = rebuild.clone();
    }
    json!({"items": [{"name": "orders", "position": 10, "lag": 0, "state": "live"}, sales]})
}

async fn rebuilt(name: &str, steps: &[Value]) -> (Server, Result<(), Error>) {
    let listings = steps.iter().map(listing).collect();
    let server = Server::start(World { listings, ..World::default() }).await;
    let connection = Connection {
        url: server.url.clone(),
        token: Some(TOKEN.to_owned()),
        data_dir: PathBuf::from("nowhere"),
    };
    let args = rebuild::Args { name: name.to_owned(), connection };
    let result = rebuild::run(args).await;
    (server, result)
}

#[tokio::test]
async fn a_rebuild_is_watched_to_its_end() {
    let steps = [
        Value::Null,
        json!({"state": "running", "position": 4, "target": 10, "seconds": 0.1}),
        json!({"state": "swapping", "position": 10, "target": 10, "seconds": 0.2}),
        json!({"state": "done", "position": 10, "target": 10, "seconds": 0.25}),
    ];

    let (server, result) = rebuilt("sales", &steps).await;

    result.unwrap();
    let commands = server.seen("POST /projections/sales/rebuild");
    assert_eq!(commands.len(), 1);
    assert_eq!(commands[0].key.len(), 36, "a UUID: {}", commands[0].key);
}

#[tokio::test]
async fn a_failed_rebuild_says_why() {
    let failed = json!({"state": "failed", "position": 4, "target": 10, "seconds": 0.1,
        "detail": "event 5 has no reader"});

    let (_, result) = rebuilt("sales", &[Value::Null, failed]).await;

    let error = result.unwrap_err().to_string();
    assert!(error.contains("event 5 has no reader"), "{error}");
}

#[tokio::test]
async fn an_unknown_projection_is_answered_with_the_known_ones() {
    let (_, result) = rebuilt("slaes", &[Value::Null]).await;

    let error = result.unwrap_err().to_string();
    assert_eq!(error, "there is no projection \"slaes\"; there are: orders, sales");
}

#[tokio::test]
async fn projections_are_listed() {
    let server = Server::start(World::default()).await;
    let connection = Connection {
        url: server.url.clone(),
        token: Some(TOKEN.to_owned()),
        data_dir: PathBuf::from("nowhere"),
    };

    projections::run(projections::Args { connection })
        .await
        .unwrap();

    assert!(!server.seen("GET /projections").is_empty());
}
