//! Processes of an earlier Daybook that are still there, as after a `kill -9` of it.
//!
//! Their supervisors are stopping them already; this waits, and insists. A process is taken for
//! ours only if it names our directory: a process id from a file may long belong to a stranger.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::supervise::STOP_SECONDS_MAX;
use crate::until::until;

/// How long a process may take to vanish after SIGKILL, which only a hanging disk delays.
const KILL_SECONDS_MAX: u64 = 5;

/// The processes that work on a Postgres cluster. All of them sit in its directory; where the
/// kernel does not let us see that, the arguments of the first one still tell.
pub(crate) fn of_cluster(dir: &Path) -> Vec<u32> {
    processes()
        .filter(|pid| matches!(command_name(*pid).as_str(), "postgres" | "initdb"))
        .filter(|pid| {
            fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == dir)
                || arguments(*pid)
                    .windows(2)
                    .any(|pair| is_option(pair, "-D", dir))
        })
        .collect()
}

/// The nats-servers that work on a store directory.
pub(crate) fn of_store(dir: &Path) -> Vec<u32> {
    processes()
        // The supervisor's arguments end with those of its server.
        .filter(|pid| command_name(*pid) != "sh")
        .filter(|pid| {
            arguments(*pid)
                .windows(2)
                .any(|pair| is_option(pair, "-sd", dir))
        })
        .collect()
}

/// Whether a process runs. Its number alone does not say which.
pub(crate) fn is_alive(pid: u32) -> bool {
    fs::metadata(format!("/proc/{pid}")).is_ok()
}

/// Stops processes, gently first, and returns when none is left or nothing helps.
pub(crate) fn stop(gently: &str, find: impl Fn() -> Vec<u32>) {
    for (signal, seconds) in [(gently, STOP_SECONDS_MAX), ("KILL", KILL_SECONDS_MAX)] {
        let pids = find();
        if pids.is_empty() {
            return;
        }
        tracing::warn!(?pids, signal, "stopping servers that an earlier Daybook left");
        send(signal, &pids);
        // Whether they are gone, the next round sees for itself.
        let _gone = until(Duration::from_secs(seconds), || find().is_empty().then_some(()));
    }
}

/// Through the shell, because the standard library cannot signal a process that is no child.
fn send(signal: &str, pids: &[u32]) {
    let mut kill = Command::new("/bin/sh");
    kill.args([
        "-c",
        r#"signal=$1; shift; kill -s "$signal" "$@""#,
        "sh",
        signal,
    ])
    .args(pids.iter().map(u32::to_string))
    .stdin(Stdio::null())
    .stderr(Stdio::null());
    // One of them may end meanwhile, which kill calls an error; the caller looks again anyway.
    let _ = kill.status();
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn command_name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

fn arguments(pid: u32) -> Vec<Vec<u8>> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

fn is_option(pair: &[Vec<u8>], option: &str, dir: &Path) -> bool {
    pair[0] == option.as_bytes() && pair[1] == dir.as_os_str().as_encoded_bytes()
}
