//! Daybook from outside: real Postgres, real NATS, real HTTP, a database and a stream per test.
//!
//! ```text
//! World ── HTTP ──▶ Node (all roles) ──▶ Postgres, NATS of one Stack per test run
//! ```

pub mod servers;
pub mod world;

pub use world::{Answer, World};
