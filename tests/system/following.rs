//! The live tail: each event once, in order, whoever comes when, leaves, comes back or sleeps.

use api::http::tail::READERS_MAX;
use api::node::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::World;
use tests::log::receive;
use tests::sse::{Reader, Told, told};
use tests::telling::{a_world_with_cups, id_in, keyed};
use tests::world::{STAFF, an_order, send, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

const STREAM: &str = "/api/v1/events/stream";
/// Commands under way at once, while readers come and go.
const WRITERS: usize = 4;
const RECEIPTS_EACH: usize = 60;
/// More than a connection and the buffer behind it hold, at some 700 bytes each.
const MANY: i64 = 20_000;

async fn follow(world: &World, query: &str) -> Reader {
    Reader::open(world.staff(Method::GET, &format!("{STREAM}{query}"))).await
}

async fn resume(world: &World, position: i64) -> Reader {
    let position = position.to_string();
    Reader::open(
        world
            .staff(Method::GET, STREAM)
            .header("last-event-id", position),
    )
    .await
}

async fn receive_cup(world: &World) -> i64 {
    let receipt = json!({"quantity": 1, "reference": "note 7"});
    let path = "/api/v1/inventory/cup/receipts";
    world.post(path, receipt).await.expect(200).position()
}

/// What `GET /events` says.
async fn lines(world: &World, query: &str) -> Vec<Value> {
    let request = world.staff(Method::GET, &format!("/api/v1/events{query}"));
    let answer = send(request.header("accept", "application/x-ndjson")).await;
    let lines = answer.expect(200).text;
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[track_caller]
fn ids(told: &[Told]) -> Vec<i64> {
    for told in told.iter().filter(|told| told.event != "end") {
        assert_eq!(
            (&told.data["position"], &told.data["event"]),
            (&json!(told.id), &json!(told.event))
        );
    }
    told.iter().map(|told| told.id).collect()
}

#[tokio::test]
async fn history_and_live_meet_without_a_gap_or_a_repetition_while_others_write() {
    let world = a_world_with_cups().await;
    for _ in 0..50 {
        let _there = receive_cup(&world).await;
    }
    let writing = async {
        let one = async || {
            for _ in 0..RECEIPTS_EACH {
                let _there = receive_cup(&world).await;
            }
        };
        futures::future::join_all((0..WRITERS).map(|_| one())).await;
    };
    let all = 52 + i64::try_from(WRITERS * RECEIPTS_EACH).unwrap();
    let reading = async |from: i64| {
        // Each comes when the log has grown so far, in the middle of the rush.
        until("it is time", async || {
            let head = store::log::head(&world.pool).await.ok()?;
            (from.min(all - 20) <= head).then_some(())
        })
        .await;
        follow(&world, &format!("?from={from}"))
            .await
            .up_to(all)
            .await
    };
    let froms = [1, 1, 40, 60, 90, 150, 220];
    let readers = futures::future::join_all(froms.map(reading));
    let (told, ()) = futures::join!(readers, writing);

    let logged = lines(&world, "").await;
    assert_eq!(logged.len(), usize::try_from(all).unwrap());
    for (from, told) in froms.into_iter().zip(told) {
        assert_eq!(ids(&told), (from..=all).collect::<Vec<_>>(), "from {from}");
        let data: Vec<Value> = told.into_iter().map(|told| told.data).collect();
        assert_eq!(data, logged[usize::try_from(from - 1).unwrap()..], "as GET /events says it");
    }
}

#[tokio::test]
async fn without_a_position_only_what_is_added_is_told() {
    let world = a_world_with_cups().await;
    let mut reader = follow(&world, "").await;
    let position = receive_cup(&world).await;
    let told = reader.next().await.unwrap();
    assert_eq!((told.id, told.event.as_str()), (position, "inventory.received"));
    assert_eq!(told.data["actor"], "staff");
}

#[tokio::test]
async fn whoever_follows_an_order_is_told_that_its_person_is_forgotten() {
    let world = a_world_with_cups().await;
    let id = id_in(
        &world
            .post("/api/v1/orders", an_order(&[("cup", 1)]))
            .await
            .expect(201),
    );
    world.order_when(&id, "confirmed").await;
    world.settle().await;
    let mut reader = follow(&world, &format!("?order_id={id}")).await;
    // Of no order, and so not told.
    let _received = receive_cup(&world).await;
    let path = "/api/v1/customers/ada@example.com/personal-data";
    let forget = keyed(world.staff(Method::DELETE, path)).json(&json!({"reason": "asked for it"}));
    let position = send(forget).await.expect(200).position();

    let told = reader.next().await.unwrap();
    assert_eq!((told.id, told.event.as_str()), (position, "person.forgotten"));
    world.settle().await;
    let listed = lines(&world, &format!("?order_id={id}")).await;
    assert_eq!(listed.last(), Some(&told.data), "as GET /events says it");
}

#[tokio::test]
async fn whoever_comes_back_after_any_end_is_told_each_event_once() {
    let mut world = a_world_with_cups().await;
    let mut all = Vec::new();
    let mut reader = follow(&world, "?from=1").await;
    all.extend(reader.up_to(2).await);
    for round in 1..=3 {
        for _ in 0..10 {
            let _there = receive_cup(&world).await;
        }
        // Leaves in the middle; the others of this round it has not seen.
        all.extend(reader.up_to(2 + 10 * round - 5).await);
        drop(reader);
        reader = resume(&world, all.last().unwrap().id).await;
    }
    all.extend(reader.up_to(32).await);
    let (stopped, last) = futures::join!(world.stop(), reader.next());
    let () = stopped;
    let last = last.expect("last words");
    assert_eq!((last.event.as_str(), &last.data["code"]), ("end", &json!("server_stopping")));
    assert_eq!((last.id, &last.data["resume_after"]), (32, &json!(32)));
    assert_eq!(reader.next().await, None);
    world.start().await;
    let _there = receive_cup(&world).await;
    all.extend(resume(&world, last.id).await.up_to(33).await);
    assert_eq!(ids(&all), (1..=33).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_off_and_told_where_to_resume() {
    let world = World::new().await;
    receive(&world.pool, MANY).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let address = world.url.trim_start_matches("http://").parse().unwrap();
    let mut connection = socket.connect(address).await.unwrap();
    let request = format!(
        "GET {STREAM}?from=1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {STAFF}\r\n\
         connection: close\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    until("the reader is in", async || (world.app().tails.open() == 1).then_some(())).await;

    until("it is cut off", async || (world.app().tails.open() == 0).then_some(())).await;

    let mut text = String::new();
    let _read = connection.read_to_string(&mut text).await.unwrap();
    let end = text.rfind("event: end\n").expect("last words");
    let start = text[..end].rfind("id: ").unwrap();
    let block = text[start..].split("\n\n").next().unwrap();
    let last = told(block, &mut None).unwrap();
    assert_eq!(last.data["code"], "too_slow");
    assert_eq!(last.data["resume_after"], json!(last.id));
    assert!(last.id < MANY, "{} were sent to somebody who did not read", last.id);
    let rest = resume(&world, last.id).await.up_to(MANY).await;
    assert_eq!(ids(&rest), (last.id + 1..=MANY).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_stream_is_filtered_like_the_log() {
    let world = a_world_with_cups().await;
    world.article("pot", "9.00", 10).await;
    let mut live = follow(&world, "?aggregate=order").await;
    let mut of_pot = follow(&world, "?aggregate_id=pot&from=1").await;
    let order = world.post("/api/v1/orders", an_order(&[("cup", 1), ("pot", 1)]));
    let placed = order.await.expect(201).json();
    let id = placed["id"].as_str().unwrap();
    let mut of_order = follow(&world, &format!("?order_id={id}&from=1")).await;
    world.order_when(id, "confirmed").await;
    world.settle().await;
    let head = store::log::head(&world.pool).await.unwrap();
    let all = lines(&world, "").await;
    let middle = all[all.len() / 2]["at"].as_str().unwrap();

    // What has arrived while it happened is what the log says afterwards.
    for (reader, filter) in [
        (&mut live, "aggregate=order"),
        (&mut of_pot, "aggregate_id=pot"),
        (&mut of_order, &format!("order_id={id}")),
    ] {
        let logged = lines(&world, &format!("?{filter}")).await;
        let last = logged.last().unwrap()["position"].as_i64().unwrap();
        let told: Vec<Value> = reader
            .up_to(last)
            .await
            .into_iter()
            .map(|told| told.data)
            .collect();
        assert_eq!(told, logged, "{filter}");
    }
    for filter in [
        "aggregate=inventory".to_owned(),
        "aggregate=product&aggregate_id=pot".to_owned(),
        "type=order.placed".to_owned(),
        format!("order_id={id}&aggregate=payment"),
        format!("since={middle}"),
        format!("until={middle}"),
        "type=order.cancelled".to_owned(),
        "to=3".to_owned(),
    ] {
        let end = if filter.starts_with("to=") { 3 } else { head };
        let query = if end == head {
            format!("?from=1&to={head}&{filter}")
        } else {
            format!("?from=1&{filter}")
        };
        let mut reader = follow(&world, &query).await;
        let mut told = reader.up_to(i64::MAX).await;
        let last = told.pop().unwrap();
        assert_eq!((last.event.as_str(), &last.data["code"]), ("end", &json!("reached")));
        assert_eq!(ids(&told), ids_of(&lines(&world, &format!("?{filter}")).await), "{filter}");
    }
}

fn ids_of(events: &[Value]) -> Vec<i64> {
    events
        .iter()
        .map(|event| event["position"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_quiet_stream_shows_that_it_lives_and_moves_its_readers_on() {
    let world = a_world_with_cups().await;
    let mut reader = follow(&world, "?type=order.placed&from=1").await;
    let mut last = 0;
    for _ in 0..5 {
        last = receive_cup(&world).await;
    }

    // None of them is an order, and yet whoever comes back need not look through them again.
    let told = reader.moved_to(last).await;

    assert_eq!(told, [], "nothing was asked for");
    assert_eq!(reader.last_id, Some(last));
}

#[tokio::test]
async fn what_is_no_position_or_no_filter_is_refused() {
    let world = a_world_with_cups().await;
    for id in ["x", "-1", "1.5", "99999999999999999999", "3"] {
        let request = world.staff(Method::GET, STREAM).header("last-event-id", id);
        assert_eq!(send(request).await.problem(400), "invalid_header", "{id}");
    }
    for query in [
        "from=x",
        "to=-1",
        "limit=3",
        "cursor=3",
        "aggregate=basket",
        "colour=red",
    ] {
        let answer = world.get(&format!("{STREAM}?{query}")).await;
        assert_eq!(answer.problem(400), "invalid_parameters", "{query}");
    }
}

#[tokio::test]
async fn no_more_may_follow_than_there_is_room_for() {
    let world = a_world_with_cups().await;
    let mut readers = Vec::new();
    for _ in 0..READERS_MAX {
        readers.push(follow(&world, "").await);
    }
    let refused = world.get(STREAM).await;
    assert_eq!(refused.problem(503), "overloaded");
    assert!(refused.header("retry-after").is_some());

    drop(readers.pop());
    until("there is room again", async || {
        (world.app().tails.open() < READERS_MAX).then_some(())
    })
    .await;
    let mut reader = follow(&world, "").await;
    let position = receive_cup(&world).await;
    assert_eq!(reader.next().await.unwrap().id, position);
    for reader in &mut readers {
        assert_eq!(reader.next().await.unwrap().id, position);
    }
}

#[tokio::test]
async fn without_a_relay_to_nats_the_stream_comes_from_the_log_itself() {
    let roles = vec![Role::Api, Role::Projector];
    let world = World::with(|settings| settings.roles = roles).await;
    world.article("cup", "4.50", 10).await;
    let mut reader = follow(&world, "?from=1").await;
    assert_eq!(ids(&reader.up_to(2).await), [1, 2]);
    for position in 3..=6 {
        assert_eq!(receive_cup(&world).await, position);
        assert_eq!(reader.next().await.unwrap().id, position);
    }
}
