//! Stock: goods that come in, what counting finds, and what there is.

use accounts::Role;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use domain::ids::{Sku, VendorId};
use domain::inventory::{self, Inventory};
use domain::placing::QUANTITY_MAX;
use projections::history::{self, Was};
use projections::products;
use projections::stock::{self, StockView};
use serde::Serialize;
use store::command::Envelope;
use utoipa::ToSchema;

use super::bodies::{AdjustStock, ReceiveStock};
use super::command::{Accepted, Asked, respond};
use super::fields::{Body, Fields};
use super::history::Moments;
use super::identity::{Caller, Readers};
use super::moves::REASON_CHARS_MAX;
use super::offering::Offering;
use super::parameters::{OfSku, Parameters};
use super::problem::Problem;
use super::queries::{self, Asking};
use super::rows::Room;
use super::{App, tables};

/// What tells whose stock is whose.
const MODELS: [&str; 2] = [stock::NAME, products::NAME];

const REFERENCE_CHARS_MAX: usize = 200;

/// Whoever sees stock: staff, analysts and auditors all of it, a vendor, active or not, that of the
/// articles that are theirs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counting {
    only_of: Option<VendorId>,
}

impl FromRequestParts<App> for Counting {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        if let Caller::Account { id, role: Role::Vendor } = caller {
            return Ok(Self { only_of: Some(VendorId(id)) });
        }
        Readers::from_request_parts(parts, app).await?;
        Ok(Self { only_of: None })
    }
}

/// The stock of an article after a change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LevelView {
    /// The article
    #[schema(example = "CUP-RED")]
    sku: String,
    /// Pieces in the house
    on_hand: u64,
    /// Pieces held for orders
    reserved: u64,
    /// Pieces that can still be ordered
    available: u64,
    /// The stock's version, for `If-Match`
    version: i64,
}

/// The body of [`receive`].
#[derive(Debug)]
pub(crate) struct Receiving {
    quantity: u32,
    reference: String,
}

impl Body for Receiving {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let quantity = fields.pieces("quantity", QUANTITY_MAX);
        let reference = fields.text("reference", REFERENCE_CHARS_MAX);
        Some(Self { quantity: quantity?, reference: reference? })
    }
}

/// The body of [`adjust`].
#[derive(Debug)]
pub(crate) struct Adjusting {
    quantity: i64,
    reason: String,
}

impl Body for Adjusting {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let most = i64::from(QUANTITY_MAX);
        let quantity = fields.integer("quantity", -most..=most);
        let reason = fields.text("reason", REASON_CHARS_MAX);
        Some(Self { quantity: quantity?, reason: reason? })
    }
}

/// Receive goods
///
/// They are on hand from now on. Active vendors receive their own.
#[utoipa::path(
    post, path = "/inventory/{sku}/receipts", tag = "inventory",
    security(("bearer" = ["vendor", "admin", "importer"])),
    extensions(("x-own" = json!(["vendor"]))),
    request_body = ReceiveStock,
    params(("sku" = String, Path, description = "The article")),
    responses((status = 200, description = "The stock is now this", body = LevelView))
)]
pub(crate) async fn receive(
    State(app): State<App>,
    offering: Offering,
    OfSku(sku): OfSku,
    asked: Asked<Receiving>,
) -> Result<Response, Problem> {
    let command = inventory::Command::Receive {
        quantity: asked.body.quantity.into(),
        reference: asked.body.reference.clone(),
    };
    change(&app, offering, &sku, &asked, command, None).await
}

/// Adjust stock
///
/// Counting found more or fewer pieces than there should be. Active vendors adjust their own.
#[utoipa::path(
    post, path = "/inventory/{sku}/adjustments", tag = "inventory",
    security(("bearer" = ["vendor", "admin", "importer"])),
    extensions(("x-own" = json!(["vendor"]))),
    request_body = AdjustStock,
    params(("sku" = String, Path, description = "The article")),
    responses((status = 200, description = "The stock is now this", body = LevelView))
)]
pub(crate) async fn adjust(
    State(app): State<App>,
    offering: Offering,
    OfSku(sku): OfSku,
    asked: Asked<Adjusting>,
) -> Result<Response, Problem> {
    let reason = asked.body.reason.clone();
    let command =
        inventory::Command::Adjust { quantity: asked.body.quantity, reason: reason.clone() };
    change(&app, offering, &sku, &asked, command, Some(reason)).await
}

async fn change<B: Sync>(
    app: &App,
    offering: Offering,
    sku: &Sku,
    asked: &Asked<B>,
    command: inventory::Command,
    reason: Option<String>,
) -> Result<Response, Problem> {
    if offering != Offering::Any {
        // Whether they are active by now, a repetition is told what it was told.
        if let Some(told) = asked.told_before(app).await? {
            return Ok(told);
        }
        offering.must_hold(app, sku).await?;
    }
    let envelope = Envelope { reason, ..asked.alone() };
    let wording = asked.wording(StatusCode::OK, |accepted: Accepted<'_, Inventory>| LevelView {
        sku: sku.to_string(),
        on_hand: accepted.state.on_hand(),
        reserved: accepted.state.reserved(),
        available: accepted.state.available(),
        version: accepted.version,
    });
    Ok(respond(
        app.journal
            .execute::<Inventory>(sku.as_str(), command, envelope, wording)
            .await?,
    ))
}

/// List stock
///
/// Ordered by SKU; vendors see that of their own articles. `Accept: text/csv` gives every row that the
/// filters leave, as a table of one moment.
#[utoipa::path(
    get, path = "/inventory", tag = "inventory",
    security(("bearer" = ["vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["vendor"]))),
    params(
        ("search" = Option<String>, Query, description = "Part of the SKU or of the product's name"),
        ("vendor" = Option<Uuid>, Query, description = "Of this vendor's articles; not for vendors"),
        ("available_min" = Option<i64>, Query, minimum = 0, description = "That many are left, or more"),
        ("available_max" = Option<i64>, Query, minimum = 0, description = "That many, or fewer"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((
        status = 200, description = "A page, or all rows as a table",
        content((projections::Page<StockView> = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn list(
    State(app): State<App>,
    Counting { only_of }: Counting,
    asking: Asking,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let as_table = tables::wanted(&headers);
    if as_table {
        parameters.whole();
    }
    let (vendor, room) = match only_of {
        Some(vendor) => (Some(vendor), Room::Vendors),
        // Vendors are told that there is no such parameter.
        None => (parameters.optional("vendor", str::parse), Room::House),
    };
    let filter = stock::Filter {
        vendor,
        search: parameters.text("search"),
        available_min: parameters.integer("available_min", 0..=i64::MAX),
        available_max: parameters.integer("available_max", 0..=i64::MAX),
    };
    let (limit, cursor) = (parameters.limit(), parameters.cursor());
    parameters.finish()?;
    if as_table {
        return tables::of_stock(&app, &asking, filter, room).await;
    }
    let (position, _seat) = asking.seat(&app, &MODELS).await?;
    let page = stock::list(app.read_models.reads(), &filter, limit, cursor).await?;
    Ok(queries::show(position, &page))
}

/// Show the stock of an article
///
/// With `as_of`, as it was then; with `diff_from`, which counts have changed since, and by which
/// events. Vendors see that of their own articles, and as it is: an article may have been another's.
#[utoipa::path(
    get, path = "/inventory/{sku}", tag = "inventory",
    security(("bearer" = ["vendor", "admin", "analyst", "auditor"])),
    extensions(("x-own" = json!(["vendor"]))),
    params(
        ("sku" = String, Path, description = "The article"),
        ("as_of" = Option<String>, Query, description = "Position, time (RFC 3339) or day"),
        ("diff_from" = Option<String>, Query, description = "An earlier moment: what changed since"),
    ),
    responses((status = 200, description = "Its stock, or its changes", body = Was<StockView>))
)]
pub(crate) async fn show(
    State(app): State<App>,
    Counting { only_of }: Counting,
    OfSku(sku): OfSku,
    asking: Asking,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    // Vendors are told that there is no such parameter.
    let moments = only_of.is_none().then(|| Moments::of(&mut parameters));
    parameters.finish()?;
    let (position, _seat) = asking.seat(&app, &MODELS).await?;
    if let Some(vendor) = only_of {
        let offers = app.offers.of(&app.journal, &[sku.as_str()]).await?;
        let is_theirs = offers.get(sku.as_str()).map(|offer| offer.vendor) == Some(Some(vendor));
        if !is_theirs {
            return Err(Problem::not_found("stock").at(position));
        }
    }
    if let Some(moments) = moments.filter(|moments| moments.are_given()) {
        let was = history::of_stock(&app.pool, &sku, moments.asked(position)).await?;
        return match was.ok_or_else(|| Problem::not_found("stock").at(position))? {
            Was::View(level) => Ok(asking.show_versioned(position, level.version, &level)),
            Was::Changes(changes) => Ok(queries::show(position, &changes)),
        };
    }
    let level = stock::by_sku(app.read_models.reads(), &sku).await?;
    let level = level.ok_or_else(|| Problem::not_found("stock").at(position))?;
    Ok(asking.show_versioned(position, level.version, &level))
}
