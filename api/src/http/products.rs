//! Products: what is offered, at what price.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::product::{self, Description, PRICES_MAX, Product};
use projections::listings::Onlooker;
use projections::products::{self, Filter, ProductView};
use projections::stock;
use projections::{MoneyView, SkuCursor};
use serde::Serialize;
use store::command::Verdict;
use utoipa::ToSchema;

use super::App;
use super::answers::{Computed, Of};
use super::bodies::DescribeProduct;
use super::caching::for_staff;
use super::command::{Asked, respond};
use super::fields::{Body, Fields};
use super::identity::Importers;
use super::listings::Looking;
use super::order_body::NAME_CHARS_MAX;
use super::parameters::{OfSku, Parameters};
use super::problem::Problem;
use super::queries::Asking;

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
        Some(Self(Description {
            name: name?,
            price: price?,
            active: active?,
            prices: prices?,
        }))
    }
}

/// Offer a product
///
/// Like this from now on; orders already placed keep their price. `prices` are the same price in
/// further currencies, one in each; an order in any other currency is priced by converting `price`,
/// where exchange rates are loaded.
#[utoipa::path(
    put, path = "/products/{sku}", tag = "products", security(("bearer" = ["admin", "importer"])),
    request_body = DescribeProduct,
    params(("sku" = String, Path, description = "The article, upper and lower case told apart")),
    responses((status = 200, description = "The product", body = DescribedView))
)]
pub(crate) async fn describe(
    State(app): State<App>,
    _: Importers,
    OfSku(sku): OfSku,
    asked: Asked<Describing>,
) -> Result<Response, Problem> {
    let offer = asked.body.0.clone();
    let command = product::Command::Describe(offer.clone());
    let wording = asked.wording(StatusCode::OK, |accepted| DescribedView {
        sku: sku.to_string(),
        name: offer.name.clone(),
        price: offer.price.into(),
        prices: offer.prices.iter().copied().map(Into::into).collect(),
        active: offer.active,
        version: accepted.version,
    });
    let envelope = asked.alone();
    let receipt = app
        .journal
        .execute::<Product>(sku.as_str(), command, envelope, wording)
        .await?;
    if receipt.verdict == Verdict::Accepted && !receipt.replayed {
        app.offers.described(sku.as_str(), receipt.version, &offer);
    }
    Ok(respond(receipt))
}

/// List products
///
/// Ordered by SKU, with availability. Customers see what can be ordered, staff see all.
#[utoipa::path(
    get, path = "/products", tag = "products",
    security((), ("bearer" = ["customer", "vendor", "admin", "analyst", "auditor", "importer"])),
    params(
        ("active" = Option<bool>, Query, description = "For staff: whether they can be ordered"),
        ("search" = Option<String>, Query, description = "Part of the SKU or of the name"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = projections::Page<ProductView>))
)]
pub(crate) async fn list(
    State(app): State<App>,
    Looking(onlooker): Looking,
    asking: Asking,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let key = parameters.key("products");
    let filter = Filter {
        active: parameters
            .optional("active", |text| text.parse::<bool>().map_err(|_| "must be true or false")),
        search: parameters.text("search"),
        is_sold: onlooker == Onlooker::Customer,
    };
    let (limit, cursor) = (parameters.limit(), parameters.cursor::<SkuCursor>());
    parameters.finish()?;
    let compute = || async {
        let (position, _seat) = asking.seat(&app, &[products::NAME, stock::NAME]).await?;
        let reads = app.read_models.reads();
        let page = products::list(reads, &filter, limit, cursor.clone()).await?;
        let of = page.items.iter();
        let of = of.map(|product| Of::Product(product.sku.clone()));
        Ok(Computed::new(position, of.chain([Of::Products]).collect(), &page))
    };
    match onlooker {
        Onlooker::Staff => Ok(for_staff(compute().await?.told())),
        Onlooker::Customer => app.answers.tell(&asking, key, compute).await,
    }
}

/// Show a product
///
/// With availability. Customers see what can be ordered, staff see all.
#[utoipa::path(
    get, path = "/products/{sku}", tag = "products",
    security((), ("bearer" = ["customer", "vendor", "admin", "analyst", "auditor", "importer"])),
    params(("sku" = String, Path, description = "The article")),
    responses((status = 200, description = "The product", body = ProductView))
)]
pub(crate) async fn show(
    State(app): State<App>,
    Looking(onlooker): Looking,
    OfSku(sku): OfSku,
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let key = parameters.key(&format!("products/{sku}"));
    parameters.finish()?;
    let compute = || async {
        let (position, _seat) = asking.seat(&app, &[products::NAME, stock::NAME]).await?;
        let product = products::by_sku(app.read_models.reads(), &sku).await?;
        let product = product.filter(|it| it.active || onlooker == Onlooker::Staff);
        let product = product.ok_or_else(|| Problem::not_found("product").at(position))?;
        let of = vec![Of::Product(sku.clone())];
        Ok(Computed::versioned(position, of, product.version, &product))
    };
    match onlooker {
        Onlooker::Staff => Ok(for_staff(asking.show_computed(&compute().await?))),
        Onlooker::Customer => app.answers.tell(&asking, key, compute).await,
    }
}
