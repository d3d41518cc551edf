//! Why something could not be measured: one sentence each.

use std::io;
use std::path::{Path, PathBuf};

/// Ends the run, or the scenario, with exit status 1. A missed target is none of these.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that is not in the list.
    #[error("there is no scenario {name:?}; there are: {known}")]
    UnknownScenario { name: String, known: String },
    /// A file or directory of ours.
    #[error("cannot {doing} {}: {source}", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    /// The Daybook under test.
    #[error("Daybook {what}; its log {} ends with: {log_end}", log.display())]
    Daybook { what: String, log: PathBuf, log_end: String },
    /// Its servers, while it is stopped itself.
    #[error(transparent)]
    Stack(#[from] stack::Error),
    /// Its database.
    #[error("the database under test does not answer: {0}")]
    Database(#[from] sqlx::Error),
    /// The load generator.
    #[error("the load cannot be sent: {0}")]
    Load(#[source] io::Error),
    /// The reference.
    #[error("pgbench failed: {0}")]
    Pgbench(String),
    /// The data set.
    #[error("the import failed: {0}")]
    Import(String),
    /// Something that must hold did not.
    #[error("{0}")]
    Check(String),
    /// What was waited for.
    #[error("waited in vain for {what}; it has not moved for {seconds} seconds")]
    Stuck { what: String, seconds: u64 },
    /// What the set-up asked for was refused.
    #[error("Daybook refuses to {what}: {answer}")]
    Refused { what: String, answer: String },
    /// Standard output is gone, or the JSON file cannot be written.
    #[error("cannot write the result: {0}")]
    Output(#[source] io::Error),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted; everything has been stopped")]
    Interrupted,
    /// In the end, after everything else has been measured.
    #[error("{} failed: {}", names.len(), names.join(", "))]
    Failed { names: Vec<String> },
}

impl Error {
    /// For `map_err` after a file operation.
    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }
}
