//! On what it was measured: figures mean little without it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde::Serialize;

use crate::daybook::Daybook;
use crate::error::Error;
use crate::latency::Latency;

/// Enough for a middle and an edge, and done in a second on a slow disk.
const SYNCS: u32 = 200;
/// A page of Postgres's log.
const SYNC_BYTES: usize = 8 * 1024;

/// The machine and the programs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    memory_mb: u64,
    kernel: String,
    postgres: String,
    nats: String,
    daybook: &'static str,
    date: String,
    /// What it costs to have 8 KiB on this disk, once written.
    sync_p50_ms: Option<f64>,
    sync_p99_ms: Option<f64>,
}

impl Machine {
    pub(crate) async fn of(daybook: &Daybook) -> Result<Self, Error> {
        let postgres: String = sqlx::query_scalar("show server_version")
            .fetch_one(&daybook.database)
            .await?;
        let probe = daybook.data_dir.join("sync-probe");
        let syncs = sync_cost(&probe).map_err(Error::file("write", &probe))?;
        let syncs = syncs.percentiles();
        Ok(Self {
            processor: processor_in(&told("/proc/cpuinfo")),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mb: memory_mb_in(&told("/proc/meminfo")),
            kernel: told("/proc/sys/kernel/osrelease").trim().to_owned(),
            postgres,
            nats: nats_version(daybook).unwrap_or_else(|| "unknown".to_owned()),
            daybook: env!("CARGO_PKG_VERSION"),
            date: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            sync_p50_ms: syncs.map(|syncs| syncs.p50),
            sync_p99_ms: syncs.map(|syncs| syncs.p99),
        })
    }

    /// In one line.
    pub(crate) fn summary(&self) -> String {
        let Self { processor, cores, memory_mb, kernel, postgres, nats, daybook, .. } = self;
        let sync = self.sync_p50_ms.unwrap_or_default();
        format!(
            "{processor}, {cores} cores, {memory_mb} MB; Linux {kernel}; PostgreSQL {postgres}; \
             NATS {nats}; Daybook {daybook}; a sync takes {sync:.2} ms"
        )
    }
}

fn told(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn processor_in(text: &str) -> String {
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':'))
        .map_or_else(|| "unknown processor".to_owned(), |(_, name)| name.trim().to_owned())
}

fn memory_mb_in(text: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kb = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kb.unwrap_or(0) / 1024
}

/// The program that runs knows best.
fn nats_version(daybook: &Daybook) -> Option<String> {
    let program = format!("/proc/{}/exe", daybook.processes().nats?);
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text.trim().strip_prefix("nats-server: v")?.to_owned())
}

fn sync_cost(probe: &Path) -> io::Result<Latency> {
    let mut file = File::create(probe)?;
    let mut latency = Latency::default();
    for _ in 0..SYNCS {
        let since = Instant::now();
        file.write_all(&[0; SYNC_BYTES])?;
        file.sync_data()?;
        latency.record(since.elapsed());
    }
    fs::remove_file(probe)?;
    Ok(latency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_as_linux_writes_them() {
        let cpus = "processor\t: 0\nmodel name\t: AMD EPYC 7B13\nprocessor\t: 1\n";
        assert_eq!(processor_in(cpus), "AMD EPYC 7B13");
        assert_eq!(processor_in(""), "unknown processor");
        assert_eq!(memory_mb_in("MemTotal:       24684812 kB\nMemFree: 1 kB\n"), 24_106);
    }

    #[test]
    fn the_disk_is_asked_what_a_sync_costs() {
        let home = tempfile::tempdir().unwrap();
        let cost = sync_cost(&home.path().join("probe")).unwrap();
        assert!(cost.percentiles().is_some());
        assert!(!home.path().join("probe").exists());
    }
}
