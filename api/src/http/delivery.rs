//! Shipping methods and pick-up points over HTTP: described by staff, shown to everybody. All of them
//! are one aggregate, so that no method leads to a point that is not there.

use std::sync::OnceLock;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::delivery::{
    BANDS_MAX, BOUND_GRAMS_MAX, Band, COUNTRIES_MAX, Command, DAYS_MAX, DESCRIPTION_CHARS_MAX,
    Days, Delivery, Destination, HOURS_CHARS_MAX, Method, POINTS_MAX, Point, SHOP, TABLES_MAX,
    Table,
};
use domain::ids::Handle;
use domain::money::{Currency, Money};
use projections::Page;
use projections::delivery::{
    self, Listed, PickupPointDetails, PickupPointOffer, ShippingMethodDetails, ShippingMethodView,
};
use projections::listings::Onlooker;
use serde::Serialize;
use store::command::Verdict;
use utoipa::ToSchema;

use super::App;
use super::answers::{Computed, Of};
use super::command::{Accepted, Asked, respond};
use super::countries;
use super::delivery_bodies::{DescribePickupPoint, DescribeShippingMethod};
use super::fields::{Body, Fields};
use super::identity::Staff;
use super::listings::Looking;
use super::order_body::{NAME_CHARS_MAX, address};
use super::parameters::{OfHandle, Parameters};
use super::problem::Problem;
use super::queries::Asking;

/// A shipping method as it was described.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DescribedMethod {
    #[serde(flatten)]
    method: ShippingMethodView,
    /// Of all methods and pick-up points, for `If-Match`
    version: i64,
}

/// A pick-up point as it was described.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DescribedPoint {
    #[serde(flatten)]
    point: PickupPointOffer,
    /// Of all methods and pick-up points, for `If-Match`
    version: i64,
}

/// The body of [`describe_method`].
#[derive(Debug)]
pub(crate) struct DescribingMethod(Method);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Address,
    PickupPoint,
}

const KINDS: [(&str, Kind); 2] = [
    ("address", Kind::Address),
    ("pickup_point", Kind::PickupPoint),
];

impl Body for DescribingMethod {
    const BYTES_MAX: usize = 512 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.text("name", NAME_CHARS_MAX);
        let description = fields.optional_prose("description", DESCRIPTION_CHARS_MAX);
        let kind = fields.optional_one_of("kind", &KINDS);
        let points = fields.words("pickup_points", POINTS_MAX, str::parse::<Handle>);
        let active = fields.optional_flag("active");
        let countries = fields.words("countries", COUNTRIES_MAX, countries::parse);
        let rates = fields.list("rates", TABLES_MAX, table);
        let days = fields.optional_object("days", days);
        let to = match kind.unwrap_or(Kind::Address) {
            Kind::PickupPoint => Destination::PickupPoint { points: points? },
            Kind::Address => {
                if points.is_some_and(|points| !points.is_empty()) {
                    fields.flaw("pickup_points", "are for a method of the kind pickup_point");
                }
                Destination::Address
            }
        };
        Some(Self(Method {
            name: name?,
            description: description.unwrap_or_default(),
            to,
            active: active.unwrap_or(true),
            countries: countries?,
            rates: rates?,
            days,
        }))
    }
}

fn table(fields: &mut Fields<'_>) -> Option<Table> {
    let currency = fields.currency("currency");
    let free_from = amount(fields, "free_from", currency);
    let bands = fields.list("bands", BANDS_MAX, |band| {
        let over_grams = grams(band, "weight_over");
        let up_to_grams = grams(band, "weight_up_to");
        let from = amount(band, "total_from", currency);
        let below = amount(band, "total_below", currency);
        if !band.has("price") {
            band.flaw("price", "is missing");
        }
        let price = amount(band, "price", currency);
        Some(Band {
            over_grams,
            up_to_grams,
            from_minor: from.map(|from| from.minor),
            below_minor: below.map(|below| below.minor),
            price_minor: price?.minor,
        })
    });
    let free_from_minor = free_from.map(|from| from.minor);
    Some(Table { currency: currency?, free_from_minor, bands: bands? })
}

fn grams(fields: &mut Fields<'_>, name: &'static str) -> Option<u64> {
    let max = i64::try_from(BOUND_GRAMS_MAX).unwrap_or(i64::MAX);
    let grams = fields.optional_integer(name, 0..=max)?;
    u64::try_from(grams).ok()
}

/// An amount in the currency of its table.
fn amount(
    fields: &mut Fields<'_>,
    name: &'static str,
    currency: Option<Currency>,
) -> Option<Money> {
    let money = fields.optional_money(name, None)?;
    match currency {
        Some(currency) if currency != money.currency => {
            fields.flaw(name, format!("must be in {currency}, the currency of its table"));
            None
        }
        _ => Some(money),
    }
}

fn days(fields: &mut Fields<'_>) -> Option<Days> {
    let min = fields.integer("min", 0..=i64::from(DAYS_MAX));
    let max = fields.integer("max", 0..=i64::from(DAYS_MAX));
    Some(Days { min: u16::try_from(min?).ok()?, max: u16::try_from(max?).ok()? })
}

/// The body of [`describe_point`].
#[derive(Debug)]
pub(crate) struct DescribingPoint(Point);

impl Body for DescribingPoint {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.text("name", NAME_CHARS_MAX);
        let address = fields.object("address", address);
        let opening_hours = fields.optional_prose("opening_hours", HOURS_CHARS_MAX);
        let active = fields.optional_flag("active");
        Some(Self(Point {
            name: name?,
            address: address?,
            opening_hours: opening_hours.unwrap_or_default(),
            active: active.unwrap_or(true),
        }))
    }
}

/// Offer a shipping method
///
/// Like this from now on; what is left out is taken back. Orders that were placed keep what they were
/// asked for. A band of its rates holds for weights *over* one bound and *up to* another (grams), and
/// for goods that come to one amount or more and to *less than* another; without bounds, always. Where
/// no band holds, the method does not carry the order. It is never taken away: switch it off with
/// `active`. `If-Match` names the version of all methods and pick-up points.
#[utoipa::path(
    put, path = "/shipping/methods/{handle}", tag = "shipping", security(("staff" = [])),
    request_body = DescribeShippingMethod,
    params(("handle" = String, Path, description = "Its name in orders: a to z, digits, hyphens")),
    responses((status = 200, description = "It is offered like this", body = DescribedMethod))
)]
pub(crate) async fn describe_method(
    State(app): State<App>,
    _: Staff,
    OfHandle(method_id): OfHandle,
    asked: Asked<DescribingMethod>,
) -> Result<Response, Problem> {
    let method = Box::new(asked.body.0.clone());
    let command = Command::DescribeMethod { method_id: method_id.clone(), method };
    let described = OnceLock::new();
    let wording = asked.wording(StatusCode::OK, |accepted: Accepted<'_, Delivery>| {
        let method = accepted.state.method(&method_id).cloned();
        let method = method.expect("a method that was described is there");
        let _once = described.set(method.clone());
        let method = ShippingMethodView::of(method_id.clone(), method);
        DescribedMethod { method, version: accepted.version }
    });
    let receipt = app
        .journal
        .execute::<Delivery>(SHOP, command, asked.alone(), wording)
        .await?;
    if receipt.verdict == Verdict::Accepted
        && !receipt.replayed
        && let Some(method) = described.get()
    {
        // As the event has it, its lists in order: memory is the same in every process.
        app.deliveries
            .method_described(&method_id, receipt.version, method);
    }
    Ok(respond(receipt))
}

/// Describe a pick-up point
///
/// Like this from now on; what is left out is taken back. It is never taken away: close it with
/// `active`. `If-Match` names the version of all methods and pick-up points.
#[utoipa::path(
    put, path = "/shipping/pickup-points/{handle}", tag = "shipping", security(("staff" = [])),
    request_body = DescribePickupPoint,
    params(("handle" = String, Path, description = "Its name in orders: a to z, digits, hyphens")),
    responses((status = 200, description = "It is like this", body = DescribedPoint))
)]
pub(crate) async fn describe_point(
    State(app): State<App>,
    _: Staff,
    OfHandle(point_id): OfHandle,
    asked: Asked<DescribingPoint>,
) -> Result<Response, Problem> {
    let point = Box::new(asked.body.0.clone());
    let command = Command::DescribePoint { point_id: point_id.clone(), point };
    let described = OnceLock::new();
    let wording = asked.wording(StatusCode::OK, |accepted: Accepted<'_, Delivery>| {
        let point = accepted.state.point(&point_id).cloned();
        let point = point.expect("a point that was described is there");
        let _once = described.set(point.clone());
        let point = PickupPointOffer::of(point_id.clone(), point);
        DescribedPoint { point, version: accepted.version }
    });
    let receipt = app
        .journal
        .execute::<Delivery>(SHOP, command, asked.alone(), wording)
        .await?;
    if receipt.verdict == Verdict::Accepted
        && !receipt.replayed
        && let Some(point) = described.get()
    {
        app.deliveries
            .point_described(&point_id, receipt.version, point);
    }
    Ok(respond(receipt))
}

fn listed(onlooker: Onlooker) -> Listed {
    match onlooker {
        Onlooker::Staff => Listed::All,
        Onlooker::Customer => Listed::Active,
    }
}

/// List shipping methods
///
/// With their rates, ordered by their names in orders. Customers see those that can be chosen, staff
/// see all. `POST /shipping/quotes` says which of them carries an order, and at what price.
#[utoipa::path(
    get, path = "/shipping/methods", tag = "shipping",
    security((), ("bearer" = ["customer", "vendor", "admin", "analyst", "auditor", "importer"])),
    params(
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Page<ShippingMethodDetails>))
)]
pub(crate) async fn list_methods(
    State(app): State<App>,
    Looking { onlooker, .. }: Looking,
    asking: Asking,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let key = parameters.key("shipping/methods");
    let (limit, cursor) = (parameters.limit(), parameters.cursor::<delivery::HandleCursor>());
    parameters.finish()?;
    let compute = || async {
        let (position, _seat) = asking.seat(&app, &[delivery::NAME]).await?;
        let reads = app.read_models.reads();
        let page = delivery::methods(reads, listed(onlooker), limit, cursor.clone()).await?;
        Ok(Computed::new(position, vec![Of::Delivery], &page))
    };
    app.answers.tell_to(onlooker, &asking, key, compute).await
}

/// Show a shipping method
///
/// With its rates. Customers see those that can be chosen, staff see all.
#[utoipa::path(
    get, path = "/shipping/methods/{handle}", tag = "shipping",
    security((), ("bearer" = ["customer", "vendor", "admin", "analyst", "auditor", "importer"])),
    params(("handle" = String, Path, description = "Which")),
    responses((status = 200, description = "The method", body = ShippingMethodDetails))
)]
pub(crate) async fn show_method(
    State(app): State<App>,
    Looking { onlooker, .. }: Looking,
    OfHandle(method_id): OfHandle,
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let key = parameters.key(&format!("shipping/methods/{method_id}"));
    parameters.finish()?;
    let compute = || async {
        let (position, _seat) = asking.seat(&app, &[delivery::NAME]).await?;
        let method = delivery::method(app.read_models.reads(), &method_id).await?;
        let method = method.filter(|it| it.method.active || onlooker == Onlooker::Staff);
        let method = method.ok_or_else(|| Problem::not_found("shipping method").at(position))?;
        Ok(Computed::versioned(position, vec![Of::Delivery], method.version, &method))
    };
    app.answers.tell_to(onlooker, &asking, key, compute).await
}

/// List pick-up points
///
/// Ordered by their names in orders. Customers see those that can be chosen, staff see all.
#[utoipa::path(
    get, path = "/shipping/pickup-points", tag = "shipping",
    security((), ("bearer" = ["customer", "vendor", "admin", "analyst", "auditor", "importer"])),
    params(
        ("country" = Option<String>, Query, description = "In this country, ISO 3166-1 alpha-2"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Page<PickupPointDetails>))
)]
pub(crate) async fn list_points(
    State(app): State<App>,
    Looking { onlooker, .. }: Looking,
    asking: Asking,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let key = parameters.key("shipping/pickup-points");
    let country = parameters.optional("country", countries::parse);
    let (limit, cursor) = (parameters.limit(), parameters.cursor::<delivery::HandleCursor>());
    parameters.finish()?;
    let compute = || async {
        let (position, _seat) = asking.seat(&app, &[delivery::NAME]).await?;
        let (reads, listed) = (app.read_models.reads(), listed(onlooker));
        let page =
            delivery::points(reads, listed, country.as_deref(), limit, cursor.clone()).await?;
        Ok(Computed::new(position, vec![Of::Delivery], &page))
    };
    app.answers.tell_to(onlooker, &asking, key, compute).await
}

/// Show a pick-up point
///
/// Customers see those that can be chosen, staff see all.
#[utoipa::path(
    get, path = "/shipping/pickup-points/{handle}", tag = "shipping",
    security((), ("bearer" = ["customer", "vendor", "admin", "analyst", "auditor", "importer"])),
    params(("handle" = String, Path, description = "Which")),
    responses((status = 200, description = "The pick-up point", body = PickupPointDetails))
)]
pub(crate) async fn show_point(
    State(app): State<App>,
    Looking { onlooker, .. }: Looking,
    OfHandle(point_id): OfHandle,
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let key = parameters.key(&format!("shipping/pickup-points/{point_id}"));
    parameters.finish()?;
    let compute = || async {
        let (position, _seat) = asking.seat(&app, &[delivery::NAME]).await?;
        let point = delivery::point(app.read_models.reads(), &point_id).await?;
        let point = point.filter(|it| it.point.active || onlooker == Onlooker::Staff);
        let point = point.ok_or_else(|| Problem::not_found("pick-up point").at(position))?;
        Ok(Computed::versioned(position, vec![Of::Delivery], point.version, &point))
    };
    app.answers.tell_to(onlooker, &asking, key, compute).await
}
