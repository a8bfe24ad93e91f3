//! What must be answered clearly and must change nothing.

use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::process::{binary, wait_until};

use crate::broker::resident_kib;
use crate::platform::{Platform, shown};
use crate::{rest, thin_path};

#[test]
fn bad_requests_get_their_problems_and_make_nothing() {
    let platform = Platform::up();
    let api = platform.api();
    thin_path::provision(&platform.world, &api, "second");
    let brokers = platform.processes("penstock-broker").len();
    rest::refuses_what_makes_no_sense(&api, "second");

    // The server may answer before it has read everything, which some clients see as a broken connection.
    let server = platform.processes("penstock-server")[0];
    let memory = resident_kib(server);
    if let Ok(answer) = api.send(Method::POST, "/v1/resources", Some(vec![b' '; 100 << 20]), &[]) {
        assert_eq!(answer.problem(413), "body-too-large");
    }
    let grown = resident_kib(server).saturating_sub(memory);
    assert!(grown < 16 * 1024, "a body of 100 MB took {grown} KiB");
    assert_eq!(platform.processes("penstock-broker").len(), brokers);
}

#[test]
fn a_second_up_on_the_directory_is_refused_and_harms_nothing() {
    let platform = Platform::up();
    let second = platform.penstock(&["up"]).output().expect("penstock starts");
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("already"), "{}", shown(&second));
    platform.api().get("/v1/resources").expect(200);
}

#[test]
fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let world = testkit::World::new();
    let output = Command::new(binary("penstock"))
        .args(["up", "--listen", &address, "--dir"])
        .arg(world.path().join("penstock"))
        .output()
        .expect("penstock starts");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains(&address), "{}", shown(&output));
}

#[test]
fn the_platform_outlives_its_database() {
    let platform = Platform::up();
    // One line when it goes, and what was under way at that moment.
    platform.world.allow("Postgres");
    platform.world.allow("database");
    platform.world.allow("store");
    let api = platform.api();
    assert_eq!(platform.kill("postgres"), 1);
    // As a client should: again with the same key, as long as it is told to try later.
    let wish = json!({"plan": "dev"}).to_string().into_bytes();
    let mut accepted = Value::Null;
    wait_until("the request is accepted", || {
        let key = [("idempotency-key", "once")];
        let answer = api.send(Method::POST, "/v1/resources", Some(wish.clone()), &key).expect("an answer");
        if answer.status.as_u16() == 202 {
            accepted = answer.body;
            return true;
        }
        assert_eq!(answer.problem(503), "unavailable");
        false
    });
    assert_eq!(api.finished(accepted["operation"]["id"].as_str().expect("an id")), "succeeded");
}

#[test]
fn a_missing_broker_program_and_a_closed_directory_are_named() {
    // A copy of the programs without the broker beside them.
    let world = testkit::World::new();
    let programs = world.path().join("bin");
    std::fs::create_dir(&programs).expect("a directory");
    for name in ["penstock", "penstock-server"] {
        std::fs::hard_link(binary(name), programs.join(name))
            .or_else(|_| std::fs::copy(binary(name), programs.join(name)).map(drop))
            .expect("a copy");
    }
    let up = |dir: &std::path::Path| {
        let mut up = Command::new(programs.join("penstock"));
        let output = up.args(["up", "--listen", "127.0.0.1:0", "--dir"]).arg(dir).output();
        let output = output.expect("penstock starts");
        assert!(!output.status.success(), "{}", shown(&output));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = up(&world.path().join("penstock"));
    assert!(said.contains("penstock-broker"), "{said}");

    // Root may write everywhere but where there can be no directory.
    let file = world.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let said = up(&file.join("penstock"));
    assert!(said.contains(&file.display().to_string()), "{said}");
}
