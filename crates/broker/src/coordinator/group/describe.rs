//! What tools are told about groups.

use protocol::messages::describe_groups::{DescribedGroup, DescribedGroupMember};
use protocol::messages::list_groups::ListedGroup;
use protocol::{ErrorCode, Str};

use super::member::Member;
use super::{Group, State};

/// The type of all groups here, as ListGroups names it.
pub const TYPE_CLASSIC: &str = "classic";

/// The state of a group that does not exist.
const DEAD: &str = "Dead";

/// What is said of a group that does not exist: from version 6 on that it does not, before that that it is dead.
pub(super) fn missing(group: &Str, says_missing: bool) -> DescribedGroup {
    let (code, message) = if says_missing {
        (ErrorCode::GroupIdNotFound, Some(Str::from(format!("Group {group} not found."))))
    } else {
        (ErrorCode::None, None)
    };
    DescribedGroup {
        error_code: code.into(),
        error_message: message,
        group_id: group.clone(),
        group_state: Str::from_static(DEAD),
        ..DescribedGroup::default()
    }
}

impl Group {
    pub(super) fn listed(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.clone(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            group_state: Str::from_static(self.state.name()),
            group_type: Str::from_static(TYPE_CLASSIC),
        }
    }

    /// Metadata and assignment are only shown at rest: in between they belong to different generations.
    pub(super) fn described(&self) -> DescribedGroup {
        let protocol = match self.state {
            State::Stable => self.protocol.clone(),
            State::Empty | State::PreparingRebalance | State::CompletingRebalance => None,
        };
        let describe = |(member_id, member): (&Str, &Member)| {
            let mut described = DescribedGroupMember {
                member_id: member_id.clone(),
                group_instance_id: member.instance_id.clone(),
                client_id: member.client.id.clone(),
                client_host: member.client.host.clone(),
                ..DescribedGroupMember::default()
            };
            if let Some(protocol) = &protocol {
                described.member_metadata = member.metadata(protocol).cloned().unwrap_or_default();
                described.member_assignment = member.assignment.clone();
            }
            described
        };
        DescribedGroup {
            group_id: self.id.clone(),
            group_state: Str::from_static(self.state.name()),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            members: self.members.iter().map(describe).collect(),
            protocol_data: protocol.clone().unwrap_or_default(),
            ..DescribedGroup::default()
        }
    }
}
