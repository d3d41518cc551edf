//! Money that staff take and hand out themselves ([`gateways::manual`]): what they say is written down
//! like a provider's word.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::ids::RefundId;
use domain::money::Money;
use domain::payment::{self, AttemptState, Outcome, Payment, Tried};
use gateways::manual;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::App;
use super::bodies::{PayOutRefund, ReceivePayment};
use super::command::{Asked, respond};
use super::fields::{Body, Fields};
use super::identity::Staff;
use super::parameters::OfPayment;
use super::problem::{Flaw, Problem};

/// Longest note, such as the reference in a bank statement.
const NOTE_CHARS_MAX: usize = 255;

/// Money that staff have taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReceiptView {
    /// The payment
    payment_id: Uuid,
    /// The order that it pays
    order_id: Uuid,
    /// The attempt
    reference: String,
    /// `captured`, or `mismatched` where it is not what was asked for
    #[schema(example = "captured")]
    status: &'static str,
    /// The payment's version
    version: i64,
}

/// A refund that staff have handed out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PayoutView {
    /// The payment
    payment_id: Uuid,
    /// The refund
    refund_id: Uuid,
    #[schema(example = "refunded")]
    status: &'static str,
    /// The payment's version
    version: i64,
}

/// The body of [`receive`].
#[derive(Debug)]
pub(crate) struct Taking {
    amount: Money,
    note: Option<String>,
    differs: bool,
}

impl Body for Taking {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let amount = fields.money("amount");
        let note = fields.optional_text("note", NOTE_CHARS_MAX);
        let differs = fields.optional_flag("differs").unwrap_or(false);
        let amount = amount?;
        if amount.minor == 0 {
            fields.flaw("amount", "must be above zero");
            return None;
        }
        Some(Self { amount, note, differs })
    }
}

/// The body of [`pay_out`].
#[derive(Debug)]
pub(crate) struct HandingOut {
    refund_id: RefundId,
    note: Option<String>,
}

impl Body for HandingOut {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let refund_id =
            fields.of("refund_id", |text| text.parse().map_err(|_| "must be the id of a refund"));
        let note = fields.optional_text("note", NOTE_CHARS_MAX);
        Some(Self { refund_id: refund_id?, note })
    }
}

/// Record money received
///
/// Cash that was taken, or a transfer that has arrived, for a payment whose gateway is `manual`. Exactly
/// what was asked for confirms the order. Another amount is refused, so that a slip of the hand fails no
/// order, unless `differs` says that it is what came in; then the order fails and the money is to go
/// back.
#[utoipa::path(
    post, path = "/payments/{id}/receipt", tag = "payments", security(("staff" = [])),
    request_body = ReceivePayment,
    params(("id" = Uuid, Path, description = "The payment")),
    responses((status = 200, description = "It is written down", body = ReceiptView))
)]
pub(crate) async fn receive(
    State(app): State<App>,
    _: Staff,
    OfPayment(payment_id): OfPayment,
    asked: Asked<Taking>,
) -> Result<Response, Problem> {
    // What was awaited then is not awaited any more; the journal knows what was answered.
    if let Some(told) = asked.told_before(&app).await? {
        return Ok(told);
    }
    let id = payment_id.to_string();
    let (payment, _) = app.journal.load::<Payment>(&id).await?;
    let terms = payment.terms();
    let terms = terms.ok_or_else(|| Problem::not_found("payment"))?;
    let envelope = asked.about(terms.order_id);
    let reference = match awaited(&payment, &asked.body, terms.amount) {
        Ok(tried) => tried.attempt.reference.clone(),
        Err(problem) => return asked.turn_away(&app, envelope, &problem).await,
    };
    let provider_reference = asked.body.note.clone();
    let outcome = Outcome::Captured {
        received: asked.body.amount,
        provider_reference: provider_reference.unwrap_or_else(|| reference.clone()),
        assessment: None,
    };
    let command = payment::Command::RecordOutcome { reference: reference.clone(), outcome };
    let order_id = terms.order_id.0;
    let wording = asked.wording(StatusCode::OK, |accepted| ReceiptView {
        payment_id: payment_id.0,
        order_id,
        reference: reference.clone(),
        status: status_of(accepted.state, &reference),
        version: accepted.version,
    });
    Ok(respond(
        app.journal
            .execute::<Payment>(&id, command, envelope, wording)
            .await?,
    ))
}

/// Record a refund paid out
///
/// Of a payment whose gateway is `manual`: somebody has handed the money out, or transferred it.
#[utoipa::path(
    post, path = "/payments/{id}/payout", tag = "payments", security(("staff" = [])),
    request_body = PayOutRefund,
    params(("id" = Uuid, Path, description = "The payment")),
    responses((status = 200, description = "It is written down", body = PayoutView))
)]
pub(crate) async fn pay_out(
    State(app): State<App>,
    _: Staff,
    OfPayment(payment_id): OfPayment,
    asked: Asked<HandingOut>,
) -> Result<Response, Problem> {
    if let Some(told) = asked.told_before(&app).await? {
        return Ok(told);
    }
    let (id, refund_id) = (payment_id.to_string(), asked.body.refund_id);
    let (payment, _) = app.journal.load::<Payment>(&id).await?;
    let terms = payment.terms();
    let terms = terms.ok_or_else(|| Problem::not_found("payment"))?;
    let envelope = asked.about(terms.order_id);
    let through = payment
        .pending_refund(refund_id)
        .map(|refund| refund.brought.gateway());
    if let Some(other) = through.filter(|gateway| *gateway != manual::NAME) {
        let detail = format!("{other} pays this refund out, and says so when it has");
        let problem = Problem::new(StatusCode::CONFLICT, "refund_not_by_hand", detail);
        return asked.turn_away(&app, envelope, &problem).await;
    }
    let note = asked.body.note.clone();
    let provider_reference = note.unwrap_or_else(|| refund_id.to_string());
    let command = payment::Command::SettleRefund { refund_id, provider_reference };
    let wording = asked.wording(StatusCode::OK, |accepted| PayoutView {
        payment_id: payment_id.0,
        refund_id: refund_id.0,
        status: "refunded",
        version: accepted.version,
    });
    Ok(respond(
        app.journal
            .execute::<Payment>(&id, command, envelope, wording)
            .await?,
    ))
}

/// The attempt that waits for money to be taken by hand, where this can be that money.
fn awaited<'a>(
    payment: &'a Payment,
    taking: &Taking,
    expected: Money,
) -> Result<&'a Tried, Problem> {
    let is_awaited = |tried: &&Tried| match tried.state {
        AttemptState::Awaited | AttemptState::Accepted | AttemptState::Declined => {
            tried.attempt.choice.gateway == manual::NAME
        }
        AttemptState::Captured | AttemptState::Mismatched => false,
    };
    let tried = payment.attempts().iter().rev().find(is_awaited);
    let tried = tried.ok_or_else(|| {
        let detail = "no attempt of this payment waits for money that staff take: it is taken down \
                      already, or another provider takes it";
        Problem::new(StatusCode::CONFLICT, "payment_not_by_hand", detail)
    })?;
    let received = taking.amount;
    if received.currency != expected.currency {
        let detail = format!("the order is in {}", expected.currency);
        return Err(refused("currency_mismatch", "/amount/currency", detail));
    }
    if received != expected && !taking.differs {
        let detail = format!(
            "{expected} was asked for; if {received} is what came in, say so with \"differs\": true, and \
             the order fails"
        );
        return Err(refused("amount_differs", "/amount/amount", detail));
    }
    Ok(tried)
}

fn refused(code: &'static str, pointer: &str, detail: String) -> Problem {
    let flaw = Flaw { pointer: pointer.to_owned(), detail: detail.clone() };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail).with_flaws(vec![flaw])
}

fn status_of(payment: &Payment, reference: &str) -> &'static str {
    match payment.attempt(reference).map(|tried| tried.state) {
        Some(AttemptState::Mismatched) => "mismatched",
        Some(
            AttemptState::Captured
            | AttemptState::Awaited
            | AttemptState::Accepted
            | AttemptState::Declined,
        )
        | None => "captured",
    }
}
