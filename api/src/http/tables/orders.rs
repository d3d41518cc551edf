//! Orders and their payments as tables: the house's, and what of them is a vendor's.

use axum::response::Response;
use domain::ids::VendorId;
use exports::table::{Column, Kind};
use projections::orders::{self, OrderSummary};
use projections::payments::{self, PaymentView};
use projections::vendor_orders::{self, VendorOrderView};
use serde_json::{Value, json};

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
    of("charged_back", Kind::Word),
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
            "charged_back": payment.charged_back.map(|money| money.amount),
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

const VENDORS_ORDERS: &[Column] = &[
    of("id", Kind::Word),
    of("placed_at", Kind::Time),
    of("status", Kind::Word),
    of("line", Kind::Int),
    of("sku", Kind::Text),
    of("name", Kind::Text),
    of("quantity", Kind::Int),
    of("currency", Kind::Word),
    of("unit_price", Kind::Word),
    of("line_total", Kind::Word),
    of("refunded_quantity", Kind::Int),
    of("shipped_at", Kind::Time),
    of("carrier", Kind::Text),
    of("tracking_number", Kind::Text),
    of("ship_to_name", Kind::Text),
    of("line1", Kind::Text),
    of("line2", Kind::Text),
    of("city", Kind::Text),
    of("postcode", Kind::Text),
    of("country", Kind::Word),
    of("version", Kind::Int),
];

/// A vendor's orders, newest first, a row for each of their lines: what is to be packed.
pub(crate) async fn of_vendors_orders(
    app: &App,
    asking: &Asking,
    vendor: VendorId,
    filter: vendor_orders::Filter,
) -> Result<Response, Problem> {
    let names = [vendor_orders::NAME, orders::NAME];
    let source = Source { names: &names, columns: VENDORS_ORDERS, room: Room::Vendors };
    answer(app, asking, source, lines_of, move |connection, after| {
        let filter = filter.clone();
        Box::pin(async move { vendor_orders::list(connection, vendor, &filter, PAGE, after).await })
    })
    .await
}

fn lines_of(order: VendorOrderView) -> Vec<Value> {
    let VendorOrderView { id, placed_at, status, version, ship_to, items, .. } = order;
    let address = ship_to.as_ref().map(|to| &to.address);
    let line = |line: vendor_orders::VendorLineView| {
        let shipped = line.shipped.as_ref();
        json!({
            "id": id, "placed_at": placed_at, "status": status, "line": line.line,
            "sku": line.sku, "name": line.name, "quantity": line.quantity,
            "currency": line.unit_price.currency, "unit_price": line.unit_price.amount,
            "line_total": line.line_total.amount, "refunded_quantity": line.refunded_quantity,
            "shipped_at": shipped.map(|it| it.at),
            "carrier": shipped.map(|it| &it.carrier),
            "tracking_number": shipped.map(|it| &it.tracking_number),
            "ship_to_name": ship_to.as_ref().map(|to| &to.name),
            "line1": address.map(|it| &it.line1), "line2": address.map(|it| &it.line2),
            "city": address.map(|it| &it.city), "postcode": address.map(|it| &it.postcode),
            "country": address.map(|it| &it.country), "version": version,
        })
    };
    items.into_iter().map(line).collect()
}
