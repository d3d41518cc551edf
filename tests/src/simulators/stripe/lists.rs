//! Stripe's lists, the newest first and a page at a time: docs.stripe.com/api/pagination.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Books, Form, asks_for, missing, problem, shown};
use crate::simulators::Reply;
use crate::simulators::lists::PAGE_MAX;

pub(super) async fn refunds(State(books): State<Books>, Query(query): Query<Form>) -> Reply {
    let pages = books.lock();
    let found = pages.refunds.values();
    let Some(of) = query.get("payment_intent").cloned() else {
        return page(found.cloned().collect(), &query, pages.page_max);
    };
    let found: Vec<&Value> = found
        .filter(|refund| refund["payment_intent"] == of.as_str())
        .collect();
    (StatusCode::OK, Json(json!({"object": "list", "data": found})))
}

pub(super) async fn intents(State(books): State<Books>, Query(query): Query<Form>) -> Reply {
    let pages = books.lock();
    page(pages.intents.values().cloned().collect(), &query, pages.page_max)
}

pub(super) async fn events(State(books): State<Books>, Query(query): Query<Form>) -> Reply {
    if query.get("delivery_success").map(String::as_str) != Some("false") {
        let kind = "invalid_request_error";
        return problem(StatusCode::BAD_REQUEST, kind, None, "only what was not delivered");
    }
    let pages = books.lock();
    page(pages.undelivered.clone(), &query, pages.page_max)
}

/// The newest first, by `created[gte]`, `created[lt]`, `limit` and `starting_after`.
fn page(mut all: Vec<Value>, query: &Form, page_max: Option<usize>) -> Reply {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<i64>().ok());
    let named = |object: &Value| {
        let name = object["id"].as_str().unwrap_or_default();
        let number = name.rsplit('_').next().unwrap_or_default();
        number.parse::<u64>().unwrap_or(0)
    };
    all.sort_by_key(|object| std::cmp::Reverse(named(object)));
    all.retain(|object| {
        let created = object["created"].as_i64();
        number("created[gte]").is_none_or(|from| Some(from) <= created)
            && number("created[lt]").is_none_or(|until| created < Some(until))
    });
    let after = query.get("starting_after");
    let seen = all
        .iter()
        .position(|object| Some(&object["id"]) == after.map(|id| json!(id)).as_ref());
    if let (Some(_), None) = (after, seen) {
        return missing("object");
    }
    let rest = all.split_off(seen.map_or(0, |seen| seen + 1));
    let limit = number("limit").and_then(|limit| usize::try_from(limit).ok());
    let size = limit.unwrap_or(10).min(page_max.unwrap_or(PAGE_MAX));
    let has_more = size < rest.len();
    let data: Vec<Value> = rest.into_iter().take(size).collect();
    (
        StatusCode::OK,
        Json(json!({"object": "list", "data": data, "has_more": has_more})),
    )
}

pub(super) async fn search(State(books): State<Books>, Query(query): Query<Form>) -> Reply {
    let is_expanded = asks_for(&query, "data.latest_charge");
    let query = query.get("query").cloned().unwrap_or_default();
    let reference = query
        .strip_prefix("metadata['reference']:'")
        .and_then(|rest| rest.strip_suffix('\''));
    let Some(reference) = reference else {
        let kind = "invalid_request_error";
        return problem(StatusCode::BAD_REQUEST, kind, None, "the query cannot be parsed");
    };
    let pages = books.lock();
    let found = pages.intents.values();
    let found: Vec<Value> = found
        .filter(|intent| intent["metadata"]["reference"] == reference)
        .map(|intent| shown(intent.clone(), is_expanded))
        .collect();
    (StatusCode::OK, Json(json!({"object": "search_result", "data": found})))
}
