//! Products: what is offered, at what price.

use std::sync::OnceLock;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use domain::ids::VendorId;
use domain::product::{self, Description, PRICES_MAX, Product, WEIGHT_GRAMS_MAX};
use projections::listings::Onlooker;
use projections::products::{self, Filter, ProductView};
use projections::stock;
use projections::vendors;
use projections::{MoneyView, SkuCursor};
use serde::Serialize;
use store::command::Verdict;
use utoipa::ToSchema;

use super::answers::{Computed, Of};
use super::bodies::DescribeProduct;
use super::caching::for_staff;
use super::command::{Accepted, Asked, respond};
use super::fields::{Body, Fields};
use super::listings::Looking;
use super::offering::{Offering, unknown_vendor};
use super::order_body::NAME_CHARS_MAX;
use super::parameters::{OfSku, Parameters};
use super::problem::Problem;
use super::queries::Asking;
use super::{App, tables};

/// What a product is shown by: its row, its stock, and whether its vendor may sell.
const MODELS: [&str; 3] = [products::NAME, stock::NAME, vendors::NAME];

/// A product as it is offered from now on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DescribedView {
    /// The article
    #[schema(example = "CUP-RED")]
    sku: String,
    /// What it is called
    name: String,
    /// Price of one piece
    price: MoneyView,
    /// The same in further currencies
    prices: Vec<MoneyView>,
    /// Whether it can be ordered
    active: bool,
    /// Who sells it, where that is not the house
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    vendor: Option<VendorId>,
    /// What one piece weighs in grams, where somebody has said
    #[serde(skip_serializing_if = "Option::is_none")]
    weight_grams: Option<u32>,
    /// Its version, for `If-Match`
    version: i64,
}

/// The body of [`describe`].
#[derive(Debug)]
pub(crate) struct Describing(Description);

impl Body for Describing {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.text("name", NAME_CHARS_MAX);
        let price = fields.money("price");
        let active = fields.flag("active");
        let prices = fields.list_up_to("prices", PRICES_MAX, |price| price.amount(None));
        let vendor = fields.optional_of("vendor", str::parse);
        let weight = fields.optional_integer("weight_grams", 1..=i64::from(WEIGHT_GRAMS_MAX));
        Some(Self(Description {
            name: name?,
            price: price?,
            active: active?,
            prices: prices?,
            vendor,
            weight_grams: weight.and_then(|grams| u32::try_from(grams).ok()),
        }))
    }
}

/// Offer a product
///
/// Like this from now on; orders already placed keep their price. `prices` are the same price in
/// further currencies, one in each; an order in any other currency is priced by converting `price`,
/// where exchange rates are loaded. `weight_grams` is what one piece weighs, packed; shipping methods
/// whose rates depend on the weight carry nothing of which it is not known.
///
/// Vendors describe their own products, and begin new ones, once they are active; for them, what
/// others sell does not exist. Staff may say whose a product is with `vendor`; where they do not, it
/// stays whose it was.
#[utoipa::path(
    put, path = "/products/{sku}", tag = "products",
    security(("bearer" = ["vendor", "admin", "importer"])),
    extensions(("x-own" = json!(["vendor"]))),
    request_body = DescribeProduct,
    params(("sku" = String, Path, description = "The article, upper and lower case told apart")),
    responses((status = 200, description = "The product", body = DescribedView))
)]
pub(crate) async fn describe(
    State(app): State<App>,
    offering: Offering,
    OfSku(sku): OfSku,
    asked: Asked<Describing>,
) -> Result<Response, Problem> {
    let offer = asked.body.0.clone();
    let command = match offering {
        Offering::Any
            if offer
                .vendor
                .is_some_and(|vendor| !app.sellers.knows(vendor)) =>
        {
            let problem = unknown_vendor();
            return asked.turn_away(&app, asked.alone(), &problem).await;
        }
        Offering::Any => product::Command::Describe(offer),
        Offering::Own(own) if offer.vendor.is_some_and(|vendor| vendor != own) => {
            return Err(Problem::staff_only_fields(vec!["/vendor".to_owned()]));
        }
        Offering::Own(own) => {
            // Whether they are active by now, a repetition is told what it was told.
            if let Some(told) = asked.told_before(&app).await? {
                return Ok(told);
            }
            offering.must_be_free(&app, &sku).await?;
            product::Command::DescribeOwn(own, offer)
        }
    };
    let described = OnceLock::new();
    let wording = asked.wording(StatusCode::OK, |accepted: Accepted<'_, Product>| {
        let offer = accepted.state.description().cloned();
        let offer = offer.expect("a product that was described has a description");
        let _once = described.set(offer.clone());
        DescribedView {
            sku: sku.to_string(),
            name: offer.name,
            price: offer.price.into(),
            prices: offer.prices.into_iter().map(Into::into).collect(),
            active: offer.active,
            vendor: offer.vendor,
            weight_grams: offer.weight_grams,
            version: accepted.version,
        }
    });
    let envelope = asked.alone();
    let receipt = app
        .journal
        .execute::<Product>(sku.as_str(), command, envelope, wording)
        .await?;
    if receipt.verdict == Verdict::Accepted && !receipt.replayed {
        // As it was decided: the product knows whose it is.
        if let Some(offer) = described.get() {
            app.offers.described(sku.as_str(), receipt.version, offer);
        }
    }
    Ok(respond(receipt))
}

/// List products
///
/// Ordered by SKU, with availability. Customers see what can be ordered, staff see all, and so do
/// vendors who ask for their own with `vendor`. `Accept: text/csv` gives staff, analysts, auditors and importers every row that the filters leave, as a table of one
/// moment.
#[utoipa::path(
    get, path = "/products", tag = "products",
    security((), ("bearer" = ["customer", "vendor", "admin", "analyst", "auditor", "importer"])),
    params(
        ("active" = Option<bool>, Query, description = "For staff: whether they can be ordered"),
        ("vendor" = Option<Uuid>, Query, description = "Sold by this vendor"),
        ("search" = Option<String>, Query, description = "Part of the SKU or of the name"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((
        status = 200, description = "A page, or all rows as a table",
        content((projections::Page<ProductView> = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn list(
    State(app): State<App>,
    looking: Looking,
    asking: Asking,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let key = parameters.key("products");
    let vendor = parameters.optional("vendor", str::parse);
    let onlooker = looking.at(vendor);
    let filter = Filter {
        active: parameters
            .optional("active", |text| text.parse::<bool>().map_err(|_| "must be true or false")),
        vendor,
        search: parameters.text("search"),
        is_sold: onlooker == Onlooker::Customer,
    };
    // Of everybody there are too many for the few places where whole tables are read.
    let as_table = tables::wanted(&headers) && looking.onlooker == Onlooker::Staff;
    if as_table {
        parameters.whole();
    }
    let (limit, cursor) = (parameters.limit(), parameters.cursor::<SkuCursor>());
    parameters.finish()?;
    if as_table {
        return Ok(for_staff(tables::of_products(&app, &asking, &MODELS, filter).await?));
    }
    let compute = || async {
        let (position, _seat) = asking.seat(&app, &MODELS).await?;
        let reads = app.read_models.reads();
        let page = products::list(reads, &filter, limit, cursor.clone()).await?;
        let of = page.items.iter();
        let of = of.map(|product| Of::Product(product.sku.clone()));
        Ok(Computed::new(position, of.chain([Of::Products]).collect(), &page))
    };
    app.answers.tell_to(onlooker, &asking, key, compute).await
}

/// Show a product
///
/// With availability. Customers see what can be ordered, staff and its vendor whatever there is.
#[utoipa::path(
    get, path = "/products/{sku}", tag = "products",
    security((), ("bearer" = ["customer", "vendor", "admin", "analyst", "auditor", "importer"])),
    params(("sku" = String, Path, description = "The article")),
    responses((status = 200, description = "The product", body = ProductView))
)]
pub(crate) async fn show(
    State(app): State<App>,
    looking: Looking,
    OfSku(sku): OfSku,
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let key = parameters.key(&format!("products/{sku}"));
    parameters.finish()?;
    let compute = || async {
        let (position, _seat) = asking.seat(&app, &MODELS).await?;
        let product = products::by_sku(app.read_models.reads(), &sku).await?;
        let product = product.filter(|it| it.active || looking.at(it.vendor) == Onlooker::Staff);
        let product = product.ok_or_else(|| Problem::not_found("product").at(position))?;
        let of = vec![Of::Product(sku.clone())];
        Ok(Computed::versioned(position, of, product.version, &product))
    };
    app.answers
        .tell_to(looking.widest(), &asking, key, compute)
        .await
}
