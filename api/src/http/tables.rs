//! Lists as tables: every row that the filters leave, as CSV, flowing while they are read.
//!
//! 1. All rows are of one moment, and `Daybook-Position` says which. Customers are
//!    partly rows of their own and are read page by page; who comes or goes meanwhile may or may not be among them.
//! 2. A page is in memory at a time, however long the list is.
//! 3. What people wrote is no formula to a spreadsheet (`exports::delimited`).
//!
//! Columns are only ever added, at the end: spreadsheets and scripts count them.

use std::io;
use std::io::Write as _;
use std::str::FromStr;

use axum::http::HeaderMap;
use axum::response::Response;
use exports::table::{self, Column, Kind};
use futures::future::BoxFuture;
use projections::orders::OrderSummary;
use projections::payments::PaymentView;
use projections::products::ProductView;
use projections::stock::StockView;
use projections::vendors::VendorView;
use projections::{
    BadCursor, Error, Moment, Page, Seat, orders, payments, products, stock, vendors,
};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::App;
use super::customers::{self, CustomerRecord};
use super::forms::Form;
use super::parked::Cursor;
use super::problem::Problem;
use super::queries::{self, Asking};
use super::rows::{self, Rows};

/// Rows that are read at a time.
const PAGE: i64 = 100;

/// Whether the client wants a table instead of pages.
pub(crate) fn wanted(headers: &HeaderMap) -> bool {
    queries::accepts(headers, "text/csv")
}

const fn of(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}

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
        json!({
            "id": order.id, "placed_at": order.placed_at, "status": order.status,
            "payment_status": order.payment_status, "review": order.review,
            "customer_name": order.customer.name, "customer_email": order.customer.email,
            "country": order.country, "currency": order.total.currency,
            "total": order.total.amount, "refunded": order.refunded.amount,
            "updated_at": order.updated_at, "version": order.version,
            "shipping_cost": order.shipping_cost.amount, "shipping_method": order.shipping_method,
        })
    };
    answer(app, asking, &[orders::NAME], ORDERS, row, move |connection, after| {
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
    of("charged_back", Kind::Word),
    of("attempts", Kind::Int),
    of("method", Kind::Word),
    of("gateway", Kind::Word),
    of("reference", Kind::Word),
    of("provider_reference", Kind::Text),
    of("updated_at", Kind::Time),
    of("version", Kind::Int),
];

/// Payments, newest first; method, provider and references are those of the last attempt.
pub(crate) async fn of_payments(app: &App, asking: &Asking) -> Result<Response, Problem> {
    let row = |payment: PaymentView| {
        let last = payment.attempts.last();
        json!({
            "payment_id": payment.payment_id, "order_id": payment.order_id,
            "opened_at": payment.opened_at, "status": payment.status,
            "currency": payment.amount.currency, "amount": payment.amount.amount,
            "captured": payment.captured.amount, "refunded": payment.refunded.amount,
            "pending_refunds": payment.pending_refunds.amount,
            "charged_back": payment.charged_back.map(|money| money.amount),
            "attempts": payment.attempts.len(),
            "method": last.map(|last| last.method),
            "gateway": last.map(|last| &last.gateway),
            "reference": last.map(|last| &last.reference),
            "provider_reference": last.and_then(|last| last.provider_reference.as_ref()),
            "updated_at": payment.updated_at, "version": payment.version,
        })
    };
    answer(app, asking, &[payments::NAME], PAYMENTS, row, |connection, after| {
        Box::pin(payments::list(connection, PAGE, after))
    })
    .await
}

const STOCK: &[Column] = &[
    of("sku", Kind::Text),
    of("on_hand", Kind::Int),
    of("reserved", Kind::Int),
    of("available", Kind::Int),
    of("updated_at", Kind::Time),
    of("version", Kind::Int),
];

/// Stock, ordered by SKU.
pub(crate) async fn of_stock(app: &App, asking: &Asking) -> Result<Response, Problem> {
    let row = |level: StockView| json!(level);
    answer(app, asking, &[stock::NAME], STOCK, row, |connection, after| {
        Box::pin(stock::list(connection, PAGE, after))
    })
    .await
}

const PRODUCTS: &[Column] = &[
    of("sku", Kind::Text),
    of("name", Kind::Text),
    of("currency", Kind::Word),
    of("price", Kind::Word),
    of("active", Kind::Bool),
    of("available", Kind::Int),
    of("vendor", Kind::Word),
    of("updated_at", Kind::Time),
    of("version", Kind::Int),
];

/// Products, ordered by SKU; further prices are left out.
pub(crate) async fn of_products(
    app: &App,
    asking: &Asking,
    names: &[&'static str],
    filter: products::Filter,
) -> Result<Response, Problem> {
    let row = |product: ProductView| {
        json!({
            "sku": product.sku, "name": product.name, "currency": product.price.currency,
            "price": product.price.amount, "active": product.active,
            "available": product.available, "vendor": product.vendor,
            "updated_at": product.updated_at, "version": product.version,
        })
    };
    answer(app, asking, names, PRODUCTS, row, move |connection, after| {
        let filter = filter.clone();
        Box::pin(async move { products::list(connection, &filter, PAGE, after).await })
    })
    .await
}

const VENDORS: &[Column] = &[
    of("id", Kind::Word),
    of("status", Kind::Word),
    of("business_name", Kind::Text),
    of("line1", Kind::Text),
    of("line2", Kind::Text),
    of("city", Kind::Text),
    of("postcode", Kind::Text),
    of("country", Kind::Word),
    of("reason", Kind::Text),
    of("registered_at", Kind::Time),
    of("updated_at", Kind::Time),
    of("version", Kind::Int),
];

/// Vendors, newest first.
pub(crate) async fn of_vendors(
    app: &App,
    asking: &Asking,
    filter: vendors::Filter,
) -> Result<Response, Problem> {
    let row = |vendor: VendorView| {
        json!({
            "id": vendor.id, "status": vendor.status, "business_name": vendor.business_name,
            "line1": vendor.address.line1, "line2": vendor.address.line2,
            "city": vendor.address.city, "postcode": vendor.address.postcode,
            "country": vendor.address.country, "reason": vendor.reason,
            "registered_at": vendor.registered_at, "updated_at": vendor.updated_at,
            "version": vendor.version,
        })
    };
    answer(app, asking, &[vendors::NAME], VENDORS, row, move |connection, after| {
        let filter = filter.clone();
        Box::pin(async move { vendors::list(connection, &filter, PAGE, after).await })
    })
    .await
}

const CUSTOMERS: &[Column] = &[
    of("id", Kind::Word),
    of("kind", Kind::Word),
    of("role", Kind::Word),
    of("email", Kind::Text),
    of("email_verified", Kind::Bool),
    of("name", Kind::Text),
    of("phone", Kind::Text),
    of("country", Kind::Word),
    of("orders", Kind::Int),
    of("created_at", Kind::Time),
    of("updated_at", Kind::Time),
];

/// Customers, with and without an account, newest first.
pub(crate) fn of_customers(
    app: &App,
    position: i64,
    filter: customers::Filter,
) -> Result<Response, Problem> {
    let people = Customers { app: app.clone(), filter, after: None, is_over: false };
    let place = rows::place()?;
    let read = |line: &[u8]| table::row(CUSTOMERS, line);
    Ok(Form::Csv.streamed(rows::pieces(people, place), position, CUSTOMERS, read))
}

/// A list as a table of one moment.
async fn answer<T, C, R>(
    app: &App,
    asking: &Asking,
    names: &[&'static str],
    columns: &'static [Column],
    row: fn(T) -> Value,
    read: R,
) -> Result<Response, Problem>
where
    T: Send + 'static,
    C: FromStr<Err = BadCursor> + Send + 'static,
    R: for<'c> Fn(&'c mut PgConnection, Option<C>) -> BoxFuture<'c, Result<Page<T>, Error>>
        + Send
        + 'static,
{
    let _reached = asking.position(app, names).await?;
    let place = rows::place()?;
    let seat = app.read_models.seat().await?;
    let moment = Moment::of(app.read_models.reads(), names).await?;
    let position = moment.position();
    let listing = Listing { moment, read, row, after: None, is_over: false, _seat: seat };
    let cells = |line: &[u8]| table::row(columns, line);
    Ok(Form::Csv.streamed(rows::pieces(listing, place), position, columns, cells))
}

/// A list that is read to its end.
struct Listing<T, C, R> {
    moment: Moment,
    read: R,
    row: fn(T) -> Value,
    after: Option<C>,
    is_over: bool,
    _seat: Seat,
}

impl<T, C, R> Listing<T, C, R>
where
    C: FromStr<Err = BadCursor>,
    R: for<'c> Fn(&'c mut PgConnection, Option<C>) -> BoxFuture<'c, Result<Page<T>, Error>>,
{
    async fn some(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.is_over {
            return Ok(None);
        }
        let page = (self.read)(self.moment.connection(), self.after.take()).await;
        let Page { items, next_cursor } = page.map_err(io::Error::other)?;
        self.after = next_cursor
            .map(|cursor| cursor.parse())
            .transpose()
            .map_err(io::Error::other)?;
        self.is_over = self.after.is_none();
        lines(items.into_iter().map(self.row))
    }
}

impl<T, C, R> Rows for Listing<T, C, R>
where
    T: Send + 'static,
    C: FromStr<Err = BadCursor> + Send + 'static,
    R: for<'c> Fn(&'c mut PgConnection, Option<C>) -> BoxFuture<'c, Result<Page<T>, Error>>
        + Send
        + 'static,
{
    fn next(&mut self) -> BoxFuture<'_, io::Result<Option<Vec<u8>>>> {
        Box::pin(self.some())
    }
}

/// The same of customers.
struct Customers {
    app: App,
    filter: customers::Filter,
    after: Option<Cursor>,
    is_over: bool,
}

impl Customers {
    async fn some(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.is_over {
            return Ok(None);
        }
        let people = self.filter.find(&self.app, PAGE, self.after).await;
        let people = people.map_err(|problem| io::Error::other(format!("{problem:?}")))?;
        self.is_over = people.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        self.after = people.last().map(CustomerRecord::cursor);
        lines(people.into_iter().map(|person| json!(person)))
    }
}

impl Rows for Customers {
    fn next(&mut self) -> BoxFuture<'_, io::Result<Option<Vec<u8>>>> {
        Box::pin(self.some())
    }
}

/// Each a line; JSON has no line feeds of its own.
fn lines(rows: impl Iterator<Item = Value>) -> io::Result<Option<Vec<u8>>> {
    let mut lines = Vec::new();
    for row in rows {
        writeln!(lines, "{row}")?;
    }
    Ok(Some(lines))
}
