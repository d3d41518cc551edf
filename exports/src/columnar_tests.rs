//! Files are read back with the crate's own reader; `scripts/check-parquet.py` asks three others.

use parquet::record::{Field, Row as Record};

use super::*;
use crate::events;

const KINDS: [Column; 8] = [
    Column { name: "position", kind: Kind::Int },
    Column { name: "word", kind: Kind::Word },
    Column { name: "text", kind: Kind::Text },
    Column { name: "is", kind: Kind::Bool },
    Column { name: "at", kind: Kind::Time },
    Column { name: "day", kind: Kind::Date },
    Column { name: "lines", kind: Kind::Lines },
    Column { name: "data", kind: Kind::Json },
];

fn line(number: i64) -> Line {
    Line {
        sku: Some(format!("sku-{number}")),
        name: (number % 2 == 0).then(|| "Tasse für Tee ☕".to_owned()),
        quantity: Some(number),
        unit_price_minor: None,
    }
}

fn row(position: i64, lines: Cell) -> Vec<Cell> {
    vec![
        Cell::Int(position),
        Cell::Text("order".into()),
        Cell::Text("\u{0}Δ'\"\n".into()),
        Cell::Bool(position % 2 == 0),
        Cell::Time("2010-12-01T08:26:00.000001Z".parse().unwrap()),
        Cell::Date("1969-12-31".parse().unwrap()),
        lines,
        Cell::Text(r#"{"a":1}"#.into()),
    ]
}

fn read(path: &Path) -> Vec<Record> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    reader
        .get_row_iter(None)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn field<'r>(record: &'r Record, name: &str) -> &'r Field {
    let found = record.get_column_iter().find(|(column, _)| *column == name);
    found.unwrap().1
}

fn text(text: &str) -> Field {
    Field::Str(text.to_owned())
}

#[test]
fn every_kind_of_cell_is_read_back_and_so_is_every_null() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let mut group = Group::new(&KINDS, 10);
    let many: Vec<Line> = (0..2_000).map(line).collect();
    group.push(row(1, Cell::Lines(many.clone())));
    group.push(vec![Cell::Null; KINDS.len()]);
    group.push(row(3, Cell::Lines(vec![])));
    group.push(row(4, Cell::Lines(vec![line(7)])));
    group.write(File::create(&path).unwrap()).unwrap();
    assert_eq!(group.rows(), 0, "ready for the next");

    let records = read(&path);
    assert_eq!(records.len(), 4);
    let first = &records[0];
    assert_eq!(field(first, "position"), &Field::Long(1));
    assert_eq!(field(first, "word"), &text("order"));
    assert_eq!(field(first, "text"), &text("\u{0}Δ'\"\n"));
    assert_eq!(field(first, "is"), &Field::Bool(false));
    assert_eq!(field(first, "at"), &Field::TimestampMicros(1_291_191_960_000_001));
    assert_eq!(field(first, "day"), &Field::Date(-1));
    assert_eq!(field(first, "data"), &text(r#"{"a":1}"#));
    let lines_of = |record: &Record| match field(record, "lines") {
        Field::ListInternal(list) => list.elements().to_vec(),
        other => panic!("{other:?}"),
    };
    let told = |field: &Field| match field {
        Field::Group(line) => line
            .get_column_iter()
            .map(|(_, field)| field.clone())
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    for (field, line) in lines_of(first).iter().zip(&many) {
        let name = line.name.as_deref().map_or(Field::Null, text);
        let quantity = Field::Long(line.quantity.unwrap());
        assert_eq!(
            told(field),
            [
                text(line.sku.as_ref().unwrap()),
                name,
                quantity,
                Field::Null
            ]
        );
    }
    assert_eq!(lines_of(first).len(), 2_000);
    assert!(
        records[1]
            .get_column_iter()
            .all(|(_, field)| *field == Field::Null)
    );
    assert_eq!(lines_of(&records[2]), [], "an empty list is no null");
    assert_eq!(lines_of(&records[3]).len(), 1);
}

#[test]
fn parts_become_one_file_and_tell_how_far_they_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut parts = Vec::new();
    for part in 0..3 {
        let mut group = Group::new(&KINDS, 10);
        for position in part * 10 + 1..=part * 10 + 10 {
            group.push(row(position, Cell::Lines(vec![line(position)])));
        }
        parts.push(path(&format!("part-{part}")));
        group
            .write(File::create(&parts[parts.len() - 1]).unwrap())
            .unwrap();
    }
    assert_eq!(told_of(&parts[1]).unwrap(), Told { last: Some(20), rows: 10 });
    let about = [("daybook.to", "30".to_owned())];
    let whole = path("whole.parquet");
    join(&KINDS, &parts, &about, File::create(&whole).unwrap()).unwrap();

    let records = read(&whole);
    let positions: Vec<&Field> = records
        .iter()
        .map(|record| field(record, "position"))
        .collect();
    let expected: Vec<Field> = (1..=30).map(Field::Long).collect();
    assert_eq!(positions, expected.iter().collect::<Vec<_>>());
    let reader = SerializedFileReader::new(File::open(&whole).unwrap()).unwrap();
    assert_eq!(reader.metadata().num_row_groups(), 3);

    let empty = path("empty.parquet");
    join(&events::COLUMNS, &[""; 0], &[], File::create(&empty).unwrap()).unwrap();
    assert!(read(&empty).is_empty(), "no rows are a file as well");
    let bytes = std::fs::read(&parts[0]).unwrap();
    std::fs::write(path("torn"), &bytes[..bytes.len() / 2]).unwrap();
    assert!(told_of(&path("torn")).is_err());
}
