//! Payment providers of our own: each an HTTP server that behaves as the provider's documentation
//! says, signatures included, with faults to order.

pub mod flutterwave;
pub mod flutterwave_v4;
mod lists;
pub mod mtn_momo;
pub mod paystack;
pub mod sslcommerz;
pub mod stripe;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use domain::money::Money;
use domain::placing::PaymentMethod;
use gateways::settings::Environment;
use gateways::webhook::HeaderMap;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::chance::Chance;

/// An answer as most providers give one.
type Reply = (StatusCode, Json<Value>);

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Says 500 and does nothing.
    Fails,
    /// Does what it was asked for, and says 500.
    ActsThenFails,
    /// Does what it was asked for, and the connection breaks.
    ActsThenBreaksOff,
    /// Does what it was asked for, and says nothing for longer than anybody waits.
    ActsThenHangs,
    /// Says something that is no answer.
    Babbles,
    /// Says 429 and does nothing.
    TurnsAway,
    /// Says 400 in the form of its refusals, in words that repeat the request, and does nothing.
    RefusesAndRepeats,
    /// Does not know the key.
    KnowsNoKey,
    /// Does what it was asked for, and says that it does not know the key.
    ActsThenKnowsNoKey,
    /// Thinks for a while, then does what it was asked for and says so.
    Delays,
    /// The connection breaks before it has done anything.
    BreaksOff,
}

/// What may go wrong with any request, the more often the more often it is named here.
const WEATHER: [Fault; 12] = [
    Fault::Fails,
    Fault::Fails,
    Fault::ActsThenFails,
    Fault::ActsThenFails,
    Fault::ActsThenBreaksOff,
    Fault::ActsThenHangs,
    Fault::Babbles,
    Fault::TurnsAway,
    Fault::KnowsNoKey,
    Fault::Delays,
    Fault::Delays,
    Fault::BreaksOff,
];
/// Longest request in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a provider thinks that takes its time.
const DELAY: Duration = Duration::from_millis(150);

/// What goes wrong with the next requests.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Sky>>);

#[derive(Default)]
struct Sky {
    /// To order, in this order.
    next: VecDeque<Fault>,
    /// By chance, so many times in a thousand.
    weather: Option<(Chance, u64)>,
    is_away: bool,
}

impl Faults {
    /// The next request meets this.
    pub fn next(&self, fault: Fault) {
        self.lock().next.push_back(fault);
    }

    /// From now on, so many requests in a thousand meet something.
    pub fn come_by_chance(&self, chance: Chance, in_a_thousand: u64) {
        self.lock().weather = Some((chance, in_a_thousand));
    }

    /// Whether everything that was ordered has happened.
    pub fn are_over(&self) -> bool {
        self.lock().next.is_empty()
    }

    /// No more faults.
    pub fn clear(&self) {
        let mut sky = self.lock();
        sky.next.clear();
        sky.weather = None;
    }

    fn draw(&self) -> Option<Fault> {
        let mut sky = self.lock();
        if sky.is_away {
            return Some(Fault::BreaksOff);
        }
        let to_order = sky.next.pop_front();
        to_order.or_else(|| {
            let (chance, in_a_thousand) = sky.weather.as_mut()?;
            let happens = chance.happens(*in_a_thousand);
            happens.then(|| chance.one_of(&WEATHER))
        })
    }

    fn lock(&self) -> MutexGuard<'_, Sky> {
        self.0.lock().expect("no test panics while it holds this")
    }
}

/// What a provider has written down: pages of a form of its own.
#[derive(Default)]
struct Books<P>(Arc<Mutex<P>>);

impl<P> Clone for Books<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P> Books<P> {
    fn lock(&self) -> MutexGuard<'_, P> {
        self.0.lock().expect("no test panics while it holds this")
    }
}

/// A webhook that a provider would send.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

/// What a provider's own books say about an attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// What came in, payment by payment.
    pub came_in: Vec<Money>,
    /// What has been paid out again, in minor units.
    pub gone_minor: i64,
    /// What was taken on and is not paid out yet, in minor units.
    pub going_minor: i64,
}

/// How a provider says no to a customer, and what we call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decline {
    /// The provider's word.
    pub theirs: &'static str,
    /// The reason in events and answers.
    pub ours: &'static str,
}

/// A provider that obeys tests.
pub trait Simulator: Send + Sync {
    /// The gateway's name.
    fn name(&self) -> &'static str;
    /// How a Daybook is told of it: its address and its credentials.
    fn settings(&self) -> Vec<(&'static str, String)>;
    /// Which of the settings are secret.
    fn secrets(&self) -> Vec<String>;
    /// What goes wrong next.
    fn faults(&self) -> &Faults;
    /// Where it is reached.
    fn server(&self) -> &Server;
    /// What is asked for in tests.
    fn price(&self) -> Money;
    /// How it is paid in tests.
    fn method(&self) -> PaymentMethod;
    /// The token that goes with it.
    fn token(&self) -> Option<&'static str> {
        None
    }

    /// How many payments can be made under this reference.
    fn asked_for(&self, reference: &str) -> usize;
    /// How much was asked for under this reference, as it was written.
    fn asked_amount(&self, reference: &str) -> String;
    /// The customer pays what is asked for.
    fn customer_pays(&self, reference: &str);
    /// The customer pays something else.
    fn customer_pays_instead(&self, reference: &str, amount: Money);
    /// The customer comes back to the page and pays a second time: what it says of that of its own
    /// accord. Nothing where a reference is paid once.
    fn customer_pays_again(&self, _reference: &str) -> Option<Sent> {
        None
    }
    /// The ways in which it says no to a customer.
    fn declines(&self) -> &'static [Decline];
    /// The customer is turned away in this way, and gives up.
    fn customer_is_declined(&self, reference: &str, how: Decline);
    /// Whether a customer who was turned away may pay all the same, under the same reference.
    fn may_pay_after_decline(&self) -> bool;
    /// Whether nobody can pay under this reference any more.
    fn is_over(&self, _reference: &str) -> bool {
        false
    }
    /// From now on it speaks of this attempt under another name.
    fn confuses(&self, reference: &str, with: &str);

    /// Whether refunds from now on are paid out in the end.
    fn refunds_work(&self, they_do: bool);
    /// Everything that was taken on is paid out, or fails.
    fn works_off_refunds(&self);
    /// Everything that was taken on and is not paid out waits for a person; false where the provider
    /// knows no such thing.
    fn refunds_wait_for_somebody(&self) -> bool {
        false
    }
    /// Nothing waits for a person any more, and nothing is paid out yet.
    fn refunds_go_on(&self) {}
    /// One refund of this attempt's money that it has not paid out yet, or else the next, fails.
    fn fails_a_refund_of(&self, reference: &str);
    /// Refunds of this attempt's money that were paid out did not arrive; false where the provider
    /// never says so.
    fn refunds_come_back(&self, _reference: &str) -> bool {
        false
    }
    /// The bank of this attempt's customer wants so much of the money back, and gets it: what the
    /// provider says then. Nothing where it does not say where the money is.
    fn charges_back(&self, _reference: &str, _minor: i64) -> Vec<Sent> {
        Vec::new()
    }
    /// That dispute was won after all, and the money is back. Nothing where that never happens.
    fn reinstates(&self, _reference: &str) -> Vec<Sent> {
        Vec::new()
    }
    /// How many refunds of this name were taken on.
    fn refunds_called(&self, refund_id: &str) -> usize;
    /// What its own books say about an attempt by now.
    fn account(&self, reference: &str) -> Account;

    /// Its lists have at most so many entries on a page.
    fn pages_of(&self, _size: usize) {}
    /// From now on it has never heard of this payment.
    fn forgets(&self, reference: &str);

    /// What it says of its own accord about an attempt by now.
    fn webhook(&self, reference: &str) -> Sent;
    /// What it says of its own accord about the refunds of an attempt, one by one; nothing where
    /// it does not speak of refunds.
    fn refund_webhooks(&self, reference: &str) -> Vec<Sent>;
    /// The same, signed by somebody who knows no secret; `None` where nobody signs.
    fn forged_webhook(&self, reference: &str) -> Option<Sent>;
}

/// Every provider's, running: one line each.
pub async fn all() -> Vec<Arc<dyn Simulator>> {
    let all: [Arc<dyn Simulator>; 6] = [
        stripe::Stripe::start().await,
        paystack::Paystack::start().await,
        flutterwave::Flutterwave::start().await,
        flutterwave_v4::FlutterwaveV4::start().await,
        mtn_momo::MtnMomo::start().await,
        sslcommerz::SslCommerz::start().await,
    ];
    all.into()
}

impl dyn Simulator {
    /// The environment of a Daybook that uses it.
    pub fn environment(&self) -> Environment {
        Environment::of(self.settings())
    }

    /// The customer has not enough money, and gives up.
    ///
    /// # Panics
    /// If it never says no.
    pub fn customer_cannot_pay(&self, reference: &str) {
        let how = self.declines().first().expect("it may say no");
        self.customer_is_declined(reference, *how);
    }
}

/// A running server; ends with it.
pub struct Server {
    /// Where it answers.
    pub url: String,
    address: SocketAddr,
    routes: Router,
    faults: Faults,
    task: Mutex<JoinHandle<()>>,
}

impl Server {
    /// Serves this, with faults to order.
    pub async fn start(routes: Router, faults: &Faults) -> Self {
        Self::start_beside(routes, faults, Router::new()).await
    }

    /// The same beside routes that have no faults.
    pub async fn start_beside(routes: Router, faults: &Faults, others: Router) -> Self {
        let routes = routes
            .layer(from_fn_with_state(faults.clone(), with_faults))
            .merge(others);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (url, faults) = (format!("http://{address}"), faults.clone());
        let task = Mutex::new(serving(listener, routes.clone()));
        Self { url, address, routes, faults, task }
    }

    /// From now on, connections are refused, and those that are open break.
    pub async fn goes_away(&self) {
        self.faults.lock().is_away = true;
        let task = std::mem::replace(&mut *self.task(), tokio::spawn(async {}));
        task.abort();
        // With the task, its listener is gone.
        let _aborted = task.await;
    }

    /// It is there again, where it was.
    pub async fn comes_back(&self) {
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                // Somebody's connection has it for the moment.
                Err(_) => tokio::time::sleep(DELAY).await,
            }
        };
        *self.task() = serving(listener, self.routes.clone());
        self.faults.lock().is_away = false;
    }

    fn task(&self) -> MutexGuard<'_, JoinHandle<()>> {
        self.task
            .lock()
            .expect("no test panics while it holds this")
    }
}

fn serving(listener: TcpListener, routes: Router) -> JoinHandle<()> {
    tokio::spawn(async move {
        axum::serve(listener, routes).await.expect("it serves");
    })
}

/// Routes for whoever shows this key; anybody else is refused in the provider's words.
fn for_key<S>(routes: Router<S>, key: &'static str, refuse: fn() -> Reply) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    routes.layer(from_fn(move |request: Request, next: Next| async move {
        let shown = request.headers().get(AUTHORIZATION);
        if shown.is_some_and(|shown| *shown == format!("Bearer {key}")) {
            next.run(request).await
        } else {
            refuse().into_response()
        }
    }))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task().abort();
    }
}

async fn with_faults(State(faults): State<Faults>, request: Request, next: Next) -> Response {
    let Some(fault) = faults.draw() else {
        return next.run(request).await;
    };
    let broken = StatusCode::INTERNAL_SERVER_ERROR;
    match fault {
        Fault::Fails => broken.into_response(),
        Fault::ActsThenFails => {
            next.run(request).await;
            broken.into_response()
        }
        Fault::ActsThenBreaksOff => {
            next.run(request).await;
            broken_off()
        }
        Fault::BreaksOff => broken_off(),
        Fault::Delays => {
            tokio::time::sleep(DELAY).await;
            next.run(request).await
        }
        Fault::ActsThenHangs => {
            next.run(request).await;
            futures::future::pending().await
        }
        Fault::Babbles => "<html>We will be back soon</html>".into_response(),
        Fault::TurnsAway => StatusCode::TOO_MANY_REQUESTS.into_response(),
        Fault::ActsThenKnowsNoKey => {
            next.run(request).await;
            StatusCode::UNAUTHORIZED.into_response()
        }
        Fault::RefusesAndRepeats => refused_and_repeated(request).await,
        // It repeats what it was sent, as some do.
        Fault::KnowsNoKey => {
            let said = format!("{:?} {}", request.headers(), request.uri());
            (StatusCode::UNAUTHORIZED, said).into_response()
        }
    }
}

/// A refusal in every provider's form at once, with everything that was sent in its words.
async fn refused_and_repeated(request: Request) -> Response {
    let sent = format!("{:?} {}", request.headers(), request.uri());
    let body = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX).await;
    let body = body.expect("a request of ours is short");
    let said = format!("not taken: {} {sent}", String::from_utf8_lossy(&body));
    let error = serde_json::json!({
        "type": "invalid_request_error", "code": "10400", "message": said,
    });
    let body = serde_json::json!({
        "status": "failed", "message": said, "failedreason": said, "errorReason": said,
        "code": "invalid_params", "error": error,
    });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

/// An answer that breaks off in the middle.
fn broken_off() -> Response {
    let breaks: Result<Vec<u8>, _> = Err(std::io::Error::other("to order"));
    Body::from_stream(futures::stream::iter([Ok(b"{".to_vec()), breaks])).into_response()
}
