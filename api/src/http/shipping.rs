//! What leaves the house, or a vendor's, line by line.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::order::{
    self, CARRIER_CHARS_MAX, Dispatch, Order, Shipment, Shipper, TRACKING_NUMBER_CHARS_MAX, Which,
};
use domain::placing::LINES_MAX;
use projections::orders::Status;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::App;
use super::bodies::ShipLines;
use super::command::{Accepted, Asked, respond};
use super::fields::{Body, Fields};
use super::offering::Offering;
use super::parameters::OfOrder;
use super::problem::Problem;

/// An order of which lines have left.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinesShippedView {
    /// Which
    id: Uuid,
    /// How far it has come; `completed` if nothing is left to ship
    #[schema(value_type = Status)]
    status: order::Stage,
    /// The lines that left with this request; none if all that are named had left before
    #[schema(value_type = Vec<i32>, example = json!([1, 3]))]
    shipped: Vec<u16>,
    /// Its version, for `If-Match`
    version: i64,
}

/// The body of [`ship`].
#[derive(Debug)]
pub(crate) struct Shipping {
    which: Which,
    carrier: Option<String>,
    tracking_number: Option<String>,
}

impl Body for Shipping {
    const OPTIONAL: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let which = if fields.has("lines") {
            let lines = fields.numbers("lines", LINES_MAX);
            lines.map(Which::These)
        } else {
            let _absent = fields.numbers("lines", LINES_MAX);
            Some(Which::Left)
        };
        let carrier = fields.optional_text("carrier", CARRIER_CHARS_MAX);
        let tracking_number = fields.optional_text("tracking_number", TRACKING_NUMBER_CHARS_MAX);
        Some(Self { which: which?, carrier, tracking_number })
    }
}

/// Ship lines of an order
///
/// They have left: those that are named, counted from 1 in the order of the order's `items`, or all
/// that are left. Vendors ship their own lines, staff and importers any. Lines that have left already
/// are passed over. When nothing is left to ship, the order is completed and its stock issued.
#[utoipa::path(
    post, path = "/orders/{id}/shipments", tag = "orders",
    security(("bearer" = ["vendor", "admin", "importer"])),
    extensions(("x-own" = json!(["vendor"]))),
    request_body = Option<ShipLines>,
    params(("id" = Uuid, Path, description = "The order")),
    responses((status = 200, description = "They have left", body = LinesShippedView))
)]
pub(crate) async fn ship(
    State(app): State<App>,
    offering: Offering,
    OfOrder(order_id): OfOrder,
    asked: Asked<Shipping>,
) -> Result<Response, Problem> {
    let id = order_id.to_string();
    // Whether they are active does not matter: orders under way are kept.
    let by = match offering {
        Offering::Any => Shipper::Staff,
        Offering::Own(vendor) => {
            let (order, _) = app.journal.load::<Order>(&id).await?;
            if !order.holds_lines_of(vendor) {
                return Err(Problem::not_found("order"));
            }
            Shipper::Vendor(vendor)
        }
    };
    let Shipping { which, carrier, tracking_number } = &asked.body;
    let command = order::Command::Ship(Dispatch {
        by,
        which: which.clone(),
        carrier: carrier.clone(),
        tracking_number: tracking_number.clone(),
    });
    let wording = asked.wording(StatusCode::OK, |accepted: Accepted<'_, Order>| LinesShippedView {
        id: order_id.0,
        status: accepted.state.stage(),
        shipped: shipped(accepted.events),
        version: accepted.version,
    });
    let envelope = asked.about(order_id);
    Ok(respond(
        app.journal
            .execute::<Order>(&id, command, envelope, wording)
            .await?,
    ))
}

fn shipped(events: &[order::Event]) -> Vec<u16> {
    let lines = events.iter().filter_map(|event| match event {
        order::Event::LinesShipped(Shipment { lines, .. }) => Some(lines),
        _ => None,
    });
    lines.flatten().copied().collect()
}
