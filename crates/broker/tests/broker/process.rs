//! A broker process that ends with its test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

/// A loaded machine may need this long for what usually takes milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Broker {
    child: Child,
    pub(crate) address: String,
    pub(crate) admin: String,
    /// How long the start took, as the broker says.
    pub(crate) ready_ms: u64,
    pub(crate) dir: Arc<TempDir>,
    settings: Vec<String>,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
    expected: Vec<&'static str>,
}

impl Broker {
    pub(crate) fn start(settings: &[&str]) -> Broker {
        let dir = Arc::new(tempfile::tempdir().expect("a directory"));
        Broker::start_in(dir, settings.iter().map(ToString::to_string).collect())
    }

    /// Starts a broker on the directory `data` in `dir`.
    pub(crate) fn start_in(dir: Arc<TempDir>, settings: Vec<String>) -> Broker {
        let mut command = Command::new(program());
        command.arg("dev").arg("--data").arg(dir.path().join("data"));
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        // Records in tests have times of their own, which retention would take for old.
        command.args(["--set", "log.retention.ms=-1"]);
        for setting in &settings {
            command.args(["--set", setting]);
        }
        Broker::spawn(command, dir, settings)
    }

    /// Starts a broker from a properties file.
    pub(crate) fn run(config: &Path, dir: Arc<TempDir>) -> Broker {
        let mut command = Command::new(env!("CARGO_BIN_EXE_penstock-broker"));
        command.arg("run").arg("--config").arg(config);
        Broker::spawn(command, dir, Vec::new())
    }

    fn spawn(mut command: Command, dir: Arc<TempDir>, settings: Vec<String>) -> Broker {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the broker starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().expect("piped"));
        let reader = std::thread::spawn({
            let log = Arc::clone(&log);
            move || {
                for line in lines.lines().map_while(Result::ok) {
                    log.lock().expect("no panic").push(line);
                }
            }
        });
        let mut ready = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut ready).expect("readable");
        let field = |name: &str| {
            let rest = ready.split(name).nth(1).unwrap_or_else(|| panic!("`{ready}` lacks {name}: {log:?}"));
            rest.split([' ', '\n', ',']).next().expect("a value").to_owned()
        };
        assert!(ready.starts_with("ready node.id="), "{ready}");
        let (address, admin) = (field("://"), field("admin=http://"));
        let ready_ms = field("took_ms=").parse().expect("a number");
        Broker {
            child,
            address,
            admin,
            ready_ms,
            dir,
            settings,
            log,
            reader: Some(reader),
            expected: Vec::new(),
        }
    }

    /// Accepts warnings and errors that contain `text`.
    pub(crate) fn expect(&mut self, text: &'static str) {
        self.expected.push(text);
    }

    /// Whether a log line with `text` comes up in time.
    pub(crate) fn logs(&self, text: &str) -> bool {
        eventually(|| self.log.lock().expect("no panic").iter().any(|line| line.contains(text)))
    }

    /// Resident memory that is not backed by files, in bytes.
    pub(crate) fn anonymous_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("alive");
        let line = status.lines().find(|line| line.starts_with("RssAnon")).expect("Linux");
        let kilobytes: u64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
        kilobytes * 1024
    }

    /// How many files and sockets it has open.
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("alive").count()
    }

    /// User and system time of all its threads so far.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        // Fixed by Linux for every architecture that we run on.
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("alive");
        // The second field is the command in parentheses and may hold anything; what follows it is regular.
        let (_, after) = stat.rsplit_once(')').expect("Linux");
        let ticks =
            |at: usize| after.split_whitespace().nth(at).expect("Linux").parse::<f64>().expect("a number");
        (ticks(11) + ticks(12)) / TICKS_PER_SECOND
    }

    /// Ends the process as a crash does, and starts another on the same directory.
    pub(crate) fn crash_and_restart(mut self) -> Broker {
        self.child.kill().expect("alive");
        self.again()
    }

    /// Stops in an orderly way and starts again.
    pub(crate) fn stop_and_restart(mut self) -> Broker {
        assert_eq!(self.terminate(), Some(0));
        self.again()
    }

    /// The same with one setting more.
    pub(crate) fn stop_and_restart_with(mut self, setting: &str) -> Broker {
        assert_eq!(self.terminate(), Some(0));
        self.settings.push(setting.to_owned());
        self.again()
    }

    fn again(&mut self) -> Broker {
        self.child.wait().expect("ended");
        self.check_log();
        Broker::start_in(Arc::clone(&self.dir), self.settings.clone())
    }

    /// Asks the process to stop and gives its exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("alive");
        self.child.wait().expect("ends").code()
    }

    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }

    /// The body of an admin page and its status.
    pub(crate) fn admin(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.admin).expect("admin listens");
        stream
            .write_all(format!("{request}\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
            .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        let status = answer.split(' ').nth(1).expect("a status").parse().expect("a number");
        let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned();
        (status, body)
    }

    /// The value of a metric; 0 if it is not on the page.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (_, page) = self.admin("GET /metrics HTTP/1.1");
        let line = page.lines().find(|line| line.split(' ').next() == Some(name));
        line.and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0.0)
    }

    fn check_log(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the log reader");
        }
        let log = self.log.lock().expect("no panic");
        let bad: Vec<_> = log
            .iter()
            .filter(|line| line.contains(" WARN ") || line.contains("ERROR"))
            .filter(|line| !self.expected.iter().any(|text| line.contains(text)))
            .collect();
        assert!(bad.is_empty(), "unexpected log lines: {bad:#?}");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Ended already, in tests that end it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            self.check_log();
        }
    }
}

/// The broker of this build, or another one whose figures are wanted, such as one built with `--release`.
fn program() -> std::ffi::OsString {
    std::env::var_os("PENSTOCK_BROKER").unwrap_or_else(|| env!("CARGO_BIN_EXE_penstock-broker").into())
}

/// Waits for something that another process will do.
pub(crate) fn eventually(mut holds: impl FnMut() -> bool) -> bool {
    let (step, mut left) = (Duration::from_millis(10), PATIENCE);
    while !holds() {
        if left.is_zero() {
            return false;
        }
        pause(step);
        left = left.saturating_sub(step);
    }
    true
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests wait for other processes, which offer nothing to wait on"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
