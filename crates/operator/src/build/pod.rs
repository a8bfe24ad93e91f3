//! A broker's pod.
//!
//! It is made once and never changed: what a running broker can only take up through a restart is taken up by a new
//! pod. The kubelet restarts the container when the broker ends by itself, so that a crash heals without anybody above.

use std::collections::BTreeMap;

use crd::labels;
use crd::spec::Amount;
use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EnvVar, EnvVarSource,
    HTTPGetAction, ObjectFieldSelector, PersistentVolumeClaimVolumeSource, Pod, PodAffinityTerm,
    PodAntiAffinity, PodSecurityContext, PodSpec, Probe, ResourceRequirements, SeccompProfile,
    SecretVolumeSource, SecurityContext, TopologySpreadConstraint, Volume, VolumeMount,
    WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use model::Timestamp;
use model::action::BrokerSpec;
use model::certificate::Validity;
use sha2::{Digest, Sha256};

use super::{ADMIN_PORT, CLIENT_PORT, owned};
use crate::valid::{Making, Valid};

/// Name of the container.
pub const CONTAINER: &str = "broker";

/// The environment variable with the address of the pod's machine.
pub const HOST_IP: &str = "PENSTOCK_HOST_IP";

/// The environment variable with the pod's uid, by which a broker's answers are told from those of another start.
pub const POD_UID: &str = "PENSTOCK_POD_UID";

/// Where the claim is mounted. Some file systems come with a directory of their own at the top, hence one below.
const DATA_MOUNT: &str = "/var/lib/penstock";

/// Where a broker's logs are.
pub const DATA_DIR: &str = "/var/lib/penstock/data";

/// Where its settings are.
pub const CONFIG_DIR: &str = "/etc/penstock/config";

/// Where its certificate and key are.
pub const IDENTITY_DIR: &str = "/etc/penstock/identity";

/// The user and group of brokers: no user of any machine, and the group that owns the files of the claim.
const USER: i64 = 64_738;

/// How long a broker may take to stop gently before it is killed. It gives its requests 5 s, then closes its logs.
const STOP_GRACE_SECONDS: i64 = 30;

/// What a broker gets if nobody says. It is idle with a few megabytes; its largest request is 100 MiB, and what it holds
/// of requests in all is bounded at 160 MiB.
const DEFAULT_REQUESTS: [(&str, &str); 2] = [("cpu", "50m"), ("memory", "64Mi")];
const DEFAULT_LIMITS: [(&str, &str); 1] = [("memory", "512Mi")];

/// What a pod is made from beside the broker's specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings<'a> {
    /// The image to run.
    pub image: &'a str,
    /// Kubernetes' rule for getting it.
    pub pull_policy: &'a str,
    /// The port of the broker's service on every node.
    pub node_port: u16,
    /// Certificate of the authority that signed the broker's.
    pub cluster_ca: &'a str,
    /// When the broker's certificate is valid.
    pub certificate: Validity,
}

/// Recognises what a pod was made from beside the specification: resources, port, authority. The image is left out on
/// purpose, so that an operator that knows another image for a release restarts nobody.
#[must_use]
pub fn make(making: &Making, node_port: u16, cluster_ca: &str) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    add(&node_port.to_string());
    add(cluster_ca.trim());
    // Only what was asked for: a change of our own defaults is no reason to restart anybody.
    for (kind, amounts) in
        making.resources.iter().flat_map(|it| [("request", &it.requests), ("limit", &it.limits)])
    {
        for (name, Amount(amount)) in amounts {
            add(kind);
            add(name);
            add(amount);
        }
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn period(certificate: Validity) -> String {
    format!("{}/{}", certificate.from, certificate.until)
}

/// When the certificate is valid that a pod was made with, if it says so.
#[must_use]
pub fn certificate(pod: &Pod) -> Option<Validity> {
    let (from, until) = pod.metadata.annotations.as_ref()?.get(labels::CERTIFICATE)?.split_once('/')?;
    Some(Validity { from: Timestamp::parse_rfc3339(from)?, until: Timestamp::parse_rfc3339(until)? })
}

/// The pod of a broker.
#[must_use]
pub fn build(valid: &Valid, spec: &BrokerSpec, around: &Surroundings<'_>) -> Pod {
    let name = labels::broker_name(valid.name(), spec.broker);
    let making = valid.making(&spec.pool);
    let mut metadata = owned(valid, name.clone(), valid.broker_labels(spec.broker, &spec.pool));
    metadata.annotations = Some(BTreeMap::from([
        (labels::FINGERPRINT.to_owned(), spec.fingerprint()),
        (labels::MAKE.to_owned(), make(&making, around.node_port, around.cluster_ca)),
        (labels::CERTIFICATE.to_owned(), period(around.certificate)),
        ("kubectl.kubernetes.io/default-container".to_owned(), CONTAINER.to_owned()),
    ]));
    let claim = labels::claim_name(valid.name(), valid.id(), spec.broker);
    let pod = PodSpec {
        containers: vec![container(around, &making)],
        volumes: Some(volumes(&name, claim)),
        restart_policy: Some("Always".to_owned()),
        termination_grace_period_seconds: Some(STOP_GRACE_SECONDS),
        // A broker calls no API server, and needs no variable for each service of its namespace.
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            // Only if the top does not fit yet: walking through a large volume at every start would take minutes.
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        affinity: Some(apart(valid)),
        topology_spread_constraints: Some(vec![TopologySpreadConstraint {
            max_skew: 1,
            topology_key: "topology.kubernetes.io/zone".to_owned(),
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            label_selector: Some(all(valid)),
            ..TopologySpreadConstraint::default()
        }]),
        ..PodSpec::default()
    };
    Pod { metadata, spec: Some(pod), status: None }
}

fn container(around: &Surroundings<'_>, making: &Making) -> Container {
    Container {
        name: CONTAINER.to_owned(),
        image: Some(around.image.to_owned()),
        image_pull_policy: Some(around.pull_policy.to_owned()),
        args: Some(
            ["run", "--config", &format!("{CONFIG_DIR}/{}", super::config::PROPERTIES)]
                .map(str::to_owned)
                .into(),
        ),
        env: Some(vec![field(HOST_IP, "status.hostIP"), field(POD_UID, "metadata.uid")]),
        ports: Some(vec![port("kafka", CLIENT_PORT), port("admin", ADMIN_PORT)]),
        resources: Some(resources(making)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            ..SecurityContext::default()
        }),
        // It answers while it checks its logs, so only one that hangs for a whole minute is ended.
        liveness_probe: Some(probe("/livez", 10, 6)),
        readiness_probe: Some(probe("/readyz", 2, 1)),
        // The last lines of its log say why it ended.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(vec![
            mount("data", DATA_MOUNT, false),
            mount("config", CONFIG_DIR, true),
            mount("identity", IDENTITY_DIR, true),
        ]),
        ..Container::default()
    }
}

fn volumes(name: &str, claim: String) -> Vec<Volume> {
    let config = ConfigMapVolumeSource { name: name.to_owned(), ..ConfigMapVolumeSource::default() };
    let identity = SecretVolumeSource {
        secret_name: Some(name.to_owned()),
        // Readable for the group, which is the broker's own.
        default_mode: Some(0o440),
        ..SecretVolumeSource::default()
    };
    let claim = PersistentVolumeClaimVolumeSource { claim_name: claim, read_only: None };
    vec![
        Volume { name: "data".to_owned(), persistent_volume_claim: Some(claim), ..Volume::default() },
        Volume { name: "config".to_owned(), config_map: Some(config), ..Volume::default() },
        Volume { name: "identity".to_owned(), secret: Some(identity), ..Volume::default() },
    ]
}

/// What was asked for, exactly; ours only where nothing was. Half of each would not fit together: a request may be larger
/// than our limit.
fn resources(making: &Making) -> ResourceRequirements {
    let ours = |amounts: &[(&str, &str)]| {
        amounts.iter().map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned()))).collect()
    };
    let asked = |amounts: &BTreeMap<String, Amount>| {
        amounts.iter().map(|(name, Amount(amount))| (name.clone(), Quantity(amount.clone()))).collect()
    };
    let (requests, limits) = match &making.resources {
        None => (ours(&DEFAULT_REQUESTS), ours(&DEFAULT_LIMITS)),
        Some(resources) => (asked(&resources.requests), asked(&resources.limits)),
    };
    ResourceRequirements { requests: Some(requests), limits: Some(limits), claims: None }
}

/// Brokers of one cluster rather not on one machine. A wish, not a demand: a small Kubernetes still runs them all.
fn apart(valid: &Valid) -> Affinity {
    let term = PodAffinityTerm {
        label_selector: Some(all(valid)),
        topology_key: "kubernetes.io/hostname".to_owned(),
        ..PodAffinityTerm::default()
    };
    let wish = WeightedPodAffinityTerm { weight: 100, pod_affinity_term: term };
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![wish]),
            required_during_scheduling_ignored_during_execution: None,
        }),
        ..Affinity::default()
    }
}

fn all(valid: &Valid) -> LabelSelector {
    LabelSelector { match_labels: Some(valid.selector()), match_expressions: None }
}

fn field(name: &str, path: &str) -> EnvVar {
    let field = ObjectFieldSelector { field_path: path.to_owned(), api_version: None };
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() }),
    }
}

fn port(name: &str, port: u16) -> ContainerPort {
    ContainerPort { name: Some(name.to_owned()), container_port: i32::from(port), ..ContainerPort::default() }
}

fn probe(path: &str, period_seconds: i32, failure_threshold: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::Int(i32::from(ADMIN_PORT)),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        timeout_seconds: Some(period_seconds.min(5)),
        failure_threshold: Some(failure_threshold),
        ..Probe::default()
    }
}

fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(read_only),
        ..VolumeMount::default()
    }
}
