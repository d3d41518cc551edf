//! What handlers work with. Cheap to clone: every request does so several times.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use accounts::Accounts;
use gateways::registry::Registry;
use metrics_exporter_prometheus::PrometheusHandle;
use projections::ReadModels;
use projections::availability::Availability;
use sqlx::PgPool;
use store::feed::Feeds;
use store::journal::Journal;
use storefront::carts::Carts;
use tokio::sync::Semaphore;
use workers::fraud::Fraud;
use workers::inbox::Inbox;
use workers::providers::{InHand, Pauses, Providers};
use workers::routing::Routing;

use super::answers::Answers;
use super::availability::LookUps;
use super::delivering::Deliveries;
use super::health::Readiness;
use super::offers::Offers;
use super::outcomes::Outcomes;
use super::promising::Promises;
use super::protection::buckets::Buckets;
use super::quotes::Quotes;
use super::sellers::Sellers;
use super::tail::Tails;
use super::turns::Turns;

/// The parts of a running Daybook that HTTP needs, shared by all requests.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl From<Parts> for App {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What an [`App`] is made of.
pub struct Parts {
    /// Where commands go.
    pub journal: Journal,
    /// Where queries go.
    pub read_models: ReadModels,
    /// For the log itself.
    pub pool: PgPool,
    /// For what is just being added to it.
    pub feeds: Feeds,
    /// Who follows it.
    pub tails: Tails,
    /// What can be set.
    pub settings: HttpSettings,
    /// What was counted.
    pub metrics: PrometheusHandle,
    /// What has to be well.
    pub readiness: Readiness,
    /// Who waits for orders; whoever follows the read model `orders` has to tell it.
    pub outcomes: Outcomes,
    /// How many pieces of articles there are.
    pub availability: Availability,
    /// What that does not hold, while it is looked up.
    pub look_ups: LookUps,
    /// What articles are called and cost.
    pub offers: Offers,
    /// What the public catalogue looks like.
    pub answers: Answers,
    /// Which vendors may sell.
    pub sellers: Sellers,
    /// The promotions that apply by themselves.
    pub promises: Promises,
    /// How goods come to customers, and what that costs.
    pub deliveries: Deliveries,
    /// What currencies cost.
    pub quotes: Quotes,
    /// The payment providers.
    pub registry: Registry,
    /// Which of them is asked where nobody is named.
    pub routing: Routing,
    /// Where what they say is stored.
    pub inbox: Inbox,
    /// One reconciliation at a time: it asks much of a provider.
    pub reconciling: Arc<Semaphore>,
    /// Who may sign in, and who shows a token.
    pub accounts: Accounts,
    /// What people mean to buy.
    pub carts: Carts,
    /// What orders are screened by.
    pub fraud: Fraud,
    /// Which commands are running.
    pub turns: Turns,
    /// Who has asked how often.
    pub(crate) buckets: Buckets,
}

impl Parts {
    /// Who asks providers because somebody wants to know at once, and plans no questions.
    pub(crate) fn providers(&self) -> Providers {
        Providers {
            pool: self.pool.clone(),
            journal: self.journal.clone(),
            registry: self.registry.clone(),
            pauses: Pauses::default(),
            routing: self.routing.clone(),
            in_hand: InHand::default(),
        }
    }
}

/// What can be set about HTTP.
// No Debug: the token is secret.
#[derive(Clone)]
pub struct HttpSettings {
    /// Whoever shows this is staff.
    pub staff_token: String,
    /// How long stock is held and money awaited.
    pub payment_window: Duration,
    /// Whether orders have to name a shipping method, those of staff apart.
    pub shipping_required: bool,
    /// Names of the payment providers that may be chosen.
    pub gateways: Vec<String>,
    /// How often who may ask, and from where.
    pub protection: super::protection::Settings,
}
