//! How two JSON documents differ, field by field.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// One field that is another.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FieldDifference {
    /// Its path, such as `progress.status`; empty if all of it is there on one side only.
    #[schema(example = "progress.status")]
    pub field: String,
    /// What is stored; nothing if it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub stored: Option<Value>,
    /// What the history folds to; nothing if it folds to no such thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub folded: Option<Value>,
}

/// Every field that differs. `null` and a field that is not there are the same: a document grows
/// fields from build to build, and those of older builds lack them.
pub(crate) fn fields(stored: Option<&Value>, folded: Option<&Value>) -> Vec<FieldDifference> {
    let mut found = Vec::new();
    compare(String::new(), stored, folded, &mut found);
    found
}

fn compare(
    field: String,
    stored: Option<&Value>,
    folded: Option<&Value>,
    found: &mut Vec<FieldDifference>,
) {
    let there = |value: Option<&Value>| value.is_some_and(|value| !value.is_null());
    match (stored, folded) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let added = new.keys().filter(|name| !old.contains_key(*name));
            for name in old.keys().chain(added) {
                compare(below(&field, name), old.get(name), new.get(name), found);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for index in 0..old.len().max(new.len()) {
                let at = below(&field, &index.to_string());
                compare(at, old.get(index), new.get(index), found);
            }
        }
        _ if there(stored) != there(folded) || there(stored) && stored != folded => {
            let of = |value: Option<&Value>| value.cloned();
            found.push(FieldDifference { field, stored: of(stored), folded: of(folded) });
        }
        _ => {}
    }
}

fn below(field: &str, name: &str) -> String {
    if field.is_empty() {
        name.to_owned()
    } else {
        format!("{field}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_field_that_differs_is_named_and_no_other() {
        let stored = json!({"a": 1, "b": {"c": [1, 2], "d": "x"}, "gone": null, "old": 5});
        let folded = json!({"a": 1, "b": {"c": [1, 3, 4], "d": "y"}, "new": true});
        let found = fields(Some(&stored), Some(&folded));
        let told: Vec<(&str, Option<Value>, Option<Value>)> = found
            .iter()
            .map(|it| (it.field.as_str(), it.stored.clone(), it.folded.clone()))
            .collect();
        assert_eq!(
            told,
            [
                ("b.c.1", Some(json!(2)), Some(json!(3))),
                ("b.c.2", None, Some(json!(4))),
                ("b.d", Some(json!("x")), Some(json!("y"))),
                ("old", Some(json!(5)), None),
                ("new", None, Some(json!(true))),
            ]
        );
        assert!(fields(Some(&stored), Some(&stored)).is_empty());
    }

    #[test]
    fn what_is_on_one_side_only_is_one_difference() {
        let row = json!({"a": 1});
        assert_eq!(fields(Some(&row), None)[0].field, "");
        assert_eq!(fields(None, Some(&row))[0].folded, Some(row));
        assert!(fields(None, Some(&Value::Null)).is_empty());
    }
}
