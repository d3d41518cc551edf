//! The sample history: every event that there is, and every schema version that there ever was.

use std::collections::BTreeSet;
use std::path::Path;

use domain::event::Event;
use store::stored::StoredEvent;

/// Beside the test that folds it (`tests/system/history.rs`).
const SAMPLE: &str = "../tests/history/sample.ndjson";

#[test]
fn the_sample_history_holds_every_event_in_every_schema_version() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(SAMPLE);
    let text = std::fs::read_to_string(path).unwrap();
    let mut held = BTreeSet::new();
    for line in text.lines() {
        let event = StoredEvent::read(line).unwrap();
        held.insert((event.event_type, event.event_version.parse::<u32>().unwrap()));
    }
    for name in Event::names() {
        let newest = held
            .iter()
            .filter(|(held, _)| held == name)
            .map(|(_, version)| *version)
            .max();
        let newest =
            newest.unwrap_or_else(|| panic!("{name} is missing: append an order that has it"));
        for version in 1..=newest {
            assert!(held.contains(&(name.to_owned(), version)), "{name} version {version}");
        }
    }
}
