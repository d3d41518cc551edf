//! CSV records that survive broken ones.
//!
//! A reader of RFC 4180 takes an unclosed quote for a field that goes on to the next quote, and so
//! loses good lines behind a broken one. Here a record that spans lines is believed only when it
//! has as many fields as the header; otherwise its first line alone is broken, and reading goes on
//! with the second.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use csv::ByteRecord;

use super::rules::{COLUMNS, Reject, Rule};

/// Several times what a line with every field at its bound would take.
const LINE_BYTES_MAX: usize = 1 << 16;
/// A description with line breaks has a few; more is an unclosed quote.
const RECORD_LINES_MAX: usize = 20;

/// Reads one record after the other.
pub(super) struct Records<R> {
    source: R,
    /// Lines read ahead for a record that turned out broken.
    ahead: VecDeque<Line>,
    lines_taken: u64,
}

/// Where a record starts, and what is wrong with it as CSV.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Physical line of the file, from 1.
    pub(super) line: u64,
    pub(super) flaw: Option<Reject>,
}

#[derive(Debug)]
struct Line {
    bytes: Vec<u8>,
    overlong: bool,
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, ahead: VecDeque::new(), lines_taken: 0 }
    }

    /// Fills `record` with the next record, whole or broken; empty lines are none. Fails only when
    /// the file itself cannot be read.
    pub(super) fn next(&mut self, record: &mut ByteRecord) -> io::Result<Option<Found>> {
        let first = loop {
            match self.take()? {
                None => return Ok(None),
                Some(line) if line.bytes.is_empty() && !line.overlong => {}
                Some(line) => break line,
            }
        };
        let line = self.lines_taken;
        if first.overlong {
            let detail = format!("the line is longer than {LINE_BYTES_MAX} bytes");
            split(&first.bytes, record);
            return Ok(Some(Found { line, flaw: Some(Reject::new(Rule::LineTooLong, detail)) }));
        }
        if !ends_within_quotes(&first.bytes) {
            split(&first.bytes, record);
            return Ok(Some(Found { line, flaw: None }));
        }
        if let Some(taken) = self.joined(&first.bytes, record)? {
            self.ahead.drain(..taken);
            self.lines_taken += taken as u64;
            return Ok(Some(Found { line, flaw: None }));
        }
        split(&first.bytes, record);
        let detail = "a quote is opened and never closed".to_owned();
        Ok(Some(Found { line, flaw: Some(Reject::new(Rule::UnclosedQuote, detail)) }))
    }

    /// Tries to end a quoted field on one of the following lines, and says how many it took.
    fn joined(&mut self, first: &[u8], record: &mut ByteRecord) -> io::Result<Option<usize>> {
        let mut text = first.to_vec();
        for further in 1..=RECORD_LINES_MAX {
            if self.ahead.len() < further {
                match self.read_line()? {
                    Some(line) => self.ahead.push_back(line),
                    None => return Ok(None),
                }
            }
            let line = &self.ahead[further - 1];
            if line.overlong || LINE_BYTES_MAX < text.len() + line.bytes.len() {
                return Ok(None);
            }
            text.push(b'\n');
            text.extend_from_slice(&line.bytes);
            if !ends_within_quotes(&text) {
                split(&text, record);
                return Ok((record.len() == COLUMNS.len()).then_some(further));
            }
        }
        Ok(None)
    }

    fn take(&mut self) -> io::Result<Option<Line>> {
        let line = match self.ahead.pop_front() {
            Some(line) => Some(line),
            None => self.read_line()?,
        };
        self.lines_taken += u64::from(line.is_some());
        Ok(line)
    }

    /// The next line of the file without its end, cut at the bound.
    fn read_line(&mut self) -> io::Result<Option<Line>> {
        let mut line = Line { bytes: Vec::new(), overlong: false };
        let mut any = false;
        loop {
            let buffer = match self.source.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                break;
            }
            any = true;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let part = &buffer[..end.unwrap_or(buffer.len())];
            let room = LINE_BYTES_MAX - line.bytes.len();
            line.overlong |= room < part.len();
            line.bytes.extend_from_slice(&part[..part.len().min(room)]);
            let used = end.map_or(buffer.len(), |end| end + 1);
            self.source.consume(used);
            if end.is_some() {
                break;
            }
        }
        if line.bytes.last() == Some(&b'\r') {
            line.bytes.pop();
        }
        Ok(any.then_some(line))
    }
}

/// Whether a quoted field is still open. Quotes inside an unquoted field (`6" PLATE`) are letters.
fn ends_within_quotes(text: &[u8]) -> bool {
    if !text.contains(&b'"') {
        return false;
    }
    let (mut quoted, mut field_starts) = (false, true);
    let mut bytes = text.iter().peekable();
    while let Some(byte) = bytes.next() {
        match (quoted, byte) {
            (true, b'"') if bytes.peek() == Some(&&b'"') => {
                bytes.next();
            }
            (true, b'"') => quoted = false,
            (false, b'"') if field_starts => quoted = true,
            (false, b',') => {
                field_starts = true;
                continue;
            }
            // A letter of its field, quoted or not.
            (true | false, _) => {}
        }
        field_starts = false;
    }
    quoted
}

/// Parses one whole record; broken ones give the fields that can be told apart.
fn split(text: &[u8], record: &mut ByteRecord) {
    record.clear();
    // Nearly all lines have no quote, and a reader for each would cost more than the line.
    if !text.contains(&b'"') {
        for field in text.split(|byte| *byte == b',') {
            record.push_field(field);
        }
        return;
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(text.len() + 1)
        .from_reader(text);
    if !reader.read_byte_record(record).unwrap_or(false) {
        record.clear();
        record.push_field(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<(u64, Vec<String>, Option<Rule>)> {
        let (mut records, mut record) = (Records::new(text), ByteRecord::new());
        let mut found = Vec::new();
        while let Some(Found { line, flaw }) = records.next(&mut record).unwrap() {
            let fields = record
                .iter()
                .map(|field| String::from_utf8_lossy(field).into())
                .collect();
            found.push((line, fields, flaw.map(|flaw| flaw.rule)));
        }
        found
    }

    #[test]
    fn lines_are_numbered_as_an_editor_numbers_them() {
        let text = b"1,2,3,4,5,6,7,8\r\n\r\n1,2,\"a\nb\",4,5,6,7,8\nlast";

        let found = all(text);

        let lines: Vec<_> = found.iter().map(|(line, ..)| *line).collect();
        assert_eq!(lines, [1, 3, 5]);
        assert_eq!(found[1].1[2], "a\nb");
        assert_eq!(found[0].1[7], "8");
        assert!(found.iter().all(|(.., flaw)| flaw.is_none()));
    }

    #[test]
    fn an_unclosed_quote_breaks_its_own_line_only() {
        let text = b"1,2,\"open,4,5,6,7,8\na,b,c,d,e,f,g,h\nA,B,\"C, \"\"D\"\"\",D,E,F,G,H\n";

        let found = all(text);

        assert_eq!(found.len(), 3);
        assert_eq!((found[0].0, found[0].2), (1, Some(Rule::UnclosedQuote)));
        assert_eq!((found[1].0, found[1].1[2].as_str()), (2, "c"));
        assert_eq!((found[2].0, found[2].1[2].as_str(), found[2].2), (3, "C, \"D\"", None));
    }

    #[test]
    fn a_quote_left_open_at_the_end_of_a_long_file_breaks_one_line() {
        let text = ["x,\"y\n".to_owned(), "a,b\n".repeat(50)].concat();

        let found = all(text.as_bytes());

        assert_eq!(found.len(), 51);
        assert_eq!(found.iter().filter(|(.., flaw)| flaw.is_some()).count(), 1);
        assert_eq!(found[50].0, 51);
    }

    #[test]
    fn an_inch_mark_is_a_letter() {
        let found = all(b"1,2,PLATE 6\",4,5,6,7,8\nnext");

        assert_eq!(found[0].1[2], "PLATE 6\"");
        assert_eq!(found[1].0, 2);
    }

    #[test]
    fn an_endless_line_is_cut_and_passed() {
        let text = ["x".repeat(3 * LINE_BYTES_MAX), "\nnext".to_owned()].concat();

        let found = all(text.as_bytes());

        assert_eq!((found[0].0, found[0].2), (1, Some(Rule::LineTooLong)));
        assert_eq!(found[1], (2, vec!["next".to_owned()], None));
    }
}
