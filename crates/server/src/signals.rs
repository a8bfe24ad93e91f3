//! When to stop: SIGINT, SIGTERM, or, where a parent asked for it, the end of standard input.

use std::io::Read;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels `stop` at the first of them. A second signal ends the process at once, as signals do.
pub(crate) fn listen(stop: &CancellationToken, with_stdin: bool) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let stop = stop.clone();
    let parent = if with_stdin { end_of_stdin() } else { tokio::sync::oneshot::channel().1 };
    tokio::spawn(async move {
        let why = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
            Ok(()) = parent => "the end of the process that started this one",
        };
        tracing::info!("stopping: {why}");
        stop.cancel();
    });
    Ok(())
}

/// The parent holds the other end of the pipe, and lets go of it even when it is killed.
///
/// A plain thread, since the runtime waits for its own at the end, and this one may never end.
fn end_of_stdin() -> tokio::sync::oneshot::Receiver<()> {
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut ignored = [0; 64];
        let mut stdin = std::io::stdin().lock();
        while !matches!(stdin.read(&mut ignored), Ok(0) | Err(_)) {}
        // Nobody listens any more when the process stops for another reason.
        let _ = ended.send(());
    });
    end
}
