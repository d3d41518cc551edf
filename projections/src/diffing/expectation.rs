//! An expectation: what a build folded a history to, kept in a file, a line for each row and state,
//! so that a change shows in review as the lines that changed.
//!
//! ```text
//! {"history_ends_at":171}
//! {"of":"orders.order_progress","key":{"order_id":"..."},"row":{...}}
//! {"of":"state.order","key":{"order_id":"..."},"row":{"version":5,"state":{...}}}
//! ```

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};

use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::Executor as _;

use super::{DiffError, Folding, Report, report};
use crate::error::Error;
use crate::projection::ALL;
use crate::scratch::{self, SCRATCH};

/// Lines that are handed to the database at a time.
const LINES_MAX: usize = 1_000;

/// A file that is no expectation of this history.
#[derive(Debug, thiserror::Error)]
pub enum BadExpectation {
    /// It cannot be read or written.
    #[error("the expectation: {0}")]
    File(#[from] io::Error),
    /// A line of something else.
    #[error("line {0} of the expectation is none that Daybook writes")]
    Line(usize),
    /// What was kept is of another history.
    #[error("the expectation is of a history of {kept} events, this one has {found}")]
    OtherHistory {
        /// Where that ended.
        kept: i64,
        /// Where this one does.
        found: i64,
    },
}

#[derive(Serialize, Deserialize)]
struct Heading {
    history_ends_at: i64,
}

#[derive(Serialize, Deserialize)]
struct Line {
    of: String,
    key: Box<RawValue>,
    row: Box<RawValue>,
}

impl Folding {
    /// Writes what the history folds to; how many lines that are.
    pub async fn write(mut self, mut out: impl Write) -> Result<usize, DiffError> {
        put(&mut out, &Heading { history_ends_at: self.position })?;
        let mut lines = 0;
        scratch::plan_freely(&mut self.scratch.connection).await?;
        for (of, rows) in self.relations().await? {
            let select = format!("select key, row from ({rows}) rows order by key collate \"C\"");
            let mut rows =
                sqlx::query_as::<_, (String, String)>(&select).fetch(&mut self.scratch.connection);
            while let Some((key, row)) = rows.try_next().await? {
                let raw = |text| RawValue::from_string(text).map_err(Error::from);
                put(&mut out, &Line { of: of.clone(), key: raw(key)?, row: raw(row)? })?;
                lines += 1;
            }
        }
        out.flush().map_err(BadExpectation::from)?;
        Ok(lines)
    }

    /// Compares with what was kept.
    pub async fn against(
        mut self,
        kept: impl BufRead,
        examples_max: usize,
    ) -> Result<Report, DiffError> {
        let table = "create temporary table kept (of text, key text, row text)";
        self.scratch.connection.execute(table).await?;
        let mut lines = kept.lines().enumerate();
        let heading = lines.next().and_then(|(_, line)| line.ok());
        let heading: Heading = heading
            .and_then(|line| serde_json::from_str(&line).ok())
            .ok_or(BadExpectation::Line(1))?;
        if heading.history_ends_at != self.position {
            let (kept, found) = (heading.history_ends_at, self.position);
            return Err(BadExpectation::OtherHistory { kept, found }.into());
        }
        let mut names = BTreeSet::new();
        let mut page: Vec<Line> = Vec::with_capacity(LINES_MAX);
        for (index, line) in lines {
            let line = line.map_err(BadExpectation::from)?;
            let line: Line =
                serde_json::from_str(&line).map_err(|_| BadExpectation::Line(index + 1))?;
            names.insert(line.of.clone());
            page.push(line);
            if LINES_MAX <= page.len() {
                self.keep(&page).await?;
                page.clear();
            }
        }
        self.keep(&page).await?;

        scratch::plan_freely(&mut self.scratch.connection).await?;
        let mut report = Report::new(examples_max);
        report.position = self.position;
        let mut relations = self.relations().await?;
        // What no read model of this build makes any more is missing from it.
        let nothing = "select null::text as key, null::text as row where false";
        for name in names {
            if !relations.iter().any(|(of, _)| *of == name) {
                relations.push((name, nothing.to_owned()));
            }
        }
        for (of, folded) in relations {
            let kept = format!("select key, row from pg_temp.kept where of = '{}'", quoted(&of));
            let connection = &mut self.scratch.connection;
            report.push(report::compare(connection, &of, &kept, &folded, examples_max).await?);
        }
        Ok(report)
    }

    /// Every table and every kind of state, with a query of its keys and rows.
    async fn relations(&mut self) -> Result<Vec<(String, String)>, DiffError> {
        let mut relations = Vec::new();
        for projection in ALL {
            for table in projection.tables() {
                let key = scratch::key_of(&mut self.scratch.connection, SCRATCH, table).await?;
                let of = format!("{}.{table}", projection.name());
                relations.push((of, scratch::rows_of(SCRATCH, table, &key)));
            }
        }
        let table = "create temporary table if not exists states (of text, key text, row text)";
        self.scratch.connection.execute(table).await?;
        self.scratch.connection.execute("truncate states").await?;
        let states = self.states.all().map_err(Error::from)?;
        for states in states.chunks(LINES_MAX) {
            let rows = states
                .iter()
                .map(serde_json::to_string)
                .collect::<Result<Vec<_>, _>>()
                .map_err(Error::from)?;
            let of = |kind: &str| format!("state.{kind}");
            let key = |kind: &str, id: &str| {
                let kind = match kind {
                    "inventory" | "product" => "sku".to_owned(),
                    kind => format!("{kind}_id"),
                };
                serde_json::json!({kind: id}).to_string()
            };
            sqlx::query(
                "insert into states select unnest($1::text[]), unnest($2::text[]), \
                 unnest($3::text[])",
            )
            .bind(
                states
                    .iter()
                    .map(|it| of(it.aggregate_type))
                    .collect::<Vec<_>>(),
            )
            .bind(
                states
                    .iter()
                    .map(|it| key(it.aggregate_type, &it.aggregate_id))
                    .collect::<Vec<_>>(),
            )
            .bind(rows)
            .execute(&mut self.scratch.connection)
            .await?;
        }
        for kind in [
            "categories",
            "delivery",
            "inventory",
            "listing",
            "order",
            "payment",
            "product",
            "promotion",
            "vendor",
        ] {
            let select = format!("select key, row from pg_temp.states where of = 'state.{kind}'");
            relations.push((format!("state.{kind}"), select));
        }
        Ok(relations)
    }

    async fn keep(&mut self, lines: &[Line]) -> Result<(), DiffError> {
        let insert = "insert into kept select unnest($1::text[]), unnest($2::text[]), \
                      unnest($3::text[])";
        sqlx::query(insert)
            .bind(
                lines
                    .iter()
                    .map(|line| line.of.as_str())
                    .collect::<Vec<_>>(),
            )
            .bind(lines.iter().map(|line| line.key.get()).collect::<Vec<_>>())
            .bind(lines.iter().map(|line| line.row.get()).collect::<Vec<_>>())
            .execute(&mut self.scratch.connection)
            .await?;
        Ok(())
    }
}

fn put(out: &mut impl Write, line: &impl Serialize) -> Result<(), BadExpectation> {
    serde_json::to_writer(&mut *out, line).map_err(io::Error::from)?;
    Ok(out.write_all(b"\n")?)
}

fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}
