//! A small API server in memory behind kube's client: it keeps objects, honours preconditions, refuses what it is told
//! to refuse, and writes down every request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use super::fixture::NODE_PORT;

/// What it keeps and what it was asked.
#[derive(Clone, Default)]
pub(crate) struct ApiServer {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    objects: BTreeMap<String, Value>,
    refusals: BTreeMap<String, (u16, String)>,
    transcript: Vec<String>,
    version: u64,
}

impl ApiServer {
    /// Starts it; it ends with the test's runtime.
    pub(crate) fn client(&self) -> Client {
        let (service, mut handle) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
        let server = self.clone();
        tokio::spawn(async move {
            while let Some((request, answer)) = handle.next_request().await {
                let (parts, body) = request.into_parts();
                let bytes = body.collect().await.expect("a body in memory").to_bytes();
                let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
                let (code, value) = server.answer(&parts.method, parts.uri.path(), parts.uri.query(), &body);
                let text = serde_json::to_vec(&value).expect("a value");
                let response = Response::builder().status(code).body(Body::from(text)).expect("a response");
                answer.send_response(response);
            }
        });
        Client::new(service, "default")
    }

    /// Puts an object there.
    pub(crate) fn put(&self, path: &str, object: &impl serde::Serialize) {
        let object = serde_json::to_value(object).expect("an object");
        self.inner.lock().unwrap().objects.insert(path.to_owned(), object);
    }

    /// What is there.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.inner.lock().unwrap().objects.get(path).cloned()
    }

    /// Takes an object away, as somebody with `kubectl` would.
    pub(crate) fn take_away(&self, path: &str) {
        self.inner.lock().unwrap().objects.remove(path);
    }

    /// The paths of everything that is there.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.inner.lock().unwrap().objects.keys().cloned().collect()
    }

    /// Refuses a request, for instance `PATCH /api/v1/…`, with this code from now on.
    pub(crate) fn refuse(&self, request: &str, code: u16, message: &str) {
        self.inner.lock().unwrap().refusals.insert(request.to_owned(), (code, message.to_owned()));
    }

    /// The requests since the last call, one a line.
    pub(crate) fn transcript(&self) -> String {
        std::mem::take(&mut self.inner.lock().unwrap().transcript).join("\n")
    }

    fn answer(&self, method: &Method, path: &str, query: Option<&str>, body: &Value) -> (StatusCode, Value) {
        let mut inner = self.inner.lock().unwrap();
        let line = format!("{method} {path}");
        let detail = match *method {
            Method::DELETE => format!(" {}", body["preconditions"]),
            Method::PATCH | Method::POST => {
                let query = query.unwrap_or_default().trim_start_matches('&');
                if query.is_empty() { String::new() } else { format!("?{query}") }
            }
            _ => String::new(),
        };
        inner.transcript.push(format!("{line}{detail}"));
        if let Some((code, message)) = inner.refusals.get(&line) {
            return failure(*code, message);
        }
        let there = inner.objects.get(path).cloned();
        match (method, there) {
            (&Method::GET, Some(object)) => (StatusCode::OK, object),
            (&Method::GET | &Method::DELETE, None) => failure(404, "not found"),
            (&Method::POST, _) => {
                let path = format!("{path}/{}", body["metadata"]["name"].as_str().expect("a name"));
                if inner.objects.contains_key(&path) {
                    return failure(409, "already exists");
                }
                (StatusCode::CREATED, inner.store(&path, body.clone()))
            }
            (&Method::PATCH, None) if path.ends_with("/status") => {
                let path = path.trim_end_matches("/status");
                let Some(mut object) = inner.objects.get(path).cloned() else {
                    return failure(404, "not found");
                };
                if body["metadata"]["uid"] != object["metadata"]["uid"] {
                    return failure(409, "the object has been replaced");
                }
                object["status"] = body["status"].clone();
                (StatusCode::OK, inner.store(path, object))
            }
            (&Method::PATCH | &Method::PUT, _) => (StatusCode::OK, inner.store(path, body.clone())),
            (&Method::DELETE, Some(object)) => {
                let meant = &body["preconditions"];
                let same = |key: &str| meant[key].is_null() || meant[key] == object["metadata"][key];
                if !same("uid") || !same("resourceVersion") {
                    return failure(409, "the object has been modified");
                }
                inner.objects.remove(path);
                (StatusCode::OK, object)
            }
            _ => failure(405, "no such verb here"),
        }
    }
}

impl Inner {
    fn store(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        let uid = self.objects.get(path).map(|before| before["metadata"]["uid"].clone());
        object["metadata"]["uid"] = uid.unwrap_or_else(|| json!(format!("uid-{}", self.version)));
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if object["spec"]["type"] == "NodePort" && object["spec"]["ports"][0]["nodePort"].is_null() {
            object["spec"]["ports"][0]["nodePort"] = json!(NODE_PORT);
        }
        self.objects.insert(path.to_owned(), object.clone());
        object
    }
}

fn failure(code: u16, message: &str) -> (StatusCode, Value) {
    let reason = match code {
        404 => "NotFound",
        409 if message == "already exists" => "AlreadyExists",
        409 => "Conflict",
        403 => "Forbidden",
        422 => "Invalid",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "message": message, "reason": reason, "code": code,
    });
    (StatusCode::from_u16(code).expect("a code"), status)
}
