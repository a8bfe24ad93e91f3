//! Clusters that cannot become ready: the reason is named, nothing is deleted, and nothing is tried in a hot loop.

use super::heal::claims;
use super::{Cluster, Kube, RELEASE_WITHOUT_IMAGE, text, wait_until};

/// Waits for a condition that says why.
fn says(cluster: &Cluster<'_>, reason: &str, part: &str) {
    wait_until(&format!("{} says {reason} with {part}", cluster.name), || {
        let found = cluster.condition("Progressing");
        let ready = cluster.condition("Ready");
        ready.status != "True"
            && [found, ready].iter().any(|found| found.reason == reason && found.message.contains(part))
    });
}

#[test]
fn what_is_not_there_is_named_and_can_be_put_right() {
    let Some((kube, _guard)) = Kube::beside_others() else { return };
    let namespace = kube.namespace();
    let storage = namespace.apply_cluster(
        "storage",
        "{release: '0.0.0', pools: [{name: brokers, storage: {class: no-such-class}}]}",
    );
    let image = namespace.apply_cluster("image", &format!("{{release: '{RELEASE_WITHOUT_IMAGE}'}}"));
    let release = namespace.apply_cluster("release", "{release: '7.7.7'}");
    let setting = namespace.apply_cluster("setting", "{release: '0.0.0', config: {num.partitions: many}}");
    let room = namespace.apply_cluster(
        "room",
        "{release: '0.0.0', pools: [{name: brokers, resources: {requests: {memory: 900Gi}}}]}",
    );

    says(&storage, "Unschedulable", "no-such-class");
    says(&room, "Unschedulable", "memory");
    says(&image, "ReleaseMissing", "penstock.local/none:dev");
    says(&release, "ReleaseMissing", "7.7.7");
    says(&setting, "BadConfiguration", "num.partitions");

    // Nobody replaces a pod or a claim in the hope that another one would do better, and nobody tries without pause.
    let pods = || [&storage, &room, &image, &setting].map(|it| namespace.uid("pod", &it.broker()));
    let before = (pods(), claims(&namespace));
    std::thread::scope(|threads| {
        for cluster in [&storage, &room, &image, &release, &setting] {
            threads.spawn(|| cluster.is_left_in_peace());
        }
    });
    assert_eq!((pods(), claims(&namespace)), before);

    // An Event says it to those who look there.
    let events = namespace.run(&["get", "events", "--field-selector", "involvedObject.kind=KafkaCluster"]);
    assert!(events.contains("ReleaseMissing"), "{events}");

    // A better spec is taken up.
    namespace.apply_cluster("image", "{release: '0.0.0'}").wait_until_ready();
    namespace
        .apply_cluster("setting", "{release: '0.0.0', config: {num.partitions: '2'}}")
        .wait_until_ready();
    assert_eq!(text(&image.object(), "/status/readyBrokers"), "1/1");
}
