//! Where the data of a run is, and that it is gone afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::error::Error;

/// In front of a made-up name.
const PREFIX: &str = ".daybook-bench-";

/// Together as long as the servers are given to stop.
const TRIES_MAX: u32 = 150;
const TRY_EVERY: Duration = Duration::from_millis(200);

/// A directory for the data directories of one run.
#[derive(Debug)]
pub(crate) enum Home {
    /// Made for this run; removed when dropped.
    Made(TempDir),
    /// Given, or to be kept.
    Kept(PathBuf),
}

impl Home {
    /// Beside whoever runs us: on a disk, as data would be, where temporary files often are not.
    pub(crate) fn make(given: Option<&Path>, keep: bool) -> Result<Self, Error> {
        if let Some(dir) = given {
            fs::create_dir_all(dir).map_err(Error::file("create", dir))?;
            let dir = dir.canonicalize().map_err(Error::file("open", dir))?;
            return Ok(Self::Kept(dir));
        }
        let here = std::env::current_dir().map_err(Error::file("find", Path::new(".")))?;
        // Postgres may run as another user, who has to get in.
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(readable)
            .tempdir_in(&here)
            .map_err(Error::file("create a directory in", &here))?;
        Ok(if keep {
            Self::Kept(dir.keep())
        } else {
            Self::Made(dir)
        })
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Made(dir) => dir.path(),
            Self::Kept(dir) => dir,
        }
    }

    /// Removes what was made. Servers that are just being stopped, as after Ctrl-C, still write;
    /// then it takes a few tries.
    pub(crate) async fn remove(self) -> Result<(), Error> {
        let Self::Made(dir) = self else {
            return Ok(());
        };
        let path = dir.keep();
        let mut tries = 1;
        loop {
            match remove_with_clusters(&path) {
                Err(_) if tries < TRIES_MAX => tries += 1,
                outcome => return outcome,
            }
            tokio::time::sleep(TRY_EVERY).await;
        }
    }
}

fn remove_with_clusters(home: &Path) -> Result<(), Error> {
    for data_dir in fs::read_dir(home).into_iter().flatten().flatten() {
        remove_cluster_elsewhere(&data_dir.path())?;
    }
    fs::remove_dir_all(home).map_err(Error::file("remove", home))
}

/// A cluster whose user cannot get into the data directory is elsewhere, with a link to it.
fn remove_cluster_elsewhere(data_dir: &Path) -> Result<(), Error> {
    let Ok(cluster) = fs::read_link(data_dir.join("postgres")) else {
        return Ok(());
    };
    match cluster.parent() {
        Some(place) if place.exists() => {
            fs::remove_dir_all(place).map_err(Error::file("remove", place))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_made_is_removed_with_the_cluster_it_links_to() {
        let elsewhere = tempfile::tempdir().unwrap();
        let place = elsewhere.path().join("hash");
        fs::create_dir_all(place.join("postgres")).unwrap();
        let home = Home::Made(tempfile::tempdir().unwrap());
        let data_dir = home.path().join("main");
        fs::create_dir(&data_dir).unwrap();
        std::os::unix::fs::symlink(place.join("postgres"), data_dir.join("postgres")).unwrap();
        let path = home.path().to_owned();

        home.remove().await.unwrap();

        assert!(!path.exists() && !place.exists() && elsewhere.path().exists());
    }

    #[tokio::test]
    async fn what_was_given_is_left() {
        let given = tempfile::tempdir().unwrap();
        Home::make(Some(given.path()), false)
            .unwrap()
            .remove()
            .await
            .unwrap();
        assert!(given.path().exists());
    }
}
