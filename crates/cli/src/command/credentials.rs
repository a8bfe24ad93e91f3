//! `penstock credentials` and `penstock env`: how programs connect.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use api_types::credential::{ConfigVars, IssuedCredential, State};
use client::Client;

use crate::arguments::{Credentials, CredentialsCreate, CredentialsVerb, Env, Place};
use crate::connection;
use crate::failure::Failure;
use crate::output::{Output, table};

pub(crate) async fn run(place: &Place, wish: Credentials, output: &Output) -> Result<(), Failure> {
    let client = connection::client(place)?;
    let resource = connection::resource(&client, wish.on.resource.as_deref(), output).await?;
    match wish.verb.unwrap_or(CredentialsVerb::List) {
        CredentialsVerb::List => list(&client, &resource, output).await,
        CredentialsVerb::Create(wish) => create(&client, &resource, &wish, output).await,
        CredentialsVerb::Revoke(wish) => {
            let credential = client.revoke_credential(&resource, wish.credential).await?;
            output.say(&format!("{} is revoked.", credential.name));
            output.data(&credential, |credential| credential.id.to_string())
        }
    }
}

async fn list(client: &Client, resource: &str, output: &Output) -> Result<(), Failure> {
    let credentials = client.credentials(resource).await?;
    output.data(&credentials, |credentials| {
        let rows: Vec<[String; 5]> = credentials
            .iter()
            .map(|credential| {
                let state = match credential.state {
                    State::Active => "Active",
                    State::Revoked => "Revoked",
                };
                [
                    credential.name.clone(),
                    state.to_owned(),
                    credential.created_at.clone(),
                    credential.expires_at.clone(),
                    credential.id.to_string(),
                ]
            })
            .collect();
        table(["NAME", "STATE", "CREATED", "EXPIRES", "ID"], &rows)
    })
}

async fn create(
    client: &Client,
    resource: &str,
    wish: &CredentialsCreate,
    output: &Output,
) -> Result<(), Failure> {
    let issued = client.create_credential(resource, &wish.name).await?;
    output.say(&format!("{} is valid until {}.", wish.name, issued.credential.expires_at));
    let Some(dir) = &wish.to else {
        output.say("Its key is shown this once.");
        return output.data(&issued, |issued| format!("{}{}", issued.cert_pem, issued.key_pem));
    };
    write_to(dir, &issued).map_err(Failure::internal)?;
    output.say(&format!("Certificate and key are in {}.", dir.display()));
    output.data(&issued.credential, |credential| credential.id.to_string())
}

fn write_to(dir: &Path, issued: &IssuedCredential) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let ca = issued.ca_pem.as_deref().map(|pem| ("ca.pem", pem));
    let files = [("client.pem", issued.cert_pem.as_str()), ("client.key", issued.key_pem.as_str())];
    for (name, content) in files.into_iter().chain(ca) {
        write_private(&dir.join(name), content.as_bytes())?;
    }
    Ok(())
}

/// Writes a file that only its owner may read, replacing what was there as a whole.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let new = path.with_added_extension("new");
    let write = || {
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

pub(crate) async fn env(place: &Place, wish: &Env, output: &Output) -> Result<(), Failure> {
    let client = connection::client(place)?;
    let resource = connection::resource(&client, wish.which.resource.as_deref(), output).await?;
    let vars = client.config_vars(&resource).await?;
    output.data(&vars, |vars| if wish.export { exports(vars) } else { assignments(vars) })
}

fn assignments(ConfigVars(vars): &ConfigVars) -> String {
    vars.iter().map(|(name, value)| format!("{name}={}\n", quoted(value))).collect()
}

fn exports(ConfigVars(vars): &ConfigVars) -> String {
    vars.iter().map(|(name, value)| format!("export {name}={}\n", quoted(value))).collect()
}

/// One word of a POSIX shell, whatever is in it.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        assert_eq!(quoted("a b\n$c"), "'a b\n$c'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
