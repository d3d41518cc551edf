//! Child processes that cannot outlive us: each runs below a small shell that watches a pipe.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use crate::account::Account;
use crate::error::Error;
use crate::until::until;

/// Its comments tell how.
const SCRIPT: &str = include_str!("supervise.sh");

/// How long a server may take to stop. A checkpoint of a busy Postgres on a slow disk takes
/// seconds; after this it is killed, and recovers at its next start.
pub(crate) const STOP_SECONDS_MAX: u64 = 30;

/// initdb writes and syncs 40 MB, which takes a slow disk a while. Nothing else here takes longer.
const RUN_SECONDS_MAX: u64 = 120;

/// A program to run under supervision.
pub(crate) struct Program<'a> {
    pub(crate) account: Account,
    pub(crate) path: &'a Path,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
    /// The signal that means an orderly stop, as `kill -s` spells it.
    pub(crate) stop: &'static str,
    /// Takes what it prints.
    pub(crate) log: &'a Path,
}

impl Program<'_> {
    /// Starts it. The child's `stdin` is the lifeline: the program stops when it is dropped.
    pub(crate) fn spawn(&self) -> Result<Child, Error> {
        let log = File::options()
            .append(true)
            .create(true)
            .open(self.log)
            .map_err(Error::file("open", self.log))?;
        let errors = log.try_clone().map_err(Error::file("open", self.log))?;
        self.account
            .command(Path::new("/bin/sh"))
            .args(["-c", SCRIPT, "daybook-supervisor", self.stop])
            .arg(STOP_SECONDS_MAX.to_string())
            .arg(self.path)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(Error::file("start", self.path))
    }

    /// Runs it to its end, which must be a good one.
    pub(crate) fn run(&self, name: &'static str) -> Result<(), Error> {
        let start_of_log = log_length(self.log);
        let mut child = self.spawn()?;
        // Held until the end: `wait` would drop it first and so stop the program.
        let lifeline = child.stdin.take();
        let status = wait(&mut child, Duration::from_secs(RUN_SECONDS_MAX))
            .map_err(Error::file("wait for", self.path))?;
        drop(lifeline);

        let what = match status {
            Some(status) if status.success() => return Ok(()),
            Some(status) => format!("failed ({status})"),
            None => format!("did not finish in {RUN_SECONDS_MAX} seconds"),
        };
        Err(Error::failed(name, what, self.log, &log_end(self.log, start_of_log)))
    }
}

/// Waits for a child without touching its `stdin`; `None` when it is still running at the end.
fn wait(child: &mut Child, at_most: Duration) -> io::Result<Option<ExitStatus>> {
    until(at_most, || child.try_wait().transpose()).transpose()
}

/// Where the next line of a log will begin, so that old troubles are not blamed for new ones.
pub(crate) fn log_length(log: &Path) -> u64 {
    log.metadata().map_or(0, |meta| meta.len())
}

/// The last lines of a log that begin at `start` or later.
pub(crate) fn log_end(log: &Path, start: u64) -> Vec<String> {
    /// A program that fails says why, and then at length what it does about it.
    const LINES_MAX: usize = 50;

    let bytes = std::fs::read(log).unwrap_or_default();
    // A log that was rotated meanwhile is shorter than it was.
    let start = usize::try_from(start)
        .ok()
        .filter(|start| *start <= bytes.len())
        .unwrap_or(0);
    let text = String::from_utf8_lossy(&bytes[start..]);
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(LINES_MAX)..]
        .iter()
        .map(ToString::to_string)
        .collect()
}
