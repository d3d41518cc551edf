//! The system from outside. One file, one question.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod accounts;
mod analysts;
mod availability;
mod backlog;
mod cancelling;
mod commands;
mod connections;
mod contracts;
mod errors;
mod fields;
mod gateways;
mod house;
mod idempotency;
mod importing;
mod outages;
mod paying;
mod proving;
mod queries;
mod rebuilding;
mod refunding;
mod roles;
mod sealing_up;
mod stock;
mod storm;
mod stripe;
mod surroundings;
mod tampering;
mod unavailable;

/// The judge of proofs shares nothing with the code that makes them.
#[path = "../../sealing/src/rfc9162.rs"]
mod rfc9162;
