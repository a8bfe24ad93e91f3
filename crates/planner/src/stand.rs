//! How each broker stands: wanted and seen brought together once, so that nobody after this looks at raw input.

use std::collections::BTreeMap;

use model::action::{BrokerSpec, RestartReason};
use model::observed::{BrokerSeen, Exit, Process, Readiness};
use model::{BrokerId, ClusterIntent, Observed, Reason, Timestamp};

use crate::memory::{Memory, Past};
use crate::{certificates, reach, spec};

/// What is known of a broker at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stand<'a> {
    /// Something about it could not be read, so nothing about it is certain.
    Hidden {
        /// What could not be read.
        what: &'a str,
    },
    /// No trace of it, or a place in which no process ever ran as far as anyone knows.
    Missing,
    /// Its process ended.
    Ended {
        /// Which start.
        incarnation: &'a str,
        /// When that was noticed.
        at: Timestamp,
        /// How.
        exit: &'a Exit,
    },
    /// It runs and says that it does not serve (yet).
    NotReady {
        /// Which start.
        incarnation: &'a str,
        /// When it was started.
        since: Timestamp,
        /// What it says.
        why: &'a str,
    },
    /// It says that it serves, and the address that clients are sent to does not lead to it yet.
    Unreached {
        /// Which start.
        incarnation: &'a str,
        /// Since when.
        since: Timestamp,
        /// Whether connections are refused, or not answered at all.
        refused: bool,
    },
    /// It runs and checks its logs.
    Recovering {
        /// Which start.
        incarnation: &'a str,
        /// When it was started.
        since: Timestamp,
        /// Logs done.
        done: u64,
        /// Logs in all.
        total: u64,
    },
    /// It has its place and does not get as far as running, because of something outside of it.
    Held {
        /// Which start.
        incarnation: &'a str,
        /// When it was started.
        since: Timestamp,
        /// Why, as a code.
        reason: Reason,
        /// Why, as a sentence.
        why: &'a str,
    },
    /// It runs and does not say what it does.
    Silent {
        /// Which start.
        incarnation: &'a str,
        /// When it was started.
        since: Timestamp,
    },
    /// It serves clients.
    Ready {
        /// Which start.
        incarnation: &'a str,
    },
}

/// A broker that is wanted, or of which there is a trace.
#[derive(Clone, Debug)]
pub struct Broker<'a> {
    /// Its node id.
    pub id: BrokerId,
    /// What it is to be made from; none when it is not wanted (any more).
    pub spec: Option<BrokerSpec>,
    /// Whether it was made from something else. False when that is unknown: a doubt restarts nobody.
    pub outdated: bool,
    /// When its certificate ends, once that is to be renewed.
    pub certificate_ends: Option<Timestamp>,
    /// What is known of it.
    pub stand: Stand<'a>,
    /// It counts as serving although its address refuses connections: that was waited for long enough.
    pub refused: bool,
    /// The observation of it, if there is one.
    pub seen: Option<&'a BrokerSeen>,
}

impl<'a> Broker<'a> {
    /// The start of the process that runs, if one is known to run.
    #[must_use]
    pub fn running(&self) -> Option<&'a str> {
        match &self.stand {
            Stand::NotReady { incarnation, .. }
            | Stand::Unreached { incarnation, .. }
            | Stand::Recovering { incarnation, .. }
            | Stand::Held { incarnation, .. }
            | Stand::Silent { incarnation, .. }
            | Stand::Ready { incarnation } => Some(incarnation),
            Stand::Hidden { .. } | Stand::Missing | Stand::Ended { .. } => None,
        }
    }

    /// Why it is to be restarted.
    #[must_use]
    pub fn restart_reasons(&self) -> Vec<RestartReason> {
        let changed = self.outdated.then_some(RestartReason::SpecChanged);
        let ends = self.certificate_ends.map(|_| RestartReason::CertificateEnds);
        changed.into_iter().chain(ends).collect()
    }

    /// The address that clients are sent to, for a sentence.
    #[must_use]
    pub fn address(&self) -> String {
        let endpoint = self.seen.and_then(|seen| seen.endpoint.as_ref());
        endpoint.map_or_else(|| "its address".to_owned(), ToString::to_string)
    }

    /// Whether it serves clients.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.stand, Stand::Ready { .. })
    }
}

/// All brokers of a cluster, in order.
pub type Brokers<'a> = BTreeMap<BrokerId, Broker<'a>>;

/// Brings together what is wanted and what was seen.
#[must_use]
pub fn read<'a>(intent: &ClusterIntent, seen: &'a Observed, memory: &Memory, now: Timestamp) -> Brokers<'a> {
    let broker = |id, spec| broker(id, spec, seen, memory.brokers.get(&id), now);
    let mut brokers = Brokers::new();
    for (id, pool) in intent.brokers() {
        brokers.insert(id, broker(id, Some(spec::of(intent, id, pool))));
    }
    // What was seen although nobody wants it, and what could not be read although nothing else says that it exists.
    let hidden = seen.gaps.iter().filter_map(|gap| gap.broker);
    for id in seen.brokers.keys().copied().chain(hidden) {
        brokers.entry(id).or_insert_with(|| broker(id, None));
    }
    brokers
}

fn broker<'a>(
    id: BrokerId,
    spec: Option<BrokerSpec>,
    seen: &'a Observed,
    past: Option<&Past>,
    now: Timestamp,
) -> Broker<'a> {
    let gap = seen.gaps.iter().find(|gap| gap.broker.is_none_or(|broker| broker == id));
    let sight = seen.brokers.get(&id);
    let stand = match (gap, sight) {
        (Some(gap), _) => Stand::Hidden { what: &gap.what },
        (None, None) => Stand::Missing,
        (None, Some(sight)) => of_process(sight),
    };
    let (stand, refused) = reach::settle(stand, past, now);
    let outdated = match (&spec, sight.and_then(|sight| sight.spec.as_ref())) {
        (Some(wanted), Some(made_from)) => wanted.fingerprint() != *made_from,
        _ => false,
    };
    let certificate = sight.and_then(|sight| sight.certificate).filter(|it| certificates::is_due(*it, now));
    let certificate_ends = certificate.map(|certificate| certificate.until);
    Broker { id, spec, outdated, certificate_ends, stand, refused, seen: sight }
}

fn of_process(sight: &BrokerSeen) -> Stand<'_> {
    match &sight.process {
        Process::Absent => Stand::Missing,
        Process::Exited { incarnation, at, exit } => Stand::Ended { incarnation, at: *at, exit },
        Process::Running { incarnation, since } => {
            let since = *since;
            match &sight.readiness {
                Readiness::Ready => Stand::Ready { incarnation },
                Readiness::Recovering { done, total } => {
                    Stand::Recovering { incarnation, since, done: *done, total: *total }
                }
                Readiness::Unreached { refused } => {
                    Stand::Unreached { incarnation, since, refused: *refused }
                }
                Readiness::NotReady { why } => Stand::NotReady { incarnation, since, why },
                Readiness::Held { reason, why } => Stand::Held { incarnation, since, reason: *reason, why },
                Readiness::Unknown => Stand::Silent { incarnation, since },
            }
        }
    }
}
