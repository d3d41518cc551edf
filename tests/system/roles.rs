//! Who may do what: every endpoint with every role, and the table in `docs/ROLES.md`.

mod others;

use std::fmt::Write as _;
use std::path::Path;

use accounts::{NewApiKey, Password, Role};
use reqwest::Method;
use serde_json::{Value, json};
use tests::world::{World, an_order, send};
use uuid::Uuid;

const PHRASE: &str = "a phrase of some words";
/// Beside the roles themselves.
const GUEST: &str = "guest";

/// One endpoint, as the OpenAPI document has it.
struct Endpoint {
    method: String,
    path: String,
    /// Roles that may, guests included.
    may: Vec<String>,
    /// Of those, the ones for whom only what is theirs exists.
    own: Vec<String>,
}

impl Endpoint {
    fn all(document: &Value) -> Vec<Self> {
        let mut endpoints = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                endpoints.push(Self::of(method, path, operation));
            }
        }
        endpoints
    }

    fn of(method: &str, path: &str, operation: &Value) -> Self {
        let names = |list: &Value| -> Vec<String> {
            let list = list.as_array().cloned().unwrap_or_default();
            list.iter()
                .map(|name| name.as_str().unwrap().to_owned())
                .collect()
        };
        let everybody = || {
            let roles = Role::ALL.iter().map(|role| role.name().to_owned());
            roles.chain([GUEST.to_owned()]).collect::<Vec<_>>()
        };
        let alternatives = operation["security"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let roles: Vec<String> = alternatives
            .iter()
            .flat_map(|one| names(&one["bearer"]))
            .collect();
        // Guests need nothing, or the secret of what they ask for.
        let is_open = alternatives.iter().any(|one| one["bearer"].is_null());
        let may = match (roles.is_empty(), is_open) {
            (true, _) => everybody(),
            (false, true) => roles.into_iter().chain([GUEST.to_owned()]).collect(),
            (false, false) => roles,
        };
        let (method, path) = (method.to_uppercase(), path.to_owned());
        Self { method, path, may, own: names(&operation["x-own"]) }
    }

    fn cell(&self, role: &str) -> &'static str {
        match (self.may.iter().any(|may| may == role), self.own.iter().any(|own| own == role)) {
            (false, _) => "",
            (true, false) => "yes",
            (true, true) => "own",
        }
    }
}

fn columns() -> Vec<&'static str> {
    [GUEST]
        .into_iter()
        .chain(Role::ALL.map(Role::name))
        .collect()
}

fn table(endpoints: &[Endpoint]) -> String {
    let mut text = String::from(
        "# Who may call what\n\n\
         Made from the routes, and walked by a test: every endpoint with every role. *own*: only what \
         is theirs exists for\nthem, anything else is 404. The staff token is an administrator\u{2019}s. \
         Nobody without a role that may: 401 for guests, 403\nfor others.\n\n",
    );
    let columns = columns();
    let _written = writeln!(text, "| endpoint | {} |", columns.join(" | "));
    let _written = writeln!(text, "| --- |{}", " --- |".repeat(columns.len()));
    for endpoint in endpoints {
        let cells: Vec<&str> = columns.iter().map(|role| endpoint.cell(role)).collect();
        let _written =
            writeln!(text, "| `{} {}` | {} |", endpoint.method, endpoint.path, cells.join(" | "));
    }
    text
}

/// A token of each role.
async fn tokens(world: &World) -> Vec<(&'static str, Option<String>)> {
    let accounts = &world.app().accounts;
    let password = Password::chosen(PHRASE).unwrap();
    let mut tokens = vec![(GUEST, None)];
    for role in Role::ALL {
        let token = if role == Role::Importer {
            let new = NewApiKey { name: "importer".into(), role, expires_at: None };
            accounts.make_key(&new, "staff").await.unwrap().1
        } else {
            let email = format!("{role}@example.org");
            accounts
                .register(&email, &password, None, role)
                .await
                .unwrap()
                .access
        };
        tokens.push((role.name(), Some(token)));
    }
    tokens
}

async fn document(world: &World) -> Value {
    send(world.guest(Method::GET, "/openapi.json"))
        .await
        .expect(200)
        .json()
}

#[tokio::test]
async fn every_endpoint_lets_in_whom_the_table_says_and_nobody_else() {
    let world = World::new().await;
    let endpoints = Endpoint::all(&document(&world).await);
    let tokens = tokens(&world).await;
    let mut checked = 0;
    for endpoint in &endpoints {
        let id = Uuid::now_v7().to_string();
        let path = endpoint
            .path
            .replace("{id}", &id)
            .replace("{sku}", "x")
            .replace("{name}", "x")
            .replace("{handle}", "x")
            // It would go on for ever.
            .replace("/events/stream", "/events/stream?to=0");
        for (role, token) in &tokens {
            let method: Method = endpoint.method.parse().unwrap();
            let mut request = world.guest(method.clone(), &path);
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            if method != Method::GET && method != Method::DELETE {
                let key = Uuid::now_v7().to_string();
                request = request.header("idempotency-key", key).json(&json!({}));
            }
            let answer = send(request).await;
            let what = format!("{} {path} as {role}: {}", endpoint.method, answer.text);
            let status = answer.status.as_u16();
            if endpoint.may.iter().any(|may| may == role) {
                assert!(![401, 403].contains(&status) && status < 500, "{what}");
            } else if *role == GUEST {
                assert_eq!(answer.problem(401), "unauthenticated", "{what}");
            } else {
                assert_eq!(answer.problem(403), "forbidden", "{what}");
            }
            checked += 1;
        }
    }
    assert_eq!(checked, endpoints.len() * columns().len());
}

/// `UPDATE_DOCS=1` writes the table anew.
#[tokio::test]
async fn the_table_in_the_documents_is_the_one_that_holds() {
    let world = World::new().await;
    let table = table(&Endpoint::all(&document(&world).await));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ROLES.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&page, &table).unwrap();
    }
    let written = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        written == table,
        "docs/ROLES.md is not what holds; UPDATE_DOCS=1 writes it anew"
    );
}

/// Somebody who has signed in.
async fn signed_in(world: &World, email: &str, role: Role) -> String {
    let password = Password::chosen(PHRASE).unwrap();
    let registered = world
        .app()
        .accounts
        .register(email, &password, None, role)
        .await;
    registered.unwrap().access
}

#[tokio::test]
async fn what_is_not_yours_does_not_exist() {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    let ada = signed_in(&world, "ada@example.org", Role::Customer).await;
    let bob = signed_in(&world, "bob@example.org", Role::Customer).await;
    let analyst = signed_in(&world, "ana@example.org", Role::Analyst).await;
    let place = world
        .guest(Method::POST, "/api/v1/orders")
        .bearer_auth(&ada);
    let placed = send(
        place
            .header("idempotency-key", "k")
            .json(&an_order(&[("cup", 1)])),
    )
    .await;
    let placed = placed.expect(201).json();
    assert_eq!(placed["order_token"], Value::Null, "who has signed in needs none");
    let path = format!("/api/v1/orders/{}", placed["id"].as_str().unwrap());
    let cancel = async |token: &str| {
        let request = world
            .guest(Method::POST, &format!("{path}/cancel"))
            .bearer_auth(token);
        let key = Uuid::now_v7().to_string();
        send(
            request
                .header("idempotency-key", key)
                .json(&json!({"reason": "none"})),
        )
        .await
    };
    assert_eq!(cancel(&bob).await.problem(404), "not_found");
    assert_eq!(cancel(&analyst).await.problem(403), "forbidden");
    world.settle().await;

    let see = async |path: &str, token: &str| {
        send(world.guest(Method::GET, path).bearer_auth(token)).await
    };
    let timeline = format!("{path}/timeline");
    for path in [&path, &timeline] {
        let _seen = see(path, &ada).await.expect(200);
        let _seen = see(path, &analyst).await.expect(200);
        assert_eq!(see(path, &bob).await.problem(404), "not_found");
        assert_eq!(send(world.guest(Method::GET, path)).await.problem(404), "not_found");
    }
    let count = async |token: &str| {
        let list = see("/api/v1/orders", token).await.expect(200).json();
        list["items"].as_array().unwrap().len()
    };
    assert_eq!((count(&ada).await, count(&bob).await, count(&analyst).await), (1, 0, 1));
    // Every event names who caused it.
    let told = see(&timeline, &ada).await.json();
    let actor = told["items"][0]["actor"].as_str().unwrap();
    assert!(actor.starts_with("customer:"), "{actor}");
    let _cancelled = cancel(&ada).await.expect(200);
}

#[tokio::test]
async fn a_guest_opens_an_order_by_its_token_and_nobody_by_another() {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    let place = async |key: &str| {
        let request = world
            .guest(Method::POST, "/api/v1/orders")
            .header("idempotency-key", key);
        send(request.json(&an_order(&[("cup", 1)])))
            .await
            .expect(201)
            .json()
    };
    let (one, other) = (place("one").await, place("other").await);
    assert_eq!(place("one").await, one, "a repetition is told the same token");
    world.settle().await;
    let (id, token) = (one["id"].as_str().unwrap(), one["order_token"].as_str().unwrap());
    let wrong = other["order_token"].as_str().unwrap();

    for path in [
        format!("/api/v1/orders/{id}"),
        format!("/api/v1/orders/{id}/timeline"),
        format!("/api/v1/orders/{id}/payment"),
    ] {
        let by_link = |token: &str| world.guest(Method::GET, &format!("{path}?token={token}"));
        let _seen = send(by_link(token)).await.expect(200);
        for wrong in ["", wrong, "x", &token[1..], &format!("{token}A")] {
            assert_eq!(send(by_link(wrong)).await.problem(404), "not_found", "{wrong}");
        }
        let by_header = world
            .guest(Method::GET, &path)
            .header("daybook-order-token", token);
        let _seen = send(by_header).await.expect(200);
    }
    let cancel = |token: &str, key: &str| {
        let request = world.guest(Method::POST, &format!("/api/v1/orders/{id}/cancel"));
        let request = request
            .header("daybook-order-token", token)
            .header("idempotency-key", key);
        send(request.json(&json!({"reason": "ordered twice"})))
    };
    assert_eq!(cancel(wrong, "wrong").await.problem(404), "not_found");
    let _cancelled = cancel(token, "right").await.expect(200);
}

#[tokio::test]
async fn whoever_proves_an_address_finds_what_was_ordered_under_it() {
    let world = World::new().await;
    world.article("cup", "4.50", 10).await;
    let request = world
        .guest(Method::POST, "/api/v1/orders")
        .header("idempotency-key", "k");
    let mut order = an_order(&[("cup", 1)]);
    order["customer"]["email"] = "Ada@Example.org".into();
    let placed = send(request.json(&order)).await.expect(201).json();
    world.settle().await;
    let ada = signed_in(&world, "ada@example.org", Role::Customer).await;
    let path = format!("/api/v1/orders/{}", placed["id"].as_str().unwrap());
    let see = async |path: &str| send(world.guest(Method::GET, path).bearer_auth(&ada)).await;
    let count = async || {
        see("/api/v1/orders").await.json()["items"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(see(&path).await.problem(404), "not_found", "the address is only claimed");
    assert_eq!(count().await, 0);

    tests::people::prove(&world, "ada@example.org").await;

    let _seen = see(&path).await.expect(200);
    assert_eq!(count().await, 1);
}
