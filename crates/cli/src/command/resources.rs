//! `penstock resources` and `penstock info`.

use std::fmt::Write;

use api_types::resource::Resource;

use crate::arguments::{Place, Which};
use crate::connection;
use crate::failure::Failure;
use crate::output::{Output, table};

pub(crate) async fn list(place: &Place, output: &Output) -> Result<(), Failure> {
    let resources = connection::client(place)?.resources().await?;
    if resources.is_empty() {
        output.say("You have no add-on. Next: penstock create dev");
    }
    output.data(&resources, |resources| {
        let rows: Vec<[String; 5]> = resources
            .iter()
            .map(|resource| {
                [
                    resource.name.clone(),
                    state(resource),
                    resource.plan.clone(),
                    resource.app.clone().unwrap_or_else(|| "–".to_owned()),
                    resource.message.clone(),
                ]
            })
            .collect();
        table(["NAME", "STATE", "PLAN", "APP", "WHY"], &rows)
    })
}

pub(crate) async fn show(place: &Place, which: &Which, output: &Output) -> Result<(), Failure> {
    let client = connection::client(place)?;
    let name = connection::resource(&client, which.resource.as_deref(), output).await?;
    let resource = client.resource(&name).await?;
    output.data(&resource, described)
}

fn described(resource: &Resource) -> String {
    let mut text = String::new();
    let cluster = &resource.cluster;
    let app = resource.app.as_deref().map(|app| format!("   app {app}")).unwrap_or_default();
    let seen = cluster.seen_at.as_deref().map(|at| format!("   as of {at}")).unwrap_or_default();
    // Writing into a string does not fail.
    let _ = writeln!(
        text,
        "{}   {}   {}   {}{app}{seen}",
        resource.name,
        state(resource),
        resource.plan,
        cluster.release
    );
    let _ = writeln!(text, "{}", resource.message);
    if let Some(url) = &cluster.kafka_url {
        let _ = writeln!(text, "Connect  {url}");
    }
    for broker in &cluster.brokers {
        let endpoint = broker.endpoint.as_deref().unwrap_or("no address yet");
        let restarts = match broker.restarts {
            0 => String::new(),
            1 => ", started again once".to_owned(),
            times => format!(", started again {times} times"),
        };
        let _ = writeln!(text, "Broker {}  {endpoint}  {}{restarts}", broker.id, broker.message);
    }
    text
}

/// The word that console and documentation use for a state.
fn state(resource: &Resource) -> String {
    use api_types::resource::State;
    match resource.state {
        State::Provisioning => "Provisioning",
        State::Ready => "Running",
        State::Degraded => "Degraded",
        State::Deprovisioning => "Removing",
        State::Gone => "Removed",
        State::Failed => "Held",
    }
    .to_owned()
}
