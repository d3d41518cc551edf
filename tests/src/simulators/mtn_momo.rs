//! MTN Mobile Money as momodeveloper.mtn.com says: tokens per product, names of UUID version 4 that
//! are used once, answers without a body, callbacks without a signature.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use domain::money::Money;
use domain::placing::PaymentMethod;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Account, Decline, Faults, Sent, Server, Simulator};

const USER: &str = "c72025f5-5cd1-4630-99e4-8ba4722fad56";
const KEY: &str = "simulated-f1db798c98df4bcf83b538175893bbf0";
const COLLECTION_KEY: &str = "simulated-collection-d484a1f0d34f4301916d0f2c9e9106a2";
const DISBURSEMENT_KEY: &str = "simulated-disbursement-b0431db58a9b41faa8f5860230xxxxxx";
/// Of `USER:KEY`, as RFC 7617 has it.
const BASIC: &str = "Basic YzcyMDI1ZjUtNWNkMS00NjMwLTk5ZTQtOGJhNDcyMmZhZDU2OnNpbXVsYXRlZC1mMWRiNzk4Yzk4ZGY0YmNmODNiNTM4MTc1ODkzYmJmMA==";

/// Who pays out, where that is somebody else; the last is of both, as RFC 7617 has it.
const PAYER_OUT: &str = "0b7a3c52-6c0e-4d5b-9b50-8e5a1f3d2c41";
const PAYER_OUT_KEY: &str = "simulated-0a8c5d7e4b1f4c2e9d6b7a3f5e8c1d02";
const PAYER_OUT_BASIC: &str = "Basic MGI3YTNjNTItNmMwZS00ZDViLTliNTAtOGU1YTFmM2QyYzQxOnNpbXVsYXRlZC0wYThjNWQ3ZTRiMWY0YzJlOWQ2YjdhM2Y1ZThjMWQwMg==";
/// Target environments, and what money they take: the sandbox takes euros only.
const ENVIRONMENTS: [(&str, &str); 7] = [
    ("sandbox", "EUR"),
    ("mtnuganda", "UGX"),
    ("mtnghana", "GHS"),
    ("mtncameroon", "XAF"),
    ("mtnivorycoast", "XOF"),
    ("mtnguineaconakry", "GNF"),
    ("mtnzambia", "ZMW"),
];

/// An MTN Mobile Money of one's own.
pub struct MtnMomo {
    server: Server,
    faults: Faults,
    books: Books,
}

type Books = super::Books<Pages>;

#[derive(Default)]
struct Pages {
    requests: BTreeMap<Uuid, Value>,
    refunds: BTreeMap<Uuid, Value>,
    refunds_fail: bool,
    /// Disbursements have a user of their own.
    has_payer_out: bool,
    /// Attempts of which one refund fails.
    failing: BTreeSet<String>,
}

impl MtnMomo {
    /// Starts one.
    pub async fn start() -> Arc<Self> {
        let (faults, books) = (Faults::default(), Books::default());
        let routes = Router::new()
            .route("/collection/v1_0/requesttopay", post(request_to_pay))
            .route("/collection/v1_0/requesttopay/{id}", get(show_request))
            .route("/disbursement/v1_0/refund", post(refund))
            .route("/disbursement/v1_0/refund/{id}", get(show_refund))
            .with_state(books.clone());
        // Tokens are not what faults are ordered for: a call needs none most of the time.
        let server = Server::start_beside(routes, &faults, tokens(&books)).await;
        Arc::new(Self { server, faults, books })
    }

    /// From now on another user pays out than collects; how a Daybook is told of it.
    pub fn pays_out_by_another(&self) -> [(&'static str, String); 2] {
        self.books.lock().has_payer_out = true;
        [
            ("MTN_MOMO_DISBURSEMENT_API_USER", PAYER_OUT.to_owned()),
            ("MTN_MOMO_DISBURSEMENT_API_KEY", PAYER_OUT_KEY.to_owned()),
        ]
    }

    fn change(&self, reference: &str, with: impl FnOnce(&mut Value)) {
        let mut pages = self.books.lock();
        let mut requests = pages.requests.values_mut();
        let request = requests.find(|request| request["externalId"] == reference);
        with(request.expect("there is such a request"));
    }
}

fn tokens(books: &Books) -> Router {
    let token = |product: &'static str, subscription: &'static str| {
        post(move |State(books): State<Books>, headers: HeaderMap| async move {
            let is =
                |name: &str, value: &str| headers.get(name).is_some_and(|shown| shown == value);
            let is_apart = product == "disbursement" && books.lock().has_payer_out;
            let basic = if is_apart { PAYER_OUT_BASIC } else { BASIC };
            if !is("authorization", basic) || !is("ocp-apim-subscription-key", subscription) {
                return StatusCode::UNAUTHORIZED.into_response();
            }
            let token = json!({
                "access_token": format!("token-{product}"), "token_type": "access_token",
                "expires_in": 3600,
            });
            Json(token).into_response()
        })
    };
    Router::new()
        .route("/collection/token/", token("collection", COLLECTION_KEY))
        .route("/disbursement/token/", token("disbursement", DISBURSEMENT_KEY))
        .with_state(books.clone())
}

fn problem(status: StatusCode, code: &str) -> Response {
    (status, Json(json!({"code": code, "message": code.to_lowercase()}))).into_response()
}

/// What has to be right before anything is looked at.
fn permit(headers: &HeaderMap, product: &str) -> Result<(), Box<Response>> {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|shown| shown == value);
    let subscription = match product {
        "collection" => COLLECTION_KEY,
        _ => DISBURSEMENT_KEY,
    };
    if !is("authorization", &format!("Bearer token-{product}"))
        || !is("ocp-apim-subscription-key", subscription)
    {
        return Err(Box::new(StatusCode::UNAUTHORIZED.into_response()));
    }
    if currency_of(headers).is_none() {
        let problem = problem(StatusCode::BAD_REQUEST, "NOT_ALLOWED_TARGET_ENVIRONMENT");
        return Err(Box::new(problem));
    }
    Ok(())
}

/// What money the environment takes that a request is for.
fn currency_of(headers: &HeaderMap) -> Option<&'static str> {
    let environment = headers.get("x-target-environment")?;
    let found = ENVIRONMENTS.iter().find(|(name, _)| environment == *name);
    found.map(|(_, currency)| *currency)
}

/// The name that a request gives itself.
fn name(headers: &HeaderMap) -> Option<Uuid> {
    let name = headers.get("x-reference-id")?.to_str().ok()?;
    let name: Uuid = name.parse().ok()?;
    (name.get_version_num() == 4).then_some(name)
}

async fn request_to_pay(
    State(books): State<Books>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if let Err(response) = permit(&headers, "collection") {
        return *response;
    }
    let Some(name) = name(&headers) else {
        return problem(StatusCode::BAD_REQUEST, "INVALID_REFERENCE_ID");
    };
    if body["currency"].as_str() != currency_of(&headers) {
        return problem(StatusCode::BAD_REQUEST, "INVALID_CURRENCY");
    }
    let text = |pointer: &str| {
        let text = body.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let message = text("/payerMessage");
    let is_number = text("/payer/partyId")
        .bytes()
        .all(|byte| byte.is_ascii_digit());
    if text("/payer/partyIdType") != "MSISDN" || !is_number || text("/amount").is_empty() {
        return problem(StatusCode::BAD_REQUEST, "PAYER_NOT_FOUND");
    }
    if 160 < message.len() || message.contains('\'') {
        return problem(StatusCode::BAD_REQUEST, "INVALID_MESSAGE");
    }
    let mut pages = books.lock();
    if pages.requests.contains_key(&name) {
        return problem(StatusCode::CONFLICT, "RESOURCE_ALREADY_EXIST");
    }
    let mut request = body;
    request["status"] = "PENDING".into();
    pages.requests.insert(name, request);
    StatusCode::ACCEPTED.into_response()
}

async fn show_request(
    State(books): State<Books>,
    headers: HeaderMap,
    Path(name): Path<Uuid>,
) -> Response {
    if let Err(response) = permit(&headers, "collection") {
        return *response;
    }
    match books.lock().requests.get(&name) {
        Some(request) => Json(request.clone()).into_response(),
        None => problem(StatusCode::NOT_FOUND, "RESOURCE_NOT_FOUND"),
    }
}

async fn refund(
    State(books): State<Books>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if let Err(response) = permit(&headers, "disbursement") {
        return *response;
    }
    let Some(name) = name(&headers) else {
        return problem(StatusCode::BAD_REQUEST, "INVALID_REFERENCE_ID");
    };
    let mut pages = books.lock();
    if pages.refunds.contains_key(&name) {
        return problem(StatusCode::CONFLICT, "RESOURCE_ALREADY_EXIST");
    }
    let of = body["referenceIdToRefund"]
        .as_str()
        .and_then(|of| of.parse().ok());
    let paid = of.and_then(|of: Uuid| pages.requests.get(&of));
    let Some(paid) = paid.filter(|paid| paid["status"] == "SUCCESSFUL") else {
        return problem(StatusCode::NOT_FOUND, "RESOURCE_NOT_FOUND");
    };
    let gone = pages.refunds.values();
    let gone = gone
        .filter(|refund| refund["status"] != "FAILED")
        .filter(|refund| refund["referenceIdToRefund"] == body["referenceIdToRefund"]);
    let gone: i64 = gone.map(cents).sum();
    if cents(paid) < gone.saturating_add(cents(&body)) {
        return problem(StatusCode::BAD_REQUEST, "NOT_ALLOWED");
    }
    let mut refund = body;
    refund["status"] = "PENDING".into();
    pages.refunds.insert(name, refund);
    StatusCode::ACCEPTED.into_response()
}

fn cents(request: &Value) -> i64 {
    let text = request["amount"].as_str().unwrap_or_default();
    text.replace('.', "").parse().unwrap_or(i64::MAX)
}

async fn show_refund(
    State(books): State<Books>,
    headers: HeaderMap,
    Path(name): Path<Uuid>,
) -> Response {
    if let Err(response) = permit(&headers, "disbursement") {
        return *response;
    }
    match books.lock().refunds.get(&name) {
        Some(refund) => Json(refund.clone()).into_response(),
        None => problem(StatusCode::NOT_FOUND, "RESOURCE_NOT_FOUND"),
    }
}

impl Simulator for MtnMomo {
    fn name(&self) -> &'static str {
        "mtn-momo"
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("MTN_MOMO_API_USER", USER.to_owned()),
            ("MTN_MOMO_API_KEY", KEY.to_owned()),
            ("MTN_MOMO_COLLECTION_KEY", COLLECTION_KEY.to_owned()),
            ("MTN_MOMO_DISBURSEMENT_KEY", DISBURSEMENT_KEY.to_owned()),
            ("MTN_MOMO_BASE_URL", self.server.url.clone()),
            ("DAYBOOK_PUBLIC_URL", "https://daybook.example".to_owned()),
        ]
    }

    fn secrets(&self) -> Vec<String> {
        [
            USER,
            KEY,
            COLLECTION_KEY,
            DISBURSEMENT_KEY,
            "token-collection",
            "token-disbursement",
            PAYER_OUT_KEY,
        ]
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
        Money { minor: 1530, currency: "EUR".parse().expect("a currency") }
    }

    fn method(&self) -> PaymentMethod {
        PaymentMethod::MobileMoney
    }

    fn token(&self) -> Option<&'static str> {
        Some("+256770000001")
    }

    fn asked_amount(&self, reference: &str) -> String {
        let pages = self.books.lock();
        let mut requests = pages.requests.values();
        let request = requests.find(|request| request["externalId"] == reference);
        let amount = request.and_then(|request| request["amount"].as_str());
        amount.expect("there is such a request").to_owned()
    }

    fn asked_for(&self, reference: &str) -> usize {
        let pages = self.books.lock();
        let requests = pages.requests.values();
        requests
            .filter(|request| request["externalId"] == reference)
            .count()
    }

    fn customer_pays(&self, reference: &str) {
        self.change(reference, |request| {
            request["status"] = "SUCCESSFUL".into();
            request["financialTransactionId"] = "1274847592".into();
        });
    }

    fn customer_pays_instead(&self, reference: &str, amount: Money) {
        self.change(reference, |request| {
            request["status"] = "SUCCESSFUL".into();
            request["amount"] = amount.decimal().into();
            request["currency"] = amount.currency.code().into();
        });
    }

    fn declines(&self) -> &'static [Decline] {
        &[
            Decline { theirs: "NOT_ENOUGH_FUNDS", ours: "insufficient_funds" },
            Decline { theirs: "APPROVAL_REJECTED", ours: "customer_cancelled" },
            Decline { theirs: "EXPIRED", ours: "expired" },
            Decline { theirs: "PAYER_LIMIT_REACHED", ours: "limit_exceeded" },
            Decline { theirs: "PAYER_NOT_FOUND", ours: "payer_not_found" },
        ]
    }

    /// A request that has failed is over.
    fn may_pay_after_decline(&self) -> bool {
        false
    }

    fn customer_is_declined(&self, reference: &str, how: Decline) {
        self.change(reference, |request| {
            request["status"] = "FAILED".into();
            request["reason"] = json!({"code": how.theirs, "message": "as the code says"});
        });
    }

    fn confuses(&self, reference: &str, with: &str) {
        self.change(reference, |request| request["externalId"] = with.into());
    }

    fn refunds_work(&self, they_do: bool) {
        self.books.lock().refunds_fail = !they_do;
    }

    fn works_off_refunds(&self) {
        let mut pages = self.books.lock();
        let Pages { refunds, refunds_fail, failing, .. } = &mut *pages;
        for refund in refunds.values_mut() {
            if refund["status"] == "PENDING" {
                // The adapter notes there which attempt it is about.
                let attempt = refund["payeeNote"].as_str().unwrap_or_default();
                let fail = *refunds_fail || failing.remove(attempt);
                refund["status"] = if fail { "FAILED" } else { "SUCCESSFUL" }.into();
            }
        }
    }

    fn fails_a_refund_of(&self, reference: &str) {
        self.books.lock().failing.insert(reference.to_owned());
    }

    fn account(&self, reference: &str) -> Account {
        let pages = self.books.lock();
        let mut all = pages.requests.iter();
        let paid = all.find(|(_, request)| request["externalId"] == reference);
        let Some((name, paid)) = paid.filter(|(_, paid)| paid["status"] == "SUCCESSFUL") else {
            return Account::default();
        };
        let code = paid["currency"].as_str().unwrap_or_default();
        let (currency, name) = (code.parse().expect("a currency"), name.to_string());
        let of = |status: &str| -> i64 {
            let refunds = pages.refunds.values();
            let of_attempt = refunds.filter(|refund| refund["referenceIdToRefund"] == name);
            of_attempt
                .filter(|refund| refund["status"] == status)
                .map(cents)
                .sum()
        };
        Account {
            came_in: vec![Money { minor: cents(paid), currency }],
            gone_minor: of("SUCCESSFUL"),
            going_minor: of("PENDING"),
        }
    }

    fn refunds_called(&self, refund_id: &str) -> usize {
        let pages = self.books.lock();
        let refunds = pages.refunds.values();
        refunds
            .filter(|refund| refund["externalId"] == refund_id)
            .count()
    }

    fn forgets(&self, reference: &str) {
        let mut pages = self.books.lock();
        pages
            .requests
            .retain(|_, request| request["externalId"] != reference);
    }

    fn webhook(&self, reference: &str) -> Sent {
        let pages = self.books.lock();
        let mut requests = pages.requests.values();
        let request = requests.find(|request| request["externalId"] == reference);
        let body = request
            .expect("there is such a request")
            .to_string()
            .into_bytes();
        Sent { headers: HeaderMap::new(), body }
    }

    fn refund_webhooks(&self, reference: &str) -> Vec<Sent> {
        let pages = self.books.lock();
        let refunds = pages.refunds.values();
        let of_attempt = refunds.filter(|refund| refund["payeeNote"] == reference);
        of_attempt
            .map(|refund| Sent { headers: HeaderMap::new(), body: refund.to_string().into_bytes() })
            .collect()
    }

    fn forged_webhook(&self, _reference: &str) -> Option<Sent> {
        None
    }
}
