//! Where lines go: a file of lines, CSV, or parts of Parquet, and how each is gone on with.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use exports::columnar::{self, Group};
use exports::table::{self, BadRow, Column, Row};
use exports::work::{self, Work};
use exports::{delimited, events};

use super::plan::Plan;
use super::{Error, Format};

/// What the file of rows is called while it grows, and then the whole Parquet file.
const ROWS: &str = "rows";
/// What names of parts begin with.
const PART: &str = "part-";

/// What a row is read from its line by.
type Read = Box<dyn Fn(&[u8]) -> Result<Row, BadRow> + Send>;

pub(super) struct Sink {
    columns: Vec<Column>,
    read: Read,
    /// Whether lines have positions, and so tell how far it is.
    of_events: bool,
    rows: u64,
    to: To,
}

enum To {
    Lines(Growing),
    Csv(Growing),
    Parquet(Parts),
}

/// What is finished, and only has to be put in its place.
pub(super) struct Done {
    pub(super) name: &'static str,
    pub(super) rows: u64,
}

/// A file that lines are appended to.
struct Growing {
    path: PathBuf,
    file: BufWriter<File>,
}

/// Files of one row group each.
struct Parts {
    /// Where they are made.
    directory: PathBuf,
    count: u64,
    group: Group,
}

impl Sink {
    /// For events; and the position of the last one that is there already.
    pub(super) fn of_events(
        work: &Work,
        plan: &Plan,
        resumed: bool,
    ) -> Result<(Self, Option<i64>), Error> {
        let columns = events::COLUMNS.to_vec();
        let (to, there) = if resumed {
            To::gone_on_with(work, plan, &columns)?
        } else {
            (To::new(work, plan, &columns)?, There::default())
        };
        let read: Read = Box::new(events::row);
        let sink = Self { columns, read, of_events: true, rows: there.rows, to };
        Ok((sink, there.last))
    }

    /// For the rows of a read model, from the first on.
    pub(super) fn of_rows(work: &Work, plan: &Plan, columns: Vec<Column>) -> Result<Self, Error> {
        for part in work.files(PART)? {
            std::fs::remove_file(&part).map_err(work::Error::file("remove", &part))?;
        }
        let to = To::new(work, plan, &columns)?;
        let of = columns.clone();
        let read: Read = Box::new(move |line| table::row(&of, line));
        Ok(Self { columns, read, of_events: false, rows: 0, to })
    }

    /// Takes whole lines; the position of the last, where lines have one.
    pub(super) fn take(&mut self, lines: &[u8]) -> Result<Option<i64>, Error> {
        let each = || {
            lines
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
        };
        let last = match (self.of_events, each().next_back()) {
            (true, Some(last)) => Some(events::position(last)?),
            _ => None,
        };
        match &mut self.to {
            To::Lines(growing) => growing.write(|file| file.write_all(lines))?,
            To::Csv(growing) => {
                let rows = each().map(&self.read).collect::<Result<Vec<_>, _>>()?;
                let columns = &self.columns;
                growing.write(|file| delimited::write_rows(columns, rows, file))?;
            }
            To::Parquet(parts) => {
                for line in each() {
                    parts.group.push((self.read)(line)?);
                    if parts.group.is_full() {
                        parts.write()?;
                    }
                }
            }
        }
        self.rows += u64::try_from(each().count()).unwrap_or(0);
        Ok(last)
    }

    /// Gives the system what is buffered, so that it outlives this process.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        match &mut self.to {
            To::Lines(growing) | To::Csv(growing) => growing.write(io::Write::flush),
            // A group that is not full yet is read again.
            To::Parquet(_) => Ok(()),
        }
    }

    /// Makes one file of it, which only has to be put in its place.
    pub(super) fn finish(mut self, work: &Work, about: &[(&str, String)]) -> Result<Done, Error> {
        self.flush()?;
        if let To::Parquet(mut parts) = self.to {
            if parts.group.rows() != 0 {
                parts.write()?;
            }
            let path = work.path(ROWS);
            let failed = |source| Error::Parquet { path: path.clone(), source };
            let file = File::create(&path).map_err(work::Error::file("write", &path))?;
            let all = work.files(PART)?;
            columnar::join(&self.columns, &all, about, file).map_err(failed)?;
        }
        Ok(Done { name: ROWS, rows: self.rows })
    }
}

/// What an earlier start has left.
#[derive(Default)]
struct There {
    last: Option<i64>,
    rows: u64,
}

impl To {
    fn new(work: &Work, plan: &Plan, columns: &[Column]) -> Result<Self, Error> {
        Ok(match plan.format {
            Format::Ndjson => Self::Lines(Growing::cut_to(work, 0)?),
            Format::Csv => {
                let mut growing = Growing::cut_to(work, 0)?;
                growing.write(|file| delimited::write_head(columns, file))?;
                Self::Csv(growing)
            }
            Format::Parquet => Self::Parquet(Parts {
                directory: work.path(""),
                count: 0,
                group: Group::new(columns, plan.group_rows),
            }),
        })
    }

    fn gone_on_with(work: &Work, plan: &Plan, columns: &[Column]) -> Result<(Self, There), Error> {
        let path = work.path(ROWS);
        let unreadable = |_| work::Error::Unreadable(path.clone());
        let begin = || Ok((Self::new(work, plan, columns)?, There::default()));
        match plan.format {
            Format::Ndjson | Format::Csv if !path.exists() => begin(),
            Format::Ndjson => {
                let file = File::open(&path).map_err(work::Error::file("read", &path))?;
                let there = work::last_line(&file).map_err(work::Error::file("read", &path))?;
                if there.line.is_empty() {
                    return begin();
                }
                let last = events::position(&there.line).map_err(unreadable)?;
                let growing = Growing::cut_to(work, there.end)?;
                Ok((Self::Lines(growing), There { last: Some(last), rows: there.lines }))
            }
            Format::Csv => {
                let there =
                    delimited::broken_off(&path).map_err(work::Error::file("read", &path))?;
                if there.last.is_none() {
                    return begin();
                }
                let growing = Growing::cut_to(work, there.end)?;
                Ok((Self::Csv(growing), There { last: there.last, rows: there.rows }))
            }
            Format::Parquet => {
                let parts = work.files(PART)?;
                let mut there = There::default();
                for part in &parts {
                    let told = columnar::told_of(part)
                        .map_err(|_| work::Error::Unreadable(part.clone()))?;
                    there = There { last: told.last, rows: there.rows + told.rows };
                }
                let Self::Parquet(mut into) = Self::new(work, plan, columns)? else {
                    unreachable!("the format is the same");
                };
                into.count = u64::try_from(parts.len()).unwrap_or(0);
                Ok((Self::Parquet(into), there))
            }
        }
    }
}

impl Growing {
    /// The file of rows, without what is behind its last whole one.
    fn cut_to(work: &Work, bytes: u64) -> Result<Self, Error> {
        let path = work.path(ROWS);
        let open = || {
            let mut file = File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)?;
            file.set_len(bytes)?;
            file.seek(SeekFrom::Start(bytes))?;
            Ok(BufWriter::new(file))
        };
        let file = open().map_err(work::Error::file("write", &path))?;
        Ok(Self { path, file })
    }

    fn write(
        &mut self,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<(), Error> {
        Ok(write(&mut self.file).map_err(work::Error::file("write", &self.path))?)
    }
}

impl Parts {
    /// Makes a part of the group; it is complete or absent.
    fn write(&mut self) -> Result<(), Error> {
        self.count += 1;
        let path = self.directory.join(format!("{PART}{:06}", self.count));
        let draft = path.with_added_extension(work::DRAFT);
        let file = File::create(&draft).map_err(work::Error::file("write", &draft))?;
        let written = self.group.write(BufWriter::new(&file));
        written.map_err(|source| Error::Parquet { path: draft.clone(), source })?;
        let put = || {
            file.sync_all()?;
            std::fs::rename(&draft, &path)
        };
        Ok(put().map_err(work::Error::file("write", &path))?)
    }
}
