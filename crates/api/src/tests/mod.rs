//! The routes in process, with a real Postgres: what needs no brokers. `tests/integration/rest` walks all operations with
//! real ones.

mod world;

use axum::http::StatusCode;
use serde_json::{Value, json};
use world::World;

#[test]
fn the_routes_do_not_collide_and_the_document_is_complete() {
    let _ = crate::v1::router();
    let _ = crate::heroku::router();
    let document: Value = serde_json::from_str(&crate::openapi()).unwrap();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            assert!(operation["responses"]["default"].is_object(), "{method} {path} cannot fail");
        }
    }
}

#[tokio::test]
async fn a_key_makes_a_post_happen_once() {
    let world = World::new().await;
    let body = json!({ "plan": "dev", "name": "orders" });
    let first = world.send("POST", "/v1/resources", Some(&world.owner), Some(&body), Some("k")).await;
    let again = world.send("POST", "/v1/resources", Some(&world.owner), Some(&body), Some("k")).await;
    assert_eq!((first.status, again.status), (StatusCode::ACCEPTED, StatusCode::ACCEPTED));
    assert_eq!(first.body["resource"]["id"], again.body["resource"]["id"]);
    let other = json!({ "plan": "dev", "name": "others" });
    let misused = world.send("POST", "/v1/resources", Some(&world.owner), Some(&other), Some("k")).await;
    assert_eq!(misused.code(), "idempotency-conflict");
}

#[tokio::test]
async fn mistakes_are_named() {
    let world = World::new().await;
    let post =
        async |body: Value| world.send("POST", "/v1/resources", Some(&world.owner), Some(&body), None).await;
    let unknown = post(json!({ "plan": "nope" })).await;
    assert_eq!((unknown.status, unknown.code()), (StatusCode::UNPROCESSABLE_ENTITY, "unknown-plan"));
    let misspelt = post(json!({ "plan": "dev", "nmae": "a" })).await;
    assert_eq!((misspelt.status, misspelt.code()), (StatusCode::BAD_REQUEST, "malformed-body"));
    assert_eq!(misspelt.body["field"], "nmae");
    assert_eq!(post(json!({ "plan": "dev", "name": "orders" })).await.status, StatusCode::ACCEPTED);
    assert_eq!(post(json!({ "plan": "dev", "name": "orders" })).await.code(), "name-taken");
    let limit = world.get("/v1/resources?limit=many").await;
    assert_eq!((limit.status, limit.code()), (StatusCode::BAD_REQUEST, "bad-parameter"));
    let path = world.get("/v1/nope").await;
    assert_eq!((path.status, path.code()), (StatusCode::NOT_FOUND, "no-such-path"));
    let method = world.send("PUT", "/v1/resources", Some(&world.owner), None, None).await;
    assert_eq!((method.status, method.code()), (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed"));
}

#[tokio::test]
async fn heroku_is_told_of_a_missing_cluster_without_a_message() {
    let world = World::new().await;
    let missing = "/data/kafka/v0/clusters/00000000-0000-0000-0000-000000000000";
    for path in [missing.to_owned(), format!("{missing}/wait_status")] {
        let answer = world.get(&path).await;
        assert_eq!(
            (answer.status, &answer.body),
            (StatusCode::NOT_FOUND, &json!({ "id": "not_found" })),
            "{path}"
        );
    }
    let topics = world.get(&format!("{missing}/topics")).await;
    assert_eq!(topics.status, StatusCode::NOT_FOUND);
    assert!(topics.body["message"].is_string(), "{}", topics.body);
}
