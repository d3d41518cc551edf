//! What staff say about an order that screening has held.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::Utc;
use domain::order::{self, Order, Review, Verdict};
use projections::orders::Status;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::App;
use super::bodies::ReviewOrder;
use super::command::{Accepted, Asked, respond};
use super::fields::{Body, Fields};
use super::identity::Staff;
use super::moves::REASON_CHARS_MAX;
use super::parameters::OfOrder;
use super::problem::Problem;

/// An order that was reviewed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReviewedView {
    /// Which
    id: Uuid,
    /// How far it has come
    #[schema(value_type = Status)]
    status: order::Stage,
    /// `approved` or `refused`
    #[schema(value_type = String, example = "approved")]
    review: Review,
    /// Its version, for `If-Match`
    version: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Approve,
    Refuse,
}

/// The body of [`review`].
#[derive(Debug)]
pub(crate) struct Reviewing {
    decision: Said,
    reason: String,
}

impl Body for Reviewing {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let words = [("approve", Said::Approve), ("refuse", Said::Refuse)];
        let decision = fields.one_of("decision", &words);
        let reason = fields.text("reason", REASON_CHARS_MAX);
        Some(Self { decision: decision?, reason: reason? })
    }
}

/// Review an order
///
/// For orders that are held (`GET /orders?review=held`). Approved, an order that is not paid yet may
/// be paid from now on, for the usual time; one that is paid is confirmed. Refused, it fails: its
/// stock is free, and money that has come in goes back. Customers are not told the reason.
#[utoipa::path(
    post, path = "/orders/{id}/review", tag = "fraud", request_body = ReviewOrder,
    security(("staff" = [])),
    params(("id" = Uuid, Path, description = "The order")),
    responses((status = 200, description = "The order is reviewed", body = ReviewedView))
)]
pub(crate) async fn review(
    State(app): State<App>,
    _: Staff,
    OfOrder(order_id): OfOrder,
    asked: Asked<Reviewing>,
) -> Result<Response, Problem> {
    let Reviewing { decision, reason } = &asked.body;
    let (verdict, name) = match decision {
        Said::Approve => {
            let pay_by = Utc::now() + app.settings.payment_window;
            (Verdict::Approve { pay_by }, "approve")
        }
        Said::Refuse => (Verdict::Refuse, "refuse"),
    };
    let command = order::Command::Review { verdict, reason: reason.clone() };
    let wording = asked.wording(StatusCode::OK, |accepted: Accepted<'_, Order>| ReviewedView {
        id: order_id.0,
        status: accepted.state.stage(),
        review: accepted.state.review(),
        version: accepted.version,
    });
    // The reason is the event's own: what is said with a command is shown to customers as well.
    let id = order_id.to_string();
    let receipt = app
        .journal
        .execute::<Order>(&id, command, asked.about(order_id), wording)
        .await?;
    if receipt.verdict == store::command::Verdict::Accepted && !receipt.replayed {
        metrics::counter!("daybook_reviews_total", "decision" => name).increment(1);
    }
    Ok(respond(receipt))
}
