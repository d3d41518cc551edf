//! What changed, field by field, and by which events.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::EventRef;
use crate::as_of::AsOf;
use crate::error::Error;

/// Events named for one field: a field that moves more often is better read in the log.
const EVENTS_MAX: usize = 100;

/// What changed between two moments.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ChangesView {
    /// The earlier moment: a position, or a time.
    pub from: AsOf,
    /// The later one.
    pub to: AsOf,
    /// The fields that differ, ordered by pointer.
    pub changes: Vec<ChangeView>,
}

/// A field that is not what it was.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ChangeView {
    /// Which (JSON Pointer, RFC 6901).
    #[schema(example = "/payment_status")]
    pub pointer: String,
    /// What it was; null where there was none.
    #[schema(value_type = Value)]
    pub from: Value,
    /// What it is; null where there is none any more.
    #[schema(value_type = Value)]
    pub to: Value,
    /// The events that moved it, in log order; the first hundred.
    pub events: Vec<EventRef>,
    /// How many moved it.
    pub events_count: usize,
}

/// A thing's fields, by pointer. Empty objects and lists are fields too.
type Fields = BTreeMap<String, Value>;

/// Every step of a thing between two moments.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// At the earlier moment; `None` before the first step.
    before: Option<Fields>,
    now: Fields,
    moved: BTreeMap<String, Moved>,
}

#[derive(Debug, Default)]
struct Moved {
    events: Vec<EventRef>,
    count: usize,
}

impl Changes {
    /// Before the first step: how it was at the earlier moment.
    pub(super) fn start_with(&mut self, view: Option<&impl Serialize>) -> Result<(), Error> {
        if self.before.is_none() {
            self.now = fields_of(view)?;
            self.before = Some(self.now.clone());
        }
        Ok(())
    }

    /// One step on, because of this event.
    pub(super) fn move_to(
        &mut self,
        view: Option<&impl Serialize>,
        because_of: &EventRef,
    ) -> Result<(), Error> {
        let next = fields_of(view)?;
        let gone = self
            .now
            .keys()
            .filter(|pointer| !next.contains_key(*pointer));
        let new = next
            .iter()
            .filter(|(pointer, value)| self.now.get(*pointer) != Some(*value))
            .map(|(pointer, _)| pointer);
        for pointer in gone.chain(new) {
            let moved = self.moved.entry(pointer.clone()).or_default();
            moved.count += 1;
            if moved.events.len() < EVENTS_MAX {
                moved.events.push(because_of.clone());
            }
        }
        self.now = next;
        Ok(())
    }

    /// What is not what it was. A field that moved and is back again has not changed.
    pub(super) fn view(mut self, from: AsOf, to: AsOf) -> ChangesView {
        let mut before = self.before.take().unwrap_or_default();
        let changes = self.moved.into_iter().filter_map(|(pointer, moved)| {
            let (was, is) = (before.remove(&pointer), self.now.remove(&pointer));
            (was != is).then(|| ChangeView {
                pointer,
                from: was.unwrap_or_default(),
                to: is.unwrap_or_default(),
                events: moved.events,
                events_count: moved.count,
            })
        });
        let changes = changes.collect();
        ChangesView { from, to, changes }
    }
}

fn fields_of(view: Option<&impl Serialize>) -> Result<Fields, Error> {
    let mut fields = Fields::new();
    if let Some(view) = view {
        collect(String::new(), serde_json::to_value(view)?, &mut fields);
    }
    Ok(fields)
}

fn collect(pointer: String, value: Value, into: &mut Fields) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                // RFC 6901, section 3.
                let name = name.replace('~', "~0").replace('/', "~1");
                collect(format!("{pointer}/{name}"), member, into);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.into_iter().enumerate() {
                collect(format!("{pointer}/{index}"), item, into);
            }
        }
        field => {
            into.insert(pointer, field);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changed(steps: &[Value]) -> Vec<(String, Value, Value, usize)> {
        let at = "2026-03-01T12:00:00Z".parse().unwrap();
        let event = EventRef { position: 1, at, event: "order.placed".to_owned() };
        let mut changes = Changes::default();
        changes.start_with(steps.first()).unwrap();
        for step in &steps[1..] {
            changes.move_to(Some(step), &event).unwrap();
        }
        let view = changes.view(AsOf::Position(0), AsOf::Position(1));
        view.changes
            .into_iter()
            .map(|change| (change.pointer, change.from, change.to, change.events_count))
            .collect()
    }

    #[test]
    fn fields_are_named_by_pointers_and_events_are_counted() {
        let steps = [
            json!({"a": 1, "b": {"c/d": 1}, "list": []}),
            json!({"a": 2, "b": {"c/d": 1}, "list": [{"x": 1}]}),
            json!({"a": 3, "list": [{"x": 1}, {"x": 2}]}),
        ];
        assert_eq!(
            changed(&steps),
            [
                ("/a".to_owned(), json!(1), json!(3), 2),
                ("/b/c~1d".to_owned(), json!(1), Value::Null, 1),
                ("/list".to_owned(), json!([]), Value::Null, 1),
                ("/list/0/x".to_owned(), Value::Null, json!(1), 1),
                ("/list/1/x".to_owned(), Value::Null, json!(2), 1),
            ]
        );
    }

    #[test]
    fn what_is_back_where_it_was_has_not_changed() {
        let steps = [json!({"held": 1}), json!({"held": 2}), json!({"held": 1})];
        assert_eq!(changed(&steps), []);
    }
}
