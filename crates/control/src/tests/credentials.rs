//! Credentials and config vars.

use model::operation::Kind;
use secrecy::ExposeSecret;

use super::World;
use crate::{CredentialState, Page, Problem};

#[tokio::test]
async fn config_vars_come_in_herokus_order_once_the_brokers_are_ready() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    world.accept(&caller, "early").await;
    let early = world.control.config_vars(&caller, &"early".into()).await;
    assert!(matches!(early, Err(Problem::NotReady { .. })));

    let resource = world.ready(&caller, "orders").await;
    let vars = world.control.config_vars(&caller, &resource).await.unwrap().0;
    let names: Vec<&str> = vars.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["KAFKA_URL", "KAFKA_TRUSTED_CERT", "KAFKA_CLIENT_CERT", "KAFKA_CLIENT_CERT_KEY"]);
    assert_eq!(vars[0].1.expose_secret(), "kafka+ssl://127.0.0.1:19096");
    assert_eq!(vars[1].1.expose_secret(), "the brokers' CA");
    assert!(vars[3].1.expose_secret().starts_with("-----BEGIN PRIVATE KEY-----"));
    assert!(!format!("{vars:?}").contains("PRIVATE KEY"));
}

#[tokio::test]
async fn a_credential_is_issued_once_for_a_key() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    let resource = world.ready(&caller, "orders").await;
    let issue = async |name: &str, key: Option<&str>| {
        world.control.create_credential(&caller, &resource, name, key).await
    };
    let first = issue("billing", Some("k")).await.unwrap();
    let again = issue("billing", Some("k")).await.unwrap();
    assert_eq!(first.credential, again.credential);
    assert_eq!(first.key_pem.expose_secret(), again.key_pem.expose_secret());
    assert_eq!(
        keyring::pki::fingerprint_sha256(&first.cert_pem).unwrap(),
        first.credential.fingerprint_sha256
    );
    assert!(matches!(issue("other", Some("k")).await, Err(Problem::IdempotencyConflict { .. })));
    assert!(matches!(issue("billing", None).await, Err(Problem::NameTaken { what: "credential", .. })));
    assert!(matches!(issue("Bad Name", None).await, Err(Problem::Invalid { .. })));
    let listed = world.control.credentials(&caller, &resource).await.unwrap();
    assert_eq!(listed.iter().map(|each| each.name.as_str()).collect::<Vec<_>>(), ["default", "billing"]);
}

#[tokio::test]
async fn a_revoked_credential_is_named_to_the_brokers_and_the_default_one_is_replaced() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    let resource = world.ready(&caller, "orders").await;
    let issued = world.control.create_credential(&caller, &resource, "billing", None).await.unwrap();
    let default = world.control.credentials(&caller, &resource).await.unwrap().remove(0);
    let before = world.control.config_vars(&caller, &resource).await.unwrap().0;
    for id in [issued.credential.id, default.id, default.id] {
        let revoked = world.control.revoke_credential(&caller, &resource, id).await.unwrap();
        assert_eq!(revoked.state, CredentialState::Revoked);
    }
    let after = world.control.config_vars(&caller, &resource).await.unwrap().0;
    assert_ne!(before[2].1.expose_secret(), after[2].1.expose_secret());

    let shown = world.control.resource(&caller, &resource).await.unwrap();
    let mut tx = world.store.begin().await.unwrap();
    let intent = store::cluster::newest_intent(&mut tx, shown.cluster).await.unwrap().unwrap();
    let mut expected = [default.fingerprint_sha256.as_str(), issued.credential.fingerprint_sha256.as_str()];
    let mut refused: Vec<&str> = intent.config["penstock.ssl.revoked.sha256"].split(',').collect();
    expected.sort_unstable();
    refused.sort_unstable();
    assert_eq!(refused, expected);
    // Two changes, the repeated one not being a third.
    assert_eq!(shown.generation.0, 3);
    let operations = world.control.operations(&caller, None, Page::default()).await.unwrap().items;
    assert_eq!(operations.iter().filter(|each| each.kind == Kind::Change).count(), 2);
    // The name is free again.
    world.control.create_credential(&caller, &resource, "billing", None).await.unwrap();
}
