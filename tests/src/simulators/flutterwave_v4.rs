//! Flutterwave v4 as developer.flutterwave.com/v4 says: tokens by client credentials, headers for
//! idempotency and tracing, orchestrated charges of mobile money, charges of stored payment methods,
//! refunds, numbered lists, webhooks signed with the secret hash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use domain::money::Money;
use domain::placing::PaymentMethod;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Number, Value, json};
use sha2::Sha256;

use super::lists::{self, PAGE_MAX, Query as Asked};
use super::{Account, Decline, Faults, Reply, Sent, Server, Simulator, for_key};

const CLIENT_ID: &str = "simulated-a1e9c3d4-client";
const CLIENT_SECRET: &str = "simulated-Hs8pQ2xTz4Yw6Bn0";
const HASH: &str = "simulated-v4-71c20be9d58f4a63e71b";
const TOKEN: &str = "simulated.access.token.of.flutterwave";
/// Seconds.
const TOKEN_LIVES: u64 = 600;

/// A Flutterwave v4 of one's own.
pub struct FlutterwaveV4 {
    server: Server,
    faults: Faults,
    books: Books,
}

type Books = super::Books<Pages>;

#[derive(Default)]
struct Pages {
    /// By idempotency key.
    answers: BTreeMap<String, Reply>,
    /// In the order in which they were made.
    charges: Vec<Value>,
    refunds: Vec<Value>,
    refunds_fail: bool,
    /// Charges of which one refund fails.
    failing: BTreeSet<String>,
    page_max: Option<usize>,
    names: u64,
    tokens: usize,
}

impl FlutterwaveV4 {
    /// Starts one.
    pub async fn start() -> Arc<Self> {
        let (faults, books) = (Faults::default(), Books::default());
        let routes = Router::new()
            .route("/orchestration/direct-charges", post(charge_directly))
            .route("/charges", post(charge_stored).get(list_charges))
            .route("/charges/{id}", get(show_charge))
            .route("/refunds", post(refund).get(list_refunds))
            .route("/refunds/{id}", get(show_refund));
        let routes = for_key(routes, TOKEN, unknown_token).with_state(books.clone());
        // Tokens are not what faults are ordered for: a call needs none most of the time.
        let tokens = Router::new()
            .route("/idp/token", post(token))
            .with_state(books.clone());
        let server = Server::start_beside(routes, &faults, tokens).await;
        Arc::new(Self { server, faults, books })
    }

    /// How many tokens were given out.
    pub fn tokens(&self) -> usize {
        self.books.lock().tokens
    }

    fn change(&self, reference: &str, with: impl FnOnce(&mut Value)) {
        let mut pages = self.books.lock();
        let mut charges = pages.charges.iter_mut();
        let charge = charges.find(|charge| charge["reference"] == reference);
        with(charge.expect("there is such a charge"));
    }

    fn signed(&self, hash: &str, reference: &str) -> Sent {
        let pages = self.books.lock();
        let mut charges = pages.charges.iter();
        let charge = charges.find(|charge| charge["reference"] == reference);
        let body = json!({
            "webhook_id": format!("wbk_{}", pages.names), "timestamp": Utc::now().timestamp_millis(),
            "type": "charge.completed", "data": charge.expect("there is such a charge"),
        });
        let body = body.to_string().into_bytes();
        let mut mac = Hmac::<Sha256>::new_from_slice(hash.as_bytes()).expect("any length");
        mac.update(&body);
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let name = "flutterwave-signature".parse().expect("a name");
        let header = (name, signature.parse().expect("ASCII"));
        Sent { headers: HeaderMap::from_iter([header]), body }
    }
}

impl Pages {
    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}_X0yJv3Zm{:04}", self.names)
    }

    /// Under the same key the first answer comes again.
    fn once(&mut self, key: &str, act: impl FnOnce(&mut Self) -> Reply) -> Reply {
        if let Some(reply) = self.answers.get(key) {
            return reply.clone();
        }
        let reply = act(self);
        self.answers.insert(key.to_owned(), reply.clone());
        reply
    }

    fn charge(&mut self, body: &Value, next_action: &Value) -> Reply {
        let reference = body["reference"].as_str().unwrap_or_default();
        if !(6..=42).contains(&reference.len()) || !body["amount"].is_number() {
            return no(StatusCode::BAD_REQUEST, "reference and amount are required");
        }
        if self
            .charges
            .iter()
            .any(|charge| charge["reference"] == reference)
        {
            return no(StatusCode::CONFLICT, "Charge with this reference already exists");
        }
        let charge = json!({
            "id": self.name("chg"), "amount": body["amount"], "currency": body["currency"],
            "reference": reference, "status": "pending", "next_action": next_action,
            "processor_response": {"type": "pending", "code": "02"}, "meta": body["meta"],
            "created_datetime": Utc::now(),
        });
        self.charges.push(charge.clone());
        yes(StatusCode::CREATED, "Charge created", charge)
    }
}

fn no(status: StatusCode, message: &str) -> Reply {
    let error = json!({
        "type": "REQUEST_NOT_VALID", "code": "10400", "message": message, "validation_errors": [],
    });
    (status, Json(json!({"status": "failed", "error": error})))
}

fn yes(status: StatusCode, message: &str, data: impl Into<Value>) -> Reply {
    let data: Value = data.into();
    (status, Json(json!({"status": "success", "message": message, "data": data})))
}

fn unknown_token() -> Reply {
    no(StatusCode::UNAUTHORIZED, "Unauthorized")
}

async fn token(State(books): State<Books>, body: String) -> Reply {
    let form: BTreeMap<String, String> = form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect();
    let is = |name: &str, value: &str| form.get(name).is_some_and(|given| given == value);
    if !is("grant_type", "client_credentials")
        || !is("client_id", CLIENT_ID)
        || !is("client_secret", CLIENT_SECRET)
    {
        return (StatusCode::UNAUTHORIZED, Json(json!({"error": "invalid_client"})));
    }
    books.lock().tokens += 1;
    let granted = json!({
        "access_token": TOKEN, "expires_in": TOKEN_LIVES, "refresh_expires_in": 0,
        "token_type": "Bearer", "not-before-policy": 0, "scope": "profile email",
    });
    (StatusCode::OK, Json(granted))
}

/// 12 to 255 letters and digits.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Reply> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    let is_plain = |text: &&str| {
        (12..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let refused = || no(StatusCode::BAD_REQUEST, &format!("{name} is not valid"));
    value.filter(is_plain).ok_or_else(refused)
}

/// What every request that changes something has to show; its idempotency key.
fn key(headers: &HeaderMap) -> Result<&str, Reply> {
    header(headers, "x-trace-id")?;
    header(headers, "x-idempotency-key")
}

async fn charge_directly(
    State(books): State<Books>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Reply {
    let key = match key(&headers) {
        Ok(key) => key,
        Err(reply) => return reply,
    };
    books.lock().once(key, |pages| {
        let text = |pointer: &str| {
            body.pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        if !text("/customer/email").contains('@') || text("/customer/name/first").is_empty() {
            return no(StatusCode::BAD_REQUEST, "customer.email and a name are required");
        }
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let money = "/payment_method/mobile_money";
        if text("/payment_method/type") != "mobile_money"
            || text(&format!("{money}/network")).is_empty()
            || text(&format!("{money}/country_code")) != "233"
            || !digits(text(&format!("{money}/phone_number")))
            || body["currency"] != "GHS"
        {
            return no(StatusCode::BAD_REQUEST, "Currency not supported for GH Mobile Money.");
        }
        let note = "Please authorise this payment on your mobile number";
        let instruction =
            json!({"type": "payment_instruction", "payment_instruction": {"note": note}});
        pages.charge(&body, &instruction)
    })
}

async fn charge_stored(
    State(books): State<Books>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Reply {
    let key = match key(&headers) {
        Ok(key) => key,
        Err(reply) => return reply,
    };
    books.lock().once(key, |pages| {
        let is = |name: &str, prefix: &str| {
            let text = body[name].as_str().unwrap_or_default();
            text.starts_with(prefix)
        };
        if !is("customer_id", "cus_") || !is("payment_method_id", "pmd_") {
            return no(StatusCode::BAD_REQUEST, "customer_id and payment_method_id are required");
        }
        let url = "https://flutterwave.example/3ds/authorise";
        pages.charge(&body, &json!({"type": "redirect_url", "redirect_url": {"url": url}}))
    })
}

async fn show_charge(
    State(books): State<Books>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Reply {
    if let Err(reply) = header(&headers, "x-trace-id") {
        return reply;
    }
    let pages = books.lock();
    let found = pages
        .charges
        .iter()
        .find(|charge| charge["id"] == id.as_str());
    match found {
        Some(charge) => yes(StatusCode::OK, "Charge fetched", charge.clone()),
        None => no(StatusCode::NOT_FOUND, "Charge not found"),
    }
}

async fn list_charges(State(books): State<Books>, Query(query): Query<Asked>) -> Reply {
    let pages = books.lock();
    let reference = query.get("reference");
    let is_asked = |charge: &Value| {
        reference.is_none_or(|reference| charge["reference"] == reference.as_str())
    };
    let found: Vec<Value> = pages
        .charges
        .iter()
        .filter(|it| is_asked(it))
        .cloned()
        .collect();
    page(found.into_iter(), &query, pages.page_max)
}

fn page(
    all: impl DoubleEndedIterator<Item = Value>,
    query: &Asked,
    page_max: Option<usize>,
) -> Reply {
    let asked = query.get("size").and_then(|text| text.parse().ok());
    let size: usize = asked.unwrap_or(10);
    let size = size.min(page_max.unwrap_or(PAGE_MAX));
    let found = lists::numbered(all, "created_datetime", query, size);
    let info = json!({"current_page": found.page, "total_pages": found.pages});
    let said = json!({
        "status": "success", "message": "fetched", "data": found.items,
        "meta": {"page_info": info},
    });
    (StatusCode::OK, Json(said))
}

fn cents(amount: &Value) -> i64 {
    let text = amount.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    format!("{whole}{fraction:0<2}").parse().unwrap_or(i64::MAX)
}

async fn refund(State(books): State<Books>, headers: HeaderMap, Json(body): Json<Value>) -> Reply {
    let key = match key(&headers) {
        Ok(key) => key,
        Err(reply) => return reply,
    };
    books.lock().once(key, |pages| {
        let reasons = ["duplicate", "fraudulent", "requested_by_customer"];
        if !reasons.contains(&body["reason"].as_str().unwrap_or_default()) {
            return no(StatusCode::BAD_REQUEST, "reason is not valid");
        }
        let mut charges = pages.charges.iter();
        let charge = charges.find(|charge| charge["id"] == body["charge_id"]);
        let Some(charge) = charge.filter(|charge| charge["status"] == "succeeded") else {
            return no(StatusCode::NOT_FOUND, "Charge not found");
        };
        let refunds = pages.refunds.iter();
        let gone = refunds
            .filter(|refund| refund["charge_id"] == body["charge_id"])
            .filter(|refund| refund["status"] != "failed");
        let gone: i64 = gone.map(|refund| cents(&refund["amount_refunded"])).sum();
        if cents(&charge["amount"]) < gone.saturating_add(cents(&body["amount"])) {
            return no(StatusCode::BAD_REQUEST, "Refund amount is more than the charge amount");
        }
        let refund = json!({
            "id": pages.name("rfd"), "amount_refunded": body["amount"], "meta": body["meta"],
            "reason": body["reason"], "status": "new", "charge_id": body["charge_id"],
            "created_datetime": Utc::now(),
        });
        pages.refunds.push(refund.clone());
        yes(StatusCode::CREATED, "Refund created", refund)
    })
}

async fn list_refunds(State(books): State<Books>, Query(query): Query<Asked>) -> Reply {
    let pages = books.lock();
    page(pages.refunds.iter().cloned(), &query, pages.page_max)
}

async fn show_refund(State(books): State<Books>, Path(id): Path<String>) -> Reply {
    let pages = books.lock();
    let found = pages
        .refunds
        .iter()
        .find(|refund| refund["id"] == id.as_str());
    match found {
        Some(refund) => yes(StatusCode::OK, "Refund fetched", refund.clone()),
        None => no(StatusCode::NOT_FOUND, "Refund not found"),
    }
}

impl Simulator for FlutterwaveV4 {
    fn name(&self) -> &'static str {
        "flutterwave-v4"
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("FLUTTERWAVE_V4_CLIENT_ID", CLIENT_ID.to_owned()),
            ("FLUTTERWAVE_V4_CLIENT_SECRET", CLIENT_SECRET.to_owned()),
            ("FLUTTERWAVE_V4_SECRET_HASH", HASH.to_owned()),
            ("FLUTTERWAVE_V4_BASE_URL", self.server.url.clone()),
            ("FLUTTERWAVE_V4_IDP_URL", format!("{}/idp/token", self.server.url)),
            ("DAYBOOK_RETURN_URL", "https://shop.example/thanks".to_owned()),
        ]
    }

    fn secrets(&self) -> Vec<String> {
        [CLIENT_ID, CLIENT_SECRET, HASH, TOKEN]
            .map(ToOwned::to_owned)
            .to_vec()
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }

    fn server(&self) -> &Server {
        &self.server
    }

    fn price(&self) -> Money {
        Money { minor: 125_050, currency: "GHS".parse().expect("a currency") }
    }

    fn method(&self) -> PaymentMethod {
        PaymentMethod::MobileMoney
    }

    fn token(&self) -> Option<&'static str> {
        Some("mtn:+233 24 123 4567")
    }

    fn asked_amount(&self, reference: &str) -> String {
        let pages = self.books.lock();
        let mut charges = pages.charges.iter();
        let charge = charges.find(|charge| charge["reference"] == reference);
        charge.expect("there is such a charge")["amount"].to_string()
    }

    fn asked_for(&self, reference: &str) -> usize {
        let pages = self.books.lock();
        let charges = pages.charges.iter();
        charges
            .filter(|charge| charge["reference"] == reference)
            .count()
    }

    fn customer_pays(&self, reference: &str) {
        self.change(reference, |charge| {
            charge["status"] = "succeeded".into();
            charge["processor_response"] = json!({"type": "approved", "code": "00"});
        });
    }

    fn customer_pays_instead(&self, reference: &str, amount: Money) {
        self.customer_pays(reference);
        self.change(reference, |charge| {
            let number: Number = amount.decimal().parse().expect("a number");
            charge["amount"] = number.into();
            charge["currency"] = amount.currency.code().into();
        });
    }

    fn declines(&self) -> &'static [Decline] {
        &[Decline { theirs: "insufficient_funds", ours: "insufficient_funds" }]
    }

    fn customer_is_declined(&self, reference: &str, how: Decline) {
        self.change(reference, |charge| {
            charge["status"] = "failed".into();
            charge["processor_response"] = json!({"type": how.theirs, "code": "51"});
        });
    }

    fn may_pay_after_decline(&self) -> bool {
        false
    }

    fn confuses(&self, reference: &str, with: &str) {
        self.change(reference, |charge| charge["reference"] = with.into());
    }

    fn refunds_work(&self, they_do: bool) {
        self.books.lock().refunds_fail = !they_do;
    }

    fn works_off_refunds(&self) {
        let mut pages = self.books.lock();
        let status = if pages.refunds_fail {
            "failed"
        } else {
            "succeeded"
        };
        let Pages { refunds, failing, .. } = &mut *pages;
        for refund in refunds
            .iter_mut()
            .filter(|refund| refund["status"] == "new" || refund["status"] == "requires_action")
        {
            let fails = failing.remove(refund["charge_id"].as_str().unwrap_or_default());
            refund["status"] = if fails { "failed" } else { status }.into();
        }
    }

    fn refunds_wait_for_somebody(&self) -> bool {
        for refund in &mut self.books.lock().refunds {
            if refund["status"] == "new" {
                refund["status"] = "requires_action".into();
            }
        }
        true
    }

    fn refunds_go_on(&self) {
        for refund in &mut self.books.lock().refunds {
            if refund["status"] == "requires_action" {
                refund["status"] = "new".into();
            }
        }
    }

    fn fails_a_refund_of(&self, reference: &str) {
        let mut pages = self.books.lock();
        let charge = pages
            .charges
            .iter()
            .find(|charge| charge["reference"] == reference);
        let id = charge
            .and_then(|charge| charge["id"].as_str())
            .map(ToOwned::to_owned);
        pages.failing.extend(id);
    }

    fn account(&self, reference: &str) -> Account {
        let pages = self.books.lock();
        let mut charges = pages.charges.iter();
        let is_paid =
            |charge: &&Value| charge["reference"] == reference && charge["status"] == "succeeded";
        let Some(charge) = charges.find(is_paid) else {
            return Account::default();
        };
        let code = charge["currency"].as_str().unwrap_or_default();
        let currency = code.parse().expect("a currency");
        let of = |status: &str| -> i64 {
            let refunds = pages.refunds.iter();
            refunds
                .filter(|refund| refund["charge_id"] == charge["id"] && refund["status"] == status)
                .map(|refund| cents(&refund["amount_refunded"]))
                .sum()
        };
        Account {
            came_in: vec![Money { minor: cents(&charge["amount"]), currency }],
            gone_minor: of("succeeded"),
            going_minor: of("new"),
        }
    }

    // Its webhooks about refunds are not documented in a form to rely on.
    fn refund_webhooks(&self, _reference: &str) -> Vec<Sent> {
        Vec::new()
    }

    fn refunds_called(&self, refund_id: &str) -> usize {
        let pages = self.books.lock();
        let refunds = pages.refunds.iter();
        refunds
            .filter(|refund| refund["meta"]["refund_id"] == refund_id)
            .count()
    }

    fn pages_of(&self, size: usize) {
        self.books.lock().page_max = Some(size);
    }

    fn forgets(&self, reference: &str) {
        let mut pages = self.books.lock();
        pages
            .charges
            .retain(|charge| charge["reference"] != reference);
    }

    fn webhook(&self, reference: &str) -> Sent {
        self.signed(HASH, reference)
    }

    fn forged_webhook(&self, reference: &str) -> Option<Sent> {
        Some(self.signed("guessed", reference))
    }
}
