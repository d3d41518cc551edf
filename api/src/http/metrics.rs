//! What is counted, in Prometheus' text format. Labels are bounded: routes, not paths.

use std::cell::RefCell;
use std::sync::OnceLock;
use std::time::Duration;

use axum::extract::State;
use axum::http::{Method, header};
use axum::response::IntoResponse;
use metrics::{Counter, Histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::App;
use super::answers::{REPORTED, TOLD};
use super::availability::LOOKED_UP;

const SECONDS: &str = "http_request_seconds";
/// From an answer out of memory to the longest wait for an outcome.
const SECONDS_BUCKETS: [f64; 12] = [
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];
/// How often samples are folded into the buckets; they pile up in memory until then.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The process's recorder, installed at the first call; all nodes of a process share it.
///
/// # Panics
/// Never: the list of buckets is a constant, and not empty.
pub fn recorder() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new()
                .set_buckets(&SECONDS_BUCKETS)
                .expect("the list of buckets is not empty")
                .build_recorder();
            let handle = recorder.handle();
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!("another recorder of metrics was installed; /metrics stays empty");
            }
            metrics::describe_counter!("http_requests_total", "Requests, by route and status");
            metrics::describe_counter!(
                TOLD,
                "Answers about the public catalogue, out of memory or computed: the hit rate"
            );
            metrics::describe_counter!(REPORTED, "Reports, out of memory or computed");
            metrics::describe_counter!(
                LOOKED_UP,
                "Articles whose availability memory did not hold, looked up or shared in"
            );
            metrics::describe_histogram!(SECONDS, "Seconds until the head of the answer");
            handle
        })
        .clone()
}

/// Folds samples until the server stops.
pub(crate) async fn keep_up(handle: PrometheusHandle) {
    let mut tick = tokio::time::interval(UPKEEP_EVERY);
    loop {
        tick.tick().await;
        handle.run_upkeep();
    }
}

/// Takes one request down.
pub(crate) fn count(method: &Method, route: &str, status: u16, took: Duration) {
    // Clients may make methods up; we name those that we know.
    let method = match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    };
    KINDS.with_borrow_mut(|kinds| {
        let known = kinds
            .iter()
            .position(|kind| kind.status == status && kind.method == method && kind.route == route);
        let index = known.unwrap_or_else(|| {
            kinds.push(Kind::new(method, route, status));
            kinds.len() - 1
        });
        let kind = &kinds[index];
        kind.requests.increment(1);
        kind.seconds.record(took.as_secs_f64());
        // What is asked most stands first.
        if 0 < index {
            kinds.swap(index - 1, index);
        }
    });
}

/// Requests of one method, route and status. Kept, because naming them anew costs more than
/// counting them; there are a few hundred at most, and a handful of them is asked for all the time.
struct Kind {
    method: &'static str,
    route: String,
    status: u16,
    requests: Counter,
    seconds: Histogram,
}

thread_local! {
    static KINDS: RefCell<Vec<Kind>> = const { RefCell::new(Vec::new()) };
}

impl Kind {
    fn new(method: &'static str, route: &str, status: u16) -> Self {
        let (labelled, text) = (route.to_owned(), status.to_string());
        let requests = metrics::counter!(
            "http_requests_total", "method" => method, "route" => labelled.clone(), "status" => text
        );
        let seconds = metrics::histogram!(SECONDS, "method" => method, "route" => labelled);
        Self { method, route: route.to_owned(), status, requests, seconds }
    }
}

/// Metrics
///
/// Counts and durations in Prometheus' text format.
#[utoipa::path(
    get, path = "/metrics", tag = "operation",
    responses(
        (status = 200, description = "All metrics", content_type = "text/plain", body = String)
    )
)]
pub(crate) async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let media_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (media_type, app.metrics.render())
}
