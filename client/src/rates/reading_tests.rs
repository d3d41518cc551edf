//! Files of the ECB as they are published, and as they come when something has gone wrong.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use super::*;

const DAILY: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<gesmes:Envelope xmlns:gesmes=\"http://www.gesmes.org/xml/2002-08-01\" xmlns=\"http://www.ecb.int/vocabulary/2002-08-01/eurofxref\">
\t<gesmes:subject>Reference rates</gesmes:subject>
\t<gesmes:Sender>
\t\t<gesmes:name>European Central Bank</gesmes:name>
\t</gesmes:Sender>
\t<Cube>
\t\t<Cube time='2026-11-26'>
\t\t\t<Cube currency='USD' rate='1.0834'/>
\t\t\t<Cube currency='JPY' rate='164.35'/>
\t\t</Cube>
\t</Cube>
</gesmes:Envelope>";

const WIDE: &str = "Date,USD,JPY,CYP,
2026-11-26,1.0834,164.35,N/A,
2026-11-25,1.0811,163.90,,
";

fn rates(day: &Day) -> Vec<(usize, &str, &str)> {
    let rates = day.rates.iter();
    rates
        .map(|rate| (rate.line, rate.currency.as_str(), rate.per_eur.as_str()))
        .collect()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn the_xml_of_a_day_and_of_ninety_is_read_by_line() {
    let (days, unread) = read(DAILY, "ECB");
    assert_eq!((days.len(), unread), (1, vec![]));
    assert_eq!((days[0].date, days[0].source.as_str()), (day("2026-11-26"), "ECB"));
    assert_eq!(rates(&days[0]), [(9, "USD", "1.0834"), (10, "JPY", "164.35")]);

    let many = "<Envelope><Cube><Cube time=\"2026-11-26\"><Cube currency=\"USD\" rate=\"1.0834\"/>\
        </Cube><Cube time=\"2026-11-25\"><Cube currency=\"USD\" rate=\"1.0811\"/></Cube></Cube>\
        </Envelope>";
    let (days, unread) = read(many, "ECB");
    assert_eq!(unread, []);
    let dates: Vec<NaiveDate> = days.iter().map(|day| day.date).collect();
    assert_eq!(dates, [day("2026-11-26"), day("2026-11-25")]);
}

#[test]
fn the_wide_csv_is_read_and_what_was_not_quoted_is_no_rate() {
    let (days, unread) = read(WIDE, "ECB");
    assert_eq!((days.len(), unread), (2, vec![]));
    assert_eq!(rates(&days[0]), [(2, "USD", "1.0834"), (2, "JPY", "164.35")]);
    assert_eq!(rates(&days[1]), [(3, "USD", "1.0811"), (3, "JPY", "163.90")]);

    let daily = "\u{feff}Date, USD, JPY, \n26 November 2026, 1.0834, 164.35, \n";
    let (days, unread) = read(daily, "ECB");
    assert_eq!(unread, []);
    assert_eq!((days[0].date, rates(&days[0]).len()), (day("2026-11-26"), 2));
}

#[test]
fn json_says_its_own_source_and_may_hold_several_days() {
    let one = r#"{"date": "2026-11-26", "source": "CBN",
        "rates": [{"currency": "NGN", "per_eur": "1650.50"}]}"#;
    let (days, unread) = read(one, "ECB");
    assert_eq!(unread, []);
    assert_eq!((days[0].source.as_str(), rates(&days[0])), ("CBN", vec![(1, "NGN", "1650.50")]));
    let (days, unread) = read(&format!("[{one}, {one}]"), "ECB");
    assert_eq!((days.len(), unread), (2, vec![]));

    for (garbage, line) in [
        ("{\n\"date\": \"2026-13-26\", \"rates\": []}", 2),
        (
            r#"{"date": "2026-11-26", "rates": [{"currency": "NGN", "per_eur": 1650.5}]}"#,
            1,
        ),
        ("[\n\n{]", 3),
    ] {
        let (days, unread) = read(garbage, "ECB");
        assert!(days.is_empty() && unread.len() == 1, "{garbage}: {unread:?}");
        assert_eq!(unread[0].line, line, "{unread:?}");
    }
}

#[test]
fn garbage_is_named_by_its_line_and_the_rest_is_read() {
    let csv = WIDE.replace("2026-11-26", "yesterday") + "2026-11-24,1,2,3,4,5\n2026-11-23,1.07,,\n";
    let (days, unread) = read(&csv, "ECB");
    let lines: Vec<usize> = unread.iter().map(|row| row.line).collect();
    assert_eq!(lines, [2, 4], "{unread:?}");
    assert_eq!(days.len(), 2);

    let xml = DAILY
        .replace("rate='164.35'", "")
        .replace("</gesmes:Envelope>", "<Cube time='soon'><Cube currency='USD' rate='1'/></Cube>");
    let (days, unread) = read(&xml, "ECB");
    assert_eq!(rates(&days[0]), [(9, "USD", "1.0834")]);
    let lines: Vec<usize> = unread.iter().map(|row| row.line).collect();
    assert_eq!(lines.first(), Some(&10), "{unread:?}");
    assert!(
        unread
            .iter()
            .any(|row| row.line == 13 && row.what.contains("soon")),
        "{unread:?}"
    );

    let broken = DAILY.replace("</Cube>", "</Cub>");
    let (days, unread) = read(&broken, "ECB");
    assert_eq!((days.len(), unread.len()), (1, 1), "{unread:?}");
    let loose = "<Cube currency='USD' rate='1.0834'/>";
    assert!(read(loose, "ECB").1[0].what.contains("of no day"));

    for nothing in ["", " \n", "<html></html>", "Date,USD\n"] {
        let (days, unread) = read(nothing, "ECB");
        assert_eq!((days, unread), (vec![], vec![]), "{nothing:?}");
    }
    let (days, unread) = read("hello\nworld\n", "ECB");
    assert_eq!((days.len(), unread.len()), (0, 1), "no line is read by a wrong heading");
}

/// Files with random changes: whatever comes, nothing panics, every place lies in the file, and what
/// was not touched is read as before.
#[test]
fn whatever_a_file_holds_it_is_read_or_named() {
    let seed = std::env::var("DAYBOOK_TEST_SEED").ok();
    let seed = seed.and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    eprintln!("to repeat: DAYBOOK_TEST_SEED={seed}");
    let mut chance = Chance(seed | 1);
    let json = r#"[{"date": "2026-11-26", "rates": [{"currency": "NGN", "per_eur": "1650.50"}]}]"#;
    for round in 0..3_000 {
        let mut bytes = [DAILY, WIDE, json][round % 3].as_bytes().to_vec();
        for _ in 0..=chance.below(6) {
            let at = chance.below(bytes.len());
            match chance.below(4) {
                _ if bytes.is_empty() => break,
                0 => bytes[at] = u8::try_from(chance.below(256)).unwrap(),
                1 => _ = bytes.remove(at),
                2 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, b"<>'\",\n&{}0"[chance.below(10)]),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().count() + 1;
        let (days, unread) = read(&text, "ECB");
        let rates = days.iter().flat_map(|day| &day.rates);
        for line in rates
            .map(|rate| rate.line)
            .chain(unread.iter().map(|row| row.line))
        {
            assert!(line <= lines, "line {line} of {lines}, seed {seed}: {text}");
        }
    }
}

/// Xorshift: small, and the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (end.max(1) as u64)).unwrap()
    }
}
