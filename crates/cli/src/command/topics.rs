//! `penstock topics`.

use std::time::Duration;

use api_types::topic::{NewTopic, State, Topic, TopicChange};
use client::Client;
use tokio::time::Instant;

use super::destroy::is_absent;
use crate::arguments::{Place, Topics, TopicsChange, TopicsCreate, TopicsDelete, TopicsVerb};
use crate::connection;
use crate::failure::{Exit, Failure};
use crate::output::{Output, table};

/// How long to watch a topic come or go. Brokers need milliseconds; jobs are retried for longer than anybody waits.
const WATCH_FOR: Duration = Duration::from_secs(30);

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(crate) async fn run(place: &Place, wish: Topics, output: &Output) -> Result<(), Failure> {
    let client = connection::client(place)?;
    let resource = connection::resource(&client, wish.on.resource.as_deref(), output).await?;
    match wish.verb.unwrap_or(TopicsVerb::List) {
        TopicsVerb::List => list(&client, &resource, output).await,
        TopicsVerb::Info(which) => {
            let topic = client.topic(&resource, &which.topic).await?;
            output.data(&topic, described)
        }
        TopicsVerb::Create(wish) => create(&client, &resource, wish, output).await,
        TopicsVerb::Change(wish) => change(&client, &resource, wish, output).await,
        TopicsVerb::Delete(wish) => delete(&client, &resource, &wish, output).await,
    }
}

async fn list(client: &Client, resource: &str, output: &Output) -> Result<(), Failure> {
    let topics = client.topics(resource).await?;
    let (internal, own): (Vec<Topic>, Vec<Topic>) = topics.into_iter().partition(|topic| topic.internal);
    if own.is_empty() {
        output.say("No topic yet. Next: penstock topics create orders");
    }
    if !internal.is_empty() {
        output.say(&format!("{} of Kafka's own not shown.", internal.len()));
    }
    output.data(&own, |topics| {
        let rows: Vec<[String; 5]> = topics
            .iter()
            .map(|topic| {
                [
                    topic.name.clone(),
                    topic.partitions.to_string(),
                    topic.replication_factor.to_string(),
                    retention(topic.retention_ms),
                    state(topic),
                ]
            })
            .collect();
        table(["NAME", "PARTITIONS", "RF", "RETENTION", "STATE"], &rows)
    })
}

async fn create(client: &Client, resource: &str, wish: TopicsCreate, output: &Output) -> Result<(), Failure> {
    let wish = NewTopic {
        name: wish.topic,
        partitions: wish.partitions,
        replication_factor: wish.replication_factor,
        retention_ms: wish.retention.map(milliseconds),
        compaction: wish.compaction,
    };
    let accepted = client.create_topic(resource, &wish).await?;
    let topic = until(client, resource, accepted, |topic| topic.state != State::Creating).await?;
    if topic.state == State::Failed {
        let why = topic.message.unwrap_or_else(|| "no reason was given".to_owned());
        return Err(
            Failure::new(Exit::Failed, "failed", format!("{} could not be made", topic.name)).why(why)
        );
    }
    output.say(&format!("{} has {} partitions.", topic.name, topic.partitions));
    output.data(&topic, |topic| topic.name.clone())
}

async fn change(client: &Client, resource: &str, wish: TopicsChange, output: &Output) -> Result<(), Failure> {
    let change = TopicChange {
        retention_ms: wish.retention.map(|retention| Some(milliseconds(retention))),
        compaction: wish.compaction,
        replication_factor: None,
    };
    let topic = client.change_topic(resource, &wish.topic, &change).await?;
    output.say(&format!("{} is being changed.", topic.name));
    output.data(&topic, described)
}

async fn delete(
    client: &Client,
    resource: &str,
    wish: &TopicsDelete,
    output: &Output,
) -> Result<(), Failure> {
    let name = &wish.topic;
    let topic = client.topic(resource, name).await?;
    if wish.confirm.as_deref() != Some(name.as_str()) {
        let what = format!("deleting {name} removes its records, in {} partitions", topic.partitions);
        return Err(Failure::new(Exit::Usage, "confirm-needed", what).advice(format!("add --confirm {name}")));
    }
    let accepted = client.delete_topic(resource, name).await?;
    let start = Instant::now();
    while start.elapsed() < WATCH_FOR {
        match client.topic(resource, name).await {
            Err(error) if is_absent(&error) => {
                output.say(&format!("{name} and its records are gone."));
                return output.data(&accepted, |_| String::new());
            }
            Err(error) => return Err(error.into()),
            Ok(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
    Err(still(name, "removed"))
}

async fn until(
    client: &Client,
    resource: &str,
    mut topic: Topic,
    done: impl Fn(&Topic) -> bool,
) -> Result<Topic, Failure> {
    let start = Instant::now();
    while !done(&topic) {
        if start.elapsed() > WATCH_FOR {
            return Err(still(&topic.name, "made"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
        topic = client.topic(resource, &topic.name).await?;
    }
    Ok(topic)
}

fn still(name: &str, what: &str) -> Failure {
    Failure::new(Exit::StillWaiting, "still-waiting", format!("{name} is still being {what}"))
        .why(format!("the brokers have not done it within {} s; it is tried again", WATCH_FOR.as_secs()))
        .advice("look again with `penstock topics`, and at the brokers with `penstock info`")
}

fn milliseconds(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn described(topic: &Topic) -> String {
    let message = topic.message.as_deref().map(|message| format!("\n{message}")).unwrap_or_default();
    format!(
        "{}   {}   {} partitions, {} replicas each\nRetention   {}\nCompaction  {}{message}",
        topic.name,
        state(topic),
        topic.partitions,
        topic.replication_factor,
        retention(topic.retention_ms),
        if topic.compaction { "on" } else { "off" },
    )
}

fn state(topic: &Topic) -> String {
    match topic.state {
        State::Creating => "Creating",
        State::Ready => "Running",
        State::Deleting => "Removing",
        State::Failed => "Failed",
    }
    .to_owned()
}

/// In the largest unit that leaves no remainder.
fn retention(ms: Option<i64>) -> String {
    let Some(ms) = ms else { return "without end".to_owned() };
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    let unit = units.iter().find(|(size, _)| ms % size == 0 && ms >= *size);
    unit.map_or_else(|| format!("{ms} ms"), |(size, name)| format!("{} {name}", ms / size))
}

#[cfg(test)]
mod tests {
    use super::retention;

    #[test]
    fn retention_in_words() {
        let shown = [Some(86_400_000), Some(129_600_000), Some(90_000), Some(7), None].map(retention);
        assert_eq!(shown, ["1 d", "36 h", "90 s", "7 ms", "without end"]);
    }
}
