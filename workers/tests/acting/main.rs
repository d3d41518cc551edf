//! Workers on a real Postgres and a real nats-server, with providers that do as a test tells them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod checkouts;
mod crashes;
mod fallbacks;
mod provider;
mod providers;
mod questions;
mod servers;
mod world;
