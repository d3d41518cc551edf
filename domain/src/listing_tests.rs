//! Listings: what is a fact, what is none, and what a customer could not choose from.

use super::*;
use crate::testing::given;

fn cup(sku: &str, options: &[(&str, &str)]) -> Variant {
    let choice = |(name, value): &(&str, &str)| Choice {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    Variant { sku: sku.parse().unwrap(), options: options.iter().map(choice).collect() }
}

fn cups() -> Description {
    Description {
        description: "For tea.".into(),
        images: vec!["https://shop.example/cup.jpg".into()],
        category: Some("cups".parse().unwrap()),
        tags: vec!["gift".into(), "tea".into()],
        variants: vec![
            cup("CUP-S", &[("size", "small")]),
            cup("CUP-L", &[("size", "large")]),
        ],
        ..Description::new("Tea cup".into())
    }
}

fn describe(description: Description) -> Command {
    Command::Describe(Box::new(description))
}

fn described(description: Description) -> Event {
    Event::Described(Box::new(description))
}

fn amend(amendment: Amendment) -> Command {
    Command::Amend(Box::new(amendment))
}

fn listed() -> [Event; 1] {
    [described(cups())]
}

#[track_caller]
fn refused(variants: Vec<Variant>, refusal: &Refusal) {
    given::<Listing>(&[])
        .when(describe(Description { variants, ..cups() }))
        .then_refused(refusal);
}

#[test]
fn what_changes_is_a_fact_and_what_stays_is_none() {
    given::<Listing>(&[])
        .when(describe(cups()))
        .then(&[described(cups())]);
    given::<Listing>(&listed()).when(describe(cups())).then(&[]);
    let hidden = Description { active: false, ..cups() };
    given::<Listing>(&listed())
        .when(describe(hidden.clone()))
        .then(&[described(hidden)]);
}

#[test]
fn tags_and_options_say_the_same_in_any_order_and_case() {
    let tags = [" Tea ", "gift", "TEA", " "];
    let tags = tags.map(ToOwned::to_owned).to_vec();
    given::<Listing>(&listed())
        .when(describe(Description { tags, ..cups() }))
        .then(&[]);
    let two =
        |options: &[(&str, &str)]| Description { variants: vec![cup("CUP", options)], ..cups() };
    given::<Listing>(&[described(two(&[("colour", "red"), ("size", "small")]))])
        .when(describe(two(&[("size", "small"), ("colour", "red")])))
        .then(&[]);
}

#[test]
fn what_is_withdrawn_is_gone_and_may_be_listed_again() {
    given::<Listing>(&[])
        .when(Command::Withdraw)
        .then_refused(&Refusal::NotListed);
    given::<Listing>(&listed())
        .when(Command::Withdraw)
        .then(&[Event::Withdrawn]);
    let gone = [described(cups()), Event::Withdrawn];
    given::<Listing>(&gone)
        .when(Command::Withdraw)
        .then_refused(&Refusal::NotListed);
    given::<Listing>(&gone)
        .when(describe(cups()))
        .then(&[described(cups())]);
}

#[test]
fn an_amendment_changes_what_it_names_and_takes_nothing_away() {
    let large = cup("CUP-L", &[("size", "very large")]);
    let middle = cup("CUP-M", &[("size", "middle")]);
    given::<Listing>(&listed())
        .when(amend(Amendment {
            title: Some("Cup".into()),
            variants: vec![large.clone(), middle.clone()],
            ..Amendment::default()
        }))
        .then(&[described(Description {
            title: "Cup".into(),
            variants: vec![cup("CUP-S", &[("size", "small")]), large, middle],
            ..cups()
        })]);
    given::<Listing>(&listed())
        .when(amend(Amendment::default()))
        .then(&[]);
}

#[test]
fn a_new_listing_needs_a_title_and_is_seen() {
    given::<Listing>(&[])
        .when(amend(Amendment { tags: Some(vec!["tea".into()]), ..Amendment::default() }))
        .then_refused(&Refusal::TitleMissing);
    given::<Listing>(&[])
        .when(amend(Amendment { title: Some("Pot".into()), ..Amendment::default() }))
        .then(&[described(Description::new("Pot".into()))]);
}

#[test]
fn a_customer_who_chooses_all_options_has_chosen_one_article() {
    let sku = |text: &str| text.parse::<Sku>().unwrap();
    refused(vec![cup("A", &[]), cup("A", &[])], &Refusal::SkuTwice { sku: sku("A") });
    refused(
        vec![cup("A", &[("size", "s"), ("size", "l")])],
        &Refusal::OptionTwice { sku: sku("A"), option: "size".into() },
    );
    refused(
        vec![cup("A", &[("size", "s")]), cup("B", &[("tier", "s")])],
        &Refusal::OptionsDiffer { sku: sku("B"), other: sku("A") },
    );
    refused(
        vec![cup("A", &[("size", "s")]), cup("B", &[("size", "s")])],
        &Refusal::NotToldApart { sku: sku("B"), other: sku("A") },
    );
    refused(
        vec![cup("A", &[]), cup("B", &[])],
        &Refusal::NotToldApart { sku: sku("B"), other: sku("A") },
    );
}

#[test]
fn a_listing_has_bounds() {
    let too_many = |what: &str, max: usize| Refusal::TooMany {
        what: what.to_owned(),
        max,
        given: max.saturating_add(1),
    };
    let numbered = |max: usize| (0..=max).map(|number| number.to_string());
    let with = |description: Description, refusal: &Refusal| {
        given::<Listing>(&[])
            .when(describe(description))
            .then_refused(refusal);
    };
    let images = numbered(IMAGES_MAX).collect();
    with(Description { images, ..cups() }, &too_many("images", IMAGES_MAX));
    let tags = numbered(TAGS_MAX).collect();
    with(Description { tags, ..cups() }, &too_many("tags", TAGS_MAX));
    let variants = numbered(VARIANTS_MAX)
        .map(|number| cup(&number, &[("number", &number)]))
        .collect();
    refused(variants, &too_many("variants", VARIANTS_MAX));
    let options: Vec<String> = numbered(OPTIONS_MAX).collect();
    let options: Vec<_> = options.iter().map(|name| (name.as_str(), "x")).collect();
    refused(vec![cup("A", &options)], &too_many("options", OPTIONS_MAX));
}

#[test]
fn what_is_not_given_is_not_written() {
    let plain = described(Description::new("Pot".into()));
    let written = r#"{"type":"listing.described","title":"Pot","active":true}"#;
    assert_eq!(serde_json::to_string(&plain).unwrap(), written);
    assert_eq!(serde_json::from_str::<Event>(written).unwrap(), plain);

    let vendor = Some(uuid::Uuid::from_u128(7));
    let full = described(Description { vendor, ..cups() });
    let form = serde_json::json!({
        "type": "listing.described", "title": "Tea cup", "description": "For tea.",
        "images": ["https://shop.example/cup.jpg"], "category": "cups",
        "tags": ["gift", "tea"], "active": true,
        "variants": [
            {"sku": "CUP-S", "options": [{"name": "size", "value": "small"}]},
            {"sku": "CUP-L", "options": [{"name": "size", "value": "large"}]},
        ],
        "vendor": "00000000-0000-0000-0000-000000000007",
    });
    assert_eq!(serde_json::to_value(&full).unwrap(), form);
}
