//! The OpenAPI document: what the handlers say of themselves, and, added here once for all of
//! them, what they have in common: headers, problems, and who may ask.

use projections::customers::CustomersBy;
use projections::orders::Status;
use projections::sales::{GroupBy, VendorsBy};
use serde_json::{Map, Value, json};
use utoipa::OpenApi as _;
use utoipa::openapi::{Info, OpenApi};

use super::{BASE, caching};

mod codes;
pub(super) mod postman;
mod problems;
pub(super) mod reference;
mod secrets;

use self::codes::Kind;
use self::problems::Shared;

/// Methods that the document's path items hold operations under.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Where requests change ordinary rows and no aggregate, or can be repeated as they are, and so
/// need no `Idempotency-Key`.
const OUTSIDE_THE_LOG: [&str; 16] = [
    "/auth/",
    "/api-keys",
    "/webhooks",
    "/profile",
    "/exchange-rates",
    "/fraud-rules",
    "/blocklist",
    "/routing-rules",
    "/gateways",
    "/reconciliations",
    "/wishlists",
    "/reviews",
    "/faq",
    TICKETS,
    "/cart",
    "/shipping/quotes",
];
/// Of those, what would be there twice if it were sent twice: it is named by its key.
const TICKETS: &str = "/tickets";
/// Likewise, of these addresses alone, where they are posted to.
const NAMED: [&str; 6] = [
    "/cart/items",
    CUSTOMERS,
    "/faq",
    "/webhooks/{id}/resolve",
    "/webhooks/{id}/retry",
    "/wishlists",
];
/// An order, of what is in a cart.
const CHECKOUT: &str = "/cart/checkout";
/// The same of these addresses alone, and nothing below them.
const ACCOUNTS: [&str; 2] = [CUSTOMERS, "/customers/{id}"];
/// One vendor, whose name is known from the token.
const ONESELF: &str = "/vendors/me";
/// Queries of accounts are queries of guests as well, who are a read model.
const CUSTOMERS: &str = "/customers";

/// Schemas that only parameters refer to, which the table of routes does not collect.
#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(Status, GroupBy, CustomersBy, VendorsBy)))]
struct Parameters;

/// The document that the table of routes fills.
pub(super) fn head() -> OpenApi {
    let mut document = Parameters::openapi();
    document.info = Info::new("Daybook", env!("CARGO_PKG_VERSION"));
    document
}

/// The document as it is served.
pub(super) fn complete(document: &OpenApi) -> Value {
    let mut document = serde_json::to_value(document).expect("the document is plain data");
    document["info"]["description"] = DESCRIPTION.into();
    document["servers"] = json!([{"url": "/"}]);
    document["tags"] = tags();
    let mut shared = Shared::default();
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, item) in paths {
            for method in METHODS {
                if let Some(operation) = item.get_mut(method).and_then(Value::as_object_mut) {
                    complete_operation(path, method, operation, &mut shared);
                }
            }
        }
    }
    let components = &mut document["components"];
    components["schemas"]["Problem"] = problems::schema();
    components["parameters"] = parameters();
    components["headers"] = headers();
    components["responses"] = shared.responses();
    components["securitySchemes"] = secrets::schemes();
    document
}

const DESCRIPTION: &str = "Orders, payments and stock, event-sourced: every change is a fact in \
    one log.\n\n\
    - A **command** (`POST`, `PUT`) needs an `Idempotency-Key`; what says how ordinary rows are to \
    be, and so can be repeated as it is, or is answered with a secret, needs none. The same key with the same request \
    is told the same answer again, refusals included; with another request it is a 422 \
    `idempotency_key_reused`.\n\
    - Every answer to a command carries `Daybook-Position`. A **query** that sends it as \
    `Daybook-Min-Position` sees what the command did.\n\
    - Errors are `application/problem+json` with a stable `code`; each operation names those \
    that it can have.\n\
    - Rates are limited by caller: `RateLimit` says what is left, 429 `too_many_requests` with \
    `Retry-After` that nothing is.\n\
    - Money is an exact decimal text with its currency; times are RFC 3339 in UTC.\n\
    - Unknown fields and parameters are refused by name.";

fn tags() -> Value {
    json!([
        {"name": "orders", "description": "Placing orders, and what becomes of them"},
        {"name": "carts", "description": "What leads to an order"},
        {"name": "promotions", "description": "What takes something off orders"},
        {"name": "shipping", "description": "How goods come to customers, and what that costs"},
        {"name": "payments", "description": "The money side of orders"},
        {"name": "fraud", "description": "What orders are screened by, and who has to look"},
        {"name": "products", "description": "What is offered, at what price"},
        {"name": "inventory", "description": "Stock: on hand, reserved, available"},
        {"name": "vendors", "description": "Who sells beside the house, and their lines"},
        {"name": "accounts", "description": "Signing in, and what machines show"},
        {"name": "community", "description": "Wishes, reviews, questions to the shop"},
        {"name": "reports", "description": "For analysts"},
        {"name": "audit", "description": "The log itself"},
        {"name": "operation", "description": "Whether Daybook is well"},
    ])
}

fn complete_operation(
    path: &str,
    method: &str,
    operation: &mut Map<String, Value>,
    shared: &mut Shared,
) {
    let summary = operation
        .get("summary")
        .and_then(Value::as_str)
        .unwrap_or(path);
    let id = summary.to_lowercase().replace([' ', '\''], "_");
    operation.insert("operationId".into(), id.into());
    let Some(below) = path.strip_prefix(BASE) else {
        return;
    };
    let is_change = method != "get";
    let is_command = is_change && needs_key(method, path);
    // Closed to guests, or to some role.
    let is_closed = operation.contains_key("security");
    let has_body = operation.contains_key("requestBody") || below == "/webhooks/{name}";
    let kind = Kind { method, path: below, is_command, is_closed, has_body };
    let who = security(operation.get("security"), is_command);
    operation.insert("security".into(), secrets::in_place_of_nothing(method, below, who));
    add_parameters(path, method, operation);
    let Some(responses) = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    for response in responses.values_mut() {
        response["headers"] = headers_of(path, method);
    }
    problems::complete(kind, shared, responses);
    if !is_change && is_in_the_log(path) && has_tag(path) {
        responses.insert("304".into(), json!({"$ref": "#/components/responses/304"}));
    }
}

fn is_in_the_log(path: &str) -> bool {
    let path = path.trim_start_matches(BASE);
    if ACCOUNTS.contains(&path) {
        return false;
    }
    // Money that a webhook told of is money of the log once it is given back.
    path.ends_with("/refund")
        || path == CHECKOUT
        || !OUTSIDE_THE_LOG
            .iter()
            .any(|outside| path.starts_with(outside))
}

/// Whether a change there needs an `Idempotency-Key`.
fn needs_key(method: &str, path: &str) -> bool {
    let below = path.trim_start_matches(BASE);
    let is_named = below.starts_with(TICKETS) || method == "post" && NAMED.contains(&below);
    is_in_the_log(path) || is_named
}

/// Whether it is answered as of a position although it is not in the log.
fn is_of_guests(path: &str) -> bool {
    ACCOUNTS.contains(&path.trim_start_matches(BASE))
}

/// Whether an answer to a query may be known to the client already.
fn has_tag(path: &str) -> bool {
    let flows = ["timeline", "history"]
        .iter()
        .any(|end| path.ends_with(end));
    caching::is_kept(path) || path.ends_with(ONESELF) || path.contains('{') && !flows
}

fn is_of_an_order(path: &str) -> bool {
    path.contains("/orders/{id}")
}

/// The roles that may, by name; administrators may everything that anybody may.
fn security(told: Option<&Value>, is_command: bool) -> Value {
    match told.and_then(|told| told.get(0)) {
        // Open to guests; commands look at a token where there is one.
        None if is_command => json!([{}, {"bearer": []}]),
        None => json!([]),
        Some(first) if first.get("staff").is_some() => json!([{"bearer": ["admin"]}]),
        Some(_) => told.cloned().unwrap_or_default(),
    }
}

fn add_parameters(path: &str, method: &str, operation: &mut Map<String, Value>) {
    let is_command = method != "get";
    let is_keyed = is_command && needs_key(method, path);
    let names: &[&str] = match is_command {
        true if is_keyed && !is_in_the_log(path) && path.contains("/cart") => {
            &["IdempotencyKey", "CartToken", "RequestId", "TraceParent"]
        }
        true if is_keyed && !is_in_the_log(path) => &["IdempotencyKey", "RequestId", "TraceParent"],
        false if is_of_guests(path) => &["MinPosition", "RequestId", "TraceParent"],
        _ if !is_in_the_log(path) && path.contains("/cart") => {
            &["CartToken", "RequestId", "TraceParent"]
        }
        _ if !is_in_the_log(path) => &["RequestId", "TraceParent"],
        true if path.ends_with(CHECKOUT) => &[
            "IdempotencyKey",
            "CartToken",
            "Prefer",
            "RequestId",
            "TraceParent",
        ],
        true if path.ends_with("/orders") => {
            &["IdempotencyKey", "Prefer", "RequestId", "TraceParent"]
        }
        true if is_of_an_order(path) => &[
            "IdempotencyKey",
            "OrderToken",
            "IfMatch",
            "RequestId",
            "TraceParent",
        ],
        true => &["IdempotencyKey", "IfMatch", "RequestId", "TraceParent"],
        false if is_of_an_order(path) => &["MinPosition", "OrderToken", "IfNoneMatch", "RequestId"],
        false if has_tag(path) => &["MinPosition", "IfNoneMatch", "RequestId"],
        false => &["MinPosition", "RequestId"],
    };
    let reference = |name: &&str| json!({"$ref": format!("#/components/parameters/{name}")});
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        parameters.extend(names.iter().map(reference));
    }
}

fn headers_of(path: &str, method: &str) -> Value {
    let is_command = method != "get";
    let mut names = vec![
        "X-Request-Id",
        "traceparent",
        "RateLimit-Policy",
        "RateLimit",
    ];
    if !is_in_the_log(path) {
        if is_command && needs_key(method, path) {
            names.extend(["Daybook-Position", "Idempotent-Replayed"]);
            if path.contains(TICKETS) || is_of_guests(path) {
                names.push("Location");
            }
        } else if !is_command && is_of_guests(path) {
            names.push("Daybook-Position");
        }
        return headers_named(names);
    }
    names.push("Daybook-Position");
    if is_command {
        names.extend(["Daybook-First-Position", "Idempotent-Replayed"]);
    }
    if path.contains('{') || path.ends_with(ONESELF) || caching::is_kept(path) {
        names.push("ETag");
    }
    if !is_command {
        names.push("Cache-Control");
    }
    if is_command
        && ["/orders", "/refunds", "/payments", CHECKOUT]
            .iter()
            .any(|end| path.ends_with(end))
    {
        names.push("Location");
    }
    if is_command && (path.ends_with("/orders") || path.ends_with(CHECKOUT)) {
        names.extend(["ETag", "Preference-Applied"]);
    }
    headers_named(names)
}

fn headers_named(names: Vec<&str>) -> Value {
    let header = |name| (name, json!({"$ref": format!("#/components/headers/{name}")}));
    let headers: Map<String, Value> = names
        .into_iter()
        .map(header)
        .map(|(name, header)| (name.to_owned(), header))
        .collect();
    headers.into()
}

fn parameters() -> Value {
    let header = |name: &str, required: bool, description: &str, example: &str| {
        json!({
            "name": name, "in": "header", "required": required, "description": description,
            "schema": {"type": "string"}, "example": example
        })
    };
    json!({
        "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "required": true,
            "description": "Names the command: 1 to 255 visible ASCII characters, as they are or \
                as a quoted string. Scoped to the caller.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            "example": "order-2026-11-21-0001"
        },
        "IfMatch": header(
            "If-Match", false, "The version that the command acts on; 412 if it is another", "\"3\""
        ),
        "IfNoneMatch": header(
            "If-None-Match", false, "The `ETag` that the client has; 304 if it still holds", "\"3\""
        ),
        "MinPosition": header(
            "Daybook-Min-Position", false,
            "Waits, 5 s at most, until the answer includes this position of the log", "1"
        ),
        "Prefer": header(
            "Prefer", false,
            "`wait=<seconds>`, 30 at most: answer when the order is neither `pending` nor \
             `processing`, or when the time is over. `in-stock`: place no order for what is \
             certainly gone", "wait=10"
        ),
        "OrderToken": header(
            "Daybook-Order-Token", false,
            "Opens a guest's order: `order_token` of the answer that placed it", ""
        ),
        "CartToken": header(
            "Daybook-Cart-Token", false,
            "Opens a guest's cart: `cart_token` of the answer that made it", ""
        ),
        "RequestId": header(
            "X-Request-Id", false,
            "1 to 128 visible ASCII characters; made up if missing. Echoed, logged, and kept in \
             the events that the request causes", "shop-4711"
        ),
        "TraceParent": header(
            "traceparent", false, "W3C trace context; likewise",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        ),
    })
}

fn headers() -> Value {
    let header =
        |description: &str| json!({"description": description, "schema": {"type": "string"}});
    json!({
        "X-Request-Id": header("The request's id, taken or made"),
        "traceparent": header("The W3C trace context, taken or made"),
        "Daybook-Position": header(
            "The position that holds the command's effect, or that the answer has reached"
        ),
        "Daybook-First-Position": header(
            "Of a command that was done: the position of its first event; the others follow up to \
             `Daybook-Position`"
        ),
        "Idempotent-Replayed": header("`true` if this is the first answer again"),
        "Cache-Control": header("How long it may be kept, and by whom; `no-store` if not at all"),
        "ETag": header("The version, for `If-Match`; of some views, also the content"),
        "Location": header("Where it can be seen"),
        "Preference-Applied": header("The preference that was followed"),
        "Retry-After": header("Seconds after which to try again"),
        "RateLimit-Policy": header(
            "The rate that holds for the caller here, if there is one: `q` requests in `w` seconds"
        ),
        "RateLimit": header(
            "What is left of it: `r` requests; all of it is there again after `t` seconds"
        ),
        "WWW-Authenticate": header("How to say who is asking"),
    })
}

#[cfg(test)]
#[path = "openapi_tests.rs"]
mod tests;
