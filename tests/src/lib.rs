//! Daybook from outside: real Postgres, real NATS, real HTTP, a database and a stream per test.
//!
//! ```text
//! World ── HTTP ──▶ Node (all roles) ──▶ Postgres, NATS of one Stack per test run
//! ```

#![expect(
    clippy::missing_panics_doc,
    reason = "whatever cannot go on panics: that is how a test says where"
)]

pub mod chance;
pub mod command;
pub mod counting;
pub mod documented;
pub mod hand;
pub mod log;
pub mod looking;
pub mod people;
pub mod served;
pub mod servers;
pub mod simulators;
pub mod sse;
pub mod telling;
pub mod wire;
pub mod world;

pub use world::{Answer, World};
