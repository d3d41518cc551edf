//! Stripe alone: that its simulator takes what Stripe documents and nothing else, and payments by
//! tokens of Stripe.js.

use domain::attempt::{NextStep, Outcome};
use domain::ids::RefundId;
use gateways::gateway::{CallError, Charge, Found, Payback, PaybackOutcome};
use gateways::listing::Span;
use gateways::registry::Registry;
use reqwest::{Client, StatusCode};
use serde_json::Value;
use tests::simulators::stripe::Stripe;
use tests::simulators::{Fault, Simulator};

use crate::contracts::Pair;

/// A form that Stripe takes.
const SESSION: [(&str, &str); 7] = [
    ("mode", "payment"),
    ("success_url", "https://shop.example/thanks"),
    ("expires_at", "@expires"),
    ("line_items[0][quantity]", "1"),
    ("line_items[0][price_data][currency]", "gbp"),
    ("line_items[0][price_data][unit_amount]", "1530"),
    ("line_items[0][price_data][product_data][name]", "Order 7"),
];

/// Sends a form to one of its addresses, under a key of its own.
async fn said(stripe: &Stripe, path: &str, form: &[(&str, &str)]) -> (StatusCode, Value) {
    let of = |name: &str| {
        let settings = stripe.settings();
        let found = settings.iter().find(|(of, _)| *of == name);
        found.unwrap().1.clone()
    };
    let mut body = form_urlencoded::Serializer::new(String::new());
    let expires = (chrono::Utc::now().timestamp() + 3_600).to_string();
    for (name, value) in form {
        body.append_pair(
            name,
            if *value == "@expires" {
                &expires
            } else {
                value
            },
        );
    }
    let request = Client::new()
        .post(format!("{}{path}", of("STRIPE_BASE_URL")))
        .bearer_auth(of("STRIPE_SECRET_KEY"))
        .header("idempotency-key", uuid::Uuid::now_v7().to_string())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.finish());
    let response = request.send().await.unwrap();
    let status = response.status();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
}

#[tokio::test]
async fn a_parameter_that_stripe_does_not_document_is_refused_by_name() {
    let stripe = Stripe::start().await;
    let path = "/v1/checkout/sessions";
    let (status, session) = said(&stripe, path, &SESSION).await;
    assert_eq!(status, StatusCode::OK, "{session}");
    for (name, value, words) in [
        ("sucess_url", "https://shop.example", "Received unknown parameter: sucess_url"),
        ("metadata[a][b]", "x", "Received unknown parameter"),
        ("metadata[]", "x", "Received unknown parameter"),
        ("line_items[1][amount]", "1", "Received unknown parameter"),
        ("cancel_url", "shop.example", "Invalid cancel_url"),
        ("customer_email", "", "Invalid customer_email"),
    ] {
        let form = [&SESSION[..], &[(name, value)]].concat();
        let (status, refused) = said(&stripe, path, &form).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name}");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.starts_with(words), "{message}");
    }
}

#[tokio::test]
async fn a_parameter_of_another_form_or_missing_is_refused() {
    let stripe = Stripe::start().await;
    for (name, value) in [
        ("line_items[0][price_data][currency]", "GBP"),
        ("line_items[0][price_data][unit_amount]", "15.30"),
        ("line_items[0][price_data][unit_amount]", "-1"),
        ("line_items[0][price_data][unit_amount]", "100000000"),
        ("line_items[0][quantity]", "0"),
        ("mode", "pay"),
        ("success_url", ""),
    ] {
        let other = SESSION.map(|(of, known)| (of, if of == name { value } else { known }));
        let (status, _) = said(&stripe, "/v1/checkout/sessions", &other).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name}={value}");
        let without: Vec<_> = SESSION.into_iter().filter(|(of, _)| *of != name).collect();
        let (_, refused) = said(&stripe, "/v1/checkout/sessions", &without).await;
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains(name), "{message}");
    }
    for (path, form) in [
        ("/v1/refunds", vec![("payment_intent", "cs_1")]),
        ("/v1/refunds", vec![("payment_intent", "pi_1"), ("reason", "a chip")]),
        ("/v1/refunds", vec![("charge", "ch_1")]),
        (
            "/v1/payment_intents",
            vec![("amount", "1"), ("currency", "gbp"), ("confirm", "yes")],
        ),
        (
            "/v1/payment_intents",
            vec![("amount", "1"), ("currency", "gbp"), ("token", "tok_1")],
        ),
    ] {
        let (status, refused) = said(&stripe, path, &form).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{form:?}: {refused}");
    }
}

/// Test payment methods as docs.stripe.com/testing names them.
#[tokio::test]
async fn a_token_of_the_browser_pays_at_once_or_says_why_not() {
    let pair = Pair::of(Stripe::start().await);
    let begin = async |token: &str| {
        let mut charge = pair.charge();
        charge.token = Some(token.to_owned());
        let outcome = pair.gateway.initialize(&charge).await.unwrap();
        (charge, outcome)
    };

    let (mut charge, outcome) = begin("pm_card_visa").await;
    let Outcome::Captured { received, provider_reference, .. } = outcome.clone() else {
        panic!("{outcome:?}");
    };
    assert_eq!(received, charge.amount);
    // Whether or not its name is known.
    for name in [None, Some(provider_reference)] {
        charge.provider_reference = name;
        let found = pair.gateway.verify(&charge).await.unwrap();
        assert_eq!(found, Found::Said(outcome.clone()));
    }
    let again = pair.gateway.initialize(&charge).await.unwrap();
    assert_eq!(again, outcome, "by the same name it is the same");

    let (_, outcome) = begin("pm_card_authenticationRequired").await;
    let Outcome::Accepted { next_step: Some(NextStep::Redirect { url }), .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert!(url.starts_with("https://hooks.stripe.com/"), "{url}");

    for (token, reason) in [
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedFraudulent", "suspected_fraud"),
        ("pm_card_visa_chargeDeclinedExpiredCard", "card_expired"),
        ("pm_unknown", "incorrect_details"),
    ] {
        let (charge, outcome) = begin(token).await;
        let declined = Outcome::Declined { reason: reason.to_owned() };
        assert_eq!(outcome, declined, "{token}");
        let found = pair.gateway.verify(&charge).await.unwrap();
        let expected = if token == "pm_unknown" {
            Found::NeverHeard
        } else {
            Found::Said(declined)
        };
        assert_eq!(found, expected, "{token}");
    }
}

#[tokio::test]
async fn only_payment_methods_of_stripe_js_are_taken_for_tokens() {
    let (registry, _) = Registry::new(&gateways::settings::Environment::default()).unwrap();
    assert!(registry.get("stripe").is_none(), "it is off");
    let stripe = gateways::registry::provider("stripe").unwrap();
    assert_eq!((stripe.accepts_token)(None), Ok(()));
    assert_eq!((stripe.accepts_token)(Some("pm_1")), Ok(()));
    for token in ["", "tok_1", "4242424242424242", " pm_1"] {
        let refused = (stripe.accepts_token)(Some(token)).unwrap_err();
        assert!(refused.contains("pm_"), "{refused}");
    }
}

/// An account may change its own version at any time; what is asked and read here stays the same.
#[tokio::test]
async fn every_request_names_the_version_of_the_api_that_it_is_written_for() {
    let stripe = Stripe::start().await;
    let pair = Pair::of(stripe.clone());
    let mut charge = pair.charge();
    let begin = async |charge: &Charge| match pair.gateway.initialize(charge).await.unwrap() {
        Outcome::Accepted { provider_reference, .. }
        | Outcome::Captured { provider_reference, .. } => provider_reference,
        other => panic!("{other:?}"),
    };
    charge.provider_reference = Some(begin(&charge).await);
    let _ended = pair.gateway.cancel(&charge).await.unwrap();
    let mut by_card = Charge { token: Some("pm_card_visa".to_owned()), ..pair.charge() };
    let _searched = pair.gateway.verify(&by_card).await.unwrap();
    by_card.provider_reference = Some(begin(&by_card).await);
    let _shown = pair.gateway.verify(&by_card).await.unwrap();
    let mut payback = Payback {
        refund_id: RefundId(uuid::Uuid::now_v7()),
        provider_reference: None,
        amount: by_card.amount,
        charge: by_card,
    };
    for _ in 0..2 {
        let refund = pair.gateway.refund(&payback).await.unwrap();
        let _listed = pair.gateway.refund_status(&payback).await.unwrap();
        if let PaybackOutcome::Pending { provider_reference } = refund {
            payback.provider_reference = provider_reference;
        }
    }
    let now = chrono::Utc::now();
    let span = Span { from: now - chrono::TimeDelta::hours(1), until: now };
    let _listed = pair.gateway.list(&span, None).unwrap().await.unwrap();

    let named = stripe.versions().expect("every request names one");
    assert_eq!(named.into_iter().collect::<Vec<_>>(), ["2024-06-20"]);
}

/// A session whose name leads nowhere is no reason to give money up that came in under ours.
#[tokio::test]
async fn what_stripe_does_not_find_by_its_own_name_is_looked_for_by_ours() {
    let pair = Pair::of(Stripe::start().await);
    let mut charge = Charge { token: Some("pm_card_visa".to_owned()), ..pair.charge() };
    pair.simulator.faults().next(Fault::ActsThenBreaksOff);
    let lost = pair.gateway.initialize(&charge).await.unwrap_err();
    assert!(matches!(lost, CallError::OutcomeUnknown { .. }), "{lost:?}");
    // Nobody waits for it any more when it is asked about.
    charge.pay_by = charge.started_at - chrono::TimeDelta::hours(1);
    for name in [None, Some("cs_gone"), Some("pi_gone")] {
        charge.provider_reference = name.map(ToOwned::to_owned);
        for found in [
            pair.gateway.verify(&charge).await.unwrap(),
            pair.gateway.cancel(&charge).await.unwrap(),
        ] {
            let Found::Said(Outcome::Captured { received, .. }) = found else {
                panic!("{name:?}: {found:?}");
            };
            assert_eq!(received, charge.amount);
        }
    }
    let unknown = Charge { provider_reference: Some("cs_gone".to_owned()), ..pair.charge() };
    assert_eq!(pair.gateway.verify(&unknown).await.unwrap(), Found::NeverHeard);

    // A card may have been charged, and what was charged a moment ago is not found at once.
    let token = Some("pm_card_visa".to_owned());
    for (minutes, is_given_up) in [(-1, true), (1, false), (59, false), (61, true)] {
        let pay_by = chrono::Utc::now() - chrono::TimeDelta::minutes(minutes);
        let unknown = Charge { token: token.clone(), pay_by, ..pair.charge() };
        let found = pair.gateway.verify(&unknown).await;
        assert_eq!(found == Ok(Found::NeverHeard), is_given_up, "{minutes}: {found:?}");
    }
}
