//! Leaving nothing: no process, mount, cgroup, namespace, link, route or directory.
//!
//! It goes by the fixed names of [`super::place`], not by what an `up` wrote down, so it also cleans up after one that
//! was killed half way, and does no harm where nothing is left. Mounts need no work: they end with the namespaces that
//! hold them, and routes with the bridge.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::place::{BRIDGE, CABLES, CGROUP, NAMESPACES, RUN};
use super::wait::holds_within;
use crate::run;

/// Processes killed without warning are gone in milliseconds; a node's containers take their namespaces with them.
const PROCESSES_LIMIT: Duration = Duration::from_secs(20);

/// A cgroup can be removed a moment after its last process.
const CGROUPS_LIMIT: Duration = Duration::from_secs(20);

/// What the processes of a cluster are called: the nodes' first processes are children of `unshare`, and die with it.
const PROGRAMS: &[&str] = &["testcluster", "unshare", "nsenter", "setsid"];

/// Removes all of it.
pub(super) fn run() -> anyhow::Result<()> {
    kill_processes()?;
    for link in links() {
        // By name, and before its namespace: a namespace lives on for a moment, and its end of the cable with it.
        run::output(Command::new("ip").args(["link", "delete", &link]))?;
    }
    for namespace in namespaces() {
        run::output(Command::new("ip").args(["netns", "delete", &namespace]))?;
    }
    remove_empty_places();
    remove_cgroups()?;
    match fs::remove_dir_all(RUN) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {RUN}"))
        }
        _ => Ok(()),
    }
}

/// Whether there is anything to remove.
pub(super) fn anything_there() -> bool {
    Path::new(RUN).exists()
        || !processes().is_empty()
        || !links().is_empty()
        || !namespaces().is_empty()
        || !cgroups().is_empty()
}

/// Everything that was started with a path in the cluster's directory, and is one of its programs: somebody may be
/// reading a log there.
fn processes() -> Vec<i32> {
    let named = testkit::process::processes_that_name(RUN).into_iter();
    named.filter(|pid| program(*pid).is_some_and(|name| PROGRAMS.contains(&name.as_str()))).collect()
}

fn program(pid: i32) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let first = line.split(|byte| *byte == 0).next()?;
    Some(Path::new(&*String::from_utf8_lossy(first)).file_name()?.to_string_lossy().into_owned())
}

fn kill_processes() -> anyhow::Result<()> {
    let gone = holds_within(PROCESSES_LIMIT, || {
        let left = processes();
        left.iter().copied().for_each(testkit::process::kill_9);
        left.is_empty()
    });
    if !gone {
        bail!("processes {:?} do not end; is one of them held by a debugger or a dead disk?", processes());
    }
    Ok(())
}

fn links() -> Vec<String> {
    let ours = |name: &String| name == BRIDGE || name.starts_with(CABLES);
    let mut links: Vec<String> = names_in(Path::new("/sys/class/net")).filter(ours).collect();
    links.sort();
    links
}

fn namespaces() -> Vec<String> {
    names_in(Path::new("/run/netns")).filter(|name| name.starts_with(NAMESPACES)).collect()
}

/// Places that were made on the way and have no owner: they go if nobody else uses them.
fn remove_empty_places() {
    let netns = Path::new("/run/netns");
    if netns.is_dir() && names_in(netns).next().is_none() {
        // `ip netns` mounts it on itself; it is not an error if it did not.
        let _ = run::output(Command::new("umount").arg(netns));
        let _ = fs::remove_dir(netns);
    }
    let _ = fs::remove_dir("/var/lib/cni");
}

/// Our cgroup in each hierarchy that has one.
fn cgroups() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = names_in(root).map(|name| root.join(name)).chain([root.to_owned()]);
    hierarchies.map(|hierarchy| hierarchy.join(CGROUP)).filter(|cgroup| cgroup.is_dir()).collect()
}

fn remove_cgroups() -> anyhow::Result<()> {
    let gone = holds_within(CGROUPS_LIMIT, || {
        cgroups().iter().for_each(|cgroup| remove_cgroup(cgroup));
        cgroups().is_empty()
    });
    if !gone {
        bail!("cgroups are still in use: {:?}; their files `cgroup.procs` name the processes", cgroups());
    }
    Ok(())
}

/// The deepest first. What is still in use stays for the next attempt.
fn remove_cgroup(cgroup: &Path) {
    for name in names_in(cgroup) {
        let child = cgroup.join(name);
        if child.is_dir() {
            remove_cgroup(&child);
        }
    }
    let _ = fs::remove_dir(cgroup);
}

/// The names in a directory; of one that is not there, none.
fn names_in(dir: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}
