//! `daybook import`: past business into a running server, one kind of file per subcommand.

use crate::{Error, online_retail};

/// What to import.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Import {
    /// Places a CSV (also .zst, .gz) of past orders, the UCI Online Retail data set; running it
    /// again duplicates nothing
    OnlineRetail(online_retail::Args),
}

/// Flags of `daybook import`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The kind of file.
    #[command(subcommand)]
    pub import: Import,
}

/// Imports, and prints what became of each line.
pub async fn run(args: Args) -> Result<(), Error> {
    match args.import {
        Import::OnlineRetail(args) => online_retail::run(args).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(words: &str) -> Result<online_retail::Args, clap::Error> {
        let Import::OnlineRetail(args) = Line::try_parse_from(words.split(' '))?.args.import;
        Ok(args)
    }

    #[test]
    fn flags_are_read_and_bounded() {
        let args = parsed("import online-retail orders.csv --orders 5 --url http://h:1").unwrap();

        assert_eq!((args.orders, args.concurrency), (Some(5), 64));
        assert_eq!(args.connection.url, "http://h:1");
        for wrong in [
            "",
            " orders.csv --orders 0",
            " orders.csv --concurrency 0",
            " a b",
        ] {
            assert!(parsed(&format!("import online-retail{wrong}")).is_err(), "{wrong}");
        }
    }
}
