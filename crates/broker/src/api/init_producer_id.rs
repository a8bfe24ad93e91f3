//! InitProducerId, key 22: an id for an idempotent producer, never given out twice.
//!
//! From version 3 on a producer may show the id it has and ask for the next epoch of it; that is answered with a new id,
//! which serves the same purpose. Transactional producers are refused: this broker has no transactions yet.

use protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use protocol::{ApiKey, ErrorCode};

use super::Api;
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::InitProducerId, 0, 5);

pub(super) async fn handle(ctx: &Context, request: InitProducerIdRequest) -> InitProducerIdResponse {
    let failed = |code: ErrorCode| InitProducerIdResponse {
        error_code: code.code(),
        producer_id: -1,
        producer_epoch: -1,
        ..InitProducerIdResponse::default()
    };
    if let Some(id) = &request.transactional_id {
        return failed(if id.is_empty() { ErrorCode::InvalidRequest } else { ErrorCode::UnsupportedVersion });
    }
    match ctx.broker.controller.next_producer_id().await {
        Ok(producer_id) => {
            InitProducerIdResponse { producer_id, producer_epoch: 0, ..InitProducerIdResponse::default() }
        }
        Err(code) => failed(code),
    }
}
