//! A node: what its programs find in its directory, and starting the process that is the machine.
//!
//! The process itself is `tests/kubernetes/node.go`. What it takes to start it again stands in `NODE/node.start`, so
//! that a test which pulled the plug can boot the machine.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::control_plane::{kubectl, start_in};
use super::place::{self, CGROUP, HOST, NODES, Node, PODS, RUN, SERVER};
use super::wait::Daemon;
use crate::run;

/// Nodes are ready a second or two after the API server; the images are imported while that starts.
const READY_LIMIT: Duration = Duration::from_secs(120);

/// Where Debian puts the plugins for pods' networks.
pub(super) const NETWORK_PLUGINS: &str = "/usr/lib/cni";

/// Writes a node's files and starts it.
pub(super) fn start(testcluster: &Path, node: Node) -> anyhow::Result<Daemon> {
    let dir = node.dir();
    std::fs::create_dir_all(dir.join("cni"))?;
    std::fs::create_dir_all("/var/lib/cni")?;
    for (file, text) in [
        ("containerd.toml", containerd(&dir)),
        ("cni/10-pods.conflist", pod_network(node)),
        ("kubelet.yaml", kubelet(node)),
        ("kube-proxy.yaml", kube_proxy(node)),
        ("resolv.conf", format!("nameserver {HOST}\n")),
    ] {
        std::fs::write(dir.join(file), text).with_context(|| format!("write {file} of {}", node.name()))?;
    }
    let kubeconfig = place::pki().join(format!("{}.kubeconfig", node.name()));
    std::fs::copy(kubeconfig, dir.join("kubeconfig"))?;

    let mut command = Command::new("nsenter");
    // Not `ip netns exec`: that mounts another /sys, without the cgroups.
    command.arg(format!("--net={}", node.namespace_file())).arg("--");
    command.args(["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child=SIGKILL"]);
    command.args(["--mount-proc", "--uts", "--ipc", "--"]);
    command.arg(testcluster).arg("node").arg("-directory").arg(&dir);
    command.args(["-name", &node.name(), "-address", &node.address(), "-zone", node.zone, "-server", SERVER]);
    command.arg("-authority").arg(place::pki().join("ca.crt")).arg("-images").arg(place::images());
    command.arg("-cgroup").arg(cgroup(node));
    start_in(&dir, "node", &command)
}

/// Waits until all of them take pods.
pub(super) fn all_ready(testcluster: &Path, nodes: &[Daemon]) -> anyhow::Result<()> {
    for (node, daemon) in NODES.iter().zip(nodes) {
        let what = format!("{} is ready (see also {}/kubelet.log)", node.name(), node.dir().display());
        daemon.until(&what, READY_LIMIT, || is_ready(testcluster, *node))?;
    }
    Ok(())
}

fn is_ready(testcluster: &Path, node: Node) -> bool {
    let ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
    let mut ask = kubectl(testcluster, &["get", "node", &node.name(), "--output", ready]);
    run::output(&mut ask).is_ok_and(|status| status == "True")
}

fn cgroup(node: Node) -> String {
    format!("/{CGROUP}/{}", node.name())
}

fn containerd(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        r#"version = 2
root = "{dir}/containerd"
state = "/run/containerd"

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
# Without CAP_SYS_RESOURCE (as in many containers) nothing may be kept from the out-of-memory killer more than its
# parent is, and runc fails in the attempt.
restrict_oom_score_adj = true
max_container_log_line_size = 65536

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{NETWORK_PLUGINS}"
conf_dir = "{dir}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
options = {{ SystemdCgroup = false }}
"#,
        pause = super::images::PAUSE
    )
}

/// A bridge in the node for its pods. The leases lie in /run, so a node that lost its power has them all free.
fn pod_network(node: Node) -> String {
    format!(
        r#"{{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {{"type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "hairpinMode": true, "ipMasq": false,
    "ipam": {{"type": "host-local", "ranges": [[{{"subnet": "{}"}}]], "dataDir": "/run/pod-addresses"}}}},
  {{"type": "portmap", "capabilities": {{"portMappings": true}}}}
]}}
"#,
        node.pods()
    )
}

fn kubelet(node: Node) -> String {
    let (pki, name, dir) = (place::pki(), node.name(), node.dir());
    let (pki, dir) = (pki.display(), dir.display());
    format!(
        "apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {{enabled: false}}
  webhook: {{enabled: true}}
  x509: {{clientCAFile: {pki}/ca.crt}}
authorization: {{mode: Webhook}}
tlsCertFile: {pki}/{name}-serving.crt
tlsPrivateKeyFile: {pki}/{name}-serving.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: {cgroup}
failCgroupV1: false
failSwapOn: false
resolvConf: {dir}/resolv.conf
clusterDomain: cluster.local
clusterDNS: [{HOST}]
podLogsDir: /var/log/pods
# A lost node is to be seen within seconds.
nodeStatusUpdateFrequency: 2s
nodeLeaseDurationSeconds: 8
syncFrequency: 10s
# Nobody could import an image again that was thrown away for its space.
imageGCHighThresholdPercent: 100
# What the machine lacks beside the cluster is no reason to throw pods out.
evictionHard: {{memory.available: 100Mi, nodefs.available: 1Gi, nodefs.inodesFree: '1000', imagefs.available: 1Gi}}
",
        cgroup = cgroup(node)
    )
}

/// The zeros leave the kernel's connection tracking as it is: its switches cannot be written in a namespace.
fn kube_proxy(node: Node) -> String {
    format!(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {{kubeconfig: {}/kube-proxy.kubeconfig}}
hostnameOverride: {}
bindAddress: {}
mode: iptables
clusterCIDR: {PODS}
detectLocalMode: ClusterCIDR
conntrack: {{maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}}
iptables: {{minSyncPeriod: 0s}}
",
        place::pki().display(),
        node.name(),
        node.address()
    )
}

/// Imports archives into all running nodes, as booting would.
pub(super) fn import(archives: &[std::path::PathBuf]) -> anyhow::Result<()> {
    for node in NODES {
        for archive in archives {
            let socket = node.dir().join("run/containerd/containerd.sock");
            let mut ctr = Command::new("ctr");
            ctr.arg("--address").arg(socket).args(["--namespace", "k8s.io", "images", "import"]).arg(archive);
            run::output(&mut ctr)
                .with_context(|| format!("import into {}; does the cluster of {RUN} run?", node.name()))?;
        }
    }
    Ok(())
}
