//! `penstock destroy`: give an add-on back. The name has to be typed twice, since its data goes with it.

use client::Error;

use crate::arguments::{Destroy, Place};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::{connection, progress};

pub(crate) async fn run(place: &Place, wish: &Destroy, output: &Output) -> Result<(), Failure> {
    let client = connection::client(place)?;
    let resource = client.resource(&wish.resource).await?;
    let name = resource.name;
    if wish.confirm.as_deref() != Some(name.as_str()) {
        return Err(Failure::new(
            Exit::Usage,
            "confirm-needed",
            format!("destroying {name} deletes all its data"),
        )
        .advice(format!("add --confirm {name}")));
    }
    let accepted = client.destroy_resource(&wish.resource).await?;
    if wish.no_wait {
        output.say(&format!("{name} is being removed."));
        return output.data(&accepted.operation, |_| String::new());
    }
    output.say(&format!("Removing {name}"));
    let operation = match progress::watch(&client, accepted.operation.id, wish.patience.timeout, output).await
    {
        Ok(operation) => operation,
        Err(failure) => return Err(failure),
    };
    output.say(&format!("{name} and its data are gone."));
    output.data(&operation, |_| String::new())
}

/// Whether an answer means that there is nothing (any more).
pub(crate) fn is_absent(error: &Error) -> bool {
    matches!(error.code(), Some("not-found" | "gone"))
}
