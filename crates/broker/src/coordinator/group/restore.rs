//! From records back to groups, after a restart.

use bytes::Bytes;
use protocol::Str;
use protocol::messages::group_metadata_value::MemberMetadata;
use protocol::messages::{GroupMetadataValue, OffsetCommitValue};

use super::member::{Client, Member, Offer};
use super::offsets::Committed;
use super::{Group, Shard, State};
use crate::coordinator::machine::Now;

/// Stands for "long ago" while records are replayed: what happened when is in the records.
const EPOCH: Now = Now { wall_ms: 0, steady_ms: 0 };

impl Shard {
    pub(super) fn replay_group(&mut self, id: Str, value: Option<GroupMetadataValue>) {
        let mut group = match self.groups.remove(&id) {
            Some(before) => Group { offsets: before.offsets, ..Group::new(id.clone(), EPOCH) },
            None if value.is_none() => return,
            None => Group::new(id.clone(), EPOCH),
        };
        if let Some(value) = value {
            group.restore(value);
        }
        self.groups.insert(id, group);
    }

    pub(super) fn replay_offset(
        &mut self,
        id: &Str,
        topic: &Str,
        partition: i32,
        value: Option<&OffsetCommitValue>,
    ) {
        match (self.groups.get_mut(id), value) {
            (Some(group), Some(value)) => {
                group.offsets.put(topic, value.topic_id, partition, &Committed::from_value(value));
            }
            (Some(group), None) => {
                group.offsets.remove(topic, partition);
            }
            (None, Some(value)) => {
                let id = id.detached();
                let mut group = Group::new(id.clone(), EPOCH);
                group.offsets.put(topic, value.topic_id, partition, &Committed::from_value(value));
                self.groups.insert(id, group);
            }
            (None, None) => {}
        }
    }
}

impl Group {
    /// Becomes what a record says. A group with members was at rest when the record was written.
    fn restore(&mut self, value: GroupMetadataValue) {
        self.is_logged = true;
        self.generation = value.generation;
        self.protocol_type = (!value.protocol_type.is_empty()).then(|| value.protocol_type.detached());
        self.protocol = value.protocol.map(|protocol| protocol.detached());
        self.leader = value.leader.map(|leader| leader.detached());
        self.changed_at_ms = (value.current_state_timestamp >= 0).then_some(value.current_state_timestamp);
        self.state = if value.members.is_empty() { State::Empty } else { State::Stable };
        self.came_from = self.state;
        for member in value.members {
            self.restore_member(member);
        }
    }

    fn restore_member(&mut self, value: MemberMetadata) {
        let member_id = value.member_id.detached();
        let offer = Offer {
            name: self.protocol.clone().unwrap_or_default(),
            metadata: Bytes::copy_from_slice(&value.subscription),
        };
        let longest =
            if value.rebalance_timeout < 0 { value.session_timeout } else { value.rebalance_timeout };
        let member = Member {
            instance_id: value.group_instance_id.map(|instance_id| instance_id.detached()),
            client: Client { id: value.client_id.detached(), host: value.client_host.detached() },
            rebalance_timeout_ms: longest,
            session_timeout_ms: value.session_timeout,
            offers: vec![offer],
            assignment: Bytes::copy_from_slice(&value.assignment),
            join_waiter: None,
            sync_waiter: None,
            is_new: false,
            expires_at_ms: u64::MAX,
        };
        if let Some(instance_id) = &member.instance_id {
            self.statics.insert(instance_id.clone(), member_id.clone());
        }
        self.ballot.add(&member.offers);
        self.member_bytes += member.bytes();
        self.members.insert(member_id, member);
    }
}
