//! What an export is to hold, as it was fixed at its first start.

use serde::{Deserialize, Serialize};

use super::{Args, Error, Filters, Format, Lines};
use crate::http::parameters::Parameters;
use crate::http::slicing::Wanted;

/// Kept beside what is exported, so that it is gone on with as it was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) format: Format,
    lines: Lines,
    read_model: Option<String>,
    /// As in the query of `GET /events`.
    filters: Vec<(String, String)>,
    pub(super) group_rows: u32,
    /// The last position: the end of the log at the first start, or an earlier one.
    pub(super) to: i64,
}

impl Plan {
    pub(super) fn of(args: &Args, to: i64) -> Self {
        Self {
            format: args.format,
            lines: args.lines,
            read_model: None,
            filters: args.filters.query(),
            group_rows: args.group_rows,
            to,
        }
    }

    pub(super) fn of_read_model(args: &Args, name: &str) -> Self {
        Self { read_model: Some(name.to_owned()), ..Self::of(args, 0) }
    }

    /// Whether the same is asked for; how far the log has come meanwhile makes no difference.
    pub(super) fn is_same(was: &Self, now: &Self) -> bool {
        *was == Self { to: was.to, ..now.clone() }
    }

    /// What its lines are: only NDJSON passes stored lines on.
    pub(super) fn form(&self) -> Lines {
        match self.format {
            Format::Ndjson => self.lines,
            Format::Csv | Format::Parquet => Lines::Shown,
        }
    }

    /// What is said of it inside a file that has room for that.
    pub(super) fn about(&self) -> Vec<(&'static str, String)> {
        let filters = self
            .filters
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let filters: Vec<String> = filters.collect();
        let mut about = vec![("daybook.filters", filters.join(" "))];
        match &self.read_model {
            Some(name) => about.push(("daybook.read_model", name.clone())),
            None => about.push(("daybook.to", self.to.to_string())),
        }
        about
    }
}

impl Filters {
    /// Those that were given: their flags, and what was given.
    pub(super) fn given(&self) -> impl Iterator<Item = (&'static str, &String)> {
        [
            ("--from", &self.from),
            ("--to", &self.to),
            ("--since", &self.since),
            ("--until", &self.until),
            ("--aggregate", &self.aggregate),
            ("--aggregate-id", &self.aggregate_id),
            ("--type", &self.event_type),
            ("--order-id", &self.order_id),
        ]
        .into_iter()
        .filter_map(|(flag, value)| Some((flag, value.as_ref()?)))
    }

    /// The same as a query of `GET /events`.
    pub(super) fn query(&self) -> Vec<(String, String)> {
        let name = |flag: &str| flag.trim_start_matches("--").replace('-', "_");
        self.given()
            .map(|(flag, value)| (name(flag), value.clone()))
            .collect()
    }

    /// Read, and refused, as `GET /events` does.
    pub(super) fn wanted(&self) -> Result<Wanted, Error> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.query());
        let mut parameters = Parameters::of(&query.finish());
        let wanted = Wanted::read(&mut parameters);
        parameters.finish()?;
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(words: &str) -> Args {
        let words = format!("export --format csv --out x {words}");
        Line::parse_from(words.split_whitespace()).args
    }

    #[test]
    fn filters_are_those_of_the_log_and_refused_like_them() {
        let filters = parsed("--from 3 --type order.placed --aggregate-id a+b").filters;
        let query = filters.query();
        let told: Vec<(&str, &str)> = query
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("from", "3"),
                ("aggregate_id", "a+b"),
                ("type", "order.placed")
            ]
        );
        assert_eq!(filters.wanted().unwrap().from(), Some(3));

        let wrong = parsed("--from x --aggregate basket --since noon").filters;
        let error = wrong.wanted().unwrap_err().to_string();
        for name in ["from", "aggregate", "since"] {
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn an_export_is_gone_on_with_whatever_the_log_has_become() {
        let was = Plan::of(&parsed("--from 3"), 100);
        assert!(Plan::is_same(&was, &Plan::of(&parsed("--from 3"), 200)));
        assert!(!Plan::is_same(&was, &Plan::of(&parsed("--from 4"), 100)));
        assert!(!Plan::is_same(&was, &Plan::of(&parsed(""), 100)));
    }
}
