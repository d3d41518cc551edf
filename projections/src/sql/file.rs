//! A SQL file: what it says, and which of its parts is which.
//!
//! ```sql
//! -- daybook:tables
//! create table ...;
//! -- daybook:batch
//! insert into ... select ... from batch ...;
//! ```

use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::projection::NAMES;

/// A file of SQL is some pages long; what is larger was put there by mistake.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// Longest name: a schema is called after it, and Postgres cuts names at 63 bytes.
const NAME_CHARS_MAX: usize = 40;
const TABLES: &str = "-- daybook:tables";
const BATCH: &str = "-- daybook:batch";
/// Around what a file says when it is handed to Postgres as a text.
pub(super) const QUOTE: &str = "$daybook_file$";

/// A file's name, and what is in it; or why it is none that can be run.
pub(super) type Read = (String, Result<SqlFile, String>);

/// A SQL file that can be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SqlFile {
    pub(super) name: &'static str,
    pub(super) version: i32,
    /// Makes its tables.
    pub(super) tables: String,
    /// What a batch does to them.
    pub(super) batch: String,
    role: Option<&'static str>,
}

impl SqlFile {
    /// Understands a file; or says why not.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !name.starts_with(|c: char| c.is_ascii_lowercase())
            || !name.chars().all(plain)
            || NAME_CHARS_MAX < name.len()
        {
            return Err(format!(
                "the file's name must be 1 to {NAME_CHARS_MAX} of a-z, 0-9 and _, a letter first"
            ));
        }
        if NAMES.contains(&name) {
            return Err(format!("{name} is the name of one of Daybook's own read models"));
        }
        if text.contains(QUOTE) || text.contains('\0') {
            return Err(format!("the file must not contain {QUOTE} or NUL"));
        }
        let line = |marker: &str| {
            let mut at = text.match_indices(marker).map(|(at, _)| at);
            let first = at.find(|at| *at == 0 || text.as_bytes()[at - 1] == b'\n');
            first.ok_or_else(|| format!("the file has no line `{marker}`"))
        };
        let (tables, batch) = (line(TABLES)?, line(BATCH)?);
        if batch < tables {
            return Err(format!("`{BATCH}` must come after `{TABLES}`"));
        }
        Ok(Self {
            name: String::from(name).leak(),
            version: version_of(&text[tables..]),
            tables: text[tables..batch].to_owned(),
            batch: text[batch..].to_owned(),
            role: None,
        })
    }

    /// The same, to be run as somebody who may do nothing else.
    pub(super) fn run_as(self, role: Option<&'static str>) -> Self {
        Self { role, ..self }
    }

    pub(super) fn role(&self) -> Option<&'static str> {
        self.role
    }

    pub(super) fn schema(&self) -> String {
        format!("own_{}", self.name)
    }
}

/// The files of a directory, in order of their names, each understood or not.
pub(super) fn all(directory: &Path, files_max: usize) -> Result<Vec<Read>, Error> {
    let unreadable = |source| Error::Directory { path: directory.to_owned(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == "sql") {
            names.push((entry.file_name().to_string_lossy().into_owned(), path));
        }
    }
    names.sort();
    let read = |index: usize, name: &str, path: &Path| {
        if files_max <= index {
            return Err(format!("there are more than {files_max} files; this one is left out"));
        }
        let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
        if FILE_BYTES_MAX < size {
            return Err(format!("the file is larger than {FILE_BYTES_MAX} bytes"));
        }
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        SqlFile::parse(name.strip_suffix(".sql").unwrap_or(name), &text)
    };
    Ok(names
        .into_iter()
        .enumerate()
        .map(|(index, (name, path))| {
            let file = read(index, &name, &path);
            (name, file)
        })
        .collect())
}

/// Another text is another version (FNV-1a): its tables are made and filled anew.
fn version_of(text: &str) -> i32 {
    let hash = text
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    i32::from_ne_bytes(hash.to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "-- What for.\n-- daybook:tables\ncreate table a (b int);\n\
                        -- daybook:batch\ninsert into a select 1 from batch;\n";

    #[test]
    fn a_file_has_two_parts_and_a_version_of_its_own() {
        let file = SqlFile::parse("mine", TEXT).unwrap();
        assert!(file.tables.contains("create table a"));
        assert!(file.batch.contains("insert into a") && !file.batch.contains("create"));
        assert_eq!(file.schema(), "own_mine");
        let commented = SqlFile::parse("mine", &TEXT.replace("What for", "Why")).unwrap();
        assert_eq!(commented.version, file.version, "what stands before it is for people");
        let changed = SqlFile::parse("mine", &TEXT.replace("select 1", "select 2")).unwrap();
        assert_ne!(changed.version, file.version);
    }

    #[test]
    fn what_is_none_says_what_is_missing() {
        for (name, text, why) in [
            ("Mine", TEXT, "a-z"),
            ("1st", TEXT, "a letter first"),
            ("a; drop schema read", TEXT, "a-z"),
            ("orders", TEXT, "Daybook's own"),
            ("mine", "select 1", "-- daybook:tables"),
            ("mine", "-- daybook:tables\nselect '-- daybook:batch'", "-- daybook:batch"),
            ("mine", "-- daybook:batch\n-- daybook:tables\n", "must come after"),
            ("mine", "-- daybook:tables\n$daybook_file$", "must not contain"),
        ] {
            let refused = SqlFile::parse(name, text).unwrap_err();
            assert!(refused.contains(why), "{name}: {refused}");
        }
    }
}
