//! Timelines for people: filtered, by cause, as a table, and on paper; `proving` has their proofs.

use reqwest::Method;
use serde_json::{Value, json};
use tests::World;
use tests::telling::{a_world_with_cups, items};
use tests::world::{an_order_paid_with, send};

/// A confirmed order for cups, and its timeline's address.
async fn an_order(world: &World) -> String {
    let mut order = an_order_paid_with("ok", &[("cup", 3)]);
    order["customer"]["name"] = "=cmd|' /C calc'!A0".into();
    let placed = world.post("/api/v1/orders", order).await.expect(201).json();
    let id = placed["id"].as_str().unwrap().to_owned();
    world.order_when(&id, "confirmed").await;
    let reason = json!({"reason": "<script>alert(1)</script>"});
    let cancel = format!("/api/v1/orders/{id}/cancel");
    let _cancelled = world.post(&cancel, reason).await.expect(200);
    world.settle().await;
    format!("/api/v1/orders/{id}/timeline")
}

#[tokio::test]
async fn a_timeline_is_filtered_and_its_sentences_stay_the_same() {
    let world = a_world_with_cups().await;
    let path = an_order(&world).await;
    let all = items(&world.get(&path).await.expect(200));
    let middle = all[all.len() / 2]["at"].as_str().unwrap();
    let at = |entry: &Value| entry["at"].as_str().unwrap().to_owned();
    let that = |keep: &dyn Fn(&Value) -> bool| -> Vec<Value> {
        all.iter().filter(|entry| keep(entry)).cloned().collect()
    };
    for (filter, expected) in [
        ("aggregate=payment", that(&|entry| entry["aggregate"] == "payment")),
        ("type=order.confirmed", that(&|entry| entry["event"] == "order.confirmed")),
        ("actor=checkout", that(&|entry| entry["actor"] == "checkout")),
        ("actor=nobody", vec![]),
        (&format!("since={middle}"), that(&|entry| middle <= at(entry).as_str())),
        (&format!("until={middle}"), that(&|entry| at(entry).as_str() < middle)),
    ] {
        let told = items(&world.get(&format!("{path}?{filter}")).await.expect(200));
        assert_eq!(told, expected, "{filter}");
    }
    assert!(!that(&|entry| entry["actor"] == "checkout").is_empty());
    for wrong in [
        "aggregate=basket",
        "type=order.eaten",
        "view=bush",
        "proof=1",
        "format=pdf",
    ] {
        let refused = world.get(&format!("{path}?{wrong}")).await;
        assert_eq!(refused.problem(400), "invalid_parameters", "{wrong}");
    }
}

fn flattened(nodes: &[Value], under: &Value, into: &mut Vec<i64>) {
    for node in nodes {
        if !under.is_null() {
            assert_eq!(node["causation_id"], under["event_id"]);
            let caused = under["caused"].as_array().unwrap();
            assert!(caused.contains(&node["position"]), "{under} does not know of {node}");
        }
        into.push(node["position"].as_i64().unwrap());
        flattened(node["consequences"].as_array().unwrap(), node, into);
    }
}

#[tokio::test]
async fn by_cause_every_entry_stands_under_what_caused_it() {
    let world = a_world_with_cups().await;
    let path = an_order(&world).await;
    let list = items(&world.get(&path).await.expect(200));
    let tree = items(&world.get(&format!("{path}?view=tree")).await.expect(200));
    assert!(tree.len() < list.len() / 2, "most of it was caused by something");
    assert_eq!(tree[0]["event"], "order.placed");
    let mut positions = Vec::new();
    flattened(&tree, &Value::Null, &mut positions);
    positions.sort_unstable();
    let expected: Vec<i64> = list
        .iter()
        .map(|entry| entry["position"].as_i64().unwrap())
        .collect();
    assert_eq!(positions, expected);
    let reserved = list
        .iter()
        .find(|entry| entry["event"] == "inventory.reserved");
    let caused = list[0]["caused"].as_array().unwrap();
    assert!(caused.contains(&reserved.unwrap()["position"]), "{caused:?}");
    assert!(list[0]["request_id"].is_string(), "{}", list[0]);
}

#[tokio::test]
async fn a_timeline_is_a_table_and_a_page_that_runs_nothing() {
    let world = a_world_with_cups().await;
    let path = an_order(&world).await;
    let list = items(&world.get(&path).await.expect(200));
    let csv = world.get(&format!("{path}?format=csv")).await.expect(200);
    assert!(csv.header("content-type").unwrap().starts_with("text/csv"));
    assert!(csv.header("content-disposition").unwrap().contains(".csv"));
    let mut rows = csv::Reader::from_reader(csv.text.as_bytes());
    let columns = rows.headers().unwrap().clone();
    let of = |row: &csv::StringRecord, name: &str| {
        let index = columns.iter().position(|column| column == name).unwrap();
        row[index].to_owned()
    };
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), list.len());
    for (row, entry) in rows.iter().zip(&list) {
        assert_eq!(of(row, "position"), entry["position"].to_string());
        assert_eq!(of(row, "event"), entry["event"].as_str().unwrap());
        let data: Value = serde_json::from_str(&of(row, "data")).unwrap();
        assert_eq!(data, entry["data"]);
        for column in &columns {
            assert!(!of(row, column).starts_with('='), "{row:?}");
        }
    }
    let accepting = world
        .staff(Method::GET, &path)
        .header("accept", "text/html");
    let page = send(accepting).await.expect(200);
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(!page.text.contains("<script"), "{}", page.text);
    for entry in &list {
        let summary = entry["summary"].as_str().unwrap();
        let is_plain = !summary.contains(['<', '>', '&', '\'', '"']);
        assert!(!is_plain || page.text.contains(summary), "{summary}");
    }
}

#[tokio::test]
async fn where_nothing_is_sealed_no_proof_is_made_up() {
    let world = a_world_with_cups().await;
    let path = an_order(&world).await;
    let refused = world.get(&format!("{path}?proof=true")).await;
    assert_eq!(refused.problem(503), "not_sealed_yet");
}

#[tokio::test]
async fn a_tree_that_a_format_cannot_show_is_refused_rather_than_flattened() {
    let world = a_world_with_cups().await;
    let path = an_order(&world).await;
    for format in ["csv", "html"] {
        let refused = world
            .get(&format!("{path}?view=tree&format={format}"))
            .await;
        assert_eq!(refused.problem(400), "invalid_parameters");
        assert!(refused.text.contains("?view"), "{}", refused.text);
        let _list = world
            .get(&format!("{path}?view=list&format={format}"))
            .await
            .expect(200);
    }
    let _tree = world
        .get(&format!("{path}?view=tree&format=json"))
        .await
        .expect(200);
}
