//! The `daybook` program: its commands, and how they end (0 done, 1 failed, 2 wrong usage).

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use api::{auditing, database, dev, diffing, documenting, exporting, serve};
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Commands and events are many small texts; see the reason in the workspace's Cargo.toml.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Orders, payments and stock, event-sourced. Without a command: everything on this machine.
#[derive(Parser)]
#[command(name = "daybook", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    dev: dev::Args,
}

#[derive(Subcommand)]
enum Command {
    /// Runs everything in one process, for a person at a desk; starts the servers that are missing
    Dev(dev::Args),
    /// Runs in production, with the Postgres and NATS that it is given
    Serve(serve::Args),
    /// Brings the database to this program's schema
    Migrate(database::Args),
    /// Wraps the keys of personal data with a new master key, while everything goes on
    RewrapKeys(database::RewrapArgs),
    /// Makes the first administrator, by whoever runs the server
    CreateAdmin(database::AdminArgs),
    /// Brings past business into a running server
    Import(client::import::Args),
    /// Loads exchange rates into a running server
    Rates(client::rates::Args),
    /// Lists the read models of a running server, and how far behind they are
    Projections(client::projections::Args),
    /// Makes read models of a running server anew from the log, while queries stay up; or as they
    /// were, in tables of their own
    Rebuild(client::rebuild::Args),
    /// Writes the log, a slice of it, or a read model to a file: NDJSON, CSV or Parquet
    Export(exporting::Args),
    /// Holds what a payment provider lists against the log, and repairs what differs
    Reconcile(client::reconcile::Args),
    /// Lists what read models were at some position, as `rebuild --until` made it; drops it again
    Replays(client::replays::Args),
    /// Checks everything that must always hold, and names the first position that is wrong
    Verify(auditing::VerifyArgs),
    /// Tells what this build would make of history, beside what is stored: before it is shipped
    Diff(diffing::DiffArgs),
    /// Makes a key that seals the log, and shows its public half
    SealKey(auditing::SealKeyArgs),
    /// Writes the OpenAPI document that the server serves, or a Postman collection of it
    #[command(name = "openapi")]
    OpenApi(documenting::Args),
    /// Measures what this machine does, beside what its Postgres does by itself
    Bench(bench::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { command, dev } = Cli::parse();
    let command = command.unwrap_or(Command::Dev(dev));
    log_to_stderr(&command);
    // The one TLS backend; nobody else has installed another yet.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        tracing::debug!("a TLS backend was installed before");
    }
    match run(command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            // Whoever closed the standard error learns it from the exit status.
            let _written = writeln!(std::io::stderr(), "daybook: {sentence}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), String> {
    fn told(error: impl std::error::Error) -> String {
        error.to_string()
    }
    match command {
        Command::Dev(args) => dev::run(args).await.map_err(told),
        Command::Serve(args) => serve::run(args).await.map_err(told),
        Command::Migrate(args) => database::migrate(args).await.map_err(told),
        Command::RewrapKeys(args) => database::rewrap_keys(args).await.map_err(told),
        Command::CreateAdmin(args) => database::create_admin(args).await.map_err(told),
        Command::Import(args) => client::import::run(args).await.map_err(told),
        Command::Rates(args) => client::rates::run(args).await.map_err(told),
        Command::Projections(args) => client::projections::run(args).await.map_err(told),
        Command::Rebuild(args) => client::rebuild::run(args).await.map_err(told),
        Command::Export(args) => exporting::run(args).await.map_err(told),
        Command::Reconcile(args) => client::reconcile::run(args).await.map_err(told),
        Command::Replays(args) => client::replays::run(args).await.map_err(told),
        Command::Verify(args) => auditing::verify(args).await.map_err(told),
        Command::Diff(args) => diffing::run(args).await.map_err(told),
        Command::SealKey(args) => auditing::seal_key(&args).map_err(told),
        Command::OpenApi(args) => documenting::run(&args).map_err(told),
        Command::Bench(args) => bench::run(args).await.map_err(told),
    }
}

/// `DAYBOOK_LOG` filters (by default `info`, and less of others), `DAYBOOK_LOG_FORMAT=json` is for machines.
fn log_to_stderr(command: &Command) {
    let default = match command {
        Command::Serve(_) => "info,sqlx=warn,async_nats=warn",
        // At a desk, a line for every request would bury the lines that matter.
        Command::Dev(_) => "info,sqlx=error,async_nats=warn,access=warn",
        _ => "warn",
    };
    let filter = std::env::var("DAYBOOK_LOG")
        .ok()
        .filter(|filter| !filter.trim().is_empty());
    let filter = EnvFilter::new(filter.as_deref().unwrap_or(default));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if std::env::var("DAYBOOK_LOG_FORMAT").is_ok_and(|format| format == "json") {
        log.json().init();
    } else {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        log.with_ansi(std::io::stderr().is_terminal() && !plain)
            .init();
    }
}
