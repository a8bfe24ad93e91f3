//! The network policy: who may talk to a broker.

use std::collections::BTreeMap;

use crd::labels;
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{ADMIN_PORT, CLIENT_PORT, owned};
use crate::valid::Valid;

/// Clients may come from anywhere, since every one shows a certificate. The admin port, which asks for none, is for the
/// operator and for the cluster's own brokers. The kubelet's probes are always let through.
#[must_use]
pub fn build(valid: &Valid) -> NetworkPolicy {
    let clients = NetworkPolicyIngressRule { from: None, ports: Some(vec![port(CLIENT_PORT)]) };
    let operator = BTreeMap::from([("app.kubernetes.io/name".to_owned(), labels::OPERATOR.to_owned())]);
    let admin = NetworkPolicyIngressRule {
        from: Some(vec![
            NetworkPolicyPeer {
                pod_selector: Some(select(valid.selector())),
                ..NetworkPolicyPeer::default()
            },
            NetworkPolicyPeer {
                // The operator lives in a namespace of its own, whose name is not ours to know.
                namespace_selector: Some(LabelSelector::default()),
                pod_selector: Some(select(operator)),
                ..NetworkPolicyPeer::default()
            },
        ]),
        ports: Some(vec![port(ADMIN_PORT)]),
    };
    NetworkPolicy {
        metadata: owned(valid, valid.name().to_owned(), valid.labels()),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(select(valid.selector())),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![clients, admin]),
            egress: None,
        }),
    }
}

fn select(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels), match_expressions: None }
}

fn port(port: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(i32::from(port))),
        protocol: Some("TCP".to_owned()),
        end_port: None,
    }
}
