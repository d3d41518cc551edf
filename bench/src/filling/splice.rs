//! Texts in which some parts vary, as SQL expressions.

/// A part of a text that varies, and what it is instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Varying {
    pub(super) text: String,
    /// An SQL expression of type text.
    pub(super) instead: String,
}

impl Varying {
    pub(super) fn new(text: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { text: text.into(), instead: instead.into() }
    }
}

/// The text as an SQL expression. Where several parts could begin, the longest does.
pub(super) fn spliced(text: &str, varying: &[Varying]) -> String {
    let mut parts = Vec::new();
    let mut constant = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let found = varying
            .iter()
            .filter(|part| !part.text.is_empty() && rest.starts_with(&part.text))
            .max_by_key(|part| part.text.len());
        if let Some(part) = found {
            if !constant.is_empty() {
                parts.push(quoted(&constant));
                constant.clear();
            }
            parts.push(part.instead.clone());
            rest = &rest[part.text.len()..];
        } else {
            let mut letters = rest.chars();
            constant.extend(letters.next());
            rest = letters.as_str();
        }
    }
    if !constant.is_empty() || parts.is_empty() {
        parts.push(quoted(&constant));
    }
    parts.join(" || ")
}

/// A literal; the server's strings are standard ones, in which only the quote is special.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_vary_become_expressions_and_the_rest_stays() {
        let varying = [
            Varying::new("ab", "x.a"),
            Varying::new("abc", "x.long"),
            Varying::new("q", "y"),
        ];

        assert_eq!(
            spliced("1 abc ab's q", &varying),
            "'1 ' || x.long || ' ' || x.a || '''s ' || y"
        );
        assert_eq!(spliced("ab", &varying), "x.a");
        assert_eq!(spliced("", &varying), "''");
        assert_eq!(spliced("ü", &varying), "'ü'");
    }
}
