//! MTN Mobile Money: the customer is asked on the telephone, and agrees there.
//!
//! 1. What we ask for is named by a UUID of version 4, which follows from our reference, so that it
//!    need not be kept: the reference goes along as `externalId`.
//! 2. Callbacks are sent once, never again, and carry no signature: they are a hint.
//! 3. Collections and disbursements are two products with a subscription key and tokens each, and may
//!    have a user each; refunds belong to disbursements.
//!
//! Sources: momodeveloper.mtn.com (API documentation, frequent questions, best practices), the
//! vendor's error tables; the paths of refunds are those of several libraries that agree.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::attempt::{NextStep, Outcome};
use domain::money::{Currency, Money};
use domain::placing::PaymentMethod;
use futures::future::FutureExt as _;
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;
use uuid::{Builder, Uuid};

use crate::amount;
use crate::cadence::Cadence;
use crate::capabilities::{Capabilities, Codes, Methods, Unit};
use crate::gateway::{CallError, Calling, Charge, Found, Gateway, Payback, PaybackOutcome};
use crate::http::{Http, Reply};
use crate::reason::Reason;
use crate::registry::Provider;
use crate::secret::Secret;
use crate::settings::{BadSetting, Environment, PUBLIC_URL, under};
use crate::token::Token;
use crate::webhook::{About, BadSignature, Delivery, Notice, Unreadable};

/// Its name.
pub const NAME: &str = "mtn-momo";

pub(crate) const PROVIDER: Provider =
    Provider { name: NAME, capabilities: &CAPABILITIES, accepts_token, switched_on };

const CAPABILITIES: Capabilities = Capabilities {
    // Those of the countries that it serves; the sandbox takes euros only.
    currencies: Codes::Only(&[
        "EUR", "UGX", "GHS", "XOF", "XAF", "ZMW", "LRD", "SZL", "GNF", "ZAR", "RWF", "CDF",
    ]),
    methods: Methods::Only(&[PaymentMethod::MobileMoney]),
    countries: Codes::Only(&[
        "UG", "GH", "CI", "ZM", "CM", "BJ", "CG", "LR", "SZ", "GW", "GN", "ZA", "RW",
    ]),
    partial_refunds: true,
    unit: Unit::Major,
    needs_payer: true,
    signs_webhooks: false,
};

/// A token lives an hour; it is renewed before it ends in the middle of a call.
const TOKEN_RENEWED_BEFORE: Duration = Duration::from_mins(10);
/// How often MTN wants to be asked, in a second (its best practices).
const QUESTIONS_PER_SECOND: u32 = 10;
/// Digits of a telephone number with its country (E.164).
const MSISDN_DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// MTN Mobile Money.
pub struct MtnMomo {
    http: Http,
    base: Url,
    callback_url: Option<Url>,
    target: String,
    collection: Product,
    disbursement: Option<Product>,
    questions: Cadence,
}

/// One product of theirs, with its own subscription and its own tokens.
struct Product {
    path: &'static str,
    user: User,
    subscription: Secret,
    token: Token,
}

/// Whom a product's tokens are given to.
#[derive(Clone)]
struct User {
    name: Secret,
    key: Secret,
}

impl User {
    /// As the header has both.
    fn basic(&self) -> Secret {
        Secret::new(STANDARD.encode(format!("{}:{}", self.name.reveal(), self.key.reveal())))
    }
}

impl Product {
    fn new(path: &'static str, user: User, subscription: Secret) -> Self {
        let token = Token::renewed_before(TOKEN_RENEWED_BEFORE);
        Self { path, user, subscription, token }
    }
}

/// MTN Mobile Money, if it has a user.
fn switched_on(environment: &Environment) -> Result<Option<Arc<dyn Gateway>>, BadSetting> {
    let needed = [
        "MTN_MOMO_API_USER",
        "MTN_MOMO_API_KEY",
        "MTN_MOMO_COLLECTION_KEY",
    ];
    let subscription = "MTN_MOMO_DISBURSEMENT_KEY";
    let own = [
        "MTN_MOMO_DISBURSEMENT_API_USER",
        "MTN_MOMO_DISBURSEMENT_API_KEY",
        subscription,
    ];
    let Some([name, key, collection]) = environment.credentials(needed, &own)? else {
        return Ok(None);
    };
    let user = User { name, key };
    let disbursement = environment.secret(subscription);
    let pays_out = disbursing(environment, own)?.unwrap_or_else(|| user.clone());
    let (basic, pays_out_basic) = (user.basic(), pays_out.basic());
    let mut secrets = vec![&user.name, &user.key, &collection, &basic];
    secrets.extend([&pays_out.name, &pays_out.key, &pays_out_basic]);
    secrets.extend(&disbursement);
    let sandbox = "https://sandbox.momodeveloper.mtn.com";
    let has_public_url = environment.text(PUBLIC_URL).is_some();
    Ok(Some(Arc::new(MtnMomo {
        http: Http::new(NAME, environment.timeout()?, &secrets),
        base: environment.address_or("MTN_MOMO_BASE_URL", sandbox)?,
        callback_url: has_public_url
            .then(|| environment.webhook_url(NAME))
            .transpose()?,
        target: environment
            .text("MTN_MOMO_TARGET_ENVIRONMENT")
            .unwrap_or("sandbox")
            .to_owned(),
        collection: Product::new("/collection", user.clone(), collection.clone()),
        disbursement: disbursement
            .clone()
            .map(|subscription| Product::new("/disbursement", pays_out.clone(), subscription)),
        questions: Cadence::per_second(QUESTIONS_PER_SECOND),
    })))
}

/// Who pays out where that is another user than the one who collects, which MTN makes for each product
/// separately; nobody where one has both. One of the settings without the others is a mistake.
fn disbursing(
    environment: &Environment,
    settings: [&'static str; 3],
) -> Result<Option<User>, BadSetting> {
    let [user, key, _subscription] = settings;
    if environment.text(user).is_none() && environment.text(key).is_none() {
        return Ok(None);
    }
    let own = environment.credentials(settings, &[])?;
    Ok(own.map(|[name, key, _subscription]| User { name, key }))
}

/// Their name for something of ours.
fn their_name(ours: &str) -> Uuid {
    let digest = Sha256::digest(format!("{NAME} {ours}"));
    let mut bytes = [0; 16];
    bytes
        .iter_mut()
        .zip(digest)
        .for_each(|(byte, from)| *byte = from);
    Builder::from_random_bytes(bytes).into_uuid()
}

/// The digits of a telephone number with its country.
fn msisdn(text: &str) -> Option<String> {
    let is_filling = |c: char| " +-()./".contains(c);
    let digits: String = text.chars().filter(|c| !is_filling(*c)).collect();
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && MSISDN_DIGITS.contains(&digits.len())).then_some(digits)
}

fn accepts_token(token: Option<&str>) -> Result<(), String> {
    match token {
        Some(token) if msisdn(token).is_none() => {
            Err("MTN Mobile Money takes a telephone number with its country code".to_owned())
        }
        Some(_) | None => Ok(()),
    }
}

/// What became of a request to pay, or to pay back.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    amount: String,
    currency: Currency,
    external_id: Option<String>,
    financial_transaction_id: Option<Value>,
    status: Status,
    reason: Option<Why>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Pending,
    Successful,
    Failed,
    /// A status that did not exist when this was written.
    #[serde(other)]
    Unknown,
}

/// Either the code itself, or an object that has it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Why {
    Code(String),
    Object { code: Option<String>, message: Option<String> },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Callback {
    external_id: String,
    status: String,
}

impl MtnMomo {
    /// A token of a product, new or kept.
    async fn token(&self, product: &Product) -> Result<Secret, CallError> {
        let request = || {
            let url = under(&self.base, &format!("{}/token/", product.path));
            self.http
                .client()
                .post(url)
                .basic_auth(product.user.name.reveal(), Some(product.user.key.reveal()))
                .header("Ocp-Apim-Subscription-Key", product.subscription.reveal())
                .header("Content-Length", 0)
        };
        product.token.of(&self.http, request).await
    }

    async fn send(
        &self,
        call: &'static str,
        product: &Product,
        request: RequestBuilder,
    ) -> Result<Reply, CallError> {
        let token = self.token(product).await?;
        let request = request
            .bearer_auth(token.reveal())
            .header("X-Target-Environment", &self.target)
            .header("Ocp-Apim-Subscription-Key", product.subscription.reveal());
        let sent = self.http.send(call, request).await;
        if let Err(CallError::Unauthorised { .. }) = sent {
            product.token.is_spent(&token).await;
        }
        sent
    }

    async fn get(
        &self,
        call: &'static str,
        product: &Product,
        path: &str,
    ) -> Result<Reply, CallError> {
        let url = under(&self.base, &format!("{}{path}", product.path));
        self.questions.turn().await;
        self.send(call, product, self.http.client().get(url)).await
    }

    async fn post(
        &self,
        call: &'static str,
        product: &Product,
        path: &str,
        name: Uuid,
        body: &Value,
    ) -> Result<Reply, CallError> {
        let url = under(&self.base, &format!("{}{path}", product.path));
        let request = self.http.client().post(url);
        let mut request = request
            .header("X-Reference-Id", name.to_string())
            .json(body);
        if let Some(callback) = &self.callback_url {
            request = request.header("X-Callback-Url", callback.as_str());
        }
        self.send(call, product, request).await
    }

    async fn request_to_pay(&self, charge: &Charge) -> Result<Outcome, CallError> {
        let phone = charge
            .payer
            .as_ref()
            .and_then(|payer| payer.customer.phone.as_deref());
        let Some(payer) = charge.token.as_deref().or(phone).and_then(msisdn) else {
            return Ok(Reason::IncorrectDetails.declines());
        };
        let body = json!({
            "amount": charge.amount.decimal(),
            "currency": charge.amount.currency.code(),
            "externalId": charge.reference,
            "payer": {"partyIdType": "MSISDN", "partyId": payer},
            // 160 characters at most, and no apostrophes.
            "payerMessage": format!("Order {}", charge.order_id),
            "payeeNote": charge.reference,
        });
        let name = their_name(&charge.reference);
        let product = &self.collection;
        let reply = self
            .post("initialize", product, "/v1_0/requesttopay", name, &body)
            .await?;
        match reply.status {
            // The second is an earlier request of the same name: it was taken on then.
            StatusCode::ACCEPTED | StatusCode::CONFLICT => Ok(taken_on(name)),
            StatusCode::BAD_REQUEST => Ok(reason(reply.json().ok().as_ref()).declines()),
            _ => Err(reply.unexpected()),
        }
    }

    async fn ask(&self, charge: &Charge) -> Result<Found<Outcome>, CallError> {
        let name = their_name(&charge.reference);
        let path = format!("/v1_0/requesttopay/{name}");
        let reply = self.get("verify", &self.collection, &path).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(Found::NeverHeard);
        }
        let reply = reply.successful()?;
        let request: Request = reply.json()?;
        let received = amount::from_decimal(&request.amount, request.currency);
        let received: Money = received.ok_or_else(|| reply.unexpected())?;
        let named = request.external_id.clone().unwrap_or_default();
        if named != charge.reference {
            let provider_reference = name.to_string();
            return Ok(Found::Said(Outcome::Misnamed { named, received, provider_reference }));
        }
        Ok(Found::Said(match request.status {
            Status::Successful => {
                let provider_reference = name.to_string();
                Outcome::Captured { received, provider_reference, assessment: None }
            }
            Status::Failed => reason(request.reason.as_ref()).declines(),
            Status::Pending => taken_on(name),
            Status::Unknown => return Err(reply.unexpected()),
        }))
    }

    async fn give_back(&self, payback: &Payback) -> Result<PaybackOutcome, CallError> {
        let Some(product) = &self.disbursement else {
            let reason = "MTN_MOMO_DISBURSEMENT_KEY is not set, which refunds need".to_owned();
            return Ok(PaybackOutcome::Failed { reason });
        };
        let name = their_name(&payback.refund_id.to_string());
        let body = json!({
            "amount": payback.amount.decimal(),
            "currency": payback.amount.currency.code(),
            "externalId": payback.refund_id.to_string(),
            "payerMessage": format!("Refund of order {}", payback.charge.order_id),
            "payeeNote": payback.charge.reference,
            "referenceIdToRefund": their_name(&payback.charge.reference).to_string(),
        });
        let reply = self
            .post("refund", product, "/v1_0/refund", name, &body)
            .await?;
        match reply.status {
            StatusCode::ACCEPTED | StatusCode::CONFLICT => {
                Ok(PaybackOutcome::Pending { provider_reference: Some(name.to_string()) })
            }
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => {
                let reason = reason(reply.json().ok().as_ref()).name().to_owned();
                Ok(PaybackOutcome::Failed { reason })
            }
            _ => Err(reply.unexpected()),
        }
    }

    async fn ask_about_refund(
        &self,
        payback: &Payback,
    ) -> Result<Found<PaybackOutcome>, CallError> {
        let Some(product) = &self.disbursement else {
            return Ok(Found::NeverHeard);
        };
        let name = their_name(&payback.refund_id.to_string());
        let path = format!("/v1_0/refund/{name}");
        let reply = self.get("refund_status", product, &path).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(Found::NeverHeard);
        }
        let reply = reply.successful()?;
        let request: Request = reply.json()?;
        let provider_reference = name.to_string();
        Ok(Found::Said(match request.status {
            Status::Successful => PaybackOutcome::Settled {
                provider_reference: request
                    .financial_transaction_id
                    .map_or(provider_reference, |id| id.to_string().trim_matches('"').to_owned()),
            },
            Status::Failed => {
                PaybackOutcome::Failed { reason: reason(request.reason.as_ref()).name().to_owned() }
            }
            Status::Pending | Status::Unknown => {
                PaybackOutcome::Pending { provider_reference: Some(provider_reference) }
            }
        }))
    }
}

fn taken_on(name: Uuid) -> Outcome {
    let next_step = Some(NextStep::ApproveOnPhone);
    Outcome::Accepted { provider_reference: name.to_string(), next_step }
}

/// The reasons that MTN documents.
const REASONS: [(&str, Reason); 20] = [
    ("NOT_ENOUGH_FUNDS", Reason::InsufficientFunds),
    // Generic, and most often for want of money, as MTN's community says.
    ("INTERNAL_PROCESSING_ERROR", Reason::ProviderError),
    ("SERVICE_UNAVAILABLE", Reason::ProviderError),
    ("COULD_NOT_PERFORM_TRANSACTION", Reason::ProviderError),
    ("APPROVAL_REJECTED", Reason::CustomerCancelled),
    ("PAYMENT_NOT_APPROVED", Reason::CustomerCancelled),
    ("TRANSACTION_CANCELED", Reason::CustomerCancelled),
    ("EXPIRED", Reason::Expired),
    ("PAYER_DELAYED", Reason::Expired),
    ("PAYEE_DELAYED", Reason::Expired),
    ("PAYER_NOT_FOUND", Reason::PayerNotFound),
    ("PAYEE_NOT_FOUND", Reason::PayerNotFound),
    ("RESOURCE_NOT_FOUND", Reason::PayerNotFound),
    ("PAYER_LIMIT_REACHED", Reason::LimitExceeded),
    ("NOT_ALLOWED", Reason::NotPermitted),
    ("PAYEE_NOT_ALLOWED_TO_RECEIVE", Reason::NotPermitted),
    ("NOT_ALLOWED_TARGET_ENVIRONMENT", Reason::NotPermitted),
    ("INVALID_CURRENCY", Reason::NotSupported),
    ("INVALID_CALLBACK_URL_HOST", Reason::NotSupported),
    // Goes with what is pending; where something has failed it explains nothing.
    ("ONGOING", Reason::Unspecified),
];

fn reason(why: Option<&Why>) -> Reason {
    let code = match why {
        Some(Why::Code(code) | Why::Object { code: Some(code), .. }) => code.as_str(),
        Some(Why::Object { message: Some(message), .. }) => message.as_str(),
        Some(Why::Object { code: None, message: None }) | None => "",
    };
    let known = REASONS.iter().find(|(theirs, _)| *theirs == code);
    known.map_or(Reason::Unspecified, |(_, ours)| *ours)
}

impl Gateway for MtnMomo {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CAPABILITIES
    }

    fn initialize<'a>(&'a self, charge: &'a Charge) -> Calling<'a, Outcome> {
        self.request_to_pay(charge).boxed()
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

    /// Nobody signs; see invariant 2.
    fn verify_webhook_signature(&self, _delivery: &Delivery<'_>) -> Result<(), BadSignature> {
        Ok(())
    }

    fn parse_webhook_event(&self, delivery: &Delivery<'_>) -> Result<Notice, Unreadable> {
        let Callback { external_id, status } = delivery.json()?;
        let key = format!("{external_id} {status}");
        // Refunds are named by a UUID, attempts by 26 letters and digits.
        let about = match external_id.parse() {
            Ok(refund_id) => About::Refund { refund_id },
            Err(_) => About::Attempt { reference: external_id, provider_reference: None },
        };
        Ok(Notice { key, about })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn their_names_are_of_version_4_and_follow_from_ours() {
        let name = their_name("01K0000000000000000000000A");
        assert_eq!((name.get_version_num(), name.get_variant()), (4, uuid::Variant::RFC4122));
        assert_eq!(name, their_name("01K0000000000000000000000A"));
        assert_ne!(name, their_name("01K0000000000000000000000B"));
    }

    #[test]
    fn a_telephone_number_is_its_digits_with_its_country() {
        assert_eq!(msisdn("+256 (770) 000-001").as_deref(), Some("256770000001"));
        for text in ["", "ada@example.com", "12", "1234567890123456"] {
            assert_eq!(msisdn(text), None, "{text}");
        }
    }

    /// The vendor's error tables, and the `reason.rs` of the crate `mtnmomo`.
    #[test]
    fn every_documented_reason_has_a_word_of_ours() {
        let documented = "APPROVAL_REJECTED EXPIRED ONGOING PAYER_DELAYED PAYER_NOT_FOUND \
            PAYEE_NOT_FOUND PAYEE_NOT_ALLOWED_TO_RECEIVE NOT_ALLOWED \
            NOT_ALLOWED_TARGET_ENVIRONMENT INVALID_CALLBACK_URL_HOST INVALID_CURRENCY \
            SERVICE_UNAVAILABLE COULD_NOT_PERFORM_TRANSACTION NOT_ENOUGH_FUNDS \
            PAYER_LIMIT_REACHED PAYEE_DELAYED INTERNAL_PROCESSING_ERROR PAYMENT_NOT_APPROVED \
            TRANSACTION_CANCELED RESOURCE_NOT_FOUND";
        let mut documented: Vec<&str> = documented.split_whitespace().collect();
        let mut known = REASONS.map(|(theirs, _)| theirs).to_vec();
        documented.sort_unstable();
        known.sort_unstable();
        assert_eq!(known, documented);

        let said = |text: &str| reason(serde_json::from_str(text).ok().as_ref());
        for (theirs, ours) in REASONS {
            assert_eq!(said(&format!("{theirs:?}")), ours, "{theirs}");
            assert_eq!(said(&format!(r#"{{"code": {theirs:?}}}"#)), ours, "{theirs}");
            assert_eq!(said(&format!(r#"{{"message": {theirs:?}}}"#)), ours, "{theirs}");
            let is_told = ours != Reason::Unspecified;
            assert_eq!(is_told, theirs != "ONGOING", "{theirs}");
        }
        for other in [r#""OF_ANOTHER_YEAR""#, "{}", r#"{"code": null}"#, "7"] {
            assert_eq!(said(other), Reason::Unspecified, "{other}");
        }
    }

    #[test]
    fn half_of_the_settings_is_a_mistake() {
        let half = Environment::of([("MTN_MOMO_API_USER", "u"), ("MTN_MOMO_API_KEY", "k")]);
        let missing = switched_on(&half).err().unwrap().to_string();
        assert!(missing.contains("MTN_MOMO_COLLECTION_KEY"), "{missing}");
        assert!(switched_on(&Environment::default()).unwrap().is_none());
        let all = |more: &[&'static str]| {
            let needed = [
                "MTN_MOMO_API_USER",
                "MTN_MOMO_API_KEY",
                "MTN_MOMO_COLLECTION_KEY",
            ];
            let set = needed.iter().chain(more).map(|name| (*name, "x"));
            switched_on(&Environment::of(set)).map_err(|bad| bad.to_string())
        };
        let (user, key, subscription) = (
            "MTN_MOMO_DISBURSEMENT_API_USER",
            "MTN_MOMO_DISBURSEMENT_API_KEY",
            "MTN_MOMO_DISBURSEMENT_KEY",
        );
        for whole in [&[][..], &[subscription], &[user, key, subscription]] {
            assert!(all(whole).is_ok_and(|gateway| gateway.is_some()), "{whole:?}");
        }
        for (half, missing) in [
            (&[user, subscription][..], key),
            (&[key, subscription], user),
            (&[user, key], subscription),
        ] {
            let said = all(half).err().unwrap();
            assert!(said.contains(missing), "{half:?}: {said}");
        }
    }
}
