//! One operator at a time: a lease that its holder renews.
//!
//! Losing it ends the process: whatever it was about to do might be done by the next holder at the same moment, and a
//! new process begins with a clean memory. Times of other machines are never compared with ours: a lease counts as
//! abandoned when *we* have seen it unchanged for as long as it lasts. How long is measured by a clock that nobody sets;
//! the times in the lease are for people.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff;
use kube::api::PostParams;
use kube::{Api, Client};
use model::Timestamp;
use thiserror::Error;
use tokio::time::Instant;

use crate::error::chain;

/// How long a lease lasts without being renewed: how long clusters are without an operator after a machine was lost.
/// Their brokers serve meanwhile.
pub const LASTS: Duration = Duration::from_secs(15);

/// How often it is renewed.
pub const RENEWED_EVERY: Duration = Duration::from_secs(5);

/// The holder gives up this long before others may take over, so that what it has just asked for is done by then.
pub const MARGIN: Duration = Duration::from_secs(3);

/// How often somebody who waits for the lease looks.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Pause before a renewal that failed is tried again. Several tries fit into what is left of the lease.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long the server may take to answer. It takes milliseconds; one try that hangs must leave time for another.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// The lease is not ours any more.
#[derive(Debug, Error)]
pub enum Lost {
    /// Somebody else holds it.
    #[error("the lease {lease} is held by {holder} now")]
    Taken {
        /// Which lease.
        lease: String,
        /// By whom.
        holder: String,
    },
    /// It could not be renewed for so long that somebody else may hold it soon.
    #[error("the lease {lease} could not be renewed in time: {why}")]
    Expired {
        /// Which lease.
        lease: String,
        /// What went wrong last.
        why: String,
    },
}

/// A lease, from the point of view of one who wants it.
#[derive(Clone)]
pub struct Contender {
    api: Api<Lease>,
    name: String,
    identity: String,
}

/// What a look at the lease showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// Its version; another one means that its holder lives.
    pub resource_version: Option<String>,
    /// Since when we see this version.
    pub since: Instant,
}

/// What to do about a lease that was read. Pure.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Nobody holds it, we do, or its holder is gone: take it.
    Take,
    /// Somebody holds it.
    Wait(Look),
}

/// Judges a lease.
#[must_use]
pub fn judge(lease: &Lease, identity: &str, before: Option<&Look>, now: Instant) -> Verdict {
    let holder = holder(lease);
    if holder.is_empty() || holder == identity {
        return Verdict::Take;
    }
    let resource_version = lease.metadata.resource_version.clone();
    let lasts = lease
        .spec
        .as_ref()
        .and_then(|spec| spec.lease_duration_seconds)
        .and_then(|it| u64::try_from(it).ok());
    let lasts = lasts.map_or(LASTS, Duration::from_secs);
    match before.filter(|before| before.resource_version == resource_version) {
        Some(before) if now.duration_since(before.since) >= lasts => Verdict::Take,
        Some(before) => Verdict::Wait(before.clone()),
        None => Verdict::Wait(Look { resource_version, since: now }),
    }
}

impl Contender {
    /// Contends for a lease in a namespace. `identity` is different for every process that ever ran.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str) -> Contender {
        Contender {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
        }
    }

    /// Waits until the lease is ours. `now` reads the clock.
    pub async fn acquire(&self, now: impl Fn() -> Timestamp) -> Held {
        let mut look: Option<Look> = None;
        let mut failing = false;
        loop {
            let since = Instant::now();
            match in_time(self.attempt(&mut look, now())).await {
                Ok(Some(lease)) => return Held { lease, since },
                Ok(None) => failing = false,
                Err(why) => {
                    if !failing {
                        tracing::warn!("the lease {} cannot be had: {why}", self.name);
                    }
                    failing = true;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Looks once, and takes the lease if that is right. That somebody else was faster is no failure.
    async fn attempt(&self, look: &mut Option<Look>, now: Timestamp) -> Result<Option<Lease>, kube::Error> {
        let Some(lease) = self.api.get_opt(&self.name).await? else {
            return unless_conflict(self.create(now).await);
        };
        match judge(&lease, &self.identity, look.as_ref(), Instant::now()) {
            Verdict::Wait(seen) => {
                *look = Some(seen);
                Ok(None)
            }
            // Replacing names the version that was read: of two who try, one succeeds.
            Verdict::Take => unless_conflict(self.replace(&lease, now).await),
        }
    }

    /// Renews the lease until it is lost. Returns early enough that nobody else can hold it before.
    pub async fn keep(&self, held: Held, now: impl Fn() -> Timestamp) -> Lost {
        let Held { mut lease, mut since } = held;
        loop {
            tokio::time::sleep_until(since + RENEWED_EVERY).await;
            let mut why = "the API server did not answer".to_owned();
            let renewing = self.renew(&mut lease, &mut why, &now);
            match tokio::time::timeout_at(since + (LASTS - MARGIN), renewing).await {
                Ok(Ok(renewed)) => since = renewed,
                Ok(Err(taken)) => return taken,
                Err(_) => return Lost::Expired { lease: self.name.clone(), why },
            }
        }
    }

    /// Tries to renew until that succeeds or somebody else holds the lease. Returns since when it is renewed: the moment
    /// at which that was asked for, since nobody knows when in between it was done.
    async fn renew(
        &self,
        lease: &mut Lease,
        why: &mut String,
        now: &impl Fn() -> Timestamp,
    ) -> Result<Instant, Lost> {
        loop {
            let asked = Instant::now();
            match in_time(self.replace(lease, now())).await {
                Ok(renewed) => {
                    *lease = renewed;
                    return Ok(asked);
                }
                Err(failure) => *why = failure,
            }
            match in_time(self.api.get_opt(&self.name)).await {
                Ok(Some(there)) if !matches!(holder(&there), it if it.is_empty() || it == self.identity) => {
                    let holder = holder(&there).to_owned();
                    return Err(Lost::Taken { lease: self.name.clone(), holder });
                }
                // Somebody wrote into it (a person added a label), or our own last try went through unheard.
                Ok(Some(there)) if there.metadata.resource_version != lease.metadata.resource_version => {
                    *lease = there;
                    continue;
                }
                // Somebody deleted it.
                Ok(None) => {
                    if let Ok(made) = in_time(self.create(now())).await {
                        *lease = made;
                        return Ok(asked);
                    }
                }
                Ok(Some(_)) | Err(_) => {}
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    async fn create(&self, now: Timestamp) -> Result<Lease, kube::Error> {
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
        let lease = self.held(&Lease { metadata, spec: None }, now);
        self.api.create(&PostParams::default(), &lease).await
    }

    async fn replace(&self, lease: &Lease, now: Timestamp) -> Result<Lease, kube::Error> {
        self.api.replace(&self.name, &PostParams::default(), &self.held(lease, now)).await
    }

    /// Gives the lease up, so that the next one need not wait.
    pub async fn release(&self) {
        let Ok(Some(mut lease)) = self.api.get_opt(&self.name).await else { return };
        if holder(&lease) != self.identity {
            return;
        }
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
        }
        // If that fails it runs out.
        let _ = self.api.replace(&self.name, &PostParams::default(), &lease).await;
    }

    fn held(&self, before: &Lease, now: Timestamp) -> Lease {
        let mut lease = before.clone();
        let mut spec = lease.spec.take().unwrap_or_default();
        let at = jiff::Timestamp::from_millisecond(now.0).ok().map(MicroTime);
        if spec.holder_identity.as_deref() != Some(self.identity.as_str()) {
            spec.acquire_time.clone_from(&at);
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0) + 1);
        }
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LASTS.as_secs()).ok(),
            renew_time: at,
            ..spec
        });
        lease
    }
}

/// A lease that is ours.
#[derive(Clone, Debug)]
pub struct Held {
    lease: Lease,
    since: Instant,
}

fn holder(lease: &Lease) -> &str {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
}

/// The answer to a request, or in a sentence why there is none.
async fn in_time<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, String> {
    match tokio::time::timeout(ANSWER_WITHIN, request).await {
        Ok(answer) => answer.map_err(|error| match error {
            // What the server says is a sentence; kube's own text repeats it with every field.
            kube::Error::Api(status) => status.message,
            other => chain(&other),
        }),
        Err(_) => Err(format!("the API server did not answer within {} s", ANSWER_WITHIN.as_secs())),
    }
}

fn unless_conflict(outcome: Result<Lease, kube::Error>) -> Result<Option<Lease>, kube::Error> {
    match outcome {
        Ok(lease) => Ok(Some(lease)),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
