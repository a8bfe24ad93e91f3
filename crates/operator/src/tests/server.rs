//! A small API server in memory behind kube's client: it keeps objects, honours preconditions, serves watches, refuses
//! what it is told to refuse, and writes down every request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Bytes;
use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use super::fixture::NODE_PORT;

type Answer = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

/// What it keeps and what it was asked.
#[derive(Clone, Default)]
pub(crate) struct ApiServer {
    inner: Arc<Mutex<Inner>>,
    relents: Arc<Notify>,
}

#[derive(Default)]
struct Inner {
    objects: BTreeMap<String, Value>,
    refusals: BTreeMap<String, (u16, String)>,
    /// Requests that are not answered.
    hanging: BTreeSet<String>,
    transcript: Vec<String>,
    version: u64,
    /// Everything that happened, for watches that begin in the past.
    history: Vec<Event>,
    watches: Vec<Watch>,
    /// Versions up to this one are forgotten: a watch from there is told to list anew.
    forgotten: u64,
    /// Whether such a watch is told so by the answer itself.
    answers_gone: bool,
}

#[derive(Clone)]
struct Event {
    version: u64,
    collection: String,
    line: String,
}

struct Watch {
    collection: String,
    events: mpsc::UnboundedSender<String>,
}

impl ApiServer {
    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (parts, body) = request.into_parts();
                let bytes = body.collect().await.expect("a body in memory").to_bytes();
                let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
                let query = parts.uri.query().unwrap_or_default();
                loop {
                    let relents = server.relents.notified();
                    let answer = server.lock().answer(&parts.method, parts.uri.path(), query, &body);
                    match answer {
                        Some(answer) => return Ok::<_, std::convert::Infallible>(answer),
                        None => relents.await,
                    }
                }
            }
        });
        Client::new(service, "default")
    }

    /// Puts an object there, as somebody with `kubectl` would.
    pub(crate) fn put(&self, path: &str, object: &impl serde::Serialize) {
        let mut object = serde_json::to_value(object).expect("an object");
        let mut inner = self.lock();
        inner.version += 1;
        let version = inner.version;
        let metadata = &mut object["metadata"];
        if metadata["resourceVersion"].is_null() {
            metadata["resourceVersion"] = json!(version.to_string());
        }
        inner.keep(path, object);
    }

    /// What is there.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.lock().objects.get(path).cloned()
    }

    /// Takes an object away, as somebody with `kubectl` would.
    pub(crate) fn take_away(&self, path: &str) {
        self.lock().remove(path);
    }

    /// Takes away everything that somebody owns, as Kubernetes does when the owner is gone.
    pub(crate) fn collect_garbage(&self) {
        let mut inner = self.lock();
        let is_owned = |object: &Value| !object["metadata"]["ownerReferences"].is_null();
        let owned = inner.objects.iter().filter(|(_, object)| is_owned(object));
        let owned: Vec<String> = owned.map(|(path, _)| path.clone()).collect();
        owned.iter().for_each(|path| inner.remove(path));
    }

    /// The paths of everything that is there.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    /// Refuses a request, for instance `PATCH /api/v1/…`, with this code from now on. A watch is a `WATCH`.
    pub(crate) fn refuse(&self, request: &str, code: u16, message: &str) {
        self.lock().refusals.insert(request.to_owned(), (code, message.to_owned()));
    }

    /// Does not answer a request from now on.
    pub(crate) fn hang(&self, request: &str) {
        self.lock().hanging.insert(request.to_owned());
    }

    /// Refuses nothing any more, and answers everything.
    pub(crate) fn relent(&self) {
        let mut inner = self.lock();
        inner.refusals.clear();
        inner.hanging.clear();
        self.relents.notify_waiters();
    }

    /// Ends every watch of a collection, for instance `/api/v1/services`.
    pub(crate) fn drop_watches(&self, collection: &str) {
        self.lock().watches.retain(|watch| watch.collection != collection);
    }

    /// Ends every watch of a collection and forgets everything that happened. The next watch is told by an event, as real
    /// servers do it, or by its answer.
    pub(crate) fn forget(&self, collection: &str, by_answer: bool) {
        let mut inner = self.lock();
        inner.answers_gone = by_answer;
        inner.version += 1;
        inner.forgotten = inner.version;
        inner.watches.retain(|watch| watch.collection != collection);
    }

    /// Tells every watch of a collection the newest version and nothing else.
    pub(crate) fn bookmark(&self, collection: &str, kind: &str, api_version: &str) {
        let mut inner = self.lock();
        inner.version += 1;
        let metadata = json!({ "resourceVersion": inner.version.to_string() });
        let object = json!({ "kind": kind, "apiVersion": api_version, "metadata": metadata });
        let line = format!("{}\n", json!({ "type": "BOOKMARK", "object": object }));
        inner.tell(collection, &line);
    }

    /// The requests since the last call, one a line.
    pub(crate) fn transcript(&self) -> String {
        std::mem::take(&mut self.lock().transcript).join("\n")
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no test holds it while it fails")
    }
}

impl Inner {
    /// The answer to a request; none if there is to be none.
    fn answer(&mut self, method: &Method, path: &str, query: &str, body: &Value) -> Option<Answer> {
        let is_watch = query.contains("watch=true");
        let verb = if is_watch { "WATCH" } else { method.as_str() };
        let line = format!("{verb} {path}");
        let detail = match *method {
            Method::DELETE => format!(" {}", body["preconditions"]),
            Method::PATCH | Method::POST => {
                let query = query.trim_start_matches('&');
                if query.is_empty() { String::new() } else { format!("?{query}") }
            }
            _ => String::new(),
        };
        self.transcript.push(format!("{line}{detail}"));
        if self.hanging.contains(&line) {
            return None;
        }
        if let Some((code, message)) = self.refusals.get(&line) {
            return Some(plain(failure(*code, message)));
        }
        if is_watch {
            return Some(self.watch(path, query));
        }
        if *method == Method::GET && is_collection(path) {
            return Some(plain(self.list(path, query)));
        }
        Some(plain(self.change(method, path, body)))
    }

    fn change(&mut self, method: &Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let there = self.objects.get(path).cloned();
        match (method, there) {
            (&Method::GET, Some(object)) => (StatusCode::OK, object),
            (&Method::GET | &Method::DELETE, None) => failure(404, "not found"),
            (&Method::POST, _) => {
                let path = format!("{path}/{}", body["metadata"]["name"].as_str().expect("a name"));
                if self.objects.contains_key(&path) {
                    return failure(409, "already exists");
                }
                (StatusCode::CREATED, self.store(&path, body.clone()))
            }
            (&Method::PATCH, None) if path.ends_with("/status") => {
                let path = path.trim_end_matches("/status");
                let Some(mut object) = self.objects.get(path).cloned() else {
                    return failure(404, "not found");
                };
                if body["metadata"]["uid"] != object["metadata"]["uid"] {
                    return failure(409, "the object has been replaced");
                }
                object["status"] = body["status"].clone();
                (StatusCode::OK, self.store(path, object))
            }
            (&Method::PUT, Some(object))
                if body["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] =>
            {
                failure(409, "the object has been modified")
            }
            (&Method::PATCH | &Method::PUT, _) => (StatusCode::OK, self.store(path, body.clone())),
            (&Method::DELETE, Some(object)) => {
                let meant = &body["preconditions"];
                let same = |key: &str| meant[key].is_null() || meant[key] == object["metadata"][key];
                if !same("uid") || !same("resourceVersion") {
                    return failure(409, "the object has been modified");
                }
                self.remove(path);
                (StatusCode::OK, object)
            }
            _ => failure(405, "no such verb here"),
        }
    }

    fn list(&self, path: &str, query: &str) -> (StatusCode, Value) {
        let collection = collection(path);
        let ours = |object: &Value| {
            let manager = &object["metadata"]["labels"]["app.kubernetes.io/managed-by"];
            !query.contains("labelSelector") || manager == "penstock-operator"
        };
        let of = |path: &str| self::collection(path) == collection;
        let found = self.objects.iter().filter(|(path, object)| of(path) && ours(object));
        let items: Vec<&Value> = found.map(|(_, object)| object).collect();
        let list = json!({
            "kind": "List", "apiVersion": "v1",
            "metadata": { "resourceVersion": self.version.to_string() }, "items": items,
        });
        (StatusCode::OK, list)
    }

    fn watch(&mut self, path: &str, query: &str) -> Answer {
        let since = query.split_once("resourceVersion=").and_then(|(_, rest)| rest.split('&').next());
        let since: u64 = since.and_then(|text| text.parse().ok()).expect("a watch begins at a version");
        let collection = collection(path);
        let (events, told) = mpsc::unbounded_channel::<String>();
        if since < self.forgotten {
            let gone = failure(410, "too old resource version");
            if self.answers_gone {
                return plain(gone);
            }
            let (_, expired) = gone;
            let _ = events.send(format!("{}\n", json!({ "type": "ERROR", "object": expired })));
            return streamed(told);
        }
        for event in self.history.iter().filter(|it| it.version > since && it.collection == collection) {
            let _ = events.send(event.line.clone());
        }
        self.watches.push(Watch { collection, events });
        streamed(told)
    }

    fn store(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        let uid = self.objects.get(path).map(|before| before["metadata"]["uid"].clone());
        object["metadata"]["uid"] = uid.unwrap_or_else(|| json!(format!("uid-{}", self.version)));
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if object["spec"]["type"] == "NodePort" && object["spec"]["ports"][0]["nodePort"].is_null() {
            object["spec"]["ports"][0]["nodePort"] = json!(NODE_PORT);
        }
        self.keep(path, object.clone());
        object
    }

    fn keep(&mut self, path: &str, object: Value) {
        let before = self.objects.insert(path.to_owned(), object.clone());
        self.happened(if before.is_some() { "MODIFIED" } else { "ADDED" }, path, object);
    }

    fn remove(&mut self, path: &str) {
        if let Some(mut object) = self.objects.remove(path) {
            self.version += 1;
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
            self.happened("DELETED", path, object);
        }
    }

    fn happened(&mut self, kind: &str, path: &str, object: Value) {
        let collection = collection(path);
        let line = format!("{}\n", json!({ "type": kind, "object": object }));
        self.tell(&collection, &line);
        self.history.push(Event { version: self.version, collection, line });
    }

    fn tell(&mut self, collection: &str, line: &str) {
        self.watches.retain(|it| it.collection != collection || it.events.send(line.to_owned()).is_ok());
    }
}

/// The kinds that are listed and watched.
const KINDS: [&str; 10] = [
    "pods",
    "persistentvolumeclaims",
    "services",
    "secrets",
    "configmaps",
    "poddisruptionbudgets",
    "networkpolicies",
    "nodes",
    "storageclasses",
    "kafkaclusters",
];

fn is_collection(path: &str) -> bool {
    KINDS.iter().any(|kind| path.ends_with(&format!("/{kind}")))
}

/// The collection over all namespaces that an object's or a collection's path is of.
fn collection(path: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    if let Some(at) = parts.iter().position(|part| *part == "namespaces") {
        parts.drain(at..at + 2);
    }
    if !is_collection(path) {
        parts.pop();
    }
    parts.join("/")
}

fn streamed(lines: mpsc::UnboundedReceiver<String>) -> Answer {
    let frames = futures_util::stream::unfold(lines, |mut lines| async move {
        let line = lines.recv().await?;
        Some((Ok::<_, std::io::Error>(Frame::data(Bytes::from(line))), lines))
    });
    Response::new(StreamBody::new(frames).boxed_unsync())
}

fn plain((code, value): (StatusCode, Value)) -> Answer {
    let body = Full::from(value.to_string()).map_err(|never| match never {}).boxed_unsync();
    Response::builder().status(code).body(body).expect("a response")
}

fn failure(code: u16, message: &str) -> (StatusCode, Value) {
    let reason = match code {
        404 => "NotFound",
        409 if message == "already exists" => "AlreadyExists",
        409 => "Conflict",
        410 => "Expired",
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
