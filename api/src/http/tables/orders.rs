//! Orders and their payments as tables.

use axum::response::Response;
use exports::table::{Column, Kind};
use projections::orders::{self, OrderSummary};
use projections::payments::{self, PaymentView};
use serde_json::json;

use super::{PAGE, Source, answer, of};
use crate::http::App;
use crate::http::problem::Problem;
use crate::http::queries::Asking;
use crate::http::rows::Room;

const ORDERS: &[Column] = &[
    of("id", Kind::Word),
    of("placed_at", Kind::Time),
    of("status", Kind::Word),
    of("payment_status", Kind::Word),
    of("review", Kind::Word),
    of("customer_name", Kind::Text),
    of("customer_email", Kind::Text),
    of("country", Kind::Word),
    of("currency", Kind::Word),
    of("total", Kind::Word),
    of("refunded", Kind::Word),
    of("updated_at", Kind::Time),
    of("version", Kind::Int),
    of("shipping_cost", Kind::Word),
    of("shipping_method", Kind::Word),
];

/// Orders, newest first.
pub(crate) async fn of_orders(
    app: &App,
    asking: &Asking,
    filter: orders::Filter,
) -> Result<Response, Problem> {
    let row = |order: OrderSummary| {
        [json!({
            "id": order.id, "placed_at": order.placed_at, "status": order.status,
            "payment_status": order.payment_status, "review": order.review,
            "customer_name": order.customer.name, "customer_email": order.customer.email,
            "country": order.country, "currency": order.total.currency,
            "total": order.total.amount, "refunded": order.refunded.amount,
            "updated_at": order.updated_at, "version": order.version,
            "shipping_cost": order.shipping_cost.amount, "shipping_method": order.shipping_method,
        })]
    };
    let names = [orders::NAME];
    let source = Source { names: &names, columns: ORDERS, room: Room::House };
    answer(app, asking, source, row, move |connection, after| {
        let filter = filter.clone();
        Box::pin(async move { orders::list(connection, &filter, PAGE, after).await })
    })
    .await
}

const PAYMENTS: &[Column] = &[
    of("payment_id", Kind::Word),
    of("order_id", Kind::Word),
    of("opened_at", Kind::Time),
    of("status", Kind::Word),
    of("currency", Kind::Word),
    of("amount", Kind::Word),
    of("captured", Kind::Word),
    of("refunded", Kind::Word),
    of("pending_refunds", Kind::Word),
    of("attempts", Kind::Int),
    of("method", Kind::Word),
    of("gateway", Kind::Word),
    of("reference", Kind::Word),
    of("provider_reference", Kind::Text),
    of("updated_at", Kind::Time),
    of("version", Kind::Int),
];

/// Payments, newest first; method, provider and references are those of the last attempt.
pub(crate) async fn of_payments(
    app: &App,
    asking: &Asking,
    filter: payments::Filter,
) -> Result<Response, Problem> {
    let row = |payment: PaymentView| {
        let last = payment.attempts.last();
        [json!({
            "payment_id": payment.payment_id, "order_id": payment.order_id,
            "opened_at": payment.opened_at, "status": payment.status,
            "currency": payment.amount.currency, "amount": payment.amount.amount,
            "captured": payment.captured.amount, "refunded": payment.refunded.amount,
            "pending_refunds": payment.pending_refunds.amount,
            "attempts": payment.attempts.len(),
            "method": last.map(|last| last.method),
            "gateway": last.map(|last| &last.gateway),
            "reference": last.map(|last| &last.reference),
            "provider_reference": last.and_then(|last| last.provider_reference.as_ref()),
            "updated_at": payment.updated_at, "version": payment.version,
        })]
    };
    let names = [payments::NAME];
    let source = Source { names: &names, columns: PAYMENTS, room: Room::House };
    answer(app, asking, source, row, move |connection, after| {
        let filter = filter.clone();
        Box::pin(async move { payments::list(connection, &filter, PAGE, after).await })
    })
    .await
}
