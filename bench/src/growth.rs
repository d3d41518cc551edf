//! `growth-accept`, `growth-lifecycle`, `memory`, `start`: what becomes of all that when the log grows.
//!
//! ```text
//! fill to 1 % ─▶ measure ─▶ fill to 10 % ─▶ start, measure ─▶ fill to 100 % ─▶ measure, memory
//! ```
//!
//! The log is filled with whole orders while Daybook is stopped; then Daybook reads all of it, and is
//! started once more, so that what it needs is what it needs to serve. The figure is the rate at
//! the largest size, its reference the rate at the smallest.

use std::time::Duration;

use crate::error::Error;
use crate::figure::{Figure, Target};
use crate::numbers::{float, median};
use crate::runner::{Runner, say};
use crate::scenarios::{Stage, accept, lifecycle};

/// Below the home of the run.
const GROWN: &str = "grown";
/// Shares of the largest size: the smallest is big enough that nothing is empty, and `start` is
/// measured at the middle one.
const PARTS: [u64; 3] = [100, 10, 1];
const PART_OF_START: u64 = 10;
const CONNECTIONS: usize = 64;
/// Rounds are short, so that a small log is hardly larger after they have been measured on it: each
/// order brings nine events.
const ACCEPTING: Duration = Duration::from_millis(500);
const ACCEPTING_WARM_UP: Duration = Duration::from_millis(250);
const CARRYING: Duration = Duration::from_secs(2);
/// Targets, in megabytes, seconds, and shares.
const MEMORY_MB_MAX: f64 = 250.0;
const START_SECONDS_MAX: f64 = 2.0;
const SHARE_MIN: f64 = 0.9;

/// What is found as the log grows.
struct Found {
    accept: Figure,
    lifecycle: Figure,
    memory: Figure,
    start: Figure,
}

impl Runner {
    /// Scenarios that ask what becomes of it when the log grows.
    pub(crate) async fn on_a_growing_log(&mut self) {
        const NAMES: [&str; 4] = ["growth-accept", "growth-lifecycle", "memory", "start"];
        if !self.selection.has_any(&NAMES) {
            return;
        }
        let mut found = Found {
            accept: Figure::new(NAMES[0], "orders/s"),
            lifecycle: Figure::new(NAMES[1], "orders/s"),
            memory: Figure::new(NAMES[2], "MB"),
            start: Figure::new(NAMES[3], "s"),
        };
        let grown = self.grow(&mut found).await;
        let Found { accept, lifecycle, memory, start } = found;
        for mut figure in [accept, lifecycle, memory, start] {
            if self.selection.has(&figure.name) && !figure.values.is_empty() {
                figure
                    .notes
                    .extend(grown.as_ref().err().map(ToString::to_string));
                self.scenarios.push(figure.told());
            }
        }
        if let Err(error) = grown {
            self.failed("growth", &error);
        }
    }

    async fn grow(&mut self, found: &mut Found) -> Result<(), Error> {
        found.accept.target = Some(Target::RatioMin(SHARE_MIN));
        found.lifecycle.target = Some(Target::RatioMin(SHARE_MIN));
        found.memory.target = Some(Target::ValueMax(MEMORY_MB_MAX));
        found.start.target = Some(Target::ValueMax(START_SECONDS_MAX));
        let largest = self.settings.growth_max;
        let pattern = self.pattern(GROWN, largest).await?;
        let growth = self
            .selection
            .has_any(&["growth-accept", "growth-lifecycle"]);
        for part in PARTS {
            let start = part == PART_OF_START && self.selection.has("start");
            let memory = part == 1 && self.selection.has("memory");
            if !growth && !start && !memory {
                continue;
            }
            self.fill(GROWN, &pattern, largest / part).await?;
            if start {
                self.measure_start(&mut found.start, largest / part).await?;
            }
            if growth || memory {
                self.measure_size(found, part, memory).await?;
            }
        }
        Ok(())
    }

    /// Starts it again and again on what is there.
    async fn measure_start(&mut self, figure: &mut Figure, events: u64) -> Result<(), Error> {
        let mut servers = Vec::new();
        for _ in 0..self.settings.rounds {
            self.close().await?;
            self.open(GROWN).await?;
            let stage = self.stage.as_ref().expect("it was just opened");
            let started = stage.daybook.started;
            servers.push(started.servers.as_secs_f64());
            figure.values.push(started.ready.as_secs_f64());
            stage.tell(figure);
        }
        figure.detail("events in the log", float(events));
        let servers = median(&servers).unwrap_or_default();
        figure.detail("seconds of these until Postgres and NATS answered", servers);
        self.at_rest().await
    }

    /// Accepts and carries through at this size.
    async fn measure_size(
        &mut self,
        found: &mut Found,
        part: u64,
        memory: bool,
    ) -> Result<(), Error> {
        let stage = self.stage.as_mut().expect("it was just opened");
        let events = stage.daybook.standing().await?.head.unsigned_abs();
        say(&format!("growth: at {events} events ..."));
        let resident = |stage: &Stage| stage.daybook.processes().memory().resident_mb;
        let at_first = resident(stage);
        let usual = stage.settings.clone();
        // First, because its own first orders load every article, which leaves the snapshots that a log
        // of this size would have, had it grown by itself.
        stage.settings.lasting = usual.lasting.min(CARRYING);
        let mut carried = Figure::new("lifecycle", "orders/s");
        lifecycle::rounds(stage, &mut carried).await?;
        stage.settings.warm_up = usual.warm_up.min(ACCEPTING_WARM_UP);
        stage.settings.lasting = usual.lasting.min(ACCEPTING);
        let mut accepted = Figure::new("accept-64", "orders/s");
        accept::rounds(stage, CONNECTIONS, &mut accepted).await?;
        let half_way = resident(stage);
        stage.settings = usual;
        // What is kept in memory under load takes longer to fill than those rounds last.
        let mut loaded = Figure::new("accept-64", "orders/s");
        if memory {
            accept::rounds(stage, CONNECTIONS, &mut loaded).await?;
        }
        let at_last = resident(stage);

        let peaks = [&accepted, &carried, &loaded].map(|figure| figure.peak_memory_mb);
        take(&mut found.accept, accepted, part, events);
        take(&mut found.lifecycle, carried, part, events);
        if memory {
            let memory = &mut found.memory;
            memory
                .values
                .extend(peaks.into_iter().flatten().reduce(f64::max));
            memory.detail("events in the log", float(events));
            memory.detail("MB before the load", at_first);
            memory.detail("MB after half of it", half_way);
            memory.detail("MB after all of it", at_last);
        }
        Ok(())
    }
}

/// Takes over what was found at a size: the smallest is the reference, the largest the figure.
fn take(into: &mut Figure, at_size: Figure, part: u64, events: u64) {
    let rate = at_size.value().unwrap_or_default();
    into.detail(format!("orders/s at {events} events"), rate);
    if let Some(commits) = median(&at_size.references) {
        into.detail(format!("single-row commits/s at {events} events"), commits);
    }
    if part == PARTS[0] {
        "the rate at the smallest size".clone_into(&mut into.against);
        into.references.clone_from(&at_size.values);
    }
    if part == 1 {
        into.values = at_size.values;
        into.latency = at_size.latency;
        into.spent = at_size.spent;
        into.operations = at_size.operations;
        into.peak_memory_mb = at_size.peak_memory_mb;
    }
}
