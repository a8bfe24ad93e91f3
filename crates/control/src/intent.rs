//! What is wanted of a cluster, from a plan: pure. The beginning of the fleet's planner, which will take over when
//! clusters are changed in waves and not only made and removed.

use std::collections::BTreeMap;

use model::intent::{Listener, Pool, RolloutPolicy, Security};
use model::{BrokerId, Bytes, ClusterId, ClusterIntent, FeatureLevel, Generation, Lifecycle, Plan, Release};

/// The first intent of a cluster of its own.
pub(crate) fn first(
    cluster: ClusterId,
    name: String,
    plan: &Plan,
    release: Release,
    feature_level: FeatureLevel,
    clients_ca: String,
) -> ClusterIntent {
    ClusterIntent {
        cluster,
        generation: Generation::FIRST,
        parent: None,
        name,
        release,
        feature_level,
        pools: vec![Pool {
            name: "brokers".to_owned(),
            brokers: (0..i32::from(plan.brokers)).map(BrokerId).collect(),
            storage: Bytes(plan.limits.data_size.0.div_ceil(u64::from(plan.brokers.max(1)))),
        }],
        listeners: vec![Listener { name: "SSL".to_owned(), security: Security::MutualTls }],
        client_cas: vec![clients_ca],
        config: config(plan),
        rollout: RolloutPolicy::default(),
        lifecycle: Lifecycle::Run,
    }
}

/// A topic exists because somebody asked the platform for it, within the limits of the plan: brokers make none by
/// themselves.
fn config(plan: &Plan) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("auto.create.topics.enable".to_owned(), "false".to_owned()),
        ("num.partitions".to_owned(), plan.topic_defaults.partitions.to_string()),
    ])
}

/// The intent that removes a cluster.
pub(crate) fn removal(current: ClusterIntent) -> ClusterIntent {
    ClusterIntent {
        generation: current.generation.next(),
        parent: Some(current.generation),
        lifecycle: Lifecycle::Remove,
        ..current
    }
}

/// The broker setting that names client certificates which are refused although their authority signed them.
const REVOKED: &str = "penstock.ssl.revoked.sha256";

/// The intent by which a cluster's brokers refuse exactly these client certificates.
pub(crate) fn revoking(current: ClusterIntent, fingerprints: &[String]) -> ClusterIntent {
    let mut config = current.config;
    config.insert(REVOKED.to_owned(), fingerprints.join(","));
    ClusterIntent {
        generation: current.generation.next(),
        parent: Some(current.generation),
        config,
        ..current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dev() -> ClusterIntent {
        let plan = model::plan::catalogue().remove(0);
        first(
            ClusterId(uuid::Uuid::nil()),
            "orders-000000".to_owned(),
            &plan,
            Release("0.0.0".to_owned()),
            FeatureLevel(1),
            "PEM".to_owned(),
        )
    }

    #[test]
    fn a_dev_cluster_is_one_broker_that_makes_no_topics_by_itself() {
        let intent = dev();
        assert_eq!(intent.brokers().map(|(id, _)| id).collect::<Vec<_>>(), [BrokerId(0)]);
        assert_eq!(intent.pools[0].storage, Bytes::gib(4));
        assert_eq!(intent.config["auto.create.topics.enable"], "false");
    }

    #[test]
    fn a_revocation_names_all_that_are_refused() {
        let after = revoking(revoking(dev(), &["aa".to_owned()]), &["aa".to_owned(), "bb".to_owned()]);
        assert_eq!((after.generation, after.parent), (Generation(3), Some(Generation(2))));
        assert_eq!(after.config[REVOKED], "aa,bb");
        assert_eq!(after.lifecycle, Lifecycle::Run);
    }

    #[test]
    fn a_removal_changes_nothing_but_the_lifecycle() {
        let before = dev();
        let after = removal(before.clone());
        assert_eq!((after.generation, after.parent), (Generation(2), Some(Generation(1))));
        assert_eq!(after.lifecycle, Lifecycle::Remove);
        assert_eq!(
            ClusterIntent { generation: before.generation, parent: None, lifecycle: Lifecycle::Run, ..after },
            before
        );
    }
}
