//! Who changed which price and when: what happened to one product, out of the log itself.

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::ids::VendorId;
use domain::product::{self, Description};
use projections::MoneyView;
use serde::Serialize;
use store::log;
use store::recorded::RecordedEvent;
use utoipa::ToSchema;
use uuid::Uuid;

use super::App;
use super::identity::Readers;
use super::parameters::{OfSku, Parameters};
use super::problem::Problem;
use super::queries::{self, Asking};

/// How a product was offered from some moment on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OfferedView {
    /// Position of the event
    position: i64,
    /// Since when
    at: DateTime<Utc>,
    /// On whose behalf
    #[schema(example = "staff")]
    actor: String,
    /// The command that it answers
    command_id: Uuid,
    /// The HTTP request that brought the command
    request_id: Option<String>,
    /// Of the product
    version: i64,
    /// What of it changed: `name`, `price`, `prices`, `active`, `vendor`, `weight_grams`; the first time all
    /// that was said
    changed: Vec<&'static str>,
    /// What it was called
    name: String,
    /// Price of one piece
    price: MoneyView,
    /// The same in further currencies
    prices: Vec<MoneyView>,
    /// Whether it could be ordered
    active: bool,
    /// Who sold it, where that was not the house
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    vendor: Option<VendorId>,
    /// What one piece weighed in grams, where somebody had said so
    #[serde(skip_serializing_if = "Option::is_none")]
    weight_grams: Option<u32>,
}

/// A part of a product's history.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryView {
    /// In log order
    items: Vec<OfferedView>,
    /// Where the next page begins; null on the last one
    next_cursor: Option<String>,
}

/// Show a product's history
///
/// Who changed its name, price or sale, when, and from what to what: in log order, out of the log.
#[utoipa::path(
    get, path = "/products/{sku}/history", tag = "products",
    security(("bearer" = ["admin", "analyst", "auditor"])),
    params(
        ("sku" = String, Path, description = "The article"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "20 if not given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "What happened to it", body = HistoryView))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Readers,
    OfSku(sku): OfSku,
    asking: Asking,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let cursor = parameters.optional("cursor", |text| {
        let version = text.parse::<i64>().ok().filter(|version| 0 < *version);
        version.ok_or("is no cursor of ours")
    });
    let limit = parameters.limit();
    parameters.finish()?;
    let position = asking.log_position(&app).await?;
    // From the event before on, which says what the first of this page has changed.
    let (after, before) = match cursor {
        None => (0, 0),
        Some(last) => (last - 1, 1),
    };
    let id = sku.as_str();
    let page = log::of_aggregate_after(&app.pool, "product", id, after, limit + before).await?;
    if page.events.is_empty() && cursor.is_none() {
        return Err(Problem::not_found("product").at(position));
    }
    let last = page.events.last().filter(|_| page.more);
    let next_cursor = last.map(|last| last.sequence.to_string());
    let mut items = told(&page.events);
    if cursor.is_some() && !items.is_empty() {
        items.remove(0);
    }
    Ok(queries::show(position, &HistoryView { items, next_cursor }))
}

fn told(events: &[std::sync::Arc<RecordedEvent>]) -> Vec<OfferedView> {
    let mut before: Option<&Description> = None;
    let mut told = Vec::with_capacity(events.len());
    for event in events {
        let Event::Product(product::Event::Described(offer)) = &event.event else {
            continue;
        };
        told.push(OfferedView {
            position: event.position,
            at: event.recorded_at,
            actor: event.metadata.actor.clone(),
            command_id: event.metadata.command_id,
            request_id: event.metadata.request_id.clone(),
            version: event.sequence,
            changed: changed(before, offer),
            name: offer.name.clone(),
            price: offer.price.into(),
            prices: offer.prices.iter().copied().map(Into::into).collect(),
            active: offer.active,
            vendor: offer.vendor,
            weight_grams: offer.weight_grams,
        });
        before = Some(offer);
    }
    told
}

fn changed(before: Option<&Description>, offer: &Description) -> Vec<&'static str> {
    let differs = |differs: &dyn Fn(&Description) -> bool| before.is_none_or(differs);
    [
        ("name", differs(&|before| before.name != offer.name)),
        ("price", differs(&|before| before.price != offer.price)),
        ("prices", differs(&|before| before.prices != offer.prices)),
        ("active", differs(&|before| before.active != offer.active)),
        ("vendor", before.and_then(|before| before.vendor) != offer.vendor),
        (
            "weight_grams",
            before.and_then(|before| before.weight_grams) != offer.weight_grams,
        ),
    ]
    .into_iter()
    .filter(|(_, differs)| *differs)
    .map(|(name, _)| name)
    .collect()
}
