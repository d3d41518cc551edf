//! The system from outside. One file, one question.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod cancelling;
mod house;
mod idempotency;
mod importing;
mod outages;
mod paying;
mod rebuilding;
mod refunding;
mod stock;
