//! Statements: what a provider that has no list hands out as a file, brought into columns of ours.
//!
//! | column | holds | |
//! | --- | --- | --- |
//! | `reference` | our name at the provider: an attempt's reference, a refund's id | needed |
//! | `amount` | exact decimal of the currency's own unit | needed |
//! | `currency` | ISO 4217 | needed |
//! | `status` | `succeeded`, `pending`, `failed`, `reversed` | needed |
//! | `what` | `payment` (if empty) or `refund` | |
//! | `provider_reference` | the provider's own name | |
//! | `at` | RFC 3339, or a day; has to be among those compared | |

use chrono::{DateTime, NaiveDate, Utc};
use csv::{ByteRecord, ByteRecordsIntoIter, ReaderBuilder, Trim};
use domain::money::Currency;
use gateways::listing::{Span, Standing, Transaction, What};

/// Largest statement in bytes: some 150,000 rows. A longer one is split by day.
pub const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Rows that are compared at a time.
const PAGE_ROWS: usize = 500;
/// Characters of a rejected row that are told.
const TOLD_CHARS_MAX: usize = 500;

/// Columns that have to be there.
const NEEDED: [&str; 4] = ["reference", "amount", "currency", "status"];
/// Columns that may be.
const OPTIONAL: [&str; 3] = ["what", "provider_reference", "at"];

/// A statement whose columns are known to be right; its rows are read as they are compared.
#[derive(Debug)]
pub struct Statement {
    bytes: Vec<u8>,
    columns: Columns,
}

/// Where each column is.
#[derive(Debug, Clone, Default)]
struct Columns {
    count: usize,
    reference: usize,
    amount: usize,
    currency: usize,
    status: usize,
    what: Option<usize>,
    provider_reference: Option<usize>,
    at: Option<usize>,
}

/// Why a file is no statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}; the columns are {}, and if known {}", .0, NEEDED.join(", "), OPTIONAL.join(", "))]
pub struct NoStatement(String);

/// A row that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Line of the file, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
    /// The row, shortened.
    pub row: String,
}

impl Statement {
    /// Reads the first line.
    pub fn of(bytes: Vec<u8>) -> Result<Self, NoStatement> {
        let mut reader = reader(&bytes);
        let headers = reader.byte_headers();
        let headers = headers.map_err(|_| NoStatement("the first line cannot be read".into()))?;
        let mut columns = Columns { count: headers.len(), ..Columns::default() };
        let mut seen = Vec::new();
        for (place, name) in headers.iter().enumerate() {
            let name = String::from_utf8_lossy(name)
                .trim_start_matches('\u{feff}')
                .to_owned();
            if seen.contains(&name) {
                return Err(NoStatement(format!("the column {name:?} is there twice")));
            }
            match name.as_str() {
                "reference" => columns.reference = place,
                "amount" => columns.amount = place,
                "currency" => columns.currency = place,
                "status" => columns.status = place,
                "what" => columns.what = Some(place),
                "provider_reference" => columns.provider_reference = Some(place),
                "at" => columns.at = Some(place),
                _ => return Err(NoStatement(format!("the column {name:?} is not known"))),
            }
            seen.push(name);
        }
        if let Some(missing) = NEEDED
            .iter()
            .find(|name| !seen.iter().any(|it| it == *name))
        {
            return Err(NoStatement(format!("the column {missing:?} is missing")));
        }
        Ok(Self { bytes, columns })
    }

    /// Its rows, some hundreds at a time: those that can be read, and those that cannot.
    pub(super) fn pages(
        &self,
        span: &Span,
    ) -> impl Iterator<Item = (Vec<Transaction>, Vec<Rejected>)> {
        let mut records = reader(&self.bytes).into_byte_records();
        std::iter::from_fn(move || {
            let (mut rows, mut rejected, mut count) = (Vec::new(), Vec::new(), 0);
            while count < PAGE_ROWS {
                let Some((line, record)) = next(&mut records) else {
                    break;
                };
                count += 1;
                match record.and_then(|record| {
                    self.columns
                        .read(&record, span)
                        .map_err(|reason| (reason, shown(&record)))
                }) {
                    Ok(row) => rows.push(row),
                    Err((reason, row)) => rejected.push(Rejected { line, reason, row }),
                }
            }
            (0 < count).then_some((rows, rejected))
        })
    }
}

fn reader(bytes: &[u8]) -> csv::Reader<&[u8]> {
    ReaderBuilder::new()
        .flexible(true)
        .trim(Trim::All)
        .from_reader(bytes)
}

type Record = Result<ByteRecord, (String, String)>;

/// The next record and its line.
fn next(records: &mut ByteRecordsIntoIter<&[u8]>) -> Option<(u64, Record)> {
    let line = records.reader().position().line();
    match records.next()? {
        Ok(record) => {
            let line = record.position().map_or(line, csv::Position::line);
            Some((line, Ok(record)))
        }
        Err(error) => Some((line, Err((error.to_string(), String::new())))),
    }
}

fn shown(record: &ByteRecord) -> String {
    let fields: Vec<_> = record.iter().map(String::from_utf8_lossy).collect();
    fields.join(",").chars().take(TOLD_CHARS_MAX).collect()
}

impl Columns {
    fn read(&self, record: &ByteRecord, span: &Span) -> Result<Transaction, String> {
        if record.len() != self.count {
            return Err(format!("it has {} fields, not {}", record.len(), self.count));
        }
        let text = |place: usize| {
            let field = record.get(place).unwrap_or_default();
            std::str::from_utf8(field).map_err(|_| "it is not UTF-8".to_owned())
        };
        let or_empty = |place: Option<usize>| place.map_or(Ok(""), text);
        let reference = text(self.reference)?;
        if reference.is_empty() {
            return Err("reference is empty".to_owned());
        }
        let what = match or_empty(self.what)? {
            "" | "payment" => What::Payment,
            "refund" => What::Refund,
            other => return Err(format!("what is {other:?}, not payment or refund")),
        };
        let status = text(self.status)?;
        let mut names = Standing::NAMES.iter();
        let standing = names.find(|(name, _)| *name == status).map(|(_, it)| *it);
        let standing = standing.ok_or_else(|| {
            let names = Standing::NAMES.map(|(name, _)| name);
            format!("status is {status:?}, not one of {}", names.join(", "))
        })?;
        let currency = text(self.currency)?;
        let currency: Currency = currency
            .parse()
            .map_err(|_| format!("currency is {currency:?}, which is no ISO 4217 code"))?;
        let transaction = Transaction {
            what,
            reference: Some(reference.to_owned()),
            provider_reference: or_empty(self.provider_reference)?.to_owned(),
            amount: text(self.amount)?.to_owned(),
            currency: Some(currency),
            standing,
            at: within(or_empty(self.at)?, span)?,
        };
        if transaction.money(currency).is_none() {
            let amount = &transaction.amount;
            return Err(format!("amount is {amount:?}, which is no amount of {currency}"));
        }
        Ok(transaction)
    }
}

fn within(text: &str, span: &Span) -> Result<Option<DateTime<Utc>>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let day = text.parse::<NaiveDate>().ok();
    let midnight = day.and_then(|day| day.and_hms_opt(0, 0, 0));
    let at = match midnight {
        Some(midnight) => midnight.and_utc(),
        None => text
            .parse()
            .map_err(|_| format!("at is {text:?}, no time such as 2026-11-21T09:30:00Z or day"))?,
    };
    if at < span.from || span.until <= at {
        return Err(format!("at is {text}, which is none of the days that are compared"));
    }
    Ok(Some(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn november() -> Span {
        let at = |text: &str| text.parse().unwrap();
        Span { from: at("2026-11-01T00:00:00Z"), until: at("2026-12-01T00:00:00Z") }
    }

    fn read(text: &str) -> Result<(Vec<Transaction>, Vec<Rejected>), NoStatement> {
        let statement = Statement::of(text.as_bytes().to_vec())?;
        let (mut rows, mut rejected) = (Vec::new(), Vec::new());
        for (more, bad) in statement.pages(&november()) {
            rows.extend(more);
            rejected.extend(bad);
        }
        Ok((rows, rejected))
    }

    #[test]
    fn rows_are_read_by_the_names_of_their_columns() {
        let (rows, rejected) = read(
            "\u{feff}status, currency,amount,reference,what,at\r\n\
             succeeded,BDT,100.50,A1,,2026-11-21\r\n\
             failed,BDT,7,\"A,2\",payment,2026-11-21T09:30:00+06:00\r\n\
             succeeded,BDT,1,R1,refund,\r\n",
        )
        .unwrap();

        assert_eq!(rejected, []);
        let names: Vec<&str> = rows
            .iter()
            .filter_map(|row| row.reference.as_deref())
            .collect();
        assert_eq!(names, ["A1", "A,2", "R1"]);
        assert_eq!((rows[0].standing, rows[1].standing), (Standing::Succeeded, Standing::Failed));
        assert_eq!((rows[1].what, rows[2].what), (What::Payment, What::Refund));
        assert_eq!(rows[1].at.unwrap().to_rfc3339(), "2026-11-21T03:30:00+00:00");
    }

    #[test]
    fn each_bad_row_says_its_line_and_its_reason_and_the_others_count() {
        let text = "reference,amount,currency,status,at\n\
                    A1,1.00,BDT,succeeded,\n\
                    ,1.00,BDT,succeeded,\n\
                    A2,1.001,BDT,succeeded,\n\
                    A3,1.00,XYZ,succeeded,\n\
                    A4,1.00,BDT,done,\n\
                    A5,1.00,BDT\n\
                    A6,1.00,BDT,succeeded,yesterday\n\
                    A7,1.00,BDT,succeeded,2026-12-01\n\
                    A8,1.00,BDT,succeeded,2026-11-30\n";

        let (rows, rejected) = read(text).unwrap();

        assert_eq!(rows.len(), 2);
        let told: Vec<(u64, &str)> = rejected
            .iter()
            .map(|rejected| (rejected.line, rejected.reason.split(' ').next().unwrap()))
            .collect();
        assert_eq!(
            told,
            [
                (3, "reference"),
                (4, "amount"),
                (5, "currency"),
                (6, "status"),
                (7, "it"),
                (8, "at"),
                (9, "at")
            ]
        );
        assert_eq!(rejected[1].row, "A2,1.001,BDT,succeeded,");
    }

    #[test]
    fn a_file_with_other_columns_is_no_statement() {
        for (text, wrong) in [
            ("", "missing"),
            ("reference,amount,currency\n", "\"status\" is missing"),
            ("reference,amount,currency,status,fee\n", "\"fee\" is not known"),
            ("reference,amount,currency,status,amount\n", "\"amount\" is there twice"),
            ("\u{0}\u{1}PNG", "is not known"),
        ] {
            let told = read(text).unwrap_err().to_string();
            assert!(told.contains(wrong), "{told}");
        }
    }

    #[test]
    fn a_long_statement_comes_in_pages() {
        let mut text = String::from("reference,amount,currency,status\n");
        for n in 0..1_200 {
            text += &["A", &n.to_string(), ",1,BDT,succeeded\n"].concat();
        }
        let statement = Statement::of(text.into_bytes()).unwrap();
        let sizes: Vec<usize> = statement
            .pages(&november())
            .map(|(rows, _)| rows.len())
            .collect();
        assert_eq!(sizes, [500, 500, 200]);
    }
}
