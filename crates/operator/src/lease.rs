//! One operator at a time: a lease that its holder renews.
//!
//! Losing it ends the process: whatever it was about to do might be done by the next holder at the same moment, and a
//! new process begins with a clean memory. Times of other machines are never compared with ours: a lease counts as
//! abandoned when *we* have seen it unchanged for as long as it lasts.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff;
use kube::api::PostParams;
use kube::{Api, Client};
use model::Timestamp;
use thiserror::Error;

/// How long a lease lasts without being renewed: how long clusters are without an operator after a machine was lost.
/// Their brokers serve meanwhile.
pub const LASTS: Duration = Duration::from_secs(15);

/// How often it is renewed.
pub const RENEWED_EVERY: Duration = Duration::from_secs(5);

/// The holder gives up this long before others may take over, so that what it has just asked for is done by then.
pub const MARGIN: Duration = Duration::from_secs(3);

/// How often somebody who waits for the lease looks.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);

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
    #[error("the lease {lease} could not be renewed in time")]
    Expired {
        /// Which lease.
        lease: String,
        /// What went wrong last.
        #[source]
        source: kube::Error,
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
    pub since: Timestamp,
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
pub fn judge(lease: &Lease, identity: &str, before: Option<&Look>, now: Timestamp) -> Verdict {
    let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
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
        Some(before) if now.since(before.since) >= lasts => Verdict::Take,
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
    pub async fn acquire(&self, now: impl Fn() -> Timestamp) -> Lease {
        let mut look: Option<Look> = None;
        let mut failing = false;
        loop {
            match self.attempt(&mut look, now()).await {
                Ok(Some(lease)) => return lease,
                Ok(None) => failing = false,
                Err(error) => {
                    if !failing {
                        tracing::warn!("the lease {} cannot be had: {error}", self.name);
                    }
                    failing = true;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Looks once, and takes the lease if that is right.
    ///
    /// # Errors
    /// If the server could not be asked. That somebody else was faster is none.
    pub async fn attempt(
        &self,
        look: &mut Option<Look>,
        now: Timestamp,
    ) -> Result<Option<Lease>, kube::Error> {
        let Some(lease) = self.api.get_opt(&self.name).await? else {
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            let lease = self.held(&Lease { metadata, spec: None }, now);
            return unless_conflict(self.api.create(&PostParams::default(), &lease).await);
        };
        match judge(&lease, &self.identity, look.as_ref(), now) {
            Verdict::Wait(seen) => {
                *look = Some(seen);
                Ok(None)
            }
            // Replacing names the version that was read: of two who try, one succeeds.
            Verdict::Take => {
                let wanted = self.held(&lease, now);
                unless_conflict(self.api.replace(&self.name, &PostParams::default(), &wanted).await)
            }
        }
    }

    /// Renews the lease until it is lost.
    pub async fn keep(&self, mut lease: Lease, now: impl Fn() -> Timestamp) -> Lost {
        let mut renewed_at = now();
        loop {
            tokio::time::sleep(RENEWED_EVERY).await;
            let patience = LASTS.saturating_sub(MARGIN);
            let wanted = self.held(&lease, now());
            let replaced = self.api.replace(&self.name, &PostParams::default(), &wanted).await;
            let failure = match replaced {
                Ok(renewed) => {
                    lease = renewed;
                    renewed_at = now();
                    continue;
                }
                Err(error) => error,
            };
            // Somebody wrote it. If it is still ours (a person added a label), we go on from what there is.
            if let Ok(Some(there)) = self.api.get_opt(&self.name).await {
                let holder =
                    there.spec.as_ref().and_then(|spec| spec.holder_identity.clone()).unwrap_or_default();
                if holder != self.identity && !holder.is_empty() {
                    return Lost::Taken { lease: self.name.clone(), holder };
                }
                lease = there;
            }
            if now().since(renewed_at) >= patience {
                return Lost::Expired { lease: self.name.clone(), source: failure };
            }
        }
    }

    /// Gives the lease up, so that the next one need not wait.
    pub async fn release(&self) {
        let Ok(Some(mut lease)) = self.api.get_opt(&self.name).await else { return };
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
        if holder.as_deref() != Some(self.identity.as_str()) {
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

fn unless_conflict(outcome: Result<Lease, kube::Error>) -> Result<Option<Lease>, kube::Error> {
    match outcome {
        Ok(lease) => Ok(Some(lease)),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str, version: &str) -> Lease {
        Lease {
            metadata: ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: Some(15),
                ..LeaseSpec::default()
            }),
        }
    }

    #[test]
    fn a_lease_is_taken_when_it_was_seen_unchanged_for_as_long_as_it_lasts() {
        let wait = judge(&lease("other", "1"), "me", None, Timestamp(0));
        let Verdict::Wait(look) = wait else { panic!("{wait:?}") };
        assert!(matches!(
            judge(&lease("other", "1"), "me", Some(&look), Timestamp(14_999)),
            Verdict::Wait(_)
        ));
        assert_eq!(judge(&lease("other", "1"), "me", Some(&look), Timestamp(15_000)), Verdict::Take);
        let renewed = judge(&lease("other", "2"), "me", Some(&look), Timestamp(15_000));
        assert_eq!(
            renewed,
            Verdict::Wait(Look { resource_version: Some("2".to_owned()), since: Timestamp(15_000) })
        );
    }

    #[test]
    fn ones_own_and_a_free_one_are_taken_at_once() {
        assert_eq!(judge(&lease("me", "1"), "me", None, Timestamp(0)), Verdict::Take);
        assert_eq!(judge(&lease("", "1"), "me", None, Timestamp(0)), Verdict::Take);
    }
}
