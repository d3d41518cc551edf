//! What customers and staff do about one order, whatever the weather.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use domain::money::Money;
use reqwest::Method;
use serde_json::{Value, json};
use tests::Answer;
use tests::chance::Chance;
use tests::served::Served;
use tests::simulators::{Sent, Simulator};
use tests::world::STAFF;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::books::{self, Found};
use super::plan::{Fate, Pays, Plan, Word};
use super::shops::Shop;

/// Pause between two looks at an order.
const LOOK_EVERY: Duration = Duration::from_millis(700);
/// How long after the last that happens to it an order may take to come to rest.
const REST_WITHIN: Duration = Duration::from_mins(2);
/// Attempts that a customer makes; each may end because its provider's answer was lost.
const ATTEMPTS_MAX: usize = 12;
/// What tokens ask of the sandbox.
const TOKENS: [&str; 8] = [
    "ok",
    "declined",
    "silent",
    "late",
    "twice",
    "wrong_amount",
    "poll_only",
    "refund_fails",
];

/// Where everything happens.
pub(super) struct Storm {
    pub(super) served: Served,
    pub(super) shops: Vec<Shop>,
    pub(super) seed: u64,
    /// Orders placed and orders at rest, counted together: how far the storm has come.
    pub(super) progress: AtomicU64,
}

/// What became of an order.
pub(super) struct Ended {
    pub(super) plan: Plan,
    /// The sandbox's token, where it is paid there.
    pub(super) token: Option<&'static str>,
    pub(super) order_id: String,
    pub(super) payment_id: String,
    pub(super) found: Found,
    /// Pieces that went back onto the shelf after they had gone out.
    pub(super) restocked: u32,
}

/// One order on its way.
struct Journey {
    storm: Arc<Storm>,
    plan: Plan,
    chance: Chance,
    order_id: String,
    payment_id: String,
    token: Option<&'static str>,
    restocked: u32,
    /// The attempt by which something else was paid than was asked for.
    odd: Option<String>,
    /// What has been answered is in the log up to here.
    position: AtomicI64,
}

impl Storm {
    pub(super) async fn get(&self, path: &str) -> Answer {
        self.get_after(0, path).await
    }

    /// The same once the read model has reached a position.
    pub(super) async fn get_after(&self, position: i64, path: &str) -> Answer {
        let get = || {
            let get = self.served.request(Method::GET, path);
            get.bearer_auth(STAFF)
                .header("daybook-min-position", position)
        };
        self.served.insist(get).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        let key = Uuid::now_v7().to_string();
        let post = || {
            let request = self.served.request(Method::POST, path).bearer_auth(STAFF);
            request.header("idempotency-key", &key).json(body)
        };
        self.served.insist(post).await
    }

    /// A provider's word, said until it is heard; once by those who say everything once.
    async fn hears(&self, gateway: &str, sent: &Sent) {
        let post = || {
            let path = format!("/api/v1/webhooks/{gateway}");
            let request = self.served.request(Method::POST, &path);
            request
                .headers(sent.headers.clone())
                .body(sent.body.clone())
        };
        if gateway == "mtn-momo" {
            let _once = self.served.once(post()).await;
            return;
        }
        let heard = self.served.insist(post).await;
        assert_eq!(heard.status.as_u16(), 200, "{gateway}: {}", heard.text);
    }

    /// Somebody else's word.
    async fn hears_nothing(&self, gateway: &str, sent: &Sent) {
        let path = format!("/api/v1/webhooks/{gateway}");
        let post = || {
            let request = self.served.request(Method::POST, &path);
            request
                .headers(sent.headers.clone())
                .body(sent.body.clone())
        };
        let refused = self.served.insist(post).await;
        assert_eq!(refused.problem(401), "webhook_signature_wrong");
    }
}

/// Places an order and lets happen to it what is planned, until nothing about it moves any more.
pub(super) async fn live(storm: Arc<Storm>, mut plan: Plan) -> Result<Ended, String> {
    let mut chance = Chance::of(storm.seed, plan.number);
    let shop = &storm.shops[plan.shop];
    let is_sandbox = shop.simulator.is_none();
    let token = is_sandbox.then(|| chance.one_of(&TOKENS));
    if token == Some("refund_fails") {
        plan.must_not_be_given_back();
    }
    let order = shop.order(plan.rare, plan.quantity, token);
    let placed = storm
        .post("/api/v1/orders", &order)
        .await
        .expect(201)
        .json();
    storm.progress.fetch_add(1, Ordering::Relaxed);
    let id = |name: &str| placed[name].as_str().unwrap().to_owned();
    let (order_id, payment_id) = (id("id"), id("payment_id"));
    let mut journey = Journey {
        storm,
        plan,
        chance,
        order_id,
        payment_id,
        token,
        restocked: 0,
        odd: None,
        position: AtomicI64::new(0),
    };
    journey.is_paid().await;
    journey.meets_its_fate().await;
    let found = journey.comes_to_rest().await;
    let found =
        found.inspect_err(|_| _ = journey.storm.progress.fetch_add(1, Ordering::Relaxed))?;
    let Journey { storm, plan, order_id, payment_id, token, restocked, .. } = journey;
    storm.progress.fetch_add(1, Ordering::Relaxed);
    Ok(Ended { plan, token, order_id, payment_id, found, restocked })
}

impl Journey {
    /// A command about it, whose effect is seen from then on.
    async fn posts(&self, path: &str, body: &Value) -> Answer {
        let answer = self.storm.post(path, body).await;
        self.position
            .fetch_max(answer.position(), Ordering::Relaxed);
        answer
    }

    async fn order(&self) -> Value {
        let path = format!("/api/v1/orders/{}", self.order_id);
        loop {
            let answer = self.storm.get(&path).await;
            if answer.status.is_success() {
                return answer.json();
            }
            // It is in the log, and not in the read model yet.
            sleep(LOOK_EVERY).await;
        }
    }

    fn simulator(&self) -> Option<Arc<dyn Simulator>> {
        self.storm.shops[self.plan.shop].simulator.clone()
    }

    fn is_open(order: &Value) -> bool {
        order["status"] == "pending" || order["status"] == "processing"
    }

    /// What there is to pay, once there is something to do; nothing once the order is closed.
    async fn to_pay(&self, last: Option<&str>) -> Option<Value> {
        loop {
            if !Self::is_open(&self.order().await) {
                return None;
            }
            let path = format!("/api/v1/orders/{}/payment", self.order_id);
            let answer = self.storm.get(&path).await;
            if answer.status.is_success() {
                let to_pay = answer.json();
                let is_new = last.is_none_or(|last| to_pay["reference"] != last);
                let is_over = to_pay["status"] == "declined";
                if is_over || (is_new && to_pay["next_step"].is_object()) {
                    return Some(to_pay);
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn tries_again(&self) {
        let path = format!("/api/v1/orders/{}/payments", self.order_id);
        let token = self.token.map(|_| "ok");
        let body = self.storm.shops[self.plan.shop].payment(token);
        let started = self.posts(&path, &body).await;
        // The order may have come to its end, or the money be there, a moment before.
        assert!(matches!(started.status.as_u16(), 201 | 409), "{}", started.text);
    }

    /// The customer pays, or does not.
    async fn is_paid(&mut self) {
        let Some(simulator) = self.simulator() else {
            return self.is_paid_in_the_sandbox().await;
        };
        if self.plan.fate == Fate::CancelledBeforePaying && self.chance.happens(500) {
            self.is_cancelled().await;
        }
        let mut declined: Vec<String> = Vec::new();
        let mut tried = None;
        for _ in 0..ATTEMPTS_MAX {
            let Some(to_pay) = self.to_pay(tried.as_deref()).await else {
                break;
            };
            let reference = to_pay["reference"].as_str().unwrap().to_owned();
            if to_pay["status"] == "declined" {
                tried = Some(reference);
                self.tries_again().await;
                continue;
            }
            tried = Some(reference.clone());
            let turned_away = u64::try_from(declined.len()).unwrap();
            if turned_away < self.plan.declines {
                let how = self.chance.one_of(simulator.declines());
                simulator.customer_is_declined(&reference, how);
                self.is_told(&simulator, &reference, None).await;
                declined.push(reference);
                continue;
            }
            self.pays_for(&simulator, &reference).await;
            break;
        }
        let first = declined.first().filter(|_| self.plan.twice);
        if let Some(first) = first.filter(|_| simulator.may_pay_after_decline()) {
            // A page that was left open. Nobody asks about what was declined, so that this word
            // cannot be lost without the money being lost with it (until it is reconciled).
            simulator.customer_pays(first);
            let webhook = simulator.webhook(first);
            if simulator.name() != "mtn-momo" {
                self.storm.hears(simulator.name(), &webhook).await;
            }
        }
    }

    async fn pays_for(&mut self, simulator: &Arc<dyn Simulator>, reference: &str) {
        let total = self.order().await["total"].clone();
        let currency = self.storm.shops[self.plan.shop].price.currency;
        let total = Money::parse(total["amount"].as_str().unwrap(), currency).unwrap();
        let early = simulator.webhook(reference);
        let other = if currency.code() == "USD" {
            "EUR"
        } else {
            "USD"
        };
        let instead = match self.plan.pays {
            Pays::Never => return,
            Pays::TooLate => {
                self.is_given_up().await;
                None
            }
            Pays::Exactly | Pays::UnderAnotherName => None,
            Pays::Less => Some(Money { minor: total.minor - 1, ..total }),
            Pays::More => Some(Money { minor: total.minor + 1, ..total }),
            Pays::OtherCurrency => Some(Money { currency: other.parse().unwrap(), ..total }),
        };
        if self.plan.fate == Fate::CancelledBeforePaying {
            self.is_cancelled().await;
        }
        match instead {
            Some(instead) => simulator.customer_pays_instead(reference, instead),
            None => simulator.customer_pays(reference),
        }
        if simulator.is_over(reference) {
            // The page took nothing any more: its order was given up before.
            return;
        }
        if instead.is_some() || self.plan.pays == Pays::UnderAnotherName {
            self.odd = Some(reference.to_owned());
        }
        if self.plan.pays == Pays::UnderAnotherName {
            // Before anybody asks, as good as in one breath; its word is lost.
            simulator.confuses(reference, &books::other_name(reference));
            return;
        }
        self.is_told(simulator, reference, Some(early)).await;
    }

    /// The provider says how an attempt stands.
    async fn is_told(
        &mut self,
        simulator: &Arc<dyn Simulator>,
        reference: &str,
        early: Option<Sent>,
    ) {
        let (name, storm) = (simulator.name(), Arc::clone(&self.storm));
        let now = simulator.webhook(reference);
        match self.plan.word {
            Word::Lost => {}
            Word::Once => storm.hears(name, &now).await,
            Word::Thrice => {
                tokio::join!(
                    storm.hears(name, &now),
                    storm.hears(name, &now),
                    storm.hears(name, &now)
                );
            }
            Word::EarlyToo => {
                if let Some(early) = early {
                    storm.hears(name, &early).await;
                }
                storm.hears(name, &now).await;
            }
            Word::OutOfOrder => {
                storm.hears(name, &now).await;
                if let Some(early) = early {
                    storm.hears(name, &early).await;
                }
            }
            Word::AfterForged => {
                if let Some(forged) = simulator.forged_webhook(reference) {
                    storm.hears_nothing(name, &forged).await;
                }
                storm.hears(name, &now).await;
            }
            Word::Late => {
                sleep(Duration::from_millis(1_000 + self.chance.below(5_000))).await;
                storm.hears(name, &simulator.webhook(reference)).await;
            }
        }
    }

    /// There is no page: what the token says happens by itself.
    async fn is_paid_in_the_sandbox(&mut self) {
        if self.plan.fate == Fate::CancelledBeforePaying {
            self.is_cancelled().await;
        }
        if self.token != Some("declined") || self.plan.pays == Pays::Never {
            return;
        }
        if self.to_pay(Some("")).await.is_some() {
            self.tries_again().await;
        }
    }

    async fn is_given_up(&self) {
        while Self::is_open(&self.order().await) {
            sleep(LOOK_EVERY).await;
        }
    }

    async fn is_cancelled(&self) {
        let path = format!("/api/v1/orders/{}/cancel", self.order_id);
        let cancelled = self
            .posts(&path, &json!({"reason": "found it cheaper"}))
            .await;
        // It may have come to another end a moment before.
        assert!(matches!(cancelled.status.as_u16(), 200 | 409), "{}", cancelled.text);
    }

    async fn meets_its_fate(&mut self) {
        if self.token == Some("silent") || self.plan.fate == Fate::Kept {
            return;
        }
        self.is_given_up().await;
        if self.order().await["status"] != "confirmed" {
            return;
        }
        match self.plan.fate {
            Fate::Kept | Fate::CancelledBeforePaying => {}
            Fate::Completed => self.is_completed().await,
            Fate::CancelledAfterPaying => {
                self.may_fail_once().await;
                self.is_cancelled().await;
            }
            Fate::RefundedInPart(parts) => {
                let price = self.storm.shops[self.plan.shop].price;
                let tenth = Money { minor: price.minor / 10, ..price };
                let amount = json!({"amount": tenth.decimal(), "currency": price.currency.code()});
                self.may_fail_once().await;
                for _ in 0..parts {
                    let body = json!({"amount": amount, "reason": "a chip"});
                    self.is_refunded(&body).await;
                }
            }
            Fate::Refunded => {
                self.may_fail_once().await;
                self.is_refunded(&json!({"reason": "broken"})).await;
            }
            Fate::Returned => {
                self.is_completed().await;
                let shop = &self.storm.shops[self.plan.shop];
                let sku = if self.plan.rare {
                    shop.rare()
                } else {
                    shop.common()
                };
                let items = json!([{"sku": sku, "quantity": 1, "restock": true}]);
                if self.token != Some("refund_fails") {
                    let body = json!({"items": items, "reason": "returned"});
                    self.restocked = u32::from(self.is_refunded(&body).await);
                }
            }
        }
    }

    async fn is_completed(&self) {
        let path = format!("/api/v1/orders/{}/complete", self.order_id);
        let _completed = self.posts(&path, &json!({})).await.expect(200);
    }

    /// Whether it was taken on.
    async fn is_refunded(&self, body: &Value) -> bool {
        let path = format!("/api/v1/orders/{}/refunds", self.order_id);
        let refund = self.posts(&path, body).await;
        assert!(matches!(refund.status.as_u16(), 201 | 409 | 422), "{}", refund.text);
        refund.status.as_u16() == 201
    }

    /// The provider fails to give money back, once.
    async fn may_fail_once(&self) {
        let Some(simulator) = self.simulator().filter(|_| self.plan.refund_fails) else {
            return;
        };
        let path = format!("/api/v1/payments/{}", self.payment_id);
        let payment = self.storm.get(&path).await.json();
        let attempts = payment["attempts"].as_array().unwrap().clone();
        let paid = attempts.iter().find(|of| of["status"] == "captured");
        if let Some(paid) = paid.filter(|of| of["gateway"] == simulator.name()) {
            simulator.fails_a_refund_of(paid["reference"].as_str().unwrap());
        }
    }

    /// Waits until everybody's books agree, and asks once more for what could not be given back.
    async fn comes_to_rest(&self) -> Result<Found, String> {
        let deadline = Instant::now() + REST_WITHIN;
        for look in 0_u64.. {
            let position = self.position.load(Ordering::Relaxed);
            let found = books::look(&self.storm, &self.order_id, &self.payment_id, position).await;
            let disagreement = found.disagreement(&self.storm.shops);
            let unheard = self.odd.as_ref().filter(|odd| !found.is_mismatched(odd));
            let disagreement = disagreement
                .or_else(|| unheard.map(|odd| format!("nobody has heard what {odd} came to")));
            let Some(disagreement) = disagreement else {
                return Ok(found);
            };
            if deadline < Instant::now() {
                let (order_id, plan, token) = (&self.order_id, &self.plan, self.token);
                let story = self.story().await;
                return Err(format!(
                    "{order_id}: {disagreement}\n{plan:?} {token:?}\n{found:?}\n{story}"
                ));
            }
            if found.is_to_be_given_back_again() && self.token != Some("refund_fails") {
                self.is_refunded(&json!({"reason": "it failed before"}))
                    .await;
            }
            if look % 4 == 1 {
                self.speaks_of_refunds(&found).await;
            }
            sleep(LOOK_EVERY).await;
        }
        unreachable!("there are more looks than time")
    }

    /// Everything that happened to it, for whoever has to find out why it does not come to rest.
    async fn story(&self) -> String {
        let path = format!("/api/v1/orders/{}/timeline", self.order_id);
        let timeline = self.storm.get(&path).await.json();
        let items = timeline["items"].as_array().unwrap().iter();
        let told: Vec<String> = items
            .map(|item| {
                let (position, at, event) = (&item["position"], &item["at"], &item["event"]);
                format!("{position} {at} {event} {} {}", item["actor"], item["data"])
            })
            .collect();
        told.join("\n")
    }

    /// Providers say what became of refunds, where they do.
    async fn speaks_of_refunds(&self, found: &Found) {
        let Some(simulator) = self.simulator() else {
            return;
        };
        for reference in found.references_at(simulator.name()) {
            for sent in simulator.refund_webhooks(&reference) {
                self.storm.hears(simulator.name(), &sent).await;
            }
        }
    }
}
