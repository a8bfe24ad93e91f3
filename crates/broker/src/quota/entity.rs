//! Whom a quota is for: a user, a client id, or a user's client id; each by name or as the default for all others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A name, or all that have no quota by their own name (Kafka's null).
pub type Part = Option<String>;

/// Whom a quota is for. At least one of the two is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entity {
    /// The authenticated user.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "part")]
    pub user: Option<Part>,
    /// What the client calls itself.
    #[serde(rename = "client-id", default, skip_serializing_if = "Option::is_none", with = "part")]
    pub client_id: Option<Part>,
}

/// Tells an absent part from a default one: serde would read both as `None`.
mod part {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Part;

    #[expect(clippy::ref_option, reason = "serde chooses the signature")]
    pub(super) fn serialize<S: Serializer>(part: &Option<Part>, to: S) -> Result<S::Ok, S::Error> {
        part.as_ref().and_then(Part::as_ref).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Part>, D::Error> {
        Part::deserialize(from).map(Some)
    }
}

/// Why a request names nobody that can have a quota.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EntityError {
    /// Nobody is named.
    #[error("a quota needs a user, a client id or both")]
    Nobody,
    /// The same kind is named twice.
    #[error("`{0}` is named twice")]
    Twice(String),
    /// Addresses have a quota of connections in Kafka.
    #[error("this broker has no quotas for addresses; max.connections.per.ip bounds their connections")]
    Address,
    /// Not a kind that Kafka knows.
    #[error("`{0}` is neither user nor client-id")]
    Unknown(String),
    /// A name that nobody can have.
    #[error("the name of a {0} must not be empty")]
    Empty(String),
}

impl Entity {
    /// From the pairs of kind and name that a request carries.
    ///
    /// # Errors
    /// If they name nobody, or somebody who cannot have a quota.
    pub fn new<'a>(
        parts: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<Entity, EntityError> {
        let mut entity = Entity::default();
        for (kind, name) in parts {
            let part = match kind {
                "user" => &mut entity.user,
                "client-id" => &mut entity.client_id,
                "ip" => return Err(EntityError::Address),
                _ => return Err(EntityError::Unknown(kind.to_owned())),
            };
            if part.is_some() {
                return Err(EntityError::Twice(kind.to_owned()));
            }
            if name == Some("") {
                return Err(EntityError::Empty(kind.to_owned()));
            }
            *part = Some(name.map(str::to_owned));
        }
        if entity == Entity::default() { Err(EntityError::Nobody) } else { Ok(entity) }
    }

    /// The pairs of kind and name.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, Option<&str>)> {
        let user = self.user.as_ref().map(|name| ("user", name.as_deref()));
        let client_id = self.client_id.as_ref().map(|name| ("client-id", name.as_deref()));
        user.into_iter().chain(client_id)
    }

    /// The name under which metadata keeps its quotas.
    #[must_use]
    pub fn key(&self) -> String {
        let parts: BTreeMap<_, _> = self.parts().collect();
        // A map of strings always is JSON.
        serde_json::to_string(&parts).unwrap_or_default()
    }

    /// The reverse of [`Entity::key`].
    #[must_use]
    pub fn from_key(key: &str) -> Option<Entity> {
        serde_json::from_str(key).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_names_defaults_and_absence_apart() {
        for parts in [
            vec![("user", Some("alice"))],
            vec![("user", None)],
            vec![("client-id", Some("\"x\""))],
            vec![("user", None), ("client-id", Some("c"))],
            vec![("user", Some("alice")), ("client-id", None)],
        ] {
            let entity = Entity::new(parts.iter().copied()).expect("somebody");
            assert_eq!(Entity::from_key(&entity.key()), Some(entity.clone()), "{}", entity.key());
            assert_eq!(entity.parts().collect::<Vec<_>>(), parts);
        }
    }

    #[test]
    fn who_cannot_have_a_quota_is_named() {
        let refused = |parts: &[(&'static str, Option<&'static str>)]| {
            Entity::new(parts.iter().copied()).expect_err("nobody")
        };
        assert_eq!(refused(&[]), EntityError::Nobody);
        assert_eq!(refused(&[("ip", Some("1.2.3.4"))]), EntityError::Address);
        assert_eq!(refused(&[("user", Some("a")), ("user", None)]), EntityError::Twice("user".to_owned()));
        assert_eq!(refused(&[("user", Some(""))]), EntityError::Empty("user".to_owned()));
    }
}
