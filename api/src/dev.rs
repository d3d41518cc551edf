//! `daybook dev`: everything in one process, for a person at a desk. Starts the servers that are
//! missing, says how to begin, and takes everything down again.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use gateways::sandbox;
use sealing::keys::{self, SealKey};
use sealing::sealer;
use stack::{Options, Servers, Stack};
use store::masters::{BadMasterKey, MasterKeys};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::http::protection::{self, Rates};
use crate::http::{self, BindError, metrics};
use crate::node::{Node, Role, StartError};
use crate::settings::{
    BadSealing, BadToken, Keeping, MASTER_KEY_FILE, Personal, Sealing, StaffToken, Tuning, Urls,
    given,
};
use crate::signals::Signals;
use crate::welcome::{self, Welcome};

/// Where the staff token is kept, below the data directory; `client` looks there as well.
const TOKEN_FILE: &str = "staff-token";
/// Where the key that seals the log is kept.
const SEAL_KEY_FILE: &str = "seal-key";
/// Its public half, for `daybook verify`.
pub(crate) const PUBLIC_KEY_FILE: &str = "seal-key.pub";
/// Where the log's heads are kept besides the database.
const HEADS_FILE: &str = "heads";
/// Where other commands find the database of a running `daybook dev`.
pub(crate) const DATABASE_URL_FILE: &str = "database-url";

/// Where whoever follows the stream directly finds it (docs/STREAM.md).
const NATS_READER_URL_FILE: &str = "nats-reader-url";

/// Flags of `daybook dev`.
// No Debug: the addresses and the token are secret.
#[derive(Clone, clap::Args)]
pub struct Args {
    /// Address to listen at
    #[arg(long, env = "DAYBOOK_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Where everything is kept
    #[arg(long, env = "DAYBOOK_DATA_DIR", default_value = ".daybook")]
    pub data_dir: PathBuf,
    /// Postgres; without it, a private one is started in the data directory
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// NATS; without it, a private one is started in the data directory
    #[arg(long, env = "NATS_URL", hide_env_values = true)]
    pub nats_url: Option<String>,
    /// Whoever shows this token is staff; without it, one is made up and kept in the data directory
    #[arg(long, env = "DAYBOOK_STAFF_TOKEN", hide_env_values = true)]
    pub staff_token: Option<String>,
    /// What holds however Daybook is run.
    #[command(flatten)]
    pub tuning: Tuning,
}

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A private server could not be had.
    #[error(transparent)]
    Stack(#[from] stack::Error),
    /// Postgres, NATS or the read models.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The token that was given, or kept.
    #[error(transparent)]
    Token(#[from] BadToken),
    /// The key that seals the log.
    #[error(transparent)]
    Sealing(#[from] BadSealing),
    /// What personal data is sealed with.
    #[error(transparent)]
    MasterKey(#[from] BadMasterKey),
    /// A file of ours.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What we tried, as a verb.
        doing: &'static str,
        /// What we tried it on.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The terminal, or whatever stands in for it.
    #[error("cannot write to the standard output: {0}")]
    Output(io::Error),
    /// The system does not let us hear its signals.
    #[error("signals cannot be heard: {0}")]
    Signals(io::Error),
}

/// Everything that has to be stopped again.
struct Desk {
    stack: Option<Stack>,
    node: Node,
    token: StaffToken,
    token_was_given: bool,
}

/// Runs until told to stop.
pub async fn run(args: Args) -> Result<(), Error> {
    let mut signals = Signals::listen().map_err(Error::Signals)?;
    let listener = http::bind(args.listen).await?;
    let address = listener.local_addr().unwrap_or(args.listen);
    // Told to stop while starting, we drop what has been started, which stops it.
    let desk = tokio::select! {
        desk = start(&args) => desk?,
        () = signals.stop() => return Ok(()),
    };
    let welcome = Welcome {
        address,
        data_dir: &args.data_dir,
        token: &desk.token,
        token_was_given: desk.token_was_given,
    };
    welcome::print(&welcome).map_err(Error::Output)?;
    serve(desk, listener, signals).await;
    Ok(())
}

async fn start(args: &Args) -> Result<Desk, Error> {
    let (database_url, nats_url) =
        (given(args.database_url.as_ref()), given(args.nats_url.as_ref()));
    let servers = match (&database_url, &nats_url) {
        (None, None) => Some(Servers::Both),
        (None, Some(_)) => Some(Servers::OnlyPostgres),
        (Some(_), None) => Some(Servers::OnlyNats),
        (Some(_), Some(_)) => None,
    };
    let stack = match servers {
        Some(servers) => {
            let options = Options { servers, ..Options::new(&args.data_dir) };
            Some(Stack::start(options).await?)
        }
        None => None,
    };
    let of_stack = |url: fn(&Stack) -> Option<&str>| {
        stack
            .as_ref()
            .and_then(url)
            .map(ToOwned::to_owned)
            .unwrap_or_default()
    };
    let urls = Urls {
        database: database_url.unwrap_or_else(|| of_stack(Stack::database_url)),
        nats: nats_url.unwrap_or_else(|| of_stack(Stack::nats_url)),
    };
    let given_token = given(args.staff_token.as_ref());
    let token = match &given_token {
        Some(token) => token.parse()?,
        None => kept_token(&args.data_dir)?,
    };
    keep(&args.data_dir.join(DATABASE_URL_FILE), &urls.database)?;
    if let Some(url) = stack.as_ref().and_then(Stack::nats_reader_url) {
        keep(&args.data_dir.join(NATS_READER_URL_FILE), url)?;
    }
    let mut settings = args.tuning.node(urls, &Role::ALL, &token);
    settings.sealing = Some(sealing(&args.tuning.sealing, &args.data_dir)?);
    settings.masters = masters(&args.tuning.personal, &args.data_dir)?;
    // Nobody sells anything from a desk either.
    settings.environment = settings.environment.or(sandbox::SETTING, "on");
    // Nobody sends mail from a desk; whoever sits there reads it in the log.
    settings.accounts.log_mail = true;
    let protection = args.tuning.protection.over(Rates::desk());
    settings.protection = protection::Settings { connections_per_address: None, ..protection };
    let node = Node::start(&settings, metrics::recorder()).await?;
    Ok(Desk { stack, node, token, token_was_given: given_token.is_some() })
}

/// Serves until told to stop; then in order, or, told twice, at once.
async fn serve(desk: Desk, listener: TcpListener, mut signals: Signals) {
    let Desk { stack, node, .. } = desk;
    let (stop, stopped) = watch::channel(false);
    let server = tokio::spawn(http::serve(listener, node.app.clone(), stopped));
    signals.stop().await;
    tracing::info!("stopping; the data stays");
    stop.send_replace(true);
    let stopping = async {
        if let Err(error) = server.await {
            tracing::error!(error = &error as &dyn std::error::Error, "the server broke down");
        }
        node.stop().await;
        if let Some(stack) = stack {
            stack.stop().await;
        }
    };
    tokio::select! {
        () = stopping => {}
        () = signals.stop() => tracing::warn!("stopped at once, as told twice"),
    }
}

/// The token in the data directory, made up at the first start.
fn kept_token(data_dir: &Path) -> Result<StaffToken, Error> {
    let path = data_dir.join(TOKEN_FILE);
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => Ok(text.parse()?),
        Ok(_) => made_up(&path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => made_up(&path),
        Err(source) => Err(Error::File { doing: "read", path, source }),
    }
}

fn made_up(path: &Path) -> Result<StaffToken, Error> {
    let token = StaffToken::random();
    keep(path, token.reveal())?;
    Ok(token)
}

/// The log is sealed with the given key, or with one that is made up at the first start.
fn sealing(given: &Sealing, data_dir: &Path) -> Result<sealer::Settings, Error> {
    let is_given = |path: &PathBuf| !path.as_os_str().is_empty();
    let heads_file = given.heads_file.clone().filter(is_given);
    let heads_file = Some(heads_file.unwrap_or_else(|| data_dir.join(HEADS_FILE)));
    if let Some(path) = given.seal_key_file.clone().filter(is_given) {
        return Ok(given.with(&path, heads_file)?);
    }
    let path = data_dir.join(SEAL_KEY_FILE);
    if !path.exists() {
        let key = SealKey::random(keys::NAME).expect("the name is a good one");
        keep(&path, key.reveal())?;
        keep(&data_dir.join(PUBLIC_KEY_FILE), &key.public().to_string())?;
    }
    Ok(given.with(&path, heads_file)?)
}

/// Personal data is sealed with the given key, or with one that is made up at the first start.
fn masters(given: &Personal, data_dir: &Path) -> Result<Option<MasterKeys>, Error> {
    if let Keeping::Unsaid = given.read_or_kept_in(data_dir)? {
        keep(&data_dir.join(MASTER_KEY_FILE), &MasterKeys::random_text())?;
    }
    Ok(given.read_or_kept_in(data_dir)?.masters())
}

/// Writes a file that only we may read, complete or not at all.
fn keep(path: &Path, text: &str) -> Result<(), Error> {
    let draft = path.with_added_extension("new");
    let write = || {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        // A draft of a start that was killed may have another mode.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    write().map_err(|source| Error::File { doing: "write", path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_is_made_up_once_and_kept_to_ourselves() {
        let home = tempfile::tempdir().unwrap();
        let data_dir = home.path().join("new");

        let first = kept_token(&data_dir).unwrap();
        let mode = fs::metadata(data_dir.join(TOKEN_FILE))
            .unwrap()
            .permissions()
            .mode();

        assert_eq!(mode & 0o777, 0o600);
        assert!(kept_token(&data_dir).unwrap() == first);
    }
}
