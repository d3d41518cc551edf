//! That the document is whole, and that its bodies are those that the readers accept.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::http::fields::{self, Body};
use crate::http::order_body::{CheckoutBody, OrderBody};
use crate::http::{
    addresses, api_keys, attending, auth, blocklist, carts, categories, delivery, document, faq,
    fraud_rules, inventory, listings, manual, moves, payments, products, promotions, rates,
    read_models, refunds, reviewing, reviews, routing_rules, shipping, shipping_quotes, tickets,
    unmatched, vendors, wishlists,
};

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &'_ Value)| {
        let item = item.as_object().unwrap();
        item.keys()
            .map(|method| (path.clone(), method.clone()))
            .collect::<Vec<_>>()
    };
    let names: Vec<(String, String)> = paths.iter().flat_map(of).collect();
    names
        .into_iter()
        .map(|(path, method)| (format!("{method} {path}"), &document["paths"][&path][&method]))
        .collect()
}

const CONTRACT: [&str; 123] = [
    "post /api/v1/orders",
    "get /api/v1/orders",
    "get /api/v1/orders/{id}",
    "put /api/v1/promotions/{code}",
    "get /api/v1/promotions/{code}",
    "get /api/v1/promotions",
    "get /api/v1/promotions/all",
    "get /api/v1/shipping/methods",
    "get /api/v1/shipping/methods/{handle}",
    "put /api/v1/shipping/methods/{handle}",
    "get /api/v1/shipping/pickup-points",
    "get /api/v1/shipping/pickup-points/{handle}",
    "put /api/v1/shipping/pickup-points/{handle}",
    "post /api/v1/shipping/quotes",
    "get /api/v1/cart/shipping",
    "post /api/v1/carts",
    "get /api/v1/cart",
    "patch /api/v1/cart",
    "delete /api/v1/cart",
    "post /api/v1/cart/items",
    "put /api/v1/cart/items/{sku}",
    "delete /api/v1/cart/items/{sku}",
    "post /api/v1/cart/merge",
    "post /api/v1/cart/checkout",
    "get /api/v1/orders/{id}/timeline",
    "post /api/v1/orders/{id}/cancel",
    "post /api/v1/orders/{id}/payments",
    "post /api/v1/orders/{id}/refunds",
    "post /api/v1/orders/{id}/complete",
    "post /api/v1/orders/{id}/shipments",
    "post /api/v1/vendors",
    "get /api/v1/vendors",
    "get /api/v1/vendors/me",
    "put /api/v1/vendors/me",
    "get /api/v1/vendors/me/orders",
    "get /api/v1/vendors/me/orders/{id}",
    "get /api/v1/vendors/me/sales",
    "get /api/v1/vendors/{id}",
    "post /api/v1/vendors/{id}/activate",
    "post /api/v1/vendors/{id}/deactivate",
    "get /api/v1/payments",
    "get /api/v1/payments/{id}",
    "put /api/v1/products/{sku}",
    "get /api/v1/products",
    "get /api/v1/products/{sku}",
    "get /api/v1/products/{sku}/availability",
    "get /api/v1/products/{sku}/history",
    "get /api/v1/listings",
    "get /api/v1/listings/{handle}",
    "put /api/v1/listings/{handle}",
    "delete /api/v1/listings/{handle}",
    "get /api/v1/categories",
    "get /api/v1/categories/{handle}",
    "put /api/v1/categories/{handle}",
    "delete /api/v1/categories/{handle}",
    "get /api/v1/catalogue/export",
    "post /api/v1/catalogue/import",
    "put /api/v1/exchange-rates/{date}",
    "get /api/v1/exchange-rates",
    "post /api/v1/inventory/{sku}/receipts",
    "post /api/v1/inventory/{sku}/adjustments",
    "get /api/v1/inventory",
    "get /api/v1/inventory/{sku}",
    "get /api/v1/events",
    "get /api/v1/events/stream",
    "get /api/v1/events/stored",
    "get /api/v1/events/seals",
    "get /api/v1/log/head",
    "get /api/v1/log/proof/{position}",
    "get /api/v1/log/consistency",
    "get /api/v1/reports/sales",
    "get /api/v1/reports/settlement",
    "get /api/v1/reports/customers",
    "post /api/v1/reconciliations",
    "get /api/v1/projections",
    "post /api/v1/projections/{name}/rebuild",
    "get /api/v1/projections/{name}/rows",
    "post /api/v1/projections/{name}/rebuild/pause",
    "post /api/v1/projections/{name}/rebuild/resume",
    "post /api/v1/projections/{name}/rebuild/cancel",
    "delete /api/v1/projections/{name}/replay",
    "get /api/v1/self-audit",
    "get /api/v1/parked-facts",
    "get /api/v1/orders/{id}/payment",
    "post /api/v1/webhooks/{name}",
    "put /api/v1/webhooks/{name}",
    "get /api/v1/webhooks/{name}",
    "post /api/v1/webhooks/{id}/refund",
    "post /api/v1/webhooks/{id}/resolve",
    "post /api/v1/webhooks/{id}/retry",
    "post /api/v1/payments/{id}/receipt",
    "post /api/v1/payments/{id}/payout",
    "get /api/v1/webhooks",
    "post /api/v1/orders/{id}/review",
    "get /api/v1/fraud-rules",
    "post /api/v1/fraud-rules",
    "put /api/v1/fraud-rules/{id}",
    "delete /api/v1/fraud-rules/{id}",
    "get /api/v1/blocklist",
    "post /api/v1/blocklist",
    "delete /api/v1/blocklist/{id}",
    "post /api/v1/auth/register",
    "post /api/v1/auth/login",
    "post /api/v1/auth/refresh",
    "post /api/v1/auth/logout",
    "post /api/v1/auth/password",
    "post /api/v1/auth/password/forgot",
    "post /api/v1/auth/password/reset",
    "post /api/v1/auth/verify-email",
    "post /api/v1/auth/verify-email/mail",
    "get /api/v1/gateways",
    "get /api/v1/routing-rules",
    "post /api/v1/routing-rules",
    "put /api/v1/routing-rules/{id}",
    "delete /api/v1/routing-rules/{id}",
    "get /api/v1/routing-rules/choice",
    "get /api/v1/routing-rules/changes",
    "get /api/v1/api-keys",
    "post /api/v1/api-keys",
    "delete /api/v1/api-keys/{id}",
    "get /health/live",
    "get /health/ready",
    "get /metrics",
];

#[test]
fn every_route_of_the_contract_is_there() {
    let document = document();
    let there: BTreeSet<String> = operations(&document)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    for route in CONTRACT {
        assert!(there.contains(route), "{route} is missing of {there:#?}");
    }
}

#[test]
fn what_customers_say_beside_orders_is_there() {
    let document = document();
    let operations = operations(&document);
    let there: BTreeSet<&str> = operations.iter().map(|(name, _)| name.as_str()).collect();
    for route in [
        "get /api/v1/wishlists",
        "post /api/v1/wishlists",
        "get /api/v1/wishlists/{id}",
        "put /api/v1/wishlists/{id}",
        "delete /api/v1/wishlists/{id}",
        "put /api/v1/wishlists/{id}/items/{sku}",
        "delete /api/v1/wishlists/{id}/items/{sku}",
        "post /api/v1/wishlists/{id}/share",
        "delete /api/v1/wishlists/{id}/share",
        "get /api/v1/profile/addresses",
        "post /api/v1/profile/addresses",
        "get /api/v1/profile/addresses/{id}",
        "put /api/v1/profile/addresses/{id}",
        "delete /api/v1/profile/addresses/{id}",
        "get /api/v1/products/{sku}/reviews",
        "get /api/v1/profile/reviews",
        "get /api/v1/profile/reviews/{sku}",
        "put /api/v1/profile/reviews/{sku}",
        "delete /api/v1/profile/reviews/{sku}",
        "get /api/v1/reviews",
        "post /api/v1/reviews/{id}/moderation",
        "post /api/v1/tickets",
        "get /api/v1/tickets",
        "get /api/v1/tickets/{id}",
        "post /api/v1/tickets/{id}/messages",
        "post /api/v1/tickets/{id}/close",
        "get /api/v1/faq",
        "post /api/v1/faq",
        "put /api/v1/faq/{id}",
        "delete /api/v1/faq/{id}",
    ] {
        assert!(there.contains(route), "{route} is missing of {there:#?}");
    }
}

#[test]
fn the_document_is_3_1_and_its_operations_have_names_of_their_own() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut names = BTreeSet::new();
    for (operation, it) in operations(&document) {
        let name = it["operationId"].as_str().unwrap();
        assert!(names.insert(name.to_owned()), "{name} of {operation} is taken");
        assert!(it["summary"].is_string() && it["tags"][0].is_string(), "{operation}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    found.retain(|reference| {
        document
            .pointer(reference.trim_start_matches('#'))
            .is_none()
    });
    assert!(found.is_empty(), "{found:?} lead nowhere");
}

#[test]
fn commands_need_a_key_and_staff_routes_a_token() {
    for (operation, it) in operations(&document()) {
        let (method, path) = operation.split_once(' ').unwrap();
        let is_change = method != "get";
        let parameters = it["parameters"].to_string();
        let is_command = is_change && needs_key(method, path);
        assert_eq!(parameters.contains("IdempotencyKey"), is_command, "{operation}");
        // Vendors have addresses that are not even staff's.
        let security = it["security"].to_string();
        let is_closed = ["admin", "vendor"]
            .iter()
            .any(|role| security.contains(role));
        let told = it["responses"].get("401").is_some();
        let signs_in = path.contains("/auth/") || path.contains("/webhooks/{name}");
        assert!(told == (is_closed || is_command) || signs_in, "{operation}");
    }
}

/// The example of a body is accepted, and a body of every property that the document names has
/// no unknown field.
fn agrees<B: Body>(document: &Value, name: &str) {
    let schema = &document["components"]["schemas"][name];
    let gateways = ["sandbox".to_owned()];
    let example = schema["example"].clone();
    assert!(fields::read_value::<B>(&example, &gateways).is_ok(), "{name}: {example}");
    assert_eq!(schema["additionalProperties"], Value::Bool(false), "{name}");

    let properties = schema["properties"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let everything: Value = properties
        .into_iter()
        .map(|(name, _)| (name, Value::from(-1)))
        .collect();
    let problem = fields::read_value::<B>(&everything, &gateways).err();
    let told = format!("{problem:?}");
    assert!(!told.contains("not a known field"), "{name}: {told}");
}

#[test]
fn the_bodies_of_the_document_are_those_that_are_read() {
    let document = document();
    agrees::<OrderBody>(&document, "PlaceOrder");
    agrees::<CheckoutBody>(&document, "CheckOut");
    agrees::<promotions::Describing>(&document, "DescribePromotion");
    agrees::<delivery::DescribingMethod>(&document, "DescribeShippingMethod");
    agrees::<delivery::DescribingPoint>(&document, "DescribePickupPoint");
    agrees::<shipping_quotes::AskingShipping>(&document, "AskShipping");
    agrees::<carts::Opening>(&document, "OpenCart");
    agrees::<carts::Adding>(&document, "AddToCart");
    agrees::<carts::Amending>(&document, "ChangeCart");
    agrees::<carts::Setting>(&document, "SetCartItem");
    agrees::<carts::Merging>(&document, "MergeCart");
    agrees::<moves::Cancellation>(&document, "CancelOrder");
    agrees::<moves::Empty>(&document, "Nothing");
    agrees::<refunds::Refunding>(&document, "RefundOrder");
    agrees::<unmatched::GivingBack>(&document, "RefundWebhook");
    agrees::<attending::Resolving>(&document, "ResolveWebhook");
    agrees::<manual::Taking>(&document, "ReceivePayment");
    agrees::<manual::HandingOut>(&document, "PayOutRefund");
    agrees::<payments::Starting>(&document, "StartPayment");
    agrees::<products::Describing>(&document, "DescribeProduct");
    agrees::<listings::Describing>(&document, "DescribeListing");
    agrees::<categories::Putting>(&document, "PutCategory");
    agrees::<vendors::Registering>(&document, "RegisterVendor");
    agrees::<vendors::Describing>(&document, "DescribeVendor");
    agrees::<shipping::Shipping>(&document, "ShipLines");
    agrees::<rates::LoadingRates>(&document, "LoadRates");
    agrees::<inventory::Receiving>(&document, "ReceiveStock");
    agrees::<inventory::Adjusting>(&document, "AdjustStock");
    agrees::<read_models::Rebuilding>(&document, "RebuildProjection");
    agrees::<auth::Registration>(&document, "Register");
    agrees::<auth::Credentials>(&document, "Login");
    agrees::<auth::RefreshToken>(&document, "Refresh");
    agrees::<auth::PasswordChange>(&document, "ChangePassword");
    agrees::<auth::Address>(&document, "ForgotPassword");
    agrees::<auth::Reset>(&document, "ResetPassword");
    agrees::<auth::MailedToken>(&document, "Proof");
    agrees::<api_keys::Making>(&document, "MakeApiKey");
    agrees::<reviewing::Reviewing>(&document, "ReviewOrder");
    agrees::<fraud_rules::Ruling>(&document, "WriteFraudRule");
    agrees::<blocklist::Blocking>(&document, "Block");
    agrees::<addresses::Writing>(&document, "WriteAddress");
    agrees::<wishlists::Naming>(&document, "WriteWishlist");
    agrees::<wishlists::Wishing>(&document, "WishFor");
    agrees::<reviews::Writing>(&document, "WriteReview");
    agrees::<reviews::Moderating>(&document, "ModerateReview");
    agrees::<tickets::Opening>(&document, "OpenTicket");
    agrees::<tickets::Writing>(&document, "WriteMessage");
    agrees::<faq::Writing>(&document, "WriteFaqEntry");
    agrees::<routing_rules::Ruling>(&document, "WriteRoutingRule");
}

/// Every problem of an operation: status and code.
fn problems_of(document: &Value, operation: &Value) -> BTreeSet<(u16, String)> {
    let mut problems = BTreeSet::new();
    for (status, response) in operation["responses"].as_object().unwrap() {
        let response = postman::resolved(document, response);
        let schema = &response["content"]["application/problem+json"]["schema"];
        let codes = schema["allOf"][1]["properties"]["code"]["enum"].as_array();
        for code in codes.into_iter().flatten() {
            problems.insert((status.parse().unwrap(), code.as_str().unwrap().to_owned()));
        }
    }
    problems
}

#[test]
fn every_operation_names_its_codes() {
    let document = document();
    let mut missing = Vec::new();
    for (operation, it) in operations(&document) {
        let (method, path) = operation.split_once(' ').unwrap();
        let Some(below) = path.strip_prefix(BASE) else {
            continue;
        };
        let name = format!("{method} {below}");
        if method != "get" && !codes::OF_OPERATIONS.iter().any(|(of, _)| *of == name) {
            missing.push(format!("    (\"{name}\", &[]),"));
        }
        let problems = problems_of(&document, it);
        for common in [
            (429, "too_many_requests"),
            (500, "internal"),
            (503, "unavailable"),
        ] {
            assert!(problems.contains(&(common.0, common.1.to_owned())), "{name}: {common:?}");
        }
        for (status, response) in it["responses"].as_object().unwrap() {
            let is_problem = status.as_str() >= "400";
            let told = problems.iter().any(|(of, _)| of.to_string() == *status);
            assert!(!is_problem || told, "{name} {status} has no code: {response}");
        }
    }
    assert!(
        missing.is_empty(),
        "these change something, and say nothing of their problems: write a row for each in \
         openapi/codes.rs, with the codes that its handler and its refusals can answer:\n{}",
        missing.join("\n")
    );
    for (name, _) in codes::OF_OPERATIONS {
        let (method, below) = name.split_once(' ').unwrap();
        let it = &document["paths"][format!("{BASE}{below}")][method];
        assert!(it.is_object(), "the row {name} of openapi/codes.rs is of no route");
    }
}

/// Codes as the sources write them, behind what makes a problem.
fn codes_in(text: &str) -> Vec<&str> {
    let made = [
        "(STATE, ",
        "(REFUSED, ",
        "(GONE, ",
        "conflict(",
        "for_later(",
        "not_let_in(",
    ];
    let made = made
        .into_iter()
        .flat_map(|before| text.split(before).skip(1));
    let by_status = text.split("StatusCode::").skip(1).filter_map(|rest| {
        let (status, rest) = rest.split_once(',')?;
        let is_status = status
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        is_status.then_some(rest.trim_start())
    });
    made.chain(by_status)
        .filter_map(|rest| rest.strip_prefix('"')?.split('"').next())
        .filter(|code| {
            code.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        })
        .collect()
}

#[test]
fn every_code_of_the_sources_is_in_the_document() {
    let document = document();
    let told: BTreeSet<String> = operations(&document)
        .into_iter()
        .flat_map(|(_, it)| problems_of(&document, it))
        .map(|(_, code)| code)
        .collect();
    // Of addresses that are none of ours, and of refusals that the checkout process alone hears.
    let elsewhere = [
        "method_not_allowed",
        "capture_mismatch",
        "discount_wrong",
        "insufficient_stock",
        "order_already_placed",
        "order_already_processing",
        "order_held",
        "product_not_described",
        "promotion_already_reserved",
        "promotion_not_reserved",
        "refund_not_pending",
        "stock_already_reserved",
        "stock_not_reserved",
        "unknown_attempt",
    ];
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http");
    let mut count = 0;
    for entry in std::fs::read_dir(sources).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() || path.to_string_lossy().ends_with("_tests.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for code in codes_in(text) {
            count += 1;
            assert!(
                told.contains(code) || elsewhere.contains(&code),
                "{code} of {} is in no row of openapi/codes.rs: name it in the rows of the \
                 operations that can answer it",
                path.display()
            );
        }
    }
    assert!(60 < count, "the sources are read: {count} codes");
}
