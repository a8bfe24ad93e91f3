//! The harness: `penstock up` in a directory of its own, and its REST interface.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Once};

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::process::{PATIENCE, Process, World, binary, kill_9, wait_until};

use tokio::runtime::{Builder, Runtime};

use crate::clients::Access;

/// A running platform.
pub(crate) struct Platform {
    pub(crate) world: World,
    up: Option<Process>,
    /// What `up.json` said last.
    facts: Value,
}

impl Platform {
    /// Brings a platform up in an empty directory.
    pub(crate) fn up() -> Platform {
        let mut platform = Platform { world: World::new(), up: None, facts: Value::Null };
        platform.start();
        platform
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.world.path().join("penstock")
    }

    /// Starts `penstock up` on the directory and waits until it works.
    pub(crate) fn start(&mut self) {
        let file = self.dir().join("up.json");
        let _ = std::fs::remove_file(&file);
        let up = self.world.start(self.penstock(&["up"]).args(["--listen", "127.0.0.1:0"]));
        wait_until("up.json is there", || file.is_file());
        self.facts = serde_json::from_slice(&std::fs::read(&file).expect("up.json")).expect("JSON");
        self.up = Some(up);
    }

    /// Ends `penstock up` as Ctrl-C does.
    pub(crate) fn stop(&mut self) {
        let status = self.up.take().expect("it runs").stop();
        assert!(status.success(), "up ended with {status}");
    }

    /// A command of the product on this platform's directory.
    pub(crate) fn penstock(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("penstock"));
        command.args(arguments).arg("--dir").arg(self.dir());
        command
    }

    /// Runs a command of the product that must succeed, and returns what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.penstock(arguments).output().expect("penstock starts");
        assert!(output.status.success(), "penstock {arguments:?}: {}", shown(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    /// A field of `up.json`.
    pub(crate) fn fact(&self, name: &str) -> &str {
        self.facts[name].as_str().unwrap_or_else(|| panic!("no {name} in up.json"))
    }

    /// How clients reach the cluster that `up` made.
    pub(crate) fn access(&self) -> Access {
        let file = |name: &str| Path::new(self.fact(name)).to_owned();
        Access::mutual_tls(
            self.fact("kafka_url"),
            &file("kafka_ca_file"),
            &file("kafka_cert_file"),
            &file("kafka_key_file"),
        )
    }

    pub(crate) fn api(&self) -> Api {
        Api::new(self.fact("api_url"), Path::new(self.fact("api_ca_file")), Some(self.fact("token")))
    }

    /// The interface for another account.
    pub(crate) fn stranger(&self) -> Api {
        let postgres = |name: &str| {
            let text =
                std::fs::read_to_string(self.dir().join("postgres").join(name)).expect("Postgres's file");
            text.trim().to_owned()
        };
        let (password, port) = (postgres("password"), postgres("port"));
        let mut server = Command::new(binary("penstock-server"));
        server.args(["issue-token", "--account", "somebody-else", "--database-url"]);
        server.arg(format!("postgres://penstock:{password}@127.0.0.1:{port}/penstock"));
        let issued = server.output().expect("the program starts");
        assert!(issued.status.success(), "{}", shown(&issued));
        self.api().with_token(Some(String::from_utf8(issued.stdout).expect("text").trim()))
    }

    /// Processes of this platform that run a program of this name.
    pub(crate) fn processes(&self, name: &str) -> Vec<i32> {
        let runs = |pid: &i32| {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
        };
        self.world.processes().into_iter().filter(runs).collect()
    }

    /// Kills one program without warning and returns how many of them there were.
    pub(crate) fn kill(&self, name: &str) -> usize {
        let found = self.processes(name);
        found.iter().copied().for_each(kill_9);
        found.len()
    }
}

impl Drop for Platform {
    /// What the server and the brokers logged counts like what `up` itself said.
    fn drop(&mut self) {
        self.up = None;
        let mut logs = vec![self.dir().join("server.log")];
        for cluster in children(&self.dir().join("clusters")) {
            logs.extend(children(&cluster.join("brokers")).map(|broker| broker.join("broker.log")));
        }
        self.world.check_logs(&logs);
    }
}

fn children(dir: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// What a command said, for a message.
pub(crate) fn shown(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Before the first use of TLS by this program.
pub(crate) fn choose_cryptography() {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        rustls::crypto::aws_lc_rs::default_provider().install_default().expect("the only provider");
    });
}

/// The REST interface as any HTTP client sees it.
pub(crate) struct Api {
    base: String,
    token: Option<String>,
    client: reqwest::Client,
    /// Shared like the client: it drives the client's open connections.
    runtime: Arc<Runtime>,
}

/// An answer: the status, the body, and the body as JSON if it is that.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// A header that must be there.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no {name} with {}", self.body));
        value.to_str().expect("text")
    }

    /// The answer's body, if the status is the expected one.
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }

    /// A problem's code, if the status is the expected one.
    pub(crate) fn problem(self, status: u16) -> String {
        self.expect(status)["code"].as_str().expect("a problem has a code").to_owned()
    }
}

impl Api {
    pub(crate) fn new(base: &str, ca: &Path, token: Option<&str>) -> Api {
        choose_cryptography();
        let ca = reqwest::Certificate::from_pem(&std::fs::read(ca).expect("the CA's file"))
            .expect("a certificate");
        let client =
            reqwest::Client::builder().tls_certs_only([ca]).timeout(PATIENCE).build().expect("a client");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let runtime = Arc::new(runtime);
        Api { base: base.trim_end_matches('/').to_owned(), token: token.map(str::to_owned), client, runtime }
    }

    /// The same interface for somebody else.
    pub(crate) fn with_token(&self, token: Option<&str>) -> Api {
        let (client, runtime) = (self.client.clone(), Arc::clone(&self.runtime));
        Api { base: self.base.clone(), token: token.map(str::to_owned), client, runtime }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, &[]).expect("an answer")
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None, &[]).expect("an answer")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body.to_string().into_bytes()), &[]).expect("an answer")
    }

    /// Any request. Fails only where there was no answer at all.
    pub(crate) fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        self.runtime.block_on(async {
            let response = request.send().await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let text = response.text().await?;
            let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
            Ok(Answer { status, headers, body })
        })
    }

    /// Makes a topic and waits until clients can use it.
    pub(crate) fn topic(&self, resource: &str, name: &str, partitions: u32) {
        let topics = format!("/v1/resources/{resource}/topics");
        let wanted = json!({"name": name, "partitions": partitions});
        // Where a cluster's address is a network's to set up, it may lag behind the cluster by a moment; the answer
        // says to try again, so this does.
        wait_until(&format!("topic {name} is accepted"), || {
            let answer = self.post(&topics, &wanted);
            answer.status != StatusCode::SERVICE_UNAVAILABLE && answer.expect(202) != Value::Null
        });
        wait_until(&format!("topic {name} is ready"), || {
            self.get(&format!("{topics}/{name}")).body["partitions"] == partitions
        });
    }

    /// Asks until an operation has ended, through outages, and returns its state.
    pub(crate) fn finished(&self, operation: &str) -> String {
        let mut state = String::new();
        wait_until(&format!("operation {operation} has ended"), || {
            let answer = self.send(Method::GET, &format!("/v1/operations/{operation}"), None, &[]);
            let Ok(Answer { status: StatusCode::OK, body, .. }) = answer else { return false };
            state = body["state"].as_str().expect("a state").to_owned();
            state == "succeeded" || state == "failed"
        });
        state
    }
}
