//! The database, for commands that need no server; bringing it up to date is one.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use accounts::{Accounts, Password, Settings};
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, PgPool};
use stack::{Options, Servers, Stack};
use store::masters::BadMasterKey;
use store::personal::{self, CannotBegin};

use crate::dev::DATABASE_URL_FILE;
use crate::http::email;
use crate::settings::{Personal, given};

/// One reads, one may wait.
const CONNECTIONS_MAX: u32 = 2;
/// A server that does not answer for this long is not there.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Events between two plain lines of progress.
const LINE_EVERY_EVENTS: i64 = 100_000;

/// Which database.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Postgres; without it, that of the data directory
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Where `daybook dev` keeps everything
    #[arg(long, env = "DAYBOOK_DATA_DIR", default_value = ".daybook")]
    pub data_dir: PathBuf,
}

/// Who becomes an administrator.
#[derive(Debug, Clone, clap::Args)]
pub struct AdminArgs {
    /// Their email address
    #[arg(long)]
    pub email: String,
    /// What they are called
    #[arg(long)]
    pub name: Option<String>,
    /// Their password, by environment only, where no list of processes shows it; without it, one is
    /// made up and printed once
    #[arg(skip = std::env::var("DAYBOOK_ADMIN_PASSWORD").ok())]
    pub password: Option<String>,
    /// Which database.
    #[command(flatten)]
    pub database: Args,
}

/// What the keys of personal data are wrapped with.
#[derive(Debug, Clone, clap::Args)]
pub struct RewrapArgs {
    /// Which database.
    #[command(flatten)]
    pub database: Args,
    /// The new key first, then those that it takes the place of.
    #[command(flatten)]
    pub personal: Personal,
}

/// Why it could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to open.
    #[error(
        "no database: set DATABASE_URL, or run where `daybook dev` keeps its data ({} does not exist)",
        data_dir.display()
    )]
    None {
        /// Where we looked.
        data_dir: PathBuf,
    },
    /// The private database could not be had.
    #[error(transparent)]
    Stack(#[from] stack::Error),
    /// Postgres does not answer.
    #[error("the database cannot be reached: {0}; check DATABASE_URL")]
    Connect(#[source] sqlx::Error),
    /// The schema cannot be brought up to date.
    #[error("the database cannot be migrated: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The address or the password will not do.
    #[error("{0}")]
    Unfit(String),
    /// What personal data is sealed with.
    #[error(transparent)]
    MasterKey(#[from] BadMasterKey),
    /// There is nothing to wrap with.
    #[error("no master key: give DAYBOOK_MASTER_KEY the new key and, after a comma, the old one")]
    NoMasterKey,
    /// Keys cannot be wrapped anew.
    #[error(transparent)]
    Personal(#[from] CannotBegin),
    /// The account could not be made.
    #[error(transparent)]
    Accounts(#[from] accounts::Error),
    /// The terminal, or whatever stands in for it.
    #[error("cannot write to the standard output: {0}")]
    Output(#[from] io::Error),
}

/// `daybook migrate`.
pub async fn migrate(args: Args) -> Result<(), Error> {
    let database = Database::open(&args).await?;
    store::migrate(&database.pool).await?;
    database.close().await;
    writeln!(io::stdout(), "the database is up to date")?;
    Ok(())
}

/// `daybook rewrap-keys`.
pub async fn rewrap_keys(args: RewrapArgs) -> Result<(), Error> {
    let masters = args
        .personal
        .read_or_kept_in(&args.database.data_dir)?
        .masters();
    let masters = masters.ok_or(Error::NoMasterKey)?;
    let database = Database::open(&args.database).await?;
    store::migrate(&database.pool).await?;
    let rewrapped = personal::rewrap(&database.pool, &masters).await;
    database.close().await;
    let rewrapped = rewrapped?;
    writeln!(
        io::stdout(),
        "{rewrapped} keys were wrapped anew; the first master key alone opens everything now, and \
         others can be taken out of DAYBOOK_MASTER_KEY"
    )?;
    Ok(())
}

/// `daybook create-admin`.
pub async fn create_admin(args: AdminArgs) -> Result<(), Error> {
    let email = email::parse(&args.email)
        .map_err(|why| Error::Unfit(format!("the email address {why}")))?;
    let given = given(args.password.as_ref());
    let text = given.clone().unwrap_or_else(made_up_password);
    let password =
        Password::chosen(&text).map_err(|why| Error::Unfit(format!("the password {why}")))?;
    let database = Database::open(&args.database).await?;
    store::migrate(&database.pool).await?;
    let accounts = Accounts::open(database.pool.clone(), Settings::default()).await?;
    let made = accounts
        .create_admin(&email, &password, args.name.as_deref())
        .await;
    database.close().await;
    made?;
    match given {
        Some(_) => writeln!(io::stdout(), "{email} is an administrator")?,
        None => writeln!(io::stdout(), "{email} is an administrator with the password {text}")?,
    }
    Ok(())
}

/// 128 bits of chance.
fn made_up_password() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// An open database, and its server if we had to start it.
pub(crate) struct Database {
    pub(crate) pool: PgPool,
    stack: Option<Stack>,
}

impl Database {
    pub(crate) async fn open(args: &Args) -> Result<Self, Error> {
        let (url, stack) = match given(args.database_url.as_ref()) {
            Some(url) => (url, None),
            None => private(&args.data_dir).await?,
        };
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(CONNECT_MAX)
            .connect_with(finding_read_models(&url).map_err(Error::Connect)?)
            .await
            .map_err(Error::Connect)?;
        Ok(Self { pool, stack })
    }

    pub(crate) async fn close(self) {
        self.pool.close().await;
        if let Some(stack) = self.stack {
            stack.stop().await;
        }
    }
}

/// What is made without a schema is still made in `public`, which is looked into first. Commands ask
/// about all of history: that a statement took seconds is no news, and would stand between the lines
/// of their answer.
fn finding_read_models(url: &str) -> sqlx::Result<PgConnectOptions> {
    let options: PgConnectOptions = url.parse()?;
    Ok(options
        .options([("search_path", "public,read")])
        .disable_statement_logging())
}

/// The database of a data directory: that of the `daybook dev` that runs there, or started by us.
async fn private(data_dir: &Path) -> Result<(String, Option<Stack>), Error> {
    if !data_dir.exists() {
        return Err(Error::None { data_dir: data_dir.to_owned() });
    }
    let options = Options { servers: Servers::OnlyPostgres, ..Options::new(data_dir) };
    match Stack::start(options).await {
        Ok(stack) => {
            let url = stack
                .database_url()
                .expect("Postgres was asked for")
                .to_owned();
            Ok((url, Some(stack)))
        }
        Err(in_use @ stack::Error::InUse { .. }) => {
            match std::fs::read_to_string(data_dir.join(DATABASE_URL_FILE)) {
                Ok(url) => Ok((url.trim().to_owned(), None)),
                Err(_) => Err(in_use.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// A bar on a terminal, plain lines elsewhere; both on the standard error.
pub(crate) struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new(0);
        let template = "{bar:30} {human_pos} of {human_len} events, {per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar, is_terminal: io::stderr().is_terminal() }
    }

    pub(crate) fn at(&self, position: i64, head: i64) {
        let before = self.bar.position();
        let (position, head) = (position.unsigned_abs(), head.unsigned_abs());
        self.bar.set_length(head);
        self.bar.set_position(position);
        let every = LINE_EVERY_EVENTS.unsigned_abs();
        if !self.is_terminal && before / every != position / every {
            // Progress is a courtesy; whoever closed the standard error does without.
            let _written = writeln!(io::stderr(), "{position} of {head} events");
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
