//! Flutterwave v3 as developer.flutterwave.com/v3.0.0 says: pages by link, transactions once
//! somebody pays, refunds that are `completed` before they are paid out, a secret hash in the open.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::Utc;
use domain::money::Money;
use domain::placing::PaymentMethod;
use serde_json::{Value, json};

use super::lists::{self, PAGE_MAX, Query as Asked};
use super::{Account, Decline, Faults, Reply, Sent, Server, Simulator, for_key};

const KEY: &str = "FLWSECK_TEST-simulated-b2b3e7c5f0a14d2e9c8b7a6f5e4d3c2b-X";
const HASH: &str = "simulated-3f9a2c81d07be456f19c";

/// A Flutterwave of one's own.
pub struct Flutterwave {
    server: Server,
    faults: Faults,
    books: Books,
}

type Books = super::Books<Pages>;

#[derive(Default)]
struct Pages {
    /// By our reference: what was asked for.
    asked: BTreeMap<String, Value>,
    /// By our reference, once somebody has tried to pay.
    transactions: BTreeMap<String, Value>,
    refunds: Vec<Value>,
    refunds_fail: bool,
    page_max: Option<usize>,
    /// What came in a second time under the same name.
    seconds: Vec<Value>,
    /// Attempts of which one refund fails.
    failing: BTreeSet<String>,
    names: u64,
}

impl Flutterwave {
    /// Starts one.
    pub async fn start() -> Arc<Self> {
        let (faults, books) = (Faults::default(), Books::default());
        let routes = Router::new()
            .route("/v3/payments", post(open_page))
            .route("/v3/transactions", get(list_transactions))
            .route("/v3/transactions/verify_by_reference", get(verify))
            .route("/v3/transactions/{id}/verify", get(verify_one))
            .route("/v3/transactions/{id}/refund", post(refund))
            .route("/v3/refunds", get(list_refunds))
            .route("/v3/refunds/{id}", get(show_refund));
        let routes = for_key(routes, KEY, unknown_key).with_state(books.clone());
        let server = Server::start(routes, &faults).await;
        Arc::new(Self { server, faults, books })
    }

    fn pay(&self, reference: &str, status: &str, words: &str, amount: Option<Money>) {
        let mut pages = self.books.lock();
        let id = pages.name();
        let asked = &pages.asked[reference];
        let text = amount.map(Money::decimal);
        let text = text
            .as_deref()
            .or_else(|| asked["amount"].as_str())
            .unwrap_or_default();
        let number: serde_json::Number = text.parse().expect("a number");
        let currency = amount.map_or(asked["currency"].clone(), |of| of.currency.code().into());
        let transaction = json!({
            "id": id, "tx_ref": reference, "flw_ref": format!("FLW-MOCK-{id}"), "amount": number,
            "charged_amount": number, "currency": currency, "status": status,
            "processor_response": words, "created_at": Utc::now(),
        });
        pages.transactions.insert(reference.to_owned(), transaction);
    }

    fn said(&self, hash: &str, reference: &str) -> Sent {
        let mut pages = self.books.lock();
        let id = pages.name();
        let data = pages.transactions.get(reference).cloned();
        let data =
            data.unwrap_or_else(|| json!({"id": id, "tx_ref": reference, "status": "pending"}));
        Self::signed(hash, &json!({"event": "charge.completed", "data": data}))
    }

    fn signed(hash: &str, event: &Value) -> Sent {
        let body = event.to_string().into_bytes();
        let header = ("verif-hash".parse().expect("a name"), hash.parse().expect("ASCII"));
        Sent { headers: HeaderMap::from_iter([header]), body }
    }
}

impl Pages {
    fn all(&self) -> impl Iterator<Item = &Value> {
        self.transactions.values().chain(&self.seconds)
    }

    fn name(&mut self) -> u64 {
        self.names += 1;
        4_900_000 + self.names
    }
}

fn no(status: StatusCode, message: &str) -> Reply {
    (status, Json(json!({"status": "error", "message": message, "data": null})))
}

fn yes(message: &str, data: impl Into<Value>) -> Reply {
    let data: Value = data.into();
    (
        StatusCode::OK,
        Json(json!({"status": "success", "message": message, "data": data})),
    )
}

fn unknown_key() -> Reply {
    no(StatusCode::UNAUTHORIZED, "Invalid authorization key")
}

async fn open_page(State(books): State<Books>, Json(body): Json<Value>) -> Reply {
    let text = |pointer: &str| {
        let text = body.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let reference = text("/tx_ref");
    if reference.is_empty() || !text("/customer/email").contains('@') {
        return no(StatusCode::BAD_REQUEST, "tx_ref and customer.email are required");
    }
    if text("/amount").parse::<f64>().is_err() || !text("/redirect_url").starts_with("https://") {
        return no(StatusCode::BAD_REQUEST, "amount and redirect_url are required");
    }
    let mut pages = books.lock();
    if pages.asked.contains_key(&reference) {
        return no(StatusCode::BAD_REQUEST, "Duplicate tx_ref");
    }
    let id = pages.name();
    pages.asked.insert(reference, body);
    let link = format!("https://checkout.flutterwave.com/v3/hosted/pay/{id:x}");
    yes("Hosted Link", json!({"link": link}))
}

async fn verify(
    State(books): State<Books>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Reply {
    let reference = query.get("tx_ref").cloned().unwrap_or_default();
    match books.lock().transactions.get(&reference) {
        Some(transaction) => yes("Transaction fetched successfully", transaction.clone()),
        None => no(StatusCode::BAD_REQUEST, "No transaction was found for this id"),
    }
}

async fn verify_one(State(books): State<Books>, Path(id): Path<u64>) -> Reply {
    match books.lock().all().find(|one| one["id"] == id) {
        Some(transaction) => yes("Transaction fetched successfully", transaction.clone()),
        None => no(StatusCode::BAD_REQUEST, "No transaction was found for this id"),
    }
}

async fn refund(
    State(books): State<Books>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Reply {
    let mut pages = books.lock();
    let paid = pages
        .all()
        .find(|transaction| transaction["id"].as_u64() == id.parse().ok());
    let Some(paid) = paid.filter(|paid| paid["status"] == "successful") else {
        return no(StatusCode::BAD_REQUEST, "No transaction was found for this id");
    };
    let paid = cents(&paid["amount"].to_string());
    let gone = pages
        .refunds
        .iter()
        .filter(|refund| refund["status"] != "failed")
        .filter(|refund| refund["tx_id"] == id.as_str());
    let gone: i64 = gone.filter_map(|refund| refund["cents"].as_i64()).sum();
    let asked = cents(body["amount"].as_str().unwrap_or_default());
    if paid < gone.saturating_add(asked) {
        return no(StatusCode::BAD_REQUEST, "Refund amount is more than the transaction amount");
    }
    let refund = json!({
        "id": pages.name(), "tx_id": id, "amount_refunded": body["amount"], "cents": asked,
        "status": "completed", "comments": body["comments"],
        "created_at": Utc::now(),
    });
    pages.refunds.push(refund.clone());
    yes("Transaction refund initiated", refund)
}

fn cents(text: &str) -> i64 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction:0<2}");
    digits.parse().unwrap_or(i64::MAX)
}

async fn list_refunds(
    State(books): State<Books>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Reply {
    let pages = books.lock();
    let Some(of) = query.get("id").cloned() else {
        return page(pages.refunds.iter().cloned(), &query, pages.page_max);
    };
    let refunds = pages.refunds.iter();
    let found: Vec<Value> = refunds
        .filter(|refund| refund["tx_id"] == of.as_str())
        .cloned()
        .collect();
    yes("Refunds fetched", found)
}

async fn list_transactions(State(books): State<Books>, Query(query): Query<Asked>) -> Reply {
    let pages = books.lock();
    let mut all: Vec<Value> = pages.all().cloned().collect();
    all.sort_by_key(|transaction| transaction["id"].as_u64());
    page(all.into_iter(), &query, pages.page_max)
}

fn page(
    all: impl DoubleEndedIterator<Item = Value>,
    query: &Asked,
    page_max: Option<usize>,
) -> Reply {
    let found = lists::numbered(all, "created_at", query, page_max.unwrap_or(PAGE_MAX));
    let info = json!({"current_page": found.page, "total_pages": found.pages});
    let said = json!({
        "status": "success", "message": "fetched", "data": found.items,
        "meta": {"page_info": info},
    });
    (StatusCode::OK, Json(said))
}

async fn show_refund(State(books): State<Books>, Path(id): Path<String>) -> Reply {
    let pages = books.lock();
    match pages
        .refunds
        .iter()
        .find(|refund| refund["id"].as_u64() == id.parse().ok())
    {
        Some(refund) => yes("Refund fetched", refund.clone()),
        None => no(StatusCode::NOT_FOUND, "Refund not found"),
    }
}

impl Simulator for Flutterwave {
    fn name(&self) -> &'static str {
        "flutterwave"
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("FLUTTERWAVE_SECRET_KEY", KEY.to_owned()),
            ("FLUTTERWAVE_SECRET_HASH", HASH.to_owned()),
            ("FLUTTERWAVE_BASE_URL", self.server.url.clone()),
            ("DAYBOOK_RETURN_URL", "https://shop.example/thanks".to_owned()),
        ]
    }

    fn secrets(&self) -> Vec<String> {
        vec![KEY.to_owned(), HASH.to_owned()]
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }

    fn server(&self) -> &Server {
        &self.server
    }

    fn price(&self) -> Money {
        Money { minor: 1_250_050, currency: "NGN".parse().expect("a currency") }
    }

    fn method(&self) -> PaymentMethod {
        PaymentMethod::MobileMoney
    }

    fn asked_amount(&self, reference: &str) -> String {
        let pages = self.books.lock();
        let amount = pages.asked[reference]["amount"].as_str();
        amount.expect("it was asked for").to_owned()
    }

    fn asked_for(&self, reference: &str) -> usize {
        usize::from(self.books.lock().asked.contains_key(reference))
    }

    fn customer_pays(&self, reference: &str) {
        self.pay(reference, "successful", "Approved by Financial Institution", None);
    }

    fn customer_pays_again(&self, reference: &str) -> Option<Sent> {
        let mut pages = self.books.lock();
        let mut second = pages.transactions[reference].clone();
        second["id"] = pages.name().into();
        pages.seconds.push(second.clone());
        Some(Self::signed(HASH, &json!({"event": "charge.completed", "data": second})))
    }

    fn customer_pays_instead(&self, reference: &str, amount: Money) {
        self.pay(reference, "successful", "Approved by Financial Institution", Some(amount));
    }

    /// Words that banks are known to use.
    fn declines(&self) -> &'static [Decline] {
        &[
            Decline { theirs: "Insufficient Funds", ours: "insufficient_funds" },
            Decline { theirs: "Declined", ours: "declined" },
            Decline { theirs: "Incorrect PIN", ours: "incorrect_details" },
            Decline { theirs: "Expired Card", ours: "card_expired" },
            Decline { theirs: "Exceeds withdrawal limit", ours: "limit_exceeded" },
            Decline { theirs: "Please contact your bank", ours: "unspecified" },
        ]
    }

    fn may_pay_after_decline(&self) -> bool {
        true
    }

    fn customer_is_declined(&self, reference: &str, how: Decline) {
        self.pay(reference, "failed", how.theirs, None);
    }

    fn confuses(&self, reference: &str, with: &str) {
        let mut pages = self.books.lock();
        let transaction = pages.transactions.get_mut(reference);
        transaction.expect("it is paid")["tx_ref"] = with.into();
    }

    fn refunds_work(&self, they_do: bool) {
        self.books.lock().refunds_fail = !they_do;
    }

    fn works_off_refunds(&self) {
        let mut pages = self.books.lock();
        let Pages { transactions, seconds, refunds, refunds_fail, failing, .. } = &mut *pages;
        for refund in refunds {
            if refund["status"] == "completed" {
                let name = refund["tx_id"].as_str().and_then(|name| name.parse().ok());
                let mut all = transactions.values().chain(&*seconds);
                let paid = all.find(|paid| paid["id"].as_u64() == name);
                let attempt = paid.and_then(|paid| paid["tx_ref"].as_str());
                let fail = *refunds_fail || failing.remove(attempt.unwrap_or_default());
                let status = if fail {
                    "failed"
                } else {
                    "completed-bank-transfer"
                };
                refund["status"] = status.into();
            }
        }
    }

    fn fails_a_refund_of(&self, reference: &str) {
        self.books.lock().failing.insert(reference.to_owned());
    }

    fn account(&self, reference: &str) -> Account {
        let pages = self.books.lock();
        let paid = pages.transactions.get(reference);
        let paid = paid.filter(|paid| paid["tx_ref"] == reference);
        let Some(paid) = paid.filter(|paid| paid["status"] == "successful") else {
            return Account::default();
        };
        let code = paid["currency"].as_str().unwrap_or_default();
        let currency = code.parse().expect("a currency");
        let minor = cents(&paid["amount"].to_string());
        let name = paid["id"].to_string();
        let of = |status: &str| -> i64 {
            let refunds = pages.refunds.iter();
            refunds
                .filter(|refund| refund["tx_id"] == name && refund["status"] == status)
                .filter_map(|refund| refund["cents"].as_i64())
                .sum()
        };
        Account {
            came_in: vec![Money { minor, currency }],
            gone_minor: of("completed-bank-transfer"),
            going_minor: of("completed"),
        }
    }

    fn refunds_called(&self, refund_id: &str) -> usize {
        let pages = self.books.lock();
        let refunds = pages.refunds.iter();
        refunds
            .filter(|refund| refund["comments"] == refund_id)
            .count()
    }

    fn pages_of(&self, size: usize) {
        self.books.lock().page_max = Some(size);
    }

    fn forgets(&self, reference: &str) {
        let mut pages = self.books.lock();
        pages.asked.remove(reference);
        pages.transactions.remove(reference);
    }

    fn webhook(&self, reference: &str) -> Sent {
        self.said(HASH, reference)
    }

    fn refund_webhooks(&self, reference: &str) -> Vec<Sent> {
        let pages = self.books.lock();
        let Some(paid) = pages.transactions.get(reference) else {
            return Vec::new();
        };
        let name = paid["id"].to_string();
        let refunds = pages.refunds.iter();
        let events = refunds
            .filter(|refund| refund["tx_id"] == name)
            .map(|refund| {
                let data = json!({
                    "id": refund["id"], "tx_ref": reference, "status": refund["status"],
                    "amount_refunded": refund["amount_refunded"],
                });
                json!({"event": "refund.completed", "data": data})
            });
        events.map(|event| Self::signed(HASH, &event)).collect()
    }

    fn forged_webhook(&self, reference: &str) -> Option<Sent> {
        Some(self.said("guessed", reference))
    }
}
