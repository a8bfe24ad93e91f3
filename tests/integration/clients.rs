//! Kafka clients that other people wrote.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::tools;

/// How a client reaches a cluster: librdkafka's settings.
#[derive(Clone, Debug)]
pub(crate) struct Access(Vec<(&'static str, String)>);

impl Access {
    pub(crate) fn plaintext(address: &str) -> Access {
        Access(vec![("bootstrap.servers", address.to_owned())])
    }

    /// `kafka_url` as Heroku writes it, and the three files of a client certificate.
    pub(crate) fn mutual_tls(kafka_url: &str, ca: &Path, certificate: &Path, key: &Path) -> Access {
        let file = |path: &Path| path.display().to_string();
        Access(vec![
            ("bootstrap.servers", kafka_url.replace("kafka+ssl://", "")),
            ("security.protocol", "ssl".to_owned()),
            ("ssl.ca.location", file(ca)),
            ("ssl.certificate.location", file(certificate)),
            ("ssl.key.location", file(key)),
        ])
    }

    pub(crate) fn kcat(&self) -> Command {
        let mut kcat = Command::new("timeout");
        kcat.args(["60", "kcat"]);
        for (name, value) in &self.0 {
            kcat.arg("-X").arg(format!("{name}={value}"));
        }
        kcat
    }

    /// The settings as one JSON object, for Python.
    pub(crate) fn json(&self) -> String {
        let settings: serde_json::Map<String, serde_json::Value> =
            self.0.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
        serde_json::Value::Object(settings).to_string()
    }
}

/// Produces one record a line with kcat, acknowledged by all replicas.
pub(crate) fn produce(access: &Access, topic: &str, lines: &[&str]) {
    let mut kcat = access.kcat();
    kcat.args(["-P", "-X", "acks=all", "-t", topic]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = kcat.spawn().expect("kcat starts");
    let mut input = child.stdin.take().expect("piped");
    for line in lines {
        writeln!(input, "{line}").expect("kcat reads");
    }
    drop(input);
    let output = child.wait_with_output().expect("kcat ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("Delivery failed"), "kcat -P {topic}: {said}");
}

/// Consumes a whole topic with kcat, from the beginning to where it ends now.
pub(crate) fn consume(access: &Access, topic: &str) -> Vec<String> {
    let mut kcat = access.kcat();
    kcat.args(["-C", "-e", "-q", "-o", "beginning", "-t", topic]);
    let output = kcat.output().expect("kcat starts");
    assert!(output.status.success(), "kcat -C {topic}: {}", String::from_utf8_lossy(&output.stderr));
    let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    // Partitions come in any order.
    lines.sort();
    lines
}

/// Runs a script of `tests/clients` and returns what it printed.
pub(crate) fn python(script: &str, arguments: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(script);
    let output = Command::new("timeout")
        .arg("120")
        .arg(tools::python())
        .arg(path)
        .args(arguments)
        .output()
        .expect("python starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} {arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}
