//! Watching an operation: one line for each change, the reason of a wait in words, and never an end to the operation.

use std::time::Duration;

use api_types::operation::{Operation, State};
use client::Client;
use tokio::time::Instant;
use uuid::Uuid;

use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Between two looks. Provisioning takes about a second; a look is one indexed row.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Between two looks once it takes longer than anybody stares at.
const LOOK_SLOWLY: Duration = Duration::from_secs(1);
const SLOW_AFTER: Duration = Duration::from_secs(20);

/// A sign of life where lines cannot be redrawn.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Watches until the operation is final. Ctrl-C and the timeout end the watching only.
pub(crate) async fn watch(
    client: &Client,
    operation: Uuid,
    timeout: Duration,
    output: &Output,
) -> Result<Operation, Failure> {
    let interrupted = async {
        // Without a handler Ctrl-C ends the process, which ends the watching just as well.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        result = watch_steps(client, operation, timeout, output) => result,
        () = interrupted => Err(Failure::interrupted().advice("penstock wait")),
    }
}

async fn watch_steps(
    client: &Client,
    operation: Uuid,
    timeout: Duration,
    output: &Output,
) -> Result<Operation, Failure> {
    let start = Instant::now();
    let mut said = Vec::new();
    let mut last_word = start;
    loop {
        let now = client.operation(operation).await?;
        for line in finished_steps(&now) {
            if !said.contains(&line) {
                output.redraw("");
                output.say(&line);
                said.push(line);
                last_word = Instant::now();
            }
        }
        if now.state.is_final() {
            output.redraw("");
            return outcome(now);
        }
        let waited = start.elapsed();
        let words = format!("  … {} s: {}", waited.as_secs(), reason(&now));
        output.redraw(&words);
        if !output.redraws() && last_word.elapsed() >= HEARTBEAT {
            output.say(&words);
            last_word = Instant::now();
        }
        if waited >= timeout {
            output.redraw("");
            return Err(still_waiting(&now, waited));
        }
        tokio::time::sleep(if waited < SLOW_AFTER { LOOK_EVERY } else { LOOK_SLOWLY }).await;
    }
}

fn finished_steps(operation: &Operation) -> Vec<String> {
    let finished = operation.steps.iter().filter(|step| step.state == State::Succeeded);
    finished
        .map(|step| {
            format!("  ✓ {}{}", step.name, duration(step).map(|took| format!("  {took}")).unwrap_or_default())
        })
        .collect()
}

/// How long a step took, by the server's clock.
fn duration(step: &api_types::operation::Step) -> Option<String> {
    let at = |text: &Option<String>| text.as_deref()?.parse::<jiff::Timestamp>().ok();
    let took = at(&step.finished_at)?.duration_since(at(&step.started_at)?);
    Some(format!("{:.1} s", took.as_secs_f64()))
}

/// What an operation waits for, in words.
pub(crate) fn reason(operation: &Operation) -> String {
    let waits: Vec<String> =
        operation.waiting.iter().map(|waiting| format!("{} [{}]", waiting.message, waiting.reason)).collect();
    if !waits.is_empty() {
        return waits.join("; ");
    }
    let current = operation.steps.iter().find(|step| step.state == State::Running);
    current.map_or_else(|| "accepted, not begun yet".to_owned(), |step| step.message.clone())
}

fn outcome(operation: Operation) -> Result<Operation, Failure> {
    if operation.state == State::Succeeded {
        return Ok(operation);
    }
    let failure = operation.failure.as_ref();
    let code = failure.map_or("failed", |failure| failure.reason.as_str());
    let why = failure.map_or("no reason was given", |failure| failure.message.as_str());
    Err(Failure::new(Exit::Failed, code, format!("{} failed", what(&operation))).why(why))
}

fn still_waiting(operation: &Operation, waited: Duration) -> Failure {
    Failure::new(
        Exit::StillWaiting,
        "still-waiting",
        format!("{} goes on after {} s", what(operation), waited.as_secs()),
    )
    .why(reason(operation))
    .advice(format!("nothing is lost: go on watching with `penstock wait {}`", operation.resource_name))
}

fn what(operation: &Operation) -> String {
    use api_types::operation::Kind;
    let kind = match operation.kind {
        Kind::Provision => "making",
        Kind::Deprovision => "removing",
        Kind::Change => "changing",
    };
    format!("{kind} {}", operation.resource_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_step_says_how_long_it_took() {
        let mut step = api_types::operation::Step {
            name: "brokers".to_owned(),
            state: State::Succeeded,
            message: String::new(),
            started_at: Some("2026-11-24T23:59:59.900Z".to_owned()),
            finished_at: Some("2026-11-25T00:00:01.100Z".to_owned()),
        };
        assert_eq!(duration(&step), Some("1.2 s".to_owned()));
        step.finished_at = None;
        assert_eq!(duration(&step), None);
    }
}
