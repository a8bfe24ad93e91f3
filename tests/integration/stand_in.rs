//! A broker that misbehaves on request, for the scenarios that are played on Kubernetes (`kubernetes/scenarios.rs`): the
//! only program of an image besides the real broker.
//!
//! Started in the broker's place and with its command line, it asks the stage on which it plays what it is to do, does
//! it on the broker's admin port, and then becomes the real broker. Where there is no stage it becomes that at once.
//! What it is to do are the words of `sim::world::Behaviour::in_words`.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

/// In its image.
const BROKER: &str = "/penstock-broker";

/// How long the stage may take to answer. It is the same machine.
const STAGE_LIMIT: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, Default)]
struct Behaviour {
    /// How long it says that it starts.
    slow: Duration,
    /// How long after that it says that it checks its logs.
    recover: Duration,
    /// With what and when it ends instead of becoming a broker.
    exit: Option<(u8, Duration)>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let file = arguments.iter().skip_while(|word| *word != "--config").nth(1);
    let Some(text) = file.and_then(|file| std::fs::read_to_string(file).ok()) else {
        return complain("there is no readable file --config FILE");
    };
    let settings: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let words = ask(&settings).await.unwrap_or_default();
    let Some(behaviour) = behaviour(&words) else {
        return complain(&format!("the stage said what nobody understands: {words}"));
    };
    if let Some(code) = misbehave(behaviour, &settings).await {
        return code;
    }
    let failed = Command::new(BROKER).args(&arguments).exec();
    complain(&format!("cannot become {BROKER}: {failed}"))
}

/// What this broker of this cluster is to do; nothing where there is no stage.
async fn ask(settings: &BTreeMap<&str, &str>) -> Option<String> {
    let question = format!("{} {}\n", settings.get("cluster.id")?, settings.get("node.id")?);
    let asking = async {
        let mut stage = TcpStream::connect((integration::THIS_MACHINE, integration::STAGE_PORT)).await?;
        stage.write_all(question.as_bytes()).await?;
        let mut words = String::new();
        stage.read_to_string(&mut words).await?;
        std::io::Result::Ok(words)
    };
    timeout(STAGE_LIMIT, asking).await.ok()?.ok()
}

fn behaviour(words: &str) -> Option<Behaviour> {
    let number = |name: &str| -> Option<Option<u64>> {
        let mut values =
            words.split_whitespace().filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        values.next().map(|value| value.parse().ok()).map_or(Some(None), |value| value.map(Some))
    };
    let span = |name| Some(Duration::from_millis(number(name)?.unwrap_or_default()));
    let exit = match number("exit")? {
        Some(code) => Some((u8::try_from(code).ok()?, span("after")?)),
        None => None,
    };
    Some(Behaviour { slow: span("slow")?, recover: span("recover")?, exit })
}

/// Does what it was told; an exit code if that ended it. As the first process of a container it is ended by SIGTERM only
/// if it waits for that.
async fn misbehave(behaviour: Behaviour, settings: &BTreeMap<&str, &str>) -> Option<ExitCode> {
    let admin = settings.get("penstock.admin.listener").copied().unwrap_or_default();
    let Ok(listener) = TcpListener::bind(admin).await else {
        return Some(complain(&format!("cannot listen on {admin}")));
    };
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return Some(complain("cannot wait for signals"));
    };
    let (ends, after) = match behaviour.exit {
        Some((code, after)) => (Some(code), after),
        None => (None, behaviour.slow + behaviour.recover),
    };
    tokio::select! {
        () = serve(&listener, behaviour) => None,
        _ = terminate.recv() => Some(ExitCode::SUCCESS),
        () = sleep(after) => ends.map(|code| {
            complain("told to end by the stage");
            ExitCode::from(code)
        }),
    }
}

/// The pages of a broker that does not serve clients yet.
async fn serve(listener: &TcpListener, behaviour: Behaviour) {
    let began = Instant::now();
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        let mut request = [0; 1024];
        let read = stream.read(&mut request).await.unwrap_or_default();
        let status = match request[..read].starts_with(b"GET /readyz") {
            true => "503 Service Unavailable",
            false => "200 OK",
        };
        let page = match began.elapsed() < behaviour.slow {
            true => r#"{"state":"starting"}"#,
            false => r#"{"state":"recovering","recovering":{"done":1,"total":4}}"#,
        };
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n");
        // Whoever asked may have gone; the next one asks again.
        let _ = stream.write_all(format!("{head}{page}").as_bytes()).await;
    }
}

/// As the broker does: the last line of its log says why it ended.
#[expect(clippy::print_stderr, reason = "this is the program's log")]
fn complain(sentence: &str) -> ExitCode {
    eprintln!("error: {sentence}");
    ExitCode::from(2)
}
