//! What a person reads when the API server is of no use.

use expect_test::{Expect, expect};
use serde_json::json;

use super::script::{Answer, list, refusal, script};
use crate::connect::check as check_server;
use crate::{Connection, Source};

async fn check(answers: Vec<Answer>, expected: Expect) {
    let (client, transcript) = script(answers);
    let outcome = check_server(&client, "https://10.0.0.1:6443/", "fleet").await;
    let outcome = outcome.map_or_else(|error| error.to_string(), |()| "of use".to_owned());
    let asked: Vec<String> = transcript
        .text()
        .lines()
        .map(|line| line.replace("POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "may"))
        .collect();
    expected.assert_eq(&format!("{}\n{outcome}", asked.join("\n")));
}

/// Whether it may, six times.
fn rights(refused: &str) -> Vec<Answer> {
    ["get", "list", "watch", "create", "patch", "delete"]
        .into_iter()
        .map(|verb| (201, json!({"spec": {}, "status": {"allowed": !refused.contains(verb)}})))
        .collect()
}

#[tokio::test]
async fn a_server_with_all_that_is_needed() {
    let mut answers = rights("");
    answers.push(list(&[]));
    check(
        answers,
        expect![[r#"
        may verb=get -> 201
        may verb=list -> 201
        may verb=watch -> 201
        may verb=create -> 201
        may verb=patch -> 201
        may verb=delete -> 201
        GET kafkaclusters?limit=1 -> 200
        of use"#]],
    )
    .await;
}

#[tokio::test]
async fn every_missing_right_is_named() {
    check(rights("watch patch"), expect![[r#"
        may verb=get -> 201
        may verb=list -> 201
        may verb=watch -> 201
        may verb=create -> 201
        may verb=patch -> 201
        may verb=delete -> 201
        the account may not watch, patch kafkaclusters.penstock.dev in namespace fleet; grant it with the role of the chart penstock"#]]).await;
}

#[tokio::test]
async fn a_missing_resource_is_named() {
    let mut answers = rights("");
    answers.push((404, json!("404 page not found")));
    check(answers, expect![[r#"
        may verb=get -> 201
        may verb=list -> 201
        may verb=watch -> 201
        may verb=create -> 201
        may verb=patch -> 201
        may verb=delete -> 201
        GET kafkaclusters?limit=1 -> 404
        the Kubernetes API server at https://10.0.0.1:6443/ has no KafkaCluster resource; install it with the chart penstock-operator, or with `penstock-operator crds | kubectl apply --server-side -f -`"#]]).await;
}

#[tokio::test]
async fn refused_credentials_are_named() {
    check(
        vec![refusal(401, "Unauthorized", "Unauthorized")],
        expect![[r#"
        may verb=get -> 401
        the Kubernetes API server at https://10.0.0.1:6443/ refuses the credentials: Unauthorized"#]],
    )
    .await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_named() {
    check(vec![], expect![[r#"
        may verb=get -> no answer
        the Kubernetes API server at https://10.0.0.1:6443/ does not answer; is the address right and the cluster running?"#]]).await;
}

async fn open(kubeconfig: &std::path::Path) -> String {
    let source = Source { kubeconfig: Some(kubeconfig.to_owned()), namespace: None };
    match Connection::open(&source).await {
        Ok(_) => "of use".to_owned(),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            format!("{error}: {cause}")
        }
    }
}

#[tokio::test]
async fn a_kubeconfig_that_is_not_there_is_named() {
    let said = open(std::path::Path::new("/nowhere/kubeconfig")).await;
    assert!(said.starts_with("the kubeconfig /nowhere/kubeconfig cannot be used: "), "{said}");
}
