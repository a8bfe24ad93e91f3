//! How long a broker that says it serves is waited for until the address that clients are sent to leads to it.
//!
//! Between clients and a broker may stand something that learns of it a moment later: on Kubernetes, each node's own
//! rules for its ports. A cluster is not called ready before such an address has led to its broker once. The wait has an
//! end, since whoever tries the address may be kept from it where clients are not.

use std::time::Duration;

use model::Timestamp;

use crate::memory::Past;
use crate::stand::Stand;

/// How long that is waited for. Nodes take up a change within a second or two, those of a large or busy Kubernetes within
/// several. Afterwards the broker counts as serving; an address that refuses is then called out, while silence may be a
/// firewall that keeps only us out, which costs this much at every start of a broker.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// Takes a broker that was not reached for long enough as one that serves. Returns also whether its address refuses.
pub(crate) fn settle<'a>(stand: Stand<'a>, past: Option<&Past>, now: Timestamp) -> (Stand<'a>, bool) {
    let Stand::Unreached { incarnation, refused, .. } = stand else { return (stand, false) };
    let since = past.and_then(|past| past.unreached_since).unwrap_or(now);
    match now.since(since) < PATIENCE {
        true => (Stand::Unreached { incarnation, since, refused }, false),
        false => (Stand::Ready { incarnation }, refused),
    }
}
