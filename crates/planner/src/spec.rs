//! From an intent to what one broker is made from.

use model::action::BrokerSpec;
use model::intent::Pool;
use model::{BrokerId, ClusterIntent};

/// The specification of a broker of a pool.
#[must_use]
pub fn of(intent: &ClusterIntent, broker: BrokerId, pool: &Pool) -> BrokerSpec {
    BrokerSpec {
        cluster: intent.cluster,
        cluster_name: intent.name.clone(),
        broker,
        pool: pool.name.clone(),
        release: intent.release.clone(),
        storage: pool.storage,
        listeners: intent.listeners.clone(),
        client_cas: intent.client_cas.clone(),
        config: intent.config.clone(),
    }
}
