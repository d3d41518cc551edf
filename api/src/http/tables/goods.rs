//! What is sold, how much there is of it, and what is taken off its price, as tables.

use axum::response::Response;
use exports::table::{Column, Kind};
use projections::products::{self, ProductView};
use projections::promotions::{self, PromotionDetails};
use projections::stock::{self, StockView};
use serde_json::json;

use super::{PAGE, Source, answer, of};
use crate::http::App;
use crate::http::problem::Problem;
use crate::http::queries::Asking;
use crate::http::rows::Room;

const STOCK: &[Column] = &[
    of("sku", Kind::Text),
    of("on_hand", Kind::Int),
    of("reserved", Kind::Int),
    of("available", Kind::Int),
    of("updated_at", Kind::Time),
    of("version", Kind::Int),
];

/// Stock, ordered by SKU.
pub(crate) async fn of_stock(
    app: &App,
    asking: &Asking,
    filter: stock::Filter,
    room: Room,
) -> Result<Response, Problem> {
    let row = |level: StockView| [json!(level)];
    let names = [stock::NAME, products::NAME];
    let source = Source { names: &names, columns: STOCK, room };
    answer(app, asking, source, row, move |connection, after| {
        let filter = filter.clone();
        Box::pin(async move { stock::list(connection, &filter, PAGE, after).await })
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
        [json!({
            "sku": product.sku, "name": product.name, "currency": product.price.currency,
            "price": product.price.amount, "active": product.active,
            "available": product.available, "vendor": product.vendor,
            "updated_at": product.updated_at, "version": product.version,
        })]
    };
    let source = Source { names, columns: PRODUCTS, room: Room::House };
    answer(app, asking, source, row, move |connection, after| {
        let filter = filter.clone();
        Box::pin(async move { products::list(connection, &filter, PAGE, after).await })
    })
    .await
}

const PROMOTIONS: &[Column] = &[
    of("code", Kind::Text),
    of("name", Kind::Text),
    of("percentage", Kind::Word),
    of("amounts", Kind::Json),
    of("automatic", Kind::Bool),
    of("listed", Kind::Bool),
    of("active", Kind::Bool),
    of("starts_at", Kind::Time),
    of("ends_at", Kind::Time),
    of("minimum", Kind::Json),
    of("skus", Kind::Json),
    of("uses_max", Kind::Int),
    of("uses_per_customer_max", Kind::Int),
    of("held", Kind::Int),
    of("used", Kind::Int),
    of("updated_at", Kind::Time),
    of("version", Kind::Int),
];

/// Promotions with their uses, ordered by code.
pub(crate) async fn of_promotions(
    app: &App,
    asking: &Asking,
    filter: promotions::Filter,
) -> Result<Response, Problem> {
    let row = |promotion: PromotionDetails| [json!(promotion)];
    let names = [promotions::NAME];
    let source = Source { names: &names, columns: PROMOTIONS, room: Room::House };
    answer(app, asking, source, row, move |connection, after| {
        let filter = filter.clone();
        Box::pin(async move { promotions::all(connection, &filter, PAGE, after).await })
    })
    .await
}
