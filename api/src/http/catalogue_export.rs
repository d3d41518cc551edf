//! The catalogue as a file, in the columns that imports read: an export that is imported again
//! changes nothing.

use std::io;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use domain::money::Money;
use futures::Stream;
use projections::listings::{self, ListingPart, Place, ProductPart, WholeLine};
use projections::{categories, products};

use super::App;
use super::catalogue_lines::{BAR, COLUMNS, guarded};
use super::command::DAYBOOK_POSITION;
use super::identity::Importers;
use super::parameters::Parameters;
use super::problem::Problem;
use super::queries::Asking;

/// Export the catalogue
///
/// All listings with their products, then the products that stand on no page, as CSV in the columns
/// that `POST /catalogue/import` reads. Written as it is read: what changes meanwhile may be in it or
/// not.
#[utoipa::path(
    get, path = "/catalogue/export", tag = "products",
    security(("bearer" = ["admin", "importer"])),
    responses((status = 200, description = "Lines", content((String = "text/csv"))))
)]
pub(crate) async fn export(
    State(app): State<App>,
    _: Importers,
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let models = [listings::NAME, products::NAME, categories::NAME];
    let position = asking.position(&app, &models).await?;
    let kind = [(header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present")];
    let mut response = (kind, Body::from_stream(lines(app))).into_response();
    response
        .headers_mut()
        .insert(DAYBOOK_POSITION, position.into());
    Ok(response)
}

/// In pages, so that memory stays bounded however slowly the client reads. An accident breaks it off,
/// which the client sees: the last chunk is missing.
fn lines(app: App) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let head = Some(Place::default());
    futures::stream::try_unfold((app, head, true), |(app, place, is_first)| async move {
        let Some(place) = place else { return Ok(None) };
        let _seat = app.read_models.seat().await.map_err(io::Error::other)?;
        let read = listings::lines_after(app.read_models.reads(), &place).await;
        let (lines, next) = read.map_err(|error| {
            tracing::error!(%error, "cannot export the catalogue to its end");
            io::Error::other(error)
        })?;
        let written = written(&lines, is_first).map_err(io::Error::other)?;
        Ok(Some((Bytes::from(written), (app.clone(), next, false))))
    })
}

fn written(lines: &[WholeLine], with_head: bool) -> csv::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    if with_head {
        writer.write_record(COLUMNS)?;
    }
    let mut before: Option<&str> = None;
    for line in lines {
        // What is the listing's stands on its first line.
        let handle = line.listing.as_ref().map(|listing| listing.handle.as_str());
        let is_first = handle != before;
        before = handle;
        writer.write_record(cells(line, is_first))?;
    }
    writer
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))
}

fn cells(line: &WholeLine, is_first: bool) -> [String; COLUMNS.len()] {
    let mut cells: [String; COLUMNS.len()] = Default::default();
    let [
        handle,
        title,
        description,
        category,
        tags,
        images,
        shown,
        vendor,
        product @ ..,
    ] = &mut cells;
    if let Some(listing) = &line.listing {
        let ListingPart { handle: name, .. } = listing;
        handle.clone_from(name);
        if is_first {
            title.clone_from(&listing.title);
            description.clone_from(&listing.description);
            *category = listing.category.clone().unwrap_or_default();
            *tags = joined(listing.tags.iter());
            *images = joined(listing.images.iter());
            *shown = listing.shown.to_string();
            *vendor = listing
                .vendor
                .map_or_else(String::new, |vendor| vendor.to_string());
        }
    }
    let [
        sku,
        name,
        options,
        price,
        currency,
        prices,
        active,
        weight,
        sold_by,
    ] = product;
    if let Some(ProductPart {
        sku: code,
        options: choices,
        name: called,
        price: costs,
        prices: further,
        active: sold,
        weight_grams,
        vendor: seller,
    }) = &line.product
    {
        sku.clone_from(code);
        *name = called.clone().unwrap_or_default();
        *options = joined(
            choices
                .iter()
                .map(|choice| format!("{}={}", choice.name, choice.value)),
        );
        *price = costs.map_or_else(String::new, Money::decimal);
        *currency = costs.map_or_else(String::new, |costs| costs.currency.code().to_owned());
        *prices = joined(
            further
                .iter()
                .map(|money| format!("{} {}", money.currency.code(), money.decimal())),
        );
        *active = sold.map_or_else(String::new, |sold| sold.to_string());
        *weight = weight_grams.map_or_else(String::new, |grams| grams.to_string());
        *sold_by = seller.map_or_else(String::new, |seller| seller.to_string());
    }
    cells.map(guarded)
}

fn joined(values: impl Iterator<Item = impl AsRef<str>>) -> String {
    let values: Vec<String> = values.map(|value| value.as_ref().to_owned()).collect();
    values.join(&BAR.to_string())
}
