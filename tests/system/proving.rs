//! What customers and auditors can prove over HTTP, judged by RFC 9162 as a test reads it.

use reqwest::Method;
use sealing::Hash;
use sealing::head::{Signed, SignedHead};
use sealing::keys::SealKey;
use serde_json::{Value, json};
use tests::World;
use tests::log::{all_sealed, lines, sealing_with};
use tests::people::{asked, signed_in};
use tests::telling::{fraud_rule, id_in, keyed};
use tests::world::{Answer, an_order, send, until};

use crate::rfc9162::{self, Node};

async fn a_sealed_world(key: &SealKey) -> World {
    let world = World::with(|settings| settings.sealing = Some(sealing_with(&[key]))).await;
    world.article("cup", "4.50", 1_000).await;
    world
}

#[track_caller]
fn node(text: &Value) -> Node {
    Hash::parse_hash(text.as_str().unwrap()).unwrap().0
}

#[track_caller]
fn nodes(path: &Value) -> Vec<Node> {
    path.as_array().unwrap().iter().map(node).collect()
}

/// The head in an answer, which the key must have signed.
#[track_caller]
fn head(told: &Value, key: &SealKey) -> SignedHead {
    let signed = SignedHead::read(told["note"].as_str().unwrap()).unwrap();
    assert_eq!(signed.signed_by(&[key.public().clone()]), Signed::Known);
    assert_eq!(told["size"], signed.head.size);
    assert_eq!(node(&told["root"]), signed.head.root.0);
    signed
}

#[tokio::test]
async fn a_customer_proves_that_their_own_order_is_in_the_log() {
    let key = SealKey::random("daybook").unwrap();
    let world = a_sealed_world(&key).await;
    let order = keyed(world.guest(Method::POST, "/api/v1/orders")).json(&an_order(&[("cup", 2)]));
    let placed = send(order).await.expect(201);
    let (id, position) = (id_in(&placed), placed.position());

    let path = format!("/api/v1/log/proof/{position}");
    let proof = until("a head covers the order", async || {
        let answer = send(world.guest(Method::GET, &format!("{path}?order_id={id}"))).await;
        if answer.status == 503 {
            assert_eq!(answer.problem(503), "not_sealed_yet");
            assert!(answer.header("retry-after").is_some());
            return None;
        }
        Some(answer.expect(200).json())
    })
    .await;

    let line = proof["line"].as_str().unwrap();
    let told: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&told["event"], &told["aggregate_id"]), (&"order.placed".into(), &id.into()));
    let signed = head(&proof["head"], &key).head;
    let index = proof["leaf_index"].as_u64().unwrap();
    assert_eq!(index + 1, position.unsigned_abs());
    let includes = |line: &str| {
        rfc9162::includes(
            line.as_bytes(),
            index,
            signed.size,
            &nodes(&proof["path"]),
            signed.root.0,
        )
    };
    assert!(includes(line));
    assert!(!includes(&line.replace("\"quantity\":2", "\"quantity\":1")));
    let stranger = send(world.guest(Method::GET, &path))
        .await
        .expect(200)
        .json();
    assert_eq!(stranger["line"], Value::Null, "hashes are for everybody, an order is not");
    assert!(world.get(&path).await.json()["line"].is_string(), "staff may see it");
}

#[tokio::test]
async fn whoever_reads_the_log_is_shown_the_line_and_other_machines_are_not() {
    let key = SealKey::random("daybook").unwrap();
    let world = a_sealed_world(&key).await;
    let _sealed = all_sealed(&world.pool).await;
    for (role, is_shown) in [("auditor", true), ("analyst", true), ("importer", false)] {
        let made = json!({"name": role, "role": role});
        let made = send(world.staff(Method::POST, "/api/v1/api-keys").json(&made)).await;
        let token = made.expect(201).json()["key"].as_str().unwrap().to_owned();
        let proof = asked(&world, Some(&token), "/api/v1/log/proof/1").await;
        assert_eq!(proof.expect(200).json()["line"].is_string(), is_shown, "{role}");
    }
    let customer = signed_in(&world, "mina@example.org", accounts::Role::Customer).await;
    let proof = asked(&world, Some(&customer), "/api/v1/log/proof/1").await;
    assert_eq!(proof.expect(200).json()["line"], Value::Null);
}

#[tokio::test]
async fn an_answer_names_the_first_event_of_a_command_whatever_is_written_with_it() {
    let key = SealKey::random("daybook").unwrap();
    let world = a_sealed_world(&key).await;
    let above = json!({"kind": "amount", "above": {"amount": "0.01", "currency": "GBP"}});
    let _rule = fraud_rule(&world, "everything", "review", above).await;
    let order = keyed(world.guest(Method::POST, "/api/v1/orders")).json(&an_order(&[("cup", 2)]));
    let placed = send(order.try_clone().unwrap()).await.expect(201);
    let first = |answer: &Answer| {
        let first = answer.header("daybook-first-position").unwrap();
        first.parse::<i64>().unwrap()
    };
    assert!(first(&placed) < placed.position(), "the decision is written with the order");
    assert_eq!(first(&send(order).await.expect(201)), first(&placed), "and told again");
    let refused = keyed(world.guest(Method::POST, "/api/v1/orders")).json(&an_order(&[("pot", 1)]));
    let refused = send(refused).await;
    assert!(refused.status.is_client_error(), "{}", refused.text);
    assert_eq!(refused.header("daybook-first-position"), None, "nothing happened");

    let _sealed = all_sealed(&world.pool).await;
    let path = format!("/api/v1/log/proof/{}?order_id={}", first(&placed), id_in(&placed));
    let proof = send(world.guest(Method::GET, &path))
        .await
        .expect(200)
        .json();
    let line: Value = serde_json::from_str(proof["line"].as_str().unwrap()).unwrap();
    assert_eq!(line["event"], "order.placed");
}

#[tokio::test]
async fn an_old_head_and_a_new_one_prove_that_the_log_only_grew() {
    let key = SealKey::random("daybook").unwrap();
    let world = a_sealed_world(&key).await;
    let old = all_sealed(&world.pool).await;
    for quantity in 1..=3 {
        let _placed = world
            .post("/api/v1/orders", an_order(&[("cup", quantity)]))
            .await
            .expect(201);
    }
    world.settle().await;
    let new = all_sealed(&world.pool).await;

    let newest = world.get("/api/v1/log/head").await.expect(200);
    assert_eq!(head(&newest.json(), &key), new);
    let leaves: Vec<_> = lines(&world.pool)
        .await
        .into_iter()
        .map(String::into_bytes)
        .collect();
    assert_eq!(rfc9162::mth(&leaves), new.head.root.0, "the whole tree, computed anew");

    let path = format!("/api/v1/log/consistency?from={}", old.head.size);
    let proof = world.get(&path).await.expect(200).json();
    assert_eq!(
        (head(&proof["from"], &key), head(&proof["to"], &key)),
        (old.clone(), new.clone())
    );
    let first = (old.head.size, old.head.root.0);
    let second = (new.head.size, new.head.root.0);
    assert!(rfc9162::extends(first, second, &nodes(&proof["path"])));
    assert!(!rfc9162::extends((first.0, [7; 32]), second, &nodes(&proof["path"])));
    let same = world
        .get(&format!("{path}&to={}", old.head.size))
        .await
        .expect(200)
        .json();
    assert_eq!(same["path"], Value::Array(vec![]));
}

#[tokio::test]
async fn what_cannot_be_proved_is_told_so() {
    let bare = World::new().await;
    assert_eq!(bare.get("/api/v1/log/head").await.problem(404), "not_found");
    assert_eq!(
        bare.get("/api/v1/log/consistency?from=1")
            .await
            .problem(404),
        "not_found"
    );
    bare.article("cup", "4.50", 1).await;
    assert_eq!(bare.get("/api/v1/log/proof/1").await.problem(503), "not_sealed_yet");

    let key = SealKey::random("daybook").unwrap();
    let world = a_sealed_world(&key).await;
    let size = all_sealed(&world.pool).await.head.size;
    for (path, status, code) in [
        ("proof/0", 404, "not_found"),
        ("proof/x", 404, "not_found"),
        ("proof/999999", 404, "not_found"),
        ("proof/1?size=999999", 404, "not_found"),
        ("proof/1?size=x", 400, "invalid_parameters"),
        ("proof/1?order_id=x", 400, "invalid_parameters"),
        ("consistency", 400, "invalid_parameters"),
        ("consistency?from=0", 400, "invalid_parameters"),
        ("consistency?from=999999", 404, "not_found"),
        (&format!("consistency?from={size}&to=1"), 400, "invalid_parameters"),
        ("head?size=1", 400, "invalid_parameters"),
    ] {
        let answer = world.get(&format!("/api/v1/log/{path}")).await;
        assert_eq!(answer.problem(status), code, "{path}");
    }
}

#[tokio::test]
async fn a_tree_that_somebody_changed_gives_no_proof() {
    let key = SealKey::random("daybook").unwrap();
    let world = a_sealed_world(&key).await;
    let _sealed = all_sealed(&world.pool).await;
    sqlx::query("update log_tiles set hashes = overlay(hashes placing '\\x00' from 1 for 1)")
        .execute(&world.pool)
        .await
        .unwrap();

    for position in [1, 2] {
        let answer = world.get(&format!("/api/v1/log/proof/{position}")).await;
        assert_eq!(answer.problem(500), "internal");
    }
}

#[tokio::test]
async fn each_entry_of_a_timeline_is_proved_on_request() {
    let key = SealKey::random("daybook").unwrap();
    let world = a_sealed_world(&key).await;
    let placed = world
        .post("/api/v1/orders", an_order(&[("cup", 2)]))
        .await
        .expect(201);
    let id = id_in(&placed);
    world.order_when(&id, "confirmed").await;
    world.settle().await;
    all_sealed(&world.pool).await;

    let path = format!("/api/v1/orders/{id}/timeline?proof=true");
    let told = world.get(&path).await.expect(200).json();
    let signed = head(&told["head"], &key).head;
    let entries = told["items"].as_array().unwrap();
    assert!(1 < entries.len());
    for entry in entries {
        let position = entry["position"].as_u64().unwrap();
        let asked = format!("/api/v1/log/proof/{position}");
        let line = world.get(&asked).await.expect(200).json()["line"].clone();
        let proof = &entry["proof"];
        assert_eq!(proof["leaf_index"], position - 1);
        let path = nodes(&proof["path"]);
        let (line, index) = (line.as_str().unwrap().as_bytes(), position - 1);
        assert!(rfc9162::includes(line, index, signed.size, &path, signed.root.0), "{entry}");
    }
    let leaf = entries[0]["proof"]["leaf_hash"].as_str().unwrap();
    let csv = world.get(&format!("{path}&format=csv")).await.expect(200);
    assert!(csv.text.contains(leaf), "{}", csv.text);
    let page = world.get(&format!("{path}&format=html")).await.expect(200);
    assert!(page.text.contains(&format!("1 to {}", signed.size)), "{}", page.text);
}
