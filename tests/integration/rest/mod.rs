//! The REST interface with real brokers behind it: one body for every substrate, which therefore knows none.
//!
//! It walks the OpenAPI document: each operation is called without a token, with somebody else's, and as it is meant to
//! be; every answer is compared with the document. An operation that is new in the document fails here until it has its
//! place in [`ORDER`]. On the way what the answers promise is held against the brokers: records move with what the
//! config vars and credentials say.

mod document;

use std::process::Stdio;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::process::{World, wait_until};

use crate::clients::{self, Access};
use crate::platform::{Answer, Api, Platform};
use crate::thin_path;
use document::{Document, Operation};

/// Operations that anybody may call.
const OPEN: [&str; 1] = ["list_problems"];

/// In an order in which each finds what it needs. What names a resource is refused to strangers.
const ORDER: [&str; 22] = [
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
    "show_config_vars",
    "create_credential",
    "list_credentials",
    "create_topic",
    "list_topics",
    "show_topic",
    "change_topic",
    "delete_topic",
    "revoke_credential",
    "destroy_resource",
    "list_audit_events",
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

#[test]
fn the_rest_interface_does_on_this_machine_what_its_document_says() {
    let platform = Platform::up();
    does_what_its_document_says(&platform.world, &platform.api(), &platform.stranger());
}

/// Walks the document. `stranger` is the same interface for another account.
pub(crate) fn does_what_its_document_says(world: &World, api: &Api, stranger: &Api) {
    let document = Document::ours();
    let operations = document.operations();
    let mut documented: Vec<&str> = operations.iter().map(Operation::id).collect();
    let mut known = ORDER.to_vec();
    known.sort_unstable();
    documented.sort_unstable();
    assert_eq!(known, documented, "the walk and the document name different operations");

    let mut walk = Walk { world, api, resource: String::new(), operation: String::new(), credential: None };
    for id in ORDER {
        let operation = operations.iter().find(|operation| operation.id() == id).expect("just compared");
        let path = operation
            .path
            .replace("{resource}", "orders")
            .replace("{app}", "shop")
            .replace("{topic}", "clicks")
            .replace("{operation}", &walk.operation)
            .replace("{credential}", walk.credential.as_ref().map_or("", |credential| &credential.id));
        let call = |api: &Api| {
            let body = wish(id).map(|body| body.to_string().into_bytes());
            let answer = api.send(operation.method.clone(), &path, body, &[]).expect("an answer");
            assert!(answer.headers.contains_key("request-id"), "{operation} has no request id");
            let media_type = answer.header("content-type");
            document.check_answer(operation, answer.status.as_u16(), media_type, &answer.body);
            answer
        };
        if !OPEN.contains(&id) {
            let refused = call(&api.with_token(None));
            assert_eq!(refused.problem(401), "unauthenticated", "{operation} without a token");
        }
        // What is not named in the path is each account's own.
        if operation.path.contains('{') {
            assert_eq!(call(stranger).problem(404), "not-found", "{operation} by a stranger");
        } else if operation.method == Method::GET && !OPEN.contains(&id) && id != "list_plans" {
            let theirs = call(stranger).body;
            assert!(!theirs.to_string().contains("orders"), "{operation} shows a stranger {theirs}");
        }
        let answer = call(api);
        assert!(answer.status.is_success(), "{operation}: {} {}", answer.status, answer.body);
        walk.follow(id, &answer);
    }
}

/// What came up on the way.
struct Walk<'a> {
    world: &'a World,
    api: &'a Api,
    resource: String,
    operation: String,
    credential: Option<Credential>,
}

struct Credential {
    id: String,
    access: Access,
}

impl Walk<'_> {
    /// Holds an answer against the brokers, and waits for what it only announces.
    fn follow(&mut self, operation: &str, answer: &Answer) {
        let text =
            |pointer: &str| answer.body.pointer(pointer).and_then(Value::as_str).expect(pointer).to_owned();
        match operation {
            "create_resource" => {
                self.resource = text("/resource/id");
                self.operation = text("/operation/id");
                assert_eq!(answer.header("location"), format!("/v1/operations/{}", self.operation));
                assert_eq!(answer.header("etag"), "\"1\"");
                assert_eq!(self.api.finished(&self.operation), "succeeded");
            }
            "show_resource" => assert_eq!(answer.body["state"], "ready"),
            "create_credential" => {
                assert_eq!(answer.header("cache-control"), "no-store");
                let file = |name: &str| {
                    let path = self.world.path().join(format!("web-{name}"));
                    std::fs::write(&path, text(&format!("/{name}"))).expect("write");
                    path
                };
                let url = thin_path::config_var(self.api, "orders", "_URL");
                let access = Access::mutual_tls(&url, &file("ca_pem"), &file("cert_pem"), &file("key_pem"));
                self.credential = Some(Credential { id: text("/credential/id"), access });
            }
            "create_topic" => {
                // Another one, while brokers may not be reached yet: see `Api::topic`.
                self.api.topic("orders", "invoices", 1);
                self.wait_for_topic("is made", |topic| topic["partitions"] == 4);
                let own = thin_path::own_access(self.world, self.api, "orders");
                clients::produce(&own, "clicks", &["by the config vars"]);
                clients::produce(&self.web().access, "clicks", &["by a credential"]);
                assert_eq!(clients::consume(&own, "clicks"), ["by a credential", "by the config vars"]);
            }
            "change_topic" => {
                self.wait_for_topic("is changed", |topic| topic["retention_ms"] == 7_200_000);
            }
            "delete_topic" => self.wait_for_topic("is gone", |topic| topic["code"] == "not-found"),
            "revoke_credential" => {
                assert_eq!(answer.body["state"], "revoked");
                wait_until("the brokers know of it", || !opens(&self.web().access));
                let own = thin_path::own_access(self.world, self.api, "orders");
                wait_until("the others go on", || opens(&own));
                serves_the_heroku_command_line(self.api, &self.resource);
            }
            "destroy_resource" => {
                assert_eq!(self.api.finished(&text("/operation/id")), "succeeded");
                let gone = self.api.get(&format!("/v1/resources/{}", self.resource));
                assert_eq!(gone.problem(410), "gone");
            }
            _ => {}
        }
    }

    fn web(&self) -> &Credential {
        self.credential.as_ref().expect("it was issued before")
    }

    fn wait_for_topic(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        wait_until(&format!("the topic {what}"), || {
            holds(&self.api.get("/v1/resources/orders/topics/clicks").body)
        });
    }
}

/// Whether a broker lets this client in.
pub(crate) fn opens(access: &Access) -> bool {
    let mut kcat = access.kcat();
    kcat.args(["-L", "-m", "3"]).stdout(Stdio::null()).stderr(Stdio::null());
    kcat.status().expect("kcat starts").success()
}

/// What `heroku kafka:*` asks for of a cluster that is ready, in the forms that it sends.
fn serves_the_heroku_command_line(api: &Api, resource: &str) {
    let post = |path: &str, body: Value| api.post(path, &body);
    let attachment = json!({ "app": "shop", "addon_attachment": "KAFKA" });
    let found = post("/actions/addon-attachments/resolve", attachment).expect(200);
    assert_eq!(found[0]["addon"]["id"], *resource, "{found}");
    let found = post("/actions/addons/resolve", json!({ "addon": "orders" })).expect(200);
    assert_eq!(found[0]["state"], "provisioned", "{found}");

    let cluster = format!("/data/kafka/v0/clusters/{resource}");
    // Brokers may have been restarted for the revoked credential a moment ago.
    wait_until("it is available", || api.get(&cluster).expect(200)["state"]["message"] == "available");
    let info = api.get(&cluster).expect(200);
    assert!(info["topics"].to_string().contains("invoices"), "{info}");
    let waiting = api.get(&format!("{cluster}/wait_status")).expect(200);
    assert_eq!((&waiting["waiting?"], &waiting["healthy?"]), (&json!(false), &json!(true)));

    let topics = format!("{cluster}/topics");
    let seen = |holds: &dyn Fn(&Value) -> bool| {
        let list = api.get(&topics).expect(200);
        let topic = list["topics"].as_array().expect("a list").iter().find(|it| it["name"] == "visits");
        holds(topic.unwrap_or(&Value::Null))
    };
    // Numbers come as text.
    post(&topics, json!({ "topic": { "name": "visits", "partition_count": "2" } })).expect(202);
    wait_until("the topic is made", || seen(&|topic| topic["status"] == "ready"));
    let change = json!({ "topic": { "retention_time_ms": "7200000" } }).to_string().into_bytes();
    let path = format!("{topics}/visits");
    api.send(Method::PUT, &path, Some(change), &[]).expect("an answer").expect(202);
    wait_until("the topic is changed", || seen(&|topic| topic["retention_time_ms"] == 7_200_000));
    api.delete(&path).expect(202);
    wait_until("the topic is gone", || seen(&Value::is_null));

    let missing = "/data/kafka/v0/clusters/00000000-0000-0000-0000-000000000000";
    assert_eq!(api.get(missing).expect(404), json!({ "id": "not_found" }), "with a message it is waited for");
}

/// What is answered clearly and makes nothing. The name is taken by a resource.
pub(crate) fn refuses_what_makes_no_sense(api: &Api, taken: &str) {
    let resources = "/v1/resources";
    let count = || api.get("/v1/resources?limit=100").expect(200)["items"].as_array().expect("a list").len();
    let before = count();
    let post = |body: Value| api.post(resources, &body);
    assert_eq!(post(json!({ "plan": "imaginary" })).problem(422), "unknown-plan");
    assert_eq!(post(json!({ "plan": "dev", "name": taken })).problem(409), "name-taken");
    let misspelt = post(json!({ "plan": "dev", "nmae": "a" })).expect(400);
    assert_eq!((&misspelt["code"], &misspelt["field"]), (&json!("malformed-body"), &json!("nmae")));
    let send = |method: Method, path: &str, body: &str, headers: &[(&'static str, &str)]| {
        api.send(method, path, Some(body.as_bytes().to_vec()), headers).expect("an answer")
    };
    assert_eq!(send(Method::POST, resources, "{\"plan\": ", &[]).problem(400), "malformed-body");
    assert_eq!(api.get("/v1/resources?limit=many").problem(400), "bad-parameter");
    assert_eq!(api.get("/v1/nope").problem(404), "no-such-path");
    assert_eq!(send(Method::PUT, resources, "{}", &[]).problem(405), "method-not-allowed");
    // The key of a request that was accepted, for another one.
    let other = json!({ "plan": "dev", "name": "others" }).to_string();
    let key = [("idempotency-key", taken)];
    assert_eq!(send(Method::POST, resources, &other, &key).problem(422), "idempotency-conflict");
    let topics = format!("{resources}/{taken}/topics");
    for topic in [json!({ "name": "a b" }), json!({ "name": "many", "partitions": 1_000_000 })] {
        let refused = api.post(&topics, &topic);
        assert!(refused.status.is_client_error(), "{topic}: {}", refused.body);
    }
    assert_eq!(api.with_token(None).get(resources).problem(401), "unauthenticated");
    assert_eq!(api.with_token(Some("pen_nonsense")).get(resources).problem(401), "unauthenticated");
    assert_eq!(count(), before, "nothing was made");
}
