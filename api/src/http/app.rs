//! What handlers work with. Cheap to clone; every request has its own.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use projections::ReadModels;
use sqlx::PgPool;
use store::journal::Journal;

use super::health::Readiness;
use super::outcomes::Outcomes;
use super::turns::Turns;

/// The parts of a running Daybook that HTTP needs.
#[derive(Clone)]
pub struct App {
    /// Where commands go.
    pub journal: Journal,
    /// Where queries go.
    pub read_models: ReadModels,
    /// For the log itself.
    pub pool: PgPool,
    /// What can be set.
    pub settings: Arc<HttpSettings>,
    /// What was counted.
    pub metrics: PrometheusHandle,
    /// What has to be well.
    pub readiness: Readiness,
    /// Who waits for orders; whoever follows the read model `orders` has to tell it.
    pub outcomes: Outcomes,
    /// Which commands are running.
    pub turns: Turns,
}

/// What can be set about HTTP.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Whoever shows this is staff.
    pub staff_token: String,
    /// How long stock is held and money awaited.
    pub payment_window: Duration,
    /// Names of the payment providers that may be chosen.
    pub gateways: Vec<String>,
}
