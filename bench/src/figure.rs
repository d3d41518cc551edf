//! What a scenario has found: a figure, what it is compared with, and what it cost.

use serde::Serialize;

use crate::latency::{Latency, Millis};
use crate::numbers::{float, median};
use crate::processes::Spent;

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    /// So many times the reference, or more.
    RatioMin(f64),
    /// This, or more.
    ValueMin(f64),
    /// This, or less.
    ValueMax(f64),
}

/// What a scenario has found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    /// One per round.
    pub(crate) values: Vec<f64>,
    /// What the values are compared with, measured in the same run: its name and one per round.
    pub(crate) against: String,
    pub(crate) references: Vec<f64>,
    pub(crate) target: Option<Target>,
    pub(crate) latency: Latency,
    /// Processor time of all rounds, and how many orders or queries it went into.
    pub(crate) spent: Spent,
    pub(crate) operations: u64,
    /// Events in the log before it began.
    pub(crate) events_before: u64,
    /// The highest of Daybook's own process.
    pub(crate) peak_memory_mb: Option<f64>,
    /// Whatever else is worth knowing, by name.
    details: Vec<(String, f64)>,
    /// Why there is no figure, or what to know before reading it.
    pub(crate) notes: Vec<String>,
}

/// A figure as it is told, in JSON and in the table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Told {
    pub(crate) name: String,
    pub(crate) value: Option<f64>,
    pub(crate) unit: &'static str,
    pub(crate) reference: Option<f64>,
    pub(crate) ratio: Option<f64>,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p95_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    pub(crate) p999_ms: Option<f64>,
    pub(crate) reference_is: Option<String>,
    /// In the log, before it began.
    pub(crate) events_before: u64,
    pub(crate) target: Option<String>,
    pub(crate) met: Option<bool>,
    pub(crate) rounds: Vec<f64>,
    pub(crate) reference_rounds: Vec<f64>,
    pub(crate) peak_memory_mb: Option<f64>,
    /// Microseconds of processor time per order or query.
    pub(crate) processor_us: Option<ProcessorTime>,
    pub(crate) details: serde_json::Map<String, serde_json::Value>,
    pub(crate) notes: Vec<String>,
}

/// Whose processor time, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct ProcessorTime {
    pub(crate) daybook: f64,
    pub(crate) postgres: f64,
    pub(crate) nats: f64,
    /// The load generator's own.
    pub(crate) load: f64,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, unit: &'static str) -> Self {
        Self { name: name.into(), unit, ..Self::default() }
    }

    /// Adds what else is worth knowing; the name says in which unit.
    pub(crate) fn detail(&mut self, name: impl Into<String>, value: f64) {
        self.details.push((name.into(), value));
    }

    /// The middle of the rounds.
    pub(crate) fn value(&self) -> Option<f64> {
        median(&self.values)
    }

    /// How many times the reference it is.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let reference = median(&self.references).filter(|reference| 0.0 < *reference)?;
        Some(self.value()? / reference)
    }

    fn met(&self) -> Option<bool> {
        match self.target? {
            Target::RatioMin(least) => Some(least <= self.ratio()?),
            Target::ValueMin(least) => Some(least <= self.value()?),
            Target::ValueMax(most) => Some(self.value()? <= most),
        }
    }

    pub(crate) fn told(&self) -> Told {
        let percentiles = self.latency.percentiles();
        let ms = |of: fn(&Millis) -> f64| percentiles.as_ref().map(of).map(rounded);
        let operations = float(self.operations);
        let each = |seconds: f64| rounded(seconds * 1e6 / operations);
        Told {
            name: self.name.clone(),
            value: self.value().map(rounded),
            unit: self.unit,
            reference: median(&self.references).map(rounded),
            ratio: self.ratio().map(rounded),
            p50_ms: ms(|it| it.p50),
            p95_ms: ms(|it| it.p95),
            p99_ms: ms(|it| it.p99),
            p999_ms: ms(|it| it.p999),
            reference_is: Some(self.against.clone()).filter(|against| !against.is_empty()),
            events_before: self.events_before,
            target: self.target.map(|target| self.in_words(target)),
            met: self.met(),
            rounds: self.values.iter().copied().map(rounded).collect(),
            reference_rounds: self.references.iter().copied().map(rounded).collect(),
            peak_memory_mb: self.peak_memory_mb.map(rounded),
            processor_us: (0 < self.operations).then(|| ProcessorTime {
                daybook: each(self.spent.daybook),
                postgres: each(self.spent.postgres),
                nats: each(self.spent.nats),
                load: each(self.spent.load),
            }),
            details: self
                .details
                .iter()
                .map(|(name, value)| (name.clone(), rounded(*value).into()))
                .collect(),
            notes: self.notes.clone(),
        }
    }

    fn in_words(&self, target: Target) -> String {
        match target {
            Target::RatioMin(least) => format!(">= {least} x {}", self.against),
            Target::ValueMin(least) => format!(">= {least} {}", self.unit),
            Target::ValueMax(most) => format!("<= {most} {}", self.unit),
        }
    }
}

/// Three decimals: more would be noise.
fn rounded(figure: f64) -> f64 {
    (figure * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_figure_is_told_with_its_ratio_and_whether_that_will_do() {
        let mut figure = Figure::new("accept-64", "orders/s");
        figure.values = vec![15_000.0, 16_000.0, 1_000.0];
        figure.references = vec![9_000.0, 10_000.0, 11_000.0];
        figure.against = "single-row commits".to_owned();
        figure.target = Some(Target::RatioMin(1.5));
        figure.operations = 1_000;
        figure.spent.daybook = 0.5;
        figure.latency.record(Duration::from_millis(4));

        let told = serde_json::to_value(figure.told()).unwrap();

        assert_eq!(told["name"], "accept-64");
        assert_eq!(told["value"], 15_000.0);
        assert_eq!(told["reference"], 10_000.0);
        assert_eq!(told["ratio"], 1.5);
        assert_eq!(told["met"], true);
        assert_eq!(told["target"], ">= 1.5 x single-row commits");
        assert_eq!(told["processor_us"]["daybook"], 500.0);
        for name in ["unit", "p50_ms", "p99_ms"] {
            assert!(!told[name].is_null(), "{name}: {told}");
        }
    }

    #[test]
    fn without_a_reference_there_is_no_ratio_and_no_verdict() {
        let mut figure = Figure::new("read-order", "queries/s");
        figure.values = vec![1.0];
        figure.target = Some(Target::RatioMin(0.5));

        let told = figure.told();

        assert_eq!((told.ratio, told.met), (None, None));
        assert!(told.p50_ms.is_none() && told.processor_us.is_none());
    }

    #[test]
    fn a_bound_can_be_an_upper_one() {
        let mut figure = Figure::new("start", "s");
        figure.values = vec![2.5];
        figure.target = Some(Target::ValueMax(2.0));
        assert_eq!(figure.told().met, Some(false));
    }
}
