//! Whether the process lives, and whether it can do its work; if not, which part cannot.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use projections::{State, Status};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;

/// A part that does not answer for this long is not ready.
const PROBE_MAX: Duration = Duration::from_secs(2);

/// A read model that is further behind is of no use to whoever wants to read what was just written.
const LAG_EVENTS_MAX: i64 = 10_000;

/// Looks at one part, now, without waiting: `Err` says what is wrong.
type Probe = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The parts that have to be well besides database and read models, which are looked at anyway.
#[derive(Clone, Default)]
pub struct Readiness {
    probes: Vec<(&'static str, Probe)>,
}

impl Readiness {
    /// Adds a part.
    #[must_use]
    pub fn with(
        mut self,
        name: &'static str,
        probe: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.probes.push((name, Arc::new(probe)));
        self
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.probes.iter().map(|(name, _)| name))
            .finish()
    }
}

/// How one part is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PartView {
    /// `database`, `nats`, `relay`, or `projection <name>`
    #[schema(example = "nats")]
    name: String,
    /// Whether it can do its work
    ready: bool,
    /// What is wrong
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// How all of them are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadinessView {
    /// Whether all are ready
    ready: bool,
    /// Each part
    parts: Vec<PartView>,
}

/// Alive
///
/// The process answers.
#[utoipa::path(
    get, path = "/health/live", tag = "operation",
    responses((status = 200, description = "It does"))
)]
pub(crate) async fn live() -> &'static str {
    "alive\n"
}

/// Ready
///
/// Whether every part can do its work; if not, which cannot.
#[utoipa::path(
    get, path = "/health/ready", tag = "operation",
    responses(
        (status = 200, description = "Every part is ready", body = ReadinessView),
        (status = 503, description = "Some part is not", body = ReadinessView),
    )
)]
pub(crate) async fn ready(extract::State(app): extract::State<App>) -> Response {
    let mut parts = vec![part("database", database(&app).await)];
    parts.extend(
        app.readiness
            .probes
            .iter()
            .map(|(name, probe)| part(*name, probe())),
    );
    parts.extend(projections(&app).await);
    let ready = parts.iter().all(|part| part.ready);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(ReadinessView { ready, parts })).into_response()
}

fn part(name: impl Into<String>, state: Result<(), String>) -> PartView {
    PartView { name: name.into(), ready: state.is_ok(), detail: state.err() }
}

async fn database(app: &App) -> Result<(), String> {
    match tokio::time::timeout(PROBE_MAX, store::log::head(&app.pool)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err("cannot be asked".to_owned()),
        Err(_) => Err("does not answer".to_owned()),
    }
}

/// A read model that is only a little behind is doing its work.
async fn projections(app: &App) -> Vec<PartView> {
    match tokio::time::timeout(PROBE_MAX, app.read_models.statuses()).await {
        Ok(Ok(statuses)) => statuses
            .iter()
            .map(|it| part(format!("projection {}", it.name), judge(it)))
            .collect(),
        Ok(Err(_)) => vec![part("projections", Err("cannot be asked".to_owned()))],
        Err(_) => vec![part("projections", Err("do not answer".to_owned()))],
    }
}

fn judge(status: &Status) -> Result<(), String> {
    match &status.state {
        State::Failed(_) => Err("cannot apply an event; see the log".to_owned()),
        State::Stopped => Err("has been stopped".to_owned()),
        State::Running | State::Elsewhere if LAG_EVENTS_MAX < status.lag => {
            Err(format!("is {} events behind", status.lag))
        }
        State::Running | State::Elsewhere => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: State, lag: i64) -> Status {
        Status { name: "orders", position: 1, lag, state, rebuild: None, replay: None }
    }

    #[test]
    fn a_read_model_is_ready_while_it_follows() {
        assert!(judge(&status(State::Running, 0)).is_ok());
        assert!(judge(&status(State::Elsewhere, LAG_EVENTS_MAX)).is_ok());
        assert!(judge(&status(State::Running, LAG_EVENTS_MAX + 1)).is_err());
        assert!(judge(&status(State::Stopped, 0)).is_err());
        let refusal = judge(&status(State::Failed("relation read.x".into()), 0)).unwrap_err();
        assert!(!refusal.contains("relation"), "causes stay with us");
    }
}
