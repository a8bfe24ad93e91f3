//! Groups over the wire: every version of every group request, and what survives.

use bytes::Bytes;
use protocol::messages::delete_groups::DeleteGroupsRequest;
use protocol::messages::delete_topics::DeleteTopicsRequest;
use protocol::messages::describe_groups::DescribeGroupsRequest;
use protocol::messages::find_coordinator::FindCoordinatorRequest;
use protocol::messages::heartbeat::HeartbeatRequest;
use protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use protocol::messages::list_groups::ListGroupsRequest;
use protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use protocol::{ErrorCode, Str};
use uuid::Uuid;

use super::client::{Client, code};
use super::process::Broker;

/// No waiting for others that do not come.
const AT_ONCE: &str = "group.initial.rebalance.delay.ms=0";

const TOPIC: &str = "t";

/// Joins in this version, with the detour for an id where the version has it.
fn join(client: &mut Client, version: i16, group: &str) -> JoinGroupResponse {
    let mut request = JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 6_000,
        rebalance_timeout_ms: if version == 0 { -1 } else { 6_000 },
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata: Bytes::new() }],
        ..JoinGroupRequest::default()
    };
    let first = client.call(version, &request);
    if version < 4 {
        return first;
    }
    assert_eq!(first.error_code, code(ErrorCode::MemberIdRequired), "version {version}");
    request.member_id = first.member_id;
    client.call(version, &request)
}

fn sync(client: &mut Client, version: i16, group: &str, joined: &JoinGroupResponse) -> Bytes {
    let assignment =
        SyncGroupRequestAssignment { member_id: joined.member_id.clone(), assignment: Bytes::from("work") };
    let request = SyncGroupRequest {
        group_id: group.into(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        protocol_type: (version >= 5).then(|| "consumer".into()),
        protocol_name: (version >= 5).then(|| "range".into()),
        assignments: vec![assignment],
        ..SyncGroupRequest::default()
    };
    let synced = client.call(version, &request);
    assert_eq!(synced.error_code, 0, "SyncGroup version {version}");
    synced.assignment
}

/// A member with work in the newest versions.
fn member(client: &mut Client, group: &str) -> JoinGroupResponse {
    let joined = join(client, 9, group);
    assert_eq!(joined.error_code, 0);
    sync(client, 5, group, &joined);
    joined
}

fn topic_id(client: &mut Client) -> Uuid {
    let topic = MetadataRequestTopic { name: Some(TOPIC.into()), ..MetadataRequestTopic::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..MetadataRequest::default() };
    client.call(12, &request).topics[0].topic_id
}

/// Commits an offset for partition 0 as a member, or as nobody in particular.
fn commit(
    client: &mut Client,
    version: i16,
    group: &str,
    who: Option<&JoinGroupResponse>,
    offset: i64,
) -> i16 {
    let topic_id = if version >= 10 { topic_id(client) } else { Uuid::nil() };
    let partition = OffsetCommitRequestPartition {
        committed_offset: offset,
        committed_metadata: Some("note".into()),
        ..OffsetCommitRequestPartition::default()
    };
    let topic = OffsetCommitRequestTopic { name: TOPIC.into(), topic_id, partitions: vec![partition] };
    let request = OffsetCommitRequest {
        group_id: group.into(),
        generation_id_or_member_epoch: who.map_or(-1, |joined| joined.generation_id),
        member_id: who.map(|joined| joined.member_id.clone()).unwrap_or_default(),
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    };
    client.call(version, &request).topics[0].partitions[0].error_code
}

/// The offset committed for partition 0.
fn fetch(client: &mut Client, version: i16, group: &str) -> i64 {
    if version >= 8 {
        let topic_id = if version >= 10 { topic_id(client) } else { Uuid::nil() };
        let topic = OffsetFetchRequestTopics { name: TOPIC.into(), topic_id, partition_indexes: vec![0] };
        let asked = OffsetFetchRequestGroup {
            group_id: group.into(),
            topics: Some(vec![topic]),
            ..OffsetFetchRequestGroup::default()
        };
        let request = OffsetFetchRequest { groups: vec![asked], ..OffsetFetchRequest::default() };
        let response = client.call(version, &request);
        assert_eq!(response.groups[0].error_code, 0);
        return response.groups[0].topics[0].partitions[0].committed_offset;
    }
    let topic = OffsetFetchRequestTopic { name: TOPIC.into(), partition_indexes: vec![0] };
    let request = OffsetFetchRequest {
        group_id: group.into(),
        topics: Some(vec![topic]),
        ..OffsetFetchRequest::default()
    };
    client.call(version, &request).topics[0].partitions[0].committed_offset
}

fn leave(client: &mut Client, version: i16, group: &str, member_id: &Str) -> i16 {
    let mut request = LeaveGroupRequest { group_id: group.into(), ..LeaveGroupRequest::default() };
    if version >= 3 {
        request.members = vec![MemberIdentity { member_id: member_id.clone(), ..MemberIdentity::default() }];
        let response = client.call(version, &request);
        assert_eq!(response.error_code, 0);
        return response.members[0].error_code;
    }
    request.member_id = member_id.clone();
    client.call(version, &request).error_code
}

fn describe(client: &mut Client, version: i16, group: &str) -> (i16, Str, usize) {
    let request = DescribeGroupsRequest { groups: vec![group.into()], ..DescribeGroupsRequest::default() };
    let described = client.call(version, &request).groups.remove(0);
    (described.error_code, described.group_state, described.members.len())
}

#[test]
fn a_member_lives_in_every_version() {
    let broker = Broker::start(&[AT_ONCE]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create(TOPIC, 1, &[]), 0);
    for round in 0..=10_i16 {
        let group = format!("group-{round}");
        let group = group.as_str();
        let joined = join(&mut client, round.min(9), group);
        assert_eq!((joined.error_code, joined.generation_id), (0, 1), "JoinGroup version {}", round.min(9));
        assert_eq!(joined.leader, joined.member_id);
        assert_eq!(sync(&mut client, round.min(5), group, &joined), "work");
        let beat = HeartbeatRequest {
            group_id: group.into(),
            generation_id: 1,
            member_id: joined.member_id.clone(),
            ..HeartbeatRequest::default()
        };
        assert_eq!(client.call(round.min(4), &beat).error_code, 0);
        let stable = (0, "Stable".into(), 1);
        assert_eq!(describe(&mut client, round.min(6), group), stable);
        assert_eq!(commit(&mut client, round.max(2), group, Some(&joined), i64::from(round)), 0);
        assert_eq!(fetch(&mut client, round.max(1), group), i64::from(round));
        let listed = client.call(round.min(5), &ListGroupsRequest::default());
        assert_eq!(listed.groups.len(), usize::try_from(round).unwrap() + 1);
        assert_eq!(leave(&mut client, round.min(5), group, &joined.member_id), 0);
        assert_eq!(describe(&mut client, round.min(6), group).1, "Empty");
    }
    let groups: Vec<Str> = (0..=10).map(|round| Str::from(format!("group-{round}"))).collect();
    let deleted = client.call(2, &DeleteGroupsRequest { groups_names: groups });
    assert!(deleted.results.iter().all(|result| result.error_code == 0), "{deleted:?}");
    assert!(client.call(5, &ListGroupsRequest::default()).groups.is_empty());
}

#[test]
fn every_version_finds_the_coordinator() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    for version in 0..=6_i16 {
        let mut request = FindCoordinatorRequest::default();
        if version >= 4 {
            request.coordinator_keys = vec!["g".into(), "".into()];
            let found = client.call(version, &request).coordinators;
            assert_eq!((found[0].error_code, found[0].node_id), (0, 0));
            assert!(broker.address.ends_with(&format!(":{}", found[0].port)));
            assert_eq!(found[1].error_code, code(ErrorCode::InvalidGroupId));
        } else {
            request.key = "g".into();
            let found = client.call(version, &request);
            assert_eq!((found.error_code, found.node_id), (0, 0));
            assert!(broker.address.ends_with(&format!(":{}", found.port)));
        }
    }
}

#[test]
fn what_does_not_exist_is_said_so() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create(TOPIC, 1, &[]), 0);
    assert_eq!(fetch(&mut client, 9, "nobody"), -1);
    assert_eq!(describe(&mut client, 5, "nobody"), (0, "Dead".into(), 0));
    assert_eq!(describe(&mut client, 6, "nobody").0, code(ErrorCode::GroupIdNotFound));
    let delete = DeleteGroupsRequest { groups_names: vec!["nobody".into()] };
    assert_eq!(client.call(2, &delete).results[0].error_code, code(ErrorCode::GroupIdNotFound));
    assert_eq!(leave(&mut client, 5, "nobody", &"x".into()), code(ErrorCode::UnknownMemberId));
    // Of a partition that does not exist nothing can be committed, by name or by id.
    let partition = OffsetCommitRequestPartition { partition_index: 1, ..Default::default() };
    let topic = OffsetCommitRequestTopic {
        name: TOPIC.into(),
        topic_id: Uuid::from_u128(1),
        partitions: vec![partition],
    };
    let request = OffsetCommitRequest { group_id: "g".into(), topics: vec![topic], ..Default::default() };
    for (version, expected) in [(9, ErrorCode::UnknownTopicOrPartition), (10, ErrorCode::UnknownTopicId)] {
        let response = client.call(version, &request);
        assert_eq!(response.topics[0].partitions[0].error_code, code(expected));
    }
}

#[test]
fn members_and_commits_survive_a_crash() {
    let broker = Broker::start(&[AT_ONCE]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create(TOPIC, 1, &[]), 0);
    let joined = member(&mut client, "g");
    assert_eq!(commit(&mut client, 9, "g", Some(&joined), 41), 0);
    assert_eq!(commit(&mut client, 9, "tool", None, 7), 0);
    let broker = broker.crash_and_restart();
    let mut client = Client::connect(&broker);
    // Loading takes a moment; until then the coordinator says so.
    while client.call(5, &ListGroupsRequest::default()).error_code != 0 {}
    assert_eq!(describe(&mut client, 6, "g"), (0, "Stable".into(), 1));
    assert_eq!((fetch(&mut client, 9, "g"), fetch(&mut client, 9, "tool")), (41, 7));
    assert_eq!(commit(&mut client, 9, "g", Some(&joined), 42), 0, "the member goes on");
    assert_eq!(fetch(&mut client, 9, "g"), 42);
    assert_eq!(broker.metric("penstock_groups_members"), 1.0);
}

#[test]
fn offsets_go_with_their_topic_and_on_request() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create(TOPIC, 1, &[]), 0);
    assert_eq!(commit(&mut client, 9, "g", None, 5), 0);
    let request = DeleteTopicsRequest {
        topic_names: vec![TOPIC.into()],
        timeout_ms: 5_000,
        ..DeleteTopicsRequest::default()
    };
    assert_eq!(client.call(5, &request).responses[0].error_code, 0);
    assert_eq!(client.create(TOPIC, 1, &[]), 0);
    assert_eq!(fetch(&mut client, 9, "g"), -1, "the new topic has nothing to do with the old one");
    assert_eq!(commit(&mut client, 9, "g", None, 6), 0);
    let partitions = vec![OffsetDeleteRequestPartition { partition_index: 0 }];
    let topics = vec![OffsetDeleteRequestTopic { name: TOPIC.into(), partitions }];
    let response = client.call(0, &OffsetDeleteRequest { group_id: "g".into(), topics });
    assert_eq!((response.error_code, response.topics[0].partitions[0].error_code), (0, 0));
    assert_eq!(fetch(&mut client, 9, "g"), -1);
}
