//! `daybook import online-retail`: a year of a wholesaler's orders, placed again over HTTP.
//!
//! 1. The file is read as a whole; lines that are no order lines go to the rejects file.
//! 2. Every article becomes a product, and as many units as the orders sell are received.
//! 3. Orders are placed in time order with the prices of the file, and completed once confirmed.
//! 4. In the end the read models have caught up, so that reports are complete.
//!
//! Every command has a key made from the file (see [`keys`]), so that an import that was broken
//! off is continued by running it again, and one that was not is left as it is.

mod countries;
mod history;
mod keys;
mod pence;
mod placing;
mod reading;
mod records;
mod rejects;
mod report;
mod requests;
mod rules;
mod sending;
mod source;
mod stock;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde::de::IgnoredAny;

pub use self::report::{Report, Sum, Tally};

use self::history::{History, Order};
use self::placing::{Fate, Novelty};
use self::reading::Reading;
use self::rejects::{Refusals, Rejects};
use self::sending::in_window;
use crate::progress::Phase;
use crate::projections::{self, Listing};
use crate::server::{Answer, Command, PATIENCE, Server};
use crate::{Connection, Error};

/// Flags of `daybook import online-retail`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The CSV file, plain or packed (.zst, .gz)
    pub file: PathBuf,
    /// Orders under way at a time; they are started in time order
    #[arg(
        long,
        env = "DAYBOOK_CONCURRENCY",
        default_value_t = 64,
        value_parser = clap::value_parser!(u16).range(1..=1024)
    )]
    pub concurrency: u16,
    /// Only the first N orders in time; stock is received in blocks up to order 10, 100, 1000, ...
    #[arg(
        long,
        env = "DAYBOOK_ORDERS",
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub orders: Option<u32>,
    /// Where lines that are not imported go, with the reason; by default, beside you as
    /// <FILE>.rejects.csv
    #[arg(long, env = "DAYBOOK_REJECTS", value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// The server.
    #[command(flatten)]
    pub connection: Connection,
}

/// Imports the file, and prints what became of it.
pub async fn run(args: Args) -> Result<(), Error> {
    let report = import(&args, PATIENCE).await?;
    write!(std::io::stdout(), "{report}").map_err(Error::Output)?;
    match report.unfinished {
        0 => Ok(()),
        orders => Err(Error::Unfinished { orders }),
    }
}

/// Imports the file; a server that cannot answer is waited for as long as `patience` lasts.
pub async fn import(args: &Args, patience: Duration) -> Result<Report, Error> {
    let started_at = Instant::now();
    let server = Server::new(&args.connection, patience)?;
    let file = &args.file;
    std::fs::File::open(file).map_err(|source| Error::Unopenable { path: file.clone(), source })?;
    // Before the minute of reading that a slow disk may take: is it there, and are we staff?
    let _: Listing = server.greet(&["projections"]).await?;

    let rejects_file = args
        .rejects
        .clone()
        .unwrap_or_else(|| rejects::default_path(file));
    let (path, rejects_path) = (file.clone(), rejects_file.clone());
    let (reading, rejects) = off_the_runtime(move || {
        let mut rejects = Rejects::create(&rejects_path, &path)?;
        reading::read(&path, &mut rejects).map(|reading| (reading, rejects))
    })
    .await?;

    let Reading { history, lines, rejected } = reading;
    let mut report = Report { lines, rejected, rejects_file, ..Report::default() };
    let run = Run::new(&server, &history, args, patience);
    let mut refusals = Refusals::new();
    let outcome = run.send(&mut report, &mut refusals).await;
    // Also when the import broke off: what is known so far should not be lost with it.
    account(&mut report, &run, &refusals);
    write_refused(rejects, args, refusals).await?;
    outcome?;

    report.caught_up = Some(projections::catch_up(&server).await?);
    report.repeats = server.repeats();
    report.took = started_at.elapsed();
    Ok(report)
}

/// One run over the orders that `--orders` lets through.
struct Run<'h> {
    server: &'h Server,
    history: &'h History,
    orders: &'h [Order],
    concurrency: usize,
    patience: Duration,
}

impl<'h> Run<'h> {
    fn new(server: &'h Server, history: &'h History, args: &Args, patience: Duration) -> Self {
        let all = history.orders.len();
        let wanted = args.orders.map_or(all, |orders| all.min(orders as usize));
        let concurrency = usize::from(args.concurrency);
        Self { server, history, orders: &history.orders[..wanted], concurrency, patience }
    }

    async fn send(&self, report: &mut Report, refusals: &mut Refusals) -> Result<(), Error> {
        self.register_products(&mut report.products).await?;
        self.receive_stock(&mut report.receipts).await?;
        let started_at = Instant::now();
        let outcome = self.place_orders(report, refusals).await;
        report.orders_took = started_at.elapsed();
        outcome
    }

    async fn register_products(&self, tally: &mut Tally) -> Result<(), Error> {
        let products = self.history.products(self.orders.len());
        let phase = Phase::start("products", products.len() as u64, "products");
        let work = products.into_iter().map(async |product| {
            let body = requests::product(product);
            let bytes = serde_json::to_vec(&body).expect("our bodies have string keys only");
            let key = keys::product(product.sku, &bytes);
            let path = ["products", product.sku];
            self.command(Command { method: Method::PUT, path: &path, key: &key, body: &body })
                .await
        });
        in_window(self.server, &phase, self.concurrency, work, |answer| count(tally, answer))
            .await?;
        phase.finish();
        Ok(())
    }

    async fn receive_stock(&self, tally: &mut Tally) -> Result<(), Error> {
        let receipts = stock::receipts(self.history, self.orders.len());
        let phase = Phase::start("stock", receipts.len() as u64, "receipts");
        let work = receipts.into_iter().map(async |receipt| {
            let body =
                requests::ReceiptBody { quantity: receipt.quantity, reference: &receipt.reference };
            let (path, key) = (["inventory", receipt.sku, "receipts"], receipt.key.as_str());
            self.command(Command { method: Method::POST, path: &path, key, body: &body })
                .await
        });
        in_window(self.server, &phase, self.concurrency, work, |answer| count(tally, answer))
            .await?;
        phase.finish();
        Ok(())
    }

    async fn place_orders(
        &self,
        report: &mut Report,
        refusals: &mut Refusals,
    ) -> Result<(), Error> {
        let phase = Phase::start("orders", self.orders.len() as u64, "orders");
        let work = self.orders.iter().map(async |order| {
            let fate = placing::place(self.server, self.history, order, self.patience).await?;
            Ok((order, fate))
        });
        in_window(self.server, &phase, self.concurrency, work, |(order, fate)| {
            record(report, refusals, order, fate);
        })
        .await?;
        phase.finish();
        Ok(())
    }

    async fn command<B: serde::Serialize>(
        &self,
        command: Command<'_, B>,
    ) -> Result<Answer<IgnoredAny>, Error> {
        self.server.command(command).await
    }
}

fn count(tally: &mut Tally, answer: Answer<IgnoredAny>) {
    match answer {
        Answer::Done(_) => tally.now += 1,
        Answer::AlreadyDone(_) => tally.already_there += 1,
        Answer::Refused(problem) => tally.fail(|| problem.to_string()),
    }
}

fn record(report: &mut Report, refusals: &mut Refusals, order: &Order, fate: Fate) {
    let placed = match fate {
        Fate::Completed { placed } => {
            report.completed += 1;
            placed
        }
        Fate::Unfinished { placed } => {
            report.unfinished += 1;
            placed
        }
        Fate::Lost { refusal } => {
            report
                .orders
                .fail(|| format!("{}: {}", order.invoice, refusal.detail));
            refusals.insert(order.invoice.to_string(), refusal);
            return;
        }
    };
    match placed {
        Novelty::Now => report.orders.now += 1,
        Novelty::Before => report.orders.already_there += 1,
    }
}

/// Moves the lines of refused orders from the accepted to the rejected ones.
fn account(report: &mut Report, run: &Run<'_>, refusals: &Refusals) {
    let stands = |order: &&Order| !refusals.contains_key(order.invoice.as_ref());
    report.accepted = Sum::of(run.history.orders.iter().filter(stands));
    report.sent = Sum::of(run.orders.iter().filter(stands));
    for order in run.orders {
        if let Some(refusal) = refusals.get(order.invoice.as_ref()) {
            *report.rejected.entry(refusal.reason.clone()).or_default() += order.lines.len() as u64;
        }
    }
}

async fn write_refused(mut rejects: Rejects, args: &Args, refusals: Refusals) -> Result<(), Error> {
    let file = args.file.clone();
    off_the_runtime(move || {
        rejects.write_orders(&file, &refusals)?;
        rejects.flush()
    })
    .await
}

/// Files are read where nobody waits for a thread.
async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::ReaderDied(error.to_string())),
    }
}
