//! Where everything of the test cluster is on this machine: one directory, and names that nobody else uses.
//!
//! All are fixed, so there can be one such cluster a machine, and whoever finds any of them, after a crash too,
//! knows whose it is. The addresses exist only on the cluster's bridge and in its nodes' namespaces.

use std::path::{Path, PathBuf};

/// The one directory: certificates, logs, images, and a directory for each node.
pub(crate) const RUN: &str = "/var/lib/penstock-kube";

/// The bridge that joins the nodes; this machine's end of it has [`HOST`].
pub(super) const BRIDGE: &str = "penstock-kube";

/// This machine, as seen from the nodes: the API server and the DNS listen here.
pub(super) const HOST: &str = "10.201.0.1";

/// The API server, for everybody.
pub(super) const SERVER: &str = "https://10.201.0.1:6443";

/// Addresses of Services; the first one is the API server's.
pub(super) const SERVICES: &str = "10.96.0.0/16";

/// The API server's own Service.
pub(super) const SERVER_AS_A_SERVICE: &str = "10.96.0.1";

/// Addresses of pods, a part of it for each node.
pub(super) const PODS: &str = "10.244.0.0/16";

/// Below the root of each hierarchy of cgroups.
pub(super) const CGROUP: &str = "penstock-kube";

/// Three, in zones of their own: what spreads over zones can be seen to spread, and one can be lost.
pub(super) const NODES: [Node; 3] =
    [Node { number: 1, zone: "a" }, Node { number: 2, zone: "b" }, Node { number: 3, zone: "c" }];

/// A node: a machine to everything that runs in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    number: u8,
    pub(super) zone: &'static str,
}

impl Node {
    pub(super) fn name(self) -> String {
        format!("node{}", self.number)
    }

    /// In the nodes' network.
    pub(super) fn address(self) -> String {
        format!("10.201.0.{}", 10 + self.number)
    }

    /// Of the pods that run on it.
    pub(super) fn pods(self) -> String {
        format!("10.244.{}.0/24", self.number)
    }

    /// Its network namespace.
    pub(super) fn namespace(self) -> String {
        format!("{NAMESPACES}{}", self.number)
    }

    /// Where `ip netns` keeps that namespace.
    pub(super) fn namespace_file(self) -> String {
        format!("/run/netns/{}", self.namespace())
    }

    /// This machine's end of its cable; names of links have at most 15 characters.
    pub(super) fn cable(self) -> String {
        format!("{CABLES}{}", self.number)
    }

    pub(super) fn dir(self) -> PathBuf {
        Path::new(RUN).join(self.name())
    }
}

/// What every node's network namespace begins with.
pub(super) const NAMESPACES: &str = "penstock-node";

/// What every node's cable begins with.
pub(super) const CABLES: &str = "penstock-n";

/// Certificates and kubeconfigs.
pub(super) fn pki() -> PathBuf {
    Path::new(RUN).join("pki")
}

/// The kubeconfig that may do everything.
pub(crate) fn kubeconfig() -> PathBuf {
    pki().join("admin.kubeconfig")
}

/// Archives of images; a node imports all that lie here when it boots.
pub(super) fn images() -> PathBuf {
    Path::new(RUN).join("images")
}
