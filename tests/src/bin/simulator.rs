//! Payment providers on a desk: servers that behave as the providers' documentation says, to try
//! Daybook by hand (docs/PAYMENTS.md).
//!
//! What goes to standard output are the variables with which a Daybook uses them; the rest goes to
//! standard error.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use tests::hand::{HELP, Hand};
use tests::simulators;

/// Payment providers for a desk: nothing is paid, and nobody is asked
#[derive(clap::Parser)]
struct Cli {
    /// Which: stripe, paystack, flutterwave, flutterwave-v4, mtn-momo, sslcommerz; all if none is
    /// named
    gateways: Vec<String>,
    /// Where Daybook is reached
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    daybook: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { gateways, daybook } = Cli::parse();
    let mut running = simulators::all().await;
    let unknown = gateways
        .iter()
        .find(|gateway| !running.iter().any(|of| of.name() == *gateway));
    if let Some(unknown) = unknown {
        let names: Vec<&str> = running.iter().map(|of| of.name()).collect();
        eprintln!("there is no {unknown}, but {}", names.join(", "));
        return ExitCode::FAILURE;
    }
    running.retain(|of| gateways.is_empty() || gateways.iter().any(|name| name == of.name()));
    let hand = Hand::new(running, &daybook);
    let mut out = std::io::stdout().lock();
    if write!(out, "{}", hand.exports())
        .and_then(|()| out.flush())
        .is_err()
    {
        return ExitCode::FAILURE;
    }
    eprintln!("{HELP}");
    // This thread may wait for a person: the servers have others.
    for line in std::io::stdin().lines().map_while(Result::ok) {
        match hand.obey(&line).await {
            Ok(said) | Err(said) => eprintln!("{said}"),
        }
    }
    ExitCode::SUCCESS
}
