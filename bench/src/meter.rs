//! Reads the processes before and after a stretch of work.

use crate::daybook::Daybook;
use crate::figure::Figure;
use crate::processes::{Processes, Spent};

/// A stretch of work that has begun.
#[derive(Debug)]
pub(crate) struct Meter {
    processes: Processes,
    before: Spent,
}

impl Meter {
    /// From now on.
    pub(crate) fn start(daybook: &Daybook) -> Self {
        let processes = daybook.processes();
        // Where the kernel does not let us, the peak is that of the whole life of the process.
        let _kept = processes.forget_peak();
        Self { before: processes.spent(), processes }
    }

    /// Adds what it took to do so much.
    pub(crate) fn stop(&self, figure: &mut Figure, operations: u64) {
        figure.spent = figure.spent.plus(self.processes.spent().since(self.before));
        figure.operations += operations;
        let peak = self.processes.memory().peak_mb;
        figure.peak_memory_mb = Some(
            figure
                .peak_memory_mb
                .map_or(peak, |before| before.max(peak)),
        );
    }
}
