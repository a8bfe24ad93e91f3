//! The main job on one machine: the thin path, over a restart, to an empty machine.

use testkit::process::wait_until;

use crate::platform::Platform;
use crate::{clients, thin_path};

#[test]
fn from_a_rest_call_to_a_record_over_a_restart_to_nothing() {
    let mut platform = Platform::up();
    let api = platform.api();

    // What `up` printed and wrote works as it stands.
    api.topic(platform.fact("resource"), "orders", 4);
    clients::produce(&platform.access(), "orders", &["one", "two"]);
    assert_eq!(clients::consume(&platform.access(), "orders"), ["one", "two"]);

    // Another cluster.
    let second = thin_path::provision(&platform.world, &api, "second");
    assert_eq!(platform.processes("penstock-broker").len(), 2);

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
    thin_path::holds(&second);

    // One cluster goes, the other stays.
    thin_path::remove(&api, "second");
    assert_eq!(platform.processes("penstock-broker").len(), 1);

    let dir = platform.dir();
    platform.stop();
    platform.run(&["down", "--purge"]);
    wait_until("nothing runs", || platform.world.processes().is_empty());
    assert!(!dir.exists(), "{} is still there", dir.display());
}
