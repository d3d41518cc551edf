//! The log as it is stored and sealed, byte for byte, and the seals: all that an auditor needs to
//! prove it elsewhere. What readers are shown of an event is in [`super::events`].

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use futures::Stream;
use sealing::export::SealLines;
use sqlx::PgPool;
use store::log::Slice;
use store::stored::{self, StoredEvent};

use super::App;
use super::forms::Form;
use super::identity::Readers;
use super::parameters::Parameters;
use super::problem::Problem;
use super::queries::Asking;
use super::slicing::{SliceParameters, Wanted};

/// Read the log as it is stored
///
/// One line an event, in log order: the line whose SHA-256 is the event's leaf in the tree that the
/// heads are of. An export for `daybook verify --export` holds these lines.
#[utoipa::path(
    get, path = "/events/stored", tag = "audit",
    security(("bearer" = ["admin", "analyst", "auditor"])),
    params(SliceParameters),
    responses((status = 200, description = "Lines", content((String = "application/x-ndjson"))))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Readers,
    asking: Asking,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let wanted = Wanted::read(&mut parameters);
    parameters.finish()?;
    let (position, slice) = wanted.settled(&asking, &app).await?;
    let lines = lines(app.pool.clone(), slice);
    Ok(Form::Lines.streamed(lines, position, &[], |_| Ok(vec![])))
}

/// Read the seals of the log
///
/// The file of seals that belongs beside an export of the whole log: its signed heads, and the
/// hash of each event.
#[utoipa::path(
    get, path = "/events/seals", tag = "audit",
    security(("bearer" = ["admin", "analyst", "auditor"])),
    params(("to" = Option<i64>, Query, description = "Last position; heads beyond it are left out")),
    responses((status = 200, description = "Lines", content((String = "application/x-ndjson"))))
)]
pub(crate) async fn list_seals(
    State(app): State<App>,
    _: Readers,
    asking: Asking,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let to = parameters.integer("to", 0..=i64::MAX);
    parameters.finish()?;
    let position = asking.log_position(&app).await?;
    let lines = seals(app.pool.clone(), to.unwrap_or(position).min(position));
    Ok(Form::Lines.streamed(lines, position, &[], |_| Ok(vec![])))
}

/// All of a slice in pages, so that memory stays bounded however slowly somebody reads.
pub(crate) fn lines(
    pool: PgPool,
    slice: Slice,
) -> impl Stream<Item = Result<Bytes, sqlx::Error>> + Send {
    futures::stream::try_unfold((pool, slice), |(pool, mut slice)| async move {
        let page = stored::page(&pool, &slice, stored::ROWS_MAX).await;
        let page = page.inspect_err(tell)?;
        let Some(last) = page.last().map(|last| last.position) else {
            return Ok(None);
        };
        slice.from = Some(last.saturating_add(1));
        Ok(Some((written(&page), (pool, slice))))
    })
}

/// The seals up to a position, in pages as well.
pub(crate) fn seals(
    pool: PgPool,
    to: i64,
) -> impl Stream<Item = Result<Bytes, sqlx::Error>> + Send {
    let seals = SealLines::of(pool, to);
    futures::stream::try_unfold(seals, |mut seals| async move {
        let lines = seals.next().await.inspect_err(tell)?;
        Ok(lines.map(|lines| (Bytes::from(lines), seals)))
    })
}

fn written(page: &[StoredEvent]) -> Bytes {
    let mut lines = Vec::new();
    for event in page {
        lines.extend_from_slice(event.line().as_bytes());
        lines.push(b'\n');
    }
    lines.into()
}

fn tell(error: &sqlx::Error) {
    tracing::error!(error = error as &dyn std::error::Error, "cannot stream the stored log");
}
