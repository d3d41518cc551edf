//! A database and a stream for each test, and processes that can crash.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use domain::ids::{OrderId, PaymentId, attempt_reference};
use domain::inventory::{self, Inventory};
use domain::money::Money;
use domain::order::{self, Order};
use domain::payment::{self, Attempt, Payment, Terms};
use domain::placing::{Address, Customer, Line, PaymentChoice, PaymentMethod, Placing};
use gateways::gateway::Gateway;
use gateways::health::Health;
use gateways::registry::Registry;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};
use store::command::{Envelope, Verdict};
use store::feed::Feeds;
use store::journal::Journal;
use store::relay::{self, Standing};
use store::states::Kept;
use store::stream::Stream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;
use workers::checkout;
use workers::fraud::Fraud;
use workers::providers::{self, InHand, Pauses, Providers};
use workers::routing::Routing;

use crate::provider::Provider;
use crate::servers;

/// Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_mins(1);
/// What a test's stream reserves.
const STREAM_BYTES: i64 = 16 * 1024 * 1024;
/// A log of its own.
pub(crate) struct World {
    pub(crate) pool: PgPool,
    name: String,
}

/// A process with its workers. Dropped, it has crashed.
pub(crate) struct Process {
    pub(crate) journal: Journal,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    callbacks: JoinSet<()>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let name = format!("test_{}", Uuid::now_v7().simple());
        let mut admin = PgConnection::connect(servers::database_url())
            .await
            .unwrap();
        let create = format!("create database {name}");
        admin.execute(create.as_str()).await.unwrap();
        let (server, _) = servers::database_url().rsplit_once('/').unwrap();
        let pool = PgPoolOptions::new()
            .max_connections(8)
            .connect_lazy(&format!("{server}/{name}"))
            .unwrap();
        store::migrate(&pool).await.unwrap();
        Self { pool, name }
    }

    /// A process that calls these providers, and asks silent ones at once.
    pub(crate) async fn start(&self, gateways: &[Arc<Provider>]) -> Process {
        self.start_with(gateways, Duration::ZERO).await
    }

    pub(crate) async fn start_with(&self, gateways: &[Arc<Provider>], pause: Duration) -> Process {
        let nats = store::stream::connect(servers::nats_url()).await.unwrap();
        let stream = Stream::new(nats, self.name.clone(), STREAM_BYTES);
        let (stop, stopped) = watch::channel(false);
        let feeds = Feeds::start(
            self.pool.clone(),
            stream.clone(),
            store::pace::Pace::default(),
            stopped.clone(),
        );
        let (journal, committed) = Journal::start(&self.pool);
        let (standing, _) = watch::channel(Standing::Waiting);
        let (registry, received) = Registry::of(|callbacks| {
            let told = gateways.iter().map(|gateway| {
                gateway.is_switched_on(callbacks.clone());
                Arc::clone(gateway) as Arc<dyn Gateway>
            });
            told.collect()
        });
        let pauses = Pauses::new(vec![pause]);
        let health = Health::default();
        let routing = Routing::open(self.pool.clone(), registry.clone(), health)
            .await
            .unwrap();
        let in_hand = InHand::default();
        let (pool, journal_of_calls) = (self.pool.clone(), journal.clone());
        let calling =
            Providers { pool, journal: journal_of_calls, registry, pauses, routing, in_hand };
        let (mut tasks, mut callbacks) = (JoinSet::new(), JoinSet::new());
        tasks.spawn(relay::run(self.pool.clone(), stream, committed, standing, stopped.clone()));
        tasks.spawn(checkout::run(
            self.pool.clone(),
            journal.clone(),
            Fraud::open(self.pool.clone(), Duration::from_hours(24))
                .await
                .unwrap(),
            feeds.clone(),
            stopped.clone(),
        ));
        callbacks.spawn(calling.clone().take_callbacks(received));
        tasks.spawn(calling.run(feeds, stopped));
        Process { journal, stop, tasks, callbacks }
    }

    pub(crate) async fn mark(&self, worker: &str) -> i64 {
        let mark = sqlx::query_scalar("select position from worker_marks where worker = $1")
            .bind(worker)
            .fetch_optional(&self.pool)
            .await
            .unwrap();
        mark.unwrap_or(0)
    }

    /// Waits until both workers have nothing left to do.
    pub(crate) async fn settle(&self) {
        until("everything settles", async || {
            let head = store::log::head(&self.pool).await.unwrap();
            self.mark(checkout::NAME).await == head && self.mark(providers::NAME).await == head
        })
        .await;
    }

    /// Waits until the checkout process has nothing left to do; calls may be under way.
    pub(crate) async fn settle_checkout(&self) {
        until("the checkout settles", async || {
            let head = store::log::head(&self.pool).await.unwrap();
            self.mark(checkout::NAME).await == head
        })
        .await;
    }

    /// References of which their providers have certainly not heard.
    pub(crate) async fn unheard(&self) -> i64 {
        sqlx::query_scalar("select count(*) from provider_references where unheard")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Statements that wait for a lock.
    pub(crate) async fn waiting(&self) -> i64 {
        sqlx::query_scalar(
            "select count(*) from pg_stat_activity \
             where datname = current_database() and wait_event_type = 'Lock'",
        )
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// How often this has happened.
    pub(crate) async fn count(&self, event: &str) -> i64 {
        sqlx::query_scalar("select count(*) from events where event_type = $1")
            .bind(event)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    pub(crate) async fn happens(&self, event: &str, times: i64) {
        until(&format!("{event}, {times} times"), async || self.count(event).await == times).await;
    }

    /// The position of the first event of this name.
    pub(crate) async fn first(&self, event: &str) -> i64 {
        sqlx::query_scalar("select min(position) from events where event_type = $1")
            .bind(event)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Questions that are planned.
    pub(crate) async fn questions(&self) -> i64 {
        sqlx::query_scalar("select count(*) from provider_polls")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Staff will have these providers asked for everything, in this order.
    pub(crate) async fn prefers(&self, gateways: &[&str]) {
        sqlx::query(
            "insert into routing_rules (rule_id, priority, currencies, countries, methods, \
             gateways, active, created_by, created_at, updated_by, updated_at) \
             values ($1, 1, '{}', '{}', '{}', $2, true, 'staff', now(), 'staff', now())",
        )
        .bind(Uuid::now_v7())
        .bind(gateways)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    /// Every attempt so far: its reference, where, and instead of which.
    pub(crate) async fn attempts(&self) -> Vec<(String, String, Option<String>)> {
        sqlx::query_as(
            "select payload->>'reference', payload->>'gateway', payload->>'instead_of' \
             from events where event_type = 'payment.attempt_started' order by position",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    pub(crate) async fn run(&self, sql: &str) {
        sqlx::raw_sql(sql).execute(&self.pool).await.unwrap();
    }
}

impl Process {
    /// Stops in order.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
        self.callbacks.shutdown().await;
    }

    /// Is gone, wherever it is.
    pub(crate) async fn crash(mut self) {
        self.tasks.shutdown().await;
        self.callbacks.shutdown().await;
    }

    /// Opens a payment with a first attempt at a provider; its reference.
    pub(crate) async fn ask_for_money(&self, gateway: &str) -> (PaymentId, String) {
        let payment_id = PaymentId(Uuid::now_v7());
        let reference = attempt_reference(Uuid::now_v7());
        let pay_by = Utc::now() + TimeDelta::hours(1);
        let order_id = OrderId(Uuid::now_v7());
        let attempt = Attempt {
            reference: reference.clone(),
            choice: choice(gateway),
            started_at: Utc::now(),
            instead_of: None,
        };
        let terms = Terms { order_id, amount: pounds(900), pay_by };
        let command = payment::Command::Open { terms, attempt };
        self.ask::<Payment>(&payment_id.to_string(), order_id, command)
            .await;
        (payment_id, reference)
    }

    pub(crate) async fn receive(&self, sku: &str, quantity: u64) {
        let command = inventory::Command::Receive { quantity, reference: "note 7".to_owned() };
        let nobody = OrderId(Uuid::now_v7());
        self.ask::<Inventory>(sku, nobody, command).await;
    }

    /// Places an order for one piece.
    pub(crate) async fn place(&self, sku: &str, gateway: &str) -> OrderId {
        let order_id = OrderId(Uuid::now_v7());
        let command = order::Command::Place(Box::new(placing(sku, gateway)));
        self.ask::<Order>(&order_id.to_string(), order_id, command)
            .await;
        order_id
    }

    /// The same for an order that a rule has routed there.
    pub(crate) async fn place_routed(&self, sku: &str, gateway: &str) -> OrderId {
        let order_id = OrderId(Uuid::now_v7());
        let mut placing = placing(sku, gateway);
        placing.payment.routed_by = Some(Uuid::now_v7());
        let command = order::Command::Place(Box::new(placing));
        self.ask::<Order>(&order_id.to_string(), order_id, command)
            .await;
        order_id
    }

    pub(crate) async fn stage(&self, order_id: OrderId) -> order::Stage {
        let order = self.journal.load::<Order>(&order_id.to_string()).await;
        order.unwrap().0.stage()
    }

    async fn ask<A: Kept>(&self, aggregate_id: &str, order_id: OrderId, command: A::Command) {
        let envelope = Envelope {
            command_id: Uuid::now_v7(),
            fingerprint: [7; 32],
            correlation_id: order_id.0,
            causation_id: None,
            actor: "staff".to_owned(),
            request_id: None,
            traceparent: None,
            reason: None,
            expected_version: None,
        };
        let receipt = self
            .journal
            .execute_derived::<A>(aggregate_id, command, envelope)
            .await
            .unwrap();
        assert!(matches!(receipt.verdict, Verdict::Accepted));
    }
}

pub(crate) fn pounds(minor: i64) -> Money {
    Money { minor, currency: "GBP".parse().unwrap() }
}

fn choice(gateway: &str) -> PaymentChoice {
    PaymentChoice {
        method: PaymentMethod::CreditCard,
        gateway: gateway.to_owned(),
        token: None,
        routed_by: None,
    }
}

fn placing(sku: &str, gateway: &str) -> Placing {
    let now = Utc::now();
    Placing {
        customer: Customer { name: "Ada".into(), email: "ada@example.com".into(), phone: None },
        customer_id: None,
        shipping_address: Address {
            line1: "12 St James's Square".into(),
            line2: None,
            city: None,
            postcode: None,
            country: "GB".into(),
        },
        currency: "GBP".parse().unwrap(),
        lines: vec![Line {
            sku: sku.parse().unwrap(),
            name: "A cup".into(),
            quantity: 1,
            unit_price_minor: 900,
            converted_from: None,
            vendor: None,
        }],
        shipping_minor: 0,
        shipping: None,
        discount: None,
        payment_id: PaymentId(Uuid::now_v7()),
        payment: choice(gateway),
        placed_at: now,
        pay_by: now + TimeDelta::hours(1),
        set_aside: None,
    }
}

/// Waits for a condition rather than for a time.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
