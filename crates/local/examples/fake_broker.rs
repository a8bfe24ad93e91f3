//! A stand-in for the broker in tests: it keeps the broker's contract (properties file, admin port, exit codes) and
//! misbehaves on request.
//!
//! What it is to do is the value of `fake` in its configuration, or the content of a file `fake` beside that, which
//! wins. The words, any of them: `slow=MS` before it is ready, `recover=MS` checking logs before it is ready,
//! `exit=CODE` after `after=MS`, `ignore-stop`.

use std::collections::BTreeMap;
use std::process::ExitCode;
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

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
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
        () = stopped => ExitCode::SUCCESS,
        () = sleep(exit_after), if behaviour.exit.is_some() => {
            let code = behaviour.exit.unwrap_or_default();
            if code == 2 || code == 3 {
                let _ = refuse("the fake was told to refuse");
            }
            ExitCode::from(code)
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

#[expect(clippy::print_stderr, reason = "the contract: one sentence on stderr")]
fn refuse(sentence: &str) -> ExitCode {
    eprintln!("error: {sentence}");
    ExitCode::from(2)
}
