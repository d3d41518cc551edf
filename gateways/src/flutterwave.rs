//! Flutterwave (v3): a page of Flutterwave's for cards, bank transfers and mobile money in Africa.
//!
//! 1. Webhooks carry the secret hash itself, not a digest: whoever has seen one can write another.
//!    So they are worth no more than a reason to ask.
//! 2. A refund that is `completed` has been initiated; it is paid out when its status says how.
//! 3. Refunds have no name of ours but a comment. So before one is asked for, those that exist are
//!    looked through for the comment.
//!
//! Sources: developer.flutterwave.com/v3.0.0 (payments, transactions, refunds, webhooks), the
//! vendor's `Node-v3`. Asking by reference, and asking for a transaction's refunds, are general
//! knowledge, unconfirmed.

mod listing;

use std::sync::Arc;

use domain::attempt::{NextStep, Outcome};
use domain::money::{Currency, Money};
use domain::placing::PaymentMethod;
use futures::future::FutureExt as _;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use url::Url;

use crate::amount;
use crate::capabilities::{Capabilities, Codes, Methods, Unit};
use crate::gateway::{CallError, Calling, Charge, Found, Gateway, Payback, PaybackOutcome};
use crate::http::{Http, Reply};
use crate::listing::{Page, Span};
use crate::reason::Reason;
use crate::registry::{Provider, takes_no_token};
use crate::secret::Secret;
use crate::settings::{BadSetting, Environment, back_to};
use crate::signature::{is_same, must};
use crate::webhook::{About, BadSignature, Delivery, Notice, Unreadable};

/// Its name.
pub const NAME: &str = "flutterwave";

pub(crate) const PROVIDER: Provider =
    Provider { name: NAME, capabilities: &CAPABILITIES, accepts_token, switched_on };

const CAPABILITIES: Capabilities = Capabilities {
    currencies: Codes::Only(&[
        "NGN", "USD", "GBP", "EUR", "KES", "GHS", "UGX", "TZS", "RWF", "XAF", "XOF", "ZAR", "ZMW",
    ]),
    methods: Methods::Only(&[
        PaymentMethod::CreditCard,
        PaymentMethod::DebitCard,
        PaymentMethod::BankTransfer,
        PaymentMethod::MobileMoney,
    ]),
    countries: Codes::All,
    partial_refunds: true,
    unit: Unit::Major,
    needs_payer: true,
    signs_webhooks: true,
};

/// Flutterwave.
pub struct Flutterwave {
    http: Http,
    base: Url,
    return_url: Url,
    secret_key: Secret,
    secret_hash: Option<Secret>,
}

/// Flutterwave, if it has a key.
fn switched_on(environment: &Environment) -> Result<Option<Arc<dyn Gateway>>, BadSetting> {
    let secret_hash = "FLUTTERWAVE_SECRET_HASH";
    let all = environment.credentials(["FLUTTERWAVE_SECRET_KEY"], &[secret_hash])?;
    let Some([secret_key]) = all else {
        return Ok(None);
    };
    let secret_hash = environment.secret(secret_hash);
    let mut secrets = vec![&secret_key];
    secrets.extend(&secret_hash);
    Ok(Some(Arc::new(Flutterwave {
        http: Http::new(NAME, environment.timeout()?, &secrets),
        base: environment.address_or("FLUTTERWAVE_BASE_URL", "https://api.flutterwave.com")?,
        return_url: environment.return_url()?,
        secret_key: secret_key.clone(),
        secret_hash: secret_hash.clone(),
    })))
}

/// Every answer that is a success.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
struct Refusal {
    message: Option<String>,
}

#[derive(Deserialize)]
struct Link {
    link: String,
}

#[derive(Deserialize)]
struct Transaction {
    id: u64,
    tx_ref: String,
    /// A number in units of the currency; read as it is written, because floats round.
    amount: Box<RawValue>,
    currency: Currency,
    status: Status,
    processor_response: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Successful,
    Pending,
    Failed,
    /// A status that did not exist when this was written.
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct Refund {
    id: u64,
    status: String,
    comments: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    event: String,
    data: Value,
}

impl Flutterwave {
    fn get(&self, path: &str) -> RequestBuilder {
        self.http
            .request(Method::GET, &self.base, path, &self.secret_key)
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.http
            .request(Method::POST, &self.base, path, &self.secret_key)
            .json(body)
    }

    async fn open_page(&self, charge: &Charge) -> Result<Outcome, CallError> {
        let Some(payer) = &charge.payer else {
            return Ok(Reason::NotSupported.declines());
        };
        let body = json!({
            "tx_ref": charge.reference,
            "amount": charge.amount.decimal(),
            "currency": charge.amount.currency.code(),
            "redirect_url": back_to(&self.return_url, charge.order_id).as_str(),
            "customer": {
                "email": payer.customer.email,
                "name": payer.customer.name,
                "phonenumber": payer.customer.phone,
            },
            "meta": {"payment_id": charge.payment_id.to_string()},
        });
        let reply = self
            .http
            .send("initialize", self.post("/v3/payments", &body))
            .await?;
        if reply.status.is_success() {
            let url = reply.json::<Envelope<Link>>()?.data.link;
            // It has no other name for a page that nobody has paid on yet.
            let provider_reference = charge.reference.clone();
            let next_step = Some(NextStep::Redirect { url });
            return Ok(Outcome::Accepted { provider_reference, next_step });
        }
        let said = reply.json::<Refusal>()?.message.unwrap_or_default();
        if said.to_lowercase().contains("duplicate") {
            return Ok(match self.ask(charge).await? {
                Found::Said(outcome) => outcome,
                // The page's address was told once, and its answer was lost: nobody can pay there.
                Found::NeverHeard => Reason::ProviderError.declines(),
            });
        }
        Ok(Reason::NotSupported.declines())
    }

    async fn ask(&self, charge: &Charge) -> Result<Found<Outcome>, CallError> {
        let request = self
            .get("/v3/transactions/verify_by_reference")
            .query(&[("tx_ref", charge.reference.as_str())]);
        let reply = self.http.send("verify", request).await?;
        match reply.status {
            status if status.is_success() => {
                let transaction = reply.json::<Envelope<Transaction>>()?.data;
                transaction.outcome(charge, &reply).map(Found::Said)
            }
            // There is no transaction before somebody tries to pay.
            StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => {
                let said = reply.json::<Refusal>()?.message.unwrap_or_default();
                if said.to_lowercase().contains("no transaction") {
                    Ok(charge.not_attempted())
                } else {
                    Err(reply.unexpected())
                }
            }
            _ => Err(reply.unexpected()),
        }
    }

    async fn ask_about_one(&self, charge: &Charge, id: u64) -> Result<Found<Outcome>, CallError> {
        let request = self.get(&format!("/v3/transactions/{id}/verify"));
        let reply = self.http.send("verify", request).await?;
        match reply.status {
            status if status.is_success() => {
                let transaction = reply.json::<Envelope<Transaction>>()?.data;
                if transaction.id != id {
                    return Err(reply.unexpected());
                }
                transaction.outcome(charge, &reply).map(Found::Said)
            }
            StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => Ok(Found::NeverHeard),
            _ => Err(reply.unexpected()),
        }
    }

    async fn give_back(&self, payback: &Payback) -> Result<PaybackOutcome, CallError> {
        if let Found::Said(outcome) = self.ask_about_refund(payback).await? {
            return Ok(outcome);
        }
        let transaction = payback
            .charge
            .provider_reference
            .as_deref()
            .unwrap_or_default();
        let body = json!({
            "amount": payback.amount.decimal(),
            "comments": payback.refund_id.to_string(),
        });
        let request = self.post(&format!("/v3/transactions/{transaction}/refund"), &body);
        let reply = self.http.send("refund", request).await?;
        if reply.status.is_success() {
            return Ok(reply.json::<Envelope<Refund>>()?.data.outcome());
        }
        let said = reply.json::<Refusal>()?.message;
        let reason = said.unwrap_or_else(|| "Flutterwave said no more".to_owned());
        Ok(PaybackOutcome::Failed { reason })
    }

    async fn ask_about_refund(
        &self,
        payback: &Payback,
    ) -> Result<Found<PaybackOutcome>, CallError> {
        if let Some(name) = &payback.provider_reference {
            let request = self.get(&format!("/v3/refunds/{name}"));
            let reply = self
                .http
                .send("refund_status", request)
                .await?
                .successful()?;
            return Ok(Found::Said(reply.json::<Envelope<Refund>>()?.data.outcome()));
        }
        let transaction = payback
            .charge
            .provider_reference
            .as_deref()
            .unwrap_or_default();
        let request = self.get("/v3/refunds").query(&[("id", transaction)]);
        let reply = self
            .http
            .send("refund_status", request)
            .await?
            .successful()?;
        let comment = payback.refund_id.to_string();
        let refunds = reply.json::<Envelope<Vec<Refund>>>()?.data;
        let ours = refunds
            .into_iter()
            .find(|refund| refund.comments.as_ref() == Some(&comment));
        Ok(ours.map_or(Found::NeverHeard, |refund| Found::Said(refund.outcome())))
    }
}

impl Transaction {
    fn outcome(self, charge: &Charge, reply: &Reply) -> Result<Outcome, CallError> {
        let text = self.amount.get().trim_matches('"');
        let received = amount::from_decimal(text, self.currency);
        let received: Money = received.ok_or_else(|| reply.unexpected())?;
        let provider_reference = self.id.to_string();
        if self.tx_ref != charge.reference {
            return Ok(Outcome::Misnamed { named: self.tx_ref, received, provider_reference });
        }
        match self.status {
            Status::Successful => {
                Ok(Outcome::Captured { received, provider_reference, assessment: None })
            }
            Status::Pending => Ok(Outcome::Accepted { provider_reference, next_step: None }),
            Status::Failed => Ok(Reason::of_words(self.processor_response.as_deref()).declines()),
            Status::Unknown => Err(reply.unexpected()),
        }
    }
}

impl Refund {
    /// See invariant 2.
    fn outcome(&self) -> PaybackOutcome {
        let provider_reference = self.id.to_string();
        match self.status.as_str() {
            status if status.starts_with("completed-") => {
                PaybackOutcome::Settled { provider_reference }
            }
            status if status.starts_with("failed") => {
                PaybackOutcome::Failed { reason: "failed at Flutterwave".to_owned() }
            }
            _ => PaybackOutcome::Pending { provider_reference: Some(provider_reference) },
        }
    }
}

fn accepts_token(token: Option<&str>) -> Result<(), String> {
    takes_no_token("Flutterwave", token)
}

fn notice(event: &Event) -> Option<Notice> {
    let Event { event: kind, data } = event;
    let text = |name: &str| Some(data.get(name)?.as_str()?.to_owned());
    let about = match kind.as_str() {
        kind if kind.starts_with("charge.") => {
            // Whoever comes back to the page may pay a second time under the same name.
            let provider_reference = data.get("id").map(Value::to_string);
            About::Attempt { reference: text("tx_ref")?, provider_reference }
        }
        kind if kind.starts_with("refund.") => match text("tx_ref") {
            Some(reference) => About::RefundsOf { reference },
            None => About::Nothing,
        },
        kind if kind.contains("dispute") || kind.contains("chargeback") => {
            About::Staff { reference: text("tx_ref"), what: kind.to_owned() }
        }
        _ => About::Nothing,
    };
    let id = data.get("id").map(Value::to_string)?;
    let status = text("status").unwrap_or_default();
    Some(Notice { key: format!("{kind} {id} {status}"), about })
}

impl Gateway for Flutterwave {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CAPABILITIES
    }

    fn initialize<'a>(&'a self, charge: &'a Charge) -> Calling<'a, Outcome> {
        self.open_page(charge).boxed()
    }

    fn verify<'a>(&'a self, charge: &'a Charge) -> Calling<'a, Found<Outcome>> {
        self.ask(charge).boxed()
    }

    fn verify_one<'a>(
        &'a self,
        charge: &'a Charge,
        name: &'a str,
    ) -> Option<Calling<'a, Found<Outcome>>> {
        let id = name.parse().ok()?;
        Some(self.ask_about_one(charge, id).boxed())
    }

    fn refund<'a>(&'a self, payback: &'a Payback) -> Calling<'a, PaybackOutcome> {
        self.give_back(payback).boxed()
    }

    fn refund_status<'a>(&'a self, payback: &'a Payback) -> Calling<'a, Found<PaybackOutcome>> {
        self.ask_about_refund(payback).boxed()
    }

    fn list<'a>(&'a self, span: &'a Span, cursor: Option<&'a str>) -> Option<Calling<'a, Page>> {
        Some(self.page(span, cursor).boxed())
    }

    fn verify_webhook_signature(&self, delivery: &Delivery<'_>) -> Result<(), BadSignature> {
        let setting = "FLUTTERWAVE_SECRET_HASH";
        let hash = self.secret_hash.as_ref();
        let hash = hash.ok_or(BadSignature::NotConfigured { setting })?;
        let shown = delivery.header("verif-hash")?;
        must(is_same(shown.as_bytes(), hash.reveal().as_bytes()))
    }

    fn parse_webhook_event(&self, delivery: &Delivery<'_>) -> Result<Notice, Unreadable> {
        let event: Event = delivery.json()?;
        notice(&event).ok_or_else(|| Unreadable(format!("{} names nothing", event.event)))
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::*;

    /// There is nothing to compute: v3 sends the hash itself, so no vendor has an example.
    #[test]
    fn the_hash_is_shown_once_and_whole() {
        let with = |hash: &str| {
            let environment = Environment::of([
                ("FLUTTERWAVE_SECRET_KEY", "FLWSECK_TEST-1"),
                ("FLUTTERWAVE_SECRET_HASH", hash),
                ("DAYBOOK_RETURN_URL", "https://shop.example"),
            ]);
            switched_on(&environment).unwrap().expect("it has a key")
        };
        let checked = |hash: &str, shown: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in shown {
                let value = reqwest::header::HeaderValue::from_bytes(value).unwrap();
                headers.append("verif-hash", value);
            }
            let (body, received_at) = (b"{}".as_slice(), chrono::Utc::now());
            let delivery = Delivery { headers: &headers, body, received_at };
            with(hash).verify_webhook_signature(&delivery)
        };
        assert_eq!(checked("our-hash", &[b"our-hash"]), Ok(()));
        let setting = "FLUTTERWAVE_SECRET_HASH";
        // No hash is not the empty hash.
        assert_eq!(checked("", &[b""]), Err(BadSignature::NotConfigured { setting }));
        let missing = BadSignature::Missing { header: "verif-hash" };
        assert_eq!(checked("our-hash", &[]), Err(missing));
        for shown in [b"".as_slice(), b"our-has", b"our-hash1", b"OUR-HASH"] {
            assert_eq!(checked("our-hash", &[shown]), Err(BadSignature::Wrong), "{shown:?}");
        }
        assert_eq!(checked("our-hash", &[b"\xff"]), Err(BadSignature::Malformed));
        let twice: &[&[u8]] = &[b"our-hash", b"guess"];
        assert_eq!(checked("our-hash", twice), Err(BadSignature::Malformed));
    }

    fn about(event: &str) -> Option<About> {
        notice(&serde_json::from_str(event).unwrap()).map(|notice| notice.about)
    }

    #[test]
    fn each_event_says_what_to_ask_about() {
        let reference = || "A1".to_owned();
        let charge = r#"{"event":"charge.completed","data":{"id":7,"tx_ref":"A1","status":"x"}}"#;
        let provider_reference = Some("7".to_owned());
        let attempt = About::Attempt { reference: reference(), provider_reference };
        assert_eq!(about(charge), Some(attempt));
        let refund = r#"{"event":"refund.completed","data":{"id":7,"tx_ref":"A1"}}"#;
        assert_eq!(about(refund), Some(About::RefundsOf { reference: reference() }));
        let nameless = r#"{"event":"refund.completed","data":{"id":7}}"#;
        assert_eq!(about(nameless), Some(About::Nothing));
        let dispute = r#"{"event":"charge-dispute.created","data":{"id":7,"tx_ref":"A1"}}"#;
        let what = "charge-dispute.created".to_owned();
        assert_eq!(about(dispute), Some(About::Staff { reference: Some(reference()), what }));
        let transfer = r#"{"event":"transfer.completed","data":{"id":7}}"#;
        assert_eq!(about(transfer), Some(About::Nothing));
        assert_eq!(about(r#"{"event":"charge.completed","data":{}}"#), None);
    }

    #[test]
    fn a_refund_that_has_been_initiated_is_not_paid_out() {
        let outcome =
            |status: &str| Refund { id: 7, status: status.to_owned(), comments: None }.outcome();
        let pending = PaybackOutcome::Pending { provider_reference: Some("7".to_owned()) };
        assert_eq!(outcome("completed"), pending);
        assert_eq!(outcome("pending-momo"), pending);
        let settled = PaybackOutcome::Settled { provider_reference: "7".to_owned() };
        assert_eq!(outcome("completed-bank-transfer"), settled);
        assert!(matches!(outcome("failed"), PaybackOutcome::Failed { .. }));
    }
}
