//! The data directory, and who may use it.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;
use crate::until::until;

/// A process that was just killed holds its files until the kernel has taken it apart. A start that
/// follows at once should not have to be repeated for that.
const LOCK_WITHIN: Duration = Duration::from_secs(1);

/// An existing data directory, by its real and absolute path: servers are recognised by it.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
}

impl DataDir {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        fs::create_dir_all(path).map_err(Error::file("create the data directory", path))?;
        let path = path
            .canonicalize()
            .map_err(Error::file("open the data directory", path))?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn lock(&self) -> Result<File, Error> {
        lock(&self.path)
    }
}

/// Claims a directory for as long as the returned file stays open. The kernel releases the claim
/// of a process that was killed, so there is no stale lock to clean up.
pub(crate) fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(Error::file("open", &path))?;
    let claimed = until(LOCK_WITHIN, || match file.try_lock() {
        Ok(()) => Some(Ok(())),
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Error(source)) => Some(Err(source)),
    });
    match claimed {
        Some(claimed) => claimed.map_err(Error::file("lock", &path))?,
        None => return Err(Error::InUse { dir: dir.to_owned(), holder: holder(&mut file) }),
    }
    // For the sentence above, when somebody else is told to wait.
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| write!(file, "process {}", std::process::id()))
        .map_err(Error::file("write", &path))?;
    Ok(file)
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.read_to_string(&mut text) {
        Ok(_) if !text.is_empty() => text,
        _ => "just starting".to_owned(),
    }
}
