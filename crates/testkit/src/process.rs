//! The product's programs, started and ended by a test.
//!
//! A program is found beside the test program, in cargo's target directory, or where [`BINARIES_VARIABLE`]
//! says. Everything it prints is kept; when it is dropped, a WARN or ERROR line that the test did not expect
//! fails the test. A test's [`World`] holds the directory that all of its programs use and, at its end, ends
//! whatever still runs there: brokers outlive the server that started them, on purpose.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::log_watch::Expected;

/// Names the environment variable with the folder of the built programs.
pub const BINARIES_VARIABLE: &str = "PENSTOCK_BINARIES";

/// How long a program may take to say that it is ready, or to end when asked to. The slowest of them starts a
/// Postgres and three brokers; with the debug build, two busy cores and a cold disk that is ten seconds.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A built program of the workspace.
pub fn binary(name: &str) -> PathBuf {
    let folder = std::env::var_os(BINARIES_VARIABLE).map_or_else(beside_this_program, PathBuf::from);
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "{} is not built: run `cargo xtask test`, or `cargo build -p cli -p server -p broker`",
        path.display()
    );
    path
}

/// `target/debug/deps/test-…` → `target/debug`.
fn beside_this_program() -> PathBuf {
    let program = std::env::current_exe().expect("the path of this program");
    program.ancestors().nth(2).expect("a target directory").to_owned()
}

/// The directory of one test, with everything that runs in it.
#[derive(Debug)]
pub struct World {
    dir: tempfile::TempDir,
    expected: Expected,
}

impl World {
    /// An empty directory. Other accounts may pass through it: root's Postgres runs under one.
    #[expect(clippy::new_without_default, reason = "makes a directory")]
    pub fn new() -> World {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::Builder::new().prefix("penstock-test-").tempdir().expect("a temporary directory");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("the mode");
        World { dir, expected: Expected::default() }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Expects WARN and ERROR lines that contain this text, from any program of this test.
    pub fn allow(&self, fragment: &str) {
        self.expected.allow(fragment);
    }

    /// Starts a program with its output watched.
    pub fn start(&self, command: &mut Command) -> Process {
        Process::start(command, self.expected.clone())
    }

    /// Fails the test if one of these log files has a WARN or ERROR line that it did not expect, and shows all
    /// of them if it fails already. Files that are not there have no lines.
    pub fn check_logs(&self, files: &[PathBuf]) {
        for file in files {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            if std::thread::panicking() {
                lines.iter().for_each(|line| show(&file.display().to_string(), line));
                continue;
            }
            let unexpected = self.expected.unexpected(&lines);
            assert!(unexpected.is_empty(), "unexpected in {}: {unexpected:#?}", file.display());
        }
    }

    /// Process ids of everything that was started with a path in this directory, zombies excluded.
    pub fn processes(&self) -> Vec<i32> {
        let mark = self.dir.path().to_string_lossy().into_owned();
        processes_that_name(&mark)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for pid in self.processes() {
            kill_9(pid);
        }
    }
}

/// A running program. Ended with SIGKILL when dropped, if it still runs.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    stdout: Receiver<String>,
    stderr: Arc<Mutex<Vec<String>>>,
    stderr_ended: Receiver<()>,
    expected: Expected,
}

impl Process {
    fn start(command: &mut Command, expected: Expected) -> Process {
        let name =
            Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("start {name}: {error}"));
        let (send_line, stdout) = channel();
        let (send_end, stderr_ended) = channel::<()>();
        let stderr = Arc::new(Mutex::new(Vec::new()));
        read_lines(child.stdout.take().expect("piped"), move |line| drop(send_line.send(line)));
        let (kept, prefix) = (Arc::clone(&stderr), name.clone());
        read_lines(child.stderr.take().expect("piped"), move |line| {
            let _held_until_the_end = &send_end;
            show(&prefix, &line);
            kept.lock().expect("no reader panics").push(line);
        });
        Process { child, name, stdout, stderr, stderr_ended, expected }
    }

    /// The process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id fits")
    }

    /// Waits for a line of standard output that starts with this.
    pub fn wait_for_line(&mut self, start: &str) -> String {
        loop {
            match self.stdout.recv_timeout(PATIENCE) {
                Ok(line) if line.starts_with(start) => return line,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("{} did not print `{start}…` in time", self.name),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("{} ended before it printed `{start}…`", self.name)
                }
            }
        }
    }

    /// The next line of standard output, if one comes in this time.
    pub fn line_within(&mut self, time: Duration) -> Option<String> {
        self.stdout.recv_timeout(time).ok()
    }

    /// What it printed on standard error so far.
    pub fn log(&self) -> Vec<String> {
        self.stderr.lock().expect("no reader panics").clone()
    }

    /// Asks it to end (SIGTERM) and waits.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid()).expect("a process id");
        kill_process(pid, signal).unwrap_or_else(|error| panic!("signal {}: {error}", self.name));
    }

    /// Ends it without warning, as a crash would, and waits until it is gone.
    pub fn kill_9(mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Waits until it ends by itself, and then reads the rest of what it said.
    pub fn wait(&mut self) -> ExitStatus {
        let mut waited = Duration::ZERO;
        let status = loop {
            match self.child.try_wait().expect("wait for a child") {
                Some(status) => break status,
                None if waited > PATIENCE => panic!("{} did not end in time", self.name),
                None => pause(&mut waited),
            }
        };
        // Its own children may hold the pipe open longer, so not for ever.
        let _ = self.stderr_ended.recv_timeout(Duration::from_millis(500));
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.stderr_ended.recv_timeout(Duration::from_millis(500));
        let unexpected = self.expected.unexpected(&self.log());
        if !unexpected.is_empty() && !std::thread::panicking() {
            panic!("{} logged what the test does not expect: {unexpected:#?}", self.name);
        }
    }
}

/// Waits until something holds, looking again every few milliseconds.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let mut waited = Duration::ZERO;
    while !holds() {
        assert!(waited <= PATIENCE, "waited in vain until {what}");
        pause(&mut waited);
    }
}

/// Ends a process without warning, if it is there.
pub fn kill_9(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        // It may have ended between being found and being killed.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Process ids of everything whose command line contains a text. This process does not count.
pub fn processes_that_name(mark: &str) -> Vec<i32> {
    let own = i32::try_from(std::process::id()).ok();
    let numbers = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| Some(*pid) != own)
        // Empty for a zombie.
        .filter(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| names(&line, mark)))
        .collect()
}

fn names(command_line: &[u8], mark: &str) -> bool {
    String::from_utf8_lossy(command_line).contains(mark)
}

fn pause(waited: &mut Duration) {
    const LOOK_EVERY: Duration = Duration::from_millis(20);
    #[expect(clippy::disallowed_methods, reason = "a test's own thread, with no runtime to block")]
    std::thread::sleep(LOOK_EVERY);
    *waited += LOOK_EVERY;
}

/// The test harness keeps this and shows it if the test fails.
#[expect(clippy::print_stdout, reason = "what a test prints is its output")]
fn show(program: &str, line: &str) {
    println!("{program} | {line}");
}

fn read_lines(from: impl Read + Send + 'static, mut each: impl FnMut(String) + Send + 'static) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            let Ok(line) = line else { return };
            each(line);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_line_is_waited_for_and_an_end_is_told() {
        let world = World::new();
        let mut process = world.start(&mut shell("echo early; echo ready port=1; exec sleep 100"));
        assert_eq!(process.wait_for_line("ready"), "ready port=1");
        assert!(!process.stop().success(), "ended by a signal");
        assert_eq!(world.start(&mut shell("exit 7")).wait().code(), Some(7));
    }

    #[test]
    fn an_unexpected_warning_fails_the_test_and_an_expected_one_does_not() {
        let warning = "echo '2026-11-24T06:50:00Z  WARN disk: nearly full' >&2";
        let world = World::new();
        let failed = std::panic::catch_unwind(|| {
            let mut process = World::new().start(&mut shell(warning));
            process.wait();
        });
        assert!(failed.is_err());
        world.allow("nearly full");
        world.start(&mut shell(warning)).wait();
    }

    #[test]
    fn what_outlives_its_parent_ends_with_the_world() {
        let world = World::new();
        let mark = world.path().display().to_string();
        // The loop keeps the shell, whose command line has the path.
        let script = format!("(sh -c 'while :; do sleep 1; done' {mark}/broker &) ; exit 0");
        world.start(&mut shell(&script)).wait();
        wait_until("the orphan runs", || world.processes().len() == 1);
        drop(world);
        wait_until("the orphan is gone", || processes_that_name(&mark).is_empty());
    }
}
