//! Feature levels that this broker has, as ApiVersions tells them. Clients act on them: a level that is not listed is
//! one that they do not use (transactions of the second kind, KIP-848 groups, share groups).

/// A feature with the levels that can be in force.
pub(super) struct Feature {
    pub(super) name: &'static str,
    pub(super) min: i16,
    pub(super) max: i16,
}

/// All of them. `metadata.version` 30 is Kafka's number for 4.3, whose semantics the metadata here follows; tools
/// refuse to talk of features without one.
pub(super) const FEATURES: &[Feature] = &[Feature { name: "metadata.version", min: 30, max: 30 }];
