//! Who is at the other end of a connection.

use std::fmt;

/// Kafka's name for whoever does not say who it is. A certificate's name has a `=` in it.
const ANONYMOUS: &str = "ANONYMOUS";

/// A client as authentication established it, in Kafka's notation `User:name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Principal {
    name: String,
}

impl Principal {
    /// Whoever came over a listener that asks for nothing.
    #[must_use]
    pub fn anonymous() -> Principal {
        Principal { name: ANONYMOUS.to_owned() }
    }

    /// Whoever showed a certificate with this distinguished name.
    #[must_use]
    pub fn certificate(distinguished_name: String) -> Principal {
        Principal { name: distinguished_name }
    }

    /// Whether nobody knows who it is.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.name == ANONYMOUS
    }

    /// The part behind `User:`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User:{}", self.name)
    }
}
