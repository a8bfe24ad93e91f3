//! Which requests a publication makes, and what becomes of it.

use agent::DispatchError;
use expect_test::{Expect, expect};
use model::ClusterIntent;
use serde_json::json;

use super::script::{Answer, absent, refusal, script, stored};
use super::{config, metrics, next, orders};
use crate::publish::Publisher;

/// Publishes against a script; the last line is the outcome.
async fn check(intent: &ClusterIntent, answers: impl IntoIterator<Item = Answer>, expected: Expect) {
    let (client, transcript) = script(answers);
    let outcome = Publisher::new(client, config(), metrics()).publish(intent).await;
    let outcome = match outcome {
        Ok(()) => "published".to_owned(),
        Err(error) => {
            let kind = match &error {
                DispatchError::Superseded { .. } => "superseded",
                DispatchError::Different { .. } => "different",
                DispatchError::Refused { .. } => "refused",
                DispatchError::Unavailable { .. } => "unavailable",
            };
            let cause = std::error::Error::source(&error).map(|cause| format!(" ({cause})"));
            format!("{kind}: {error}{}", cause.unwrap_or_default())
        }
    };
    expected.assert_eq(&format!("{}\n{outcome}", transcript.text()));
}

#[tokio::test]
async fn a_new_cluster_is_applied_after_a_look() {
    let made = (201, stored(&orders(), 1));
    check(
        &orders(),
        [absent(), made],
        expect![[r#"
        GET kafkaclusters/orders -> 404
        PATCH kafkaclusters/orders?force=true&fieldManager=penstock generation=1 -> 201
        published"#]],
    )
    .await;
}

#[tokio::test]
async fn the_same_intent_again_writes_nothing() {
    check(
        &orders(),
        [(200, stored(&orders(), 5))],
        expect![[r#"
        GET kafkaclusters/orders -> 200
        published"#]],
    )
    .await;
}

#[tokio::test]
async fn a_newer_intent_names_the_version_that_it_replaces() {
    let second = next(&orders());
    let answers = [(200, stored(&orders(), 5)), (200, stored(&second, 6))];
    check(
        &second,
        answers,
        expect![[r#"
        GET kafkaclusters/orders -> 200
        PATCH kafkaclusters/orders?force=true&fieldManager=penstock generation=2 version=5 -> 200
        published"#]],
    )
    .await;
}

#[tokio::test]
async fn an_older_intent_is_refused_without_a_write() {
    check(&orders(), [(200, stored(&next(&orders()), 5))], expect![[r#"
        GET kafkaclusters/orders -> 200
        superseded: cluster 00000000-0000-0000-0000-000000000007 already follows generation 2; generation 1 is refused"#]]).await;
}

#[tokio::test]
async fn two_intents_of_one_generation_are_not_confused() {
    let mut other = orders();
    other.config.insert("num.partitions".to_owned(), "3".to_owned());
    check(&orders(), [(200, stored(&other, 5))], expect![[r#"
        GET kafkaclusters/orders -> 200
        different: cluster 00000000-0000-0000-0000-000000000007 already follows another intent of generation 1"#]]).await;
}

#[tokio::test]
async fn an_object_that_was_edited_by_hand_is_put_right() {
    let mut edited = stored(&orders(), 5);
    edited["spec"]["config"] = json!({"num.partitions": "9"});
    check(
        &orders(),
        [(200, edited), (200, stored(&orders(), 6))],
        expect![[r#"
        GET kafkaclusters/orders -> 200
        PATCH kafkaclusters/orders?force=true&fieldManager=penstock generation=1 version=5 -> 200
        published"#]],
    )
    .await;
}

#[tokio::test]
async fn an_object_of_somebody_else_is_left_alone() {
    let mut by_hand = stored(&orders(), 5);
    by_hand["spec"].as_object_mut().unwrap().remove("intent");
    by_hand["spec"].as_object_mut().unwrap().remove("clusterId");
    check(&orders(), [(200, by_hand)], expect![[r#"
        GET kafkaclusters/orders -> 200
        refused: there is an object KafkaCluster orders of somebody else, and it is left alone; delete or rename it, or publish into another namespace"#]]).await;
}

#[tokio::test]
async fn an_object_of_another_cluster_is_left_alone() {
    let mut other = orders();
    other.cluster = model::ClusterId(uuid::Uuid::from_u128(8));
    check(&orders(), [(200, stored(&other, 5))], expect![[r#"
        GET kafkaclusters/orders -> 200
        refused: there is an object KafkaCluster orders of somebody else, and it is left alone; delete or rename it, or publish into another namespace"#]]).await;
}

#[tokio::test]
async fn an_object_that_is_none_is_named() {
    let mut broken = stored(&orders(), 5);
    broken["spec"]["pools"] = json!("three");
    check(&orders(), [(200, broken)], expect![[r#"
        GET kafkaclusters/orders -> 200
        refused: there is an object KafkaCluster orders that cannot be read (Invalid type string "three". Expected a sequence); correct or delete it"#]]).await;
}

#[tokio::test]
async fn a_conflict_leads_to_another_look() {
    let second = next(&orders());
    let conflict = refusal(409, "Conflict", "the object has been modified");
    let answers =
        [(200, stored(&orders(), 5)), conflict, (200, stored(&orders(), 6)), (200, stored(&second, 7))];
    check(
        &second,
        answers,
        expect![[r#"
        GET kafkaclusters/orders -> 200
        PATCH kafkaclusters/orders?force=true&fieldManager=penstock generation=2 version=5 -> 409
        GET kafkaclusters/orders -> 200
        PATCH kafkaclusters/orders?force=true&fieldManager=penstock generation=2 version=6 -> 200
        published"#]],
    )
    .await;
}

#[tokio::test]
async fn a_name_that_somebody_takes_in_between_is_the_rules_to_defend() {
    let rule = refusal(422, "Invalid", "KafkaCluster \"orders\" is invalid: spec: clusterId never changes");
    check(&orders(), [absent(), rule], expect![[r#"
        GET kafkaclusters/orders -> 404
        PATCH kafkaclusters/orders?force=true&fieldManager=penstock generation=1 -> 422
        refused: could not publish KafkaCluster orders in namespace fleet: KafkaCluster "orders" is invalid: spec: clusterId never changes"#]]).await;
}

#[tokio::test]
async fn a_lost_answer_is_found_by_the_next_look() {
    let lost = refusal(500, "InternalError", "etcdserver: request timed out");
    check(
        &orders(),
        [absent(), lost, (200, stored(&orders(), 1))],
        expect![[r#"
        GET kafkaclusters/orders -> 404
        PATCH kafkaclusters/orders?force=true&fieldManager=penstock generation=1 -> 500
        GET kafkaclusters/orders -> 200
        published"#]],
    )
    .await;
}

#[tokio::test]
async fn attempts_are_bounded() {
    let busy = || refusal(429, "TooManyRequests", "too many requests");
    check(
        &orders(),
        [busy(), busy(), busy(), busy(), busy()],
        expect![[r#"
        GET kafkaclusters/orders -> 429
        GET kafkaclusters/orders -> 429
        GET kafkaclusters/orders -> 429
        GET kafkaclusters/orders -> 429
        unavailable: could not publish KafkaCluster orders in namespace fleet (too many requests)"#]],
    )
    .await;
}

#[tokio::test]
async fn a_missing_right_is_named_and_not_tried_again() {
    let forbidden = refusal(
        403,
        "Forbidden",
        "kafkaclusters.penstock.dev \"orders\" is forbidden: User \"penstock\" cannot patch resource \"kafkaclusters\"",
    );
    check(&orders(), [absent(), forbidden], expect![[r#"
        GET kafkaclusters/orders -> 404
        PATCH kafkaclusters/orders?force=true&fieldManager=penstock generation=1 -> 403
        refused: could not publish KafkaCluster orders in namespace fleet: kafkaclusters.penstock.dev "orders" is forbidden: User "penstock" cannot patch resource "kafkaclusters"; grant it with the role of the chart penstock"#]]).await;
}

#[tokio::test]
async fn a_missing_namespace_is_named() {
    let missing = refusal(404, "NotFound", "namespaces \"fleet\" not found");
    check(&orders(), [absent(), missing], expect![[r#"
        GET kafkaclusters/orders -> 404
        PATCH kafkaclusters/orders?force=true&fieldManager=penstock generation=1 -> 404
        refused: could not publish KafkaCluster orders in namespace fleet: the API server knows no such namespace or resource (namespaces "fleet" not found); make the namespace, and install the custom resources with the chart penstock-operator"#]]).await;
}
