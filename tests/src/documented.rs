//! What the OpenAPI document says of an answer. Every problem that a test is told must be in it.

use std::sync::LazyLock;

use reqwest::Method;
use serde_json::Value;

use crate::world::Answer;

/// The document of this build.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(api::http::document);

/// The operation that answers a request, with its path as the document writes it.
pub fn operation(method: &Method, path: &str) -> Option<(&'static str, &'static Value)> {
    let method = match *method {
        Method::HEAD => "get".to_owned(),
        _ => method.as_str().to_lowercase(),
    };
    let matching = DOCUMENT["paths"]
        .as_object()?
        .iter()
        .filter(|(template, item)| item[&method].is_object() && matches(template, path));
    // `/routing-rules/choice` is no `{id}`.
    let (template, item) = matching.min_by_key(|(template, _)| template.matches('{').count())?;
    Some((template, &item[&method]))
}

fn matches(template: &str, path: &str) -> bool {
    let (mut parts, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (parts.next(), given.next()) {
            (None, None) => return true,
            (Some(part), Some(given)) if part == given => {}
            (Some(part), Some(given)) if part.starts_with('{') && !given.is_empty() => {}
            _ => return false,
        }
    }
}

/// What a reference leads to, or the thing itself.
pub fn resolved(value: &'static Value) -> &'static Value {
    let target = value["$ref"].as_str().and_then(|to| to.strip_prefix('#'));
    target
        .and_then(|target| DOCUMENT.pointer(target))
        .unwrap_or(value)
}

/// The answer's problem, if it has one, must be one that the document names.
#[track_caller]
pub fn must_name(method: &Method, path: &str, answer: &Answer) {
    let is_problem = answer
        .headers
        .get("content-type")
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"));
    let Some((template, operation)) = operation(method, path).filter(|_| is_problem) else {
        return;
    };
    let problem: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    let Some(code) = problem["code"].as_str() else {
        return;
    };
    let status = answer.status.as_u16();
    let response = resolved(&operation["responses"][status.to_string()]);
    let codes = &response["content"]["application/problem+json"]["schema"]["allOf"][1];
    let codes = codes["properties"]["code"]["enum"].as_array();
    let is_named = codes.is_some_and(|codes| codes.iter().any(|named| named == code));
    let method = method.as_str().to_lowercase();
    let row = template.trim_start_matches(api::http::BASE);
    assert!(
        is_named || status == 405,
        "the document does not name {status} {code} of {method} {template}: add it to the row \
         (\"{method} {row}\", &[({status}, &[\"{code}\"])]) of api/src/http/openapi/codes.rs"
    );
}
