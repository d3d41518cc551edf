//! The commands over real HTTP, against a server in memory.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where it stopped"
)]

mod import;
mod rebuild;
mod reconcile;
mod server;
