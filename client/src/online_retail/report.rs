//! What became of the file, for a person and for a test.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::history::Order;
use super::pence::decimal;
use crate::progress::per_second;
use crate::projections::CaughtUp;
use crate::thousands::thousands;

/// The whole import. Lines of [`Report::accepted`] and [`Report::rejected`] are all lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines of the file, without its header.
    pub lines: u64,
    /// Order lines that were not refused.
    pub accepted: Sum,
    /// Of these, what `--orders` let through.
    pub sent: Sum,
    /// Lines that are no order lines, and lines of refused orders, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Where they are.
    pub rejects_file: PathBuf,
    /// Products.
    pub products: Tally,
    /// Goods receipts.
    pub receipts: Tally,
    /// Orders, as placed.
    pub orders: Tally,
    /// Orders that reached their end, in this run or before.
    pub completed: u64,
    /// Orders that are placed and still undecided.
    pub unfinished: u64,
    /// Requests that had to be sent again.
    pub repeats: u64,
    /// From the first order to the last.
    pub orders_took: Duration,
    /// Everything, from opening the file on.
    pub took: Duration,
    /// How the read models followed.
    pub caught_up: Option<CaughtUp>,
}

/// A number of orders with all that is in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// Order lines.
    pub lines: u64,
    /// Orders.
    pub orders: u64,
    /// Pieces.
    pub units: u64,
    /// Pounds sterling, in pence.
    pub total_pence: i128,
}

/// What became of one kind of command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Done by this run.
    pub now: u64,
    /// Done by an earlier run.
    pub already_there: u64,
    /// Refused, or come to nothing.
    pub failed: u64,
    /// The first reason, as an example.
    pub first_failure: Option<String>,
}

impl Sum {
    pub(super) fn of<'o>(orders: impl IntoIterator<Item = &'o Order>) -> Self {
        orders.into_iter().fold(Self::default(), |sum, order| Self {
            lines: sum.lines + order.lines.len() as u64,
            orders: sum.orders + 1,
            units: sum.units + order.units(),
            total_pence: sum.total_pence + order.total_pence(),
        })
    }
}

impl Tally {
    pub(super) fn fail(&mut self, reason: impl FnOnce() -> String) {
        self.failed += 1;
        self.first_failure.get_or_insert_with(reason);
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (orders, units) = (thousands(self.orders), thousands(self.units));
        let total = decimal(self.total_pence);
        let (pounds, pence) = total.split_once('.').unwrap_or((&total, "00"));
        let pounds = pounds.parse().map_or_else(|_| pounds.to_owned(), thousands);
        write!(f, "{orders} orders, {units} units, GBP {pounds}.{pence}")
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (now, before) = (thousands(self.now), thousands(self.already_there));
        write!(f, "{now} now, {before} already there, {} failed", thousands(self.failed))?;
        match &self.first_failure {
            Some(reason) => write!(f, " (the first: {reason})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rejected: u64 = self.rejected.values().sum();
        writeln!(f, "{:>11} lines", thousands(self.lines))?;
        writeln!(f, "{:>11} accepted: {}", thousands(self.accepted.lines), self.accepted)?;
        let file = self.rejects_file.display();
        writeln!(f, "{:>11} rejected, see {file}", thousands(rejected))?;
        for (reason, lines) in &self.rejected {
            writeln!(f, "{:>11}   {reason}", thousands(*lines))?;
        }
        if self.sent != self.accepted {
            writeln!(f, "sent        {}", self.sent)?;
        }
        writeln!(f, "products    {}", self.products)?;
        writeln!(f, "receipts    {}", self.receipts)?;
        writeln!(f, "orders      {}", self.orders)?;
        let (completed, unfinished) = (thousands(self.completed), thousands(self.unfinished));
        writeln!(f, "            {completed} completed, {unfinished} unfinished")?;
        let handled = self.orders.now + self.orders.already_there + self.orders.failed;
        let rate = thousands(per_second(handled, self.orders_took));
        let (orders_took, took) = (self.orders_took.as_secs_f64(), self.took.as_secs_f64());
        writeln!(f, "time        {took:.1} s; orders {orders_took:.1} s, {rate} orders/s")?;
        if let Some(CaughtUp { lag_events, took }) = self.caught_up {
            let (lag, seconds) = (thousands(lag_events), took.as_secs_f64());
            writeln!(f, "read models {lag} events behind at the end, none after {seconds:.1} s")?;
        }
        if self.repeats != 0 {
            writeln!(f, "repeats     {} requests had to be sent again", thousands(self.repeats))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_shows_every_number_once() {
        let accepted = Sum { lines: 3, orders: 2, units: 1_200, total_pence: 1_065_562_248 };
        let report = Report {
            lines: 5,
            accepted,
            sent: accepted,
            rejected: [("credit_note".to_owned(), 2)].into(),
            rejects_file: "orders.rejects.csv".into(),
            products: Tally { now: 4, ..Tally::default() },
            orders: Tally { now: 1, already_there: 1, ..Tally::default() },
            completed: 2,
            orders_took: Duration::from_millis(500),
            took: Duration::from_millis(1_500),
            caught_up: Some(CaughtUp { lag_events: 1_000, took: Duration::from_secs(1) }),
            ..Report::default()
        };

        assert_eq!(
            report.to_string(),
            "          5 lines\n\
             \u{20}         3 accepted: 2 orders, 1,200 units, GBP 10,655,622.48\n\
             \u{20}         2 rejected, see orders.rejects.csv\n\
             \u{20}         2   credit_note\n\
             products    4 now, 0 already there, 0 failed\n\
             receipts    0 now, 0 already there, 0 failed\n\
             orders      1 now, 1 already there, 0 failed\n\
             \u{20}           2 completed, 0 unfinished\n\
             time        1.5 s; orders 0.5 s, 4 orders/s\n\
             read models 1,000 events behind at the end, none after 1.0 s\n"
        );
    }
}
