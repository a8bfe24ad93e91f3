//! What the coordinator counts. The gauges are also what the bounds are checked against, so that the number on the
//! dashboard and the number that refuses a client are one.

use prometheus::{IntCounter, IntCounterVec, IntGauge};
use telemetry::Registry;

/// Counters of the group coordinator.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Groups in memory (bound: `penstock.group.max.count`).
    pub groups: IntGauge,
    /// Members of all groups.
    pub members: IntGauge,
    /// Committed offsets of all groups.
    pub offsets: IntGauge,
    /// About how many bytes all that takes (bound: [`super::group::STATE_MAX_BYTES`]).
    pub state_bytes: IntGauge,
    /// Joins and syncs that wait for others.
    pub waiting: IntGauge,
    /// Rebalances that led to a new generation.
    pub rebalances: IntCounter,
    /// Members whose session ended without a goodbye.
    pub expired_members: IntCounter,
    /// Offsets committed.
    pub commits: IntCounter,
    /// Offsets dropped because nobody needed them for the retention time.
    pub expired_offsets: IntCounter,
    /// Requests refused because of a bound, by bound.
    pub refused: IntCounterVec,
    /// Appends to the internal topic that failed.
    pub failed_appends: IntCounter,
    /// Records found in the log that could not be understood.
    pub unreadable_records: IntCounter,
    /// How long loading took, in milliseconds.
    pub load_ms: IntGauge,
}

impl Metrics {
    /// Everything at nothing, shown by `registry`.
    #[must_use]
    pub fn new(registry: &Registry) -> Metrics {
        let gauge = |name: &str, help: &str| registry.gauge(name, help);
        let counter = |name: &str, help: &str| registry.counter(name, help);
        Metrics {
            groups: gauge("kafka_coordinator_group_groupmetadatamanager_numgroups", "Groups in memory."),
            members: gauge("penstock_groups_members", "Members of all groups."),
            offsets: gauge("kafka_coordinator_group_groupmetadatamanager_numoffsets", "Committed offsets."),
            state_bytes: gauge("penstock_groups_state_bytes", "About how much memory group state takes."),
            waiting: gauge("penstock_groups_waiting_requests", "JoinGroup and SyncGroup requests that wait."),
            rebalances: counter(
                "kafka_server_group_coordinator_metrics_group_completed_rebalance_total",
                "Rebalances that led to a new generation.",
            ),
            expired_members: counter("penstock_groups_expired_members_total", "Members whose session ended."),
            commits: counter("kafka_server_group_coordinator_metrics_offset_commit_total", "Offsets committed."),
            expired_offsets: counter(
                "kafka_server_group_coordinator_metrics_offset_expiration_total",
                "Offsets dropped after their retention.",
            ),
            refused: registry.counters(
                "penstock_groups_refused_total",
                "Group requests refused because of a bound: groups, members, member_bytes, offsets, state_bytes.",
                &["bound"],
            ),
            failed_appends: counter("penstock_groups_failed_appends_total", "Group records that were not stored."),
            unreadable_records: counter(
                "penstock_groups_unreadable_records_total",
                "Records in the log that are no group state we know.",
            ),
            load_ms: gauge("penstock_groups_load_milliseconds", "How long the last loading of group state took."),
        }
    }

    /// Counts a refusal, and says so in the log when the count has doubled: a client that keeps trying is worth a few
    /// lines, not thousands.
    pub fn refuse(&self, bound: &str) {
        let counter = self.refused.with_label_values(&[bound]);
        counter.inc();
        if counter.get().is_power_of_two() {
            tracing::warn!(
                bound,
                refused = counter.get(),
                "group requests are refused because a bound is reached: use fewer groups, members or offsets, or \
                 raise group.max.size or penstock.group.max.count"
            );
        }
    }
}
