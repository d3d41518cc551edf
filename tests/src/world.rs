//! A Daybook of its own for one test, and the few words in which tests speak to it.

use std::sync::LazyLock;
use std::time::Duration;

use api::node::{Node, NodeSettings, Role};
use gateways::health::Thresholds;
use gateways::settings::Environment;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};
use store::masters::MasterKeys;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing_subscriber::EnvFilter;
use uuid::Uuid;
use workers::providers::Pauses;

use crate::{documented, servers};

/// Whoever shows this is staff.
pub const STAFF: &str = "staff-token-of-tests-9c41e7d05b3fa826d17c";
/// What every world seals personal data with, unless a test says otherwise.
pub static MASTER_KEY: LazyLock<String> = LazyLock::new(MasterKeys::random_text);
/// How long a condition may take before a test fails. Generous: machines are shared.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// Pause between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// All read models, the checkout process and the calls to providers.
const READERS: usize = projections::NAMES.len() + 2;
/// JetStream reserves this for each test's stream.
const STREAM_BYTES_MAX: i64 = 16 * 1024 * 1024;

static METRICS: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    PrometheusBuilder::new()
        .install_recorder()
        .expect("one recorder per process")
});

/// A running Daybook with a database and a stream of its own.
pub struct World {
    /// Where HTTP answers, without a slash at the end.
    pub url: String,
    /// On the test's own database.
    pub pool: PgPool,
    /// How this Daybook is set.
    pub settings: NodeSettings,
    http: Client,
    running: Option<Running>,
}

struct Running {
    node: Node,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: reqwest::header::HeaderMap,
    /// Body as text, byte for byte.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text))
    }

    /// The answer, which must have this status.
    #[track_caller]
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// The problem's code, which must come with this status.
    #[track_caller]
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type").as_deref(), Some("application/problem+json"));
        self.json()["code"]
            .as_str()
            .expect("a problem has a code")
            .to_owned()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers
            .get(name)
            .map(|value| value.to_str().expect("visible").to_owned())
    }

    /// The log position that holds or reached.
    #[track_caller]
    pub fn position(&self) -> i64 {
        let position = self.header("daybook-position").expect("a position");
        position.parse().expect("a number")
    }
}

impl World {
    /// A Daybook with a payment window that no test outlives.
    pub async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// A Daybook with other settings.
    pub async fn with(adjust: impl FnOnce(&mut NodeSettings)) -> Self {
        // DAYBOOK_LOG=debug shows what a failing test's Daybook says. The first test installs both,
        // the others find them there.
        let filter = EnvFilter::try_from_env("DAYBOOK_LOG").unwrap_or_else(|_| "off".into());
        let _there = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_test_writer()
            .try_init();
        let _there = rustls::crypto::ring::default_provider().install_default();
        let (name, database_url) = new_database("").await;
        let mut settings = NodeSettings {
            database_url,
            nats_url: servers::nats_url().to_owned(),
            stream: name,
            stream_bytes_max: STREAM_BYTES_MAX,
            roles: Role::ALL.to_vec(),
            staff_token: STAFF.to_owned(),
            accounts: accounts::Settings::default(),
            payment_window: Duration::from_hours(1),
            shipping_required: false,
            review_window: Duration::from_hours(24),
            poll_pauses: Pauses::new(vec![Duration::from_millis(300)]),
            breakers: Thresholds::default(),
            backlog_max: workers::backlog::EVENTS_MAX_DEFAULT,
            rate_days_max: 5,
            self_audit: 0,
            sql_projections: None,
            sealing: None,
            masters: Some(MASTER_KEY.parse().expect("a key")),
            environment: Environment::default(),
            protection: api::http::protection::Settings::default(),
        };
        adjust(&mut settings);
        settings.environment = settings.environment.or("SANDBOX_PAYMENTS", "on");
        let pool = PgPoolOptions::new()
            .max_connections(2)
            .connect_lazy(&settings.database_url)
            .expect("a database URL");
        let url = String::new();
        let mut world = Self { url, pool, settings, http: Client::new(), running: None };
        world.start().await;
        world
    }

    /// Another process on the same data.
    pub async fn beside(&self) -> Self {
        self.beside_with(self.settings.clone()).await
    }

    /// The same with settings of its own.
    pub async fn beside_with(&self, settings: NodeSettings) -> Self {
        let (url, pool) = (String::new(), self.pool.clone());
        let mut world = Self { url, pool, settings, http: Client::new(), running: None };
        world.start().await;
        world
    }

    /// Starts it (again) on the same data.
    pub async fn start(&mut self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        self.url = format!("http://{}", listener.local_addr().expect("an address"));
        let node = Node::start(&self.settings, METRICS.clone())
            .await
            .expect("it starts");
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(api::http::serve(listener, node.app.clone(), stopped));
        self.running = Some(Running { node, stop, server });
    }

    /// Stops it in order.
    pub async fn stop(&mut self) {
        if let Some(Running { node, stop, server }) = self.running.take() {
            stop.send_replace(true);
            server.await.expect("it stops serving");
            node.stop().await;
        }
    }

    /// Stops it and starts it again.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// What HTTP works with, for tests that reach below it.
    ///
    /// # Panics
    /// If it is not running.
    pub fn app(&self) -> &api::http::app::App {
        &self.running.as_ref().expect("it runs").node.app
    }

    /// A request as staff; its path begins with a slash.
    pub fn staff(&self, method: Method, path: &str) -> RequestBuilder {
        self.guest(method, path).bearer_auth(STAFF)
    }

    /// A request as nobody in particular.
    pub fn guest(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// A query as staff.
    pub async fn get(&self, path: &str) -> Answer {
        send(self.staff(Method::GET, path)).await
    }

    /// A command as staff, under a key of its own.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_as(&Uuid::now_v7().to_string(), path, body).await
    }

    /// A command as staff, under this key.
    pub async fn post_as(&self, key: &str, path: &str, body: Value) -> Answer {
        send(
            self.staff(Method::POST, path)
                .header("idempotency-key", key)
                .json(&body),
        )
        .await
    }

    /// Offers an article at a price in pounds, with so many in stock.
    pub async fn article(&self, sku: &str, price: &str, stock: u32) {
        let body = json!({
            "name": format!("The {sku}"),
            "price": {"amount": price, "currency": "GBP"},
            "active": true,
        });
        let key = Uuid::now_v7().to_string();
        let path = format!("/api/v1/products/{sku}");
        let put = self
            .staff(Method::PUT, &path)
            .header("idempotency-key", key)
            .json(&body);
        let _described = send(put).await.expect(200);
        if 0 < stock {
            let path = format!("/api/v1/inventory/{sku}/receipts");
            let body = json!({"quantity": stock, "reference": "opening stock"});
            let received = self.post(&path, body).await;
            assert!(received.status.is_success(), "{}", received.text);
        }
    }

    /// Waits until nothing moves any more: read models, checkout and providers have taken in
    /// everything, and no order is between two states of its own accord.
    pub async fn settle(&self) {
        let mut last = -1;
        until("everything settles", async || {
            let head: i64 = sqlx::query_scalar("select position from log_head")
                .fetch_one(&self.pool)
                .await
                .ok()?;
            let marks: Vec<i64> = sqlx::query_scalar(
                "select position from read.marks union all select position from worker_marks",
            )
            .fetch_all(&self.pool)
            .await
            .ok()?;
            let caught_up = marks.len() == READERS && marks.iter().all(|mark| *mark == head);
            // Twice the same: a callback may just be on its way.
            let still = caught_up && last == head;
            last = head;
            still.then_some(())
        })
        .await;
    }

    /// The order, once its status is this.
    pub async fn order_when(&self, order_id: &str, status: &str) -> Value {
        let path = format!("/api/v1/orders/{order_id}");
        until(&format!("order {order_id} is {status}"), async || {
            let answer = self.get(&path).await;
            let order = (answer.status == StatusCode::OK).then(|| answer.json())?;
            (order["status"] == status).then_some(order)
        })
        .await
    }

    /// What stock says: on hand, reserved.
    pub async fn stock(&self, sku: &str) -> (i64, i64) {
        self.settle().await;
        let stock = self
            .get(&format!("/api/v1/inventory/{sku}"))
            .await
            .expect(200)
            .json();
        let number = |name: &str| stock[name].as_i64().expect("a number");
        (number("on_hand"), number("reserved"))
    }

    /// Checks every invariant of the stored log.
    pub async fn verify(&self) {
        self.settle().await;
        api::verify::verify(&self.pool, |_, _| ())
            .await
            .expect("the log is sound");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.server.abort();
        }
    }
}

/// A database of its own, empty or (`template other`) a copy; its name and where it is.
pub async fn new_database(of: &str) -> (String, String) {
    let name = format!("test_{}", Uuid::now_v7().simple());
    let mut admin = PgConnection::connect(servers::database_url())
        .await
        .expect("Postgres");
    admin
        .execute(format!("create database {name} {of}").as_str())
        .await
        .expect("a database");
    let (server, _) = servers::database_url().rsplit_once('/').expect("a path");
    let url = format!("{server}/{name}");
    (name, url)
}

/// The body of an order by somebody, for these articles.
pub fn an_order(items: &[(&str, u32)]) -> Value {
    let items: Vec<Value> = items
        .iter()
        .map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity}))
        .collect();
    json!({
        "customer": {"name": "Ada Byron", "email": "ada@example.com"},
        "shipping_address": {"line1": "12 St James's Square", "country": "GB"},
        "currency": "GBP",
        "payment_method": "credit_card",
        "items": items,
    })
}

/// The same with a token that the sandbox obeys.
pub fn an_order_paid_with(token: &str, items: &[(&str, u32)]) -> Value {
    let mut order = an_order(items);
    order["payment_token"] = token.into();
    order
}

/// Sends a request and reads the answer. A problem must be one that the document names.
pub async fn send(request: RequestBuilder) -> Answer {
    let (client, request) = request.build_split();
    let request = request.expect("a request");
    let (method, path) = (request.method().clone(), request.url().path().to_owned());
    let response = client.execute(request).await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.expect("a body");
    let answer = Answer { status, headers, text };
    documented::must_name(&method, &path, &answer);
    answer
}

/// Waits for a condition, and fails with its name.
pub async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(met) = condition().await {
            return met;
        }
        assert!(tokio::time::Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
