//! Walks the OpenAPI document: each operation is called without a token, with somebody else's, and as it is meant to be;
//! every answer is compared with the document. An operation that is new in the document fails here until it has a
//! line in [`wish`].

use serde_json::{Value, json};

use super::schema::{Document, Operation};
use super::world::{Answer, World};

/// Operations that anybody may call.
const OPEN: [&str; 1] = ["list_problems"];

/// In an order in which each finds what it needs. What names a resource is refused to strangers.
const ORDER: [&str; 21] = [
    "list_problems",
    "show_account",
    "list_plans",
    "create_app",
    "list_apps",
    "show_app",
    "create_resource",
    "list_resources",
    "show_resource",
    "list_operations",
    "show_operation",
    "create_topic",
    "list_topics",
    "show_topic",
    "change_topic",
    "delete_topic",
    "create_credential",
    "list_credentials",
    "show_config_vars",
    "revoke_credential",
    "destroy_resource",
];

/// The body of the call that is meant to succeed.
fn wish(operation: &str) -> Option<Value> {
    match operation {
        "create_app" => Some(json!({ "name": "shop" })),
        "create_resource" => Some(json!({ "plan": "dev", "name": "orders", "app": "shop" })),
        "create_topic" => Some(json!({ "name": "clicks", "partitions": 4 })),
        "change_topic" => Some(json!({ "retention_ms": 7_200_000 })),
        "create_credential" => Some(json!({ "name": "web" })),
        _ => None,
    }
}

/// Ids that came up on the way.
#[derive(Default)]
struct Found {
    operation: String,
    credential: String,
}

#[tokio::test]
async fn every_operation_is_refused_to_strangers_and_answers_as_the_document_says() {
    let document = Document::ours();
    let operations = document.operations();
    let world = World::new().await;
    let mut found = Found::default();
    let mut order: Vec<&str> = ORDER.to_vec();
    order.push("list_audit_events");
    let mut known = order.clone();
    let mut documented: Vec<&str> = operations.iter().map(Operation::id).collect();
    known.sort_unstable();
    documented.sort_unstable();
    assert_eq!(known, documented, "the walk and the document name different operations");

    for id in order {
        let operation = operations.iter().find(|operation| operation.id() == id).unwrap();
        let path = operation
            .path
            .replace("{resource}", "orders")
            .replace("{app}", "shop")
            .replace("{topic}", "clicks")
            .replace("{operation}", &found.operation)
            .replace("{credential}", &found.credential);
        let body = wish(id);
        let call = async |token: Option<&str>| {
            let answer = world.send(&operation.method, &path, token, body.as_ref(), None).await;
            check(&document, operation, &answer);
            answer
        };

        if !OPEN.contains(&id) {
            assert_eq!(call(None).await.code(), "unauthenticated", "{operation} without a token");
        }
        // What is not named in the path is each account's own.
        if operation.path.contains('{') {
            assert_eq!(call(Some(&world.stranger)).await.code(), "not-found", "{operation} by a stranger");
        } else if operation.method == "GET" && !OPEN.contains(&id) && id != "list_plans" {
            let theirs = call(Some(&world.stranger)).await.body;
            assert!(!theirs.to_string().contains("orders"), "{operation} shows a stranger {theirs}");
        }
        let answer = call(Some(&world.owner)).await;
        assert!(answer.status.is_success(), "{operation}: {} {}", answer.status, answer.body);
        match id {
            "create_resource" => {
                found.operation = answer.body["operation"]["id"].as_str().unwrap().to_owned();
                assert_eq!(answer.headers["location"], format!("/v1/operations/{}", found.operation));
                assert_eq!(answer.headers["etag"], "\"1\"");
                world.make_ready(&answer.body["resource"]).await;
            }
            "create_credential" => {
                found.credential = answer.body["credential"]["id"].as_str().unwrap().to_owned();
                assert_eq!(answer.headers["cache-control"], "no-store");
            }
            _ => {}
        }
    }
}

fn check(document: &Document, operation: &Operation<'_>, answer: &Answer) {
    assert!(answer.headers.contains_key("request-id"), "{operation} has no request id");
    let media_type = answer.headers["content-type"].to_str().unwrap();
    document.check_answer(operation, answer.status.as_u16(), media_type, &answer.body);
}
