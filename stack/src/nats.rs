//! The private nats-server.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use crate::account::Account;
use crate::directory::DataDir;
use crate::error::Error;
use crate::keeper::Server;
use crate::supervise::Program;
use crate::{kept, survivors};

/// The same file that production uses; its comments give the reasons.
const CONF: &str = include_str!("../../nats.conf");

/// A server on the same machine greets at once. One that takes longer is asked again.
const GREETING_WITHIN: Duration = Duration::from_millis(500);

/// Everything it takes to start it again.
#[derive(Debug)]
pub(crate) struct Nats {
    program: PathBuf,
    passwords: Passwords,
    port: u16,
    /// Told in the greeting, which is how we know our own server from a stranger on its port.
    name: String,
    conf: PathBuf,
    store: PathBuf,
    pid: PathBuf,
    log: PathBuf,
}

/// One for Daybook itself, and one for whoever only reads.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    pub(crate) daybook: String,
    pub(crate) reader: String,
}

impl Nats {
    /// Writes the configuration, anew each time: the program is the master copy.
    pub(crate) fn prepare(
        dir: &DataDir,
        program: PathBuf,
        passwords: Passwords,
        port: u16,
    ) -> Result<Self, Error> {
        let conf = dir.file("nats.conf");
        kept::write_private(&conf, CONF)?;
        Ok(Self {
            program,
            passwords,
            port,
            name: format!("daybook-{:016x}", hash(dir.path())),
            conf,
            store: dir.file("nats"),
            pid: dir.file("nats.pid"),
            log: dir.file("nats.log"),
        })
    }
}

impl Server for Nats {
    const NAME: &'static str = "nats-server";

    fn clear(&self) -> Result<(), Error> {
        survivors::stop("TERM", || survivors::of_store(&self.store));
        Ok(())
    }

    fn spawn(&self) -> Result<Child, Error> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let arguments = [
            ("-c", text(&self.conf)),
            ("-n", self.name.clone()),
            ("-a", Ipv4Addr::LOCALHOST.to_string()),
            ("-p", self.port.to_string()),
            ("-sd", text(&self.store)),
            ("--pid", text(&self.pid)),
            ("-l", text(&self.log)),
        ];
        Program {
            account: Account::Ourselves,
            path: &self.program,
            arguments: arguments
                .into_iter()
                .flat_map(|(o, v)| [o.to_owned(), v])
                .collect(),
            environment: vec![
                ("DAYBOOK_NATS_PASSWORD", self.passwords.daybook.clone()),
                ("DAYBOOK_NATS_READER_PASSWORD", self.passwords.reader.clone()),
            ],
            stop: "TERM",
            log: &self.log,
        }
        .spawn()
    }

    fn is_ready(&self) -> bool {
        greeting(self.port).is_some_and(|line| line.contains(&self.name))
    }

    fn log(&self) -> &Path {
        &self.log
    }
}

/// The `INFO` line that the server sends to whoever connects, once its streams are recovered.
fn greeting(port: u16) -> Option<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, GREETING_WITHIN).ok()?;
    stream.set_read_timeout(Some(GREETING_WITHIN)).ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    Some(line)
}

/// Stands for a path where a path cannot. Another toolchain may hash differently, which does no
/// harm: nothing that has to be found again depends on it.
pub(crate) fn hash(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}
