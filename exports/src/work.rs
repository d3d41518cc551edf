//! The way to a file that is complete or absent: everything happens in a directory beside it.
//!
//! ```text
//! OUT.partial/lock          held while somebody works
//! OUT.partial/export.json   what is exported, fixed at the first start
//! OUT.partial/…             rows, parts, seals
//! OUT                       appears by renaming, when all of it is on the disk
//! ```

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What the directory's name ends with.
const ENDING: &str = "partial";
/// What the names of files end with that are not complete yet.
pub const DRAFT: &str = "new";
/// Bytes of a file that are read at a time.
const BUFFER_BYTES: usize = 256 * 1024;
/// What is exported.
const PLAN: &str = "export.json";

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody's file is there.
    #[error("{} exists already: remove it, or give --out another name", .0.display())]
    Exists(PathBuf),
    /// An earlier export was broken off.
    #[error(
        "an export to this name was broken off: go on with it by --resume, or remove {}",
        .0.display()
    )]
    BrokenOff(PathBuf),
    /// Another process is at it.
    #[error("another export to this name is running (it holds {})", .0.display())]
    Running(PathBuf),
    /// What was broken off is another export.
    #[error(
        "{} was begun with other settings ({was}): resume it with the same, or remove the directory",
        path.display()
    )]
    Other {
        /// The directory.
        path: PathBuf,
        /// What was asked for then.
        was: String,
    },
    /// What was broken off cannot be understood.
    #[error("{} does not hold what an export left there: remove it, and begin again", .0.display())]
    Unreadable(PathBuf),
    /// The disk is full, or we may not write there.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What we tried, as a verb.
        doing: &'static str,
        /// What we tried it on.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl Error {
    /// A failure with a file, to be given its cause.
    pub fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }
}

/// The directory, while we work in it.
#[derive(Debug)]
pub struct Work {
    out: PathBuf,
    directory: PathBuf,
    _lock: File,
}

impl Work {
    /// Begins, or goes on with what was broken off. `plan` is what is asked for now; it comes back
    /// as it was at the first start, if `same` says that it is the same wish. Whether it is gone
    /// on with comes back as well.
    pub fn open<P: Serialize + DeserializeOwned>(
        out: &Path,
        resume: bool,
        plan: P,
        same: impl FnOnce(&P, &P) -> bool,
    ) -> Result<(Self, P, bool), Error> {
        if out.exists() {
            return Err(Error::Exists(out.to_owned()));
        }
        let directory = out.with_added_extension(ENDING);
        let kept = directory.join(PLAN);
        let there = kept.exists();
        if there && !resume {
            return Err(Error::BrokenOff(directory));
        }
        // Only this one: a folder above it that is missing is more likely a slip of the pen.
        match fs::create_dir(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::file("make the directory", directory)(error));
            }
            Ok(()) | Err(_) => {}
        }
        let work = Self { out: out.to_owned(), _lock: lock(&directory)?, directory };
        if !there {
            // Last of what makes an export, so that whatever has a plan can be gone on with.
            let text = serde_json::to_vec(&plan).unwrap_or_default();
            work.put(PLAN, |file| file.write_all(&text))?;
            return Ok((work, plan, false));
        }
        let text = fs::read(&kept).map_err(Error::file("read", &kept))?;
        let was: P =
            serde_json::from_slice(&text).map_err(|_| Error::Unreadable(work.directory.clone()))?;
        if !same(&was, &plan) {
            let was = String::from_utf8_lossy(&text).into_owned();
            return Err(Error::Other { path: work.directory, was });
        }
        Ok((work, was, true))
    }

    /// A file of the directory.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a file of the directory that is complete or absent.
    pub fn put(
        &self,
        name: &str,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<PathBuf, Error> {
        let (path, draft) = (self.path(name), self.path(format!("{name}.{DRAFT}")));
        let put = || {
            let mut file = File::create(&draft)?;
            write(&mut file)?;
            file.sync_all()?;
            fs::rename(&draft, &path)
        };
        put().map_err(Error::file("write", &path))?;
        Ok(path)
    }

    /// The complete files of the directory whose names begin like this, in order of name.
    pub fn files(&self, prefix: &str) -> Result<Vec<PathBuf>, Error> {
        let mut files = Vec::new();
        let failed = || Error::file("read the directory", &self.directory);
        for entry in fs::read_dir(&self.directory).map_err(failed())? {
            let path = entry.map_err(failed())?.path();
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            let is_draft = path.extension() == Some(OsStr::new(DRAFT));
            if name.starts_with(prefix) && !is_draft {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// Gives a finished file its place: at the name that was asked for, with an ending or without.
    pub fn hand_over(&self, name: &str, ending: Option<&str>) -> Result<PathBuf, Error> {
        let out =
            ending.map_or_else(|| self.out.clone(), |ending| self.out.with_added_extension(ending));
        let path = self.path(name);
        let hand_over = || {
            // Renamed before it is on the disk, it could be empty after a power cut.
            File::open(&path)?.sync_all()?;
            fs::rename(&path, &out)?;
            let folder = out.parent().filter(|folder| *folder != Path::new(""));
            File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
        };
        hand_over().map_err(Error::file("write", &out))?;
        Ok(out)
    }

    /// Removes the directory: everything is handed over.
    pub fn finish(self) -> Result<(), Error> {
        let remove = Error::file("remove", &self.directory);
        fs::remove_dir_all(&self.directory).map_err(remove)
    }
}

fn lock(directory: &Path) -> Result<File, Error> {
    let path = directory.join("lock");
    let file = File::create(&path).map_err(Error::file("write", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Running(path)),
        Err(TryLockError::Error(source)) => Err(Error::file("lock", &path)(source)),
    }
}

/// Where a file of lines was broken off.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LastLine {
    /// Behind the last line feed, in bytes.
    pub end: u64,
    /// The last whole line, without its line feed.
    pub line: Vec<u8>,
    /// Whole lines in all.
    pub lines: u64,
}

/// Looks where a file of lines was broken off.
pub fn last_line(file: &File) -> io::Result<LastLine> {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, file);
    let (mut found, mut line) = (LastLine::default(), Vec::new());
    loop {
        line.clear();
        let bytes = reader.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Ok(found);
        }
        found.end += u64::try_from(bytes).unwrap_or(0);
        found.lines += 1;
        std::mem::swap(&mut found.line, &mut line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(out: &Path, resume: bool, plan: &str) -> Result<(Work, String, bool), Error> {
        Work::open(out, resume, plan.to_owned(), |was, now| was == now)
    }

    #[test]
    fn nothing_has_the_final_name_before_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("x.csv");
        let (work, plan, resumed) = open(&out, false, "a").unwrap();
        assert_eq!((plan.as_str(), resumed), ("a", false));
        assert!(matches!(open(&out, true, "a"), Err(Error::Running(_))));
        drop(work);

        assert!(matches!(open(&out, false, "a"), Err(Error::BrokenOff(_))));
        assert!(matches!(open(&out, true, "b"), Err(Error::Other { .. })));
        let (work, _, resumed) = open(&out, true, "a").unwrap();
        assert!(resumed);
        let _path = work.put("rows", |file| file.write_all(b"1\n")).unwrap();
        let torn = work.put("rows", |file| {
            file.write_all(b"2\n")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert!(torn.unwrap_err().to_string().contains("cannot write"));
        assert!(!out.exists());
        let handed_over = work.hand_over("rows", None).unwrap();
        work.finish().unwrap();
        assert_eq!(fs::read(handed_over).unwrap(), b"1\n", "the torn one never took its place");
        assert!(!folder.path().join("x.csv.partial").exists());
        assert!(matches!(open(&out, true, "a"), Err(Error::Exists(_))));
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = open(&file.join("x"), false, "a").unwrap_err().to_string();
        assert!(error.contains("x.partial"), "{error}");
    }

    #[test]
    fn the_last_whole_line_is_found_wherever_a_file_is_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let long = "x".repeat(150_000);
        for (text, expected) in [
            (String::new(), (0, "", 0)),
            ("torn".to_owned(), (0, "", 0)),
            ("one\n".to_owned(), (4, "one", 1)),
            ("one\ntwo\nto".to_owned(), (8, "two", 2)),
            (format!("one\n{long}\n{long}"), (150_005, long.as_str(), 2)),
            (format!("{long}\n"), (150_001, long.as_str(), 1)),
        ] {
            fs::write(&path, &text).unwrap();
            let found = last_line(&File::open(&path).unwrap()).unwrap();
            let line = String::from_utf8(found.line).unwrap();
            assert_eq!((found.end, line.as_str(), found.lines), expected);
        }
    }
}
