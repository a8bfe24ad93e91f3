//! When to stop: SIGINT, SIGTERM, or, where a parent asked for it, the end of standard input.

use anyhow::Context;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels `stop` at the first of them. A second signal ends the process at once, as signals do.
pub(crate) fn listen(stop: &CancellationToken, with_stdin: bool) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let stop = stop.clone();
    tokio::spawn(async move {
        let why = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
            () = end_of_stdin(), if with_stdin => "the end of the process that started this one",
        };
        tracing::info!("stopping: {why}");
        stop.cancel();
    });
    Ok(())
}

/// The parent holds the other end of the pipe, and lets go of it even when it is killed.
async fn end_of_stdin() {
    let mut ignored = [0; 64];
    let mut stdin = tokio::io::stdin();
    while !matches!(stdin.read(&mut ignored).await, Ok(0) | Err(_)) {}
}
