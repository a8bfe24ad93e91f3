//! A broker's configuration file, as a config map.

use std::collections::BTreeMap;

use crd::labels;
use k8s_openapi::api::core::v1::ConfigMap;
use model::action::BrokerSpec;

use super::{ADMIN_PORT, CLIENT_PORT, owned, pod};
use crate::valid::Valid;

/// Name of the file with the settings.
pub const PROPERTIES: &str = "server.properties";

/// Name of the file with the authorities of clients.
pub const CLIENT_CAS: &str = "clients-ca.pem";

/// The config map of a broker whose service has this port on every node.
#[must_use]
pub fn build(valid: &Valid, spec: &BrokerSpec, node_port: u16) -> ConfigMap {
    let data = BTreeMap::from([
        (PROPERTIES.to_owned(), properties(spec, node_port)),
        (CLIENT_CAS.to_owned(), spec.client_cas.concat()),
    ]);
    let name = labels::broker_name(valid.name(), spec.broker);
    ConfigMap {
        metadata: owned(valid, name, valid.broker_labels(spec.broker, &spec.pool)),
        data: Some(data),
        ..ConfigMap::default()
    }
}

/// The settings. What the cluster's own settings say about one that is ours to choose is left out.
///
/// Clients are sent to the machine that the pod runs on, which only the pod itself knows when it starts.
fn properties(spec: &BrokerSpec, node_port: u16) -> String {
    let ours = [
        ("node.id", spec.broker.to_string()),
        ("cluster.id", spec.cluster.kafka_form()),
        ("log.dirs", pod::DATA_DIR.to_owned()),
        ("listeners", format!("SSL://:{CLIENT_PORT}")),
        ("advertised.listeners", format!("SSL://${{env:{}}}:{node_port}", pod::HOST_IP)),
        ("ssl.keystore.location", format!("{}/{}", pod::IDENTITY_DIR, super::secret::IDENTITY)),
        ("ssl.truststore.location", format!("{}/{CLIENT_CAS}", pod::CONFIG_DIR)),
        ("ssl.client.auth", "required".to_owned()),
        ("penstock.admin.listener", format!("0.0.0.0:{ADMIN_PORT}")),
        ("penstock.instance", format!("${{env:{}}}", pod::POD_UID)),
    ];
    let wanted = spec.config.iter().filter(|(key, _)| !ours.iter().any(|(our, _)| our == key));
    let mut text = format!("# Broker {} of cluster {}.\n", spec.broker, spec.cluster_name);
    for (key, value) in &ours {
        text.push_str(&format!("{key}={value}\n"));
    }
    for (key, value) in wanted {
        text.push_str(&format!("{key}={value}\n"));
    }
    text
}
