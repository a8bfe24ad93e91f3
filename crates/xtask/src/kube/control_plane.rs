//! What runs once a cluster, on this machine itself: etcd, the API server, and those that talk to it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use super::place::{self, HOST, NODES, RUN, SERVER, SERVER_AS_A_SERVICE, SERVICES};
use super::wait::Daemon;
use crate::run;

/// For everybody but etcd unreachable, and etcd needs no certificates so.
const ETCD: &str = "http://127.0.0.1:12379";
const ETCD_PEERS: &str = "http://127.0.0.1:12380";

/// Answers 200 once the DNS has seen all Services.
const DNS_READY: &str = "127.0.0.1:18181";

/// The API server takes 4 to 8 s on two cores; with both busy compiling it was 20.
const SERVER_LIMIT: Duration = Duration::from_secs(120);

/// A second or two after the API server.
const DNS_LIMIT: Duration = Duration::from_secs(60);

/// As above: the controllers make the default account of a namespace once they run.
const CONTROLLERS_LIMIT: Duration = Duration::from_secs(60);

/// Objects that a distribution would bring.
///
/// The nodes' rights: the authorizer made for nodes learns of a new pod by a watch, sometimes too late, and a kubelet
/// that was refused its volume waits 10 s and more before it asks again. A role knows no such delay; what a node may
/// *write* is still checked by admission.
const OBJECTS: &str = "
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local, annotations: {storageclass.kubernetes.io/is-default-class: 'true'}}
provisioner: penstock.dev/directory
volumeBindingMode: WaitForFirstConsumer
reclaimPolicy: Delete
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: penstock-test-nodes}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:node}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: system:nodes}]
";

/// The control plane, with the one program that all of its parts are.
pub(super) struct ControlPlane<'a> {
    testcluster: &'a Path,
    server: Daemon,
}

impl<'a> ControlPlane<'a> {
    /// Writes certificates and kubeconfigs into the cluster's directory.
    pub(super) fn certificates(testcluster: &Path) -> anyhow::Result<()> {
        let mut command = Command::new(testcluster);
        command.arg("certificates").arg(place::pki()).args([SERVER, SERVER_AS_A_SERVICE]);
        command.args(NODES.iter().map(|node| format!("{}={}", node.name(), node.address())));
        run::output(&mut command).map(drop)
    }

    /// Starts etcd and the API server; they are not ready yet.
    pub(super) fn start(testcluster: &'a Path) -> anyhow::Result<ControlPlane<'a>> {
        let mut etcd = Command::new(testcluster);
        etcd.arg("etcd").arg(Path::new(RUN).join("etcd")).args([ETCD, ETCD_PEERS]);
        start("etcd", &etcd)?;
        let server = start("kube-apiserver", &api_server(testcluster))?;
        Ok(ControlPlane { testcluster, server })
    }

    /// Waits for the API server and starts what needs it. Not before: a controller manager that finds no server waits
    /// 5 s before it looks again.
    pub(super) fn complete(&self) -> anyhow::Result<()> {
        self.server.until("the API server is ready", SERVER_LIMIT, || {
            run::output(&mut self.kubectl(&["get", "--raw", "/readyz"])).is_ok()
        })?;
        self.apply(OBJECTS)?;

        let controllers = start("kube-controller-manager", &controllers(self.testcluster))?;
        let mut scheduler = Command::new(self.testcluster);
        scheduler.args(["kube-scheduler", "--leader-elect=false", "--secure-port=0"]);
        start(
            "kube-scheduler",
            scheduler.arg("--kubeconfig").arg(place::pki().join("kube-scheduler.kubeconfig")),
        )?;
        let mut volumes = Command::new(self.testcluster);
        start("volumes", volumes.arg("volumes").arg(place::pki().join("volumes.kubeconfig")).arg(RUN))?;
        let dns = start("dns", Command::new(self.testcluster).args(["dns", "-conf"]).arg(write_corefile()?))?;

        dns.until("the DNS is ready", DNS_LIMIT, || answers_ok(DNS_READY, "/ready"))?;
        controllers.until("the controllers are ready", CONTROLLERS_LIMIT, || {
            run::output(&mut self.kubectl(&["get", "serviceaccount", "default", "--output", "name"])).is_ok()
        })
    }

    fn kubectl(&self, words: &[&str]) -> Command {
        kubectl(self.testcluster, words)
    }

    fn apply(&self, objects: &str) -> anyhow::Result<()> {
        let file = Path::new(RUN).join("objects.yaml");
        std::fs::write(&file, objects).with_context(|| format!("write {}", file.display()))?;
        run::output(self.kubectl(&["apply", "--filename"]).arg(&file)).map(drop)
    }
}

/// kubectl with all rights.
pub(super) fn kubectl(testcluster: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(testcluster);
    command.arg("kubectl").arg("--kubeconfig").arg(place::kubeconfig()).args(words);
    command
}

fn api_server(testcluster: &Path) -> Command {
    let mut command = Command::new(testcluster);
    command.arg("kube-apiserver");
    // Not on 127.0.0.1: this address is what the Service `kubernetes` leads pods to.
    command.args([format!("--bind-address={HOST}"), format!("--advertise-address={HOST}")]);
    command.args([format!("--etcd-servers={ETCD}"), format!("--service-cluster-ip-range={SERVICES}")]);
    command.args([
        "--secure-port=6443",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        // A lost node's pods are given up within seconds, not minutes: tests wait for it.
        "--default-not-ready-toleration-seconds=5",
        "--default-unreachable-toleration-seconds=5",
    ]);
    for (flag, name) in [
        ("tls-cert-file", "apiserver.crt"),
        ("tls-private-key-file", "apiserver.key"),
        ("client-ca-file", "ca.crt"),
        ("kubelet-client-certificate", "apiserver-kubelet.crt"),
        ("kubelet-client-key", "apiserver-kubelet.key"),
        ("kubelet-certificate-authority", "ca.crt"),
        ("requestheader-client-ca-file", "ca.crt"),
        ("proxy-client-cert-file", "front-proxy.crt"),
        ("proxy-client-key-file", "front-proxy.key"),
        ("service-account-key-file", "sa.key"),
        ("service-account-signing-key-file", "sa.key"),
    ] {
        command.arg(file_flag(flag, name));
    }
    command
}

fn controllers(testcluster: &Path) -> Command {
    let mut command = Command::new(testcluster);
    command.args([
        "kube-controller-manager",
        "--leader-elect=false",
        "--secure-port=0",
        "--allocate-node-cidrs=false",
        "--use-service-account-credentials",
        // With the defaults (20 requests a second) each of its controllers gets its account so late that it starts
        // after 5 s.
        "--kube-api-qps=300",
        "--kube-api-burst=600",
        // A lost node is seen after 8 s instead of 40.
        "--node-monitor-period=1s",
        "--node-monitor-grace-period=8s",
    ]);
    for (flag, name) in [
        ("kubeconfig", "kube-controller-manager.kubeconfig"),
        ("service-account-private-key-file", "sa.key"),
        ("root-ca-file", "ca.crt"),
        ("cluster-signing-cert-file", "ca.crt"),
        ("cluster-signing-key-file", "ca.key"),
    ] {
        command.arg(file_flag(flag, name));
    }
    command
}

fn file_flag(flag: &str, name: &str) -> String {
    format!("--{flag}={}", place::pki().join(name).display())
}

fn write_corefile() -> anyhow::Result<PathBuf> {
    let kubeconfig = place::pki().join("dns.kubeconfig");
    let text = format!(
        ".:53 {{\n  bind {HOST}\n  errors\n  ready {DNS_READY}\n  cache 2\n  loadbalance\n  \
         kubernetes cluster.local in-addr.arpa {{\n    kubeconfig {} penstock-test\n    pods insecure\n    ttl 2\n  \
         }}\n}}\n",
        kubeconfig.display()
    );
    let path = Path::new(RUN).join("Corefile");
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

/// Starts a program that goes on running after this one, in a session of its own, with its output in `RUN/NAME.log`.
/// `NAME.pid` and `NAME.start` (one argument a line) are for those who kill it and want it back.
pub(super) fn start(name: &str, command: &Command) -> anyhow::Result<Daemon> {
    start_in(Path::new(RUN), name, command)
}

/// As [`start`], in another directory.
pub(super) fn start_in(dir: &Path, name: &str, command: &Command) -> anyhow::Result<Daemon> {
    let log = dir.join(format!("{name}.log"));
    let output = std::fs::OpenOptions::new().create(true).append(true).open(&log);
    let output = output.with_context(|| format!("open {}", log.display()))?;
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    let text: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    std::fs::write(dir.join(format!("{name}.start")), text.join("\n") + "\n")?;
    // It becomes the program without a fork, since it does not lead a process group: the id stays.
    let mut session = Command::new("setsid");
    session.args(words).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let child = session.spawn().with_context(|| format!("start {name}"))?;
    let pid = child.id();
    std::fs::write(dir.join(format!("{name}.pid")), format!("{pid}\n"))?;
    Ok(Daemon { pid, log })
}

/// Whether a plain HTTP server answers 200.
fn answers_ok(address: &str, path: &str) -> bool {
    use std::io::{Read as _, Write as _};
    const PATIENCE: Duration = Duration::from_secs(2);
    let ask = || -> std::io::Result<[u8; 12]> {
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status)
    };
    ask().is_ok_and(|status| status.ends_with(b" 200"))
}
