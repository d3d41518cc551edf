//! Who is asked for what, by rules, by what providers can do, and by whom they reach.

use super::*;
use crate::capabilities::{Codes, Methods, Unit};

const EVERYTHING: Capabilities = Capabilities {
    currencies: Codes::All,
    methods: Methods::All,
    countries: Codes::All,
    partial_refunds: true,
    unit: Unit::Minor,
    needs_payer: false,
    signs_webhooks: true,
};
const CARDS_IN_POUNDS: Capabilities = Capabilities {
    currencies: Codes::Only(&["GBP", "NGN"]),
    methods: Methods::Only(&[PaymentMethod::CreditCard]),
    ..EVERYTHING
};
const UGANDA: Capabilities = Capabilities {
    currencies: Codes::AllBut(&["GBP"]),
    countries: Codes::Only(&["UG"]),
    ..EVERYTHING
};

/// `any` takes everything, `cards` cards in pounds and nairas, `uganda` serves Uganda, `off` is off.
fn candidates() -> Vec<Candidate> {
    let on = |gateway, capabilities| Candidate {
        gateway,
        capabilities,
        accepts_token: None,
        is_on: true,
        is_away: false,
    };
    let takes_pm = |token: Option<&str>| match token {
        Some(token) if !token.starts_with("pm_") => Err("it takes pm_".to_owned()),
        _ => Ok(()),
    };
    vec![
        on(DEFAULT, &EVERYTHING),
        on("any", &EVERYTHING),
        Candidate { accepts_token: Some(takes_pm), ..on("cards", &CARDS_IN_POUNDS) },
        on("uganda", &UGANDA),
        Candidate { is_on: false, ..on("off", &EVERYTHING) },
    ]
}

fn away(names: &[&str]) -> Vec<Candidate> {
    let mut candidates = candidates();
    for candidate in &mut candidates {
        candidate.is_away = names.contains(&candidate.gateway);
    }
    candidates
}

fn pounds(minor: i64) -> Money {
    Money { minor, currency: "GBP".parse().unwrap() }
}

fn by_card(minor: i64) -> Wish<'static> {
    let method = PaymentMethod::CreditCard;
    Wish { amount: pounds(minor), country: "GB", method, token: None }
}

fn rule(priority: i32, conditions: Conditions, gateways: &[&str]) -> Rule {
    Rule {
        rule_id: Uuid::from_u128(u128::try_from(priority).unwrap()),
        priority,
        conditions,
        gateways: gateways.iter().map(|name| (*name).to_owned()).collect(),
        active: true,
    }
}

fn anything() -> Conditions {
    Conditions::default()
}

/// Why somebody was left out.
fn why<'r>(route: &'r Route, gateway: &str) -> &'r Obstacle {
    let mut left_out = route.left_out.iter();
    &left_out.find(|of| of.gateway == gateway).unwrap().why
}

#[test]
fn without_an_active_rule_the_default_is_asked_as_before_there_were_rules() {
    let sleeping = Rule { active: false, ..rule(1, anything(), &["any"]) };
    for rules in [vec![], vec![sleeping]] {
        let route = route(&rules, &candidates(), &by_card(1));
        assert_eq!((route.rule_id, route.gateways.as_slice()), (None, &[DEFAULT][..]));
        assert_eq!(why(&route, "any"), &Obstacle::NotDefault);
    }
}

#[test]
fn without_rules_and_without_the_sandbox_whoever_is_on_and_can_is_asked() {
    let mut candidates = candidates();
    candidates[0].is_on = false;
    let route = route(&[], &candidates, &by_card(1));
    assert_eq!((route.rule_id, route.gateways.as_slice()), (None, &["any", "cards"][..]));
    assert_eq!(why(&route, DEFAULT), &Obstacle::SwitchedOff);
    assert!(matches!(why(&route, "uganda"), Obstacle::Unable(_)));
    for candidate in &mut candidates {
        candidate.is_on = false;
    }
    assert!(
        super::route(&[], &candidates, &by_card(1))
            .gateways
            .is_empty()
    );
}

#[test]
fn where_there_are_rules_and_none_matches_nobody_is_asked() {
    let euros = Conditions { currencies: vec!["EUR".parse().unwrap()], ..anything() };
    let route = route(&[rule(1, euros, &["any"])], &candidates(), &by_card(1));
    assert_eq!((route.rule_id, route.gateways.as_slice()), (None, &[][..]));
    assert_eq!(why(&route, DEFAULT), &Obstacle::NoRule);
    assert!(!route.is_only_away());
}

#[test]
#[rustfmt::skip]
fn each_condition_holds_for_what_it_names_and_for_nothing_else() {
    let gbp = || vec!["GBP".parse().unwrap()];
    let ngn = || vec!["NGN".parse().unwrap()];
    let nairas = |minor| Money { minor, currency: "NGN".parse().unwrap() };
    let table = [
        (anything(),                                                          true),
        (Conditions { currencies: gbp(), ..anything() },                      true),
        (Conditions { currencies: [ngn(), gbp()].concat(), ..anything() },    true),
        (Conditions { currencies: ngn(), ..anything() },                      false),
        (Conditions { countries: vec!["GB".into()], ..anything() },           true),
        (Conditions { countries: vec!["UG".into()], ..anything() },           false),
        (Conditions { methods: vec![PaymentMethod::CreditCard], ..anything() }, true),
        (Conditions { methods: vec![PaymentMethod::Cash], ..anything() },     false),
        (Conditions { amount_from: Some(pounds(500)), ..anything() },         true),
        (Conditions { amount_from: Some(pounds(501)), ..anything() },         false),
        (Conditions { amount_to: Some(pounds(500)), ..anything() },           true),
        (Conditions { amount_to: Some(pounds(499)), ..anything() },           false),
        (Conditions { amount_from: Some(nairas(1)), ..anything() },           false),
        (Conditions { amount_to: Some(nairas(900)), ..anything() },           false),
        (Conditions { currencies: gbp(), countries: vec!["UG".into()], ..anything() }, false),
    ];
    for (conditions, holds) in table {
        let rules = [rule(1, conditions.clone(), &["any"])];
        let route = route(&rules, &candidates(), &by_card(500));
        assert_eq!(route.gateways == ["any"], holds, "{conditions:?}");
    }
}

#[test]
fn the_first_rule_that_matches_counts_and_no_other() {
    let pounds_only = Conditions { currencies: vec!["GBP".parse().unwrap()], ..anything() };
    let rules = [
        rule(30, anything(), &["any"]),
        rule(20, pounds_only, &["cards", "any"]),
        Rule { active: false, ..rule(10, anything(), &["uganda"]) },
    ];
    let by_pounds = route(&rules, &candidates(), &by_card(1));
    assert_eq!(by_pounds.rule_id, Some(Uuid::from_u128(20)));
    assert_eq!(by_pounds.gateways, ["cards", "any"]);
    assert_eq!(why(&by_pounds, "uganda"), &Obstacle::NotPreferred);
    let euros = Money { minor: 1, currency: "EUR".parse().unwrap() };
    let otherwise = route(&rules, &candidates(), &Wish { amount: euros, ..by_card(1) });
    assert_eq!(otherwise.gateways, ["any"]);
    // The rule matches even if nobody that it names is left.
    let cash = Wish { method: PaymentMethod::Cash, ..by_card(1) };
    let only_cards = [
        rule(1, anything(), &["cards"]),
        rule(2, anything(), &["any"]),
    ];
    assert_eq!(route(&only_cards, &candidates(), &cash).gateways, Vec::<&str>::new());
}

#[test]
fn whoever_cannot_is_left_out_and_told_why() {
    let rules = [rule(
        1,
        anything(),
        &["gone", "off", "uganda", "cards", "any"],
    )];
    let cash = Wish { method: PaymentMethod::Cash, ..by_card(1) };
    let route = route(&rules, &candidates(), &cash);
    assert_eq!(route.gateways, ["any"]);
    for (gateway, words) in [
        ("gone", "there is no such gateway"),
        ("off", "it is switched off"),
        ("uganda", "it does not take GBP"),
        ("cards", "it is paid by credit_card"),
        (DEFAULT, "the rule does not name it"),
    ] {
        assert_eq!(why(&route, gateway).to_string(), words);
    }
    assert_eq!(route.left_out.len(), 5, "each is told once");
}

#[test]
fn whom_the_goods_go_to_decides_who_can_serve_them() {
    let rules = [rule(1, anything(), &["uganda", "any"])];
    let euros = Money { minor: 1, currency: "EUR".parse().unwrap() };
    for (country, expected) in [("UG", vec!["uganda", "any"]), ("KE", vec!["any"])] {
        let wish = Wish { amount: euros, country, ..by_card(1) };
        assert_eq!(route(&rules, &candidates(), &wish).gateways, expected, "{country}");
    }
}

#[test]
fn a_token_is_shown_to_nobody_who_does_not_take_it() {
    let rules = [rule(1, anything(), &["cards", "any"])];
    for (token, expected) in [("pm_1", vec!["cards", "any"]), ("tok_1", vec!["any"])] {
        let wish = Wish { token: Some(token), ..by_card(1) };
        assert_eq!(route(&rules, &candidates(), &wish).gateways, expected, "{token}");
    }
}

#[test]
fn whoever_is_away_is_left_out_and_comes_back() {
    let rules = [rule(1, anything(), &["cards", "any"])];
    for (away_ones, expected) in [
        (vec![], vec!["cards", "any"]),
        (vec!["cards"], vec!["any"]),
        (vec!["cards", "any"], vec![]),
    ] {
        let route = route(&rules, &away(&away_ones), &by_card(1));
        assert_eq!(route.gateways, expected);
        assert_eq!(route.is_only_away(), expected.is_empty());
    }
    let cash = Wish { method: PaymentMethod::Cash, ..by_card(1) };
    let only_cards = [rule(1, anything(), &["cards"])];
    let nobody = route(&only_cards, &away(&["cards", "any"]), &cash);
    assert!(!nobody.is_only_away(), "it would not help if it were reached");
}

#[test]
fn everybody_is_either_asked_or_left_out_whatever_the_rules() {
    let names = ["gone", "off", "uganda", "cards", "any", DEFAULT];
    let methods = PaymentMethod::NAMES.map(|(_, method)| method);
    for first in names {
        for second in names.into_iter().filter(|second| *second != first) {
            for method in methods {
                let rules = [rule(1, anything(), &[first, second])];
                let wish = Wish { method, ..by_card(1) };
                let route = route(&rules, &away(&["any"]), &wish);
                let left_out = route.left_out.iter().map(|of| &*of.gateway);
                let mut told: Vec<&str> = route.gateways.iter().copied().chain(left_out).collect();
                told.sort_unstable();
                let mut everybody: Vec<&str> = candidates().iter().map(|of| of.gateway).collect();
                everybody.extend([first, second].into_iter().filter(|name| *name == "gone"));
                everybody.sort_unstable();
                assert_eq!(told, everybody, "{first}, {second}, {method:?}");
            }
        }
    }
}

#[test]
fn a_rule_that_names_somebody_who_never_can_be_asked_is_known_to() {
    let of = |code: &str| Conditions { currencies: vec![code.parse().unwrap()], ..anything() };
    let told = |conditions: &Conditions| conditions.exclude("cards", &CARDS_IN_POUNDS);
    assert_eq!(told(&anything()), None);
    assert_eq!(told(&of("GBP")), None);
    assert_eq!(told(&of("EUR")).as_deref(), Some("cards takes GBP, NGN, not EUR"));
    let either = [of("EUR").currencies, of("NGN").currencies].concat();
    assert_eq!(told(&Conditions { currencies: either, ..anything() }), None, "one will do");
    let cash = Conditions { methods: vec![PaymentMethod::Cash], ..anything() };
    assert_eq!(told(&cash).as_deref(), Some("cards is paid by credit_card"));
    let dear = Money { minor: 1, currency: "EUR".parse().unwrap() };
    let dear = Conditions { amount_from: Some(dear), ..anything() };
    assert_eq!(told(&dear).as_deref(), Some("cards takes GBP, NGN, not EUR"));
    let kenya = Conditions { countries: vec!["KE".into()], ..anything() };
    assert_eq!(kenya.exclude("uganda", &UGANDA).as_deref(), Some("uganda serves UG, not KE"));
}

#[test]
fn a_token_is_known_to_somebody_or_to_nobody() {
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(takes_token(&names(&["sandbox"]), "ok"), Ok(()));
    let unknown = takes_token(&names(&["paystack", "sandbox"]), "4242").unwrap_err();
    assert!(
        unknown.contains("Paystack takes no token") && unknown.contains("the sandbox knows ok")
    );
    assert_eq!(takes_token(&names(&["sandbox", "stripe"]), "pm_1"), Ok(()));
}
