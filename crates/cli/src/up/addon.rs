//! The add-on that `up` makes the first time, asked for through the API as anybody would, and tried before it is
//! promised in `up.json`.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use api_types::resource::{NewResource, Resource};
use client::{Client, Trust};
use tokio::time::Instant;
use uuid::Uuid;

use super::server::Ready;
use super::trial::{self, Kafka};
use crate::command::credentials::write_private;
use crate::command::destroy::is_absent;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress;
use crate::up_file::UpFile;

/// The application and the add-on of the first start.
const APP: &str = "demo";
const RESOURCE: &str = "demo-kafka";

/// Where the server keeps the owner's token.
const TOKEN_FILE: &str = "owner.token";

/// How long brokers may take to be there. They start in a fraction of a second; those that were killed first check
/// their logs.
const BROKERS_WITHIN: Duration = Duration::from_secs(120);

/// Makes sure of the add-on, writes its certificates, and gives what belongs into `up.json`.
pub(crate) async fn ensure(
    dir: &Path,
    ready: &Ready,
    plan: &str,
    output: &Output,
) -> Result<UpFile, Failure> {
    let token = read(&dir.join(TOKEN_FILE))?;
    let ca = read(&ready.ca_file)?;
    let client = Client::new(&ready.url, token.clone().into(), &Trust::Only(ca))?;
    let start = Instant::now();
    let (resource, is_new) = resource(&client, plan, output).await?;
    let vars = client.config_vars(&resource.name).await?;
    let kafka = Kafka::from_vars(&vars)?;
    let brokers = kafka.answers(BROKERS_WITHIN).await?;
    if is_new {
        trial::first_record(&brokers).await?;
        let took = start.elapsed().as_secs_f64();
        output.say(&format!(
            "The add-on {} had its first record {took:.1} s after it was asked for.",
            resource.name
        ));
    }
    let kafka_dir = dir.join("kafka");
    std::fs::create_dir_all(&kafka_dir)
        .with_context(|| format!("cannot make {}", kafka_dir.display()))
        .map_err(Failure::internal)?;
    let place = |name: &str, content: &str| {
        let path = kafka_dir.join(name);
        write_private(&path, content.as_bytes()).map_err(Failure::internal).map(|()| path)
    };
    Ok(UpFile {
        api_url: ready.url.clone(),
        api_ca_file: ready.ca_file.clone(),
        console_url: format!("{}/", ready.url),
        token,
        app: APP.to_owned(),
        resource: resource.name,
        kafka_ca_file: place("ca.pem", kafka.ca_pem)?,
        kafka_cert_file: place("client.pem", kafka.cert_pem)?,
        kafka_key_file: place("client.key", kafka.key_pem)?,
        kafka_url: kafka.url.to_owned(),
    })
}

/// The add-on, and whether it was made just now.
async fn resource(client: &Client, plan: &str, output: &Output) -> Result<(Resource, bool), Failure> {
    let (resource, is_new) = match client.resource(RESOURCE).await {
        Ok(resource) => (resource, false),
        Err(error) if is_absent(&error) => (create(client, plan).await?, true),
        Err(error) => return Err(error.into()),
    };
    if let Some(operation) = resource.operation {
        progress::watch(client, operation, BROKERS_WITHIN, output).await?;
    }
    Ok((client.resource(RESOURCE).await?, is_new))
}

async fn create(client: &Client, plan: &str) -> Result<Resource, Failure> {
    match client.create_app(APP).await {
        Err(error) if error.code() != Some("name-taken") => return Err(error.into()),
        _ => {}
    }
    let wish = NewResource {
        plan: plan.to_owned(),
        name: Some(RESOURCE.to_owned()),
        app: Some(APP.to_owned()),
        region: None,
    };
    Ok(client.create_resource(&wish, &Uuid::new_v4().to_string()).await?.resource)
}

fn read(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    text.map(|text| text.trim().to_owned()).map_err(Failure::internal)
}
