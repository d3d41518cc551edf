//! What Daybook's business means: orders, payments, stock, the catalogue, promotions, delivery, and the
//! checkout that ties them together. Pure: no clock, no chance, no IO; whatever a rule needs arrives in
//! the command.
//!
//! One word per idea, in British spelling:
//!
//! | word | means |
//! | --- | --- |
//! | order | what a customer asked for at a fixed price |
//! | payment | the money side of one order; it has one or many attempts |
//! | attempt | one try at one payment provider, with a reference of its own |
//! | capture | the provider says that the money is ours |
//! | inventory | the stock of one SKU: on hand, reserved, available |
//! | reservation | stock held for one order until a deadline |
//! | vendor | a business that sells its own articles beside the house's |
//! | shipment | lines of an order that have left, as their vendor or staff say |
//! | issue | reserved stock leaves the house with a completed order |
//! | refund | captured money that goes back |
//! | product | one SKU: what it is called and what it costs |
//! | listing | what a shop shows on one page: one product or several, which differ by options |
//! | variant | a product as part of a listing |
//! | category | a shelf that listings stand on; shelves may have shelves below |
//! | forget | destroy the keys of somebody's personal data; orders and totals stay |
//! | quote | what one euro costs in a currency, as somebody published it for a day |
//! | unmatched money | money that came in and that no payment of ours asked for |
//! | promotion | what takes something off orders; an order holds a use of it, as it holds stock |
//! | delivery | by which methods goods come to customers, what that costs, where they are picked up |
//! | screening | rules judge whether an order goes on, waits for staff (a hold), or ends |
//! | review | what staff say about an order that is held |
//! | fact, intent | what the checkout process hears, and what it asks for next |
#![deny(
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    clippy::wildcard_enum_match_arm
)]

pub mod aggregate;
pub mod attempt;
mod calling_codes;
pub mod categories;
pub mod checkout;
pub mod delivery;
pub mod event;
pub mod exchange;
pub mod facts;
pub mod identifiers;
pub mod ids;
pub mod inventory;
pub mod listing;
pub mod money;
pub mod order;
pub mod payment;
mod payment_event;
pub mod person;
pub mod personal;
pub mod placing;
pub mod product;
pub mod promotion;
pub mod refunding;
pub mod risk;
pub mod screening;
pub mod upcast;
pub mod vendor;

#[cfg(test)]
mod testing;
