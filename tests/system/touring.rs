//! The tour of `docs/TOUR.md`, line by line against the real server: whatever it prints has the
//! shape that the page shows.
//!
//! `UPDATE_DOCS=1` writes the answers anew.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tests::World;
use tests::world::STAFF;

/// Longer texts, such as tokens, are shortened on the page.
const TEXT_CHARS_MAX: usize = 60;
/// Stands between the answers of two blocks.
const MARK: &str = "-- the next block --";

/// One fenced block of the page: its language, and its lines from one to another.
struct Block<'t> {
    language: &'t str,
    text: String,
    lines: std::ops::Range<usize>,
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/TOUR.md")
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut open: Option<(&str, usize)> = None;
    let lines: Vec<&str> = page.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        match (open, line.strip_prefix("```")) {
            (None, Some(language)) => open = Some((language, number + 1)),
            (Some((language, from)), Some(_)) => {
                let text = lines[from..number].join("\n");
                blocks.push(Block { language, text, lines: from..number });
                open = None;
            }
            (_, None) => {}
        }
    }
    blocks
}

/// What bash is told: the blocks of commands, with the test's own server for the one of the page.
fn script(url: &str, blocks: &[Block<'_>]) -> String {
    let mut script = String::new();
    for block in blocks.iter().filter(|block| block.language == "sh") {
        for line in block.text.lines() {
            if line.starts_with("URL=") {
                script.extend(["URL=", url, "\n"]);
            } else if line.starts_with("TOKEN=") {
                script.extend(["TOKEN=", STAFF, "\n"]);
            } else {
                script += line;
                script.push('\n');
            }
        }
        script.extend(["echo; echo '", MARK, "'\n"]);
    }
    script
}

/// Whether this has the shape of that: members, and types of values. On the page `null` and `{}`
/// stand for anything, and the first of a list for all.
fn differs(shown: &Value, told: &Value, place: &str) -> Option<String> {
    match (shown, told) {
        (Value::Object(shown), Value::Object(_)) if shown.is_empty() => None,
        (Value::Object(shown), Value::Object(told)) => {
            let names = |members: &serde_json::Map<String, Value>| {
                members.keys().cloned().collect::<Vec<_>>()
            };
            if names(shown) != names(told) {
                return Some(format!("{place} has {:?}, not {:?}", names(told), names(shown)));
            }
            let mut members = shown.iter();
            members
                .find_map(|(name, shown)| differs(shown, &told[name], &format!("{place}/{name}")))
        }
        (Value::Array(shown), Value::Array(told)) => {
            if shown.is_empty() != told.is_empty() {
                return Some(format!("{place} has {} items, not {}", told.len(), shown.len()));
            }
            let first = shown.first()?;
            // Events differ in what they may lack; the first is the one on the page.
            differs(first, told.first()?, &format!("{place}/0"))
        }
        (Value::Null, _)
        | (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_)) => None,
        (shown, told) => Some(format!("{place} is {told}, not like {shown}")),
    }
}

/// The answer as the page shows it.
fn shortened(value: &Value) -> Value {
    match value {
        Value::String(text) if TEXT_CHARS_MAX < text.chars().count() => {
            format!("{}...", text.chars().take(20).collect::<String>()).into()
        }
        Value::Array(items) => items.iter().take(1).map(shortened).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| match name.as_str() {
                "data" => (name.clone(), serde_json::json!({})),
                _ => (name.clone(), shortened(value)),
            })
            .collect(),
        other => other.clone(),
    }
}

fn written_anew(page: &str, blocks: &[Block<'_>], answers: &[&str]) -> String {
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    let mut of = answers.iter();
    let mut anew = Vec::new();
    let mut answer = "";
    for block in blocks {
        if block.language == "sh" {
            answer = of.next().copied().unwrap_or_default();
        } else if block.language == "json" {
            let value: Value = serde_json::from_str(answer).unwrap();
            anew.push((
                block.lines.clone(),
                serde_json::to_string_pretty(&shortened(&value)).unwrap(),
            ));
        }
    }
    for (range, text) in anew.into_iter().rev() {
        lines.splice(range, text.lines().map(str::to_owned));
    }
    lines.join("\n") + "\n"
}

#[tokio::test]
async fn the_tour_works_as_it_is_written() {
    let world = World::new().await;
    let text = std::fs::read_to_string(page()).unwrap();
    let blocks = blocks(&text);
    let script = script(&world.url, &blocks);
    let mut bash = Command::new("bash");
    bash.args(["-e", "-u", "-c", &script])
        .stdin(Stdio::null())
        .env_remove("http_proxy")
        .env("no_proxy", "*");
    let ended = tokio::time::timeout(
        tests::world::PATIENCE,
        tokio::task::spawn_blocking(move || bash.output()),
    );
    let output = ended
        .await
        .expect("the tour comes to an end")
        .unwrap()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{complained}");
    let answers: Vec<&str> = told.split(MARK).map(str::trim).collect();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(page(), written_anew(&text, &blocks, &answers)).unwrap();
        return;
    }

    let (mut of, mut answer, mut compared) = (answers.iter(), "", 0);
    for block in &blocks {
        match block.language {
            "sh" => answer = of.next().copied().unwrap(),
            "json" => {
                let told: Value = serde_json::from_str(answer)
                    .unwrap_or_else(|error| panic!("{error}: {answer}\n{}", block.text));
                let shown: Value = serde_json::from_str(&block.text).unwrap();
                assert_ne!(shown, serde_json::json!({}), "UPDATE_DOCS=1 writes the answers");
                let difference = differs(&shown, &told, "");
                let line = block.lines.start;
                assert_eq!(difference, None, "docs/TOUR.md:{line}; UPDATE_DOCS=1 writes it anew");
                compared += 1;
            }
            other => panic!("a block of {other}: the tour has commands (sh) and answers (json)"),
        }
    }
    assert!(10 <= compared, "{compared} answers");
    world.verify().await;
}
