//! Stripe: cards, by a page of Stripe's (a Checkout Session) or by a payment method that Stripe.js
//! made in the customer's browser (`pm_...`, a `PaymentIntent` that is confirmed at once).
//!
//! | we call it | Stripe calls it |
//! | --- | --- |
//! | attempt | Checkout Session `cs_...`, and the `PaymentIntent` `pi_...` behind it |
//! | reference | `metadata[reference]`, and the `Idempotency-Key` |
//! | refund | Refund `re_...`, ours by `metadata[refund_id]` |
//! | chargeback | Dispute `dp_...`, and what it has moved in Stripe's balance |
//!
//! Sources: docs.stripe.com/api (payment intents, checkout sessions, refunds, disputes, idempotent
//! requests), docs.stripe.com/webhooks, docs.stripe.com/currencies.

mod answers;
mod disputes;
mod listing;
mod webhooks;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::attempt::Outcome;
use domain::ids::OrderId;
use domain::money::Money;
use domain::payment::Chargeback;
use domain::placing::PaymentMethod;
use futures::future::FutureExt as _;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, StatusCode};
use url::Url;

use self::answers::{Intent, List, Problem, Refund, Session};
use crate::amount;
use crate::capabilities::{Capabilities, Codes, Methods, Unit};
use crate::gateway::{CallError, Calling, Charge, Found, Gateway, Payback, PaybackOutcome};
use crate::http::{FORM, Http, Reply, form};
use crate::listing::{Page, Span};
use crate::reason::Reason;
use crate::registry::Provider;
use crate::secret::Secret;
use crate::settings::{BadSetting, Environment, back_to};
use crate::webhook::{BadSignature, Delivery, Notice, Unreadable};

/// Its name.
pub const NAME: &str = "stripe";

pub(crate) const PROVIDER: Provider =
    Provider { name: NAME, capabilities: &CAPABILITIES, accepts_token, switched_on };

const CAPABILITIES: Capabilities = Capabilities {
    // Stripe treats these two as special cases of the number of decimals, and sources disagree
    // about how: an amount a hundred times too large must not be asked for on a guess.
    currencies: Codes::AllBut(&["ISK", "UGX"]),
    methods: Methods::Only(&[PaymentMethod::CreditCard, PaymentMethod::DebitCard]),
    countries: Codes::All,
    partial_refunds: true,
    unit: Unit::Minor,
    needs_payer: false,
    signs_webhooks: true,
};

/// The version of the API that this is written for: accounts have others by default, and change them
/// (docs.stripe.com/api/versioning). Webhooks come in that of their endpoint, and only say what to ask.
const VERSION: &str = "2024-06-20";

/// Currencies whose amounts Stripe writes without decimals (docs.stripe.com/currencies).
const ZERO_DECIMAL: [&str; 15] = [
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF",
    "XOF", "XPF",
];
/// Currencies whose amounts Stripe writes with three decimals, the last of them a zero.
const THREE_DECIMAL: [&str; 6] = ["BHD", "IQD", "JOD", "KWD", "OMR", "TND"];

/// A session ends by the payment's own deadline, where Stripe's bounds allow it: 30 minutes to 24 hours
/// from when it is made. A lost request is sent again with the same words, so a quarter of an hour is
/// left for that, and a minute at the other end for clocks that differ. Where the deadline comes
/// first, the session is expired then; what is paid on it meanwhile is late money like any other.
const SESSION_MIN: TimeDelta = TimeDelta::minutes(45);
const SESSION_MAX: TimeDelta = TimeDelta::minutes(24 * 60 - 1);
/// How far behind Stripe's search may be (docs.stripe.com/search, data freshness): a minute as a rule,
/// and an hour in an outage.
const SEARCHABLE_AFTER: TimeDelta = TimeDelta::hours(1);
/// Refunds of one payment that are looked through: a page is all that Stripe gives at a time.
const REFUNDS_MAX: &str = "100";

/// Stripe.
pub struct Stripe {
    http: Http,
    base: Url,
    return_url: Url,
    secret_key: Secret,
    webhook_secret: Option<Secret>,
}

/// Stripe, if it has a key.
fn switched_on(environment: &Environment) -> Result<Option<Arc<dyn Gateway>>, BadSetting> {
    let webhook_secret = "STRIPE_WEBHOOK_SECRET";
    let all = environment.credentials(["STRIPE_SECRET_KEY"], &[webhook_secret])?;
    let Some([secret_key]) = all else {
        return Ok(None);
    };
    Ok(Some(Arc::new(Stripe {
        http: Http::new(NAME, environment.timeout()?, &[&secret_key]),
        base: environment.address_or("STRIPE_BASE_URL", "https://api.stripe.com")?,
        return_url: environment.return_url()?,
        secret_key,
        webhook_secret: environment.secret(webhook_secret),
    })))
}

/// An amount as Stripe writes it; `None` for what it cannot take.
fn units(money: Money) -> Option<i64> {
    let units = amount::to_units(money, decimals(money.currency.code()))?;
    let is_rounded = THREE_DECIMAL.contains(&money.currency.code()) && units % 10 != 0;
    (!is_rounded).then_some(units)
}

fn decimals(code: &str) -> u32 {
    match code {
        code if ZERO_DECIMAL.contains(&code) => 0,
        code if THREE_DECIMAL.contains(&code) => 3,
        _ => 2,
    }
}

impl Stripe {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, &self.base, path, &self.secret_key)
            .header("Stripe-Version", VERSION)
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    fn post(&self, path: &str, fields: &[(&str, String)]) -> RequestBuilder {
        self.request(Method::POST, path)
            .header(CONTENT_TYPE, FORM)
            .body(form(fields))
    }

    /// Acts once under this key, however often it is sent with the same fields.
    fn post_once(&self, path: &str, key: &str, fields: &[(&str, String)]) -> RequestBuilder {
        self.post(path, fields).header("Idempotency-Key", key)
    }

    async fn ask_for_money(&self, charge: &Charge) -> Result<Outcome, CallError> {
        let Some(units) = units(charge.amount) else {
            return Ok(Reason::NotSupported.declines());
        };
        match &charge.token {
            Some(token) => self.confirm(charge, token, units).await,
            None => self.open_page(charge, units).await,
        }
    }

    /// Pays with what Stripe.js made of the customer's card.
    async fn confirm(
        &self,
        charge: &Charge,
        token: &str,
        units: i64,
    ) -> Result<Outcome, CallError> {
        let fields = [
            ("amount", units.to_string()),
            ("currency", charge.amount.currency.code().to_lowercase()),
            ("payment_method", token.to_owned()),
            ("confirm", "true".to_owned()),
            ("automatic_payment_methods[enabled]", "true".to_owned()),
            ("return_url", back_to(&self.return_url, charge.order_id).into()),
            ("metadata[reference]", charge.reference.clone()),
            ("metadata[payment_id]", charge.payment_id.to_string()),
            // What Radar makes of it comes with the charge.
            ("expand[]", "latest_charge".to_owned()),
        ];
        let request = self.post_once("/v1/payment_intents", &charge.reference, &fields);
        let reply = self.http.send("initialize", request).await?;
        if reply.status.is_success() {
            return reply.json::<Intent>()?.outcome(charge, &reply);
        }
        refused(&reply)
    }

    /// Opens a page on which the customer pays.
    async fn open_page(&self, charge: &Charge, units: i64) -> Result<Outcome, CallError> {
        let back = String::from(back_to(&self.return_url, charge.order_id));
        let expires_at = expires_at(charge);
        let fields = [
            ("mode", "payment".to_owned()),
            ("client_reference_id", charge.reference.clone()),
            ("success_url", back.clone()),
            ("cancel_url", back),
            ("expires_at", expires_at.timestamp().to_string()),
            ("line_items[0][quantity]", "1".to_owned()),
            (
                "line_items[0][price_data][currency]",
                charge.amount.currency.code().to_lowercase(),
            ),
            ("line_items[0][price_data][unit_amount]", units.to_string()),
            ("line_items[0][price_data][product_data][name]", title(charge.order_id)),
            ("metadata[reference]", charge.reference.clone()),
            ("metadata[payment_id]", charge.payment_id.to_string()),
            ("payment_intent_data[metadata][reference]", charge.reference.clone()),
            ("payment_intent_data[metadata][payment_id]", charge.payment_id.to_string()),
        ];
        let request = self.post_once("/v1/checkout/sessions", &charge.reference, &fields);
        let reply = self.http.send("initialize", request).await?;
        if reply.status.is_success() {
            return reply.json::<Session>()?.outcome(charge, &reply);
        }
        refused(&reply)
    }

    async fn ask(&self, charge: &Charge) -> Result<Found<Outcome>, CallError> {
        let is_over = charge.pay_by < Utc::now();
        let given_up_at = is_over.then_some(charge.pay_by);
        let Some(name) = &charge.provider_reference else {
            return self.search(charge, given_up_at).await;
        };
        let is_session = name.starts_with("cs_");
        let request = if is_session {
            self.get(&format!("/v1/checkout/sessions/{name}"))
                .query(&[("expand[]", "payment_intent.latest_charge")])
        } else {
            self.get(&format!("/v1/payment_intents/{name}"))
                .query(&[("expand[]", "latest_charge")])
        };
        let reply = self.http.send("verify", request).await?;
        match reply.status {
            // Before an attempt is given up, it is looked for by our own name.
            StatusCode::NOT_FOUND => self.search(charge, given_up_at).await,
            status if !status.is_success() => Err(reply.unexpected()),
            _ if is_session => Ok(Found::Said(reply.json::<Session>()?.outcome(charge, &reply)?)),
            _ => Ok(Found::Said(reply.json::<Intent>()?.outcome(charge, &reply)?)),
        }
    }

    /// The answer to our request was lost, so that we do not know Stripe's name for the attempt. A
    /// session whose address nobody was told cannot have been paid; a confirmed intent can. While
    /// somebody waits for it, it is sent again and answered as before; once it is given up, what is
    /// not found is not taken for unpaid before it must have been found.
    async fn search(
        &self,
        charge: &Charge,
        given_up_at: Option<DateTime<Utc>>,
    ) -> Result<Found<Outcome>, CallError> {
        let query = format!("metadata['reference']:'{}'", charge.reference);
        let request = self.get("/v1/payment_intents/search").query(&[
            ("query", query.as_str()),
            ("expand[]", "data.latest_charge"),
        ]);
        let reply = self.http.send("verify", request).await?.successful()?;
        let is_early = |at| Utc::now() < at + SEARCHABLE_AFTER;
        match reply.json::<List<Intent>>()?.data.into_iter().next() {
            Some(intent) => Ok(Found::Said(intent.outcome(charge, &reply)?)),
            None if charge.token.is_some() && given_up_at.is_some_and(is_early) => {
                let cause = "it may not be found by its name yet".to_owned();
                Err(CallError::OutcomeUnknown { gateway: NAME, cause })
            }
            None => Ok(Found::NeverHeard),
        }
    }

    /// Expires a page, or cancels an intent that waits for the customer. Neither needs an
    /// `Idempotency-Key`, which would repeat an old failure: what has ended has ended.
    async fn end(&self, charge: &Charge) -> Result<Found<Outcome>, CallError> {
        let Some(name) = &charge.provider_reference else {
            return self.search(charge, Some(charge.started_at)).await;
        };
        let is_session = name.starts_with("cs_");
        let path = if is_session {
            format!("/v1/checkout/sessions/{name}/expire")
        } else {
            format!("/v1/payment_intents/{name}/cancel")
        };
        let reply = self.http.send("cancel", self.post(&path, &[])).await?;
        match reply.status {
            // It is paid, has ended before, or is being paid at this moment.
            status if status.is_client_error() => self.ask(charge).await,
            status if !status.is_success() => Err(reply.unexpected()),
            _ => {
                let outcome = if is_session {
                    reply.json::<Session>()?.outcome(charge, &reply)?
                } else {
                    reply.json::<Intent>()?.outcome(charge, &reply)?
                };
                // We have ended it, not the customer.
                Ok(Found::Said(match outcome {
                    Outcome::Declined { .. } => Reason::Expired.declines(),
                    outcome => outcome,
                }))
            }
        }
    }

    async fn give_back(&self, payback: &Payback) -> Result<PaybackOutcome, CallError> {
        let Some(intent) = intent_of(&payback.charge) else {
            return Ok(failed("the payment intent of the attempt is not known"));
        };
        let Some(units) = units(payback.amount) else {
            return Ok(failed("Stripe cannot pay out this amount exactly"));
        };
        let fields = [
            ("payment_intent", intent.to_owned()),
            ("amount", units.to_string()),
            ("reason", "requested_by_customer".to_owned()),
            ("metadata[refund_id]", payback.refund_id.to_string()),
            ("metadata[reference]", payback.charge.reference.clone()),
        ];
        let key = payback.refund_id.to_string();
        let reply = self
            .http
            .send("refund", self.post_once("/v1/refunds", &key, &fields))
            .await?;
        if reply.status.is_success() {
            return Ok(reply.json::<Refund>()?.outcome());
        }
        match reply.status {
            // Another request with this key is being worked on.
            StatusCode::CONFLICT => Err(reply.unexpected()),
            _ => Ok(failed(&reply.json::<Problem>()?.words())),
        }
    }

    async fn ask_about_refund(
        &self,
        payback: &Payback,
    ) -> Result<Found<PaybackOutcome>, CallError> {
        if let Some(name) = &payback.provider_reference {
            let request = self.get(&format!("/v1/refunds/{name}"));
            let reply = self
                .http
                .send("refund_status", request)
                .await?
                .successful()?;
            return Ok(Found::Said(reply.json::<Refund>()?.outcome()));
        }
        let Some(intent) = intent_of(&payback.charge) else {
            return Ok(Found::NeverHeard);
        };
        let request = self
            .get("/v1/refunds")
            .query(&[("payment_intent", intent), ("limit", REFUNDS_MAX)]);
        let reply = self
            .http
            .send("refund_status", request)
            .await?
            .successful()?;
        let refunds = reply.json::<List<Refund>>()?.data;
        let ours = refunds
            .iter()
            .find(|refund| refund.is_named(payback.refund_id));
        Ok(ours.map_or(Found::NeverHeard, |refund| Found::Said(refund.outcome())))
    }
}

/// When nobody can pay on a page any more.
fn expires_at(charge: &Charge) -> DateTime<Utc> {
    let (earliest, latest) = (charge.started_at + SESSION_MIN, charge.started_at + SESSION_MAX);
    charge.pay_by.clamp(earliest, latest)
}

/// Stripe said no, and did nothing.
fn refused(reply: &Reply) -> Result<Outcome, CallError> {
    match reply.status {
        // Another request with this key is being worked on.
        StatusCode::CONFLICT => Err(reply.unexpected()),
        _ => Ok(reply.json::<Problem>()?.reason().declines()),
    }
}

fn failed(reason: &str) -> PaybackOutcome {
    PaybackOutcome::Failed { reason: reason.to_owned() }
}

fn intent_of(charge: &Charge) -> Option<&str> {
    let name = charge.provider_reference.as_deref()?;
    name.starts_with("pi_").then_some(name)
}

/// What the customer reads on the page.
fn title(order_id: OrderId) -> String {
    format!("Order {order_id}")
}

fn accepts_token(token: Option<&str>) -> Result<(), String> {
    match token {
        Some(token) if !token.starts_with("pm_") => {
            Err("Stripe takes a payment method (pm_...), or none for a page".to_owned())
        }
        Some(_) | None => Ok(()),
    }
}

impl Gateway for Stripe {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CAPABILITIES
    }

    fn initialize<'a>(&'a self, charge: &'a Charge) -> Calling<'a, Outcome> {
        self.ask_for_money(charge).boxed()
    }

    fn verify<'a>(&'a self, charge: &'a Charge) -> Calling<'a, Found<Outcome>> {
        self.ask(charge).boxed()
    }

    fn cancels(&self) -> bool {
        true
    }

    fn cancel<'a>(&'a self, charge: &'a Charge) -> Calling<'a, Found<Outcome>> {
        self.end(charge).boxed()
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

    fn list<'a>(&'a self, span: &'a Span, cursor: Option<&'a str>) -> Option<Calling<'a, Page>> {
        Some(self.page(span, cursor).boxed())
    }

    fn verify_webhook_signature(&self, delivery: &Delivery<'_>) -> Result<(), BadSignature> {
        let setting = "STRIPE_WEBHOOK_SECRET";
        let secret = self.webhook_secret.as_ref();
        let secret = secret.ok_or(BadSignature::NotConfigured { setting })?;
        webhooks::check(secret, delivery)
    }

    fn parse_webhook_event(&self, delivery: &Delivery<'_>) -> Result<Notice, Unreadable> {
        webhooks::read(delivery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_with_stripes_own_decimals() {
        for (minor, code, written) in [
            (1530, "GBP", Some(1530)),
            (1530, "JPY", Some(1530)),
            (15300, "KWD", Some(15300)),
            (15301, "KWD", None),
            (1500, "MGA", Some(15)),
            (1501, "MGA", None),
        ] {
            let money = Money { minor, currency: code.parse().unwrap() };
            assert_eq!(units(money), written, "{minor} {code}");
        }
        for code in ["ISK", "UGX"] {
            assert!(!CAPABILITIES.currencies.contain(code), "{code}");
        }
    }

    #[test]
    fn a_page_ends_by_the_deadline_where_stripes_bounds_allow_it() {
        let started_at = DateTime::UNIX_EPOCH;
        for (pay_by, expires_in) in [(-1, 45), (15, 45), (45, 45), (60, 60), (1_439, 1_439)] {
            let charge = Charge {
                payment_id: domain::ids::PaymentId(uuid::Uuid::nil()),
                order_id: OrderId(uuid::Uuid::nil()),
                reference: String::new(),
                provider_reference: None,
                amount: Money { minor: 1, currency: "GBP".parse().unwrap() },
                method: PaymentMethod::CreditCard,
                token: None,
                payer: None,
                started_at,
                pay_by: started_at + TimeDelta::minutes(pay_by),
            };
            let expires_in = started_at + TimeDelta::minutes(expires_in);
            assert_eq!(expires_at(&charge), expires_in, "{pay_by}");
            let in_a_month = Charge { pay_by: started_at + TimeDelta::days(30), ..charge };
            assert_eq!(expires_at(&in_a_month), started_at + SESSION_MAX);
        }
    }

    #[test]
    fn without_a_key_it_is_off_and_with_half_of_its_settings_it_says_which() {
        assert!(switched_on(&Environment::default()).unwrap().is_none());
        let half = Environment::of([("STRIPE_SECRET_KEY", "sk_test_1")]);
        let missing = switched_on(&half).err().unwrap();
        assert!(missing.to_string().contains("DAYBOOK_RETURN_URL"), "{missing}");
    }
}
