//! What moves a placed order on: withdrawing it, fulfilling it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::ids::{OrderId, RefundId};
use domain::order::{self, Order};
use projections::orders::Status;
use serde::Serialize;
use store::command::Envelope;
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::{CancelOrder, Nothing};
use super::command::{Accepted, Asked, respond};
use super::fields::{Body, Fields};
use super::identity::Importers;
use super::ownership::ToAct;
use super::parameters::OfOrder;
use super::problem::Problem;
use super::{App, keys};

/// Longest reason that anybody gives for anything.
pub(crate) const REASON_CHARS_MAX: usize = 500;

/// An order that has moved.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MovedView {
    /// Which
    id: Uuid,
    /// How far it has come
    #[schema(value_type = Status)]
    status: order::Stage,
    /// Its version, for `If-Match`
    version: i64,
}

/// The body of [`cancel`].
#[derive(Debug)]
pub(crate) struct Cancellation {
    pub(crate) reason: String,
}

impl Body for Cancellation {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { reason: fields.text("reason", REASON_CHARS_MAX)? })
    }
}

/// The body of a command that needs no words.
#[derive(Debug)]
pub(crate) struct Empty;

impl Body for Empty {
    const OPTIONAL: bool = true;

    fn read(_: &mut Fields<'_>) -> Option<Self> {
        Some(Self)
    }
}

/// Cancel an order
///
/// Its stock is released; money that was captured goes back.
#[utoipa::path(
    post, path = "/orders/{id}/cancel", tag = "orders", request_body = CancelOrder,
    security((), ("bearer" = ["customer", "vendor", "admin"])),
    extensions(("x-own" = json!(["guest", "customer", "vendor"]))),
    params(("id" = Uuid, Path, description = "The order")),
    responses((status = 200, description = "The order is cancelled", body = MovedView))
)]
pub(crate) async fn cancel(
    State(app): State<App>,
    OfOrder(order_id): OfOrder,
    whose: ToAct,
    asked: Asked<Cancellation>,
) -> Result<Response, Problem> {
    whose.on(&app, order_id).await?;
    let reason = asked.body.reason.clone();
    let refund_id = RefundId(keys::refund_id(asked.command_id));
    let command = order::Command::Cancel { reason: reason.clone(), refund_id };
    move_on(&app, order_id, &asked, command, Some(reason)).await
}

/// Complete an order
///
/// It has been fulfilled: its stock is issued.
#[utoipa::path(
    post, path = "/orders/{id}/complete", tag = "orders", security(("bearer" = ["admin", "importer"])),
    request_body = Option<Nothing>,
    params(("id" = Uuid, Path, description = "The order")),
    responses((status = 200, description = "The order is completed", body = MovedView))
)]
pub(crate) async fn complete(
    State(app): State<App>,
    _: Importers,
    OfOrder(order_id): OfOrder,
    asked: Asked<Empty>,
) -> Result<Response, Problem> {
    move_on(&app, order_id, &asked, order::Command::Complete, None).await
}

async fn move_on<B: Sync>(
    app: &App,
    order_id: OrderId,
    asked: &Asked<B>,
    command: order::Command,
    reason: Option<String>,
) -> Result<Response, Problem> {
    let envelope = Envelope { reason, ..asked.about(order_id) };
    let wording = asked.wording(StatusCode::OK, |accepted: Accepted<'_, Order>| MovedView {
        id: order_id.0,
        status: accepted.state.stage(),
        version: accepted.version,
    });
    let id = order_id.to_string();
    Ok(respond(
        app.journal
            .execute::<Order>(&id, command, envelope, wording)
            .await?,
    ))
}
