//! Read models: their list, and one made anew.

use std::path::PathBuf;

use client::{Connection, Error, projections, rebuild, replays};
use serde_json::{Value, json};

use crate::server::{Server, TOKEN, World};

fn listing(rebuild: &Value) -> Value {
    let mut sales = json!({"name": "sales", "position": 10, "lag": 0, "state": "live"});
    if !rebuild.is_null() {
        sales["rebuild"] = rebuild.clone();
    }
    json!({"items": [{"name": "orders", "position": 10, "lag": 0, "state": "live"}, sales]})
}

fn connection(server: &Server) -> Connection {
    Connection {
        url: server.url.clone(),
        token: Some(TOKEN.to_owned()),
        data_dir: PathBuf::from("nowhere"),
    }
}

async fn run(args: &[&str], steps: &[Value]) -> (Server, Result<(), Error>) {
    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: rebuild::Args,
    }
    let listings = steps.iter().map(listing).collect();
    let server = Server::start(World { listings, ..World::default() }).await;
    let words = ["rebuild"].iter().chain(args);
    let mut args = <Cli as clap::Parser>::try_parse_from(words).unwrap().args;
    args.connection = connection(&server);
    let result = rebuild::run(args).await;
    (server, result)
}

async fn rebuilt(name: &str, steps: &[Value]) -> (Server, Result<(), Error>) {
    run(&[name], steps).await
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
    let connection = connection(&server);

    projections::run(projections::Args { connection })
        .await
        .unwrap();

    assert!(!server.seen("GET /projections").is_empty());
}

#[tokio::test]
async fn all_of_them_are_rebuilt_one_after_another() {
    let done = |name: &str| {
        let done = json!({"state": "done", "position": 10, "target": 10, "seconds": 0.25});
        json!({"name": name, "position": 10, "lag": 0, "state": "live", "rebuild": done})
    };
    let mut file = done("mine");
    file["file"] = "mine.sql".into();
    let listings = vec![json!({"items": [done("sales"), file, done("orders")]})];
    let server = Server::start(World { listings, ..World::default() }).await;
    let args = rebuild::Args {
        names: Vec::new(),
        all: true,
        until: None,
        steering: rebuild::Steering::default(),
        connection: connection(&server),
    };

    rebuild::run(args).await.unwrap();

    let lines: Vec<String> = server
        .seen("POST")
        .into_iter()
        .map(|seen| seen.line)
        .collect();
    let expected = [
        "POST /projections/sales/rebuild",
        "POST /projections/orders/rebuild",
    ];
    assert_eq!(lines, expected, "a SQL file is no part of the program");
}

#[tokio::test]
async fn a_point_of_the_past_is_passed_on() {
    let done = json!({"state": "done", "position": 7, "target": 7, "seconds": 0.25,
        "schema": "replay_sales"});

    let (server, result) = run(&["sales", "--until", "7"], &[Value::Null, done]).await;

    result.unwrap();
    let commands = server.seen("POST /projections/sales/rebuild");
    assert_eq!(commands[0].body, json!({"until": "7"}));
}

#[tokio::test]
async fn a_rebuild_is_steered_and_a_paused_one_is_watched_until_it_goes_on() {
    let (server, result) = run(&["sales", "--pause"], &[Value::Null]).await;
    result.unwrap();
    assert_eq!(server.seen("POST /projections/sales/rebuild/pause").len(), 1);

    let (server, result) = run(&["sales", "--cancel"], &[Value::Null]).await;
    result.unwrap();
    assert_eq!(server.seen("POST /projections/sales/rebuild/cancel").len(), 1);

    let step = |state: &str| json!({"state": state, "position": 4, "target": 10, "seconds": 0.1});
    let steps = [
        Value::Null,
        step("paused"),
        step("running"),
        step("cancelled"),
    ];
    let (server, result) = run(&["sales", "--resume"], &steps).await;
    assert_eq!(server.seen("POST /projections/sales/rebuild/resume").len(), 1);
    let error = result.unwrap_err().to_string();
    assert!(error.contains("was cancelled; queries still use"), "{error}");
}

#[tokio::test]
async fn a_replay_is_dropped_by_its_projection() {
    let server = Server::start(World::default()).await;
    let args = |drop: Option<&str>| replays::Args {
        drop: drop.map(str::to_owned),
        connection: connection(&server),
    };

    replays::run(args(None)).await.unwrap();
    replays::run(args(Some("sales"))).await.unwrap();

    assert_eq!(server.seen("DELETE /projections/sales/replay").len(), 1);
    let error = replays::run(args(Some("slaes")))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("drop the replay of slaes"), "{error}");
}
