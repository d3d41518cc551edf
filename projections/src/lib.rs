//! The read models: what the log means to people who ask. Disposable; each is a fold of the log up
//! to its mark.
//!
//! ```text
//! log ─▶ projector ─▶ tables + mark, one transaction ◀── queries
//!   └──▶ rebuild ──▶ a second copy beside ── swap ──▲
//! ```
//!
//! | file | answers |
//! | --- | --- |
//! | `orders` | what was ordered, how far it is, whether it is paid |
//! | `timeline` | what happened to an order, in which order, and who did it |
//! | `payments` | attempts, captures and refunds of a payment |
//! | `stock` | pieces in the house, held and available |
//! | `products` | what is offered, at what price |
//! | `listings` | the pages of the shop, with their variants: searched, filtered, sorted |
//! | `categories` | the shelves that listings stand on |
//! | `availability` | how many pieces of an article can be had, from memory |
//! | `history` | how one of these was, and what has changed since, from the log alone |
//! | `guests` | who has ordered without an account |
//! | `sales` | what was sold and given back, per day, month, country, SKU, vendor or currency |
//! | `customers` | who buys for the first time, who comes back, what they spend; nobody by name |
//! | `vendors` | who sells beside the house, and whether they may |
//! | `vendor_orders` | the lines of orders that are a vendor's, and which of them have left |
//! | `delivery` | by which methods goods come to customers, and where they pick them up |
//! | `promotions` | what is taken off an order, and how often it was used |
//! | `milestones` | when each order was placed, paid and fulfilled: the example to copy |
//!
//! Tables live in the schema `read`, copies being rebuilt in `rebuild`, what was as of a position in
//! `replay_<name>`. SQL names tables without a schema: the connection's search path decides which of
//! them it works on.

mod as_of;
pub mod audit;
pub mod availability;
mod belonging;
pub mod categories;
pub mod customers;
pub mod delivery;
mod differences;
pub mod diffing;
mod error;
pub mod guests;
pub mod history;
pub mod listings;
mod live;
mod marks;
pub mod milestones;
mod moment;
mod money;
pub mod orders;
mod paging;
mod paying;
pub mod payments;
pub mod products;
mod projection;
mod projector;
pub mod promotions;
mod read_models;
mod rebuild;
mod resting;
pub mod rows;
pub mod sales;
mod scratch;
mod seats;
pub mod settlement;
mod sql;
pub mod stock;
mod storable;
#[cfg(test)]
mod tests;
pub mod timeline;
mod until;
pub mod vendor_orders;
pub mod vendors;

pub use crate::as_of::AsOf;
pub use crate::belonging::{forgotten_in, order_of};
pub use crate::differences::FieldDifference;
pub use crate::error::Error;
pub use crate::live::State;
pub use crate::moment::Moment;
pub use crate::money::{Decimal, MoneyView};
pub use crate::paging::{BadCursor, Cursor, Page, SkuCursor};
pub use crate::paying::{PaymentStatus, RefundState, RefundView};
pub use crate::projection::NAMES;
pub use crate::read_models::{DropError, ReadModels, Status, WaitError};
pub use crate::rebuild::replays::Replay;
pub use crate::rebuild::{RebuildRefused, RebuildState, RebuildView, Wish};
pub use crate::seats::{Overloaded, Seat};
pub use crate::sql::SqlStatus;
pub use crate::until::{Until, UntilError};
