//! The program as people run it, in a process of its own.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a run of the program said, and how it ended.
#[derive(Debug)]
pub struct Ran {
    /// Whether its exit status was 0.
    pub is_well: bool,
    /// Standard output.
    pub told: String,
    /// Standard error.
    pub complained: String,
}

/// The program at this path, with nothing set from outside.
pub fn daybook(program: impl AsRef<Path>, words: &[&str]) -> Command {
    let mut command = Command::new(program.as_ref());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DAYBOOK_")) {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").env_remove("NATS_URL");
    command
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs it to its end, while the test's own Daybook goes on.
pub async fn ran(mut command: Command) -> Ran {
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let Output { status, stdout, stderr } = output.expect("a thread").expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { is_well: status.success(), told: text(stdout), complained: text(stderr) }
}
