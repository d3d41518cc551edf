//! Payment providers behind one trait. Knows nothing of orders' rules, stock or SQL.
//!
//! A provider is called *after* the attempt was recorded, and what it says is recorded after it
//! was said; whatever is lost in between is asked for again by its reference.
//!
//! A new provider is one file with its simulator in `tests/`, one line in [`registry`], and one
//! instance of the contract that all of them are held to (`tests/system/contracts.rs`).

mod amount;
mod cadence;
pub mod capabilities;
pub mod flutterwave;
pub mod flutterwave_v4;
pub mod gateway;
pub mod health;
mod http;
pub mod listing;
pub mod manual;
pub mod mtn_momo;
pub mod paystack;
pub mod reason;
pub mod registry;
pub mod routing;
pub mod sandbox;
pub mod secret;
pub mod settings;
mod signature;
pub mod sslcommerz;
pub mod stripe;
mod token;
pub mod webhook;
