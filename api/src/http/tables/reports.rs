//! Reports as tables. Their rows are few, and in memory before the first is written.

use axum::response::Response;
use exports::table::{Column, Kind};
use projections::MoneyView;
use projections::customers::{CohortRow, CustomersRow};
use projections::sales::SalesRow;
use projections::settlement::SettlementRow;
use serde_json::json;

use super::{of, whole};
use crate::http::problem::Problem;

const SALES: &[Column] = &[
    of("key", Kind::Text),
    of("currency", Kind::Word),
    of("orders", Kind::Int),
    of("units", Kind::Int),
    of("gross", Kind::Word),
    of("refunded", Kind::Word),
    of("net", Kind::Word),
];

/// Sales, ordered by key, then by currency.
pub(crate) fn of_sales(position: i64, items: &[SalesRow]) -> Result<Response, Problem> {
    let row = |sales: &SalesRow| {
        json!({
            "key": sales.key, "currency": sales.gross.currency, "orders": sales.orders,
            "units": sales.units, "gross": sales.gross.amount,
            "refunded": sales.refunded.amount, "net": sales.net.amount,
        })
    };
    whole(position, SALES, items.iter().map(row))
}

const MONTHS: &[Column] = &[
    of("month", Kind::Word),
    of("currency", Kind::Word),
    of("customers", Kind::Int),
    of("new_customers", Kind::Int),
    of("returning_customers", Kind::Int),
    of("orders", Kind::Int),
    of("forgotten_orders", Kind::Int),
    of("orders_per_customer", Kind::Word),
    of("gross", Kind::Word),
    of("refunded", Kind::Word),
    of("net", Kind::Word),
    of("net_per_customer", Kind::Word),
];

/// Customers by month.
pub(crate) fn of_months(position: i64, items: &[CustomersRow]) -> Result<Response, Problem> {
    let row = |of: &CustomersRow| {
        json!({
            "month": of.month, "currency": of.gross.currency, "customers": of.customers,
            "new_customers": of.new_customers, "returning_customers": of.returning_customers,
            "orders": of.orders, "forgotten_orders": of.forgotten_orders,
            "orders_per_customer": of.orders_per_customer, "gross": of.gross.amount,
            "refunded": of.refunded.amount, "net": of.net.amount,
            "net_per_customer": amount(of.net_per_customer.as_ref()),
        })
    };
    whole(position, MONTHS, items.iter().map(row))
}

const COHORTS: &[Column] = &[
    of("cohort", Kind::Word),
    of("month", Kind::Word),
    of("months_since", Kind::Int),
    of("currency", Kind::Word),
    of("cohort_customers", Kind::Int),
    of("customers", Kind::Int),
    of("orders", Kind::Int),
    of("orders_per_customer", Kind::Word),
    of("gross", Kind::Word),
    of("refunded", Kind::Word),
    of("net", Kind::Word),
    of("net_per_customer", Kind::Word),
];

/// Customers by cohort.
pub(crate) fn of_cohorts(position: i64, items: &[CohortRow]) -> Result<Response, Problem> {
    let row = |of: &CohortRow| {
        json!({
            "cohort": of.cohort, "month": of.month, "months_since": of.months_since,
            "currency": of.gross.currency, "cohort_customers": of.cohort_customers,
            "customers": of.customers, "orders": of.orders,
            "orders_per_customer": of.orders_per_customer, "gross": of.gross.amount,
            "refunded": of.refunded.amount, "net": of.net.amount,
            "net_per_customer": amount(of.net_per_customer.as_ref()),
        })
    };
    whole(position, COHORTS, items.iter().map(row))
}

fn amount(of: Option<&MoneyView>) -> Option<String> {
    of.map(|money| money.amount.to_string())
}

/// The members of a row.
const SETTLEMENT: &[Column] = &[
    of("day", Kind::Date),
    of("gateway", Kind::Text),
    of("currency", Kind::Word),
    of("captures", Kind::Int),
    of("captured", Kind::Word),
    of("repeated", Kind::Int),
    of("repeated_amount", Kind::Word),
    of("mismatched", Kind::Int),
    of("mismatched_amount", Kind::Word),
    of("other_currency", Kind::Int),
    of("other_currency_amount", Kind::Word),
    of("unmatched", Kind::Int),
    of("unmatched_amount", Kind::Word),
    of("refunds", Kind::Int),
    of("refunded", Kind::Word),
    of("pending_refunds", Kind::Int),
    of("pending_refunds_amount", Kind::Word),
    of("net", Kind::Word),
    of("chargebacks", Kind::Int),
    of("charged_back", Kind::Word),
];

/// Settlement, ordered by day, gateway and currency.
pub(crate) fn of_settlement(position: i64, items: &[SettlementRow]) -> Result<Response, Problem> {
    whole(position, SETTLEMENT, items.iter().map(|row| json!(row)))
}
