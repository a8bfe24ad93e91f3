//! The unmodified Kafka plugin of the Heroku CLI (from npm) against the platform.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use testkit::process::wait_until;
use testkit::tools;

use crate::clients;
use crate::platform::{Platform, shown};

struct Heroku<'a> {
    platform: &'a Platform,
    node_modules: std::path::PathBuf,
}

impl Heroku<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let api = self.platform.fact("api_url").replace("127.0.0.1", "localhost");
        let home = self.platform.world.path().join("home");
        std::fs::create_dir_all(&home).expect("a home");
        let mut node = Command::new("node");
        node.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/heroku.mjs"));
        node.arg(&self.node_modules).args(arguments).args(["--app", self.platform.fact("app")]);
        // Its settings live below HOME; the plugin would also edit the user's git settings.
        node.env("HOME", &home).env("XDG_DATA_HOME", &home).env("XDG_CACHE_HOME", &home);
        node.env("XDG_CONFIG_HOME", &home).env("GIT_CONFIG_GLOBAL", home.join("gitconfig"));
        node.env("HEROKU_HOST", &api).env("HEROKU_DATA_HOST", "localhost");
        node.env("HEROKU_API_KEY", self.platform.fact("token"));
        node.env("NODE_EXTRA_CA_CERTS", self.platform.fact("api_ca_file"));
        node.env("DISABLE_TELEMETRY", "true").env("HEROKU_SKIP_NEW_VERSION_CHECK", "true");
        node
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("node starts")
    }

    /// Runs a command that must succeed; returns both of its outputs.
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(output.status.success(), "heroku {arguments:?}: {}", shown(&output));
        shown(&output)
    }
}

#[test]
fn the_unmodified_plugin_manages_topics() {
    let platform = Platform::up();
    let heroku = Heroku { platform: &platform, node_modules: tools::node_modules() };
    let app = platform.fact("app");

    let said = heroku.run(&["kafka:info"]);
    assert!(said.contains("KAFKA_URL") && said.contains("Data Size:"), "{said}");
    heroku.run(&["kafka:wait"]);

    heroku.run(&["kafka:topics:create", "orders", "--partitions", "3", "--retention-time", "2d"]);
    let info = |topic: &str| heroku.run(&["kafka:topics:info", topic]);
    wait_until("the topic is ready", || {
        let output = heroku.output(&["kafka:topics:info", "orders"]);
        output.status.success() && shown(&output).contains("Partitions:")
    });
    let said = info("orders");
    assert!(said.contains('3') && said.contains("2 days"), "{said}");
    assert!(heroku.run(&["kafka:topics"]).contains("orders"));

    heroku.run(&["kafka:topics:retention-time", "orders", "3d"]);
    wait_until("the retention is changed", || info("orders").contains("3 days"));

    heroku.run(&["kafka:topics:destroy", "orders", "--confirm", app]);
    wait_until("the topic is gone", || !heroku.run(&["kafka:topics"]).contains("orders"));
}

/// `write` and `tail` speak the oldest versions of Kafka's protocol, which Kafka 4 no longer answers: Produce 1, Fetch 0,
/// ListOffsets 0, message sets. They take certificates from the app's settings.
#[test]
fn the_unmodified_plugin_moves_records() {
    let platform = Platform::up();
    let heroku = Heroku { platform: &platform, node_modules: tools::node_modules() };
    platform.run(&["topics", "create", "orders", "--partitions", "1"]);

    // It begins with what comes after it has connected, and does not say when that is.
    const ROUNDS: usize = 20;
    let mut tail = platform.world.start(&mut heroku.command(&["kafka:topics:tail", "orders"]));
    let mut written = 0;
    let line = (0..ROUNDS).find_map(|number| {
        heroku.run(&["kafka:topics:write", "orders", &format!("order {number}"), "--key", "shop"]);
        written += 1;
        tail.line_within(Duration::from_secs(3))
    });
    let line = line.expect("the tail prints a record");
    let words: Vec<&str> = line.split(' ').collect();
    let ["orders", "0", offset, _length, "order", number] = words[..] else { panic!("{line}") };
    assert_eq!(offset, number, "the first record has offset 0, and none was written twice");
    tail.kill_9();

    let mut expected: Vec<String> = (0..written).map(|number| format!("order {number}")).collect();
    expected.sort();
    assert_eq!(clients::consume(&platform.access(), "orders"), expected, "a client of today reads them");
}
