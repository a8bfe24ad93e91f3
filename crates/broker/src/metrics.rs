//! What the broker counts, in one table.
//!
//! Names under `kafka_` are those which dashboards for Kafka's JMX exporter know; ours are under `penstock_`. Labels
//! have few values: never a topic, a client or a group.

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge};
use protocol::ApiKey;
use telemetry::Registry;

/// Highest API key of Kafka 4.3; handles of per-API metrics are kept in arrays indexed by key.
const KEYS: usize = 93;

/// All counters of one broker.
pub struct Metrics {
    registry: Registry,
    requests: Vec<IntCounter>,
    request_seconds: Vec<Histogram>,
    /// Records appended by producers.
    pub messages_in: IntCounter,
    /// Bytes of batches appended by producers.
    pub bytes_in: IntCounter,
    /// Bytes of batches given to consumers.
    pub bytes_out: IntCounter,
    /// Partitions of produce requests that failed.
    pub failed_produce: IntCounter,
    /// Partitions of fetch requests that failed.
    pub failed_fetch: IntCounter,
    /// Open connections.
    pub connections: IntGauge,
    /// Connections ever accepted.
    pub connections_accepted: IntCounter,
    /// Connections closed for a reason that is not the client's wish.
    pub connections_closed: IntCounterVec,
    /// Bytes of requests that were read and are not answered.
    pub request_bytes: IntGauge,
    /// How often a connection had to wait for room in that.
    pub request_bytes_waits: IntCounter,
    /// Bytes of long answers that clients have not taken yet.
    pub answer_bytes: IntGauge,
    /// Unfinished requests that made room for a client that holds less.
    pub request_bytes_displaced: IntCounter,
    /// Requests after which a connection rests because of a quota.
    pub throttled: IntCounterVec,
    /// Changes of metadata that were refused because of a bound.
    pub metadata_refused: IntCounterVec,
    /// Topics.
    pub topics: IntGauge,
    /// Partitions.
    pub partitions: IntGauge,
    /// Partitions that could not be opened or written.
    pub offline_partitions: IntGauge,
    /// Fetches that wait for records.
    pub waiting_fetches: IntGauge,
    /// Fetch sessions.
    pub fetch_sessions: IntGauge,
    /// Their partitions.
    pub fetch_session_partitions: IntGauge,
    /// Fetch sessions that made room for others.
    pub fetch_sessions_evicted: IntCounter,
    /// How long making a write durable takes.
    pub flush_seconds: Histogram,
    /// Logs that were flushed because of `flush.ms`.
    pub aged_flushes: IntCounter,
    /// How often the disk refused that.
    pub flush_failures: IntCounter,
    /// Whether writes are refused because the disk is full.
    pub disk_full: IntGauge,
    /// Requests whose handler panicked.
    pub panics: IntCounter,
    /// Logs recovered at the start, and in all.
    pub recovered_logs: IntGauge,
    /// Bytes that retention and compaction freed.
    pub freed_bytes: IntCounter,
    /// Logs compacted.
    pub compactions: IntCounter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Metrics {
        let registry = Registry::new();
        let requests: IntCounterVec = registry.counters(
            "kafka_network_requestmetrics_requests_total",
            "Requests answered, by API.",
            &["request"],
        );
        let seconds: HistogramVec = registry.latencies(
            "penstock_broker_request_seconds",
            "Time from a whole request to its answer, waits included, by API.",
            &["request"],
        );
        let name = |code: usize| {
            i16::try_from(code)
                .ok()
                .and_then(|code| ApiKey::try_from(code).ok())
                .map_or("unknown", ApiKey::name)
        };
        // Only APIs that were called show up on the page: children are made here once and looked up by index, and the
        // page is 93 APIs long with or without laziness; histograms are made for the few hot ones alone.
        let requests = (0..=KEYS).map(|code| requests.with_label_values(&[name(code)])).collect();
        let request_seconds = [ApiKey::Produce, ApiKey::Fetch]
            .iter()
            .map(|key| seconds.with_label_values(&[key.name()]))
            .chain([seconds.with_label_values(&["other"])])
            .collect();
        let counter = |name: &str, help: &str| registry.counter(name, help);
        let gauge = |name: &str, help: &str| registry.gauge(name, help);
        gauge("kafka_controller_kafkacontroller_activecontrollercount", "1 on the active controller.").set(1);
        gauge("kafka_server_replicamanager_underreplicatedpartitions", "Partitions with a replica missing.");
        Metrics {
            requests,
            request_seconds,
            messages_in: counter("kafka_server_brokertopicmetrics_messagesin_total", "Records produced."),
            bytes_in: counter("kafka_server_brokertopicmetrics_bytesin_total", "Bytes of batches produced."),
            bytes_out: counter("kafka_server_brokertopicmetrics_bytesout_total", "Bytes of batches fetched."),
            failed_produce: counter(
                "kafka_server_brokertopicmetrics_failedproducerequests_total",
                "Partitions of produce requests that failed.",
            ),
            failed_fetch: counter(
                "kafka_server_brokertopicmetrics_failedfetchrequests_total",
                "Partitions of fetch requests that failed.",
            ),
            connections: gauge("kafka_server_socket_server_metrics_connection_count", "Open connections."),
            connections_accepted: counter(
                "kafka_server_socket_server_metrics_connection_creation_total",
                "Connections ever accepted.",
            ),
            connections_closed: registry.counters(
                "penstock_broker_connections_closed_total",
                "Connections that the broker closed, by reason.",
                &["reason"],
            ),
            request_bytes: gauge(
                "penstock_broker_request_bytes",
                "Bytes of requests read and not answered (bound: queued.max.request.bytes).",
            ),
            request_bytes_waits: counter(
                "penstock_broker_request_bytes_waits_total",
                "How often a connection waited because queued.max.request.bytes was used up.",
            ),
            answer_bytes: gauge(
                "penstock_broker_answer_bytes",
                "Bytes of long answers that are being written (bound: penstock.max.answer.bytes).",
            ),
            request_bytes_displaced: counter(
                "penstock_broker_request_bytes_displaced_total",
                "Unfinished requests that lost their connection for a client that held less of queued.max.request.bytes.",
            ),
            metadata_refused: registry.counters(
                "penstock_broker_metadata_refused_total",
                "Changes refused because of a bound: partitions (penstock.max.partitions), settings, settings_bytes.",
                &["bound"],
            ),
            throttled: registry.counters(
                "penstock_broker_throttled_requests_total",
                "Requests after which a connection rested, by the quota that it was beyond.",
                &["quota"],
            ),
            topics: gauge("kafka_controller_kafkacontroller_globaltopiccount", "Topics."),
            partitions: gauge("kafka_server_replicamanager_partitioncount", "Partitions."),
            offline_partitions: gauge(
                "kafka_server_replicamanager_offlinereplicacount",
                "Partitions that could not be opened or written.",
            ),
            waiting_fetches: gauge("penstock_broker_waiting_fetches", "Fetches that wait for records."),
            fetch_sessions: gauge(
                "kafka_server_fetchsessioncache_numincrementalfetchsessions",
                "Fetch sessions remembered (bound: max.incremental.fetch.session.cache.slots).",
            ),
            fetch_session_partitions: gauge(
                "kafka_server_fetchsessioncache_numincrementalfetchpartitionscached",
                "Partitions of all fetch sessions (bound: half a million; beyond it there are no new sessions).",
            ),
            fetch_sessions_evicted: counter(
                "kafka_server_fetchsessioncache_incrementalfetchsessionevictions_total",
                "Fetch sessions that made room for others.",
            ),
            flush_seconds: registry
                .latency("penstock_broker_flush_seconds", "How long the disk takes to make a write durable."),
            aged_flushes: counter(
                "penstock_broker_aged_flushes_total",
                "Logs that were flushed because of flush.ms.",
            ),
            flush_failures: counter(
                "penstock_broker_flush_failures_total",
                "How often the disk refused to make a write durable.",
            ),
            disk_full: gauge(
                "penstock_broker_disk_full",
                "1 while writes are refused because the disk is full.",
            ),
            panics: counter("penstock_broker_panics_total", "Requests whose handler panicked: bugs of ours."),
            recovered_logs: gauge("penstock_broker_recovered_logs", "Logs recovered at the last start."),
            freed_bytes: counter(
                "penstock_broker_freed_bytes_total",
                "Bytes freed by retention and compaction.",
            ),
            compactions: counter("penstock_broker_compactions_total", "Logs compacted."),
            registry,
        }
    }

    /// Where others (the coordinator) register what they count.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Counts a request and how long it took.
    pub fn request(&self, key: ApiKey, seconds: f64) {
        let code = usize::try_from(key.code()).unwrap_or(KEYS);
        if let Some(counter) = self.requests.get(code) {
            counter.inc();
        }
        let slot = match key {
            ApiKey::Produce => 0,
            ApiKey::Fetch => 1,
            _ => 2,
        };
        if let Some(histogram) = self.request_seconds.get(slot) {
            histogram.observe(seconds);
        }
    }

    /// The page that `/metrics` serves.
    #[must_use]
    pub fn page(&self) -> String {
        self.registry.page()
    }
}
