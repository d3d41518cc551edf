//! `daybook openapi`: the HTTP interface as a file, for other programs; it needs no server.

use std::io::{self, Write as _};

use crate::http;

/// Flags of `daybook openapi`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A Postman collection (v2.1) instead of the OpenAPI document (3.1)
    #[arg(long)]
    pub postman: bool,
}

/// Writes the document to the standard output.
pub fn run(args: &Args) -> io::Result<()> {
    let document = if args.postman {
        http::postman_collection()
    } else {
        http::document()
    };
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &document)?;
    writeln!(out)
}
