//! `SSLCommerz` (v4): a page of `SSLCommerz`'s for cards, banks and mobile money in Bangladesh.
//!
//! 1. Credentials go along as parameters, in addresses too: see [`crate::http`].
//! 2. Its notifications (IPN) are signed with MD5 and carry no time, so they are worth no more than
//!    any webhook: a reason to ask.
//! 3. A payment that `SSLCommerz` finds risky (`risk_level` 1) is captured, and `SSLCommerz` asks that
//!    nothing is delivered before somebody has looked; it goes along as [`Assessment::hold`].
//! 4. To accept a refund is not to pay it out: that is asked for by its own reference.
//! 5. Only what was paid in taka is given back from here: see [`REFUNDED_IN`].
//!
//! Sources: the vendor's `SSLCommerz-PHP`, the tables of developer.sslcommerz.com/doc/v4.

mod several;

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::attempt::{NextStep, Outcome};
use domain::ids::attempt_reference;
use domain::money::{Currency, Money};
use domain::placing::PaymentMethod;
use domain::risk::{Assessment, Risk};
use futures::future::FutureExt as _;
use md5::{Digest as _, Md5};
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use url::Url;

use crate::amount;
use crate::capabilities::{Capabilities, Codes, Methods, Unit};
use crate::gateway::{CallError, Calling, Charge, Found, Gateway, Payback, PaybackOutcome};
use crate::http::{FORM, Http, Reply, form};
use crate::reason::Reason;
use crate::registry::{Provider, takes_no_token};
use crate::secret::Secret;
use crate::settings::{BadSetting, Environment, back_to, under};
use crate::signature::{is_same, must};
use crate::webhook::{About, BadSignature, Delivery, Notice, Unreadable};

/// Its name.
pub const NAME: &str = "sslcommerz";

pub(crate) const PROVIDER: Provider =
    Provider { name: NAME, capabilities: &CAPABILITIES, accepts_token, switched_on };

const CAPABILITIES: Capabilities = Capabilities {
    currencies: Codes::Only(&["BDT", "USD", "EUR", "GBP", "AUD", "CAD"]),
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

/// Asks about transactions, refunds them, and asks about refunds.
const TRANSACTIONS: &str = "/validator/api/merchantTransIDvalidationAPI.php";
const VALIDATION: &str = "/validator/api/validationserverAPI.php";
/// What can be given back. In which currency `refund_amount` is meant where the payment was in
/// another one is not documented: `SSLCommerz` keeps such payments in taka (`amount`) beside what the
/// customer paid (`currency_amount`). On a wrong guess, 10.00 dollars would go back as 10.00 taka and
/// count as given back, so nothing is guessed and staff are told to use the dashboard; unconfirmed.
const REFUNDED_IN: &str = "BDT";
/// What the page wants to know and the order does not say.
const UNKNOWN: &str = "N/A";

/// `SSLCommerz`.
pub struct SslCommerz {
    http: Http,
    base: Url,
    return_url: Url,
    ipn_url: Url,
    store_id: String,
    password: Secret,
}

/// `SSLCommerz`, if it has a store.
fn switched_on(environment: &Environment) -> Result<Option<Arc<dyn Gateway>>, BadSetting> {
    let needed = ["SSLCOMMERZ_STORE_ID", "SSLCOMMERZ_STORE_PASSWORD"];
    let Some([store_id, password]) = environment.credentials(needed, &[])? else {
        return Ok(None);
    };
    let live = "https://securepay.sslcommerz.com";
    Ok(Some(Arc::new(SslCommerz {
        http: Http::new(NAME, environment.timeout()?, &[&password]),
        base: environment.address_or("SSLCOMMERZ_BASE_URL", live)?,
        return_url: environment.return_url()?,
        ipn_url: environment.webhook_url(NAME)?,
        store_id: store_id.reveal().to_owned(),
        password,
    })))
}

#[derive(Deserialize)]
struct Session {
    status: String,
    failedreason: Option<String>,
    sessionkey: Option<String>,
    #[serde(rename = "GatewayPageURL")]
    page: Option<String>,
}

#[derive(Deserialize)]
struct Transactions {
    #[serde(rename = "APIConnect")]
    connected: Connected,
    #[serde(default)]
    element: Vec<Transaction>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Connected {
    Done,
    InvalidRequest,
    Failed,
    Inactive,
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct Transaction {
    status: Status,
    tran_id: String,
    val_id: Option<String>,
    amount: Option<String>,
    currency_type: Option<String>,
    currency_amount: Option<String>,
    bank_tran_id: Option<String>,
    risk_level: Option<String>,
    #[serde(rename = "card_issuer_country_code")]
    card_country: Option<String>,
    error: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Status {
    Valid,
    /// Valid, and asked about before.
    Validated,
    Pending,
    Failed,
    Cancelled,
    Unattempted,
    Expired,
    InvalidTransaction,
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct Refund {
    #[serde(rename = "APIConnect")]
    connected: Connected,
    status: RefundStatus,
    #[serde(rename = "refund_ref_id")]
    reference: Option<String>,
    #[serde(rename = "errorReason")]
    error_reason: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RefundStatus {
    /// Accepted, not paid out.
    Success,
    Processing,
    Refunded,
    Failed,
    Cancelled,
    #[serde(other)]
    Unknown,
}

impl SslCommerz {
    /// Credentials and what goes along with every question.
    fn query<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let mut query = vec![
            ("store_id", self.store_id.as_str()),
            ("store_passwd", self.password.reveal()),
            ("v", "1"),
            ("format", "json"),
        ];
        query.extend(more);
        query
    }

    async fn get(
        &self,
        call: &'static str,
        path: &str,
        more: &[(&str, &str)],
    ) -> Result<Reply, CallError> {
        let request = self.http.client().get(under(&self.base, path));
        let request = request.query(&self.query(more));
        self.http.send(call, request).await?.successful()
    }

    async fn open_page(&self, charge: &Charge) -> Result<Outcome, CallError> {
        let Some(payer) = &charge.payer else {
            return Ok(Reason::NotSupported.declines());
        };
        let (customer, address) = (&payer.customer, &payer.address);
        let or_unknown = |text: &Option<String>| text.clone().unwrap_or_else(|| UNKNOWN.into());
        let back = String::from(back_to(&self.return_url, charge.order_id));
        let fields = [
            ("store_id", self.store_id.clone()),
            ("store_passwd", self.password.reveal().to_owned()),
            ("total_amount", charge.amount.decimal()),
            ("currency", charge.amount.currency.code().to_owned()),
            ("tran_id", charge.reference.clone()),
            ("success_url", back.clone()),
            ("fail_url", back.clone()),
            ("cancel_url", back),
            ("ipn_url", self.ipn_url.to_string()),
            ("product_category", "goods".to_owned()),
            ("product_name", format!("Order {}", charge.order_id)),
            ("product_profile", "general".to_owned()),
            ("num_of_item", "1".to_owned()),
            ("shipping_method", "NO".to_owned()),
            ("cus_name", customer.name.clone()),
            ("cus_email", customer.email.clone()),
            ("cus_phone", or_unknown(&customer.phone)),
            ("cus_add1", address.line1.clone()),
            ("cus_city", or_unknown(&address.city)),
            ("cus_postcode", or_unknown(&address.postcode)),
            ("cus_country", address.country.clone()),
            ("value_a", charge.payment_id.to_string()),
        ];
        let request = self
            .http
            .client()
            .post(under(&self.base, "/gwprocess/v4/api.php"))
            .header(CONTENT_TYPE, FORM)
            .body(form(&fields));
        let reply = self.http.send("initialize", request).await?.successful()?;
        let Session { status, failedreason, sessionkey, page } = reply.json()?;
        match (status.as_str(), sessionkey, page) {
            ("SUCCESS", Some(provider_reference), Some(url)) => {
                let next_step = Some(NextStep::Redirect { url });
                Ok(Outcome::Accepted { provider_reference, next_step })
            }
            ("FAILED", ..) => Ok(match failedreason.unwrap_or_default().to_lowercase() {
                words if words.contains("credential") || words.contains("store") => {
                    let cause = "the store is not known or not active".to_owned();
                    return Err(CallError::Unauthorised { gateway: NAME, cause });
                }
                _ => Reason::NotSupported.declines(),
            }),
            _ => Err(reply.unexpected()),
        }
    }

    async fn ask(&self, charge: &Charge) -> Result<Found<Outcome>, CallError> {
        let about = [("tran_id", charge.reference.as_str())];
        let reply = self.get("verify", TRANSACTIONS, &about).await?;
        let found: Transactions = reply.json()?;
        if found.connected != Connected::Done {
            return Err(reply.unexpected());
        }
        // Several where the customer tried several cards: one that brought money counts.
        let brought = |of: &&Transaction| matches!(of.status, Status::Valid | Status::Validated);
        let all = found.element;
        let transaction = all.iter().find(brought).or_else(|| all.last());
        let Some(transaction) = transaction else {
            return Ok(charge.not_attempted());
        };
        match (&transaction.val_id, brought(&transaction)) {
            (Some(val_id), true) => self.validate(charge, val_id).await.map(Found::Said),
            _ => transaction.outcome(charge, &reply).map(Found::Said),
        }
    }

    /// What a payment really came to.
    async fn validate(&self, charge: &Charge, val_id: &str) -> Result<Outcome, CallError> {
        let reply = self
            .get("verify", VALIDATION, &[("val_id", val_id)])
            .await?;
        reply.json::<Transaction>()?.outcome(charge, &reply)
    }

    async fn give_back(&self, payback: &Payback) -> Result<PaybackOutcome, CallError> {
        let Some(bank_tran_id) = payback.charge.provider_reference.as_deref() else {
            let reason = "the bank's name for the payment is not known".to_owned();
            return Ok(PaybackOutcome::Failed { reason });
        };
        let currency = payback.amount.currency.code();
        if currency != REFUNDED_IN {
            let reason = format!(
                "SSLCommerz does not say in which currency it gives {currency} back; refund it in \
                 its dashboard"
            );
            return Ok(PaybackOutcome::Failed { reason });
        }
        let (name, amount) = (attempt_reference(payback.refund_id.0), payback.amount.decimal());
        let about = [
            ("bank_tran_id", bank_tran_id),
            ("refund_trans_id", name.as_str()),
            ("refund_amount", amount.as_str()),
            ("refund_remarks", "refund"),
            ("refe_id", payback.charge.reference.as_str()),
        ];
        let reply = self.get("refund", TRANSACTIONS, &about).await?;
        reply.json::<Refund>()?.outcome(&reply)
    }

    async fn ask_about_refund(
        &self,
        payback: &Payback,
    ) -> Result<Found<PaybackOutcome>, CallError> {
        // Nobody can be asked by our own name; the same name again is the same refund.
        let Some(name) = payback.provider_reference.as_deref() else {
            return Ok(Found::NeverHeard);
        };
        let about = [("refund_ref_id", name)];
        let reply = self.get("refund_status", TRANSACTIONS, &about).await?;
        reply.json::<Refund>()?.outcome(&reply).map(Found::Said)
    }
}

impl Transaction {
    /// In taka what `amount` says; in another currency what the customer paid.
    fn received(&self) -> Option<Money> {
        let currency: Currency = match self.currency_type.as_deref() {
            None | Some("" | "BDT") => "BDT".parse().ok()?,
            Some(code) => code.parse().ok()?,
        };
        let text = if currency.code() == "BDT" {
            &self.amount
        } else {
            &self.currency_amount
        };
        amount::from_decimal(text.as_deref()?, currency)
    }

    /// 0 is safe and 1 risky; there is nothing in between, and nothing else is documented.
    fn assessment(&self) -> Option<Assessment> {
        let risk = match self.risk_level.as_deref()? {
            "0" => Risk::Normal,
            "1" => Risk::Highest,
            _ => return None,
        };
        let hold = risk == Risk::Highest;
        let card_country = self.card_country.clone().filter(|code| code.len() == 2);
        Some(Assessment { risk: Some(risk), card_country, hold, fingerprint: None })
    }

    fn outcome(&self, charge: &Charge, reply: &Reply) -> Result<Outcome, CallError> {
        use Status as S;
        let provider_reference = || {
            let name = self.bank_tran_id.clone().filter(|name| !name.is_empty());
            name.or_else(|| charge.provider_reference.clone())
                .unwrap_or_default()
        };
        if self.tran_id != charge.reference {
            let received = self.received().ok_or_else(|| reply.unexpected())?;
            let (named, provider_reference) = (self.tran_id.clone(), provider_reference());
            return Ok(Outcome::Misnamed { named, received, provider_reference });
        }
        match self.status {
            S::Valid | S::Validated => {
                let received = self.received().ok_or_else(|| reply.unexpected())?;
                let (provider_reference, assessment) = (provider_reference(), self.assessment());
                Ok(Outcome::Captured { received, provider_reference, assessment })
            }
            // Nobody has tried to pay, and nobody will.
            S::Unattempted if charge.is_abandoned() => Ok(Reason::Expired.declines()),
            S::Pending | S::Unattempted => {
                let provider_reference = provider_reference();
                Ok(Outcome::Accepted { provider_reference, next_step: None })
            }
            S::Failed | S::InvalidTransaction => {
                Ok(Reason::of_words(self.error.as_deref()).declines())
            }
            S::Cancelled => Ok(Reason::CustomerCancelled.declines()),
            S::Expired => Ok(Reason::Expired.declines()),
            S::Unknown => Err(reply.unexpected()),
        }
    }
}

impl Refund {
    fn outcome(self, reply: &Reply) -> Result<PaybackOutcome, CallError> {
        use RefundStatus as S;
        if self.connected != Connected::Done {
            return Err(reply.unexpected());
        }
        let reason = self.error_reason.filter(|reason| !reason.is_empty());
        Ok(match (self.status, self.reference) {
            (S::Refunded, provider_reference) => PaybackOutcome::Settled {
                provider_reference: provider_reference.unwrap_or_default(),
            },
            (S::Failed | S::Cancelled, _) => PaybackOutcome::Failed {
                reason: reason.unwrap_or_else(|| "refused by SSLCommerz".to_owned()),
            },
            (S::Success | S::Processing | S::Unknown, provider_reference) => {
                PaybackOutcome::Pending { provider_reference }
            }
        })
    }
}

fn accepts_token(token: Option<&str>) -> Result<(), String> {
    takes_no_token("SSLCommerz", token)
}

type Fields = BTreeMap<String, String>;

fn fields(body: &[u8]) -> Fields {
    form_urlencoded::parse(body).into_owned().collect()
}

/// MD5 over the fields that `verify_key` names and the digest of the password, sorted by name
/// (`SSLCOMMERZ_hash_varify` of the vendor's library).
fn check(password: &Secret, fields: &Fields) -> Result<(), BadSignature> {
    let missing = BadSignature::Missing { header: "verify_sign" };
    let (Some(sign), Some(key)) = (fields.get("verify_sign"), fields.get("verify_key")) else {
        return Err(missing);
    };
    // What is named and not there does not count, as in the vendor's library.
    let named = key.split(',');
    let mut signed: BTreeMap<&str, String> = named
        .filter_map(|name| Some((name, fields.get(name)?.clone())))
        .collect();
    // A notice that says nothing of itself could be any.
    if !signed.contains_key("tran_id") || !signed.contains_key("status") {
        return Err(BadSignature::Malformed);
    }
    signed.insert("store_passwd", hex::encode(Md5::digest(password.reveal())));
    let pairs: Vec<String> = signed
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let expected = hex::encode(Md5::digest(pairs.join("&")));
    must(is_same(sign.to_lowercase().as_bytes(), expected.as_bytes()))
}

impl Gateway for SslCommerz {
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
        Some(self.ask_about_one(charge, name).boxed())
    }

    fn refund<'a>(&'a self, payback: &'a Payback) -> Calling<'a, PaybackOutcome> {
        self.give_back(payback).boxed()
    }

    fn refund_status<'a>(&'a self, payback: &'a Payback) -> Calling<'a, Found<PaybackOutcome>> {
        self.ask_about_refund(payback).boxed()
    }

    fn verify_webhook_signature(&self, delivery: &Delivery<'_>) -> Result<(), BadSignature> {
        check(&self.password, &fields(delivery.body))
    }

    fn parse_webhook_event(&self, delivery: &Delivery<'_>) -> Result<Notice, Unreadable> {
        read(fields(delivery.body))
    }
}

fn read(mut fields: Fields) -> Result<Notice, Unreadable> {
    let mut text = |name: &str| fields.remove(name).filter(|text| !text.is_empty());
    let (Some(reference), Some(status)) = (text("tran_id"), text("status")) else {
        return Err(Unreadable("it names no transaction".to_owned()));
    };
    let val_id = text("val_id").unwrap_or_default();
    let key = format!("{reference} {val_id} {status}");
    let provider_reference = text("bank_tran_id");
    Ok(Notice { key, about: About::Attempt { reference, provider_reference } })
}

#[cfg(test)]
mod tests {
    use super::*;

    // python3: hashlib.md5("amount=100.00&status=VALID&store_passwd=<md5 of 'secret'>&tran_id=A1")
    const SIGN: &str = "cf396b9f7f85900633cfc1e0e721c62e";

    fn notice(change: impl Fn(&mut Fields)) -> Result<(), BadSignature> {
        let mut fields: Fields = [
            ("tran_id", "A1"),
            ("status", "VALID"),
            ("amount", "100.00"),
            ("card_type", "not signed"),
            ("verify_key", "status,amount,tran_id"),
            ("verify_sign", SIGN),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        change(&mut fields);
        check(&Secret::new("secret"), &fields)
    }

    #[test]
    fn a_notice_is_signed_with_the_digest_of_the_password() {
        let set = |name: &'static str, value: &'static str| {
            notice(move |fields| _ = fields.insert(name.to_owned(), value.to_owned()))
        };
        assert_eq!(notice(|_| ()), Ok(()));
        assert_eq!(set("card_type", "anything"), Ok(()));
        assert_eq!(set("amount", "1.00"), Err(BadSignature::Wrong));
        assert_eq!(set("verify_key", "amount"), Err(BadSignature::Malformed));
        assert_eq!(set("verify_key", "status,tran_id"), Err(BadSignature::Wrong));
        let unsigned = notice(|fields| _ = fields.remove("verify_sign"));
        assert_eq!(unsigned, Err(BadSignature::Missing { header: "verify_sign" }));
    }

    /// A notice of the vendor's sandbox with the password of that store, from the examples of the
    /// vendor's Python library (sslcommerz/SSLCommerz-Python, `hash_validate_ipn`).
    #[test]
    fn the_vendors_own_example_is_taken() {
        let genuine = "tran_id=5E121A0D01F92&val_id=200105225826116qFnATY9sHIwo&amount=10.00\
            &card_type=VISA-Dutch+Bangla&store_amount=9.75&card_no=418117XXXXXX6675\
            &bank_tran_id=200105225825DBgSoRGLvczhFjj&status=VALID\
            &tran_date=2020-01-05+22%3A58%3A21&currency=BDT&card_issuer=TRUST+BANK%2C+LTD.\
            &card_brand=VISA&card_issuer_country=Bangladesh&card_issuer_country_code=BD\
            &store_id=test_testemi&verify_sign=d42fab70ae0bcbda5280e7baffef60b0\
            &verify_key=amount%2Cbank_tran_id%2Cbase_fair%2Ccard_brand%2Ccard_issuer\
            %2Ccard_issuer_country%2Ccard_issuer_country_code%2Ccard_no%2Ccard_type%2Ccurrency\
            %2Ccurrency_amount%2Ccurrency_rate%2Ccurrency_type%2Crisk_level%2Crisk_title%2Cstatus\
            %2Cstore_amount%2Cstore_id%2Ctran_date%2Ctran_id%2Cval_id%2Cvalue_a%2Cvalue_b\
            %2Cvalue_c%2Cvalue_d&currency_type=BDT&currency_amount=10.00&currency_rate=1.0000\
            &base_fair=0.00&value_a=&value_b=&value_c=&value_d=&risk_level=0&risk_title=Safe";
        let password = Secret::new("test_testemi@ssl");

        assert_eq!(check(&password, &fields(genuine.as_bytes())), Ok(()));
        for (from, to) in [
            ("amount=10.00", "amount=10.01"),
            ("VALID", "FAILED"),
            ("d42fab", "d42fac"),
            ("d42fab70", ""),
        ] {
            let other = genuine.replacen(from, to, 1);
            assert_eq!(check(&password, &fields(other.as_bytes())), Err(BadSignature::Wrong));
        }
        let guessed = Secret::new("test_testemi");
        assert_eq!(check(&guessed, &fields(genuine.as_bytes())), Err(BadSignature::Wrong));
    }

    #[test]
    fn a_field_that_is_named_and_missing_does_not_count() {
        let named = notice(|fields| {
            fields.insert("verify_key".to_owned(), "status,amount,tran_id,error".to_owned());
        });
        assert_eq!(named, Ok(()));
        let nameless = notice(|fields| _ = fields.remove("tran_id"));
        assert_eq!(nameless, Err(BadSignature::Malformed));
    }

    #[test]
    fn what_is_said_of_a_payment_decides_what_is_asked() {
        let about = |body: &str| read(fields(body.as_bytes())).map(|notice| notice.about);
        let attempt = About::Attempt { reference: "A1".to_owned(), provider_reference: None };
        assert_eq!(about("tran_id=A1&status=VALID&risk_level=0"), Ok(attempt));
        // How risky it is, the provider says when it is asked.
        let attempt = About::Attempt { reference: "A1".to_owned(), provider_reference: None };
        assert_eq!(about("tran_id=A1&val_id=v&status=VALID&risk_level=1"), Ok(attempt));
        for body in [
            "",
            "tran_id=A1",
            "tran_id=&status=VALID",
            "status=VALID",
            "\u{fffd}",
        ] {
            assert!(about(body).is_err(), "{body}");
        }
    }

    #[test]
    fn our_references_fit_into_30_characters() {
        assert!(attempt_reference(uuid::Uuid::max()).len() <= 30);
    }
}
