//! The scenarios by name, and which of them are asked for.

use crate::error::Error;

/// In front of the name of a read model.
pub(crate) const REBUILD: &str = "rebuild-";

/// All of them, in the order in which they run. `rebuild-` stands for one per read model.
pub(crate) const ALL: [&str; 23] = [
    "accept-1",
    "accept-16",
    "accept-64",
    "accept-500",
    "lifecycle",
    "overload",
    "read-your-write",
    "flash-sale",
    "hot-sku",
    "read-order",
    "read-list",
    "availability",
    "login",
    "catalogue-list",
    "shop-front",
    "webhook-64",
    "webhook-confirmed",
    REBUILD,
    "year",
    "growth-accept",
    "growth-lifecycle",
    "memory",
    "start",
];

/// Those that are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection(Option<Vec<String>>);

impl Selection {
    /// All, unless some are named; a name that is none of ours ends it before anything runs.
    pub(crate) fn new(only: &[String]) -> Result<Self, Error> {
        if only.is_empty() {
            return Ok(Self(None));
        }
        for name in only {
            let known = ALL.contains(&name.as_str())
                || name
                    .strip_prefix(REBUILD)
                    .is_some_and(|model| !model.is_empty());
            if !known {
                return Err(Error::UnknownScenario { name: name.clone(), known: known_names() });
            }
        }
        Ok(Self(Some(only.to_vec())))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0
            .as_ref()
            .is_none_or(|only| only.iter().any(|wanted| wanted == name))
    }

    /// Whether it is asked for by name.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.0.is_some() && self.has(name)
    }

    pub(crate) fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.has(name))
    }

    /// Read models that are asked for by name; none if all are, or no rebuild is.
    pub(crate) fn read_models(&self) -> ReadModels {
        let Some(only) = &self.0 else {
            return ReadModels::All;
        };
        if self.has(REBUILD) {
            return ReadModels::All;
        }
        let models = only.iter().filter_map(|name| name.strip_prefix(REBUILD));
        ReadModels::These(models.map(str::to_owned).collect())
    }
}

/// Which read models are rebuilt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReadModels {
    All,
    These(Vec<String>),
}

impl ReadModels {
    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::These(names) if names.is_empty())
    }
}

/// For people.
pub(crate) fn known_names() -> String {
    let named = |name: &&str| match *name {
        REBUILD => "rebuild-<read model>".to_owned(),
        name => name.to_owned(),
    };
    ALL.iter().map(named).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(names: &[&str]) -> Result<Selection, Error> {
        Selection::new(
            &names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn without_names_everything_runs() {
        let all = only(&[]).unwrap();
        assert!(all.has("accept-64") && all.has("start"));
        assert_eq!(all.read_models(), ReadModels::All);
    }

    #[test]
    fn with_names_only_these_run() {
        let some = only(&["accept-64", "rebuild-sales"]).unwrap();
        assert!(some.has("accept-64") && !some.has("accept-1"));
        assert!(some.has_any(&["start", "accept-64"]));
        assert_eq!(some.read_models(), ReadModels::These(vec!["sales".to_owned()]));
        assert_eq!(only(&["rebuild-"]).unwrap().read_models(), ReadModels::All);
    }

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        let error = only(&["accept-65"]).unwrap_err().to_string();
        assert!(error.contains(r#""accept-65""#), "{error}");
        assert!(error.contains("accept-64, accept-500"), "{error}");
        assert!(error.contains("rebuild-<read model>"), "{error}");
    }
}
