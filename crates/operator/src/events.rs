//! Events: what a person finds with `kubectl describe`. Kube's recorder counts repetitions instead of repeating them.

use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};

use crd::{KafkaCluster, labels};

use crate::status::News;

/// The longest note that the API accepts, in bytes.
const LONGEST_NOTE: usize = 1_000;

/// Tells.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Events {
    /// Tells in the name of this instance.
    #[must_use]
    pub fn new(client: Client, instance: &str) -> Events {
        let reporter =
            Reporter { controller: labels::OPERATOR.to_owned(), instance: Some(instance.to_owned()) };
        Events { recorder: Recorder::new(client, reporter) }
    }

    /// Tells about a cluster. That it cannot be told is logged and otherwise of no consequence.
    pub async fn tell(&self, object: &KafkaCluster, news: &News) {
        let event = Event {
            type_: if news.is_warning { EventType::Warning } else { EventType::Normal },
            reason: news.reason.clone(),
            note: Some(cut(&news.message)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &object.object_ref(&())).await {
            let why = match &error {
                // kube's own text repeats what the server says with every field.
                kube::Error::Api(status) => status.message.clone(),
                other => crate::error::chain(other),
            };
            tracing::info!(reason = %news.reason, "an Event could not be written: {why}");
        }
    }
}

fn cut(message: &str) -> String {
    let mut end = message.len().min(LONGEST_NOTE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message[..end].to_owned()
}
