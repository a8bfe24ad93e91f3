//! What is asked of the API server, in which order, and what becomes of its answers.

use std::sync::Arc;
use std::time::Duration;

use agent::{Performed, Substrate, SubstrateError};
use expect_test::expect;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use model::action::RestartReason;
use model::observed::Readiness;
use model::status::Endpoint;
use model::{Action, BrokerId, Bytes, Reason};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::fixture::{self, NODE_PORT, NOW, ca, fill, node, pod_of, running, spec, valid, valid_with};
use super::server::ApiServer;
use crate::apply::Server;
use crate::authority;
use crate::build::{claim, secret};
use crate::caches::Caches;
use crate::clusters::{Cluster, Clusters};
use crate::error::{Class, Error};
use crate::substrate::Kubernetes;
use crate::upkeep::{self, Applied};
use crate::valid::Valid;

const POD: &str = "/api/v1/namespaces/shop/pods/orders-broker-0";
const POD_UID: &str = "pod-0";

/// An operator that follows one cluster, and the server that it talks to.
struct World {
    kubernetes: Kubernetes,
    cluster: Arc<Cluster>,
    server: ApiServer,
    valid: Valid,
}

impl World {
    fn new(valid: Valid) -> World {
        let (server, clusters) = (ApiServer::default(), Clusters::default());
        let cluster = clusters.put(valid.clone());
        let caches = Caches::default();
        fill(&caches.nodes, &[node("node1", "True")]);
        let kubernetes = Kubernetes {
            server: Server::new(server.client()),
            caches,
            clusters,
            settings: Arc::new(fixture::settings()),
            metrics: Arc::default(),
            // Nobody listens there: a broker that does not answer yet.
            admin_port: 1,
        };
        World { kubernetes, cluster, server, valid }
    }

    /// With a broker that runs.
    fn with_pod(pod: &Pod) -> World {
        let world = World::new(valid());
        world.server.put(POD, pod);
        world
    }

    async fn perform(&self, action: &Action) -> Result<Performed, SubstrateError> {
        self.kubernetes.perform(self.valid.id(), action).await
    }

    async fn keep(&self, applied: &Applied) -> Result<(), Error> {
        let brokers = [Endpoint { host: "10.201.0.11".to_owned(), port: NODE_PORT }];
        upkeep::keep(&self.kubernetes, applied, &self.cluster, Some(ca()), &brokers, NOW).await
    }

    /// Shows the operator what the server has, as its watches would.
    fn watches_catch_up(&self) {
        let caches = &self.kubernetes.caches;
        let all = |kind: &str| -> Vec<serde_json::Value> {
            let paths = self.server.paths().into_iter().filter(|path| path.contains(&format!("/{kind}/")));
            paths.filter_map(|path| self.server.get(&path)).collect()
        };
        fn read<K: serde::de::DeserializeOwned>(objects: Vec<serde_json::Value>) -> Vec<K> {
            objects.into_iter().map(|object| serde_json::from_value(object).unwrap()).collect()
        }
        fill(&caches.services, &read(all("services")));
        fill(&caches.secrets, &read(all("secrets")));
        fill(&caches.configs, &read(all("configmaps")));
        fill(&caches.budgets, &read(all("poddisruptionbudgets")));
        fill(&caches.policies, &read(all("networkpolicies")));
        fill(&caches.claims, &read(all("persistentvolumeclaims")));
        fill(&caches.pods, &read(all("pods")));
        self.server.transcript();
    }
}

fn start(valid: &Valid) -> Action {
    Action::Start(spec(valid, 0))
}

fn stop(incarnation: &str) -> Action {
    Action::Stop { broker: BrokerId(0), incarnation: incarnation.to_owned(), spare_recovery: true }
}

fn restart(valid: &Valid) -> Action {
    Action::Restart {
        spec: spec(valid, 0),
        incarnation: format!("{POD_UID}/0"),
        why: vec![RestartReason::SpecChanged],
    }
}

/// A broker that answers every question with this state.
async fn broker_that_says(state: &'static str) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1_024];
            let _ = stream.read(&mut request).await;
            let body = format!(
                r#"{{"state":"{state}","instance":"{POD_UID}","recovering":{{"done":12,"total":40}}}}"#
            );
            let _ = stream.write_all(format!("HTTP/1.0 200 OK\r\n\r\n{body}").as_bytes()).await;
        }
    });
    port
}

#[tokio::test]
async fn a_start_makes_what_a_pod_needs_before_the_pod() {
    let world = World::new(valid());
    assert_eq!(world.perform(&start(&world.valid)).await.unwrap(), Performed::Done);
    expect![[r#"
        GET /api/v1/namespaces/shop/pods/orders-broker-0
        GET /api/v1/namespaces/shop/secrets/orders-cluster-ca-00000000
        POST /api/v1/namespaces/shop/secrets?fieldManager=penstock-operator
        GET /api/v1/namespaces/shop/services/orders-broker-0
        PATCH /api/v1/namespaces/shop/services/orders-broker-0?force=true&fieldManager=penstock-operator
        GET /api/v1/namespaces/shop/secrets/orders-broker-0
        PATCH /api/v1/namespaces/shop/secrets/orders-broker-0?force=true&fieldManager=penstock-operator
        GET /api/v1/namespaces/shop/configmaps/orders-broker-0
        PATCH /api/v1/namespaces/shop/configmaps/orders-broker-0?force=true&fieldManager=penstock-operator
        GET /api/v1/namespaces/shop/persistentvolumeclaims/orders-broker-0-00000000
        PATCH /api/v1/namespaces/shop/persistentvolumeclaims/orders-broker-0-00000000?force=true&fieldManager=penstock-operator
        POST /api/v1/namespaces/shop/pods?fieldManager=penstock-operator"#]].assert_eq(&world.server.transcript());
}

#[tokio::test]
async fn a_start_beside_a_pod_that_runs_does_nothing() {
    let world = World::with_pod(&pod_of(&valid(), 0, running(0)));
    assert_eq!(world.perform(&start(&world.valid)).await.unwrap(), Performed::Unneeded);
    expect!["GET /api/v1/namespaces/shop/pods/orders-broker-0"].assert_eq(&world.server.transcript());
}

#[tokio::test]
async fn a_pod_whose_kubelet_holds_it_back_makes_room_and_one_that_is_just_restarted_does_not() {
    let held_back = World::with_pod(&pod_of(&valid(), 0, fixture::backing_off(3, 137, "")));
    assert_eq!(held_back.perform(&start(&held_back.valid)).await.unwrap(), Performed::Done);
    let transcript = held_back.server.transcript();
    let deleted = format!(r#"DELETE {POD} {{"resourceVersion":"41","uid":"{POD_UID}"}}"#);
    assert!(transcript.contains(&deleted), "{transcript}");

    let mut ended = fixture::backing_off(0, 137, "");
    let state = ended["containerStatuses"][0]["lastState"].clone();
    ended["containerStatuses"][0]["state"] = state;
    let just_ended = World::with_pod(&pod_of(&valid(), 0, ended));
    assert_eq!(just_ended.perform(&start(&just_ended.valid)).await.unwrap(), Performed::Unneeded);
}

#[tokio::test]
async fn a_restart_reads_anew_and_names_what_it_deletes() {
    let world = World::with_pod(&pod_of(&valid(), 0, running(0)));
    assert_eq!(world.perform(&restart(&world.valid)).await.unwrap(), Performed::Done);
    let transcript = world.server.transcript();
    let first: Vec<&str> = transcript.lines().take(3).collect();
    let deletion = format!(r#"DELETE {POD} {{"resourceVersion":"41","uid":"{POD_UID}"}}"#);
    assert_eq!(first, [format!("GET {POD}"), deletion, format!("GET {POD}")]);
    assert!(world.server.get(POD).is_some(), "there is a new pod");
}

#[tokio::test]
async fn another_start_than_the_one_that_was_seen_is_left_alone() {
    // The kubelet started its container again since.
    let world = World::with_pod(&pod_of(&valid(), 0, running(1)));
    assert_eq!(world.perform(&stop(&format!("{POD_UID}/0"))).await.unwrap(), Performed::Unneeded);
    assert_eq!(world.perform(&stop("pod-of-before/1")).await.unwrap(), Performed::Unneeded);
    assert!(!world.server.transcript().contains("DELETE"));
}

#[tokio::test]
async fn a_pod_that_changed_since_it_was_read_is_not_deleted() {
    let world = World::with_pod(&pod_of(&valid(), 0, running(0)));
    world.server.refuse(&format!("DELETE {POD}"), 409, "the object has been modified");
    let refused = world.perform(&stop(&format!("{POD_UID}/0"))).await.unwrap_err();
    assert!(matches!(refused, SubstrateError::Transient { .. }), "{refused:?}");
    assert!(world.server.get(POD).is_some());
}

#[tokio::test]
async fn a_broker_that_checks_its_logs_is_not_stopped() {
    let mut world = World::with_pod(&pod_of(&valid(), 0, running(0)));
    world.kubernetes.admin_port = broker_that_says("recovering").await;
    for action in [restart(&world.valid), stop(&format!("{POD_UID}/0"))] {
        let refused = world.perform(&action).await.unwrap_err();
        assert!(refused.sentence().contains("it checks its logs (12 of 40)"), "{}", refused.sentence());
    }
    assert!(!world.server.transcript().contains("DELETE"));
    // Where the data is to be deleted anyway, that does not matter.
    let removal =
        Action::Stop { broker: BrokerId(0), incarnation: format!("{POD_UID}/0"), spare_recovery: false };
    assert_eq!(world.perform(&removal).await.unwrap(), Performed::Done);
}

#[tokio::test]
async fn data_is_deleted_only_when_no_pod_runs() {
    let world = World::with_pod(&pod_of(&valid(), 0, running(0)));
    let claim = claim::build(&world.valid, BrokerId(0), "brokers", Bytes::gib(2), None);
    let path = format!("/api/v1/namespaces/shop/persistentvolumeclaims/{}", claim.name_any());
    world.server.put(&path, &claim);
    world.watches_catch_up();
    let remove = Action::RemoveBroker { broker: BrokerId(0) };
    let refused = world.perform(&remove).await.unwrap_err();
    assert!(refused.sentence().contains("its pod still runs"), "{}", refused.sentence());
    assert!(world.server.get(&path).is_some());
    assert_eq!(world.perform(&stop(&format!("{POD_UID}/0"))).await.unwrap(), Performed::Done);
    assert_eq!(world.perform(&remove).await.unwrap(), Performed::Done);
    assert!(world.server.get(&path).is_none());
}

#[tokio::test]
async fn a_removal_leaves_nothing_and_touches_nobody_elses() {
    let world = World::new(valid());
    world.perform(&start(&world.valid)).await.unwrap();
    world.watches_catch_up();
    world.keep(&Applied::default()).await.unwrap();
    let foreign = "/api/v1/namespaces/shop/configmaps/settings-of-the-shop";
    world
        .server
        .put(foreign, &json!({ "metadata": { "name": "settings-of-the-shop", "namespace": "shop" } }));
    world.watches_catch_up();
    world
        .perform(&Action::Stop {
            broker: BrokerId(0),
            incarnation: incarnation_of(&world),
            spare_recovery: false,
        })
        .await
        .unwrap();
    world.perform(&Action::RemoveBroker { broker: BrokerId(0) }).await.unwrap();
    world.watches_catch_up();
    world.perform(&Action::RemoveRest).await.unwrap();
    assert_eq!(world.server.paths(), [foreign]);
}

fn incarnation_of(world: &World) -> String {
    let pod: Pod = serde_json::from_value(world.server.get(POD).unwrap()).unwrap();
    crate::observe::incarnation(&pod)
}

#[tokio::test]
async fn upkeep_applies_once_and_again_only_what_somebody_changed() {
    let world = World::new(valid());
    let applied = Applied::default();
    world.keep(&applied).await.unwrap();
    expect![[r#"
        GET /api/v1/namespaces/shop/services/orders-bootstrap
        PATCH /api/v1/namespaces/shop/services/orders-bootstrap?force=true&fieldManager=penstock-operator
        GET /apis/policy/v1/namespaces/shop/poddisruptionbudgets/orders
        PATCH /apis/policy/v1/namespaces/shop/poddisruptionbudgets/orders?force=true&fieldManager=penstock-operator
        GET /apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/orders
        PATCH /apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/orders?force=true&fieldManager=penstock-operator
        GET /api/v1/namespaces/shop/secrets/orders-cluster-ca-00000000
        POST /api/v1/namespaces/shop/secrets?fieldManager=penstock-operator
        GET /api/v1/namespaces/shop/secrets/orders-client
        PATCH /api/v1/namespaces/shop/secrets/orders-client?force=true&fieldManager=penstock-operator"#]].assert_eq(&world.server.transcript());
    world.watches_catch_up();
    world.keep(&applied).await.unwrap();
    assert_eq!(world.server.transcript(), "", "an idle cluster costs no request");

    let path = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets/orders";
    let mut budget = world.server.get(path).unwrap();
    budget["metadata"]["resourceVersion"] = json!("edited by hand");
    world.server.put(path, &budget);
    world.watches_catch_up();
    world.keep(&applied).await.unwrap();
    assert_eq!(world.server.transcript(), format!("PATCH {path}?force=true&fieldManager=penstock-operator"));
}

#[tokio::test]
async fn what_somebody_deleted_is_put_back_with_the_port_that_clients_know() {
    let world = World::new(valid());
    let applied = Applied::default();
    world.perform(&start(&world.valid)).await.unwrap();
    world.server.put(POD, &pod_of(&world.valid, 0, running(0)));
    world.watches_catch_up();
    world.keep(&applied).await.unwrap();
    world.watches_catch_up();
    world.kubernetes.observe(world.valid.id()).await.unwrap();
    let gone = ["services", "secrets", "configmaps"]
        .map(|kind| format!("/api/v1/namespaces/shop/{kind}/orders-broker-0"));
    for path in &gone {
        world.server.take_away(path);
    }
    world.watches_catch_up();
    // The first pass makes the service; the configuration names its port and comes with the second.
    world.keep(&applied).await.unwrap();
    world.watches_catch_up();
    world.keep(&applied).await.unwrap();
    for path in &gone {
        assert!(world.server.get(path).is_some(), "{path}");
    }
    let service = world.server.get(&gone[0]).unwrap();
    assert_eq!(service["spec"]["ports"][0]["nodePort"], json!(NODE_PORT));
}

#[tokio::test]
async fn a_deleted_authority_is_put_back() {
    let world = World::new(valid());
    let made = authority::of_brokers(&world.kubernetes.server, &world.kubernetes.caches, &world.cluster)
        .await
        .unwrap();
    let path = "/api/v1/namespaces/shop/secrets/orders-cluster-ca-00000000";
    world.server.take_away(path);
    let again = authority::of_brokers(&world.kubernetes.server, &world.kubernetes.caches, &world.cluster)
        .await
        .unwrap();
    assert_eq!(made.cert_pem(), again.cert_pem());
    let secret = serde_json::from_value(world.server.get(path).unwrap()).unwrap();
    assert_eq!(secret::read_authority(&secret).unwrap().cert_pem(), made.cert_pem());
}

#[tokio::test]
async fn a_broken_authority_that_nobody_remembers_is_not_written_over() {
    let world = World::new(valid());
    let mut broken = fixture::ca_secret(&world.valid);
    broken.data = None;
    let path = "/api/v1/namespaces/shop/secrets/orders-cluster-ca-00000000";
    world.server.put(path, &broken);
    let refused = world.perform(&start(&world.valid)).await.unwrap_err();
    assert!(
        matches!(&refused, SubstrateError::Blocked { message, .. } if message.contains("put back its ca.crt"))
    );
    assert_eq!(world.server.get(path).unwrap()["data"], serde_json::Value::Null);
}

#[tokio::test]
async fn what_belongs_to_somebody_else_is_not_taken_over() {
    let world = World::new(valid());
    let path = "/api/v1/namespaces/shop/services/orders-bootstrap";
    world.server.put(path, &json!({ "metadata": { "name": "orders-bootstrap", "namespace": "shop" } }));
    let refused = world.keep(&Applied::default()).await.unwrap_err();
    assert_eq!(refused.class(), Class::User);
    assert_eq!(
        refused.sentence(),
        "Service orders-bootstrap exists and does not belong to this cluster; delete it, or give the cluster another name"
    );
    assert!(!world.server.transcript().contains(&format!("PATCH {path}")));
    // Everything else was put right all the same.
    assert!(world.server.get("/apis/policy/v1/namespaces/shop/poddisruptionbudgets/orders").is_some());
}

#[tokio::test]
async fn a_paused_cluster_is_left_alone() {
    let world = World::new(valid_with(&json!({ "lifecycle": "Pause" })));
    world.keep(&Applied::default()).await.unwrap();
    assert_eq!(world.server.transcript(), "");
}

#[tokio::test]
async fn a_refusal_is_counted_by_its_reason() {
    let unknown = valid_with(&json!({ "release": "9.9.9" }));
    let world = World::new(unknown.clone());
    let refused = world.perform(&start(&unknown)).await.unwrap_err();
    assert!(
        matches!(&refused, SubstrateError::Blocked { reason: Reason::ReleaseMissing, message }
        if message.contains("it knows: 1.0.0")),
        "{refused:?}"
    );
    assert_eq!(world.server.transcript(), "", "nothing was made for a broker that cannot run");
    let page = world.kubernetes.metrics.page();
    assert!(page.contains(r#"penstock_operator_refusals_total{reason="ReleaseMissing"} 1"#), "{page}");
}

#[tokio::test]
async fn answers_are_sorted_by_who_can_help() {
    let cases = [
        (500, "etcd is on fire", Class::Transient),
        (429, "slow down", Class::Transient),
        (409, "conflict", Class::Transient),
        (
            403,
            "services \"x\" is forbidden: User \"operator\" cannot patch resource \"services\"",
            Class::Terminal,
        ),
        (
            403,
            "unable to create new content in namespace shop because it is being terminated",
            Class::Waiting,
        ),
        (422, "spec.ports: invalid", Class::Terminal),
    ];
    for (code, message, class) in cases {
        let world = World::new(valid());
        world.server.refuse("PATCH /api/v1/namespaces/shop/services/orders-bootstrap", code, message);
        let error = world.keep(&Applied::default()).await.unwrap_err();
        assert_eq!(error.class(), class, "{code}");
        assert!(
            error.sentence().starts_with(&format!("could not apply Service orders-bootstrap: {message}")),
            "{}",
            error.sentence()
        );
        if class == Class::Terminal && code == 403 {
            assert!(error.sentence().ends_with("give the operator's role this right (its chart does)"));
        }
    }
}

#[tokio::test]
async fn a_status_lands_on_the_object_that_was_read_and_on_no_other() {
    let world = World::new(valid());
    let object = fixture::object();
    let path = "/apis/penstock.dev/v1alpha1/namespaces/shop/kafkaclusters/orders";
    world.server.put(path, &object);
    world.kubernetes.server.apply_status(&object, json!({ "removed": true })).await.unwrap();
    assert_eq!(
        world.server.transcript(),
        format!("PATCH {path}/status?force=true&fieldManager=penstock-operator")
    );
    assert_eq!(world.server.get(path).unwrap()["status"], json!({ "removed": true }));
    let mut another = object.clone();
    another.metadata.uid = Some("00000000-0000-0000-0000-000000000008".to_owned());
    world.server.put(path, &another);
    world.kubernetes.server.apply_status(&object, json!({ "removed": true })).await.unwrap_err();
    assert_eq!(world.server.get(path).unwrap()["status"], serde_json::Value::Null);
}

#[tokio::test]
async fn an_existing_claim_is_found_again_and_not_touched() {
    let world = World::new(valid());
    let mut claim: PersistentVolumeClaim =
        claim::build(&world.valid, BrokerId(0), "brokers", Bytes::gib(9), None);
    claim.metadata.uid = Some("with data".to_owned());
    let path = format!("/api/v1/namespaces/shop/persistentvolumeclaims/{}", claim.name_any());
    world.server.put(&path, &claim);
    world.perform(&start(&world.valid)).await.unwrap();
    assert_eq!(world.server.get(&path).unwrap()["metadata"]["uid"], json!("with data"));
    assert!(!world.server.transcript().contains(&format!("PATCH {path}")));
}

#[tokio::test]
async fn a_new_pod_says_until_when_its_certificate_is_valid() {
    let world = World::new(valid());
    world.perform(&start(&world.valid)).await.unwrap();
    let pod: Pod = serde_json::from_value(world.server.get(POD).unwrap()).unwrap();
    let identity = world.server.get("/api/v1/namespaces/shop/secrets/orders-broker-0").unwrap();
    let identity = secret::text(&serde_json::from_value(identity).unwrap(), secret::IDENTITY).unwrap();
    let said = crate::build::pod::certificate(&pod).unwrap();
    // A certificate counts whole seconds.
    assert_eq!(said.until.0 / 1_000, keyring::pki::validity(&identity).unwrap().until.0 / 1_000);
}

#[tokio::test]
async fn a_clients_certificate_is_made_anew_before_it_ends_and_when_its_authority_is_another() {
    const DAY: Duration = Duration::from_secs(86_400);
    let world = World::new(valid());
    let applied = Applied::default();
    let brokers = [Endpoint { host: "10.201.0.11".to_owned(), port: NODE_PORT }];
    let certificate_at = async |ca: &keyring::pki::Ca, days: u32| {
        let now = NOW.plus(DAY * days);
        upkeep::keep(&world.kubernetes, &applied, &world.cluster, Some(ca), &brokers, now).await.unwrap();
        world.watches_catch_up();
        let client = world.server.get("/api/v1/namespaces/shop/secrets/orders-client").unwrap();
        let files = secret::read_client(&serde_json::from_value(client).unwrap()).unwrap();
        assert!(ca.has_signed(&files.certificate));
        files.certificate
    };
    let first = certificate_at(ca(), 0).await;
    assert_eq!(certificate_at(ca(), 549).await, first);
    let second = certificate_at(ca(), 551).await;
    assert_ne!(second, first);
    assert_eq!(certificate_at(ca(), 1_000).await, second);
    let other = keyring::pki::Ca::new("orders clients", NOW).unwrap();
    assert_ne!(certificate_at(&other, 1_000).await, second);
}

/// Somebody deletes the object, and its owner's things go with it; later it comes again with the same id.
#[tokio::test]
async fn a_cluster_that_comes_again_has_its_data_its_ports_and_its_authority() {
    const OTHER_PORT: u16 = 30_777;
    let world = World::new(valid());
    let claim = claim::build(&world.valid, BrokerId(0), "brokers", Bytes::gib(2), Some(OTHER_PORT));
    let claim_path = format!("/api/v1/namespaces/shop/persistentvolumeclaims/{}", claim.name_any());
    world.server.put(&claim_path, &claim);
    world.watches_catch_up();
    world.perform(&start(&world.valid)).await.unwrap();
    let service = "/api/v1/namespaces/shop/services/orders-broker-0";
    let port = |world: &World| world.server.get(service).unwrap()["spec"]["ports"][0]["nodePort"].clone();
    assert_eq!(port(&world), json!(OTHER_PORT), "the port that the claim remembers");
    let ca = "/api/v1/namespaces/shop/secrets/orders-cluster-ca-00000000";
    let before = world.server.get(ca).unwrap()["data"].clone();

    world.server.collect_garbage();
    assert_eq!(world.server.paths(), [claim_path.as_str(), ca]);

    let server = world.server.clone();
    let again = World { server, ..World::new(valid()) };
    let kubernetes = Kubernetes { server: Server::new(again.server.client()), ..again.kubernetes.clone() };
    let again = World { kubernetes, ..again };
    again.watches_catch_up();
    again.perform(&start(&again.valid)).await.unwrap();
    assert_eq!(port(&again), json!(OTHER_PORT));
    assert_eq!(again.server.get(ca).unwrap()["data"], before);
}

#[tokio::test]
async fn an_authority_goes_with_the_object_where_the_data_does() {
    let world = World::new(valid());
    world.perform(&start(&world.valid)).await.unwrap();
    world.watches_catch_up();
    let goes = valid_with(&json!({ "deletion": "Delete" }));
    let cluster = world.kubernetes.clusters.put(goes);
    let kubernetes = &world.kubernetes;
    let ca = authority::of_brokers(&kubernetes.server, &kubernetes.caches, &cluster).await.unwrap();
    let secret = world.server.get("/api/v1/namespaces/shop/secrets/orders-cluster-ca-00000000").unwrap();
    assert_eq!(secret["metadata"]["ownerReferences"][0]["uid"], json!(fixture::UID));
    let secret = serde_json::from_value(secret).unwrap();
    assert_eq!(secret::read_authority(&secret).unwrap().cert_pem(), ca.cert_pem());
}

#[tokio::test]
async fn a_pod_with_an_address_on_which_brokers_do_not_listen_is_told_of() {
    let world = World::new(valid());
    let mut status = running(0);
    status["podIP"] = json!("fd00:10:244::7");
    fill(&world.kubernetes.caches.pods, &[pod_of(&world.valid, 0, status)]);
    let seen = world.kubernetes.observe(world.valid.id()).await.unwrap();
    let readiness = &seen.brokers[&BrokerId(0)].readiness;
    assert!(
        matches!(readiness, Readiness::NotReady { why } if why.contains("listen on IPv4 only")),
        "{readiness:?}"
    );
}
