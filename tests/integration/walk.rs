//! The main job: from a REST call to a record, then over a restart, to an empty machine.

use serde_json::json;
use testkit::process::wait_until;

use crate::clients::{self, Access};
use crate::platform::Platform;

#[test]
fn from_a_rest_call_to_a_record_over_a_restart_to_nothing() {
    let mut platform = Platform::up();
    let api = platform.api();

    // What `up` printed and wrote works as it stands.
    api.topic(platform.fact("resource"), "orders", 4);
    clients::produce(&platform.access(), "orders", &["one", "two"]);
    assert_eq!(clients::consume(&platform.access(), "orders"), ["one", "two"]);

    // Another cluster, asked for twice with one key: made once.
    let wanted = json!({"plan": "dev", "name": "second"}).to_string().into_bytes();
    let ask = || {
        let key = [("idempotency-key", "once")];
        api.send(reqwest::Method::POST, "/v1/resources", Some(wanted.clone()), &key)
            .expect("an answer")
            .expect(202)
    };
    let (accepted, again) = (ask(), ask());
    assert_eq!(accepted["operation"]["id"], again["operation"]["id"]);
    let operation = accepted["operation"]["id"].as_str().expect("an id");
    assert_eq!(api.finished(operation), "succeeded");
    assert_eq!(platform.processes("penstock-broker").len(), 2);
    let second = use_own_credentials(&platform, "second");
    clients::produce(&second, "events", &["three"]);

    // A restart finds everything, and the brokers never noticed.
    let mut brokers = platform.processes("penstock-broker");
    platform.stop();
    platform.start();
    let api = platform.api();
    let names = api.get("/v1/resources").expect(200);
    assert!(names.to_string().contains("second"), "{names}");
    let mut adopted = platform.processes("penstock-broker");
    brokers.sort_unstable();
    adopted.sort_unstable();
    assert_eq!(brokers, adopted, "brokers are adopted, not started again");
    assert_eq!(clients::consume(&platform.access(), "orders"), ["one", "two"]);
    assert_eq!(clients::consume(&second, "events"), ["three"]);

    // One cluster goes, the other stays.
    let gone = api.delete("/v1/resources/second").expect(202);
    assert_eq!(api.finished(gone["operation"]["id"].as_str().expect("an id")), "succeeded");
    assert_eq!(platform.processes("penstock-broker").len(), 1);

    let dir = platform.dir();
    platform.stop();
    platform.run(&["down", "--purge"]);
    wait_until("nothing runs", || platform.world.processes().is_empty());
    assert!(!dir.exists(), "{} is still there", dir.display());
}

/// The certificates of a resource through its config vars, and a topic `events` in it.
fn use_own_credentials(platform: &Platform, resource: &str) -> Access {
    let api = platform.api();
    let vars = api.get(&format!("/v1/resources/{resource}/config-vars")).expect(200);
    // The name before the suffix is that of the attachment.
    let var = |suffix: &str| {
        let mut all = vars.as_object().expect("variables").iter();
        let (_, value) =
            all.find(|(name, _)| name.ends_with(suffix)).unwrap_or_else(|| panic!("no {suffix}"));
        value.as_str().expect("text").to_owned()
    };
    let file = |name: &str| {
        let path = platform.world.path().join(format!("second{name}.pem"));
        std::fs::write(&path, var(name)).expect("write");
        path
    };
    api.topic(resource, "events", 1);
    Access::mutual_tls(&var("_URL"), &file("_TRUSTED_CERT"), &file("_CLIENT_CERT"), &file("_CLIENT_CERT_KEY"))
}
