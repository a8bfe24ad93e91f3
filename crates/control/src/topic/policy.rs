//! Retention and compaction in Kafka's configuration: three names of ours against two of Kafka's that overlap.
//!
//! | retention | compaction | `cleanup.policy` | `retention.ms` |
//! | --- | --- | --- | --- |
//! | some time | no | `delete` | that time |
//! | some time | yes | `compact,delete` | that time |
//! | unlimited | yes | `compact` | -1 |
//! | unlimited | no | `delete` | -1; no plan allows it, but a topic made by other means may be so |

use std::collections::BTreeMap;

const CLEANUP_POLICY: &str = "cleanup.policy";
const RETENTION_MS: &str = "retention.ms";

/// Kafka's configuration for a retention and a compaction.
pub(crate) fn config(retention_ms: Option<i64>, compaction: bool) -> BTreeMap<String, String> {
    let policy = match (retention_ms, compaction) {
        (_, false) => "delete",
        (Some(_), true) => "compact,delete",
        (None, true) => "compact",
    };
    BTreeMap::from([
        (CLEANUP_POLICY.to_owned(), policy.to_owned()),
        (RETENTION_MS.to_owned(), retention_ms.unwrap_or(-1).to_string()),
    ])
}

/// Whether only the newest record of each key is kept.
pub(crate) fn compaction(config: &BTreeMap<String, String>) -> bool {
    has_policy(config, "compact")
}

/// How long records are kept; none = without limit.
pub(crate) fn retention_ms(config: &BTreeMap<String, String>) -> Option<i64> {
    // Without the delete policy Kafka ignores the time.
    if compaction(config) && !has_policy(config, "delete") {
        return None;
    }
    config.get(RETENTION_MS).and_then(|text| text.parse().ok()).filter(|milliseconds| *milliseconds >= 0)
}

fn has_policy(config: &BTreeMap<String, String>, policy: &str) -> bool {
    config.get(CLEANUP_POLICY).is_some_and(|text| text.split(',').any(|part| part.trim() == policy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_the_same() {
        for (retention, compacted) in [(Some(5), false), (Some(5), true), (None, true), (None, false)] {
            let config = config(retention, compacted);
            assert_eq!((retention_ms(&config), compaction(&config)), (retention, compacted), "{config:?}");
        }
    }
}
