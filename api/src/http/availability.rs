//! How many pieces of an article can still be had. What everybody who looks at a shop asks is
//! answered from memory; the database is asked for what nobody has asked for yet.

use axum::extract::State;
use axum::response::Response;
use domain::ids::Sku;
use projections::availability::{self, AvailabilityView};
use projections::listings::Onlooker;
use projections::{products, stock};

use super::App;
use super::listings::Looking;
use super::offering::{can_be_bought, vendor_of};
use super::parameters::{OfSku, Parameters};
use super::problem::Problem;
use super::queries::{self, Asking};

/// Show a product's availability
///
/// Only that, and at once: from memory. An order is still the only way to know whether it can be
/// had. Of what customers cannot buy only staff and its vendor are told.
#[utoipa::path(
    get, path = "/products/{sku}/availability", tag = "products",
    params(("sku" = String, Path, description = "The article")),
    responses((status = 200, description = "How many there are", body = AvailabilityView))
)]
pub(crate) async fn show(
    State(app): State<App>,
    looking: Looking,
    OfSku(sku): OfSku,
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let sees_all = looking.widest() == Onlooker::Staff
        && looking.at(vendor_of(&app, &sku).await?) == Onlooker::Staff;
    if !sees_all && !can_be_bought(&app, &sku).await? {
        let position = asking.log_position(&app).await?;
        return Err(Problem::not_found("product").at(position));
    }
    let view = match asking.remembered(&app, &sku).await? {
        Some(view) => view,
        None => look_up(&app, &sku, &asking).await?,
    };
    // True at this moment, and cheap to ask again: a kept copy would sell what is gone, so this is
    // none of the routes whose answers may be kept.
    Ok(queries::show(view.as_of_position, &view))
}

async fn look_up(app: &App, sku: &Sku, asking: &Asking) -> Result<AvailabilityView, Problem> {
    let (position, _seat) = asking.seat(app, &[products::NAME, stock::NAME]).await?;
    let found = availability::find(app.read_models.reads(), sku).await?;
    let found = found.ok_or_else(|| Problem::not_found("product").at(position))?;
    Ok(app.availability.learn(sku, found))
}
