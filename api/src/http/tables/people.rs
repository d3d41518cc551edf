//! People as tables: who sells, who buys, what they ask and what they think of it.

use std::sync::Arc;

use axum::response::Response;
use domain::ids::Sku;
use exports::table::{Column, Kind};
use projections::vendors::{self, VendorView};
use serde_json::json;
use storefront::{reviews, support};

use super::{PAGE, Source, answer, of, walked};
use crate::http::App;
use crate::http::customers::{self, CustomerRecord};
use crate::http::parked::Cursor;
use crate::http::problem::Problem;
use crate::http::queries::Asking;
use crate::http::reviews::ReviewView;
use crate::http::rows::Room;
use crate::http::tickets::TicketView;

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
    of("description", Kind::Text),
    of("shows_place", Kind::Bool),
];

/// Vendors, newest first.
pub(crate) async fn of_vendors(
    app: &App,
    asking: &Asking,
    filter: vendors::Filter,
) -> Result<Response, Problem> {
    let row = |vendor: VendorView| {
        [json!({
            "id": vendor.id, "status": vendor.status, "business_name": vendor.business_name,
            "line1": vendor.address.line1, "line2": vendor.address.line2,
            "city": vendor.address.city, "postcode": vendor.address.postcode,
            "country": vendor.address.country, "reason": vendor.reason,
            "registered_at": vendor.registered_at, "updated_at": vendor.updated_at,
            "version": vendor.version, "description": vendor.description,
            "shows_place": vendor.shows_place,
        })]
    };
    let names = [vendors::NAME];
    let source = Source { names: &names, columns: VENDORS, room: Room::House };
    answer(app, asking, source, row, move |connection, after| {
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
    let (app, filter) = (app.clone(), Arc::new(filter));
    let row = |person: CustomerRecord| json!(person);
    walked(position, CUSTOMERS, row, CustomerRecord::cursor, move |after| {
        let (app, filter) = (app.clone(), Arc::clone(&filter));
        Box::pin(async move { filter.find(&app, PAGE, after).await })
    })
}

const TICKETS: &[Column] = &[
    of("id", Kind::Word),
    of("created_at", Kind::Time),
    of("status", Kind::Word),
    of("subject", Kind::Text),
    of("account_id", Kind::Word),
    of("name", Kind::Text),
    of("email", Kind::Text),
    of("order_id", Kind::Word),
    of("updated_at", Kind::Time),
];

/// Tickets, newest first, without what was said in them.
pub(crate) fn of_tickets(
    app: &App,
    position: i64,
    filter: support::Filter,
) -> Result<Response, Problem> {
    let (app, filter) = (app.clone(), Arc::new(filter));
    let row = |ticket: support::Ticket| json!(TicketView::from(ticket));
    let at = |last: &support::Ticket| Cursor { at: last.created_at, id: last.ticket_id };
    walked(position, TICKETS, row, at, move |after| {
        let (app, filter) = (app.clone(), Arc::clone(&filter));
        let after = after.map(|Cursor { at, id }| (at, id));
        Box::pin(async move { Ok(support::list(&app.pool, &filter, PAGE, after).await?) })
    })
}

const REVIEWS: &[Column] = &[
    of("id", Kind::Word),
    of("created_at", Kind::Time),
    of("status", Kind::Word),
    of("sku", Kind::Text),
    of("rating", Kind::Int),
    of("account_id", Kind::Word),
    of("author", Kind::Text),
    of("title", Kind::Text),
    of("body", Kind::Text),
    of("reason", Kind::Text),
    of("version", Kind::Int),
    of("updated_at", Kind::Time),
];

/// Reviews, newest first.
pub(crate) fn of_reviews(
    app: &App,
    position: i64,
    sku: Option<Sku>,
    status: Option<reviews::Status>,
    rating: Option<i16>,
) -> Result<Response, Problem> {
    let (app, sku) = (app.clone(), Arc::new(sku));
    let row = |review: reviews::Review| json!(ReviewView::from(review));
    let at = |last: &reviews::Review| Cursor { at: last.created_at, id: last.review_id };
    walked(position, REVIEWS, row, at, move |after| {
        let (app, sku) = (app.clone(), Arc::clone(&sku));
        let after = after.map(|Cursor { at, id }| (at, id));
        Box::pin(async move {
            let filter = reviews::Filter { sku: (*sku).as_ref(), status, rating, author: None };
            Ok(reviews::list(&app.pool, &filter, PAGE, after).await?)
        })
    })
}
