//! Which order an event belongs to.

use domain::event::Event;
use domain::ids::OrderId;
use domain::inventory;
use domain::person;
use domain::promotion;
use store::recorded::RecordedEvent;

/// The orders whose personal data is gone from here on.
pub fn forgotten_in(event: &RecordedEvent) -> &[OrderId] {
    match &event.event {
        Event::Person(person::Event::Forgotten { orders, .. }) => orders,
        Event::Order(_)
        | Event::Payment(_)
        | Event::Inventory(_)
        | Event::Product(_)
        | Event::Listing(_)
        | Event::Categories(_)
        | Event::Vendor(_)
        | Event::Promotion(_)
        | Event::Delivery(_) => &[],
    }
}

/// The order that the event is about; `None` for the catalogue, vendors, promotions and delivery, and for
/// stock that no order holds.
pub fn order_of(event: &RecordedEvent) -> Option<OrderId> {
    match &event.event {
        Event::Order(_) => event.aggregate_id.parse().ok(),
        // Payments are correlated with their order from the first event on; one that is no order's,
        // with itself.
        Event::Payment(_) => {
            let correlation_id = event.metadata.correlation_id;
            let is_its_own = event.aggregate_id.parse() == Ok(correlation_id);
            (!is_its_own).then_some(OrderId(correlation_id))
        }
        Event::Inventory(event) => match event {
            inventory::Event::Reserved { order_id, .. }
            | inventory::Event::Released { order_id, .. }
            | inventory::Event::Issued { order_id, .. }
            | inventory::Event::Restocked { order_id, .. } => Some(*order_id),
            inventory::Event::Received { .. } | inventory::Event::Adjusted { .. } => None,
        },
        Event::Promotion(event) => match event {
            promotion::Event::UseReserved { order_id, .. }
            | promotion::Event::UseReleased { order_id }
            | promotion::Event::Used { order_id } => Some(*order_id),
            promotion::Event::Described(_) => None,
        },
        // Of many orders at once: whoever needs them asks `forgotten_in`.
        Event::Product(_)
        | Event::Person(_)
        | Event::Listing(_)
        | Event::Categories(_)
        | Event::Vendor(_)
        | Event::Delivery(_) => None,
    }
}
