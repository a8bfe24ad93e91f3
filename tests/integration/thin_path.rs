//! The thin path through the REST interface: what holds on every substrate, and therefore knows none.

use reqwest::Method;
use serde_json::json;
use testkit::process::World;

use crate::clients::{self, Access};
use crate::platform::Api;

/// From a request to a record: a cluster is asked for twice with one key and made once, its operation succeeds, the
/// certificates in its config vars open it, and what is produced is consumed. Returns how to reach it.
pub(crate) fn provision(world: &World, api: &Api, name: &str) -> Access {
    let wanted = json!({"plan": "dev", "name": name}).to_string().into_bytes();
    let ask = || {
        let key = [("idempotency-key", name)];
        api.send(Method::POST, "/v1/resources", Some(wanted.clone()), &key).expect("an answer").expect(202)
    };
    let (accepted, again) = (ask(), ask());
    assert_eq!(accepted["operation"]["id"], again["operation"]["id"]);
    let operation = accepted["operation"]["id"].as_str().expect("an id");
    assert_eq!(api.finished(operation), "succeeded");
    assert_eq!(api.get(&format!("/v1/resources/{name}")).expect(200)["state"], "ready");
    let access = own_access(world, api, name);
    api.topic(name, "events", 1);
    clients::produce(&access, "events", &["three"]);
    holds(&access);
    access
}

/// What [`provision`] left in the cluster is still there.
pub(crate) fn holds(access: &Access) {
    assert_eq!(clients::consume(access, "events"), ["three"]);
}

/// The cluster goes, and its name says so.
pub(crate) fn remove(api: &Api, name: &str) {
    let resource = api.get(&format!("/v1/resources/{name}")).expect(200)["id"].clone();
    let gone = api.delete(&format!("/v1/resources/{name}")).expect(202);
    assert_eq!(api.finished(gone["operation"]["id"].as_str().expect("an id")), "succeeded");
    let id = resource.as_str().expect("an id");
    assert_eq!(api.get(&format!("/v1/resources/{id}")).problem(410), "gone");
}

/// How to reach a cluster with the certificates in its config vars, as any application does.
pub(crate) fn own_access(world: &World, api: &Api, name: &str) -> Access {
    let file = |suffix: &str| {
        let path = world.path().join(format!("{name}{suffix}.pem"));
        std::fs::write(&path, config_var(api, name, suffix)).expect("write");
        path
    };
    let url = config_var(api, name, "_URL");
    Access::mutual_tls(&url, &file("_TRUSTED_CERT"), &file("_CLIENT_CERT"), &file("_CLIENT_CERT_KEY"))
}

/// A config var of a resource. The name before the suffix is that of the attachment.
pub(crate) fn config_var(api: &Api, resource: &str, suffix: &str) -> String {
    let vars = api.get(&format!("/v1/resources/{resource}/config-vars")).expect(200);
    let mut all = vars.as_object().expect("variables").iter();
    let (_, value) = all.find(|(name, _)| name.ends_with(suffix)).unwrap_or_else(|| panic!("no {suffix}"));
    value.as_str().expect("text").to_owned()
}
