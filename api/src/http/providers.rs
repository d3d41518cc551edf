//! `GET /gateways`: the payment providers, what they can do, and whether they are reached.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::placing::PaymentMethod;
use gateways::capabilities::{Capabilities, Codes, Methods};
use gateways::health::Condition;
use gateways::routing::Candidate;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::identity::Readers;
use super::parameters::Parameters;
use super::problem::Problem;
use super::said::tell;

/// The payment providers.
#[derive(Serialize, ToSchema)]
pub(crate) struct GatewaysView {
    /// By name, those that are switched on first
    items: Vec<GatewayView>,
    /// Always null: there are never so many that they need a second page
    next_cursor: Option<String>,
}

/// A payment provider.
#[derive(Serialize, ToSchema)]
pub(crate) struct GatewayView {
    name: &'static str,
    /// Whether it has credentials
    on: bool,
    capabilities: CapabilitiesView,
    /// Whether it is reached; null where it is switched off
    health: Option<HealthView>,
}

/// What a provider can do.
#[derive(Serialize, ToSchema)]
pub(crate) struct CapabilitiesView {
    currencies: CodesView,
    countries: CodesView,
    #[schema(value_type = Vec<String>)]
    methods: Vec<PaymentMethod>,
    partial_refunds: bool,
}

/// Codes of currencies or countries; all there are, if neither list is there.
#[derive(Serialize, ToSchema)]
pub(crate) struct CodesView {
    /// These and no others
    #[serde(skip_serializing_if = "Option::is_none")]
    only: Option<Vec<&'static str>>,
    /// All but these
    #[serde(skip_serializing_if = "Option::is_none")]
    all_but: Option<Vec<&'static str>>,
}

/// How it stands with a provider.
#[derive(Serialize, ToSchema)]
pub(crate) struct HealthView {
    /// `closed`: it is routed to; `open`: it is not; `half_open`: one attempt finds out whether it
    /// can be
    #[schema(example = "closed")]
    state: &'static str,
    /// Since when it has been closed, or has not been; null if nothing has been heard of it
    since: Option<DateTime<Utc>>,
    /// Until when nobody is routed there
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<DateTime<Utc>>,
    /// The last call that began an attempt and failed
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<FailureView>,
}

/// A call that failed.
#[derive(Serialize, ToSchema)]
pub(crate) struct FailureView {
    at: DateTime<Utc>,
    /// What happened, without secrets
    what: String,
}

impl From<&Capabilities> for CapabilitiesView {
    fn from(capabilities: &Capabilities) -> Self {
        let methods = match capabilities.methods {
            Methods::All => PaymentMethod::NAMES.map(|(_, method)| method).to_vec(),
            Methods::Only(methods) => methods.to_vec(),
        };
        Self {
            currencies: capabilities.currencies.into(),
            countries: capabilities.countries.into(),
            methods,
            partial_refunds: capabilities.partial_refunds,
        }
    }
}

impl From<Codes> for CodesView {
    fn from(codes: Codes) -> Self {
        match codes {
            Codes::All => Self { only: None, all_but: None },
            Codes::AllBut(others) => Self { only: None, all_but: Some(others.to_vec()) },
            Codes::Only(codes) => Self { only: Some(codes.to_vec()), all_but: None },
        }
    }
}

impl From<Option<Condition>> for HealthView {
    fn from(condition: Option<Condition>) -> Self {
        let Some(condition) = condition else {
            return Self { state: "closed", since: None, until: None, last_failure: None };
        };
        let last_failure = condition
            .failure
            .map(|failure| FailureView { at: failure.at, what: failure.words });
        Self {
            state: condition.standing.name(),
            since: Some(condition.since),
            until: condition.away_until,
            last_failure,
        }
    }
}

/// List payment providers
///
/// Every provider there is: whether it is switched on, what it can do, and whether it is reached.
#[utoipa::path(
    get, path = "/gateways", tag = "payments",
    security(("bearer" = ["admin", "analyst", "auditor"])),
    responses((status = 200, description = "The providers", body = GatewaysView))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Readers,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let now = Utc::now();
    let view = |candidate: Candidate| GatewayView {
        name: candidate.gateway,
        on: candidate.is_on,
        capabilities: candidate.capabilities.into(),
        health: candidate
            .is_on
            .then(|| app.routing.condition(candidate.gateway, now).into()),
    };
    let items = app.routing.candidates(now).into_iter().map(view).collect();
    Ok(tell(StatusCode::OK, &GatewaysView { items, next_cursor: None }))
}
