//! Following objects: a list of everything, then a watch from there, and a new list whenever the watch has lost its
//! place. What is put up on the board is always a whole status, so nothing depends on having seen the one before.
//!
//! An object that disappears although nobody asked for its removal is *lost*: its cluster is reported as following no
//! intent, and the platform publishes it again. Its claims are still there (objects are published with `Retain`), so
//! the cluster comes back with its data.

use std::collections::BTreeMap;
use std::pin::pin;

use agent::Board;
use crd::KafkaCluster;
use futures_util::StreamExt;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, ResourceExt};
use model::{ClusterId, ClusterStatus, Timestamp};

use crate::{Metrics, Read, object, published, request};

/// Follows for ever.
pub(crate) async fn run(objects: Api<Read>, board: Board, metrics: Metrics) {
    let mut follower = Follower::new(board, metrics);
    loop {
        // The default pauses between attempts grow from 0.8 s to 30 s.
        let config = watcher::Config::default().labels(&published());
        let mut events = pin!(watch(objects.clone(), config).default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => follower.saw(event),
                Err(error) => {
                    follower.failed(&error);
                    if starts_from_the_past(&error) {
                        break;
                    }
                }
            }
        }
    }
}

/// Whether the server answered a watch with "gone" instead of telling it as an event. The watcher would ask for the same
/// version for ever; a new one lists everything first.
fn starts_from_the_past(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 410)
}

/// What is remembered of the objects.
struct Follower {
    board: Board,
    metrics: Metrics,
    /// By object name.
    known: BTreeMap<String, Known>,
    /// While everything is being listed: what was listed so far.
    listing: Option<BTreeMap<String, Known>>,
    /// Whether the watch was interrupted when it was last heard of.
    away: bool,
}

/// An object as it was seen last.
#[derive(Clone, Debug)]
struct Known {
    cluster: ClusterId,
    /// When its status was written.
    at: Timestamp,
    /// Whether it is about to be deleted by ourselves.
    removed: bool,
}

impl Follower {
    fn new(board: Board, metrics: Metrics) -> Follower {
        Follower { board, metrics, known: BTreeMap::new(), listing: None, away: false }
    }

    fn saw(&mut self, event: Event<Read>) {
        match event {
            Event::Init => {
                self.metrics.listed();
                self.listing = Some(BTreeMap::new());
                return;
            }
            Event::InitApply(read) => self.there(read, true),
            Event::InitDone => {
                if let Some(listed) = self.listing.take() {
                    let before = std::mem::replace(&mut self.known, listed);
                    for (name, gone) in before {
                        if !self.known.contains_key(&name) {
                            self.gone(&name, &gone);
                        }
                    }
                }
            }
            Event::Apply(read) => self.there(read, false),
            Event::Delete(read) => {
                let name = name_of(&read);
                if let Some(gone) = self.known.remove(&name) {
                    self.gone(&name, &gone);
                }
            }
        }
        self.metrics.followed(self.known.len());
        self.metrics.watching(true);
        if std::mem::take(&mut self.away) {
            tracing::info!("the API server answers again; statuses of clusters are current");
        }
    }

    /// An object is there, in this version.
    fn there(&mut self, read: Read, listed: bool) {
        let name = name_of(&read);
        let before = self.known.get(&name).cloned();
        let object = match read.0 {
            Ok(object) => object,
            Err(invalid) => {
                self.metrics.unreadable();
                tracing::warn!(
                    "KafkaCluster {name} cannot be read: {}; its last status stays",
                    invalid.error
                );
                // It is there all the same: whatever was known of it stays known.
                if let Some(before) = before {
                    self.remember(name, before, listed);
                }
                return;
            }
        };
        // Somebody's object with our label carries no intent.
        let Some(cluster) = cluster_of(&object) else { return };
        let said = match crd::state::read(&object) {
            Ok(said) => said.filter(|said| said.cluster == cluster),
            Err(unreadable) => {
                self.metrics.unreadable();
                tracing::warn!(cluster.id = %cluster, "{unreadable}; waiting for the operator to write it anew");
                None
            }
        };
        let at = said.as_ref().map_or(Timestamp(0), |said| said.at);
        let removed = object::is_removed(&object, said.as_ref());
        self.remember(name, Known { cluster, at, removed }, listed);
        if let Some(said) = said {
            self.board.post(said);
        }
    }

    fn remember(&mut self, name: String, known: Known, listed: bool) {
        match &mut self.listing {
            Some(listing) if listed => listing.insert(name, known),
            _ => self.known.insert(name, known),
        };
    }

    /// An object is not there any more.
    fn gone(&self, name: &str, gone: &Known) {
        if gone.removed {
            self.board.remove(gone.cluster);
            return;
        }
        tracing::info!(
            cluster.id = %gone.cluster,
            "KafkaCluster {name} was deleted, and not by the platform; it is to be published again"
        );
        self.board.post(ClusterStatus::follows_nothing(gone.cluster, gone.at));
    }

    /// The watch was interrupted; the next event tells that it works again.
    fn failed(&mut self, error: &watcher::Error) {
        let (cause, sentence) = cause(error);
        self.metrics.watch_failed(cause);
        // The server forgot our place: it says so every few hours of quiet, and everything is listed again at once.
        if cause == "gone" {
            tracing::debug!("the watch of KafkaCluster objects lost its place: {sentence}");
            return;
        }
        self.metrics.watching(false);
        if !std::mem::replace(&mut self.away, true) {
            tracing::warn!(
                "KafkaCluster objects cannot be watched: {sentence}; clusters go on, their statuses here grow old until it works again"
            );
        }
    }
}

/// The cluster whose intent an object carries.
fn cluster_of(object: &KafkaCluster) -> Option<ClusterId> {
    object.spec.intent.as_ref()?;
    crd::intent::cluster_id(object).ok()
}

fn name_of(read: &Read) -> String {
    match &read.0 {
        Ok(object) => object.name_any(),
        Err(invalid) => invalid.metadata.name.clone().unwrap_or_default(),
    }
}

/// Why the watch was interrupted: as a label, and as a sentence.
fn cause(error: &watcher::Error) -> (&'static str, String) {
    let status = match error {
        watcher::Error::WatchError(status) => Some(status),
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => match error {
            kube::Error::Api(status) => Some(status),
            other => return ("unreachable", request::said(other)),
        },
        watcher::Error::NoResourceVersion => None,
    };
    match status {
        None => ("other", error.to_string()),
        Some(status) => {
            let cause = match status.code {
                410 => "gone",
                401 | 403 => "forbidden",
                404 => "absent",
                429 => "throttled",
                500.. => "server",
                _ => "other",
            };
            (cause, status.message.clone())
        }
    }
}
