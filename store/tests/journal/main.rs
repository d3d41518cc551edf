//! The journal, its stream and its feeds on a real Postgres and a real nats-server, which are shared
//! by all tests here; each test has a database and a stream of its own.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy allows them in functions that are tests, and all of this serves tests"
)]

mod ahead;
mod audit;
mod callers;
mod cold;
mod conflicts;
mod feeds;
mod outages;
mod positions;
mod receipts;
mod relaying;
mod snapshots;
mod strangers;
mod table;
mod world;
