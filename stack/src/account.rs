//! As whom Postgres runs: it refuses to be root, because a hole in it would be a hole in the
//! machine.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::Error;

/// The user that runs Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    /// Whoever runs us.
    Ourselves,
    /// We are root, and become this user first.
    Other { uid: u32, gid: u32 },
}

impl Account {
    /// The owner of an existing cluster, so that it stays usable; else `postgres`, else `nobody`.
    pub(crate) fn for_cluster(dir: &Path) -> Result<Self, Error> {
        if !is_root() {
            return Ok(Self::Ourselves);
        }
        if let Ok(meta) = fs::metadata(dir)
            && meta.uid() != 0
        {
            return Ok(Self::Other { uid: meta.uid(), gid: meta.gid() });
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        named(&passwd, "postgres")
            .or_else(|| named(&passwd, "nobody"))
            .ok_or(Error::NoAccount)
    }

    /// A command that will run as this user, free of settings meant for other clusters.
    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Self::Other { uid, gid } = self {
            // With a uid, the standard library also drops root's supplementary groups.
            command.uid(uid).gid(gid);
        }
        // PGDATA, PGOPTIONS and the like would override what we ask for.
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        // Our own directory may be closed to that user. Messages are in English, as we read them.
        command.current_dir("/").env("LC_ALL", "C");
        command
    }

    /// Hands a file or directory over.
    pub(crate) fn own(self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Ourselves => Ok(()),
            Self::Other { uid, gid } => {
                chown(path, Some(uid), Some(gid)).map_err(Error::file("give away", path))
            }
        }
    }

    /// Whether this user gets into a directory. Asking the kernel as that user counts everything
    /// that decides it: modes, owners, access lists and mounts.
    pub(crate) fn can_enter(self, dir: &Path) -> bool {
        let mut cd = self.command(Path::new("/bin/sh"));
        cd.args(["-c", r#"cd -- "$1""#, "sh"])
            .arg(dir)
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        self == Self::Ourselves || cd.status().is_ok_and(|status| status.success())
    }
}

/// The kernel gives this directory to the effective user of the process that looks.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

fn named(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Account::Other { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "postgresql:x:7:8::/:/bin/sh\npostgres:x:101:104:admin,,,:/var:/bin/bash\n";
        assert_eq!(named(passwd, "postgres"), Some(Account::Other { uid: 101, gid: 104 }));
        assert_eq!(named(passwd, "nobody"), None);
    }
}
