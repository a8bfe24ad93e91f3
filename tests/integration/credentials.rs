//! Client certificates beside the one that an add-on begins with: each opens the cluster until it is revoked.

use std::process::Stdio;

use serde_json::{Value, json};
use testkit::process::wait_until;

use crate::clients::{self, Access};
use crate::platform::Platform;

#[test]
fn a_revoked_credential_opens_nothing_and_the_others_go_on() {
    let platform = Platform::up();
    let api = platform.api();
    api.topic(platform.fact("resource"), "invoices", 1);
    let credentials = format!("/v1/resources/{}/credentials", platform.fact("resource"));
    let issued = api.post(&credentials, &json!({"name": "billing"})).expect(201);
    let billing = access(&platform, &issued);

    clients::produce(&billing, "invoices", &["one"]);
    assert!(knocks(&billing), "a credential works as soon as it is issued");

    let id = issued["credential"]["id"].as_str().expect("an id");
    let revoked = api.delete(&format!("{credentials}/{id}")).expect(200);
    assert_eq!(revoked["state"], "revoked");
    wait_until("the brokers know of it", || !knocks(&billing));
    assert_eq!(clients::consume(&platform.access(), "invoices"), ["one"]);
}

/// What a client does with an issued credential.
fn access(platform: &Platform, issued: &Value) -> Access {
    let file = |name: &str| {
        let path = platform.world.path().join(name);
        std::fs::write(&path, issued[name].as_str().expect("PEM")).expect("write");
        path
    };
    Access::mutual_tls(platform.fact("kafka_url"), &file("ca_pem"), &file("cert_pem"), &file("key_pem"))
}

/// Whether a broker lets this client in.
fn knocks(access: &Access) -> bool {
    let mut kcat = access.kcat();
    kcat.args(["-L", "-m", "3"]).stdout(Stdio::null()).stderr(Stdio::null());
    kcat.status().expect("kcat starts").success()
}
