//! Consumer groups: which there are, who is in them, how far they are.

use protocol::messages::offset_fetch::OffsetFetchRequestGroup;
use protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest, ListGroupsRequest, OffsetFetchRequest,
};
use protocol::{ErrorCode, Str};

use crate::admin::Admin;
use crate::connection::Connection;
use crate::error::{Error, Refusal};

/// The last version of OffsetFetch that names topics instead of giving their ids.
const OFFSETS_BY_NAME: i16 = 9;

/// From this version on FindCoordinator takes and gives lists.
const COORDINATORS_IN_LISTS: i16 = 4;

/// A group in a list of groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    /// Its id.
    pub id: String,
    /// `consumer` for consumers.
    pub protocol_type: String,
    /// Kafka's name of its state.
    pub state: String,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: String,
    /// Kafka's name of its state; `Dead` if there is no such group.
    pub state: String,
    /// `consumer` for consumers.
    pub protocol_type: String,
    /// The assignor that its members agreed on.
    pub protocol: String,
    /// Who is in it.
    pub members: Vec<Member>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What the coordinator calls it.
    pub id: String,
    /// Set for static members.
    pub instance_id: Option<String>,
    /// What it calls itself.
    pub client_id: String,
    /// Where it comes from.
    pub host: String,
}

/// How far a group is in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOffset {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next record that it wants.
    pub offset: i64,
}

impl Admin {
    /// The groups of all brokers, by id.
    pub async fn list_groups(&self) -> Result<Vec<GroupListing>, Error> {
        let mut groups = Vec::new();
        // Each coordinator knows its own groups only.
        for broker in self.describe_cluster().await?.brokers {
            let connection = self.to(&broker.host, broker.port).await?;
            let answer = self.call_over(&connection, &ListGroupsRequest::default(), i16::MAX).await?;
            Refusal::check(answer.error_code, None)
                .map_err(|refusal| Error::refused("list consumer groups", refusal))?;
            groups.extend(answer.groups.iter().map(|group| GroupListing {
                id: group.group_id.to_string(),
                protocol_type: group.protocol_type.to_string(),
                state: group.group_state.to_string(),
            }));
        }
        groups.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(groups)
    }

    /// One group, or nothing if its coordinator does not know it.
    pub async fn describe_group(&self, id: &str) -> Result<Option<Group>, Error> {
        let connection = self.to_coordinator(id).await?;
        let request =
            DescribeGroupsRequest { groups: vec![Str::from(id)], include_authorized_operations: false };
        let answer = self.call_over(&connection, &request, i16::MAX).await?;
        let Some(group) = answer.groups.first() else { return Ok(None) };
        match Refusal::check(group.error_code, group.error_message.as_ref()) {
            Err(refusal) if refusal.code == ErrorCode::GroupIdNotFound => return Ok(None),
            Err(refusal) => return Err(Error::refused(format!("describe group {id}"), refusal)),
            // Before version 6 a group that does not exist is one that is dead.
            Ok(()) if group.group_state == "Dead" => return Ok(None),
            Ok(()) => {}
        }
        let member = |member: &protocol::messages::describe_groups::DescribedGroupMember| Member {
            id: member.member_id.to_string(),
            instance_id: member.group_instance_id.as_ref().map(ToString::to_string),
            client_id: member.client_id.to_string(),
            host: member.client_host.to_string(),
        };
        Ok(Some(Group {
            id: group.group_id.to_string(),
            state: group.group_state.to_string(),
            protocol_type: group.protocol_type.to_string(),
            protocol: group.protocol_data.to_string(),
            members: group.members.iter().map(member).collect(),
        }))
    }

    /// The offsets that a group committed, for all topics.
    pub async fn group_offsets(&self, id: &str) -> Result<Vec<GroupOffset>, Error> {
        let connection = self.to_coordinator(id).await?;
        let group = OffsetFetchRequestGroup {
            group_id: Str::from(id),
            topics: None,
            ..OffsetFetchRequestGroup::default()
        };
        let request = OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() };
        let answer = self.call_over(&connection, &request, OFFSETS_BY_NAME).await?;
        let what = || format!("read the offsets of group {id}");
        let mut offsets = Vec::new();
        for group in &answer.groups {
            Refusal::check(group.error_code, None).map_err(|refusal| Error::refused(what(), refusal))?;
            for topic in &group.topics {
                for partition in &topic.partitions {
                    Refusal::check(partition.error_code, None)
                        .map_err(|refusal| Error::refused(what(), refusal))?;
                    offsets.push(GroupOffset {
                        topic: topic.name.to_string(),
                        partition: partition.partition_index,
                        offset: partition.committed_offset,
                    });
                }
            }
        }
        Ok(offsets)
    }

    /// Deletes a group that has no members.
    pub async fn delete_group(&self, id: &str) -> Result<(), Error> {
        let connection = self.to_coordinator(id).await?;
        let request = DeleteGroupsRequest { groups_names: vec![Str::from(id)] };
        let answer = self.call_over(&connection, &request, i16::MAX).await?;
        for result in &answer.results {
            Refusal::check(result.error_code, None)
                .map_err(|refusal| Error::refused(format!("delete group {id}"), refusal))?;
        }
        Ok(())
    }

    async fn to_coordinator(&self, group: &str) -> Result<Connection, Error> {
        let any = self.any().await?;
        let takes_lists = any
            .versions(protocol::ApiKey::FindCoordinator)
            .is_some_and(|versions| versions.highest >= COORDINATORS_IN_LISTS);
        let key = Str::from(group);
        let request = if takes_lists {
            FindCoordinatorRequest { coordinator_keys: vec![key], ..FindCoordinatorRequest::default() }
        } else {
            FindCoordinatorRequest { key, ..FindCoordinatorRequest::default() }
        };
        let answer = self.call_over(&any, &request, i16::MAX).await?;
        let (code, message, host, port) = match answer.coordinators.first() {
            Some(found) => (found.error_code, found.error_message.as_ref(), &found.host, found.port),
            None => (answer.error_code, answer.error_message.as_ref(), &answer.host, answer.port),
        };
        Refusal::check(code, message)
            .map_err(|refusal| Error::refused(format!("find the coordinator of group {group}"), refusal))?;
        self.to(host, u16::try_from(port).unwrap_or(0)).await
    }
}
