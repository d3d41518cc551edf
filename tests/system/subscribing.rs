//! Following the stream on NATS directly, as the user who may read it and nothing else.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::{Client, ConnectOptions, ServerAddr};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tests::World;
use tests::servers::{nats_reader_url, nats_url};
use tests::world::{PATIENCE, an_order, until};

/// The stream that the reader of `nats.conf` may read; no other test has one of this name.
const STREAM: &str = "daybook";
/// A server that refuses says nothing; so short is a refusal, with the errors it sends beside.
const REFUSED_AFTER: Duration = Duration::from_millis(500);

async fn a_reader() -> Client {
    let address: ServerAddr = nats_reader_url().parse().unwrap();
    let (user, password) = (address.username().unwrap(), address.password().unwrap());
    ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned())
        .request_timeout(Some(REFUSED_AFTER))
        .connect(address)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_reader_reads_everything_and_can_change_nothing() {
    // In clear: the stream carries personal data as it is stored, the log opens it for staff.
    let world = World::with(|settings| {
        settings.stream = STREAM.to_owned();
        settings.masters = None;
    })
    .await;
    world.article("cup", "4.50", 10).await;
    let placed = world.post("/api/v1/orders", an_order(&[("cup", 1)])).await;
    let placed = placed.expect(201).json();
    world
        .order_when(placed["id"].as_str().unwrap(), "confirmed")
        .await;
    world.settle().await;
    let head = store::log::head(&world.pool).await.unwrap();
    let ours = jetstream::new(store::stream::connect(nats_url()).await.unwrap());
    let mut stream = ours.get_stream(STREAM).await.unwrap();
    until("the stream has all of it", async || {
        let state = &stream.info().await.ok()?.state;
        (state.last_sequence == head.unsigned_abs()).then_some(())
    })
    .await;

    let reader = a_reader().await;
    let read = read(&reader, 1, head).await;
    let logged = world.get("/api/v1/events?limit=100").await.json();
    for (told, logged) in read.iter().zip(logged["items"].as_array().unwrap()) {
        assert_eq!(told["specversion"], "1.0");
        for (attribute, member) in [
            ("position", "position"),
            ("id", "event_id"),
            ("type", "event"),
            ("subject", "aggregate_id"),
            ("aggregate", "aggregate"),
            ("time", "at"),
            ("data", "data"),
        ] {
            assert_eq!(told[attribute], logged[member], "{attribute}");
        }
    }
    assert_eq!(read.len(), logged["items"].as_array().unwrap().len());
    let before = stream.info().await.unwrap().clone();

    refused_to_publish(&reader).await;
    refused_to_change(&reader).await;

    let after = stream.info().await.unwrap().clone();
    assert_eq!((&after.config, after.created), (&before.config, before.created));
    assert_eq!(after.state.messages, before.state.messages);
    assert_eq!(after.state.last_sequence, before.state.last_sequence);
    assert_eq!(self::read(&reader, 1, head).await, read, "and it reads on");
    let mut bell = reader
        .subscribe(format!("{STREAM}.events.>"))
        .await
        .unwrap();
    reader.flush().await.unwrap();
    world.article("pot", "9.00", 0).await;
    let rung = tokio::time::timeout(PATIENCE, bell.next()).await.unwrap();
    assert_eq!(rung.unwrap().subject.as_str(), "daybook.events.product.described");
    until("it is stored", async || {
        let state = &stream.info().await.ok()?.state;
        (state.last_sequence == head.unsigned_abs() + 1).then_some(())
    })
    .await;
    let new = self::read(&reader, head + 1, head + 1).await;
    assert_eq!(
        (&new[0]["type"], &new[0]["subject"]),
        (&json!("product.described"), &json!("pot"))
    );
    let others = ours.stream_names().collect::<Vec<_>>().await;
    assert!(!others.iter().flatten().any(|name| name == "intruder"));
    ours.delete_stream(STREAM).await.unwrap();
}

/// The envelopes from a position on: sequence k is position k.
async fn read(reader: &Client, from: i64, to: i64) -> Vec<Value> {
    let stream = jetstream::new(reader.clone())
        .get_stream(STREAM)
        .await
        .unwrap();
    let mut envelopes = Vec::new();
    for position in from..=to {
        let message = stream.direct_get(position.unsigned_abs()).await.unwrap();
        let envelope: Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(
            (message.sequence, &envelope["position"]),
            (position.unsigned_abs(), &json!(position))
        );
        let subject = format!("{STREAM}.events.{}", envelope["type"].as_str().unwrap());
        assert_eq!(message.subject.as_str(), subject);
        envelopes.push(envelope);
    }
    assert!(stream.direct_get(to.unsigned_abs() + 1).await.is_err(), "there is no more yet");
    envelopes
}

async fn refused_to_publish(reader: &Client) {
    let jetstream = jetstream::new(reader.clone());
    for subject in [
        "daybook.events.order.placed",
        "daybook.events.x",
        "$JS.API.STREAM.NAMES",
    ] {
        let published = jetstream.publish(subject.to_owned(), "{}".into()).await;
        let acknowledged = match published {
            Ok(acknowledgement) => tokio::time::timeout(REFUSED_AFTER, acknowledgement).await,
            Err(_) => continue,
        };
        assert!(!matches!(acknowledged, Ok(Ok(_))), "{subject}");
    }
}

async fn refused_to_change(reader: &Client) {
    let anew = json!({"name": STREAM, "subjects": ["daybook.events.>"], "max_msgs": 1});
    let purging = json!({"stream_name": STREAM, "config": {
        "deliver_subject": "$JS.API.STREAM.PURGE.daybook", "ack_policy": "none",
    }});
    let intruder = json!({"name": "intruder", "subjects": ["intruder"]});
    for (subject, body) in [
        (format!("$JS.API.STREAM.DELETE.{STREAM}"), json!({})),
        (format!("$JS.API.STREAM.PURGE.{STREAM}"), json!({})),
        (format!("$JS.API.STREAM.UPDATE.{STREAM}"), anew.clone()),
        (format!("$JS.API.STREAM.CREATE.{STREAM}"), anew),
        (format!("$JS.API.STREAM.MSG.DELETE.{STREAM}"), json!({"seq": 1})),
        (format!("$JS.API.STREAM.RESTORE.{STREAM}"), json!({})),
        (format!("$JS.API.CONSUMER.DELETE.{STREAM}.any"), json!({})),
        (format!("$JS.API.CONSUMER.CREATE.{STREAM}"), purging.clone()),
        (format!("$JS.API.CONSUMER.CREATE.{STREAM}.mine"), purging.clone()),
        (format!("$JS.API.CONSUMER.DURABLE.CREATE.{STREAM}.mine"), purging),
        ("$JS.API.STREAM.CREATE.intruder".to_owned(), intruder),
        ("$JS.API.STREAM.LIST".to_owned(), json!({})),
    ] {
        let answer = reader
            .request(subject.clone(), body.to_string().into())
            .await;
        assert!(answer.is_err(), "{subject}: {answer:?}");
    }
}
