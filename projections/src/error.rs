//! Why a read model could not be written or read. An accident, never an answer.

use std::io;
use std::path::PathBuf;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not do as asked.
    #[error("the read models' database: {0}")]
    Database(#[from] sqlx::Error),
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] store::log::Error),
    /// A document of ours, in a row, is not what this version writes.
    #[error("a stored document: {0}")]
    Document(#[from] serde_json::Error),
    /// An event is missing from what was to be applied.
    #[error("after position {mark} comes {found}, so an event is missing")]
    Gap {
        /// What has been applied.
        mark: i64,
        /// What came next.
        found: i64,
    },
    /// Another version of the program has taken the tables over.
    #[error("the tables are kept by another program, in version {stored} and not {own}")]
    OtherVersion {
        /// The version in the marks table.
        stored: i32,
        /// This program's.
        own: i32,
    },
    /// Someone dropped the row.
    #[error("there is no mark for {name}")]
    NoMark {
        /// Of this projection.
        name: &'static str,
    },
    /// Where SQL files are to be, there is nothing to be read.
    #[error("the SQL projections in {} cannot be read: {source}", path.display())]
    Directory {
        /// Which directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No projection has this name.
    #[error("there is no projection {0}")]
    Unknown(String),
}
