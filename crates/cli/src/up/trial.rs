//! Whether an add-on works for somebody who has nothing but its config vars: its brokers answer over mutual TLS, and a
//! new one takes a record and gives it back.
//!
//! The record goes to a topic of its own that is deleted again; an add-on that people use already is only asked, never
//! written to.

use std::time::Duration;

use anyhow::{Context, ensure};
use api_types::credential::ConfigVars;
use jiff::Timestamp;
use kafka_client::{Acks, Admin, Config, Error, NewTopic, Tls};
use protocol::batch::{Builder, Compression};
use tokio::time::Instant;

use crate::failure::{Exit, Failure};

/// Between two tries, and how long each may take.
const TRY_EVERY: Duration = Duration::from_millis(50);
const TRY_FOR: Duration = Duration::from_secs(3);

/// The topic of the trial.
const TOPIC: &str = "penstock-first-record";

/// More than the one record of the trial takes.
const FETCH_BYTES: i32 = 64 * 1024;

/// What config vars say about how to connect.
pub(super) struct Kafka<'a> {
    pub(super) url: &'a str,
    pub(super) ca_pem: &'a str,
    pub(super) cert_pem: &'a str,
    pub(super) key_pem: &'a str,
}

impl Kafka<'_> {
    pub(super) fn from_vars(ConfigVars(vars): &ConfigVars) -> Result<Kafka<'_>, Failure> {
        let ending = |suffix: &str| {
            let found = vars.iter().find(|(name, _)| name.ends_with(suffix)).map(|(_, value)| value.as_str());
            found.ok_or_else(|| {
                Failure::new(Exit::Failed, "incomplete", format!("the add-on has no variable …{suffix}"))
            })
        };
        Ok(Kafka {
            url: ending("_URL")?,
            ca_pem: ending("_TRUSTED_CERT")?,
            cert_pem: ending("_CLIENT_CERT")?,
            key_pem: ending("_CLIENT_CERT_KEY")?,
        })
    }

    /// Waits until the brokers answer somebody who has what the config vars hold.
    pub(super) async fn answers(&self, within: Duration) -> Result<Admin, Failure> {
        let tls = Tls {
            ca_pem: self.ca_pem.to_owned(),
            cert_pem: self.cert_pem.to_owned(),
            key_pem: self.key_pem.to_owned(),
        };
        let config = Config { timeout: TRY_FOR, ..Config::new(self.bootstrap()).with_tls(tls) };
        let start = Instant::now();
        loop {
            let answer = async {
                let admin = Admin::connect(config.clone()).await?;
                admin.describe_cluster().await.map(|_| admin)
            };
            match answer.await {
                Ok(admin) => return Ok(admin),
                Err(error) if start.elapsed() > within => {
                    let what = format!("{} does not answer after {} s", self.url, within.as_secs());
                    return Err(Failure::new(Exit::Unreachable, "brokers", what)
                        .why(error.to_string())
                        .advice("see `penstock info`, and broker.log below the directory's clusters/"));
                }
                Err(_) => tokio::time::sleep(TRY_EVERY).await,
            }
        }
    }

    /// Hosts and ports of a `kafka+ssl://host:port,…`.
    fn bootstrap(&self) -> Vec<(String, u16)> {
        let addresses = self.url.split(',').filter_map(|url| url.split_once("://"));
        addresses
            .filter_map(|(_, address)| address.rsplit_once(':'))
            .filter_map(|(host, port)| Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?)))
            .collect()
    }
}

/// One record, to the brokers and back.
pub(super) async fn first_record(brokers: &Admin) -> Result<(), Failure> {
    let round_trip = async {
        let topic = NewTopic { partitions: Some(1), ..NewTopic::new(TOPIC) };
        brokers.create_topic(&topic, false).await?;
        let mut batch = Builder::new(Compression::None);
        batch.push(Timestamp::now().as_millisecond(), None, Some(b"Penstock works."), &[]);
        let batch = batch.build().context("build a batch")?.freeze();
        let offset = settled(|| brokers.produce(TOPIC, 0, batch.clone(), Acks::All)).await?;
        let fetched = brokers.fetch(TOPIC, 0, offset, FETCH_BYTES, TRY_FOR).await?;
        brokers.delete_topic(TOPIC).await?;
        ensure!(!fetched.records.is_empty(), "nothing came back from offset {offset}");
        anyhow::Ok(())
    };
    round_trip.await.context("the new add-on does not carry a record").map_err(Failure::internal)
}

/// Tries again while a new topic's leader is being made known.
async fn settled<T>(call: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
    let start = Instant::now();
    loop {
        match call().await {
            Err(error) if error.is_retriable() && start.elapsed() < TRY_FOR => {
                tokio::time::sleep(TRY_EVERY).await
            }
            result => return result,
        }
    }
}
