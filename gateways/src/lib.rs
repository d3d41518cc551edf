//! Payment providers behind one trait. Knows nothing of orders' rules, stock or SQL.
//!
//! A provider is called *after* the attempt was recorded, and what it says is recorded after it
//! was said; whatever is lost in between is asked for again by its reference.

pub mod gateway;
pub mod registry;
pub mod sandbox;
