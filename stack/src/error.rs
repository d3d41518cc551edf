//! Why a private server could not be had: one sentence each, which says what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// As much of a log as one message can take.
const QUOTED_LINES_MAX: usize = 5;

/// Why a stack did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory of ours could not be used.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What we tried, as a verb.
        doing: &'static str,
        /// What we tried it on.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Invariant 3 of the crate.
    #[error(
        "another Daybook ({holder}) uses {}: stop it, or choose another data directory",
        dir.display()
    )]
    InUse {
        /// The contested directory.
        dir: PathBuf,
        /// Who holds it, as far as we can tell.
        holder: String,
    },
    /// There is no such program.
    #[error(
        "{program} is not installed (looked in {looked_in}): run scripts/setup, or \
         install {program} {needed} or newer"
    )]
    Missing {
        /// Its name.
        program: &'static str,
        /// The oldest version that would do.
        needed: &'static str,
        /// Where we looked.
        looked_in: String,
    },
    /// There is one, but it lacks what we rely on.
    #[error(
        "{} is {program} {found}, which is too old: run scripts/setup, or install \
         {program} {needed} or newer",
        path.display()
    )]
    TooOld {
        /// Its name.
        program: &'static str,
        /// The one that came nearest.
        path: PathBuf,
        /// Its version.
        found: String,
        /// The oldest version that would do.
        needed: &'static str,
    },
    /// The data was written by a version of Postgres that is gone.
    #[error(
        "the data in {} needs PostgreSQL {major}, which was not found: install it, or \
         move that directory away to start afresh",
        dir.display()
    )]
    OtherMajor {
        /// The cluster.
        dir: PathBuf,
        /// The version that made it.
        major: u32,
    },
    /// Postgres refuses to run as root.
    #[error(
        "PostgreSQL does not run as root, and there is neither a user postgres nor \
         nobody: add one, or start Daybook as an ordinary user"
    )]
    NoAccount,
    /// The cluster is where its user may not go.
    #[error(
        "the user that runs PostgreSQL may not enter {}: move the data directory, or open \
         its parents with chmod a+x",
        dir.display()
    )]
    OutOfReach {
        /// The directory above the cluster.
        dir: PathBuf,
    },
    /// No room.
    #[error(
        "no space is left for {program} on the disk of {}: free some and start again",
        dir.display()
    )]
    DiskFull {
        /// Who needs it.
        program: &'static str,
        /// A directory on that disk.
        dir: PathBuf,
    },
    /// Somebody took the port since we looked.
    #[error("{program} cannot have its port, because another program took it: start again")]
    PortTaken {
        /// Who wanted it.
        program: &'static str,
    },
    /// A server ended instead of answering, or does not answer.
    #[error("{program} {what}; its log {} ends with: {log_end}", log.display())]
    Failed {
        /// Which program.
        program: &'static str,
        /// What it did instead.
        what: String,
        /// Where to read on.
        log: PathBuf,
        /// Its last lines.
        log_end: String,
    },
}

impl Error {
    /// For `map_err` after a file operation.
    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull => Self::DiskFull { program: "Daybook", dir: path },
            _ => Self::File { doing, path, source },
        }
    }

    /// Reads from its log what a program died of.
    pub(crate) fn failed(
        program: &'static str,
        what: String,
        log: &Path,
        log_end: &[String],
    ) -> Self {
        let says = |words: &str| {
            log_end
                .iter()
                .any(|line| line.to_lowercase().contains(words))
        };
        if says("no space left on device") || says("check free disk space") {
            return Self::DiskFull { program, dir: log.parent().unwrap_or(log).to_owned() };
        }
        if says("address already in use") {
            return Self::PortTaken { program };
        }
        let quoted = &log_end[log_end.len().saturating_sub(QUOTED_LINES_MAX)..];
        let log_end = if quoted.is_empty() {
            "(nothing)".into()
        } else {
            quoted.join(" | ")
        };
        Self::Failed { program, what, log: log.to_owned(), log_end }
    }
}
