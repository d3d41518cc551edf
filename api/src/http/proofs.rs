//! Proof for whoever asks, customers included: the signed head of the log, that an event is in it,
//! and that it goes on from what it was. Hashes tell nothing; an event's own text is shown to staff
//! and to whoever knows its order.

use accounts::Role;
use axum::extract::{Path, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::ids::OrderId;
use projections::timeline;
use sealing::head::SignedHead;
use sealing::proofs::{self, ProofError};
use sealing::{Hash, tables};
use serde::Serialize;
use store::log::Slice;
use store::recorded::Metadata;
use store::stored::{self, StoredEvent};
use utoipa::ToSchema;

use super::App;
use super::identity::{Anybody, Caller};
use super::parameters::Parameters;
use super::problem::Problem;
use super::queries::{self, Asking};

/// A signed head.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HeadView {
    /// It covers the events at positions 1 to here
    size: u64,
    /// Of the Merkle tree over them (RFC 9162), base64
    root: String,
    sealed_at: DateTime<Utc>,
    /// Who may sign the next head
    keys: Vec<String>,
    /// The head as it was signed, byte for byte: a checkpoint in a signed note (C2SP)
    note: String,
}

impl From<&SignedHead> for HeadView {
    fn from(signed: &SignedHead) -> Self {
        let head = &signed.head;
        Self {
            size: head.size,
            root: head.root.to_string(),
            sealed_at: head.sealed_at,
            keys: head.keys.iter().map(ToString::to_string).collect(),
            note: signed.note().to_owned(),
        }
    }
}

/// That an event is in the log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InclusionView {
    /// Of the event; its leaf in the tree has the index below
    position: u64,
    leaf_index: u64,
    /// SHA-256 of a zero byte and the event's line, base64
    leaf_hash: String,
    /// Hashes from the leaf to the root (RFC 9162, 2.1.3), base64
    path: Vec<String>,
    /// The head that the path leads to
    head: HeadView,
    /// The event's line, byte for byte as an export has it; for administrators, analysts and
    /// auditors, or with its `order_id`
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<String>,
}

/// That the log at one head begins with the log at an earlier one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConsistencyView {
    from: HeadView,
    to: HeadView,
    /// Hashes that lead to both roots (RFC 9162, 2.1.4), base64
    path: Vec<String>,
}

/// Show the log's signed head
///
/// The newest one: at most a minute and 10,000 events behind the log.
#[utoipa::path(
    get, path = "/log/head", tag = "audit",
    responses(
        (status = 200, description = "The head", body = HeadView),
        (status = 404, description = "Nothing is sealed yet", body = ()),
    )
)]
pub(crate) async fn head(
    State(app): State<App>,
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let position = asking.log_position(&app).await?;
    let newest = tables::newest(&app.pool).await?;
    let newest = newest.ok_or_else(|| Problem::not_found("head: nothing is sealed yet"))?;
    Ok(queries::show(position, &HeadView::from(&newest)))
}

/// Prove that an event is in the log
///
/// The positions of a command's events are those from `Daybook-First-Position` to `Daybook-Position`
/// in its answer; of a placed order, the first is `order.placed`. An event that
/// no head covers yet is 503 `not_sealed_yet` for a minute at most.
#[utoipa::path(
    get, path = "/log/proof/{position}", tag = "audit",
    params(
        ("position" = i64, Path, minimum = 1, description = "Of the event"),
        ("size" = Option<i64>, Query, minimum = 1,
            description = "Of the head to prove it in; the newest if not given"),
        ("order_id" = Option<uuid::Uuid>, Query,
            description = "Whoever knows the event's order is shown its line"),
    ),
    responses((status = 200, description = "An inclusion proof", body = InclusionView))
)]
pub(crate) async fn prove_inclusion(
    State(app): State<App>,
    Anybody(caller): Anybody,
    Path(position): Path<String>,
    asking: Asking,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let size = parameters.integer("size", 1..=i64::MAX);
    let order_id = parameters.optional("order_id", str::parse::<OrderId>);
    parameters.finish()?;
    let reached = asking.log_position(&app).await?;
    let position: i64 = position
        .parse()
        .ok()
        .filter(|position| (1..=reached).contains(position))
        .ok_or_else(|| Problem::not_found("event"))?;
    let head = match size {
        Some(size) => of_size(&app, size).await?,
        None => tables::newest(&app.pool)
            .await?
            .ok_or_else(|| Problem::not_sealed_yet(0))?,
    };
    let covered = i64::try_from(head.head.size).unwrap_or(i64::MAX);
    if covered < position {
        return Err(Problem::not_sealed_yet(covered));
    }
    let index = position.unsigned_abs();
    let proof = proofs::inclusion(&app.pool, index, &head.head).await?;
    let event = event_at(&app, position).await?;
    let line = event
        .filter(|event| reads_all(caller) || belongs(event, order_id))
        .map(|event| event.line());
    let view = InclusionView {
        position: index,
        leaf_index: index - 1,
        leaf_hash: proof.leaf.to_string(),
        path: told(&proof.path),
        head: (&head).into(),
        line,
    };
    Ok(queries::show(reached, &view))
}

/// Prove that the log has only grown
///
/// Between two heads; whoever kept an old one learns whether its history is still the same.
#[utoipa::path(
    get, path = "/log/consistency", tag = "audit",
    params(
        ("from" = i64, Query, minimum = 1, description = "Size of the earlier head"),
        ("to" = Option<i64>, Query, minimum = 1,
            description = "Size of the later head; the newest if not given"),
    ),
    responses(
        (status = 200, description = "A consistency proof", body = ConsistencyView),
        (status = 404, description = "There is no head of this size", body = ()),
    )
)]
pub(crate) async fn prove_consistency(
    State(app): State<App>,
    asking: Asking,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let from = parameters.required("from", sizes);
    let to = parameters.optional("to", sizes);
    if let (Some(from), Some(to)) = (from, to)
        && to < from
    {
        parameters.refuse("to", "is smaller than from");
    }
    parameters.finish()?;
    let reached = asking.log_position(&app).await?;
    let from = of_size(&app, from.unwrap_or_default()).await?;
    let to = match to {
        Some(to) => of_size(&app, to).await?,
        None => tables::newest(&app.pool)
            .await?
            .unwrap_or_else(|| from.clone()),
    };
    let path = proofs::consistency(&app.pool, &from.head, &to.head).await?;
    let view = ConsistencyView { from: (&from).into(), to: (&to).into(), path: told(&path) };
    Ok(queries::show(reached, &view))
}

fn sizes(text: &str) -> Result<i64, &'static str> {
    text.parse()
        .ok()
        .filter(|size| 0 < *size)
        .ok_or("must be the size of a head, a whole number above 0")
}

async fn of_size(app: &App, size: i64) -> Result<SignedHead, Problem> {
    let head = tables::of_size(&app.pool, size).await?;
    head.ok_or_else(|| Problem::not_found(&format!("head: none has {size} events")))
}

async fn event_at(app: &App, position: i64) -> Result<Option<StoredEvent>, Problem> {
    let slice = Slice { from: Some(position), to: Some(position), ..Slice::default() };
    Ok(stored::page(&app.pool, &slice, 1).await?.pop())
}

/// Whoever reads the whole log, exports it, and has to prove its lines.
fn reads_all(caller: Caller) -> bool {
    caller.is_any_of(&[Role::Admin, Role::Analyst, Role::Auditor])
}

/// An order's id is as good as a ticket to it; so it is to its events, but for what judges whose
/// order it is. A line cannot be shown in part: it would not be what the leaf is the hash of.
fn belongs(event: &StoredEvent, order_id: Option<OrderId>) -> bool {
    let metadata = serde_json::from_str::<Metadata>(&event.metadata);
    let is_theirs =
        metadata.is_ok_and(|metadata| order_id == Some(OrderId(metadata.correlation_id)));
    is_theirs && !timeline::judges(&event.event_type, &event.payload)
}

pub(crate) fn told(path: &[Hash]) -> Vec<String> {
    path.iter().map(ToString::to_string).collect()
}

impl From<tables::Error> for Problem {
    fn from(error: tables::Error) -> Self {
        Self::accident("read the heads of the log", &error)
    }
}

impl From<ProofError> for Problem {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Database(error) => error.into(),
            ProofError::Unsound(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the log is damaged");
                Self::internal()
            }
        }
    }
}
