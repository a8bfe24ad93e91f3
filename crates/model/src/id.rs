//! Typed identifiers. Each kind is its own type, so that a resource id cannot be passed where a cluster id belongs.
//!
//! Ids are made at the edge (a use case draws them from its random source) and handed in; nothing here draws one.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::from_str(text).map(Self)
            }
        }
    };
}

uuid_id!(
    /// Who pays and who owns: tokens, apps and resources belong to an account.
    AccountId
);
uuid_id!(
    /// A provisioned add-on, as a developer sees it. Its cluster is a thing of its own.
    ResourceId
);
uuid_id!(
    /// A Kafka cluster. Also Kafka's own `cluster.id`, in the form that [`ClusterId::kafka_form`] gives.
    ClusterId
);
uuid_id!(
    /// One immutable row of what is wanted of a cluster.
    IntentId
);
uuid_id!(
    /// Something that takes time and that a caller can follow.
    OperationId
);
uuid_id!(
    /// An API token; the secret itself is only ever stored as a hash.
    TokenId
);
uuid_id!(
    /// A client certificate that was handed out.
    CredentialId
);
uuid_id!(
    /// An application of a developer, to which resources are attached.
    AppId
);
uuid_id!(
    /// One resource attached to one app under a name.
    AttachmentId
);
uuid_id!(
    /// One piece of work that is retried until it is done.
    JobId
);
uuid_id!(
    /// One entry of the audit trail.
    AuditEventId
);

impl ClusterId {
    /// The id as Kafka writes cluster ids: 22 characters of URL-safe base64 without padding.
    #[must_use]
    pub fn kafka_form(&self) -> String {
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(self.0.as_bytes())
    }
}

/// Kafka's `node.id` of a broker: small, chosen by the planner, never reused for another incarnation's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BrokerId(pub i32);

impl fmt::Display for BrokerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafka_form_is_url_safe_base64_of_the_sixteen_bytes() {
        assert_eq!(ClusterId(Uuid::nil()).kafka_form(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(ClusterId(Uuid::max()).kafka_form(), "_____________________w");
        let mixed = ClusterId(Uuid::from_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]));
        assert_eq!(mixed.kafka_form(), "AAECAwQFBgcICQoLDA0ODw");
    }
}
