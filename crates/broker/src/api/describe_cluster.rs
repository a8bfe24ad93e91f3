//! DescribeCluster, key 60: which brokers there are. Version 1 also asks for controllers, 2 for fenced brokers.

use protocol::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};
use protocol::{ApiKey, ErrorCode, Str};

use super::{Api, authorized};
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::DescribeCluster, 0, 2);

/// Endpoints of brokers, in Kafka's numbers.
const BROKERS: i8 = 1;

pub(super) async fn handle(ctx: &Context, request: DescribeClusterRequest) -> DescribeClusterResponse {
    let broker = &ctx.broker;
    if request.endpoint_type != BROKERS {
        let code = if request.endpoint_type == 2 {
            ErrorCode::MismatchedEndpointType
        } else {
            ErrorCode::UnsupportedEndpointType
        };
        return DescribeClusterResponse {
            error_code: code.code(),
            error_message: Some(Str::from_static("this is a broker's endpoint; ask it for brokers")),
            endpoint_type: request.endpoint_type,
            ..DescribeClusterResponse::default()
        };
    }
    let brokers = broker.endpoint(ctx.peer.protocol).map(|endpoint| DescribeClusterBroker {
        broker_id: broker.config.node_id,
        host: endpoint.host.clone(),
        port: i32::from(endpoint.port),
        rack: broker.config.rack.as_deref().map(Str::from),
        is_fenced: false,
    });
    DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: broker.controller.cluster_id().clone(),
        controller_id: broker.config.node_id,
        brokers: brokers.into_iter().collect(),
        cluster_authorized_operations: authorized::cluster(request.include_cluster_authorized_operations),
        ..DescribeClusterResponse::default()
    }
}
