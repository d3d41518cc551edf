//! What one test has counted, apart from everything that other tests of the process count.

use metrics::LocalRecorderGuard;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Counts what happens on this thread, which is all that a test on a runtime of one thread does.
pub struct Counting {
    handle: PrometheusHandle,
    _counts_while_it_is_here: LocalRecorderGuard<'static>,
}

impl Counting {
    /// From now on.
    pub fn begin() -> Self {
        // As long as the guard might, it lives for ever: some bytes of a test's process.
        let recorder = Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
        let handle = recorder.handle();
        Self { handle, _counts_while_it_is_here: metrics::set_default_local_recorder(recorder) }
    }

    /// A counter with the label `from`.
    pub fn from(&self, counter: &str, from: &str) -> u64 {
        let name = format!("{counter}{{from=\"{from}\"}} ");
        let metrics = self.handle.render();
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.map_or(0, |count| count.parse().expect("a count"))
    }
}
