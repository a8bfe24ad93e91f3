//! From the arguments to a client of the API, and to the one add-on that is meant.

use std::path::Path;

use client::{Client, Trust};
use secrecy::SecretString;

use crate::arguments::Place;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::up_file::UpFile;

/// Connects to the place that the arguments name. Nothing is sent yet.
pub(crate) fn client(place: &Place) -> Result<Client, Failure> {
    match &place.api_url {
        Some(address) => {
            let token_file = place.token_file.as_deref().ok_or_else(|| {
                Failure::new(Exit::Usage, "no-token", "--api-url needs a token")
                    .advice("add --token-file FILE")
            })?;
            let token: SecretString = read(token_file, "the token")?.trim().to_owned().into();
            let trust = match &place.ca_file {
                Some(file) => Trust::Only(read(file, "the CA certificate")?),
                None => Trust::Platform,
            };
            Ok(Client::new(address, token, &trust)?)
        }
        None => {
            let up = UpFile::read(&place.dir)?;
            let trust = Trust::Only(read(&up.api_ca_file, "the CA certificate")?);
            Ok(Client::new(&up.api_url, up.token.into(), &trust)?)
        }
    }
}

/// The name of the add-on that is meant: the one that was named, or the only one.
pub(crate) async fn resource(
    client: &Client,
    named: Option<&str>,
    output: &Output,
) -> Result<String, Failure> {
    if let Some(name) = named {
        return Ok(name.to_owned());
    }
    let mut names: Vec<String> =
        client.resources().await?.into_iter().map(|resource| resource.name).collect();
    match names.len() {
        0 => {
            Err(Failure::new(Exit::NotFound, "not-found", "you have no add-on").advice("penstock create dev"))
        }
        1 => {
            let name = names.remove(0);
            output.say(&format!("On {name}, your only add-on."));
            Ok(name)
        }
        _ => Err(Failure::new(Exit::Usage, "which-one", "you have more than one add-on")
            .why(names.join(", "))
            .advice("name the one that you mean")),
    }
}

fn read(path: &Path, what: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::new(Exit::Usage, "unreadable", format!("cannot read {what} from {}", path.display()))
            .why(error.to_string())
    })
}
