//! One method for each operation of the API.

use std::fmt::Write;

use api_types::Page;
use api_types::account::Account;
use api_types::app::{App, NewApp};
use api_types::credential::{ConfigVars, Credential, IssuedCredential, NewCredential};
use api_types::operation::Operation;
use api_types::page::List;
use api_types::plan::Plan;
use api_types::resource::{Accepted, NewResource, Resource};
use api_types::topic::{NewTopic, Topic, TopicChange};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::error::Error;
use crate::transport::Client;

/// Items of one page when everything is read: the most that the server gives.
const PAGE: u32 = 200;

impl Client {
    /// Who the token speaks for.
    pub async fn account(&self) -> Result<Account, Error> {
        self.get("/v1/account").await
    }

    /// All plans.
    pub async fn plans(&self) -> Result<Vec<Plan>, Error> {
        self.list("/v1/plans").await
    }

    /// All applications.
    pub async fn apps(&self) -> Result<Vec<App>, Error> {
        self.list("/v1/apps").await
    }

    /// Makes an application.
    pub async fn create_app(&self, name: &str) -> Result<App, Error> {
        self.post("/v1/apps", &NewApp { name: name.to_owned() }).await
    }

    /// All resources, page by page.
    pub async fn resources(&self) -> Result<Vec<Resource>, Error> {
        self.all("/v1/resources").await
    }

    /// One resource by name or id.
    pub async fn resource(&self, resource: &str) -> Result<Resource, Error> {
        self.get(&format!("/v1/resources/{}", segment(resource))).await
    }

    /// Asks for a new resource. The same key means the same wish.
    pub async fn create_resource(&self, wish: &NewResource, key: &str) -> Result<Accepted, Error> {
        self.post_as("/v1/resources", wish, key).await
    }

    /// Gives a resource back.
    pub async fn destroy_resource(&self, resource: &str) -> Result<Accepted, Error> {
        self.delete(&format!("/v1/resources/{}", segment(resource))).await
    }

    /// One operation.
    pub async fn operation(&self, operation: Uuid) -> Result<Operation, Error> {
        self.get(&format!("/v1/operations/{operation}")).await
    }

    /// The latest operations of a resource, newest first.
    pub async fn operations(&self, resource: &str) -> Result<Vec<Operation>, Error> {
        let page: Page<Operation> =
            self.get(&format!("/v1/operations?resource={}", segment(resource))).await?;
        Ok(page.items)
    }

    /// All topics of a resource.
    pub async fn topics(&self, resource: &str) -> Result<Vec<Topic>, Error> {
        self.list(&format!("/v1/resources/{}/topics", segment(resource))).await
    }

    /// One topic.
    pub async fn topic(&self, resource: &str, topic: &str) -> Result<Topic, Error> {
        self.get(&format!("/v1/resources/{}/topics/{}", segment(resource), segment(topic))).await
    }

    /// Makes a topic.
    pub async fn create_topic(&self, resource: &str, wish: &NewTopic) -> Result<Topic, Error> {
        self.post(&format!("/v1/resources/{}/topics", segment(resource)), wish).await
    }

    /// Changes a topic.
    pub async fn change_topic(
        &self,
        resource: &str,
        topic: &str,
        change: &TopicChange,
    ) -> Result<Topic, Error> {
        self.patch(&format!("/v1/resources/{}/topics/{}", segment(resource), segment(topic)), change).await
    }

    /// Removes a topic.
    pub async fn delete_topic(&self, resource: &str, topic: &str) -> Result<Topic, Error> {
        self.delete(&format!("/v1/resources/{}/topics/{}", segment(resource), segment(topic))).await
    }

    /// All credentials of a resource.
    pub async fn credentials(&self, resource: &str) -> Result<Vec<Credential>, Error> {
        self.list(&format!("/v1/resources/{}/credentials", segment(resource))).await
    }

    /// Makes a credential.
    pub async fn create_credential(&self, resource: &str, name: &str) -> Result<IssuedCredential, Error> {
        let wish = NewCredential { name: name.to_owned() };
        self.post(&format!("/v1/resources/{}/credentials", segment(resource)), &wish).await
    }

    /// Takes a credential back.
    pub async fn revoke_credential(&self, resource: &str, credential: Uuid) -> Result<Credential, Error> {
        self.delete(&format!("/v1/resources/{}/credentials/{credential}", segment(resource))).await
    }

    /// `KAFKA_URL` and its companions.
    pub async fn config_vars(&self, resource: &str) -> Result<ConfigVars, Error> {
        self.get(&format!("/v1/resources/{}/config-vars", segment(resource))).await
    }

    async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Error> {
        let list: List<T> = self.get(path).await?;
        Ok(list.items)
    }

    async fn all<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let page: Page<T> = self.get(&format!("{path}?limit={PAGE}{after}")).await?;
            all.extend(page.items);
            match page.next {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(all),
            }
        }
    }
}

/// A name as one segment of a path: whatever it contains, it cannot become another path.
fn segment(name: &str) -> String {
    let mut segment = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            segment.push(char::from(byte));
        } else {
            // Writing into a string does not fail.
            let _ = write!(segment, "%{byte:02X}");
        }
    }
    // These two would be resolved away, encoded or not. Nothing has such a name; what is asked for instead is not
    // found either.
    match segment.as_str() {
        "." | ".." => "%25".to_owned(),
        _ => segment,
    }
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn a_name_cannot_leave_its_segment() {
        assert_eq!(segment("orders-1.eu"), "orders-1.eu");
        assert_eq!(segment("../tokens?x#y"), "..%2Ftokens%3Fx%23y");
        assert_eq!(segment("é"), "%C3%A9");
        assert_eq!(segment(".."), "%25");
    }
}
