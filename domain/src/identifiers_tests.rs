//! What is one and the same, and what is not.

use super::*;
use crate::testing::an_order;

fn listed(kind: Kind, text: &str) -> Option<String> {
    Identifier::listed(kind, text)
        .ok()
        .map(|identifier| identifier.value)
}

#[test]
fn an_address_is_one_however_it_is_written() {
    for text in [
        "ada@example.com",
        " Ada@Example.COM ",
        "ada+shop@example.com",
        "ada+a+b@example.com.",
        "\u{ff41}da@example.com",
    ] {
        assert_eq!(listed(Kind::Email, text).as_deref(), Some("ada@example.com"), "{text}");
    }
    for text in ["a.d.a@gmail.com", "ada@googlemail.com", "ADA+x@GMail.com"] {
        assert_eq!(listed(Kind::Email, text).as_deref(), Some("ada@gmail.com"), "{text}");
    }
    let umlaut = listed(Kind::Email, "ada@bücher.example");
    assert_eq!(umlaut.as_deref(), Some("ada@xn--bcher-kva.example"));
    assert_eq!(umlaut, listed(Kind::Email, "ada@BU\u{308}CHER.example"));
    assert_eq!(
        listed(Kind::Email, "jürgen@example.com"),
        listed(Kind::Email, "JÜRGEN@example.com")
    );
    // Dots count everywhere else, and so does a name that is all tag.
    assert_eq!(listed(Kind::Email, "a.da@example.com").as_deref(), Some("a.da@example.com"));
    assert_eq!(listed(Kind::Email, "+x@example.com").as_deref(), Some("+x@example.com"));
    for text in ["", "ada", "@example.com", "ada@"] {
        assert_eq!(listed(Kind::Email, text), None, "{text}");
    }
}

#[test]
fn a_number_is_one_however_it_is_written() {
    for text in [
        "+447700900123",
        "+44 7700 900-123",
        "0044 (0)7700 900 123",
        "+44 (0) 7700 900123",
        "tel: +44.7700.900123",
        "\u{ff0b}\u{ff14}\u{ff14}7700900123",
    ] {
        assert_eq!(listed(Kind::Phone, text).as_deref(), Some("447700900123"), "{text}");
    }
    assert_eq!(phone_at("07700 900123", "GB").as_deref(), Some("447700900123"));
    assert_eq!(phone_at("07700 900123", "ZZ").as_deref(), Some("07700900123"));
    assert_eq!(phone_at("(202) 555-0123", "US").as_deref(), Some("12025550123"));
    assert_eq!(phone_at("112", "ZZ"), None);
    for text in [
        "",
        "07700900123",
        "+",
        "+12",
        "call me",
        &format!("+{}", "1".repeat(30)),
    ] {
        assert_eq!(listed(Kind::Phone, text), None, "{text}");
    }
}

#[test]
fn a_host_stands_for_every_host_below_it() {
    let host = Identifier { kind: Kind::EmailDomain, value: "a.b.example.com".into() };
    assert_eq!(host.listed_as(), ["a.b.example.com", "b.example.com", "example.com", "com"]);
    assert_eq!(listed(Kind::EmailDomain, "@Example.COM").as_deref(), Some("example.com"));
    assert_eq!(listed(Kind::EmailDomain, "com"), None, "nobody means that");
}

#[test]
fn a_network_stands_for_its_addresses() {
    let of = |text: &str| Identifier { kind: Kind::Ip, value: text.into() }.listed_as();
    let network = listed(Kind::Ip, "203.0.113.9/24").unwrap();
    assert_eq!(network, "203.0.113.0/24");
    assert!(of("203.0.113.200").contains(&network));
    assert!(!of("203.0.114.200").contains(&network));
    assert!(of("203.0.113.7").contains(&listed(Kind::Ip, "203.0.113.7/32").unwrap()));
    assert_eq!(listed(Kind::Ip, "::ffff:203.0.113.7").as_deref(), Some("203.0.113.7"));
    assert!(of("2001:db8::1").contains(&listed(Kind::Ip, "2001:DB8::/32").unwrap()));
    for text in [
        "",
        "203.0.113",
        "203.0.113.0/0",
        "203.0.113.0/33",
        "example.com",
    ] {
        assert_eq!(listed(Kind::Ip, text), None, "{text}");
    }
}

#[test]
fn postcodes_countries_and_accounts_are_read_alike() {
    assert_eq!(listed(Kind::Postcode, "sw1y 4jh"), listed(Kind::Postcode, "SW1Y4JH"));
    assert_eq!(listed(Kind::Country, " gb ").as_deref(), Some("GB"));
    assert_eq!(listed(Kind::Country, "Britain"), None);
    let account = "0190C0DE-0000-7000-8000-000000000000";
    assert_eq!(listed(Kind::Account, account), Some(account.to_lowercase()));
    assert_eq!(listed(Kind::Account, "ada"), None);
    assert_eq!(
        listed(Kind::Fingerprint, "Xt5EWLLDS7FJjR1c").as_deref(),
        Some("Xt5EWLLDS7FJjR1c")
    );
    assert_eq!(listed(Kind::Fingerprint, &"x".repeat(321)), None);
}

#[test]
fn an_order_is_recognised_by_all_that_it_says() {
    let mut placing = an_order();
    placing.customer.email = "Ada+1@mail.Example.com".into();
    placing.customer.phone = Some("07700 900123".into());
    placing.shipping_address.postcode = Some("SW1Y 4JH".into());
    let found = of(&placing, Some("NG"), Some("203.0.113.7".parse().unwrap()));
    let found: Vec<(Kind, &str)> = found
        .iter()
        .map(|one| (one.kind, one.value.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (Kind::Email, "ada@mail.example.com"),
            (Kind::EmailDomain, "mail.example.com"),
            (Kind::Phone, "447700900123"),
            (Kind::Postcode, "sw1y4jh"),
            (Kind::Ip, "203.0.113.7"),
            (Kind::Country, "GB"),
            (Kind::Country, "NG"),
        ]
    );
    let elsewhere =
        Address { line1: "12, St. James's square".into(), ..placing.shipping_address.clone() };
    assert_eq!(address(&placing.shipping_address), address(&elsewhere));
}

#[test]
fn every_kind_has_its_name() {
    for (name, kind) in Kind::NAMES {
        assert_eq!((name, serde_json::to_value(kind).unwrap()), (kind.name(), name.into()));
        assert!(!kind.words().is_empty());
    }
}
