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
use std::sync::{Arc, Mutex, MutexGuard};

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
    /// Does not know the key.
    KnowsNoKey,
    /// Does what it was asked for, and says that it does not know the key.
    ActsThenKnowsNoKey,
}

/// What the next requests meet, in this order.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<VecDeque<Fault>>>);

impl Faults {
    /// The next request meets this.
    pub fn next(&self, fault: Fault) {
        self.lock().push_back(fault);
    }

    /// No more faults.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Fault>> {
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
    /// The customer pays what is asked for.
    fn customer_pays(&self, reference: &str);
    /// The customer pays something else.
    fn customer_pays_instead(&self, reference: &str, amount: Money);
    /// The customer has not enough money, and gives up.
    fn customer_cannot_pay(&self, reference: &str);
    /// From now on it speaks of this attempt under another name.
    fn confuses(&self, reference: &str, with: &str);

    /// Whether refunds from now on are paid out in the end.
    fn refunds_work(&self, they_do: bool);
    /// Everything that was taken on is paid out, or fails.
    fn works_off_refunds(&self);
    /// How many refunds of this name were taken on.
    fn refunds_called(&self, refund_id: &str) -> usize;

    /// Its lists have at most so many entries on a page.
    fn pages_of(&self, _size: usize) {}
    /// From now on it has never heard of this payment.
    fn forgets(&self, reference: &str);

    /// What it says of its own accord about an attempt by now.
    fn webhook(&self, reference: &str) -> Sent;
    /// The same, signed by somebody who knows no secret; `None` where nobody signs.
    fn forged_webhook(&self, reference: &str) -> Option<Sent>;
}

impl dyn Simulator {
    /// The environment of a Daybook that uses it.
    pub fn environment(&self) -> Environment {
        Environment::of(self.settings())
    }
}

/// A running server; ends with it.
pub struct Server {
    /// Where it answers.
    pub url: String,
    task: JoinHandle<()>,
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
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let task = tokio::spawn(async move {
            axum::serve(listener, routes).await.expect("it serves");
        });
        Self { url, task }
    }
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
        self.task.abort();
    }
}

async fn with_faults(State(faults): State<Faults>, request: Request, next: Next) -> Response {
    let fault = faults.lock().pop_front();
    let Some(fault) = fault else {
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
            let breaks: Result<Vec<u8>, _> = Err(std::io::Error::other("to order"));
            Body::from_stream(futures::stream::iter([Ok(b"{".to_vec()), breaks])).into_response()
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
        // It repeats what it was sent, as some do.
        Fault::KnowsNoKey => {
            let said = format!("{:?} {}", request.headers(), request.uri());
            (StatusCode::UNAUTHORIZED, said).into_response()
        }
    }
}
