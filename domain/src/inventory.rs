//! Inventory: the stock of one SKU, and who holds what of it.
//!
//! ```text
//! Receive ─▶ on hand ── Reserve ─▶ reserved ──┬── Issue ───▶ gone
//!    Adjust ◀─┘  ▲                            ├── Release ─▶ available again
//!                └──────────── Restock ───────┘ (after a refund)
//! ```
//!
//! Invariants:
//! 1. `0 ≤ reserved ≤ on hand`, always: nothing is oversold.
//! 2. An order holds at most one reservation of a SKU; equal SKUs on its lines are summed before.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::aggregate::{Decider, runs_on_cqrs_es, stored_events};
use crate::ids::{OrderId, RefundId};

/// Most pieces of one SKU: far beyond any warehouse, far below overflow.
pub const ON_HAND_MAX: u64 = 1_000_000_000_000;

/// What a reservation takes in memory, as measured: nodes of a map stay half empty when keys grow.
const RESERVATION_BYTES: usize = 80;

/// Stock held for one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Pieces.
    pub quantity: u64,
    /// Until when the checkout holds it before it gives the order up.
    pub expires_at: DateTime<Utc>,
}

/// What rules read of a SKU's stock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    on_hand: u64,
    reserved: u64,
    reservations: BTreeMap<OrderId, Reservation>,
}

/// What can be asked of a SKU's stock.
#[derive(Debug, Clone)]
pub enum Command {
    /// Goods came in.
    Receive {
        /// Pieces, above zero.
        quantity: u64,
        /// Delivery note, purchase order.
        reference: String,
    },
    /// Counting found more or fewer.
    Adjust {
        /// Pieces, signed, not zero.
        quantity: i64,
        /// Why.
        reason: String,
    },
    /// Hold stock for an order.
    Reserve {
        /// For whom.
        order_id: OrderId,
        /// Pieces, above zero.
        quantity: u64,
        /// Until when.
        expires_at: DateTime<Utc>,
    },
    /// Let an order's stock go.
    Release {
        /// Whose.
        order_id: OrderId,
    },
    /// An order's stock leaves the house.
    Issue {
        /// Whose.
        order_id: OrderId,
    },
    /// A part of it does, and the rest is let go.
    IssuePart {
        /// Whose.
        order_id: OrderId,
        /// Pieces that leave, above zero and at most what is held.
        quantity: u64,
    },
    /// Refunded pieces come back on the shelf.
    Restock {
        /// Whose they were.
        order_id: OrderId,
        /// Under which refund.
        refund_id: RefundId,
        /// Pieces, above zero.
        quantity: u64,
    },
}

/// What can have happened to a SKU's stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// Goods came in.
    #[serde(rename = "inventory.received")]
    Received {
        /// Pieces.
        quantity: u64,
        /// Delivery note, purchase order.
        reference: String,
    },
    /// Counting found more or fewer.
    #[serde(rename = "inventory.adjusted")]
    Adjusted {
        /// Pieces, signed.
        quantity: i64,
        /// Why.
        reason: String,
    },
    /// Stock is held for an order.
    #[serde(rename = "inventory.reserved")]
    Reserved {
        /// For whom.
        order_id: OrderId,
        /// Pieces.
        quantity: u64,
        /// Until when.
        expires_at: DateTime<Utc>,
    },
    /// Stock is available again.
    #[serde(rename = "inventory.released")]
    Released {
        /// Whose it was.
        order_id: OrderId,
        /// Pieces.
        quantity: u64,
    },
    /// Stock left the house.
    #[serde(rename = "inventory.issued")]
    Issued {
        /// With which order.
        order_id: OrderId,
        /// Pieces.
        quantity: u64,
    },
    /// Refunded pieces are back on the shelf.
    #[serde(rename = "inventory.restocked")]
    Restocked {
        /// Whose they were.
        order_id: OrderId,
        /// Under which refund.
        refund_id: RefundId,
        /// Pieces.
        quantity: u64,
    },
}

stored_events!(Event {
    Self::Received { .. } => "inventory.received" v 1,
    Self::Adjusted { .. } => "inventory.adjusted" v 1,
    Self::Reserved { .. } => "inventory.reserved" v 1,
    Self::Released { .. } => "inventory.released" v 1,
    Self::Issued { .. } => "inventory.issued" v 1,
    Self::Restocked { .. } => "inventory.restocked" v 1,
});
runs_on_cqrs_es!(Inventory, "inventory");

/// Why stock may say no. When several apply, the first listed is reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// Zero pieces change nothing.
    #[error("the quantity must not be zero")]
    ZeroQuantity,
    /// Invariant 2.
    #[error("the order holds a reservation of this SKU already")]
    AlreadyReserved,
    /// Nothing to release or issue.
    #[error("the order holds no reservation of this SKU")]
    NotReserved,
    /// Invariant 1.
    #[error("{requested} requested, {available} available")]
    InsufficientStock {
        /// What was asked for.
        requested: u64,
        /// What could be had.
        available: u64,
    },
    /// Invariant 1: an adjustment must leave what is reserved.
    #[error("only {available} can be taken away: the rest is reserved or not there")]
    BelowReserved {
        /// Pieces that are on hand and not reserved.
        available: u64,
    },
    /// Beyond [`ON_HAND_MAX`].
    #[error("stock would exceed {ON_HAND_MAX} pieces")]
    TooMuch,
}

impl Inventory {
    /// Pieces in the house.
    pub fn on_hand(&self) -> u64 {
        self.on_hand
    }

    /// Pieces held for orders.
    pub fn reserved(&self) -> u64 {
        self.reserved
    }

    /// Pieces that can still be reserved.
    pub fn available(&self) -> u64 {
        self.on_hand.saturating_sub(self.reserved)
    }

    /// What is held for an order.
    pub fn reservation(&self, order_id: OrderId) -> Option<Reservation> {
        self.reservations.get(&order_id).copied()
    }

    /// Bytes in memory beside the value itself, roughly: whoever keeps many bounds them by it.
    pub fn heap_bytes(&self) -> usize {
        self.reservations.len().saturating_mul(RESERVATION_BYTES)
    }

    fn held_for(&self, order_id: OrderId) -> Result<Reservation, Refusal> {
        self.reservation(order_id).ok_or(Refusal::NotReserved)
    }

    fn room_for(&self, quantity: u64) -> Result<(), Refusal> {
        match self.on_hand.checked_add(quantity) {
            _ if quantity == 0 => Err(Refusal::ZeroQuantity),
            Some(on_hand) if on_hand <= ON_HAND_MAX => Ok(()),
            Some(_) | None => Err(Refusal::TooMuch),
        }
    }

    fn let_go(&mut self, order_id: OrderId, quantity: u64) {
        if let Some(held) = self.reservations.get_mut(&order_id) {
            held.quantity = held.quantity.saturating_sub(quantity);
            if held.quantity == 0 {
                self.reservations.remove(&order_id);
            }
        }
        self.reserved = self.reserved.saturating_sub(quantity);
    }
}

impl Decider for Inventory {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: Command) -> Result<Vec<Event>, Refusal> {
        let event = match command {
            Command::Adjust { quantity: 0, .. } | Command::Reserve { quantity: 0, .. } => {
                return Err(Refusal::ZeroQuantity);
            }
            Command::Receive { quantity, reference } => {
                self.room_for(quantity)?;
                Event::Received { quantity, reference }
            }
            Command::Adjust { quantity, reason } if 0 < quantity => {
                self.room_for(quantity.unsigned_abs())?;
                Event::Adjusted { quantity, reason }
            }
            Command::Adjust { quantity, reason } => {
                let available = self.available();
                if available < quantity.unsigned_abs() {
                    return Err(Refusal::BelowReserved { available });
                }
                Event::Adjusted { quantity, reason }
            }
            Command::Reserve { order_id, quantity, expires_at } => {
                if self.reservations.contains_key(&order_id) {
                    return Err(Refusal::AlreadyReserved);
                }
                let available = self.available();
                if available < quantity {
                    return Err(Refusal::InsufficientStock { requested: quantity, available });
                }
                Event::Reserved { order_id, quantity, expires_at }
            }
            Command::Release { order_id } => {
                Event::Released { order_id, quantity: self.held_for(order_id)?.quantity }
            }
            Command::Issue { order_id } => {
                Event::Issued { order_id, quantity: self.held_for(order_id)?.quantity }
            }
            Command::IssuePart { quantity: 0, .. } => return Err(Refusal::ZeroQuantity),
            Command::IssuePart { order_id, quantity } => {
                let available = self.held_for(order_id)?.quantity;
                if available < quantity {
                    return Err(Refusal::InsufficientStock { requested: quantity, available });
                }
                let rest = available.saturating_sub(quantity);
                let mut events = vec![Event::Issued { order_id, quantity }];
                events.extend((0 < rest).then_some(Event::Released { order_id, quantity: rest }));
                return Ok(events);
            }
            Command::Restock { order_id, refund_id, quantity } => {
                self.room_for(quantity)?;
                Event::Restocked { order_id, refund_id, quantity }
            }
        };
        Ok(vec![event])
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Received { quantity, .. } | Event::Restocked { quantity, .. } => {
                self.on_hand = self.on_hand.saturating_add(*quantity);
            }
            Event::Adjusted { quantity, .. } => {
                self.on_hand = self.on_hand.saturating_add_signed(*quantity);
            }
            Event::Reserved { order_id, quantity, expires_at } => {
                let reservation = Reservation { quantity: *quantity, expires_at: *expires_at };
                self.reservations.insert(*order_id, reservation);
                self.reserved = self.reserved.saturating_add(*quantity);
            }
            Event::Released { order_id, quantity } => self.let_go(*order_id, *quantity),
            Event::Issued { order_id, quantity } => {
                self.let_go(*order_id, *quantity);
                self.on_hand = self.on_hand.saturating_sub(*quantity);
            }
        }
    }
}

#[cfg(test)]
#[path = "inventory_tests.rs"]
mod tests;
