//! What is counted about requests. Labels are bounded: the route's pattern, not the path; the status, not the error.

use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use prometheus::{HistogramVec, IntCounterVec, IntGauge};
use telemetry::Registry;
use tokio::time::Instant;

/// Counters of the API's requests.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    in_flight: IntGauge,
}

impl Metrics {
    /// Registers the counters.
    #[must_use]
    pub fn register(registry: &Registry) -> Metrics {
        Metrics {
            requests: registry.counters(
                "penstock_http_requests_total",
                "Requests answered, by route and status",
                &["method", "route", "status"],
            ),
            seconds: registry.latencies(
                "penstock_http_request_seconds",
                "Time to the head of the answer",
                &["method", "route"],
            ),
            in_flight: registry.gauge("penstock_http_requests_in_flight", "Requests being worked on"),
        }
    }
}

/// Lowers the gauge also when the caller hangs up and the handler is dropped in the middle.
struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Counts a request and writes one line about it: no headers, no query, no body, so nothing secret.
pub(crate) async fn count(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let method = known_method(&request);
    let path = request.extensions().get::<MatchedPath>().cloned();
    let route = path.as_ref().map_or("none", MatchedPath::as_str).to_owned();
    let request_id = request.extensions().get::<crate::request::id::RequestId>().cloned();
    metrics.in_flight.inc();
    let _in_flight = InFlight(metrics.in_flight.clone());
    let start = Instant::now();
    let response = next.run(request).await;
    let took: Duration = start.elapsed();
    metrics.requests.with_label_values(&[method, &route, response.status().as_str()]).inc();
    metrics.seconds.with_label_values(&[method, &route]).observe(took.as_secs_f64());
    tracing::info!(
        request.id = request_id.as_ref().map(|id| id.as_str()),
        http.method = method,
        http.route = route,
        http.status = response.status().as_u16(),
        took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "answered"
    );
    response
}

/// Methods are free text on the wire; a label is not.
fn known_method(request: &Request) -> &'static str {
    match request.method().as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
