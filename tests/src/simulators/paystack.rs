//! Paystack as its `OpenAPI` document and paystack.com/docs say: references that are used once for
//! ever, transactions that are `abandoned` until somebody pays, refunds, signed events.

mod disputes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::Utc;
use domain::money::Money;
use domain::placing::PaymentMethod;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha512;

use super::lists::{self, PAGE_MAX, Query as Asked};
use super::{Account, Decline, Faults, Reply, Sent, Server, Simulator, for_key};

const KEY: &str = "sk_test_simulated_9a1c2b3d4e5f60718293a4b5c6d7e8f901234567";

/// A Paystack of one's own.
pub struct Paystack {
    server: Server,
    faults: Faults,
    books: Books,
}

type Books = super::Books<Pages>;

#[derive(Default)]
struct Pages {
    transactions: BTreeMap<String, Value>,
    refunds: Vec<Value>,
    disputes: Vec<Value>,
    refunds_fail: bool,
    page_max: Option<usize>,
    /// Attempts of which one refund fails.
    failing: BTreeSet<String>,
    names: u64,
}

impl Paystack {
    /// Starts one.
    pub async fn start() -> Arc<Self> {
        let (faults, books) = (Faults::default(), Books::default());
        let routes = Router::new()
            .route("/transaction", get(list_transactions))
            .route("/transaction/initialize", post(initialize))
            .route("/transaction/verify/{reference}", get(verify))
            .route("/refund", post(refund).get(list_refunds))
            .route("/refund/{id}", get(show_refund))
            .route("/dispute/{id}", get(disputes::show));
        let routes = for_key(routes, KEY, unknown_key).with_state(books.clone());
        let server = Server::start(routes, &faults).await;
        Arc::new(Self { server, faults, books })
    }

    fn said(&self, key: &str, reference: &str) -> Sent {
        let pages = self.books.lock();
        let transaction = &pages.transactions[reference];
        Self::signed(key, &json!({"event": "charge.success", "data": transaction}))
    }

    fn signed(key: &str, event: &Value) -> Sent {
        let body = event.to_string().into_bytes();
        let mut mac = Hmac::<Sha512>::new_from_slice(key.as_bytes()).expect("any length");
        mac.update(&body);
        let signature = hex::encode(mac.finalize().into_bytes());
        let name = "x-paystack-signature".parse().expect("a name");
        let header = (name, signature.parse().expect("ASCII"));
        Sent { headers: HeaderMap::from_iter([header]), body }
    }

    fn change(&self, reference: &str, with: impl FnOnce(&mut Value)) {
        let mut pages = self.books.lock();
        let transaction = pages.transactions.get_mut(reference);
        with(transaction.expect("there is such a transaction"));
    }
}

impl Pages {
    fn name(&mut self) -> u64 {
        self.names += 1;
        4_099_260_000 + self.names
    }
}

fn no(status: StatusCode, message: &str, code: &str) -> Reply {
    let said = json!({
        "status": false, "message": message, "code": code, "type": "validation_error", "meta": {},
    });
    (status, Json(said))
}

fn yes(message: &str, data: impl Into<Value>) -> Reply {
    let data: Value = data.into();
    (StatusCode::OK, Json(json!({"status": true, "message": message, "data": data})))
}

fn unknown_key() -> Reply {
    no(StatusCode::UNAUTHORIZED, "Invalid key", "invalid_Key")
}

async fn initialize(State(books): State<Books>, Json(body): Json<Value>) -> Reply {
    let bad = |message| no(StatusCode::BAD_REQUEST, message, "invalid_params");
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let reference = text("reference");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-.=".contains(c);
    if reference.is_empty() || !reference.chars().all(is_plain) {
        return bad("Invalid reference");
    }
    let known = [
        "email",
        "amount",
        "currency",
        "reference",
        "callback_url",
        "channels",
        "metadata",
    ];
    let members = body.as_object().expect("an object");
    if members.keys().any(|name| !known.contains(&name.as_str())) {
        return bad("Unknown parameter");
    }
    let (Some(amount), true) = (body["amount"].as_i64(), text("email").contains('@')) else {
        return bad("Email and amount are required");
    };
    let mut pages = books.lock();
    if pages.transactions.contains_key(&reference) {
        let message = "Duplicate Transaction Reference";
        return no(StatusCode::BAD_REQUEST, message, "duplicate_reference");
    }
    let id = pages.name();
    let transaction = json!({
        "id": id, "status": "abandoned", "reference": reference, "amount": amount,
        "currency": text("currency"), "gateway_response": "The transaction was not completed",
        "created_at": Utc::now(),
    });
    pages.transactions.insert(reference.clone(), transaction);
    let data = json!({
        "authorization_url": format!("https://checkout.paystack.com/{id:x}"),
        "access_code": format!("{id:x}"), "reference": reference,
    });
    yes("Authorization URL created", data)
}

async fn verify(State(books): State<Books>, Path(reference): Path<String>) -> Reply {
    if let Some(transaction) = books.lock().transactions.get(&reference) {
        return yes("Verification successful", transaction.clone());
    }
    let message = "Transaction reference not found.";
    no(StatusCode::BAD_REQUEST, message, "transaction_not_found")
}

async fn refund(State(books): State<Books>, Json(body): Json<Value>) -> Reply {
    let mut pages = books.lock();
    let name = body["transaction"].as_str().unwrap_or_default();
    let found = pages.transactions.get(name);
    let Some(transaction) = found.filter(|transaction| transaction["status"] == "success") else {
        return no(StatusCode::NOT_FOUND, "Transaction not found", "transaction_not_found");
    };
    let (transaction_id, paid) = (transaction["id"].clone(), transaction["amount"].as_i64());
    let gone = pages
        .refunds
        .iter()
        .filter(|refund| refund["status"] != "failed")
        .filter(|refund| refund["transaction"]["id"] == transaction_id);
    let gone: i64 = gone.filter_map(|refund| refund["amount"].as_i64()).sum();
    let left = paid.unwrap_or(0) - gone;
    let amount = body["amount"].as_i64().unwrap_or(left);
    if left < amount {
        let message = "Refund amount cannot be more than transaction amount";
        return no(StatusCode::BAD_REQUEST, message, "invalid_amount");
    }
    let id = pages.name();
    let refund = json!({
        "id": id, "status": "pending", "amount": amount, "currency": body["currency"],
        "transaction": {"id": transaction_id, "reference": name},
        "merchant_note": body["merchant_note"], "created_at": Utc::now(),
    });
    pages.refunds.push(refund.clone());
    yes("Refund has been queued for processing", refund)
}

async fn list_refunds(
    State(books): State<Books>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Reply {
    let pages = books.lock();
    let Some(of) = query.get("transaction").cloned() else {
        return page(pages.refunds.iter().cloned(), &query, pages.page_max);
    };
    let refunds = pages.refunds.iter();
    let found: Vec<Value> = refunds
        .filter(|refund| refund["transaction"]["id"].as_u64() == of.parse().ok())
        .cloned()
        .collect();
    yes("Refunds retrieved", found)
}

async fn list_transactions(State(books): State<Books>, Query(query): Query<Asked>) -> Reply {
    let pages = books.lock();
    // In the order in which they were made; names rise.
    let mut all: Vec<Value> = pages.transactions.values().cloned().collect();
    all.sort_by_key(|transaction| transaction["id"].as_u64());
    page(all.into_iter(), &query, pages.page_max)
}

fn page(
    all: impl DoubleEndedIterator<Item = Value>,
    query: &Asked,
    page_max: Option<usize>,
) -> Reply {
    let asked = query.get("perPage").and_then(|text| text.parse().ok());
    let size: usize = asked.unwrap_or(50);
    let size = size.min(page_max.unwrap_or(PAGE_MAX));
    let found = lists::numbered(all, "created_at", query, size);
    let meta = json!({"page": found.page, "perPage": size, "pageCount": found.pages});
    let said = json!({
        "status": true, "message": "retrieved", "data": found.items, "meta": meta,
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
        Some(refund) => yes("Refund retrieved", refund.clone()),
        None => no(StatusCode::NOT_FOUND, "Refund not found", "not_found"),
    }
}

impl Simulator for Paystack {
    fn name(&self) -> &'static str {
        "paystack"
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("PAYSTACK_SECRET_KEY", KEY.to_owned()),
            ("PAYSTACK_BASE_URL", self.server.url.clone()),
            ("DAYBOOK_RETURN_URL", "https://shop.example/thanks".to_owned()),
        ]
    }

    fn secrets(&self) -> Vec<String> {
        vec![KEY.to_owned()]
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
        PaymentMethod::BankTransfer
    }

    fn asked_amount(&self, reference: &str) -> String {
        self.books.lock().transactions[reference]["amount"].to_string()
    }

    fn asked_for(&self, reference: &str) -> usize {
        usize::from(self.books.lock().transactions.contains_key(reference))
    }

    fn customer_pays(&self, reference: &str) {
        self.change(reference, |transaction| {
            transaction["status"] = "success".into();
            transaction["gateway_response"] = "Successful".into();
        });
    }

    fn customer_pays_instead(&self, reference: &str, amount: Money) {
        self.change(reference, |transaction| {
            transaction["status"] = "success".into();
            transaction["amount"] = amount.minor.into();
            transaction["currency"] = amount.currency.code().into();
        });
    }

    /// Words that banks are known to use.
    fn declines(&self) -> &'static [Decline] {
        &[
            Decline { theirs: "Insufficient Funds", ours: "insufficient_funds" },
            Decline { theirs: "Declined", ours: "declined" },
            Decline { theirs: "Incorrect PIN", ours: "incorrect_details" },
            Decline { theirs: "Expired Card", ours: "card_expired" },
            Decline { theirs: "Transaction not permitted to card", ours: "not_permitted" },
            Decline { theirs: "Token Not Generated. Try Again", ours: "unspecified" },
        ]
    }

    fn may_pay_after_decline(&self) -> bool {
        true
    }

    fn customer_is_declined(&self, reference: &str, how: Decline) {
        self.change(reference, |transaction| {
            transaction["status"] = "failed".into();
            transaction["gateway_response"] = how.theirs.into();
        });
    }

    fn confuses(&self, reference: &str, with: &str) {
        self.change(reference, |transaction| transaction["reference"] = with.into());
    }

    fn refunds_work(&self, they_do: bool) {
        self.books.lock().refunds_fail = !they_do;
    }

    fn works_off_refunds(&self) {
        let mut pages = self.books.lock();
        let Pages { refunds, refunds_fail, failing, .. } = &mut *pages;
        for refund in refunds {
            if refund["status"] == "pending" || refund["status"] == "needs-attention" {
                let attempt = refund["transaction"]["reference"].as_str();
                let fail = *refunds_fail || failing.remove(attempt.unwrap_or_default());
                refund["status"] = if fail { "failed" } else { "processed" }.into();
            }
        }
    }

    fn refunds_come_back(&self, reference: &str) -> bool {
        for refund in &mut self.books.lock().refunds {
            if refund["status"] == "processed" && refund["transaction"]["reference"] == reference {
                refund["status"] = "failed".into();
            }
        }
        true
    }

    fn refunds_wait_for_somebody(&self) -> bool {
        for refund in &mut self.books.lock().refunds {
            if refund["status"] == "pending" {
                refund["status"] = "needs-attention".into();
            }
        }
        true
    }

    fn refunds_go_on(&self) {
        for refund in &mut self.books.lock().refunds {
            if refund["status"] == "needs-attention" {
                refund["status"] = "pending".into();
            }
        }
    }

    fn charges_back(&self, reference: &str, minor: i64) -> Vec<Sent> {
        let opened = self.disputes(reference, minor);
        let mut said = self.resolves(reference, "merchant-accepted");
        said.insert(0, opened);
        said
    }

    fn fails_a_refund_of(&self, reference: &str) {
        self.books.lock().failing.insert(reference.to_owned());
    }

    fn account(&self, reference: &str) -> Account {
        let pages = self.books.lock();
        let is_named = |of: &&Value| of["reference"] == reference;
        let Some(transaction) = pages.transactions.get(reference).filter(is_named) else {
            return Account::default();
        };
        let code = transaction["currency"].as_str().unwrap_or_default();
        let currency = code.parse().expect("a currency");
        let minor = transaction["amount"].as_i64().expect("an amount");
        let is_paid = transaction["status"] == "success";
        let of = |status: &str| -> i64 {
            let refunds = pages.refunds.iter();
            refunds
                .filter(|refund| refund["transaction"]["reference"] == reference)
                .filter(|refund| refund["status"] == status)
                .filter_map(|refund| refund["amount"].as_i64())
                .sum()
        };
        Account {
            came_in: is_paid
                .then_some(Money { minor, currency })
                .into_iter()
                .collect(),
            gone_minor: of("processed"),
            going_minor: of("pending"),
        }
    }

    fn refunds_called(&self, refund_id: &str) -> usize {
        let pages = self.books.lock();
        let refunds = pages.refunds.iter();
        refunds
            .filter(|refund| refund["merchant_note"] == refund_id)
            .count()
    }

    fn pages_of(&self, size: usize) {
        self.books.lock().page_max = Some(size);
    }

    fn forgets(&self, reference: &str) {
        self.books.lock().transactions.remove(reference);
    }

    fn webhook(&self, reference: &str) -> Sent {
        self.said(KEY, reference)
    }

    fn refund_webhooks(&self, reference: &str) -> Vec<Sent> {
        let pages = self.books.lock();
        let refunds = pages.refunds.iter();
        let of_attempt = refunds.filter(|refund| refund["transaction"]["reference"] == reference);
        let events = of_attempt.map(|refund| {
            let kind = format!("refund.{}", refund["status"].as_str().unwrap_or_default());
            let data = json!({
                "id": refund["id"].to_string(), "status": refund["status"],
                "transaction_reference": reference, "amount": refund["amount"],
            });
            json!({"event": kind, "data": data})
        });
        events.map(|event| Self::signed(KEY, &event)).collect()
    }

    fn forged_webhook(&self, reference: &str) -> Option<Sent> {
        Some(self.said("sk_test_guessed", reference))
    }
}
