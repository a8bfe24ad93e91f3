//! Commands that do one thing and end: for deployments and for the people who run them.

use std::io::Write;
use std::time::Duration;

use agent::clock::System;
use anyhow::{Context, bail};
use control::{Control, Settings};
use keyring::seal::MasterKey;
use model::{FeatureLevel, Release};
use secrecy::ExposeSecret;
use store::StoreError;

use crate::config::{Database, IssueToken};
use crate::platform::store;

/// How long the database is waited for. One that is being made at the same time needs seconds; a job that waits for
/// longer is better off being tried again by whoever started it.
const DATABASE_WITHIN: Duration = Duration::from_secs(60);

/// Between two tries to reach it.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Brings the schema up to date.
pub(crate) async fn migrate(database: &Database) -> anyhow::Result<()> {
    let store = store(&database.database_url)?;
    let migrating = async {
        loop {
            match store.migrate().await {
                Err(StoreError::Unavailable(source)) => {
                    tracing::info!("the database is away ({source}); trying again");
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
                outcome => return outcome,
            }
        }
    };
    match tokio::time::timeout(DATABASE_WITHIN, migrating).await {
        Ok(outcome) => outcome.context("cannot bring the database up to date")?,
        Err(_) => bail!(
            "the database did not answer within {} s; is it running, and is the URL right?",
            DATABASE_WITHIN.as_secs()
        ),
    }
    store.close().await;
    Ok(())
}

/// Prints a new token of an account.
pub(crate) async fn issue_token(wanted: &IssueToken) -> anyhow::Result<()> {
    const WHAT: &str = "cannot issue a token";
    let store = store(&wanted.database.database_url)?;
    // Neither what is made for new clusters nor the key matters here: no cluster is made and nothing is sealed.
    let settings =
        Settings { region: String::new(), release: Release(String::new()), feature_level: FeatureLevel(1) };
    let control = Control::new(settings, store.clone(), MasterKey::from_bytes([0; 32]), System::now);
    let account = match control.account_named(&wanted.account).await.context(WHAT)? {
        Some(account) => account,
        None => control.create_account(&wanted.account).await.context(WHAT)?,
    };
    let token = control.issue_token(account.id, &wanted.label).await.context(WHAT)?;
    store.close().await;
    writeln!(std::io::stdout(), "{}", token.secret.expose_secret()).context("cannot print the token")
}
