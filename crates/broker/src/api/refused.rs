//! What is not served: answered with an error in a body that the client can read, never with a closed connection.
//!
//! Keys that this broker knows and does not serve yet (transactions, ACLs, SASL, newer kinds of groups) are
//! answered in their own layout with the code that Kafka uses for a cluster without that feature. Keys and versions that
//! nobody knows get header and error code alone.

use bytes::{BufMut, BytesMut};
use protocol::messages::{self, api_versions::ApiVersionsResponse};
use protocol::{ApiKey, Decoder, ErrorCode, Str};

use super::{Answer, Call, api_versions};
use crate::connection::writer::Reply;

/// The answer to a key or version that nobody knows: header and error code, which is how a refused ApiVersions begins
/// and the best guess for anything else.
pub(crate) fn unknown_key(correlation_id: i32) -> Reply {
    // Correlation id and error code.
    const BODY_BYTES: i32 = 4 + 2;
    let mut frame = BytesMut::with_capacity(4 + BODY_BYTES as usize);
    frame.put_i32(BODY_BYTES);
    frame.put_i32(correlation_id);
    frame.put_i16(ErrorCode::UnsupportedVersion.code());
    Reply::bytes(frame.freeze())
}

const NO_ACLS: &str = "no authorizer is configured";

/// Answers a request that no handler takes.
#[expect(clippy::too_many_lines, reason = "one line for each API, and nothing else")]
pub(super) fn answer(call: Call, input: Decoder) -> Answer {
    use messages as m;
    if call.key == ApiKey::ApiVersions {
        // Version 0, so that a newer client can read which versions there are.
        let response = ApiVersionsResponse {
            error_code: ErrorCode::UnsupportedVersion.code(),
            api_keys: api_versions::keys(),
            ..ApiVersionsResponse::default()
        };
        return reply(Call { version: 0, ..call }, &response);
    }
    if !call.key.known_versions().contains(call.version) {
        return Ok(unknown_key(call.correlation_id));
    }
    let unsupported = ErrorCode::UnsupportedVersion.code();
    let no_acls = ErrorCode::SecurityDisabled.code();
    /// A response whose only content is an error code of its own.
    macro_rules! plain {
        ($response:path, $code:expr) => {{
            let response = {
                type R = $response;
                R { error_code: $code, ..R::default() }
            };
            reply(call, &response)
        }};
    }
    /// A response that says the same of each group that is asked about.
    macro_rules! groups {
        ($module:ident, $request:ident, $response:ident) => {{
            let request: m::$module::$request = super::decode(call, input)?;
            let refused = |group_id| m::$module::DescribedGroup {
                error_code: unsupported,
                group_id,
                ..m::$module::DescribedGroup::default()
            };
            let groups = request.group_ids.into_iter().map(refused).collect();
            reply(call, &m::$module::$response { groups, ..Default::default() })
        }};
    }
    match call.key {
        ApiKey::SaslHandshake => {
            plain!(m::sasl_handshake::SaslHandshakeResponse, ErrorCode::UnsupportedSaslMechanism.code())
        }
        ApiKey::SaslAuthenticate => {
            plain!(m::sasl_authenticate::SaslAuthenticateResponse, ErrorCode::IllegalSaslState.code())
        }
        ApiKey::AddOffsetsToTxn => plain!(m::add_offsets_to_txn::AddOffsetsToTxnResponse, unsupported),
        ApiKey::EndTxn => plain!(m::end_txn::EndTxnResponse, unsupported),
        ApiKey::ListTransactions => plain!(m::list_transactions::ListTransactionsResponse, unsupported),
        ApiKey::DescribeAcls => plain!(m::describe_acls::DescribeAclsResponse, no_acls),
        ApiKey::DescribeUserScramCredentials => {
            plain!(m::describe_user_scram_credentials::DescribeUserScramCredentialsResponse, unsupported)
        }
        ApiKey::CreateDelegationToken => {
            plain!(m::create_delegation_token::CreateDelegationTokenResponse, unsupported)
        }
        ApiKey::RenewDelegationToken => {
            plain!(m::renew_delegation_token::RenewDelegationTokenResponse, unsupported)
        }
        ApiKey::ExpireDelegationToken => {
            plain!(m::expire_delegation_token::ExpireDelegationTokenResponse, unsupported)
        }
        ApiKey::DescribeDelegationToken => {
            plain!(m::describe_delegation_token::DescribeDelegationTokenResponse, unsupported)
        }
        ApiKey::UnregisterBroker => plain!(m::unregister_broker::UnregisterBrokerResponse, unsupported),
        ApiKey::ConsumerGroupHeartbeat => {
            plain!(m::consumer_group_heartbeat::ConsumerGroupHeartbeatResponse, unsupported)
        }
        ApiKey::ShareGroupHeartbeat => {
            plain!(m::share_group_heartbeat::ShareGroupHeartbeatResponse, unsupported)
        }
        ApiKey::ShareFetch => plain!(m::share_fetch::ShareFetchResponse, unsupported),
        ApiKey::ShareAcknowledge => plain!(m::share_acknowledge::ShareAcknowledgeResponse, unsupported),
        ApiKey::StreamsGroupHeartbeat => {
            plain!(m::streams_group_heartbeat::StreamsGroupHeartbeatResponse, unsupported)
        }
        ApiKey::AlterShareGroupOffsets => {
            plain!(m::alter_share_group_offsets::AlterShareGroupOffsetsResponse, unsupported)
        }
        ApiKey::DeleteShareGroupOffsets => {
            plain!(m::delete_share_group_offsets::DeleteShareGroupOffsetsResponse, unsupported)
        }
        ApiKey::AddRaftVoter => plain!(m::add_raft_voter::AddRaftVoterResponse, unsupported),
        ApiKey::RemoveRaftVoter => plain!(m::remove_raft_voter::RemoveRaftVoterResponse, unsupported),
        ApiKey::AddPartitionsToTxn => {
            use m::add_partitions_to_txn::{
                AddPartitionsToTxnPartitionResult as Partition, AddPartitionsToTxnRequest,
                AddPartitionsToTxnResponse, AddPartitionsToTxnTopicResult as Topic,
            };
            let request: AddPartitionsToTxnRequest = super::decode(call, input)?;
            let refused =
                |partition: i32| Partition { partition_index: partition, partition_error_code: unsupported };
            let topics = request.v3_and_below_topics.into_iter().map(|topic| Topic {
                results_by_partition: topic.partitions.into_iter().map(refused).collect(),
                name: topic.name,
            });
            let mut response = AddPartitionsToTxnResponse {
                results_by_topic_v3_and_below: topics.collect(),
                ..AddPartitionsToTxnResponse::default()
            };
            // Only versions from 4 on have a code for the whole.
            if call.version >= 4 {
                response.error_code = unsupported;
            }
            reply(call, &response)
        }
        ApiKey::TxnOffsetCommit => {
            use m::txn_offset_commit::{
                TxnOffsetCommitRequest, TxnOffsetCommitResponse,
                TxnOffsetCommitResponsePartition as Partition, TxnOffsetCommitResponseTopic as Topic,
            };
            let request: TxnOffsetCommitRequest = super::decode(call, input)?;
            let refused = |index: i32| Partition { partition_index: index, error_code: unsupported };
            let topics = request.topics.into_iter().map(|topic| Topic {
                partitions: topic.partitions.iter().map(|it| refused(it.partition_index)).collect(),
                name: topic.name,
            });
            reply(call, &TxnOffsetCommitResponse { topics: topics.collect(), ..Default::default() })
        }
        ApiKey::DescribeTransactions => {
            use m::describe_transactions::{
                DescribeTransactionsRequest, DescribeTransactionsResponse, TransactionState,
            };
            let request: DescribeTransactionsRequest = super::decode(call, input)?;
            let unknown = |transactional_id| TransactionState {
                error_code: ErrorCode::TransactionalIdNotFound.code(),
                transactional_id,
                ..TransactionState::default()
            };
            let transaction_states = request.transactional_ids.into_iter().map(unknown).collect();
            reply(call, &DescribeTransactionsResponse { transaction_states, ..Default::default() })
        }
        ApiKey::CreateAcls => {
            use m::create_acls::{AclCreationResult, CreateAclsRequest, CreateAclsResponse};
            let request: CreateAclsRequest = super::decode(call, input)?;
            let refused =
                AclCreationResult { error_code: no_acls, error_message: Some(Str::from_static(NO_ACLS)) };
            let results = vec![refused; request.creations.len()];
            reply(call, &CreateAclsResponse { results, ..Default::default() })
        }
        ApiKey::DeleteAcls => {
            use m::delete_acls::{DeleteAclsFilterResult, DeleteAclsRequest, DeleteAclsResponse};
            let request: DeleteAclsRequest = super::decode(call, input)?;
            let refused = DeleteAclsFilterResult {
                error_code: no_acls,
                error_message: Some(Str::from_static(NO_ACLS)),
                matching_acls: Vec::new(),
            };
            let filter_results = vec![refused; request.filters.len()];
            reply(call, &DeleteAclsResponse { filter_results, ..Default::default() })
        }
        ApiKey::AlterUserScramCredentials => {
            use m::alter_user_scram_credentials::{
                AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse,
                AlterUserScramCredentialsResult,
            };
            let request: AlterUserScramCredentialsRequest = super::decode(call, input)?;
            let names = request.deletions.into_iter().map(|it| it.name);
            let names = names.chain(request.upsertions.into_iter().map(|it| it.name));
            let refused = |user| AlterUserScramCredentialsResult {
                user,
                error_code: unsupported,
                error_message: Some(Str::from_static("this broker has no SCRAM yet")),
            };
            let results = names.map(refused).collect();
            reply(call, &AlterUserScramCredentialsResponse { results, ..Default::default() })
        }
        ApiKey::ConsumerGroupDescribe => {
            groups!(consumer_group_describe, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse)
        }
        ApiKey::ShareGroupDescribe => {
            groups!(share_group_describe, ShareGroupDescribeRequest, ShareGroupDescribeResponse)
        }
        ApiKey::StreamsGroupDescribe => {
            groups!(streams_group_describe, StreamsGroupDescribeRequest, StreamsGroupDescribeResponse)
        }
        // What is left is between brokers and controllers; no client sends it.
        key => {
            tracing::debug!(%key, version = call.version, "answered an API that is between brokers");
            Ok(unknown_key(call.correlation_id))
        }
    }
}

fn reply(call: Call, response: &impl protocol::codec::Message) -> Answer {
    Ok(Reply::new(super::encode(call, response)?, []))
}
