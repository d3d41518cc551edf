//! The words in which tests say what they ask and what they are told.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::World;
use crate::world::{Answer, send};

/// A Daybook that sells cups at 4.50 and has a thousand of them.
pub async fn a_world_with_cups() -> World {
    let world = World::new().await;
    world.article("cup", "4.50", 1_000).await;
    world
}

/// The request under a key of its own.
pub fn keyed(request: RequestBuilder) -> RequestBuilder {
    request.header("idempotency-key", Uuid::now_v7().to_string())
}

/// Makes a fraud rule; its id.
pub async fn fraud_rule(world: &World, name: &str, outcome: &str, condition: Value) -> String {
    let rule = json!({"name": name, "outcome": outcome, "condition": condition});
    let made = send(world.staff(Method::POST, "/api/v1/fraud-rules").json(&rule)).await;
    id_in(&made.expect(201))
}

/// The names of an object's members, in order.
#[track_caller]
pub fn names_of(value: &Value) -> Vec<&str> {
    let members = value.as_object().expect("an object");
    members.keys().map(String::as_str).collect()
}

/// The items of a list.
#[track_caller]
pub fn items(answer: &Answer) -> Vec<Value> {
    answer.json()["items"].as_array().expect("a list").clone()
}

/// The id that an answer tells.
#[track_caller]
pub fn id_in(answer: &Answer) -> String {
    answer.json()["id"].as_str().expect("an id").to_owned()
}

/// Where a problem says that something is wrong; it has to say what, too.
#[track_caller]
pub fn pointers(answer: &Answer) -> BTreeSet<String> {
    let errors = answer.json()["errors"].clone();
    let of = |error: &Value| {
        assert!(error["detail"].is_string(), "{error}");
        error["pointer"].as_str().expect("a pointer").to_owned()
    };
    errors
        .as_array()
        .expect("a list of errors")
        .iter()
        .map(of)
        .collect()
}

/// The same, as a test expects them.
pub fn these(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
