//! What processes cost, as the kernel counts it: processor time and memory.
//!
//! Daybook, Postgres, NATS and the load generator share the processors of this machine; told apart,
//! a figure says whose it is.

use std::fs;
use std::io;
use std::path::Path;

use crate::numbers::float;

/// Linux reports processor time in these to every program, whatever its own clock ticks in.
const TICKS_PER_SECOND: f64 = 100.0;

/// The processes of one Daybook.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Processes {
    pub(crate) daybook: u32,
    /// The first of them; the others are its children.
    pub(crate) postgres: Option<u32>,
    pub(crate) nats: Option<u32>,
}

/// Seconds of processor time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Spent {
    pub(crate) daybook: f64,
    pub(crate) postgres: f64,
    pub(crate) nats: f64,
    /// Our own: the price of measuring.
    pub(crate) load: f64,
}

/// Memory of Daybook's own process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Memory {
    pub(crate) resident_mb: f64,
    pub(crate) peak_mb: f64,
}

/// A line of `/proc/PID/stat`, as far as we read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    ticks: u64,
    /// Of children that are gone.
    ticks_of_children: u64,
}

impl Processes {
    /// Those that work on this data directory.
    pub(crate) fn of(daybook: u32, data_dir: &Path) -> Self {
        Self {
            daybook,
            postgres: pid_in(&data_dir.join("postgres/postmaster.pid")),
            nats: pid_in(&data_dir.join("nats.pid")),
        }
    }

    /// What all of them have spent since they began.
    pub(crate) fn spent(&self) -> Spent {
        let own = |pid: u32| stat_of(pid).map_or(0, |stat| stat.ticks);
        let postgres = self.postgres.map_or(0, |first| {
            let gone = stat_of(first).map_or(0, |stat| stat.ticks_of_children);
            let children = pids()
                .filter_map(stat_of)
                .filter(|stat| stat.parent == first);
            gone + own(first) + children.map(|stat| stat.ticks).sum::<u64>()
        });
        let seconds = |ticks| float(ticks) / TICKS_PER_SECOND;
        Spent {
            daybook: seconds(own(self.daybook)),
            postgres: seconds(postgres),
            nats: seconds(self.nats.map_or(0, own)),
            load: seconds(own(std::process::id())),
        }
    }

    /// Daybook's memory now, and at its peak since [`Processes::forget_peak`].
    pub(crate) fn memory(&self) -> Memory {
        let text = fs::read_to_string(format!("/proc/{}/status", self.daybook));
        memory_in(&text.unwrap_or_default())
    }

    /// From now on, the peak is a new one.
    pub(crate) fn forget_peak(&self) -> io::Result<()> {
        // See proc(5): "5" resets the peak to what is resident now.
        fs::write(format!("/proc/{}/clear_refs", self.daybook), "5")
    }
}

impl Spent {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            daybook: self.daybook - before.daybook,
            postgres: self.postgres - before.postgres,
            nats: self.nats - before.nats,
            load: self.load - before.load,
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            daybook: self.daybook + other.daybook,
            postgres: self.postgres + other.postgres,
            nats: self.nats + other.nats,
            load: self.load + other.load,
        }
    }
}

fn pid_in(file: &Path) -> Option<u32> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().next()?.trim().parse().ok()
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn stat_of(pid: u32) -> Option<Stat> {
    stat_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn stat_in(text: &str) -> Option<Stat> {
    // The name in parentheses may hold anything, parentheses included.
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        ticks: number(11)? + number(12)?,
        ticks_of_children: number(13)? + number(14)?,
    })
}

fn memory_in(text: &str) -> Memory {
    let mb = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kb = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
        float(kb.unwrap_or(0)) / 1024.0
    };
    Memory { resident_mb: mb("VmRSS:"), peak_mb: mb("VmHWM:") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let line = "42 (post (gres) x) S 7 42 42 0 -1 4194304 1 2 3 4 150 50 30 20 20 0 1 0 99";
        let stat = Stat { parent: 7, ticks: 200, ticks_of_children: 50 };
        assert_eq!(stat_in(line), Some(stat));
        assert_eq!(stat_in("42 (short) S 7"), None);
    }

    #[test]
    fn memory_is_read_in_megabytes() {
        let text = "Name:\tdaybook\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n";
        assert_eq!(memory_in(text), Memory { resident_mb: 100.0, peak_mb: 200.0 });
    }

    #[test]
    fn our_own_cost_is_counted() {
        let processes = Processes { daybook: std::process::id(), postgres: None, nats: None };
        assert!(0.0 < processes.memory().resident_mb);
        assert!(0.0 <= processes.spent().load);
    }
}
