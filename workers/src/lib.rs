//! Whatever acts because an event happened: the checkout process and calls to payment providers.
//!
//! Every worker reads the log from its mark on, acts through commands whose ids are derived from
//! what caused them, and moves its mark when their outcomes are known. A crash in between repeats
//! commands, which then meet their receipts.

pub mod backlog;
pub mod checkout;
pub mod forgetting;
pub mod fraud;
pub mod inbox;
pub mod parked;
pub mod providers;
pub mod reconciling;
pub mod routing;
pub mod unmatched;

mod bells;
mod derived;
mod marks;
mod polls;
mod reading;
mod references;
