//! The document as one page to read: every operation with its parameters, body and answers, and
//! every schema. It loads nothing and runs nothing, so that it can be read offline, printed and
//! searched with what the browser has; `/docs` is for trying requests out.

use askama::Template;
use serde_json::Value;

use super::METHODS;
use super::postman::{example_of_body, resolved};

/// The page.
#[derive(Template)]
#[template(path = "reference.html")]
struct Page {
    title: String,
    version: String,
    introduction: Vec<Paragraph>,
    tags: Vec<Tag>,
    schemas: Vec<Schema>,
}

struct Tag {
    name: String,
    description: String,
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    description: Vec<Paragraph>,
    /// Who may, in words.
    who: String,
    parameters: Vec<Field>,
    body: Option<Body>,
    answers: Vec<Answer>,
}

struct Body {
    /// Name of its schema, if it has one.
    schema: Option<String>,
    example: String,
}

struct Answer {
    status: String,
    description: Paragraph,
    /// Names of the schemas that it can have.
    schemas: Vec<String>,
}

struct Schema {
    name: String,
    description: Vec<Paragraph>,
    /// What it may be, if it is no object.
    kind: String,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    /// Where it stands: in a path, a query, a header or a body.
    place: String,
    kind: String,
    is_required: bool,
    description: Paragraph,
}

/// A text, of which every other part is code.
struct Paragraph(Vec<Part>);

struct Part {
    is_code: bool,
    text: String,
}

impl Paragraph {
    fn of(text: &str) -> Self {
        let parts = text.replace("**", "").replace('\n', " ");
        let parts = parts.split('`').enumerate();
        let parts = parts.map(|(place, text)| Part { is_code: place % 2 == 1, text: text.into() });
        Self(parts.filter(|part| !part.text.is_empty()).collect())
    }

    /// Paragraphs and the points of lists, each by itself.
    fn all_of(text: &Value) -> Vec<Self> {
        let text = text.as_str().unwrap_or_default().replace("\n- ", "\n\n- ");
        text.split("\n\n")
            .filter(|one| !one.trim().is_empty())
            .map(Self::of)
            .collect()
    }
}

/// The page, as HTML.
///
/// # Panics
/// Never: a template of ours renders whatever the document says.
pub(crate) fn page(document: &Value) -> String {
    let tags = document["tags"].as_array().into_iter().flatten();
    let tags = tags.map(|tag| Tag {
        name: text(&tag["name"]),
        description: text(&tag["description"]),
        operations: operations(document, &tag["name"]),
    });
    let schemas = document["components"]["schemas"]
        .as_object()
        .into_iter()
        .flatten();
    let page = Page {
        title: text(&document["info"]["title"]),
        version: text(&document["info"]["version"]),
        introduction: Paragraph::all_of(&document["info"]["description"]),
        tags: tags.filter(|tag| !tag.operations.is_empty()).collect(),
        schemas: schemas
            .map(|(name, schema)| self::schema(name, schema))
            .collect(),
    };
    page.render().expect("a template of ours renders")
}

fn operations(document: &Value, tag: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            if item[method]["tags"][0] == *tag {
                operations.push(operation(document, path, method, &item[method]));
            }
        }
    }
    operations
}

fn operation(document: &Value, path: &str, method: &str, operation: &Value) -> Operation {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let parameters = parameters.map(|parameter| {
        let parameter = resolved(document, parameter);
        Field {
            name: text(&parameter["name"]),
            place: text(&parameter["in"]),
            kind: kind(&parameter["schema"]),
            is_required: parameter["required"] == true,
            description: Paragraph::of(&text(&parameter["description"])),
        }
    });
    let body = example_of_body(document, operation).map(|example| Body {
        schema: names_in(&operation["requestBody"]["content"])
            .into_iter()
            .next(),
        example: serde_json::to_string_pretty(&example).unwrap_or_default(),
    });
    let answers = operation["responses"].as_object().into_iter().flatten();
    let answers = answers.map(|(status, answer)| {
        let answer = resolved(document, answer);
        Answer {
            status: status.clone(),
            description: Paragraph::of(&text(&answer["description"])),
            schemas: names_in(&answer["content"]),
        }
    });
    Operation {
        id: text(&operation["operationId"]),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(&operation["summary"]),
        description: Paragraph::all_of(&operation["description"]),
        who: who(&operation["security"]),
        parameters: parameters.collect(),
        body,
        answers: answers.collect(),
    }
}

fn who(security: &Value) -> String {
    let alternatives: Vec<&Value> = security.as_array().into_iter().flatten().collect();
    let roles = alternatives
        .iter()
        .filter_map(|one| one["bearer"].as_array())
        .flatten();
    let roles: Vec<&str> = roles.filter_map(Value::as_str).collect();
    let is_open = alternatives.iter().all(|one| one["bearer"].is_null());
    let with_guests = alternatives.iter().any(|one| one["bearer"].is_null());
    match (is_open || roles.is_empty(), with_guests) {
        (true, _) => "anybody".to_owned(),
        (false, true) => format!("guests, {}", roles.join(", ")),
        (false, false) => roles.join(", "),
    }
}

fn schema(name: &str, schema: &Value) -> Schema {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let fields = schema["properties"].as_object().into_iter().flatten();
    let fields = fields.map(|(name, property)| Field {
        name: name.clone(),
        place: String::new(),
        kind: kind(property),
        is_required: required.contains(&name.as_str()),
        description: Paragraph::of(&text(&property["description"])),
    });
    Schema {
        name: name.to_owned(),
        description: Paragraph::all_of(&schema["description"]),
        kind: kind(schema),
        fields: fields.collect(),
    }
}

/// What a value may be, in few words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|to| to.rsplit('/').next()) {
        return name.to_owned();
    }
    for together in ["oneOf", "anyOf", "allOf"] {
        if let Some(all) = schema[together].as_array() {
            let all: Vec<String> = all.iter().map(kind).collect();
            return all.join(if together == "allOf" { " and " } else { " or " });
        }
    }
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> = values.iter().map(text).collect();
        return values.join(" | ");
    }
    let kinds: Vec<String> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(text).collect(),
        Value::Null => vec!["anything".to_owned()],
        kind => vec![text(kind)],
    };
    let mut told = kinds.join(" or ");
    if told.starts_with("array") {
        told = told.replacen("array", &format!("list of {}", kind(&schema["items"])), 1);
    }
    if let Some(format) = schema["format"].as_str() {
        told = format!("{told} ({format})");
    }
    for (name, word) in [
        ("minimum", "from"),
        ("maximum", "to"),
        ("minLength", "at least"),
        ("maxLength", "at most"),
        ("minItems", "at least"),
        ("maxItems", "at most"),
        ("pattern", "as"),
    ] {
        if !schema[name].is_null() {
            told = format!("{told}, {word} {}", text(&schema[name]));
        }
    }
    told
}

/// The schemas that some content refers to, whatever its media type.
fn names_in(content: &Value) -> Vec<String> {
    fn collect(value: &Value, names: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                let name = members.get("$ref").and_then(Value::as_str);
                if let Some(name) = name.and_then(|to| to.strip_prefix("#/components/schemas/")) {
                    names.push(name.to_owned());
                }
                members.values().for_each(|value| collect(value, names));
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, names)),
            _ => {}
        }
    }
    let mut names = Vec::new();
    collect(content, &mut names);
    names.dedup();
    names
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::document;

    #[test]
    fn the_page_tells_of_every_operation_and_schema_and_loads_nothing() {
        let document = document();
        let page = page(&document);
        for (path, item) in document["paths"].as_object().unwrap() {
            for operation in item.as_object().unwrap().values() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(page.contains(&format!("id=\"{id}\"")), "{path}: {id}");
                assert!(page.contains(path), "{path}");
            }
        }
        for name in document["components"]["schemas"]
            .as_object()
            .unwrap()
            .keys()
        {
            assert!(page.contains(&format!("id=\"schema-{name}\"")), "{name}");
        }
        for link in page
            .split("href=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
        {
            let target = link.strip_prefix('#');
            let is_here = target.is_some_and(|id| page.contains(&format!("id=\"{id}\"")));
            assert!(
                is_here || ["/docs", "/openapi.json", "/postman.json"].contains(&link),
                "{link}"
            );
        }
        for loading in ["<script", "src=", "@import", "url("] {
            assert!(!page.contains(loading), "{loading}");
        }
    }

    #[test]
    fn what_the_document_says_is_shown_and_not_obeyed() {
        let document = serde_json::json!({
            "info": {"title": "<b>T</b>", "version": "1", "description": "Say `<i>` and\n- this"},
            "tags": [{"name": "one", "description": "One"}],
            "paths": {"/x": {"get": {
                "tags": ["one"], "operationId": "x", "summary": "X",
                "security": [{"bearer": ["admin"]}],
                "parameters": [{"name": "n", "in": "query", "schema": {
                    "type": "integer", "minimum": 1, "maximum": 9}}],
                "responses": {"200": {"description": "Fine"}}
            }}},
            "components": {"schemas": {}}
        });
        let page = page(&document);
        assert!(!page.contains("<b>T") && !page.contains("<i>"), "{page}");
        assert!(page.contains("integer, from 1, to 9"), "{page}");
        assert!(page.contains("admin"), "{page}");
    }
}
