//! When an object is deleted, and when it is not.

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::script::{Answer, list, refusal, script, stored, with_status};
use super::{config, metrics, orders, reached, removal};
use crate::publish::Publisher;

async fn check(answers: impl IntoIterator<Item = Answer>, expected: Expect) {
    let (client, transcript) = script(answers);
    let outcome = Publisher::new(client, config(), metrics()).withdraw(orders().cluster).await;
    let outcome = outcome.map_or_else(|error| error.to_string(), |()| "withdrawn".to_owned());
    expected.assert_eq(&format!("{}\n{outcome}", transcript.text()));
}

/// The object of a cluster of which nothing is left.
fn removed() -> Value {
    with_status(stored(&removal(&orders()), 9), &reached(&removal(&orders())))
}

fn done() -> Answer {
    (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success", "code": 200}))
}

#[tokio::test]
async fn what_is_removed_is_deleted_in_the_version_that_says_so() {
    check([list(&[removed()]), done()], expect![[r#"
        GET kafkaclusters?labelSelector=penstock.dev%2Fcluster-id%3D00000000-0000-0000-0000-000000000007&limit=10 -> 200
        DELETE kafkaclusters/orders only=9 -> 200
        withdrawn"#]]).await;
}

#[tokio::test]
async fn what_is_gone_stays_gone() {
    check([list(&[])], expect![[r#"
        GET kafkaclusters?labelSelector=penstock.dev%2Fcluster-id%3D00000000-0000-0000-0000-000000000007&limit=10 -> 200
        withdrawn"#]]).await;
}

#[tokio::test]
async fn what_somebody_deletes_meanwhile_is_gone_too() {
    let gone = refusal(404, "NotFound", "not found");
    check([list(&[removed()]), gone], expect![[r#"
        GET kafkaclusters?labelSelector=penstock.dev%2Fcluster-id%3D00000000-0000-0000-0000-000000000007&limit=10 -> 200
        DELETE kafkaclusters/orders only=9 -> 404
        withdrawn"#]]).await;
}

#[tokio::test]
async fn a_change_in_between_leads_to_another_look() {
    let conflict = refusal(409, "Conflict", "the ResourceVersion in the precondition does not match");
    check([list(&[removed()]), conflict, list(&[removed()]), done()], expect![[r#"
        GET kafkaclusters?labelSelector=penstock.dev%2Fcluster-id%3D00000000-0000-0000-0000-000000000007&limit=10 -> 200
        DELETE kafkaclusters/orders only=9 -> 409
        GET kafkaclusters?labelSelector=penstock.dev%2Fcluster-id%3D00000000-0000-0000-0000-000000000007&limit=10 -> 200
        DELETE kafkaclusters/orders only=9 -> 200
        withdrawn"#]]).await;
}

#[tokio::test]
async fn a_cluster_that_still_runs_keeps_its_object() {
    let running = with_status(stored(&orders(), 5), &reached(&orders()));
    check([list(&[running])], expect![[r#"
        GET kafkaclusters?labelSelector=penstock.dev%2Fcluster-id%3D00000000-0000-0000-0000-000000000007&limit=10 -> 200
        KafkaCluster orders is not deleted: its status does not say that its brokers and data are gone, and they would go with it"#]]).await;
}

#[tokio::test]
async fn a_status_that_was_edited_by_hand_deletes_nothing() {
    let mut said = reached(&orders());
    said.removed = true;
    let edited = with_status(stored(&orders(), 5), &said);
    check([list(&[edited])], expect![[r#"
        GET kafkaclusters?labelSelector=penstock.dev%2Fcluster-id%3D00000000-0000-0000-0000-000000000007&limit=10 -> 200
        KafkaCluster orders is not deleted: its status does not say that its brokers and data are gone, and they would go with it"#]]).await;
}

#[tokio::test]
async fn a_removal_of_which_nothing_was_said_yet_deletes_nothing() {
    let mut said = reached(&orders());
    said.removed = true;
    let early = with_status(stored(&removal(&orders()), 5), &said);
    check([list(&[early])], expect![[r#"
        GET kafkaclusters?labelSelector=penstock.dev%2Fcluster-id%3D00000000-0000-0000-0000-000000000007&limit=10 -> 200
        KafkaCluster orders is not deleted: its status does not say that its brokers and data are gone, and they would go with it"#]]).await;
}

#[tokio::test]
async fn an_object_of_somebody_else_with_our_label_is_left_alone() {
    let mut by_hand = removed();
    by_hand["spec"].as_object_mut().unwrap().remove("intent");
    check([list(&[by_hand])], expect![[r#"
        GET kafkaclusters?labelSelector=penstock.dev%2Fcluster-id%3D00000000-0000-0000-0000-000000000007&limit=10 -> 200
        withdrawn"#]]).await;
}
