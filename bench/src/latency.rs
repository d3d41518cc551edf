//! How long things took: an HDR histogram of microseconds.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::numbers::float;

/// Longer than any request is waited for; what takes longer counts as this long.
const MICROS_MAX: u64 = 120_000_000;
/// Two digits would blur a tenth of a millisecond at ten.
const DIGITS: u8 = 3;

/// Waits of one kind.
#[derive(Debug, Clone)]
pub(crate) struct Latency(Histogram<u64>);

/// What one wants to know of them, in milliseconds: half, 95 %, 99 % and 99.9 % took no longer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Millis {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

impl Default for Latency {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, MICROS_MAX, DIGITS);
        Self(histogram.expect("the bounds are in order and the digits few"))
    }
}

impl Latency {
    pub(crate) fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(MICROS_MAX);
        self.0.saturating_record(micros.max(1));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("both have the same bounds");
    }

    /// None of nothing.
    pub(crate) fn percentiles(&self) -> Option<Millis> {
        let ms = |quantile| float(self.0.value_at_quantile(quantile)) / 1_000.0;
        (!self.0.is_empty()).then(|| Millis {
            p50: ms(0.5),
            p95: ms(0.95),
            p99: ms(0.99),
            p999: ms(0.999),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_all_rounds_together() {
        let (mut first, mut second) = (Latency::default(), Latency::default());
        (1..=50).for_each(|ms| first.record(Duration::from_millis(ms)));
        (51..=100).for_each(|ms| second.record(Duration::from_millis(ms)));
        first.add(&second);

        let found = first.percentiles().unwrap();

        assert!((found.p50 - 50.0).abs() < 0.1, "{found:?}");
        assert!((found.p99 - 99.0).abs() < 0.2, "{found:?}");
        assert_eq!(Latency::default().percentiles(), None);
    }

    #[test]
    fn what_takes_too_long_counts_as_the_longest() {
        let mut latency = Latency::default();
        latency.record(Duration::from_hours(1));
        let found = latency.percentiles().unwrap();
        assert!((found.p50 - 120_000.0).abs() < 200.0, "{found:?}");
    }
}
