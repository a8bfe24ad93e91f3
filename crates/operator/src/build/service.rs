//! Addresses: one service for each broker, and one at which clients inside Kubernetes start.

use crd::labels;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use model::BrokerId;

use super::{CLIENT_PORT, owned};
use crate::valid::Valid;

/// Where clients inside Kubernetes start: any broker that serves.
#[must_use]
pub fn bootstrap(valid: &Valid) -> Service {
    Service {
        metadata: owned(valid, labels::bootstrap_name(valid.name()), valid.labels()),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(valid.selector()),
            ports: Some(vec![port(None)]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// One broker's own address, on every node under one port. `node_port` is the port that it had before, which clients
/// keep: without one, Kubernetes chooses.
#[must_use]
pub fn broker(valid: &Valid, broker: BrokerId, pool: &str, node_port: Option<u16>) -> Service {
    Service {
        metadata: owned(valid, labels::broker_name(valid.name(), broker), valid.broker_labels(broker, pool)),
        spec: Some(ServiceSpec {
            type_: Some("NodePort".to_owned()),
            selector: Some(valid.broker_selector(broker)),
            ports: Some(vec![port(node_port)]),
            // Whether a broker serves is for its clients to find out: a probe that is a second late must not cut off
            // those whom the broker itself accepts.
            publish_not_ready_addresses: Some(true),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// The port on every node under which a broker's service is reached, once Kubernetes chose it.
#[must_use]
pub fn node_port(service: &Service) -> Option<u16> {
    let ports = service.spec.as_ref()?.ports.as_ref()?;
    ports.first()?.node_port.and_then(|port| u16::try_from(port).ok())
}

fn port(node_port: Option<u16>) -> ServicePort {
    ServicePort {
        name: Some("kafka".to_owned()),
        protocol: Some("TCP".to_owned()),
        port: i32::from(CLIENT_PORT),
        target_port: Some(IntOrString::Int(i32::from(CLIENT_PORT))),
        node_port: node_port.map(i32::from),
        ..ServicePort::default()
    }
}
