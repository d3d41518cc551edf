//! Parquet, without arrow: columns are written by the low-level writer.
//!
//! ```text
//! rows ─▶ Group (one row group in memory, bounded) ─▶ part-000001.parquet, part-000002.parquet …
//!                                            join: column chunks copied as they are ─▶ one file
//! ```
//!
//! 1. Texts are UTF-8 strings, instants are microseconds in UTC, lines are a list of structs; every
//!    column may hold null. `DuckDB`, pandas and Polars read all of it.
//! 2. The same rows make the same bytes: where a group ends depends on its rows alone.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use chrono::NaiveDate;
use parquet::basic::{
    Compression, ConvertedType, Encoding, LogicalType, Repetition, TimeUnit, Type as Physical,
};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use crate::table::{Cell, Column, Kind, Line};

/// Rows of a row group, unless told otherwise: readers of one column take it as a whole.
pub const GROUP_ROWS_DEFAULT: u32 = 100_000;
/// Bytes of texts in a row group: bounds what an export holds in memory, together with as much again
/// for the pages that are made of it.
const GROUP_BYTES_MAX: usize = 48 * 1024 * 1024;
/// Under this name a part tells the number in the first column of its last row.
const LAST: &str = "daybook.last";

/// Why a file could not be written or read.
pub type Error = ParquetError;

/// Rows that become one row group.
pub struct Group {
    columns: Vec<Column>,
    leaves: Vec<Leaf>,
    rows: usize,
    rows_max: u32,
    bytes: usize,
    /// The number in the first column of the last row.
    last: Option<i64>,
}

/// One column of the file.
struct Leaf {
    values: Values,
    /// How much of the column's path is there, for each value or null.
    definitions: Vec<i16>,
    /// For nested columns: 0 where a row begins.
    repetitions: Vec<i16>,
}

enum Values {
    Int(Vec<i64>),
    Text(Vec<ByteArray>),
    Bool(Vec<bool>),
    Date(Vec<i32>),
}

/// Where a cell of a list is: in no list, in an empty one, or in an element, which may lack it.
mod nested {
    pub(super) const NO_LIST: i16 = 0;
    pub(super) const EMPTY: i16 = 1;
    pub(super) const LACKING: i16 = 2;
    pub(super) const THERE: i16 = 3;
}

impl Group {
    /// An empty one, for so many rows at most.
    pub fn new(columns: &[Column], rows_max: u32) -> Self {
        let leaves = columns.iter().flat_map(|column| Leaf::of(column.kind));
        Self {
            columns: columns.to_vec(),
            leaves: leaves.collect(),
            rows: 0,
            rows_max,
            bytes: 0,
            last: None,
        }
    }

    /// Rows that it holds.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether no more should be added.
    pub fn is_full(&self) -> bool {
        usize::try_from(self.rows_max).is_ok_and(|max| max <= self.rows)
            || GROUP_BYTES_MAX <= self.bytes
    }

    /// Adds a row. A cell that is not of its column's kind is null.
    pub fn push(&mut self, row: Vec<Cell>) {
        if let Some(Cell::Int(number)) = row.first() {
            self.last = Some(*number);
        }
        let mut leaves = self.leaves.iter_mut();
        for (column, cell) in self.columns.iter().zip(row) {
            if column.kind == Kind::Lines {
                let lines = if let Cell::Lines(lines) = cell {
                    Some(lines)
                } else {
                    None
                };
                let four: [Option<&mut Leaf>; 4] = std::array::from_fn(|_| leaves.next());
                self.bytes += push_lines(four, lines);
            } else if let Some(leaf) = leaves.next() {
                self.bytes += leaf.push(cell);
            }
        }
        self.rows += 1;
    }

    /// Writes it as a file of one row group, and is empty again.
    pub fn write(&mut self, out: impl Write + Send) -> Result<(), Error> {
        let full = std::mem::replace(self, Self::new(&self.columns, self.rows_max));
        let last = full.last.map(|last| last.to_string());
        let about = vec![KeyValue { key: LAST.to_owned(), value: last }];
        let properties = properties(&full.columns, Some(about));
        let schema = schema(&full.columns)?;
        let mut file = SerializedFileWriter::new(out, schema, Arc::new(properties))?;
        let mut group = file.next_row_group()?;
        for leaf in full.leaves {
            leaf.write(&mut group)?;
        }
        group.close()?;
        file.close()?;
        Ok(())
    }
}

impl Leaf {
    /// The columns that a column of this kind is kept in.
    fn of(kind: Kind) -> Vec<Self> {
        let leaf = |values| Self { values, definitions: vec![], repetitions: vec![] };
        let (int, text) = (|| leaf(Values::Int(vec![])), || leaf(Values::Text(vec![])));
        match kind {
            Kind::Int | Kind::Time => vec![int()],
            Kind::Word | Kind::Text | Kind::Json => vec![text()],
            Kind::Bool => vec![leaf(Values::Bool(vec![]))],
            Kind::Date => vec![leaf(Values::Date(vec![]))],
            Kind::Lines => vec![text(), text(), int(), int()],
        }
    }

    /// Adds a cell; the bytes it takes.
    fn push(&mut self, cell: Cell) -> usize {
        let (there, bytes) = self.values.push(cell);
        self.definitions.push(there.into());
        bytes
    }

    fn push_nested(&mut self, repetition: i16, cell: Cell) -> usize {
        let (there, bytes) = self.values.push(cell);
        self.definitions.push(if there {
            nested::THERE
        } else {
            nested::LACKING
        });
        self.repetitions.push(repetition);
        bytes
    }

    fn write<W: Write + Send>(
        self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), Error> {
        fn batch<T: DataType, W: Write + Send>(
            group: &mut SerializedRowGroupWriter<'_, W>,
            values: &[T::T],
            definitions: &[i16],
            repetitions: &[i16],
        ) -> Result<(), Error> {
            let column = group.next_column()?;
            let mut column =
                column.ok_or_else(|| Error::General("the schema has fewer columns".to_owned()))?;
            let repetitions = (!repetitions.is_empty()).then_some(repetitions);
            column
                .typed::<T>()
                .write_batch(values, Some(definitions), repetitions)?;
            column.close()
        }
        let (definitions, repetitions) = (&self.definitions[..], &self.repetitions[..]);
        match &self.values {
            Values::Int(values) => batch::<Int64Type, W>(group, values, definitions, repetitions),
            Values::Text(values) => {
                batch::<ByteArrayType, W>(group, values, definitions, repetitions)
            }
            Values::Bool(values) => batch::<BoolType, W>(group, values, definitions, repetitions),
            Values::Date(values) => batch::<Int32Type, W>(group, values, definitions, repetitions),
        }
    }
}

impl Values {
    /// Whether there was a value, and the bytes it takes.
    fn push(&mut self, cell: Cell) -> (bool, usize) {
        match (self, cell) {
            (Self::Int(values), Cell::Int(number)) => values.push(number),
            (Self::Int(values), Cell::Time(at)) => values.push(at.timestamp_micros()),
            (Self::Bool(values), Cell::Bool(is)) => values.push(is),
            (Self::Date(values), Cell::Date(day)) => values.push(days_since_epoch(day)),
            (Self::Text(values), Cell::Text(text)) => {
                let bytes = text.len();
                values.push(ByteArray::from(text.into_bytes()));
                return (true, bytes + size_of::<ByteArray>());
            }
            _ => return (false, 0),
        }
        (true, size_of::<i64>())
    }
}

fn days_since_epoch(day: NaiveDate) -> i32 {
    let days = day.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).expect("the calendar has fewer days than that")
}

/// The four columns of lines, which a schema with lines has.
fn push_lines(leaves: [Option<&mut Leaf>; 4], lines: Option<Vec<Line>>) -> usize {
    let [
        Some(sku),
        Some(name),
        Some(quantity),
        Some(unit_price_minor),
    ] = leaves
    else {
        return 0;
    };
    let nothing = match &lines {
        None => Some(nested::NO_LIST),
        Some(lines) if lines.is_empty() => Some(nested::EMPTY),
        Some(_) => None,
    };
    if let Some(definition) = nothing {
        for leaf in [sku, name, quantity, unit_price_minor] {
            leaf.definitions.push(definition);
            leaf.repetitions.push(0);
        }
        return 0;
    }
    let text = |text: Option<String>| text.map_or(Cell::Null, Cell::Text);
    let int = |number: Option<i64>| number.map_or(Cell::Null, Cell::Int);
    let mut bytes = 0;
    for (index, line) in lines.into_iter().flatten().enumerate() {
        let repetition = i16::from(index != 0);
        bytes += sku.push_nested(repetition, text(line.sku));
        bytes += name.push_nested(repetition, text(line.name));
        bytes += quantity.push_nested(repetition, int(line.quantity));
        bytes += unit_price_minor.push_nested(repetition, int(line.unit_price_minor));
    }
    bytes
}

fn schema(columns: &[Column]) -> Result<TypePtr, Error> {
    let fields = columns
        .iter()
        .map(|column| {
            Ok(Arc::new(match column.kind {
                Kind::Lines => lines(column.name)?,
                kind => leaf(column.name, kind)?,
            }))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let root = Type::group_type_builder("daybook").with_fields(fields);
    Ok(Arc::new(root.build()?))
}

fn leaf(name: &str, kind: Kind) -> Result<Type, Error> {
    let (physical, logical) = match kind {
        Kind::Int | Kind::Lines => (Physical::INT64, None),
        Kind::Word | Kind::Text | Kind::Json => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Bool => (Physical::BOOLEAN, None),
        Kind::Date => (Physical::INT32, Some(LogicalType::Date)),
        Kind::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
    };
    Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}

/// A list of structs, in the three levels that the format demands.
fn lines(name: &str) -> Result<Type, Error> {
    let fields = vec![
        leaf("sku", Kind::Word)?,
        leaf("name", Kind::Word)?,
        leaf("quantity", Kind::Int)?,
        leaf("unit_price_minor", Kind::Int)?,
    ];
    let element = Type::group_type_builder("element")
        .with_repetition(Repetition::REQUIRED)
        .with_fields(fields.into_iter().map(Arc::new).collect())
        .build()?;
    let list = Type::group_type_builder("list")
        .with_repetition(Repetition::REPEATED)
        .with_fields(vec![Arc::new(element)])
        .build()?;
    Type::group_type_builder(name)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(Some(LogicalType::List))
        .with_converted_type(ConvertedType::LIST)
        .with_fields(vec![Arc::new(list)])
        .build()
}

fn properties(columns: &[Column], about: Option<Vec<KeyValue>>) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(concat!("daybook ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(about)
        // Of the whole group: enough to skip it, and a column of payloads needs none of it.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true);
    for column in columns {
        let path = ColumnPath::from(column.name);
        properties = match column.kind {
            // Each differs from the one before by little.
            Kind::Int | Kind::Time => properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            // Each is different: a dictionary would be made only to be given up.
            Kind::Text | Kind::Json => properties.set_column_dictionary_enabled(path, false),
            Kind::Word | Kind::Bool | Kind::Date | Kind::Lines => properties,
        };
    }
    properties.build()
}

/// What a part tells of the rows in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The number in the first column of the last row.
    pub last: Option<i64>,
    /// How many there are.
    pub rows: u64,
}

/// Asks a part; an error if it is no whole file.
pub fn told_of(part: &Path) -> Result<Told, Error> {
    let reader = SerializedFileReader::new(File::open(part)?)?;
    let about = reader.metadata().file_metadata();
    let last = about
        .key_value_metadata()
        .into_iter()
        .flatten()
        .find(|about| about.key == LAST)
        .and_then(|about| about.value.as_deref()?.parse().ok());
    Ok(Told { last, rows: u64::try_from(about.num_rows()).unwrap_or(0) })
}

/// Puts the row groups of parts into one file. They are copied as they are, one column of one part
/// at a time. `about` is kept in the file, for whoever looks.
pub fn join(
    columns: &[Column],
    parts: &[impl AsRef<Path>],
    about: &[(&str, String)],
    out: impl Write + Send,
) -> Result<(), Error> {
    let about = about
        .iter()
        .map(|(key, value)| KeyValue { key: (*key).to_owned(), value: Some(value.clone()) });
    let properties = properties(columns, Some(about.collect()));
    let mut file = SerializedFileWriter::new(out, schema(columns)?, Arc::new(properties))?;
    for part in parts {
        let input = File::open(part)?;
        let metadata = SerializedFileReader::new(input.try_clone()?)?
            .metadata()
            .clone();
        for group in metadata.row_groups() {
            let mut copy = file.next_row_group()?;
            for column in group.columns() {
                let close = ColumnCloseResult {
                    bytes_written: u64::try_from(column.compressed_size()).unwrap_or(0),
                    rows_written: u64::try_from(group.num_rows()).unwrap_or(0),
                    metadata: column.clone(),
                    bloom_filter: None,
                    column_index: None,
                    offset_index: None,
                };
                copy.append_column(&input, close)?;
            }
            copy.close()?;
        }
    }
    file.close()?;
    Ok(())
}

#[cfg(test)]
#[path = "columnar_tests.rs"]
mod tests;
