//! What a plan allows of topics: pure. A refusal names the limit, what it allows and what was asked for.

use model::Plan;

use super::{NewTopic, Retention, Topic, TopicChange, policy};
use crate::brokers::TopicSpec;
use crate::problem::Problem;

/// Kafka's own bound: names become directory names with a partition number behind them.
const MAX_NAME: usize = 249;

/// Checks a new topic by itself and fills in what was left open.
pub(super) fn specify(plan: &Plan, wanted: &NewTopic) -> Result<TopicSpec, Problem> {
    check_name(&wanted.name)?;
    let limits = &plan.limits;
    let partitions = wanted.partitions.unwrap_or(plan.topic_defaults.partitions);
    within(
        "partitions",
        "max_partitions_per_topic",
        partitions.into(),
        1,
        limits.max_partitions_per_topic.into(),
    )?;
    let replication_factor = wanted.replication_factor.unwrap_or(plan.topic_defaults.replication_factor);
    check_replication(plan, replication_factor)?;
    let retention = match (wanted.retention_ms, wanted.compaction) {
        (None, true) => Retention::Unlimited,
        (None, false) => Retention::Milliseconds(plan.topic_defaults.retention_ms),
        (Some(milliseconds), _) => Retention::Milliseconds(milliseconds),
    };
    let retention_ms = check_retention(plan, retention, wanted.compaction)?;
    Ok(TopicSpec {
        name: wanted.name.clone(),
        partitions,
        replication_factor,
        config: policy::config(retention_ms, wanted.compaction),
    })
}

/// Checks that the plan has room for one more topic beside those that are there or under way.
pub(super) fn check_room<'a>(
    plan: &Plan,
    present: impl Iterator<Item = (u32, u16)> + 'a,
    new: &TopicSpec,
) -> Result<(), Problem> {
    let replicas = |(partitions, factor): (u32, u16)| i64::from(partitions) * i64::from(factor);
    let (mut topics, mut partition_replicas) = (1, replicas((new.partitions, new.replication_factor)));
    for each in present {
        topics += 1;
        partition_replicas += replicas(each);
    }
    let limits = &plan.limits;
    if topics > i64::from(limits.max_topics) {
        return Err(Problem::LimitExceeded {
            limit: "max_topics",
            allowed: limits.max_topics.into(),
            asked: topics,
            message: format!("plan {} allows {} topics, and all of them exist", plan.name, limits.max_topics),
        });
    }
    if partition_replicas > i64::from(limits.max_partition_replicas) {
        return Err(Problem::LimitExceeded {
            limit: "max_partition_replicas",
            allowed: limits.max_partition_replicas.into(),
            asked: partition_replicas,
            message: format!(
                "plan {} allows {} partition replicas over all topics; with this topic there would be {}",
                plan.name, limits.max_partition_replicas, partition_replicas
            ),
        });
    }
    Ok(())
}

/// Checks a change of a topic and gives the retention and compaction that it leads to.
pub(super) fn change(
    plan: &Plan,
    current: &Topic,
    change: &TopicChange,
) -> Result<(Option<i64>, bool), Problem> {
    if let Some(factor) = change.replication_factor
        && factor != current.replication_factor
    {
        check_replication(plan, factor)?;
        return Err(Problem::Unsupported {
            message: format!(
                "the replication factor of a topic cannot be changed yet; make a new topic with {factor} replicas"
            ),
        });
    }
    let compaction = change.compaction.unwrap_or(current.compaction);
    let retention = change.retention.unwrap_or(match current.retention_ms {
        Some(milliseconds) => Retention::Milliseconds(milliseconds),
        // Switching compaction off without saying for how long to keep records: as for a new topic.
        None if !compaction => Retention::Milliseconds(plan.topic_defaults.retention_ms),
        None => Retention::Unlimited,
    });
    Ok((check_retention(plan, retention, compaction)?, compaction))
}

/// Kafka's rules for names of topics that users make.
pub(super) fn check_name(name: &str) -> Result<(), Problem> {
    let fits = (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        && name != "."
        && name != "..";
    if !fits {
        return Err(Problem::invalid(
            "name",
            format!("a topic's name has 1 to {MAX_NAME} characters out of A-Z, a-z, 0-9, '.', '_' and '-'"),
        ));
    }
    if name.starts_with("__") {
        return Err(Problem::invalid("name", "names that start with \"__\" are the brokers' own"));
    }
    Ok(())
}

fn check_replication(plan: &Plan, factor: u16) -> Result<(), Problem> {
    within("replication_factor", "max_replication_factor", factor.into(), 1, plan.brokers.into())
}

fn check_retention(plan: &Plan, retention: Retention, compaction: bool) -> Result<Option<i64>, Problem> {
    let limits = &plan.limits;
    match retention {
        Retention::Unlimited if compaction => Ok(None),
        Retention::Unlimited => {
            Err(Problem::invalid("retention_ms", "only a compacted topic can keep records without limit"))
        }
        Retention::Milliseconds(milliseconds) => {
            within(
                "retention_ms",
                "retention_ms",
                milliseconds,
                limits.min_retention_ms,
                limits.max_retention_ms,
            )?;
            Ok(Some(milliseconds))
        }
    }
}

fn within(
    field: &'static str,
    limit: &'static str,
    value: i64,
    least: i64,
    most: i64,
) -> Result<(), Problem> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Problem::LimitExceeded {
        limit,
        allowed: if value < least { least } else { most },
        asked: value,
        message: format!("{field} must be between {least} and {most}; {value} was asked for"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dev() -> Plan {
        model::plan::catalogue().remove(0)
    }

    fn topic(name: &str) -> NewTopic {
        NewTopic {
            name: name.to_owned(),
            partitions: None,
            replication_factor: None,
            retention_ms: None,
            compaction: false,
        }
    }

    fn limit(result: Result<TopicSpec, Problem>) -> (&'static str, i64) {
        match result {
            Err(Problem::LimitExceeded { limit, allowed, .. }) => (limit, allowed),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_left_open_comes_from_the_plan() {
        let spec = specify(&dev(), &topic("flights")).unwrap();
        assert_eq!((spec.partitions, spec.replication_factor), (8, 1));
        assert_eq!(policy::retention_ms(&spec.config), Some(86_400_000));
        let compacted = specify(&dev(), &NewTopic { compaction: true, ..topic("flights") }).unwrap();
        assert_eq!(policy::retention_ms(&compacted.config), None);
    }

    #[test]
    fn every_bound_of_the_plan_is_named_when_it_is_passed() {
        let plan = dev();
        let with = |change: fn(&mut NewTopic)| {
            let mut wanted = topic("flights");
            change(&mut wanted);
            limit(specify(&plan, &wanted))
        };
        assert_eq!(with(|topic| topic.partitions = Some(0)), ("max_partitions_per_topic", 1));
        assert_eq!(with(|topic| topic.partitions = Some(257)), ("max_partitions_per_topic", 256));
        assert_eq!(with(|topic| topic.replication_factor = Some(2)), ("max_replication_factor", 1));
        assert_eq!(with(|topic| topic.retention_ms = Some(1)), ("retention_ms", 3_600_000));
        assert_eq!(with(|topic| topic.retention_ms = Some(i64::MAX)), ("retention_ms", 1_209_600_000));
    }

    #[test]
    fn room_is_counted_over_all_topics() {
        let plan = dev();
        let new = specify(&plan, &topic("flights")).unwrap();
        check_room(&plan, std::iter::repeat_n((1, 1), 99), &new).unwrap();
        let full = check_room(&plan, std::iter::repeat_n((1, 1), 100), &new);
        assert!(matches!(
            full,
            Err(Problem::LimitExceeded { limit: "max_topics", allowed: 100, asked: 101, .. })
        ));
        check_room(&plan, [(992, 1)].into_iter(), &new).unwrap();
        let wide = check_room(&plan, [(993, 1)].into_iter(), &new);
        assert!(matches!(
            wide,
            Err(Problem::LimitExceeded { limit: "max_partition_replicas", asked: 1_001, .. })
        ));
    }

    #[test]
    fn names_are_kafkas_and_not_internal() {
        for good in ["a", "A.b_c-9", "_one", &"a".repeat(249)] {
            check_name(good).unwrap();
        }
        for bad in ["", ".", "..", "a b", "ä", "a/b", "__consumer_offsets", &"a".repeat(250)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let plan = dev();
        let current = Topic {
            name: "flights".to_owned(),
            partitions: 8,
            replication_factor: 1,
            retention_ms: Some(7_200_000),
            compaction: false,
            state: super::super::TopicState::Ready,
            message: None,
            internal: false,
        };
        let nothing = TopicChange::default();
        assert_eq!(change(&plan, &current, &nothing).unwrap(), (Some(7_200_000), false));
        let compacted = TopicChange { compaction: Some(true), ..TopicChange::default() };
        assert_eq!(change(&plan, &current, &compacted).unwrap(), (Some(7_200_000), true));
        let unlimited = TopicChange { retention: Some(Retention::Unlimited), ..TopicChange::default() };
        assert!(matches!(change(&plan, &current, &unlimited), Err(Problem::Invalid { .. })));
        let forever = Topic { retention_ms: None, compaction: true, ..current.clone() };
        let plain = TopicChange { compaction: Some(false), ..TopicChange::default() };
        assert_eq!(change(&plan, &forever, &plain).unwrap(), (Some(86_400_000), false));
        let wider = TopicChange { replication_factor: Some(1), ..TopicChange::default() };
        assert_eq!(change(&plan, &current, &wider).unwrap(), (Some(7_200_000), false));
    }
}
