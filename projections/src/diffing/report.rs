//! What differs, table by table: how many rows, in which fields, and some of them in full.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use futures::TryStreamExt as _;
use serde_json::Value;
use sqlx::PgConnection;

use crate::differences::{self, FieldDifference};
use crate::error::Error;

/// Different things of a table that are told one by one; some hundred megabytes of ids. More of them
/// are counted as rows only, and a note says so.
const THINGS_MAX: usize = 1_000_000;
/// Orders that are named where a person reads.
const ORDERS_SHOWN_MAX: usize = 20;

/// One row that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct RowDifference {
    /// Its key, as JSON.
    pub key: String,
    /// How; not empty.
    pub fields: Vec<FieldDifference>,
}

/// What differs in one table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TableDiff {
    /// Read model and table, such as `orders.order_progress`.
    pub name: String,
    /// Rows that differ.
    pub rows: u64,
    /// In how many of them each field does.
    pub fields: BTreeMap<String, u64>,
    /// The first of them.
    pub examples: Vec<RowDifference>,
    /// Orders, payments and SKUs among the keys.
    things: BTreeSet<(&'static str, String)>,
}

/// What differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The last event that was folded.
    pub position: i64,
    /// Each table in which something does.
    pub tables: Vec<TableDiff>,
    /// What else a person should know.
    pub notes: Vec<String>,
    /// Rows of each table that are told in full.
    pub(super) examples_max: usize,
}

impl Report {
    pub(super) fn new(examples_max: usize) -> Self {
        Self { position: 0, tables: Vec::new(), notes: Vec::new(), examples_max }
    }

    /// Whether nothing differs.
    pub fn is_clean(&self) -> bool {
        self.tables.is_empty()
    }

    /// Takes down what a snapshot, or anything else that is no table, holds and would hold.
    pub fn take(&mut self, name: &str, key: &str, stored: Option<&str>, folded: Option<&str>) {
        let known = self.tables.iter().position(|table| table.name == name);
        let mut table = known.map_or_else(
            || TableDiff { name: name.to_owned(), ..TableDiff::default() },
            |index| self.tables.remove(index),
        );
        table.take(key, stored, folded, self.examples_max);
        self.push(table);
    }

    pub(super) fn push(&mut self, table: TableDiff) {
        if 0 < table.rows {
            self.tables.push(table);
        }
    }

    /// Takes a sentence down.
    pub fn tell(&mut self, note: String) {
        self.notes.push(note);
    }

    /// The ids of the orders that would change, each once and in order.
    pub fn orders(&self) -> BTreeSet<&str> {
        self.things("order_id")
    }

    /// The things of a kind that would change: `order_id`, `payment_id` or `sku`.
    fn things(&self, kind: &str) -> BTreeSet<&str> {
        let things = self.tables.iter().flat_map(|table| &table.things);
        things
            .filter_map(|(of, id)| (*of == kind).then_some(id.as_str()))
            .collect()
    }
}

impl TableDiff {
    pub(super) fn take(
        &mut self,
        key: &str,
        stored: Option<&str>,
        folded: Option<&str>,
        examples_max: usize,
    ) {
        // What is no JSON any more is shown as it is.
        let read = |text: &str| {
            serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
        };
        let (stored, folded) = (stored.map(read), folded.map(read));
        let fields = differences::fields(stored.as_ref(), folded.as_ref());
        if fields.is_empty() {
            return;
        }
        self.rows += 1;
        for FieldDifference { field, .. } in &fields {
            *self.fields.entry(without_numbers(field)).or_default() += 1;
        }
        if let Ok(Value::Object(key)) = serde_json::from_str(key) {
            for kind in ["order_id", "payment_id", "sku"] {
                if let Some(Value::String(id)) = key.get(kind)
                    && self.things.len() < THINGS_MAX
                {
                    self.things.insert((kind, id.clone()));
                }
            }
        }
        if self.examples.len() < examples_max {
            self.examples
                .push(RowDifference { key: key.to_owned(), fields });
        }
    }
}

/// Fields of the third and of the fourth line are the same field to whoever counts them.
fn without_numbers(field: &str) -> String {
    let part = |part: &str| match part.parse::<usize>() {
        Ok(_) => "*".to_owned(),
        Err(_) => part.to_owned(),
    };
    field.split('.').map(part).collect::<Vec<_>>().join(".")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        for table in &self.tables {
            writeln!(f, "{}: {} rows differ", table.name, table.rows)?;
            for (field, rows) in &table.fields {
                let field = if field.is_empty() {
                    "(the whole row)"
                } else {
                    field
                };
                writeln!(f, "  {field}: {rows} times")?;
            }
            for row in &table.examples {
                writeln!(f, "  {}", row.key)?;
                for FieldDifference { field, stored, folded } in &row.fields {
                    let told = |value: &Option<Value>| {
                        value
                            .as_ref()
                            .map_or_else(|| "nothing".to_owned(), Value::to_string)
                    };
                    let field = if field.is_empty() {
                        ""
                    } else {
                        &format!("{field}: ")
                    };
                    writeln!(f, "    {field}stored {}, folded {}", told(stored), told(folded))?;
                }
            }
            let more = table.rows - u64::try_from(table.examples.len()).unwrap_or(u64::MAX);
            if 0 < more {
                writeln!(f, "  and {more} more rows")?;
            }
        }
        if self.is_clean() {
            return writeln!(f, "nothing differs, up to position {}", self.position);
        }
        if self
            .tables
            .iter()
            .any(|table| THINGS_MAX <= table.things.len())
        {
            writeln!(
                f,
                "note: of a table with more than {THINGS_MAX} things only so many are named"
            )?;
        }
        let [payments, skus] = ["payment_id", "sku"].map(|it| self.things(it).len());
        let orders = self.orders();
        writeln!(f, "{} orders, {payments} payments and {skus} SKUs would change", orders.len())?;
        for order in orders.iter().take(ORDERS_SHOWN_MAX) {
            writeln!(f, "  order {order}")?;
        }
        match orders.len().saturating_sub(ORDERS_SHOWN_MAX) {
            0 => Ok(()),
            more => writeln!(f, "  and {more} more orders; --orders FILE names all of them"),
        }
    }
}

/// Compares two queries of keys and rows, row by row.
pub(super) async fn compare(
    connection: &mut PgConnection,
    name: &str,
    stored: &str,
    folded: &str,
    examples_max: usize,
) -> Result<TableDiff, Error> {
    // Whatever is the same byte for byte stays in the database.
    let select = format!(
        "select coalesce(a.key, b.key), a.row, b.row \
         from ({stored}) a full join ({folded}) b on a.key = b.key \
         where a.row is distinct from b.row order by coalesce(a.key, b.key) collate \"C\""
    );
    let mut table = TableDiff { name: name.to_owned(), ..TableDiff::default() };
    let mut rows =
        sqlx::query_as::<_, (String, Option<String>, Option<String>)>(&select).fetch(connection);
    while let Some((key, stored, folded)) = rows.try_next().await? {
        table.take(&key, stored.as_deref(), folded.as_deref(), examples_max);
    }
    Ok(table)
}
