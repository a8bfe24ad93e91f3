//! A small API server in memory: as much as the dispatch asks of one, with the rules that it relies on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use model::{ClusterIntent, ClusterStatus};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::script::refusal;

type Answer = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    version: u64,
    /// Every event so far, by the version that it made.
    history: Vec<(u64, Value)>,
    watches: Vec<mpsc::UnboundedSender<Value>>,
    /// How many of the next requests fail, and with which code.
    failing: (u32, u16),
    /// The next watch is told that its place is forgotten.
    forgetful: Option<Forgotten>,
    asked: BTreeMap<String, u32>,
}

/// The two ways in which an API server says that a version is too old to watch from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Forgotten {
    /// As the answer to the request.
    Answered,
    /// As the first event.
    Told,
}

/// The server. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Server {
    state: Arc<Mutex<State>>,
}

impl Server {
    pub(super) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.expect("a body").to_bytes();
                let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let query = head.uri.query().unwrap_or_default().to_owned();
                Ok::<_, std::convert::Infallible>(server.answer(&head.method, head.uri.path(), &query, &body))
            }
        });
        Client::new(service, "fleet")
    }

    /// Ends every watch, as an API server that restarts does.
    pub(super) fn drop_watches(&self) {
        self.lock().watches.clear();
    }

    /// Ends every watch and forgets what happened since.
    pub(super) fn forget_watches(&self, how: Forgotten) {
        let mut state = self.lock();
        state.watches.clear();
        state.forgetful = Some(how);
    }

    pub(super) fn fail_next(&self, requests: u32, code: u16) {
        self.lock().failing = (requests, code);
    }

    /// How often something was asked, by verb.
    pub(super) fn asked(&self, verb: &str) -> u32 {
        self.lock().asked.get(verb).copied().unwrap_or(0)
    }

    pub(super) fn object(&self, name: &str) -> Option<Value> {
        self.lock().objects.get(name).cloned()
    }

    /// What the operator does.
    pub(super) fn say(&self, intent: &ClusterIntent, said: &ClusterStatus) {
        self.edit(&intent.name, |object| *object = super::script::with_status(object.clone(), said));
    }

    /// What anybody with kubectl can do.
    pub(super) fn edit(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.lock();
        let mut object = state.objects.get(name).cloned().expect("an object of that name");
        change(&mut object);
        state.put(name, object, "MODIFIED");
    }

    /// The same, for deleting.
    pub(super) fn delete(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, method: &Method, path: &str, query: &str, body: &Value) -> Answer {
        let mut state = self.lock();
        let name = path.rsplit_once("/kafkaclusters/").map(|(_, name)| name.to_owned());
        let watch = query.contains("watch=true");
        let verb = match (method, &name) {
            (&Method::GET, Some(_)) => "get",
            (&Method::GET, None) if watch => "watch",
            (&Method::GET, None) => "list",
            (&Method::PATCH, _) => "apply",
            (&Method::DELETE, _) => "delete",
            _ => panic!("{method} {path} is not part of what this server knows"),
        };
        *state.asked.entry(verb.to_owned()).or_default() += 1;
        if state.failing.0 > 0 {
            state.failing.0 -= 1;
            return plain(refusal(state.failing.1, "Failing", "failing, as the test wants it"));
        }
        match (verb, name) {
            ("watch", _) => state.watch(query),
            ("list", _) => plain(state.list(query)),
            ("get", Some(name)) => plain(match state.objects.get(&name) {
                Some(object) => (200, object.clone()),
                None => refusal(404, "NotFound", "not found"),
            }),
            ("apply", Some(name)) => {
                assert!(query.contains("fieldManager=penstock"), "{query}");
                plain(state.apply(&name, body))
            }
            ("delete", Some(name)) => {
                let wanted = &body["preconditions"]["resourceVersion"];
                let current =
                    state.objects.get(&name).map(|object| object["metadata"]["resourceVersion"].clone());
                plain(match current {
                    None => refusal(404, "NotFound", "not found"),
                    Some(current) if current != *wanted => refusal(409, "Conflict", "another version"),
                    Some(_) => {
                        state.remove(&name);
                        (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success", "code": 200}))
                    }
                })
            }
            (verb, _) => panic!("{verb} without a name"),
        }
    }
}

impl State {
    fn put(&mut self, name: &str, mut object: Value, kind: &str) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(name.to_owned(), object.clone());
        self.tell(kind, &object);
    }

    fn remove(&mut self, name: &str) {
        self.version += 1;
        if let Some(object) = self.objects.remove(name) {
            self.tell("DELETED", &object);
        }
    }

    fn tell(&mut self, kind: &str, object: &Value) {
        let mut object = object.clone();
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let event = json!({"type": kind, "object": object});
        self.history.push((self.version, event.clone()));
        self.watches.retain(|watch| watch.send(event.clone()).is_ok());
    }

    fn apply(&mut self, name: &str, body: &Value) -> (u16, Value) {
        let mut object = body.clone();
        let wanted = body["metadata"]["resourceVersion"].clone();
        match self.objects.get(name) {
            None if !wanted.is_null() => return refusal(409, "Conflict", "there is no such version"),
            None => {
                object["metadata"]["uid"] = json!(uuid::Uuid::new_v4().to_string());
                object["metadata"]["generation"] = json!(1);
                self.put(name, object, "ADDED");
            }
            Some(current) => {
                if !wanted.is_null() && wanted != current["metadata"]["resourceVersion"] {
                    return refusal(409, "Conflict", "another version");
                }
                if current["spec"]["clusterId"] != body["spec"]["clusterId"] {
                    return refusal(422, "Invalid", "clusterId never changes");
                }
                object["status"] = current["status"].clone();
                object["metadata"]["uid"] = current["metadata"]["uid"].clone();
                let generation = current["metadata"]["generation"].as_i64().unwrap_or(1) + 1;
                object["metadata"]["generation"] = json!(generation);
                if object["status"].is_null() {
                    object.as_object_mut().expect("an object").remove("status");
                }
                self.put(name, object, "MODIFIED");
            }
        }
        (200, self.objects[name].clone())
    }

    fn list(&self, query: &str) -> (u16, Value) {
        let id =
            query.split_once("cluster-id%3D").map(|(_, rest)| rest.split('&').next().unwrap_or_default());
        let wanted = |object: &&Value| match id {
            Some(id) => object["metadata"]["labels"]["penstock.dev/cluster-id"] == id,
            None => object["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "penstock",
        };
        let items: Vec<&Value> = self.objects.values().filter(wanted).collect();
        let list = json!({
            "kind": "KafkaClusterList", "apiVersion": "penstock.dev/v1alpha1",
            "metadata": {"resourceVersion": self.version.to_string()}, "items": items,
        });
        (200, list)
    }

    fn watch(&mut self, query: &str) -> Answer {
        let since = query.split_once("resourceVersion=").and_then(|(_, rest)| rest.split('&').next());
        let since: u64 = since.and_then(|text| text.parse().ok()).expect("a watch begins at a version");
        let (sender, events) = mpsc::unbounded_channel::<Value>();
        let expired = refusal(410, "Expired", "too old resource version");
        match self.forgetful.take() {
            Some(Forgotten::Answered) => return plain(expired),
            Some(Forgotten::Told) => {
                let _ = sender.send(json!({"type": "ERROR", "object": expired.1}));
            }
            None => {
                for (_, event) in self.history.iter().filter(|(version, _)| *version > since) {
                    let _ = sender.send(event.clone());
                }
                self.watches.push(sender);
            }
        }
        let lines = futures_util::stream::unfold(events, |mut events| async move {
            let event = events.recv().await?;
            let line = format!("{event}\n").into_bytes();
            Some((Ok::<_, std::io::Error>(Frame::data(line.into())), events))
        });
        Response::new(StreamBody::new(lines).boxed_unsync())
    }
}

fn plain((code, body): (u16, Value)) -> Answer {
    let body = Full::from(body.to_string()).map_err(|never| match never {}).boxed_unsync();
    Response::builder().status(code).body(body).expect("a response")
}
