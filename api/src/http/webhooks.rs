//! What payment providers say of their own accord: checked, stored, answered; worked on later.
//!
//! The answer is 200 once it is stored and never before, so that a provider that is told anything
//! else says it again.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::ids::PaymentId;
use gateways::gateway::{BadSignature, Delivery};
use projections::{MoneyView, Page};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use workers::inbox::{Stored, Webhook};
use workers::providers::ask_soon;

use super::App;
use super::command::read;
use super::identity::Staff;
use super::parameters::{OfId, Parameters};
use super::parked::Cursor;
use super::problem::Problem;
use super::queries::{self, Asking};

/// Longest body: what providers send has a few kilobytes.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// What a webhook can have come to.
const STATES: [&str; 7] = [
    "received",
    "done",
    "parked",
    "refunding",
    "refunded",
    "failed",
    "resolved",
];

/// Said to the provider.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReceivedView {
    /// Always true: what is not stored is no 200
    stored: bool,
}

/// A webhook that was stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookView {
    /// Its name
    id: Uuid,
    /// Which provider said it
    gateway: String,
    /// The provider's name for it
    event: String,
    /// `received`, `done`, `parked` for a person to look at, or `resolved` by one; of unmatched money
    /// that is given back `refunding`, `refunded` or `failed`
    #[schema(example = "done")]
    state: String,
    /// Why it is parked
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The payment it is about, once that is known
    payment_id: Option<Uuid>,
    /// What its money is called there by whoever asked for it
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    /// The provider's own name for its money
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_reference: Option<String>,
    /// As it came in; bytes that are no UTF-8 are replaced
    body: String,
    /// How often it came in
    deliveries: i32,
    /// How often it has been worked on
    tries: i32,
    /// When it first came in
    received_at: DateTime<Utc>,
    /// When it was last worked on
    worked_at: Option<DateTime<Utc>>,
    /// The refund of its money, if staff have asked for one
    #[serde(skip_serializing_if = "Option::is_none")]
    refund: Option<WebhookRefundView>,
    /// Who closed it, while it is `resolved`
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution: Option<ResolutionView>,
}

/// How a webhook was closed that had waited for a person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResolutionView {
    /// Who closed it
    by: String,
    /// When
    at: DateTime<Utc>,
    /// Why, in their words
    note: String,
}

impl ResolutionView {
    fn of(webhook: &Webhook) -> Option<Self> {
        let is_closed = webhook.state == "resolved";
        is_closed.then_some(Self {
            by: webhook.resolved_by.clone()?,
            at: webhook.resolved_at?,
            note: webhook.resolution.clone()?,
        })
    }
}

/// Unmatched money that is given back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookRefundView {
    /// The payment that takes it down and gives it back
    payment_id: Uuid,
    /// All of what came in, as the provider says
    amount: MoneyView,
    /// Why the last refund failed
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

impl WebhookRefundView {
    fn of(webhook: &Webhook) -> Option<Self> {
        let currency = webhook.received_currency.as_deref()?.parse().ok()?;
        Some(Self {
            payment_id: webhook.unmatched_payment_id?,
            amount: MoneyView::of(webhook.received_minor?, currency),
            failure: webhook.refund_failure.clone(),
        })
    }
}

impl From<Webhook> for WebhookView {
    fn from(webhook: Webhook) -> Self {
        Self {
            refund: WebhookRefundView::of(&webhook),
            resolution: ResolutionView::of(&webhook),
            id: webhook.webhook_id,
            gateway: webhook.gateway,
            event: webhook.event_key,
            state: webhook.state,
            reason: webhook.reason,
            payment_id: webhook.payment_id,
            reference: webhook.reference,
            provider_reference: webhook.provider_reference,
            body: String::from_utf8_lossy(&webhook.body).into_owned(),
            deliveries: webhook.deliveries,
            tries: webhook.tries,
            received_at: webhook.received_at,
            worked_at: webhook.worked_at,
        }
    }
}

/// Receive a webhook
///
/// For payment providers, in their own form and with their own signature. Needs no
/// `Idempotency-Key`: what is said twice is stored once.
#[utoipa::path(
    post, path = "/webhooks/{name}", tag = "payments",
    params(("name" = String, Path, description = "The provider, such as `stripe`")),
    responses((status = 200, description = "It is stored", body = ReceivedView))
)]
pub(crate) async fn receive(
    State(app): State<App>,
    Path(gateway): Path<String>,
    request: Request,
) -> Result<Json<ReceivedView>, Problem> {
    take(&app, &gateway, request).await
}

/// Receive a webhook by PUT
///
/// The same for providers that call back with PUT.
#[utoipa::path(
    put, path = "/webhooks/{name}", tag = "payments",
    params(("name" = String, Path, description = "The provider, such as `mtn-momo`")),
    responses((status = 200, description = "It is stored", body = ReceivedView))
)]
pub(crate) async fn receive_put(
    State(app): State<App>,
    Path(gateway): Path<String>,
    request: Request,
) -> Result<Json<ReceivedView>, Problem> {
    take(&app, &gateway, request).await
}

async fn take(app: &App, gateway: &str, request: Request) -> Result<Json<ReceivedView>, Problem> {
    let gateway = app.registry.get(gateway);
    let gateway = gateway.ok_or_else(|| Problem::not_found("payment provider"))?;
    let (parts, body) = request.into_parts();
    let body = read(body, BODY_BYTES_MAX).await?;
    let (headers, received_at) = (&parts.headers, Utc::now());
    let delivery = Delivery { headers, body: &body, received_at };
    let gateway = gateway.as_ref();
    let checked = gateway.verify_webhook_signature(&delivery);
    let result = if checked.is_ok() { "stored" } else { "refused" };
    metrics::counter!("daybook_webhooks_total", "gateway" => gateway.name(), "result" => result)
        .increment(1);
    checked.map_err(|bad| refused(gateway.name(), &bad))?;
    match app.inbox.store(gateway, &delivery).await? {
        Stored::Kept => Ok(Json(ReceivedView { stored: true })),
        Stored::Nobodys => Err(Problem::not_found("attempt")),
    }
}

fn refused(gateway: &str, bad: &BadSignature) -> Problem {
    tracing::warn!(gateway, %bad, "a webhook is refused");
    let (status, code) = match bad {
        BadSignature::NotConfigured { .. } => return Problem::not_found("payment provider"),
        BadSignature::Missing { .. } | BadSignature::Malformed => {
            (StatusCode::BAD_REQUEST, "webhook_signature_unreadable")
        }
        BadSignature::Wrong | BadSignature::OutOfTime => {
            (StatusCode::UNAUTHORIZED, "webhook_signature_wrong")
        }
    };
    Problem::new(status, code, bad.to_string())
}

/// List webhooks
///
/// Newest first. `state=parked` are those that take a person: money that belongs to no payment,
/// disputes, and what could not be read. Money that belongs to no payment can be given back by
/// `POST /webhooks/{id}/refund`; it is then `refunding`, and `refunded` or `failed` in the end. What has
/// been settled by other means is closed by `POST /webhooks/{id}/resolve`; what was parked for a cause
/// that is mended is worked off by `POST /webhooks/{id}/retry`.
#[utoipa::path(
    get, path = "/webhooks", tag = "payments", security(("staff" = [])),
    params(
        ("state" = Option<String>, Query, description = "`received`, `done`, `parked`, `refunding`, `refunded`, `failed` or `resolved`"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Page<WebhookView>))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Staff,
    asking: Asking,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let (limit, cursor) = (parameters.limit(), parameters.cursor::<Cursor>());
    let state = parameters.one_of("state", &STATES);
    parameters.finish()?;
    let position = asking.log_position(&app).await?;
    let after = cursor.map(|cursor| (cursor.at, cursor.id));
    // One more than asked for tells whether there is a next page.
    let found = app
        .inbox
        .list(limit.saturating_add(1), after, state.as_deref());
    let mut items: Vec<WebhookView> = found.await?.into_iter().map(Into::into).collect();
    let more = usize::try_from(limit).is_ok_and(|limit| limit < items.len());
    items.pop_if(|_| more);
    let cursor = |last: &WebhookView| Cursor { at: last.received_at, id: last.id }.to_string();
    let next_cursor = items.last().filter(|_| more).map(cursor);
    Ok(queries::show(position, &Page { items, next_cursor }))
}

/// Show a webhook
///
/// With what became of its money, where staff have it given back.
#[utoipa::path(
    get, path = "/webhooks/{name}", tag = "payments", security(("staff" = [])),
    params(("name" = Uuid, Path, description = "The webhook's id")),
    responses((status = 200, description = "The webhook", body = WebhookView))
)]
pub(crate) async fn show(
    State(app): State<App>,
    _: Staff,
    OfId(webhook_id): OfId,
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let position = asking.log_position(&app).await?;
    let webhook = app.inbox.by_id(webhook_id).await?;
    let webhook = webhook.ok_or_else(|| Problem::not_found("webhook").at(position))?;
    if let Some(payment_id) = webhook
        .unmatched_payment_id
        .filter(|_| webhook.state == "refunding")
    {
        // Somebody waits for the provider's word.
        ask_soon(&app.pool, PaymentId(payment_id)).await?;
    }
    Ok(queries::show(position, &WebhookView::from(webhook)))
}
