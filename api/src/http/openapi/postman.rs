//! The document as a Postman collection (format v2.1), for whoever tries requests by hand: a folder
//! for each tag, a request for each operation, its example as its body.

use serde_json::{Value, json};

use super::METHODS;

const FORMAT: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";

/// The collection. Its variables are `base_url` and `token`.
pub(crate) fn collection(document: &Value) -> Value {
    let tags = document["tags"].as_array().into_iter().flatten();
    let folders: Vec<Value> = tags
        .map(|tag| {
            json!({
                "name": tag["name"],
                "description": tag["description"],
                "item": items(document, &tag["name"])
            })
        })
        .filter(|folder| {
            folder["item"]
                .as_array()
                .is_some_and(|items| !items.is_empty())
        })
        .collect();
    json!({
        "info": {
            "name": document["info"]["title"],
            "version": document["info"]["version"],
            "description": document["info"]["description"],
            "schema": FORMAT
        },
        "auth": {
            "type": "bearer",
            "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]
        },
        "variable": [
            {"key": "base_url", "value": "http://127.0.0.1:8080"},
            {"key": "token", "value": ""}
        ],
        "item": folders
    })
}

fn items(document: &Value, tag: &Value) -> Vec<Value> {
    let mut items = Vec::new();
    for (path, operations) in document["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            let operation = &operations[method];
            if operation["tags"][0] == *tag {
                items.push(item(document, path, method, operation));
            }
        }
    }
    items
}

fn item(document: &Value, path: &str, method: &str, operation: &Value) -> Value {
    let parameters: Vec<&Value> = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|parameter| resolved(document, parameter))
        .collect();
    let of_kind = |kind: &'static str| {
        parameters
            .iter()
            .filter(move |parameter| parameter["in"] == kind)
    };
    let mut headers: Vec<Value> = of_kind("header")
        .map(|header| self::header(header))
        .collect();
    let query: Vec<Value> = of_kind("query")
        .map(|parameter| value(document, parameter))
        .collect();
    let variables: Vec<Value> = of_kind("path")
        .map(|parameter| value(document, parameter))
        .collect();
    // Postman writes :id where OpenAPI writes {id}.
    let segments: Vec<String> = path
        .trim_start_matches('/')
        .split('/')
        .map(|part| match part.strip_prefix('{') {
            Some(name) => format!(":{}", name.trim_end_matches('}')),
            None => part.to_owned(),
        })
        .collect();
    let mut request = json!({
        "method": method.to_uppercase(),
        "description": operation["description"],
        "url": {
            "raw": format!("{{{{base_url}}}}/{}", segments.join("/")),
            "host": ["{{base_url}}"],
            "path": segments,
            "query": query,
            "variable": variables
        }
    });
    if let Some(example) = example_of_body(document, operation) {
        headers.push(json!({"key": "Content-Type", "value": "application/json"}));
        let raw = serde_json::to_string_pretty(&example).unwrap_or_default();
        request["body"] =
            json!({"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}});
    }
    if is_open(operation) {
        request["auth"] = json!({"type": "noauth"});
    }
    request["header"] = headers.into();
    json!({"name": operation["summary"], "request": request, "response": []})
}

fn header(header: &Value) -> Value {
    let is_required = header["required"] == true;
    let value = match header["name"].as_str() {
        // A new one for every request.
        Some("Idempotency-Key") => "{{$guid}}".into(),
        _ => header["example"].clone(),
    };
    json!({
        "key": header["name"], "value": value, "description": header["description"],
        "disabled": !is_required
    })
}

fn value(document: &Value, parameter: &Value) -> Value {
    let schema = resolved(document, &parameter["schema"]);
    let value = [
        &parameter["example"],
        &schema["example"],
        &schema["default"],
        &schema["enum"][0],
    ]
    .into_iter()
    .find(|value| !value.is_null());
    let value = match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    json!({
        "key": parameter["name"], "value": value, "description": parameter["description"],
        "disabled": parameter["in"] == "query" && parameter["required"] != true
    })
}

/// What an operation's body looks like, if it has one.
pub(super) fn example_of_body(document: &Value, operation: &Value) -> Option<Value> {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    if schema.is_null() {
        return None;
    }
    // A body that may be left out is one of several.
    let alternatives = ["oneOf", "anyOf", "allOf"];
    let inner = alternatives
        .iter()
        .filter_map(|name| schema[*name].as_array())
        .flatten();
    let mut examples = std::iter::once(schema)
        .chain(inner)
        .map(|schema| resolved(document, schema)["example"].clone());
    Some(
        examples
            .find(|example| !example.is_null())
            .unwrap_or_else(|| json!({})),
    )
}

/// Whether anybody may ask: with a token as well, but nobody needs one.
fn is_open(operation: &Value) -> bool {
    let alternatives = operation["security"].as_array();
    alternatives.is_none_or(|all| all.is_empty() || all.iter().any(|one| *one == json!({})))
}

/// What a reference leads to, or the thing itself.
pub(super) fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let target = value["$ref"].as_str().and_then(|to| to.strip_prefix('#'));
    target
        .and_then(|target| document.pointer(target))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::document;

    /// Every request of the collection, with the name of its folder.
    fn requests(collection: &Value) -> Vec<(&Value, &Value)> {
        let folders = collection["item"].as_array().unwrap();
        folders
            .iter()
            .flat_map(|folder| {
                let items = folder["item"].as_array().unwrap();
                items.iter().map(move |item| (&folder["name"], item))
            })
            .collect()
    }

    #[test]
    fn every_operation_is_a_request_and_has_what_it_needs() {
        let document = document();
        let collection = collection(&document);
        assert_eq!(collection["info"]["schema"], FORMAT);
        let requests = requests(&collection);
        let operations = document["paths"].as_object().unwrap().values();
        let operations: usize = operations.map(|item| item.as_object().unwrap().len()).sum();
        assert_eq!(requests.len(), operations, "a tag that is not among the tags hides them");
        for (folder, item) in requests {
            let request = &item["request"];
            let name = format!("{folder} {}", item["name"]);
            let raw = request["url"]["raw"].as_str().unwrap();
            assert!(raw.starts_with("{{base_url}}/") && !raw.contains("/{"), "{name}: {raw}");
            let variables = request["url"]["variable"].as_array().unwrap();
            for variable in raw.split('/').filter_map(|part| part.strip_prefix(':')) {
                assert!(variables.iter().any(|one| one["key"] == variable), "{name}: {variable}");
            }
            if let Some(raw) = request["body"]["raw"].as_str() {
                assert!(serde_json::from_str::<Value>(raw).is_ok(), "{name}");
            }
        }
    }

    #[test]
    fn placing_an_order_is_ready_to_be_sent() {
        let collection = collection(&document());
        let requests = requests(&collection);
        let (_, place) = requests
            .iter()
            .find(|(_, item)| item["name"] == "Place an order")
            .unwrap();
        let request = &place["request"];
        assert_eq!(request["method"], "POST");
        assert_eq!(request["auth"]["type"], "noauth");
        let key = request["header"].as_array().unwrap().iter();
        let key = key
            .clone()
            .find(|header| header["key"] == "Idempotency-Key")
            .unwrap();
        assert_eq!((&key["value"], &key["disabled"]), (&json!("{{$guid}}"), &json!(false)));
        let body: Value = serde_json::from_str(request["body"]["raw"].as_str().unwrap()).unwrap();
        assert_eq!(body["items"][0]["sku"], "CUP-RED");
    }
}
