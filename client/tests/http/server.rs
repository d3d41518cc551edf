//! A server that keeps the part of the contract the command line relies on, in memory: tokens,
//! idempotency keys, stock that runs out, and bad days on demand.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use serde_json::{Value, json};

pub(crate) const TOKEN: &str = "staff";

/// What the server has seen and keeps.
#[derive(Default)]
pub(crate) struct World {
    /// Every request that reached it, in order.
    pub(crate) requests: Vec<Seen>,
    /// The first answer of each key, with the request it belongs to.
    pub(crate) answers: HashMap<String, (String, StatusCode, Value)>,
    /// Units on the shelf.
    pub(crate) stock: BTreeMap<String, i64>,
    /// Placed orders by id: their status, and how often they were asked for.
    pub(crate) orders: BTreeMap<String, (String, u32)>,
    /// Answered with 503 the first time.
    pub(crate) busy_once: HashSet<String>,
    /// Answered with 503 always.
    pub(crate) always_busy: bool,
    /// Orders with this SKU are refused.
    pub(crate) refused_sku: Option<String>,
    /// New orders are pending until they are asked for this often.
    pub(crate) pending_for: u32,
    /// New orders end like this instead of being confirmed.
    pub(crate) ends_as: Option<String>,
    /// From this many requests on, nobody is known any more.
    pub(crate) forgets_tokens_after: Option<usize>,
    /// Answers of `GET /projections`, the last one again and again.
    pub(crate) listings: Vec<Value>,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) key: String,
    pub(crate) prefer: String,
    pub(crate) body: Value,
}

/// A running server.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) world: Arc<Mutex<World>>,
}

impl Server {
    pub(crate) async fn start(world: World) -> Self {
        let world = Arc::new(Mutex::new(world));
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&world));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, world }
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.world.lock().unwrap())
    }

    /// Requests whose line starts like this, such as `POST /orders`.
    pub(crate) fn seen(&self, line: &str) -> Vec<Seen> {
        let seen = |world: &mut World| {
            world
                .requests
                .iter()
                .filter(|seen| seen.line.starts_with(line))
                .cloned()
                .collect()
        };
        self.change(seen)
    }
}

async fn answer(
    State(world): State<Arc<Mutex<World>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let text = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    };
    let path = uri
        .path()
        .strip_prefix("/api/v1")
        .unwrap_or_default()
        .replace("%20", " ");
    let seen = Seen {
        line: format!("{method} {path}"),
        key: text("idempotency-key"),
        prefer: text("prefer"),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let mut world = world.lock().unwrap();
    world.requests.push(seen.clone());
    let forgotten = world
        .forgets_tokens_after
        .is_some_and(|limit| limit < world.requests.len());
    match text("authorization").strip_prefix("Bearer ") {
        Some(TOKEN) if !forgotten => {}
        Some("customer") => return problem(StatusCode::FORBIDDEN, "forbidden"),
        Some(_) | None => return problem(StatusCode::UNAUTHORIZED, "unauthorised"),
    }
    if method == Method::GET {
        return world.query(&path);
    }
    if world.always_busy || world.busy_once.remove(&seen.key) {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable");
    }
    let request = format!("{} {}", seen.line, seen.body);
    if let Some((first, status, body)) = world.answers.get(&seen.key) {
        if *first != request {
            return problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused");
        }
        return json_answer(*status, body, true);
    }
    let (status, body) = world.execute(&path, &seen.body);
    world
        .answers
        .insert(seen.key, (request, status, body.clone()));
    json_answer(status, &body, false)
}

impl World {
    fn query(&mut self, path: &str) -> Response<Body> {
        if path == "/projections" {
            let caught_up = json!({"items": [
                {"name": "orders", "position": 9, "lag": 0, "state": "live"}
            ]});
            let listing = match self.listings.len() {
                0 => caught_up,
                1 => self.listings[0].clone(),
                _ => self.listings.remove(0),
            };
            return json_answer(StatusCode::OK, &listing, false);
        }
        let Some(id) = path.strip_prefix("/orders/") else {
            return problem(StatusCode::NOT_FOUND, "not_found");
        };
        let (pending_for, ends_as) = (self.pending_for, self.ends_as.clone());
        let Some((status, asked)) = self.orders.get_mut(id) else {
            return problem(StatusCode::NOT_FOUND, "not_found");
        };
        *asked += 1;
        if status == "pending" && pending_for <= *asked {
            *status = ends_as.unwrap_or_else(|| "confirmed".to_owned());
        }
        json_answer(StatusCode::OK, &json!({"id": id, "status": status}), false)
    }

    fn execute(&mut self, path: &str, body: &Value) -> (StatusCode, Value) {
        let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
        match parts[..] {
            ["products", sku] => (StatusCode::OK, json!({"sku": sku, "version": 1})),
            ["inventory", sku, "receipts"] => {
                let units = body["quantity"].as_i64().unwrap();
                *self.stock.entry(sku.to_owned()).or_default() += units;
                (StatusCode::CREATED, json!({"sku": sku}))
            }
            ["orders"] => self.place(body),
            ["orders", id, "complete"] => {
                let Some((status, _)) = self.orders.get_mut(id) else {
                    return (StatusCode::NOT_FOUND, json!({"code": "not_found"}));
                };
                "completed".clone_into(status);
                (StatusCode::OK, json!({"id": id, "status": "completed"}))
            }
            ["projections", "sales" | "orders", "rebuild"]
            | ["projections", "sales", "rebuild", _]
            | ["projections", "sales", "replay"] => (StatusCode::ACCEPTED, json!({})),
            _ => (StatusCode::NOT_FOUND, json!({"code": "not_found", "detail": "no such thing"})),
        }
    }

    fn place(&mut self, body: &Value) -> (StatusCode, Value) {
        let items = body["items"].as_array().unwrap().clone();
        if items
            .iter()
            .any(|item| item["sku"].as_str() == self.refused_sku.as_deref())
        {
            let refusal = json!({"code": "product.not_sold", "detail": "not for sale",
                "errors": [{"pointer": "/items/0/sku", "detail": "withdrawn"}]});
            return (StatusCode::UNPROCESSABLE_ENTITY, refusal);
        }
        for item in &items {
            let units = self
                .stock
                .entry(item["sku"].as_str().unwrap().to_owned())
                .or_default();
            *units -= item["quantity"].as_i64().unwrap();
        }
        let id = format!("order-{}", self.orders.len() + 1);
        let status = if self.pending_for == 0 {
            "confirmed"
        } else {
            "pending"
        };
        self.orders.insert(id.clone(), (status.to_owned(), 0));
        (StatusCode::CREATED, json!({"id": id, "status": status, "version": 1}))
    }
}

fn problem(status: StatusCode, code: &str) -> Response<Body> {
    let body = json!({"status": status.as_u16(), "code": code, "detail": format!("it is {code}")});
    let mut answer = json_answer(status, &body, false);
    answer
        .headers_mut()
        .insert("retry-after", "0".parse().unwrap());
    answer
}

fn json_answer(status: StatusCode, body: &Value, replayed: bool) -> Response<Body> {
    let mut answer = Response::new(Body::from(body.to_string()));
    *answer.status_mut() = status;
    if replayed {
        answer
            .headers_mut()
            .insert("idempotent-replayed", "true".parse().unwrap());
    }
    answer
}
