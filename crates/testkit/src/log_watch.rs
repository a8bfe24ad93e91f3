//! Fails a test for a WARN or ERROR line that it did not expect.
//!
//! A program that works as it should has nothing to warn of. A test that breaks things on purpose says which
//! lines that brings, with [`Expected::allow`]; a line it allowed may come any number of times, or never.
//!
//! Two sources: the standard error of programs ([`crate::process`]), and `tracing` events of code that runs
//! inside the test itself ([`quiet`]).

use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// What is only said because the machine is slow at that moment: lines that contain all of these. Tests judge no speed: a
/// busy machine would fail them. A request that fails for want of a connection is not among them.
const ABOUT_SPEED: &[&[&str]] = &[
    &["slow statement"],
    &["time to acquire exceeded slow threshold"],
    // Both wait for the database and go on by themselves.
    &["Postgres does not answer; brokers go on", NO_CONNECTION],
    &["the database is away; starting goes on", NO_CONNECTION],
];

/// What sqlx says when Postgres took too long to open a connection, or all were taken.
const NO_CONNECTION: &str = "pool timed out while waiting for an open connection";

/// The lines that a test expects, by fragments of their text.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    fragments: Arc<Mutex<Vec<String>>>,
}

impl Expected {
    /// Expects WARN and ERROR lines that contain this text.
    pub fn allow(&self, fragment: &str) {
        lock(&self.fragments).push(fragment.to_owned());
    }

    fn allows(&self, line: &str) -> bool {
        ABOUT_SPEED.iter().any(|texts| texts.iter().all(|text| line.contains(text)))
            || lock(&self.fragments).iter().any(|fragment| line.contains(fragment.as_str()))
    }

    /// The lines of a program's output that are WARN or ERROR and not expected.
    pub(crate) fn unexpected(&self, lines: &[String]) -> Vec<String> {
        lines.iter().filter(|line| is_complaint(line) && !self.allows(line)).cloned().collect()
    }
}

/// Whether a line of our programs' logs, text or JSON, has the level WARN or ERROR, or is a panic.
fn is_complaint(line: &str) -> bool {
    // `2026-11-24T06:50:00.123Z  WARN broker::listener: …`: the level is the second word.
    let second = line.split_whitespace().nth(1);
    matches!(second, Some("WARN" | "ERROR"))
        || line.contains(r#""level":"WARN""#)
        || line.contains(r#""level":"ERROR""#)
        || (line.starts_with("thread '") && line.contains("panicked at"))
}

/// Watches the `tracing` events of this thread until it is dropped.
#[derive(Debug)]
pub struct Quiet {
    expected: Expected,
    complaints: Arc<Mutex<Vec<String>>>,
    _subscribed: tracing::subscriber::DefaultGuard,
}

/// Watches what code in this test logs. Covers the calling thread, so a test with a multi-threaded runtime
/// watches its own task only.
pub fn quiet() -> Quiet {
    let complaints = Arc::default();
    let subscriber = tracing_subscriber::registry().with(Collect { complaints: Arc::clone(&complaints) });
    Quiet {
        expected: Expected::default(),
        complaints,
        _subscribed: tracing::subscriber::set_default(subscriber),
    }
}

impl Quiet {
    /// Expects events whose message or fields contain this text.
    pub fn allow(&self, fragment: &str) {
        self.expected.allow(fragment);
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let complaints = lock(&self.complaints);
        let unexpected: Vec<&String> = complaints.iter().filter(|line| !self.expected.allows(line)).collect();
        // A test that fails already has said why.
        if !unexpected.is_empty() && !std::thread::panicking() {
            panic!("unexpected WARN or ERROR events: {unexpected:#?}");
        }
    }
}

struct Collect {
    complaints: Arc<Mutex<Vec<String>>>,
}

impl<S: Subscriber> Layer<S> for Collect {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() <= Level::WARN {
            let mut line = format!("{} {}:", event.metadata().level(), event.metadata().target());
            event.record(&mut Words(&mut line));
            lock(&self.complaints).push(line);
        }
    }
}

/// Writes an event's fields one after the other.
struct Words<'a>(&'a mut String);

impl Visit for Words<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        use std::fmt::Write as _;
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

/// A poisoned lock means that another thread of the test failed, which is reported there.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_recognised_in_both_formats() {
        for line in [
            "2026-11-24T06:50:00.1Z  WARN broker::listener: too many connections",
            "2026-11-24T06:50:00.1Z ERROR store: lost",
            r#"{"timestamp":"2026-11-24T06:50:00.1Z","level":"WARN","message":"m"}"#,
            "thread 'tokio-runtime-worker' panicked at crates/x/src/lib.rs:1:1:",
        ] {
            assert!(is_complaint(line), "{line}");
        }
        assert!(!is_complaint("2026-11-24T06:50:00.1Z  INFO broker: no ERROR here"));
        assert!(!is_complaint(r#"{"level":"INFO","message":"WARN in a text"}"#));
    }

    #[test]
    fn expected_lines_pass_and_others_do_not() {
        let expected = Expected::default();
        expected.allow("gone away");
        let line = |text: &str| format!("2026-11-24T06:50:00.1Z  WARN store: {text}");
        let lines = [line("Postgres has gone away"), line("odd"), line("slow statement: 1.2 s")];
        assert_eq!(expected.unexpected(&lines), [line("odd")]);
        let waiting = line(&format!("Postgres does not answer; brokers go on cause={NO_CONNECTION}"));
        let refused = line(&format!("could not answer a request: {NO_CONNECTION}"));
        assert_eq!(expected.unexpected(&[waiting, refused.clone()]), [refused]);
    }

    #[test]
    fn events_inside_a_test_count() {
        let watch = quiet();
        watch.allow("expected");
        tracing::warn!("an expected thing");
        tracing::info!("nothing");
        drop(watch);

        let failed = std::panic::catch_unwind(|| {
            let _watch = quiet();
            tracing::error!(broker.id = 3, "a broken thing");
        });
        let said = failed.expect_err("the watch fails the test");
        let said = said.downcast_ref::<String>().expect("a message");
        assert!(said.contains("a broken thing") && said.contains("broker.id=3"), "{said}");
    }
}
