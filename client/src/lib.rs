//! The part of the command line that talks to a running Daybook over HTTP, and knows nothing else
//! of it: no store, no broker, no rules of the business. What it may not do over HTTP, nobody may.
//!
//! | command | here |
//! | --- | --- |
//! | `daybook import online-retail FILE` | [`import`], [`online_retail`] |
//! | `daybook rates load FILE` | [`rates`] |
//! | `daybook projections` | [`projections`] |
//! | `daybook rebuild NAME...` | [`rebuild`] |
//! | `daybook replays` | [`replays`] |
//! | `daybook export`, of a running server | [`lines`] |
//! | `daybook reconcile --gateway NAME` | [`reconcile`] |
//!
//! Each offers `Args` for clap and an async `run`. Results go to standard output, progress to
//! standard error, and an [`Error`] is a sentence that says what to do.

mod connection;
mod error;
pub mod import;
pub mod lines;
pub mod online_retail;
mod patience;
mod problem;
pub mod progress;
pub mod projections;
pub mod rates;
pub mod rebuild;
pub mod reconcile;
pub mod replays;
mod server;
mod thousands;

pub use connection::Connection;
pub use error::Error;
pub use problem::Problem;
