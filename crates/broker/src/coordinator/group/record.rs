//! How groups look in `__consumer_offsets`: Kafka's own keys and values, so that Kafka's own tools read them.
//!
//! A key starts with a number that says what kind of record it is, a value with the version of its layout.

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::codec::Message;
use protocol::messages::group_metadata_value::MemberMetadata;
use protocol::messages::{GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue};
use protocol::{DecodeError, Decoder, EncodeError, Encoder, ErrorCode, Str};
use uuid::Uuid;

use super::Group;
use super::member::Member;
use super::offsets::Committed;
use crate::coordinator::machine::Record;

/// Kind of a record with an offset. Kafka has written 1 for long and also reads 0, which is laid out alike.
const OFFSET_KINDS: [i16; 2] = [0, 1];
const OFFSET_KIND: i16 = 1;
const GROUP_KIND: i16 = 2;

/// The only version of either key.
const KEY_VERSION: i16 = 0;

/// The last version before tagged fields, which every Kafka in use can read.
const GROUP_VALUE_VERSION: i16 = 3;

/// Carries an expiry time of its own, which later versions dropped.
const OFFSET_VALUE_WITH_EXPIRY: i16 = 1;
/// The last version before the topic id.
const OFFSET_VALUE_WITHOUT_ID: i16 = 3;
const OFFSET_VALUE_WITH_ID: i16 = 4;

/// A record that was understood.
#[derive(Debug, PartialEq)]
pub(super) enum Entry {
    Group {
        group: Str,
        value: Option<GroupMetadataValue>,
    },
    Offset {
        group: Str,
        topic: Str,
        partition: i32,
        value: Option<OffsetCommitValue>,
    },
    /// A kind that belongs to another sort of group.
    Foreign,
}

/// Why a record cannot be understood.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("the record's key or value is damaged")]
    Damaged(#[from] DecodeError),
}

pub(super) fn read(record: &Record) -> Result<Entry, Unreadable> {
    let mut key = Decoder::new(record.key.clone());
    let kind = key.i16()?;
    if OFFSET_KINDS.contains(&kind) {
        let key = OffsetCommitKey::decode(&mut key, KEY_VERSION)?;
        let value = record.value.clone().map(OffsetCommitValue::decode_prefixed).transpose()?;
        let value = value.map(|(_, value)| value);
        Ok(Entry::Offset { group: key.group, topic: key.topic, partition: key.partition, value })
    } else if kind == GROUP_KIND {
        let key = GroupMetadataKey::decode(&mut key, KEY_VERSION)?;
        let value = record.value.clone().map(GroupMetadataValue::decode_prefixed).transpose()?;
        Ok(Entry::Group { group: key.group, value: value.map(|(_, value)| value) })
    } else {
        Ok(Entry::Foreign)
    }
}

/// Every string here came over the wire or was bounded when it was made, so this does not happen; if it does, the
/// request fails as an error of ours.
fn not_encodable(error: EncodeError) -> ErrorCode {
    tracing::error!(%error, "a group record cannot be encoded");
    ErrorCode::UnknownServerError
}

fn key(kind: i16, message: &impl Message) -> Result<Bytes, ErrorCode> {
    let mut out = Encoder::new();
    out.i16(kind);
    message.encode(&mut out, KEY_VERSION).map_err(not_encodable)?;
    out.finish().into_bytes().ok_or(ErrorCode::UnknownServerError)
}

fn offset_key(group: &Str, topic: &Str, partition: i32) -> Result<Bytes, ErrorCode> {
    key(OFFSET_KIND, &OffsetCommitKey { group: group.clone(), topic: topic.clone(), partition })
}

pub(super) fn offset(
    group: &Str,
    topic: &Str,
    topic_id: Uuid,
    partition: i32,
    committed: &Committed,
) -> Result<Record, ErrorCode> {
    let version = match committed.expires_at_ms {
        Some(_) => OFFSET_VALUE_WITH_EXPIRY,
        None if topic_id.is_nil() => OFFSET_VALUE_WITHOUT_ID,
        None => OFFSET_VALUE_WITH_ID,
    };
    let value = OffsetCommitValue {
        offset: committed.offset,
        leader_epoch: committed.leader_epoch,
        metadata: committed.metadata.clone(),
        commit_timestamp: committed.at_ms,
        expire_timestamp: committed.expires_at_ms.unwrap_or(-1),
        topic_id,
    };
    let value = value.encode_prefixed(version).map_err(not_encodable)?;
    Ok(Record { key: offset_key(group, topic, partition)?, value: Some(value) })
}

pub(super) fn offset_tombstones(group: &Str, partitions: &[(Str, i32)]) -> Result<Vec<Record>, ErrorCode> {
    let one = |(topic, partition): &(Str, i32)| {
        Ok(Record { key: offset_key(group, topic, *partition)?, value: None })
    };
    partitions.iter().map(one).collect()
}

pub(super) fn group_tombstone(group: &Str) -> Result<Record, ErrorCode> {
    Ok(Record { key: key(GROUP_KIND, &GroupMetadataKey { group: group.clone() })?, value: None })
}

impl Committed {
    pub(super) fn from_value(value: &OffsetCommitValue) -> Committed {
        Committed {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.clone(),
            at_ms: value.commit_timestamp,
            expires_at_ms: (value.expire_timestamp >= 0).then_some(value.expire_timestamp),
        }
    }
}

impl Group {
    /// The group as it is.
    pub(super) fn record(&self) -> Result<Record, ErrorCode> {
        self.record_of(|_, member| member.assignment.clone())
    }

    /// The group as it will be when its members are assigned this.
    pub(super) fn record_with(&self, assignment: &BTreeMap<Str, Bytes>) -> Result<Record, ErrorCode> {
        self.record_of(|member_id, _| assignment.get(member_id).cloned().unwrap_or_default())
    }

    fn record_of(&self, assignment: impl Fn(&Str, &Member) -> Bytes) -> Result<Record, ErrorCode> {
        let protocol = self.protocol.clone().unwrap_or_default();
        let member = |(member_id, member): (&Str, &Member)| MemberMetadata {
            member_id: member_id.clone(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client.id.clone(),
            client_host: member.client.host.clone(),
            rebalance_timeout: member.rebalance_timeout_ms,
            session_timeout: member.session_timeout_ms,
            subscription: member.metadata(&protocol).cloned().unwrap_or_default(),
            assignment: assignment(member_id, member),
        };
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.changed_at_ms.unwrap_or(-1),
            members: self.members.iter().map(member).collect(),
        };
        let value = value.encode_prefixed(GROUP_VALUE_VERSION).map_err(not_encodable)?;
        Ok(Record { key: key(GROUP_KIND, &GroupMetadataKey { group: self.id.clone() })?, value: Some(value) })
    }
}
