//! `cargo xtask kube up|down|images`: a real Kubernetes on this machine, for tests.
//!
//! etcd, API server, controllers, scheduler and DNS as plain processes, and three nodes with containerd and kubelet in
//! namespaces of their own. No container tool, registry or virtual machine. Start reading at [`up`]; [`place`] says
//! where everything lies, [`teardown`] how it goes away. `tests/kubernetes` is the Go module with the programs.
//!
//! Any other Kubernetes does for most of the tests: `PENSTOCK_TEST_KUBECONFIG` names its kubeconfig (the images must
//! be there). Only those that pull a node's plug need this one.

use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};

use control_plane::ControlPlane;
use place::NODES;
use programs::Programs;

use crate::{run, system};

mod archive;
mod control_plane;
mod images;
mod network;
mod node;
mod place;
mod programs;
mod teardown;
mod wait;

pub(crate) use images::write as write_images;
pub(crate) use programs::helm;

/// Names the environment variable with the kubeconfig of the cluster that the tests use.
pub(crate) const KUBECONFIG_VARIABLE: &str = "PENSTOCK_TEST_KUBECONFIG";

/// Names the environment variable with the path of a kubectl for it.
pub(crate) const KUBECTL_VARIABLE: &str = "PENSTOCK_TEST_KUBECTL";

/// Names the environment variable with the path of helm.
pub(crate) const HELM_VARIABLE: &str = "PENSTOCK_TEST_HELM";

/// What to do about the test cluster.
#[derive(clap::Subcommand)]
pub(crate) enum Task {
    /// Start it, with the images of our programs, and print the path of its kubeconfig.
    Up {
        /// Without those images, which have to be compiled.
        #[arg(long)]
        bare: bool,
    },
    /// End it and remove everything of it.
    Down,
    /// Build our programs' images anew and import them into its nodes.
    Images,
    /// Print the paths of kubectl and helm, for use by hand.
    Tools,
}

pub(crate) fn run(root: &Path, task: &Task) -> anyhow::Result<()> {
    match task {
        Task::Up { bare } => {
            let archives = if *bare { Vec::new() } else { images::write(root)? };
            let kubeconfig = up(root, &archives)?;
            print(&kubeconfig.display().to_string())
        }
        Task::Down => down(),
        Task::Images => node::import(&images::write(root)?),
        Task::Tools => {
            let programs = programs::cluster(root)?;
            print(&format!("{}\n{}", programs.kubectl.display(), helm()?.display()))
        }
    }
}

/// Why no cluster can run here, if so.
pub(crate) fn obstacle() -> Option<String> {
    let missing = if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        "Linux on x86_64"
    } else if !system::is_root() {
        "root"
    } else if !run::on_path("go") {
        "Go (1.24 or newer)"
    } else {
        return None;
    };
    Some(format!(
        "a Kubernetes of this machine's own needs {missing}; set {KUBECONFIG_VARIABLE} to the kubeconfig of any other"
    ))
}

/// Makes sure that everything which has to be compiled or installed is there: what takes minutes, once.
pub(crate) fn prepare(root: &Path) -> anyhow::Result<()> {
    programs::cluster(root)?;
    helm()?;
    Ok(())
}

/// kubectl in the cluster's version, for the tests.
pub(crate) fn kubectl(root: &Path) -> anyhow::Result<PathBuf> {
    Ok(programs::cluster(root)?.kubectl)
}

/// Starts the cluster and returns the path of its kubeconfig. What an earlier one left, running or not, goes first.
///
/// If it fails, everything stays as it is, to be looked at.
pub(crate) fn up(root: &Path, archives: &[PathBuf]) -> anyhow::Result<PathBuf> {
    if let Some(obstacle) = obstacle() {
        bail!("{obstacle}");
    }
    system::require(system::FOR_KUBERNETES)?;
    let programs = programs::cluster(root)?;
    let _alone = alone()?;
    if teardown::anything_there() {
        run::say("removing what an earlier cluster left");
        teardown::run().context("remove an earlier cluster")?;
    }
    start(&programs, archives).with_context(|| {
        format!(
            "the cluster did not come up; its logs are in {}; `cargo xtask kube down` removes it",
            place::RUN
        )
    })?;
    Ok(place::kubeconfig())
}

/// Ends the cluster, if there is one, and removes everything of it.
pub(crate) fn down() -> anyhow::Result<()> {
    if !teardown::anything_there() {
        return Ok(());
    }
    if !system::is_root() {
        bail!("only root can end the cluster of {}", place::RUN);
    }
    let _alone = alone()?;
    teardown::run()
}

/// In the order in which they need each other. The nodes boot and import their images while the API server starts.
fn start(programs: &Programs, archives: &[PathBuf]) -> anyhow::Result<()> {
    let progress = Progress::new();
    // The directory holds keys: for root only, and nobody else can have made it.
    fs::DirBuilder::new().mode(0o700).create(place::RUN).with_context(|| format!("create {}", place::RUN))?;
    fs::create_dir(place::images())?;
    images::write_pause(programs, &place::images())?;
    for archive in archives {
        fs::copy(archive, place::images().join(archive.file_name().context("an archive has a name")?))?;
    }
    ControlPlane::certificates(&programs.testcluster).context("write certificates")?;
    network::make().context("connect the nodes")?;
    let control_plane = ControlPlane::start(&programs.testcluster)?;
    let mut nodes = Vec::new();
    for node in NODES {
        nodes.push(
            node::start(&programs.testcluster, node).with_context(|| format!("start {}", node.name()))?,
        );
    }
    control_plane.complete()?;
    progress.reached("the control plane works");
    node::all_ready(&programs.testcluster, &nodes)?;
    progress.reached("all nodes are ready");
    Ok(())
}

/// Keeps others from starting or ending the cluster meanwhile: an abstract socket, which ends with this process and
/// leaves no file.
fn alone() -> anyhow::Result<UnixListener> {
    let address = SocketAddr::from_abstract_name(place::RUN)?;
    UnixListener::bind_addr(&address)
        .context("another `cargo xtask kube` is at work on this machine; wait until it has ended")
}

/// Tells how long things took.
struct Progress(Instant);

impl Progress {
    #[expect(clippy::disallowed_methods, reason = "tells a person how long a step took")]
    fn new() -> Progress {
        Progress(Instant::now())
    }

    fn reached(&self, what: &str) {
        run::say(&format!("{:5.1} s  {what}", self.0.elapsed().as_secs_f32()));
    }
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
fn print(answer: &str) -> anyhow::Result<()> {
    println!("{answer}");
    Ok(())
}
