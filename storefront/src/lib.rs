//! What a shop front keeps beside the log: carts, addresses, wishlists, reviews, tickets.
//!
//! 1. Nothing here changes money, stock or prices: what does is an event, and lives in `domain`.
//! 2. What is kept here is personal or fleeting: ordinary rows, that can be changed and deleted.
//! 3. Each module is one thing with its own tables, and knows of no other.

pub mod addresses;
pub mod carts;
pub mod faq;
pub mod reviews;
pub mod support;
pub mod wishlists;
