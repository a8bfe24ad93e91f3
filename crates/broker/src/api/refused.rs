//! What is not served: answered with an error in a body that the client can read, not with a closed connection.

use bytes::{BufMut, BytesMut};
use protocol::messages::api_versions::ApiVersionsResponse;
use protocol::{ApiKey, Decoder, ErrorCode};

use super::{Answer, Call, api_versions};
use crate::connection::writer::Reply;

/// Answers a request that no handler takes.
pub(super) fn answer(call: Call, _input: Decoder) -> Answer {
    if call.key == ApiKey::ApiVersions {
        // Version 0, so that a newer client can read which versions there are.
        let response = ApiVersionsResponse {
            error_code: ErrorCode::UnsupportedVersion.code(),
            api_keys: api_versions::keys(),
            ..ApiVersionsResponse::default()
        };
        let slices = super::encode(Call { version: 0, ..call }, &response)?;
        return Ok(Some(Reply::new(slices, [])));
    }
    Ok(Some(unknown_key(call.correlation_id)))
}

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
