//! The read models themselves: how far they are, and making one anew.

use axum::extract;
use axum::http::StatusCode;
use axum::response::Response;
use projections::{RebuildView, State, Status};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::bodies::Nothing;
use super::command::{Asked, answer};
use super::identity::{Readers, Staff};
use super::moves::Empty;
use super::parameters::{OfReadModel, Parameters};
use super::problem::Problem;
use super::queries::{self, Asking};

/// All read models.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProjectionsView {
    items: Vec<ProjectionView>,
}

/// How one read model is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProjectionView {
    /// Which
    #[schema(example = "orders")]
    name: &'static str,
    /// How far it has read the log
    position: i64,
    /// Events that it is behind
    lag: i64,
    /// `running`, `elsewhere` (in another process, or in none), `stopped` or `failed`
    #[schema(example = "running")]
    state: &'static str,
    /// Its last rebuild in this process
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuild: Option<RebuildView>,
}

impl From<Status> for ProjectionView {
    fn from(status: Status) -> Self {
        let state = match status.state {
            State::Running => "running",
            State::Elsewhere => "elsewhere",
            State::Stopped => "stopped",
            // Why is in our log; it may name tables and statements.
            State::Failed(_) => "failed",
        };
        let Status { name, position, lag, rebuild, .. } = status;
        Self { name, position, lag, state, rebuild }
    }
}

/// A rebuild that was started.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RebuildingView {
    /// Of which read model
    #[schema(example = "orders")]
    name: String,
    /// Its progress is in the list of projections
    #[schema(example = "running")]
    state: &'static str,
}

/// List projections
///
/// How far each has read the log.
#[utoipa::path(
    get, path = "/projections", tag = "operation", security(("bearer" = ["admin", "analyst", "auditor"])),
    responses((status = 200, description = "All of them", body = ProjectionsView))
)]
pub(crate) async fn list(
    extract::State(app): extract::State<App>,
    _: Readers,
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let (position, _seat) = asking.seat(&app, &projections::NAMES).await?;
    let items = app
        .read_models
        .statuses()
        .await?
        .into_iter()
        .map(Into::into)
        .collect();
    Ok(queries::show(position, &ProjectionsView { items }))
}

/// Rebuild a projection
///
/// Makes a second copy from the log and swaps it in; queries stay up meanwhile.
#[utoipa::path(
    post, path = "/projections/{name}/rebuild", tag = "operation", security(("staff" = [])),
    request_body = Option<Nothing>,
    params(("name" = String, Path, description = "As the list of projections has it")),
    responses((status = 202, description = "The rebuild is running", body = RebuildingView))
)]
pub(crate) async fn rebuild(
    extract::State(app): extract::State<App>,
    _: Staff,
    OfReadModel(name): OfReadModel,
    asked: Asked<Empty>,
) -> Result<Response, Problem> {
    if let Some(told) = asked.told_before(&app).await? {
        return Ok(told);
    }
    let told = match app.read_models.start_rebuild(&name) {
        Ok(()) => answer(StatusCode::ACCEPTED, &RebuildingView { name, state: "running" }),
        Err(refused) => Problem::from(refused).answer(&asked.occurrence),
    };
    asked.remember(&app, asked.alone(), told).await
}
