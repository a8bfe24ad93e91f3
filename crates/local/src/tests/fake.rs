//! A stand-in for the broker: it keeps the broker's contract (properties file, admin port, exit codes) and misbehaves
//! on request.
//!
//! It is this test binary itself, started again through a script (see [`script`]) with an environment variable that
//! makes one "test" of it a broker; so whatever builds the tests builds the stand-in.
//!
//! What it is to do is the value of `fake` in its configuration, or the content of a file `fake` beside that, which
//! wins. The words, any of them: `slow=MS` before it is ready, `recover=MS` checking logs before it is ready,
//! `exit=CODE` after `after=MS`, `ignore-stop`.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

#[derive(Clone, Debug, Default)]
struct Behaviour {
    slow: Duration,
    recover: Duration,
    exit: Option<u8>,
    after: Duration,
    ignore_stop: bool,
}

fn behaviour(words: &str) -> Behaviour {
    let mut behaviour = Behaviour::default();
    for word in words.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap_or((word, "0"));
        let number: u64 = value.parse().expect("a number");
        match name {
            "slow" => behaviour.slow = Duration::from_millis(number),
            "recover" => behaviour.recover = Duration::from_millis(number),
            "exit" => behaviour.exit = Some(u8::try_from(number).expect("an exit code")),
            "after" => behaviour.after = Duration::from_millis(number),
            "ignore-stop" => behaviour.ignore_stop = true,
            other => panic!("unknown word {other}"),
        }
    }
    behaviour
}

/// Says to this test binary that it is a broker.
const IS_BROKER: &str = "PENSTOCK_TEST_IS_BROKER";

/// Writes a script that runs the stand-in with the command line of a broker.
pub(super) fn script(dir: &Path) -> PathBuf {
    let path = dir.join("fake-broker");
    let test = std::env::current_exe().unwrap();
    // What follows `--` are names of tests to the test runner; none of ours is called so.
    let text = format!(
        "#!/bin/sh\n{IS_BROKER}=1 exec '{}' --exact tests::fake::run --nocapture -- \"$@\"\n",
        test.display()
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Not a test but the stand-in, if it was started as one.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the exit code is part of the contract, and nothing needs flushing"
)]
fn run() {
    if std::env::var_os(IS_BROKER).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::process::exit(runtime.block_on(broker()));
}

async fn broker() -> i32 {
    let file =
        std::env::args().skip_while(|argument| argument != "--config").nth(1).expect("run --config FILE");
    let text = std::fs::read_to_string(file).expect("a configuration");
    let config: BTreeMap<&str, &str> =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('=')).collect();
    let words =
        std::fs::read_to_string("fake").unwrap_or_else(|_| config.get("fake").unwrap_or(&"").to_string());
    let behaviour = behaviour(&words);
    let listener = match TcpListener::bind(config["penstock.admin.listener"]).await {
        Ok(listener) => listener,
        Err(error) => {
            return refuse(&format!("cannot listen on {}: {error}", config["penstock.admin.listener"]));
        }
    };
    let address = config["listeners"].trim_start_matches("SSL://");
    let _clients = match TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(error) => return refuse(&format!("cannot listen on {address}: {error}")),
    };
    say("started");
    let mut terminate = signal(SignalKind::terminate()).expect("signals");
    let began = Instant::now();
    let exit_after = behaviour.after;
    let serve = async {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { continue };
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let page = page(&behaviour, config["penstock.instance"], began.elapsed());
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(format!("{head}{page}").as_bytes()).await;
        }
    };
    let stopped = async {
        loop {
            terminate.recv().await;
            if !behaviour.ignore_stop {
                return;
            }
        }
    };
    tokio::select! {
        () = serve => unreachable!("it serves for ever"),
        () = stopped => 0,
        () = sleep(exit_after), if behaviour.exit.is_some() => {
            let code = behaviour.exit.unwrap_or_default();
            if code == 2 || code == 3 {
                let _ = refuse("the fake was told to refuse");
            }
            i32::from(code)
        }
    }
}

fn page(behaviour: &Behaviour, instance: &str, up: Duration) -> String {
    if up < behaviour.slow {
        return r#"{"state":"starting"}"#.to_owned();
    }
    if up < behaviour.slow + behaviour.recover {
        return r#"{"state":"recovering","recovering":{"done":1,"total":4}}"#.to_owned();
    }
    format!(r#"{{"state":"ready","instance":"{instance}","recovering":{{"done":0,"total":0}}}}"#)
}

fn refuse(sentence: &str) -> i32 {
    say(&format!("error: {sentence}"));
    2
}

fn say(line: &str) {
    eprintln!("{line}");
}
