//! What holds without a database.

#[test]
fn the_routes_do_not_collide_and_the_document_is_complete() {
    let _ = crate::v1::router();
    let _ = crate::heroku::router();
    let document: serde_json::Value = serde_json::from_str(&crate::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 10, "{:?}", paths.keys());
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            assert!(operation["responses"]["default"].is_object(), "{method} {path} cannot fail");
        }
    }
}
