//! The system from outside. One file, one question.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod accounts;
mod analysts;
mod availability;
mod cancelling;
mod commands;
mod connections;
mod errors;
mod fields;
mod house;
mod idempotency;
mod importing;
mod outages;
mod paying;
mod queries;
mod rebuilding;
mod refunding;
mod roles;
mod stock;
mod surroundings;
mod unavailable;
