//! Where the cluster lies: in the data directory, or, if its user cannot get in there, elsewhere.
//!
//! ```text
//! DATA_DIR/postgres                                          as a rule
//! DATA_DIR/postgres ─▶ /var/lib/daybook/HASH/postgres        in root's home, which is closed
//! ```
//!
//! The link is the truth: a cluster to which none leads belonged to a data directory that somebody
//! has removed since.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::directory::{DataDir, lock};
use crate::error::Error;
use crate::nats::hash;
use crate::{cluster, survivors};

/// Where programs keep what lasts, and where every user may look in.
const ELSEWHERE: &str = "/var/lib/daybook";

/// A place for a cluster, whether there is one already or not.
#[derive(Debug)]
pub(crate) struct Place {
    /// The cluster's real path.
    pub(crate) dir: PathBuf,
    /// As the data directory knows it.
    link: PathBuf,
    /// A copied data directory holds a copy of the link: its own lock does not protect what the
    /// link leads to.
    pub(crate) lock: Option<File>,
}

impl Place {
    pub(crate) fn of(data_dir: &DataDir, account: Account) -> Result<Self, Error> {
        let link = data_dir.file("postgres");
        if let Ok(dir) = fs::read_link(&link) {
            return Self::elsewhere(dir, link);
        }
        if account.can_enter(data_dir.path()) {
            return Ok(Self { dir: link.clone(), link, lock: None });
        }
        if link.exists() {
            // Moved here, as we would have put it elsewhere.
            return Err(Error::OutOfReach { dir: data_dir.path().to_owned() });
        }

        let home = Path::new(ELSEWHERE).join(format!("{:016x}", hash(data_dir.path())));
        let place = Self::elsewhere(home.join("postgres"), link)?;
        if place.dir.exists() {
            tracing::warn!(dir = %place.dir.display(), "removing a cluster nobody links to");
            cluster::remove(&place.dir)?;
        }
        Ok(place)
    }

    fn elsewhere(dir: PathBuf, link: PathBuf) -> Result<Self, Error> {
        let home = dir.parent().unwrap_or(Path::new(ELSEWHERE));
        fs::create_dir_all(home).map_err(Error::file("create", home))?;
        let lock = Some(lock(home)?);
        // A server that goes on working there would not be seen by its lock.
        survivors::stop("INT", || survivors::of_cluster(&dir));
        Ok(Self { dir, link, lock })
    }

    /// Makes a finished cluster known.
    pub(crate) fn publish(&self) -> Result<(), Error> {
        if self.dir == self.link || self.link.is_symlink() {
            return Ok(());
        }
        symlink(&self.dir, &self.link).map_err(Error::file("link", &self.link))
    }
}
