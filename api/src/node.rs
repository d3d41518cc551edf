//! One Daybook process: its parts, wired together and stopped together.
//!
//! | role | runs |
//! | --- | --- |
//! | `api` | HTTP, and the journal's writer behind it |
//! | `relay` | carries the log to NATS |
//! | `projector` | keeps the read models |
//! | `worker` | the checkout process and calls to payment providers |

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use accounts::Accounts;
use clap::ValueEnum;
use domain::event::Event;
use gateways::health::{Health, Thresholds};
use gateways::registry::Registry;
use gateways::sandbox;
use gateways::settings::{BadSetting, Environment};
use metrics_exporter_prometheus::PrometheusHandle;
use projections::ReadModels;
use projections::availability::Availability;
use sealing::sealer;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use store::feed::Feeds;
use store::journal::{Bounds, Journal};
use store::masters::MasterKeys;
use store::personal::{self, CannotBegin};
use store::pools;
use store::relay::{self, Standing};
use store::stream::Stream;
use storefront::carts::Carts;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use workers::fraud::Fraud;
use workers::inbox::Inbox;
use workers::providers::{InHand, Pauses, Providers};
use workers::routing::Routing;

use crate::http::answers::Answers;
use crate::http::app::{App, HttpSettings, Parts};
use crate::http::availability::LookUps;
use crate::http::delivering::Deliveries;
use crate::http::health::Readiness;
use crate::http::offers::Offers;
use crate::http::outcomes::Outcomes;
use crate::http::promising::Promises;
use crate::http::protection;
use crate::http::quotes::Quotes;
use crate::http::sellers::Sellers;
use crate::http::tail::Tails;
use crate::http::turns::Turns;
use crate::self_audit;

/// Connections for receipts, workers and back-fill; queries and the writer have their own. Two
/// cores do not get faster with more.
const CONNECTIONS_MAX: u32 = 24;
/// How long anybody waits for one of them before the answer is 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the parts may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Events that are looked through at a time for orders somebody waits for.
const OUTCOMES_BATCH_MAX: usize = 2_000;
/// How long the read model of orders may be behind before those who wait look for themselves.
const OUTCOMES_PATIENCE: Duration = Duration::from_secs(5);

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Answers HTTP.
    Api,
    /// Carries the log to NATS.
    Relay,
    /// Keeps the read models.
    Projector,
    /// Carries orders through their checkout and calls payment providers.
    Worker,
}

/// Writers and workers find everything by its key. In a database that was just begun, statistics are
/// missing or outdated, and a plan that reads all of a table would be kept until they are taken.
const BY_KEY: [(&str, &str); 3] = [
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

impl Role {
    /// Everything in one process.
    pub const ALL: [Self; 4] = [Self::Api, Self::Relay, Self::Projector, Self::Worker];
}

/// What a process needs to know.
// No Debug: the addresses and the token are secret.
#[derive(Clone)]
pub struct NodeSettings {
    /// The truth.
    pub database_url: String,
    /// The way to readers.
    pub nats_url: String,
    /// The stream's name; several Daybooks can share one NATS.
    pub stream: String,
    /// Bytes that the stream keeps; JetStream reserves them.
    pub stream_bytes_max: i64,
    /// What this process does.
    pub roles: Vec<Role>,
    /// Whoever shows this is staff.
    pub staff_token: String,
    /// How access tokens are issued, and whether mail is logged.
    pub accounts: accounts::Settings,
    /// How long stock is held and money awaited.
    pub payment_window: Duration,
    /// Whether orders have to name a shipping method, those of staff apart.
    pub shipping_required: bool,
    /// How long an order that staff have to look at is held.
    pub review_window: Duration,
    /// When silent payment providers are asked.
    pub poll_pauses: Pauses,
    /// When nobody is routed to a payment provider any more.
    pub breakers: Thresholds,
    /// Events that the checkout process may be behind before new orders have to wait.
    pub backlog_max: i64,
    /// Days that an exchange rate may be old and still count.
    pub rate_days_max: u16,
    /// Where SQL files are that are read models too.
    pub sql_projections: Option<PathBuf>,
    /// Percent of a processor's time that the self-audit may take; 0 for none.
    pub self_audit: u32,
    /// How this process seals the log, if it has a key.
    pub sealing: Option<sealer::Settings>,
    /// What the keys of personal data are wrapped with; without, it is kept in clear.
    pub masters: Option<MasterKeys>,
    /// What payment providers are told.
    pub environment: Environment,
    /// How HTTP is protected.
    pub protection: protection::Settings,
}

/// Why a process cannot start. One sentence each; nothing has been left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Postgres does not answer.
    #[error("the database cannot be reached: {0}; check DATABASE_URL")]
    Database(#[source] sqlx::Error),
    /// The schema cannot be brought up to date.
    #[error("the database cannot be migrated: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// NATS is missing or too old.
    #[error(transparent)]
    Nats(#[from] store::stream::Error),
    /// A payment provider has half of its settings.
    #[error("a payment provider cannot be switched on: {0}")]
    Gateway(#[from] BadSetting),
    /// Personal data cannot be opened.
    #[error(transparent)]
    Personal(#[from] CannotBegin),
    /// Accounts cannot be opened.
    #[error("accounts cannot be opened: {0}")]
    Accounts(#[from] accounts::Error),
    /// Vendors cannot be read.
    #[error("vendors cannot be read: {0}")]
    Vendors(#[source] store::log::Error),
    /// Fraud rules cannot be read.
    #[error("fraud rules cannot be read: {0}")]
    Fraud(#[from] workers::fraud::Error),
    /// The read models cannot be opened.
    #[error("the read models cannot be opened: {0}")]
    ReadModels(#[from] projections::Error),
}

/// A running process.
pub struct Node {
    /// What HTTP works with.
    pub app: App,
    stop: watch::Sender<bool>,
    /// Stop by themselves when told to.
    tasks: JoinSet<()>,
    /// Have nothing to finish: what they miss is asked for again.
    listeners: JoinSet<()>,
}

impl Node {
    /// Connects, migrates and starts the parts of all roles but HTTP itself.
    #[expect(
        clippy::too_many_lines,
        reason = "one step after another, in the order that matters"
    )]
    pub async fn start(
        settings: &NodeSettings,
        metrics: PrometheusHandle,
    ) -> Result<Self, StartError> {
        let pool = connect(&settings.database_url).await?;
        store::migrate(&pool).await?;
        // Before anybody reads the log.
        let sealer = personal::begin(&pool, settings.masters.as_ref()).await?;
        let nats = store::stream::connect(&settings.nats_url).await?;
        let stream = Stream::new(nats.clone(), settings.stream.clone(), settings.stream_bytes_max);
        let mut read_models = ReadModels::open(pool.clone()).await?;
        if let Some(directory) = &settings.sql_projections {
            read_models = read_models.with_sql(directory).await?;
        }
        let accounts = Accounts::open(pool.clone(), settings.accounts.clone()).await?;
        let quotes = Quotes::open(pool.clone(), settings.rate_days_max)
            .await
            .map_err(StartError::Database)?;
        let fraud = Fraud::open(pool.clone(), settings.review_window).await?;
        let (journal, committed) = Journal::start_sealing(&pool, &Bounds::default(), sealer);
        let (registry, callbacks) = Registry::new(&settings.environment)?;
        tell_of_payments(&registry);

        let health = Health::new(settings.breakers);
        let routing = Routing::open(pool.clone(), registry.clone(), health).await;
        let routing = routing.map_err(StartError::Database)?;
        let inbox = Inbox::new(pool.clone());
        let (stop, stopped) = watch::channel(false);
        let feeds =
            Feeds::start(pool.clone(), stream.clone(), journal.pace().clone(), stopped.clone());
        let (standing, relay_standing) = watch::channel(Standing::Waiting);
        let (promises, promised_to) = Promises::open(&read_models).await?;
        let (deliveries, delivered_to) = Deliveries::open(&read_models).await?;
        let carts = Carts::new(pool.clone());
        let (offers, outcomes) = (Offers::default(), Outcomes::default());
        let (mut tasks, mut listeners) = (JoinSet::new(), JoinSet::new());
        let plays = |role| settings.roles.contains(&role);
        listeners.spawn(fraud.clone().keep_up());
        let head = store::log::head(&pool)
            .await
            .map_err(StartError::Database)?;
        let availability = if plays(Role::Api) {
            Availability::open(read_models.reads(), head).await?
        } else {
            Availability::new(head)
        };
        let answers = Answers::new(head);
        // After the head was read: nothing is missed in between.
        let sellers = Sellers::open(&pool).await.map_err(StartError::Vendors)?;
        if plays(Role::Api) {
            listeners.spawn(workers::backlog::watch(
                pool.clone(),
                journal.pace().clone(),
                settings.backlog_max,
            ));
            listeners.spawn(accounts.clone().keep_up());
            listeners.spawn(carts.clone().keep_tidy());
            listeners.spawn(fraud.clone().count(feeds.clone()));
            listeners.spawn(availability.clone().keep_up(feeds.clone()));
            listeners.spawn(answers.clone().keep_up(feeds.clone(), read_models.clone()));
            listeners.spawn(quotes.clone().keep_up());
            listeners.spawn(promises.clone().keep_up(feeds.clone(), promised_to));
            listeners.spawn(deliveries.clone().keep_up(feeds.clone(), delivered_to));
            listeners.spawn(offers.clone().keep_up(feeds.clone(), head));
            listeners.spawn(sellers.clone().keep_up(feeds.clone(), head));
            listeners.spawn(tell_who_waits(feeds.clone(), read_models.clone(), outcomes.clone()));
        }
        if plays(Role::Api) || plays(Role::Worker) {
            listeners.spawn(routing.clone().keep_up());
        }
        if plays(Role::Projector) {
            let mut projectors = read_models.spawn(&feeds, &stopped);
            tasks.spawn(async move { while projectors.join_next().await.is_some() {} });
        }
        if plays(Role::Worker) {
            let checkout = workers::checkout::run(
                pool.clone(),
                journal.clone(),
                fraud.clone(),
                feeds.clone(),
                stopped.clone(),
            );
            tasks.spawn(checkout);
            let providers = Providers {
                pool: pool.clone(),
                journal: journal.clone(),
                registry: registry.clone(),
                pauses: settings.poll_pauses.clone(),
                routing: routing.clone(),
                in_hand: InHand::default(),
            };
            listeners.spawn(providers.clone().take_callbacks(callbacks));
            listeners.spawn(inbox.clone().work(providers.clone(), stopped.clone()));
            tasks.spawn(providers.run(feeds.clone(), stopped.clone()));
        }
        if plays(Role::Relay) {
            tasks.spawn(relay::run(pool.clone(), stream, committed, standing, stopped.clone()));
        }
        if plays(Role::Worker) && 0 < settings.self_audit {
            let share = settings.self_audit;
            tasks.spawn(self_audit::run(pool.clone(), share, stopped.clone()));
        }
        if let Some(sealing) = settings.sealing.clone() {
            let pace = journal.pace().clone();
            tasks.spawn(sealer::run(pool.clone(), sealing, pace, stopped));
        }

        let app = App::from(Parts {
            journal,
            read_models,
            pool,
            feeds,
            tails: Tails::default(),
            settings: HttpSettings {
                staff_token: settings.staff_token.clone(),
                payment_window: settings.payment_window,
                shipping_required: settings.shipping_required,
                gateways: registry.names().map(ToOwned::to_owned).collect(),
                protection: settings.protection.clone(),
            },
            buckets: settings.protection.buckets(),
            metrics,
            readiness: readiness(nats, &settings.roles, relay_standing),
            availability,
            look_ups: LookUps::default(),
            offers,
            answers,
            sellers,
            outcomes,
            promises,
            deliveries,
            quotes,
            registry,
            routing,
            inbox,
            reconciling: Arc::new(Semaphore::new(1)),
            accounts,
            carts,
            fraud,
            turns: Turns::default(),
        });
        Ok(Self { app, stop, tasks, listeners })
    }

    /// Stops every part. What was under way is taken up at the next start.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let all_stopped = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_TIMEOUT, all_stopped)
            .await
            .is_err()
        {
            tracing::warn!("some parts did not stop in time and are broken off");
            self.tasks.abort_all();
        }
        self.listeners.shutdown().await;
        self.app.pool.close().await;
    }
}

async fn connect(url: &str) -> Result<PgPool, StartError> {
    let options: PgConnectOptions = url.parse().map_err(StartError::Database)?;
    pools::trusting()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options.options(BY_KEY))
        .await
        .map_err(StartError::Database)
}

/// Says what nobody should find out by an order.
fn tell_of_payments(registry: &Registry) {
    match registry.names().collect::<Vec<_>>().as_slice() {
        [] => tracing::warn!(
            "no payment provider is switched on, so that no order can be placed; docs/PAYMENTS.md \
             says what switches one on"
        ),
        names if names.contains(&sandbox::NAME) => tracing::warn!(
            "{} is on: whoever names the sandbox has an order confirmed without paying",
            sandbox::SETTING
        ),
        _ => {}
    }
}

fn readiness(
    nats: async_nats::Client,
    roles: &[Role],
    relay: watch::Receiver<Standing>,
) -> Readiness {
    let readiness = Readiness::default().with("nats", move || match nats.connection_state() {
        async_nats::connection::State::Connected => Ok(()),
        state => Err(format!("the connection to NATS is {state}")),
    });
    if !roles.contains(&Role::Relay) {
        return readiness;
    }
    readiness.with("relay", move || match *relay.borrow() {
        Standing::Failing => Err("events cannot be carried to NATS; it keeps trying".to_owned()),
        Standing::Waiting | Standing::At(_) => Ok(()),
    })
}

/// Tells those who wait for an order when it has moved in the read model.
async fn tell_who_waits(feeds: Feeds, read_models: ReadModels, outcomes: Outcomes) {
    let mut feed = feeds.subscribe();
    let mut mark = read_models.reached("orders").await.unwrap_or(0);
    loop {
        let batch = match feed.next(mark, OUTCOMES_BATCH_MAX).await {
            Ok(batch) => batch,
            Err(error) => {
                tracing::warn!(%error, "those who wait for orders look for themselves");
                tokio::time::sleep(OUTCOMES_PATIENCE).await;
                continue;
            }
        };
        mark = batch.last().map_or(mark, |event| event.position);
        let moved: HashSet<_> = batch
            .iter()
            .filter(|event| matches!(event.event, Event::Order(_)))
            .map(|event| event.metadata.correlation_id)
            .collect();
        // A read model that nobody waits for takes its time.
        if moved.is_empty() || outcomes.is_nobody_waiting() {
            continue;
        }
        // Behind or not: who is told looks again, and waits on if it was too early.
        let _behind = read_models
            .wait_for(&["orders"], mark, OUTCOMES_PATIENCE)
            .await;
        let moved: Vec<_> = moved.into_iter().collect();
        outcomes.changed(&moved);
    }
}
