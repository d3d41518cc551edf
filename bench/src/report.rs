//! All figures, as a table for people and as JSON for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::Settings;
use crate::figure::Told;
use crate::machine::Machine;

/// Everything that has been measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) settings: Settings,
    pub(crate) scenarios: Vec<Told>,
    /// Scenarios that could not run, or found what must not be.
    pub(crate) failures: Vec<Failure>,
}

/// A scenario without a figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Failure {
    pub(crate) name: String,
    pub(crate) reason: String,
}

const HEADINGS: [&str; 13] = [
    "SCENARIO",
    "VALUE",
    "UNIT",
    "REFERENCE",
    "RATIO",
    "TARGET",
    "MET",
    "P50 ms",
    "P95 ms",
    "P99 ms",
    "P99.9 ms",
    "PEAK MB",
    "CPU us",
];
/// Columns that are words; figures stand right.
const WORDS: [usize; 4] = [0, 2, 5, 6];

impl Report {
    /// For a terminal.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("{}\n\n", self.machine.summary());
        text.push_str(&columns(&self.scenarios));
        if self
            .scenarios
            .iter()
            .any(|told| told.processor_us.is_some())
        {
            text.push_str(
                "\nCPU us: processor time per order or query, of Daybook + Postgres + NATS + \
                 the load generator.\n",
            );
        }
        let mut written = Ok(());
        for told in &self.scenarios {
            for note in &told.notes {
                written = written.and(writeln!(text, "{}: {note}", told.name));
            }
            for (name, value) in &told.details {
                written = written.and(writeln!(text, "{}: {name} {value}", told.name));
            }
        }
        for Failure { name, reason } in &self.failures {
            written = written.and(writeln!(text, "FAILED {name}: {reason}"));
        }
        written.expect("a string takes everything");
        text
    }

    pub(crate) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

fn columns(scenarios: &[Told]) -> String {
    let rows: Vec<[String; 13]> = std::iter::once(HEADINGS.map(str::to_owned))
        .chain(scenarios.iter().map(row))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; 13] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let mut text = String::new();
    for row in &rows {
        let cells = row
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                if WORDS.contains(&column) {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn row(told: &Told) -> [String; 13] {
    let number = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), readable);
    let met = match told.met {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "-",
    };
    let processor = told.processor_us.map_or_else(
        || "-".to_owned(),
        |us| format!("{:.0}+{:.0}+{:.0}+{:.0}", us.daybook, us.postgres, us.nats, us.load),
    );
    [
        told.name.clone(),
        number(told.value),
        told.unit.to_owned(),
        number(told.reference),
        told.ratio
            .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
        told.target.clone().unwrap_or_else(|| "-".to_owned()),
        met.to_owned(),
        number(told.p50_ms),
        number(told.p95_ms),
        number(told.p99_ms),
        number(told.p999_ms),
        number(told.peak_memory_mb),
        processor,
    ]
}

/// As many decimals as one can read something from.
fn readable(figure: f64) -> String {
    if figure < 100.0 {
        format!("{figure:.2}")
    } else {
        let digits = format!("{figure:.0}");
        let mut grouped = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index != 0 && (digits.len() - index).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        grouped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::{Figure, Target};

    #[test]
    fn figures_are_readable() {
        assert_eq!(readable(1.234), "1.23");
        assert_eq!(readable(12_345.6), "12,346");
        assert_eq!(readable(999.6), "1,000");
    }

    #[test]
    fn the_table_lines_up() {
        let mut figure = Figure::new("accept-64", "orders/s");
        figure.values = vec![12_345.0];
        figure.references = vec![8_000.0];
        figure.against = "single-row commits".to_owned();
        figure.target = Some(Target::RatioMin(1.5));
        let without = Figure::new("availability", "queries/s");

        let table = columns(&[figure.told(), without.told()]);

        let expected = "\
SCENARIO       VALUE  UNIT       REFERENCE  RATIO  TARGET                       MET  P50 ms  P95 ms  P99 ms  P99.9 ms  PEAK MB  CPU us
accept-64     12,345  orders/s       8,000   1.54  >= 1.5 x single-row commits  yes       -       -       -         -        -       -
availability       -  queries/s          -      -  -                            -         -       -       -         -        -       -
";
        assert_eq!(table, expected);
    }
}
