//! Daybook over HTTP, and the parts of the program that serves it.
//!
//! | module | is |
//! | --- | --- |
//! | [`http`] | every route, and the layers around them |
//! | [`node`] | one process: its parts, wired together |
//! | [`dev`], [`serve`] | the two ways to run it |
//! | [`database`] | commands that need no server |
//! | [`documenting`] | the HTTP interface as a file, for other programs |
//! | [`exporting`] | the log and read models as files |
//! | [`auditing`] | commands for auditors: keys, and proof of the log |
//! | [`breakers`] | when a payment provider counts as away |
//! | [`verify`] | what must always hold |
//! | [`secrets`] | passwords that production must not start with |
//! | [`self_audit`] | the same, slice by slice, while the shop goes on |
//! | [`diffing`] | what this build makes of history, before it is shipped |

pub mod auditing;
pub mod breakers;
pub mod database;
pub mod dev;
pub mod diffing;
pub mod documenting;
pub mod exporting;
pub mod http;
pub mod node;
pub mod secrets;
pub mod self_audit;
pub mod serve;
pub mod settings;
mod signals;
pub mod verify;
mod welcome;
