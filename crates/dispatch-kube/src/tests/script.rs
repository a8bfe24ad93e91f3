//! An API server that answers what the test tells it to, in that order, and writes down what it was asked.

use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::BodyExt;
use hyper::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// What was asked, and answered; one line each.
#[derive(Clone, Default)]
pub(super) struct Transcript(Arc<Mutex<Vec<String>>>);

impl Transcript {
    fn note(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    pub(super) fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }
}

/// One answer: the status and the body.
pub(super) type Answer = (u16, Value);

/// A client whose requests get these answers, one after the other. One request more than there are answers fails as if
/// the server were gone.
pub(super) fn script(answers: impl IntoIterator<Item = Answer>) -> (Client, Transcript) {
    let (service, mut handle) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
    let transcript = Transcript::default();
    let answers: Vec<Answer> = answers.into_iter().collect();
    let noting = transcript.clone();
    tokio::spawn(async move {
        for (code, body) in answers {
            let Some((request, answer)) = handle.next_request().await else { return };
            noting.note(format!("{} -> {code}", shown(request).await));
            let response = Response::builder().status(code).body(Body::from(body.to_string().into_bytes()));
            answer.send_response(response.expect("a response"));
        }
        while let Some((request, answer)) = handle.next_request().await {
            noting.note(format!("{} -> no answer", shown(request).await));
            answer.send_error(std::io::Error::other("the script has ended"));
        }
    });
    (Client::new(service, "fleet"), transcript)
}

/// A request in short: of an object that is applied, what tells one from another.
async fn shown(request: Request<Body>) -> String {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let path = path.replace("/apis/penstock.dev/v1alpha1/namespaces/fleet/", "");
    let body = body.collect().await.expect("a body").to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let mut line = format!("{} {}", head.method, path.trim_end_matches(['?', '&']).replace("?&", "?"));
    let generation = &body["spec"]["intent"]["generation"];
    if !generation.is_null() {
        line.push_str(&format!(" generation={generation}"));
    }
    for (name, value) in [
        ("version", &body["metadata"]["resourceVersion"]),
        ("only", &body["preconditions"]["resourceVersion"]),
        ("verb", &body["spec"]["resourceAttributes"]["verb"]),
    ] {
        if let Some(value) = value.as_str() {
            line.push_str(&format!(" {name}={value}"));
        }
    }
    line
}

/// An answer that says no.
pub(super) fn refusal(code: u16, reason: &str, message: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "reason": reason, "message": message,
    });
    (code, status)
}

/// There is no such object.
pub(super) fn absent() -> Answer {
    refusal(404, "NotFound", "kafkaclusters.penstock.dev \"orders\" not found")
}

/// The object as an API server has it, in this version.
pub(super) fn stored(intent: &model::ClusterIntent, version: u32) -> Value {
    let mut object = crate::object::applied(intent, &crd::intent::Placement::default(), None);
    object["metadata"]["uid"] = json!("11111111-2222-3333-4444-555555555555");
    object["metadata"]["resourceVersion"] = json!(version.to_string());
    object["metadata"]["namespace"] = json!("fleet");
    object["metadata"]["generation"] = json!(intent.generation.0);
    object
}

/// The same with what an operator says.
pub(super) fn with_status(mut object: Value, said: &model::ClusterStatus) -> Value {
    let typed = serde_json::from_value(object.clone()).expect("an object of ours");
    object["status"] = serde_json::to_value(crd::state::of(said, &typed)).expect("a status");
    object
}

/// A list of objects.
pub(super) fn list(objects: &[Value]) -> Answer {
    let list = json!({
        "kind": "KafkaClusterList", "apiVersion": "penstock.dev/v1alpha1",
        "metadata": {"resourceVersion": "100"}, "items": objects,
    });
    (200, list)
}
