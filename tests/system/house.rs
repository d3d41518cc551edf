//! The rules of the house: who may depend on whom, who may write history, how files look.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of one source file; what needs more scrolling is not read.
const LINES_MAX: usize = 600;
/// The order of dependence: each may know those before it.
const LEVELS: [(&str, &[&str]); 14] = [
    ("domain", &[]),
    ("store", &["domain"]),
    ("sealing", &["domain", "store"]),
    ("gateways", &["domain"]),
    ("projections", &["domain", "store"]),
    ("workers", &["domain", "store", "gateways", "projections"]),
    ("accounts", &[]),
    ("storefront", &["domain"]),
    ("client", &[]),
    ("exports", &[]),
    ("stack", &[]),
    ("bench", &["domain", "store", "stack"]),
    (
        "api",
        &[
            "domain",
            "store",
            "sealing",
            "gateways",
            "projections",
            "workers",
            "accounts",
            "storefront",
            "client",
            "exports",
            "stack",
            "bench",
        ],
    ),
    (
        "tests",
        &[
            "domain",
            "store",
            "sealing",
            "gateways",
            "projections",
            "workers",
            "accounts",
            "storefront",
            "client",
            "exports",
            "stack",
            "bench",
            "api",
        ],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources() -> BTreeMap<PathBuf, String> {
    fn collect(folder: &Path, into: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, into);
            } else if path
                .extension()
                .is_some_and(|ending| ending == "rs" || ending == "sql")
            {
                into.insert(path.clone(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut sources = BTreeMap::new();
    for (name, _) in LEVELS {
        for folder in ["src", "tests", "system"] {
            let folder = root().join(name).join(folder);
            if folder.is_dir() {
                collect(&folder, &mut sources);
            }
        }
    }
    sources
}

fn is_test(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.contains("/tests/") || text.contains("_tests.rs") || text.contains("/system/")
}

#[test]
fn dependencies_point_one_way() {
    for (name, may) in LEVELS {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        let normal = manifest.split("[dev-dependencies]").next().unwrap();
        for (other, _) in LEVELS {
            let depends = normal
                .lines()
                .any(|line| line.starts_with(&format!("{other}.")));
            let allowed = may.contains(&other);
            assert!(!depends || allowed, "{name} must know nothing of {other}");
        }
    }
}

#[test]
fn only_the_store_writes_history() {
    for (path, text) in sources() {
        let may = path.to_string_lossy().contains("/store/") || is_test(&path);
        let writes = ["insert into events", "update events", "delete from events"];
        let found = writes
            .iter()
            .find(|write| text.to_lowercase().contains(*write));
        assert!(may || found.is_none(), "{} says {found:?}", path.display());
    }
}

#[test]
fn the_domain_is_pure() {
    let manifest = fs::read_to_string(root().join("domain/Cargo.toml")).unwrap();
    let normal = manifest.split("[dev-dependencies]").next().unwrap();
    for impure in ["tokio", "sqlx", "axum", "async-nats", "reqwest", "rand"] {
        assert!(!normal.contains(impure), "domain must know nothing of {impure}");
    }
    for (path, text) in sources() {
        if !path.to_string_lossy().contains("/domain/src/") || is_test(&path) {
            continue;
        }
        for impure in [
            "Utc::now",
            "SystemTime",
            "Instant::now",
            "now_v7",
            "new_v4",
            "std::fs",
        ] {
            assert!(!text.contains(impure), "{} reads the world: {impure}", path.display());
        }
    }
}

#[test]
fn no_two_schemas_of_the_document_have_the_same_name() {
    // The later would replace the earlier, and the document describe what is told by neither.
    let mut named: BTreeMap<String, PathBuf> = BTreeMap::new();
    for (path, text) in sources() {
        let mut pieces = text.split("\n#[derive(").skip(1);
        for piece in pieces.by_ref().filter(|piece| {
            let derived = piece.split_once(']').map_or("", |(derived, _)| derived);
            derived.contains("ToSchema")
        }) {
            let word = |before: &str| {
                let (_, behind) = piece.split_once(before)?;
                let end = behind.find(|c: char| !c.is_alphanumeric());
                Some(behind[..end.unwrap_or(behind.len())].to_owned())
            };
            let at = |word: &str| piece.find(word).unwrap_or(usize::MAX);
            let kind = if at("struct ") < at("enum ") {
                "struct "
            } else {
                "enum "
            };
            let own = word(kind);
            let name = word("#[schema(as = ").or(own).unwrap();
            if let Some(other) = named.insert(name.clone(), path.clone()) {
                panic!(
                    "{name} of {} and of {}: say #[schema(as = ...)]",
                    path.display(),
                    other.display()
                );
            }
        }
    }
    assert!(100 < named.len(), "{}", named.len());
}

#[test]
fn every_source_file_opens_with_its_idea_and_stays_readable() {
    for (path, text) in sources() {
        let comment = match path.extension().and_then(|ending| ending.to_str()) {
            Some("sql") => continue,
            _ => "//!",
        };
        assert!(text.starts_with(comment), "{} does not say what it is about", path.display());
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines", path.display());
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}", path.display(), number + 1);
            assert!(!line.contains(concat!("todo", "!(")), "{place}: unfinished");
            assert!(!line.contains(concat!("FIX", "ME")), "{place}: unfinished");
            assert!(
                !line.contains(concat!("thread::", "sleep"))
                    || path.ends_with("stack/src/until.rs"),
                "{place}: wait for a condition"
            );
        }
    }
}

#[test]
fn markdown_has_one_title_and_working_links() {
    let mut pages = vec![root().join("README.md")];
    let docs = root().join("docs");
    pages.extend(
        fs::read_dir(&docs)
            .unwrap()
            .map(|entry| entry.unwrap().path()),
    );
    pages.extend(
        fs::read_dir(docs.join("decisions"))
            .unwrap()
            .map(|entry| entry.unwrap().path()),
    );
    for page in pages
        .into_iter()
        .filter(|page| page.extension().is_some_and(|e| e == "md"))
    {
        let text = fs::read_to_string(&page).unwrap();
        let mut fenced = false;
        let mut titles = 0;
        for line in text.lines() {
            fenced ^= line.starts_with("```");
            titles += usize::from(!fenced && line.starts_with("# "));
        }
        assert_eq!(titles, 1, "{}", page.display());
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(page.parent().unwrap().join(target).exists(), "{}: {link}", page.display());
        }
    }
}

/// Whoever adds a table says whether anybody is in it; and what is deleted of those who are forgotten
/// comes back with no backup.
#[test]
fn the_page_on_privacy_knows_every_table() {
    let page = fs::read_to_string(root().join("docs/PRIVACY.md")).unwrap();
    let (_, backups) = page.split_once("PERSONAL=\"").unwrap();
    let (kept_apart, _) = backups.split_once('"').unwrap();
    let kept_apart: Vec<&str> = kept_apart.split_whitespace().collect();
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let mut known = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let after = *cells.get(3).unwrap_or(&"");
        for name in cells[1].split('`').skip(1).step_by(2) {
            known.insert(name.split('.').next().unwrap().to_owned(), after);
        }
    }
    let mut tables = 0;
    for migration in fs::read_dir(root().join("migrations")).unwrap() {
        let sql = fs::read_to_string(migration.unwrap().path()).unwrap();
        for made in sql.split("create table ").skip(1) {
            let name = made.split([' ', '(']).next().unwrap();
            let after = known.get(name);
            let after = after.unwrap_or_else(|| panic!("docs/PRIVACY.md does not know {name}"));
            let is_deleted = ["deleted", "closed", "ended"]
                .iter()
                .any(|it| after.starts_with(it));
            assert!(!is_deleted || kept_apart.contains(&name), "backups keep {name}");
            tables += 1;
        }
    }
    assert!(40 < tables, "{tables}");
}
