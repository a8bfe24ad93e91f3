//! From `kubectl apply` to a record, and back to it whatever is killed or deleted.

use testkit::process::kill_9;

use super::{Kube, Stopwatch, text, wait_until, wait_until_reached};
use crate::clients::{consume, produce};

#[test]
fn the_example_becomes_ready_and_outlives_its_pod_its_container_and_its_objects() {
    let Some((kube, _guard)) = Kube::beside_others() else { return };
    let namespace = kube.namespace();

    let watch = Stopwatch::start();
    let cluster = namespace.apply_example();
    cluster.wait_until_ready();
    watch.tell("kubectl apply to Ready");
    wait_until_reached(&cluster.access());
    produce(&cluster.access(), "payments", &["one", "two", "three"]);
    let all = || {
        wait_until_reached(&cluster.access());
        assert_eq!(consume(&cluster.access(), "payments"), ["one", "three", "two"]);
    };
    all();

    // The pod.
    let pod = namespace.uid("pod", &cluster.broker());
    let claims = claims(&namespace);
    let watch = Stopwatch::start();
    namespace.run(&["delete", "pod", &cluster.broker(), "--grace-period=0", "--force"]);
    cluster.wait_for_another_pod_than(&pod);
    watch.tell("a killed pod to Ready");
    all();
    assert_eq!(claims, self::claims(&namespace), "the same claim, not another one");

    // The container in it. From outside only where the nodes are this machine's processes.
    if let Some(process) = broker_process(&namespace.uid("pod", &cluster.broker())) {
        let watch = Stopwatch::start();
        kill_9(process);
        wait_until("the container is started again", || {
            let pod = namespace.uid("pod", &cluster.broker());
            broker_process(&pod).is_some_and(|now| now != process)
        });
        cluster.wait_until_ready();
        watch.tell("a killed container to Ready");
        all();
    }

    // What lies around it.
    let name = cluster.broker();
    let bootstrap = format!("{}-bootstrap", cluster.name);
    for (kind, name) in [("service", &bootstrap), ("service", &name), ("configmap", &name), ("secret", &name)]
    {
        let deleted = namespace.uid(kind, name);
        namespace.run(&["delete", kind, name]);
        wait_until(&format!("{kind} {name} is there again"), || {
            namespace.find(kind, name).is_some_and(|object| text(&object, "/metadata/uid") != deleted)
        });
    }
    cluster.wait_until_ready();
    all();
}

#[test]
fn a_status_edited_by_hand_is_put_right() {
    let Some((kube, _guard)) = Kube::beside_others() else { return };
    let namespace = kube.namespace();
    let cluster = namespace.apply_example();
    cluster.wait_until_ready();
    let right = text(&cluster.object(), "/status/bootstrap").to_owned();
    let wrong = r#"{"status":{"bootstrap":"nowhere:1","readyBrokers":"9/9"}}"#;
    namespace.run(&[
        "patch",
        "kafkacluster",
        &cluster.name,
        "--subresource=status",
        "--type=merge",
        "-p",
        wrong,
    ]);
    wait_until("the status is right again", || {
        let object = cluster.object();
        text(&object, "/status/bootstrap") == right && text(&object, "/status/readyBrokers") == "1/1"
    });
}

#[test]
fn clusters_of_one_name_in_two_namespaces_are_two() {
    let Some((kube, _guard)) = Kube::beside_others() else { return };
    let (left, right) = (kube.namespace(), kube.namespace());
    let (here, there) = (left.apply_example(), right.apply_example());
    here.wait_until_ready();
    there.wait_until_ready();
    wait_until_reached(&here.access());
    wait_until_reached(&there.access());
    produce(&here.access(), "letters", &["to the left"]);
    produce(&there.access(), "letters", &["to the right"]);
    assert_eq!(consume(&here.access(), "letters"), ["to the left"]);
    assert_eq!(consume(&there.access(), "letters"), ["to the right"]);
    // The one goes, the other does not notice; without being told to, nothing deletes data.
    let pod = right.uid("pod", &there.broker());
    left.run(&["delete", "kafkacluster", "orders"]);
    wait_until("the pod is gone", || left.find("pod", &here.broker()).is_none());
    assert_eq!(claims(&left).len(), 1);
    assert_eq!(right.uid("pod", &there.broker()), pod);
    assert_eq!(consume(&there.access(), "letters"), ["to the right"]);
}

/// The claims of a namespace, by what never changes of them.
pub(super) fn claims(namespace: &super::Namespace) -> Vec<String> {
    let uids = "jsonpath={.items[*].metadata.uid}";
    let text = namespace.run(&["get", "persistentvolumeclaims", "--output", uids]);
    text.split_whitespace().map(str::to_owned).collect()
}

/// The process of a pod's broker, if the nodes are processes of this machine.
pub(super) fn broker_process(pod: &str) -> Option<i32> {
    let group = format!("/pod{pod}/");
    testkit::process::processes_that_name("/penstock-broker").into_iter().find(|pid| {
        std::fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|groups| groups.contains(&group))
    })
}
