//! Problems in the document: one form for all, and for each operation and status the codes that it
//! can have.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::codes::Kind;

/// Statuses of problems.
pub(super) const STATUSES: [u16; 12] = [400, 401, 403, 404, 409, 412, 413, 415, 422, 429, 500, 503];

/// Responses that operations share, by what makes them the same.
#[derive(Default)]
pub(super) struct Shared(BTreeMap<(u16, Vec<&'static str>), String>);

impl Shared {
    /// A reference to the response with this status and these codes.
    pub(super) fn refer(&mut self, status: u16, codes: Vec<&'static str>) -> Value {
        let same_status = self.0.keys().filter(|(of, _)| *of == status).count();
        let name = self
            .0
            .entry((status, codes))
            .or_insert_with(|| match same_status {
                0 => status.to_string(),
                others => format!("{status}-{}", others + 1),
            });
        json!({"$ref": format!("#/components/responses/{name}")})
    }

    /// All that were referred to.
    pub(super) fn responses(&self) -> Value {
        let responses = self
            .0
            .iter()
            .map(|((status, codes), name)| (name.clone(), response(*status, codes)));
        let mut responses: Map<String, Value> = responses.collect();
        responses.insert("304".into(), json!({"description": "The client has it already"}));
        responses.into()
    }
}

fn response(status: u16, codes: &[&str]) -> Value {
    let headers: &[&str] = match status {
        401 => &["WWW-Authenticate"],
        404 | 412 | 422 => &["Idempotent-Replayed", "Daybook-Position"],
        409 => &["Idempotent-Replayed", "Daybook-Position", "Retry-After"],
        429 | 503 => &["Retry-After"],
        _ => &[],
    };
    let always = [
        "X-Request-Id",
        "traceparent",
        "RateLimit-Policy",
        "RateLimit",
    ];
    let header =
        |name: &&str| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")}));
    let headers: Map<String, Value> = always.iter().chain(headers).map(header).collect();
    let listed: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    json!({
        "description": format!("{}: {}", meaning(status), listed.join(", ")),
        "headers": headers,
        "content": {"application/problem+json": {"schema": {
            "allOf": [
                {"$ref": "#/components/schemas/Problem"},
                {
                    "type": "object",
                    "properties": {"code": {"enum": codes}, "status": {"const": status}}
                }
            ]
        }}}
    })
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "Cannot be read",
        401 => "Who is asking is not known",
        403 => "Who is asking may not",
        404 => "No such thing",
        409 => "The state forbids it",
        412 => "It is at another version, with `expected` and `actual`",
        413 => "The body is too large",
        415 => "The body is not what is read here",
        422 => "Understood and refused",
        429 => "Too fast: wait as long as `Retry-After` says",
        500 => "Our fault",
        503 => "Try again after `Retry-After`",
        _ => "A problem",
    }
}

/// The responses with the statuses that an operation can be answered with, beside those that its
/// handler tells.
pub(super) fn complete(kind: Kind<'_>, shared: &mut Shared, responses: &mut Map<String, Value>) {
    for status in STATUSES {
        let codes = kind.codes(status);
        if codes.is_empty() {
            // What a handler tells of a problem without a code is told by no row.
            responses.remove(&status.to_string());
        } else {
            responses.insert(status.to_string(), shared.refer(status, codes));
        }
    }
}

/// The form of every problem.
pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457",
        "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "A sentence, for people"},
            "instance": {"type": "string", "description": "The path of the request"},
            "code": {"type": "string", "description": "Stable, for programs"},
            "request_id": {"type": "string"},
            "errors": {
                "type": "array",
                "description": "Every bad field, parameter or header",
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": {
                        "pointer": {
                            "type": "string",
                            "description": "RFC 6901, `?name` of a parameter, or a header's name"
                        },
                        "detail": {"type": "string"}
                    }
                }
            },
            "expected": {"type": "integer", "description": "Of `version_mismatch`"},
            "actual": {"type": "integer", "description": "Of `version_mismatch`"},
            "old": {
                "description": "Of `price_changed`: the total that was expected, if it was said",
                "anyOf": [{"$ref": "#/components/schemas/MoneyView"}, {"type": "null"}]
            },
            "new": {
                "description": "Of `price_changed`: the total that it is by now",
                "$ref": "#/components/schemas/MoneyView"
            },
            "lines": {
                "type": "array",
                "description": "Of `price_changed`: lines that cost more than was expected of them",
                "items": {
                    "type": "object",
                    "required": ["sku", "old", "new"],
                    "properties": {
                        "sku": {"type": "string"},
                        "old": {"$ref": "#/components/schemas/MoneyView"},
                        "new": {"$ref": "#/components/schemas/MoneyView"}
                    }
                }
            },
            "reason": {
                "type": "string",
                "description": "Of `shipping_unavailable`: `inactive`, `country`, `currency`, \
                    `weight_unknown`, `weight` or `total`"
            },
            "violated-policies": {
                "type": "array", "items": {"type": "string"},
                "description": "Of `too_many_requests`: the name in `RateLimit-Policy`"
            }
        },
        "example": {
            "type": "urn:daybook:problem:invalid_fields",
            "title": "Invalid fields",
            "status": 422,
            "detail": "some fields are missing or wrong",
            "instance": "/api/v1/orders",
            "code": "invalid_fields",
            "request_id": "shop-4711",
            "errors": [{"pointer": "/items/0/quantity", "detail": "must be 1 to 1000000"}]
        }
    })
}
