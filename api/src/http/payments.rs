//! Payments: to look at, and to try again.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::Utc;
use domain::order::Order;
use domain::payment::{self, Attempt, AttemptState, Payment};
use domain::placing::{PaymentChoice, PaymentMethod};
use projections::MoneyView;
use projections::PaymentStatus;
use projections::history::{self, Was};
use projections::payments::{self, NextStepView, PaymentView};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::StartPayment;
use super::command::{Asked, respond};
use super::fields::{Body, Fields};
use super::history::Moments;
use super::identity::Readers;
use super::ownership::{ToAct, ToSee};
use super::parameters::{OfOrder, OfPayment, Parameters};
use super::paying::{self, Wanted};
use super::problem::Problem;
use super::queries::{self, Asking};
use super::{App, tables};

/// A payment attempt that was started.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StartedView {
    /// The payment
    id: Uuid,
    /// The order it pays
    order_id: Uuid,
    /// Our name for the attempt at the payment provider
    reference: String,
    /// `awaited` until the provider has answered
    #[schema(value_type = String, example = "awaited")]
    status: AttemptState,
    /// The payment's version, for `If-Match`
    version: i64,
}

/// The body of [`start`].
#[derive(Debug)]
pub(crate) struct Starting(Wanted);

impl Body for Starting {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        paying::read(fields, None).map(Self)
    }
}

/// Try to pay again
///
/// Starts another attempt after one that failed, at the provider that is named, or at one that the
/// rules of routing lead to: 422 `no_gateway` if nobody takes it, 503 `gateways_away` if whoever
/// does is not reached at the moment. One that is still open is ended first, where its provider can be
/// told so.
#[utoipa::path(
    post, path = "/orders/{id}/payments", tag = "payments", request_body = StartPayment,
    security((), ("bearer" = ["customer", "vendor", "admin"])),
    extensions(("x-own" = json!(["guest", "customer", "vendor"]))),
    params(("id" = Uuid, Path, description = "The order")),
    responses((status = 201, description = "The attempt is started", body = StartedView))
)]
pub(crate) async fn start(
    State(app): State<App>,
    OfOrder(order_id): OfOrder,
    whose: ToAct,
    asked: Asked<Starting>,
) -> Result<Response, Problem> {
    whose.on(&app, order_id).await?;
    let (order, _) = app.journal.load::<Order>(&order_id.to_string()).await?;
    let envelope = asked.about(order_id);
    let Some(payment_id) = order.payment_id() else {
        return asked
            .turn_away(&app, envelope, &Problem::not_found("order"))
            .await;
    };
    let wanted = &asked.body.0;
    let total = order.total().ok_or_else(|| Problem::not_found("order"))?;
    // Only to choose by, and a second try is rare: so the log is asked.
    let country = match wanted.gateway {
        Some(_) => None,
        None => app.routing.country_of(order_id).await?,
    };
    let chosen = paying::choose(&app, wanted, total, country.as_deref().unwrap_or_default());
    let choice = match chosen {
        Ok(choice) => choice,
        Err(nobody) => return nobody.answer(&app, &asked, envelope).await,
    };
    // A repetition has begun what is open, and whoever names a version wants nothing else changed.
    if let Some(told) = asked.told_before(&app).await? {
        return Ok(told);
    }
    if envelope.expected_version.is_none() {
        // Whoever wants to pay otherwise has left the page that is open, if there is one.
        app.providers()
            .end_open(payment_id, asked.command_id)
            .await?;
    }
    let attempt = attempt(choice);
    let command = payment::Command::StartAttempt { attempt: attempt.clone() };
    let wording = asked.wording(StatusCode::CREATED, |accepted| StartedView {
        id: payment_id.0,
        order_id: order_id.0,
        reference: attempt.reference.clone(),
        status: AttemptState::Awaited,
        version: accepted.version,
    });
    let id = payment_id.to_string();
    Ok(respond(
        app.journal
            .execute::<Payment>(&id, command, envelope, wording)
            .await?,
    ))
}

fn attempt(choice: PaymentChoice) -> Attempt {
    Attempt {
        reference: reference(Uuid::now_v7()),
        choice,
        started_at: Utc::now(),
        instead_of: None,
    }
}

/// A name that every payment provider accepts: 26 digits and capital letters, as a ULID has them.
fn reference(id: Uuid) -> String {
    const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let bits = id.as_u128();
    (0..26_u32)
        .rev()
        .map(|digit| {
            let five = usize::try_from((bits >> (5 * digit)) & 0x1f).unwrap_or_default();
            char::from(CROCKFORD[five])
        })
        .collect()
}

/// What there is to pay, and how.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToPayView {
    /// The payment
    payment_id: Uuid,
    /// What is asked for
    amount: MoneyView,
    /// Where the money stands
    payment_status: PaymentStatus,
    /// Of the last attempt: `awaited`, `accepted`, `captured`, `declined` or `mismatched`
    #[schema(value_type = String, example = "accepted")]
    status: AttemptState,
    /// Our name for the last attempt at the payment provider
    reference: String,
    /// The provider
    gateway: String,
    /// What the customer has to do now, if anything
    next_step: Option<NextStepView>,
    /// Why the last attempt was declined, if it was
    reason: Option<String>,
}

/// Show what there is to pay
///
/// Where the customer is to go, or what has become of the last attempt. A guest shows the order's
/// token. Looking makes sure that a silent provider is asked.
#[utoipa::path(
    get, path = "/orders/{id}/payment", tag = "payments",
    security((), ("bearer" = ["customer", "vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["guest", "customer", "vendor"]))),
    params(
        ("token" = Option<String>, Query, description = "The order's token, for guests"),
        ("id" = Uuid, Path, description = "The order"),
    ),
    responses((status = 200, description = "The last attempt", body = ToPayView))
)]
pub(crate) async fn show_to_pay(
    State(app): State<App>,
    OfOrder(order_id): OfOrder,
    whose: ToSee,
    asking: Asking,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let link = parameters.text("token");
    parameters.finish()?;
    let _audience = whose.order(&app, order_id, link).await?;
    let (position, _seat) = asking.seat(&app, &[payments::NAME]).await?;
    let (order, _) = app.journal.load::<Order>(&order_id.to_string()).await?;
    let payment = match order.payment_id() {
        Some(payment_id) => payments::by_id(app.read_models.reads(), payment_id).await?,
        None => return Err(Problem::not_found("order").at(position)),
    };
    let payment = payment.ok_or_else(|| Problem::not_found("payment").at(position))?;
    if payment.waits_for_provider() {
        workers::providers::ask_soon(&app.pool, payment.payment_id).await?;
    }
    let version = payment.version;
    let view = ToPayView::of(payment).ok_or_else(|| Problem::not_found("payment"))?;
    Ok(asking.show_versioned(position, version, &view))
}

impl ToPayView {
    fn of(mut payment: PaymentView) -> Option<Self> {
        let last = payment.attempts.pop()?;
        Some(Self {
            payment_id: payment.payment_id.0,
            amount: payment.amount,
            payment_status: payment.status,
            status: last.status,
            reference: last.reference,
            gateway: last.gateway,
            next_step: last.next_step,
            reason: last.reason,
        })
    }
}

/// List payments
///
/// Newest first. `Accept: text/csv` gives every row that the filters leave, as a table of one moment.
#[utoipa::path(
    get, path = "/payments", tag = "payments", security(("bearer" = ["admin", "analyst", "auditor"])),
    params(
        ("status" = Option<PaymentStatus>, Query, description = "Where their money stands"),
        ("order_id" = Option<Uuid>, Query, description = "Of this order"),
        ("gateway" = Option<String>, Query, description = "Last tried at this provider"),
        ("method" = Option<String>, Query, description = "Last tried like this, such as `credit_card`"),
        ("opened_from" = Option<String>, Query, description = "Time (RFC 3339) or day, included"),
        ("opened_to" = Option<String>, Query, description = "Time (RFC 3339) or day, included"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((
        status = 200, description = "A page, or all rows as a table",
        content((projections::Page<PaymentView> = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Readers,
    asking: Asking,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let as_table = tables::wanted(&headers);
    if as_table {
        parameters.whole();
    }
    let statuses = PaymentStatus::ALL.map(|status| (status.as_str(), status));
    let filter = payments::Filter {
        status: parameters.named("status", &statuses),
        order_id: parameters
            .optional("order_id", |text| text.parse().map_err(|_| "must be the id of an order")),
        gateway: parameters.text("gateway"),
        method: parameters.named("method", &PaymentMethod::NAMES),
        opened_from: parameters.instant("opened_from"),
        opened_to: parameters.end("opened_to"),
    };
    let (limit, cursor) = (parameters.limit(), parameters.cursor());
    parameters.finish()?;
    if as_table {
        return tables::of_payments(&app, &asking, filter).await;
    }
    let (position, _seat) = asking.seat(&app, &[payments::NAME]).await?;
    let page = payments::list(app.read_models.reads(), &filter, limit, cursor).await?;
    Ok(queries::show(position, &page))
}

/// Show a payment
///
/// Its attempts and refunds, with the names that the payment provider has for them. With `as_of`, as it
/// was then; with `diff_from`, which fields have changed since, and by which events.
#[utoipa::path(
    get, path = "/payments/{id}", tag = "payments", security(("bearer" = ["admin", "analyst", "auditor"])),
    params(
        ("id" = Uuid, Path, description = "The payment"),
        ("as_of" = Option<String>, Query, description = "Position, time (RFC 3339) or day"),
        ("diff_from" = Option<String>, Query, description = "An earlier moment: what changed since"),
    ),
    responses((status = 200, description = "The payment, or its changes", body = Was<PaymentView>))
)]
pub(crate) async fn show(
    State(app): State<App>,
    _: Readers,
    OfPayment(payment_id): OfPayment,
    asking: Asking,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let moments = Moments::of(&mut parameters);
    parameters.finish()?;
    let (position, _seat) = asking.seat(&app, &[payments::NAME]).await?;
    if moments.are_given() {
        let was = history::of_payment(&app.pool, payment_id, moments.asked(position)).await?;
        return match was.ok_or_else(|| Problem::not_found("payment").at(position))? {
            Was::View(payment) => Ok(asking.show_versioned(position, payment.version, &payment)),
            Was::Changes(changes) => Ok(queries::show(position, &changes)),
        };
    }
    let payment = payments::by_id(app.read_models.reads(), payment_id).await?;
    let payment = payment.ok_or_else(|| Problem::not_found("payment").at(position))?;
    Ok(asking.show_versioned(position, payment.version, &payment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_26_characters_that_every_provider_accepts() {
        assert_eq!(reference(Uuid::nil()), "0".repeat(26));
        assert_eq!(reference(Uuid::max()), format!("7{}", "Z".repeat(25)));
        let (one, two) = (reference(Uuid::from_u128(31)), reference(Uuid::from_u128(32)));
        assert!(one.ends_with("0Z") && two.ends_with("10"));
    }
}
