//! Kills without warning in the middle of provisionings: all converge, nothing is doubled or stuck.

use reqwest::{Method, StatusCode};
use serde_json::json;
use testkit::process::wait_until;

use crate::platform::Platform;

/// Sets another number of provisionings than CI's.
const COUNT_VARIABLE: &str = "PENSTOCK_FAULT_PROVISIONINGS";

/// Enough that each kind of program is killed in several states, in about half a minute.
const COUNT_IN_CI: usize = 9;

const VICTIMS: [&str; 3] = ["penstock-server", "penstock-broker", "postgres"];

#[test]
fn provisionings_converge_while_everything_is_killed() {
    let count = std::env::var(COUNT_VARIABLE).map_or(COUNT_IN_CI, |count| count.parse().expect("a number"));
    let seed =
        std::env::var("PENSTOCK_FAULT_SEED").map_or(0x9e37_79b9, |seed| seed.parse().expect("a number"));
    println!("seed {seed}; repeat with PENSTOCK_FAULT_SEED={seed}");
    let mut dice = Dice(seed);
    let platform = Platform::up();
    // Everything dies all the time here; what counts is the end state.
    platform.world.allow("");
    let api = platform.api();

    let mut operations = Vec::new();
    for number in 0..count {
        let (name, key) = (format!("cluster-{number}"), format!("key-{number}"));
        let body = json!({"plan": "dev", "name": name}).to_string().into_bytes();
        // As a client does that cannot know whether its request arrived: again, with the same key.
        wait_until("a request is accepted", || {
            let headers = [("idempotency-key", key.as_str())];
            match api.send(Method::POST, "/v1/resources", Some(body.clone()), &headers) {
                Ok(answer) if answer.status == StatusCode::ACCEPTED => {
                    operations.push(answer.body["operation"]["id"].as_str().expect("an id").to_owned());
                    true
                }
                Ok(answer) => {
                    assert!(answer.status.is_server_error(), "{name}: {answer:?}");
                    false
                }
                Err(_) => false,
            }
        });
        dice.pause();
        let victim = VICTIMS[dice.roll(VICTIMS.len())];
        let victims = platform.processes(victim);
        if !victims.is_empty() {
            testkit::process::kill_9(victims[dice.roll(victims.len())]);
        }
    }
    for operation in &operations {
        assert_eq!(api.finished(operation), "succeeded");
    }
    let resources = api.get("/v1/resources?limit=100").expect(200);
    let resources = resources["items"].as_array().expect("a list").clone();
    assert_eq!(resources.len(), count + 1, "one for each request, and the one of `up`");
    wait_until("each cluster has its one broker", || {
        platform.processes("penstock-broker").len() == count + 1
    });
    for resource in &resources {
        assert_eq!(resource["state"], "ready", "{resource}");
        assert_eq!(resource["cluster"]["brokers"].as_array().expect("a list").len(), 1, "{resource}");
    }
}

/// A small generator of repeatable numbers (xorshift): the test needs variety, not quality.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).expect("less than a usize")
    }

    /// Up to 400 ms, so that kills meet a provisioning in all its states.
    #[expect(clippy::disallowed_methods, reason = "a test's own thread, with no runtime to block")]
    fn pause(&mut self) {
        std::thread::sleep(std::time::Duration::from_millis(self.roll(400) as u64));
    }
}
