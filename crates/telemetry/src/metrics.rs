//! Metrics in the text format that Prometheus reads.

use prometheus::{Encoder, Registry, TextEncoder};

/// The media type of what [`text`] gives.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that is registered, as text. A metric that cannot be encoded is left out rather than costing the rest.
#[must_use]
pub fn text(registry: &Registry) -> String {
    let mut buffer = Vec::new();
    for family in registry.gather() {
        // Writing into memory fails only for a family without samples, which has nothing to say.
        let _ = TextEncoder::new().encode(&[family], &mut buffer);
    }
    String::from_utf8_lossy(&buffer).into_owned()
}

#[cfg(test)]
mod tests {
    use prometheus::{IntCounter, IntCounterVec, Opts};

    use super::*;

    #[test]
    fn a_family_without_samples_costs_nothing_else() {
        let registry = Registry::new();
        let empty = IntCounterVec::new(Opts::new("empty_total", "never counted"), &["label"]).unwrap();
        let full = IntCounter::new("full_total", "counted once").unwrap();
        registry.register(Box::new(empty)).unwrap();
        registry.register(Box::new(full.clone())).unwrap();
        full.inc();
        assert!(text(&registry).contains("\nfull_total 1\n"), "{}", text(&registry));
    }
}
