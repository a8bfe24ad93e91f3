//! What an operator is told by whoever starts it.

use std::collections::BTreeMap;

use model::Release;

/// What holds for all clusters.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The image of each release that brokers may run. An image that changes here restarts nobody: a running broker
    /// keeps its own until its cluster asks for another release.
    pub images: BTreeMap<Release, String>,
    /// Kubernetes' rule for getting images: `IfNotPresent`, `Always` or `Never`.
    pub pull_policy: String,
    /// The one namespace that is looked after; all without.
    pub namespace: Option<String>,
}

/// Reads `RELEASE=IMAGE`.
///
/// # Errors
/// A sentence, if it is not of that form.
pub fn image(text: &str) -> Result<(Release, String), String> {
    match text.split_once('=') {
        Some((release, image)) if !release.is_empty() && !image.is_empty() => {
            Ok((Release(release.to_owned()), image.to_owned()))
        }
        _ => Err(format!("{text:?} is not RELEASE=IMAGE, for instance 1.0.0=penstock/broker:1.0.0")),
    }
}
