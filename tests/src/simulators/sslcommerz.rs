//! `SSLCommerz` as developer.sslcommerz.com/doc/v4 says: credentials as parameters, sessions,
//! transactions by our name, validation by theirs, refunds that are accepted long before they are
//! paid out, notifications signed with MD5.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use domain::ids::attempt_reference;
use domain::money::Money;
use domain::placing::PaymentMethod;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use super::{Account, Decline, Faults, Sent, Server, Simulator};

const STORE: &str = "testbox";
/// With characters that look different in an address.
const PASSWORD: &str = "simulated qwerty@ssl&5f3c";
/// What one of any other currency is worth.
const TAKA_FOR_ONE: i64 = 120;
/// What the page insists on.
const REQUIRED: [&str; 20] = [
    "store_id",
    "store_passwd",
    "total_amount",
    "currency",
    "tran_id",
    "product_category",
    "success_url",
    "fail_url",
    "cancel_url",
    "cus_name",
    "cus_email",
    "cus_add1",
    "cus_city",
    "cus_postcode",
    "cus_country",
    "cus_phone",
    "shipping_method",
    "num_of_item",
    "product_name",
    "product_profile",
];

type Fields = BTreeMap<String, String>;

/// An `SSLCommerz` of one's own.
pub struct SslCommerz {
    server: Server,
    faults: Faults,
    books: Books,
}

type Books = super::Books<Pages>;

#[derive(Default)]
struct Pages {
    /// By our name: what was asked for. The page of a later session replaces that of an earlier one.
    sessions: BTreeMap<String, Fields>,
    transactions: Vec<Value>,
    /// By our name.
    refunds: BTreeMap<String, Value>,
    refunds_fail: bool,
    finds_risk: bool,
    /// Attempts of which one refund fails.
    failing: BTreeSet<String>,
    names: usize,
}

impl SslCommerz {
    /// Starts one.
    pub async fn start() -> Arc<Self> {
        let (faults, books) = (Faults::default(), Books::default());
        let routes = Router::new()
            .route("/gwprocess/v4/api.php", post(open_session))
            .route("/validator/api/validationserverAPI.php", get(validate))
            .route("/validator/api/merchantTransIDvalidationAPI.php", get(transactions))
            .with_state(books.clone());
        let server = Server::start(routes, &faults).await;
        Arc::new(Self { server, faults, books })
    }

    /// The customer has looked at the page, and tried nothing.
    pub fn is_looked_at(&self, reference: &str) {
        self.pay(reference, "UNATTEMPTED", "", None);
    }

    /// Whatever is paid from now on is risky.
    pub fn finds_risk(&self) {
        self.books.lock().finds_risk = true;
    }

    fn pay(&self, reference: &str, status: &str, words: &str, amount: Option<Money>) {
        let mut pages = self.books.lock();
        pages.names += 1;
        let n = pages.names;
        let session = &pages.sessions[reference];
        let currency = amount.map_or(session["currency"].clone(), |of| of.currency.code().into());
        let paid = amount.map_or(session["total_amount"].clone(), Money::decimal);
        // It keeps everything in taka, and what the customer paid beside it.
        let amount = if currency == "BDT" {
            paid.clone()
        } else {
            format!("{}.00", paisa(&paid).saturating_mul(TAKA_FOR_ONE) / 100)
        };
        let transaction = json!({
            "status": status, "tran_id": reference, "val_id": format!("val{n}"),
            "amount": amount, "currency_type": currency, "currency_amount": paid,
            "bank_tran_id": format!("bank{n}"),
            "risk_level": if pages.finds_risk { "1" } else { "0" },
            "card_issuer_country_code": "BD",
            "error": words,
        });
        pages.transactions.push(transaction);
    }

    fn signed(&self, password: &str, reference: &str) -> Sent {
        let pages = self.books.lock();
        let mut tried = pages.transactions.iter().rev();
        let paid = tried.find(|transaction| transaction["tran_id"] == reference);
        let unpaid = json!({"tran_id": reference, "status": "UNATTEMPTED"});
        let mut fields: Fields = paid
            .unwrap_or(&unpaid)
            .as_object()
            .expect("an object")
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect();
        let names: Vec<&str> = fields.keys().map(String::as_str).collect();
        let names = names.join(",");
        let mut signed = fields.clone();
        signed.insert("store_passwd".to_owned(), hex::encode(Md5::digest(password)));
        let pairs: Vec<String> = signed
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        fields.insert("verify_key".to_owned(), names);
        fields.insert("verify_sign".to_owned(), hex::encode(Md5::digest(pairs.join("&"))));
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(&fields);
        Sent { headers: HeaderMap::new(), body: form.finish().into_bytes() }
    }
}

fn is_known(fields: &Fields) -> bool {
    let is = |name: &str, value: &str| fields.get(name).is_some_and(|shown| shown == value);
    is("store_id", STORE) && is("store_passwd", PASSWORD)
}

async fn open_session(State(books): State<Books>, body: String) -> Response {
    let fields: Fields = form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect();
    let failed =
        |reason: String| Json(json!({"status": "FAILED", "failedreason": reason})).into_response();
    if !is_known(&fields) {
        return failed("Store Credential Error Or Store is De-active".to_owned());
    }
    let is_missing = |name: &&&str| fields.get(**name).is_none_or(String::is_empty);
    if let Some(missing) = REQUIRED.iter().find(is_missing) {
        return failed(format!("Invalid Information! '{missing}' is missing or empty."));
    }
    let reference = fields["tran_id"].clone();
    if 30 < reference.len() {
        return failed("tran_id is too long".to_owned());
    }
    let mut pages = books.lock();
    pages.names += 1;
    let key = format!("SESSION{}", pages.names);
    pages.sessions.insert(reference, fields);
    let page = format!("https://sandbox.sslcommerz.com/EasyCheckOut/{key}");
    let said = json!({
        "status": "SUCCESS", "failedreason": "", "sessionkey": key, "GatewayPageURL": page,
    });
    Json(said).into_response()
}

async fn validate(State(books): State<Books>, Query(query): Query<Fields>) -> Response {
    if !is_known(&query) {
        return Json(json!({"APIConnect": "FAILED"})).into_response();
    }
    let val_id = query.get("val_id").cloned().unwrap_or_default();
    let mut pages = books.lock();
    let mut all = pages.transactions.iter_mut();
    let Some(transaction) = all.find(|transaction| transaction["val_id"] == val_id) else {
        let said = json!({"APIConnect": "DONE", "status": "INVALID_TRANSACTION", "tran_id": ""});
        return Json(said).into_response();
    };
    let mut said = transaction.clone();
    said["APIConnect"] = "DONE".into();
    if transaction["status"] == "VALID" {
        // The next who asks is told that somebody has asked before.
        transaction["status"] = "VALIDATED".into();
    }
    Json(said).into_response()
}

/// One address for three questions.
async fn transactions(State(books): State<Books>, Query(query): Query<Fields>) -> Response {
    if !is_known(&query) {
        return Json(json!({"APIConnect": "FAILED", "status": "failed"})).into_response();
    }
    let mut pages = books.lock();
    if let Some(reference) = query.get("tran_id") {
        let found: Vec<&Value> = pages
            .transactions
            .iter()
            .filter(|transaction| {
                transaction["asked_by"]
                    .as_str()
                    .unwrap_or_else(|| transaction["tran_id"].as_str().unwrap_or_default())
                    == reference
            })
            .collect();
        let said = json!({
            "APIConnect": "DONE", "no_of_trans_found": found.len(), "element": found,
        });
        return Json(said).into_response();
    }
    if let Some(name) = query.get("refund_ref_id") {
        let mut refunds = pages.refunds.values();
        let refund = refunds.find(|refund| refund["refund_ref_id"] == name.as_str());
        return refund.map_or_else(
            || StatusCode::BAD_REQUEST.into_response(),
            |refund| Json(refund.clone()).into_response(),
        );
    }
    refund(&mut pages, &query)
}

fn refund(pages: &mut Pages, query: &Fields) -> Response {
    let text = |name: &str| query.get(name).cloned().unwrap_or_default();
    let (bank, name) = (text("bank_tran_id"), text("refund_trans_id"));
    if name.is_empty() || 30 < name.len() || text("refund_remarks").is_empty() {
        let said = json!({"APIConnect": "INVALID_REQUEST", "status": "failed"});
        return Json(said).into_response();
    }
    if let Some(before) = pages.refunds.get(&name) {
        return Json(before.clone()).into_response();
    }
    let mut all = pages.transactions.iter();
    let paid = all.find(|transaction| transaction["bank_tran_id"] == bank.as_str());
    let paid = paid.map_or(0, |paid| paisa(paid["amount"].as_str().unwrap_or_default()));
    let gone = pages
        .refunds
        .values()
        .filter(|refund| refund["status"] != "cancelled")
        .filter(|refund| refund["bank_tran_id"] == bank.as_str());
    let gone: i64 = gone.filter_map(|refund| refund["paisa"].as_i64()).sum();
    let asked = paisa(&text("refund_amount"));
    if paid < gone.saturating_add(asked) {
        let said = json!({
            "APIConnect": "DONE", "bank_tran_id": bank, "status": "failed",
            "errorReason": "Refund amount exceeds the transaction amount",
        });
        return Json(said).into_response();
    }
    pages.names += 1;
    let refund = json!({
        "APIConnect": "DONE", "bank_tran_id": bank, "refund_ref_id": format!("ref{}", pages.names),
        "status": "success", "errorReason": "", "paisa": asked, "refe_id": text("refe_id"),
    });
    pages.refunds.insert(name, refund.clone());
    Json(refund).into_response()
}

fn paisa(text: &str) -> i64 {
    text.replace('.', "").parse().unwrap_or(i64::MAX)
}

impl Simulator for SslCommerz {
    fn name(&self) -> &'static str {
        "sslcommerz"
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("SSLCOMMERZ_STORE_ID", STORE.to_owned()),
            ("SSLCOMMERZ_STORE_PASSWORD", PASSWORD.to_owned()),
            ("SSLCOMMERZ_BASE_URL", self.server.url.clone()),
            ("DAYBOOK_RETURN_URL", "https://shop.example/thanks".to_owned()),
            ("DAYBOOK_PUBLIC_URL", "https://daybook.example".to_owned()),
        ]
    }

    fn secrets(&self) -> Vec<String> {
        let encoded = form_urlencoded::byte_serialize(PASSWORD.as_bytes()).collect();
        vec![PASSWORD.to_owned(), encoded]
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }

    fn server(&self) -> &Server {
        &self.server
    }

    fn price(&self) -> Money {
        Money { minor: 125_050, currency: "BDT".parse().expect("a currency") }
    }

    fn method(&self) -> PaymentMethod {
        PaymentMethod::CreditCard
    }

    fn asked_amount(&self, reference: &str) -> String {
        self.books.lock().sessions[reference]["total_amount"].clone()
    }

    fn asked_for(&self, reference: &str) -> usize {
        usize::from(self.books.lock().sessions.contains_key(reference))
    }

    fn customer_pays(&self, reference: &str) {
        self.pay(reference, "VALID", "", None);
    }

    fn customer_pays_again(&self, reference: &str) -> Option<Sent> {
        self.pay(reference, "VALID", "", None);
        Some(self.signed(PASSWORD, reference))
    }

    fn customer_pays_instead(&self, reference: &str, amount: Money) {
        self.pay(reference, "VALID", "", Some(amount));
    }

    fn declines(&self) -> &'static [Decline] {
        &[
            Decline { theirs: "Insufficient funds", ours: "insufficient_funds" },
            Decline { theirs: "Card is declined by issuing bank", ours: "declined" },
            Decline { theirs: "Invalid card number", ours: "incorrect_details" },
            Decline { theirs: "CANCELLED", ours: "customer_cancelled" },
            Decline { theirs: "EXPIRED", ours: "expired" },
        ]
    }

    fn may_pay_after_decline(&self) -> bool {
        true
    }

    fn customer_is_declined(&self, reference: &str, how: Decline) {
        match how.theirs {
            status @ ("CANCELLED" | "EXPIRED") => self.pay(reference, status, "", None),
            words => self.pay(reference, "FAILED", words, None),
        }
    }

    fn confuses(&self, reference: &str, with: &str) {
        let mut pages = self.books.lock();
        for transaction in &mut pages.transactions {
            if transaction["tran_id"] == reference {
                transaction["asked_by"] = reference.into();
                transaction["tran_id"] = with.into();
            }
        }
    }

    fn refunds_work(&self, they_do: bool) {
        self.books.lock().refunds_fail = !they_do;
    }

    fn works_off_refunds(&self) {
        let mut pages = self.books.lock();
        let Pages { refunds, refunds_fail, failing, .. } = &mut *pages;
        for refund in refunds.values_mut() {
            if refund["status"] == "success" {
                let attempt = refund["refe_id"].as_str().unwrap_or_default();
                let fail = *refunds_fail || failing.remove(attempt);
                refund["status"] = if fail { "cancelled" } else { "refunded" }.into();
            }
        }
    }

    fn fails_a_refund_of(&self, reference: &str) {
        self.books.lock().failing.insert(reference.to_owned());
    }

    fn account(&self, reference: &str) -> Account {
        let pages = self.books.lock();
        let brought = |paid: &&Value| paid["status"] == "VALID" || paid["status"] == "VALIDATED";
        let all = pages.transactions.iter();
        let paid: Vec<&Value> = all
            .filter(|paid| paid["tran_id"] == reference)
            .filter(brought)
            .collect();
        let money = |paid: &&Value| {
            let text = |name: &str| paid[name].as_str().unwrap_or_default();
            let currency = text("currency_type").parse().expect("a currency");
            Money { minor: paisa(text("currency_amount")), currency }
        };
        let of = |status: &str| -> i64 {
            let refunds = pages.refunds.values();
            let is_ours = |refund: &&Value| {
                paid.iter()
                    .any(|paid| paid["bank_tran_id"] == refund["bank_tran_id"])
            };
            refunds
                .filter(is_ours)
                .filter(|refund| refund["status"] == status)
                .filter_map(|refund| refund["paisa"].as_i64())
                .sum()
        };
        Account {
            came_in: paid.iter().map(money).collect(),
            gone_minor: of("refunded"),
            going_minor: of("success"),
        }
    }

    fn refunds_called(&self, refund_id: &str) -> usize {
        let name = attempt_reference(refund_id.parse().expect("a UUID"));
        usize::from(self.books.lock().refunds.contains_key(&name))
    }

    fn forgets(&self, reference: &str) {
        let mut pages = self.books.lock();
        pages
            .transactions
            .retain(|transaction| transaction["tran_id"] != reference);
    }

    fn webhook(&self, reference: &str) -> Sent {
        self.signed(PASSWORD, reference)
    }

    /// It notifies of payments only.
    fn refund_webhooks(&self, _reference: &str) -> Vec<Sent> {
        Vec::new()
    }

    fn forged_webhook(&self, reference: &str) -> Option<Sent> {
        Some(self.signed("guessed", reference))
    }
}
