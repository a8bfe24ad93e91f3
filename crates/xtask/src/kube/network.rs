//! The cables: a bridge on this machine, and a network namespace for each node that hangs on it.
//!
//! Pods of other nodes are reached by routes, as there is no overlay; Services by a route to the first node, whose
//! kube-proxy translates for this machine. No namespace has a default route: nothing gets out of the cluster, and an
//! image that is not there fails at once and not after a timeout.

use std::process::Command;

use anyhow::Context as _;

use super::place::{BRIDGE, HOST, NODES, Node, SERVICES};
use crate::run;

pub(super) fn make() -> anyhow::Result<()> {
    ip(&["link", "add", BRIDGE, "type", "bridge"])?;
    ip(&["address", "add", &format!("{HOST}/24"), "dev", BRIDGE])?;
    ip(&["link", "set", BRIDGE, "up"])?;
    ip(&["route", "add", SERVICES, "via", &NODES[0].address(), "dev", BRIDGE])?;
    for node in NODES {
        connect(node).with_context(|| format!("connect {}", node.name()))?;
    }
    Ok(())
}

fn connect(node: Node) -> anyhow::Result<()> {
    let (namespace, cable, address) = (node.namespace(), node.cable(), node.address());
    ip(&["netns", "add", &namespace])?;
    let peer = ["peer", "name", "eth0", "netns", &namespace];
    ip(&[&["link", "add", &cable, "master", BRIDGE, "type", "veth"], &peer[..]].concat())?;
    ip(&["link", "set", &cable, "up"])?;
    ip(&["route", "add", &node.pods(), "via", &address, "dev", BRIDGE])?;

    let inside = |words: &[&str]| ip(&[&["-n", &namespace], words].concat());
    inside(&["link", "set", "lo", "up"])?;
    inside(&["address", "add", &format!("{address}/24"), "dev", "eth0"])?;
    inside(&["link", "set", "eth0", "up"])?;
    // Never taken: kube-proxy rewrites the address on the way out. But without any route nothing would set out.
    inside(&["route", "add", SERVICES, "via", HOST])?;
    for other in NODES.iter().filter(|other| other.name() != node.name()) {
        inside(&["route", "add", &other.pods(), "via", &other.address()])?;
    }
    Ok(())
}

fn ip(words: &[&str]) -> anyhow::Result<()> {
    run::output(Command::new("ip").args(words)).map(drop)
}
