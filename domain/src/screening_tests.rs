//! What rules make of an order, rule by rule and together.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows has failed, and says where"
)]

use super::*;
use crate::ids::CustomerId;
use crate::testing::{an_order, gbp, noon};

fn rule(condition: Condition, outcome: Outcome) -> Rule {
    Rule { name: "a rule".into(), condition, outcome }
}

fn circumstances() -> Circumstances {
    Circumstances::of(&an_order(), None, None, noon())
}

/// Whether the condition holds, and what it says.
fn found(condition: Condition, of: &Circumstances) -> Option<String> {
    let decision = judge(&[rule(condition, Outcome::Refuse)], of);
    assert_eq!(decision.outcome == Outcome::Refuse, !decision.reasons.is_empty());
    decision
        .reasons
        .into_iter()
        .next()
        .map(|reason| reason.detail)
}

fn ago(minutes: i64, minor: i64) -> Earlier {
    Earlier { at: noon() - TimeDelta::minutes(minutes), total: gbp(minor) }
}

fn velocity(orders: Option<u32>, amount: Option<Money>) -> Condition {
    Condition::Velocity { by: Party::Email, orders, amount, window_seconds: 3_600 }
}

#[test]
fn orders_in_the_window_are_counted_with_this_one() {
    for (earlier, allowed, is_too_many) in [
        (vec![], 1, false),
        (vec![], 0, true),
        (vec![ago(1, 100)], 1, true),
        (vec![ago(1, 100)], 2, false),
        (vec![ago(60, 100)], 1, true),
        (vec![ago(61, 100)], 1, false),
        (vec![ago(61, 100), ago(5, 100), ago(0, 100)], 2, true),
    ] {
        let what = format!("{earlier:?}, {allowed} allowed");
        let earlier = BTreeMap::from([(Party::Email, earlier)]);
        let of = Circumstances { earlier, ..circumstances() };
        let found = found(velocity(Some(allowed), None), &of);
        assert_eq!(found.is_some(), is_too_many, "{what}");
    }
    let earlier = BTreeMap::from([(Party::Phone, vec![ago(1, 100); 9])]);
    let of = Circumstances { earlier, ..circumstances() };
    assert_eq!(found(velocity(Some(1), None), &of), None, "of another party");
    let by_phone =
        Condition::Velocity { by: Party::Phone, orders: Some(9), amount: None, window_seconds: 60 };
    assert_eq!(
        found(by_phone, &of).as_deref(),
        Some("10 orders by the same telephone number within 60 s")
    );
}

#[test]
fn money_in_the_window_is_added_up_in_its_own_currency() {
    let euros = |minor| Money { minor, currency: "EUR".parse().unwrap() };
    let in_euros = Earlier { at: noon(), total: euros(1_000_000) };
    for (earlier, allowed, is_too_much) in [
        (vec![], gbp(1850), false),
        (vec![], gbp(1849), true),
        (vec![ago(1, 150)], gbp(2000), false),
        (vec![ago(1, 151)], gbp(2000), true),
        (vec![ago(61, 151)], gbp(2000), false),
        (vec![in_euros], gbp(2000), false),
        (vec![in_euros], euros(1), false),
        (vec![ago(0, i64::MAX), ago(0, i64::MAX)], gbp(2000), true),
    ] {
        let what = format!("{earlier:?}, {allowed} allowed");
        let earlier = BTreeMap::from([(Party::Email, earlier)]);
        let of = Circumstances { earlier, ..circumstances() };
        assert_eq!(found(velocity(None, Some(allowed)), &of).is_some(), is_too_much, "{what}");
    }
    let both = velocity(Some(0), Some(gbp(1)));
    let told = found(both, &circumstances()).unwrap();
    assert_eq!(told, "1 orders by the same e-mail address within 3600 s");
}

#[test]
fn an_amount_is_compared_in_its_own_currency() {
    let yen = Money { minor: 1, currency: "JPY".parse().unwrap() };
    for (above, holds) in [(gbp(1849), true), (gbp(1850), false), (yen, false)] {
        let condition = Condition::Amount { above };
        assert_eq!(found(condition, &circumstances()).is_some(), holds, "{above}");
    }
}

#[test]
fn countries_are_compared_where_they_are_known() {
    let with = |with| Condition::CountryMismatch { with };
    for (phone, holds) in [
        (None, false),
        (Some("07700 900123"), false),
        (Some("+44 7700 900123"), false),
        (Some("+234 803 123 4567"), true),
        (Some("00234 803 123 4567"), true),
        (Some("+999 803 123 4567"), false),
    ] {
        let mut placing = an_order();
        placing.customer.phone = phone.map(ToOwned::to_owned);
        let of = Circumstances::of(&placing, None, None, noon());
        assert_eq!(found(with(Against::Phone), &of).is_some(), holds, "{phone:?}");
    }
    for (payer, holds) in [(None, false), (Some("gb"), false), (Some("FR"), true)] {
        let of = Circumstances::of(&an_order(), payer, None, noon());
        assert_eq!(found(with(Against::Payer), &of).is_some(), holds, "{payer:?}");
    }
    for (card, holds) in [(None, false), (Some("gb"), false), (Some("FR"), true)] {
        let card_country = card.map(ToOwned::to_owned);
        let of = circumstances().once_paid(Assessment { card_country, ..Assessment::default() });
        assert_eq!(found(with(Against::Card), &of).is_some(), holds, "{card:?}");
    }
    assert_eq!(found(with(Against::Card), &circumstances()), None, "nobody has paid yet");
}

#[test]
fn what_is_blocked_is_named_by_its_entry() {
    let blocked = vec![
        Blocked { kind: Kind::Email, entry: "1".into() },
        Blocked { kind: Kind::Ip, entry: "2".into() },
    ];
    let of = Circumstances { blocked, ..circumstances() };
    let told = found(Condition::Blocked { what: None }, &of).unwrap();
    assert_eq!(
        told,
        "the e-mail address is blocked by entry 1; the IP address is blocked by entry 2"
    );
    let told = found(Condition::Blocked { what: Some(Kind::Ip) }, &of).unwrap();
    assert_eq!(told, "the IP address is blocked by entry 2");
    assert_eq!(found(Condition::Blocked { what: Some(Kind::Phone) }, &of), None);
}

#[test]
fn an_order_is_the_one_named_by_any_of_its_identifiers() {
    let account = uuid::Uuid::from_u128(7);
    let placing = Placing { customer_id: Some(CustomerId(account)), ..an_order() };
    let of = Circumstances::of(&placing, None, Some("203.0.113.7".parse().unwrap()), noon());
    for (kind, value, holds) in [
        (Kind::Email, "ADA+x@example.com".to_owned(), true),
        (Kind::EmailDomain, "example.com".to_owned(), true),
        (Kind::EmailDomain, "ample.com".to_owned(), false),
        (Kind::Account, account.to_string(), true),
        (Kind::Ip, "203.0.0.0/16".to_owned(), true),
        (Kind::Country, "GB".to_owned(), true),
        (Kind::Country, "FR".to_owned(), false),
    ] {
        let identifier = Identifier::listed(kind, &value).unwrap();
        assert_eq!(found(Condition::Is { identifier }, &of).is_some(), holds, "{value}");
    }
}

#[test]
fn risk_is_judged_from_a_level_on() {
    for (said, at_least, holds) in [
        (None, Risk::Normal, false),
        (Some(Risk::Normal), Risk::Normal, true),
        (Some(Risk::Normal), Risk::Elevated, false),
        (Some(Risk::Elevated), Risk::Elevated, true),
        (Some(Risk::Highest), Risk::Elevated, true),
        (Some(Risk::Elevated), Risk::Highest, false),
    ] {
        let of = circumstances().once_paid(Assessment { risk: said, ..Assessment::default() });
        let condition = Condition::ProviderRisk { at_least };
        assert_eq!(found(condition, &of).is_some(), holds, "{said:?} from {at_least:?} on");
    }
}

#[test]
fn the_strongest_outcome_wins_and_every_reason_is_kept() {
    use Outcome::{Accept, Refuse, Review};
    let holds = |outcome| rule(Condition::Amount { above: gbp(1) }, outcome);
    let does_not = |outcome| rule(Condition::Amount { above: gbp(9_999) }, outcome);
    for (rules, outcome, reasons) in [
        (vec![], Accept, 0),
        (vec![does_not(Refuse)], Accept, 0),
        (vec![holds(Review)], Review, 1),
        (vec![holds(Refuse), holds(Review)], Refuse, 2),
        (vec![holds(Review), does_not(Refuse), holds(Refuse)], Refuse, 2),
        // Who is accepted is asked nothing more; what was found before stays.
        (vec![holds(Accept), holds(Refuse)], Accept, 1),
        (vec![does_not(Accept), holds(Refuse)], Refuse, 1),
        (vec![holds(Review), holds(Accept), holds(Refuse)], Review, 2),
    ] {
        let decision = judge(&rules, &circumstances());
        assert_eq!((decision.outcome, decision.reasons.len()), (outcome, reasons), "{rules:?}");
    }
}

#[test]
fn once_it_is_paid_only_the_providers_word_is_news() {
    let known = Identifier::listed(Kind::Email, "ada@example.com").unwrap();
    let risky = Assessment {
        risk: Some(Risk::Highest),
        card_country: Some("FR".into()),
        fingerprint: Some("card-1".into()),
        hold: false,
    };
    let of = Circumstances {
        blocked: vec![
            Blocked { kind: Kind::Email, entry: "1".into() },
            Blocked { kind: Kind::Fingerprint, entry: "2".into() },
        ],
        ..circumstances().once_paid(risky)
    };
    let found = |condition| found(condition, &of);
    assert_eq!(found(Condition::Amount { above: gbp(1) }), None);
    assert_eq!(found(Condition::Is { identifier: known.clone() }), None);
    assert_eq!(
        found(Condition::Blocked { what: None }).as_deref(),
        Some("the card or account at the provider is blocked by entry 2")
    );
    let card = Identifier::listed(Kind::Fingerprint, "card-1").unwrap();
    assert!(found(Condition::Is { identifier: card }).is_some());

    let accept = rule(Condition::Is { identifier: known }, Outcome::Accept);
    let refuse = rule(Condition::ProviderRisk { at_least: Risk::Normal }, Outcome::Refuse);
    assert_eq!(judge(&[accept, refuse.clone()], &of).outcome, Outcome::Accept);
    assert_eq!(judge(&[refuse], &of).outcome, Outcome::Refuse);
}

#[test]
fn what_a_provider_would_not_deliver_waits_unless_a_rule_says_otherwise() {
    let said = Assessment { risk: Some(Risk::Highest), hold: true, ..Assessment::default() };
    let of = circumstances().once_paid(said);
    assert_eq!(judge(&[], &of).outcome, Outcome::Review);
    let risk = |outcome| rule(Condition::ProviderRisk { at_least: Risk::Elevated }, outcome);
    for outcome in [Outcome::Accept, Outcome::Review, Outcome::Refuse] {
        let decision = judge(&[risk(outcome)], &of);
        assert_eq!((decision.outcome, decision.reasons.len()), (outcome, 1));
    }
}

#[test]
fn a_condition_survives_being_written_down() {
    for condition in [
        velocity(Some(3), Some(gbp(1))),
        Condition::Amount { above: gbp(1) },
        Condition::CountryMismatch { with: Against::Card },
        Condition::Blocked { what: None },
        Condition::Blocked { what: Some(Kind::Ip) },
        Condition::Is { identifier: Identifier::listed(Kind::Country, "GB").unwrap() },
        Condition::ProviderRisk { at_least: Risk::Highest },
    ] {
        let written = serde_json::to_string(&condition).unwrap();
        assert_eq!(serde_json::from_str::<Condition>(&written).unwrap(), condition);
    }
}

#[test]
fn an_order_is_counted_with_everybody_it_may_be_by() {
    let mut placing = an_order();
    placing.customer.phone = Some("+44 7700 900123".into());
    let counted: Vec<Party> = parties(&placing)
        .into_iter()
        .map(|(party, _)| party)
        .collect();
    assert_eq!(counted, [Party::Email, Party::Phone, Party::Address]);
    let elsewhere = {
        let mut other = placing.clone();
        other.customer.email = "ADA+2@example.com".into();
        other.shipping_address.line1 = "12 st james's  square".into();
        other
    };
    assert_eq!(parties(&elsewhere), parties(&placing));
}
