//! The examples of the OpenAPI document are real: each is sent, and what comes back has the status
//! and the shape that the document says.

mod people;
mod shop;

use std::collections::BTreeMap;

use gateways::settings::Environment;
use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Value, json};
use tests::World;
use tests::documented::{DOCUMENT, resolved};
use tests::telling::keyed;
use tests::world::{Answer, an_order, an_order_paid_with, send};

const PHRASE: &str = "a phrase of some words";

/// What has to be there for examples to meet something.
struct Scene {
    world: World,
    /// What stands in paths, by operation; one after the other where there are several.
    places: BTreeMap<&'static str, String>,
    /// Tokens that are shown instead of staff's.
    tokens: BTreeMap<&'static str, String>,
    /// Values that only this server knows, and the document cannot, by operation.
    values: BTreeMap<&'static str, Value>,
}

async fn made(world: &World, path: &str, body: Value) -> Value {
    let answer = send(keyed(world.staff(Method::POST, path)).json(&body)).await;
    assert!(answer.status.is_success(), "{path}: {}", answer.text);
    serde_json::from_str(&answer.text).unwrap_or(Value::Null)
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

/// The newest token that was mailed to somebody.
async fn mailed(world: &World, recipient: &str) -> String {
    let newest = "select payload->>'token' from notifications where recipient = $1 \
                  and payload ? 'token' order by notification_id desc limit 1";
    let token = sqlx::query_scalar(newest)
        .bind(recipient)
        .fetch_one(&world.pool)
        .await;
    token.unwrap()
}

/// The categories that the examples stand in.
async fn shelve(world: &World) {
    for handle in ["kitchen", "tea-cups"] {
        let path = format!("/api/v1/categories/{handle}");
        let put = keyed(world.staff(Method::PUT, &path)).json(&json!({"name": handle}));
        let _there = send(put).await.expect(200);
    }
}

fn of_projections() -> impl Iterator<Item = (&'static str, String)> {
    let names = ELSEWHERE.iter().map(|(name, _)| *name);
    let names = names.filter(|name| name.contains("/projections/"));
    names.map(|name| (name, "orders".to_owned()))
}

/// A rule by which payments are routed, as the example has it; its id.
async fn routing_rule(world: &World) -> String {
    let rule = &DOCUMENT["components"]["schemas"]["WriteRoutingRule"]["example"];
    let mut rule = rule.clone();
    rule["priority"] = json!(4_711);
    let rule = made(world, "/api/v1/routing-rules", rule).await;
    // Where there are rules, nobody is asked whom none of them names.
    let last = json!({"priority": 9_000, "gateways": ["sandbox"], "note": "the rest"});
    let _rule = made(world, "/api/v1/routing-rules", last).await;
    text(&rule["id"])
}

impl Scene {
    async fn set() -> Self {
        let world = World::with(|settings| {
            settings.environment = Environment::of([
                ("MANUAL_PAYMENTS", "on"),
                ("SANDBOX_WEBHOOK_SECRET", shop::WEBHOOK_SECRET),
            ]);
        })
        .await;
        world.article("CUP-RED", "4.50", 1_000).await;
        world.article("cup", "4.50", 1_000).await;
        let (places, tokens, values) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut opened = Self { world, places, tokens, values };
        opened.open_the_shop().await;
        let Self { world, mut places, mut tokens, mut values } = opened;
        let order = async |token: &str, status: &str| {
            let body = an_order_paid_with(token, &[("CUP-RED", 3)]);
            let order = made(&world, "/api/v1/orders", body).await;
            let id = text(&order["id"]);
            let _there = world.order_when(&id, status).await;
            id
        };
        places.insert("post /orders/{id}/cancel", order("ok", "confirmed").await);
        places.insert("post /orders/{id}/complete", order("ok", "confirmed").await);
        places.insert("post /orders/{id}/refunds", order("ok", "confirmed").await);
        let unpaid = order("declined", "processing").await;
        let path = format!("/api/v1/orders/{unpaid}/payment");
        tests::world::until("its attempt is declined", async || {
            let shown = world.get(&path).await;
            shown.text.contains("\"declined\"").then_some(())
        })
        .await;
        places.insert("post /orders/{id}/payments", unpaid);

        let rule = json!({
            "name": "dear", "outcome": "review",
            "condition": {"kind": "amount", "above": {"amount": "10.00", "currency": "GBP"}}
        });
        let rule = text(&made(&world, "/api/v1/fraud-rules", rule).await["id"]);
        let held = made(&world, "/api/v1/orders", an_order(&[("CUP-RED", 3)])).await;
        assert_eq!(held["review"], "held");
        places.insert("post /orders/{id}/review", text(&held["id"]));
        places.insert("put /fraud-rules/{id}", rule);

        let register = async |email: &str| {
            let body = json!({"email": email, "password": PHRASE, "name": "Somebody"});
            let path = "/api/v1/auth/register";
            let answer = send(world.guest(Method::POST, path).json(&body)).await;
            answer.expect(201).json()
        };
        // The account that the examples sign in with.
        let login = &DOCUMENT["components"]["schemas"]["Login"]["example"];
        let email = text(&login["email"]);
        let body = json!({"email": email, "password": login["password"], "name": "Ada"});
        let path = "/api/v1/auth/register";
        let ada = send(world.guest(Method::POST, path).json(&body))
            .await
            .expect(201)
            .json();
        values.insert("post /auth/verify-email", json!({"token": mailed(&world, &email).await}));
        tokens.insert("post /auth/verify-email", text(&ada["access"]));
        let hal = register("hal@example.org").await;
        values.insert("post /auth/logout", json!({"refresh": hal["refresh"]}));
        let ben = register("ben@example.org").await;
        values.insert("post /auth/refresh", json!({"refresh": ben["refresh"]}));
        let eve = register("eve@example.org").await;
        tokens.insert("post /auth/password", text(&eve["access"]));
        values.insert("post /auth/password", json!({"current_password": PHRASE}));
        let cat = text(&register("cat@example.org").await["access"]);
        for name in [
            "post /auth/verify-email/mail",
            "put /profile",
            "patch /profile",
        ] {
            tokens.insert(name, cat.clone());
        }
        let dan = json!({"email": "dan@example.org"});
        let _tokens = register("dan@example.org").await;
        let forgot = world
            .guest(Method::POST, "/api/v1/auth/password/forgot")
            .json(&dan);
        let _mailed = send(forgot).await.expect(202);
        let reset = mailed(&world, "dan@example.org").await;
        values.insert("post /auth/password/reset", json!({"token": reset}));
        let opened = json!({"email": "fay@example.org", "role": "analyst"});
        let opened = made(&world, "/api/v1/customers", opened).await;
        shelve(&world).await;
        places.insert("put /categories/{handle}", "cups".to_owned());
        places.insert("put /listings/{handle}", "red-cup".to_owned());
        places.insert("put /shipping/methods/{handle}", "post".to_owned());
        places.insert("put /shipping/pickup-points/{handle}", "station".to_owned());
        places.insert("put /customers/{id}", text(&opened["id"]));
        places.insert("delete /customers/{id}/personal-data", "ada@example.com".to_owned());
        places.insert("put /exchange-rates/{date}", chrono::Utc::now().date_naive().to_string());
        values.insert("post /customers", json!({"email": "gil@example.org"}));
        // Another than the example of `post`, which is there by then.
        values.insert("put /fraud-rules/{id}", json!({"name": "many orders indeed"}));
        values.insert("put /routing-rules/{id}", json!({"priority": 4_712}));
        places.insert("post /projections/{name}/rebuild", "sales".to_owned());
        values.insert("post /projections/{name}/rebuild", json!({"until": "1"}));
        places.extend(of_projections());
        places.insert("put /routing-rules/{id}", routing_rule(&world).await);
        world.settle().await;
        Self { world, places, tokens, values }
    }

    /// Sends the example of an operation, where the scene has a place for it.
    async fn send(&self, name: &str, path: &str, example: &Value) -> Answer {
        let place = self.places.get(name).map_or("CUP-RED", String::as_str);
        let mut places = place.split(' ');
        let path: String = path
            .split('/')
            .map(|part| {
                if part.starts_with('{') {
                    places.next().expect("a place for each parameter")
                } else {
                    part
                }
            })
            .collect::<Vec<_>>()
            .join("/");
        let (method, _) = name.split_once(' ').unwrap();
        let method: Method = method.to_uppercase().parse().unwrap();
        let mut body = example.clone();
        if let Some(Value::Object(known)) = self.values.get(name) {
            for (field, value) in known {
                body[field] = value.clone();
            }
        }
        let request = self.world.guest(method, &path);
        let token = self
            .tokens
            .get(name)
            .map_or(tests::world::STAFF, String::as_str);
        send(keyed(request.bearer_auth(token)).json(&body)).await
    }
}

/// What a body of this response must look like, if the document says so.
fn form(response: &'static Value, kind: &str) -> Option<Validator> {
    let kind = kind.split(';').next()?;
    let schema = &resolved(response)["content"][kind]["schema"];
    if schema.is_null() {
        return None;
    }
    let whole = json!({"allOf": [schema], "components": DOCUMENT["components"]});
    let form = jsonschema::draft202012::options().build(&whole);
    Some(form.unwrap_or_else(|error| panic!("the document's schema is none: {error}")))
}

/// An answer must be one that the document describes.
#[track_caller]
fn must_fit(name: &str, operation: &'static Value, answer: &Answer) {
    let status = answer.status.as_u16().to_string();
    let response = &operation["responses"][&status];
    assert!(response.is_object(), "{name}: {status} is not in the document: {}", answer.text);
    let kind = answer.header("content-type").unwrap_or_default();
    let Some(form) = form(response, &kind) else {
        let body = &answer.text;
        assert!(body.is_empty() || !kind.contains("json"), "{name}: nothing says what {body} is");
        return;
    };
    let told = match kind.split(';').next().unwrap_or_default() {
        "application/x-ndjson" => return,
        kind if kind.ends_with("json") => serde_json::from_str(&answer.text).unwrap(),
        _ => Value::String(answer.text.clone()),
    };
    let wrong: Vec<String> = form
        .iter_errors(&told)
        .map(|error| format!("{} {error}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{name} {status}: {wrong:#?} in {told:#}");
}

/// The example of an operation's body.
fn example_of(operation: &'static Value) -> Option<&'static Value> {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let inner = ["oneOf", "anyOf", "allOf"]
        .iter()
        .filter_map(|name| schema[*name].as_array());
    let mut all = std::iter::once(schema).chain(inner.flatten());
    all.find_map(|schema| {
        let example = &resolved(schema)["example"];
        (!example.is_null()).then_some(example)
    })
}

/// Where an example leads to no success here, with what is told instead.
const ELSEWHERE: [(&str, u16); 4] = [
    // A rebuild of so small a log is over before it could be stopped.
    ("post /projections/{name}/rebuild/cancel", 409),
    ("post /projections/{name}/rebuild/pause", 409),
    ("post /projections/{name}/rebuild/resume", 409),
    // Money that nobody asked for needs a provider that signs what it says: see `unmatched`.
    ("post /webhooks/{id}/refund", 404),
];

#[tokio::test]
async fn every_example_is_accepted_and_answered_as_the_document_says() {
    let scene = Box::pin(Scene::set()).await;
    let (mut sent, mut wrong) = (0, Vec::new());
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{method} {}", path.trim_start_matches(api::http::BASE));
            if operation["requestBody"].is_null() {
                continue;
            }
            let is_json = operation["requestBody"]["content"]["application/json"].is_object();
            let Some(example) = example_of(operation).filter(|_| is_json) else {
                assert!(!is_json, "{name}: its body has no example; give its schema one");
                continue;
            };
            let answer = scene.send(&name, path, example).await;
            must_fit(&name, operation, &answer);
            let elsewhere = ELSEWHERE.iter().find(|(of, _)| *of == name);
            let is_fine = match elsewhere {
                Some((_, status)) => answer.status == *status,
                None => answer.status.is_success(),
            };
            if !is_fine {
                wrong.push(format!("{name}: {} {}", answer.status, answer.text));
            }
            sent += 1;
        }
    }
    assert!(
        wrong.is_empty(),
        "these examples are refused. Mend the example, or set the scene in which it is accepted \
         (Scene::set) by giving its path a place:\n{}",
        wrong.join("\n")
    );
    assert!(30 <= sent, "{sent} examples");
}

#[tokio::test]
async fn every_query_is_answered_as_the_document_says() {
    let scene = Box::pin(Scene::set()).await;
    let world = &scene.world;
    let order = &scene.places["post /orders/{id}/complete"];
    let view = world
        .get(&format!("/api/v1/orders/{order}"))
        .await
        .expect(200)
        .json();
    let mut asked = 0;
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        let operation = &item["get"];
        if operation.is_null() || path.ends_with("/events/stream") {
            continue;
        }
        let place = match path.as_str() {
            path if path.contains("/orders/") => order.clone(),
            path if path.contains("/payments/") => text(&view["payment_id"]),
            path if path.contains("/projections/") => "sales".to_owned(),
            path if path.contains("/log/") => "1".to_owned(),
            path if path.contains("{handle}") => "cup".to_owned(),
            path if path.contains("/promotions/") => "SPRING".to_owned(),
            path if path.contains("/customers/") => scene.places["put /customers/{id}"].clone(),
            path if path.contains("/products/") || path.contains("/inventory/") => "cup".to_owned(),
            _ => uuid::Uuid::now_v7().to_string(),
        };
        let address: Vec<&str> = path
            .split('/')
            .map(|part| {
                if part.starts_with('{') {
                    place.as_str()
                } else {
                    part
                }
            })
            .collect();
        let query = match path.as_str() {
            path if path.ends_with("/reports/sales") => "?group_by=day",
            path if path.ends_with("/cart/shipping") => "?country=GB",
            path if path.ends_with("/reports/customers") => "?group_by=month",
            path if path.ends_with("/choice") => {
                "?currency=GBP&country=GB&method=credit_card&amount=4.50"
            }
            _ => "",
        };
        let name = format!("get {path}");
        let answer = world.get(&format!("{}{query}", address.join("/"))).await;
        must_fit(&name, operation, &answer);
        // The scene has none of these, so that what is told of one that is missing is looked at.
        let may_lack = [
            "/log/",
            "/webhooks/{name}",
            "{handle}",
            "{code}",
            "/tickets/",
            "/reviews/",
        ]
        .iter()
        .chain(&["/vendors/{id}", "/wishlists/", "/guests/"])
        .any(|lacking| path.contains(lacking));
        // What is somebody's own is looked at by those whose it is: see `people`.
        let is_person = ["/profile", "/cart", "/vendors/me", "/wishlists"]
            .iter()
            .any(|own| path.contains(own));
        assert!(answer.status.is_success() || may_lack || is_person, "{name}: {}", answer.text);
        asked += 1;
    }
    assert!(30 <= asked, "{asked} queries");
}
