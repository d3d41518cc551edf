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
mod converting;
mod errors;
mod examples;
mod exporting;
mod exporting_rows;
mod fields;
mod following;
mod forgetting;
mod gateways;
mod history;
mod house;
mod idempotency;
mod importing;
mod master_keys;
mod outages;
mod own_projections;
mod past;
mod paying;
mod people;
mod protection;
mod proving;
mod queries;
mod rebuilding;
mod reconciling;
mod refunding;
mod reviewing;
mod roles;
mod routing;
mod screening;
mod sealing_up;
mod secrets;
mod self_audit;
mod settling;
mod stock;
mod storm;
mod stripe;
mod subscribing;
mod surroundings;
mod tampering;
mod timelines;
mod touring;
mod unavailable;
mod unmatched;

/// The judge of proofs shares nothing with the code that makes them.
#[path = "../../sealing/src/rfc9162.rs"]
mod rfc9162;
