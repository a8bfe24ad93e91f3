//! What can be done to a cluster. An action is complete in itself: whoever performs it needs nothing else, and
//! performing it twice does no more than performing it once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::{BrokerId, ClusterId};
use crate::intent::{Listener, Security};
use crate::size::Bytes;
use crate::version::Release;

/// Everything a substrate must know to make one broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerSpec {
    /// The cluster it belongs to.
    pub cluster: ClusterId,
    /// The cluster's name for people.
    pub cluster_name: String,
    /// Its node id.
    pub broker: BrokerId,
    /// Its pool.
    pub pool: String,
    /// The release to run.
    pub release: Release,
    /// Its storage.
    pub storage: Bytes,
    /// Ways in for clients.
    pub listeners: Vec<Listener>,
    /// Certificates (PEM) whose signature on a client certificate is accepted.
    pub client_cas: Vec<String>,
    /// Kafka's broker configuration names and their values.
    pub config: BTreeMap<String, String>,
}

impl BrokerSpec {
    /// Recognises a specification by what a running broker can only take up through a restart: two specifications
    /// with the same fingerprint need none between them.
    ///
    /// A substrate keeps it beside the broker, so it outlives releases of Penstock. A new field of the specification
    /// is therefore hashed only where it is set; otherwise an upgrade of Penstock would restart every broker there is.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        // Lengths keep neighbours apart: without them `ab`,`c` and `a`,`bc` would be one.
        let mut add = |field: &str, value: &str| {
            for part in [field, value] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        };
        add("release", &self.release.0);
        for listener in &self.listeners {
            add("listener", &listener.name);
            add(
                "security",
                match listener.security {
                    Security::MutualTls => "mutual-tls",
                },
            );
        }
        for ca in &self.client_cas {
            add("client-ca", ca);
        }
        for (key, value) in &self.config {
            add(key, value);
        }
        // Half of a SHA-256 is beyond any accident, and short enough to be read.
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Why a running broker is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RestartReason {
    /// Its specification changed.
    SpecChanged,
    /// Its certificate ends before long.
    CertificateEnds,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Make the broker's place from the specification and start it; also starts again one whose process ended.
    /// A running process is left alone, whatever it was made from.
    Start(BrokerSpec),
    /// Stop the running process gently, then start it from the specification. `incarnation` is the one that was seen:
    /// a broker that was meanwhile replaced is left alone.
    Restart {
        /// The specification to start from.
        spec: BrokerSpec,
        /// The start that is to be ended.
        incarnation: String,
        /// Why.
        why: Vec<RestartReason>,
    },
    /// Stop the running process gently and keep its data.
    Stop {
        /// Whom.
        broker: BrokerId,
        /// The start that is to be ended.
        incarnation: String,
        /// Refuse if the broker checks its logs at that moment. Not set only where its data is to be deleted anyway.
        spare_recovery: bool,
    },
    /// Delete the broker's place, data included. Its process must have ended.
    RemoveBroker {
        /// Whom.
        broker: BrokerId,
    },
    /// Delete what is left of the cluster when its brokers are gone.
    RemoveRest,
}

impl Action {
    /// The broker that it touches; none when it touches the cluster as a whole.
    #[must_use]
    pub fn broker(&self) -> Option<BrokerId> {
        match self {
            Action::Start(spec) | Action::Restart { spec, .. } => Some(spec.broker),
            Action::Stop { broker, .. } | Action::RemoveBroker { broker } => Some(*broker),
            Action::RemoveRest => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> BrokerSpec {
        BrokerSpec {
            cluster: ClusterId(uuid::Uuid::nil()),
            cluster_name: "orders".to_owned(),
            broker: BrokerId(0),
            pool: "brokers".to_owned(),
            release: Release("1.0.0".to_owned()),
            storage: Bytes::gib(4),
            listeners: vec![Listener { name: "SSL".to_owned(), security: Security::MutualTls }],
            client_cas: vec!["a certificate".to_owned()],
            config: BTreeMap::from([("num.partitions".to_owned(), "8".to_owned())]),
        }
    }

    /// Brokers that run now were started with this value beside them. A change of it restarts every one of them.
    #[test]
    fn the_fingerprint_stays_what_it_was() {
        assert_eq!(spec().fingerprint(), "e04b26fb6d643b617520f30bd6c2f5ef");
    }

    #[test]
    fn only_what_needs_a_restart_changes_it() {
        let renamed = BrokerSpec { cluster_name: "sales".to_owned(), storage: Bytes::gib(8), ..spec() };
        assert_eq!(renamed.fingerprint(), spec().fingerprint());
        let upgraded = BrokerSpec { release: Release("1.0.1".to_owned()), ..spec() };
        assert_ne!(upgraded.fingerprint(), spec().fingerprint());
        let reconfigured = BrokerSpec { config: BTreeMap::new(), ..spec() };
        assert_ne!(reconfigured.fingerprint(), spec().fingerprint());
    }

    #[test]
    fn neighbours_do_not_run_together() {
        let one = BrokerSpec { client_cas: vec!["ab".to_owned(), "c".to_owned()], ..spec() };
        let other = BrokerSpec { client_cas: vec!["a".to_owned(), "bc".to_owned()], ..spec() };
        assert_ne!(one.fingerprint(), other.fingerprint());
    }
}
