//! How one pod reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    ContainerStateTerminated, ContainerStatus, Node, PersistentVolumeClaim, Pod,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use model::observed::{Exit, Process, Readiness};
use model::{Reason, Timestamp};

use super::Answers;
use crate::build::pod::CONTAINER;

/// The broker's exit codes.
const BAD_CONFIGURATION: i32 = 2;
const LOST_DISK: i32 = 3;

/// How long a sentence may be that is taken from a log.
const LONGEST_SENTENCE: usize = 400;

/// Why nothing is certain about a pod: nobody who knows reports. The kubelet of a node that does not report may run it
/// or not.
pub(super) fn doubt(pod: &Pod, nodes: &BTreeMap<String, Arc<Node>>) -> Option<String> {
    let name = pod.spec.as_ref()?.node_name.as_ref()?;
    let Some(node) = nodes.get(name) else {
        return Some(format!("node {name}, on which its pod is, does not exist (any more)"));
    };
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready")?;
    (ready.status != "True").then(|| {
        let since =
            ready.last_transition_time.as_ref().map_or_else(String::new, |at| format!(" since {}", time(at)));
        format!(
            "node {name}, on which its pod is, has not reported{since}; the pod and its data are left alone"
        )
    })
}

/// The start that a pod shows: its own uid, and how often the kubelet started its container again.
#[must_use]
pub fn incarnation(pod: &Pod) -> String {
    let restarts = status(pod).map_or(0, |status| status.restart_count);
    format!("{}/{restarts}", broker_uid(pod))
}

/// The uid of a pod, which its broker says as its instance.
#[must_use]
pub fn broker_uid(pod: &Pod) -> String {
    pod.uid().unwrap_or_default()
}

/// Since when the broker's process runs, if it does.
#[must_use]
pub fn running_since(pod: &Pod) -> Option<Timestamp> {
    let running = status(pod)?.state.as_ref()?.running.as_ref()?;
    Some(running.started_at.as_ref().map_or_else(|| created(pod), time))
}

/// Whether nothing will run in a pod any more, whatever its kubelet does.
#[must_use]
pub fn is_over(pod: &Pod) -> bool {
    pod.status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        .is_some_and(|it| it == "Failed" || it == "Succeeded")
}

/// Whether its kubelet lets a pod whose process ended wait before the next start. Otherwise that comes at once.
#[must_use]
pub fn waits_to_restart(pod: &Pod) -> bool {
    let waiting = status(pod).and_then(|it| it.state.as_ref()).and_then(|it| it.waiting.as_ref());
    waiting.and_then(|it| it.reason.as_deref()) == Some("CrashLoopBackOff")
}

/// Where clients reach the machine that it runs on.
pub(super) fn host(pod: &Pod) -> Option<String> {
    pod.status.as_ref()?.host_ip.clone()
}

/// Whether a pod is to run another image than this one.
pub(super) fn has_other_image(pod: &Pod, image: Option<&str>) -> bool {
    let own = pod.spec.as_ref().and_then(|spec| spec.containers.first()?.image.as_deref());
    own.zip(image).is_some_and(|(own, image)| own != image)
}

/// Process and readiness of a pod.
pub(super) fn read(
    pod: &Pod,
    claims: Option<&Vec<Arc<PersistentVolumeClaim>>>,
    classes: &[String],
    answers: &Answers,
) -> (Process, Readiness) {
    let incarnation = incarnation(pod);
    if let Some(since) = running_since(pod) {
        let readiness = match &pod.metadata.deletion_timestamp {
            Some(_) => Readiness::NotReady { why: "its pod is being ended".to_owned() },
            None => answers.get(&broker_uid(pod)).cloned().unwrap_or(Readiness::Unknown),
        };
        return (Process::Running { incarnation, since }, readiness);
    }
    if let Some(ended) = ended(pod) {
        return (Process::Exited { incarnation, at: ended.0, exit: ended.1 }, Readiness::Unknown);
    }
    // It has its place and has not run yet.
    let process = Process::Running { incarnation, since: created(pod) };
    (process, held(pod, claims, classes))
}

/// When and how the newest process of a pod ended.
fn ended(pod: &Pod) -> Option<(Timestamp, Exit)> {
    let container = status(pod);
    let state = container.and_then(|it| it.state.as_ref()).and_then(|it| it.terminated.as_ref());
    let last = container.and_then(|it| it.last_state.as_ref()).and_then(|it| it.terminated.as_ref());
    if let Some(terminated) = state.or(last) {
        let at = terminated.finished_at.as_ref().map_or_else(|| created(pod), time);
        return Some((at, exit(terminated)));
    }
    if !is_over(pod) {
        return None;
    }
    // Evicted, or its node went: no container says how it ended.
    let status = pod.status.as_ref()?;
    let said = [status.reason.as_deref(), status.message.as_deref()];
    let said: Vec<&str> = said.into_iter().flatten().collect();
    Some((created(pod), Exit::Crashed { said: format!("its pod ended: {}", said.join(", ")) }))
}

fn exit(terminated: &ContainerStateTerminated) -> Exit {
    let words = terminated.message.as_deref().and_then(last_words);
    let said = || words.clone().unwrap_or_else(|| "it did not say why; see its log".to_owned());
    match terminated.exit_code {
        0 => Exit::Clean,
        BAD_CONFIGURATION => Exit::BadConfiguration { said: said() },
        LOST_DISK => Exit::LostDisk { said: said() },
        code => {
            let reason = match terminated.reason.as_deref() {
                Some("Error") | None => String::new(),
                Some(reason) => format!(", {reason}"),
            };
            let what = match code {
                // As a shell counts them.
                129..=159 => format!("killed by signal {}{reason}", code - 128),
                code => format!("exit status {code}{reason}"),
            };
            let words = words.map_or_else(String::new, |words| format!(", after \"{words}\""));
            Exit::Crashed { said: format!("{what}{words}") }
        }
    }
}

/// The last error that a broker printed. It prints one line that begins with `error:` when it gives up by itself.
fn last_words(log: &str) -> Option<String> {
    let line = log.lines().rev().find_map(|line| line.trim().strip_prefix("error: "))?;
    Some(line.chars().take(LONGEST_SENTENCE).collect())
}

/// What a pod waits for that has not run yet.
fn held(pod: &Pod, claims: Option<&Vec<Arc<PersistentVolumeClaim>>>, classes: &[String]) -> Readiness {
    if pod.metadata.deletion_timestamp.is_some() {
        return Readiness::NotReady { why: "its pod is being ended".to_owned() };
    }
    let waiting = status(pod).and_then(|it| it.state.as_ref()).and_then(|it| it.waiting.as_ref());
    if let Some(waiting) = waiting {
        let reason = waiting.reason.as_deref().unwrap_or_default();
        let message = waiting.message.as_deref().unwrap_or_default();
        return match reason {
            "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull"
            | "ImageInspectError" => {
                let image = pod
                    .spec
                    .as_ref()
                    .and_then(|spec| spec.containers.first()?.image.clone())
                    .unwrap_or_default();
                let why = format!(
                    "its image {image} cannot be had ({reason}); put the image where nodes find it, or correct the \
                     operator's list of releases"
                );
                Readiness::Held { reason: Reason::ReleaseMissing, why }
            }
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                Readiness::Held { reason: Reason::BadConfiguration, why: format!("{reason}: {message}") }
            }
            // The usual course of events.
            _ => Readiness::NotReady { why: "its container is being made".to_owned() },
        };
    }
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let scheduled = conditions.into_iter().flatten().find(|condition| condition.type_ == "PodScheduled");
    match scheduled {
        Some(condition) if condition.status == "False" => {
            let said = condition.message.clone().unwrap_or_default();
            let why = match missing_class(claims, classes) {
                Some(class) => format!(
                    "its storage class {class} does not exist; make that class, or a pool with another one ({said})"
                ),
                None => format!("no node can take it: {said}"),
            };
            Readiness::Held { reason: Reason::Unschedulable, why }
        }
        _ => Readiness::NotReady { why: "its pod waits for its node".to_owned() },
    }
}

/// The storage class that an unbound claim asks for and that does not exist.
fn missing_class(claims: Option<&Vec<Arc<PersistentVolumeClaim>>>, classes: &[String]) -> Option<String> {
    claims?.iter().find_map(|claim| {
        let spec = claim.spec.as_ref()?;
        let class = spec.storage_class_name.clone()?;
        let unbound = spec.volume_name.is_none();
        (unbound && !classes.contains(&class)).then_some(class)
    })
}

fn status(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.iter().find(|status| status.name == CONTAINER)
}

fn created(pod: &Pod) -> Timestamp {
    pod.metadata.creation_timestamp.as_ref().map_or(Timestamp(0), time)
}

fn time(Time(at): &Time) -> Timestamp {
    Timestamp(at.as_millisecond())
}
