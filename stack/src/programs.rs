//! Where the servers' programs are, and whether they are new enough.
//!
//! Searched in this order: what the caller names (then nothing else), `.tools/bin` where
//! scripts/setup unpacks, `PATH`, and Debian's directory, which is not in `PATH`.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::account::Account;
use crate::error::Error;

/// Debian 12 has it, and everything our SQL uses.
const POSTGRES_MAJOR_MIN: u32 = 15;
const POSTGRES_NEEDED: &str = "15";

/// Older servers silently ignore what they do not know of a consumer or stream.
const NATS_MIN: (u32, u32) = (2, 12);
const NATS_NEEDED: &str = "2.12";

const DEBIAN: &str = "/usr/lib/postgresql";

/// The two programs of one installation.
#[derive(Debug, Clone)]
pub(crate) struct PostgresPrograms {
    pub(crate) initdb: PathBuf,
    pub(crate) postgres: PathBuf,
}

/// An installation that `account` can run: of version `made_by` if a cluster exists, else of any
/// that is new enough.
pub(crate) fn postgres(
    bin_dir: Option<&Path>,
    account: Account,
    made_by: Option<u32>,
    cluster: &Path,
) -> Result<PostgresPrograms, Error> {
    let places = match bin_dir {
        Some(dir) => vec![dir.to_owned()],
        None => tools_dirs()
            .chain(path_dirs())
            .chain(debian_dirs())
            .collect(),
    };
    let mut too_old = None;
    let mut other_major = false;
    for programs in places.iter().filter_map(|dir| installation(dir)) {
        let Some(version) = postgres_version(&programs.initdb, account) else {
            continue;
        };
        match (major(&version), made_by) {
            (Some(found), Some(made_by)) if found == made_by => return Ok(programs),
            (Some(POSTGRES_MAJOR_MIN..), None) => return Ok(programs),
            (Some(_), Some(_)) => other_major = true,
            (Some(_), None) => too_old = too_old.or(Some((programs.postgres, version))),
            (None, _) => {}
        }
    }
    Err(match (made_by, too_old) {
        (Some(major), _) if other_major => Error::OtherMajor { dir: cluster.to_owned(), major },
        (_, Some((path, found))) => {
            Error::TooOld { program: "PostgreSQL", path, found, needed: POSTGRES_NEEDED }
        }
        _ => Error::Missing {
            program: "PostgreSQL",
            needed: POSTGRES_NEEDED,
            looked_in: bin_dir.map_or(".tools/bin, PATH and ".to_owned() + DEBIAN, shown),
        },
    })
}

/// A nats-server that is new enough.
pub(crate) fn nats_server(given: Option<&Path>) -> Result<PathBuf, Error> {
    let places: Vec<_> = match given {
        Some(program) => vec![program.to_owned()],
        None => tools_dirs()
            .chain(path_dirs())
            .map(|dir| dir.join("nats-server"))
            .collect(),
    };
    let mut too_old = None;
    for program in places.iter().filter(|program| program.is_file()) {
        let Some(found) = nats_version(program) else {
            continue;
        };
        if NATS_MIN <= found {
            // A relative path would be looked up in the directory we start it in.
            return program.canonicalize().map_err(Error::file("open", program));
        }
        let (major, minor) = found;
        too_old = too_old.or(Some((program.clone(), format!("{major}.{minor}"))));
    }
    Err(match too_old {
        Some((path, found)) => {
            Error::TooOld { program: "nats-server", path, found, needed: NATS_NEEDED }
        }
        None => Error::Missing {
            program: "nats-server",
            needed: NATS_NEEDED,
            looked_in: given.map_or(".tools/bin and PATH".to_owned(), shown),
        },
    })
}

/// The number in front: of `15.18 (Debian 15.18-0+deb12u1)`, of `18.4`, of `19beta1`.
pub(crate) fn major(version: &str) -> Option<u32> {
    let digits: String = version
        .trim()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}

/// Where the programs of a directory really are. `PATH` often has links to them one by one, while
/// Postgres looks for the rest of itself relative to the real file.
fn installation(dir: &Path) -> Option<PostgresPrograms> {
    let postgres = dir.join("postgres").canonicalize().ok()?;
    let initdb = postgres.with_file_name("initdb");
    initdb
        .is_file()
        .then_some(PostgresPrograms { initdb, postgres })
}

/// Asks initdb for its settings, which fails unless it finds a server of its own version, all
/// libraries, and its share directory: an installation that answers works.
fn postgres_version(initdb: &Path, account: Account) -> Option<String> {
    let mut show = account.command(initdb);
    show.args(["--show", "-D", "/nonexistent"])
        .stdin(Stdio::null());
    let output = show.output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let setting = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let templates = setting("POSTGRES_BKI=")?;
    Path::new(templates)
        .is_file()
        .then(|| setting("VERSION=").map(str::to_owned))?
}

fn nats_version(program: &Path) -> Option<(u32, u32)> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.trim().strip_prefix("nats-server: v")?;
    let mut numbers = version.split('.').map_while(|number| number.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

/// `.tools/bin` of the working copy, seen from where we run and from where we were built.
fn tools_dirs() -> impl Iterator<Item = PathBuf> {
    let here = env::current_dir().into_iter();
    let built = env::current_exe().into_iter().flat_map(|exe| {
        exe.ancestors()
            .skip(1)
            .map(Path::to_owned)
            .collect::<Vec<_>>()
    });
    here.chain(built)
        .map(|dir| dir.join(".tools/bin"))
        .filter(|dir| dir.is_dir())
}

fn path_dirs() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .collect::<Vec<_>>()
        .into_iter()
}

/// The newest first.
fn debian_dirs() -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let majors: BTreeSet<u32> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    majors
        .into_iter()
        .rev()
        .map(|major| Path::new(DEBIAN).join(major.to_string()).join("bin"))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_each_packager_writes_them() {
        assert_eq!(major("15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major("19beta1"), Some(19));
        assert_eq!(major("15\n"), Some(15));
        assert_eq!(major("unknown"), None);
    }
}
