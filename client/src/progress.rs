//! What a person sees while long work runs: a bar with rate and remaining time on a terminal, and
//! a plain line every few seconds otherwise. Without colours, so `NO_COLOR` has nothing to do.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::thousands::thousands;

/// Often enough to see life, seldom enough for a log.
const PLAIN_LINE_EVERY: Duration = Duration::from_secs(5);
/// How often a bar is drawn anew when nothing moves.
const HEARTBEAT: Duration = Duration::from_millis(200);

/// One stretch of work with a known size.
#[derive(Debug)]
pub struct Phase {
    name: &'static str,
    unit: &'static str,
    started_at: Instant,
    bar: ProgressBar,
    /// When the last plain line was written; none on a terminal.
    plain: Option<Mutex<Instant>>,
}

impl Phase {
    /// Starts a bar that counts to `total` in `unit`.
    pub fn start(name: &'static str, total: u64, unit: &'static str) -> Self {
        let style =
            "{prefix:<11} {wide_bar} {human_pos}/{human_len} {unit}, {per_sec}, {eta} left{msg}";
        Self::with_style(name, total, unit, &style.replace("{unit}", unit))
    }

    /// Starts to count in `unit` without knowing how many there will be.
    pub fn counting(name: &'static str, unit: &'static str) -> Self {
        let style = "{prefix:<11} {human_pos} {unit}, {per_sec}{msg}";
        Self::with_style(name, 0, unit, &style.replace("{unit}", unit))
    }

    /// Starts a bar that counts bytes.
    pub(crate) fn start_bytes(name: &'static str, total: u64) -> Self {
        let style = "{prefix:<11} {wide_bar} {binary_bytes}/{binary_total_bytes}, \
                     {binary_bytes_per_sec}, {eta} left";
        Self::with_style(name, total, "bytes", style)
    }

    fn with_style(name: &'static str, total: u64, unit: &'static str, style: &str) -> Self {
        let started_at = Instant::now();
        if !std::io::stderr().is_terminal() {
            let bar = ProgressBar::hidden();
            bar.set_length(total);
            return Self { name, unit, started_at, bar, plain: Some(Mutex::new(started_at)) };
        }
        let style = ProgressStyle::with_template(style).expect("our templates are well formed");
        let bar = ProgressBar::new(total).with_style(style).with_prefix(name);
        bar.enable_steady_tick(HEARTBEAT);
        Self { name, unit, started_at, bar, plain: None }
    }

    /// Counts further.
    pub fn advance(&self, by: u64) {
        self.bar.inc(by);
        self.write_plain_line("");
    }

    /// Says where we are; the goal may have moved too.
    pub fn reach(&self, position: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(position);
        self.write_plain_line("");
    }

    /// Shows that nothing moves because the server asked us to wait.
    pub(crate) fn note_waiting(&self, requests: u64) {
        let note = match requests {
            0 => String::new(),
            waiting => format!(" ({waiting} waiting for the server)"),
        };
        self.note(note);
    }

    /// Shows why nothing moves, or, with an empty note, that it does again.
    pub(crate) fn note(&self, note: impl Into<String>) {
        let note = note.into();
        self.write_plain_line(&note);
        self.bar.set_message(note);
    }

    /// Ends the phase, and says how long it took.
    pub fn finish(&self) -> Duration {
        let took = self.started_at.elapsed();
        self.bar.finish_and_clear();
        let (done, seconds) = (thousands(self.bar.position()), took.as_secs_f64());
        eprintln!("{:<11} {done} {} in {seconds:.1} s", self.name, self.unit);
        took
    }

    fn write_plain_line(&self, note: &str) {
        let Some(last) = &self.plain else { return };
        let Ok(mut last) = last.try_lock() else {
            return;
        };
        if last.elapsed() < PLAIN_LINE_EVERY {
            return;
        }
        *last = Instant::now();
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let rate = per_second(done, self.started_at.elapsed());
        if total == 0 {
            let (done, rate) = (thousands(done), thousands(rate));
            eprintln!("{:<11} {done} {}, {rate}/s{note}", self.name, self.unit);
            return;
        }
        let left = match rate {
            0 => "?".to_owned(),
            rate => total.saturating_sub(done).div_ceil(rate).to_string(),
        };
        let (done, total, rate) = (thousands(done), thousands(total), thousands(rate));
        eprintln!("{:<11} {done}/{total} {}, {rate}/s, {left} s left{note}", self.name, self.unit);
    }
}

/// Whole things per second; the first instant counts as a millisecond.
pub(crate) fn per_second(things: u64, within: Duration) -> u64 {
    let millis = u64::try_from(within.as_millis()).unwrap_or(u64::MAX).max(1);
    things.saturating_mul(1_000) / millis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_things_by_seconds() {
        assert_eq!(per_second(20_000, Duration::from_secs(80)), 250);
        assert_eq!(per_second(5, Duration::ZERO), 5_000);
    }
}
