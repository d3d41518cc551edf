//! What every adapter makes of answers and webhooks that are no such thing: no panic, and no money.
//!
//! `DAYBOOK_GARBAGE_SEED` repeats a run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use chrono::{TimeDelta, Utc};
use domain::attempt::Outcome;
use gateways::gateway::{Delivery, Found, Gateway, Notice, PaybackOutcome};
use gateways::listing::Span;
use gateways::webhook::HeaderMap;
use tests::chance::Chance;
use tests::simulators::sslcommerz::SslCommerz;
use tokio::net::TcpListener;

use super::{Pair, payback};

/// Answers for each provider, each given to every call.
const ROUNDS: u64 = 150;
/// How deep a made-up answer goes at most.
const DEPTH_MAX: u32 = 4;
/// What providers' answers have in them.
const NAMES: [&str; 48] = [
    "data",
    "id",
    "status",
    "reference",
    "tx_ref",
    "amount",
    "currency",
    "message",
    "code",
    "error",
    "type",
    "object",
    "metadata",
    "payment_intent",
    "url",
    "link",
    "authorization_url",
    "access_code",
    "gateway_response",
    "merchant_note",
    "comments",
    "meta",
    "refund_id",
    "page_info",
    "total_pages",
    "has_more",
    "next",
    "APIConnect",
    "element",
    "tran_id",
    "val_id",
    "currency_type",
    "currency_amount",
    "bank_tran_id",
    "risk_level",
    "GatewayPageURL",
    "sessionkey",
    "refund_ref_id",
    "errorReason",
    "externalId",
    "financialTransactionId",
    "reason",
    "amount_received",
    "client_reference_id",
    "latest_charge",
    "last_payment_error",
    "event",
    "webhook_id",
];
/// The values that it has.
const TEXTS: [&str; 30] = [
    "",
    " ",
    "success",
    "succeeded",
    "successful",
    "SUCCESSFUL",
    "VALID",
    "VALIDATED",
    "DONE",
    "complete",
    "processed",
    "refunded",
    "pending",
    "PENDING",
    "failed",
    "FAILED",
    "NGN",
    "BDT",
    "GBP",
    "USD",
    "XXX",
    "15.30",
    "-1",
    "1e308",
    "NaN",
    "99999999999999999999",
    "charge.success",
    "payment_intent.succeeded",
    "refund.processed",
    "\u{0}\u{202e}\u{1f4b8}",
];
const NUMBERS: [&str; 9] = [
    "0",
    "-1",
    "1530",
    "0.1",
    "15.305",
    "1e308",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999999999",
];
/// An answer without one of these says of no money that it has moved.
const MOVED: [&str; 6] = [
    "succe",
    "valid",
    "complete",
    "processed",
    "refunded",
    "paid",
];

/// What it says.
type Says = Arc<Mutex<(StatusCode, Vec<u8>)>>;

/// Says the same to whatever it is asked, but gives a token to whoever asks for one.
struct Babbler {
    url: String,
    says: Says,
}

impl Babbler {
    async fn start() -> Self {
        let says = Arc::new(Mutex::new((StatusCode::OK, Vec::new())));
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&says));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        // It ends with the test's runtime.
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, says }
    }

    fn says(&self, status: StatusCode, body: &[u8]) {
        *self.says.lock().unwrap() = (status, body.to_vec());
    }
}

async fn answer(State(says): State<Says>, request: Request) -> Response {
    if request.uri().path().contains("/token") {
        return r#"{"access_token": "t", "expires_in": 3600}"#.into_response();
    }
    says.lock().unwrap().clone().into_response()
}

pub(super) async fn garbage_moves_no_money_and_harms_nothing(pair: Pair) {
    let set = std::env::var("DAYBOOK_GARBAGE_SEED").ok();
    let seed = set.map_or_else(rand::random, |text| text.parse().unwrap());
    eprintln!("DAYBOOK_GARBAGE_SEED={seed} repeats this garbage");
    let babbler = Babbler::start().await;
    let deaf = pair.speaking_to(&babbler.url);
    let mut chance = Chance::of(seed, 0);
    let webhook = pair.simulator.webhook(&pair.begun().await.reference);
    let signed_within = webhook.headers.is_empty().then(|| said(&webhook.body));
    let genuine = webhook.body;
    for round in 0..ROUNDS {
        let mut charge = pair.charge();
        if chance.happens(500) {
            charge.provider_reference = Some("pi_1".to_owned());
        }
        let body = garbage(&mut chance, &genuine, &charge.reference);
        let shown = String::from_utf8_lossy(&body).into_owned();
        let status = chance.one_of(&[
            StatusCode::OK,
            StatusCode::OK,
            StatusCode::OK,
            StatusCode::CREATED,
            StatusCode::ACCEPTED,
            StatusCode::BAD_REQUEST,
            StatusCode::NOT_FOUND,
            StatusCode::CONFLICT,
        ]);
        babbler.says(status, &body);
        let what = format!("seed {seed}, round {round}: {status} {shown}");

        let begun = deaf.initialize(&charge).await.ok();
        let verified = deaf.verify(&charge).await.ok();
        let verified = verified.and_then(|found| match found {
            Found::Said(outcome) => Some(outcome),
            Found::NeverHeard => None,
        });
        for outcome in begun.into_iter().chain(verified) {
            let is_captured = matches!(outcome, Outcome::Captured { .. });
            assert!(!is_captured || tells(&shown, &charge.reference), "{what}: {outcome:?}");
        }
        let mut payback = payback(&charge, 100);
        payback.provider_reference = chance.happens(500).then(|| "re_1".to_owned());
        let paid_back = deaf.refund(&payback).await.ok();
        let stands = deaf.refund_status(&payback).await.ok();
        let stands = stands.and_then(|found| match found {
            Found::Said(outcome) => Some(outcome),
            Found::NeverHeard => None,
        });
        for outcome in paid_back.into_iter().chain(stands) {
            let is_settled = matches!(outcome, PaybackOutcome::Settled { .. });
            assert!(!is_settled || tells(&shown, ""), "{what}: {outcome:?}");
        }
        let now = Utc::now();
        let span = Span { from: now - TimeDelta::hours(1), until: now };
        if let Some(list) = deaf.list(&span, None) {
            // Either way: what is listed is only compared, and leads to questions.
            let _listed_or_not = list.await;
        }
        // One other letter may say the same: a small one for a capital, or the letter that was there.
        let is_genuine = signed_within.as_ref() == Some(&said(&body));
        is_no_webhook(&pair, &mut chance, &body, is_genuine, &what);
    }
}

/// Whether it names this attempt, and says of money that it has moved.
fn tells(answer: &str, reference: &str) -> bool {
    let lower = answer.to_lowercase();
    answer.contains(reference) && MOVED.iter().any(|word| lower.contains(word))
}

/// Each letter of a notice that is signed within itself, changed into every other: what is still taken
/// says the same.
#[tokio::test]
async fn no_letter_of_a_notice_can_be_changed_to_say_something_else() {
    let pair = Pair::of(SslCommerz::start().await);
    let charge = pair.begun().await;
    pair.simulator.customer_pays(&charge.reference);
    let genuine = pair.simulator.webhook(&charge.reference);
    let (headers, received_at) = (HeaderMap::new(), Utc::now());
    let is_taken = |body: &[u8]| {
        let delivery = Delivery { headers: &headers, body, received_at };
        pair.gateway.verify_webhook_signature(&delivery).is_ok()
    };
    assert!(is_taken(&genuine.body));
    let mut others = 0;
    for place in 0..genuine.body.len() {
        for letter in 0..=u8::MAX {
            let mut body = genuine.body.clone();
            body[place] = letter;
            if body != genuine.body && is_taken(&body) {
                let shown = String::from_utf8_lossy(&body).into_owned();
                assert_eq!(said(&body), said(&genuine.body), "{shown}");
                others += 1;
            }
        }
    }
    assert!(0 < others, "a digest in capitals is the same digest");
}

/// What a form says, whichever way it is written: `%2C` is `%2c`, and a digest has no capitals.
fn said(form: &[u8]) -> BTreeMap<String, String> {
    let fields = form_urlencoded::parse(form).into_owned();
    let read = |(name, value): (String, String)| match name.as_str() {
        "verify_sign" => (name, value.to_lowercase()),
        _ => (name, value),
    };
    fields.map(read).collect()
}

/// What a webhook says can only be asked about; who cannot sign it cannot say it at all.
fn is_no_webhook(pair: &Pair, chance: &mut Chance, body: &[u8], is_genuine: bool, what: &str) {
    let mut headers = HeaderMap::new();
    for name in [
        "stripe-signature",
        "x-paystack-signature",
        "verif-hash",
        "flutterwave-signature",
    ] {
        let value = chance.one_of(&["", "t=1,v1=00", "00", "AAAA", "t=,v1=,=", "\u{7f}", "t"]);
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    }
    let delivery = Delivery { headers: &headers, body, received_at: Utc::now() };
    let checked = pair.gateway.verify_webhook_signature(&delivery);
    let signs = pair.gateway.capabilities().signs_webhooks;
    assert!(checked.is_err() || !signs || is_genuine, "{what}");
    if let Ok(Notice { key, .. }) = pair.gateway.parse_webhook_event(&delivery) {
        assert!(!key.is_empty(), "{what}");
    }
}

impl Pair {
    /// The same adapter, with everything that it says going to this address.
    fn speaking_to(&self, url: &str) -> Arc<dyn Gateway> {
        let own = &self.simulator.server().url;
        let settings = self.simulator.settings().into_iter();
        let settings = settings.map(|(name, value)| (name, value.replacen(own, url, 1)));
        gateway_of(settings.collect(), self.simulator.name())
    }
}

fn gateway_of(settings: Vec<(&'static str, String)>, name: &str) -> Arc<dyn Gateway> {
    let patience = ("DAYBOOK_GATEWAY_TIMEOUT_MS", "2000".to_owned());
    let environment = gateways::settings::Environment::of(settings.into_iter().chain([patience]));
    let (registry, _) = gateways::registry::Registry::new(&environment).unwrap();
    Arc::clone(registry.get(name).expect("it is switched on"))
}

/// An answer that nobody should believe.
fn garbage(chance: &mut Chance, genuine: &[u8], reference: &str) -> Vec<u8> {
    match chance.below(8) {
        0 => {
            let bytes = 0..chance.below(200);
            bytes
                .map(|_| u8::try_from(chance.below(256)).unwrap())
                .collect()
        }
        1 => {
            let end = chance.below(u64::try_from(genuine.len()).unwrap());
            genuine[..usize::try_from(end).unwrap()].to_vec()
        }
        2 => {
            let mut body = genuine.to_vec();
            let place = chance.below(u64::try_from(body.len()).unwrap());
            body[usize::try_from(place).unwrap()] = u8::try_from(chance.below(256)).unwrap();
            body
        }
        3 => "[".repeat(10_000).into_bytes(),
        4 => {
            let fields = (0..chance.below(12)).map(|_| {
                let (name, value) = (chance.one_of(&NAMES), chance.one_of(&TEXTS));
                format!("{name}={value}")
            });
            fields.collect::<Vec<_>>().join("&").into_bytes()
        }
        5 => format!(r#"{{"data":{}}}"#, made_up(chance, reference, 1)).into_bytes(),
        6 => {
            let element = made_up(chance, reference, 2);
            let whole =
                format!(r#"{{"APIConnect":"DONE","element":[{element}],"data":[{element}]}}"#);
            whole.into_bytes()
        }
        _ => made_up(chance, reference, 0).into_bytes(),
    }
}

/// JSON out of the words that providers use.
fn made_up(chance: &mut Chance, reference: &str, depth: u32) -> String {
    let choice = if depth < DEPTH_MAX {
        chance.below(12)
    } else {
        chance.below(4)
    };
    match choice {
        0 => chance
            .one_of(&["null", "true", "false", "{}", "[]"])
            .to_owned(),
        1 => chance.one_of(&NUMBERS).to_owned(),
        2 => serde_json::to_string(reference).unwrap(),
        3 => serde_json::to_string(chance.one_of(&TEXTS)).unwrap(),
        4 => {
            let items: Vec<String> = (0..chance.below(4))
                .map(|_| made_up(chance, reference, depth + 1))
                .collect();
            format!("[{}]", items.join(","))
        }
        _ => {
            let members: Vec<String> = (0..chance.below(16))
                .map(|_| {
                    let name = chance.one_of(&NAMES);
                    format!("{name:?}:{}", made_up(chance, reference, depth + 1))
                })
                .collect();
            format!("{{{}}}", members.join(","))
        }
    }
}
