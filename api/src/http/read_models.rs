//! The read models themselves: how far they are, and making one anew.

use axum::extract;
use axum::http::StatusCode;
use axum::response::Response;
use projections::{RebuildView, Replay, SqlStatus, State, Status, Until, Wish};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::bodies::{Nothing, RebuildProjection};
use super::command::{Asked, answer};
use super::fields::{Body, Fields};
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
    name: String,
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
    /// What it was at some position, in tables of its own, where somebody asked for that
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<Replay>,
    /// What it is made of, if it is a SQL file
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// Why it failed, in Postgres' own words, if it is a SQL file
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl From<SqlStatus> for ProjectionView {
    fn from(status: SqlStatus) -> Self {
        let SqlStatus { name, file, position, lag, state } = status;
        let (state, detail) = match state {
            State::Running => ("running", None),
            State::Elsewhere => ("elsewhere", None),
            State::Stopped => ("stopped", None),
            // Whoever reads this wrote the file, or can ask who did.
            State::Failed(why) => ("failed", Some(why)),
        };
        let file = Some(file);
        Self { name, position, lag, state, rebuild: None, replay: None, file, detail }
    }
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
        let Status { name, position, lag, rebuild, replay, .. } = status;
        let name = name.to_owned();
        Self { name, position, lag, state, rebuild, replay, file: None, detail: None }
    }
}

/// A rebuild that was started or steered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RebuildingView {
    /// Of which read model
    #[schema(example = "orders")]
    name: String,
    /// What it does now, or will in a moment; its progress is in the list of projections
    #[schema(example = "running")]
    state: &'static str,
    /// Where the tables of a replay are once it is done
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "replay_orders")]
    schema: Option<String>,
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
    let own = app.read_models.statuses().await?;
    let files = app.read_models.sql_statuses().await?;
    let items = own
        .into_iter()
        .map(Into::into)
        .chain(files.into_iter().map(Into::into))
        .collect();
    Ok(queries::show(position, &ProjectionsView { items }))
}

/// How a read model is to be rebuilt.
#[derive(Debug)]
pub(crate) struct Rebuilding {
    until: Option<Until>,
}

impl Body for Rebuilding {
    const OPTIONAL: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { until: fields.optional_until("until") })
    }
}

/// Rebuild a projection
///
/// Makes a second copy from the log and swaps it in; queries stay up meanwhile. With `until`, fills
/// tables of their own with what was then, in a schema that the answer names, for analysts to read.
#[utoipa::path(
    post, path = "/projections/{name}/rebuild", tag = "operation", security(("staff" = [])),
    request_body = Option<RebuildProjection>,
    params(("name" = String, Path, description = "As the list of projections has it")),
    responses((status = 202, description = "The rebuild is running", body = RebuildingView))
)]
pub(crate) async fn rebuild(
    extract::State(app): extract::State<App>,
    _: Staff,
    OfReadModel(name): OfReadModel,
    asked: Asked<Rebuilding>,
) -> Result<Response, Problem> {
    if let Some(told) = asked.told_before(&app).await? {
        return Ok(told);
    }
    let started = start(&app, &name, asked.body.until).await;
    tell(&app, &asked, name, "running", started).await
}

async fn start(app: &App, name: &str, until: Option<Until>) -> Result<Option<String>, Problem> {
    match until {
        None => Ok(app.read_models.start_rebuild(name).map(|()| None)?),
        Some(until) => {
            let position = app.read_models.position_of(until).await?;
            Ok(Some(app.read_models.start_replay(name, position)?))
        }
    }
}

/// Pause a rebuild
///
/// It keeps what it has, and goes on when it is resumed. Heeded between two batches of events, by
/// the process that runs it.
#[utoipa::path(
    post, path = "/projections/{name}/rebuild/pause", tag = "operation", security(("staff" = [])),
    request_body = Option<Nothing>,
    params(("name" = String, Path, description = "As the list of projections has it")),
    responses((status = 202, description = "It will pause", body = RebuildingView))
)]
pub(crate) async fn pause(
    extract::State(app): extract::State<App>,
    _: Staff,
    OfReadModel(name): OfReadModel,
    asked: Asked<Empty>,
) -> Result<Response, Problem> {
    steer(&app, asked, name, "pausing", Wish::Pause).await
}

/// Resume a rebuild
///
/// One that was paused.
#[utoipa::path(
    post, path = "/projections/{name}/rebuild/resume", tag = "operation", security(("staff" = [])),
    request_body = Option<Nothing>,
    params(("name" = String, Path, description = "As the list of projections has it")),
    responses((status = 202, description = "It goes on", body = RebuildingView))
)]
pub(crate) async fn resume(
    extract::State(app): extract::State<App>,
    _: Staff,
    OfReadModel(name): OfReadModel,
    asked: Asked<Empty>,
) -> Result<Response, Problem> {
    steer(&app, asked, name, "resuming", Wish::Resume).await
}

/// Cancel a rebuild
///
/// What it has is cleared away; the live copy is as it was.
#[utoipa::path(
    post, path = "/projections/{name}/rebuild/cancel", tag = "operation", security(("staff" = [])),
    request_body = Option<Nothing>,
    params(("name" = String, Path, description = "As the list of projections has it")),
    responses((status = 202, description = "It will end", body = RebuildingView))
)]
pub(crate) async fn cancel(
    extract::State(app): extract::State<App>,
    _: Staff,
    OfReadModel(name): OfReadModel,
    asked: Asked<Empty>,
) -> Result<Response, Problem> {
    steer(&app, asked, name, "cancelling", Wish::Cancel).await
}

async fn steer(
    app: &App,
    asked: Asked<Empty>,
    name: String,
    state: &'static str,
    wish: Wish,
) -> Result<Response, Problem> {
    if let Some(told) = asked.told_before(app).await? {
        return Ok(told);
    }
    let heard = app.read_models.steer_rebuild(&name, wish);
    tell(app, &asked, name, state, heard.map(|()| None).map_err(Into::into)).await
}

/// Drop a replay
///
/// The tables that hold a projection as of some point of the past.
#[utoipa::path(
    delete, path = "/projections/{name}/replay", tag = "operation", security(("staff" = [])),
    params(("name" = String, Path, description = "As the list of projections has it")),
    responses((status = 200, description = "It is gone", body = RebuildingView))
)]
pub(crate) async fn drop_replay(
    extract::State(app): extract::State<App>,
    _: Staff,
    OfReadModel(name): OfReadModel,
    asked: Asked<Empty>,
) -> Result<Response, Problem> {
    if let Some(told) = asked.told_before(&app).await? {
        return Ok(told);
    }
    let told = match app
        .read_models
        .drop_replay(&name)
        .await
        .map_err(Problem::from)
    {
        Ok(true) => {
            answer(StatusCode::OK, &RebuildingView { name, state: "dropped", schema: None })
        }
        Ok(false) => Problem::not_found("replay of this projection").answer(&asked.occurrence),
        Err(problem) if problem.is_accident() => return Err(problem),
        Err(problem) => problem.answer(&asked.occurrence),
    };
    asked.remember(&app, asked.alone(), told).await
}

/// Answers a wish, and remembers the answer. Accidents are not remembered: they may be mended.
async fn tell<B>(
    app: &App,
    asked: &Asked<B>,
    name: String,
    state: &'static str,
    outcome: Result<Option<String>, Problem>,
) -> Result<Response, Problem> {
    let told = match outcome {
        Ok(schema) => answer(StatusCode::ACCEPTED, &RebuildingView { name, state, schema }),
        Err(problem) if problem.is_accident() => return Err(problem),
        Err(problem) => problem.answer(&asked.occurrence),
    };
    asked.remember(app, asked.alone(), told).await
}
