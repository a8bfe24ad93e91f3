//! Config vars: what an app needs in its environment, in Heroku's names and order.

use secrecy::SecretString;

use crate::caller::Caller;
use crate::problem::Problem;
use crate::{Control, ResourceRef, credential, resource};

/// How Heroku's names end, in the order in which its tools look for them.
const SUFFIXES: [&str; 4] = ["URL", "TRUSTED_CERT", "CLIENT_CERT", "CLIENT_CERT_KEY"];

/// What the names begin with when the resource is attached to no app.
const UNATTACHED: &str = "KAFKA";

/// Names and values, in Heroku's order. Certificates are not secret, but they travel with a key that is.
#[derive(Debug)]
pub struct ConfigVars(pub Vec<(String, SecretString)>);

/// The names that an attachment of this name gives its app.
pub(crate) fn names(attachment: &str) -> Vec<String> {
    SUFFIXES.iter().map(|suffix| format!("{attachment}_{suffix}")).collect()
}

impl Control {
    /// The config vars of a resource, with its default credential.
    pub async fn config_vars(&self, caller: &Caller, reference: &ResourceRef) -> Result<ConfigVars, Problem> {
        let mut tx = self.begin().await?;
        let resource = resource::find(&mut tx, caller, reference).await?;
        resource.usable()?;
        let rows = store::credential::of_resource(&mut tx, resource.id).await?;
        let row = rows
            .iter()
            .find(|row| row.name == credential::DEFAULT_NAME && row.revoked_at.is_none())
            .ok_or_else(|| Problem::not_found("credential", credential::DEFAULT_NAME))?;
        let issued = self.reveal(&mut tx, &resource, row).await?;
        let (Some(url), Some(cluster_ca)) = (resource.kafka_url(), issued.cluster_ca_pem) else {
            return Err(Problem::NotReady {
                message: format!("the addresses of {} are not known yet", resource.name),
                retry_after_seconds: 1,
            });
        };
        let values: [SecretString; 4] =
            [url.into(), cluster_ca.into(), issued.cert_pem.into(), issued.key_pem];
        let attachment = resource.attachment.as_deref().unwrap_or(UNATTACHED);
        Ok(ConfigVars(names(attachment).into_iter().zip(values).collect()))
    }
}
