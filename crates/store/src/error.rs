//! What can go wrong between us and Postgres, sorted by what a caller can do about it.

use thiserror::Error;

/// An error of the store.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Postgres is away, starting, out of connections, or slower than our bounds allow. Trying again later helps.
    #[error("Postgres does not answer")]
    Unavailable(#[source] sqlx::Error),
    /// Others hold what the statement needs, and it did not get it in time, or was the victim of a deadlock. Trying
    /// again helps.
    #[error("the rows are locked by others")]
    Contended(#[source] sqlx::Error),
    /// A write would have broken a rule that users can run into.
    #[error("the write breaks the rule {0:?}")]
    Violates(Constraint),
    /// Somebody else holds the lease now: stop and start again as one who does not hold it.
    #[error("the lease is held by somebody else")]
    LeaseLost,
    /// A stored value is none that this release knows; a newer release may have written it.
    #[error("the stored {what} {value:?} is unknown to this release")]
    UnknownValue {
        /// What kind of value.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// The schema could not be brought up to date.
    #[error("the database schema could not be migrated")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// Anything else: a defect of ours or of the installation.
    #[error("a database query failed")]
    Unexpected(#[source] sqlx::Error),
}

/// Rules of the schema that users can run into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// Account names are unique.
    AccountName,
    /// App names are unique in an account.
    AppName,
    /// Names of resources that are not gone are unique in an account.
    ResourceName,
    /// Attachment names are unique in an app.
    AttachmentName,
    /// Cluster names are unique.
    ClusterName,
    /// Names of credentials that are not revoked are unique in a resource.
    CredentialName,
    /// A cluster has one intent of each generation.
    IntentGeneration,
    /// A cluster has one unfinished job for each subject.
    JobSubject,
}

impl Constraint {
    fn named(name: &str) -> Option<Constraint> {
        Some(match name {
            "accounts_name_unique" => Constraint::AccountName,
            "apps_name_unique" => Constraint::AppName,
            "resources_name_unique" => Constraint::ResourceName,
            "attachments_name_unique" => Constraint::AttachmentName,
            "clusters_name_unique" => Constraint::ClusterName,
            "credentials_name_unique" => Constraint::CredentialName,
            "intents_generation_unique" => Constraint::IntentGeneration,
            "jobs_subject_unique" => Constraint::JobSubject,
            _ => return None,
        })
    }
}

impl StoreError {
    /// Whether it only says that Postgres is away.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, StoreError::Unavailable(_))
    }

    pub(crate) fn from_migration(error: sqlx::migrate::MigrateError) -> StoreError {
        match error {
            sqlx::migrate::MigrateError::Execute(error) => error.into(),
            other => StoreError::Migrate(other),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        if let sqlx::Error::Database(database) = &error
            && let Some(rule) = database.constraint().and_then(Constraint::named)
        {
            return StoreError::Violates(rule);
        }
        if is_contention(&error) {
            StoreError::Contended(error)
        } else if says_later(&error) {
            StoreError::Unavailable(error)
        } else {
            StoreError::Unexpected(error)
        }
    }
}

/// Lock timeout, deadlock, serialization failure.
fn is_contention(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| matches!(&*code, "55P03" | "40P01" | "40001"))
}

/// Whether the same request may succeed at another time without anybody repairing anything.
fn says_later(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(database) => database.code().is_some_and(|code| {
            // Connection exceptions, insufficient resources, shutdown and start-up, and our own statement timeout.
            code.starts_with("08") || code.starts_with("53") || code.starts_with("57P") || code == "57014"
        }),
        _ => false,
    }
}
