//! Money that nobody asked for goes back: by the webhook that told of it.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use domain::ids::RefundId;
use domain::payment::{self, Payment};
use projections::MoneyView;
use serde::Serialize;
use store::command::Envelope;
use utoipa::ToSchema;
use uuid::Uuid;
use workers::unmatched::{self, Kept};

use super::bodies::RefundWebhook;
use super::command::{Asked, respond};
use super::fields::{Body, Fields};
use super::identity::Staff;
use super::moves::REASON_CHARS_MAX;
use super::parameters::OfId;
use super::problem::Problem;
use super::{App, keys};

/// Money that is on its way back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GivingBackView {
    /// The webhook that told of it
    webhook_id: Uuid,
    /// The payment that takes it down and gives it back
    payment_id: Uuid,
    /// The refund
    refund_id: Uuid,
    /// `pending` until the provider has paid it out
    #[schema(example = "pending")]
    status: &'static str,
    /// All of what came in, as the provider says
    amount: MoneyView,
    /// The payment's version, for `If-Match`
    version: i64,
}

/// The body of [`refund`].
#[derive(Debug)]
pub(crate) struct GivingBack {
    reason: String,
}

impl Body for GivingBack {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { reason: fields.text("reason", REASON_CHARS_MAX)? })
    }
}

/// Refund unmatched money
///
/// All of the money that a webhook told of and that belongs to no order. The provider is asked how
/// much came in, and gives it back; `GET /webhooks/{name}` shows what becomes of it. One that failed
/// may be asked for again; the same money never goes back twice, whichever webhook tells of it.
#[utoipa::path(
    post, path = "/webhooks/{id}/refund", tag = "payments", security(("staff" = [])),
    request_body = RefundWebhook,
    params(("id" = Uuid, Path, description = "The webhook")),
    responses((status = 202, description = "The refund is on its way", body = GivingBackView))
)]
pub(crate) async fn refund(
    State(app): State<App>,
    _: Staff,
    OfId(webhook_id): OfId,
    asked: Asked<GivingBack>,
) -> Result<Response, Problem> {
    // Whatever the provider says by now, the journal knows a repetition and what it was told.
    if let Some(told) = asked.told_before(&app).await? {
        return Ok(told);
    }
    let webhook = app.inbox.by_id(webhook_id).await?;
    let webhook = webhook.ok_or_else(|| Problem::not_found("webhook"))?;
    let found = unmatched::look_into(&app.pool, &app.journal, &app.registry, &webhook).await;
    let found = match found {
        Ok(found) => found,
        Err(why) if why.is_for_later() => return Err(why.into()),
        Err(why) => return asked.turn_away(&app, asked.alone(), &why.into()).await,
    };
    if !app.inbox.will_give_back(webhook_id, &found).await? {
        return asked
            .turn_away(&app, asked.alone(), &Kept::Resolved.into())
            .await;
    }
    let (payment_id, reason) = (found.payment_id, asked.body.reason.clone());
    let refund_id = RefundId(keys::refund_id(asked.command_id));
    let envelope =
        Envelope { correlation_id: payment_id.0, reason: Some(reason.clone()), ..asked.alone() };
    let wording = asked.wording(StatusCode::ACCEPTED, |accepted| GivingBackView {
        webhook_id,
        payment_id: payment_id.0,
        refund_id: refund_id.0,
        status: "pending",
        amount: amount_of(accepted.state, refund_id),
        version: accepted.version,
    });
    let command = payment::Command::GiveBackUnmatched { money: found.money, refund_id, reason };
    let id = payment_id.to_string();
    Ok(respond(
        app.journal
            .execute::<Payment>(&id, command, envelope, wording)
            .await?,
    ))
}

fn amount_of(payment: &Payment, refund_id: RefundId) -> MoneyView {
    let unmatched = payment.unmatched().expect("it has just been taken down");
    let refund = payment.pending_refund(refund_id);
    let refund = refund.expect("an accepted refund is pending");
    MoneyView::of(refund.amount_minor, unmatched.received.currency)
}

/// Which of them a repetition may fare better with.
trait ForLater {
    fn is_for_later(&self) -> bool;
}

impl ForLater for Kept {
    fn is_for_later(&self) -> bool {
        match self {
            Self::TooEarly | Self::Silent { .. } | Self::Database(_) | Self::Journal(_) => true,
            Self::Off { .. }
            | Self::Resolved
            | Self::WithoutMoney
            | Self::Ours { .. }
            | Self::NotFound { .. }
            | Self::NotCaptured { .. } => false,
        }
    }
}

impl From<Kept> for Problem {
    fn from(why: Kept) -> Self {
        let sentence = why.to_string();
        let conflict = |code| Self::new(StatusCode::CONFLICT, code, sentence.clone());
        match why {
            Kept::TooEarly => {
                conflict("webhook_not_worked_on").with_header(header::RETRY_AFTER, "1")
            }
            Kept::Off { .. } => conflict("payment_provider_off"),
            Kept::Resolved => conflict("webhook_resolved"),
            Kept::WithoutMoney => conflict("webhook_without_money"),
            Kept::Ours { payment_id } => {
                conflict("money_is_ours").with_member("payment_id", payment_id.to_string())
            }
            Kept::NotFound { .. } => conflict("money_not_found"),
            Kept::NotCaptured { .. } => conflict("money_not_captured"),
            Kept::Silent { .. } => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Self::new(status, "payment_provider_silent", sentence)
                    .with_header(header::RETRY_AFTER, "10")
            }
            Kept::Database(error) => error.into(),
            Kept::Journal(error) => error.into(),
        }
    }
}
