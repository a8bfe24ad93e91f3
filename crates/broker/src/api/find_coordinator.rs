//! FindCoordinator, key 10: who keeps a group or a transaction. A single broker keeps all of them.
//!
//! Versions: 4 asks for many keys at once, 6 adds share groups. Asking for a group is what makes the internal topic,
//! so that a broker that never sees a group never has one.

use protocol::messages::find_coordinator::Coordinator;
use protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use protocol::{ApiKey, ErrorCode, Str};

use super::Api;
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::FindCoordinator, 0, 6);

/// The version from which on a request carries many keys.
const MANY_KEYS: i16 = 4;

// Kafka's numbers for what a key is.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

const NO_NODE: i32 = -1;

pub(super) async fn handle(ctx: &Context, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    let keys = if ctx.version >= MANY_KEYS { request.coordinator_keys } else { vec![request.key] };
    let mut coordinators: Vec<Coordinator> =
        keys.into_iter().map(|key| find(ctx, key, request.key_type)).collect();
    if ctx.version >= MANY_KEYS {
        return FindCoordinatorResponse { coordinators, ..FindCoordinatorResponse::default() };
    }
    let found = coordinators.pop().unwrap_or_default();
    FindCoordinatorResponse {
        error_code: found.error_code,
        error_message: found.error_message,
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..FindCoordinatorResponse::default()
    }
}

fn find(ctx: &Context, key: Str, key_type: i8) -> Coordinator {
    match locate(ctx, &key, key_type) {
        Ok((host, port)) => Coordinator {
            key,
            node_id: ctx.broker.config.node_id,
            host,
            port: i32::from(port),
            ..Coordinator::default()
        },
        Err((code, message)) => Coordinator {
            key,
            node_id: NO_NODE,
            port: NO_NODE,
            error_code: code.code(),
            error_message: Some(Str::from_static(message)),
            ..Coordinator::default()
        },
    }
}

fn locate(ctx: &Context, key: &str, key_type: i8) -> Result<(Str, u16), (ErrorCode, &'static str)> {
    match key_type {
        GROUP if key.is_empty() => return Err((ErrorCode::InvalidGroupId, "a group has a name")),
        GROUP => {
            let failed =
                |code| (code, "the topic for group state could not be made: the broker's log says why");
            ctx.broker.coordinator.ensure().map_err(failed)?;
        }
        TRANSACTION => {}
        _ => return Err((ErrorCode::InvalidRequest, "this broker coordinates groups and transactions only")),
    }
    let endpoint = ctx.broker.endpoint(ctx.peer.protocol);
    let endpoint = endpoint.ok_or((ErrorCode::CoordinatorNotAvailable, "this listener is not advertised"))?;
    Ok((endpoint.host.clone(), endpoint.port))
}
