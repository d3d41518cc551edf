//! CSV as in RFC 4180: a line of names, then a line for each row.
//!
//! 1. Null is an empty cell; times are RFC 3339 in UTC with microseconds; JSON is text.
//! 2. A spreadsheet takes a text that begins with `=`, `+`, `-`, `@`, tab or return for a formula.
//!    Customers write such texts, so they get an apostrophe in front here. Numbers do not, an amount
//!    such as `-4.50` included, and no other format alters anything.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write};
use std::path::Path;

use chrono::SecondsFormat;

use crate::table::{BadRow, Cell, Column, Kind, Row};

/// Bytes of a file that are read at a time.
const BUFFER_BYTES: usize = 256 * 1024;
/// What makes a formula of a text.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Whether a spreadsheet would run this text.
pub fn is_formula(text: &str) -> bool {
    begins_like_a_formula(text) && !is_below_zero(text)
}

/// Whether it begins as formulas do, be it a number.
pub fn begins_like_a_formula(text: &str) -> bool {
    text.starts_with(FORMULA)
}

/// Whether it is a number as amounts are written, and nothing more: nobody runs that.
fn is_below_zero(text: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    let number = text.strip_prefix('-').unwrap_or_default();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    is_digits(whole) && is_digits(fraction)
}

/// Writes the line of names.
pub fn write_head(columns: &[Column], out: impl Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(
        columns
            .iter()
            .filter(|column| is_shown(column))
            .map(|column| column.name),
    )?;
    writer.flush()
}

/// Writes rows.
pub fn write_rows(
    columns: &[Column],
    rows: impl IntoIterator<Item = Vec<Cell>>,
    out: impl Write,
) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    for row in rows {
        for (column, cell) in columns.iter().zip(&row) {
            if is_shown(column) {
                writer.write_field(shown(cell))?;
            }
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.flush()
}

/// Writes the rows that stand in lines of JSON.
pub fn write_lines(
    columns: &[Column],
    lines: &[u8],
    read: impl Fn(&[u8]) -> Result<Row, BadRow>,
    out: impl Write,
) -> io::Result<()> {
    let rows = lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(read)
        .collect::<Result<Vec<_>, _>>();
    let rows = rows.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    write_rows(columns, rows, out)
}

fn is_shown(column: &Column) -> bool {
    column.kind != Kind::Lines
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Null | Cell::Lines(_) => String::new(),
        Cell::Int(number) => number.to_string(),
        Cell::Text(text) if is_formula(text) => format!("'{text}"),
        Cell::Text(text) => text.clone(),
        Cell::Bool(is) => is.to_string(),
        Cell::Time(at) => at.to_rfc3339_opts(SecondsFormat::Micros, true),
        Cell::Date(day) => day.to_string(),
    }
}

/// How far a file got that was broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BrokenOff {
    /// Where its last whole row ends, in bytes.
    pub end: u64,
    /// The number in the first column of that row; none if there is only the line of names.
    pub last: Option<i64>,
    /// Rows up to there, the line of names not counted.
    pub rows: u64,
}

/// Looks how far a file got. A line feed ends a row only outside of quotes, of which there are two
/// even where one is meant; so the file is read from its beginning.
pub fn broken_off(path: &Path) -> io::Result<BrokenOff> {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
    let (mut found, mut line, mut row) = (BrokenOff::default(), Vec::new(), Vec::new());
    let (mut rows, mut in_quotes) = (0, false);
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(found);
        }
        for byte in &line {
            in_quotes ^= *byte == b'"';
        }
        row.extend_from_slice(&line);
        if line.last() != Some(&b'\n') || in_quotes {
            continue;
        }
        let first = row.split(|byte| *byte == b',').next();
        let first = first.and_then(|cell| std::str::from_utf8(cell).ok());
        found = BrokenOff {
            end: found.end + u64::try_from(row.len()).unwrap_or(0),
            last: first.and_then(|text| text.parse().ok()),
            rows,
        };
        rows += 1;
        row.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column { name: "position", kind: Kind::Int },
        Column { name: "reason", kind: Kind::Text },
        Column { name: "lines", kind: Kind::Lines },
        Column { name: "at", kind: Kind::Time },
    ];

    fn rows() -> Vec<Vec<Cell>> {
        let at = Cell::Time("2026-03-01T12:00:00.1Z".parse().unwrap());
        let row = |position, reason: Cell| {
            vec![Cell::Int(position), reason, Cell::Lines(vec![]), at.clone()]
        };
        vec![
            row(-1, Cell::Text("=1+1".into())),
            row(2, Cell::Text("two\n\"lines\", é".into())),
            row(3, Cell::Null),
        ]
    }

    fn written() -> String {
        let mut out = Vec::new();
        write_head(&COLUMNS, &mut out).unwrap();
        write_rows(&COLUMNS, rows(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rows_are_written_as_spreadsheets_read_them_and_no_text_becomes_a_formula() {
        assert_eq!(
            written(),
            "position,reason,at\n\
             -1,'=1+1,2026-03-01T12:00:00.100000Z\n\
             2,\"two\n\"\"lines\"\", é\",2026-03-01T12:00:00.100000Z\n\
             3,,2026-03-01T12:00:00.100000Z\n"
        );
    }

    #[test]
    fn a_number_is_no_formula_and_whatever_else_begins_like_one_is() {
        for number in ["-4.50", "-1", "-0.001", "4.50", ""] {
            assert!(!is_formula(number), "{number}");
        }
        for text in [
            "-", "-.5", "-1.", "-1+2", "-1.2.3", "--1", "-1 ", "+44", "-A1", "=1", "@x",
        ] {
            assert!(is_formula(text), "{text}");
        }
    }

    #[test]
    fn wherever_a_file_is_broken_off_its_last_whole_row_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        let whole = written();
        let head = whole.find('\n').unwrap() + 1;
        let mut ends = vec![(0, None), (head, None)];
        let mut text = String::from(&whole[..head]);
        for row in rows() {
            let mut out = Vec::new();
            let Cell::Int(position) = row[0] else {
                unreachable!()
            };
            write_rows(&COLUMNS, [row], &mut out).unwrap();
            text += &String::from_utf8(out).unwrap();
            ends.push((text.len(), Some(position)));
        }
        assert_eq!(text, whole);
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole.as_bytes()[..cut]).unwrap();
            let (end, last) = *ends.iter().rfind(|(end, _)| *end <= cut).unwrap();
            let rows = ends.iter().filter(|(end, _)| head < *end && *end <= cut);
            let expected = BrokenOff {
                end: u64::try_from(end).unwrap(),
                last,
                rows: u64::try_from(rows.count()).unwrap(),
            };
            assert_eq!(broken_off(&path).unwrap(), expected, "cut at {cut}");
        }
    }
}
