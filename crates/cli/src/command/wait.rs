//! `penstock wait`: until nothing is being changed about an add-on.

use crate::arguments::{Place, Wait};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::{connection, progress};

pub(crate) async fn run(place: &Place, wish: &Wait, output: &Output) -> Result<(), Failure> {
    let client = connection::client(place)?;
    let name = connection::resource(&client, wish.which.resource.as_deref(), output).await?;
    let resource = client.resource(&name).await?;
    if let Some(operation) = resource.operation {
        output.say(&resource.message);
        let operation = progress::watch(&client, operation, wish.patience.timeout, output).await?;
        if operation.kind == api_types::operation::Kind::Deprovision {
            output.say(&format!("{name} is gone."));
            return output.data(&operation, |_| String::new());
        }
    }
    let resource = client.resource(&name).await?;
    if resource.state == api_types::resource::State::Failed {
        return Err(Failure::new(Exit::Failed, "failed", format!("{name} could not be made"))
            .why(resource.message)
            .advice(format!("penstock destroy {name} --confirm {name}, then create it again")));
    }
    output.data(&resource, |resource| format!("{}: {}", resource.name, resource.message))
}
