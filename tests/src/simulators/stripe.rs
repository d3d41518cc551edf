//! Stripe as docs.stripe.com/api says: nested parameters in forms, idempotency keys that insist on
//! the same parameters, Checkout Sessions, `PaymentIntents`, refunds and signed events.

mod disputes;
mod ending;
mod lists;
mod parameters;
mod refunds;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::Utc;
use domain::money::Money;
use domain::placing::PaymentMethod;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use self::parameters::Parameter;
use self::versions::Versions;
use super::{Account, Decline, Faults, Reply, Sent, Server, Simulator, for_key};

const KEY: &str = "sk_test_simulated_4eC39HqLyjWDarjtT1zdp7dc";
const WEBHOOK_SECRET: &str = "whsec_simulated_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
type Form = BTreeMap<String, String>;

/// A Stripe of one's own.
pub struct Stripe {
    server: Server,
    faults: Faults,
    books: Books,
}

type Books = super::Books<Pages>;

#[derive(Default)]
struct Pages {
    /// By idempotency key: what was asked for, and what was answered.
    answers: BTreeMap<String, (Form, Reply)>,
    sessions: BTreeMap<String, Value>,
    intents: BTreeMap<String, Value>,
    refunds: BTreeMap<String, Value>,
    disputes: BTreeMap<String, Value>,
    refunds_fail: bool,
    /// What Radar makes of whatever is paid; `normal` if nobody says.
    risk: Option<String>,
    /// Events whose webhook nobody took.
    undelivered: Vec<Value>,
    page_max: Option<usize>,
    versions: Versions,
    /// Attempts of which one refund fails.
    failing: BTreeSet<String>,
    names: usize,
}

impl Stripe {
    /// Starts one.
    pub async fn start() -> Arc<Self> {
        let (faults, books) = (Faults::default(), Books::default());
        let routes = Router::new()
            .route("/v1/checkout/sessions", post(open_session))
            .route("/v1/checkout/sessions/{id}", get(show_session))
            .route("/v1/checkout/sessions/{id}/expire", post(ending::expire))
            .route("/v1/payment_intents", post(confirm_intent).get(lists::intents))
            .route("/v1/events", get(lists::events))
            .route("/v1/payment_intents/search", get(lists::search))
            .route("/v1/payment_intents/{id}", get(show_intent))
            .route("/v1/payment_intents/{id}/cancel", post(ending::cancel))
            .route("/v1/refunds", post(refunds::refund).get(lists::refunds))
            .route("/v1/refunds/{id}", get(refunds::show))
            .route("/v1/disputes/{id}", get(disputes::show));
        let routes = routes.layer(from_fn_with_state(books.clone(), versions::note));
        let routes = for_key(routes, KEY, unknown_key).with_state(books.clone());
        let server = Server::start(routes, &faults).await;
        Arc::new(Self { server, faults, books })
    }

    /// What Radar makes of whatever is paid from now on.
    pub fn finds_risk(&self, level: &str) {
        self.books.lock().risk = Some(level.to_owned());
    }

    fn signed(secret: &str, event: &Value) -> Sent {
        let body = event.to_string().into_bytes();
        let at = Utc::now().timestamp().to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
        mac.update(at.as_bytes());
        mac.update(b".");
        mac.update(&body);
        let signature = hex::encode(mac.finalize().into_bytes());
        let header = format!("t={at},v1={signature},v0=1");
        let header = ("stripe-signature".parse().expect("a name"), header.parse().expect("ASCII"));
        Sent { headers: HeaderMap::from_iter([header]), body }
    }

    /// Somebody pays by a link of Stripe's own, under no name; what Stripe says then.
    pub fn paid_by_a_link(&self, amount: Money) -> Sent {
        let mut pages = self.books.lock();
        let (id, event_id) = (pages.name("pi"), pages.name("evt"));
        let (units, currency) = (amount.minor, amount.currency.code().to_lowercase());
        let intent = json!({
            "id": id, "object": "payment_intent", "status": "succeeded", "amount": units,
            "amount_received": units, "currency": currency, "metadata": {},
            "last_payment_error": null, "next_action": null,
        });
        pages.intents.insert(id, intent.clone());
        let kind = "payment_intent.succeeded";
        let event = json!({
            "id": event_id, "object": "event", "type": kind, "data": {"object": intent},
        });
        Self::signed(WEBHOOK_SECRET, &event)
    }

    /// The event about an attempt as it stands.
    fn event(&self, reference: &str) -> Value {
        let mut pages = self.books.lock();
        pages.names += 1;
        let id = format!("evt_{}", pages.names);
        let session = pages.session(reference).cloned();
        let session = session.expect("there is such a session");
        let kind = match session["status"].as_str() {
            Some("complete") => "checkout.session.completed",
            Some("expired") => "checkout.session.expired",
            _ => "payment_intent.created",
        };
        json!({
            "id": id, "object": "event", "type": kind, "data": {"object": session},
            "created": Utc::now().timestamp(),
        })
    }

    /// It tells nobody, or nobody heard it, and it knows.
    pub fn fails_to_deliver(&self, reference: &str) {
        let event = self.event(reference);
        self.books.lock().undelivered.push(event);
    }
}

impl Pages {
    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}_test_{}", self.names)
    }

    /// A charge by a card of Britain.
    fn charge(&mut self) -> Value {
        let id = self.name("ch");
        let risk = self.risk.clone().unwrap_or_else(|| "normal".to_owned());
        json!({
            "id": id, "object": "charge", "outcome": {"risk_level": risk, "type": "authorized"},
            "payment_method_details": {
                "type": "card", "card": {"country": "GB", "fingerprint": "Xt5EWLLDS7FJjR1c"},
            },
        })
    }

    fn session(&mut self, reference: &str) -> Option<&mut Value> {
        let mut sessions = self.sessions.values_mut();
        sessions.find(|session| session["client_reference_id"] == reference)
    }

    /// The same key with the same parameters is answered the same; with others, it is refused.
    fn once(
        &mut self,
        key: &str,
        form: Form,
        act: impl FnOnce(&mut Self, &Form) -> Reply,
    ) -> Reply {
        if let Some((before, reply)) = self.answers.get(key) {
            if *before == form {
                return reply.clone();
            }
            let message = "Keys for idempotent requests can only be used with the same parameters";
            return problem(StatusCode::BAD_REQUEST, "idempotency_error", None, message);
        }
        let reply = act(self, &form);
        self.answers.insert(key.to_owned(), (form, reply.clone()));
        reply
    }

    fn pay(&mut self, reference: &str, amount: Option<Money>) {
        let (intent_id, charge) = (self.name("pi"), self.charge());
        let session = self.session(reference).expect("there is such a session");
        if session["status"] == "expired" {
            // The page says so, and takes nothing.
            return;
        }
        let units = amount.map_or(session["amount_total"].clone(), |money| money.minor.into());
        let currency = amount.map_or(session["currency"].clone(), |money| {
            money.currency.code().to_lowercase().into()
        });
        session["status"] = "complete".into();
        session["payment_status"] = "paid".into();
        session["payment_intent"] = intent_id.clone().into();
        let intent = json!({
            "id": intent_id, "object": "payment_intent", "status": "succeeded",
            "amount": units, "amount_received": units, "currency": currency,
            "metadata": session["metadata"], "last_payment_error": null, "next_action": null,
            "latest_charge": charge,
            "created": Utc::now().timestamp(),
        });
        self.intents.insert(intent_id, intent);
    }
}

/// An intent as it is shown: its charge in full for whoever asks for that, else by name.
fn shown(mut intent: Value, is_expanded: bool) -> Value {
    if !is_expanded {
        intent["latest_charge"] = intent["latest_charge"]["id"].take();
    }
    intent
}

fn asks_for(query: &Form, what: &str) -> bool {
    query.get("expand[]").is_some_and(|asked| asked == what)
}

fn problem(status: StatusCode, kind: &str, code: Option<&str>, message: &str) -> Reply {
    let error = json!({"type": kind, "code": code, "message": message});
    (status, Json(json!({"error": error})))
}

fn missing(what: &str) -> Reply {
    let message = format!("No such {what}");
    problem(
        StatusCode::NOT_FOUND,
        "invalid_request_error",
        Some("resource_missing"),
        &message,
    )
}

/// What a request has to be before Stripe looks at it.
fn read(
    headers: &HeaderMap,
    body: &str,
    documented: &[Parameter],
) -> Result<(String, Form), Reply> {
    let bad = |message: &str| {
        Err(problem(StatusCode::BAD_REQUEST, "invalid_request_error", None, message))
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if header("content-type") != Some("application/x-www-form-urlencoded") {
        return bad("Invalid request (check that your POST content type is \
                    application/x-www-form-urlencoded)");
    }
    let Some(key) = header("idempotency-key").filter(|key| key.len() <= 255) else {
        return bad("the adapter has to send an Idempotency-Key");
    };
    let form: Form = form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect();
    if let Err(flaw) = parameters::judge(&form, documented) {
        return bad(&flaw);
    }
    Ok((key.to_owned(), form))
}

fn unknown_key() -> Reply {
    problem(StatusCode::UNAUTHORIZED, "invalid_request_error", None, "Invalid API Key")
}

async fn open_session(State(books): State<Books>, headers: HeaderMap, body: String) -> Reply {
    let (key, form) = match read(&headers, &body, &parameters::SESSION) {
        Ok(read) => read,
        Err(reply) => return reply,
    };
    books.lock().once(&key, form, |pages, form| {
        let text = |name: &str| form.get(name).cloned().unwrap_or_default();
        let amount = text("line_items[0][price_data][unit_amount]");
        let amount: i64 = amount.parse().expect("it has been judged");
        let expires_in = text("expires_at").parse().unwrap_or(0) - Utc::now().timestamp();
        if !(1_800..=86_400).contains(&expires_in) {
            let message = "expires_at is 30 minutes to 24 hours from now";
            return problem(StatusCode::BAD_REQUEST, "invalid_request_error", None, message);
        }
        let id = pages.name("cs");
        let session = json!({
            "id": id, "object": "checkout.session", "status": "open", "payment_status": "unpaid",
            "url": format!("https://checkout.stripe.com/c/pay/{id}"),
            "client_reference_id": text("client_reference_id"),
            "amount_total": amount,
            "currency": text("line_items[0][price_data][currency]"),
            "payment_intent": null,
            "metadata": {
                "reference": text("payment_intent_data[metadata][reference]"),
                "payment_id": text("payment_intent_data[metadata][payment_id]"),
            },
        });
        pages.sessions.insert(id, session.clone());
        (StatusCode::OK, Json(session))
    })
}

async fn show_session(
    State(books): State<Books>,
    Path(id): Path<String>,
    Query(query): Query<Form>,
) -> Reply {
    let pages = books.lock();
    let Some(mut session) = pages.sessions.get(&id).cloned() else {
        return missing("checkout.session");
    };
    let intent = session["payment_intent"].as_str();
    let intent = intent.and_then(|intent| pages.intents.get(intent));
    let with_charge = asks_for(&query, "payment_intent.latest_charge");
    if (with_charge || asks_for(&query, "payment_intent"))
        && let Some(intent) = intent
    {
        session["payment_intent"] = shown(intent.clone(), with_charge);
    }
    (StatusCode::OK, Json(session))
}

/// Test payment methods as docs.stripe.com/testing names them.
async fn confirm_intent(State(books): State<Books>, headers: HeaderMap, body: String) -> Reply {
    let (key, form) = match read(&headers, &body, &parameters::INTENT) {
        Ok(read) => read,
        Err(reply) => return reply,
    };
    books.lock().once(&key, form, |pages, form| {
        let text = |name: &str| form.get(name).cloned().unwrap_or_default();
        let (id, mut charge) = (pages.name("pi"), pages.charge());
        let amount: i64 = text("amount").parse().unwrap_or(0);
        let mut intent = json!({
            "id": id, "object": "payment_intent", "status": "succeeded", "amount": amount,
            "amount_received": amount, "currency": text("currency"), "next_action": null,
            "metadata": {
                "reference": text("metadata[reference]"),
                "payment_id": text("metadata[payment_id]"),
            },
            "last_payment_error": null, "created": Utc::now().timestamp(),
        });
        let decline_code = match text("payment_method").as_str() {
            "pm_card_visa" => None,
            "pm_card_riskLevelElevated" => {
                charge["outcome"]["risk_level"] = "elevated".into();
                None
            }
            "pm_card_authenticationRequired" => {
                intent["status"] = "requires_action".into();
                intent["amount_received"] = 0.into();
                let url = format!("https://hooks.stripe.com/3d_secure/{id}");
                intent["next_action"] =
                    json!({"type": "redirect_to_url", "redirect_to_url": {"url": url}});
                None
            }
            "pm_card_visa_chargeDeclinedInsufficientFunds" => Some("insufficient_funds"),
            "pm_card_visa_chargeDeclinedFraudulent" => Some("fraudulent"),
            "pm_card_visa_chargeDeclinedExpiredCard" => Some("expired_card"),
            _ => return missing("payment_method"),
        };
        if let Some(decline_code) = decline_code {
            intent["status"] = "requires_payment_method".into();
            intent["amount_received"] = 0.into();
            let mut error = json!({
                "type": "card_error", "code": "card_declined", "decline_code": decline_code,
                "message": "Your card was declined.",
            });
            intent["last_payment_error"] = error.clone();
            pages.intents.insert(id, intent.clone());
            error["payment_intent"] = intent;
            return (StatusCode::PAYMENT_REQUIRED, Json(json!({"error": error})));
        }
        if intent["status"] == "succeeded" {
            intent["latest_charge"] = charge;
        }
        pages.intents.insert(id, intent.clone());
        (StatusCode::OK, Json(shown(intent, asks_for(form, "latest_charge"))))
    })
}

async fn show_intent(
    State(books): State<Books>,
    Path(id): Path<String>,
    Query(query): Query<Form>,
) -> Reply {
    let found = books.lock().intents.get(&id).cloned();
    let Some(intent) = found else {
        return missing("payment_intent");
    };
    (StatusCode::OK, Json(shown(intent, asks_for(&query, "latest_charge"))))
}

impl Simulator for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("STRIPE_SECRET_KEY", KEY.to_owned()),
            ("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET.to_owned()),
            ("STRIPE_BASE_URL", self.server.url.clone()),
            ("DAYBOOK_RETURN_URL", "https://shop.example/thanks".to_owned()),
        ]
    }

    fn secrets(&self) -> Vec<String> {
        vec![KEY.to_owned(), WEBHOOK_SECRET.to_owned()]
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }

    fn server(&self) -> &Server {
        &self.server
    }

    fn price(&self) -> Money {
        Money { minor: 1530, currency: "GBP".parse().expect("a currency") }
    }

    fn method(&self) -> PaymentMethod {
        PaymentMethod::CreditCard
    }

    fn asked_amount(&self, reference: &str) -> String {
        let mut pages = self.books.lock();
        let session = pages.session(reference);
        session.expect("there is such a session")["amount_total"].to_string()
    }

    fn asked_for(&self, reference: &str) -> usize {
        let pages = self.books.lock();
        let sessions = pages.sessions.values();
        sessions
            .filter(|session| session["client_reference_id"] == reference)
            .count()
    }

    fn customer_pays(&self, reference: &str) {
        self.books.lock().pay(reference, None);
    }

    fn customer_pays_instead(&self, reference: &str, amount: Money) {
        self.books.lock().pay(reference, Some(amount));
    }

    fn declines(&self) -> &'static [Decline] {
        // A card that is declined is no end: the customer may take another one on the same page.
        &[Decline { theirs: "expired", ours: "expired" }]
    }

    fn may_pay_after_decline(&self) -> bool {
        false
    }

    fn is_over(&self, reference: &str) -> bool {
        let mut pages = self.books.lock();
        let session = pages.session(reference);
        session.is_some_and(|session| session["status"] == "expired")
    }

    fn customer_is_declined(&self, reference: &str, how: Decline) {
        let mut pages = self.books.lock();
        let session = pages.session(reference).expect("there is such a session");
        session["status"] = how.theirs.into();
    }

    fn confuses(&self, reference: &str, with: &str) {
        let mut pages = self.books.lock();
        let session = pages.session(reference).expect("there is such a session");
        let intent = session["payment_intent"].as_str().map(ToOwned::to_owned);
        let intent = intent.and_then(|intent| pages.intents.get_mut(&intent));
        intent.expect("it is paid")["metadata"]["reference"] = with.into();
    }

    fn refunds_work(&self, they_do: bool) {
        self.books.lock().refunds_fail = !they_do;
    }

    fn works_off_refunds(&self) {
        let mut pages = self.books.lock();
        let Pages { refunds, refunds_fail, failing, .. } = &mut *pages;
        for refund in refunds.values_mut() {
            if refund["status"] == "pending" || refund["status"] == "requires_action" {
                let attempt = refund["metadata"]["reference"].as_str().unwrap_or_default();
                let fail = *refunds_fail || failing.remove(attempt);
                refund["status"] = if fail { "failed" } else { "succeeded" }.into();
                if fail {
                    refund["failure_reason"] = "lost_or_stolen_card".into();
                }
            }
        }
    }

    fn refunds_come_back(&self, reference: &str) -> bool {
        self.refunds_are_turned_away(reference);
        true
    }

    fn refunds_wait_for_somebody(&self) -> bool {
        self.refunds_move("pending", "requires_action");
        true
    }

    fn refunds_go_on(&self) {
        self.refunds_move("requires_action", "pending");
    }

    fn charges_back(&self, reference: &str, minor: i64) -> Vec<Sent> {
        self.withdraws(reference, minor)
    }

    fn reinstates(&self, reference: &str) -> Vec<Sent> {
        self.wins_disputes_of(reference)
    }

    fn fails_a_refund_of(&self, reference: &str) {
        self.books.lock().failing.insert(reference.to_owned());
    }

    fn account(&self, reference: &str) -> Account {
        let mut pages = self.books.lock();
        let intent = pages.session(reference).and_then(|session| {
            let name = session["payment_intent"].as_str()?;
            Some(name.to_owned())
        });
        let intent = intent.and_then(|name| pages.intents.get(&name));
        let is_named = |of: &&Value| of["metadata"]["reference"] == reference;
        let Some(intent) = intent.filter(is_named) else {
            return Account::default();
        };
        let code = intent["currency"].as_str().unwrap_or_default();
        let currency = code.to_uppercase().parse().expect("a currency");
        let minor = intent["amount_received"].as_i64().expect("an amount");
        let of = |status: &str| -> i64 {
            let refunds = pages.refunds.values();
            refunds
                .filter(|refund| refund["payment_intent"] == intent["id"])
                .filter(|refund| refund["status"] == status)
                .filter_map(|refund| refund["amount"].as_i64())
                .sum()
        };
        Account {
            came_in: vec![Money { minor, currency }],
            gone_minor: of("succeeded"),
            going_minor: of("pending"),
        }
    }

    fn refunds_called(&self, refund_id: &str) -> usize {
        let pages = self.books.lock();
        let refunds = pages.refunds.values();
        refunds
            .filter(|refund| refund["metadata"]["refund_id"] == refund_id)
            .count()
    }

    fn pages_of(&self, size: usize) {
        self.books.lock().page_max = Some(size);
    }

    fn forgets(&self, reference: &str) {
        let mut pages = self.books.lock();
        let is_it = |object: &Value| object["metadata"]["reference"] == reference;
        pages.sessions.retain(|_, session| !is_it(session));
        pages.intents.retain(|_, intent| !is_it(intent));
    }

    fn webhook(&self, reference: &str) -> Sent {
        Self::signed(WEBHOOK_SECRET, &self.event(reference))
    }

    fn refund_webhooks(&self, reference: &str) -> Vec<Sent> {
        let mut pages = self.books.lock();
        let refunds = pages.refunds.values();
        let refunds: Vec<Value> = refunds
            .filter(|refund| refund["metadata"]["reference"] == reference)
            .cloned()
            .collect();
        let events = refunds.into_iter().map(|refund| {
            pages.names += 1;
            let id = format!("evt_{}", pages.names);
            let data = json!({"object": refund});
            json!({"id": id, "object": "event", "type": "refund.updated", "data": data})
        });
        events
            .map(|event| Self::signed(WEBHOOK_SECRET, &event))
            .collect()
    }

    fn forged_webhook(&self, reference: &str) -> Option<Sent> {
        Some(Self::signed("whsec_guessed", &self.event(reference)))
    }
}
