//! Reads the whole file before anything is sent: stock has to be there before the orders that
//! sell it, and a damaged file should not be half imported.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use csv::ByteRecord;

use super::history::{Gathering, History, LINES_MAX, Oversized};
use super::records::Records;
use super::rejects::{Refusal, Refusals, Rejects};
use super::rules::{COLUMNS, Reject, Rule, order_line};
use super::source;
use crate::Error;
use crate::progress::Phase;

/// What the file tells.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) history: History,
    pub(super) lines: u64,
    /// Lines that are no order lines, by reason.
    pub(super) rejected: BTreeMap<String, u64>,
}

/// Reads all lines, and writes those that are not imported to `rejects`.
pub(super) fn read(path: &Path, rejects: &mut Rejects) -> Result<Reading, Error> {
    let unopenable = |source| Error::Unopenable { path: path.to_owned(), source };
    let damaged = |source| Error::Damaged { path: path.to_owned(), source };

    let bytes = std::fs::metadata(path).map_err(unopenable)?.len();
    let phase = Rc::new(Phase::start_bytes("reading", bytes));
    let counted = Rc::clone(&phase);
    let source = source::open(path, move |bytes| counted.advance(bytes)).map_err(unopenable)?;
    let mut records = Records::new(source);
    let mut record = ByteRecord::new();

    let header = records.next(&mut record).map_err(damaged)?;
    if header.is_none_or(|found| found.flaw.is_some()) || !is_header(&record) {
        return Err(Error::OtherColumns {
            path: path.to_owned(),
            expected: COLUMNS.join(","),
            found: shown(&record),
        });
    }

    let mut gathering = Gathering::default();
    let mut lines = 0;
    let mut rejected = BTreeMap::new();
    while let Some(found) = records.next(&mut record).map_err(damaged)? {
        lines += 1;
        match found.flaw.map_or_else(|| order_line(&record), Err) {
            Ok(line) => gathering.add(&line),
            Err(Reject { rule, detail }) => {
                *rejected.entry(rule.name().to_owned()).or_default() += 1;
                rejects.write(found.line, rule.name(), &detail, &record)?;
            }
        }
    }

    let (history, oversized) = gathering.finish();
    let surplus: usize = oversized.values().sum();
    if surplus != 0 {
        rejected.insert(Rule::TooManyLines.name().to_owned(), surplus as u64);
    }
    rejects.write_orders(path, &refusals(oversized))?;
    rejects.flush()?;
    phase.finish();
    Ok(Reading { history, lines, rejected })
}

fn refusals(oversized: Oversized) -> Refusals {
    let refusal = |lines| Refusal {
        reason: Rule::TooManyLines.name().to_owned(),
        detail: format!("the invoice has {lines} lines, and an order has at most {LINES_MAX}"),
    };
    oversized
        .into_iter()
        .map(|(invoice, lines)| (invoice, refusal(lines)))
        .collect()
}

fn is_header(record: &ByteRecord) -> bool {
    let mut fields = record.iter();
    // Spreadsheets put a byte order mark before the first name.
    let first = fields
        .next()
        .map(|name| name.strip_prefix(b"\xef\xbb\xbf").unwrap_or(name));
    first == Some(COLUMNS[0].as_bytes())
        && fields.eq(COLUMNS[1..].iter().map(|name| name.as_bytes()))
}

/// As much of the first line as fits a sentence.
fn shown(record: &ByteRecord) -> String {
    const CHARS_MAX: usize = 120;
    let fields: Vec<_> = record.iter().map(String::from_utf8_lossy).collect();
    fields.join(",").chars().take(CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const HEADER: &str =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

    /// Gives the reading, and the rejects file.
    fn read_text(text: &str) -> Result<(Reading, String), Error> {
        let folder = tempfile::tempdir().unwrap();
        let (path, rejects) = (folder.path().join("orders.csv"), folder.path().join("rejects.csv"));
        fs::write(&path, text).unwrap();
        let reading = read(&path, &mut Rejects::create(&rejects, &path)?)?;
        Ok((reading, fs::read_to_string(&rejects).unwrap()))
    }

    fn line(invoice: &str, sku: &str, time: &str) -> String {
        format!("{invoice},{sku},MUG,2,2011-01-{time},1.5,17850.0,France\n")
    }

    fn invoices(history: &History) -> Vec<&str> {
        history
            .orders
            .iter()
            .map(|order| order.invoice.as_ref())
            .collect()
    }

    #[test]
    fn orders_are_sorted_by_time_then_by_number() {
        let text = [
            HEADER,
            &line("100010", "A", "02 10:00:00"),
            &line("100009", "A", "02 10:00:00"),
            &line("99999", "A", "02 10:00:00"),
            &line("100011", "A", "01 10:00:00"),
        ];

        let (reading, _) = read_text(&text.concat()).unwrap();

        assert_eq!(invoices(&reading.history), ["100011", "99999", "100009", "100010"]);
    }

    #[test]
    fn the_first_line_of_an_invoice_decides_on_its_time() {
        let text = [
            HEADER,
            &line("2", "A", "01 10:05:00"),
            &line("1", "A", "01 10:06:00"),
            &line("2", "B", "01 10:07:00"),
        ];

        let (reading, _) = read_text(&text.concat()).unwrap();

        assert_eq!(invoices(&reading.history), ["2", "1"]);
        let first = &reading.history.orders[0];
        assert_eq!(first.placed_at.to_string(), "2011-01-01 10:05:00");
        assert_eq!(first.lines.len(), 2);
    }

    #[test]
    fn equal_lines_are_two_lines_and_codes_keep_their_case() {
        let twice = line("1", "15056bl", "01 10:00:00");
        let text = [HEADER, &twice, &twice, &line("1", "15056BL", "01 10:00:00")];

        let (reading, _) = read_text(&text.concat()).unwrap();

        let order = &reading.history.orders[0];
        assert_eq!((order.lines.len(), order.units(), order.total_pence()), (3, 6, 900));
        let codes: Vec<_> = reading
            .history
            .products(1)
            .iter()
            .map(|product| product.sku)
            .collect();
        assert_eq!(codes, ["15056BL", "15056bl"]);
    }

    #[test]
    fn accepted_and_rejected_lines_add_up_and_rejects_keep_their_fields() {
        let text = [
            HEADER,
            &line("1", "A", "01 10:00:00"),
            "C2,A,\"MUG, RED\",-1,2011-01-01 10:00:00,1.5,,France\n",
            "broken\n",
            "3,A,\"MUG,2,2011-01-01 10:00:00,1.5,,France\n",
            &line("4", "A", "02 10:00:00"),
        ];

        let (reading, rejects) = read_text(&text.concat()).unwrap();

        let accepted: usize = reading
            .history
            .orders
            .iter()
            .map(|order| order.lines.len())
            .sum();
        assert_eq!((reading.lines, accepted), (5, 2));
        assert_eq!(reading.rejected.values().sum::<u64>(), 3);
        let mut rows = rejects.lines();
        assert!(
            rows.next()
                .unwrap()
                .starts_with("line,reason,detail,InvoiceNo,StockCode,")
        );
        let row = "3,credit_note,the invoice starts with C,C2,A,\"MUG, RED\",-1,";
        assert!(rows.next().unwrap().starts_with(row), "{rejects}");
        assert!(
            rows.next()
                .unwrap()
                .starts_with("4,wrong_number_of_fields,"),
            "{rejects}"
        );
        assert!(rows.next().unwrap().starts_with("5,unclosed_quote,"), "{rejects}");
        assert_eq!(rows.next(), None);
    }

    #[test]
    fn an_invoice_beyond_the_bound_is_left_out_as_a_whole() {
        let text = [
            HEADER.to_owned(),
            line("1", "A", "01 10:00:00").repeat(LINES_MAX + 1),
            line("2", "A", "01 10:00:00").repeat(LINES_MAX),
        ];

        let (reading, rejects) = read_text(&text.concat()).unwrap();

        assert_eq!(invoices(&reading.history), ["2"]);
        assert_eq!(reading.rejected["too_many_lines"], LINES_MAX as u64 + 1);
        assert_eq!(rejects.lines().count(), 1 + LINES_MAX + 1);
        assert_eq!(reading.lines, 2 * LINES_MAX as u64 + 1);
    }

    #[test]
    fn a_product_has_its_last_price_and_its_last_name() {
        let text = [
            HEADER,
            "2,A,,1,2011-01-02 10:00:00,3.0,,France\n",
            "1,A,MUG ,1,2011-01-01 10:00:00,2.0,,France\n",
            "1,B,,1,2011-01-01 10:00:00,1.0,,France\n",
        ];

        let (reading, _) = read_text(&text.concat()).unwrap();

        let products = reading.history.products(2);
        assert_eq!((products[0].name, products[0].price_pence), ("MUG", 300));
        assert_eq!((products[1].name, products[1].price_pence), ("B", 100));
        assert_eq!(reading.history.products(1)[0], products[0]);
    }

    #[test]
    fn another_kind_of_file_is_named_as_such() {
        for text in ["", "a,b,c\n1,2,3\n", &HEADER[1..], "\"InvoiceNo\n"] {
            assert!(matches!(read_text(text), Err(Error::OtherColumns { .. })), "{text:?}");
        }
        assert!(read_text(&format!("\u{feff}{HEADER}")).is_ok());
        assert!(read_text(&HEADER.replace('\n', "\r\n")).is_ok());
    }
}
