//! Daybook over HTTP, and the parts of the program that serves it.
//!
//! | module | is |
//! | --- | --- |
//! | [`http`] | every route, and the layers around them |
//! | [`node`] | one process: its parts, wired together |
//! | [`dev`], [`serve`] | the two ways to run it |
//! | [`database`] | commands that need no server |
//! | [`exporting`] | the log and read models as files |
//! | [`auditing`] | commands for auditors: keys, and proof of the log |
//! | [`breakers`] | when a payment provider counts as away |
//! | [`verify`] | what must always hold |
//! | [`self_audit`] | the same, slice by slice, while the shop goes on |
//! | [`diffing`] | what this build makes of history, before it is shipped |

pub mod auditing;
pub mod breakers;
pub mod database;
pub mod dev;
pub mod diffing;
pub mod exporting;
pub mod http;
pub mod node;
pub mod self_audit;
pub mod serve;
pub mod settings;
mod signals;
pub mod verify;
mod welcome;
