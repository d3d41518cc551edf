//! What staff do about webhooks that wait for them, beside refunds: close them, or have them worked off
//! again.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use workers::inbox::Unattended;

use super::App;
use super::bodies::{Nothing, ResolveWebhook};
use super::command::{Asked, answer};
use super::fields::{Body, Fields};
use super::identity::Staff;
use super::moves::{Empty, REASON_CHARS_MAX};
use super::parameters::OfId;
use super::problem::Problem;

/// A webhook that has been closed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResolvedView {
    /// Which
    id: Uuid,
    /// `resolved`
    #[schema(example = "resolved")]
    state: &'static str,
    /// When
    resolved_at: DateTime<Utc>,
}

/// A webhook that is worked off again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetriedView {
    /// Which
    id: Uuid,
    /// `received`, until it has been worked on
    #[schema(example = "received")]
    state: &'static str,
}

/// The body of [`resolve`].
#[derive(Debug)]
pub(crate) struct Resolving {
    note: String,
}

impl Body for Resolving {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { note: fields.text("note", REASON_CHARS_MAX)? })
    }
}

/// Resolve a parked webhook
///
/// It has been settled by other means, and waits for nobody any more: it leaves the lists of what is
/// `parked` or `failed`, and says who closed it, when and why. Nothing is asked of its provider, and no
/// money moves.
#[utoipa::path(
    post, path = "/webhooks/{id}/resolve", tag = "payments", security(("staff" = [])),
    request_body = ResolveWebhook,
    params(("id" = Uuid, Path, description = "The webhook")),
    responses((status = 200, description = "It is resolved", body = ResolvedView))
)]
pub(crate) async fn resolve(
    State(app): State<App>,
    _: Staff,
    OfId(webhook_id): OfId,
    asked: Asked<Resolving>,
) -> Result<Response, Problem> {
    if let Some(told) = asked.told_before(&app).await? {
        return Ok(told);
    }
    let by = asked.caller.to_string();
    let resolved = app
        .inbox
        .resolve(webhook_id, &by, &asked.body.note, asked.command_id);
    match resolved.await {
        Ok(resolved_at) => {
            let view = ResolvedView { id: webhook_id, state: "resolved", resolved_at };
            let told = answer(StatusCode::OK, &view);
            asked.remember(&app, asked.alone(), told).await
        }
        Err(why) => turn_away(&app, &asked, why).await,
    }
}

/// Work a parked webhook off again
///
/// For when what it was parked for is mended, or it was resolved by mistake: it is worked off as if it
/// had just come in, and is `done`, or parked again with its reason.
#[utoipa::path(
    post, path = "/webhooks/{id}/retry", tag = "payments", security(("staff" = [])),
    request_body = Option<Nothing>,
    params(("id" = Uuid, Path, description = "The webhook")),
    responses((status = 202, description = "It is worked off", body = RetriedView))
)]
pub(crate) async fn retry(
    State(app): State<App>,
    _: Staff,
    OfId(webhook_id): OfId,
    asked: Asked<Empty>,
) -> Result<Response, Problem> {
    if let Some(told) = asked.told_before(&app).await? {
        return Ok(told);
    }
    match app.inbox.retry(webhook_id, asked.command_id).await {
        Ok(()) => {
            let view = RetriedView { id: webhook_id, state: "received" };
            let told = answer(StatusCode::ACCEPTED, &view);
            asked.remember(&app, asked.alone(), told).await
        }
        Err(why) => turn_away(&app, &asked, why).await,
    }
}

/// Says no, for good unless the same request may fare better in a moment.
async fn turn_away<B>(app: &App, asked: &Asked<B>, why: Unattended) -> Result<Response, Problem> {
    match why {
        Unattended::NotFound | Unattended::TooEarly | Unattended::Database(_) => Err(why.into()),
        Unattended::NotParked { .. }
        | Unattended::Resolved { .. }
        | Unattended::RefundFailed
        | Unattended::MadeHere
        | Unattended::BodyGone => asked.turn_away(app, asked.alone(), &why.into()).await,
    }
}

impl From<Unattended> for Problem {
    fn from(why: Unattended) -> Self {
        let sentence = why.to_string();
        let conflict = |code| Self::new(StatusCode::CONFLICT, code, sentence.clone());
        match why {
            Unattended::NotFound => Self::not_found("webhook"),
            Unattended::TooEarly => {
                conflict("webhook_not_worked_on").with_header(header::RETRY_AFTER, "1")
            }
            Unattended::NotParked { .. } | Unattended::RefundFailed => {
                conflict("webhook_not_parked")
            }
            Unattended::Resolved { .. } => conflict("webhook_resolved"),
            Unattended::MadeHere | Unattended::BodyGone => conflict("webhook_not_repeatable"),
            Unattended::Database(error) => error.into(),
        }
    }
}
