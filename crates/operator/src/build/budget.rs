//! The disruption budget: how many brokers a drain may take at a time.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::owned;
use crate::valid::Valid;

/// All brokers but one stay. An absolute number, since shares need a controller with a scale, which our pods have not.
///
/// A pod that is not healthy may always be evicted: it serves nobody, and a machine must not be kept from maintenance by
/// a broker in a crash loop.
#[must_use]
pub fn build(valid: &Valid) -> PodDisruptionBudget {
    let brokers = i32::try_from(valid.intent.brokers().count()).unwrap_or(i32::MAX);
    PodDisruptionBudget {
        metadata: owned(valid, valid.name().to_owned(), valid.labels()),
        spec: Some(PodDisruptionBudgetSpec {
            min_available: Some(IntOrString::Int(brokers.saturating_sub(1))),
            selector: Some(LabelSelector { match_labels: Some(valid.selector()), match_expressions: None }),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}
