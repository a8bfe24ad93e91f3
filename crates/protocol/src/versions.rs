//! Which versions of an API exist, which are advertised, and how each is framed. The table itself is generated.

use std::fmt;

use crate::messages::{ApiKey, ErrorCode};

/// An inclusive range of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The lowest version in the range.
    pub lowest: i16,
    /// The highest version in the range.
    pub highest: i16,
}

impl Versions {
    /// The range from `lowest` to `highest`, both included.
    pub const fn new(lowest: i16, highest: i16) -> Versions {
        Versions { lowest, highest }
    }

    /// Whether `version` lies in the range.
    pub const fn contains(self, version: i16) -> bool {
        self.lowest <= version && version <= self.highest
    }

    /// The versions in both ranges.
    pub fn intersect(self, other: Versions) -> Option<Versions> {
        let both = Versions::new(self.lowest.max(other.lowest), self.highest.min(other.highest));
        (both.lowest <= both.highest).then_some(both)
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.lowest, self.highest)
    }
}

/// A row of the generated table of API keys.
pub(crate) struct KeyFacts {
    pub(crate) name: &'static str,
    /// What Kafka 4.3 serves, without versions that it calls unstable.
    pub(crate) stable: Versions,
    /// At or below `stable`: what we still serve to old clients.
    pub(crate) lowest_served: i16,
    /// The highest version that can be decoded, stable or not.
    pub(crate) highest: i16,
    /// Request and response turn flexible at the same version; `i16::MAX` if never.
    pub(crate) first_flexible: i16,
}

impl ApiKey {
    /// The key's number on the wire.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Kafka's name of the API, without "Request".
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// The versions that ApiVersions advertises.
    ///
    /// For Produce they begin at 0 although Kafka 4 serves it from 3, because librdkafka concludes from a higher
    /// number that the broker lacks record batches and compression (KAFKA-18659; Kafka 4 does the same).
    pub const fn request_versions(self) -> Versions {
        match self {
            ApiKey::Produce => Versions::new(0, self.facts().stable.highest),
            _ => self.facts().stable,
        }
    }

    /// The versions that a broker of ours answers: the stable ones, and below them the few that only old clients
    /// send without asking (Produce 0–2, Fetch 0–3, ListOffsets 0).
    pub const fn served_versions(self) -> Versions {
        Versions::new(self.facts().lowest_served, self.facts().stable.highest)
    }

    /// Everything that the generated code can decode, which adds versions that Kafka calls unstable.
    pub const fn known_versions(self) -> Versions {
        Versions::new(self.facts().lowest_served, self.facts().highest)
    }

    /// The first version with compact encodings and tagged fields, if there is one.
    pub const fn first_flexible(self) -> Option<i16> {
        match self.facts().first_flexible {
            i16::MAX => None,
            first => Some(first),
        }
    }

    /// Whether requests and responses of this version use compact encodings and tagged fields.
    pub const fn is_flexible(self, version: i16) -> bool {
        version >= self.facts().first_flexible
    }

    /// The version of the header in front of a request.
    pub const fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// The version of the header in front of a response.
    ///
    /// ApiVersions always answers with 0: its client does not yet know which versions the broker understands and
    /// must be able to read the refusal.
    pub const fn response_header_version(self, version: i16) -> i16 {
        match self {
            ApiKey::ApiVersions => 0,
            _ if self.is_flexible(version) => 1,
            _ => 0,
        }
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The number of an API key that Kafka 4.3 does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("API key {0} is unknown or retired")]
pub struct UnknownApiKey(pub i16);

impl TryFrom<i16> for ApiKey {
    type Error = UnknownApiKey;

    fn try_from(code: i16) -> Result<ApiKey, UnknownApiKey> {
        ApiKey::from_code(code).ok_or(UnknownApiKey(code))
    }
}

impl ErrorCode {
    /// The error's number on the wire.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Whether this is the code that says that nothing failed.
    pub const fn is_none(self) -> bool {
        matches!(self, ErrorCode::None)
    }
}

impl From<ErrorCode> for i16 {
    fn from(error: ErrorCode) -> i16 {
        error.code()
    }
}

impl From<i16> for ErrorCode {
    /// A code that this version of Kafka does not have becomes `UNKNOWN_SERVER_ERROR`, as in Kafka's own clients.
    fn from(code: i16) -> ErrorCode {
        ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
