//! Which shipping methods carry something, and at what price: worked out as for an order, of which
//! nothing is held or promised.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::Utc;
use domain::delivery::{Destination, Parcel, Unavailable};
use domain::ids::{CustomerId, Handle, Sku};
use domain::money::{Currency, Money};
use domain::placing::{LINES_MAX, QUANTITY_MAX, subtotal_if_any};
use domain::promotion::Code;
use projections::MoneyView;
use projections::orders::{AddressView, DaysView};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::carts::{self, Shopping};
use super::catalogue;
use super::countries;
use super::delivering::{self, Known};
use super::delivery_bodies::AskShipping;
use super::fields::{Body, Fields};
use super::identity::Caller;
use super::order_body::Item;
use super::parameters::Parameters;
use super::problem::Problem;
use super::promising::{self, Basket};
use super::protection::guesses::Guesser;
use super::said::{Said, tell};

/// Pick-up points of a method that a quote names; `GET /shipping/pickup-points` has all of them.
const POINTS_TOLD_MAX: usize = 100;

/// What the methods ask for something.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShippingQuotes {
    /// What the goods cost, after any discount
    goods: MoneyView,
    /// What they weigh in grams; null if that is not known of all of them
    weight_grams: Option<u64>,
    /// The articles of which it is not known
    #[schema(value_type = Vec<String>)]
    unweighed: Vec<Sku>,
    /// Those that carry it, the cheapest first
    methods: Vec<ShippingQuote>,
    /// Those that do not, and why; what is switched off is not told
    unavailable: Vec<UnavailableMethod>,
}

/// What a method asks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShippingQuote {
    /// Its name in orders, as `shipping_method`
    #[schema(value_type = String, example = "post")]
    id: Handle,
    /// What customers are told
    name: String,
    /// What else they are told
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    /// `address` or `pickup_point`
    #[schema(example = "address")]
    kind: &'static str,
    /// What it costs
    price: MoneyView,
    /// What an order would come to: the goods and this; its `expected_total`
    total: MoneyView,
    /// How many days it takes
    days: Option<DaysView>,
    /// Where the goods can be picked up in this country; one of them is the order's `pickup_point`. At
    /// most 100: `GET /shipping/pickup-points` lists more
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pickup_points: Vec<QuotedPoint>,
}

/// Where goods can be picked up.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuotedPoint {
    /// Its name in orders
    #[schema(value_type = String, example = "station")]
    id: Handle,
    /// What customers are told
    name: String,
    /// Where it is
    address: AddressView,
    /// When it is open
    #[serde(skip_serializing_if = "String::is_empty")]
    opening_hours: String,
}

/// A method that does not carry it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnavailableMethod {
    /// Its name in orders
    #[schema(value_type = String, example = "post")]
    id: Handle,
    /// What customers are told
    name: String,
    /// `country`, `currency`, `weight_unknown`, `weight` or `total`
    #[schema(example = "country")]
    reason: &'static str,
    /// The same as a sentence
    detail: String,
}

/// The body of [`quote`].
#[derive(Debug)]
pub(crate) struct AskingShipping {
    country: String,
    currency: Currency,
    promotion_code: Option<Code>,
    items: Vec<Item>,
}

impl Body for AskingShipping {
    const BYTES_MAX: usize = 1024 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let country = fields.of("country", countries::parse);
        let currency = fields.currency("currency");
        let promotion_code = fields.optional_of("promotion_code", str::parse);
        let items = fields.list("items", LINES_MAX, |item| {
            let (sku, quantity) = (item.sku("sku"), item.pieces("quantity", QUANTITY_MAX));
            Some(Item::new(sku?, quantity?))
        });
        Some(Self { country: country?, currency: currency?, promotion_code, items: items? })
    }
}

/// Quote shipping
///
/// Which methods would carry an order of these articles, at the prices of the moment, and which would
/// not. Nothing is held or promised by it: the order is quoted again when it is placed, and
/// `expected_total` keeps it from being placed at a higher price.
#[utoipa::path(
    post, path = "/shipping/quotes", tag = "shipping", request_body = AskShipping,
    security((), ("bearer" = ["customer", "vendor", "admin", "analyst", "auditor", "importer"])),
    responses((status = 200, description = "What the methods ask", body = ShippingQuotes))
)]
pub(crate) async fn quote(
    State(app): State<App>,
    caller: Caller,
    guesser: Guesser,
    Said(asked): Said<AskingShipping>,
) -> Result<Response, Problem> {
    let AskingShipping { country, currency, promotion_code, items } = asked;
    let customer_id = caller.customer_id();
    let promotion = promotion_code.map(|code| (code, guesser));
    let goods = Goods { items: &items, currency, promotion, customer_id };
    Ok(tell(StatusCode::OK, &quotes(&app, &country, goods).await?))
}

/// Quote shipping of the cart
///
/// The same for what is in the cart, in its currency.
#[utoipa::path(
    get, path = "/cart/shipping", tag = "carts",
    security((), ("bearer" = ["customer", "vendor", "admin"])),
    params(
        ("country" = String, Query, description = "Where to, ISO 3166-1 alpha-2"),
        (
            "promotion_code" = Option<String>, Query,
            description = "The promotion that an order would name"
        ),
    ),
    responses(
        (status = 200, description = "What the methods ask", body = ShippingQuotes),
        (status = 404, description = "There is no such cart", body = ()),
    )
)]
pub(crate) async fn quote_cart(
    State(app): State<App>,
    shopping: Shopping,
    guesser: Guesser,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let country = parameters.required("country", countries::parse);
    let code = parameters.optional("promotion_code", str::parse);
    parameters.finish()?;
    let cart = carts::current(&app, &shopping).await?;
    if cart.items.is_empty() {
        return Err(carts::nothing_in_it());
    }
    let items = cart.items.iter();
    let items: Vec<Item> = items
        .map(|item| Item::new(item.sku.clone(), item.quantity))
        .collect();
    let (currency, customer_id) = (cart.currency, shopping.customer_id());
    let promotion = code.map(|code| (code, guesser));
    let goods = Goods { items: &items, currency, promotion, customer_id };
    let country = country.unwrap_or_default();
    Ok(tell(StatusCode::OK, &quotes(&app, &country, goods).await?))
}

/// What would be ordered.
struct Goods<'a> {
    items: &'a [Item],
    currency: Currency,
    /// The one that is named, and by whom.
    promotion: Option<(Code, Guesser)>,
    customer_id: Option<CustomerId>,
}

async fn quotes(app: &App, country: &str, of: Goods<'_>) -> Result<ShippingQuotes, Problem> {
    let lines = catalogue::all_of(catalogue::quote(app, of.items, of.currency).await?)?;
    let currency = of.currency;
    let Some(subtotal_minor) = subtotal_if_any(&lines) else {
        let detail = "the total is too large";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "total_too_large", detail));
    };
    let basket = Basket { lines: &lines, currency, customer_id: of.customer_id, at: Utc::now() };
    let discount = match &of.promotion {
        Some((code, guesser)) => Some(promising::by_code(app, *guesser, code, basket).await??),
        None => promising::automatic(app, basket).await?,
    };
    let off_minor = discount.map_or(0, |discount| discount.amount_minor);
    let goods = Money { minor: subtotal_minor - off_minor, currency };
    let weighed = delivering::weigh(app, &lines).await?;
    let parcel = Parcel { country, goods, grams: weighed.grams };
    let (methods, unavailable) = told(&app.deliveries.known(), parcel);
    Ok(ShippingQuotes {
        goods: goods.into(),
        weight_grams: weighed.grams,
        unweighed: weighed.unknown,
        methods,
        unavailable,
    })
}

fn told(known: &Known, parcel: Parcel<'_>) -> (Vec<ShippingQuote>, Vec<UnavailableMethod>) {
    let (mut quotes, mut unavailable) = (Vec::new(), Vec::new());
    for (id, method) in known.methods() {
        let price_minor = match known.price(method, parcel) {
            Ok(price_minor) => price_minor,
            Err(Unavailable::Inactive) => continue,
            Err(why) => {
                unavailable.push(UnavailableMethod {
                    id: id.clone(),
                    name: method.name.clone(),
                    reason: why.name(),
                    detail: why.to_string(),
                });
                continue;
            }
        };
        let (kind, pickup_points) = match &method.to {
            Destination::Address => ("address", Vec::new()),
            Destination::PickupPoint { points } => {
                let points = known.points_in(points, parcel.country);
                let points = points.take(POINTS_TOLD_MAX).map(|(id, point)| QuotedPoint {
                    id: id.clone(),
                    name: point.name.clone(),
                    address: point.address.clone().into(),
                    opening_hours: point.opening_hours.clone(),
                });
                ("pickup_point", points.collect())
            }
        };
        let currency = parcel.goods.currency;
        let quote = ShippingQuote {
            id: id.clone(),
            name: method.name.clone(),
            description: method.description.clone(),
            kind,
            price: MoneyView::of(price_minor, currency),
            total: MoneyView::of(parcel.goods.minor.saturating_add(price_minor), currency),
            days: method.days.map(Into::into),
            pickup_points,
        };
        quotes.push((price_minor, quote));
    }
    // By their names among those that cost the same.
    quotes.sort_by_key(|(price_minor, _)| *price_minor);
    (quotes.into_iter().map(|(_, quote)| quote).collect(), unavailable)
}
