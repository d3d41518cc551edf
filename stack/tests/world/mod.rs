//! A data directory of its own for each test, and a look at the processes that work on it.

mod live;
#[path = "../../src/until.rs"]
mod until;

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use stack::{Options, Profile, Stack};
use tempfile::TempDir;

use until::until;

pub(crate) use live::{Database, Stream};

/// Tells a process that it is the one to be killed, and where it works.
const ROLE: &str = "DAYBOOK_STACK_TEST_DATA_DIR";

/// What the victim prints when its servers are up.
const UP: &str = "the servers are up";

/// Far beyond what anything here takes on a busy machine; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_mins(1);

/// Which server.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Postgres,
    Nats,
}

pub(crate) struct World {
    data_dir: PathBuf,
    /// Removed with us, unless we are the victim.
    home: Option<TempDir>,
}

impl World {
    pub(crate) fn new() -> Self {
        // Open to all: as root, the cluster's user must get in.
        Self::below_a_home_of_mode(0o755)
    }

    /// As in root's home. An ordinary user runs the cluster itself, and gets in everywhere.
    pub(crate) fn below_a_closed_home() -> Self {
        Self::below_a_home_of_mode(0o700)
    }

    fn below_a_home_of_mode(mode: u32) -> Self {
        let permissions = fs::Permissions::from_mode(mode);
        let home = tempfile::Builder::new()
            .permissions(permissions)
            .tempdir()
            .unwrap();
        let data_dir = home.path().canonicalize().unwrap().join("data");
        fs::create_dir(&data_dir).unwrap();
        Self { data_dir, home: Some(home) }
    }

    /// For the victim.
    pub(crate) fn of_parent() -> Option<Self> {
        let data_dir = env::var_os(ROLE)?.into();
        Some(Self { data_dir, home: None })
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub(crate) fn options(&self) -> Options {
        Options { profile: Profile::Test, ..Options::new(&self.data_dir) }
    }

    pub(crate) async fn start(&self) -> Stack {
        Stack::start(self.options())
            .await
            .expect("the stack starts")
    }

    /// Runs the test of this name in a process that starts a stack; returns once it is up.
    pub(crate) fn start_in_a_process(&self, test: &str) -> u32 {
        let mut victim = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(ROLE, &self.data_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = victim.id();
        let said = BufReader::new(victim.stdout.take().unwrap())
            .lines()
            .any(|line| line.is_ok_and(|line| line.contains(UP)));
        assert!(said, "the victim did not start");
        // Its input closes when we end; until then somebody has to hold it.
        std::thread::spawn(move || victim.stdin.take().map(|_held| victim.wait()));
        pid
    }

    /// A program of our own making.
    pub(crate) fn program(&self, name: &str, script: &str) -> PathBuf {
        let path = self.data_dir.join(name);
        // Written by another process: a file that one of our own forks holds open for writing
        // cannot be run.
        let made = Command::new("/bin/sh")
            .args([
                "-c",
                r#"printf '#!/bin/sh\n%s\n' "$2" >"$1" && chmod +x "$1""#,
                "sh",
            ])
            .arg(&path)
            .arg(script)
            .status();
        assert!(made.unwrap().success());
        path
    }

    pub(crate) fn pid(&self, kind: Kind) -> u32 {
        self.pid_if_running(kind).expect("the server runs")
    }

    pub(crate) fn pid_if_running(&self, kind: Kind) -> Option<u32> {
        let file = match kind {
            Kind::Postgres => "postgres/postmaster.pid",
            Kind::Nats => "nats.pid",
        };
        let text = fs::read_to_string(self.data_dir.join(file)).ok()?;
        let pid = text.lines().next()?.trim().parse().ok()?;
        self.running().contains(&pid).then_some(pid)
    }

    /// Every process that names our data directory or sits in it: servers, supervisors, helpers.
    pub(crate) fn running(&self) -> Vec<u32> {
        let ours = self.data_dir.as_os_str().as_encoded_bytes();
        let cluster = self
            .data_dir
            .join("postgres")
            .canonicalize()
            .unwrap_or_default();
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| *pid != std::process::id())
            .filter(|pid| {
                let cwd = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                cwd.starts_with(&self.data_dir)
                    || cwd == cluster
                    || line.windows(ours.len()).any(|window| window == ours)
            })
            .collect()
    }

    /// Where the cluster really lies, if not in the data directory.
    pub(crate) fn cluster_elsewhere(&self) -> Option<PathBuf> {
        fs::read_link(self.data_dir.join("postgres")).ok()
    }

    pub(crate) fn nothing_runs(&self) {
        assert_eq!(self.running(), Vec::<u32>::new());
    }

    /// Waits for a condition rather than for a time.
    pub(crate) fn eventually(&self, what: &str, holds: impl Fn() -> bool) {
        let held = until(PATIENCE, || holds().then_some(()));
        assert!(held.is_some(), "never: {what}; running: {:?}", self.running());
    }
}

pub(crate) fn announce() {
    println!("{UP}");
}

pub(crate) fn wait_for_parent() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

pub(crate) fn parent_of(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))
        .unwrap();
    line.trim().parse().unwrap()
}

pub(crate) fn kill(pid: u32) {
    let status = Command::new("/bin/kill")
        .args(["-KILL", &pid.to_string()])
        .status();
    assert!(status.unwrap().success());
}

impl Drop for World {
    fn drop(&mut self) {
        // With the data directory, as nobody will come back for it.
        if self.home.is_some()
            && let Some(home) = self.cluster_elsewhere().as_deref().and_then(Path::parent)
        {
            let _ = fs::remove_dir_all(home);
        }
    }
}
