//! `penstock create`: ask for an add-on, and wait until it can be used.

use api_types::resource::NewResource;
use client::{Client, Error};
use tokio::time::Instant;
use uuid::Uuid;

use crate::arguments::{Create, Place};
use crate::failure::Failure;
use crate::output::Output;
use crate::{connection, progress};

pub(crate) async fn run(place: &Place, wish: &Create, output: &Output) -> Result<(), Failure> {
    let client = connection::client(place)?;
    if let Some(app) = &wish.app {
        ensure_app(&client, app, output).await?;
    }
    let body =
        NewResource { plan: wish.plan.clone(), name: wish.name.clone(), app: wish.app.clone(), region: None };
    let start = Instant::now();
    let accepted = match client.create_resource(&body, &Uuid::new_v4().to_string()).await {
        Ok(accepted) => accepted,
        Err(error) if error.code() == Some("name-taken") => return found(&client, wish, error, output).await,
        Err(error) => return Err(error.into()),
    };
    let name = accepted.resource.name.clone();
    let app = wish.app.as_deref().map(|app| format!(" for {app}")).unwrap_or_default();
    output.say(&format!("Creating {name} ({}){app}", wish.plan));
    if !wish.no_wait {
        progress::watch(&client, accepted.operation.id, wish.patience.timeout, output).await?;
        output.say(&format!("Ready in {:.1} s.", start.elapsed().as_secs_f64()));
        if let Some(app) = &wish.app {
            output.say(&format!("KAFKA_URL and 3 more variables are set on {app}."));
        }
        output.say(&format!("Next: penstock topics create orders --resource {name}"));
    }
    let resource = client.resource(&name).await?;
    output.data(&resource, |resource| resource.name.clone())
}

async fn ensure_app(client: &Client, app: &str, output: &Output) -> Result<(), Failure> {
    match client.create_app(app).await {
        Ok(_) => output.say(&format!("Made the application {app}.")),
        Err(error) if error.code() == Some("name-taken") => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// The command was run before with the same words: what is there is what was asked for. Anything else is a conflict.
async fn found(client: &Client, wish: &Create, refusal: Error, output: &Output) -> Result<(), Failure> {
    let Some(name) = &wish.name else { return Err(refusal.into()) };
    let resource = client.resource(name).await?;
    if resource.plan != wish.plan || (wish.app.is_some() && resource.app != wish.app) {
        return Err(refusal.into());
    }
    output.say(&format!("{name} is there already."));
    if let (Some(operation), false) = (resource.operation, wish.no_wait) {
        progress::watch(client, operation, wish.patience.timeout, output).await?;
    }
    let resource = client.resource(name).await?;
    output.data(&resource, |resource| resource.name.clone())
}
