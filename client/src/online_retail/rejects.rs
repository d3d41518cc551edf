//! The file of lines that were not imported: each with its number, its reason and its own fields,
//! so that it can be corrected and imported again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use csv::ByteRecord;

use super::records::Records;
use super::rules::{COLUMNS, order_line};
use super::source;
use crate::Error;

/// Why an order with all its lines was not imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The server's code, or a rule's name.
    pub(super) reason: String,
    pub(super) detail: String,
}

/// Refusals by invoice.
pub(super) type Refusals = BTreeMap<String, Refusal>;

/// The file being written.
pub(super) struct Rejects {
    path: PathBuf,
    writer: csv::Writer<BufWriter<File>>,
}

impl Rejects {
    /// Starts the file anew: it tells about one run.
    pub(super) fn create(path: &Path, source: &Path) -> Result<Self, Error> {
        if same_file(path, source) {
            return Err(Error::RejectsOverSource { path: path.to_owned() });
        }
        let failed = |source| Error::Rejects { path: path.to_owned(), source };
        let file = File::create(path).map_err(failed)?;
        let writer = csv::WriterBuilder::new()
            .flexible(true)
            .from_writer(BufWriter::new(file));
        let mut rejects = Self { path: path.to_owned(), writer };
        let columns = ["line", "reason", "detail"].into_iter().chain(COLUMNS);
        rejects.write_fields(columns)?;
        Ok(rejects)
    }

    /// Adds one line.
    pub(super) fn write(
        &mut self,
        line: u64,
        reason: &str,
        detail: &str,
        record: &ByteRecord,
    ) -> Result<(), Error> {
        let line = line.to_string();
        // Other programs refuse a whole file for one byte that is not UTF-8.
        let fields: Vec<_> = record.iter().map(String::from_utf8_lossy).collect();
        let own = [line.as_str(), reason, detail].into_iter();
        self.write_fields(own.chain(fields.iter().map(AsRef::as_ref)))
    }

    /// Adds all order lines of some invoices, by reading the source again: keeping every line's
    /// fields for the few that are refused would cost far more memory than a second look.
    pub(super) fn write_orders(&mut self, source: &Path, refusals: &Refusals) -> Result<(), Error> {
        if refusals.is_empty() {
            return Ok(());
        }
        let damaged = |error| Error::Damaged { path: source.to_owned(), source: error };
        let mut records = Records::new(source::open(source, |_| ()).map_err(damaged)?);
        let mut record = ByteRecord::new();
        while let Some(found) = records.next(&mut record).map_err(damaged)? {
            if found.flaw.is_some() {
                continue;
            }
            let Ok(line) = order_line(&record) else {
                continue;
            };
            if let Some(refusal) = refusals.get(line.invoice) {
                self.write(found.line, &refusal.reason, &refusal.detail, &record)?;
            }
        }
        Ok(())
    }

    /// Makes sure that what was written can be read.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.writer
            .flush()
            .map_err(|source| Error::Rejects { path: self.path.clone(), source })
    }

    fn write_fields<'a>(&mut self, fields: impl Iterator<Item = &'a str>) -> Result<(), Error> {
        self.writer
            .write_record(fields)
            .map_err(|error| Error::Rejects {
                path: self.path.clone(),
                source: io::Error::other(error),
            })
    }
}

/// Where the rejects go unless told otherwise: `orders.csv.zst` gives `orders.rejects.csv` here.
pub(super) fn default_path(source: &Path) -> PathBuf {
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    let mut stem = name.as_ref();
    for ending in [".zst", ".gz", ".csv"] {
        stem = stem.strip_suffix(ending).unwrap_or(stem);
    }
    PathBuf::from(format!("{stem}.rejects.csv"))
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        (Err(_), _) | (_, Err(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_are_named_after_the_file() {
        let name = |source: &str| default_path(Path::new(source)).display().to_string();

        assert_eq!(name("/data/online_retail.csv.zst"), "online_retail.rejects.csv");
        assert_eq!(name("orders.csv.gz"), "orders.rejects.csv");
        assert_eq!(name("orders"), "orders.rejects.csv");
    }

    #[test]
    fn the_source_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("orders.csv");
        std::fs::write(&source, "precious").unwrap();

        let refused = Rejects::create(&source, &source);

        assert!(matches!(refused, Err(Error::RejectsOverSource { .. })));
        assert_eq!(std::fs::read_to_string(&source).unwrap(), "precious");
    }
}
