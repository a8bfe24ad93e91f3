//! Why changes are refused, and what clients are told.

use std::io;

use protocol::ErrorCode;

use crate::config::ConfigError;

/// Why a change was refused.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Not a name that a topic can have.
    #[error("topic name `{name}` is illegal: {reason}")]
    Name {
        /// The name.
        name: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// There is one already, or one that Kafka's metrics could not tell from it.
    #[error("topic `{0}` already exists")]
    Exists(String),
    /// See above.
    #[error("topic `{name}` collides with the existing topic `{other}`: they differ only in `.` and `_`")]
    Collides {
        /// The new one.
        name: String,
        /// The existing one.
        other: String,
    },
    /// A topic of the broker's own, with which clients may not do this.
    #[error("`{name}` {what}: the broker keeps state in it")]
    Internal {
        /// Which.
        name: String,
        /// What is refused.
        what: &'static str,
    },
    /// There is none.
    #[error("there is no topic `{0}`")]
    NoTopic(String),
    /// The number of partitions cannot be.
    #[error("{0}")]
    Partitions(String),
    /// The number or place of replicas cannot be.
    #[error("{0}")]
    Replication(String),
    /// A setting of a topic or of the broker cannot be.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// A bound of this broker is reached.
    #[error("{0}")]
    Limit(String),
    /// The journal could not be written.
    #[error("the change could not be written down: {0}")]
    Storage(#[source] io::Error),
}

impl ChangeError {
    /// How clients are told.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            ChangeError::Name { .. } | ChangeError::Collides { .. } | ChangeError::Internal { .. } => {
                ErrorCode::InvalidTopicException
            }
            ChangeError::Exists(_) => ErrorCode::TopicAlreadyExists,
            ChangeError::NoTopic(_) => ErrorCode::UnknownTopicOrPartition,
            ChangeError::Partitions(_) => ErrorCode::InvalidPartitions,
            ChangeError::Replication(_) => ErrorCode::InvalidReplicationFactor,
            ChangeError::Settings(_) => ErrorCode::InvalidConfig,
            ChangeError::Limit(_) => ErrorCode::PolicyViolation,
            ChangeError::Storage(_) => ErrorCode::KafkaStorageError,
        }
    }
}
