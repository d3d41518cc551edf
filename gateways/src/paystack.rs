//! Paystack: a page of Paystack's for cards, bank transfers and mobile money in Africa.
//!
//! 1. A reference is used once for ever, also after a decline. If the answer to our request is lost,
//!    so is the page's address, and nobody can pay: that attempt is over, and another may begin.
//! 2. Refunds have no name of ours but a note. So before one is asked for, those that exist are
//!    looked through for the note.
//!
//! Sources: the vendor's `PaystackOSS/openapi`, paystack.com/docs (payments: refunds, webhooks;
//! disputes); constants with less certain sources say so.

mod disputes;
mod listing;

use std::sync::Arc;

use domain::attempt::{NextStep, Outcome};
use domain::money::{Currency, Money};
use domain::payment::Chargeback;
use domain::placing::PaymentMethod;
use futures::future::FutureExt as _;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::amount;
use crate::capabilities::{Capabilities, Codes, Methods, Unit};
use crate::gateway::{CallError, Calling, Charge, Found, Gateway, Payback, PaybackOutcome};
use crate::http::{Http, Reply};
use crate::listing::{Page as Listed, Span};
use crate::reason::Reason;
use crate::registry::{Provider, takes_no_token};
use crate::secret::Secret;
use crate::settings::{BadSetting, Environment, back_to};
use crate::signature::{from_hex, is_hmac_sha512, must};
use crate::webhook::{About, BadSignature, Delivery, Notice, Unreadable};

/// Its name.
pub const NAME: &str = "paystack";

pub(crate) const PROVIDER: Provider =
    Provider { name: NAME, capabilities: &CAPABILITIES, accepts_token, switched_on };

const CAPABILITIES: Capabilities = Capabilities {
    currencies: Codes::Only(&["NGN", "GHS", "ZAR", "USD", "KES", "XOF"]),
    methods: Methods::Only(&[
        PaymentMethod::CreditCard,
        PaymentMethod::DebitCard,
        PaymentMethod::BankTransfer,
        PaymentMethod::MobileMoney,
    ]),
    countries: Codes::All,
    partial_refunds: true,
    unit: Unit::Minor,
    needs_payer: true,
    signs_webhooks: true,
};

/// Amounts are a hundred times the currency's unit, also where it has no smaller one (that part is
/// general knowledge, unconfirmed).
const DECIMALS: u32 = 2;

/// What staff are told of a refund that Paystack cannot pay out by itself.
const NEEDS_DETAILS: &str = "Paystack needs details of the customer's account for a refund";

/// Paystack.
pub struct Paystack {
    http: Http,
    base: Url,
    return_url: Url,
    secret_key: Secret,
}

/// Paystack, if it has a key.
fn switched_on(environment: &Environment) -> Result<Option<Arc<dyn Gateway>>, BadSetting> {
    let Some([secret_key]) = environment.credentials(["PAYSTACK_SECRET_KEY"], &[])? else {
        return Ok(None);
    };
    Ok(Some(Arc::new(Paystack {
        http: Http::new(NAME, environment.timeout()?, &[&secret_key]),
        base: environment.address_or("PAYSTACK_BASE_URL", "https://api.paystack.co")?,
        return_url: environment.return_url()?,
        secret_key,
    })))
}

/// Every answer.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
    code: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    authorization_url: String,
    access_code: String,
}

#[derive(Deserialize)]
struct Transaction {
    id: u64,
    status: TransactionStatus,
    reference: String,
    amount: i64,
    currency: Currency,
    gateway_response: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TransactionStatus {
    Abandoned,
    Failed,
    Ongoing,
    Pending,
    Processing,
    Queued,
    Reversed,
    Success,
    /// A status that did not exist when this was written.
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct Refund {
    id: u64,
    status: RefundStatus,
    merchant_note: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RefundStatus {
    Pending,
    Processing,
    Processed,
    Failed,
    /// Paystack waits for details of the customer's account.
    NeedsAttention,
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct Event {
    event: String,
    data: Value,
}

impl Paystack {
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
        let units = amount::to_units(charge.amount, DECIMALS);
        let (Some(units), Some(payer)) = (units, &charge.payer) else {
            return Ok(Reason::NotSupported.declines());
        };
        let metadata = json!({"payment_id": charge.payment_id.to_string()});
        let body = json!({
            "email": payer.customer.email,
            "amount": units,
            "currency": charge.amount.currency.code(),
            "reference": charge.reference,
            "callback_url": back_to(&self.return_url, charge.order_id).as_str(),
            "metadata": metadata.to_string(),
        });
        let request = self.post("/transaction/initialize", &body);
        let reply = self.http.send("initialize", request).await?;
        if reply.status.is_success() {
            let Page { authorization_url: url, access_code } = reply.json::<Envelope<Page>>()?.data;
            let next_step = Some(NextStep::Redirect { url });
            return Ok(Outcome::Accepted { provider_reference: access_code, next_step });
        }
        let refusal: Refusal = reply.json()?;
        if refusal.is_duplicate() {
            return match self.ask(charge).await? {
                Found::Said(outcome) => Ok(outcome),
                Found::NeverHeard => Err(reply.unexpected()),
            };
        }
        Ok(Reason::NotSupported.declines())
    }

    async fn ask(&self, charge: &Charge) -> Result<Found<Outcome>, CallError> {
        let request = self.get(&format!("/transaction/verify/{}", charge.reference));
        let reply = self.http.send("verify", request).await?;
        match reply.status {
            status if status.is_success() => {
                let transaction = reply.json::<Envelope<Transaction>>()?.data;
                transaction.outcome(charge, &reply).map(Found::Said)
            }
            StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => {
                if reply.json::<Refusal>()?.is_not_found() {
                    Ok(Found::NeverHeard)
                } else {
                    Err(reply.unexpected())
                }
            }
            _ => Err(reply.unexpected()),
        }
    }

    async fn give_back(&self, payback: &Payback) -> Result<PaybackOutcome, CallError> {
        if let Found::Said(outcome) = self.ask_about_refund(payback).await? {
            return Ok(outcome);
        }
        let Some(units) = amount::to_units(payback.amount, DECIMALS) else {
            let reason = "Paystack cannot pay out this amount exactly".to_owned();
            return Ok(PaybackOutcome::Failed { reason });
        };
        let body = json!({
            "transaction": payback.charge.reference,
            "amount": units,
            "currency": payback.amount.currency.code(),
            "merchant_note": payback.refund_id.to_string(),
        });
        let reply = self
            .http
            .send("refund", self.post("/refund", &body))
            .await?;
        if reply.status.is_success() {
            return Ok(reply.json::<Envelope<Refund>>()?.data.outcome());
        }
        Ok(PaybackOutcome::Failed { reason: reply.json::<Refusal>()?.message })
    }

    async fn ask_about_refund(
        &self,
        payback: &Payback,
    ) -> Result<Found<PaybackOutcome>, CallError> {
        if let Some(name) = &payback.provider_reference {
            let request = self.get(&format!("/refund/{name}"));
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
            .clone()
            .unwrap_or_default();
        let request = self
            .get("/refund")
            .query(&[("transaction", transaction.as_str()), ("perPage", "100")]);
        let reply = self
            .http
            .send("refund_status", request)
            .await?
            .successful()?;
        let note = payback.refund_id.to_string();
        let refunds = reply.json::<Envelope<Vec<Refund>>>()?.data;
        let ours = refunds
            .into_iter()
            .find(|refund| refund.merchant_note.as_ref() == Some(&note));
        Ok(ours.map_or(Found::NeverHeard, |refund| Found::Said(refund.outcome())))
    }
}

impl Refusal {
    fn is_duplicate(&self) -> bool {
        let message = self.message.to_lowercase();
        self.code.as_deref() == Some("duplicate_reference") || message.contains("duplicate")
    }

    fn is_not_found(&self) -> bool {
        let message = self.message.to_lowercase();
        self.code.as_deref() == Some("transaction_not_found") || message.contains("not found")
    }
}

impl Transaction {
    fn outcome(self, charge: &Charge, reply: &Reply) -> Result<Outcome, CallError> {
        use TransactionStatus as S;
        let received = amount::from_units(self.amount, DECIMALS, self.currency);
        let received: Money = received.ok_or_else(|| reply.unexpected())?;
        let provider_reference = self.id.to_string();
        if self.reference != charge.reference {
            let named = self.reference;
            return Ok(Outcome::Misnamed { named, received, provider_reference });
        }
        // Without the page's address, which only the first answer has, nobody can pay.
        let nobody_can_pay = charge.provider_reference.is_none();
        match self.status {
            S::Success => Ok(Outcome::Captured { received, provider_reference, assessment: None }),
            S::Failed => Ok(Reason::of_words(self.gateway_response.as_deref()).declines()),
            S::Reversed => Ok(Reason::Reversed.declines()),
            S::Abandoned if nobody_can_pay => Ok(Reason::ProviderError.declines()),
            S::Abandoned if charge.is_abandoned() => Ok(Reason::Expired.declines()),
            S::Abandoned | S::Ongoing | S::Pending | S::Processing | S::Queued => {
                Ok(Outcome::Accepted { provider_reference, next_step: None })
            }
            S::Unknown => Err(reply.unexpected()),
        }
    }
}

impl Refund {
    fn outcome(&self) -> PaybackOutcome {
        use RefundStatus as S;
        let provider_reference = self.id.to_string();
        match self.status {
            S::Processed => PaybackOutcome::Settled { provider_reference },
            S::Failed => PaybackOutcome::Failed { reason: "failed at Paystack".to_owned() },
            S::NeedsAttention => {
                PaybackOutcome::NeedsStaff { provider_reference, what: NEEDS_DETAILS.to_owned() }
            }
            S::Pending | S::Processing | S::Unknown => {
                PaybackOutcome::Pending { provider_reference: Some(provider_reference) }
            }
        }
    }
}

fn notice(event: &Event) -> Option<Notice> {
    let Event { event: kind, data } = event;
    let text = |pointer: &str| Some(data.pointer(pointer)?.as_str()?.to_owned());
    let about = match kind.as_str() {
        // Whoever asks is told so too, and then calls staff.
        "refund.needs-attention" => match text("/transaction_reference") {
            Some(reference) => About::RefundsOf { reference },
            None => About::Staff { reference: None, what: NEEDS_DETAILS.to_owned() },
        },
        kind if kind.starts_with("charge.dispute.") => About::Dispute(disputes::about(kind, data)),
        kind if kind.starts_with("charge.") => {
            About::Attempt { reference: text("/reference")?, provider_reference: None }
        }
        kind if kind.starts_with("refund.") => {
            About::RefundsOf { reference: text("/transaction_reference")? }
        }
        _ => About::Nothing,
    };
    let id = data.get("id").map(Value::to_string);
    let id = id
        .or_else(|| text("/refund_reference"))
        .or_else(|| text("/reference"))?;
    // The same transaction may be spoken of again once it stands otherwise.
    let status = text("/status").unwrap_or_default();
    Some(Notice { key: format!("{kind} {id} {status}"), about })
}

fn accepts_token(token: Option<&str>) -> Result<(), String> {
    takes_no_token("Paystack", token)
}

impl Gateway for Paystack {
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

    fn refund<'a>(&'a self, payback: &'a Payback) -> Calling<'a, PaybackOutcome> {
        self.give_back(payback).boxed()
    }

    fn refund_status<'a>(&'a self, payback: &'a Payback) -> Calling<'a, Found<PaybackOutcome>> {
        self.ask_about_refund(payback).boxed()
    }

    fn chargeback<'a>(
        &'a self,
        charge: &'a Charge,
        dispute: &'a str,
    ) -> Option<Calling<'a, Found<Option<Chargeback>>>> {
        Some(self.ask_about_dispute(charge, dispute).boxed())
    }

    fn list<'a>(&'a self, span: &'a Span, cursor: Option<&'a str>) -> Option<Calling<'a, Listed>> {
        Some(self.page(span, cursor).boxed())
    }

    fn verify_webhook_signature(&self, delivery: &Delivery<'_>) -> Result<(), BadSignature> {
        let signature = from_hex(delivery.header("x-paystack-signature")?)?;
        let key = self.secret_key.reveal().as_bytes();
        must(is_hmac_sha512(key, delivery.body, &signature))
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

    // Neither Paystack's documentation nor its libraries have an example with a key and a result;
    // the digest itself is checked against RFC 4231. python3: hmac.new(key, body, "sha512")
    const BODY: &[u8] = br#"{"event":"charge.success","data":{"id":302961,"reference":"A1"}}"#;
    const SIGNATURE: &str = "6ec5b419bb03824a53dc80dabb9dfb403192a7f7efb339cea98e9ca705f3d3ac\
        843cca8fdfdb46703e648b2c8a0dcdd28df83815ec816a345b11d92052b22466";

    fn checked(headers: &[&[u8]], body: &[u8]) -> Result<(), BadSignature> {
        let environment = Environment::of([
            ("PAYSTACK_SECRET_KEY", "sk_test_1"),
            ("DAYBOOK_RETURN_URL", "https://shop.example"),
        ]);
        let paystack = switched_on(&environment).unwrap().expect("it has a key");
        let mut map = HeaderMap::new();
        for value in headers {
            let value = reqwest::header::HeaderValue::from_bytes(value).unwrap();
            map.append("x-paystack-signature", value);
        }
        let received_at = chrono::Utc::now();
        paystack.verify_webhook_signature(&Delivery { headers: &map, body, received_at })
    }

    #[test]
    fn a_signature_belongs_to_its_body_and_to_the_key() {
        let genuine = SIGNATURE.as_bytes();
        let upper = SIGNATURE.to_uppercase();
        let (short, long) = (&genuine[..126], [genuine, b"00"].concat());
        assert_eq!(checked(&[genuine], BODY), Ok(()));
        assert_eq!(checked(&[upper.as_bytes()], BODY), Ok(()));
        let missing = BadSignature::Missing { header: "x-paystack-signature" };
        assert_eq!(checked(&[], BODY), Err(missing));
        for (headers, body, bad) in [
            (&[genuine] as &[&[u8]], b"{}".as_slice(), BadSignature::Wrong),
            (&[genuine], &[BODY, b"\n"].concat(), BadSignature::Wrong),
            (&[short], BODY, BadSignature::Wrong),
            (&[&long], BODY, BadSignature::Wrong),
            (&[b""], BODY, BadSignature::Wrong),
            (&[&genuine[..127]], BODY, BadSignature::Malformed),
            (&[b"not hexadecimal"], BODY, BadSignature::Malformed),
            (&[b"\xff\xfe"], BODY, BadSignature::Malformed),
            // Whoever sends two cannot choose which one is looked at.
            (&[b"00", genuine], BODY, BadSignature::Malformed),
            (&[genuine, genuine], BODY, BadSignature::Malformed),
        ] {
            assert_eq!(checked(headers, body), Err(bad), "{headers:?}");
        }
    }

    fn about(event: &str) -> Option<About> {
        notice(&serde_json::from_str(event).unwrap()).map(|notice| notice.about)
    }

    #[test]
    fn what_is_said_in_another_state_is_no_repetition() {
        let key = |status: &str| {
            let data = format!(r#"{{"id":7,"reference":"A1","status":"{status}"}}"#);
            let event = format!(r#"{{"event":"charge.success","data":{data}}}"#);
            notice(&serde_json::from_str(&event).unwrap()).unwrap().key
        };
        assert_eq!(key("success"), key("success"));
        assert_ne!(key("success"), key("failed"));
    }

    #[test]
    fn each_event_says_what_to_ask_about() {
        let reference = || "A1".to_owned();
        assert_eq!(
            about(r#"{"event":"charge.success","data":{"id":7,"reference":"A1"}}"#),
            Some(About::Attempt { reference: reference(), provider_reference: None })
        );
        for kind in [
            "refund.pending",
            "refund.processing",
            "refund.processed",
            "refund.failed",
            "refund.needs-attention",
        ] {
            let event =
                format!(r#"{{"event":"{kind}","data":{{"id":"7","transaction_reference":"A1"}}}}"#);
            assert_eq!(about(&event), Some(About::RefundsOf { reference: reference() }), "{kind}");
        }
        let details = r#"{"event":"refund.needs-attention","data":{"id":7}}"#;
        assert!(matches!(about(details), Some(About::Staff { reference: None, .. })));
        let transfer = r#"{"event":"transfer.success","data":{"id":7}}"#;
        assert_eq!(about(transfer), Some(About::Nothing));
        assert_eq!(about(r#"{"event":"charge.success","data":{}}"#), None);
    }
}
