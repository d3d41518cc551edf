//! The private Postgres, once its cluster exists.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;

use crate::cluster::Cluster;
use crate::directory::DataDir;
use crate::error::Error;
use crate::keeper::Server;
use crate::supervise::{Program, log_length};
use crate::{Profile, survivors};

/// Beyond this, a start puts the log aside in place of the one before: two of these at most. What
/// is logged between starts is little, see `log_min_messages`.
const LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Everything it takes to start it again.
#[derive(Debug)]
pub(crate) struct Postgres {
    cluster: Cluster,
    profile: Profile,
    port: u16,
    log: PathBuf,
}

impl Postgres {
    pub(crate) fn new(dir: &DataDir, cluster: Cluster, profile: Profile, port: u16) -> Self {
        Self { cluster, profile, port, log: dir.file("postgres.log") }
    }

    fn settings(&self) -> Vec<String> {
        let shared_buffers_mb = match self.profile {
            Profile::Desk => shared_buffers_mb(memory_mb()),
            // Several of these run beside each other and beside a compiler.
            Profile::Test => 32,
        };
        [
            // Only this machine, and only over TCP: the path of a socket may be 107 bytes long,
            // which a data directory in a deep working copy exceeds.
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            &format!("port={}", self.port),
            // A committed order is on the disk. Said here, where no edited file overrides it.
            "fsync=on",
            "synchronous_commit=on",
            "full_page_writes=on",
            &format!("shared_buffers={shared_buffers_mb}MB"),
            // Tests run many pools at once; an idle connection costs little.
            "max_connections=200",
            // Our queries touch few rows by index; compiling them costs more than running them.
            "jit=off",
            // Disks are flash: a random page costs about what the next one does.
            "random_page_cost=1.1",
            // Checkpoints follow the clock rather than an import's bursts, because each of them
            // makes the log write whole pages again.
            "max_wal_size=4GB",
            "checkpoint_timeout=15min",
            // Those whole pages compress well, and the log's sync is what a commit waits for; PostgreSQL's
            // own way to compress takes several times as long.
            "wal_compression=lz4",
            // EXPLAIN then tells reading from computing.
            "track_io_timing=on",
            // Times in logs and reports do not depend on the desk they were made at.
            "timezone=UTC",
            "log_timezone=UTC",
            // Starts, stops, checkpoints and crashes. The errors of single statements go to the
            // client, who logs them with their context; here they would repeat customers' data.
            "log_min_messages=log",
        ]
        .iter()
        .flat_map(|setting| ["-c".to_owned(), (*setting).to_owned()])
        .collect()
    }
}

/// Pages that Postgres keeps, in megabytes: an eighth of the machine, because a desk has other things
/// to do, too; enough for the hot part of ten million events where there is that much.
fn shared_buffers_mb(memory_mb: u64) -> u64 {
    (memory_mb / 8).clamp(256, 1_024)
}

/// Of the machine; 0 where it does not tell.
fn memory_mb() -> u64 {
    let told = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = told.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kilobytes.unwrap_or(0_u64) / 1_024
}

impl Server for Postgres {
    const NAME: &'static str = "PostgreSQL";

    fn clear(&self) -> Result<(), Error> {
        survivors::stop("INT", || survivors::of_cluster(self.cluster.dir()));
        // What is left in this file is the number of a process that is gone, or by now a
        // stranger's: PostgreSQL would take the stranger for itself and refuse to start.
        let pid_file = self.cluster.dir().join("postmaster.pid");
        if pid_in(&pid_file).is_some_and(survivors::is_alive) {
            fs::remove_file(&pid_file).map_err(Error::file("remove", &pid_file))?;
        }
        if LOG_BYTES_MAX < log_length(&self.log) {
            let aside = self.log.with_added_extension("1");
            fs::rename(&self.log, aside).map_err(Error::file("rotate", &self.log))?;
        }
        Ok(())
    }

    fn spawn(&self) -> Result<Child, Error> {
        let mut arguments = vec!["-D".to_owned(), self.cluster.dir().to_string_lossy().into()];
        arguments.extend(self.settings());
        Program {
            account: self.cluster.account(),
            path: self.cluster.postgres(),
            arguments,
            environment: Vec::new(),
            // Fast shutdown: sessions are ended, and a checkpoint makes the next start quick.
            stop: "INT",
            log: &self.log,
        }
        .spawn()
    }

    /// The server notes its state in the last line of this file, and removes the file as it stops.
    /// One that was killed leaves it, so its process must be alive as well.
    fn is_ready(&self) -> bool {
        let pid_file = self.cluster.dir().join("postmaster.pid");
        let text = fs::read_to_string(&pid_file).unwrap_or_default();
        let ready = text
            .lines()
            .nth(7)
            .is_some_and(|state| state.trim() == "ready");
        ready
            && pid_in(&pid_file)
                .is_some_and(|pid| survivors::of_cluster(self.cluster.dir()).contains(&pid))
    }

    fn log(&self) -> &Path {
        &self.log
    }
}

fn pid_in(pid_file: &Path) -> Option<u32> {
    fs::read_to_string(pid_file)
        .ok()?
        .lines()
        .next()?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_machine_gives_little_and_a_large_one_not_all() {
        assert_eq!(shared_buffers_mb(0), 256);
        assert_eq!(shared_buffers_mb(4_096), 512);
        assert_eq!(shared_buffers_mb(24_576), 1_024);
    }
}
