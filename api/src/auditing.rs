//! Commands for auditors: `daybook verify`, online or from an export alone, and `daybook seal-key`.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use domain::ids::OrderId;
use sealing::checking::{Finding, Proved};
use sealing::head::SignedHead;
use sealing::keys::{self, BadKey, PublicKey, SealKey};
use sealing::{export, heads_file, online};
use serde_json::Value;
use store::masters::{self, BadMasterKey};

use crate::database::{self, Database, Progress};
use crate::dev::PUBLIC_KEY_FILE;
use crate::settings::Personal;
use crate::verify;

/// What the file of seals of an export is called: the export's name and this.
pub const SEALS_ENDING: &str = "seals";

/// Flags of `daybook verify`.
#[derive(Debug, Clone, clap::Args)]
pub struct VerifyArgs {
    /// Which database, unless it is an export.
    #[command(flatten)]
    pub database: database::Args,
    /// What personal data is sealed with, if you have it.
    #[command(flatten)]
    pub personal: Personal,
    /// Public key that you trust, or a file of such keys; without it, the one that the log names
    #[arg(long = "key", env = "DAYBOOK_SEAL_PUBLIC_KEY", value_name = "KEY")]
    pub keys: Vec<String>,
    /// File of heads that you kept: the log must lead to each of them
    #[arg(long = "head", env = "DAYBOOK_KEPT_HEADS", value_name = "FILE")]
    pub heads: Vec<PathBuf>,
    /// Check this export (NDJSON, of the whole log) instead of a database
    #[arg(long, env = "DAYBOOK_EXPORT", value_name = "FILE")]
    pub export: Option<PathBuf>,
    /// The export's file of seals; FILE.seals if not given
    #[arg(long, env = "DAYBOOK_SEALS", value_name = "FILE", requires = "export")]
    pub seals: Option<PathBuf>,
    /// Print this order's whole history from the export, a line for each event, once it is checked
    #[arg(long, env = "DAYBOOK_ORDER_ID", value_name = "ID", requires = "export")]
    pub order: Option<OrderId>,
}

/// Flags of `daybook seal-key`.
#[derive(Debug, Clone, clap::Args)]
pub struct SealKeyArgs {
    /// File to keep the secret key in; it must not exist yet
    #[arg(long, env = "DAYBOOK_OUT", value_name = "FILE")]
    pub out: PathBuf,
    /// The key's name, as signatures tell it
    #[arg(long, env = "DAYBOOK_NAME", default_value = keys::NAME)]
    pub name: String,
}

/// Why it was not done, or what is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database could not be had.
    #[error(transparent)]
    Database(#[from] database::Error),
    /// Something in the log is wrong, or it cannot be read.
    #[error(transparent)]
    Verify(#[from] verify::Error),
    /// The log is not the one that was sealed.
    #[error(transparent)]
    Online(#[from] online::Error),
    /// The export is not the one that was sealed.
    #[error(transparent)]
    Export(#[from] export::Error),
    /// What personal data is sealed with.
    #[error(transparent)]
    MasterKey(#[from] BadMasterKey),
    /// A key that was given.
    #[error("{given}: {source}")]
    Key {
        /// What was given.
        given: String,
        /// What is wrong with it.
        source: BadKey,
    },
    /// A file that was given.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What we tried, as a verb.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file of heads that holds none.
    #[error("there is no head of a log in {}", .0.display())]
    NoHead(PathBuf),
    /// An export proves itself only against something that its maker did not write.
    #[error("an export is checked with --key, or with --head and the heads that you kept")]
    NothingToTrust,
    /// What was found is no proof.
    #[error("{0}")]
    Unproved(Finding),
    /// An order is looked for in what has been checked.
    #[error("no event of order {0} is in this log")]
    NoSuchOrder(OrderId),
    /// The terminal, or whatever stands in for it.
    #[error("cannot write to the standard output: {0}")]
    Output(#[from] io::Error),
}

/// `daybook verify`.
pub async fn verify(args: VerifyArgs) -> Result<(), Error> {
    let kept = kept_heads(&args.heads)?;
    if let Some(path) = &args.export {
        let keys = trusted(&args.keys)?;
        if keys.is_empty() && kept.is_empty() {
            return Err(Error::NothingToTrust);
        }
        let seals = args.seals.clone();
        let (export, path) = (path.clone(), path.clone());
        let checking = move || verify_export(&path, seals, keys, &kept);
        let proved = tokio::task::spawn_blocking(checking).await;
        let proved =
            proved.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        tell(&proved)?;
        // An export is as old as its last event: when it is looked at says nothing.
        let now = proved.last_at.unwrap_or_else(Utc::now);
        must_prove(&proved, now)?;
        return match args.order {
            Some(order_id) => tell_order(&export, order_id, &proved),
            None => Ok(()),
        };
    }
    let is_demanding = !(args.keys.is_empty() && kept.is_empty());
    let mut keys = trusted(&args.keys)?;
    let own = args.database.data_dir.join(PUBLIC_KEY_FILE);
    if keys.is_empty() && args.database.database_url.is_none() && own.exists() {
        keys = trusted(&[own.display().to_string()])?;
    }
    let database = Database::open(&args.database).await?;
    // Whoever has no master key checks all but what is sealed; whoever has, that as well.
    let personal = args.personal.read_or_kept_in(&args.database.data_dir)?;
    if let Some(masters) = personal.masters() {
        masters::know(&masters);
    }
    masters::read_without();
    let progress = Progress::new();
    let checked =
        verify::verify(&database.pool, |position, head| progress.at(position, head)).await;
    let proved = match &checked {
        Ok(checked) => {
            let told = |position| progress.at(position, checked.events.max(position));
            Some(online::check(&database.pool, keys, &kept, told).await)
        }
        // What was sealed says more of it than the rules do.
        Err(verify::Error::Wrong(_)) => {
            Some(online::check(&database.pool, keys, &kept, |_| ()).await)
        }
        Err(_) => None,
    };
    progress.finish();
    database.close().await;
    let proved = proved.transpose()?;
    let checked = checked?;
    writeln!(
        io::stdout(),
        "all is well: {} events of {} streams; the stock of {} SKUs, the money of {} payments, \
         {} confirmed orders, {} snapshots",
        checked.events,
        checked.streams,
        checked.skus,
        checked.payments,
        checked.confirmed,
        checked.snapshots
    )?;
    if let Some(proved) = proved {
        tell(&proved)?;
        // Whoever brings nothing to prove with is only told.
        if is_demanding {
            must_prove(&proved, Utc::now())?;
        }
    }
    Ok(())
}

fn must_prove(proved: &Proved, now: DateTime<Utc>) -> Result<(), Error> {
    match proved.shortcoming(now) {
        None => Ok(()),
        Some(finding) => Err(Error::Unproved(finding)),
    }
}

/// Prints the lines of an order's events in a file that has been checked, which is read once more.
/// As the whole log was there, so is the whole order: nothing is left out of it.
fn tell_order(path: &Path, order_id: OrderId, proved: &Proved) -> Result<(), Error> {
    let unread = |source| Error::File { doing: "read", path: path.to_owned(), source };
    let file = File::open(path).map(BufReader::new).map_err(unread)?;
    let (mut events, mut unsealed) = (0_u64, 0_u64);
    let mut out = io::stdout().lock();
    let all = usize::try_from(proved.events).unwrap_or(usize::MAX);
    for (line, position) in file.lines().take(all).zip(1_u64..) {
        let line = line.map_err(unread)?;
        if is_of(&line, order_id) {
            writeln!(out, "{line}")?;
            events += 1;
            unsealed += u64::from(proved.sealed < position);
        }
    }
    if events == 0 {
        return Err(Error::NoSuchOrder(order_id));
    }
    writeln!(
        out,
        "order {order_id}: {events} events, and no others in this log; {unsealed} of them wait for a \
         head"
    )?;
    Ok(())
}

/// Whether an event is an order's: its own, its payment's, of stock that it holds, of promotions that
/// it uses, or that its person was forgotten. Judged by what is stored, with no key and no database.
fn is_of(line: &str, order_id: OrderId) -> bool {
    let id = order_id.to_string();
    if !line.contains(&id) {
        return false;
    }
    let Ok(event) = serde_json::from_str::<Value>(line) else {
        return false;
    };
    let data = &event["data"];
    let is_named = data["orders"]
        .as_array()
        .is_some_and(|orders| orders.iter().any(|order| *order == id.as_str()));
    match event["aggregate"].as_str() {
        Some("order") => event["aggregate_id"] == id.as_str(),
        Some("payment") => event["metadata"]["correlation_id"] == id.as_str(),
        Some("person") => is_named,
        Some(_) => data["order_id"] == id.as_str(),
        None => false,
    }
}

fn verify_export(
    path: &Path,
    seals: Option<PathBuf>,
    keys: Vec<PublicKey>,
    kept: &[SignedHead],
) -> Result<Proved, Error> {
    let open = |path: &Path| File::open(path).map(BufReader::new);
    let events = open(path).map_err(|source| Error::File {
        doing: "read",
        path: path.to_owned(),
        source,
    })?;
    let given = seals.is_some();
    let seals = seals.unwrap_or_else(|| path.with_added_extension(SEALS_ENDING));
    let open_seals = || open(&seals);
    let seals_reader: Option<&dyn Fn() -> io::Result<BufReader<File>>> =
        (given || seals.exists()).then_some(&open_seals);
    let progress = Progress::new();
    let told = |events: u64| {
        let events = i64::try_from(events).unwrap_or(i64::MAX);
        progress.at(events, events);
    };
    let proved = export::check(events, seals_reader, keys, kept, told);
    progress.finish();
    Ok(proved?)
}

fn tell(proved: &Proved) -> io::Result<()> {
    let Proved { events, sealed, heads, .. } = proved;
    if *heads == 0 {
        return writeln!(io::stdout(), "nothing is proved: {events} events, and no head");
    }
    writeln!(
        io::stdout(),
        "nothing was altered: {events} events, of which {sealed} are sealed; they lead to all \
         {heads} signed heads"
    )
}

/// Each is a key, or a file of keys.
fn trusted(given: &[String]) -> Result<Vec<PublicKey>, Error> {
    let mut trusted = Vec::new();
    for given in given.iter().filter(|given| !given.trim().is_empty()) {
        let path = Path::new(given);
        let text = if path.exists() {
            read(path)?
        } else {
            given.clone()
        };
        let keys = keys::public_in_file(&text);
        let keys = keys.map_err(|source| Error::Key { given: given.clone(), source })?;
        if keys.is_empty() {
            return Err(Error::Key { given: given.clone(), source: BadKey::None });
        }
        trusted.extend(keys);
    }
    Ok(trusted)
}

fn kept_heads(paths: &[PathBuf]) -> Result<Vec<SignedHead>, Error> {
    let mut kept = Vec::new();
    for path in paths {
        let heads = heads_file::read(&read(path)?);
        if heads.is_empty() {
            return Err(Error::NoHead(path.clone()));
        }
        kept.extend(heads);
    }
    Ok(kept)
}

fn read(path: &Path) -> Result<String, Error> {
    // A crash may have torn off a file of heads in the middle of a letter.
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .map_err(|source| Error::File { doing: "read", path: path.to_owned(), source })
}

/// `daybook seal-key`.
pub fn seal_key(args: &SealKeyArgs) -> Result<(), Error> {
    let key = SealKey::random(&args.name)
        .map_err(|source| Error::Key { given: args.name.clone(), source })?;
    let write = || {
        let mut options = File::options();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&args.out)?;
        writeln!(file, "{}", key.reveal())?;
        file.sync_all()
    };
    write().map_err(|source| Error::File { doing: "write", path: args.out.clone(), source })?;
    writeln!(io::stdout(), "{}", key.public())?;
    Ok(())
}
