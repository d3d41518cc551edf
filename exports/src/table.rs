//! A table as every format writes it: named, typed columns, and rows of cells.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name, in every format.
    pub name: &'static str,
    /// What its cells hold, unless they hold nothing.
    pub kind: Kind,
}

/// What the cells of a column hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number of 64 bits.
    Int,
    /// Text of which a column has few different ones, or many equal ones beside each other.
    Word,
    /// Text.
    Text,
    /// JSON as text.
    Json,
    /// Yes or no.
    Bool,
    /// An instant in UTC, to the microsecond.
    Time,
    /// A day.
    Date,
    /// The lines of an order, nested; formats that cannot nest leave the column out.
    Lines,
}

/// What one row holds in one column.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// Of [`Kind::Int`].
    Int(i64),
    /// Of [`Kind::Word`], [`Kind::Text`] and [`Kind::Json`].
    Text(String),
    /// Of [`Kind::Bool`].
    Bool(bool),
    /// Of [`Kind::Time`].
    Time(DateTime<Utc>),
    /// Of [`Kind::Date`].
    Date(NaiveDate),
    /// Of [`Kind::Lines`].
    Lines(Vec<Line>),
}

/// One article of an order, as far as it can be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line {
    /// The article.
    pub sku: Option<String>,
    /// Its name when it was ordered.
    pub name: Option<String>,
    /// Pieces.
    pub quantity: Option<i64>,
    /// Price of one piece in minor units.
    pub unit_price_minor: Option<i64>,
}

/// The cells of a row, one for each column.
pub type Row = Vec<Cell>;

/// A line that is no row of the table.
#[derive(Debug, thiserror::Error)]
#[error("a row cannot be read: {0}")]
pub struct BadRow(pub String);

impl From<serde_json::Error> for BadRow {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// Reads a row from a JSON object that has a member for each column. What is missing, or is not of
/// the column's kind, is null: a table says less rather than something else.
pub fn row(columns: &[Column], line: &[u8]) -> Result<Row, BadRow> {
    let object: Value = serde_json::from_slice(line)?;
    if !object.is_object() {
        return Err(BadRow("it is no JSON object".to_owned()));
    }
    Ok(cells(columns, &object))
}

/// The same of an object that is no text yet.
pub fn cells(columns: &[Column], object: &Value) -> Row {
    let cells = columns.iter();
    cells
        .map(|column| cell(column.kind, &object[column.name]))
        .collect()
}

/// A JSON value as a cell of this kind.
pub(crate) fn cell(kind: Kind, value: &Value) -> Cell {
    let of_text = |read: fn(&str) -> Option<Cell>| value.as_str().and_then(read);
    let cell = match kind {
        Kind::Int => value.as_i64().map(Cell::Int),
        Kind::Word | Kind::Text => of_text(|text| Some(Cell::Text(text.to_owned()))),
        Kind::Json => (!value.is_null()).then(|| Cell::Text(value.to_string())),
        Kind::Bool => value.as_bool().map(Cell::Bool),
        Kind::Time => of_text(|text| Some(Cell::Time(instant(text)?))),
        Kind::Date => of_text(|text| text.parse().ok().map(Cell::Date)),
        Kind::Lines => value
            .as_array()
            .map(|lines| Cell::Lines(lines.iter().map(line).collect())),
    };
    cell.unwrap_or(Cell::Null)
}

pub(crate) fn instant(text: &str) -> Option<DateTime<Utc>> {
    let at = DateTime::parse_from_rfc3339(text).ok()?;
    Some(at.with_timezone(&Utc))
}

fn line(value: &Value) -> Line {
    let text = |name: &str| value[name].as_str().map(ToOwned::to_owned);
    Line {
        sku: text("sku"),
        name: text("name"),
        quantity: value["quantity"].as_i64(),
        unit_price_minor: value["unit_price_minor"].as_i64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_typed_cells_and_what_does_not_fit_becomes_nothing() {
        let kinds = [
            ("a", Kind::Int),
            ("b", Kind::Text),
            ("c", Kind::Json),
            ("d", Kind::Bool),
            ("e", Kind::Time),
            ("f", Kind::Date),
        ];
        let columns = kinds.map(|(name, kind)| Column { name, kind });
        let at = "2010-12-01T08:26:00.000001Z";
        let whole = r#"{"a":-3,"b":"é","c":{"x":1},"d":true,"e":"2010-12-01T09:26:00.000001+01:00",
            "f":"2010-12-01","g":"nobody asks"}"#;
        assert_eq!(
            row(&columns, whole.as_bytes()).unwrap(),
            [
                Cell::Int(-3),
                Cell::Text("é".into()),
                Cell::Text(r#"{"x":1}"#.into()),
                Cell::Bool(true),
                Cell::Time(at.parse().unwrap()),
                Cell::Date("2010-12-01".parse().unwrap()),
            ]
        );
        let odd = r#"{"a":18446744073709551615,"b":{"enc":"x"},"d":1,"e":"noon","f":null}"#;
        assert_eq!(row(&columns, odd.as_bytes()).unwrap(), vec![Cell::Null; 6]);
        for garbage in ["", "[1]", "{"] {
            assert!(row(&columns, garbage.as_bytes()).is_err(), "{garbage}");
        }
    }
}
