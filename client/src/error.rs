//! Why a command could not be done: one sentence on what was wrong, one on what to do.

use std::io;
use std::path::PathBuf;

use crate::Problem;

/// Ends the command with exit status 1.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Found before anything was sent.
    #[error(
        "{url:?} is not the address of a server ({reason}); write it like http://127.0.0.1:8080"
    )]
    BadUrl { url: String, reason: String },
    /// Nobody said who is asking.
    #[error(
        "no staff token: give --token, set DAYBOOK_TOKEN, or run where `daybook dev` keeps one \
         ({} does not exist)",
        path.display()
    )]
    NoToken { path: PathBuf },
    /// The kept token is there, but not for us.
    #[error("the staff token in {} cannot be read: {source}", path.display())]
    TokenFile { path: PathBuf, source: io::Error },
    /// A token that no HTTP header can carry.
    #[error("the token holds characters that cannot be sent; check --token or DAYBOOK_TOKEN")]
    UnsendableToken,
    /// The HTTP client itself could not be set up.
    #[error("cannot prepare connections: {0}")]
    NoClient(String),
    /// Nobody listens.
    #[error("no server answers at {url} ({reason}); start one with `daybook dev`, or give --url")]
    Unreachable { url: String, reason: String },
    /// It was there, and has been away for too long.
    #[error(
        "the server at {url} has not been able to answer for {seconds} seconds ({reason}); when it \
         is well again, run the command again: it continues where it stopped"
    )]
    GaveUp { url: String, seconds: u64, reason: String },
    /// 401.
    #[error("the server does not know this token (401: {detail}); check --token or DAYBOOK_TOKEN")]
    UnknownToken { detail: String },
    /// 403.
    #[error(
        "this token may not do that (403: {detail}); use one that may, such as the staff token"
    )]
    NotStaff { detail: String },
    /// Something else listens there.
    #[error("{url} does not answer like a Daybook server ({reason}); check --url")]
    NotDaybook { url: String, reason: String },
    /// The one thing that was asked for was refused.
    #[error("the server refuses to {what}: {problem}")]
    Refused { what: String, problem: Problem },
    /// A name that is not in the list.
    #[error("there is no projection {name:?}; there are: {}", known.join(", "))]
    UnknownProjection { name: String, known: Vec<String> },
    /// The server gave the rebuild up; the old read model is still the one that answers.
    #[error("the rebuild of {name} failed: {detail}; queries still use what was there before")]
    RebuildFailed { name: String, detail: String },
    /// Somebody else did not want it after all.
    #[error("the rebuild of {name} was cancelled; queries still use what was there before")]
    RebuildCancelled { name: String },
    /// Ctrl-C. The work is the server's, and does not end with our watching.
    #[error(
        "no longer watching, but the rebuild of {name} goes on in the server: `daybook projections` \
         shows it, `daybook rebuild {name} --cancel` ends it{}",
        of_others(others)
    )]
    StoppedWatching { name: String, others: Vec<String> },
    /// A rebuild that does not get any further.
    #[error(
        "the rebuild of {name} has not moved for {seconds} seconds; look at the server's log, and \
         at `daybook projections`"
    )]
    RebuildStuck { name: String, seconds: u64 },
    /// Read models that do not follow.
    #[error(
        "everything is sent, but the read models have not moved for {seconds} seconds and are \
         still {lag} events behind; look at the server's log, and at `daybook projections`"
    )]
    Behind { lag: u64, seconds: u64 },
    /// Missing, or not ours to read.
    #[error("cannot open {}: {source}", path.display())]
    Unopenable { path: PathBuf, source: io::Error },
    /// Cut off or damaged; nothing has been sent.
    #[error("cannot read {} to its end: {source}; nothing was imported", path.display())]
    Damaged { path: PathBuf, source: io::Error },
    /// Another kind of file.
    #[error("{} does not have the columns {expected}; its first line is {found:?}", path.display())]
    OtherColumns { path: PathBuf, expected: String, found: String },
    /// The import would destroy its own source.
    #[error("{} is the file to import; give --rejects another name", path.display())]
    RejectsOverSource { path: PathBuf },
    /// No place for the rejected lines.
    #[error("cannot write the rejected lines to {}: {source}", path.display())]
    Rejects { path: PathBuf, source: io::Error },
    /// No file of exchange rates.
    #[error(
        "{} holds no exchange rates; give a file of the ECB (eurofxref-daily.xml, \
         eurofxref-hist.csv and the like) or JSON",
        path.display()
    )]
    NoRates { path: PathBuf },
    /// Some of them could not be read, or were refused; the others are loaded.
    #[error("{rows} rates of {} are not loaded, for the reasons above", path.display())]
    RatesLeft { path: PathBuf, rows: usize },
    /// Some orders were still waiting for their payment or stock when patience ended.
    #[error(
        "{orders} orders are placed but were not confirmed in time; run the import again later to \
         complete them, it duplicates nothing"
    )]
    Unfinished { orders: u64 },
    /// The provider and the log do not say the same.
    #[error("{}", left_in_words(*left, *rejected))]
    Disagrees { left: u64, rejected: u64 },
    /// The server gave up on the way.
    #[error("the reconciliation did not come to its end: {detail}")]
    NotReconciled { detail: String },
    /// The answer had no end.
    #[error(
        "the server's answer broke off; run the command again: what was repaired stays repaired"
    )]
    BrokenOff,
    /// More than the server takes.
    #[error("{} has more than 16 MiB; split it by day, with --from and --to", path.display())]
    StatementTooLarge { path: PathBuf },
    /// Nothing to compare with.
    #[error("{} is empty; a statement has at least its columns", path.display())]
    EmptyStatement { path: PathBuf },
    /// No place for the report.
    #[error("cannot write the report to {}: {source}", path.display())]
    Report { path: PathBuf, source: io::Error },
    /// Standard output is gone.
    #[error("cannot write the result: {0}")]
    Output(#[source] io::Error),
    /// A bug of ours.
    #[error("the reading of the file broke off: {0}")]
    ReaderDied(String),
}

impl Error {
    /// What an answer that is none says.
    pub(crate) async fn refused(what: String, response: reqwest::Response) -> Self {
        let status = response.status().as_u16();
        // Without a body, the status has to do.
        let body = response.bytes().await.unwrap_or_default();
        let problem = Problem::read(status, &body);
        match status {
            401 => Self::UnknownToken { detail: problem.to_string() },
            403 => Self::NotStaff { detail: problem.to_string() },
            _ => Self::Refused { what, problem },
        }
    }
}

fn left_in_words(left: u64, rejected: u64) -> String {
    let mut told = Vec::new();
    if 0 < left {
        told.push(format!(
            "{left} differences are left: --repair mends what the provider confirms, the others \
             take a person"
        ));
    }
    if 0 < rejected {
        told.push(format!("{rejected} rows of the statement could not be read"));
    }
    told.join("; ")
}

fn of_others(names: &[String]) -> String {
    if names.is_empty() {
        String::new()
    } else {
        format!("; not begun: {}", names.join(", "))
    }
}
