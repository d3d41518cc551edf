//! `daybook serve` as a process of its own, so that tests can kill it as a machine does.
//!
//! It is the program's own code for production, with the program's own flags and variables. Its
//! standard input is its test's hand: when that is gone, so is it.

use std::process::ExitCode;

use api::serve;
use clap::Parser as _;
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    args: serve::Args,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { args } = Cli::parse();
    let filter = EnvFilter::try_from_env("DAYBOOK_LOG").unwrap_or_else(|_| "off".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        // What a span has in it shows also where nothing is said within it.
        .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
        .with_writer(std::io::stderr)
        .init();
    let installed = rustls::crypto::ring::default_provider().install_default();
    installed.expect("nobody else has installed one");
    let (hand, let_go) = oneshot::channel();
    std::thread::spawn(move || {
        let _until_it_closes = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        hand.send(())
    });
    let served = tokio::select! {
        served = serve::run(args) => served,
        _ = let_go => Ok(()),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("it does not serve: {error}");
            ExitCode::FAILURE
        }
    }
}
