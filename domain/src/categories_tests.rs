//! Categories: a tree, whatever anybody asks.

use proptest::prelude::*;

use super::*;
use crate::testing::{given, random};

fn handle(text: &str) -> Handle {
    text.parse().unwrap()
}

fn category(name: &str, parent: Option<&str>) -> Category {
    Category { name: name.to_owned(), parent: parent.map(handle) }
}

fn put(at: &str, name: &str, parent: Option<&str>) -> Command {
    Command::Put { handle: handle(at), category: category(name, parent) }
}

fn added(at: &str, name: &str, parent: Option<&str>) -> Event {
    Event::Added { handle: handle(at), category: category(name, parent) }
}

fn kitchen() -> [Event; 3] {
    [
        added("kitchen", "Kitchen", None),
        added("cups", "Cups", Some("kitchen")),
        added("garden", "Garden", None),
    ]
}

/// `level-1` at the top, each further one below the one before.
fn a_deep_tree() -> Vec<Event> {
    (1..=LEVELS_MAX)
        .map(|level| {
            let above = level.saturating_sub(1);
            let parent = (0 < above).then(|| format!("level-{above}"));
            added(&format!("level-{level}"), "x", parent.as_deref())
        })
        .collect()
}

#[test]
fn what_changes_is_a_fact_and_what_stays_is_none() {
    given::<Categories>(&[])
        .when(put("cups", "Cups", None))
        .then(&[added("cups", "Cups", None)]);
    given::<Categories>(&kitchen())
        .when(put("cups", "Cups", Some("kitchen")))
        .then(&[]);
    given::<Categories>(&kitchen())
        .when(put("cups", "Mugs", Some("garden")))
        .then(&[
            Event::Renamed { handle: handle("cups"), name: "Mugs".into() },
            Event::Moved { handle: handle("cups"), parent: Some(handle("garden")) },
        ]);
    given::<Categories>(&kitchen())
        .when(put("cups", "Cups", None))
        .then(&[Event::Moved { handle: handle("cups"), parent: None }]);
}

#[test]
fn nobody_is_below_itself_or_below_nobody() {
    for parent in ["kitchen", "cups"] {
        given::<Categories>(&kitchen())
            .when(put("kitchen", "Kitchen", Some(parent)))
            .then_refused(&Refusal::BelowItself {
                handle: handle("kitchen"),
                parent: handle(parent),
            });
    }
    for at in ["pots", "cups"] {
        given::<Categories>(&kitchen())
            .when(put(at, "Pots", Some("cellar")))
            .then_refused(&Refusal::NoSuchParent { parent: handle("cellar") });
    }
    given::<Categories>(&[])
        .when(put("pots", "Pots", Some("pots")))
        .then_refused(&Refusal::NoSuchParent { parent: handle("pots") });
}

#[test]
fn a_tree_has_so_many_levels_whoever_is_moved() {
    let levels = LEVELS_MAX.saturating_add(1);
    let deepest = format!("level-{LEVELS_MAX}");
    given::<Categories>(&a_deep_tree())
        .when(put("more", "More", Some(&deepest)))
        .then_refused(&Refusal::TooDeep { levels });
    let mut two = a_deep_tree();
    two.push(added("other", "Other", None));
    given::<Categories>(&two)
        .when(put("level-1", "x", Some("other")))
        .then_refused(&Refusal::TooDeep { levels });
    given::<Categories>(&two)
        .when(put("level-2", "x", Some("other")))
        .then(&[Event::Moved { handle: handle("level-2"), parent: Some(handle("other")) }]);
}

#[test]
fn who_has_others_below_stays() {
    given::<Categories>(&kitchen())
        .when(Command::Remove { handle: handle("kitchen") })
        .then_refused(&Refusal::HasChildren { handle: handle("kitchen"), child: handle("cups") });
    given::<Categories>(&kitchen())
        .when(Command::Remove { handle: handle("cups") })
        .then(&[Event::Removed { handle: handle("cups") }]);
    given::<Categories>(&kitchen())
        .when(Command::Remove { handle: handle("pots") })
        .then_refused(&Refusal::NotThere);
}

#[test]
fn there_are_so_many_and_no_more() {
    let many: Vec<Event> = (0..CATEGORIES_MAX)
        .map(|number| added(&format!("c{number}"), "x", None))
        .collect();
    given::<Categories>(&many)
        .when(put("more", "More", None))
        .then_refused(&Refusal::TooMany);
    given::<Categories>(&many)
        .when(put("c1", "Other", None))
        .then(&[Event::Renamed { handle: handle("c1"), name: "Other".into() }]);
}

#[test]
fn what_happened_has_this_form() {
    let form = |event: &Event| serde_json::to_string(event).unwrap();
    for (event, expected) in [
        (
            added("cups", "Cups", Some("kitchen")),
            r#"{"type":"categories.added","handle":"cups","name":"Cups","parent":"kitchen"}"#,
        ),
        (
            added("cups", "Cups", None),
            r#"{"type":"categories.added","handle":"cups","name":"Cups"}"#,
        ),
        (
            Event::Moved { handle: handle("cups"), parent: None },
            r#"{"type":"categories.moved","handle":"cups"}"#,
        ),
    ] {
        assert_eq!(form(&event), expected);
        assert_eq!(serde_json::from_str::<Event>(expected).unwrap(), event);
    }
}

proptest! {
    #![proptest_config(random())]

    #[test]
    fn whatever_is_asked_the_categories_are_a_tree(
        asked in prop::collection::vec((0_u8..8, prop::option::of(0_u8..8), any::<bool>()), 1..60)
    ) {
        let mut categories = Categories::default();
        for (at, parent, removes) in asked {
            let at = handle(&format!("c{at}"));
            let command = if removes {
                Command::Remove { handle: at }
            } else {
                let parent = parent.map(|parent| handle(&format!("c{parent}")));
                Command::Put { handle: at, category: Category { name: "x".into(), parent } }
            };
            for event in categories.decide(command).unwrap_or_default() {
                categories.evolve(&event);
            }
            for at in categories.all.keys() {
                let way: Vec<_> = categories.upwards(at).collect();
                prop_assert!(way.len() <= LEVELS_MAX, "{way:?}");
                prop_assert!(way.iter().all(|above| categories.all.contains_key(*above)));
            }
        }
    }
}
